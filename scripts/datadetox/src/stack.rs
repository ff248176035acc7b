//! The stack of the home: described on the command line, opened for as long as a command needs it.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use catalog::{Deployment, Side};
use clap::Args;
use local::{Config, Home, Stack, build_when_run_by_cargo};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::catalogue::{self, Project};
use crate::databases;
use crate::place::Where;
use runs::Orchestrator;

/// What a stack on this machine is made of.
#[derive(Args, Clone, Debug)]
pub(crate) struct StackOptions {
    /// Read this Postgres instead of a private one: postgres://reader@host/database. The password may come from
    /// PGPASSWORD or ~/.pgpass.
    #[arg(long, env = databases::SOURCE, hide_env_values = true, value_name = "URL")]
    pub(crate) source: Option<String>,
    /// Load this Postgres instead of a private one.
    #[arg(long, env = databases::WAREHOUSE, hide_env_values = true, value_name = "URL")]
    pub(crate) warehouse: Option<String>,
    /// Record the AWS calls that functions and state machine make, one JSON line each.
    #[arg(long, value_name = "FILE")]
    record_calls: Option<PathBuf>,
    /// Run the functions' programs of this folder instead of those that were built with this one.
    #[arg(long, value_name = "FOLDER")]
    functions: Option<PathBuf>,
}

impl StackOptions {
    /// Which databases are meant.
    ///
    /// # Errors
    /// When one is not named by a Postgres URL.
    pub(crate) fn named(&self) -> Result<Named> {
        let place = |side, url: &Option<String>| url.as_deref().map(|url| databases::place_of(side, url)).transpose();
        Ok(Named { source: place(Side::Source, &self.source)?, warehouse: place(Side::Warehouse, &self.warehouse)? })
    }
}

/// How long a home is waited for that another command looks into.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks at who holds it.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// In the home: which databases the stack was started with, `null` for a private one; without passwords.
const DATABASES: &str = "databases.json";

/// Both sides as they were named.
#[derive(Serialize, Deserialize)]
pub(crate) struct Named {
    source: Option<String>,
    warehouse: Option<String>,
}

/// What the last stack of a home was started with; `None` where none was, or one of an earlier version.
fn named_before(project: &Project) -> Result<Option<Named>> {
    let file = project.home.join(DATABASES);
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("cannot read {}", file.display()))?,
    };
    serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display())).map(Some)
}

/// The options for a run that goes on: databases that are not named are those of the stack that it was a run of.
///
/// # Errors
/// When others are named: the run would read the one and load the other.
pub(crate) fn as_before(project: &Project, mut options: StackOptions) -> Result<StackOptions> {
    let Some(before) = named_before(project)? else { return Ok(options) };
    for (named, before, side) in [
        (&mut options.source, before.source, Side::Source),
        (&mut options.warehouse, before.warehouse, Side::Warehouse),
    ] {
        match (named.as_deref().map(|url| databases::place_of(side, url)).transpose()?, before) {
            (None, before) => *named = before,
            (Some(now), Some(before)) if databases::is_same(&now, &before) => {}
            (Some(now), before) => {
                let before = before.unwrap_or_else(|| "the private one".to_owned());
                bail!("the {side} was {before}, not {now}: leave --{side} out, or start a new run");
            }
        }
    }
    Ok(options)
}

/// Refuses to put a private database in the place of one that the last stack of a home was told to use: whoever leaves it out
/// means that one, and would look at another warehouse, or at sample data.
pub(crate) fn refuse_silent_change(project: &Project, options: &StackOptions) -> Result<()> {
    let Some(before) = named_before(project)? else { return Ok(()) };
    for (named, before, side) in
        [(&options.source, before.source, Side::Source), (&options.warehouse, before.warehouse, Side::Warehouse)]
    {
        if let (None, Some(before)) = (named, before) {
            let (home, variable) = (project.home.display(), databases::variable_of(side));
            bail!(
                "the {side} in {home} was {before}, and now none is named: name it again with --{side} or {variable}, or \
                 have private databases in a home of their own with --home FOLDER"
            );
        }
    }
    Ok(())
}

/// Starts the stack in a home: databases, functions, and the runs that were at work when it ended last. Others may rely on
/// it if it `serves`, until somebody stops it.
pub(crate) async fn open(project: &Project, home: Home, options: &StackOptions, serves: bool) -> Result<Stack> {
    let programs = match &options.functions {
        Some(folder) => folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?,
        None => build_when_run_by_cargo().await?,
    };
    home.write_private(DATABASES, &serde_json::to_string_pretty(&options.named()?)?)?;
    let secret = |side, url: &Option<String>| url.as_deref().map(|url| databases::secret_of(side, url)).transpose();
    Box::pin(Stack::start(Config {
        programs: Some(programs),
        source: secret(Side::Source, &options.source)?,
        warehouse: secret(Side::Warehouse, &options.warehouse)?,
        record_calls: options.record_calls.clone(),
        serves,
        ..config(project, home, project.on_laptop()?)
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
    let home = match hold(project, at, PATIENCE).await? {
        Held::Elsewhere(orchestrator) => return work(&orchestrator).await,
        Held::Here(home) => home,
    };
    let stack = Box::pin(Stack::at_rest(config(project, home, project.on_laptop()?))).await?;
    let done = work(&Orchestrator::of(&stack)).await;
    stack.stop().await?;
    done
}

/// Who has the runs.
pub(crate) enum Held {
    /// AWS, or a stack that runs in another process.
    Elsewhere(Orchestrator),
    /// This process now.
    Here(Home),
}

/// Finds who has the runs, or takes the home in which a stack ran once. Another command that is in it for a moment, or
/// whose stack is still starting, is waited for.
pub(crate) async fn hold(project: &Project, at: &Where, patience: Duration) -> Result<Held> {
    let deadline = Instant::now() + patience;
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        if let Some(orchestrator) = at.find(project).await? {
            return Ok(Held::Elsewhere(orchestrator));
        }
        must_have_run(project)?;
        if let Some(home) = Home::try_take(&project.home)? {
            return Ok(Held::Here(home));
        }
        if Instant::now() >= deadline {
            return Home::take(&project.home).map(Held::Here);
        }
    }
}

/// Refuses a home in which nothing ever ran, before it is made, and one in which that cannot be seen.
fn must_have_run(project: &Project) -> Result<()> {
    let home = project.home.display();
    match std::fs::metadata(project.home.join("executions")) {
        Ok(folder) if folder.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(&project.home).map(|home| home.uid());
            let whose = owner
                .map_or_else(|_| String::new(), |owner| format!(", which belongs to another account (number {owner})"));
            Err(error).with_context(|| format!("may not read {home}{whose}: name a folder of your own with --home"))
        }
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("cannot read {home}")),
        _ => {
            bail!("no stack ever ran in {home}; start one with `datadetox`, or name AWS with --aws --environment NAME")
        }
    }
}

fn config(project: &Project, home: Home, deployment: Deployment) -> Config {
    Config {
        home,
        serves: false,
        definition: catalogue::local_definition(&deployment),
        deployment,
        catalog_file: project.catalog.clone(),
        programs: None,
        source: None,
        warehouse: None,
        record_calls: None,
    }
}
