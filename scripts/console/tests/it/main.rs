//! The console as people meet it: in a browser.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod bed;
mod browser;
