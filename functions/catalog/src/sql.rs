//! Names and texts as they appear in SQL. Nothing else in the workspace quotes a name or a text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Postgres keeps 63 bytes of a name and cuts the rest off silently, so a longer one is refused here.
const MAX_BYTES: usize = 63;

/// The name of a table, column or schema, exactly as Postgres holds it (case kept, never folded).
///
/// It displays bare, for messages; [`Ident::sql`] displays it quoted, for statements.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

/// Why a text is not a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentError {
    /// Zero bytes long.
    #[error("a name may not be empty")]
    Empty,
    /// Over 63 bytes.
    #[error("the name {0:?} has {1} bytes; Postgres keeps 63")]
    TooLong(String, usize),
    /// Holds a NUL or another control character.
    #[error("the name {0:?} holds a control character")]
    Control(String),
}

impl Ident {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`IdentError`] when Postgres could not hold the name as it is.
    pub fn new(name: impl Into<String>) -> Result<Self, IdentError> {
        let name = name.into();
        if name.is_empty() {
            Err(IdentError::Empty)
        } else if name.chars().any(char::is_control) {
            Err(IdentError::Control(name))
        } else if name.len() > MAX_BYTES {
            let bytes = name.len();
            Err(IdentError::TooLong(name, bytes))
        } else {
            Ok(Self(name))
        }
    }

    /// The largest legal name that starts with `parts` joined by `_`: where it would be too long, the parts are cut
    /// and a digest of the whole keeps it unique. For constraints and indexes, which nobody types.
    #[must_use]
    pub fn derived(parts: &[&str]) -> Self {
        let whole = parts.join("_");
        Self(shorten(&whole, MAX_BYTES))
    }

    /// The bare name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name quoted for SQL: `"sales""order"`.
    #[must_use]
    pub fn sql(&self) -> SqlIdent<'_> {
        SqlIdent(&self.0)
    }
}

/// `text` if it has at most `max` bytes, else its beginning and eight hex digits of its digest, together `max` bytes.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let digest = crate::digest::hex(text.as_bytes());
    let mut end = max - 9;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{}", &text[..end], &digest[..8])
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Ident {
    type Error = IdentError;
    fn try_from(name: String) -> Result<Self, IdentError> {
        Self::new(name)
    }
}

impl From<Ident> for String {
    fn from(ident: Ident) -> String {
        ident.0
    }
}

/// An [`Ident`] on its way into a statement.
#[derive(Clone, Copy, Debug)]
pub struct SqlIdent<'a>(&'a str);

impl fmt::Display for SqlIdent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// `"schema"."table"`.
#[must_use]
pub fn qualified(schema: &Ident, table: &Ident) -> String {
    format!("{}.{}", schema.sql(), table.sql())
}

/// A text constant in SQL: `'O''Keefe'`. For the statements that take no parameters (COPY, SET).
///
/// Relies on `standard_conforming_strings = on`, Postgres' default since 9.1, which [`crate`]'s users pin per session.
#[derive(Clone, Copy, Debug)]
pub struct Literal<'a>(pub &'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_and_case_is_kept() {
        assert_eq!(Ident::new("Weird \"Name").unwrap().sql().to_string(), "\"Weird \"\"Name\"");
        assert_eq!(Literal("O'Keefe \\").to_string(), "'O''Keefe \\'");
    }

    #[test]
    fn names_postgres_would_cut_or_refuse_are_refused() {
        assert_eq!(Ident::new(""), Err(IdentError::Empty));
        assert!(Ident::new("a".repeat(63)).is_ok());
        assert!(matches!(Ident::new("é".repeat(32)), Err(IdentError::TooLong(_, 64))));
        assert!(matches!(Ident::new("a\0b"), Err(IdentError::Control(_))));
    }

    #[test]
    fn derived_names_stay_legal_and_distinct() {
        let long = "t".repeat(63);
        let one = Ident::derived(&[&long, "a", "fkey"]);
        let two = Ident::derived(&[&long, "b", "fkey"]);
        assert_eq!(one.as_str().len(), 63);
        assert_ne!(one, two);
        assert_eq!(Ident::derived(&["fact", "id", "fkey"]).as_str(), "fact_id_fkey");
    }
}
