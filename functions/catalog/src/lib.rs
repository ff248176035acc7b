//! The catalogue: `pipeline.toml` parsed and checked, and the words in which the rest of the pipeline speaks.
//!
//! Three floors: the model (what the file means), the contract (what functions say to each other), the deployment (every
//! name, and what each function reaches). Pure: no I/O, no clock, no environment.
//!
//! ```
//! use catalog::{BatchName, Catalog, key::Key};
//!
//! let text = "
//!     [pipeline]
//!     name = 'shop'
//!     [source.tables.staff]
//!     key = 'id'
//!     capture = 'snapshot'
//!     columns = { id = 'integer', name = 'text' }
//!     [dimensions.dim_staff]
//!     from = 'staff'
//!     columns = { id = 'id', name = 'name' }
//! ";
//! let catalog = Catalog::parse("pipeline.toml", text).expect("a catalogue");
//! let table = catalog.table("staff").expect("a table");
//! let batch = BatchName::new("2026-11-23T13-05-00.123Z").expect("a name");
//! assert_eq!(Key::manifest(&table.name, &batch).to_string(), "staff/2026-11-23T13-05-00.123Z/manifest.json");
//! ```

mod contract;
pub mod deployment;
pub mod digest;
pub mod docs;
mod document;
mod enumeration;
mod model;
mod parse;
mod plain;
mod problem;
mod sql;

pub use contract::batch::{Batch, BatchName, BatchNameError};
pub use contract::fault::{Error, Fault, Result};
pub use contract::horizon::{Horizon, Window};
pub use contract::side::Side;
pub use contract::told::{ToldKey, told_json};
pub use contract::{alert, fault, key, ledger, manifest, message, state};
pub use deployment::{Access, Deployment, EnvironmentName, Function};
pub use model::{
    Arguments, CalendarAttribute, CalendarRow, Capture, Catalog, ColumnRef, Dates, Derivation, Derived, Field,
    Functions, Join, MAX_PRECISION, Origin, PgType, Pipeline, Reference, Sizing, Source, SourceColumn, Table, Target,
    TargetColumn, TargetKind, TypeName, TypeRow, ValueType, Warehouse, Word, WordRow,
};
pub use plain::plain;
pub use problem::{Problem, Problems};
pub use sql::{Ident, IdentError, Literal, SqlIdent, qualified};

/// The column that carries a row's transaction id (`xmin`) beside the mapped ones, in CSV, Parquet and staging tables.
pub const ROW_VERSION: &str = "_xmin";
