//! Parallel: branches run side by side; all succeed, or the first that fails ends the others.

use std::sync::Arc;

use serde_json::Value;

use super::data::{Paths, merged, rendered};
use super::handlers::Handlers;
use super::next::Next;
use super::{COMMON, Kind};
use crate::failure::Failure;
use crate::fields::{DefinitionError, Fields};
use crate::flow::{At, Ended, Flow, Outcome, Performed, Trouble};
use crate::history::EventKind;
use crate::machine::Machine;
use crate::path::Reference;
use crate::runtime::Runtime;
use crate::signal::Signal;
use crate::state_type::StateType;
use crate::template::Template;

#[derive(Debug)]
pub(crate) struct Parallel {
    paths: Paths,
    branches: Vec<Arc<Machine>>,
    parameters: Option<Template>,
    result_selector: Option<Template>,
    result_path: Option<Reference>,
    handlers: Handlers,
    next: Next,
}

impl Parallel {
    pub(super) fn parse(name: &str, fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        let own = ["Branches", "Parameters", "ResultSelector", "ResultPath"];
        fields.only(&[&COMMON[..], &own, &Handlers::FIELDS, &Next::FIELDS, &Paths::FIELDS].concat())?;
        let branches = fields.list("Branches")?;
        if branches.is_empty() {
            return Err(fields.error("Branches is empty"));
        }
        let parse = |branch: &Value| Machine::branch(&format!("a branch of {name:?}"), branch);
        Ok(Self {
            paths: Paths::parse(fields)?,
            branches: branches.iter().map(parse).collect::<Result<_, _>>()?,
            parameters: fields.template("Parameters")?,
            result_selector: fields.template("ResultSelector")?,
            result_path: fields.reference("ResultPath")?,
            handlers: Handlers::parse(fields)?,
            next: Next::parse(fields)?,
        })
    }

    /// Looks at the branches: goes on when all succeeded, fails when one failed.
    fn look(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        if runtime.broken.is_some() {
            return Ok(Outcome::Waiting); // The whole execution is about to end.
        }
        let performed = match first_failed(&flow.branches) {
            Some((last, failure)) => self.branch_failed(flow, runtime, last, failure),
            None => self.all_succeeded(flow, runtime),
        };
        self.handlers.guard(flow, runtime, &self.paths, performed)
    }

    fn all_succeeded(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        let outputs = flow.branches.iter().map(|branch| match branch.ended() {
            Some(Ended::Succeeded(output)) => Some(output.clone()),
            Some(Ended::Failed(_) | Ended::Aborted) | None => None,
        });
        let Some(outputs) = outputs.collect::<Option<Vec<Value>>>() else {
            flow.at = At::Branches;
            return Ok(Outcome::Waiting);
        };
        // The exit follows the last branch, not the success: so AWS records it.
        flow.last = flow.branches.iter().map(|branch| branch.last).max().unwrap_or(flow.last);
        runtime.record(flow.last, EventKind::ParallelStateSucceeded);
        let result = rendered(self.result_selector.as_ref(), Value::Array(outputs), flow, runtime)?;
        let output = merged(self.result_path.as_ref(), self.paths.input(flow, runtime)?, result)?;
        self.paths.leave(flow, runtime, &self.next, output)
    }

    fn branch_failed(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, last: u64, failure: Failure) -> Performed {
        flow.last = last;
        if !self.handlers.will_retry(flow, &failure) {
            for branch in flow.branches.iter().filter(|branch| !branch.succeeded()) {
                if branch.state_type() == Some(StateType::Task) {
                    runtime.record(last, EventKind::TaskStateAborted);
                }
            }
            flow.follow(runtime, EventKind::ParallelStateFailed);
        }
        flow.branches.iter_mut().for_each(Flow::abort_all);
        Err(Trouble::Failed(failure))
    }
}

/// The last event of the first branch that failed, and its failure.
fn first_failed(branches: &[Flow]) -> Option<(u64, Failure)> {
    branches.iter().find_map(|branch| match branch.ended()? {
        Ended::Failed(failure) => Some((branch.last, failure.clone())),
        Ended::Succeeded(_) | Ended::Aborted => None,
    })
}

impl Kind for Parallel {
    fn exits(&self) -> Vec<&str> {
        self.next.exit().into_iter().chain(self.handlers.exits()).collect()
    }

    fn perform(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        let input = self.paths.input(flow, runtime)?;
        let input = rendered(self.parameters.as_ref(), input, flow, runtime)?;
        let started = flow.follow(runtime, EventKind::ParallelStateStarted);
        flow.branches = self.branches.iter().map(|branch| Flow::new(Arc::clone(branch), input.clone())).collect();
        flow.at = At::Branches;
        for branch in &mut flow.branches {
            branch.begin(runtime, started);
        }
        self.look(flow, runtime)
    }

    fn signalled(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, signal: &Signal) -> Option<Performed> {
        if !matches!(flow.at, At::Branches) {
            return None;
        }
        for branch in flow.branches.iter_mut().filter(|branch| branch.ended().is_none()) {
            branch.handle(runtime, signal);
        }
        Some(self.look(flow, runtime))
    }

    fn revive(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, redriven: u64) -> Performed {
        if flow.branches.iter().all(Flow::succeeded) {
            flow.last = flow.entered;
            return self.perform(flow, runtime);
        }
        flow.at = At::Branches;
        for branch in flow.branches.iter_mut().filter(|branch| !branch.succeeded()) {
            branch.revive(runtime, redriven);
        }
        self.look(flow, runtime)
    }
}
