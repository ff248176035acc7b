//! The console as people meet it: over a stack of its own a test, asked byte by byte.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod hand;
mod reading;
mod site;
