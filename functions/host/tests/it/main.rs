//! The host's reading of live databases: a real Postgres with databases of the test's own.
//!
//! One binary for link time. Rules of the house: nothing is skipped, ignored or slept for; what Postgres holds is asked of
//! Postgres; a test that fails keeps its databases.
#![expect(clippy::expect_used, reason = "a test ends at the first surprise")]

mod identity;
mod inspect;
mod login;
mod rights;
mod words;

/// The least that is a catalogue; what is inspected needs no place in it.
const CATALOGUE: &str = "
    [pipeline]
    name = 'p'
    [source.tables.thing]
    key = 'id'
    capture = 'changes'
    columns = { id = 'integer' }
    [dimensions.dim_thing]
    from = 'thing'
    columns = { id = 'id' }
";
