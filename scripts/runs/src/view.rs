//! A run as its history tells it: which state when, for how long, with what result.

use std::collections::HashMap;

use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Kind};
use serde_json::Value;

use crate::figures::{bytes, count};

/// One pass through a state.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Name of the state.
    pub state: String,
    /// Its type: `Task`, `Parallel`, `Pass`, …
    pub kind: String,
    /// Index of the Parallel it is in.
    pub parent: Option<usize>,
    /// Whether it has branches.
    pub is_parallel: bool,
    /// When it began, or went on after a redrive.
    pub entered: DateTime,
    /// When it was left, or ended with the run.
    pub left: Option<DateTime>,
    /// How often its task was scheduled.
    pub tries: u32,
    /// Name of the last failed try's error, until another try succeeds.
    pub error: Option<String>,
    /// How it went.
    pub status: Status,
    /// Every try of its task.
    pub attempts: Vec<Attempt>,
    /// What the state was given and gave, JSON as Step Functions says it.
    pub input: Option<String>,
    /// The same of what it gave on.
    pub output: Option<String>,
    /// Ids of its events.
    pub events: Vec<i64>,
    /// What its task was given the last time.
    pub request: Value,
    /// What its task answered, the service's wrapping taken off.
    pub result: Value,
}

/// One try of a task.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it was scheduled.
    pub began: DateTime,
    /// When it ended; `None` while it is at work.
    pub ended: Option<DateTime>,
    /// Name and cause of its error, where it failed.
    pub failure: Option<(String, String)>,
    /// Whether a person had the run go on with it.
    pub is_redriven: bool,
}

/// How a pass through a state went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is at work.
    Running,
    /// It did what it is for.
    Done,
    /// It failed, and a Catch took it from there.
    Caught,
    /// It failed, and the run with it.
    Failed,
    /// It was ended from outside.
    Aborted,
}

/// All passes of a run, in the order in which they began.
#[derive(Debug, Default)]
pub struct View {
    /// A visit's index is its identity.
    pub visits: Vec<Visit>,
    /// Whether the next task that is scheduled goes on after a redrive.
    was_redriven: bool,
}

impl View {
    /// Reads a history, whole and in order.
    #[must_use]
    pub fn of(events: &[HistoryEvent]) -> Self {
        let mut view = Self::default();
        // Every event leads, by the one it follows, to the visit it belongs to.
        let mut owner: HashMap<i64, usize> = HashMap::new();
        for event in events {
            let before = owner.get(&event.previous_event_id).copied();
            view.was_redriven |= event.r#type == Kind::ExecutionRedriven;
            if let Some(index) = view.take(event, before) {
                owner.insert(event.id, index);
                view.visits[index].events.push(event.id);
            }
        }
        view
    }

    /// Takes note of an event that follows one of the visit `before`; answers the visit it belongs to itself.
    fn take(&mut self, event: &HistoryEvent, before: Option<usize>) -> Option<usize> {
        if let Some(details) = event.state_entered_event_details() {
            return Some(self.enter(event, &details.name, details.input.as_deref(), before));
        }
        let before = match event.r#type {
            Kind::ExecutionFailed | Kind::ExecutionAborted | Kind::ExecutionTimedOut => {
                self.end(event, before);
                return before;
            }
            _ => before?,
        };
        if let Some(details) = event.state_exited_event_details() {
            // A Parallel is left after the last event of a branch.
            let index = self.upwards(before).find(|index| self.visits[*index].state == details.name)?;
            self.visits[index].output = details.output.clone();
            self.visits[index].leave(event.timestamp);
            return Some(index);
        }
        match event.r#type {
            Kind::ParallelStateStarted | Kind::ParallelStateSucceeded | Kind::ParallelStateFailed => {
                let is_open = |index: &usize| self.visits[*index].is_parallel && self.visits[*index].left.is_none();
                let index = self.upwards(before).find(is_open)?;
                if event.r#type == Kind::ParallelStateFailed {
                    self.fail(index, before, event.timestamp);
                }
                Some(index)
            }
            Kind::TaskScheduled => {
                self.schedule(before, event);
                Some(before)
            }
            _ => {
                self.visits[before].note(event);
                Some(before)
            }
        }
    }

    /// A visit and the Parallels around it, from the inside out.
    fn upwards(&self, from: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(from), |index| self.visits[*index].parent)
    }

    fn enter(&mut self, event: &HistoryEvent, state: &str, input: Option<&str>, before: Option<usize>) -> usize {
        // Entered from a Parallel that has not been left: the first state of a branch. Else beside what was left.
        let parent = before.and_then(|index| {
            let visit = &self.visits[index];
            if visit.is_parallel && visit.left.is_none() { Some(index) } else { visit.parent }
        });
        self.visits.push(Visit {
            state: state.to_owned(),
            kind: event.r#type.as_str().trim_end_matches("StateEntered").to_owned(),
            parent,
            is_parallel: event.r#type == Kind::ParallelStateEntered,
            entered: event.timestamp,
            left: None,
            tries: 0,
            error: None,
            status: Status::Running,
            attempts: Vec::new(),
            input: input.map(str::to_owned),
            output: None,
            events: Vec::new(),
            request: Value::Null,
            result: Value::Null,
        });
        self.visits.len() - 1
    }

    fn schedule(&mut self, index: usize, event: &HistoryEvent) {
        let is_redriven = std::mem::take(&mut self.was_redriven);
        self.visits[index].schedule(event, is_redriven);
        // After a redrive what is around it goes on as well; until then a person was waited for, which is no work.
        for around in self.upwards(index).collect::<Vec<_>>() {
            let visit = &mut self.visits[around];
            visit.status = Status::Running;
            if visit.left.take().is_some() {
                visit.entered = event.timestamp;
            }
        }
    }

    /// A Parallel failed because of `cause`; its other branches were aborted.
    fn fail(&mut self, parallel: usize, cause: usize, at: DateTime) {
        for index in 0..self.visits.len() {
            let visit = &self.visits[index];
            if visit.left.is_none() && self.upwards(index).any(|around| around == parallel) {
                let has_failed = index == cause || index == parallel;
                self.visits[index].end(if has_failed { Status::Failed } else { Status::Aborted }, at);
            }
        }
    }

    fn end(&mut self, event: &HistoryEvent, at: Option<usize>) {
        let ending = if event.r#type == Kind::ExecutionFailed { Status::Failed } else { Status::Aborted };
        for (index, visit) in self.visits.iter_mut().enumerate().filter(|(_, visit)| visit.left.is_none()) {
            visit.end(if Some(index) == at { ending } else { Status::Aborted }, event.timestamp);
        }
    }
}

impl Visit {
    /// Whether it failed, caught or not.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.status, Status::Caught | Status::Failed)
    }

    /// What came of it in a few words: the error, rows and bytes, the reason or the status that its task answered.
    #[must_use]
    pub fn outcome(&self) -> String {
        if let Some(error) = &self.error {
            return error.clone();
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

    fn leave(&mut self, at: DateTime) {
        self.left = Some(at);
        if self.status == Status::Running {
            self.status = Status::Done;
        }
    }

    fn end(&mut self, status: Status, at: DateTime) {
        self.status = status;
        self.left = Some(at);
    }

    fn schedule(&mut self, event: &HistoryEvent, is_redriven: bool) {
        self.tries += 1;
        self.attempts.push(Attempt { began: event.timestamp, ended: None, failure: None, is_redriven });
        let parameters = event.task_scheduled_event_details().map(|details| details.parameters());
        let parameters: Value = parameters.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        self.request = parameters.get("Payload").cloned().unwrap_or(parameters);
    }

    fn note(&mut self, event: &HistoryEvent) {
        match event.r#type {
            Kind::TaskSucceeded => {
                self.end_attempt(event, None);
                self.status = Status::Done;
                self.error = None;
                let output = event.task_succeeded_event_details().and_then(|details| details.output());
                let output: Value = output.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                self.result = output.get("Payload").cloned().unwrap_or(output);
            }
            Kind::TaskFailed => {
                let details = event.task_failed_event_details();
                let error = details.and_then(|details| details.error()).unwrap_or_default().to_owned();
                let cause = details.and_then(|details| details.cause()).unwrap_or_default().to_owned();
                self.end_attempt(event, Some((error.clone(), cause)));
                self.error = Some(error);
                self.status = Status::Caught;
            }
            Kind::TaskTimedOut => {
                let cause = event.task_timed_out_event_details().and_then(|details| details.cause());
                self.end_attempt(event, Some(("States.Timeout".to_owned(), cause.unwrap_or_default().to_owned())));
                self.error = Some("States.Timeout".to_owned());
                self.status = Status::Caught;
            }
            // What else is told changes nothing that is shown.
            _ => {}
        }
    }

    fn end_attempt(&mut self, event: &HistoryEvent, failure: Option<(String, String)>) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.ended = Some(event.timestamp);
            attempt.failure = failure;
        }
    }
}
