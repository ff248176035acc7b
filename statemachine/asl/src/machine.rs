//! A definition in Amazon States Language, parsed. What the interpreter does not do is refused here, by name and place,
//! and never found out half-way through a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::fields::{DefinitionError, Fields};
use crate::state::State;

/// States and where they start: the whole machine, or a branch.
#[derive(Debug)]
pub struct Machine {
    pub(crate) start_at: String,
    pub(crate) states: BTreeMap<String, State>,
    pub(crate) timeout_seconds: Option<u64>,
}

impl Machine {
    /// Parses a definition.
    ///
    /// # Errors
    /// The first thing in it that is wrong, or that the interpreter does not do.
    pub fn parse(definition: &Value) -> Result<Arc<Self>, DefinitionError> {
        let place = "the definition";
        let fields = Fields::of(place, definition)?;
        fields.only(&["Comment", "StartAt", "States", "TimeoutSeconds", "Version", "QueryLanguage"])?;
        if fields.get("QueryLanguage").is_some_and(|language| language != "JSONPath") {
            return Err(fields.error("QueryLanguage: only JSONPath is supported"));
        }
        Self::of(&fields).map(Arc::new)
    }

    pub(crate) fn branch(place: &str, definition: &Value) -> Result<Arc<Self>, DefinitionError> {
        let fields = Fields::of(place, definition)?;
        fields.only(&["Comment", "StartAt", "States"])?;
        Self::of(&fields).map(Arc::new)
    }

    fn of(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        let start_at = fields.required_text("StartAt")?;
        let states = fields
            .get("States")
            .and_then(Value::as_object)
            .ok_or_else(|| fields.error("States is missing or no object"))?;
        let states = states
            .iter()
            .map(|(name, state)| Ok((name.clone(), State::parse(name, state)?)))
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let machine = Self { start_at, states, timeout_seconds: fields.number("TimeoutSeconds")? };
        machine.check_targets(fields)?;
        Ok(machine)
    }

    /// Every way out of a state leads to a state.
    fn check_targets(&self, fields: &Fields<'_>) -> Result<(), DefinitionError> {
        let check = |from: &str, to: &str| match self.states.contains_key(to) {
            true => Ok(()),
            false => Err(fields.error(format!("{from} leads to {to:?}, which does not exist"))),
        };
        check("StartAt", &self.start_at)?;
        for (name, state) in &self.states {
            for next in state.kind().exits() {
                check(name, next)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(state: &Value) -> String {
        Machine::parse(&json!({"StartAt": "A", "States": {"A": state}})).unwrap_err().to_string()
    }

    #[test]
    fn what_the_interpreter_does_not_do_is_refused_by_name_and_place() {
        for (state, message) in [
            (json!({"Type": "Map", "End": true}), "state \"A\": Type Map is not supported"),
            (
                json!({"Type": "Task", "Resource": "arn:aws:states:::dynamodb:getItem", "End": true}),
                "state \"A\": Resource arn:aws:states:::dynamodb:getItem is not supported",
            ),
            (json!({"Type": "Pass", "Assign": {}, "End": true}), "state \"A\": Assign is not supported"),
            (json!({"Type": "Pass", "Next": "B"}), "the definition: A leads to \"B\", which does not exist"),
            (json!({"Type": "Pass"}), "state \"A\": exactly one of Next and \"End\": true is needed"),
            (
                json!({"Type": "Pass", "ResultPath": "$.a[0]", "End": true}),
                "state \"A\": ResultPath: \"$.a[0]\" is no path: only names are supported, as in $.a.b",
            ),
            (json!({"Type": "Wait", "End": true}), "state \"A\": it does not say how long to wait"),
            (
                json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "StringMatches": "*", "Next": "A"}]}),
                "state \"A\": the comparison StringMatches is not supported",
            ),
            (
                json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "HeartbeatSeconds": 1, "End": true}),
                "state \"A\": HeartbeatSeconds is not supported",
            ),
            (
                json!({"Type": "Parallel", "Branches": [{"StartAt": "B", "States": {"B": {"Type": "Task"}}}], "End": true}),
                "state \"B\": Resource is missing",
            ),
        ] {
            assert_eq!(refusal(&state), message);
        }
        let jsonata = json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {}});
        assert_eq!(
            Machine::parse(&jsonata).unwrap_err().to_string(),
            "the definition: QueryLanguage: only JSONPath is supported"
        );
    }
}
