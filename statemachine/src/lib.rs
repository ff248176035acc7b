//! The state machine: its definition from the catalogue, and an interpreter that runs it without AWS.
//!
//! The interpreter does no I/O and reads no clock: it takes what happened and when, and answers what is to be done. It
//! follows what was recorded on AWS, event by event; what it does not do it refuses when a definition is loaded.
//!
//! ```ignore
//! let machine = Machine::parse(&definition(&catalog, &names))?;
//! let (mut execution, orders) = Execution::start(machine, identity, json!({}), now);
//! // … carry out the orders, and tell what came of them:
//! let orders = execution.handle(Signal::TaskSucceeded { token, output }, now, random);
//! ```

mod asl;
mod choice;
mod definition;
mod execution;
mod flow;
mod history;
mod path;
mod template;

pub use asl::{DefinitionError, Machine, Resource};
pub use definition::{Names, definition};
pub use execution::{Execution, Identity, NotRedrivable, Order, Signal, Status, Token};
pub use history::{Event, timestamp};
