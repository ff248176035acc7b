//! Holds a failed execution. A redrive enters the state that failed last again; were that a `Fail` state, it would fail
//! again at once. So the last state is this function: it fails until the execution has been redriven, then succeeds, and
//! the state machine goes back to the phase that failed.
//!
//! Before that it writes the alerts that people get: a state machine cannot.
//!
//! ```
//! use catalog::alert::{HaltAnswer, HaltCall};
//! use catalog::message::{HaltRequest, Phase};
//!
//! let failed = HaltRequest { phase: Phase::Load, noted: 0, now: 0, failures: Vec::new() };
//! let held = halt::handle(HaltCall::Hold(failed.clone())).unwrap_err();
//! assert_eq!(held.fault().name(), "LoadFailed");
//! let redriven = halt::handle(HaltCall::Hold(HaltRequest { now: 1, ..failed })).unwrap();
//! assert_eq!(redriven, HaltAnswer::GoOn(Phase::Load));
//! ```

mod alert;

use catalog::alert::{HaltAnswer, HaltCall};
use catalog::message::{HaltRequest, Phase};
use catalog::{Error, Result};
use host::RuntimeError;

/// The longest cause: Step Functions cuts one at 32,768 characters.
const MAX_CAUSE: usize = 30_000;

/// Serves calls of the function until the Runtime API goes away.
///
/// # Errors
/// When the Runtime API cannot be spoken to.
pub async fn serve() -> std::result::Result<(), RuntimeError> {
    host::serve_pure(handle).await
}

/// Writes an alert, or lets a redriven execution go on and answers the phase it goes on with.
///
/// # Errors
/// `CheckpointFailed`, `PlanFailed`, `ExtractFailed`, `TransformFailed` or `LoadFailed`, listing what failed, as long as
/// the execution has not been redriven since it failed.
pub fn handle(call: HaltCall) -> Result<HaltAnswer> {
    match call {
        HaltCall::Tell(request) => Ok(HaltAnswer::Told(alert::write(&request))),
        HaltCall::Hold(request) => hold(&request).map(HaltAnswer::GoOn),
    }
}

fn hold(request: &HaltRequest) -> Result<Phase> {
    if request.now > request.noted {
        return Ok(request.phase);
    }
    let each =
        request.failures.iter().map(|failure| format!("{}: {}: {}", failure.subject, failure.error, failure.message()));
    let mut cause = each.collect::<Vec<_>>().join("; ");
    if cause.len() > MAX_CAUSE {
        let mut end = MAX_CAUSE;
        while !cause.is_char_boundary(end) {
            end -= 1;
        }
        cause.truncate(end);
        cause.push('…');
    }
    Err(Error::new(request.phase.fault(), cause))
}

#[cfg(test)]
mod tests {
    use catalog::message::Failure;

    use super::*;

    fn request(noted: u64, now: u64, cause: &str) -> HaltRequest {
        let failure = Failure { subject: "payment".into(), error: "Source.Busy".into(), cause: cause.into() };
        HaltRequest { phase: Phase::Extract, noted, now, failures: vec![failure.clone(), failure] }
    }

    #[test]
    fn it_fails_with_the_name_of_the_phase_until_the_execution_is_redriven() {
        let error = hold(&request(1, 1, r#"{"errorType":"Source.Busy","errorMessage":"locked"}"#)).unwrap_err();
        assert_eq!(error.fault().name(), "ExtractFailed");
        assert_eq!(error.to_string(), "payment: Source.Busy: locked; payment: Source.Busy: locked");
        assert_eq!(hold(&request(1, 2, "")).unwrap(), Phase::Extract);
    }

    #[test]
    fn a_cause_stays_within_what_step_functions_keeps() {
        let error = hold(&request(0, 0, &"é".repeat(40_000))).unwrap_err();
        assert!(error.to_string().len() <= MAX_CAUSE + 3);
    }
}
