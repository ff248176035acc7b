//! The folder of a cluster and its processes: made, started, and ended where an earlier stack left them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};

use super::{SUPERUSER, socket};
use crate::account::{Account, ours};
use crate::home::Home;
use crate::process::{self, Ending};

/// Clusters of root's whose homes lie where the server's account cannot come.
const ELSEWHERE: &str = "/var/lib/datadetox";

/// In the home, or where the server's account can reach it: root's own folders are closed to others.
pub(super) fn data_folder(home: &Home, account: Option<Account>) -> Result<PathBuf> {
    let inside = home.join("postgres");
    let Some(account) = account else { return Ok(inside) };
    if account.can_reach(home.path()) {
        home.let_pass(account)?;
        return Ok(inside);
    }
    let elsewhere = Path::new(ELSEWHERE);
    let cannot = || format!("cannot keep the databases in {ELSEWHERE}");
    DirBuilder::new().recursive(true).mode(0o711).create(elsewhere).with_context(cannot)?;
    if fs::symlink_metadata(elsewhere).with_context(cannot)?.uid() != ours() {
        bail!("{}: the folder belongs to another account", cannot());
    }
    // Whoever made it, with whatever umask: the server passes through, and nobody else puts anything there.
    fs::set_permissions(elsewhere, fs::Permissions::from_mode(0o711)).with_context(cannot)?;
    let digest = catalog::digest::hex(home.path().as_os_str().as_encoded_bytes());
    Ok(elsewhere.join(&digest[..16]))
}

/// Makes the cluster beside its place and moves it there, so that a half-made one is never started.
pub(super) async fn create(binaries: &Path, data: &Path, account: Option<Account>, superuser: &str) -> Result<()> {
    let fresh = data.with_extension("new");
    let secret = data.with_extension("password");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).with_context(|| format!("cannot remove {}", fresh.display()))?;
    }
    DirBuilder::new().mode(0o700).create(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    // One that is left of a start that was killed.
    let _ = fs::remove_file(&secret);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&secret);
    written.and_then(|mut file| file.write_all(superuser.as_bytes())).context("cannot tell initdb a password")?;
    if let Some(account) = account {
        account.give(&fresh)?;
        account.give(&secret)?;
    }
    let mut initdb = process::command(&binaries.join("initdb"), Ending::Kill);
    initdb.arg("-D").arg(&fresh).arg(format!("--pwfile={}", secret.display()));
    // The superuser too has a password: the functions run as the stack's account, and none of them may come in as it.
    initdb.args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]);
    let output = run_as(initdb, account).output().await.context("cannot run initdb");
    fs::remove_file(&secret)?;
    let output = output?;
    if !output.status.success() {
        bail!("initdb failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&fresh, data).with_context(|| format!("cannot move the new cluster to {}", data.display()))
}

fn run_as(mut command: Command, account: Option<Account>) -> Command {
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    // The folder this program was started in may be closed to the server's account.
    command.current_dir("/");
    command
}

/// Ends the server that an earlier stack left behind when it crashed: our lock says that no stack uses it.
pub(super) async fn end_leftover(data: &Path) -> Result<()> {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return Ok(()) };
    // Process, data, start, port, folder of the socket.
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let Some(pid) = lines.first().and_then(|line| line.parse().ok()) else { return Ok(()) };
    // After a restart of the machine the number may be another process'.
    if process::command_line(pid).is_some_and(|line| line.contains(&*data.to_string_lossy())) {
        process::signal(pid, Ending::Interrupt)?;
        wait_until_gone(pid).await?;
    }
    if let Some(folder) = lines.get(4) {
        socket::discard(Path::new(folder));
    }
    Ok(())
}

async fn wait_until_gone(pid: u32) -> Result<()> {
    for _ in 0..1_000 {
        if !process::is_alive(pid) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the Postgres of an earlier run (process {pid}) does not end")
}

/// Starts the server on its socket alone. Whoever may connect to it by the folder has still to know a role's password.
pub(super) fn spawn(
    binaries: &Path,
    data: &Path,
    socket: &Path,
    account: Option<Account>,
    log: &Path,
) -> Result<Child> {
    let mut server = process::command(&binaries.join("postgres"), Ending::Interrupt);
    server.arg("-D").arg(data).arg("-p").arg(socket::PORT.to_string());
    for setting in [
        "listen_addresses=",
        // A list, in which names are quoted.
        &format!("unix_socket_directories=\"{}\"", socket.display()),
        "unix_socket_permissions=0700",
        "max_connections=200",
        // A first load writes more than the default keeps between two checkpoints.
        "max_wal_size=4GB",
        "log_min_messages=warning",
    ] {
        server.arg("-c").arg(setting);
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    server.stdout(Stdio::from(file.try_clone()?)).stderr(Stdio::from(file));
    run_as(server, account).spawn().context("cannot start Postgres")
}

/// The end of the server's log.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
