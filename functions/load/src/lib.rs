//! Merges a batch into the warehouse: dimensions, facts and the ledger in one transaction, set by set (R3, R4, R6).
//!
//! ```ignore
//! let loaded = load::handle(request, &host).await?;
//! assert_eq!(loaded.status, LoadStatus::Loaded);
//! ```

mod ledger;
mod merge;
mod schema;
mod stage;

use std::collections::BTreeMap;
use std::time::Instant;

use catalog::deployment::metric::Metric;
use catalog::key::Key;
use catalog::manifest::TransformManifest;
use catalog::message::{Counts, LoadRequest, LoadStatus, Loaded};
use catalog::state::Commit;
use catalog::{Error, Fault, Ident, Result, Side, Target};
use host::metrics;
use host::postgres::classify;
use host::{Bucket, Host, Needs, RuntimeError};
use sqlx::PgConnection;

use crate::ledger::Ledger;
use crate::stage::Stage;

/// Serves calls of the function until the Runtime API goes away.
///
/// # Errors
/// When the Runtime API cannot be spoken to.
pub async fn serve() -> std::result::Result<(), RuntimeError> {
    host::serve(Needs::WAREHOUSE, handle).await
}

/// Loads a batch, once.
///
/// # Errors
/// `Warehouse.SchemaMismatch` for tables of another shape, `Warehouse.Behind` when the warehouse does not hold the batch
/// that this one builds on, else what warehouse or lake answered. Nothing of a failed load is visible.
pub async fn handle(request: LoadRequest, host: &Host) -> Result<Loaded> {
    let began = Instant::now();
    let mut warehouse = host.connect(Side::Warehouse).await?;
    let outcome = load(&request, host, &mut warehouse).await.map_err(|error| error.while_doing("load"))?;
    if let Outcome::Behind(error) = outcome {
        let reset = Commit { reset: true, ..request.next };
        write_commit(host, reset).await?;
        return Err(error);
    }
    let Outcome::Ended { loaded, commit } = outcome else { return Err(Error::new(Fault::Bug, "no outcome")) };
    if let Some(commit) = commit {
        // After the transaction: if this write is lost, the next plan starts from an older horizon and R3 absorbs it.
        write_commit(host, commit).await?;
    }
    if loaded.status != LoadStatus::Loaded {
        return Ok(loaded);
    }
    let sum = |of: fn(&Counts) -> u64| loaded.targets.values().map(of).sum();
    metrics::record(
        host,
        "loaded",
        began,
        serde_json::json!({ "batch": request.batch.name, "status": loaded.status }),
        &[
            (Metric::Added, sum(|counts| counts.added)),
            (Metric::Updated, sum(|counts| counts.updated)),
            (Metric::Deferred, sum(|counts| counts.deferred)),
            (Metric::Rejected, loaded.rejected),
            (Metric::Freshness, loaded.freshness_ms),
        ],
    );
    Ok(loaded)
}

enum Outcome {
    Ended { loaded: Loaded, commit: Option<Commit> },
    Behind(Error),
}

async fn write_commit(host: &Host, commit: Commit) -> Result<()> {
    let key = Key::Commit(commit.batch.clone()).to_string();
    host.lake.create_json(Bucket::Processed, &key, commit).await.map(|_| ())
}

async fn load(request: &LoadRequest, host: &Host, warehouse: &mut PgConnection) -> Result<Outcome> {
    execute(warehouse, "cannot begin a transaction", "BEGIN").await?;
    let ledger = Ledger::open(warehouse, &host.catalog).await?;
    if let Some((loaded, commit)) = ledger.find(warehouse, &request.batch).await? {
        let loaded = Loaded { status: LoadStatus::AlreadyLoaded, ..loaded };
        return Ok(Outcome::Ended { loaded, commit: Some(commit) });
    }
    if let Some(other) = ledger.overtaken_by(warehouse, &request.batch, request.base.as_ref()).await? {
        tracing::info!(batch = %request.batch, by = other, "superseded");
        let status = LoadStatus::Superseded;
        let loaded =
            Loaded { status, targets: BTreeMap::new(), rejected: 0, committed_at: host::now(), freshness_ms: 0 };
        return Ok(Outcome::Ended { loaded, commit: None });
    }
    if let Some(base) = &request.base
        && !ledger.holds(warehouse, base).await?
    {
        let what = format!(
            "the warehouse does not hold the batch {base}, which {} builds on; was it made anew?",
            request.batch
        );
        return Ok(Outcome::Behind(Error::new(Fault::WarehouseBehind, what)));
    }
    let schema = schema::prepare(warehouse, &host.catalog).await?;
    let mut counts = BTreeMap::new();
    let mut late = Vec::new();
    for (number, target) in host.catalog.warehouse.targets.iter().enumerate() {
        let built = request.targets.get(&target.name).filter(|plan| plan.build);
        let waiting = ledger.open_rejects(warehouse, target).await?;
        if built.is_none() && !(waiting > 0 && target.is_fact()) {
            continue;
        }
        let manifest = match built {
            Some(_) => Some(manifest(host, request, target).await?),
            None => None,
        };
        let parts = manifest.as_ref().map_or(&[][..], |manifest| &manifest.parts);
        let stage = Stage::fill(warehouse, host, target, number, parts).await?;
        if built.is_some_and(|plan| plan.verify_key) {
            stage.verify_key(warehouse).await?;
        }
        let merge =
            merge::Merge { catalog: &host.catalog, target, stage: &stage, ledger: &ledger, batch: &request.batch };
        let mut merged = merge.run(warehouse, request.horizon, waiting).await?;
        if let Some(manifest) = &manifest {
            merged.rejected += ledger.put_aside(warehouse, target, &request.batch, &manifest.rejects).await?;
            merged.deferred += manifest.deferred;
        }
        if merged.deferred > 0 {
            late.extend(host.catalog.sources_of(target).into_iter().map(|table| table.name.clone()));
        }
        counts.insert(target.name.clone(), merged);
    }
    schema.add_constraints(warehouse).await?;
    let commit = commit(&request.next, &late);
    let loaded = summary(request, counts);
    ledger.enter(warehouse, request, &loaded, &commit).await?;
    execute(warehouse, "cannot commit", "COMMIT").await?;
    Ok(Outcome::Ended { loaded, commit: Some(commit) })
}

async fn manifest(host: &Host, request: &LoadRequest, target: &Target) -> Result<TransformManifest> {
    let key = Key::manifest(&target.name, &request.batch.name).to_string();
    let manifest = host.lake.read_json(Bucket::Processed, &key).await?;
    manifest.ok_or_else(|| Error::new(Fault::LakeCorrupt, format!("the manifest {key} is missing")))
}

/// The state to commit. The tables of deferred rows prove nothing by their counters: their rows must come again.
fn commit(next: &Commit, late: &[Ident]) -> Commit {
    let mut commit = next.clone();
    for table in late {
        if let Some(state) = commit.tables.get_mut(table) {
            state.counters = None;
        }
    }
    commit
}

fn summary(request: &LoadRequest, targets: BTreeMap<Ident, Counts>) -> Loaded {
    let committed_at = host::now();
    let behind = committed_at.signed_duration_since(request.batch.started);
    Loaded {
        status: LoadStatus::Loaded,
        rejected: targets.values().map(|counts| counts.rejected).sum(),
        targets,
        committed_at,
        freshness_ms: u64::try_from(behind.num_milliseconds()).unwrap_or_default(),
    }
}

/// Runs statements that answer nothing.
async fn execute(warehouse: &mut PgConnection, doing: &str, sql: impl Into<String>) -> Result<()> {
    let sql = sqlx::AssertSqlSafe(sql.into());
    sqlx::raw_sql(sql).execute(warehouse).await.map(|_| ()).map_err(|error| classify(Side::Warehouse, doing, error))
}
