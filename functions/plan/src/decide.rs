//! The decision itself: pure, from what was seen and what was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalog::message::{Plan, PlanRequest, PlanStatus, Read, TablePlan, TargetPlan};
use catalog::state::{Commit, Counters, TableState};
use catalog::{Capture, Catalog, Horizon, Ident, Table, Target};

use crate::observe::{LiveTable, Observation};

/// Everything a decision rests on.
pub(crate) struct Decision<'d> {
    pub(crate) catalog: &'d Catalog,
    pub(crate) request: &'d PlanRequest,
    pub(crate) seen: &'d Observation,
    pub(crate) commit: Option<&'d Commit>,
}

/// Why a table is read, or that it may not have changed.
enum Verdict {
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

    fn state(&self, table: &Table) -> Option<&TableState> {
        self.commit?.tables.get(&table.name)
    }

    fn live(&self, table: &Table) -> Option<&LiveTable> {
        self.seen.tables.get(&table.name)
    }

    /// The counters that prove something: kept here, and of a table whose counters tell of every change.
    fn counters(&self, table: &Table) -> Option<&Counters> {
        let live = self.live(table)?;
        (self.seen.counts && live.counted).then_some(live.counters.as_ref()).flatten()
    }

    fn verdict(&self, table: &Table) -> Verdict {
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
        if self.live(table).is_none_or(|live| !live.versioned) {
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
            versioned: self.live(table).is_some_and(|live| live.versioned),
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
            verify_key: sources.first().and_then(|table| self.live(table)).is_some_and(|live| !live.versioned),
        }
    }
}

/// Whether both were counted from the same beginning, over the same file.
fn comparable(then: &Counters, now: &Counters) -> bool {
    then.since == now.since && then.file == now.file
}

#[cfg(test)]
mod tests {
    use catalog::message::RunInput;
    use catalog::state::SourceIdentity;
    use catalog::{Batch, BatchName};

    use super::*;

    const CATALOG: &str = "
        [pipeline]
        name = 'p'
        [source.tables]
        orders = { key = 'id', capture = 'changes', columns = { id = 'integer', staff_id = 'integer' } }
        staff = { key = 'id', capture = 'snapshot', columns = { id = 'integer', team_id = 'integer' } }
        team = { key = 'id', capture = 'snapshot', columns = { id = 'integer', name = 'text' } }
        [dimensions.dim_staff]
        from = 'staff'
        joins.team.on = 'team_id'
        columns = { id = 'id', team = 'team.name' }
        [facts.fact_orders]
        from = 'orders'
        surrogate_key = 'n'
        columns = { id = 'id', staff_id = { from = 'staff_id', references = 'dim_staff' } }
    ";

    fn ident(name: &str) -> Ident {
        Ident::new(name).unwrap()
    }

    fn counters(inserted: i64) -> Counters {
        Counters { inserted, updated: 0, deleted: 0, file: 1, since: None }
    }

    /// A source whose three tables stand at 10 rows, a commit at horizon 100 that saw them there, and the next run.
    struct World {
        catalog: Catalog,
        seen: Observation,
        commit: Option<Commit>,
        request: PlanRequest,
    }

    impl World {
        fn new() -> Self {
            let catalog = Catalog::parse("p", CATALOG).unwrap();
            let live =
                LiveTable { versioned: true, counted: true, counters: Some(counters(10)), ..LiveTable::default() };
            let seen = Observation {
                identity: SourceIdentity { system: "1".into(), timeline: 1, database: 1 },
                horizon: Horizon::new(100),
                next: Horizon::new(101),
                counts: true,
                tables: catalog.source.tables.iter().map(|table| (table.name.clone(), live.clone())).collect(),
            };
            let batch = |name: &str, minute: i64| Batch {
                name: BatchName::new(name).unwrap(),
                started: chrono::DateTime::from_timestamp_millis(minute * 60_000).unwrap(),
            };
            let request = |batch: Batch| PlanRequest {
                state_machine: String::new(),
                execution: String::new(),
                batch,
                input: RunInput::default(),
            };
            let mut world = Self { catalog, seen, commit: None, request: request(batch("first", 0)) };
            world.commit = world.plan().next;
            world.request = request(batch("second", 5));
            world.seen.horizon = Horizon::new(200);
            world.seen.next = Horizon::new(201);
            world
        }

        fn decision(&self) -> Decision<'_> {
            let commit = self.commit.as_ref();
            Decision { catalog: &self.catalog, request: &self.request, seen: &self.seen, commit }
        }

        /// The plan of a source whose rows say what its counters say.
        fn plan(&self) -> Plan {
            let moved = self.decision().doubts().into_iter().filter(|doubt| doubt.moved).map(|doubt| doubt.table);
            self.decision().plan(&moved.collect())
        }

        fn plan_touched(&self, touched: &[&str]) -> Plan {
            self.decision().plan(&touched.iter().map(|name| ident(name)).collect())
        }

        fn change(&mut self, table: &str) {
            self.seen.tables.get_mut(&ident(table)).unwrap().counters = Some(counters(13));
        }

        fn commit(&mut self) -> &mut Commit {
            self.commit.as_mut().unwrap()
        }
    }

    fn reads(plan: &Plan) -> Vec<(&str, Read)> {
        plan.tables.iter().map(|(name, plan)| (name.as_str(), plan.read)).collect()
    }

    const SINCE_100: Read = Read::Since { horizon: Horizon::new(100) };

    #[test]
    fn the_first_run_reads_everything() {
        let mut world = World::new();
        world.commit = None;
        let plan = world.plan();
        assert_eq!(reads(&plan), [("orders", Read::Whole), ("staff", Read::Whole), ("team", Read::Whole)]);
        assert!(plan.targets.values().all(|target| target.build));
        assert_eq!((plan.status, plan.base), (PlanStatus::Changed, None));
    }

    #[test]
    fn a_run_after_it_does_nothing() {
        let plan = World::new().plan();
        assert_eq!(plan.status, PlanStatus::UpToDate);
        assert!(plan.tables.values().all(|table| table.read == Read::Nothing) && plan.next.is_none());
    }

    #[test]
    fn a_changed_fact_is_read_since_its_last_horizon_and_the_others_stay() {
        let mut world = World::new();
        world.change("orders");
        let plan = world.plan();
        assert_eq!(reads(&plan), [("orders", SINCE_100), ("staff", Read::Nothing), ("team", Read::Nothing)]);
        assert_eq!(plan.tables[&ident("orders")].expected_rows, Some(3));
        assert_eq!((plan.targets[&ident("fact_orders")].build, plan.targets[&ident("dim_staff")].build), (true, false));
        let next = plan.next.unwrap();
        let horizon = |table: &str| next.tables[&ident(table)].horizon;
        assert_eq!((horizon("orders"), horizon("staff")), (Horizon::new(200), Horizon::new(100)));
        assert_eq!(plan.base.unwrap().as_str(), "first");
    }

    #[test]
    fn a_changed_lookup_rebuilds_its_dimension_from_the_newest_whole_copies() {
        let mut world = World::new();
        world.change("team");
        let plan = world.plan();
        assert_eq!(reads(&plan), [("orders", Read::Nothing), ("staff", Read::Nothing), ("team", Read::Whole)]);
        let sources = &plan.targets[&ident("dim_staff")].sources;
        let batch = |table: &str| sources[&ident(table)].as_ref().map(BatchName::as_str);
        assert_eq!((batch("staff"), batch("team")), (Some("first"), Some("second")));
    }

    #[test]
    fn a_row_found_in_a_table_at_rest_is_a_change() {
        assert_eq!(reads(&World::new().plan_touched(&["orders"]))[0], ("orders", SINCE_100));
    }

    #[test]
    fn counters_that_moved_late_are_no_change_when_the_rows_are_known() {
        let mut world = World::new();
        world.change("orders");
        assert_eq!(world.plan_touched(&[]).status, PlanStatus::UpToDate);
        let deleted = Counters { deleted: 1, ..counters(10) };
        world.seen.tables.get_mut(&ident("staff")).unwrap().counters = Some(deleted);
        assert_eq!(reads(&world.plan_touched(&[]))[1], ("staff", Read::Whole), "a deletion leaves no row to ask for");
    }

    #[test]
    fn after_half_an_hour_everything_is_read_again() {
        let mut world = World::new();
        world.request.batch.started += chrono::TimeDelta::minutes(25);
        assert_eq!(reads(&world.plan()), [("orders", SINCE_100), ("staff", Read::Whole), ("team", Read::Whole)]);
    }

    #[test]
    fn counters_that_prove_nothing_do_not_excuse_a_table() {
        let mut off = World::new();
        off.seen.counts = false;
        let mut partitioned = World::new();
        partitioned.seen.tables.values_mut().for_each(|table| table.counted = false);
        let mut reset = World::new();
        reset.seen.tables.values_mut().for_each(|table| {
            table.counters = Some(Counters { since: Some("2026".into()), ..counters(10) });
        });
        let mut deferred = World::new();
        deferred.commit().tables.values_mut().for_each(|state| state.counters = None);
        for (name, world) in [("off", off), ("partitioned", partitioned), ("reset", reset), ("deferred", deferred)] {
            assert_eq!(reads(&world.plan())[0], ("orders", SINCE_100), "{name}");
        }
    }

    #[test]
    fn a_horizon_that_cannot_be_trusted_is_not_used() {
        let mut other_server = World::new();
        other_server.commit().source.timeline = 2;
        let mut ahead = World::new();
        ahead.commit().tables.values_mut().for_each(|state| state.horizon = Horizon::new(202));
        let mut ages_ago = World::new();
        ages_ago.seen.next = Horizon::new(1 << 32);
        let mut view = World::new();
        view.seen.tables.values_mut().for_each(|table| table.versioned = false);
        let mut asked = World::new();
        asked.request.input.full = true;
        let mut redefined = World::new();
        redefined.commit().targets.values_mut().for_each(|fingerprint| fingerprint.push('x'));
        let worlds = [
            ("other server", other_server),
            ("ahead", ahead),
            ("ages ago", ages_ago),
            ("view", view),
            ("asked", asked),
            ("redefined", redefined),
        ];
        for (name, world) in worlds {
            assert!(world.plan().tables.values().all(|table| table.read == Read::Whole), "{name}");
        }
    }
}
