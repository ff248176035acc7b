//! A dimension or fact, every reference in it resolved.

use std::sync::Arc;

use serde::Serialize;

use crate::model::source::{Field, Table};
use crate::model::{PgType, Sizing, ValueType};
use crate::sql::Ident;

/// A dimension or a fact.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// Its name in the warehouse schema.
    pub name: Ident,
    /// Dimension or fact.
    pub kind: TargetKind,
    /// Where its rows come from.
    pub origin: Origin,
    /// Lookups, each by one column of the origin table.
    pub joins: Vec<Join>,
    /// Columns (of `columns`) that identify a row of the origin.
    pub key: Vec<Ident>,
    /// In the order of the file; this is the order in Parquet and in the warehouse.
    pub columns: Vec<TargetColumn>,
    /// Of the function that transforms it.
    #[serde(skip)]
    pub sizing: Sizing,
    /// Line in the file, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// What kind of table a target is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// One row a key, the latest values.
    Dimension,
    /// One row a version of a key.
    Fact {
        /// The serial column that numbers the versions.
        surrogate_key: Ident,
    },
}

/// Where a target's rows come from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A row a row of this source table.
    Table(Arc<Table>),
    /// A row for every date that a fact refers to.
    Calendar,
}

/// A lookup: `origin.on = table.key`.
#[derive(Clone, Debug, Serialize)]
pub struct Join {
    /// What the columns of this target call it.
    pub alias: Ident,
    /// The table looked up in, captured as a snapshot.
    pub table: Arc<Table>,
    /// Its key, which is one column.
    pub key: Field,
    /// The column of the origin table that holds that key.
    pub on: Field,
}

/// A warehouse column.
#[derive(Clone, Debug, Serialize)]
pub struct TargetColumn {
    /// Its name.
    pub name: Ident,
    /// How its values come about.
    pub expression: Expression,
    /// The type its values travel as.
    pub value: ValueType,
    /// The type of the column in the warehouse.
    pub pg_type: PgType,
    /// Whether the warehouse column takes NULL.
    pub nullable: bool,
    /// What stands for NULL, as Postgres prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_null: Option<String>,
    /// The dimension whose key this column holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Reference>,
    /// Line in the file, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// A foreign key: to a dimension by its key of one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// The dimension.
    pub dimension: Ident,
    /// Its key.
    pub key: Ident,
}

/// The vocabulary of derived columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expression {
    /// The value as it is.
    Column(ColumnRef),
    /// The day of a timestamp.
    DateOf(ColumnRef),
    /// The time of day of a timestamp.
    TimeOf(ColumnRef),
    /// A date written as text, `2024-11-15`.
    TextToDate(ColumnRef),
    /// The ISO 4217 name of a currency code.
    CurrencyName(ColumnRef),
    /// An attribute of the calendar row's own date.
    Calendar(CalendarAttribute),
}

impl Expression {
    /// The source column it reads, if it reads one.
    #[must_use]
    pub fn column(&self) -> Option<&ColumnRef> {
        match self {
            Self::Column(column)
            | Self::DateOf(column)
            | Self::TimeOf(column)
            | Self::TextToDate(column)
            | Self::CurrencyName(column) => Some(column),
            Self::Calendar(_) => None,
        }
    }
}

/// A column of the origin table or of a join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnRef {
    /// The join it belongs to (index into [`Target::joins`]); `None` is the origin table.
    pub join: Option<usize>,
    /// The column there.
    pub field: Field,
}

/// What can be said of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarAttribute {
    /// The date itself; the key.
    Date,
    /// 2024
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

impl CalendarAttribute {
    pub(crate) const NAMES: [(&'static str, Self); 8] = [
        ("date", Self::Date),
        ("year", Self::Year),
        ("month", Self::Month),
        ("day", Self::Day),
        ("day_of_week", Self::DayOfWeek),
        ("day_name", Self::DayName),
        ("month_name", Self::MonthName),
        ("quarter", Self::Quarter),
    ];

    pub(crate) fn value(self) -> ValueType {
        match self {
            Self::Date => ValueType::Date,
            Self::Year | Self::Month | Self::Day | Self::DayOfWeek | Self::Quarter => ValueType::Integer,
            Self::DayName | Self::MonthName => ValueType::Text,
        }
    }
}

impl Target {
    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&TargetColumn> {
        self.columns.iter().find(|column| column.name.as_str() == name)
    }

    /// Whether it is a fact.
    #[must_use]
    pub fn is_fact(&self) -> bool {
        matches!(self.kind, TargetKind::Fact { .. })
    }

    /// The columns that refer to a dimension, with what they refer to.
    pub fn references(&self) -> impl Iterator<Item = (&TargetColumn, &Reference)> {
        self.columns.iter().filter_map(|column| Some((column, column.references.as_ref()?)))
    }
}
