//! A definition in Amazon States Language, parsed. What the interpreter does not do is refused here, by name and place,
//! and never found out half-way through a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::choice::Rule;
use crate::path::{Path, PathError, Reference};
use crate::template::Template;

/// A definition that cannot be run here.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct DefinitionError {
    /// The state, or `the definition`.
    pub place: String,
    /// What is wrong or not supported.
    pub what: String,
}

/// States and where they start: the whole machine, or a branch.
#[derive(Debug)]
pub struct Machine {
    pub(crate) start_at: String,
    pub(crate) states: BTreeMap<String, State>,
    pub(crate) timeout_seconds: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    pub(crate) input_path: Option<Path>,
    pub(crate) output_path: Option<Path>,
    pub(crate) parameters: Option<Template>,
    pub(crate) result_selector: Option<Template>,
    /// `None` throws the result away.
    pub(crate) result_path: Option<Reference>,
    pub(crate) next: Next,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Pass { result: Option<Value> },
    Task { resource: Resource, timeout_seconds: Option<u64> },
    Choice { rules: Vec<Rule>, default: Option<String> },
    Parallel { branches: Vec<Arc<Machine>> },
    Wait(WaitFor),
    Succeed,
    Fail { error: Option<String>, cause: Option<String> },
}

impl Kind {
    /// As history events spell it: `TaskStateEntered`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "Pass",
            Self::Task { .. } => "Task",
            Self::Choice { .. } => "Choice",
            Self::Parallel { .. } => "Parallel",
            Self::Wait(_) => "Wait",
            Self::Succeed => "Succeed",
            Self::Fail { .. } => "Fail",
        }
    }
}

/// A service integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `arn:aws:states:::lambda:invoke`
    LambdaInvoke,
    /// `arn:aws:states:::sns:publish`
    SnsPublish,
}

impl Resource {
    const ALL: [(&'static str, Self); 2] =
        [("arn:aws:states:::lambda:invoke", Self::LambdaInvoke), ("arn:aws:states:::sns:publish", Self::SnsPublish)];

    /// Service and action, as history events name them.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::LambdaInvoke => ("lambda", "invoke"),
            Self::SnsPublish => ("sns", "publish"),
        }
    }
}

#[derive(Debug)]
pub(crate) enum WaitFor {
    Seconds(u64),
    SecondsPath(Path),
    Timestamp(DateTime<Utc>),
    TimestampPath(Path),
}

#[derive(Debug)]
pub(crate) enum Next {
    State(String),
    End,
}

#[derive(Debug)]
pub(crate) struct Retrier {
    pub(crate) errors: Vec<String>,
    pub(crate) interval_seconds: f64,
    pub(crate) max_attempts: u64,
    pub(crate) backoff_rate: f64,
    pub(crate) max_delay_seconds: Option<f64>,
    pub(crate) full_jitter: bool,
}

#[derive(Debug)]
pub(crate) struct Catcher {
    pub(crate) errors: Vec<String>,
    pub(crate) result_path: Option<Reference>,
    pub(crate) next: String,
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

    fn branch(place: &str, definition: &Value) -> Result<Arc<Self>, DefinitionError> {
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
            if let Next::State(next) = &state.next {
                check(name, next)?;
            }
            for catcher in &state.catch {
                check(name, &catcher.next)?;
            }
            if let Kind::Choice { rules, default } = &state.kind {
                for next in rules.iter().map(|rule| &rule.next).chain(default) {
                    check(name, next)?;
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn parse(name: &str, value: &Value) -> Result<Self, DefinitionError> {
        let fields = Fields::of(&format!("state {name:?}"), value)?;
        if name.is_empty() || name.chars().count() > 80 {
            return Err(fields.error("a state's name has 1 to 80 characters"));
        }
        let kind_name = fields.required_text("Type")?;
        let own: &[&str] = match kind_name.as_str() {
            "Pass" => &["Result", "Parameters", "ResultPath"],
            "Task" => &["Resource", "Parameters", "ResultSelector", "ResultPath", "TimeoutSeconds", "Retry", "Catch"],
            "Choice" => &["Choices", "Default"],
            "Parallel" => &["Branches", "Parameters", "ResultSelector", "ResultPath", "Retry", "Catch"],
            "Wait" => &["Seconds", "SecondsPath", "Timestamp", "TimestampPath"],
            "Succeed" => &[],
            "Fail" => &["Error", "Cause"],
            other => return Err(fields.error(format!("Type {other} is not supported"))),
        };
        let moves = matches!(kind_name.as_str(), "Pass" | "Task" | "Parallel" | "Wait");
        let common: &[&str] = if moves { &["Next", "End"] } else { &[] };
        let paths: &[&str] = if kind_name == "Fail" { &[] } else { &["InputPath", "OutputPath"] };
        fields.only(&[&["Type", "Comment"], own, common, paths].concat())?;
        let kind = match kind_name.as_str() {
            "Pass" => Kind::Pass { result: fields.get("Result").cloned() },
            "Task" => Kind::Task { resource: resource(&fields)?, timeout_seconds: fields.number("TimeoutSeconds")? },
            "Choice" => {
                let rules = fields.list("Choices")?;
                let parse = |rule: &Value| Rule::parse_top(rule).map_err(|error| fields.error(error.to_string()));
                Kind::Choice {
                    rules: rules.iter().map(parse).collect::<Result<_, _>>()?,
                    default: fields.text("Default")?,
                }
            }
            "Parallel" => {
                let branches = fields.list("Branches")?;
                if branches.is_empty() {
                    return Err(fields.error("Branches is empty"));
                }
                let parse = |branch: &Value| Machine::branch(&format!("a branch of {name:?}"), branch);
                Kind::Parallel { branches: branches.iter().map(parse).collect::<Result<_, _>>()? }
            }
            "Wait" => Kind::Wait(wait_for(&fields)?),
            "Succeed" => Kind::Succeed,
            _ => Kind::Fail { error: fields.text("Error")?, cause: fields.text("Cause")? },
        };
        let template = |field: &str| {
            fields.get(field).map(Template::parse).transpose().map_err(|error| fields.error(error.to_string()))
        };
        Ok(Self {
            input_path: fields.path("InputPath")?,
            output_path: fields.path("OutputPath")?,
            parameters: template("Parameters")?,
            result_selector: template("ResultSelector")?,
            result_path: fields.reference("ResultPath")?,
            next: if moves { next(&fields)? } else { Next::End },
            retry: fields
                .list("Retry")?
                .iter()
                .map(|retrier| Retrier::parse(&fields.place, retrier))
                .collect::<Result<_, _>>()?,
            catch: fields
                .list("Catch")?
                .iter()
                .map(|catcher| Catcher::parse(&fields.place, catcher))
                .collect::<Result<_, _>>()?,
            kind,
        })
    }
}

fn resource(fields: &Fields<'_>) -> Result<Resource, DefinitionError> {
    let arn = fields.required_text("Resource")?;
    let known = Resource::ALL.iter().find(|(known, _)| *known == arn);
    known.map(|(_, resource)| *resource).ok_or_else(|| fields.error(format!("Resource {arn} is not supported")))
}

fn wait_for(fields: &Fields<'_>) -> Result<WaitFor, DefinitionError> {
    if let Some(seconds) = fields.number("Seconds")? {
        return Ok(WaitFor::Seconds(seconds));
    }
    if let Some(timestamp) = fields.text("Timestamp")? {
        let parsed = DateTime::parse_from_rfc3339(&timestamp);
        let at = parsed.map_err(|error| fields.error(format!("Timestamp {timestamp}: {error}")))?;
        return Ok(WaitFor::Timestamp(at.to_utc()));
    }
    if let Some(path) = fields.path("SecondsPath")? {
        return Ok(WaitFor::SecondsPath(path));
    }
    let path = fields.path("TimestampPath")?.ok_or_else(|| fields.error("it does not say how long to wait"))?;
    Ok(WaitFor::TimestampPath(path))
}

fn next(fields: &Fields<'_>) -> Result<Next, DefinitionError> {
    match (fields.text("Next")?, fields.get("End")) {
        (Some(next), None) => Ok(Next::State(next)),
        (None, Some(Value::Bool(true))) => Ok(Next::End),
        _ => Err(fields.error("exactly one of Next and \"End\": true is needed")),
    }
}

impl Retrier {
    fn parse(place: &str, value: &Value) -> Result<Self, DefinitionError> {
        let fields = Fields::of(place, value)?;
        fields.only(&[
            "ErrorEquals",
            "IntervalSeconds",
            "MaxAttempts",
            "BackoffRate",
            "MaxDelaySeconds",
            "JitterStrategy",
            "Comment",
        ])?;
        let full_jitter = match fields.text("JitterStrategy")?.as_deref() {
            None | Some("NONE") => false,
            Some("FULL") => true,
            Some(other) => return Err(fields.error(format!("JitterStrategy {other} is not supported"))),
        };
        Ok(Self {
            errors: fields.errors()?,
            interval_seconds: fields.number("IntervalSeconds")?.unwrap_or(1) as f64,
            max_attempts: fields.number("MaxAttempts")?.unwrap_or(3),
            backoff_rate: fields
                .get("BackoffRate")
                .map_or(Some(2.0), Value::as_f64)
                .filter(|rate| *rate >= 1.0)
                .ok_or_else(|| fields.error("BackoffRate must be a number of at least 1"))?,
            max_delay_seconds: fields.number("MaxDelaySeconds")?.map(|seconds| seconds as f64),
            full_jitter,
        })
    }
}

impl Retrier {
    /// Milliseconds before the retry that follows `used` earlier ones; `random` is out of 1,000,000.
    #[expect(clippy::float_arithmetic, clippy::cast_possible_truncation, reason = "a delay, not a value")]
    pub(crate) fn delay_millis(&self, used: u64, random: u32) -> i64 {
        let power = i32::try_from(used).unwrap_or(i32::MAX);
        let delay = self.interval_seconds * self.backoff_rate.powi(power);
        let capped = self.max_delay_seconds.map_or(delay, |max| delay.min(max)).min(31_622_400.0);
        let spread = if self.full_jitter { f64::from(random) / 1_000_000.0 } else { 1.0 };
        (capped * spread * 1000.0) as i64
    }
}

impl Catcher {
    fn parse(place: &str, value: &Value) -> Result<Self, DefinitionError> {
        let fields = Fields::of(place, value)?;
        fields.only(&["ErrorEquals", "Next", "ResultPath", "Comment"])?;
        Ok(Self {
            errors: fields.errors()?,
            result_path: fields.reference("ResultPath")?,
            next: fields.required_text("Next")?,
        })
    }
}

/// The fields of one object of the definition.
struct Fields<'f> {
    place: String,
    members: &'f Map<String, Value>,
}

impl<'f> Fields<'f> {
    fn of(place: &str, value: &'f Value) -> Result<Self, DefinitionError> {
        let error = || DefinitionError { place: place.to_owned(), what: "it is no object".to_owned() };
        Ok(Self { place: place.to_owned(), members: value.as_object().ok_or_else(error)? })
    }

    fn error(&self, what: impl Into<String>) -> DefinitionError {
        DefinitionError { place: self.place.clone(), what: what.into() }
    }

    fn only(&self, known: &[&str]) -> Result<(), DefinitionError> {
        match self.members.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(self.error(format!("{key} is not supported"))),
            None => Ok(()),
        }
    }

    fn get(&self, key: &str) -> Option<&'f Value> {
        self.members.get(key)
    }

    fn text(&self, key: &str) -> Result<Option<String>, DefinitionError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.error(format!("{key} is no text"))),
        }
    }

    fn required_text(&self, key: &str) -> Result<String, DefinitionError> {
        self.text(key)?.ok_or_else(|| self.error(format!("{key} is missing")))
    }

    fn number(&self, key: &str) -> Result<Option<u64>, DefinitionError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| self.error(format!("{key} is no whole number"))),
        }
    }

    fn list(&self, key: &str) -> Result<&'f [Value], DefinitionError> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(self.error(format!("{key} is no list"))),
        }
    }

    /// A path; `None` is the whole. An explicit null, which would mean `{}`, is not supported.
    fn path(&self, key: &str) -> Result<Option<Path>, DefinitionError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => {
                Path::parse(text).map(Some).map_err(|error: PathError| self.error(format!("{key}: {error}")))
            }
            Some(_) => Err(self.error(format!("{key} must be a path"))),
        }
    }

    /// Where a result is put: the whole by default, nowhere for null.
    fn reference(&self, key: &str) -> Result<Option<Reference>, DefinitionError> {
        let text = match self.get(key) {
            Some(Value::Null) => return Ok(None),
            None => "$".to_owned(),
            Some(_) => self.required_text(key)?,
        };
        Reference::parse(&text).map(Some).map_err(|error| self.error(format!("{key}: {error}")))
    }

    fn errors(&self) -> Result<Vec<String>, DefinitionError> {
        let names: Option<Vec<String>> =
            self.list("ErrorEquals")?.iter().map(|name| name.as_str().map(str::to_owned)).collect();
        match names {
            Some(names)
                if !names.is_empty() && (names.len() == 1 || !names.iter().any(|name| name == "States.ALL")) =>
            {
                Ok(names)
            }
            _ => Err(self.error("ErrorEquals must list names; States.ALL stands alone")),
        }
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
