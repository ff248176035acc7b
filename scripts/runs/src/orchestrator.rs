//! The operator's side of Step Functions, of the local stack or of AWS.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use aws_config::SdkConfig;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus, HistoryEvent};
use catalog::deployment::Verb;
use catalog::message::RunInput;
use local::{OPERATOR, Running, Stack, run_name, sdk_config};
use serde_json::json;

/// One page of a list of runs.
#[derive(Debug)]
pub struct Page {
    /// The runs.
    pub runs: Vec<ExecutionListItem>,
    /// What the page after it is asked for with; `None` at the end.
    pub next: Option<String>,
}

/// A state machine and how to speak to it.
pub struct Orchestrator {
    client: Client,
    machine: String,
    /// Whether every question costs a request over the network.
    remote: bool,
    /// Whether it is there for others too, until somebody stops it.
    serves: bool,
}

impl Orchestrator {
    /// That of AWS, by the name of its state machine.
    ///
    /// # Errors
    /// When there is no such machine, or Step Functions cannot be asked.
    pub async fn in_aws(config: &SdkConfig, machine: &str) -> Result<Self> {
        let client = Client::new(config);
        let machine = find_machine(&client, machine).await?;
        Ok(Self { client, machine, remote: true, serves: true })
    }

    /// That of a stack that runs on this machine, in another process.
    pub async fn beside(running: &Running) -> Self {
        let config = sdk_config(&running.endpoint, OPERATOR, &running.operator_secret).await;
        Self {
            client: Client::new(&config),
            machine: running.state_machine.clone(),
            remote: false,
            serves: running.serves,
        }
    }

    /// That of a stack of this process.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self {
            client: Client::new(stack.aws()),
            machine: stack.machine.arn.clone(),
            remote: false,
            serves: stack.serves,
        }
    }

    /// How another run is started while this one is spoken to, and after.
    #[must_use]
    pub fn another_run(&self) -> Verb {
        if self.serves { Verb::Start } else { Verb::Run }
    }

    /// The ARN of a run by its name.
    #[must_use]
    pub fn arn(&self, run: &str) -> String {
        if run.starts_with("arn:") {
            return run.to_owned();
        }
        format!("{}:{run}", self.machine.replacen(":stateMachine:", ":execution:", 1))
    }

    /// The ARN of the run of that name, or of the newest one.
    ///
    /// # Errors
    /// When Step Functions cannot be asked, or there is none.
    pub async fn arn_or_newest(&self, run: Option<&str>) -> Result<String> {
        match run {
            Some(run) => Ok(self.arn(run)),
            None => Ok(self.newest(1).await?.pop().context("there is no run yet")?.execution_arn),
        }
    }

    /// Starts a run and answers its ARN.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn start(&self, input: RunInput) -> Result<String> {
        self.start_with(&json!(input).to_string()).await
    }

    /// Time between two questions about a run: here they cost nothing, in AWS a request.
    #[must_use]
    pub fn pace(&self) -> Duration {
        Duration::from_millis(if self.remote { 1_000 } else { 100 })
    }

    /// Lets a failed run go on; comes back once it does. Until then it is described as it ended.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn redrive(&self, arn: &str) -> Result<()> {
        let before = self.describe(arn).await?.redrive_count;
        // The token makes a repeated request, after a lost answer, the same redrive.
        let request = self.client.redrive_execution().execution_arn(arn).client_token(run_name());
        request.send().await.map_err(explain)?;
        let mut ticks = tokio::time::interval(self.pace());
        while self.describe(arn).await?.redrive_count == before {
            ticks.tick().await;
        }
        Ok(())
    }

    /// Stops a run; `cause` goes into its history.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn stop(&self, arn: &str, cause: Option<String>) -> Result<()> {
        let request = self.client.stop_execution().execution_arn(arn).set_cause(cause);
        request.send().await.map(|_| ()).map_err(explain)
    }

    /// What is known of a run.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn describe(&self, arn: &str) -> Result<DescribeExecutionOutput> {
        self.client.describe_execution().execution_arn(arn).send().await.map_err(explain)
    }

    /// One page of the runs, the newest first, at most `size` and a thousand; `token` is that of the page before it.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn page(&self, status: Option<ExecutionStatus>, size: i32, token: Option<String>) -> Result<Page> {
        let request = self.client.list_executions().state_machine_arn(&self.machine).set_status_filter(status);
        let page = request.max_results(size.clamp(1, 1_000)).set_next_token(token).send().await.map_err(explain)?;
        Ok(Page { runs: page.executions, next: page.next_token })
    }

    /// The number of a run's newest event.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn last_event(&self, arn: &str) -> Result<i64> {
        let request = self.client.get_execution_history().execution_arn(arn).reverse_order(true).max_results(1);
        let events = request.include_execution_data(false).send().await.map_err(explain)?.events;
        Ok(events.first().map_or(0, |event| event.id))
    }

    /// The definition that a run was started with; where that is not known, the machine's own.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn definition(&self, arn: &str) -> Result<String> {
        let asked = self.client.describe_state_machine_for_execution().execution_arn(arn).send().await;
        if let Ok(machine) = asked {
            return Ok(machine.definition);
        }
        // Not every emulator keeps it.
        let machine = self.client.describe_state_machine().state_machine_arn(&self.machine).send().await;
        machine.map(|machine| machine.definition).map_err(explain)
    }

    /// Starts a run with that input, as JSON, and answers its ARN.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn start_with(&self, input: &str) -> Result<String> {
        let request = self.client.start_execution().state_machine_arn(&self.machine).name(run_name());
        Ok(request.input(input).send().await.map_err(explain)?.execution_arn)
    }

    /// All events of a run, the first first.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn history(&self, arn: &str) -> Result<Vec<HistoryEvent>> {
        let mut pages =
            self.client.get_execution_history().execution_arn(arn).max_results(1_000).into_paginator().send();
        let mut events = Vec::new();
        while let Some(page) = pages.next().await {
            events.extend(page.map_err(explain)?.events);
        }
        Ok(events)
    }

    /// The newest runs, at most `limit`.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn newest(&self, limit: i32) -> Result<Vec<ExecutionListItem>> {
        self.list(None, limit).await
    }

    /// The newest runs that succeeded, at most `limit`.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn newest_that_succeeded(&self, limit: i32) -> Result<Vec<ExecutionListItem>> {
        self.list(Some(ExecutionStatus::Succeeded), limit).await
    }

    /// The runs that are at work.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub async fn at_work(&self) -> Result<Vec<ExecutionListItem>> {
        self.list(Some(ExecutionStatus::Running), i32::MAX).await
    }

    async fn list(&self, status: Option<ExecutionStatus>, limit: i32) -> Result<Vec<ExecutionListItem>> {
        let mut runs = Vec::new();
        let request = self.client.list_executions().state_machine_arn(&self.machine).set_status_filter(status);
        let mut pages = request.max_results(limit.clamp(1, 1_000)).into_paginator().send();
        let wanted = usize::try_from(limit).unwrap_or_default();
        while runs.len() < wanted
            && let Some(page) = pages.next().await
        {
            runs.extend(page.map_err(explain)?.executions);
        }
        runs.truncate(wanted);
        Ok(runs)
    }
}

async fn find_machine(client: &Client, name: &str) -> Result<String> {
    let mut pages = client.list_state_machines().into_paginator().send();
    while let Some(page) = pages.next().await {
        let machines = page.map_err(explain)?.state_machines;
        if let Some(machine) = machines.into_iter().find(|machine| machine.name == name) {
            return Ok(machine.state_machine_arn);
        }
    }
    bail!("there is no state machine {name} in this account and region")
}

/// An SDK error in its service's own words.
fn explain<E, R>(error: SdkError<E, R>) -> anyhow::Error
where
    SdkError<E, R>: ProvideErrorMetadata,
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow!("Step Functions answers {code}: {message}"),
        _ => anyhow::Error::new(error).context("cannot speak to Step Functions"),
    }
}
