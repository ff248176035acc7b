//! Execution history: what `GetExecutionHistory` answers.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// From 1.
    pub id: u64,
    /// The event that led to this one; 0 at the start.
    pub previous: u64,
    /// As AWS names it: `TaskStateEntered`.
    pub kind: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The member that holds its details, and the details.
    pub details: Option<(&'static str, Value)>,
}

impl Event {
    /// The event on the wire. Without `data` inputs and outputs are left out.
    #[must_use]
    pub fn to_json(&self, data: bool) -> Value {
        let mut members = Map::new();
        members.insert("id".to_owned(), json!(self.id));
        members.insert("previousEventId".to_owned(), json!(self.previous));
        members.insert("type".to_owned(), json!(self.kind));
        members.insert("timestamp".to_owned(), timestamp(self.at));
        if let Some((name, details)) = &self.details {
            let mut details = details.clone();
            if let (false, Some(details)) = (data, details.as_object_mut()) {
                details.retain(|key, _| !matches!(key.as_str(), "input" | "output" | "parameters"));
            }
            members.insert((*name).to_owned(), details);
        }
        Value::Object(members)
    }
}

/// Seconds since 1970 with milliseconds, as the JSON protocol writes a time.
#[must_use]
pub fn timestamp(at: DateTime<Utc>) -> Value {
    let millis = at.timestamp_millis();
    // Printed, not divided: a time is no place for rounding.
    let text = format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
    serde_json::from_str(&text).unwrap_or_default()
}

/// Details of entering a state.
pub(crate) fn entered(name: &str, input: &Value) -> Option<(&'static str, Value)> {
    let details = json!({ "name": name, "input": input.to_string(), "inputDetails": { "truncated": false } });
    Some(("stateEnteredEventDetails", details))
}

/// Details of leaving a state.
pub(crate) fn exited(name: &str, output: &Value) -> Option<(&'static str, Value)> {
    let details = json!({ "name": name, "output": output.to_string(), "outputDetails": { "truncated": false } });
    Some(("stateExitedEventDetails", details))
}

/// `{error, cause}` under a member, each left out where there is none.
pub(crate) fn failed(member: &'static str, error: Option<&str>, cause: Option<&str>) -> Option<(&'static str, Value)> {
    let mut details = Map::new();
    for (key, value) in [("error", error), ("cause", cause)] {
        if let Some(value) = value {
            details.insert(key.to_owned(), json!(value));
        }
    }
    Some((member, Value::Object(details)))
}
