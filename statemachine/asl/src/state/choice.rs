//! Choice: the first rule that holds says where to go.

use serde_json::Value;

use super::data::Paths;
use super::rule::Rule;
use super::{COMMON, Kind};
use crate::fields::{DefinitionError, Fields};
use crate::flow::{Flow, Outcome, Performed, Trouble};
use crate::runtime::Runtime;

#[derive(Debug)]
pub(crate) struct Choice {
    paths: Paths,
    rules: Vec<Rule>,
    default: Option<String>,
}

impl Choice {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        fields.only(&[&COMMON[..], &["Choices", "Default"], &Paths::FIELDS].concat())?;
        let parse = |rule: &Value| Rule::parse(rule).map_err(|error| fields.error(error.to_string()));
        Ok(Self {
            paths: Paths::parse(fields)?,
            rules: fields.list("Choices")?.iter().map(parse).collect::<Result<_, _>>()?,
            default: fields.text("Default")?,
        })
    }
}

impl Kind for Choice {
    fn exits(&self) -> Vec<&str> {
        self.rules.iter().map(|rule| rule.next.as_str()).chain(self.default.as_deref()).collect()
    }

    fn perform(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        let input = self.paths.input(flow, runtime)?;
        let context = flow.context(runtime);
        let mut chosen = self.default.as_ref();
        for rule in &self.rules {
            if rule.holds(&input, &context).map_err(Trouble::Broken)? {
                chosen = Some(&rule.next);
                break;
            }
        }
        let nowhere = "Failed to transition out of the state. The state does not point to a next state.";
        let next = chosen.ok_or_else(|| Trouble::Broken(nowhere.to_owned()))?.clone();
        let output = self.paths.output(flow, runtime, input)?;
        flow.record_exit(runtime, &output);
        Ok(Outcome::Go(next, output))
    }
}
