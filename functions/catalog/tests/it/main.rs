//! The catalogue from outside: the shipped `pipeline.toml` and every kind of mistake in one.
//!
//! One binary for link time. No I/O but reading the repository's own files.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod catalogue;
mod docs;
mod mistakes;

/// The text of the shipped catalogue.
fn shipped() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipeline.toml");
    std::fs::read_to_string(path).expect("the repository holds pipeline.toml")
}
