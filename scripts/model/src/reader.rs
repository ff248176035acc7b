//! An analyst who looks at the warehouse all the time, each time in one snapshot: nothing may be half there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnection;

use crate::flag::Flag;
use crate::site::Site;
use crate::sql;

/// The ledger's tables, and how many rows of a target a batch says that it added.
pub(crate) const LEDGER: &str = "etl.batch";
pub(crate) const WAITING: &str = "etl.reject";
const ADDED: &str = "SELECT coalesce(sum((result -> 'targets' -> $target ->> 'added')::bigint
                                      + CASE WHEN $is_fact THEN (result -> 'targets' -> $target ->> 'updated')::bigint ELSE 0 END), 0)
                       FROM $ledger";

/// A table of the warehouse.
struct Target {
    name: &'static str,
    /// Whether each version of a key is a row.
    is_fact: bool,
    /// The columns that refer to a dimension, with its name.
    refers: &'static [(&'static str, &'static str)],
}

const TARGETS: [Target; 6] = [
    Target { name: "dim_staff", is_fact: false, refers: &[] },
    Target { name: "dim_product", is_fact: false, refers: &[] },
    Target { name: "dim_channel", is_fact: false, refers: &[] },
    Target { name: "dim_date", is_fact: false, refers: &[] },
    Target {
        name: "fact_sale",
        is_fact: true,
        refers: &[
            ("staff_id", "dim_staff"),
            ("product_id", "dim_product"),
            ("channel_id", "dim_channel"),
            ("sold_on", "dim_date"),
        ],
    },
    Target {
        name: "fact_stock",
        is_fact: true,
        refers: &[("product_id", "dim_product"), ("counted_date", "dim_date")],
    },
];

/// Looks until the flag is raised.
///
/// What the ledger says was added and what is there may differ by what was there before: but the difference may not move.
pub(crate) async fn read(site: Arc<Site>, stop: Flag) -> Result<()> {
    let mut differences: BTreeMap<&str, i64> = BTreeMap::new();
    while !stop.is_raised() {
        tokio::time::sleep(Duration::from_millis(25)).await;
        let place = site.place();
        let Ok(mut warehouse) = place.loader.application_name("reader").connect().await else { continue };
        // A look that a fault cuts off saw nothing.
        if let Ok(seen) = look(&mut warehouse).await {
            let Some(seen) = seen else { continue };
            site.tally.one("snapshots read");
            for (target, difference) in seen {
                let before = *differences.entry(target).or_insert(difference);
                if before != difference {
                    bail!(
                        "{target} has {difference} rows more than its ledger added, where it had {before}: a half batch is seen"
                    );
                }
            }
        }
        if let Some(missing) = missing(&mut warehouse).await.ok().flatten() {
            bail!("a snapshot shows {missing}");
        }
    }
    Ok(())
}

/// By target, how many more rows are there than the ledger added; `None` before the first batch.
async fn look(warehouse: &mut PgConnection) -> Result<Option<Vec<(&'static str, i64)>>> {
    sql::execute(warehouse, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    if sql::ask(warehouse, &format!("SELECT to_regclass('{LEDGER}') IS NULL")).await? == "true" {
        sql::execute(warehouse, "COMMIT").await?;
        return Ok(None);
    }
    let mut seen = Vec::new();
    for Target { name: target, is_fact, .. } in TARGETS {
        let added = ADDED.replace("$target", &format!("'{target}'")).replace("$is_fact", &is_fact.to_string());
        let added = added.replace("$ledger", LEDGER);
        let difference = sql::ask(warehouse, &format!("SELECT (SELECT count(*) FROM {target}) - ({added})")).await?;
        seen.push((target, difference.parse().with_context(|| format!("{difference:?} is a count"))?));
    }
    sql::execute(warehouse, "COMMIT").await?;
    Ok(Some(seen))
}

/// A fact whose dimension is not there.
async fn missing(warehouse: &mut PgConnection) -> Result<Option<String>> {
    let mut orphans = Vec::new();
    for Target { name: fact, refers, .. } in TARGETS {
        for (column, dimension) in refers {
            let key = if *dimension == "dim_date" { "date_id" } else { column };
            orphans.push(format!(
                "SELECT '{fact}.{column} ' || f.{column} || ' without its {dimension}' FROM {fact} AS f
                  WHERE NOT EXISTS (SELECT FROM {dimension} AS d WHERE d.{key} = f.{column})"
            ));
        }
    }
    let all = orphans.join(" UNION ALL ");
    Ok(sql::column(warehouse, &format!("{all} LIMIT 1")).await?.into_iter().next())
}
