//! One target in one batch: what waited and can be loaded first, then what the batch brings.

use catalog::manifest::TransformManifest;
use catalog::message::Counts;
use catalog::{Batch, Catalog, Error, Fault, Ident, Result, TargetKind};
use host::Host;
use ledger::{Ledger, Rejects, Seen};
use sqlx::PgConnection;

use crate::merge::{Merged, Rows, merge};
use crate::references;
use crate::stage::Stage;
use crate::surrogate;

/// What is loaded of a target.
pub(crate) struct Load<'l> {
    pub(crate) host: &'l Host,
    pub(crate) ledger: &'l Ledger<'l>,
    pub(crate) batch: &'l Batch,
    /// The target, and where its rows are staged.
    pub(crate) stage: Stage<'l>,
    /// What the batch made of it; `None` where nothing.
    pub(crate) made: Option<TransformManifest>,
    /// Whether its key has to be looked at.
    pub(crate) verify_key: bool,
    /// The target as it was before the load, and as the ledger says.
    pub(crate) before: Option<&'l Seen>,
}

impl Load<'_> {
    /// Brings the target up to date; `None` where neither the batch nor a rejected row has anything for it. What a person
    /// should hear of is added to `alerts`.
    pub(crate) async fn run(self, warehouse: &mut PgConnection, alerts: &mut Vec<String>) -> Result<Option<Counts>> {
        let Self { host, ledger, batch, stage, made, verify_key, before } = self;
        let (catalog, target) = (&*host.catalog, stage.target);
        let rejects = ledger.rejects(target);
        let missing = references::missing(catalog, target);
        let has_rejects = rejects.count(warehouse).await? > 0;
        if made.is_none() && !(has_rejects && missing.is_some()) {
            return Ok(None);
        }
        let mut counts = Counts::default();
        let stage = match &made {
            Some(made) => stage.fill(warehouse, host, &made.parts).await?,
            None => stage,
        };
        if verify_key {
            stage.verify_key(warehouse, &catalog.source).await?;
        }
        if let TargetKind::Fact { surrogate_key } = &target.kind {
            let is_known = before.is_some_and(Seen::is_where_it_was);
            let schema = &catalog.warehouse.schema;
            if let Some(done) = surrogate::put_right(warehouse, schema, &target.name, surrogate_key, is_known).await? {
                tracing::warn!("{done}");
                alerts.push(done);
            }
        }
        if has_rejects {
            if let Some(made) = &made {
                counts.gone = forget_gone(warehouse, &rejects, &stage, made).await?;
            }
            rejects.tell_outdated(warehouse).await?;
            if let Some(missing) = &missing {
                add(&mut counts, &load_waiting(warehouse, catalog, &stage, &rejects, missing).await?);
            }
        }
        let Some(made) = made else { return Ok(Some(counts)) };
        if stage.rows > 0 {
            let taken = match &missing {
                Some(missing) => references::take(warehouse, &stage, missing, &rejects, batch, made.window).await?,
                None => references::Taken::default(),
            };
            if has_rejects {
                rejects.forget_loaded(warehouse, &stage.name).await?;
            }
            // The columns that the catalogue gave it at the last load.
            let noted = before.and_then(|seen| seen.noted.as_ref());
            let gained = stage.gained(noted.map(|noted| &noted.columns[..]));
            let rows = Rows { relation: &stage.name, count: stage.rows - taken.rows };
            let merged = merge(warehouse, catalog, target, rows, &gained).await?;
            counts.unchanged += rows.count.saturating_sub(merged.added + merged.updated + merged.filled);
            (counts.deferred, counts.rejected) = (taken.deferred, taken.rejected);
            add(&mut counts, &merged);
        }
        counts.rejected += rejects.enter(warehouse, batch, &made.rejects).await?;
        counts.deferred += made.deferred;
        if counts.rejected > catalog.warehouse.reject_limit {
            let first = rejects.first_of(warehouse, batch, &made.rejects, missing.as_ref()).await?;
            return Err(too_many(catalog, &target.name, counts.rejected, &first));
        }
        Ok(Some(counts))
    }
}

fn add(counts: &mut Counts, merged: &Merged) {
    counts.added += merged.added;
    counts.updated += merged.updated;
    counts.filled += merged.filled;
}

/// Where the batch has the whole of the target's origin, what is not in it is gone from the source. A row whose lookup was
/// not there yet is in no part, so that nothing is known then.
async fn forget_gone(
    warehouse: &mut PgConnection,
    rejects: &Rejects<'_>,
    stage: &Stage<'_>,
    made: &TransformManifest,
) -> Result<u64> {
    if !made.whole || made.deferred > 0 {
        return Ok(0);
    }
    let gone = rejects.forget_gone(warehouse, &stage.name, &made.rejects).await?;
    if gone > 0 {
        tracing::info!(target = %made.target, rows = gone, "rejected rows are gone from the source");
    }
    Ok(gone)
}

/// Loads what waited and waits no longer, turn by turn: of a key the oldest version first, and all of them before what the
/// batch brings.
async fn load_waiting(
    warehouse: &mut PgConnection,
    catalog: &Catalog,
    stage: &Stage<'_>,
    rejects: &Rejects<'_>,
    missing: &ledger::Missing,
) -> Result<Merged> {
    let turns = &stage.turns;
    let mut all = Merged::default();
    for (turn, count) in (1..).zip(rejects.take_turns(warehouse, turns, missing).await?) {
        let rows = Rows { relation: &rejects.turn(turns, turn), count };
        let merged = merge(warehouse, catalog, stage.target, rows, &[]).await?;
        all.added += merged.added;
        all.updated += merged.updated;
    }
    rejects.forget_turns(warehouse, turns).await?;
    Ok(all)
}

/// A few rows are rejected; many are a mistake of the catalogue or a change of the source, and stop the batch. Those that
/// were rejected before do not count.
fn too_many(catalog: &Catalog, target: &Ident, rejected: u64, first: &[String]) -> Error {
    let (limit, first) = (catalog.warehouse.reject_limit, first.join("; "));
    let what = format!("{rejected} rows of {target} cannot be taken, more than {limit}, among them {first}");
    Error::new(Fault::DataRejected, what)
}
