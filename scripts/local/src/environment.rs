//! The environment of this process, read here alone.

use std::path::PathBuf;

/// A variable, unless it is missing, empty or no text.
#[expect(clippy::disallowed_methods, reason = "this is where the program reads its environment")]
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The program of cargo, when cargo started this process (`cargo run`, `cargo test`).
#[must_use]
pub fn cargo() -> Option<PathBuf> {
    variable("CARGO").map(PathBuf::from)
}

/// The names of all variables.
pub(crate) fn names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}
