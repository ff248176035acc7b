//! The local services answer what AWS answers: refusals by name, objects created once, an API that an SDK can use.
//!
//! One binary for link time. Every test has services of its own in a temporary folder, without functions and without
//! Postgres; the real SDKs speak to them over sockets.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod door;
mod ends;
mod forgeries;
mod lake;
mod raw;
mod signatures;
mod topic;
mod world;
