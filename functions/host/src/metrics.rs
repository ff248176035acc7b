//! What a call did, as one line of CloudWatch's embedded metric format: searchable like every log line, and metrics
//! without a request. Counts and times, never a value of a row.
//!
//! Source: CloudWatch user guide, "Embedded metric format specification".

use std::io::Write as _;
use std::time::Instant;

use catalog::deployment::metric::{DIMENSION, Metric, NAMESPACE};
use serde_json::{Map, Value, json};

use crate::{Host, now};

/// Logs that something was done, with its metrics; `began` gives the metric `Duration`. Further members of the line come
/// in `context`: the batch, the table.
pub fn record(host: &Host, message: &str, began: Instant, context: Value, metrics: &[(Metric, u64)]) {
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let metrics: Vec<_> = metrics.iter().copied().chain([(Metric::Duration, took)]).collect();
    let line =
        line(&host.settings.function_name, &host.call.request_id, now().timestamp_millis(), message, context, &metrics);
    // A log that cannot be written must not fail what was done.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn line(function: &str, request_id: &str, at: i64, message: &str, context: Value, metrics: &[(Metric, u64)]) -> Value {
    let mut line = match context {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let declared: Vec<Value> =
        metrics.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
    for (metric, value) in metrics {
        line.insert(metric.name().to_owned(), json!(value));
    }
    line.insert("level".to_owned(), json!("INFO"));
    line.insert("message".to_owned(), json!(message));
    line.insert("request_id".to_owned(), json!(request_id));
    line.insert(DIMENSION.to_owned(), json!(function));
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at,
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": declared }],
        }),
    );
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let metrics = [(Metric::Rows, 7), (Metric::Duration, 12)];
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
