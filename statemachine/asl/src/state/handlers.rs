//! Retry and Catch: what becomes of a failure.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::data::{Paths, merged};
use crate::failure::Failure;
use crate::fields::{DefinitionError, Fields};
use crate::flow::{At, Flow, Outcome, Performed, Trouble};
use crate::path::Reference;
use crate::runtime::Runtime;

/// The retriers and catchers of a state.
#[derive(Debug)]
pub(super) struct Handlers {
    retry: Vec<Retrier>,
    catch: Vec<Catcher>,
}

#[derive(Debug)]
struct Retrier {
    errors: Vec<String>,
    interval_seconds: f64,
    max_attempts: u64,
    backoff_rate: f64,
    max_delay_seconds: Option<f64>,
    full_jitter: bool,
}

#[derive(Debug)]
struct Catcher {
    errors: Vec<String>,
    result_path: Option<Reference>,
    next: String,
}

impl Handlers {
    /// Fields that say them.
    pub(super) const FIELDS: [&str; 2] = ["Retry", "Catch"];

    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        let (retry, catch) = (fields.list("Retry")?, fields.list("Catch")?);
        Ok(Self {
            retry: retry.iter().map(|one| Retrier::parse(fields.place(), one)).collect::<Result<_, _>>()?,
            catch: catch.iter().map(|one| Catcher::parse(fields.place(), one)).collect::<Result<_, _>>()?,
        })
    }

    /// The states that catchers lead to.
    pub(super) fn exits(&self) -> impl Iterator<Item = &str> {
        self.catch.iter().map(|catcher| catcher.next.as_str())
    }

    /// Whether a retrier matches and has tries left.
    pub(super) fn will_retry(&self, flow: &Flow, failure: &Failure) -> bool {
        self.retrier(flow, failure).is_some()
    }

    fn retrier(&self, flow: &Flow, failure: &Failure) -> Option<usize> {
        let index = self.retry.iter().position(|retrier| matches(&retrier.errors, failure))?;
        (flow.used(index) < self.retry[index].max_attempts).then_some(index)
    }

    /// What was performed, unless it failed and is retried or caught.
    pub(super) fn guard(
        &self,
        flow: &mut Flow,
        runtime: &mut Runtime<'_>,
        paths: &Paths,
        performed: Performed,
    ) -> Performed {
        match performed {
            Err(Trouble::Failed(failure)) => self.fail(flow, runtime, paths, failure),
            performed => performed,
        }
    }

    /// Retries, catches, or hands the failure on.
    fn fail(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, paths: &Paths, failure: Failure) -> Performed {
        if let Some(index) = self.retrier(flow, &failure) {
            let delay = self.retry[index].delay_millis(flow.used(index), runtime.random);
            flow.use_retrier(index);
            let at = runtime.now.checked_add_signed(TimeDelta::milliseconds(delay)).unwrap_or(runtime.now);
            flow.at = At::Backoff(runtime.wake_at(at));
            return Ok(Outcome::Waiting);
        }
        let Some(catcher) = self.catch.iter().find(|catcher| matches(&catcher.errors, &failure)) else {
            return Err(Trouble::Failed(failure));
        };
        let caught = json!({ "Error": failure.error.unwrap_or_default(), "Cause": failure.cause.unwrap_or_default() });
        let output = merged(catcher.result_path.as_ref(), paths.input(flow, runtime)?, caught)?;
        flow.record_exit(runtime, &output);
        Ok(Outcome::Go(catcher.next.clone(), output))
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
            errors: error_names(&fields)?,
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

    /// Milliseconds before the retry that follows `used` earlier ones; `random` is out of 1,000,000.
    #[expect(clippy::float_arithmetic, clippy::cast_possible_truncation, reason = "a delay, not a value")]
    fn delay_millis(&self, used: u64, random: u32) -> i64 {
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
            errors: error_names(&fields)?,
            result_path: fields.reference("ResultPath")?,
            next: fields.required_text("Next")?,
        })
    }
}

fn error_names(fields: &Fields<'_>) -> Result<Vec<String>, DefinitionError> {
    let names: Option<Vec<String>> =
        fields.list("ErrorEquals")?.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    match names {
        Some(names) if !names.is_empty() && (names.len() == 1 || !names.iter().any(|name| name == "States.ALL")) => {
            Ok(names)
        }
        _ => Err(fields.error("ErrorEquals must list names; States.ALL stands alone")),
    }
}

/// Whether one of the names stands for the failure.
fn matches(names: &[String], failure: &Failure) -> bool {
    let error = failure.error.as_deref().unwrap_or_default();
    names.iter().any(|name| match name.as_str() {
        "States.ALL" => true,
        "States.TaskFailed" => error != "States.Timeout",
        name => name == error,
    })
}
