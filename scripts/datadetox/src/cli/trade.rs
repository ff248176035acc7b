//! `trade`: a source that changes.

use std::time::Duration;

use anyhow::Result;
use catalog::Side;
use clap::Args;
use host::postgres::Address;
use totesys::Trader;

use super::Outcome;
use crate::catalogue::Project;
use crate::databases::{login, with_source};
use crate::say;

/// Trade in the source as its application would: orders, payments, silent updates, late commits.
#[derive(Args, Debug)]
pub(super) struct Trade {
    /// Time between two things that happen.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration, value_name = "TIME")]
    every: Duration,
    /// Stop after this many.
    #[arg(long, value_name = "N")]
    times: Option<u64>,
    /// The same seed does the same things.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Trade in this database instead of the private source.
    #[arg(long, env = crate::databases::SOURCE, hide_env_values = true, value_name = "URL")]
    source: Option<String>,
}

impl Trade {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let trade = async |source: Address| {
            let (database, second) = (login(Side::Source, &source).await?, login(Side::Source, &source).await?);
            let mut trader = Trader::new(database, second, self.seed);
            let mut ticks = tokio::time::interval(self.every);
            let mut done = 0;
            while self.times.is_none_or(|times| done < times) {
                ticks.tick().await;
                say::data(&trader.step().await?);
                done += 1;
            }
            Ok(Outcome::Good)
        };
        with_source(project, self.source.as_deref(), trade).await
    }
}
