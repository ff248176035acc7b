//! The API as its callers see it: a scripted service behind it, journals in a temporary folder.
//!
//! One binary for link time. A service's life is a runtime of its own: when it ends, what was out dies with it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod api;
mod damage;
mod ends;
mod journals;
mod machines;
mod many;
mod redrive;
mod world;
