//! Typed column batches: rows come in as CSV, travel as Parquet, and go out as binary COPY.
//!
//! No I/O: bytes in, bytes out. This is the only crate that names arrow2, so that replacing it is a change of one crate;
//! and the only one that knows how Postgres prints a value and how it packs one.
//!
//! ```
//! use catalog::ValueType;
//! use columnar::csv::{Record, Records};
//! use columnar::{Column, Rows, Schema, parquet};
//!
//! let schema = Schema(vec![Column { name: "id".to_owned(), value: ValueType::Integer }]);
//! let mut records = Records::new(b"id\n7\n8\n")?;
//! let (mut record, mut rows) = (Record::default(), Rows::new(schema.clone()));
//! while records.read(&mut record)? {
//!     let text = record.text(0)?.ok_or("NULL")?;
//!     rows.push(&[columnar::parse(ValueType::Integer, text)?])?;
//! }
//! let mut file = parquet::Writer::new(&schema)?;
//! file.write(rows.take())?;
//! assert_eq!(file.rows(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cell;
pub mod copy;
pub mod csv;
mod footer;
mod jsonb;
mod layout;
mod pages;
pub mod parquet;
mod rows;

pub use cell::{Cell, ValueError, date_of, parse, printed, time_of};
pub use jsonb::refused_by_jsonb;
pub use rows::{Chunk, Column, Rows, Schema};
