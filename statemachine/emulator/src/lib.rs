//! Step Functions without AWS: its API over the interpreter, many machines, executions kept in journals across restarts.
//!
//! It knows neither what the machines are for nor what their tasks call: that is a [`Service`] it is given. Nor does it
//! know who asks: whoever hands it a call has seen to that.
//!
//! ```
//! use std::sync::Arc;
//!
//! use asl::Resource;
//! use emulator::{Called, Service, Settings, StepFunctions};
//! use serde_json::{Value, json};
//!
//! struct Echo;
//!
//! impl Service for Echo {
//!     fn call(&self, _resource: Resource, parameters: Value) -> Called {
//!         Box::pin(async { Ok(parameters) })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let settings = Settings {
//!     region: "eu-west-2".to_owned(),
//!     account: "000000000000".to_owned(),
//!     folder: folder.path().to_owned(),
//!     goes_on: true,
//!     service: Arc::new(Echo),
//!     ended: Arc::new(|_| {}),
//!     clock: || "2026-01-01T00:00:00Z".parse().expect("a time"),
//! };
//! let greeter = json!({
//!     "StartAt": "Greet",
//!     "States": { "Greet": { "Type": "Task", "Resource": Resource::LAMBDA_INVOKE, "End": true } },
//! });
//! let states = StepFunctions::open(settings, [("greeter".to_owned(), greeter)])?;
//! let machine = "arn:aws:states:eu-west-2:000000000000:stateMachine:greeter";
//! let asked = json!({ "stateMachineArn": machine, "name": "first", "input": "{\"hello\":\"world\"}" });
//! let started = states.call("StartExecution", &asked)?;
//! let arn = started["executionArn"].as_str().expect("an ARN");
//! states.find(arn).expect("it was started").ended().await;
//! assert_eq!(states.call("DescribeExecution", &json!({ "executionArn": arn }))?["output"], "{\"hello\":\"world\"}");
//! # Ok(())
//! # }
//! ```

mod api;
mod entry;
mod executions;
mod index;
mod journal;
mod machine;
mod name;
mod page;
mod recall;
mod recent;
mod refusal;
mod service;
mod states;
mod summary;

pub use entry::Entry;
pub use machine::StateMachine;
pub use refusal::Refusal;
pub use service::{CallFailed, Called, Service};
pub use states::{Ended, Settings, StepFunctions};
pub use summary::Summary;
