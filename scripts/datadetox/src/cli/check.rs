//! `check`: the catalogue, and whether live databases agree with it.

use anyhow::{Context as _, Result};
use catalog::{Catalog, Side};
use clap::Args;
use host::postgres::{self, agree, inspect};
use ledger::{Ledger, rights, trust};

use super::{Outcome, told};
use crate::catalogue::Project;
use crate::databases::connect;
use crate::run::count;
use crate::say;

/// Check the catalogue; with a database also that both agree.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Compare the source tables with this database.
    #[arg(long, env = crate::databases::SOURCE, hide_env_values = true, value_name = "URL")]
    source: Option<String>,
    /// Compare the star schema with this database.
    #[arg(long, env = crate::databases::WAREHOUSE, hide_env_values = true, value_name = "URL")]
    warehouse: Option<String>,
    /// Print mistakes and warnings as JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        check(project, self.source, self.warehouse, self.json).await
    }
}

async fn check(common: &Project, source: Option<String>, warehouse: Option<String>, json: bool) -> Result<Outcome> {
    let name = common.catalog.display().to_string();
    let text = std::fs::read_to_string(&common.catalog).with_context(|| format!("cannot read {name}"))?;
    let catalog = match Catalog::parse(&name, &text) {
        Ok(catalog) => catalog,
        Err(problems) => {
            return Ok(tell(&problems.to_string().lines().map(str::to_owned).collect::<Vec<_>>(), &[], json));
        }
    };
    let mut found = Found::default();
    // What stops the look at one side says nothing of the other.
    let mut stopped = Vec::new();
    if let Some(url) = source {
        stopped.extend(found.in_source(&catalog, &url).await.err());
    }
    if let Some(url) = warehouse {
        stopped.extend(found.in_warehouse(&catalog, &url).await.err());
    }
    let Found { mut differences, warnings } = found;
    if !stopped.is_empty() && json {
        differences.extend(stopped.iter().map(told));
    } else if !stopped.is_empty() {
        warnings.iter().for_each(|warning| say::warning(warning));
        differences.iter().for_each(|difference| say::data(difference));
        stopped.iter().for_each(|error| say::error(&told(error)));
        return Ok(Outcome::Bad);
    }
    if differences.is_empty() && !json {
        warnings.iter().for_each(|warning| say::warning(warning));
        let facts = catalog.warehouse.targets.iter().filter(|target| target.is_fact()).count();
        let (tables, targets) = (catalog.source.tables.len(), catalog.warehouse.targets.len());
        let number = |number: usize| count(u64::try_from(number).unwrap_or_default());
        let line = format!(
            "{name} is right: {} source tables, {} dimensions, {} facts",
            number(tables),
            number(targets - facts),
            number(facts)
        );
        say::data(&line);
        return Ok(Outcome::Good);
    }
    Ok(tell(&differences, &warnings, json))
}

/// What live databases tell of the catalogue.
#[derive(Default)]
struct Found {
    differences: Vec<String>,
    warnings: Vec<String>,
}

impl Found {
    async fn in_source(&mut self, catalog: &Catalog, url: &str) -> Result<()> {
        let mut database = connect(Side::Source, url).await?;
        inspect::refuse_old(&mut database, Side::Source).await.map_err(report)?;
        let names = catalog.source.tables.iter().map(|table| &table.name);
        let live = inspect::tables(&mut database, Side::Source, &catalog.source.schema, names).await.map_err(report)?;
        self.differences.extend(agree::source(catalog, &live));
        self.differences.extend(postgres::rights::missing(&mut database, &catalog.source).await.map_err(report)?);
        self.warnings.extend(agree::unexpected_nulls(catalog, &live));
        Ok(())
    }

    async fn in_warehouse(&mut self, catalog: &Catalog, url: &str) -> Result<()> {
        let mut database = connect(Side::Warehouse, url).await?;
        let names = catalog.warehouse.targets.iter().map(|target| &target.name);
        let schema = &catalog.warehouse.schema;
        let live = inspect::tables(&mut database, Side::Warehouse, schema, names).await.map_err(report)?;
        self.differences.extend(agree::warehouse(catalog, &live));
        let ledger = Ledger::of(catalog);
        let made = ledger.look(&mut database).await.map_err(report)?;
        let strangers = trust::strangers(&mut database, catalog).await.map_err(report)?;
        if !strangers.is_empty() {
            // To ask for a row of theirs would run what a load is kept from.
            self.differences.extend(strangers);
            return Ok(());
        }
        self.differences.extend(ledger.taken_elsewhere(&mut database, &made).await.map_err(report)?);
        let grants = rights::missing(&mut database, catalog, &made).await.map_err(report)?;
        self.differences.extend(grants.iter().map(|grant| format!("the role lacks a right: {grant}")));
        // It is read by a role that may, and says whose they are.
        if made.is_complete() && grants.is_empty() {
            ledger.targets(&mut database).await.map_err(report)?;
        }
        Ok(())
    }
}

fn tell(mistakes: &[String], warnings: &[String], json: bool) -> Outcome {
    if json {
        say::data(&serde_json::json!({ "mistakes": mistakes, "warnings": warnings }).to_string());
    } else {
        warnings.iter().for_each(|warning| say::warning(warning));
        for mistake in mistakes {
            say::data(mistake);
        }
        say::error(&if mistakes.len() == 1 { "1 mistake".to_owned() } else { format!("{} mistakes", mistakes.len()) });
    }
    if mistakes.is_empty() { Outcome::Good } else { Outcome::Bad }
}

fn report(error: catalog::Error) -> anyhow::Error {
    anyhow::anyhow!(error.report_of_look())
}
