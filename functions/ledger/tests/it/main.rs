//! The ledger in a real warehouse: made once by whoever comes first, and brought to this version where version 1 made it.
//!
//! One binary for link time. A test that fails keeps its databases.
#![expect(clippy::expect_used, reason = "a test ends at the first surprise")]

mod making;
