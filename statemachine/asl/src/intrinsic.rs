//! Intrinsic functions, as they stand in templates: `States.Format('text {}', $.path, States.JsonToString($.x))`.

use serde_json::Value;

use crate::path::{Path, PathError};

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

impl Call {
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let mut parser = Parser { text, rest: text, depth: 0 };
        let call = parser.call()?;
        if parser.rest.trim().is_empty() { Ok(call) } else { Err(parser.error("something follows the call")) }
    }

    pub(crate) fn evaluate(&self, input: &Value, context: &Value) -> Result<Value, Missing> {
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

/// How many calls may lie in one another: what AWS allows.
const MAX_CALLS: usize = 10;

/// Reads a call from left to right.
struct Parser<'p> {
    text: &'p str,
    rest: &'p str,
    /// Calls that are being read.
    depth: usize,
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
        self.depth += 1;
        if self.depth > MAX_CALLS {
            return Err(self.error(format!("more than {MAX_CALLS} calls lie in one another")));
        }
        let mut arguments = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            arguments.push(self.argument()?);
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                self.depth -= 1;
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
