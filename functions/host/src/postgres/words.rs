//! What a refusal of Postgres says to people: its message, where no row can have put a word into it; else its code, what
//! the manual calls that, and the names that Postgres tells apart from the text.
//!
//! A list of what is let through, and not of what is held back: a code that nobody thought of may quote a row. What is held
//! back the server has written into its own log.

use std::fmt::Write as _;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

/// An error as people are told of it.
#[must_use]
pub fn words(error: &sqlx::Error) -> String {
    let Some(error) = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) else {
        // The driver's own: it sees no more of a row than its type.
        return error.to_string();
    };
    let names = [
        ("table", error.table()),
        ("column", error.column()),
        ("constraint", error.constraint()),
        ("type", error.data_type()),
    ];
    Refusal {
        code: error.code(),
        message: error.message(),
        // One in a query that a function makes is the place in what may be a row's value.
        is_placed: matches!(error.position(), Some(PgErrorPosition::Original(_))),
        context: error.r#where(),
        schema: error.schema(),
        names,
    }
    .words()
}

struct Refusal<'r> {
    code: &'r str,
    message: &'r str,
    /// Whether it is about a place in the statement: then the statement is meant, and not what it read.
    is_placed: bool,
    context: Option<&'r str>,
    schema: Option<&'r str>,
    names: [(&'static str, Option<&'r str>); 4],
}

impl Refusal<'_> {
    fn words(&self) -> String {
        let raised = Raised::of(self.context);
        if raised == Raised::ByTheServer && is_without_values(self.code, self.is_placed) {
            return self.message.to_owned();
        }
        let mut words = format!("{} ({})", self.code, name(self.code));
        if raised == Raised::ByAFunction {
            words.push_str(", raised by a function of the database");
        }
        if matches!(raised, Raised::ByTheServer | Raised::InAFunction) {
            for (what, name) in self.names {
                let Some(name) = name else { continue };
                let schema = self.schema.filter(|_| what == "table").map(|schema| format!("{schema}."));
                // Writing to a text does not fail.
                let _ = write!(words, ", {what} {}{name}", schema.unwrap_or_default());
            }
        }
        words.push_str("; the server's log has its words");
        if matches!(self.code, "42P01" | "42883") && raised != Raised::ByTheServer {
            // The sessions look into no schema but the server's own.
            words.push_str(", and a trigger or function of the database finds nothing by its bare name: let it name the schema, or ALTER FUNCTION … SET search_path");
        }
        words
    }
}

/// Who raised an error. A function may raise one of any code, with any words and any names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raised {
    ByTheServer,
    /// By the server, in a statement of a function.
    InAFunction,
    ByAFunction,
    /// It says where in words that are not known: what it reads, or a translation.
    Unknown,
}

impl Raised {
    /// By the innermost line of the error's context: every language writes there of its functions.
    fn of(context: Option<&str>) -> Self {
        let Some(inmost) = context.and_then(|context| context.lines().next()) else { return Self::ByTheServer };
        if inmost.starts_with("COPY ") || (inmost.starts_with("while ") && inmost.contains(" tuple (")) {
            Self::ByTheServer
        } else if inmost.starts_with("SQL statement ") || inmost.starts_with("SQL function ") {
            Self::InAFunction
        } else if inmost.contains("PL/") {
            Self::ByAFunction
        } else {
            Self::Unknown
        }
    }
}

/// Whether the server's own message of a code names objects of the database and settings alone. `is_placed`: `42P01` is a
/// table that a statement names, or a text that a view casts to a table.
fn is_without_values(code: &str, is_placed: bool) -> bool {
    match code {
        // No such schema, table, column, type, function; another type.
        "3F000" | "42P01" | "42703" | "42704" | "42883" | "42804" => is_placed,
        // Objects that are there already, keys and conflicts without an index.
        "42P06" | "42P07" | "42710" | "42701" | "42P16" | "42P10" | "42830" => true,
        // Privilege, no such database, a prepared statement of another session, a failing disk.
        "42501" | "3D000" | "26000" | "42P05" | "58030" => true,
        // Not possible in this state; a lock. An enumeration's label is a value: 55P04.
        "55000" | "55006" | "55P03" => true,
        // Connection, transaction, role, conflict, resources, limits, cancelled and shut down.
        _ => ["08", "25", "28", "40", "53", "54", "57"].iter().any(|class| code.starts_with(class)),
    }
}

/// What Postgres' manual calls a code, or its class where that says enough (appendix A).
fn name(code: &str) -> &'static str {
    match code {
        "22001" => "string data right truncation",
        "22003" => "numeric value out of range",
        "22007" => "invalid datetime format",
        "22008" => "datetime field overflow",
        "22012" => "division by zero",
        "22021" => "character not in repertoire",
        "22023" => "invalid parameter value",
        "22P02" => "invalid text representation",
        "22P03" => "invalid binary representation",
        "22P05" => "untranslatable character",
        "23001" | "23503" => "foreign key violation",
        "23502" => "not null violation",
        "23505" => "unique violation",
        "23514" => "check violation",
        "23P01" => "exclusion violation",
        "3F000" => "invalid schema name",
        "42501" => "insufficient privilege",
        "42601" => "syntax error",
        "42703" => "undefined column",
        "42704" => "undefined object",
        "42804" => "datatype mismatch",
        "42883" => "undefined function",
        "428C9" => "generated always",
        "42P01" => "undefined table",
        "55P03" => "lock not available",
        "57014" => "query canceled",
        "P0001" => "raised exception",
        "XX001" => "data corrupted",
        "XX002" => "index corrupted",
        _ => match code.get(..2).unwrap_or_default() {
            "08" => "connection exception",
            "0A" => "feature not supported",
            "21" => "cardinality violation",
            "22" => "data exception",
            "23" => "integrity constraint violation",
            "25" => "invalid transaction state",
            "28" => "invalid authorization specification",
            "38" | "39" => "external routine exception",
            "40" => "transaction rollback",
            "42" => "syntax error or access rule violation",
            "44" => "with check option violation",
            "53" => "insufficient resources",
            "54" => "program limit exceeded",
            "55" => "object not in prerequisite state",
            "57" => "operator intervention",
            "58" => "system error",
            "HV" => "foreign data wrapper error",
            "P0" => "PL/pgSQL error",
            "XX" => "internal error",
            _ => "an error of another kind",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<'r>(code: &'r str, message: &'r str, context: Option<&'r str>) -> Refusal<'r> {
        let names = [("table", None), ("column", None), ("constraint", None), ("type", None)];
        Refusal { code, message, is_placed: false, context, schema: None, names }
    }

    #[test]
    fn a_message_that_names_objects_alone_is_told_as_it_is() {
        for (code, message, context) in [
            ("57014", "canceling statement due to lock timeout", None),
            ("55P03", "canceling statement due to lock timeout", Some("while updating tuple (0,1) in relation \"t\"")),
            ("42501", "permission denied for table t", None),
            ("54001", "stack depth limit exceeded", Some("COPY stage_1, line 3, column note: \"[[\"")),
            ("28P01", "password authentication failed for user \"reader\"", None),
        ] {
            assert_eq!(refusal(code, message, context).words(), message);
        }
        let placed = Refusal { is_placed: true, ..refusal("42P01", "relation \"t\" does not exist", None) };
        assert_eq!(placed.words(), "relation \"t\" does not exist");
    }

    #[test]
    fn a_message_that_may_quote_a_row_is_told_by_code_and_names() {
        let secret = |code, context| refusal(code, "secret", context).words();
        let log = "; the server's log has its words";
        assert_eq!(secret("22P02", None), format!("22P02 (invalid text representation){log}"));
        assert_eq!(secret("42P01", None), format!("42P01 (undefined table){log}"), "a view's cast to regclass");
        assert_eq!(secret("22P02", Some("JSON data, line 1: secret")), secret("22P02", None));
        assert_eq!(secret("A1B2C", None), format!("A1B2C (an error of another kind){log}"));
        let names = [("table", Some("t")), ("column", Some("c")), ("constraint", Some("k")), ("type", None)];
        let violated = |context| Refusal { schema: Some("s"), names, ..refusal("23514", "secret", context) }.words();
        let told = format!("23514 (check violation), table s.t, column c, constraint k{log}");
        assert_eq!(violated(None), told);
        assert_eq!(violated(Some("SQL statement \"INSERT\"\nPL/pgSQL function f() line 1 at SQL statement")), told);
    }

    #[test]
    fn nothing_that_a_function_raises_is_told_but_its_code() {
        for context in [
            "PL/pgSQL function f() line 1 at RAISE\nCOPY t, line 1",
            "PL/Python function \"f\"",
            "PL/pgSQL-Funktion f()",
        ] {
            let names = [("table", Some("secret")), ("column", Some("secret")), ("constraint", None), ("type", None)];
            let raised = Refusal { is_placed: true, names, ..refusal("57014", "secret", Some(context)) }.words();
            assert_eq!(
                raised,
                "57014 (query canceled), raised by a function of the database; the server's log has its words"
            );
        }
    }
}
