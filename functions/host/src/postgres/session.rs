//! Connecting, and the session that every statement relies on.
//!
//! Names are looked up in `pg_catalog` alone, and in the session's own temporary schema after it: whoever may create a
//! function, an operator, a cast or a table in a schema that a role's own settings name cannot have it called instead of the
//! server's. What a statement means of its own it names with its schema.

use std::time::Duration;

use catalog::{Error, Result, Side};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::address::Address;
use super::classify::{classify, is_of_password, unavailable, without_password};

/// A database that accepts no connection within this is down for the pipeline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A statement is cancelled this long before Lambda would kill the function, so that the error is the database's.
const MARGIN: Duration = Duration::from_secs(2);

/// What a session is told beside the constants.
pub struct Session<'a> {
    /// Shown in `pg_stat_activity`.
    pub application: &'a str,
    /// How long a statement waits for a lock.
    pub lock_timeout: Duration,
    /// Time left to the function.
    pub deadline: Duration,
}

/// Connects and sets the session up.
///
/// # Errors
/// The side's `Unavailable`, `Busy`, `AccessDenied` or `NotFound`.
pub async fn connect(side: Side, address: Address, session: &Session<'_>) -> Result<PgConnection> {
    let doing = format!("cannot connect to the {side} at {}", address.place());
    let has_password = address.has_password();
    let address = address.named(session.application);
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, address.connect());
    let mut connection = match connecting.await {
        Ok(connected) => connected.map_err(|error| {
            let lacks_password = is_of_password(&error) && !has_password;
            let error = classify(side, &doing, error);
            if lacks_password { without_password(error) } else { error }
        })?,
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

/// One round trip. The driver asks for UTC, ISO dates and UTF-8 when it connects, but a pool in between may have forgotten.
fn setup(side: Side, session: &Session<'_>) -> String {
    let statement_timeout = session.deadline.saturating_sub(MARGIN).max(Duration::from_secs(1)).as_millis();
    let own = match side {
        // The credentials may only read; the session says so too, in case they may not only.
        Side::Source => "SET default_transaction_read_only = on",
        // Its sorts and hashes fit a small server's memory; a key or an index is built once.
        Side::Warehouse => "SET work_mem = '64MB'; SET maintenance_work_mem = '256MB'",
    };
    // Statements here run once: compiling them costs more than it saves. A policy that would hide rows is an error, and not
    // a table with fewer rows. A notice may quote a row, and the driver would log it.
    format!(
        "SET search_path = pg_catalog, pg_temp; \
         SET client_min_messages = error; \
         SET client_encoding = 'UTF8'; \
         SET TimeZone = 'UTC'; \
         SET DateStyle = 'ISO, MDY'; \
         SET IntervalStyle = 'postgres'; \
         SET bytea_output = 'hex'; \
         SET xmlbinary = 'base64'; \
         SET quote_all_identifiers = off; \
         SET transform_null_equals = off; \
         SET default_transaction_isolation = 'read committed'; \
         SET standard_conforming_strings = on; \
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
        let address = Address::of_url(&format!("postgres://me:hunter2@127.0.0.1:{port}/db")).unwrap();
        let session =
            Session { application: "test", lock_timeout: Duration::from_secs(1), deadline: Duration::from_secs(9) };
        let error = connect(Side::Source, address, &session).await.unwrap_err();
        assert_eq!(error.fault(), Fault::SourceUnavailable);
        let report = error.report();
        assert!(report.starts_with(&format!("cannot connect to the source at 127.0.0.1:{port}")), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
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
