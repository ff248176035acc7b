//! The definition as it is run: generated from the shipped catalogue, driven by scripted services and a clock of its own.
//!
//! One binary for link time. No I/O but the repository's own files; no real time passes.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod golden;
mod pipeline;
mod shipped;
#[path = "../../../asl/tests/it/simulation.rs"]
mod simulation;
