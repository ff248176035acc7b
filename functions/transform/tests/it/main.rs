//! Transform by itself: CSV that a test writes goes through a real S3 API in this process, and Parquet comes out of it.
//!
//! One binary for link time. Rules of the house: nothing is skipped, ignored or slept for; what a Parquet file holds is
//! asked of a real Postgres that it was copied into; a test that fails keeps its databases.

#![expect(clippy::expect_used, reason = "a test ends at the first surprise")]

mod bed;
mod calendar;
mod parts;
mod rows;
