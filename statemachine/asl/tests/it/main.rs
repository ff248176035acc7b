//! The interpreter, driven by scripted services and a clock of its own, held against what was recorded on AWS.
//!
//! One binary for link time. No I/O; no real time passes.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod nesting;
mod recorded;
mod simulation;
mod wire;
