//! What a state is given and what it passes on: paths, templates, the context object, the time a Wait names.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Broken, Flow, Runtime};
use crate::execution::iso;
use crate::machine::{Kind, State, WaitFor};
use crate::path::Path;

impl Flow {
    pub(super) fn effective_input(&self, runtime: &Runtime<'_>, state: &State) -> Result<Value, Broken> {
        self.at_path(runtime, state.input_path.as_ref(), &self.input)
    }

    pub(super) fn output(&self, runtime: &Runtime<'_>, state: &State, value: Value) -> Result<Value, Broken> {
        match &state.output_path {
            None => Ok(value),
            path => self.at_path(runtime, path.as_ref(), &value),
        }
    }

    fn at_path(&self, runtime: &Runtime<'_>, path: Option<&Path>, value: &Value) -> Result<Value, Broken> {
        let Some(path) = path else { return Ok(value.clone()) };
        path.find(value, &self.context(runtime)).ok_or_else(|| Broken(path.missing(value)))
    }

    pub(super) fn parameters(&self, runtime: &Runtime<'_>, state: &State, input: &Value) -> Result<Value, Broken> {
        match &state.parameters {
            Some(template) => template.render(input, &self.context(runtime)).map_err(|missing| Broken(missing.0)),
            None => Ok(input.clone()),
        }
    }

    pub(super) fn context(&self, runtime: &Runtime<'_>) -> Value {
        let mut state = json!({ "Name": self.state, "EnteredTime": iso(self.entered_at) });
        if self.machine.states.get(&self.state).is_some_and(|state| matches!(state.kind, Kind::Task { .. })) {
            state["RetryCount"] = json!(self.retries.iter().sum::<u64>());
        }
        json!({ "Execution": runtime.execution, "StateMachine": runtime.machine, "State": state })
    }

    pub(super) fn wait_until(
        &self,
        runtime: &Runtime<'_>,
        wait: &WaitFor,
        input: &Value,
    ) -> Result<DateTime<Utc>, Broken> {
        let found = |path| self.at_path(runtime, Some(path), input);
        // Chrono also takes a space for the T; Step Functions does not.
        let instant = |text: &str| {
            let parsed = DateTime::parse_from_rfc3339(text).ok().filter(|_| text.contains('T'));
            parsed.map(|at| at.to_utc())
        };
        match wait {
            WaitFor::Seconds(seconds) => Ok(later(runtime.now, *seconds)),
            WaitFor::SecondsPath(path) => {
                let seconds = found(path)?;
                let place = format!("{} == {seconds}", path.text());
                match seconds.as_i64() {
                    None => Err(Broken(format!("The SecondsPath parameter cannot be parsed as a long value: {place}"))),
                    Some(seconds) => u64::try_from(seconds)
                        .map(|seconds| later(runtime.now, seconds))
                        .map_err(|_| Broken(format!("The SecondsPath parameter references a negative value: {place}"))),
                }
            }
            WaitFor::Timestamp(at) => Ok(*at),
            WaitFor::TimestampPath(path) => {
                let value = found(path)?;
                let text = value.as_str().unwrap_or_default();
                instant(text).ok_or_else(|| {
                    let what = "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string";
                    Broken(format!("{what}: {} == {text}", path.text()))
                })
            }
        }
    }
}

/// `seconds` from now, or the end of time.
pub(super) fn later(now: DateTime<Utc>, seconds: u64) -> DateTime<Utc> {
    let delta = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
    delta.and_then(|delta| now.checked_add_signed(delta)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
