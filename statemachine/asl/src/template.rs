//! Payload templates: JSON in which a name that ends in `.$` takes its value from a path or an intrinsic function.

use serde_json::{Map, Value};

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

/// An intrinsic function and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    function: Function,
    arguments: Vec<Argument>,
}

#[derive(Clone, Debug)]
enum Argument {
    Literal(Value),
    Path(Path),
    Call(Call),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Format,
    ArrayContains,
    JsonToString,
}

const FUNCTIONS: [(&str, Function); 3] = [
    ("States.Format", Function::Format),
    ("States.ArrayContains", Function::ArrayContains),
    ("States.JsonToString", Function::JsonToString),
];

/// Why a template gave no value: what AWS puts into the cause of `States.Runtime`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) String);

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
        let mut parser = Parser { text, rest: text };
        let call = parser.call()?;
        if parser.rest.trim().is_empty() {
            Ok(Self::Call(call))
        } else {
            Err(parser.error("something follows the call"))
        }
    }
}

impl Call {
    fn evaluate(&self, input: &Value, context: &Value) -> Result<Value, Missing> {
        let argument = |argument: &Argument| match argument {
            Argument::Literal(value) => Ok(value.clone()),
            Argument::Call(call) => call.evaluate(input, context),
            Argument::Path(path) => path.find(input, context).ok_or_else(|| {
                Missing(format!(
                    "The JsonPath argument for the field '{}' could not be found in the input '{input}'",
                    path.text()
                ))
            }),
        };
        let arguments = self.arguments.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        match (self.function, &arguments[..]) {
            (Function::JsonToString, [value]) => Ok(Value::String(value.to_string())),
            (Function::ArrayContains, [Value::Array(array), value]) => Ok(Value::Bool(array.contains(value))),
            (Function::Format, [Value::String(template), values @ ..]) => format(template, values),
            (function, arguments) => Err(Missing(format!("Invalid arguments for {function:?}: {arguments:?}"))),
        }
    }
}

fn format(template: &str, values: &[Value]) -> Result<Value, Missing> {
    let mut pieces = template.split("{}");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    let mut values = values.iter();
    for piece in pieces {
        match values.next() {
            None => return Err(Missing("Invalid arguments for Format: fewer values than {}".to_owned())),
            Some(Value::String(value)) => text.push_str(value),
            Some(Value::Object(_) | Value::Array(_)) => {
                // AWS prints these as Java does, `{a=1}`: nobody wants that, so it is refused here.
                return Err(Missing("Invalid arguments for Format: wrap an object in States.JsonToString".to_owned()));
            }
            Some(value) => text.push_str(&value.to_string()),
        }
        text.push_str(piece);
    }
    match values.next() {
        None => Ok(Value::String(text)),
        Some(_) => Err(Missing("Invalid arguments for Format: more values than {}".to_owned())),
    }
}

/// `States.Format('text {}', $.path, States.JsonToString($.x))`.
struct Parser<'p> {
    text: &'p str,
    rest: &'p str,
}

impl Parser<'_> {
    fn error(&self, why: impl Into<String>) -> PathError {
        PathError { text: self.text.to_owned(), why: why.into() }
    }

    fn call(&mut self) -> Result<Call, PathError> {
        let Some((name, rest)) = self.rest.split_once('(') else { return Err(self.error("neither a path nor a call")) };
        let name = name.trim();
        let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            return Err(self.error(format!("the intrinsic function {name} is not supported")));
        };
        self.rest = rest;
        let mut arguments = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            arguments.push(self.argument()?);
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok(Call { function: *function, arguments });
            } else {
                return Err(self.error("a , or ) is missing"));
            }
        }
    }

    fn argument(&mut self) -> Result<Argument, PathError> {
        if let Some(rest) = self.rest.strip_prefix('\'') {
            return self.literal(rest);
        }
        if self.rest.starts_with("States.") {
            return self.call().map(Argument::Call);
        }
        let end = end_of_argument(self.rest);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        let word = word.trim();
        if word.starts_with('$') {
            return Path::parse(word).map(Argument::Path);
        }
        serde_json::from_str(word).map(Argument::Literal).map_err(|_| self.error(format!("{word:?} is no argument")))
    }

    /// A text in single quotes; a backslash stands before `'`, `{`, `}` and `\`.
    fn literal(&mut self, rest: &str) -> Result<Argument, PathError> {
        let mut text = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    let start = self.rest.len() - rest.len();
                    self.rest = &self.rest[start + at + 1..];
                    return Ok(Argument::Literal(Value::String(text)));
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('\'' | '{' | '}' | '\\'))) => text.push(escaped),
                    _ => return Err(self.error("a backslash stands before something that needs none")),
                },
                c => text.push(c),
            }
        }
        Err(self.error("a text does not end"))
    }
}

/// Up to the `,` or `)` that is in no bracket: a path may hold both in a filter.
fn end_of_argument(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ',' | ')' if depth == 0 => return at,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
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
