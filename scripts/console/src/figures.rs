//! Times and colours as pages say them.

use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sfn::types::ExecutionStatus;
use runs::Status;

/// A time for a browser, which shows it in the zone of who looks: `2026-11-23T13:05:00.123Z`.
pub(crate) fn iso(at: &DateTime) -> String {
    at.fmt(DateTimeFormat::DateTimeWithOffset).unwrap_or_default()
}

/// Milliseconds since 1970.
pub(crate) fn millis(at: &DateTime) -> i64 {
    at.to_millis().unwrap_or_default()
}

/// Class and word of a run's status.
pub(crate) fn of_run(status: &ExecutionStatus) -> (&'static str, &'static str) {
    match status {
        ExecutionStatus::Running => ("running", "Running"),
        ExecutionStatus::Succeeded => ("done", "Succeeded"),
        ExecutionStatus::Failed => ("failed", "Failed"),
        ExecutionStatus::TimedOut => ("failed", "Timed out"),
        ExecutionStatus::Aborted => ("aborted", "Stopped"),
        ExecutionStatus::PendingRedrive => ("running", "To be redriven"),
        _ => ("none", "Unknown"),
    }
}

/// Class and word of a state's.
pub(crate) fn of_state(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Running => ("running", "in progress"),
        Status::Done => ("done", "succeeded"),
        Status::Caught => ("caught", "caught error"),
        Status::Failed => ("failed", "failed"),
        Status::Aborted => ("aborted", "cancelled"),
    }
}
