//! How each table is captured in this batch, and what that makes of the targets: pure, from what was seen and what was
//! committed.

mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalog::message::{Plan, PlanRequest, PlanStatus, Read, RunInput, SourceAt, TablePlan, TargetPlan};
use catalog::state::{SourceIdentity, State, TableState};
use catalog::{Capture, Catalog, Ident, Table, Target};

pub(crate) use self::verdict::Doubt;
use self::verdict::Verdict;
use crate::observe::Observation;

/// Everything a decision rests on.
pub(crate) struct Decision<'d> {
    pub(crate) catalog: &'d Catalog,
    pub(crate) request: &'d PlanRequest,
    pub(crate) input: RunInput,
    pub(crate) seen: &'d Observation,
    /// What the batch that this one builds on knew.
    pub(crate) base: Option<&'d State>,
    /// Tables whose whole copies in the lake are no longer what was written.
    pub(crate) damaged: BTreeSet<Ident>,
}

impl Decision<'_> {
    /// The tables that have to be asked.
    pub(crate) fn doubts(&self) -> Vec<Doubt> {
        let doubt = |table: &Arc<Table>| match self.verdict(table) {
            Verdict::Doubt(doubt) => Some(doubt),
            Verdict::Whole(_) | Verdict::Changed(_) | Verdict::Unchanged => None,
        };
        self.catalog.source.tables.iter().filter_map(doubt).collect()
    }

    /// The tables of a plan that are read and have a cursor to be asked by the next time, each with that column.
    pub(crate) fn cursors(&self, plan: &Plan) -> Vec<(Ident, Ident)> {
        let is_read = |table: &&Arc<Table>| plan.tables.get(&table.name).is_some_and(|plan| plan.state.is_some());
        let tables = self.catalog.source.tables.iter().filter(is_read);
        tables.filter_map(|table| Some((table.name.clone(), self.cursor(table)?))).collect()
    }

    /// The plan. `touched` are those of the doubtful tables that changed, with how many rows, where that is known.
    pub(crate) fn plan(&self, touched: &BTreeMap<Ident, Option<u64>>) -> Plan {
        let tables: BTreeMap<Ident, TablePlan> = self
            .catalog
            .source
            .tables
            .iter()
            .map(|table| (table.name.clone(), self.table_plan(table, touched.get(&table.name))))
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
            source: (changed > 0).then(|| SourceAt { identity: self.identity(), horizon: self.seen.horizon }),
            base: self.request.checkpoint.base.as_ref().map(|base| base.batch.clone()),
            targets: self.catalog.warehouse.targets.iter().map(target_plan).collect(),
            tables,
            next: (changed > 0).then_some(next),
        }
    }

    /// The source, with what is remembered of it where it is read through a replica.
    fn identity(&self) -> SourceIdentity {
        let seen = &self.seen.identity;
        let base = self.request.checkpoint.base.as_ref().map(|base| &base.source);
        let remembered = base.filter(|base| seen.continues(base)).and_then(|base| base.began.clone());
        SourceIdentity { began: seen.began.clone().or(remembered), ..seen.clone() }
    }

    fn table_plan(&self, table: &Table, touched: Option<&Option<u64>>) -> TablePlan {
        let (read, reason) = match (self.verdict(table), touched) {
            (Verdict::Whole(reason), _) => (Read::Whole, reason),
            (Verdict::Changed(reason), _) => (self.captured(table), reason.to_owned()),
            (Verdict::Doubt(_), Some(_)) => (self.captured(table), "changed".to_owned()),
            (Verdict::Doubt(_), None) | (Verdict::Unchanged, _) => (Read::Nothing, "unchanged".to_owned()),
        };
        let state = (read != Read::Nothing).then(|| TableState {
            batch: self.request.batch.name.clone(),
            horizon: self.seen.horizon,
            counters: self.counters(table).cloned(),
            fingerprint: self.seen.fingerprints.get(&table.name).cloned().unwrap_or_default(),
            cursor: None,
            read_at: self.request.batch.started,
        });
        TablePlan {
            read,
            reason,
            expected_rows: touched.copied().flatten().filter(|_| matches!(read, Read::Since { .. })),
            versioned: self.is_versioned(table),
            definition: self.catalog.fingerprint_of_table(table),
            state,
        }
    }

    /// What a changed table is read of.
    fn captured(&self, table: &Table) -> Read {
        match (table.capture, self.state(table)) {
            (Capture::Changes, Some(state)) => Read::Since { horizon: state.horizon },
            (Capture::Changes, None) | (Capture::Snapshot, _) => Read::Whole,
        }
    }

    /// The state after this batch as far as it is known before anything is read: tables that are not read stay where they
    /// are.
    fn next(&self, plans: &BTreeMap<Ident, TablePlan>) -> State {
        let kept = |table: &Arc<Table>| {
            let is_read = plans.get(&table.name).is_some_and(|plan| plan.read != Read::Nothing);
            let state = self.state(table).filter(|_| !is_read)?;
            Some((table.name.clone(), state.clone()))
        };
        let fingerprint = |target: &Arc<Target>| (target.name.clone(), self.catalog.fingerprint(target));
        State {
            batch: self.request.batch.clone(),
            source: self.identity(),
            life: self
                .seen
                .told
                .as_ref()
                .map(|told| told.life.clone())
                .or_else(|| self.base.and_then(|base| base.life.clone())),
            tables: self.catalog.source.tables.iter().filter_map(kept).collect(),
            targets: self.catalog.warehouse.targets.iter().map(fingerprint).collect(),
        }
    }

    fn target_plan(&self, target: &Target, plans: &BTreeMap<Ident, TablePlan>, next: &State) -> TargetPlan {
        let sources = self.catalog.sources_of(target);
        let is_read = |table: &Table| plans.get(&table.name).is_some_and(|plan| plan.read != Read::Nothing);
        let newest = |table: &Arc<Table>| match table.capture {
            _ if is_read(table) => Some(self.request.batch.name.clone()),
            Capture::Changes => None,
            Capture::Snapshot => next.tables.get(&table.name).map(|state| state.batch.clone()),
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
            definition: self.catalog.fingerprint(target),
            rebuild: self.request.checkpoint.rebuild.contains_key(&target.name),
        }
    }
}

#[cfg(test)]
mod tests;
