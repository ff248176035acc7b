//! Sample data: a `totesys` of the shape of the real one, and an application that goes on trading in it.

mod orders;
mod people;
mod seed;
mod trade;

pub use seed::{SeedSource, TABLES, is_empty, seed};
pub use trade::Trader;
