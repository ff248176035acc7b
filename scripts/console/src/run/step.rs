//! One state of a run: its tries and why each ended, what went in and out, its events, its definition.

use runs::figures::duration;
use serde_json::Value;

use super::{Run, pretty};
use crate::figures::{iso, of_state};

/// What is shown of the state that is chosen.
pub(super) struct Panel {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) passes: usize,
    pub(super) resource: String,
    pub(super) attempts: Vec<Attempt>,
    pub(super) input: String,
    pub(super) output: String,
    pub(super) definition: String,
    pub(super) events: Vec<i64>,
}

pub(super) struct Attempt {
    pub(super) number: usize,
    pub(super) began: String,
    pub(super) took: String,
    pub(super) error: String,
    pub(super) cause: String,
    pub(super) is_redriven: bool,
}

impl Panel {
    /// The last pass through a state, or what the definition says of one that has not run; `None` of one that is not there.
    pub(super) fn of(run: &Run, state: &str) -> Option<Self> {
        let definition: Value = serde_json::from_str(&run.definition).unwrap_or_default();
        let stated = stated(&definition, state);
        let passes = run.view.visits.iter().filter(|visit| visit.state == state).count();
        let Some(visit) = run.view.visits.iter().rfind(|visit| visit.state == state) else {
            let stated = stated?;
            return Some(Self {
                name: state.to_owned(),
                kind: stated["Type"].as_str().unwrap_or_default().to_owned(),
                class: "none",
                word: "not run",
                passes,
                resource: resource(stated),
                attempts: Vec::new(),
                input: String::new(),
                output: String::new(),
                definition: serde_json::to_string_pretty(stated).unwrap_or_default(),
                events: Vec::new(),
            });
        };
        let attempts = visit.attempts.iter().enumerate().map(|(at, attempt)| {
            let (error, cause) = attempt.failure.clone().unwrap_or_default();
            let failure = catalog::message::Failure { subject: String::new(), error, cause };
            Attempt {
                number: at + 1,
                began: iso(&attempt.began),
                took: duration(&attempt.began, attempt.ended.as_ref()).unwrap_or_default(),
                cause: if attempt.failure.is_some() {
                    catalog::plain(&failure.message()).into_owned()
                } else {
                    String::new()
                },
                error: failure.error,
                is_redriven: attempt.is_redriven,
            }
        });
        let (class, word) = of_state(visit.status);
        Some(Self {
            name: visit.state.clone(),
            kind: visit.kind.clone(),
            class,
            word,
            passes,
            resource: stated.map(resource).unwrap_or_default(),
            attempts: attempts.collect(),
            input: pretty(visit.input.as_deref().unwrap_or_default()),
            output: pretty(visit.output.as_deref().unwrap_or_default()),
            definition: stated
                .map(|stated| serde_json::to_string_pretty(stated).unwrap_or_default())
                .unwrap_or_default(),
            events: visit.events.clone(),
        })
    }
}

/// What a task calls: the function that is named, else the integration.
fn resource(state: &Value) -> String {
    let called = state["Parameters"]["FunctionName"].as_str().or_else(|| state["Resource"].as_str());
    called.unwrap_or_default().to_owned()
}

/// A state of a machine or of a branch of it.
fn stated<'d>(machine: &'d Value, name: &str) -> Option<&'d Value> {
    let states = machine["States"].as_object()?;
    states.get(name).or_else(|| {
        let branches = states.values().filter_map(|state| state["Branches"].as_array()).flatten();
        branches.into_iter().find_map(|branch| stated(branch, name))
    })
}
