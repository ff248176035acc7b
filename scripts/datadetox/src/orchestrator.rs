//! The operator's side of Step Functions, of the local stack or of AWS: where it is, and how to speak to it.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus, HistoryEvent};
use catalog::deployment::Verb;
use catalog::message::RunInput;
use catalog::{Deployment, EnvironmentName};
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches};
use local::{OPERATOR, Running, Stack, run_name, sdk_config};
use serde_json::json;

use crate::catalogue::{self, Project};

/// Where the environments of a clone stand.
const ENVIRONMENTS: &str = "cdktf/environments.toml";

/// Which Step Functions.
#[derive(Clone, Debug)]
pub(crate) enum Where {
    /// That of the stack of the home.
    Here,
    /// That of AWS.
    Aws { environment: EnvironmentName, profile: Option<String>, region: Option<String> },
}

/// The same as it is said.
#[derive(Args, Debug)]
struct Said {
    /// Speak to AWS instead of the stack that runs here; needs --environment.
    #[arg(long)]
    aws: bool,
    /// The environment that the pipeline is deployed to: a section of cdktf/environments.toml.
    #[arg(long, value_name = "NAME")]
    environment: Option<EnvironmentName>,
    /// The AWS profile.
    #[arg(long, requires = "aws", value_name = "NAME")]
    profile: Option<String>,
    /// The AWS region.
    #[arg(long, requires = "aws", value_name = "NAME")]
    region: Option<String>,
}

impl Args for Where {
    fn augment_args(command: clap::Command) -> clap::Command {
        Said::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Said::augment_args_for_update(command)
    }
}

impl FromArgMatches for Where {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Said { aws, environment, profile, region } = Said::from_arg_matches(matches)?;
        let refuse = |hint: String| clap::Error::raw(ErrorKind::MissingRequiredArgument, format!("{hint}\n"));
        match (aws, environment) {
            (false, None) => Ok(Self::Here),
            (true, Some(environment)) => Ok(Self::Aws { environment, profile, region }),
            (false, Some(environment)) => {
                Err(refuse(format!("--environment {environment} is in AWS: write --aws --environment {environment}")))
            }
            (true, None) => Err(refuse(format!("--aws needs --environment NAME{}", known_environments()))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `: dev or prod, says cdktf/environments.toml`; nothing where that file is not.
fn known_environments() -> String {
    let text = std::fs::read_to_string(ENVIRONMENTS).unwrap_or_default();
    let sections = text.lines().filter_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']'));
    let names: Vec<&str> = sections.filter(|name| name.parse::<EnvironmentName>().is_ok()).collect();
    if names.is_empty() { String::new() } else { format!(": {}, says {ENVIRONMENTS}", names.join(" or ")) }
}

impl Where {
    /// The pipeline there, and its names.
    pub(crate) fn deployment(&self, project: &Project) -> Result<Deployment> {
        match self {
            Self::Here => project.on_laptop(),
            Self::Aws { environment, region, .. } => {
                Ok(Deployment::in_aws(catalogue::read(&project.catalog)?, environment.clone(), region.clone()))
            }
        }
    }
}

/// A state machine and how to speak to it.
pub(crate) struct Orchestrator {
    client: Client,
    machine: String,
    /// Whether every question costs a request over the network.
    remote: bool,
    /// Whether it is there for others too, until somebody stops it.
    serves: bool,
}

impl Orchestrator {
    /// That of AWS, or of the stack that runs here; `None` where none runs.
    pub(crate) async fn find(project: &Project, at: &Where) -> Result<Option<Self>> {
        let Where::Aws { profile, region, .. } = at else {
            let Some(running) = Running::find(&project.home) else { return Ok(None) };
            let config = sdk_config(&running.endpoint, OPERATOR, &running.operator_secret).await;
            return Ok(Some(Self {
                client: Client::new(&config),
                machine: running.state_machine,
                remote: false,
                serves: running.serves,
            }));
        };
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(host::http_client());
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.clone()));
        }
        let client = Client::new(&loader.load().await);
        let machine = find_machine(&client, &at.deployment(project)?.state_machine()).await?;
        Ok(Some(Self { client, machine, remote: true, serves: true }))
    }

    /// That of a stack of this process.
    pub(crate) fn of(stack: &Stack) -> Self {
        Self {
            client: Client::new(stack.aws()),
            machine: stack.machine.arn.clone(),
            remote: false,
            serves: stack.serves,
        }
    }

    /// How another run is started while this one is spoken to, and after.
    pub(crate) fn another_run(&self) -> Verb {
        if self.serves { Verb::Start } else { Verb::Run }
    }

    /// The ARN of a run by its name.
    pub(crate) fn arn(&self, run: &str) -> String {
        if run.starts_with("arn:") {
            return run.to_owned();
        }
        format!("{}:{run}", self.machine.replacen(":stateMachine:", ":execution:", 1))
    }

    /// The ARN of the run of that name, or of the newest one.
    pub(crate) async fn arn_or_newest(&self, run: Option<&str>) -> Result<String> {
        match run {
            Some(run) => Ok(self.arn(run)),
            None => Ok(self.newest(1).await?.pop().context("there is no run yet")?.execution_arn),
        }
    }

    /// Starts a run and answers its ARN.
    pub(crate) async fn start(&self, input: RunInput) -> Result<String> {
        let input = json!(input);
        let request = self.client.start_execution().state_machine_arn(&self.machine).name(run_name());
        Ok(request.input(input.to_string()).send().await.map_err(explain)?.execution_arn)
    }

    /// Time between two questions about a run: here they cost nothing, in AWS a request.
    pub(crate) fn pace(&self) -> Duration {
        Duration::from_millis(if self.remote { 1_000 } else { 100 })
    }

    /// Lets a failed run go on; comes back once it does. Until then it is described as it ended.
    pub(crate) async fn redrive(&self, arn: &str) -> Result<()> {
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
    pub(crate) async fn stop(&self, arn: &str, cause: Option<String>) -> Result<()> {
        let request = self.client.stop_execution().execution_arn(arn).set_cause(cause);
        request.send().await.map(|_| ()).map_err(explain)
    }

    pub(crate) async fn describe(&self, arn: &str) -> Result<DescribeExecutionOutput> {
        self.client.describe_execution().execution_arn(arn).send().await.map_err(explain)
    }

    pub(crate) async fn history(&self, arn: &str) -> Result<Vec<HistoryEvent>> {
        let mut pages =
            self.client.get_execution_history().execution_arn(arn).max_results(1_000).into_paginator().send();
        let mut events = Vec::new();
        while let Some(page) = pages.next().await {
            events.extend(page.map_err(explain)?.events);
        }
        Ok(events)
    }

    /// The newest runs, at most `limit`.
    pub(crate) async fn newest(&self, limit: i32) -> Result<Vec<ExecutionListItem>> {
        self.list(None, limit).await
    }

    /// The newest runs that succeeded, at most `limit`.
    pub(crate) async fn newest_that_succeeded(&self, limit: i32) -> Result<Vec<ExecutionListItem>> {
        self.list(Some(ExecutionStatus::Succeeded), limit).await
    }

    /// The runs that are at work.
    pub(crate) async fn at_work(&self) -> Result<Vec<ExecutionListItem>> {
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
