//! `checkpoint::handle` against a real warehouse: a test notes in the ledger what a load would have noted, then harms the
//! warehouse as people do.
//!
//! One binary for link time. No mocks. Every test has databases of its own, kept when it fails.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod holds;
mod refusals;
mod rights;
mod shop;
mod strangers;
