//! The vocabulary of derived columns: one table of every word. The parser, its messages and the documentation read it
//! here; `transform` evaluates it, in one match that forgets no word.

use serde::Serialize;

use crate::enumeration::enumeration;
use crate::model::{ColumnRef, ValueType};

enumeration! {
    /// A word that says how the value of a column comes about from a column of the source.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Word {
        /// The value as it is.
        From,
        /// The day of a timestamp.
        DateOf,
        /// The time of day of a timestamp.
        TimeOf,
        /// A date written as text.
        TextToDate,
        /// The ISO 4217 name of a currency code.
        CurrencyName,
    }
}

/// What there is to say of a word.
#[derive(Clone, Copy, Debug)]
pub struct WordRow {
    /// How `pipeline.toml` spells it.
    pub name: &'static str,
    /// The types that it reads; `None` where it reads any.
    pub reads: Option<&'static [ValueType]>,
    /// The type that it gives; `None` where it gives what it reads.
    pub gives: Option<ValueType>,
    /// What it does, for the documentation: a phrase without a full stop.
    pub meaning: &'static str,
    /// A value of the first type that it reads (a text where it reads any), and what becomes of it; both as Postgres
    /// prints them.
    pub example: (&'static str, &'static str),
}

const TIMESTAMPS: Option<&[ValueType]> = Some(&[ValueType::Timestamp, ValueType::TimestampTz]);
const TEXT: Option<&[ValueType]> = Some(&[ValueType::Text]);

impl Word {
    /// The table. No wildcard: a new word has to say all of it.
    #[must_use]
    pub fn row(self) -> WordRow {
        match self {
            Self::From => WordRow {
                name: "from",
                reads: None,
                gives: None,
                meaning: "the value as it is; what the short form `\"column\"` means",
                example: ("007", "007"),
            },
            Self::DateOf => WordRow {
                name: "date_of",
                reads: TIMESTAMPS,
                gives: Some(ValueType::Date),
                meaning: "the day of a timestamp, in UTC where it has a zone",
                example: ("2022-11-03 14:20:52.186", "2022-11-03"),
            },
            Self::TimeOf => WordRow {
                name: "time_of",
                reads: TIMESTAMPS,
                gives: Some(ValueType::Time),
                meaning: "the time of day of a timestamp, microseconds kept, in UTC where it has a zone",
                example: ("2022-11-03 14:20:52.186", "14:20:52.186"),
            },
            Self::TextToDate => WordRow {
                name: "text_to_date",
                reads: TEXT,
                gives: Some(ValueType::Date),
                meaning: "the date that the text is, written YYYY-MM-DD; a row with another text is rejected",
                example: ("2024-11-15", "2024-11-15"),
            },
            Self::CurrencyName => WordRow {
                name: "currency_name",
                reads: TEXT,
                gives: Some(ValueType::Text),
                meaning: "the English name of the ISO 4217 code; a row with another code is rejected",
                example: ("GBP", "Pound sterling"),
            },
        }
    }

    /// How `pipeline.toml` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it reads values of that type.
    #[must_use]
    pub fn accepts(self, value: ValueType) -> bool {
        self.row().reads.is_none_or(|reads| reads.contains(&value))
    }

    /// The type of what becomes of values of that type.
    #[must_use]
    pub fn gives(self, value: ValueType) -> ValueType {
        self.row().gives.unwrap_or(value)
    }
}

/// How a column comes about: what is read, and the word that says what is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Derived {
    /// What is made of it.
    pub word: Word,
    /// What is read.
    pub of: ColumnRef,
}
