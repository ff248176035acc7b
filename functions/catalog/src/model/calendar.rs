//! What a calendar knows of a date: one table of every attribute. The parser, its messages and the documentation read it
//! here; `transform` evaluates it, and `load` for a calendar that is made anew, each in one match that forgets none.

use serde::Serialize;

use crate::enumeration::enumeration;
use crate::model::ValueType;

enumeration! {
    /// What can be said of a date.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    #[serde(rename_all = "snake_case")]
    pub enum CalendarAttribute {
        /// The date itself; the key.
        Date,
        /// The year, negative before the year 0 of astronomers.
        Year,
        /// 1 to 12.
        Month,
        /// 1 to 31.
        Day,
        /// ISO 8601: Monday 1 to Sunday 7.
        DayOfWeek,
        /// Monday.
        DayName,
        /// January.
        MonthName,
        /// 1 to 4.
        Quarter,
    }
}

/// What there is to say of an attribute.
#[derive(Clone, Copy, Debug)]
pub struct CalendarRow {
    /// How `pipeline.toml` spells it.
    pub name: &'static str,
    /// The type of its values.
    pub value: ValueType,
    /// What it is, for the documentation: a phrase without a full stop.
    pub meaning: &'static str,
    /// What it is on [`CalendarAttribute::EXAMPLE`], as Postgres prints it.
    pub example: &'static str,
}

impl CalendarAttribute {
    /// The date of the examples, a Friday.
    pub const EXAMPLE: &'static str = "2024-11-15";

    /// The table. No wildcard: a new attribute has to say all of it.
    #[must_use]
    pub fn row(self) -> CalendarRow {
        let row = |name, value, meaning, example| CalendarRow { name, value, meaning, example };
        match self {
            Self::Date => row("date", ValueType::Date, "the date itself: the key of every calendar", "2024-11-15"),
            Self::Year => row("year", ValueType::Integer, "the year", "2024"),
            Self::Month => row("month", ValueType::Integer, "1 to 12", "11"),
            Self::Day => row("day", ValueType::Integer, "day of the month, 1 to 31", "15"),
            Self::DayOfWeek => row("day_of_week", ValueType::Integer, "Monday is 1, Sunday 7", "5"),
            Self::DayName => row("day_name", ValueType::Text, "English name of the day", "Friday"),
            Self::MonthName => row("month_name", ValueType::Text, "English name of the month", "November"),
            Self::Quarter => row("quarter", ValueType::Integer, "1 to 4", "4"),
        }
    }

    /// How `pipeline.toml` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The type of its values.
    #[must_use]
    pub fn value(self) -> ValueType {
        self.row().value
    }
}
