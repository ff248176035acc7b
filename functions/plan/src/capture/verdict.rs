//! Why a table is read, whole or what changed of it, or that it has to be asked first.

use std::sync::Arc;

use catalog::state::{Counters, TableState};
use catalog::{Horizon, Ident, Table, Target};
use host::postgres::inspect::Kind;

use super::Decision;

/// Why a table is read, or that it did not change, or may not have.
pub(super) enum Verdict {
    Whole(String),
    Changed(&'static str),
    /// Its counters prove that no row was written.
    Unchanged,
    /// Its counters alone do not tell.
    Doubt(Doubt),
}

/// A table that its own rows have to be asked of. Counters lag: a session reports them some time after its commit, so that
/// they may stand still where rows changed, and move where rows are known already.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub(crate) table: Ident,
    /// Of its last read.
    pub(crate) horizon: Horizon,
    /// The column by whose index it is asked, and its newest value at the last read.
    pub(crate) cursor: Option<(Ident, String)>,
}

impl Decision<'_> {
    pub(super) fn state(&self, table: &Table) -> Option<&TableState> {
        self.base?.tables.get(&table.name)
    }

    /// Whether its rows carry a transaction id.
    pub(super) fn is_versioned(&self, table: &Table) -> bool {
        self.seen.tables.get(&table.name).is_some_and(|live| live.is_versioned())
    }

    /// The counters that prove something: kept here, and of a table whose counters tell of every change.
    pub(super) fn counters(&self, table: &Table) -> Option<&Counters> {
        let counted = self.seen.counts && self.seen.tables.get(&table.name)?.kind == Kind::Table;
        counted.then(|| self.seen.counters.get(&table.name)).flatten()
    }

    pub(super) fn verdict(&self, table: &Table) -> Verdict {
        match self.known(table) {
            Ok(state) => self.since(table, state),
            Err(reason) => Verdict::Whole(reason),
        }
    }

    /// The column by whose index a table can be asked.
    pub(super) fn cursor(&self, table: &Table) -> Option<Ident> {
        let name = &table.cursor.as_ref()?.column.name;
        let leads = |index: &Vec<String>| index.first().is_some_and(|first| first == name.as_str());
        self.seen.tables.get(&table.name)?.indexes.iter().any(leads).then(|| name.clone())
    }

    /// What is known of a table and can be built upon; or why nothing is.
    fn known(&self, table: &Table) -> Result<&TableState, String> {
        let whole = |reason: &str| Err(reason.to_owned());
        if self.input.full {
            return whole("asked for");
        }
        let found = self.targets_of(table).find_map(|target| self.request.checkpoint.rebuild.get(&target.name));
        if let Some(found) = found {
            return Err(found.clone());
        }
        let Some(base) = self.base else {
            let known = self.request.checkpoint.base.is_some();
            return whole(if known { "what was known of it is lost" } else { "first read" });
        };
        let Some(state) = base.tables.get(&table.name) else { return whole("first read") };
        if self
            .targets_of(table)
            .any(|target| base.targets.get(&target.name) != Some(&self.catalog.fingerprint(target)))
        {
            return whole("its targets are defined anew");
        }
        if let Some(foreign) = self.seen.tables.get(&table.name).and_then(|live| live.foreign.as_ref()) {
            return Err(format!("the rows of {foreign}, a foreign table beneath it, carry no transaction id"));
        }
        if !self.is_versioned(table) {
            return whole("its rows carry no transaction id");
        }
        if !self.seen.identity.is_same_database(&base.source) {
            return whole("the source is another one");
        }
        let lives = self.seen.told.as_ref().zip(base.life.as_ref());
        if !self.seen.identity.continues(&base.source) || lives.is_some_and(|(now, then)| !now.continues(then)) {
            return whole("the source crashed, was put back or failed over");
        }
        if state.horizon > self.seen.next {
            return whole("the last read is ahead of this server");
        }
        if state.horizon.is_too_old(self.seen.next) {
            return whole("the last read is too many transactions ago");
        }
        if self.seen.fingerprints.get(&table.name) != Some(&state.fingerprint) {
            return whole("its table is not what it was");
        }
        if self.damaged.contains(&table.name) {
            return whole("its last copy in the lake is damaged");
        }
        Ok(state)
    }

    /// Whether a table was written since it was read.
    fn since(&self, table: &Table, state: &TableState) -> Verdict {
        let age = self.request.batch.started.signed_duration_since(state.read_at);
        // One that was read at a time to come was read before a clock was put back.
        if age.to_std().ok().is_none_or(|age| age >= self.catalog.pipeline.reread) {
            return Verdict::Changed("due to be read again");
        }
        let doubt = || {
            let cursor = self.cursor(table).zip(state.cursor.clone());
            Verdict::Doubt(Doubt { table: table.name.clone(), horizon: state.horizon, cursor })
        };
        match (&state.counters, self.counters(table)) {
            // A deleted row leaves nothing behind that could be asked for.
            (Some(then), Some(now)) if comparable(then, now) && then.deleted != now.deleted => {
                Verdict::Changed("changed")
            }
            (Some(then), Some(now)) if then == now && (self.seen.reported || table.trust_counters) => {
                Verdict::Unchanged
            }
            (Some(then), Some(now)) if comparable(then, now) && table.trust_counters => Verdict::Changed("changed"),
            _ => doubt(),
        }
    }

    fn targets_of<'t>(&'t self, table: &'t Table) -> impl Iterator<Item = &'t Arc<Target>> {
        let uses =
            |target: &&Arc<Target>| self.catalog.sources_of(target).iter().any(|source| source.name == table.name);
        self.catalog.warehouse.targets.iter().filter(uses)
    }
}

/// Whether both were counted from the same beginning.
fn comparable(then: &Counters, now: &Counters) -> bool {
    then.since == now.since
}
