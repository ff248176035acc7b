//! The model test: tries to break the promise that no run is ever green over a wrong warehouse.
//!
//! A *seed* is a shop with a catalogue of its own, on the very stack that people run: real Postgres, the real SDKs over
//! sockets, a process a function. Many writers change its source while runs load its warehouse, faults strike at every
//! seam, and a *circumstance* changes: a partition is attached, a warehouse restored, a server promoted. At the end the
//! writers rest, the source is made consistent, and SQL over a journal that triggers kept says whether the warehouse is
//! right. What a seed does is decided by its number alone; when things happen is up to the machine.
//!
//! It holds no test double: what stands between functions and services is a proxy that loses answers as networks do.

mod circumstance;
mod cluster;
mod course;
mod fault;
mod flag;
mod oracle;
mod proxy;
mod reader;
mod runs;
mod site;
mod sql;
mod stack;
mod steps;
mod tally;
mod writer;

pub use circumstance::Circumstance;
pub use course::{Course, Failed, Length};
pub use stack::serve;
pub use tally::Tally;
