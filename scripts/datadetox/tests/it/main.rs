//! The whole pipeline, as it is run: real Postgres, the real SDKs, a real process for every function.
//!
//! One binary for link time. Rules of the house: every test has a stack of its own in a temporary folder; nothing is
//! skipped, ignored or slept for; what Postgres holds is asked of Postgres. A helper is as short as what it helps.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod accounts;
mod changes;
mod command_line;
mod console;
mod crashes;
mod failures;
mod first_load;
mod healing;
mod hijack;
mod homes;
mod own_databases;
mod panics;
mod readers;
mod redrive;
mod rejects;
mod rooms;
mod services;
mod shell;
mod terminal;
mod tls;
mod truth;
mod urls;
mod values;
mod values_stay;
mod world;
