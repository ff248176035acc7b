//! Wait: until a time comes.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::data::{Paths, at};
use super::next::Next;
use super::{COMMON, Kind};
use crate::fields::{DefinitionError, Fields};
use crate::flow::{At, Flow, Outcome, Performed, Trouble};
use crate::path::Path;
use crate::runtime::{Runtime, later};
use crate::signal::Signal;

#[derive(Debug)]
pub(crate) struct Wait {
    paths: Paths,
    until: Until,
    next: Next,
}

#[derive(Debug)]
enum Until {
    Seconds(u64),
    SecondsPath(Path),
    Timestamp(DateTime<Utc>),
    TimestampPath(Path),
}

impl Wait {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        let own = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"];
        fields.only(&[&COMMON[..], &own, &Next::FIELDS, &Paths::FIELDS].concat())?;
        Ok(Self { paths: Paths::parse(fields)?, until: Until::parse(fields)?, next: Next::parse(fields)? })
    }
}

impl Kind for Wait {
    fn exits(&self) -> Vec<&str> {
        self.next.exit().into_iter().collect()
    }

    fn perform(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        let input = self.paths.input(flow, runtime)?;
        let until = self.until.at(flow, runtime, &input)?;
        flow.at = At::Wait(runtime.wake_at(until));
        Ok(Outcome::Waiting)
    }

    fn signalled(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, signal: &Signal) -> Option<Performed> {
        match (&flow.at, signal) {
            (At::Wait(timer), Signal::Woken { token }) if token == timer => {
                let input = self.paths.input(flow, runtime);
                Some(input.and_then(|input| self.paths.leave(flow, runtime, &self.next, input)))
            }
            _ => None,
        }
    }
}

impl Until {
    fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        if let Some(seconds) = fields.number("Seconds")? {
            return Ok(Self::Seconds(seconds));
        }
        if let Some(timestamp) = fields.text("Timestamp")? {
            let parsed = DateTime::parse_from_rfc3339(&timestamp);
            let at = parsed.map_err(|error| fields.error(format!("Timestamp {timestamp}: {error}")))?;
            return Ok(Self::Timestamp(at.to_utc()));
        }
        if let Some(path) = fields.path("SecondsPath")? {
            return Ok(Self::SecondsPath(path));
        }
        let path = fields.path("TimestampPath")?.ok_or_else(|| fields.error("it does not say how long to wait"))?;
        Ok(Self::TimestampPath(path))
    }

    fn at(&self, flow: &Flow, runtime: &Runtime<'_>, input: &Value) -> Result<DateTime<Utc>, Trouble> {
        match self {
            Self::Seconds(seconds) => Ok(later(runtime.now, *seconds)),
            Self::SecondsPath(path) => {
                let seconds = at(Some(path), input, flow, runtime)?;
                let place = format!("{} == {seconds}", path.text());
                let broken = |what: &str| Trouble::Broken(format!("The SecondsPath parameter {what}: {place}"));
                let seconds = seconds.as_i64().ok_or_else(|| broken("cannot be parsed as a long value"))?;
                let seconds = u64::try_from(seconds).map_err(|_| broken("references a negative value"))?;
                Ok(later(runtime.now, seconds))
            }
            Self::Timestamp(at) => Ok(*at),
            Self::TimestampPath(path) => {
                let value = at(Some(path), input, flow, runtime)?;
                let text = value.as_str().unwrap_or_default();
                // Chrono also takes a space for the T; Step Functions does not.
                let parsed = DateTime::parse_from_rfc3339(text).ok().filter(|_| text.contains('T'));
                parsed.map(|at| at.to_utc()).ok_or_else(|| {
                    let what = "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string";
                    Trouble::Broken(format!("{what}: {} == {text}", path.text()))
                })
            }
        }
    }
}
