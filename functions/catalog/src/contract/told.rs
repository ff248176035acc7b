//! What leaves the pipeline of a row in a message, a log or a history: its key where that is a number or a uuid, and nothing
//! else. The rest is read where rows are kept: the lake, and the reject table.

use std::fmt;

use serde_json::error::Category;

use crate::model::ValueType;
use crate::sql::Ident;

/// The key of a row as people are told of it: `number 7, place (text)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldKey {
    text: String,
    is_whole: bool,
}

impl ToldKey {
    /// Of the key's columns and their values, as Postgres prints them; `None` is NULL.
    #[must_use]
    pub fn of<'k>(parts: impl IntoIterator<Item = (&'k Ident, ValueType, Option<&'k str>)>) -> Self {
        let mut key = Self { text: String::new(), is_whole: true };
        for (name, value, text) in parts {
            let comma = if key.text.is_empty() { "" } else { ", " };
            let told = match text {
                None => "NULL".to_owned(),
                Some(text) if is_told(value, text) => text.to_owned(),
                Some(_) => {
                    key.is_whole = false;
                    format!("({value})")
                }
            };
            key.text.push_str(&format!("{comma}{name} {told}"));
        }
        key
    }

    /// Whether it tells the row from every other one: no part of it is held back.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl fmt::Display for ToldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a value of a key is told: a number or a uuid that reads like one, whatever its column is said to be.
fn is_told(value: ValueType, text: &str) -> bool {
    match value {
        ValueType::SmallInt
        | ValueType::Integer
        | ValueType::BigInt
        | ValueType::Numeric { .. }
        | ValueType::Real
        | ValueType::Double => {
            text.len() <= 48 && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.e".contains(&byte))
        }
        ValueType::Uuid => text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
        ValueType::Boolean
        | ValueType::Text
        | ValueType::Date
        | ValueType::Time
        | ValueType::Timestamp
        | ValueType::TimestampTz
        | ValueType::Json
        | ValueType::JsonB => false,
    }
}

/// Why JSON cannot be read, without what stands in it: the parser quotes a value that it did not expect.
#[must_use]
pub fn told_json(error: &serde_json::Error) -> String {
    let place = match error.line() {
        0 => String::new(),
        line => format!(" at line {line} column {}", error.column()),
    };
    let what = match error.classify() {
        Category::Io => return error.to_string(),
        Category::Eof => "the JSON ends too early",
        Category::Syntax => "it is no JSON",
        Category::Data => match expected(error) {
            Some(expected) => return format!("the JSON is of another shape: expected {expected}{place}"),
            None => "the JSON is of another shape",
        },
    };
    format!("{what}{place}")
}

/// What stands at the end of these messages of the parser is a type's own description of itself.
fn expected(error: &serde_json::Error) -> Option<String> {
    let message = error.to_string();
    let ["invalid", "type:" | "value:", ..] = message.splitn(3, ' ').collect::<Vec<_>>()[..] else { return None };
    let (_, expected) = message.rsplit_once(", expected ")?;
    Some(expected.split(" at line ").next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::state::State;

    #[test]
    fn a_number_and_a_uuid_are_told_and_nothing_else() {
        let name = Ident::new("id").unwrap();
        let told = |value, text| ToldKey::of([(&name, value, text)]);
        let numeric = ValueType::Numeric { precision: 38, scale: 2 };
        let uuid = "550e8400-e29b-41d4-a716-446655440000";
        for (value, text) in
            [(ValueType::Integer, "-7"), (numeric, "123.40"), (ValueType::Double, "1.5e-07"), (ValueType::Uuid, uuid)]
        {
            let key = told(value, Some(text));
            assert_eq!((key.to_string(), key.is_whole()), (format!("id {text}"), true));
        }
        for (value, text, shown) in [
            (ValueType::Text, "7", "(text)"),
            (ValueType::Date, "2024-11-15", "(date)"),
            (ValueType::Boolean, "true", "(boolean)"),
            (ValueType::Integer, "secret", "(integer)"),
            (ValueType::Uuid, "secret", "(uuid)"),
        ] {
            let key = told(value, Some(text));
            assert_eq!((key.to_string(), key.is_whole()), (format!("id {shown}"), false));
        }
        assert_eq!(told(ValueType::Text, None).to_string(), "id NULL");
        let other = Ident::new("place").unwrap();
        let both = ToldKey::of([(&name, ValueType::Integer, Some("7")), (&other, ValueType::Text, Some("a"))]);
        assert_eq!((both.to_string(), both.is_whole()), ("id 7, place (text)".to_owned(), false));
    }

    #[test]
    fn json_that_cannot_be_read_is_told_without_a_value() {
        for (json, told) in [
            ("\"secret, expected x\"", "the JSON is of another shape: expected struct State at line 1 column 20"),
            (
                "{\"batch\": {\"name\": {\"secret\": 1}}}",
                "the JSON is of another shape: expected a string at line 1 column 19",
            ),
            ("{\"secret\": 1}", "the JSON is of another shape: missing"),
            ("{\"batch\": \"secret", "the JSON ends too early at line 1 column 17"),
            ("secret", "it is no JSON at line 1 column 1"),
        ] {
            let said = told_json(&serde_json::from_str::<State>(json).unwrap_err());
            assert!(!said.contains("secret"), "{said}");
            assert!(said.starts_with(told.trim_end_matches(": missing")), "{said}, not {told}");
        }
    }
}
