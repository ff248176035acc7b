//! `load::handle` against a real Postgres and a real S3 API in process.
//!
//! One binary for link time. No mocks: a test writes Parquet and manifests as the transform would, then loads. Every test has
//! databases of its own, kept when it fails.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod anew;
mod columns;
mod merging;
mod order;
mod owners;
mod refusals;
mod rejects;
mod shop;
mod strangers;
mod surrogates;
mod swallowed;
mod values;
mod waiting;
