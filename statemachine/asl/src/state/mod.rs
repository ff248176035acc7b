//! The kinds of states, a file each: its own fields, how they are read, what it does when a flow comes to it.
//!
//! What kinds share has a file of its own: what goes in and comes out (`data`), where it goes next (`next`), what becomes
//! of a failure (`handlers`).
//!
//! Machine, flow and state are one knot, and nothing else here is: a Parallel is made of machines and runs flows.

mod choice;
mod data;
mod fail;
mod handlers;
mod next;
mod parallel;
mod pass;
mod rule;
mod succeed;
mod task;
mod wait;

use serde_json::Value;

use self::choice::Choice;
use self::fail::Fail;
use self::parallel::Parallel;
use self::pass::Pass;
use self::succeed::Succeed;
use self::task::Task;
use self::wait::Wait;
use crate::fields::{DefinitionError, Fields};
use crate::flow::{Flow, Performed};
use crate::runtime::Runtime;
use crate::signal::Signal;
use crate::state_type::StateType;

/// What the fields of every state may say.
const COMMON: [&str; 2] = ["Type", "Comment"];

/// A state of a definition.
#[derive(Debug)]
pub(crate) enum State {
    Pass(Pass),
    Task(Task),
    Choice(Choice),
    Parallel(Parallel),
    Wait(Wait),
    Succeed(Succeed),
    Fail(Fail),
}

impl State {
    pub(crate) fn parse(name: &str, value: &Value) -> Result<Self, DefinitionError> {
        let fields = Fields::of(&format!("state {name:?}"), value)?;
        if name.is_empty() || name.chars().count() > 80 {
            return Err(fields.error("a state's name has 1 to 80 characters"));
        }
        let type_name = fields.required_text("Type")?;
        let state_type =
            StateType::named(&type_name).ok_or_else(|| fields.error(format!("Type {type_name} is not supported")))?;
        Ok(match state_type {
            StateType::Pass => Self::Pass(Pass::parse(&fields)?),
            StateType::Task => Self::Task(Task::parse(&fields)?),
            StateType::Choice => Self::Choice(Choice::parse(&fields)?),
            StateType::Parallel => Self::Parallel(Parallel::parse(name, &fields)?),
            StateType::Wait => Self::Wait(Wait::parse(&fields)?),
            StateType::Succeed => Self::Succeed(Succeed::parse(&fields)?),
            StateType::Fail => Self::Fail(Fail::parse(&fields)?),
        })
    }

    pub(crate) fn state_type(&self) -> StateType {
        match self {
            Self::Pass(_) => StateType::Pass,
            Self::Task(_) => StateType::Task,
            Self::Choice(_) => StateType::Choice,
            Self::Parallel(_) => StateType::Parallel,
            Self::Wait(_) => StateType::Wait,
            Self::Succeed(_) => StateType::Succeed,
            Self::Fail(_) => StateType::Fail,
        }
    }

    /// What it does.
    pub(crate) fn kind(&self) -> &dyn Kind {
        match self {
            Self::Pass(state) => state,
            Self::Task(state) => state,
            Self::Choice(state) => state,
            Self::Parallel(state) => state,
            Self::Wait(state) => state,
            Self::Succeed(state) => state,
            Self::Fail(state) => state,
        }
    }
}

/// What every kind of state can be asked.
pub(crate) trait Kind {
    /// The states it may lead to.
    fn exits(&self) -> Vec<&str>;

    /// Does what the state is for: when it was entered, and again at a retry.
    fn perform(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed;

    /// Goes on when the signal is what the flow waits for in this state; else `None`, and nothing has changed.
    fn signalled(&self, _flow: &mut Flow, _runtime: &mut Runtime<'_>, _signal: &Signal) -> Option<Performed> {
        None
    }

    /// Runs again what failed or was aborted here, after the event of the redrive.
    fn revive(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, _redriven: u64) -> Performed {
        // Not entered again: what follows follows the old event.
        flow.last = flow.entered;
        self.perform(flow, runtime)
    }
}
