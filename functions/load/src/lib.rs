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

mod calendar;
mod ddl;
mod merge;
mod references;
#[cfg(test)]
mod samples;
mod stage;
mod state;
mod surrogate;
mod target;

use std::collections::BTreeMap;
use std::time::Instant;

use catalog::deployment::metric::Metric;
use catalog::key::Key;
use catalog::manifest::TransformManifest;
use catalog::message::{Counts, LoadRequest, LoadStatus, Loaded, TargetPlan};
use catalog::{Batch, Catalog, Error, Fault, Ident, Result, Side, Target};
use host::metrics;
use host::{Bucket, Host, Needs, RuntimeError};
use ledger::statement::execute;
use ledger::{Ledger, Newest, Seen, trust};
use sqlx::PgConnection;

use crate::stage::Stage;

/// Serves calls of the function until the Runtime API goes away.
///
/// # Errors
/// When the Runtime API cannot be spoken to.
pub async fn serve() -> std::result::Result<(), RuntimeError> {
    host::serve(Needs::WAREHOUSE, handle).await
}

/// Loads a batch, once: only while the batch that it builds on is the newest, and every target that was taken for whole
/// still is. Otherwise it is superseded, and nothing of it is visible.
///
/// # Errors
/// `Warehouse.Untrusted` where somebody else's code would run, `Warehouse.SchemaMismatch` for tables of another shape, `Warehouse.TargetTaken` for those of another pipeline,
/// `Deployment.InProgress` for a batch of another catalogue, else what warehouse or lake answered. Nothing of a failed load
/// is visible.
pub async fn handle(request: LoadRequest, host: &Host) -> Result<Loaded> {
    let began = Instant::now();
    let mut warehouse = host.connect(Side::Warehouse).await?;
    let loaded = load(&request, host, &mut warehouse).await.map_err(|error| error.while_doing("load"))?;
    if loaded.status == LoadStatus::Loaded {
        record(host, began, &request.batch, &loaded);
    }
    Ok(loaded)
}

fn record(host: &Host, began: Instant, batch: &Batch, loaded: &Loaded) {
    let sum = |of: fn(&Counts) -> u64| loaded.targets.values().map(of).sum();
    let counted = [
        (Metric::Added, sum(|counts| counts.added)),
        (Metric::Updated, sum(|counts| counts.updated)),
        (Metric::Deferred, sum(|counts| counts.deferred)),
        (Metric::Rejected, loaded.rejected),
    ];
    let freshness = loaded.freshness_ms.map(|freshness| (Metric::Freshness, freshness));
    let metrics: Vec<_> = counted.into_iter().chain(freshness).collect();
    metrics::record(
        host,
        "loaded",
        began,
        serde_json::json!({ "batch": batch.name, "status": loaded.status }),
        &metrics,
    );
}

async fn load(request: &LoadRequest, host: &Host, warehouse: &mut PgConnection) -> Result<Loaded> {
    let catalog = &host.catalog;
    let ledger = Ledger::of(catalog);
    // The checkpoint's word is as old as the reads.
    trust::demand(warehouse, catalog).await?;
    ledger.prepare(warehouse).await?;
    // Said, whatever the role's default: what another load committed must be seen once its lock is gone.
    execute(warehouse, "cannot begin a transaction", "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    ledger.lock(warehouse).await?;
    if let Some(loaded) = ledger.find(warehouse, &request.batch).await? {
        return Ok(Loaded { status: LoadStatus::AlreadyLoaded, ..loaded });
    }
    demand_one_catalogue(request, catalog)?;
    let newest = ledger.newest(warehouse).await?;
    if let Some(why) = overtaken(request, &ledger, newest.as_ref(), warehouse).await? {
        tracing::warn!(batch = %request.batch, why, "superseded");
        return Ok(superseded());
    }
    let before = ledger.targets(warehouse).await?;
    let constraints = ddl::make_tables(warehouse, catalog).await?;
    // One that was missing may be somebody's by now.
    trust::demand(warehouse, catalog).await?;
    let (mut targets, mut alerts) = (BTreeMap::new(), Vec::new());
    for (number, target) in catalog.warehouse.targets.iter().enumerate() {
        let (stage, before) = (Stage::of(target, number), before.get(&target.name));
        if let Some(counts) = load_target(request, host, warehouse, &ledger, stage, before, &mut alerts).await? {
            targets.insert(target.name.clone(), counts);
        }
    }
    for (dimension, facts) in made_anew(request, catalog, &before) {
        let filled = calendar::fill(warehouse, catalog, dimension, &facts).await?;
        if filled > 0 {
            targets.entry(dimension.name.clone()).or_default().added += filled;
        }
        alerts.extend(references::dangling(warehouse, catalog, dimension, &facts).await?);
    }
    constraints.add(warehouse).await?;
    ledger
        .note(warehouse, &request.batch, &rows_added(catalog, &targets), |target| is_rebuilt(request, target))
        .await?;
    let waiting = ledger.waiting(warehouse).await?;
    // Before the transaction ends: whoever sees the batch finds what it knew of the source.
    let state = state::write(host, state::of(request, catalog, &targets)).await?;
    let loaded = summary(&request.batch, targets, waiting, alerts);
    ledger.enter(warehouse, request, newest.as_ref(), &state, &loaded).await?;
    execute(warehouse, "cannot commit", "COMMIT").await?;
    Ok(loaded)
}

/// A batch that was planned by another catalogue than this function's would be merged by rules that it was not made by.
fn demand_one_catalogue(request: &LoadRequest, catalog: &Catalog) -> Result<()> {
    for target in &catalog.warehouse.targets {
        let planned = request.targets.get(&target.name).map_or("not there", |plan| plan.definition.as_str());
        catalog.agree_on_target(target, planned)?;
    }
    match request.targets.keys().find(|name| catalog.target(name.as_str()).is_none()) {
        Some(name) => {
            let what = format!("{name} was planned, and the catalogue of this function has no such target");
            Err(Error::new(Fault::DeploymentInProgress, what))
        }
        None => Ok(()),
    }
}

/// Why another run has to see the warehouse before anything is loaded, if it has to.
async fn overtaken(
    request: &LoadRequest,
    ledger: &Ledger<'_>,
    newest: Option<&Newest>,
    warehouse: &mut PgConnection,
) -> Result<Option<String>> {
    let base = newest.and_then(|newest| newest.base.as_ref()).map(|base| &base.batch);
    if base != request.base.as_ref() {
        let name = |batch: Option<&catalog::BatchName>| batch.map_or("no batch".to_owned(), ToString::to_string);
        let (found, expected) = (name(base), name(request.base.as_ref()));
        return Ok(Some(format!("it builds on {expected}, and the warehouse has {found}")));
    }
    let seen = ledger.targets(warehouse).await?;
    if base.is_none() {
        return Ok(None);
    }
    let mut lost = ledger.lost(warehouse, &seen).await?.into_iter();
    let unknown = lost.find(|(target, _)| !is_rebuilt(request, target));
    Ok(unknown.map(|(_, what)| format!("{what}, and the plan did not know")))
}

fn is_rebuilt(request: &LoadRequest, target: &Ident) -> bool {
    request.targets.get(target).is_some_and(|plan| plan.rebuild)
}

/// The dimensions that this batch makes anew, or of which nothing was noted, each with the facts that refer to it and were
/// there before: they may have rows of which the source no longer has the dimension's.
fn made_anew<'c>(
    request: &LoadRequest,
    catalog: &'c Catalog,
    before: &BTreeMap<Ident, Seen>,
) -> Vec<(&'c Target, Vec<&'c Target>)> {
    let is_new = |target: &Target| {
        let is_known = before.get(&target.name).is_some_and(|seen| seen.place.is_some() && seen.noted.is_some());
        !is_known || is_rebuilt(request, &target.name)
    };
    let was_there = |target: &Target| before.get(&target.name).is_some_and(|seen| seen.place.is_some());
    let targets = || catalog.warehouse.targets.iter().map(|target| &**target);
    let with_facts = |dimension: &'c Target| {
        let refers = |fact: &&Target| fact.references().any(|(_, to)| to.dimension == dimension.name);
        (dimension, targets().filter(|fact| was_there(fact)).filter(refers).collect())
    };
    targets()
        .filter(|target| is_new(target))
        .map(with_facts)
        .filter(|(_, facts): &(_, Vec<_>)| !facts.is_empty())
        .collect()
}

fn superseded() -> Loaded {
    Loaded {
        status: LoadStatus::Superseded,
        targets: BTreeMap::new(),
        rejected: 0,
        waiting: 0,
        alerts: Vec::new(),
        noticed: false,
        committed_at: None,
        freshness_ms: None,
    }
}

/// Brings one target up to date; `None` where neither the batch nor a rejected row has anything for it.
async fn load_target(
    request: &LoadRequest,
    host: &Host,
    warehouse: &mut PgConnection,
    ledger: &Ledger<'_>,
    stage: Stage<'_>,
    before: Option<&Seen>,
    alerts: &mut Vec<String>,
) -> Result<Option<Counts>> {
    let target = stage.target;
    let built = request.targets.get(&target.name).filter(|plan| plan.build);
    let made = match built {
        Some(plan) => Some(manifest(host, request, target, plan).await?),
        None => None,
    };
    let verify_key = built.is_some_and(|plan| plan.verify_key);
    target::Load { host, ledger, batch: &request.batch, stage, made, verify_key, before }.run(warehouse, alerts).await
}

async fn manifest(host: &Host, request: &LoadRequest, target: &Target, plan: &TargetPlan) -> Result<TransformManifest> {
    let key = Key::manifest(&target.name, &request.batch.name).to_string();
    let manifest: Option<TransformManifest> = host.lake.read_json(Bucket::Processed, &key).await?;
    let manifest = manifest.ok_or_else(|| Error::new(Fault::LakeCorrupt, format!("the manifest {key} is missing")))?;
    manifest.must_be_of(plan)?;
    Ok(manifest)
}

/// How many rows a batch added to each target: of a fact every version is one.
fn rows_added(catalog: &Catalog, targets: &BTreeMap<Ident, Counts>) -> BTreeMap<Ident, u64> {
    let is_fact = |target: &Ident| catalog.target(target.as_str()).is_some_and(|target| target.is_fact());
    let versions = |target: &Ident, counts: &Counts| if is_fact(target) { counts.updated } else { 0 };
    targets.iter().map(|(target, counts)| (target.clone(), counts.added + versions(target, counts))).collect()
}

fn summary(batch: &Batch, targets: BTreeMap<Ident, Counts>, waiting: u64, alerts: Vec<String>) -> Loaded {
    let committed_at = host::now();
    let behind = committed_at.signed_duration_since(batch.started);
    Loaded {
        status: LoadStatus::Loaded,
        rejected: targets.values().map(|counts| counts.rejected).sum(),
        targets,
        waiting,
        noticed: !alerts.is_empty(),
        alerts,
        committed_at: Some(committed_at),
        freshness_ms: Some(u64::try_from(behind.num_milliseconds()).unwrap_or_default()),
    }
}
