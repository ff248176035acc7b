//! Decides what a batch reads: takes the transaction horizon, compares the source with the catalogue (R9) and with what the
//! batch knew that the warehouse holds (R2), and steps back when an older execution still runs. Writes nothing.
//!
//! ```no_run
//! # async fn example(request: catalog::message::PlanRequest, host: &host::Host) -> catalog::Result<()> {
//! let plan = plan::handle(request, host).await?;
//! assert_eq!(plan.status, catalog::message::PlanStatus::UpToDate);
//! # Ok(())
//! # }
//! ```

mod capture;
mod copies;
mod life;
mod log;
mod observe;
mod probe;
mod running;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use catalog::message::{Plan, PlanRequest, PlanStatus, RunInput};
use catalog::state::State;
use catalog::{Error, Fault, Result, Side};
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
/// `Source.SchemaChanged` names every difference from the catalogue; `Source.Replaced` where the source is not the one that
/// the warehouse's rows came from; `Warehouse.IsSource`; `Deployment.InProgress`; else what source, lake or orchestrator
/// answered.
pub async fn handle(request: PlanRequest, host: &Host) -> Result<Plan> {
    let input = RunInput::read(&request.input)?;
    host.catalog.agree_on_all(&request.catalogue)?;
    if let Some(older) = running::older_execution(host, &request).await? {
        return Ok(idle(request, PlanStatus::AlreadyRunning, format!("{older} is still running")));
    }
    let base = base_state(host, &request).await?;
    let mut source = host.connect(Side::Source).await?;
    let seen = observe::source(&mut source, &host.catalog.source).await?;
    let log = log::Position::now(&mut source).await?;
    server::is_meant(&host.catalog, &request.checkpoint, &seen.identity, input)?;
    server::has_come_to(base.as_ref(), &seen)?;
    let differences = agree::source(&host.catalog, &seen.tables);
    if !differences.is_empty() {
        return Err(Error::new(Fault::SourceSchemaChanged, differences.join("; ")));
    }
    let mut decision = capture::Decision {
        catalog: &host.catalog,
        request: &request,
        input,
        seen: &seen,
        base: base.as_ref(),
        damaged: BTreeSet::new(),
    };
    let touched = probe::touched(&mut source, &host.catalog.source.schema, &decision.doubts()).await;
    let mut looked_at = BTreeSet::new();
    let mut plan = loop {
        let plan = decision.plan(&touched);
        let before = decision.damaged.len();
        for copy in copies::needed(&plan) {
            let (table, batch) = &copy;
            if !looked_at.contains(&copy) && !copies::is_whole(host, table, batch).await? {
                decision.damaged.insert(table.clone());
            }
            looked_at.insert(copy);
        }
        // A table more that is read makes more targets, which need more copies.
        if decision.damaged.len() == before {
            break plan;
        }
    };
    if plan.status == PlanStatus::Changed {
        let cursors = decision.cursors(&plan);
        for (table, value) in probe::newest(&mut source, &host.catalog.source.schema, &cursors).await {
            if let Some(state) = plan.tables.get_mut(&table).and_then(|plan| plan.state.as_mut()) {
                state.cursor = Some(value);
            }
        }
        log.is_written(&mut source).await?;
    }
    tracing::info!(batch = %plan.batch, status = ?plan.status, reason = plan.reason, "planned");
    Ok(plan)
}

/// What the batch that this one builds on knew of the source; `None` where nothing is known, and everything is read.
async fn base_state(host: &Host, request: &PlanRequest) -> Result<Option<State>> {
    let Some(base) = &request.checkpoint.base else { return Ok(None) };
    let lost = match host.lake.read_json::<State>(Bucket::Processed, &base.state).await {
        Ok(Some(state)) if state.batch.name == base.batch => return Ok(Some(state)),
        Ok(Some(state)) => format!("{} is of the batch {}, not of {}", base.state, state.batch, base.batch),
        Ok(None) => format!("{} is missing", base.state),
        Err(error) if error.fault() == Fault::LakeCorrupt => error.to_string(),
        Err(error) => return Err(error),
    };
    tracing::warn!("what is known of the source is lost, and everything is read: {lost}");
    Ok(None)
}

fn idle(request: PlanRequest, status: PlanStatus, reason: String) -> Plan {
    Plan {
        status,
        reason,
        batch: request.batch,
        source: None,
        base: None,
        tables: BTreeMap::new(),
        targets: BTreeMap::new(),
        next: None,
    }
}
