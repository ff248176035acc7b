//! The local stack in a process of its own, so that it can be killed as a machine kills one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use catalog::deployment::variable;
use catalog::{Catalog, Deployment};
use local::{Config, Home, Running, Stack};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

/// In the seed's folder.
const CATALOGUE: &str = "pipeline.toml";
const HOME: &str = "home";
const PROGRAMS: &str = "programs";
const DEPLOYED: &str = "deployed";
const DATABASES: &str = "databases.json";
const LOG: &str = "stack.log";

/// How long a stack may take to stand, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both secrets, in a file and not on a command line.
#[derive(Serialize, Deserialize)]
struct Databases {
    source: String,
    warehouse: String,
}

/// The process' side: starts the stack of a seed's folder and serves until the process is ended.
///
/// # Errors
/// When it does not start.
pub async fn serve(folder: &Path) -> Result<()> {
    let text = std::fs::read_to_string(folder.join(CATALOGUE)).context("cannot read the catalogue")?;
    let deployment = Deployment::on_laptop(Arc::new(Catalog::parse(CATALOGUE, &text)?));
    let databases = std::fs::read(folder.join(DATABASES)).context("cannot read which databases there are")?;
    let databases: Databases = serde_json::from_slice(&databases)?;
    let config = Config {
        home: Home::take_within(&folder.join(HOME), PATIENCE).await?,
        serves: true,
        definition: definition::on_laptop(&deployment, local::topic_arn(&deployment)),
        deployment,
        catalog_file: folder.join(CATALOGUE),
        programs: Some(folder.join(PROGRAMS)),
        source: Some(databases.source),
        warehouse: Some(databases.warehouse),
        record_calls: None,
    };
    let stack = Box::pin(Stack::start(config)).await?;
    let mut asked = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    asked.recv().await;
    stack.stop().await
}

/// The model's side: the process, and where it listens.
pub(crate) struct StackProcess {
    child: Child,
    pub(crate) running: Running,
}

/// Which program to start, and over what.
pub(crate) struct Launch {
    /// This crate's own program.
    pub(crate) model: PathBuf,
    /// The seed's folder.
    pub(crate) folder: PathBuf,
}

impl Launch {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn catalogue(&self) -> PathBuf {
        self.path(CATALOGUE)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path(HOME)
    }

    /// The functions' program, told that the services are where the proxy listens; and, where a deployment reached it
    /// before the others, which catalogue is the new one.
    pub(crate) fn put_programs(&self, functions: &Path, proxy: &str) -> Result<()> {
        let (programs, deployed) = (self.path(PROGRAMS), self.path(DEPLOYED));
        std::fs::create_dir_all(&programs)?;
        std::fs::create_dir_all(&deployed)?;
        let program = programs.join("functions");
        let script = format!(
            "#!/bin/sh\nnew='{}'/$_HANDLER\nif [ -e \"$new\" ]; then export {}=\"$new\"; fi\nAWS_ENDPOINT_URL={proxy} exec '{}' \"$@\"\n",
            deployed.display(),
            variable::CATALOG,
            functions.display()
        );
        std::fs::write(&program, script)?;
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, runs).context("cannot make the functions' program run")
    }

    /// One program has a new catalogue from its next start on; `None` deploys the others too, once the stack starts anew.
    pub(crate) fn deploy(&self, catalogue: &str, handler: Option<&str>) -> Result<()> {
        match handler {
            Some(handler) => std::fs::write(self.path(DEPLOYED).join(handler), catalogue)?,
            None => std::fs::write(self.catalogue(), catalogue)?,
        }
        Ok(())
    }

    /// Starts the process and waits until it stands.
    pub(crate) async fn start(&self, source: String, warehouse: String) -> Result<StackProcess> {
        std::fs::write(self.path(DATABASES), serde_json::to_vec(&Databases { source, warehouse })?)?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path(LOG))?;
        // What an earlier one told of itself is true no longer.
        let _ = std::fs::remove_file(self.home().join("stack.json"));
        // A file that may not grow is an error to the stack, as a full disk is, and not its end.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" stack \"$1\""]).arg(&self.model).arg(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        command.env_remove("CARGO").kill_on_drop(true);
        let mut child = command.spawn().context("cannot start the stack's program")?;
        let stands = async {
            loop {
                if let Some(status) = child.try_wait()? {
                    bail!("the stack ended at its start ({status}):\n{}", self.end_of_log());
                }
                if let Some(running) = Running::find(&self.home()).filter(|running| Some(running.pid) == child.id()) {
                    return Ok(running);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let stands = tokio::time::timeout(PATIENCE, stands).await;
        let running = stands.map_err(|_| anyhow::anyhow!("the stack does not stand:\n{}", self.end_of_log()))??;
        Ok(StackProcess { child, running })
    }

    fn end_of_log(&self) -> String {
        let text = std::fs::read_to_string(self.path(LOG)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl StackProcess {
    pub(crate) fn pid(&self) -> Option<rustix::process::Pid> {
        crate::fault::pid(self.child.id()?)
    }

    /// As a machine ends it.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("cannot kill the stack")
    }

    /// As a person ends it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.pid() {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => bail!("the stack does not end when it is asked to"),
        }
    }
}
