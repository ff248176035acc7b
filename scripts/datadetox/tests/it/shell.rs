//! A shell for tests: the program called as people call it, in a folder of its own.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::world::{folder_with_catalog, programs};

/// A folder in which the program is called.
pub(crate) struct Shell {
    pub(crate) folder: TempDir,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Called {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Shell {
    pub(crate) async fn new(edit: impl FnOnce(String) -> String) -> Self {
        programs().await;
        Self { folder: folder_with_catalog(edit) }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_datadetox"));
        // Started by hand: the functions are built.
        command.args(words).current_dir(self.folder.path()).env_remove("CARGO").stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub(crate) async fn call(&self, words: &[&str]) -> Called {
        Self::finish(self.command(words)).await
    }

    pub(crate) async fn finish(mut command: Command) -> Called {
        let output = command.output().await.expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        Called { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts the program without a command, and waits until its warehouse is loaded and its schedule runs.
    pub(crate) async fn serve(&self, words: &[&str]) -> Serving {
        Self::started(self.command(words)).await
    }

    /// The same for a command that starts it in another way.
    pub(crate) async fn started(mut command: Command) -> Serving {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut serving = Serving { child, lines };
        serving.until("running every").await;
        serving
    }

    /// What the running stack says of itself.
    pub(crate) fn stack(&self) -> Value {
        let text = std::fs::read(self.folder.path().join(".datadetox/stack.json")).expect("a stack runs");
        serde_json::from_slice(&text).expect("it is JSON")
    }
}

/// A running stack.
pub(crate) struct Serving {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Serving {
    pub(crate) async fn until(&mut self, words: &str) {
        let read = async {
            let mut seen = String::new();
            loop {
                match self.lines.next_line().await.expect("it prints text") {
                    Some(line) if line.contains(words) => return,
                    Some(line) => seen += &format!("{line}\n"),
                    None => panic!("it ended before it said {words:?}:\n{seen}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(120), read).await.expect("it says so in time");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it can be signalled");
    }

    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let status = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await.expect("it ends in time");
        status.expect("it can be waited for").code()
    }
}

/// The process id of a folder's Postgres.
pub(crate) fn postgres_pid(shell: &Shell) -> Pid {
    let text = std::fs::read_to_string(shell.folder.path().join(".datadetox/postgres/postmaster.pid"));
    let text = text.expect("Postgres runs in the home");
    let first = text.lines().next().and_then(|line| line.trim().parse().ok());
    first.and_then(Pid::from_raw).expect("a process id")
}

pub(crate) async fn until_gone(is_gone: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let gone = async {
        while !is_gone() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("no process stays behind");
}
