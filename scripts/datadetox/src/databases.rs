//! Databases that a person names by URL, and the private source.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use catalog::Side;
use host::postgres::{Address, AddressError, Session, retain, url_of};
use local::{APPLICATION, Home, Postgres, Running, application_of};
use sqlx::postgres::PgConnection;
use url::Url;

use crate::catalogue::{self, Project};
use crate::stack::PATIENCE;

/// The environment variables that name the databases.
pub(crate) const SOURCE: &str = "DATADETOX_SOURCE";
pub(crate) const WAREHOUSE: &str = "DATADETOX_WAREHOUSE";

/// The database that a person named by a URL; PGPASSWORD and ~/.pgpass fill in a password it lacks.
///
/// # Errors
/// When it is not a Postgres URL. No more of it is said than its scheme: the rest may hold a password.
fn address(side: Side, url: &str) -> Result<Address> {
    Address::of_url(url).map_err(|error| refusal(side, url, error))
}

fn refusal(side: Side, url: &str, error: AddressError) -> anyhow::Error {
    if url.trim().is_empty() {
        // As a variable leaves it that was to be filled in: nobody wants another database for it.
        let variable = variable_of(side);
        return anyhow!(
            "the {side}'s URL is empty: unset {variable}, or write the URL of a database there or as --{side}"
        );
    }
    let is_word = |scheme: &&str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
    let scheme = url.split_once("://").map(|(scheme, _)| scheme).filter(is_word);
    let begins = match scheme {
        Some(scheme) if error == AddressError::NoPostgresUrl && !scheme.starts_with("postgres") => {
            format!(", which begins with {scheme}://,")
        }
        _ => String::new(),
    };
    anyhow!("the {side}'s URL{begins} {error}")
}

/// The environment variable that names a side's database.
pub(crate) fn variable_of(side: Side) -> &'static str {
    match side {
        Side::Source => SOURCE,
        Side::Warehouse => WAREHOUSE,
    }
}

/// Which database a URL means: without a password, to be shown and kept.
pub(crate) fn place_of(side: Side, url: &str) -> Result<String> {
    let mut place = parsed(side, url)?;
    if place.password().is_some() {
        place.set_password(None).ok().context("this URL cannot be shown without its password")?;
    }
    retain(&mut place, |name| name != "password");
    Ok(place.to_string())
}

/// Whether two places are of one database and login, whatever they say of how the server is verified: who is told to correct
/// that lets the same run go on.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let place = |url: &str| {
        let mut url = url_of(url).ok()?;
        let says = url.query_pairs().into_owned().filter(|(name, _)| !name.starts_with("ssl")).collect::<Vec<_>>();
        url.set_query(None);
        Some((url, says))
    };
    one == other || place(one).is_some_and(|one| Some(one) == place(other))
}

/// The URL as a secret for the functions, which have neither this environment nor this home: its password filled in.
pub(crate) fn secret_of(side: Side, url: &str) -> Result<String> {
    let mut secret = parsed(side, url)?;
    let says = secret.password().is_some() || secret.query_pairs().any(|(name, _)| name == "password");
    if let Some(password) = local::environment::variable("PGPASSWORD").filter(|_| !says) {
        secret.query_pairs_mut().append_pair("password", &password);
    }
    Ok(secret.to_string())
}

/// The URL as it is, once it is known to be an address.
fn parsed(side: Side, url: &str) -> Result<Url> {
    address(side, url)?;
    url_of(url).map_err(|error| refusal(side, url, error))
}

/// Connects as the person that the URL names, with the session that the pipeline has.
pub(crate) async fn connect(side: Side, url: &str) -> Result<PgConnection> {
    const SESSION: Session<'_> =
        Session { application: "datadetox", lock_timeout: Duration::from_secs(10), deadline: Duration::from_secs(60) };
    let connected = host::postgres::connect(side, address(side, url)?, &SESSION).await;
    connected.map_err(|error| anyhow!(error.report_of_look()))
}

/// Connects as the application, with a session of its own.
pub(crate) async fn login(side: Side, address: &Address) -> Result<PgConnection> {
    address.connect().await.with_context(|| format!("cannot connect to the {side} at {}", address.place()))
}

/// Gives `work` the application's connection to a source: the one of that URL, or the private one; that of the stack
/// that runs, or one that runs for as long as `work`.
pub(crate) async fn with_source<T>(
    project: &Project,
    url: Option<&str>,
    work: impl AsyncFnOnce(Address) -> Result<T>,
) -> Result<T> {
    if let Some(url) = url {
        return work(address(Side::Source, url)?).await;
    }
    if let Some(running) = Running::find(&project.home) {
        return work(Address::private(application_of(&project.home, &running)?)).await;
    }
    let pipeline = &catalogue::read(&project.catalog)?.pipeline.name.clone();
    let home = Home::take_within(&project.home, PATIENCE).await?;
    let postgres = Postgres::start(&home, pipeline).await?;
    let done = work(Address::private(postgres.options(APPLICATION))).await;
    postgres.stop().await?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_url_without_its_password_however_it_is_written() {
        for (url, place) in [
            ("postgres://me:hunter2@db.example/d?sslmode=require", "postgres://me@db.example/d?sslmode=require"),
            ("postgres://me@db.example/d?password=hunter2&host=db", "postgres://me@db.example/d?host=db"),
            ("postgres://me@db.example/d?sslpassword=hunter2", "postgres://me@db.example/d"),
            ("postgres:///d?host=/run/postgres&user=me", "postgres:///d?host=/run/postgres&user=me"),
        ] {
            assert_eq!(place_of(Side::Source, url).unwrap(), place);
        }
    }

    #[test]
    fn one_database_is_the_same_however_its_server_is_verified() {
        let one = "postgres://me@db.example/d?application_name=x";
        assert!(is_same(one, "postgres://me@db.example/d?sslmode=require&application_name=x&sslrootcert=ca.pem"));
        assert!(is_same(
            "postgres://me@localhost/d?host=/run",
            "postgres://me@localhost/d?host=%2Frun&sslmode=disable"
        ));
        assert!(is_same("postgres://me@db.example/d", "postgres://me@db.example/d?sslmode=disable"));
        for other in ["postgres://me@db.example/e", "postgres://you@db.example/d", "postgres://me@db.example:1/d"] {
            assert!(!is_same("postgres://me@db.example/d", other), "{other}");
        }
    }
}
