//! The stack of the home: described on the command line, opened for as long as a command needs it.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use catalog::Deployment;
use clap::Args;
use local::{Config, Stack, build_when_run_by_cargo};

use crate::catalogue::{self, Project};
use crate::databases;
use crate::orchestrator::{Orchestrator, Where};

/// What a stack on this machine is made of.
#[derive(Args, Clone, Debug)]
pub(crate) struct StackOptions {
    /// Read this Postgres instead of a private one: postgres://reader@host/database. The password may come from
    /// PGPASSWORD or ~/.pgpass.
    #[arg(long, env = "DATADETOX_SOURCE", hide_env_values = true, value_name = "URL")]
    pub(crate) source: Option<String>,
    /// Load this Postgres instead of a private one.
    #[arg(long, env = "DATADETOX_WAREHOUSE", hide_env_values = true, value_name = "URL")]
    pub(crate) warehouse: Option<String>,
    /// Record the AWS calls that functions and state machine make, one JSON line each.
    #[arg(long, value_name = "FILE")]
    record_calls: Option<PathBuf>,
    /// Run the functions' programs of this folder instead of those that were built with this one.
    #[arg(long, value_name = "FOLDER")]
    functions: Option<PathBuf>,
}

/// Starts the stack: databases, functions, and the runs that were at work when it ended last.
pub(crate) async fn open(project: &Project, options: &StackOptions) -> Result<Stack> {
    let programs = match &options.functions {
        Some(folder) => folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?,
        None => build_when_run_by_cargo().await?,
    };
    let url = |url: &Option<String>| url.as_deref().map(databases::secret_of).transpose();
    Box::pin(Stack::start(Config {
        programs: Some(programs),
        source: url(&options.source)?,
        warehouse: url(&options.warehouse)?,
        record_calls: options.record_calls.clone(),
        ..config(project, project.on_laptop()?)
    }))
    .await
}

/// Does `work` on the runs of AWS, of the stack that runs here, or, where none runs, of the home: its executions are
/// opened for as long as `work` takes. They rest meanwhile, and no database or function is started.
pub(crate) async fn with_runs<T>(
    project: &Project,
    at: &Where,
    work: impl AsyncFnOnce(&Orchestrator) -> Result<T>,
) -> Result<T> {
    if let Some(orchestrator) = Orchestrator::find(project, at).await? {
        return work(&orchestrator).await;
    }
    must_have_run(project)?;
    let stack = Box::pin(Stack::at_rest(config(project, project.on_laptop()?))).await?;
    let done = work(&Orchestrator::of(&stack)).await;
    stack.stop().await?;
    done
}

/// Refuses a home in which nothing ever ran, before it is made.
pub(crate) fn must_have_run(project: &Project) -> Result<()> {
    let home = project.home.display();
    if !project.home.join("executions").is_dir() {
        bail!("no stack ever ran in {home}; start one with `datadetox`, or name AWS with --aws --environment NAME");
    }
    Ok(())
}

fn config(project: &Project, deployment: Deployment) -> Config {
    Config {
        home: project.home.clone(),
        definition: catalogue::local_definition(&deployment),
        deployment,
        catalog_file: project.catalog.clone(),
        programs: None,
        source: None,
        warehouse: None,
        record_calls: None,
    }
}
