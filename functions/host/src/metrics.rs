//! What a call did, as one line of CloudWatch's embedded metric format: searchable like every log line, and metrics
//! without a request. Counts and times, never a value of a row.
//!
//! Source: CloudWatch user guide, "Embedded metric format specification".

use std::io::Write as _;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::{Host, now};

/// The namespace of all metrics; the function's name tells pipelines and environments apart.
const NAMESPACE: &str = "DataDetox";

/// The unit of a metric, as CloudWatch spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Rows and the like.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// Logs that something was done, with its metrics; `began` gives the metric `Duration`. Further members of the line come
/// in `context`: the batch, the table.
pub fn record(host: &Host, message: &str, began: Instant, context: Value, metrics: &[(&str, Unit, u64)]) {
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let metrics: Vec<_> = metrics.iter().copied().chain([("Duration", Unit::Milliseconds, took)]).collect();
    let line =
        line(&host.settings.function_name, &host.call.request_id, now().timestamp_millis(), message, context, &metrics);
    // A log that cannot be written must not fail what was done.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn line(
    function: &str,
    request_id: &str,
    at: i64,
    message: &str,
    context: Value,
    metrics: &[(&str, Unit, u64)],
) -> Value {
    let mut line = match context {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let declared: Vec<Value> =
        metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit.name() })).collect();
    for (name, _, value) in metrics {
        line.insert((*name).to_owned(), json!(value));
    }
    line.insert("level".to_owned(), json!("INFO"));
    line.insert("message".to_owned(), json!(message));
    line.insert("request_id".to_owned(), json!(request_id));
    line.insert("Function".to_owned(), json!(function));
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at,
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [["Function"]], "Metrics": declared }],
        }),
    );
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let metrics = [("Rows", Unit::Count, 7), ("Duration", Unit::Milliseconds, 12)];
        let line = line("totesys-load", "id", 1_700_000_000_000, "loaded", json!({ "batch": "b" }), &metrics);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_700_000_000_000_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "DataDetox", "Dimensions": [["Function"]],
                    "Metrics": [{ "Name": "Rows", "Unit": "Count" }, { "Name": "Duration", "Unit": "Milliseconds" }],
                }],
            },
            "Function": "totesys-load", "Rows": 7, "Duration": 12,
            "level": "INFO", "message": "loaded", "request_id": "id", "batch": "b",
        });
        assert_eq!(line, expected);
    }
}
