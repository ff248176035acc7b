//! A source table and what is read of it.

use serde::Serialize;

use crate::model::{Sizing, ValueType};
use crate::sql::Ident;

/// What is read of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// The rows written since the last committed read.
    Changes,
    /// The whole table whenever anything in it changed.
    Snapshot,
}

/// A source table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Its name in the source schema.
    pub name: Ident,
    /// Columns that identify a row; none nullable.
    pub key: Vec<Field>,
    /// What is read of it.
    pub capture: Capture,
    /// Whether its counters alone may prove that it did not change, though a session may not have reported its last
    /// changes: they are then read when it has, or at the latest when the table is due.
    #[serde(skip)]
    pub trust_counters: bool,
    /// The date or time that the application moves with a change: where an index leads with it, the table is asked by that
    /// index whether it changed. A change that does not move it is found when the table is due to be read again.
    #[serde(skip)]
    pub cursor: Option<Field>,
    /// The mapped columns, in the order of the file; this is the order in the CSV.
    pub columns: Vec<SourceColumn>,
    /// Of the function that extracts it.
    #[serde(skip)]
    pub sizing: Sizing,
    /// Line in the file, from 1.
    #[serde(skip)]
    pub line: usize,
}

/// A mapped source column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceColumn {
    /// Its name.
    pub name: Ident,
    /// The type it travels as.
    pub value: ValueType,
    /// Whether NULL is expected.
    pub nullable: bool,
    /// Line in the file, from 1.
    #[serde(skip)]
    pub line: usize,
}

impl Table {
    /// The column of that name, with its place.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Field> {
        let place = self.columns.iter().position(|column| column.name.as_str() == name)?;
        Some(Field { place, column: self.columns[place].clone() })
    }
}

/// A column of a source table, found: where it stands among the table's columns, which is where it stands in the CSV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// From 0.
    pub place: usize,
    /// The column.
    pub column: SourceColumn,
}
