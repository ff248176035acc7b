//! `seed`: rows for an empty source.

use std::path::PathBuf;

use anyhow::Result;
use catalog::Side;
use clap::Args;
use host::postgres::Address;
use totesys::SeedSource;

use super::{Outcome, SampleOptions};
use crate::catalogue::Project;
use crate::databases::{login, with_source};
use crate::run::count;
use crate::say;

/// Fill an empty source with totesys: generated, or from a dump.
#[derive(Args, Debug)]
pub(super) struct Seed {
    #[command(flatten)]
    sample: SampleOptions,
    /// A folder with <table>.csv or <table>.csv.gz for every table, instead of generated data.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Fill this database instead of the private source.
    #[arg(long, env = crate::databases::SOURCE, hide_env_values = true, value_name = "URL")]
    source: Option<String>,
}

impl Seed {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let rows = match self.from {
            Some(folder) => SeedSource::Dump(folder),
            None => SeedSource::Generated { orders: self.sample.orders, seed: self.sample.seed },
        };
        let fill = async |source: Address| {
            let mut database = login(Side::Source, &source).await?;
            totesys::seed(&mut database, &rows).await
        };
        for (table, rows) in with_source(project, self.source.as_deref(), fill).await? {
            say::data(&format!("{table:<16} {:>12}", count(rows)));
        }
        Ok(Outcome::Good)
    }
}
