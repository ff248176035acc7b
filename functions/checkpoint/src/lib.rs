//! Looks at what the warehouse holds before anything is read: which batch the next one builds on, which targets have to be
//! made anew, and whether the load may do what it will have to. Writes nothing.
//!
//! ```no_run
//! # async fn example(request: catalog::message::CheckpointRequest, host: &host::Host) -> catalog::Result<()> {
//! let checkpoint = checkpoint::handle(request, host).await?;
//! assert!(checkpoint.rebuild.is_empty());
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use catalog::message::{Checkpoint, CheckpointRequest, RunInput};
use catalog::{Catalog, Error, Fault, Result, Side};
use host::postgres::{agree, identity, inspect};
use host::{Host, Needs, RuntimeError};
use ledger::{Ledger, Newest, rights, trust};
use sqlx::PgConnection;

/// A batch that was committed further in the future than this tells of a clock that was put back.
const AHEAD: Duration = Duration::from_secs(60);

/// Serves calls of the function until the Runtime API goes away.
///
/// # Errors
/// When the Runtime API cannot be spoken to.
pub async fn serve() -> std::result::Result<(), RuntimeError> {
    host::serve(Needs::WAREHOUSE, handle).await
}

/// Looks at the warehouse.
///
/// # Errors
/// `Input.Refused` for an input that is not understood, `Deployment.InProgress` for a state machine of another catalogue,
/// `Warehouse.Untrusted` where somebody else's code would run, `Warehouse.AccessDenied` with every right that is missing, `Warehouse.SchemaMismatch` with every difference from the
/// catalogue, `Warehouse.TargetTaken` for a target of another pipeline; else what the warehouse answers.
pub async fn handle(request: CheckpointRequest, host: &Host) -> Result<Checkpoint> {
    RunInput::read(&request.input)?;
    host.catalog.agree_on_all(&request.catalogue)?;
    let mut warehouse = host.connect(Side::Warehouse).await?;
    let checkpoint = look(&host.catalog, &mut warehouse).await.map_err(|error| error.while_doing("checkpoint"))?;
    let base = checkpoint.base.as_ref().map(|base| base.batch.as_str());
    tracing::info!(batch = %request.batch, base, rebuild = checkpoint.rebuild.len(), waiting = checkpoint.waiting, "looked");
    for (target, what) in &checkpoint.rebuild {
        tracing::warn!(%target, "{what}: it is made anew");
    }
    Ok(checkpoint)
}

async fn look(catalog: &Catalog, warehouse: &mut PgConnection) -> Result<Checkpoint> {
    let ledger = Ledger::of(catalog);
    let own = identity(warehouse, Side::Warehouse).await?;
    let made = ledger.look(warehouse).await?;
    // Before a row of any table is asked for: that too can run somebody's code.
    trust::demand(warehouse, catalog).await?;
    // Before rights are asked for: one that was renamed by mistake is not to be made.
    let taken = ledger.taken_elsewhere(warehouse, &made).await?;
    if !taken.is_empty() {
        return Err(Error::new(Fault::WarehouseTargetTaken, taken.join("; ")));
    }
    rights::demand(warehouse, catalog, &made).await?;
    let names = catalog.warehouse.targets.iter().map(|target| &target.name);
    let live = inspect::tables(warehouse, Side::Warehouse, &catalog.warehouse.schema, names).await?;
    let differences = agree::warehouse(catalog, &live);
    if !differences.is_empty() {
        return Err(Error::new(Fault::WarehouseSchemaMismatch, differences.join("; ")));
    }
    let nothing = Checkpoint { warehouse: Some(own), ..Checkpoint::default() };
    if !made.is_complete() {
        return Ok(nothing);
    }
    let seen = ledger.targets(warehouse).await?;
    let newest = ledger.newest(warehouse).await?;
    let waiting = ledger.waiting(warehouse).await?;
    let alerts: Vec<String> = newest.as_ref().and_then(put_back).into_iter().collect();
    let base = newest.and_then(|newest| newest.base);
    // Without a base everything is read anyhow.
    let rebuild = match base {
        Some(_) => ledger.lost(warehouse, &seen).await?,
        None => ledger::Lost::new(),
    };
    Ok(Checkpoint { base, rebuild, waiting, noticed: !alerts.is_empty(), alerts, ..nothing })
}

/// Told where both clocks say so, the warehouse's and this function's.
fn put_back(newest: &Newest) -> Option<String> {
    let is_ahead = newest.is_ahead && newest.committed_at > host::now() + AHEAD;
    is_ahead.then(|| {
        let at = newest.committed_at.format("%Y-%m-%d %H:%M:%S");
        format!("the newest batch {} was committed at {at} UTC, in the future: a clock was put back", newest.batch)
    })
}
