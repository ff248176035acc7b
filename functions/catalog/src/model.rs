//! What a checked `pipeline.toml` means. Every reference in it resolves: [`crate::parse`] makes no other.

use std::time::Duration;

use serde::Serialize;

use crate::sql::Ident;
use crate::value_type::{PgType, ValueType};

/// The whole catalogue.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Name, schedule, alerts.
    pub pipeline: Pipeline,
    /// Memory and time of the functions that serve the whole pipeline.
    pub functions: Functions,
    /// What is read.
    pub source: Source,
    /// What is kept up to date.
    pub warehouse: Warehouse,
}

/// The pipeline itself.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Lower-case letters, digits and hyphens, at most 20: it begins the name of everything made in AWS.
    pub name: String,
    /// Time between two scheduled executions: whole minutes.
    pub schedule: Duration,
    /// A table that did not change is read anyway after this long (R2).
    pub reread: Duration,
    /// An execution that runs longer is ended as TIMED_OUT: whole seconds.
    pub timeout: Duration,
    /// E-mail addresses that hear of failures and rejected rows.
    pub alerts: Vec<String>,
}

/// Memory and time of one Lambda function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Megabytes, 128 to 10,240.
    pub memory_mb: u32,
    /// Seconds, 1 to 900.
    pub timeout_seconds: u32,
}

/// The functions of which there is one.
#[derive(Clone, Copy, Debug)]
pub struct Functions {
    /// Decides what changed.
    pub plan: Sizing,
    /// Merges everything into the warehouse.
    pub load: Sizing,
    /// Holds a failed execution until it is redriven.
    pub halt: Sizing,
}

/// The source database.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where its tables live.
    pub schema: Ident,
    /// How long a read waits for a lock before it fails as `Source.Busy`.
    pub lock_timeout: Duration,
    /// A read expected to return more rows than this is cut into slices of this many.
    pub slice_rows: u64,
    /// In the order of the file.
    pub tables: Vec<Table>,
}

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
    /// Columns that identify a row; all among `columns`, none nullable.
    pub key: Vec<Ident>,
    /// What is read of it.
    pub capture: Capture,
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
#[derive(Clone, Debug, Serialize)]
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

/// The warehouse database.
#[derive(Clone, Debug)]
pub struct Warehouse {
    /// Where its tables live.
    pub schema: Ident,
    /// More rejected rows than this in one target and batch fail the batch instead.
    pub reject_limit: u64,
    /// Dimensions, then facts, each in the order of the file.
    pub targets: Vec<Target>,
}

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A row a row of this source table.
    Table(Ident),
    /// A row for every date that a fact refers to.
    Calendar,
}

/// A lookup: `from.on = table.key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Join {
    /// What the columns of this target call it.
    pub alias: Ident,
    /// The table looked up in, captured as a snapshot, with a key of one column.
    pub table: Ident,
    /// The column of the origin table that holds its key.
    pub on: Ident,
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
    pub references: Option<Ident>,
    /// Line in the file, from 1.
    #[serde(skip)]
    pub line: usize,
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
    /// Its name there.
    pub column: Ident,
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

impl Catalog {
    /// The source table of that name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.source.tables.iter().find(|table| table.name.as_str() == name)
    }

    /// The dimension or fact of that name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.warehouse.targets.iter().find(|target| target.name.as_str() == name)
    }

    /// The source tables whose rows a target is made of: its origin first, then its joins; for a calendar the origins
    /// of every fact that refers to it. None twice.
    #[must_use]
    pub fn sources_of<'c>(&'c self, target: &'c Target) -> Vec<&'c Table> {
        let names: Vec<&Ident> = match &target.origin {
            Origin::Table(origin) => {
                std::iter::once(origin).chain(target.joins.iter().map(|join| &join.table)).collect()
            }
            Origin::Calendar => self.dates_of(target).into_iter().map(|(table, _)| &table.name).collect(),
        };
        let mut tables: Vec<&Table> = Vec::new();
        for name in names {
            if let Some(table) = self.table(name.as_str())
                && !tables.iter().any(|seen| seen.name == table.name)
            {
                tables.push(table);
            }
        }
        tables
    }

    /// Every fact column that refers to this calendar, with the origin table of its fact.
    #[must_use]
    pub fn dates_of<'c>(&'c self, calendar: &Target) -> Vec<(&'c Table, &'c TargetColumn)> {
        self.warehouse
            .targets
            .iter()
            .filter_map(|fact| match &fact.origin {
                Origin::Table(origin) => Some((self.table(origin.as_str())?, fact)),
                Origin::Calendar => None,
            })
            .flat_map(|(table, fact)| fact.columns.iter().map(move |column| (table, column)))
            .filter(|(_, column)| column.references.as_ref() == Some(&calendar.name))
            .collect()
    }

    /// A digest of everything that decides a target's rows: where it differs from the one of the last commit, the
    /// target's tables are read in full.
    #[must_use]
    pub fn fingerprint(&self, target: &Target) -> String {
        let mut tables = self.sources_of(target);
        tables.sort_by_key(|table| &table.name);
        let dates: Vec<_> = match target.origin {
            Origin::Calendar => {
                self.dates_of(target).into_iter().map(|(table, column)| (&table.name, column)).collect()
            }
            Origin::Table(_) => Vec::new(),
        };
        let text = serde_json::json!({ "target": target, "tables": tables, "dates": dates }).to_string();
        crate::digest::hex(text.as_bytes())[..16].to_owned()
    }
}

impl Table {
    /// The column of that name and its place.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<(usize, &SourceColumn)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name.as_str() == name)
    }
}

impl Target {
    /// The column of that name and its place.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<(usize, &TargetColumn)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name.as_str() == name)
    }

    /// Whether it is a fact.
    #[must_use]
    pub fn is_fact(&self) -> bool {
        matches!(self.kind, TargetKind::Fact { .. })
    }

    /// The columns that refer to a dimension, with its name.
    pub fn references(&self) -> impl Iterator<Item = (&TargetColumn, &Ident)> {
        self.columns.iter().filter_map(|column| Some((column, column.references.as_ref()?)))
    }
}
