//! What a state is given and what it passes on: InputPath and OutputPath, ResultSelector and ResultPath, and the way out.

use serde_json::Value;

use super::next::Next;
use crate::failure::Failure;
use crate::fields::{DefinitionError, Fields};
use crate::flow::{Flow, Outcome, Performed, Trouble};
use crate::nesting::{MAX_NESTING, nests_too_deep};
use crate::path::{Path, Reference};
use crate::runtime::Runtime;
use crate::template::Template;

/// What Step Functions allows an output or result to have, in bytes.
pub(super) const MAX_DATA: usize = 262_144;

/// The failure of a state or service whose result has more.
pub(super) fn too_large(whose: &str) -> Failure {
    let cause = format!(
        "The state/task '{whose}' returned a result with a size exceeding the maximum number of bytes service limit."
    );
    Failure::new("States.DataLimitExceeded", cause)
}

/// The failure of a state or service whose result nests deeper than is carried here. AWS tells of no such limit.
pub(super) fn too_deep(whose: &str) -> Failure {
    let cause = format!("The state/task '{whose}' returned a result that nests deeper than {MAX_NESTING} levels.");
    Failure::new("States.DataLimitExceeded", cause)
}

/// InputPath and OutputPath; `None` is the whole.
#[derive(Debug)]
pub(super) struct Paths {
    input: Option<Path>,
    output: Option<Path>,
}

impl Paths {
    /// Fields that say them.
    pub(super) const FIELDS: [&str; 2] = ["InputPath", "OutputPath"];

    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        Ok(Self { input: fields.path("InputPath")?, output: fields.path("OutputPath")? })
    }

    /// The part of the flow's input that the state sees.
    pub(super) fn input(&self, flow: &Flow, runtime: &Runtime<'_>) -> Result<Value, Trouble> {
        at(self.input.as_ref(), &flow.input, flow, runtime)
    }

    /// The part of `value` that the state passes on.
    pub(super) fn output(&self, flow: &Flow, runtime: &Runtime<'_>, value: Value) -> Result<Value, Trouble> {
        match &self.output {
            None => Ok(value),
            path => at(path.as_ref(), &value, flow, runtime),
        }
    }

    /// Out of the state with what it made.
    pub(super) fn leave(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, next: &Next, made: Value) -> Performed {
        let output = self.output(flow, runtime, made)?;
        // Before it is written as text, which is done by recursion.
        if nests_too_deep(&output) {
            return Err(Trouble::Failed(too_deep(&flow.state)));
        }
        if output.to_string().len() > MAX_DATA {
            return Err(Trouble::Failed(too_large(&flow.state)));
        }
        flow.record_exit(runtime, &output);
        Ok(match next {
            Next::State(next) => Outcome::Go(next.clone(), output),
            Next::End => Outcome::Succeeded(output),
        })
    }
}

/// The value at a path.
pub(super) fn at(path: Option<&Path>, value: &Value, flow: &Flow, runtime: &Runtime<'_>) -> Result<Value, Trouble> {
    let Some(path) = path else { return Ok(value.clone()) };
    path.find(value, &flow.context(runtime)).ok_or_else(|| Trouble::Broken(path.missing(value)))
}

/// A template's value, or the input where there is none.
pub(super) fn rendered(
    template: Option<&Template>,
    input: Value,
    flow: &Flow,
    runtime: &Runtime<'_>,
) -> Result<Value, Trouble> {
    match template {
        Some(template) => template.render(&input, &flow.context(runtime)).map_err(|missing| Trouble::Broken(missing.0)),
        None => Ok(input),
    }
}

/// `input` with `result` where ResultPath puts it; `None` throws the result away.
pub(super) fn merged(place: Option<&Reference>, input: Value, result: Value) -> Result<Value, Trouble> {
    match place {
        None => Ok(input),
        Some(place) => place.put(input, result).ok_or_else(|| {
            let why = "Unable to apply ReferencePath: the path leads through something that is no object.";
            Trouble::Broken(why.to_owned())
        }),
    }
}
