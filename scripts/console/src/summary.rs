//! What a run came to, in a line. Of one that has ended it is asked once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use catalog::message::{Counts, Failure};
use runs::figures::count;
use runs::{Ending, Orchestrator};
use serde_json::Value;

/// Summaries kept; then it is begun anew.
const KEPT: usize = 4_096;

/// What a run came to.
pub(crate) struct Summary {
    pub(crate) ending: Ending,
    /// In a line.
    pub(crate) what: String,
}

/// A run that has ended, until it is redriven.
type Key = (String, i32);

/// Summaries of runs that have ended.
#[derive(Default)]
pub(crate) struct Summaries(Mutex<HashMap<Key, Arc<Summary>>>);

impl Summaries {
    /// That of a run.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub(crate) async fn of(&self, orchestrator: &Orchestrator, run: &ExecutionListItem) -> Result<Arc<Summary>> {
        let key = (run.execution_arn.clone(), run.redrive_count.unwrap_or_default());
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = run.status != ExecutionStatus::Running && run.status != ExecutionStatus::PendingRedrive;
        if has_ended && let Some(summary) = known().get(&key) {
            return Ok(Arc::clone(summary));
        }
        let described = orchestrator.describe(&run.execution_arn).await?;
        let output = described.output.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let ending = Ending::of(&described.status, &output);
        let what = match ending {
            Ending::Loaded => loaded(&output),
            Ending::UpToDate => "up to date".to_owned(),
            Ending::AlreadyRunning => "an older run was at work".to_owned(),
            Ending::Superseded => "another run was faster".to_owned(),
            Ending::Failed => {
                let text = |text: Option<String>| text.unwrap_or_default();
                let failure =
                    Failure { subject: String::new(), error: text(described.error), cause: text(described.cause) };
                match described.status {
                    ExecutionStatus::Running | ExecutionStatus::PendingRedrive => "at work".to_owned(),
                    ExecutionStatus::Aborted if failure.cause.is_empty() => String::new(),
                    ExecutionStatus::Aborted => failure.cause,
                    _ => format!("{}: {}", failure.error, failure.parted().0),
                }
            }
        };
        let summary = Arc::new(Summary { ending, what: catalog::plain(&what).into_owned() });
        if has_ended && described.status == run.status {
            let mut known = known();
            if known.len() >= KEPT {
                known.clear();
            }
            known.insert(key, Arc::clone(&summary));
        }
        Ok(summary)
    }
}

/// `14 rows into fact_sales_order, 2 into dim_design`; what changed most comes first.
fn loaded(output: &Value) -> String {
    let targets: HashMap<String, Counts> =
        serde_json::from_value(output["load"]["targets"].clone()).unwrap_or_default();
    let changed = targets.into_iter().map(|(name, counts)| (counts.added + counts.updated, name));
    let mut changed: Vec<(u64, String)> = changed.filter(|(rows, _)| *rows > 0).collect();
    changed.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    if changed.is_empty() {
        return "loaded; no row of the warehouse changed".to_owned();
    }
    let shown = changed.iter().take(SHOWN).enumerate().map(|(at, (rows, name))| {
        let unit = if at > 0 {
            ""
        } else if *rows == 1 {
            " row"
        } else {
            " rows"
        };
        format!("{}{unit} into {name}", count(*rows))
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if changed.len() > SHOWN {
        text = format!("{text} and {} more", changed.len() - SHOWN);
    }
    text
}

/// Targets that a line names.
const SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_names_what_changed_most() {
        let counts = |added: u64| {
            let counts = Counts { added, ..Counts::default() };
            serde_json::to_value(counts).unwrap()
        };
        let output = |targets: Value| json!({ "load": { "targets": targets } });
        let many = json!({ "d": counts(1), "e": counts(12_000), "a": counts(2), "b": counts(2), "c": counts(0) });
        assert_eq!(loaded(&output(many)), "12,000 rows into e, 2 into a, 2 into b and 1 more");
        assert_eq!(loaded(&output(json!({ "a": counts(1) }))), "1 row into a");
        assert_eq!(loaded(&output(json!({}))), "loaded; no row of the warehouse changed");
    }
}
