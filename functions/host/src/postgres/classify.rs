//! What an error of a database means: the fault by SQLSTATE and side.

use catalog::{Error, Fault, Side};
use sqlx::postgres::PgDatabaseError;

use super::words::words;

/// The fault of a database that does not answer.
pub(super) fn unavailable(side: Side) -> Fault {
    match side {
        Side::Source => Fault::SourceUnavailable,
        Side::Warehouse => Fault::WarehouseUnavailable,
    }
}

/// Names an error of a database. `doing` says what failed: `cannot read sales_order`.
#[must_use]
pub fn classify(side: Side, doing: &str, error: sqlx::Error) -> Error {
    let kind = kind_of(&error);
    let fault = match (kind, side) {
        (Kind::Unavailable, side) => unavailable(side),
        (Kind::Busy, Side::Source) => Fault::SourceBusy,
        (Kind::Busy, Side::Warehouse) => Fault::WarehouseBusy,
        (Kind::AccessDenied, Side::Source) => Fault::SourceAccessDenied,
        (Kind::AccessDenied, Side::Warehouse) => Fault::WarehouseAccessDenied,
        (Kind::NotFound, Side::Source) => Fault::SourceNotFound,
        (Kind::NotFound, Side::Warehouse) => Fault::WarehouseNotFound,
        (Kind::OtherShape, Side::Source) => Fault::SourceSchemaChanged,
        (Kind::OtherShape, Side::Warehouse) => Fault::WarehouseSchemaMismatch,
        (Kind::Refused, Side::Source) => Fault::SourceRefused,
        (Kind::Refused, Side::Warehouse) => Fault::WarehouseRefused,
        (Kind::Misconfigured, _) => Fault::Misconfigured,
        (Kind::Bug, _) => Fault::Bug,
    };
    // Detail and hint of a database's error may hold a row, and of many its message too.
    match error {
        sqlx::Error::Database(_) => {
            let told = Error::new(fault, format!("{doing}: {}", words(&error)));
            if is_of_row_security(&error) { told.with_remedy(ROW_SECURITY) } else { told }
        }
        other => {
            let error = Error::because(fault, doing, other);
            match advice(&error.report()) {
                Some((what, remedy)) => error.while_doing(what).with_remedy(remedy),
                None if matches!(kind, Kind::AccessDenied) => error.with_remedy(TLS),
                None => error,
            }
        }
    }
}

fn kind_of(error: &sqlx::Error) -> Kind {
    match error {
        sqlx::Error::Database(database) => Kind::of(database.code().as_deref().unwrap_or_default()),
        sqlx::Error::Configuration(_) => Kind::Misconfigured,
        // A server without TLS, or one that is not who it should be: another try meets the same one.
        sqlx::Error::Tls(_) => Kind::AccessDenied,
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Kind::AccessDenied,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => Kind::Bug,
        _ => Kind::Unavailable,
    }
}

/// A login that was refused by an address without a password: the server takes the lack of one for a wrong one.
pub(super) fn without_password(error: Error) -> Error {
    error.while_doing("no password was given").with_remedy(NO_PASSWORD)
}

/// Whether a login was refused for its password.
pub(super) fn is_of_password(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(database) if database.code().as_deref() == Some("28P01"))
}

/// Whether rows might be hidden that are read: to Postgres it is one of many rights that are missing, so that it is known by
/// the place in the server that says so.
fn is_of_row_security(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    error.is_some_and(|error| error.code() == "42501" && error.routine() == Some("check_enable_rls"))
}

const ROW_SECURITY: &str = "let the role read every row of the table (ALTER ROLE … BYPASSRLS; `datadetox check` names both), \
                            then redrive";
const NO_PASSWORD: &str = "write the role's password into the secret or the URL; a URL on a laptop may leave it to PGPASSWORD or ~/.pgpass; then redrive";
const TLS: &str = "correct the server's certificate or encryption, or what the secret or URL says of it (sslmode, sslrootcert, \
                   sslcert, sslkey), then redrive";

/// What is wrong with a server whose certificate is not taken, to stand in front of what the TLS library says of it; and what
/// to do about it.
fn advice(report: &str) -> Option<(&'static str, &'static str)> {
    const ADVICE: [(&str, &str, &str); 4] = [
        (
            "UnknownIssuer",
            "no known authority signed the server's certificate",
            "name the authority's file as sslrootcert, or take any server with sslmode=require, then redrive",
        ),
        (
            "does not support TLS",
            "the server does not encrypt",
            "turn encryption on at the server, or say that it need not encrypt with sslmode=disable, then redrive",
        ),
        (
            "CaUsedAsEndEntity",
            "the server shows the certificate of an authority as its own",
            "make one with basicConstraints=CA:FALSE, or take any server with sslmode=require, then redrive",
        ),
        (
            "No such file or directory",
            "a file is missing that the address names (sslrootcert, sslcert, sslkey), or the server's socket",
            "see whether the file is there, or whether the server runs and its socket lies elsewhere, then redrive",
        ),
    ];
    ADVICE.into_iter().find(|(sign, ..)| report.contains(sign)).map(|(_, what, remedy)| (what, remedy))
}

#[derive(Clone, Copy)]
enum Kind {
    Unavailable,
    Busy,
    AccessDenied,
    NotFound,
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
            // No such database.
            "3D000" => Self::NotFound,
            // Privilege.
            "42501" => Self::AccessDenied,
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

    #[test]
    fn a_refusal_of_tls_is_told_by_what_is_wrong_and_its_advice_is_not_that_of_a_wrong_password() {
        let report = |error: &str| classify(Side::Source, "x", sqlx::Error::Tls(error.into())).report();
        let unknown = report("invalid peer certificate: UnknownIssuer");
        assert!(unknown.starts_with("no known authority signed the server's certificate: x: "), "{unknown}");
        assert!(unknown.contains("(to do: name the authority's file as sslrootcert"), "{unknown}");
        let other = report("invalid peer certificate: BadSignature");
        assert!(other.contains("(to do: correct the server's certificate or encryption"), "{other}");
        for told in [unknown, other] {
            assert!(!told.contains("correct the secret") && !told.contains("grant"), "{told}");
        }
    }

    #[test]
    fn every_connection_that_broke_is_unavailable_and_every_other_error_has_its_own_name() {
        assert_eq!(classify(Side::Source, "x", sqlx::Error::WorkerCrashed).fault(), Fault::SourceUnavailable);
        assert_eq!(classify(Side::Warehouse, "x", sqlx::Error::Tls("x".into())).fault(), Fault::WarehouseAccessDenied);
        assert_eq!(classify(Side::Source, "x", sqlx::Error::ColumnNotFound("x".into())).fault(), Fault::Bug);
    }
}
