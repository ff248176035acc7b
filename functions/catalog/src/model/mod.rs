//! What a checked `pipeline.toml` means. Every reference in it is resolved: [`crate::parse`] makes no other.

mod calendar;
mod dates;
mod pg_type;
mod source;
mod target;
mod value_type;
mod vocabulary;

use std::sync::Arc;
use std::time::Duration;

pub use calendar::{CalendarAttribute, CalendarRow};
pub use dates::Dates;
pub use pg_type::PgType;
pub use source::{Capture, Field, SourceColumn, Table};
pub use target::{ColumnRef, Derivation, Join, Origin, Reference, Target, TargetColumn, TargetKind};
pub use value_type::{Arguments, MAX_PRECISION, TypeName, TypeRow, ValueType};
pub use vocabulary::{Derived, Word, WordRow};

use crate::sql::Ident;

/// The whole catalogue.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The name of its file, without the folder: for people who are told a line of it.
    pub file: String,
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
    /// Looks at what the warehouse holds.
    pub checkpoint: Sizing,
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
    pub tables: Vec<Arc<Table>>,
}

/// The warehouse database.
#[derive(Clone, Debug)]
pub struct Warehouse {
    /// Where its tables live.
    pub schema: Ident,
    /// The schema of the pipeline's own tables: which batches are in the warehouse, and what it could not take.
    pub ledger: Ident,
    /// More rejected rows than this in one target and batch fail the batch instead.
    pub reject_limit: u64,
    /// Dimensions, then facts, each in the order of the file.
    pub targets: Vec<Arc<Target>>,
}

impl Catalog {
    /// The source table of that name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.source.tables.iter().find(|table| table.name.as_str() == name)
    }

    /// The dimension or fact of that name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Arc<Target>> {
        self.warehouse.targets.iter().find(|target| target.name.as_str() == name)
    }

    /// The source tables whose rows a target is made of: its origin first, then its joins; for a calendar the origin of
    /// every fact that refers to it, and the lookups that the dates come from. None twice.
    #[must_use]
    pub fn sources_of<'c>(&'c self, target: &'c Target) -> Vec<&'c Arc<Table>> {
        let all: Vec<&Arc<Table>> = match &target.origin {
            Origin::Table(derivation) => derivation.tables().collect(),
            Origin::Calendar(_) => self.dates_of(target).iter().flat_map(Dates::tables).collect(),
        };
        let mut tables: Vec<&Arc<Table>> = Vec::new();
        for table in all {
            if !tables.iter().any(|seen| seen.name == table.name) {
                tables.push(table);
            }
        }
        tables
    }

    /// The dates that a calendar has a row for: of every fact that refers to it, the columns that do.
    #[must_use]
    pub fn dates_of<'c>(&'c self, calendar: &Target) -> Vec<Dates<'c>> {
        self.warehouse.targets.iter().filter_map(|fact| Dates::of(fact, calendar)).collect()
    }

    /// A digest of everything that decides a target's rows: where it differs from the one of the last commit, the
    /// target's tables are read in full.
    #[must_use]
    pub fn fingerprint(&self, target: &Target) -> String {
        let mut tables = self.sources_of(target);
        tables.sort_by_key(|table| &table.name);
        let dates: Vec<_> = match target.origin {
            Origin::Calendar(_) => self.dates_of(target).iter().map(described).collect(),
            Origin::Table(_) => Vec::new(),
        };
        let schemas = [&self.source.schema, &self.warehouse.schema];
        short(&serde_json::json!({ "target": target, "tables": tables, "dates": dates, "schemas": schemas }))
    }

    /// A digest of everything that decides what is read of a table.
    #[must_use]
    pub fn fingerprint_of_table(&self, table: &Table) -> String {
        short(&serde_json::json!({ "table": table, "schema": self.source.schema }))
    }

    /// A digest of everything that functions have to agree on.
    #[must_use]
    pub fn fingerprint_of_all(&self) -> String {
        let tables: Vec<_> = self.source.tables.iter().map(|table| self.fingerprint_of_table(table)).collect();
        let targets: Vec<_> = self.warehouse.targets.iter().map(|target| self.fingerprint(target)).collect();
        let names = [self.pipeline.name.as_str(), self.warehouse.ledger.as_str()];
        short(&serde_json::json!({ "tables": tables, "targets": targets, "names": names }))
    }
}

/// The beginning of a digest: enough to tell two apart that nobody chose.
fn short(value: &serde_json::Value) -> String {
    crate::digest::hex(value.to_string().as_bytes())[..16].to_owned()
}

/// Where a calendar's dates come from, for its fingerprint.
fn described(dates: &Dates<'_>) -> serde_json::Value {
    serde_json::json!({ "table": dates.derivation.table.name, "joins": dates.joins, "columns": dates.columns })
}
