//! An interpreter for Amazon States Language (JSONPath) that runs a machine without AWS.
//!
//! It does no I/O and reads no clock: it takes what happened and when, and answers what is to be done. It follows what was
//! recorded on AWS, event by event; what it does not do it refuses when a definition is loaded.
//!
//! ```
//! use asl::{Execution, Identity, Machine, Order, Signal, Status};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let machine = Machine::parse(&json!({
//!     "StartAt": "Greet",
//!     "States": { "Greet": { "Type": "Task", "Resource": asl::Resource::LAMBDA_INVOKE, "End": true } },
//! }))?;
//! # let identity = Identity {
//! #     arn: "arn:aws:states:eu-west-2:000000000000:execution:greeter:first".into(),
//! #     name: "first".into(),
//! #     machine_arn: "arn:aws:states:eu-west-2:000000000000:stateMachine:greeter".into(),
//! #     machine_name: "greeter".into(),
//! #     role_arn: "arn:aws:iam::000000000000:role/greeter".into(),
//! # };
//! let now = "2026-01-01T00:00:00Z".parse()?;
//! let (mut execution, orders) = Execution::start(machine, identity, json!({}), now);
//! // … carry out the orders, and tell what came of them:
//! let [Order::Call { token, .. }] = orders[..] else { panic!("it calls one service") };
//! let orders = execution.handle(&Signal::TaskSucceeded { token, output: json!("hello") }, now, 0);
//! assert_eq!((orders, execution.status), (vec![Order::End], Status::Succeeded));
//! # Ok(())
//! # }
//! ```

mod execution;
mod failure;
mod fields;
mod flow;
mod history;
mod intrinsic;
mod machine;
mod nesting;
mod path;
mod resource;
mod runtime;
mod signal;
mod state;
mod state_type;
mod template;

pub use execution::{Execution, Identity, NotRedrivable, Status};
pub use failure::Failure;
pub use fields::DefinitionError;
pub use history::{Event, EventKind, timestamp};
pub use machine::Machine;
pub use nesting::{MAX_NESTING, nests_too_deep};
pub use resource::Resource;
pub use signal::{Order, Signal, Token};
pub use state_type::StateType;
