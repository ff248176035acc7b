//! Payload templates: JSON in which a name that ends in `.$` takes its value from a path or an intrinsic function.

use serde_json::{Map, Value};

use crate::intrinsic::{Call, Missing};
use crate::path::{Path, PathError};

/// A parsed template.
#[derive(Clone, Debug)]
pub(crate) enum Template {
    Literal(Value),
    /// Member name with its ending taken off, and how it is found; the name as written, for messages.
    Object(Vec<(String, Template)>),
    Array(Vec<Template>),
    Dynamic {
        field: String,
        expression: Expression,
    },
}

/// What stands behind a `.$`.
#[derive(Clone, Debug)]
pub(crate) enum Expression {
    Path(Path),
    Call(Call),
}

impl Template {
    pub(crate) fn parse(value: &Value) -> Result<Self, PathError> {
        match value {
            Value::Object(members) => {
                let parse = |(name, value): (&String, &Value)| match name.strip_suffix(".$") {
                    None => Ok((name.clone(), Self::parse(value)?)),
                    Some(bare) => {
                        let text = value.as_str().ok_or_else(|| PathError {
                            text: value.to_string(),
                            why: format!("the value of {name} is no text"),
                        })?;
                        Ok((
                            bare.to_owned(),
                            Self::Dynamic { field: name.clone(), expression: Expression::parse(text)? },
                        ))
                    }
                };
                Ok(Self::Object(members.iter().map(parse).collect::<Result<_, _>>()?))
            }
            Value::Array(items) => Ok(Self::Array(items.iter().map(Self::parse).collect::<Result<_, _>>()?)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Self::Literal(value.clone())),
        }
    }

    pub(crate) fn render(&self, input: &Value, context: &Value) -> Result<Value, Missing> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Array(items) => items.iter().map(|item| item.render(input, context)).collect(),
            Self::Object(members) => {
                let render = |(name, template): &(String, Self)| Ok((name.clone(), template.render(input, context)?));
                Ok(Value::Object(members.iter().map(render).collect::<Result<Map<_, _>, _>>()?))
            }
            Self::Dynamic { field, expression: Expression::Path(path) } => path.find(input, context).ok_or_else(|| {
                Missing(format!(
                    "The JSONPath '{}' specified for the field '{field}' could not be found in the input '{input}'",
                    path.text()
                ))
            }),
            Self::Dynamic { expression: Expression::Call(call), .. } => call.evaluate(input, context),
        }
    }
}

impl Expression {
    fn parse(text: &str) -> Result<Self, PathError> {
        if text.starts_with('$') {
            return Path::parse(text).map(Self::Path);
        }
        Call::parse(text).map(Self::Call)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &Value) -> Result<Value, Missing> {
        let input = json!({"name": "x", "n": 3, "list": [{"status": "done"}, {"status": "failed"}]});
        Template::parse(template).unwrap().render(&input, &json!({"Execution": {"Name": "run"}}))
    }

    #[test]
    fn names_that_end_in_dollar_are_found() {
        let template = json!({"a": 1, "b.$": "$.n", "c": [{"d.$": "$$.Execution.Name"}]});
        assert_eq!(render(&template), Ok(json!({"a": 1, "b": 3, "c": [{"d": "run"}]})));
        let missing = render(&json!({"value.$": "$.none"})).unwrap_err();
        assert!(
            missing.0.starts_with("The JSONPath '$.none' specified for the field 'value.$' could not be found"),
            "{missing:?}"
        );
    }

    #[test]
    fn intrinsic_functions() {
        let check =
            |text: &str, value: Value| assert_eq!(render(&json!({"x.$": text})), Ok(json!({"x": value})), "{text}");
        check("States.Format('{} of {}\n\\'{}\\'', $.n, 4, $$.Execution.Name)", json!("3 of 4\n'run'"));
        check("States.ArrayContains($.list[*].status, 'failed')", json!(true));
        check("States.ArrayContains($.list[*].status, 'unfinished')", json!(false));
        check(
            "States.Format('{}', States.JsonToString($.list[?(@.status == 'done')]))",
            json!("[{\"status\":\"done\"}]"),
        );
        for wrong in
            ["States.Format('{}', $.list)", "States.Format('{}')", "States.Format('', 1)", "States.ArrayContains(1, 2)"]
        {
            assert!(render(&json!({"x.$": wrong})).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let error = |text: &str| Template::parse(&json!({"x.$": text})).unwrap_err().to_string();
        assert!(error("States.Hash($.a, 'MD5')").contains("States.Hash is not supported"));
        let nested = |calls: usize| format!("{}1{}", "States.JsonToString(".repeat(calls), ")".repeat(calls));
        assert!(Template::parse(&json!({ "x.$": nested(10) })).is_ok());
        assert!(error(&nested(11)).contains("more than 10 calls lie in one another"));
        assert!(error(&"States.Format(".repeat(100_000)).contains("more than 10 calls lie in one another"));
        for wrong in [
            "plain",
            "States.Format('{}'",
            "States.Format('{}') + 1",
            "States.Format('\\n')",
            "States.Format('x",
            "$.a[",
        ] {
            assert!(!error(wrong).is_empty());
        }
    }
}
