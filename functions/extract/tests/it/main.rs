//! Extract by itself: a real Postgres with databases of the test's own, a real S3 API in this process.
//!
//! One binary for link time. Rules of the house: nothing is skipped, ignored or slept for; what Postgres holds is asked of
//! Postgres; a test that fails keeps its databases.

mod reads;
