//! The accounts of a full run: every row that was read of a table is somewhere in each target that comes from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use catalog::message::Counts;
use catalog::{Catalog, Origin};
use serde::Deserialize;

/// What `datadetox … --json` prints of a run, as far as it is asked.
#[derive(Deserialize)]
struct Run {
    status: String,
    plan: Plan,
    /// What became of the batch; nothing where none was made.
    load: Option<String>,
    #[serde(default)]
    tables: Vec<Read>,
    #[serde(default)]
    targets: BTreeMap<String, Counts>,
    freshness_ms: Option<u64>,
    #[serde(default)]
    failures: serde_json::Value,
}

#[derive(Deserialize)]
struct Plan {
    status: Option<String>,
}

/// What was read of a table.
#[derive(Deserialize)]
struct Read {
    table: String,
    rows: u64,
}

/// What the accounts say, where nothing is missing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every row is accounted for; the table to show.
    Whole(String),
    /// Another run was at work or came first: this one loaded nothing.
    AnotherAtWork,
}

/// Whether each target accounts for every row that was read for it: as loaded, deferred or rejected by that target.
///
/// # Errors
/// When the run did not succeed; every target with rows that are missing or too many, by name and number.
pub(crate) fn account(catalog: &Catalog, run: &str) -> Result<Verdict> {
    let run: Run = serde_json::from_str(run).context("this is not the JSON of a run")?;
    if run.status != "SUCCEEDED" {
        bail!("the run ended as {}: {}", run.status, run.failures);
    }
    if run.plan.status.as_deref() == Some("already_running") || run.load.as_deref() == Some("superseded") {
        return Ok(Verdict::AnotherAtWork);
    }
    let read: BTreeMap<&str, u64> = run.tables.iter().map(|read| (read.table.as_str(), read.rows)).collect();
    let mut report = String::new();
    let mut wrong = Vec::new();
    for target in &catalog.warehouse.targets {
        let table = match &target.origin {
            Origin::Table(of) => of.table.name.as_str(),
            // Its rows are dates, which no table lists.
            Origin::Calendar(_) => continue,
        };
        let name = target.name.as_str();
        let (Some(counts), Some(&rows)) = (run.targets.get(name), read.get(table)) else {
            wrong.push(format!("{name}: the run says nothing of it or of {table}"));
            continue;
        };
        let kept = counts.added + counts.updated + counts.unchanged + counts.deferred;
        if kept + counts.rejected != rows {
            wrong.push(format!(
                "{name}: {kept} kept and {} rejected of {rows} rows of {table} (a row that an earlier run rejected and \
                 that is still the same counts as neither: see etl.reject)",
                counts.rejected
            ));
        }
        writeln!(report, "{name:<32} {kept:>12} kept {:>8} rejected", counts.rejected)?;
    }
    if !wrong.is_empty() {
        bail!("rows are not accounted for:\n  {}", wrong.join("\n  "));
    }
    let behind = run.freshness_ms.context("the run does not say how far the warehouse was behind")?;
    write!(report, "all rows are accounted for, {behind} ms behind")?;
    Ok(Verdict::Whole(report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn catalog() -> Catalog {
        let text = "[pipeline]\nname = 'shop'\n\
                    [source.tables.staff]\nkey = 'id'\ncapture = 'snapshot'\ncolumns = { id = 'integer' }\n\
                    [source.tables.sale]\nkey = 'id'\ncapture = 'changes'\ncolumns = { id = 'integer' }\n\
                    [dimensions.dim_staff]\nfrom = 'staff'\ncolumns = { id = 'id' }\n\
                    [facts.fact_sale]\nfrom = 'sale'\nsurrogate_key = 'record'\ncolumns = { id = 'id' }\n";
        Catalog::parse("p", text).unwrap()
    }

    fn counts(added: u64, deferred: u64, rejected: u64) -> serde_json::Value {
        json!({ "added": added, "updated": 0, "unchanged": 0, "deferred": deferred, "rejected": rejected })
    }

    fn run(staff: serde_json::Value, sale: serde_json::Value) -> String {
        json!({
            "status": "SUCCEEDED", "plan": { "status": "changed" }, "load": "loaded", "rejected": 3, "freshness_ms": 12,
            "tables": [{ "table": "staff", "rows": 5 }, { "table": "sale", "rows": 9 }],
            "targets": { "dim_staff": staff, "fact_sale": sale },
        })
        .to_string()
    }

    #[test]
    fn rows_are_kept_deferred_or_rejected() {
        let Verdict::Whole(report) = account(&catalog(), &run(counts(5, 0, 0), counts(4, 2, 3))).unwrap() else {
            panic!("nobody else was at work")
        };
        expect![[r"
            dim_staff                                   5 kept        0 rejected
            fact_sale                                   6 kept        3 rejected
            all rows are accounted for, 12 ms behind"]]
        .assert_eq(&report);
    }

    #[test]
    fn a_target_does_not_answer_for_what_another_rejected() {
        let error = account(&catalog(), &run(counts(3, 0, 0), counts(6, 0, 3))).unwrap_err().to_string();
        assert!(error.contains("dim_staff: 3 kept and 0 rejected of 5 rows of staff"), "{error}");
        assert!(!error.contains("fact_sale"), "{error}");
    }

    #[test]
    fn rows_from_nowhere_are_wrong_too() {
        let error = account(&catalog(), &run(counts(6, 0, 0), counts(9, 0, 0))).unwrap_err().to_string();
        assert!(error.contains("dim_staff: 6 kept"), "{error}");
    }

    #[test]
    fn a_run_beside_another_says_so() {
        let idle = json!({
            "status": "SUCCEEDED", "plan": { "status": "already_running", "reason": null }, "tables": [], "targets": {},
            "load": null, "rejected": null, "freshness_ms": null,
        });
        assert_eq!(account(&catalog(), &idle.to_string()).unwrap(), Verdict::AnotherAtWork);
    }

    #[test]
    fn a_failed_run_says_why() {
        let failed = json!({ "status": "FAILED", "plan": { "status": null }, "failures": [{ "subject": "staff" }] });
        let error = account(&catalog(), &failed.to_string()).unwrap_err().to_string();
        expect![[r#"the run ended as FAILED: [{"subject":"staff"}]"#]].assert_eq(&error);
        assert!(account(&catalog(), "").is_err(), "a command that printed nothing");
    }
}
