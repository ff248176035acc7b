//! Pass: its input, or a value of its own.

use serde_json::Value;

use super::data::{Paths, merged, rendered};
use super::next::Next;
use super::{COMMON, Kind};
use crate::fields::{DefinitionError, Fields};
use crate::flow::{Flow, Performed};
use crate::path::Reference;
use crate::runtime::Runtime;
use crate::template::Template;

#[derive(Debug)]
pub(crate) struct Pass {
    paths: Paths,
    parameters: Option<Template>,
    result: Option<Value>,
    result_path: Option<Reference>,
    next: Next,
}

impl Pass {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        let own = ["Result", "Parameters", "ResultPath"];
        fields.only(&[&COMMON[..], &own, &Next::FIELDS, &Paths::FIELDS].concat())?;
        Ok(Self {
            paths: Paths::parse(fields)?,
            parameters: fields.template("Parameters")?,
            result: fields.get("Result").cloned(),
            result_path: fields.reference("ResultPath")?,
            next: Next::parse(fields)?,
        })
    }
}

impl Kind for Pass {
    fn exits(&self) -> Vec<&str> {
        self.next.exit().into_iter().collect()
    }

    fn perform(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        let input = self.paths.input(flow, runtime)?;
        let parameters = rendered(self.parameters.as_ref(), input.clone(), flow, runtime)?;
        let result = self.result.clone().unwrap_or(parameters);
        let output = merged(self.result_path.as_ref(), input, result)?;
        self.paths.leave(flow, runtime, &self.next, output)
    }
}
