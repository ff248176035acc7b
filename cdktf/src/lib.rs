//! The AWS stack of a catalogue, as the assembly that the CDK-for-Terraform CLI and Terraform itself read.
//!
//! Knows no AWS account and calls nothing: from `pipeline.toml` and `environments.toml` follow the same bytes every time.
//!
//! ```ignore
//! let assembly = cdktf::assembly(&catalog, &environments)?;
//! assembly.write("cdktf/cdktf.out")?;
//! ```

mod alerts;
mod assembly;
mod delivery;
mod environment;
mod functions;
mod orchestration;
mod plan;
mod policy;
mod secrets;
mod stack;
mod storage;
mod warehouse;
mod watching;

use std::process::ExitCode;

pub use assembly::{Assembly, assembly, write_assembly};
pub use environment::{Architecture, Environment, parse as environments};

/// Says what went wrong, on stderr.
#[expect(clippy::print_stderr, reason = "the CLI shows what its app says there")]
#[must_use]
pub fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
