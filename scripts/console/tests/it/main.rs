//! The console as people meet it: over a stack of its own a test, asked byte by byte and in a browser.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod bed;
mod browser;
mod hand;
mod reading;
mod screens;
mod site;
