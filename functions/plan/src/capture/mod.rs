//! How each table is captured in this batch, and what that makes of the targets: pure, from what was seen and what was
//! committed.

mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalog::message::{Plan, PlanRequest, PlanStatus, Read, TablePlan, TargetPlan};
use catalog::state::{Commit, TableState};
use catalog::{Capture, Catalog, Ident, Table, Target};

pub(crate) use self::verdict::Doubt;
use self::verdict::{Verdict, comparable};
use crate::observe::Observation;

/// Everything a decision rests on.
pub(crate) struct Decision<'d> {
    pub(crate) catalog: &'d Catalog,
    pub(crate) request: &'d PlanRequest,
    pub(crate) seen: &'d Observation,
    pub(crate) commit: Option<&'d Commit>,
}

impl Decision<'_> {
    /// The tables that have to be asked.
    pub(crate) fn doubts(&self) -> Vec<Doubt> {
        let doubt = |table: &Arc<Table>| match self.verdict(table) {
            Verdict::Doubt(doubt) => Some(doubt),
            Verdict::Whole(_) | Verdict::Changed(_) => None,
        };
        self.catalog.source.tables.iter().filter_map(doubt).collect()
    }

    /// The plan. `touched` are those of the doubtful tables that changed.
    pub(crate) fn plan(&self, touched: &BTreeSet<Ident>) -> Plan {
        let tables: BTreeMap<Ident, TablePlan> = self
            .catalog
            .source
            .tables
            .iter()
            .map(|table| (table.name.clone(), self.table_plan(table, touched.contains(&table.name))))
            .collect();
        let changed = tables.values().filter(|plan| plan.read != Read::Nothing).count();
        let next = self.next(&tables);
        let target_plan = |target: &Arc<Target>| (target.name.clone(), self.target_plan(target, &tables, &next));
        let status = if changed == 0 { PlanStatus::UpToDate } else { PlanStatus::Changed };
        let reason = match (status, tables.len()) {
            (PlanStatus::UpToDate, _) => "nothing changed since the last commit".to_owned(),
            (_, all) => format!("{changed} of {all} tables are to be read"),
        };
        Plan {
            status,
            reason,
            batch: self.request.batch.clone(),
            horizon: self.seen.horizon,
            base: self.commit.map(|commit| commit.batch.name.clone()),
            targets: self.catalog.warehouse.targets.iter().map(target_plan).collect(),
            tables,
            next: (changed > 0).then_some(next),
        }
    }

    fn table_plan(&self, table: &Table, touched: bool) -> TablePlan {
        let (read, reason) = match self.verdict(table) {
            Verdict::Whole(reason) => (Read::Whole, reason),
            Verdict::Changed(reason) => (self.captured(table), reason),
            Verdict::Doubt(_) if touched => (self.captured(table), "changed"),
            Verdict::Doubt(_) => (Read::Nothing, "unchanged"),
        };
        TablePlan {
            read,
            reason: reason.to_owned(),
            expected_rows: if matches!(read, Read::Since { .. }) { self.written(table) } else { None },
            versioned: self.is_versioned(table),
        }
    }

    /// What a changed table is read of.
    fn captured(&self, table: &Table) -> Read {
        match (table.capture, self.state(table)) {
            (Capture::Changes, Some(state)) => Read::Since { horizon: state.horizon },
            (Capture::Changes, None) | (Capture::Snapshot, _) => Read::Whole,
        }
    }

    /// Rows written since the last read, by the counters; an update and a later one of the same row count twice.
    fn written(&self, table: &Table) -> Option<u64> {
        let (then, now) = (self.state(table)?.counters.as_ref()?, self.counters(table)?);
        let rows = (now.inserted - then.inserted).checked_add(now.updated - then.updated)?;
        comparable(then, now).then(|| u64::try_from(rows).ok()).flatten()
    }

    /// The state after this batch: tables that are read move on, the others stay where they are.
    fn next(&self, plans: &BTreeMap<Ident, TablePlan>) -> Commit {
        let state = |table: &Arc<Table>| {
            let read = plans.get(&table.name).is_some_and(|plan| plan.read != Read::Nothing);
            let state = match self.state(table) {
                Some(state) if !read => state.clone(),
                _ => TableState {
                    batch: self.request.batch.name.clone(),
                    horizon: self.seen.horizon,
                    counters: self.counters(table).cloned(),
                    read_at: self.request.batch.started,
                },
            };
            (table.name.clone(), state)
        };
        let fingerprint = |target: &Arc<Target>| (target.name.clone(), self.catalog.fingerprint(target));
        Commit {
            batch: self.request.batch.clone(),
            source: self.seen.identity.clone(),
            tables: self.catalog.source.tables.iter().map(state).collect(),
            targets: self.catalog.warehouse.targets.iter().map(fingerprint).collect(),
            reset: false,
        }
    }

    fn target_plan(&self, target: &Target, plans: &BTreeMap<Ident, TablePlan>, next: &Commit) -> TargetPlan {
        let sources = self.catalog.sources_of(target);
        let is_read = |table: &Table| plans.get(&table.name).is_some_and(|plan| plan.read != Read::Nothing);
        let newest = |table: &Arc<Table>| match table.capture {
            Capture::Changes if !is_read(table) => None,
            Capture::Changes | Capture::Snapshot => next.tables.get(&table.name).map(|state| state.batch.clone()),
        };
        let build = sources.iter().any(|table| is_read(table));
        TargetPlan {
            build,
            sources: if build {
                sources.iter().map(|table| (table.name.clone(), newest(table))).collect()
            } else {
                BTreeMap::new()
            },
            verify_key: sources.first().is_some_and(|table| !self.is_versioned(table)),
        }
    }
}

#[cfg(test)]
mod tests;
