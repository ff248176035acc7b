//! `seed` and `trade`: data in the source.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use totesys::{SeedSource, Trader};

use super::local::with_private_source;
use super::view::count;
use super::{Common, Outcome, SampleOptions};
use crate::say;

pub(super) async fn seed(
    common: &Common,
    sample: &SampleOptions,
    from: Option<PathBuf>,
    source: Option<String>,
) -> Result<Outcome> {
    let rows = match from {
        Some(folder) => SeedSource::Dump(folder),
        None => SeedSource::Generated { orders: sample.orders, seed: sample.seed },
    };
    let fill = async |options: PgConnectOptions| {
        let mut database = options.connect().await.context("cannot connect to the source")?;
        totesys::seed(&mut database, &rows).await
    };
    let counts = match source {
        Some(url) => fill(options(&url)?).await?,
        None => with_private_source(common, fill).await?,
    };
    for (table, rows) in counts {
        say::data(&format!("{table:<16} {:>12}", count(rows)));
    }
    Ok(Outcome::Good)
}

pub(super) async fn trade(
    common: &Common,
    every: Duration,
    times: Option<u64>,
    seed: u64,
    source: Option<String>,
) -> Result<Outcome> {
    let trade = async |options: PgConnectOptions| {
        let mut trader = Trader::connect(options, seed).await.context("cannot connect to the source")?;
        let mut ticks = tokio::time::interval(every);
        let mut done = 0;
        while times.is_none_or(|times| done < times) {
            ticks.tick().await;
            say::data(&trader.step().await?);
            done += 1;
        }
        Ok(Outcome::Good)
    };
    match source {
        Some(url) => trade(options(&url)?).await,
        None => with_private_source(common, trade).await,
    }
}

/// Connection options for a URL that a person gave; PGPASSWORD and ~/.pgpass fill in a password it lacks.
pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    // The driver's message could repeat the URL, and with it a password.
    let parsed: Option<PgConnectOptions> = url.parse().ok();
    let options = parsed.context("this is no Postgres URL: write postgres://user@host:port/database")?;
    Ok(options.disable_statement_logging())
}

/// The URL as a secret for the functions, which have neither this environment nor this home: its password filled in.
pub(super) fn secret_of(url: &str) -> Result<String> {
    let options = options(url)?;
    let known = local::environment::variable("PGPASSWORD");
    let mut secret = options.to_url_lossy();
    if secret.password().is_none()
        && let Some(password) = known
    {
        secret.set_password(Some(&password)).ok().context("this URL cannot hold a password")?;
    }
    Ok(secret.to_string())
}
