//! `start`, `runs`, `show`, `redrive`, `stop`: the operator's side of Step Functions, of the local stack or of AWS.

use anyhow::{Context as _, Result, anyhow, bail};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::types::{ExecutionListItem, HistoryEvent};
use catalog::{Deployment, EnvironmentName};
use clap::Args;
use comfy_table::{Table, presets};
use local::{OPERATOR, Running, run_name, sdk_config};
use serde_json::json;

use super::view::{View, duration, instant};
use super::{Common, Follow, Outcome, report, watch};
use crate::{catalogue, say};

/// Which Step Functions.
#[derive(Args, Clone, Debug)]
pub(super) struct Where {
    /// Speak to AWS instead of the stack that runs here.
    #[arg(long, requires = "environment")]
    aws: bool,
    /// The environment that the pipeline is deployed to: a section of cdktf/environments.toml.
    #[arg(long, requires = "aws", value_name = "NAME")]
    environment: Option<EnvironmentName>,
    /// The AWS profile.
    #[arg(long, requires = "aws", value_name = "NAME")]
    profile: Option<String>,
    /// The AWS region.
    #[arg(long, requires = "aws", value_name = "NAME")]
    region: Option<String>,
}

impl Where {
    /// The stack that runs here.
    pub(super) fn here() -> Self {
        Self { aws: false, environment: None, profile: None, region: None }
    }

    /// The pipeline there, and its names.
    pub(super) fn deployment(&self, common: &Common) -> Result<Deployment> {
        let catalog = catalogue::read(&common.catalog)?;
        Ok(match &self.environment {
            Some(environment) => Deployment::in_aws(catalog, environment.clone(), self.region.clone()),
            None => catalogue::on_laptop(catalog, &common.home),
        })
    }
}

/// A state machine and how to speak to it.
pub(super) struct Orchestrator {
    pub(super) client: Client,
    pub(super) machine: String,
    /// Whether every question costs a request over the network.
    pub(super) remote: bool,
}

impl Orchestrator {
    pub(super) async fn find(common: &Common, at: &Where) -> Result<Self> {
        if !at.aws {
            let running = Running::find(&common.home).with_context(|| {
                let home = common.home.display();
                format!("no stack runs in {home}; start one with `datadetox`, or name AWS with --aws")
            })?;
            let config = sdk_config(&running.endpoint, OPERATOR, &running.operator_secret).await;
            return Ok(Self { client: Client::new(&config), machine: running.state_machine, remote: false });
        }
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(host::http_client());
        if let Some(profile) = &at.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &at.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let client = Client::new(&loader.load().await);
        let machine = find_machine(&client, &at.deployment(common)?.state_machine()).await?;
        Ok(Self { client, machine, remote: true })
    }

    /// The ARN of a run by its name.
    pub(super) fn arn(&self, run: &str) -> String {
        if run.starts_with("arn:") {
            return run.to_owned();
        }
        format!("{}:{run}", self.machine.replacen(":stateMachine:", ":execution:", 1))
    }

    pub(super) async fn describe(
        &self,
        arn: &str,
    ) -> Result<aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput> {
        self.client.describe_execution().execution_arn(arn).send().await.map_err(explain)
    }

    pub(super) async fn history(&self, arn: &str) -> Result<Vec<HistoryEvent>> {
        let mut pages =
            self.client.get_execution_history().execution_arn(arn).max_results(1_000).into_paginator().send();
        let mut events = Vec::new();
        while let Some(page) = pages.next().await {
            events.extend(page.map_err(explain)?.events);
        }
        Ok(events)
    }

    pub(super) async fn newest(&self, limit: i32) -> Result<Vec<ExecutionListItem>> {
        let mut runs = Vec::new();
        let mut pages = self
            .client
            .list_executions()
            .state_machine_arn(&self.machine)
            .max_results(limit.clamp(1, 1_000))
            .into_paginator()
            .send();
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
pub(super) fn explain<E, R>(error: SdkError<E, R>) -> anyhow::Error
where
    SdkError<E, R>: ProvideErrorMetadata,
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow!("Step Functions answers {code}: {message}"),
        _ => anyhow!("cannot speak to Step Functions: {}", DisplayErrorContext(&error)),
    }
}

pub(super) async fn start(common: &Common, at: &Where, full: bool, follow: Follow) -> Result<Outcome> {
    let orchestrator = Orchestrator::find(common, at).await?;
    let input = if full { json!({ "full": true }) } else { json!({}) };
    let request = orchestrator.client.start_execution().state_machine_arn(&orchestrator.machine);
    let started = request.name(run_name()).input(input.to_string()).send().await.map_err(explain)?;
    finish(&orchestrator, &started.execution_arn, follow).await
}

pub(super) async fn redrive(common: &Common, at: &Where, run: &str, follow: Follow) -> Result<Outcome> {
    let orchestrator = Orchestrator::find(common, at).await?;
    let arn = orchestrator.arn(run);
    // The token makes a repeated request, after a lost answer, the same redrive.
    let request = orchestrator.client.redrive_execution().execution_arn(&arn).client_token(run_name());
    request.send().await.map_err(explain)?;
    finish(&orchestrator, &arn, follow).await
}

async fn finish(orchestrator: &Orchestrator, arn: &str, follow: Follow) -> Result<Outcome> {
    if follow.detach {
        say::data(arn);
        return Ok(Outcome::Good);
    }
    watch::follow(orchestrator, arn).await?;
    let run = orchestrator.describe(arn).await?;
    report::print(&run, &orchestrator.history(arn).await?, follow.json)
}

pub(super) async fn runs(common: &Common, at: &Where, limit: i32, json: bool) -> Result<Outcome> {
    let orchestrator = Orchestrator::find(common, at).await?;
    let runs = orchestrator.newest(limit).await?;
    let took = |run: &ExecutionListItem| duration(&run.start_date, run.stop_date.as_ref());
    if json {
        for run in &runs {
            let line = json!({
                "name": run.name, "arn": run.execution_arn, "status": run.status.as_str(),
                "started": instant(&run.start_date), "stopped": run.stop_date.as_ref().map(instant),
                "redrives": run.redrive_count.unwrap_or_default(),
            });
            say::data(&line.to_string());
        }
        return Ok(Outcome::Good);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["RUN", "STATUS", "STARTED", "TOOK", "REDRIVEN"]);
    for run in &runs {
        let redrives = run.redrive_count.unwrap_or_default();
        let redriven = if redrives == 0 { String::new() } else { format!("{redrives}×") };
        let took = took(run).unwrap_or_else(|| "…".to_owned());
        table.add_row([run.name.as_str(), run.status.as_str(), &instant(&run.start_date), &took, &redriven]);
    }
    say::data(&table.trim_fmt());
    Ok(Outcome::Good)
}

pub(super) async fn show(common: &Common, at: &Where, run: Option<String>, json: bool) -> Result<Outcome> {
    let orchestrator = Orchestrator::find(common, at).await?;
    let arn = match run {
        Some(run) => orchestrator.arn(&run),
        None => orchestrator.newest(1).await?.pop().context("there is no run yet")?.execution_arn,
    };
    let description = orchestrator.describe(&arn).await?;
    let events = orchestrator.history(&arn).await?;
    if json {
        return report::print(&description, &events, true);
    }
    let view = View::of(&events);
    say::data(&view.tree(&description));
    Ok(Outcome::Good)
}

pub(super) async fn stop(common: &Common, at: &Where, run: &str, cause: Option<String>) -> Result<Outcome> {
    let orchestrator = Orchestrator::find(common, at).await?;
    let arn = orchestrator.arn(run);
    orchestrator.client.stop_execution().execution_arn(&arn).set_cause(cause).send().await.map_err(explain)?;
    say::line(&format!("stopped {arn}"));
    Ok(Outcome::Good)
}
