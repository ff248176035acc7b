//! Runs, as an operator starts, follows, stops and redrives them: by the SDK.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_sdk_sfn::Client;
use serde_json::Value;
use tokio::time::Instant;

use crate::site::Site;
use crate::sql;

/// Time between two looks at a run.
const LOOK: Duration = Duration::from_millis(40);
/// How long a run may take, whatever strikes it.
const LIMIT: Duration = Duration::from_secs(240);

/// A note must not save what a server is about to lose. A note that is kept has all that was committed before it.
const UNFLUSHED: &str = "SET synchronous_commit = off";

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    pub(crate) output: Value,
    /// Error and cause, where it failed.
    pub(crate) failure: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Loaded,
    UpToDate,
    AlreadyRunning,
    Superseded,
    Failed,
    /// The disk was full when it was to be remembered, and the stack ended after it.
    Forgotten,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Loaded => "runs loaded",
            Self::UpToDate => "runs up to date",
            Self::AlreadyRunning => "runs beside an older one",
            Self::Superseded => "runs superseded",
            Self::Failed => "runs failed",
            Self::Forgotten => "runs forgotten",
        }
    }
}

impl Ended {
    /// Whether there was nothing to write.
    pub(crate) fn is_quiet(&self) -> bool {
        let targets = self.output["load"]["targets"].as_object().into_iter().flatten();
        let written = |counts: &Value| ["added", "updated", "deferred", "rejected"].iter().any(|of| counts[*of] != 0);
        match self.outcome {
            Outcome::UpToDate => true,
            Outcome::Loaded => !targets.into_iter().any(|(_, counts)| written(counts)),
            _ => false,
        }
    }
}

/// Makes names differ that are given in one millisecond.
static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Site {
    async fn orchestrator(&self) -> Result<(Client, String)> {
        let running = self.place().running.context("no stack stands")?;
        let aws = local::sdk_config(&running.endpoint, local::OPERATOR, &running.operator_secret).await;
        Ok((Client::new(&aws), running.state_machine))
    }

    /// Tries until a stack stands and answers.
    async fn persist<T>(&self, work: impl AsyncFn(Client, String) -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let tried = match self.orchestrator().await {
                Ok((client, machine)) => work(client, machine).await,
                Err(error) => Err(error),
            };
            match tried {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
                tried => return tried,
            }
        }
    }

    /// Starts a run and answers its name.
    pub(crate) async fn start_run(&self, input: &Value) -> Result<String> {
        let name = format!("{}-{}", local::run_name(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let began =
            format!("{UNFLUSHED}; INSERT INTO journal.run (batch, began) VALUES ('{name}', pg_current_snapshot())");
        // Nothing is insisted on where it cannot be noted.
        let _ = sql::once(&self.place().application, &began).await;
        self.persist(async |client, machine| {
            let request = client.start_execution().state_machine_arn(machine).name(&name).input(input.to_string());
            match request.send().await {
                Ok(_) => Ok(()),
                // The answer of an earlier try was lost.
                Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_already_exists()) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
        .await
        .context("cannot start a run")?;
        self.tally.one("runs");
        self.steps.note(&format!("run {name} starts: {input}"));
        Ok(name)
    }

    fn execution(machine: &str, name: &str) -> String {
        format!("{}:{name}", machine.replacen(":stateMachine:", ":execution:", 1))
    }

    /// Waits until a run no longer runs, whatever happens to the stack meanwhile.
    pub(crate) async fn end_of_run(&self, name: &str) -> Result<Ended> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(ended) = self.look(name).await? {
                self.steps.note(&format!("run {name}: {:?} {}", ended.outcome, ended.failure));
                self.tally.one(ended.outcome.name());
                if matches!(ended.outcome, Outcome::Loaded | Outcome::UpToDate) {
                    let noted = format!(
                        "{UNFLUSHED}; UPDATE journal.run SET ended = pg_current_snapshot() WHERE batch = '{name}'"
                    );
                    let _ = sql::once(&self.place().application, &noted).await;
                }
                return Ok(ended);
            }
            if Instant::now() > deadline {
                bail!("the run {name} does not end");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&self, name: &str) -> Result<Option<Ended>> {
        let described = self
            .persist(async |client, machine| {
                let answer = client.describe_execution().execution_arn(Self::execution(&machine, name)).send().await;
                match answer {
                    Ok(answer) => Ok(Some(answer)),
                    Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_does_not_exist()) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            })
            .await
            .context("cannot look at a run")?;
        let ended = |outcome, output, failure| Ok(Some(Ended { name: name.to_owned(), outcome, output, failure }));
        let Some(described) = described else { return ended(Outcome::Forgotten, Value::Null, String::new()) };
        match described.status().as_str() {
            "RUNNING" => Ok(None),
            "SUCCEEDED" => {
                let output: Value = serde_json::from_str(described.output().unwrap_or("null"))?;
                let load = output["load"]["status"].as_str().unwrap_or_default();
                let plan = output["plan"]["status"].as_str().unwrap_or_default();
                let outcome = match (load, plan) {
                    ("loaded" | "already_loaded", _) => Outcome::Loaded,
                    ("superseded", _) => Outcome::Superseded,
                    (_, "up_to_date") => Outcome::UpToDate,
                    (_, "already_running") => Outcome::AlreadyRunning,
                    _ => bail!(
                        "the run {name} succeeded and says neither what was planned nor what was loaded: {output}"
                    ),
                };
                ended(outcome, output, String::new())
            }
            status => {
                let failure = format!(
                    "{status} {}: {}",
                    described.error().unwrap_or_default(),
                    described.cause().unwrap_or_default()
                );
                ended(Outcome::Failed, Value::Null, failure)
            }
        }
    }

    /// Stops a run; it may have ended.
    pub(crate) async fn stop_run(&self, name: &str) -> Result<()> {
        let (client, machine) = self.orchestrator().await?;
        client.stop_execution().execution_arn(Self::execution(&machine, name)).send().await?;
        Ok(())
    }

    /// Redrives a run; it may not have to be.
    pub(crate) async fn redrive(&self, name: &str) -> Result<()> {
        let (client, machine) = self.orchestrator().await?;
        client.redrive_execution().execution_arn(Self::execution(&machine, name)).send().await?;
        self.steps.note(&format!("run {name} is redriven"));
        Ok(())
    }

    /// Runs once, with nobody in between.
    pub(crate) async fn run(&self, input: &Value) -> Result<Ended> {
        let name = self.start_run(input).await?;
        self.end_of_run(&name).await
    }
}
