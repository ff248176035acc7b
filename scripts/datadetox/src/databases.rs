//! Databases that a person names by URL, and the private source.

use anyhow::{Context as _, Result};
use catalog::Side;
use local::{APPLICATION, Home, Postgres, Running, application_of};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::catalogue::{self, Project};
use crate::stack::PATIENCE;

/// Connection options for a URL that a person gave; PGPASSWORD and ~/.pgpass fill in a password it lacks.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions> {
    // The driver's message could repeat the URL, and with it a password.
    let parsed: Option<PgConnectOptions> = url.parse().ok();
    let options = parsed.context("this is no Postgres URL: write postgres://user@host:port/database")?;
    Ok(options.disable_statement_logging())
}

/// Which database a URL means: without a password, to be shown and kept.
pub(crate) fn place_of(url: &str) -> Result<String> {
    let mut place = options(url)?.to_url_lossy();
    place.set_password(None).ok().context("this URL cannot be shown without its password")?;
    // The driver's own, which psql does not know.
    let known: Vec<(String, String)> = place
        .query_pairs()
        .filter(|(name, _)| name != "statement-cache-capacity")
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    place.query_pairs_mut().clear().extend_pairs(known);
    Ok(place.to_string())
}

/// Connects as the person that the URL names.
pub(crate) async fn connect(side: Side, options: &PgConnectOptions) -> Result<PgConnection> {
    let failed = || format!("cannot connect to the {side} at {}", host::postgres::place(options));
    options.connect().await.with_context(failed)
}

/// The URL as a secret for the functions, which have neither this environment nor this home: its password filled in.
pub(crate) fn secret_of(url: &str) -> Result<String> {
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

/// Gives `work` the application's connection to a source: the one of that URL, or the private one; that of the stack
/// that runs, or one that runs for as long as `work`.
pub(crate) async fn with_source<T>(
    project: &Project,
    url: Option<&str>,
    work: impl AsyncFnOnce(PgConnectOptions) -> Result<T>,
) -> Result<T> {
    if let Some(url) = url {
        return work(options(url)?).await;
    }
    if let Some(running) = Running::find(&project.home) {
        return work(application_of(&project.home, &running)?).await;
    }
    let pipeline = &catalogue::read(&project.catalog)?.pipeline.name.clone();
    let home = Home::take_within(&project.home, PATIENCE).await?;
    let postgres = Postgres::start(&home, pipeline).await?;
    let done = work(postgres.options(APPLICATION)).await;
    postgres.stop().await?;
    done
}
