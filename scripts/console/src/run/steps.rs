//! The steps of a run as rows: what each came to, and its tries as bars on one axis of time.

use runs::figures::duration;
use runs::{Status, Visit};

use super::{Run, member};
use crate::figures::{millis, of_state};

/// How long the axis is.
const AXIS: i64 = 1_000;
/// A bar is never narrower: it would not be seen.
const NARROWEST: i64 = 6;

/// A pass through a state.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) id: usize,
    pub(super) address: String,
    pub(super) depth: usize,
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) what: String,
    pub(super) took: String,
    pub(super) is_chosen: bool,
    pub(super) bars: Vec<Bar>,
}

/// A stretch of time on the axis.
pub(super) struct Bar {
    pub(super) x: i64,
    pub(super) width: i64,
    /// `wait` between two tries.
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// A row for every pass through a state that does something, in the order of the tree.
pub(super) fn rows(run: &Run, page: &str, tab: &str, chosen: Option<&str>) -> Vec<Row> {
    let begin = millis(&run.described.start_date);
    let last = run.events.iter().map(|event| millis(&event.timestamp)).max().unwrap_or(begin);
    let axis = Axis { begin, span: (last - begin).max(1) };
    let mut rows = Vec::new();
    branch(run, None, 0, &mut |index, depth| {
        let visit = &run.view.visits[index];
        let (class, word) = of_state(visit.status);
        let failed = run.view.visits.iter().filter(|other| other.parent == Some(index) && other.has_failed()).count();
        let (class, word) =
            if failed > 0 && visit.status == Status::Done { of_state(Status::Caught) } else { (class, word) };
        rows.push(Row {
            id: index,
            address: format!("{page}?{}&{}#step", member("tab", tab), member("step", &visit.state)),
            name: visit.state.clone(),
            depth,
            class,
            word,
            what: if failed > 0 { format!("{failed} failed") } else { visit.outcome() },
            took: duration(&visit.entered, visit.left.as_ref()).unwrap_or_default(),
            is_chosen: chosen == Some(&visit.state),
            bars: axis.bars(visit, last),
        });
    });
    rows
}

fn branch(run: &Run, parent: Option<usize>, depth: usize, row: &mut dyn FnMut(usize, usize)) {
    for (index, visit) in run.view.visits.iter().enumerate().filter(|(_, visit)| visit.parent == parent) {
        // States that only choose or report are the definition's business.
        if visit.tries > 0 || visit.is_parallel {
            row(index, depth);
            branch(run, Some(index), depth + 1, row);
        }
    }
}

/// The time of a run as a length.
struct Axis {
    begin: i64,
    span: i64,
}

impl Axis {
    fn bar(&self, from: i64, to: i64, class: &'static str, title: String) -> Bar {
        let place = |at: i64| (at - self.begin).clamp(0, self.span) * (AXIS - NARROWEST) / self.span;
        Bar { x: place(from), width: (place(to) - place(from)).max(NARROWEST), class, title }
    }

    fn bars(&self, visit: &Visit, last: i64) -> Vec<Bar> {
        let end = visit.left.as_ref().map_or(last, millis);
        if visit.attempts.is_empty() {
            return vec![self.bar(millis(&visit.entered), end, of_state(visit.status).0, visit.state.clone())];
        }
        let mut bars = Vec::new();
        let mut before = None;
        for (at, attempt) in visit.attempts.iter().enumerate() {
            let began = millis(&attempt.began);
            if let Some(before) = before {
                let why = if attempt.is_redriven { "until it was redriven" } else { "until the next try" };
                bars.push(self.bar(before, began, "wait", why.to_owned()));
            }
            let ended = attempt.ended.as_ref().map_or(end, millis);
            let (class, what) = match (&attempt.failure, attempt.ended) {
                (Some((error, _)), _) => ("failed", error.as_str()),
                (None, Some(_)) => ("done", "succeeded"),
                (None, None) if visit.status == Status::Running => ("running", "in progress"),
                (None, None) => ("aborted", "cancelled"),
            };
            bars.push(self.bar(began, ended, class, format!("try {}: {what}", at + 1)));
            before = Some(ended);
        }
        bars
    }
}
