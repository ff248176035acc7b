//! Merges a batch into the warehouse: dimensions, facts and the ledger in one transaction, set by set (R3, R4, R6).
//!
//! ```no_run
//! use catalog::message::{LoadRequest, LoadStatus};
//!
//! # async fn example(request: LoadRequest, host: &host::Host) -> catalog::Result<()> {
//! let loaded = load::handle(request, host).await?;
//! assert_eq!(loaded.status, LoadStatus::Loaded);
//! # Ok(())
//! # }
//! ```

mod ddl;
mod ledger;
mod merge;
mod references;
#[cfg(test)]
mod samples;
mod stage;
mod statement;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use catalog::deployment::metric::Metric;
use catalog::key::Key;
use catalog::manifest::TransformManifest;
use catalog::message::{Counts, LoadRequest, LoadStatus, Loaded};
use catalog::state::Commit;
use catalog::{Batch, Error, Fault, Ident, Result, Side, Table, Target};
use host::metrics;
use host::{Bucket, Host, Needs, RuntimeError};
use sqlx::PgConnection;

use crate::ledger::Ledger;
use crate::stage::Stage;
use crate::statement::execute;

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
    match outcome {
        Outcome::Loaded { loaded, commit } => {
            // After the transaction: if this write is lost, the next plan starts from an older horizon and R3 absorbs it.
            write_commit(host, commit).await?;
            record(host, began, &request.batch, &loaded);
            Ok(loaded)
        }
        Outcome::AlreadyLoaded { loaded, commit } => {
            write_commit(host, commit).await?;
            Ok(loaded)
        }
        Outcome::Superseded => Ok(Loaded {
            status: LoadStatus::Superseded,
            targets: BTreeMap::new(),
            rejected: 0,
            committed_at: host::now(),
            freshness_ms: 0,
        }),
        Outcome::Behind(error) => {
            write_commit(host, Commit { reset: true, ..request.next }).await?;
            Err(error)
        }
    }
}

/// How a transaction that did not fail ended.
enum Outcome {
    /// The batch is in the warehouse now.
    Loaded { loaded: Loaded, commit: Commit },
    /// It was there before.
    AlreadyLoaded { loaded: Loaded, commit: Commit },
    /// Another batch overtook it.
    Superseded,
    /// The warehouse lacks what it builds on.
    Behind(Error),
}

fn record(host: &Host, began: Instant, batch: &Batch, loaded: &Loaded) {
    let sum = |of: fn(&Counts) -> u64| loaded.targets.values().map(of).sum();
    metrics::record(
        host,
        "loaded",
        began,
        serde_json::json!({ "batch": batch.name, "status": loaded.status }),
        &[
            (Metric::Added, sum(|counts| counts.added)),
            (Metric::Updated, sum(|counts| counts.updated)),
            (Metric::Deferred, sum(|counts| counts.deferred)),
            (Metric::Rejected, loaded.rejected),
            (Metric::Freshness, loaded.freshness_ms),
        ],
    );
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
        return Ok(Outcome::AlreadyLoaded { loaded, commit });
    }
    if let Some(other) = ledger.overtaken_by(warehouse, &request.batch, request.base.as_ref()).await? {
        tracing::info!(batch = %request.batch, by = other, "superseded");
        return Ok(Outcome::Superseded);
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
    let constraints = ddl::make_tables(warehouse, &host.catalog).await?;
    let mut targets = BTreeMap::new();
    let mut commit = request.next.clone();
    for (number, target) in host.catalog.warehouse.targets.iter().enumerate() {
        let Some(counts) = load_target(request, host, warehouse, &ledger, Stage::of(target, number)).await? else {
            continue;
        };
        if counts.deferred > 0 {
            must_come_again(&mut commit, &host.catalog.sources_of(target));
        }
        targets.insert(target.name.clone(), counts);
    }
    constraints.add(warehouse).await?;
    let loaded = summary(&request.batch, targets);
    ledger.enter(warehouse, request, &loaded, &commit).await?;
    execute(warehouse, "cannot commit", "COMMIT").await?;
    Ok(Outcome::Loaded { loaded, commit })
}

/// Brings one target up to date; `None` where neither the batch nor a rejected row has anything for it.
async fn load_target(
    request: &LoadRequest,
    host: &Host,
    warehouse: &mut PgConnection,
    ledger: &Ledger,
    stage: Stage<'_>,
) -> Result<Option<Counts>> {
    let target = stage.target;
    let built = request.targets.get(&target.name).filter(|plan| plan.build);
    let rejects = ledger.rejects(target);
    let has_rejects = rejects.count(warehouse).await? > 0;
    if built.is_none() && !(has_rejects && target.is_fact()) {
        return Ok(None);
    }
    let manifest = match built {
        Some(_) => Some(manifest(host, request, target).await?),
        None => None,
    };
    let parts = manifest.as_ref().map_or(&[][..], |manifest| &manifest.parts);
    let stage = stage.fill(warehouse, host, parts).await?;
    if built.is_some_and(|plan| plan.verify_key) {
        stage.verify_key(warehouse).await?;
    }
    let mut counts = Counts::default();
    let mut staged = stage.rows;
    if has_rejects {
        staged += rejects.restage(warehouse, &stage).await?;
    }
    if staged > 0 {
        let taken =
            references::take(warehouse, &host.catalog, &stage, &rejects, &request.batch, request.horizon).await?;
        if has_rejects {
            rejects.close(warehouse, &stage).await?;
        }
        let merged = merge::merge(warehouse, &host.catalog, &stage).await?;
        counts = Counts {
            added: merged.added,
            updated: merged.updated,
            unchanged: (staged - taken.rows).saturating_sub(merged.added + merged.updated),
            deferred: taken.deferred,
            rejected: taken.rejected,
        };
    }
    if let Some(manifest) = &manifest {
        counts.rejected += rejects.enter(warehouse, &request.batch, &manifest.rejects).await?;
        counts.deferred += manifest.deferred;
    }
    Ok(Some(counts))
}

async fn manifest(host: &Host, request: &LoadRequest, target: &Target) -> Result<TransformManifest> {
    let key = Key::manifest(&target.name, &request.batch.name).to_string();
    let manifest = host.lake.read_json(Bucket::Processed, &key).await?;
    manifest.ok_or_else(|| Error::new(Fault::LakeCorrupt, format!("the manifest {key} is missing")))
}

/// The tables of deferred rows prove nothing by their counters: their rows must come again.
fn must_come_again(commit: &mut Commit, tables: &[&Arc<Table>]) {
    for table in tables {
        if let Some(state) = commit.tables.get_mut(&table.name) {
            state.counters = None;
        }
    }
}

fn summary(batch: &Batch, targets: BTreeMap<Ident, Counts>) -> Loaded {
    let committed_at = host::now();
    let behind = committed_at.signed_duration_since(batch.started);
    Loaded {
        status: LoadStatus::Loaded,
        rejected: targets.values().map(|counts| counts.rejected).sum(),
        targets,
        committed_at,
        freshness_ms: u64::try_from(behind.num_milliseconds()).unwrap_or_default(),
    }
}
