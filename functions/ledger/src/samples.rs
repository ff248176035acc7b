//! What the golden texts of statements are made from: names that break a statement which quotes carelessly.

use catalog::{Batch, BatchName, Catalog};

const TEXT: &str = r#"
    [pipeline]
    name = "shop"
    [source.tables.things]
    key = "id"
    capture = "snapshot"
    columns = { id = "integer" }
    [source.tables.pairs]
    key = ["left", "right"]
    capture = "changes"
    columns = { left = "integer", right = "text", thing = "integer null" }
    [warehouse]
    schema = "the \"star\""
    ledger = "the \"ledger\""
    [dimensions."dim 'thing'"]
    from = "things"
    columns = { "the id" = "id" }
    [facts."fact \"pair\""]
    from = "pairs"
    surrogate_key = "n o"
    [facts."fact \"pair\"".columns]
    "left %" = "left"
    "right \"hand\"" = "right"
    s = { from = "thing", references = "dim 'thing'" }
"#;

/// A dimension, and a fact with a key of two columns.
pub(crate) fn catalog() -> Catalog {
    Catalog::parse("hostile.toml", TEXT).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn batch() -> Batch {
    let name = BatchName::new("it's-the-one").expect("a name");
    Batch { started: "2026-11-24T10:00:00Z".parse().expect("a time"), name }
}
