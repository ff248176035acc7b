//! Sample data: a `totesys` of the shape of the real one, and an application that goes on trading in it.

mod orders;
mod people;
mod seed;
mod trade;

/// The tables of totesys without their foreign keys, in SQL.
pub const SCHEMA: &str = include_str!("schema.sql");

pub use seed::{SeedSource, TABLES, is_empty, seed};
pub use trade::Trader;
