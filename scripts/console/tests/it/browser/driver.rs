//! The process that drives browsers, and ends with the test.

use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

/// Says what installs what is missing.
pub(crate) const ADVICE: &str = "run scripts/setup --tests, which installs Chromium and chromedriver";

/// Starts the driver and waits until nobody holds its stdin any more: that is when the test has ended, or has been killed.
/// Then it kills the group, itself included. A signal to chromedriver alone, even a gentle one, leaves its browsers behind.
/// Without its own stdout, what reads that sees the driver end.
const KEEPER: &str = "chromedriver --port=0 & exec >&-; read -r _; kill -KILL 0";

/// chromedriver on a port of its own, with its folder.
#[derive(Debug)]
pub(crate) struct Driver {
    /// Where it listens on loopback.
    pub(crate) port: u16,
    keeper: Child,
    /// Kept open: see [`KEEPER`].
    alive: Option<ChildStdin>,
    /// Kept open: who speaks to nobody is killed.
    _stdout: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
}

impl Driver {
    /// Starts the first chromedriver of a search path, and waits until it listens.
    ///
    /// # Errors
    ///
    /// Nothing listens: what was said, and what installs it.
    pub(crate) fn start(search_path: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = std::fs::File::create(folder.path().join("said")).expect("a temporary file");
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER])
            // A browser reads no settings of whoever runs the tests, takes no proxy, and leaves nothing behind.
            .env_clear()
            .envs([("PATH", Path::new(search_path)), ("HOME", folder.path()), ("TMPDIR", folder.path())])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .expect("a shell starts");
        let mut stdout = BufReader::new(keeper.stdout.take().expect("it is piped")).lines();
        let mut heard = Vec::new();
        let port = loop {
            let Some(line) = stdout.next() else { break None };
            let line = line.expect("it speaks text");
            let port = line.strip_prefix("ChromeDriver was started successfully on port ");
            if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                break Some(port);
            }
            heard.push(line);
        };
        let driver =
            Self { port: port.unwrap_or_default(), alive: keeper.stdin.take(), keeper, _stdout: stdout, folder };
        if port.is_some() {
            return Ok(driver);
        }
        Err(format!("no chromedriver: {ADVICE}\n{}{}", heard.join("\n"), driver.said()))
    }

    /// What it has complained of.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.alive.take());
        // Its folder goes next, which nothing may write to any more.
        let _ended = self.keeper.wait();
    }
}
