//! The catalogue: `pipeline.toml` parsed and checked, and the words in which the rest of the pipeline speaks.
//!
//! Identifiers, object keys, messages between functions, faults. Pure: no I/O, no clock, no environment.
//!
//! ```ignore
//! let catalog = catalog::Catalog::parse("pipeline.toml", &text)?;
//! let table = catalog.table("sales_order").ok_or("no such table")?;
//! let key = catalog::lake::Key::manifest(&table.name, &batch).to_string();
//! ```

mod access;
mod batch;
pub mod digest;
mod document;
pub mod environment;
pub mod fault;
pub mod lake;
pub mod messages;
mod model;
mod naming;
mod parse;
mod problem;
mod sql;
mod value_type;

pub use access::Access;
pub use batch::{Batch, BatchName, BatchNameError};
pub use fault::{Error, Fault, Result};
pub use model::{
    CalendarAttribute, Capture, Catalog, ColumnRef, Expression, Functions, Join, Origin, Pipeline, Sizing, Source,
    SourceColumn, Table, Target, TargetColumn, TargetKind, Warehouse,
};
pub use naming::Function;
pub use problem::{Problem, Problems};
pub use sql::{Ident, IdentError, Literal, SqlIdent, qualified, written_since};
pub use value_type::{MAX_PRECISION, PgType, ValueType};

/// The column that carries a row's transaction id (`xmin`) beside the mapped ones, in CSV, Parquet and staging tables.
pub const ROW_VERSION: &str = "_xmin";
