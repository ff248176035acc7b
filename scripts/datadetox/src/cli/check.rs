//! `check`: the catalogue, and whether live databases agree with it.

use anyhow::{Context as _, Result};
use catalog::Side;
use clap::Args;
use host::postgres::{self, agree, inspect};
use ledger::{Ledger, rights};

use super::Outcome;
use crate::catalogue::Project;
use crate::databases::{connect, options};
use crate::run::count;
use crate::say;

/// Check the catalogue; with a database also that both agree.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Compare the source tables with this database.
    #[arg(long, env = "DATADETOX_SOURCE", hide_env_values = true, value_name = "URL")]
    source: Option<String>,
    /// Compare the star schema with this database.
    #[arg(long, env = "DATADETOX_WAREHOUSE", hide_env_values = true, value_name = "URL")]
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
    let catalog = match catalog::Catalog::parse(&name, &text) {
        Ok(catalog) => catalog,
        Err(problems) => {
            return Ok(tell(&problems.to_string().lines().map(str::to_owned).collect::<Vec<_>>(), &[], json));
        }
    };
    let (mut differences, mut warnings) = (Vec::new(), Vec::new());
    if let Some(url) = source {
        let mut database = connect(Side::Source, &options(&url)?).await?;
        inspect::refuse_old(&mut database, Side::Source).await.map_err(report)?;
        let names = catalog.source.tables.iter().map(|table| &table.name);
        let live = inspect::tables(&mut database, Side::Source, &catalog.source.schema, names).await.map_err(report)?;
        differences.extend(agree::source(&catalog, &live));
        differences.extend(postgres::rights::missing(&mut database, &catalog.source).await.map_err(report)?);
        warnings.extend(agree::unexpected_nulls(&catalog, &live));
    }
    if let Some(url) = warehouse {
        let mut database = connect(Side::Warehouse, &options(&url)?).await?;
        let names = catalog.warehouse.targets.iter().map(|target| &target.name);
        let schema = &catalog.warehouse.schema;
        let live = inspect::tables(&mut database, Side::Warehouse, schema, names).await.map_err(report)?;
        differences.extend(agree::warehouse(&catalog, &live));
        let made = Ledger::of(&catalog).look(&mut database).await.map_err(report)?;
        let grants = rights::missing(&mut database, &catalog, &made).await.map_err(report)?;
        differences.extend(grants.iter().map(|grant| format!("the role lacks a right: {grant}")));
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
    anyhow::anyhow!(error.report())
}
