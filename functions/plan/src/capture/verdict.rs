//! Why a table is read, whole or what changed of it, or that it has to be asked first.

use std::sync::Arc;

use catalog::state::{Counters, TableState};
use catalog::{Horizon, Ident, Table, Target};
use host::postgres::inspect::Kind;

use super::Decision;

/// Why a table is read, or that it may not have changed.
pub(super) enum Verdict {
    Whole(&'static str),
    Changed(&'static str),
    /// Its counters alone do not tell.
    Doubt(Doubt),
}

/// A table that its own rows have to be asked of. Counters lag: a session reports them up to ten seconds after its commit,
/// so that they may stand still where rows changed, and move where rows are known already.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub(crate) table: Ident,
    /// Of its last read.
    pub(crate) horizon: Horizon,
    /// Whether its counters say that rows were inserted or updated.
    pub(crate) moved: bool,
}

impl Decision<'_> {
    pub(super) fn state(&self, table: &Table) -> Option<&TableState> {
        self.commit?.tables.get(&table.name)
    }

    /// Whether its rows carry a transaction id.
    pub(super) fn is_versioned(&self, table: &Table) -> bool {
        self.seen.tables.get(&table.name).is_some_and(|live| live.kind.is_versioned())
    }

    /// The counters that prove something: kept here, and of a table whose counters tell of every change.
    pub(super) fn counters(&self, table: &Table) -> Option<&Counters> {
        let counted = self.seen.counts && self.seen.tables.get(&table.name)?.kind == Kind::Table;
        counted.then(|| self.seen.counters.get(&table.name)).flatten()
    }

    pub(super) fn verdict(&self, table: &Table) -> Verdict {
        if self.request.input.full {
            return Verdict::Whole("asked for");
        }
        let (Some(commit), Some(state)) = (self.commit, self.state(table)) else {
            return Verdict::Whole("first read");
        };
        if self
            .targets_of(table)
            .any(|target| commit.targets.get(&target.name) != Some(&self.catalog.fingerprint(target)))
        {
            return Verdict::Whole("its targets are defined anew");
        }
        if !self.is_versioned(table) {
            return Verdict::Whole("its rows carry no transaction id");
        }
        if commit.source != self.seen.identity {
            return Verdict::Whole("the last commit is of another server");
        }
        if state.horizon > self.seen.next {
            return Verdict::Whole("the last commit is ahead of this server");
        }
        if state.horizon.is_too_old(self.seen.next) {
            return Verdict::Whole("the last commit is too many transactions ago");
        }
        let age = self.request.batch.started.signed_duration_since(state.read_at);
        if age.to_std().is_ok_and(|age| age >= self.catalog.pipeline.reread) {
            return Verdict::Changed("due to be read again");
        }
        match (&state.counters, self.counters(table)) {
            (None, _) => Verdict::Changed("rows were deferred, or its counters proved nothing"),
            (_, None) => Verdict::Changed("its counters prove nothing"),
            // A deleted row leaves nothing behind that could be asked for.
            (Some(then), Some(now)) if then.deleted != now.deleted || !comparable(then, now) => {
                Verdict::Changed("changed")
            }
            (Some(then), Some(now)) => {
                Verdict::Doubt(Doubt { table: table.name.clone(), horizon: state.horizon, moved: then != now })
            }
        }
    }

    fn targets_of<'t>(&'t self, table: &'t Table) -> impl Iterator<Item = &'t Arc<Target>> {
        let uses =
            |target: &&Arc<Target>| self.catalog.sources_of(target).iter().any(|source| source.name == table.name);
        self.catalog.warehouse.targets.iter().filter(uses)
    }
}

/// Whether both were counted from the same beginning, over the same file.
pub(super) fn comparable(then: &Counters, now: &Counters) -> bool {
    then.since == now.since && then.file == now.file
}
