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

mod choice;
mod execution;
mod flow;
mod history;
mod machine;
mod path;
mod template;

pub use execution::{Execution, Identity, NotRedrivable, Order, Signal, Status, Token};
pub use history::{Event, timestamp};
pub use machine::{DefinitionError, Machine, Resource};
