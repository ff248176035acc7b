//! A failed state, and who handles it: names, retriers, catchers.

use crate::machine::State;

/// A failure that Retry and Catch may handle.
pub(super) struct Failure {
    pub(super) error: Option<String>,
    pub(super) cause: Option<String>,
}

/// The first retrier that matches and has tries left.
pub(super) fn retrier(state: &State, used: &[u64], failure: &Failure) -> Option<usize> {
    let index = state.retry.iter().position(|retrier| matches(&retrier.errors, failure))?;
    (used.get(index)? < &state.retry[index].max_attempts).then_some(index)
}

/// Whether one of the names stands for the failure.
pub(super) fn matches(names: &[String], failure: &Failure) -> bool {
    let error = failure.error.as_deref().unwrap_or_default();
    names.iter().any(|name| match name.as_str() {
        "States.ALL" => true,
        "States.TaskFailed" => error != "States.Timeout",
        name => name == error,
    })
}
