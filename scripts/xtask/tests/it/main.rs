//! The programs that scripts call, and the scripts that hold more than calls, as people call them.
//!
//! One binary for link time. What is not of this repository (AWS, Terraform) is played by the programs in `fakes`, found on
//! the search path, which keep what they are asked.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod deploying;
