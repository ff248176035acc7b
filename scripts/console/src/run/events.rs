//! The events of a run, a page at a time.

use aws_sdk_sfn::types::HistoryEvent;
use runs::figures::duration;

use super::{Run, member};
use crate::figures::iso;

/// Events of a page.
const PAGE: usize = 50;

/// A page of events.
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) filter: String,
    pub(super) found: usize,
    pub(super) all: usize,
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
}

/// An event.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) kind: String,
    pub(super) class: &'static str,
    pub(super) state: String,
    pub(super) at: String,
    pub(super) since: String,
    pub(super) detail: String,
}

impl Table {
    /// The events after a number whose type, state or error has those letters.
    pub(super) fn of(run: &Run, page: &str, after: i64, filter: &str) -> Self {
        let wanted = filter.trim().to_lowercase();
        let states = states(run);
        let rows = run.events.iter().map(|event| row(run, event, &states));
        let is_found = |row: &Row| {
            let texts = [&row.kind, &row.state, &row.detail];
            texts.into_iter().any(|text| text.to_lowercase().contains(&wanted))
        };
        let found: Vec<Row> = rows.filter(is_found).collect();
        let count = found.len();
        let address =
            |after: i64| format!("{page}?tab=events&{}&{}", member("q", filter), member("after", &after.to_string()));
        let mut rows: Vec<Row> = found.into_iter().filter(|row| row.id > after).collect();
        let has_more = rows.len() > PAGE;
        rows.truncate(PAGE);
        let next = rows.last().filter(|_| has_more).map(|row| address(row.id));
        let first = (after > 0).then(|| address(0));
        Self { rows, filter: filter.to_owned(), found: count, all: run.events.len(), first, next }
    }
}

/// Which state an event belongs to, by the event's place in the history.
fn states(run: &Run) -> std::collections::HashMap<i64, &str> {
    run.view.visits.iter().flat_map(|visit| visit.events.iter().map(|id| (*id, visit.state.as_str()))).collect()
}

fn row(run: &Run, event: &HistoryEvent, states: &std::collections::HashMap<i64, &str>) -> Row {
    let kind = event.r#type.as_str();
    let class = match kind {
        _ if kind.ends_with("Failed") || kind.ends_with("TimedOut") => "failed",
        _ if kind.ends_with("Aborted") => "aborted",
        _ if kind.ends_with("Succeeded") || kind.ends_with("Exited") => "done",
        _ => "none",
    };
    Row {
        id: event.id,
        kind: kind.to_owned(),
        class,
        state: states.get(&event.id).copied().unwrap_or_default().to_owned(),
        at: iso(&event.timestamp),
        since: duration(&run.described.start_date, Some(&event.timestamp)).unwrap_or_default(),
        detail: detail(event),
    }
}

/// What an event tells, as it says it.
fn detail(event: &HistoryEvent) -> String {
    let error = |error: Option<&str>, cause: Option<&str>| {
        format!("{}\n{}", error.unwrap_or_default(), cause.unwrap_or_default()).trim().to_owned()
    };
    let text = if let Some(it) = event.state_entered_event_details() {
        it.input().map(super::pretty).unwrap_or_default()
    } else if let Some(it) = event.state_exited_event_details() {
        it.output().map(super::pretty).unwrap_or_default()
    } else if let Some(it) = event.task_scheduled_event_details() {
        super::pretty(it.parameters())
    } else if let Some(it) = event.task_succeeded_event_details() {
        it.output().map(super::pretty).unwrap_or_default()
    } else if let Some(it) = event.task_failed_event_details() {
        error(it.error(), it.cause())
    } else if let Some(it) = event.task_timed_out_event_details() {
        error(it.error(), it.cause())
    } else if let Some(it) = event.execution_started_event_details() {
        it.input().map(super::pretty).unwrap_or_default()
    } else if let Some(it) = event.execution_succeeded_event_details() {
        it.output().map(super::pretty).unwrap_or_default()
    } else if let Some(it) = event.execution_failed_event_details() {
        error(it.error(), it.cause())
    } else if let Some(it) = event.execution_aborted_event_details() {
        error(it.error(), it.cause())
    } else if let Some(it) = event.execution_timed_out_event_details() {
        error(it.error(), it.cause())
    } else if let Some(it) = event.execution_redriven_event_details() {
        format!("redrive {}", it.redrive_count().unwrap_or_default())
    } else {
        String::new()
    };
    catalog::plain(&text).into_owned()
}
