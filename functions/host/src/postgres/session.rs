//! Connecting, and the session that every statement relies on.

use std::time::Duration;

use catalog::{Error, Result, Side};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::classify::{classify, unavailable};

/// A database that accepts no connection within this is down for the pipeline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A statement is cancelled this long before Lambda would kill the function, so that the error is the database's.
const MARGIN: Duration = Duration::from_secs(2);

/// What a session is told beside the constants.
pub(crate) struct Session<'a> {
    /// Shown in `pg_stat_activity`.
    pub(crate) application: &'a str,
    /// How long a statement waits for a lock.
    pub(crate) lock_timeout: Duration,
    /// Time left to the function.
    pub(crate) deadline: Duration,
}

/// Where a database is, for people: its host and port, or the folder of its socket.
#[must_use]
pub fn place(options: &PgConnectOptions) -> String {
    match (options.get_socket(), options.get_host()) {
        (Some(folder), _) => folder.display().to_string(),
        // A secret names a folder in place of a host.
        (None, folder) if folder.starts_with('/') => folder.to_owned(),
        (None, host) => format!("{host}:{}", options.get_port()),
    }
}

/// Connects and sets the session up.
///
/// # Errors
/// The side's `Unavailable`, `Busy` or `AccessDenied`.
pub(crate) async fn connect(side: Side, options: PgConnectOptions, session: &Session<'_>) -> Result<PgConnection> {
    let doing = format!("cannot connect to the {side} at {}", place(&options));
    // Statements would show values; the functions log counts.
    let options = options.application_name(session.application).disable_statement_logging();
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options));
    let mut connection = match connecting.await {
        Ok(connected) => connected.map_err(|error| classify(side, &doing, error))?,
        Err(_) => {
            let what = format!("{doing}: no answer within {} s", CONNECT_TIMEOUT.as_secs());
            return Err(Error::new(unavailable(side), what));
        }
    };
    let setup = setup(side, session);
    sqlx::raw_sql(AssertSqlSafe(setup))
        .execute(&mut connection)
        .await
        .map_err(|error| classify(side, &doing, error))?;
    Ok(connection)
}

/// One round trip. The driver itself asks for UTC, ISO dates and UTF-8 when it connects.
fn setup(side: Side, session: &Session<'_>) -> String {
    let statement_timeout = session.deadline.saturating_sub(MARGIN).max(Duration::from_secs(1)).as_millis();
    let own = match side {
        // The credentials may only read; the session says so too, in case they may not only.
        Side::Source => "SET default_transaction_read_only = on",
        // Its sorts and hashes fit a small server's memory; a key or an index is built once.
        Side::Warehouse => "SET work_mem = '64MB'; SET maintenance_work_mem = '256MB'",
    };
    // Statements here run once: compiling them costs more than it saves. A policy that would hide rows is an error, and not
    // a table with fewer rows.
    format!(
        "SET standard_conforming_strings = on; \
         SET extra_float_digits = 1; \
         SET jit = off; \
         SET row_security = off; \
         SET lock_timeout = {}; \
         SET statement_timeout = {statement_timeout}; \
         SET idle_in_transaction_session_timeout = {statement_timeout}; \
         {own}",
        session.lock_timeout.as_millis()
    )
}

#[cfg(test)]
mod tests {
    use catalog::Fault;

    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_unavailable_and_shows_no_password() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let options: PgConnectOptions =
            format!("postgres://me:hunter2@127.0.0.1:{port}/db?sslmode=disable").parse().unwrap();
        let session =
            Session { application: "test", lock_timeout: Duration::from_secs(1), deadline: Duration::from_secs(9) };
        let error = connect(Side::Source, options, &session).await.unwrap_err();
        assert_eq!(error.fault(), Fault::SourceUnavailable);
        let report = error.report();
        assert!(report.starts_with(&format!("cannot connect to the source at 127.0.0.1:{port}")), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }

    #[test]
    fn a_place_is_a_host_and_port_or_the_folder_of_a_socket() {
        let of = |url: &str| place(&url.parse().unwrap());
        assert_eq!(of("postgres://me:hunter2@db.example:6543/db"), "db.example:6543");
        assert_eq!(of("postgres://me@localhost/db?host=/run/postgres"), "/run/postgres");
        assert_eq!(of("postgres://me@%2Frun%2Fpostgres/db"), "/run/postgres");
        assert_eq!(place(&PgConnectOptions::new_without_pgpass().host("/run/postgres")), "/run/postgres");
    }

    #[test]
    fn every_statement_ends_before_the_function_is_killed() {
        let session =
            Session { application: "t", lock_timeout: Duration::from_secs(10), deadline: Duration::from_secs(60) };
        let sql = setup(Side::Source, &session);
        assert!(sql.contains("statement_timeout = 58000") && sql.contains("read_only = on"), "{sql}");
        let warehouse = setup(Side::Warehouse, &session);
        assert!(!warehouse.contains("read_only"));
        assert!(
            [&sql, &warehouse].iter().all(|sql| sql.contains("row_security = off")),
            "a policy hides rows of neither"
        );
    }
}
