//! Typed column batches: rows come in as CSV, travel as Parquet, and go out as binary COPY.
//!
//! No I/O: bytes in, bytes out. This is the only crate that names arrow2, so that replacing it is a change of one crate;
//! and the only one that knows how Postgres prints a value and how it packs one.
//!
//! ```ignore
//! let mut records = columnar::csv::Records::new(&part)?;
//! let mut rows = columnar::Rows::new(schema.clone());
//! while let Some(record) = records.next()? {
//!     rows.push(&[columnar::parse(ValueType::Integer, record.text(0)?)?]);
//! }
//! let mut file = columnar::parquet::Writer::new(&schema)?;
//! file.write(rows.take())?;
//! ```

mod cell;
pub mod copy;
pub mod csv;
pub mod parquet;
mod rows;

pub use cell::{Cell, ValueError, date_of, parse, time_of};
pub use rows::{Chunk, Column, Rows, Schema};
