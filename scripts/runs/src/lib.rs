//! Runs as Step Functions tells them, of the local stack or of AWS: what the command line prints and the console shows.
//!
//! Speaks the public API of Step Functions alone, through the SDK; knows neither terminal nor page.

mod ending;
pub mod figures;
mod orchestrator;
mod view;

pub use ending::{Ending, failures};
pub use orchestrator::{Orchestrator, Page};
pub use view::{Attempt, Status, View, Visit};
