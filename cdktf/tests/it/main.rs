//! The stack, held against the provider's schema, AWS' limits and the catalogue it comes from.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod schema;
mod stacks;
mod world;
