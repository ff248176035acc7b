//! The programs that scripts call, the scripts that hold more than calls, and what pages promise.
//!
//! One binary for link time. What is not of this repository (AWS, Terraform) is played by the programs in `fakes`, found on
//! the search path, which keep what they are asked.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod deploying;
mod guarantees;
mod supply;
