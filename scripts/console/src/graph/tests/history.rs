//! Histories as Step Functions writes them.

use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::{
    HistoryEvent, HistoryEventType as Kind, StateEnteredEventDetails, StateExitedEventDetails, TaskFailedEventDetails,
};
use runs::View;
use serde_json::Value;

/// A history that grows event by event, each at its millisecond.
#[derive(Default)]
pub(super) struct History(Vec<HistoryEvent>);

impl History {
    pub(super) fn add(&mut self, previous: i64, millis: i64, kind: Kind, text: &str) -> i64 {
        let id = i64::try_from(self.0.len()).unwrap() + 1;
        let event = HistoryEvent::builder().id(id).previous_event_id(previous);
        let event = event.timestamp(DateTime::from_millis(millis)).r#type(kind.clone());
        let event = if kind.as_str().ends_with("StateEntered") {
            event.state_entered_event_details(StateEnteredEventDetails::builder().name(text).build().unwrap())
        } else if kind.as_str().ends_with("StateExited") {
            event.state_exited_event_details(StateExitedEventDetails::builder().name(text).build().unwrap())
        } else if kind == Kind::TaskFailed {
            let details = TaskFailedEventDetails::builder().resource_type("lambda").resource("invoke");
            event.task_failed_event_details(details.error(text).build().unwrap())
        } else {
            event
        };
        self.0.push(event.build().unwrap());
        id
    }

    /// Tries of a task that has been entered, and whether the last one succeeds.
    pub(super) fn tried(&mut self, entered: i64, millis: i64, tries: u32, succeeds: bool) -> i64 {
        (1..=tries).fold(entered, |before, attempt| {
            let scheduled = self.add(before, millis, Kind::TaskScheduled, "");
            let kind = if succeeds && attempt == tries { Kind::TaskSucceeded } else { Kind::TaskFailed };
            self.add(scheduled, millis, kind, "Source.AccessDenied")
        })
    }

    /// A task from its beginning to its end.
    pub(super) fn task(&mut self, previous: i64, millis: (i64, i64), name: &str, tries: u32, succeeds: bool) -> i64 {
        let entered = self.add(previous, millis.0, Kind::TaskStateEntered, name);
        let tried = self.tried(entered, millis.1, tries, succeeds);
        self.add(tried, millis.1, Kind::TaskStateExited, name)
    }

    fn passed(&mut self, previous: i64, millis: i64, name: &str) -> i64 {
        let entered = self.add(previous, millis, Kind::PassStateEntered, name);
        self.add(entered, millis, Kind::PassStateExited, name)
    }

    pub(super) fn view(&self) -> View {
        View::of(&self.0)
    }
}

/// The shipped definition up to Extract, whose branches are at work.
pub(super) fn extracting(definition: &Value) -> (History, i64, Vec<i64>) {
    let mut history = History::default();
    let left = history.task(0, (0, 21), "Checkpoint", 1, true);
    let left = history.passed(left, 21, "Anything noticed?");
    let left = history.task(left, (21, 59), "Plan", 1, true);
    let left = history.passed(left, 59, "Anything changed?");
    let extract = history.add(left, 60, Kind::ParallelStateEntered, "Extract");
    let started = history.add(extract, 60, Kind::ParallelStateStarted, "");
    let branches = definition["States"]["Extract"]["Branches"].as_array().unwrap();
    let entered = branches.iter().map(|branch| {
        let name = branch["StartAt"].as_str().unwrap();
        history.add(started, 60, Kind::TaskStateEntered, name)
    });
    let entered = entered.collect();
    (history, extract, entered)
}

/// One table cannot be read; the run is told of and held.
pub(super) fn failed(definition: &Value) -> History {
    let (mut history, extract, entered) = extracting(definition);
    let branches = definition["States"]["Extract"]["Branches"].as_array().unwrap();
    let mut last = extract;
    for (at, (branch, entered)) in branches.iter().zip(entered).enumerate() {
        let name = branch["StartAt"].as_str().unwrap();
        let fails = name == "Extract payment";
        let end = 132 + i64::try_from(at).unwrap() * 7;
        let tried = history.tried(entered, end, if fails { 3 } else { 1 }, !fails);
        last = history.add(tried, end, Kind::TaskStateExited, name);
        if fails {
            last = history.passed(last, end, "Extract payment failed");
        }
    }
    history.add(last, 14_200, Kind::ParallelStateSucceeded, "");
    let left = history.add(last, 14_200, Kind::ParallelStateExited, "Extract");
    let left = history.passed(left, 14_200, "Extracted?");
    let left = history.passed(left, 14_200, "Extract failed");
    let left = history.task(left, (14_200, 14_233), "Tell failure", 1, true);
    let left = history.task(left, (14_233, 14_260), "Notify", 1, true);
    let halt = history.add(left, 14_260, Kind::TaskStateEntered, "Halt");
    let halted = history.tried(halt, 14_300, 1, false);
    history.add(halted, 14_300, Kind::ExecutionFailed, "");
    history
}
