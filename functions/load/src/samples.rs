//! What the golden texts of statements are made from.

use catalog::{Batch, BatchName, Catalog};

/// Two dimensions, the second of a key alone, and a fact with a key of two columns and two references to the first.
pub(crate) fn catalog() -> Catalog {
    let text = include_str!("../tests/hostile.toml");
    Catalog::parse("hostile.toml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn batch() -> Batch {
    let name = BatchName::new("it's-the-one").expect("a name");
    Batch { started: "2026-11-24T10:00:00Z".parse().expect("a time"), name }
}
