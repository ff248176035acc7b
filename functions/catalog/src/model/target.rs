//! A dimension or fact, every reference in it resolved.

use std::sync::Arc;

use serde::Serialize;

use crate::model::source::{Field, Table};
use crate::model::{CalendarAttribute, Derived, PgType, Sizing, ValueType};
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
    /// A row a row of a source table.
    Table(Derivation),
    /// A row for every date that a fact refers to: what each of the target's columns, in their order, says of the date.
    Calendar(Vec<CalendarAttribute>),
}

/// How the rows of a source table become the rows of a target.
#[derive(Clone, Debug, Serialize)]
pub struct Derivation {
    /// The table: the origin.
    pub table: Arc<Table>,
    /// Lookups, each by one column of the origin.
    pub joins: Vec<Join>,
    /// How each of the target's columns, in their order, comes about.
    pub columns: Vec<Derived>,
}

impl Derivation {
    /// The source tables that it reads: the origin first, then the lookups.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        std::iter::once(&self.table).chain(self.joins.iter().map(|join| &join.table))
    }
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

/// A column of the origin table or of a join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnRef {
    /// The join it belongs to (index into [`Derivation::joins`]); `None` is the origin table.
    pub join: Option<usize>,
    /// The column there.
    pub field: Field,
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
