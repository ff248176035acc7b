//! Connections to the two databases: the session every statement relies on, and what an error of theirs means.

use std::time::Duration;

use catalog::{Error, Fault, Result, Side};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

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
/// The side's `Unavailable`, `Busy` or `AccessDenied`.
pub async fn connect(side: Side, options: PgConnectOptions, session: &Session<'_>) -> Result<PgConnection> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let doing = format!("cannot connect to the {side} at {place}");
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
        // A load's statements are long and run once: compiling them costs seconds and saves none. Its sorts and hashes
        // fit a small server's memory; a key or an index is built once.
        Side::Warehouse => "SET jit = off; SET work_mem = '64MB'; SET maintenance_work_mem = '256MB'",
    };
    format!(
        "SET standard_conforming_strings = on; \
         SET extra_float_digits = 1; \
         SET lock_timeout = {}; \
         SET statement_timeout = {statement_timeout}; \
         SET idle_in_transaction_session_timeout = {statement_timeout}; \
         {own}",
        session.lock_timeout.as_millis()
    )
}

fn unavailable(side: Side) -> Fault {
    match side {
        Side::Source => Fault::SourceUnavailable,
        Side::Warehouse => Fault::WarehouseUnavailable,
    }
}

/// Names an error of a database. `doing` says what failed: `cannot read sales_order`.
#[must_use]
pub fn classify(side: Side, doing: &str, error: sqlx::Error) -> Error {
    let kind = match &error {
        sqlx::Error::Database(database) => Kind::of(database.code().as_deref().unwrap_or_default()),
        sqlx::Error::Configuration(_) => Kind::Misconfigured,
        // A server without TLS, or one that is not who it should be: another try meets the same one.
        sqlx::Error::Tls(_) => Kind::AccessDenied,
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Kind::AccessDenied,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => Kind::Bug,
        _ => Kind::Unavailable,
    };
    let fault = match (kind, side) {
        (Kind::Unavailable, side) => unavailable(side),
        (Kind::Busy, Side::Source) => Fault::SourceBusy,
        (Kind::Busy, Side::Warehouse) => Fault::WarehouseBusy,
        (Kind::AccessDenied, Side::Source) => Fault::SourceAccessDenied,
        (Kind::AccessDenied, Side::Warehouse) => Fault::WarehouseAccessDenied,
        (Kind::OtherShape, Side::Source) => Fault::SourceSchemaChanged,
        (Kind::OtherShape, Side::Warehouse) => Fault::WarehouseSchemaMismatch,
        (Kind::Refused, Side::Source) => Fault::SourceRefused,
        (Kind::Refused, Side::Warehouse) => Fault::WarehouseRefused,
        (Kind::Misconfigured, _) => Fault::Misconfigured,
        (Kind::Bug, _) => Fault::Bug,
    };
    // The detail and the hint of a database error may hold a row; its message is what names the trouble.
    match error {
        sqlx::Error::Database(database) => Error::new(fault, format!("{doing}: {}", database.message())),
        other => Error::because(fault, doing, other),
    }
}

enum Kind {
    Unavailable,
    Busy,
    AccessDenied,
    OtherShape,
    Refused,
    Misconfigured,
    Bug,
}

impl Kind {
    /// By SQLSTATE (Postgres' manual, appendix A).
    fn of(code: &str) -> Self {
        match code {
            // Shut down, crashed, starting up; the connection broke.
            "57P01" | "57P02" | "57P03" | "57P05" => Self::Unavailable,
            // Lock not available, statement cancelled, object in use, deadlock, serialization.
            "55P03" | "57014" | "55006" | "40P01" | "40001" => Self::Busy,
            // No such database; privilege.
            "3D000" | "42501" => Self::AccessDenied,
            // No such schema, table, column, type; another type.
            "3F000" | "42P01" | "42703" | "42704" | "42804" => Self::OtherShape,
            _ if code.starts_with("08") => Self::Unavailable,
            // Too many connections, disk full, out of memory.
            _ if code.starts_with("53") => Self::Busy,
            // Wrong password, no such role, not allowed from here.
            _ if code.starts_with("28") => Self::AccessDenied,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn every_statement_ends_before_the_function_is_killed() {
        let session =
            Session { application: "t", lock_timeout: Duration::from_secs(10), deadline: Duration::from_secs(60) };
        let sql = setup(Side::Source, &session);
        assert!(sql.contains("statement_timeout = 58000") && sql.contains("read_only = on"), "{sql}");
        assert!(!setup(Side::Warehouse, &session).contains("read_only"));
    }
}
