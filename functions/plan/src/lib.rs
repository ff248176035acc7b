//! Decides what a batch reads: takes the transaction horizon, compares the source with the catalogue (R9) and with the
//! last commit (R2), and steps back when an older execution still runs. Writes nothing.
//!
//! ```no_run
//! # async fn example(request: catalog::message::PlanRequest, host: &host::Host) -> catalog::Result<()> {
//! let plan = plan::handle(request, host).await?;
//! assert_eq!(plan.status, catalog::message::PlanStatus::UpToDate);
//! # Ok(())
//! # }
//! ```

mod capture;
mod observe;
mod probe;
mod running;

use std::collections::BTreeMap;

use catalog::key::COMMITS;
use catalog::message::{Plan, PlanRequest, PlanStatus};
use catalog::state::Commit;
use catalog::{Error, Fault, Horizon, Result, Side};
use host::postgres::agree;
use host::{Bucket, Host, Needs, RuntimeError};

/// Serves calls of the function until the Runtime API goes away.
///
/// # Errors
/// When the Runtime API cannot be spoken to.
pub async fn serve() -> std::result::Result<(), RuntimeError> {
    host::serve(Needs::SOURCE, handle).await
}

/// Plans a batch.
///
/// # Errors
/// `Source.SchemaChanged` names every difference from the catalogue; else what source, lake or orchestrator answered.
pub async fn handle(request: PlanRequest, host: &Host) -> Result<Plan> {
    if let Some(older) = running::older_execution(host, &request).await? {
        return Ok(idle(request, PlanStatus::AlreadyRunning, format!("{older} is still running")));
    }
    let commit = newest_commit(host).await?;
    let mut source = host.connect(Side::Source).await?;
    let seen = observe::source(&mut source, &host.catalog.source).await?;
    let differences = agree::source(&host.catalog.source, &seen.tables);
    if !differences.is_empty() {
        return Err(Error::new(Fault::SourceSchemaChanged, differences.join("; ")));
    }
    let decision =
        capture::Decision { catalog: &host.catalog, request: &request, seen: &seen, commit: commit.as_ref() };
    let touched = probe::touched(&mut source, &host.catalog.source.schema, &decision.doubts()).await;
    let plan = decision.plan(&touched);
    tracing::info!(batch = %plan.batch, status = ?plan.status, reason = plan.reason, "planned");
    Ok(plan)
}

async fn newest_commit(host: &Host) -> Result<Option<Commit>> {
    // One request finds it, however long the history: newer commits list first.
    let keys = host.lake.first_keys(Bucket::Processed, COMMITS, 1).await?;
    let Some(key) = keys.first() else { return Ok(None) };
    let commit: Option<Commit> = host.lake.read_json(Bucket::Processed, key).await?;
    Ok(commit.filter(|commit| !commit.reset))
}

fn idle(request: PlanRequest, status: PlanStatus, reason: String) -> Plan {
    Plan {
        status,
        reason,
        batch: request.batch,
        horizon: Horizon::START,
        base: None,
        tables: BTreeMap::new(),
        targets: BTreeMap::new(),
        next: None,
    }
}
