//! The rules of a Choice state: the comparisons that the definition uses, and the and, or and not of them.

use serde_json::Value;

use crate::path::{Path, PathError};

/// A rule with the state it leads to.
#[derive(Debug)]
pub(super) struct Rule {
    test: Test,
    pub(super) next: String,
}

#[derive(Debug)]
enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Compare { variable: Path, comparison: Comparison },
}

#[derive(Debug)]
enum Comparison {
    StringEquals(String),
    BooleanEquals(bool),
    NumericEquals(f64),
    NumericGreaterThan(f64),
    NumericLessThan(f64),
    IsPresent(bool),
    IsNull(bool),
}

/// A rule that cannot be run here.
#[derive(Debug, thiserror::Error)]
pub(super) enum RuleError {
    #[error("{0}")]
    Form(String),
    #[error(transparent)]
    Path(#[from] PathError),
}

fn error(why: impl Into<String>) -> RuleError {
    RuleError::Form(why.into())
}

impl Rule {
    pub(super) fn parse(rule: &Value) -> Result<Self, RuleError> {
        let next = rule.get("Next").and_then(Value::as_str).ok_or_else(|| error("a rule lacks Next"))?;
        Ok(Self { test: Test::parse(rule)?, next: next.to_owned() })
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// The cause of `States.Runtime` when a variable leads nowhere.
    pub(super) fn holds(&self, input: &Value, context: &Value) -> Result<bool, String> {
        self.test.holds(input, context)
    }
}

impl Test {
    fn parse(rule: &Value) -> Result<Self, RuleError> {
        let members = rule.as_object().ok_or_else(|| error("a rule is no object"))?;
        let list = |value: &Value| match value.as_array() {
            Some(tests) if !tests.is_empty() => tests.iter().map(Self::parse).collect::<Result<Vec<_>, _>>(),
            _ => Err(error("And and Or take a list of rules")),
        };
        let tests: Vec<_> =
            members.iter().filter(|(key, _)| !matches!(key.as_str(), "Next" | "Comment" | "Variable")).collect();
        let [(name, operand)] = tests[..] else { return Err(error("a rule makes exactly one comparison")) };
        match name.as_str() {
            "And" => return Ok(Self::And(list(operand)?)),
            "Or" => return Ok(Self::Or(list(operand)?)),
            "Not" => return Ok(Self::Not(Box::new(Self::parse(operand)?))),
            _ => {}
        }
        let comparison = match (name.as_str(), operand) {
            ("StringEquals", Value::String(text)) => Comparison::StringEquals(text.clone()),
            ("BooleanEquals", Value::Bool(flag)) => Comparison::BooleanEquals(*flag),
            ("IsPresent", Value::Bool(flag)) => Comparison::IsPresent(*flag),
            ("IsNull", Value::Bool(flag)) => Comparison::IsNull(*flag),
            (name, operand) => match (name, operand.as_f64()) {
                ("NumericEquals", Some(number)) => Comparison::NumericEquals(number),
                ("NumericGreaterThan", Some(number)) => Comparison::NumericGreaterThan(number),
                ("NumericLessThan", Some(number)) => Comparison::NumericLessThan(number),
                _ => return Err(error(format!("the comparison {name} is not supported"))),
            },
        };
        let variable =
            rule.get("Variable").and_then(Value::as_str).ok_or_else(|| error("a rule lacks its Variable"))?;
        Ok(Self::Compare { variable: Path::parse(variable)?, comparison })
    }

    fn holds(&self, input: &Value, context: &Value) -> Result<bool, String> {
        match self {
            Self::And(tests) => tests.iter().try_fold(true, |all, test| Ok(all && test.holds(input, context)?)),
            Self::Or(tests) => tests.iter().try_fold(false, |any, test| Ok(any || test.holds(input, context)?)),
            Self::Not(test) => Ok(!test.holds(input, context)?),
            Self::Compare { variable, comparison } => {
                let found = variable.find(input, context);
                if let Comparison::IsPresent(wanted) = comparison {
                    return Ok(found.is_some() == *wanted);
                }
                let value = found.ok_or_else(|| {
                    format!(
                        "Invalid path '{}': The choice state's condition path references an invalid value.",
                        variable.text()
                    )
                })?;
                Ok(comparison.holds(&value))
            }
        }
    }
}

impl Comparison {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::StringEquals(wanted) => value.as_str() == Some(wanted),
            Self::BooleanEquals(wanted) => value.as_bool() == Some(*wanted),
            Self::NumericEquals(wanted) => value.as_f64() == Some(*wanted),
            Self::NumericGreaterThan(bound) => value.as_f64().is_some_and(|number| number > *bound),
            Self::NumericLessThan(bound) => value.as_f64().is_some_and(|number| number < *bound),
            Self::IsPresent(wanted) => *wanted,
            Self::IsNull(wanted) => value.is_null() == *wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(mut rule: Value) -> Result<bool, String> {
        rule["Next"] = json!("A");
        Rule::parse(&rule).unwrap().holds(&json!({"s": "x", "n": 3, "b": true, "z": null}), &json!({}))
    }

    #[test]
    fn comparisons_are_typed() {
        for (rule, expected) in [
            (json!({"Variable": "$.s", "StringEquals": "x"}), true),
            (json!({"Variable": "$.n", "StringEquals": "3"}), false),
            (json!({"Variable": "$.b", "BooleanEquals": true}), true),
            (json!({"Variable": "$.n", "NumericGreaterThan": 2}), true),
            (json!({"Variable": "$.n", "NumericLessThan": 3}), false),
            (json!({"Variable": "$.n", "NumericEquals": 3.0}), true),
            (json!({"Variable": "$.none", "IsPresent": false}), true),
            (json!({"Variable": "$.z", "IsNull": true}), true),
            (json!({"Not": {"Variable": "$.b", "BooleanEquals": true}}), false),
            (
                json!({"And": [{"Variable": "$.b", "BooleanEquals": true}, {"Variable": "$.s", "StringEquals": "y"}]}),
                false,
            ),
            (
                json!({"Or": [{"Variable": "$.b", "BooleanEquals": true}, {"Variable": "$.none", "StringEquals": "y"}]}),
                true,
            ),
        ] {
            assert_eq!(holds(rule.clone()), Ok(expected), "{rule}");
        }
    }

    #[test]
    fn a_variable_that_leads_nowhere_ends_the_run() {
        assert!(holds(json!({"Variable": "$.none", "StringEquals": "y"})).unwrap_err().contains("'$.none'"));
    }
}
