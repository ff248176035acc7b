//! Databases that a person names by URL, and the private source.

use anyhow::{Context as _, Result};
use catalog::Side;
use local::{APPLICATION, Home, Postgres, Running, application_of};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::catalogue::{self, Project};
use crate::stack::PATIENCE;

/// Connection options for a URL that a person gave; PGPASSWORD and ~/.pgpass fill in a password it lacks.
///
/// # Errors
/// When it is not a Postgres URL. No more of it is said than its scheme: the rest may hold a password.
pub(crate) fn options(side: Side, url: &str) -> Result<PgConnectOptions> {
    let is_word = |scheme: &&str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
    let scheme = url.split_once("://").map(|(scheme, _)| scheme).filter(is_word);
    // The driver takes any scheme for its own, and its message could repeat the URL.
    let is_postgres = matches!(scheme, Some("postgres" | "postgresql"));
    let parsed: Option<PgConnectOptions> = url.parse().ok().filter(|_| is_postgres);
    let options = parsed.with_context(|| {
        let begins = match scheme {
            Some(scheme) if !is_postgres => format!(", which begins with {scheme}://,"),
            _ => String::new(),
        };
        format!("the {side}'s URL{begins} is not a Postgres URL: write postgres://user:password@host:port/database")
    })?;
    Ok(options.disable_statement_logging())
}

/// Which database a URL means: without a password, to be shown and kept.
pub(crate) fn place_of(side: Side, url: &str) -> Result<String> {
    let mut place = options(side, url)?.to_url_lossy();
    place.set_password(None).ok().context("this URL cannot be shown without its password")?;
    Ok(place.to_string())
}

/// Connects as the person that the URL names.
pub(crate) async fn connect(side: Side, options: &PgConnectOptions) -> Result<PgConnection> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    options.connect().await.with_context(|| format!("cannot connect to the {side} at {place}"))
}

/// The URL as a secret for the functions, which have neither this environment nor this home: its password filled in.
pub(crate) fn secret_of(side: Side, url: &str) -> Result<String> {
    let options = options(side, url)?;
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
        return work(options(Side::Source, url)?).await;
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
