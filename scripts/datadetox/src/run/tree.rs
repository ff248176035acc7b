//! A run as a tree of short lines.

use std::fmt::Write as _;

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;

use runs::figures::{duration, instant};
use runs::{Status, View, Visit};

/// Letters of a state's name: the longest that totesys has, with time and words beside it in 80 columns.
const NAME: usize = 34;

/// The run and its states, those within a Parallel indented.
pub(super) fn tree(view: &View, run: &DescribeExecutionOutput) -> String {
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
    branch(view, &mut text, None, 0);
    text.trim_end().to_owned()
}

fn branch(view: &View, text: &mut String, parent: Option<usize>, depth: usize) {
    for (index, visit) in view.visits.iter().enumerate().filter(|(_, visit)| visit.parent == parent) {
        // States that only choose or report are the definition's business.
        if visit.tries > 0 || visit.is_parallel {
            let _ = writeln!(text, "{}{}", "  ".repeat(depth), line_in(view, index, visit));
            branch(view, text, Some(index), depth + 1);
        }
    }
}

fn line_in(view: &View, index: usize, visit: &Visit) -> String {
    let branches = view.visits.iter().filter(|other| other.parent == Some(index));
    let failed = branches.filter(|branch| branch.has_failed()).count();
    if failed == 0 { line(visit) } else { drawn("✗", visit, &format!("{failed} failed")) }
}

/// One line: mark, name, time, what came of it.
pub(super) fn line(visit: &Visit) -> String {
    let mark = match visit.status {
        Status::Running => "…",
        Status::Done => "✓",
        Status::Caught | Status::Failed => "✗",
        Status::Aborted => "-",
    };
    let mut what = visit.outcome();
    if visit.tries > 1 {
        let _ = write!(what, " ({} tries)", visit.tries);
    }
    drawn(mark, visit, &what)
}

fn drawn(mark: &str, visit: &Visit, what: &str) -> String {
    let took = duration(&visit.entered, visit.left.as_ref()).unwrap_or_default();
    let state = console::truncate_str(&visit.state, NAME, "…");
    format!("{mark} {state:<NAME$} {took:>8}  {what}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{
        ExecutionStatus, HistoryEvent, HistoryEventType as Kind, StateEnteredEventDetails, StateExitedEventDetails,
        TaskFailedEventDetails, TaskScheduledEventDetails, TaskSucceededEventDetails,
    };
    use expect_test::expect;

    use super::*;

    /// A history that grows event by event.
    #[derive(Default)]
    struct History(Vec<HistoryEvent>);

    impl History {
        /// Adds an event that follows `previous`, at so many milliseconds, and answers its id. `text` is the name of the
        /// state, of the error, or the answer.
        fn add(&mut self, previous: i64, millis: i64, kind: Kind, text: &str) -> i64 {
            let id = i64::try_from(self.0.len()).unwrap() + 1;
            let event = HistoryEvent::builder().id(id).previous_event_id(previous);
            let event = event.timestamp(DateTime::from_millis(millis)).r#type(kind.clone());
            let event = if kind.as_str().ends_with("StateEntered") {
                event.state_entered_event_details(StateEnteredEventDetails::builder().name(text).build().unwrap())
            } else if kind.as_str().ends_with("StateExited") {
                event.state_exited_event_details(StateExitedEventDetails::builder().name(text).build().unwrap())
            } else if kind == Kind::TaskScheduled {
                let details = TaskScheduledEventDetails::builder().resource_type("lambda").resource("invoke");
                let details = details.region("us-east-1").parameters("{}").build().unwrap();
                event.task_scheduled_event_details(details)
            } else if kind == Kind::TaskFailed {
                let details = TaskFailedEventDetails::builder().resource_type("lambda").resource("invoke");
                event.task_failed_event_details(details.error(text).cause("why").build().unwrap())
            } else if kind == Kind::TaskSucceeded {
                let details = TaskSucceededEventDetails::builder().resource_type("lambda").resource("invoke");
                let output = format!("{{\"Payload\":{text}}}");
                event.task_succeeded_event_details(details.output(output).build().unwrap())
            } else {
                event
            };
            self.0.push(event.build().unwrap());
            id
        }

        /// A try of a task that was entered: scheduled after `previous`, answered at `millis`.
        fn tried(&mut self, previous: i64, millis: (i64, i64), kind: Kind, text: &str) -> i64 {
            let scheduled = self.add(previous, millis.0, Kind::TaskScheduled, "");
            let started = self.add(scheduled, millis.0, Kind::TaskStarted, "");
            self.add(started, millis.1, kind, text)
        }

        fn tree(&self, status: ExecutionStatus, stopped: Option<i64>, redrives: i32) -> String {
            let run = DescribeExecutionOutput::builder().name("2026-11-23T13-05-00-123Z").status(status);
            let run = run.execution_arn("a").state_machine_arn("m").start_date(DateTime::from_millis(0));
            let run = run.set_stop_date(stopped.map(DateTime::from_millis)).redrive_count(redrives);
            format!("{}\n", super::tree(&View::of(&self.0), &run.build().unwrap()))
        }
    }

    /// Events as Step Functions writes them: a branch fails after a retry, another one succeeds, the Parallel is left
    /// after the last event of a branch, and Halt holds the run until it is redriven.
    fn failed() -> (History, i64) {
        let mut history = History::default();
        history.add(0, 0, Kind::ExecutionStarted, "");
        let plan = history.add(0, 0, Kind::TaskStateEntered, "Plan");
        let planned = history.tried(plan, (0, 30), Kind::TaskSucceeded, "{\"reason\":\"2 of 11 tables changed\"}");
        let left = history.add(planned, 30, Kind::TaskStateExited, "Plan");
        let extract = history.add(left, 30, Kind::ParallelStateEntered, "Extract");
        let started = history.add(extract, 30, Kind::ParallelStateStarted, "");
        let staff = history.add(started, 31, Kind::TaskStateEntered, "Extract staff");
        let payment = history.add(started, 31, Kind::TaskStateEntered, "Extract payment");
        let refused = history.tried(staff, (31, 90), Kind::TaskFailed, "Source.Busy");
        let rows = "{\"status\":\"done\",\"rows\":15836,\"bytes\":1536}";
        let paid = history.tried(payment, (31, 165), Kind::TaskSucceeded, rows);
        let paid = history.add(paid, 165, Kind::TaskStateExited, "Extract payment");
        let refused = history.tried(refused, (1_090, 1_200), Kind::TaskFailed, "Source.AccessDenied");
        let refused = history.add(refused, 1_200, Kind::TaskStateExited, "Extract staff");
        let told = history.add(refused, 1_201, Kind::PassStateEntered, "Extract staff failed");
        let told = history.add(told, 1_201, Kind::PassStateExited, "Extract staff failed");
        assert!(told > paid);
        history.add(told, 1_202, Kind::ParallelStateSucceeded, "");
        let left = history.add(told, 1_202, Kind::ParallelStateExited, "Extract");
        let choice = history.add(left, 1_202, Kind::ChoiceStateEntered, "Extracted?");
        let choice = history.add(choice, 1_202, Kind::ChoiceStateExited, "Extracted?");
        let halt = history.add(choice, 1_203, Kind::TaskStateEntered, "Halt");
        let halted = history.tried(halt, (1_203, 1_250), Kind::TaskFailed, "ExtractFailed");
        history.add(halted, 1_250, Kind::ExecutionFailed, "");
        (history, halt)
    }

    #[test]
    fn a_failed_branch_a_retry_and_a_redrive_are_drawn_where_they_were() {
        let (mut history, halt) = failed();
        expect![[r#"
            2026-11-23T13-05-00-123Z  FAILED
            started 1970-01-01 00:00:00, took 1.25 s
            ✓ Plan                                  30 ms  2 of 11 tables changed
            ✗ Extract                              1.17 s  1 failed
              ✗ Extract staff                        1.16 s  Source.AccessDenied (2 tries)
              ✓ Extract payment                      134 ms  15,836 rows, 1.50 KiB
            ✗ Halt                                  47 ms  ExtractFailed
        "#]]
        .assert_eq(&history.tree(ExecutionStatus::Failed, Some(1_250), 0));

        let last = i64::try_from(history.0.len()).unwrap();
        history.add(last, 60_000, Kind::ExecutionRedriven, "");
        let held = history.tried(halt, (60_000, 60_020), Kind::TaskSucceeded, "\"Extract\"");
        let held = history.add(held, 60_020, Kind::TaskStateExited, "Halt");
        let extract = history.add(held, 60_021, Kind::ParallelStateEntered, "Extract");
        let started = history.add(extract, 60_021, Kind::ParallelStateStarted, "");
        let staff = history.add(started, 60_022, Kind::TaskStateEntered, "Extract staff");
        history.add(staff, 60_022, Kind::TaskScheduled, "");
        expect![[r#"
            2026-11-23T13-05-00-123Z  RUNNING
            started 1970-01-01 00:00:00, redriven 1×
            ✓ Plan                                  30 ms  2 of 11 tables changed
            ✗ Extract                              1.17 s  1 failed
              ✗ Extract staff                        1.16 s  Source.AccessDenied (2 tries)
              ✓ Extract payment                      134 ms  15,836 rows, 1.50 KiB
            ✓ Halt                                  20 ms   (2 tries)
            … Extract
              … Extract staff
        "#]]
        .assert_eq(&history.tree(ExecutionStatus::Running, None, 1));
    }

    #[test]
    fn a_stopped_run_ends_what_was_at_work_and_a_redrive_takes_it_up() {
        let mut history = History::default();
        let transform = history.add(0, 0, Kind::ParallelStateEntered, "Transform");
        let started = history.add(transform, 0, Kind::ParallelStateStarted, "");
        let date = history.add(started, 0, Kind::TaskStateEntered, "Transform dim_date");
        let scheduled = history.add(date, 0, Kind::TaskScheduled, "");
        history.add(scheduled, 400, Kind::ExecutionAborted, "");
        expect![[r#"
            2026-11-23T13-05-00-123Z  ABORTED
            started 1970-01-01 00:00:00, took 400 ms
            - Transform                            400 ms
              - Transform dim_date                   400 ms
        "#]]
        .assert_eq(&history.tree(ExecutionStatus::Aborted, Some(400), 0));
        history.add(date, 1_000, Kind::TaskScheduled, "");
        expect![[r#"
            2026-11-23T13-05-00-123Z  RUNNING
            started 1970-01-01 00:00:00, redriven 1×
            … Transform
              … Transform dim_date                            (2 tries)
        "#]]
        .assert_eq(&history.tree(ExecutionStatus::Running, None, 1));
    }

    #[test]
    fn a_parallel_that_fails_aborts_its_other_branches() {
        let mut history = History::default();
        let transform = history.add(0, 0, Kind::ParallelStateEntered, "Transform");
        let started = history.add(transform, 0, Kind::ParallelStateStarted, "");
        let staff = history.add(started, 0, Kind::TaskStateEntered, "Transform dim_staff");
        let date = history.add(started, 0, Kind::TaskStateEntered, "Transform dim_date");
        history.add(date, 0, Kind::TaskScheduled, "");
        let failed = history.tried(staff, (0, 300), Kind::TaskFailed, "Lake.Corrupt");
        let aborted = history.add(failed, 300, Kind::TaskStateAborted, "");
        let over = history.add(aborted, 300, Kind::ParallelStateFailed, "");
        history.add(over, 301, Kind::ExecutionFailed, "");
        expect![[r#"
            2026-11-23T13-05-00-123Z  FAILED
            started 1970-01-01 00:00:00, took 301 ms
            ✗ Transform                            300 ms  1 failed
              ✗ Transform dim_staff                  300 ms  Lake.Corrupt
              - Transform dim_date                   300 ms
        "#]]
        .assert_eq(&history.tree(ExecutionStatus::Failed, Some(301), 0));
    }
}
