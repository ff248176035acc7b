//! Child processes that end with this one, however it ends.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::environment;

/// What a child is told of this process' environment: how it finds and loads programs, speaks and tells the time, and where
/// it may put a file for a while. Everything else may be a secret, a database's password or the keys of AWS, and is shown to
/// whoever looks at the child, which may belong to another account.
const TOLD: [&str; 7] = ["PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_MESSAGES", "TMPDIR", "TZ"];

/// How a child is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// At once.
    Kill,
    /// As a service is asked to stop.
    Terminate,
    /// Postgres' fast shutdown: transactions are rolled back, nothing waits.
    Interrupt,
}

impl Ending {
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Terminate => Signal::TERM,
            Self::Interrupt => Signal::INT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
        }
    }
}

/// A command whose process gets the signal when this process dies, even of SIGKILL, and none from the terminal: Ctrl-C is
/// for the stack, which then ends its children in order. Of the environment it is told what it needs to run.
///
/// Linux has the parent-death signal, and util-linux `setpriv` sets it without unsafe code. It belongs to the thread that
/// starts the process: one that lives as long as the program, as tokio's workers do. Elsewhere a crash leaves Postgres
/// behind, and the next start ends it.
pub(crate) fn command(program: &Path, with_parent: Ending) -> Command {
    let setpriv = find_on_path("setpriv").filter(|_| cfg!(target_os = "linux"));
    let mut command = match setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", with_parent.name(), "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.process_group(0).stdin(Stdio::null()).kill_on_drop(true);
    command.env_clear().envs(told());
    command
}

fn told() -> impl Iterator<Item = (&'static str, String)> {
    TOLD.into_iter().filter_map(|name| Some((name, environment::variable(name)?)))
}

/// The first executable of that name on the search path.
pub(crate) fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = environment::variable("PATH")?;
    let candidates = std::env::split_paths(OsStr::new(&path)).map(|folder| folder.join(name));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// Ends a child and waits for it; when it does not end in time it is killed.
pub(crate) async fn end(child: &mut Child, ending: Ending, patience: Duration) -> Result<()> {
    let Some(pid) = child.id() else { return Ok(()) }; // It has ended and was waited for.
    signal(pid, ending)?;
    if tokio::time::timeout(patience, child.wait()).await.is_err() {
        child.kill().await.context("cannot kill a child process")?;
    }
    Ok(())
}

/// Sends a signal; a process that is gone already is no error.
pub(crate) fn signal(pid: u32, ending: Ending) -> Result<()> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match kill_process(pid, ending.signal()) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context("cannot signal a child process"),
    }
}

/// Whether a process lives.
pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

/// The command line of a process, its words joined by spaces.
pub(crate) fn command_line(pid: u32) -> Option<String> {
    if let Ok(words) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&words).replace('\0', " "));
    }
    // Where there is no /proc.
    let mut ps = std::process::Command::new("ps");
    let output = ps.args(["-o", "command=", "-p", &pid.to_string()]).env_clear().envs(told()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
