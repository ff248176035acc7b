//! Two accounts on one machine: the other one can see that a stack runs, and do nothing to it.
//!
//! Root plays both accounts. Who is not root has no second account, as a user namespace maps none without the help of root:
//! the same paths are then held to their modes, which is what a test says in its name.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Signal, geteuid};
use tokio::process::Command;

use crate::shell::{Serving, Shell, postgres_pid};
use crate::world::programs;

/// Accounts for root to play: one that every machine has a name for, which `initdb` wants to know, and one without.
const NOBODY: u32 = 65_534;
const OTHER: u32 = 65_533;

/// Everything under a folder, the folder among it.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_path_buf()];
    let mut next = 0;
    while next < found.len() {
        let path = found[next].clone();
        if fs::symlink_metadata(&path).expect("it is there").is_dir() {
            found.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        }
        next += 1;
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o777
}

/// The programs where every account can reach them.
async fn put_programs(folder: &Path) -> PathBuf {
    let place = folder.join("programs");
    fs::create_dir(&place).expect("a folder");
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("its own folder");
    for name in ["datadetox", "functions"] {
        let built = programs().await.join(name);
        fs::hard_link(&built, place.join(name))
            .or_else(|_| fs::copy(&built, place.join(name)).map(|_| ()))
            .expect("a program is put there");
    }
    place.join("datadetox")
}

/// A command of an account, or of this one.
fn as_account(mut command: Command, account: Option<u32>) -> Command {
    if let Some(account) = account {
        command.uid(account).gid(account);
    }
    command
}

/// Whether an account can do what a line of shell does.
async fn can(account: Option<u32>, line: &str, password: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir("/").env("PGPASSWORD", password).env("PGCONNECT_TIMEOUT", "5");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    as_account(command, account).status().await.expect("a shell").success()
}

/// Inodes of the sockets that a process holds and that listen for anybody on this machine.
fn listens_on_tcp(pid: i32) -> Vec<String> {
    let held = fs::read_dir(format!("/proc/{pid}/fd")).expect("Linux").flatten();
    let held: Vec<String> = held
        .filter_map(|entry| fs::read_link(entry.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|target| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    // Columns: number, local address, remote address, state (0A listens), and the inode as the tenth.
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let listening = lines.map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|words| words[3] == "0A");
    listening.map(|words| words[9].to_owned()).filter(|inode| held.contains(inode)).collect()
}

/// What another account would try: the path that has to stop it, and a line of shell that succeeds for the owner.
fn attacks(home: &Path, pid: u32) -> Vec<(PathBuf, String)> {
    let mut attacks = vec![
        (home.to_path_buf(), format!("ls '{}'", home.display())),
        (home.to_path_buf(), format!("touch '{}/squat'", home.display())),
        (home.join("lock"), format!("exec 3< '{}/lock'", home.display())),
    ];
    for file in
        ["stack.json", "credentials.json", "pg_service.conf", "aws_config", "pipeline.toml", "logs/postgres.log"]
    {
        attacks.push((home.join(file), format!("cat '{}'", home.join(file).display())));
    }
    for folder in ["lake", "lake/totesys-ingestion/staff", "executions", "inbox", "logs"] {
        attacks.push((home.join(folder), format!("ls '{}'", home.join(folder).display())));
    }
    let environment = PathBuf::from(format!("/proc/{pid}/environ"));
    attacks.push((environment.clone(), format!("cat {}", environment.display())));
    attacks
}

/// Attacks on the server of a running stack, by one who even knows the superuser's password.
fn attacks_on_postgres(socket: &Path) -> Vec<(PathBuf, String)> {
    let place = socket.display();
    vec![
        (socket.to_path_buf(), format!("ls '{place}'")),
        (socket.to_path_buf(), format!("psql -X -h '{place}' -U datadetox -d postgres -c 'SELECT 1'")),
    ]
}

/// No other account comes to a path: something on the way to it is closed.
fn closed(path: &Path) -> bool {
    path.ancestors().any(|place| mode(place) & 0o077 == 0)
}

async fn attack(shell: &Shell, serving: &Serving, first: Option<u32>, program: &Path) {
    let home = shell.folder.path().join(".datadetox");
    let stack = shell.stack();
    let socket = PathBuf::from(stack["postgres_socket"].as_str().expect("where its Postgres listens"));
    let credentials = fs::read_to_string(home.join("credentials.json")).expect("the home has credentials");
    let credentials: serde_json::Value = serde_json::from_str(&credentials).expect("they are JSON");
    let password = credentials["superuser"].as_str().expect("a password");
    assert_eq!(listens_on_tcp(postgres_pid(shell).as_raw_nonzero().get()), [""; 0], "a port that another can squat");

    for (path, line) in attacks(&home, serving.pid()).into_iter().chain(attacks_on_postgres(&socket)) {
        assert!(can(first, &line, password).await, "the owner can: {line}");
        if geteuid().is_root() {
            assert!(!can(Some(OTHER), &line, password).await, "another account can: {line}");
        } else {
            assert!(closed(&path), "another account comes to {}", path.display());
        }
    }
    if geteuid().is_root() {
        assert!(can(Some(OTHER), &format!("test -d /proc/{}", serving.pid()), "").await, "it sees that a stack runs");
        let mut look = Command::new(program);
        look.args(["runs", "--home"]).arg(&home).current_dir(shell.folder.path()).env_remove("CARGO");
        let looked = Shell::finish(as_account(look, Some(OTHER))).await;
        assert_eq!(looked.code, Some(1), "{looked:?}");
        let whose = format!("belongs to another account (number {})", first.unwrap_or_default());
        assert!(looked.err.contains(&whose) && looked.err.contains("with --home"), "{looked:?}");
    }
}

#[tokio::test]
async fn another_account_sees_that_a_stack_runs_and_can_do_nothing_to_it_or_the_modes_say_so_to_who_is_not_root() {
    // Root runs a stack, and so does who is not root.
    let firsts = if geteuid().is_root() { vec![None, Some(NOBODY)] } else { vec![None] };
    for first in firsts {
        let shell = Shell::new(|text| text).await;
        let program = put_programs(shell.folder.path()).await;
        chown(shell.folder.path(), first, first).expect("it can be given away");
        let mut command = Command::new("sh");
        // As wide as a file can be made.
        command.args(["-c", "umask 000; exec \"$0\" --orders 40"]).arg(&program);
        command.current_dir(shell.folder.path()).env_remove("CARGO").stdin(Stdio::null()).kill_on_drop(true);
        let mut serving = Shell::started(as_account(command, first)).await;
        attack(&shell, &serving, first, &program).await;
        serving.signal(Signal::INT);
        assert_eq!(serving.ended().await, Some(0));
    }
}

#[tokio::test]
async fn whatever_the_umask_what_a_run_leaves_is_its_owners_alone() {
    for umask in ["022", "000"] {
        let shell = Shell::new(|text| text).await;
        programs().await;
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask}; exec \"$0\" run --orders 40")]);
        command.arg(env!("CARGO_BIN_EXE_datadetox")).current_dir(shell.folder.path()).env_remove("CARGO");
        let run = Shell::finish(command).await;
        assert_eq!(run.code, Some(0), "{run:?}");
        let home = shell.folder.path().join(".datadetox");
        let left = everything(&home);
        assert!(left.len() > 100, "a lake, journals, databases");
        // Where root runs it, the server's account passes through, which neither reads nor lists.
        let passes = if geteuid().is_root() { 0o710 } else { 0o700 };
        assert_eq!(mode(&home), passes, "umask {umask}");
        let open = left[1..].iter().filter(|path| mode(path) & 0o077 != 0);
        let open: Vec<String> = open.map(|path| format!("{:o} {}", mode(path), path.display())).collect();
        assert_eq!(open, [""; 0], "umask {umask}");
    }
}

/// What every process is told and was started with, of all that descend from one.
fn told(ancestor: u32) -> Vec<(u32, String)> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok());
        processes.push((pid, parent.unwrap_or_default(), entry.path()));
    }
    let mut family = vec![ancestor];
    let mut told = Vec::new();
    while let Some(parent) = family.pop() {
        for (pid, _, place) in processes.iter().filter(|(_, of, _)| *of == parent) {
            let read = |file| String::from_utf8_lossy(&fs::read(place.join(file)).unwrap_or_default()).into_owned();
            told.push((*pid, format!("{}\0{}", read("cmdline"), read("environ"))));
            family.push(*pid);
        }
    }
    told
}

#[tokio::test]
async fn no_child_of_the_stack_is_told_a_secret_of_the_environment_or_one_on_its_command_line() {
    const MARK: &str = "marked-as-a-secret";
    let marked = |mut command: Command| {
        for name in ["PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SOME_TOKEN"] {
            command.env(name, MARK);
        }
        command
    };
    let shell = Shell::new(|text| text).await;
    let mut serving = Shell::started(marked(shell.command(&["--orders", "40"]))).await;
    let credentials = fs::read_to_string(shell.folder.path().join(".datadetox/credentials.json")).expect("credentials");
    let credentials: serde_json::Value = serde_json::from_str(&credentials).expect("they are JSON");
    let passwords = credentials.as_object().expect("passwords").values().map(|word| word.as_str().expect("a password"));
    let secrets: Vec<&str> = passwords.chain([MARK]).collect();
    let told = told(serving.pid());
    let servers = told.iter().filter(|(_, words)| words.contains("postgres")).count();
    let functions = told.iter().filter(|(_, words)| words.contains("_HANDLER=")).count();
    assert!(servers > 1 && functions > 1, "{servers} and {functions} of {}", told.len());
    for (pid, words) in &told {
        let leaked = secrets.iter().any(|secret| words.contains(secret));
        assert!(!leaked, "process {pid} is told a secret: {}", words.replace('\0', " "));
    }

    // initdb ends before anybody can look: one that stands for it notes what it is told.
    let pid = postgres_pid(&shell).as_raw_nonzero();
    let real = fs::read_link(format!("/proc/{pid}/exe")).expect("a program");
    let real = real.parent().expect("a folder").to_path_buf();
    serving.signal(Signal::INT);
    assert_eq!(serving.ended().await, Some(0));
    let noting = Shell::new(|text| text).await;
    let folder = noting.folder.path().join("noting");
    fs::create_dir(&folder).expect("a folder");
    // Whoever the server runs as writes there.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("its own folder");
    for name in ["initdb", "postgres"] {
        let script = format!(
            "#!/bin/sh\n{{ echo \"$@\"; env; for word; do ls -l \"${{word#--pwfile=}}\"; done; }} >> {}/{name}.told 2>/dev/null\n\
             exec {}/{name} \"$@\"\n",
            folder.display(),
            real.display()
        );
        fs::write(folder.join(name), script).expect("it is written");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("it may run");
    }
    let mut run = marked(noting.command(&["run", "--orders", "40"]));
    run.env("DATADETOX_POSTGRES", &folder);
    let run = Shell::finish(run).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    let initdb = fs::read_to_string(folder.join("initdb.told")).expect("it was started");
    let password = initdb.lines().find(|line| line.starts_with('-') && line.ends_with("postgres.password"));
    assert!(password.is_some_and(|file| file.starts_with("-rw-------")), "{initdb}");
    for name in ["initdb", "postgres"] {
        let told = fs::read_to_string(folder.join(format!("{name}.told"))).expect("it was started");
        assert!(told.contains("-D") && told.contains("PATH="), "{told}");
        assert!(!told.contains(MARK) && !told.contains("DATADETOX_"), "{name} is told more than it needs: {told}");
    }
}

#[tokio::test]
async fn a_home_of_another_account_is_refused_and_nothing_in_it_is_believed() {
    let shell = Shell::new(|text| text).await;
    let link = shell.folder.path().join("link");
    let held;
    let (theirs, owner) = if geteuid().is_root() {
        let theirs = shell.folder.path().join("theirs");
        fs::create_dir_all(theirs.join("executions")).expect("a folder");
        std::os::unix::fs::symlink(shell.folder.path(), &link).expect("a link");
        chown(&theirs, Some(OTHER), None).expect("root may");
        // As if a stack ran there: whoever believes it speaks to their services, and fills their database.
        let running = serde_json::json!({
            "pid": std::process::id(), "serves": true, "endpoint": "http://127.0.0.1:9", "operator_secret": "s",
            "pipeline": "totesys", "state_machine": "s", "postgres_socket": "/nowhere",
        });
        fs::write(theirs.join("stack.json"), running.to_string()).expect("a file");
        held = fs::File::create(theirs.join("lock")).expect("a file");
        held.lock().expect("nobody holds it");
        std::os::unix::fs::lchown(&link, Some(OTHER), None).expect("root may");
        (theirs, OTHER)
    } else {
        // Root's, on every machine; and a link of ours to it is as bad.
        std::os::unix::fs::symlink("/usr", &link).expect("a link");
        (PathBuf::from("/usr"), 0)
    };
    for (home, is) in [(&theirs, "belongs to another account"), (&link, "another account")] {
        let home = home.to_str().expect("a path");
        for words in [&["run"][..], &["seed"], &["--trade"]] {
            let called = shell.call(&[words, &["--home", home]].concat()).await;
            assert_eq!(called.code, Some(1), "{called:?}");
            assert!(called.err.contains(is) && called.err.contains(&format!("(number {owner})")), "{called:?}");
            assert!(called.err.contains("name a folder of your own with --home"), "{called:?}");
        }
    }
}

#[tokio::test]
async fn a_home_that_is_too_deep_for_a_socket_has_it_in_a_temporary_folder_of_its_own() {
    let shell = Shell::new(|text| text).await;
    let (home, temporary) = (shell.folder.path().join("d".repeat(90)), shell.folder.path().join("t"));
    fs::create_dir(&temporary).expect("a folder");
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755)).expect("its own folder");
    let deep = |words: &[&str]| {
        let mut command = shell.command(words);
        command.arg("--home").arg(&home).env("TMPDIR", &temporary).env_remove("XDG_RUNTIME_DIR");
        command
    };
    let left = || fs::read_dir(&temporary).expect("a folder").map(|entry| entry.expect("it is there").path());
    let mut serving = Shell::started(deep(&["--orders", "40"])).await;
    let socket = left().next().expect("the folder of a socket");
    assert_eq!(mode(&socket), 0o700);
    let ask = format!(
        "PGSERVICEFILE='{}' psql -X service=source -c 'SELECT 1' && ls '{}'",
        home.join("pg_service.conf").display(),
        socket.display()
    );
    assert!(can(None, &ask, "").await, "{ask}");
    // What a stack leaves that is killed goes with the next one.
    serving.signal(Signal::KILL);
    serving.ended().await;
    let run = Shell::finish(deep(&["run"])).await;
    assert_eq!((run.code, run.out.as_str()), (Some(0), "up to date\n"), "{run:?}");
    assert_eq!(left().count(), 0);
}
