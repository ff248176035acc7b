//! How each step went, as a run's history tells it.

use std::collections::{HashMap, HashSet};

use runs::figures::duration;
use runs::{Status, View, Visit};

use super::shape::{Branch, Kind};

/// What is shown of a step beside its name.
pub(super) struct Told {
    pub(super) mark: Mark,
    /// Time, tries or how many failed: as short as a chip.
    pub(super) detail: String,
    /// What came of it, as far as it is known.
    pub(super) outcome: String,
}

/// A step's colour, and the word that says the same; the gravest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Mark {
    NotRun,
    Done,
    Running,
    Aborted,
    Caught,
    Failed,
}

impl Mark {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::NotRun => "s-none",
            Self::Done => "s-done",
            Self::Running => "s-running",
            Self::Aborted => "s-aborted",
            Self::Caught => "s-caught",
            Self::Failed => "s-failed",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NotRun => "not run",
            Self::Done => "succeeded",
            Self::Running => "in progress",
            Self::Aborted => "cancelled",
            Self::Caught => "caught error",
            Self::Failed => "failed",
        }
    }

    /// Its sign, drawn in a square of 10: fonts differ in what signs they have.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::NotRun => "M5 5h0",
            Self::Done => "M1 5.5l3 3l5-7",
            Self::Running => "M2.5 1.5v7l6-3.5z",
            Self::Aborted => "M1 5h8",
            Self::Caught => "M5 1v5M5 8.8v.2",
            Self::Failed => "M1.5 1.5l7 7M8.5 1.5l-7 7",
        }
    }
}

impl From<Status> for Mark {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Done => Self::Done,
            Status::Caught => Self::Caught,
            Status::Failed => Self::Failed,
            Status::Aborted => Self::Aborted,
        }
    }
}

/// A history, by the names of its states.
pub(super) struct History<'a> {
    view: &'a View,
    /// Passes through the machine's own states, in order.
    own: HashMap<&'a str, Vec<&'a Visit>>,
    /// The ways that were taken, and whether it was an error that led there the last time.
    taken: HashMap<(&'a str, &'a str), bool>,
    /// The indices of the newest pass through each.
    newest: HashMap<&'a str, usize>,
}

impl<'a> History<'a> {
    /// A history, given the machine's own states and which of them are its main line.
    pub(super) fn of(view: &'a View, is_main: &HashMap<&str, bool>) -> Self {
        let mut history = Self { view, own: HashMap::new(), taken: HashMap::new(), newest: HashMap::new() };
        let failed: HashSet<usize> =
            view.visits.iter().filter(|visit| visit.has_failed()).filter_map(|visit| visit.parent).collect();
        let mut before: Option<&Visit> = None;
        let mut is_trouble = false;
        for (index, visit) in view.visits.iter().enumerate() {
            // What a Map iterates over is told beside the Map's own pass.
            let Some(is_main) = is_main.get(&*visit.state).filter(|_| visit.parent.is_none()) else { continue };
            history.own.entry(&visit.state).or_default().push(visit);
            history.newest.insert(&visit.state, index);
            if let Some(before) = before {
                history.taken.insert((&before.state, &visit.state), is_trouble);
            }
            // What comes of an error is its way until the main line is at work again.
            let is_at_work = *is_main && (visit.tries > 0 || visit.is_parallel);
            is_trouble = visit.has_failed() || failed.contains(&index) || (is_trouble && !is_at_work);
            before = Some(visit);
        }
        history
    }

    /// Whether the way from a state to another was taken, and whether by an error.
    pub(super) fn taken(&self, from: &str, to: &str) -> Option<bool> {
        self.taken.get(&(from, to)).copied()
    }

    /// Of one of the machine's own states.
    pub(super) fn state(&self, name: &str, kind: Kind, branches: &[Told]) -> Told {
        let visits = self.own.get(name).map(Vec::as_slice).unwrap_or_default();
        let Some(last) = visits.last() else {
            let detail = match (kind, branches.len()) {
                (Kind::Parallel, 1) => "1 branch".to_owned(),
                (Kind::Parallel, count) => format!("{count} branches"),
                _ => String::new(),
            };
            return Told { mark: Mark::NotRun, detail, outcome: String::new() };
        };
        let mut mark = Mark::from(last.status);
        let mut outcome = last.outcome();
        let mut detail = match kind {
            Kind::Task | Kind::Map | Kind::Parallel => detail(last, last.tries),
            // They take no time and try nothing.
            Kind::Choice | Kind::Pass | Kind::Succeed | Kind::Fail => String::new(),
        };
        let count = |is: &dyn Fn(Mark) -> bool| branches.iter().filter(|branch| is(branch.mark)).count();
        let failed = count(&|mark| mark >= Mark::Caught);
        if failed > 0 {
            detail = format!("{failed} of {} failed", branches.len());
            mark = mark.max(Mark::Caught);
        } else if mark == Mark::Running && !branches.is_empty() {
            detail = format!("{} of {} done", count(&|mark| mark == Mark::Done), branches.len());
        }
        if visits.len() > 1 {
            let passes = format!("pass {}", visits.len());
            outcome = if outcome.is_empty() { passes } else { format!("{passes}, {outcome}") };
        }
        Told { mark, detail, outcome }
    }

    /// Of the branches of a Parallel, in its newest pass.
    pub(super) fn branches(&self, parallel: &str, branches: &[Branch<'_>]) -> Vec<Told> {
        let mut visits: HashMap<&str, Vec<&Visit>> = HashMap::new();
        if let Some(newest) = self.newest.get(parallel) {
            let within = (newest + 1..self.view.visits.len()).filter(|index| self.is_within(*index, *newest));
            for visit in within.map(|index| &self.view.visits[index]) {
                visits.entry(&visit.state).or_default().push(visit);
            }
        }
        branches.iter().map(|branch| told(branch, &visits)).collect()
    }

    fn is_within(&self, index: usize, parallel: usize) -> bool {
        // A visit is in one that began before it.
        let around = |index: &usize| self.view.visits[*index].parent.filter(|parent| parent < index);
        std::iter::successors(Some(index), around).any(|around| around == parallel)
    }
}

/// The gravest of what became of a branch's states; the time and the tries of the one that it is named after.
fn told(branch: &Branch<'_>, visits: &HashMap<&str, Vec<&Visit>>) -> Told {
    let newest = branch.states.iter().filter_map(|state| visits.get(state)?.last());
    let worst = newest.max_by_key(|visit| Mark::from(visit.status));
    let mark = worst.map_or(Mark::NotRun, |visit| Mark::from(visit.status));
    let main = visits.get(branch.main).map(Vec::as_slice).unwrap_or_default();
    let tries = main.iter().map(|visit| visit.tries).fold(0, u32::saturating_add);
    let detail = main.last().map(|visit| detail(visit, tries)).unwrap_or_default();
    let outcome = match (main.last().map(|visit| visit.outcome()), worst) {
        (Some(outcome), _) if !outcome.is_empty() => outcome,
        (_, Some(worst)) => worst.outcome(),
        _ => String::new(),
    };
    Told { mark, detail, outcome }
}

fn detail(visit: &Visit, tries: u32) -> String {
    match duration(&visit.entered, visit.left.as_ref()) {
        _ if tries > 1 => format!("{tries} tries"),
        Some(took) => took,
        None => "running".to_owned(),
    }
}
