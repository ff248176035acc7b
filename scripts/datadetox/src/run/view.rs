//! A run as its history tells it: which state when, for how long, with what result.

use std::collections::HashMap;

use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Kind};
use serde_json::Value;

/// One pass through a state.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) state: String,
    /// Index of the Parallel it is in.
    pub(super) parent: Option<usize>,
    pub(super) is_parallel: bool,
    /// When it began, or went on after a redrive.
    pub(super) entered: DateTime,
    pub(super) left: Option<DateTime>,
    /// How often its task was scheduled.
    pub(super) tries: u32,
    /// Name of the last failed try's error, until another try succeeds.
    pub(super) error: Option<String>,
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
            if let Some(index) = view.take(event, before) {
                owner.insert(event.id, index);
            }
        }
        view
    }

    /// Takes note of an event that follows one of the visit `before`; answers the visit it belongs to itself.
    fn take(&mut self, event: &HistoryEvent, before: Option<usize>) -> Option<usize> {
        if let Some(details) = event.state_entered_event_details() {
            return Some(self.enter(event, &details.name, before));
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

    fn enter(&mut self, event: &HistoryEvent, state: &str, before: Option<usize>) -> usize {
        // Entered from a Parallel that has not been left: the first state of a branch. Else beside what was left.
        let parent = before.and_then(|index| {
            let visit = &self.visits[index];
            if visit.is_parallel && visit.left.is_none() { Some(index) } else { visit.parent }
        });
        self.visits.push(Visit {
            state: state.to_owned(),
            parent,
            is_parallel: event.r#type == Kind::ParallelStateEntered,
            entered: event.timestamp,
            left: None,
            tries: 0,
            error: None,
            status: Status::Running,
            request: Value::Null,
            result: Value::Null,
        });
        self.visits.len() - 1
    }

    fn schedule(&mut self, index: usize, event: &HistoryEvent) {
        self.visits[index].schedule(event);
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

    fn schedule(&mut self, event: &HistoryEvent) {
        self.tries += 1;
        let parameters = event.task_scheduled_event_details().map(|details| details.parameters());
        let parameters: Value = parameters.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        self.request = parameters.get("Payload").cloned().unwrap_or(parameters);
    }

    fn note(&mut self, event: &HistoryEvent) {
        match event.r#type {
            Kind::TaskSucceeded => {
                self.status = Status::Done;
                self.error = None;
                let output = event.task_succeeded_event_details().and_then(|details| details.output());
                let output: Value = output.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                self.result = output.get("Payload").cloned().unwrap_or(output);
            }
            Kind::TaskFailed => {
                let error = event.task_failed_event_details().and_then(|details| details.error());
                self.error = Some(error.unwrap_or_default().to_owned());
                self.status = Status::Caught;
            }
            Kind::TaskTimedOut => {
                self.error = Some("States.Timeout".to_owned());
                self.status = Status::Caught;
            }
            // What else is told changes nothing that is shown.
            _ => {}
        }
    }
}
