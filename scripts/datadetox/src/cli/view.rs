//! A run as its history tells it: which state when, for how long, with what result.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Kind};
use serde_json::Value;

/// One pass through a state.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) state: String,
    /// Index of the Parallel it is in.
    pub(super) parent: Option<usize>,
    pub(super) entered: DateTime,
    pub(super) left: Option<DateTime>,
    /// How often its task was scheduled.
    pub(super) tries: u32,
    /// Error and cause of the last failed try.
    pub(super) failure: Option<(String, String)>,
    pub(super) status: Status,
    /// What its task was given the last time.
    pub(super) request: Value,
    /// What its task answered, the service's wrapping taken off.
    pub(super) result: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Done,
    /// It failed, and a Catch took it from there.
    Caught,
    Failed,
    Aborted,
}

/// All passes of a run, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) visits: Vec<Visit>,
}

impl View {
    pub(super) fn of(events: &[HistoryEvent]) -> Self {
        let mut view = Self::default();
        // Every event leads, by the one it follows, to the visit it belongs to.
        let mut owner: HashMap<i64, usize> = HashMap::new();
        for event in events {
            let before = owner.get(&event.previous_event_id).copied();
            if let Some(details) = event.state_entered_event_details() {
                let parent = before.filter(|index| view.visits[*index].left.is_none());
                view.visits.push(Visit {
                    state: details.name.clone(),
                    parent,
                    entered: event.timestamp,
                    left: None,
                    tries: 0,
                    failure: None,
                    status: Status::Running,
                    request: Value::Null,
                    result: Value::Null,
                });
                owner.insert(event.id, view.visits.len() - 1);
                continue;
            }
            match (&event.r#type, before) {
                (Kind::ExecutionFailed | Kind::ExecutionAborted | Kind::ExecutionTimedOut, before) => {
                    view.end(event, before)
                }
                (_, Some(index)) => {
                    owner.insert(event.id, index);
                    view.visits[index].note(event);
                }
                _ => {}
            }
        }
        view
    }

    fn end(&mut self, event: &HistoryEvent, at: Option<usize>) {
        let ending = if event.r#type == Kind::ExecutionFailed { Status::Failed } else { Status::Aborted };
        for (index, visit) in self.visits.iter_mut().enumerate().filter(|(_, visit)| visit.left.is_none()) {
            visit.status = if Some(index) == at { ending } else { Status::Aborted };
            visit.left = Some(event.timestamp);
        }
    }

    /// The run as a tree of short lines.
    pub(super) fn tree(&self, run: &DescribeExecutionOutput) -> String {
        let mut text = format!("{}  {}", run.name.as_deref().unwrap_or_default(), run.status.as_str());
        if let Some(error) = &run.error {
            let _ = write!(text, "  {error}");
        }
        let _ = write!(text, "\nstarted {}", instant(&run.start_date));
        if let Some(took) = duration(&run.start_date, run.stop_date.as_ref()) {
            let _ = write!(text, ", took {took}");
        }
        if let Some(count) = run.redrive_count.filter(|count| *count > 0) {
            let _ = write!(text, ", redriven {count}×");
        }
        text.push('\n');
        self.branch(&mut text, None, 0);
        text.trim_end().to_owned()
    }

    fn branch(&self, text: &mut String, parent: Option<usize>, depth: usize) {
        for (index, visit) in self.visits.iter().enumerate().filter(|(_, visit)| visit.parent == parent) {
            // States that only choose or report are the definition's business.
            if visit.tries > 0 || self.visits.iter().any(|other| other.parent == Some(index)) {
                let _ = writeln!(text, "{}{}", "  ".repeat(depth), visit.line());
                self.branch(text, Some(index), depth + 1);
            }
        }
    }
}

impl Visit {
    fn note(&mut self, event: &HistoryEvent) {
        match event.r#type {
            Kind::TaskScheduled => {
                self.tries += 1;
                self.status = Status::Running;
                self.left = None;
                let parameters = event.task_scheduled_event_details().map(|details| details.parameters());
                let parameters: Value = parameters.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                self.request = parameters.get("Payload").cloned().unwrap_or(parameters);
            }
            Kind::TaskSucceeded => {
                self.status = Status::Done;
                self.failure = None;
                let output = event.task_succeeded_event_details().and_then(|details| details.output());
                let output: Value = output.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                self.result = output.get("Payload").cloned().unwrap_or(output);
            }
            Kind::TaskFailed => {
                if let Some(details) = event.task_failed_event_details() {
                    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                    self.failure = Some((text(details.error()), text(details.cause())));
                    self.status = Status::Caught;
                }
            }
            Kind::TaskTimedOut => {
                self.failure = Some(("States.Timeout".to_owned(), String::new()));
                self.status = Status::Caught;
            }
            Kind::TaskStateAborted => self.status = Status::Aborted,
            Kind::ParallelStateStarted => self.status = Status::Running,
            Kind::ParallelStateSucceeded => self.status = Status::Done,
            Kind::ParallelStateFailed => self.status = Status::Failed,
            _ => {}
        }
        if event.state_exited_event_details().is_some() {
            self.left = Some(event.timestamp);
            if self.status == Status::Running {
                self.status = Status::Done;
            }
        }
    }

    /// One line: mark, name, time, what came of it.
    pub(super) fn line(&self) -> String {
        let mark = match self.status {
            Status::Running => "…",
            Status::Done => "✓",
            Status::Caught | Status::Failed => "✗",
            Status::Aborted => "-",
        };
        let took = duration(&self.entered, self.left.as_ref()).unwrap_or_default();
        let mut line = format!("{mark} {:<34} {took:>8}  {}", self.state, self.what());
        if self.tries > 1 {
            let _ = write!(line, " ({} tries)", self.tries);
        }
        line.trim_end().to_owned()
    }

    fn what(&self) -> String {
        if let Some((error, cause)) = &self.failure {
            let failure =
                catalog::message::Failure { subject: self.state.clone(), error: error.clone(), cause: cause.clone() };
            return format!("{error}: {}", failure.message());
        }
        let number = |name: &str| self.result.get(name).and_then(Value::as_u64);
        let word = |name: &str| self.result.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match (number("rows"), number("bytes")) {
            (Some(rows), Some(size)) => match word("status").as_str() {
                "skipped" => "unchanged".to_owned(),
                "already_done" => format!("{} rows, done before", count(rows)),
                "unfinished" => format!("{} rows so far", count(rows)),
                _ => format!("{} rows, {}", count(rows), bytes(size)),
            },
            _ if self.result.get("reason").is_some() => word("reason"),
            _ => word("status").replace('_', " "),
        }
    }
}

/// `1234567` → `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1536` → `1.50 KiB`.
pub(super) fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// `2026-11-23 13:05:00`, UTC.
pub(super) fn instant(at: &DateTime) -> String {
    let text = at.fmt(DateTimeFormat::DateTime).unwrap_or_default();
    text.split('.').next().unwrap_or_default().trim_end_matches('Z').replace('T', " ")
}

/// `412 ms`, `3.20 s`, `4 min 2 s`.
pub(super) fn duration(from: &DateTime, to: Option<&DateTime>) -> Option<String> {
    let millis = to?.to_millis().ok()?.checked_sub(from.to_millis().ok()?)?;
    Some(span(u64::try_from(millis).ok()?))
}

/// The same for milliseconds.
pub(super) fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{:02} s", millis / 1_000, millis % 1_000 / 10),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!([count(7), count(1_000), count(1_234_567)], ["7", "1,000", "1,234,567"]);
        assert_eq!([span(412), span(3_209), span(242_000)], ["412 ms", "3.20 s", "4 min 2 s"]);
        let at = DateTime::from_millis(1_700_000_000_123);
        assert_eq!(instant(&at), "2023-11-14 22:13:20");
        assert_eq!(duration(&at, Some(&DateTime::from_millis(1_700_000_001_123))), Some("1.00 s".to_owned()));
    }
}
