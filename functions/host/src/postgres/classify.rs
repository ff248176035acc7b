//! What an error of a database means: the fault by SQLSTATE and side.

use catalog::{Error, Fault, Side};

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
        sqlx::Error::Database(_) => Error::new(fault, format!("{doing}: {}", words(&error))),
        other => {
            let error = Error::because(fault, doing, other);
            match advice(&error.report()) {
                Some(advice) => error.while_doing(advice),
                None => error,
            }
        }
    }
}

/// What to do about a server whose certificate is not taken, in front of what the TLS library says of it.
fn advice(report: &str) -> Option<&'static str> {
    const ADVICE: [(&str, &str); 4] = [
        (
            "UnknownIssuer",
            "no known authority signed the server's certificate (name the authority's file as sslrootcert, or take any server with sslmode=require)",
        ),
        ("does not support TLS", "the server does not encrypt (sslmode=disable says that it need not)"),
        (
            "CaUsedAsEndEntity",
            "the server shows the certificate of an authority as its own (make one with basicConstraints=CA:FALSE, or take any server with sslmode=require)",
        ),
        (
            "No such file or directory",
            "a file is missing that the address names (sslrootcert, sslcert, sslkey), or the server's socket",
        ),
    ];
    ADVICE.into_iter().find(|(sign, _)| report.contains(sign)).map(|(_, advice)| advice)
}

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
    fn what_to_do_about_a_certificate_stands_before_what_the_library_says() {
        let report =
            classify(Side::Source, "x", sqlx::Error::Tls("invalid peer certificate: UnknownIssuer".into())).report();
        assert!(
            report.starts_with("no known authority signed the server's certificate (name the authority's file"),
            "{report}"
        );
    }

    #[test]
    fn every_connection_that_broke_is_unavailable_and_every_other_error_has_its_own_name() {
        assert_eq!(classify(Side::Source, "x", sqlx::Error::WorkerCrashed).fault(), Fault::SourceUnavailable);
        assert_eq!(classify(Side::Warehouse, "x", sqlx::Error::Tls("x".into())).fault(), Fault::WarehouseAccessDenied);
        assert_eq!(classify(Side::Source, "x", sqlx::Error::ColumnNotFound("x".into())).fault(), Fault::Bug);
    }
}
