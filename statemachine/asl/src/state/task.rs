//! Task: a service is called, and what it answers is the result.

use serde_json::Value;

use super::data::{MAX_DATA, Paths, merged, rendered, too_large};
use super::handlers::Handlers;
use super::next::Next;
use super::{COMMON, Kind};
use crate::failure::Failure;
use crate::fields::{DefinitionError, Fields};
use crate::flow::{At, Flow, Outcome, Performed, Trouble};
use crate::history::EventKind;
use crate::path::Reference;
use crate::resource::Resource;
use crate::runtime::{Runtime, later};
use crate::signal::{Order, Signal};
use crate::template::Template;

#[derive(Debug)]
pub(crate) struct Task {
    paths: Paths,
    resource: Resource,
    parameters: Option<Template>,
    timeout_seconds: Option<u64>,
    result_selector: Option<Template>,
    result_path: Option<Reference>,
    handlers: Handlers,
    next: Next,
}

impl Task {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        let own = ["Resource", "Parameters", "ResultSelector", "ResultPath", "TimeoutSeconds"];
        fields.only(&[&COMMON[..], &own, &Handlers::FIELDS, &Next::FIELDS, &Paths::FIELDS].concat())?;
        let arn = fields.required_text("Resource")?;
        let resource = Resource::named(&arn).ok_or_else(|| fields.error(format!("Resource {arn} is not supported")))?;
        Ok(Self {
            paths: Paths::parse(fields)?,
            resource,
            parameters: fields.template("Parameters")?,
            timeout_seconds: fields.number("TimeoutSeconds")?,
            result_selector: fields.template("ResultSelector")?,
            result_path: fields.reference("ResultPath")?,
            handlers: Handlers::parse(fields)?,
            next: Next::parse(fields)?,
        })
    }

    fn timed_out(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        let failure = Failure { error: Some("States.Timeout".to_owned()), cause: None };
        flow.follow(runtime, EventKind::TaskTimedOut { resource: self.resource, failure: failure.clone() });
        Err(Trouble::Failed(failure))
    }

    fn succeeded(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, result: Value) -> Performed {
        let output = result.to_string();
        if output.len() > MAX_DATA {
            return self.failed(flow, runtime, too_large(self.resource.words().0));
        }
        flow.follow(runtime, EventKind::TaskSucceeded { resource: self.resource, output });
        let result = rendered(self.result_selector.as_ref(), result, flow, runtime)?;
        let output = merged(self.result_path.as_ref(), self.paths.input(flow, runtime)?, result)?;
        self.paths.leave(flow, runtime, &self.next, output)
    }

    fn failed(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, failure: Failure) -> Performed {
        flow.follow(runtime, EventKind::TaskFailed { resource: self.resource, failure: failure.clone() });
        Err(Trouble::Failed(failure))
    }
}

impl Kind for Task {
    fn exits(&self) -> Vec<&str> {
        self.next.exit().into_iter().chain(self.handlers.exits()).collect()
    }

    fn perform(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        let input = self.paths.input(flow, runtime)?;
        let parameters = rendered(self.parameters.as_ref(), input, flow, runtime)?;
        let resource = self.resource;
        let scheduled = EventKind::TaskScheduled {
            resource,
            region: runtime.region().to_owned(),
            parameters: parameters.to_string(),
            timeout_seconds: self.timeout_seconds,
        };
        flow.follow(runtime, scheduled);
        flow.follow(runtime, EventKind::TaskStarted { resource });
        let token = runtime.token();
        runtime.orders.push(Order::Call { token, resource, parameters });
        let timer = self.timeout_seconds.map(|seconds| runtime.wake_at(later(runtime.now, seconds)));
        flow.at = At::Task { token, timer };
        Ok(Outcome::Waiting)
    }

    fn signalled(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, signal: &Signal) -> Option<Performed> {
        let At::Task { token: called, timer } = flow.at else { return None };
        let performed = match signal {
            Signal::Woken { token } if Some(*token) == timer => self.timed_out(flow, runtime),
            Signal::TaskSucceeded { token, output } if *token == called => {
                self.succeeded(flow, runtime, output.clone())
            }
            Signal::TaskFailed { token, error, cause } if *token == called => {
                self.failed(flow, runtime, Failure::new(error, cause))
            }
            _ => return None,
        };
        Some(self.handlers.guard(flow, runtime, &self.paths, performed))
    }
}
