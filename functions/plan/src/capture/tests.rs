//! Decisions over a source of three tables: a fact by its changes, two dimensions by snapshots.

use catalog::message::RunInput;
use catalog::state::{Counters, SourceIdentity};
use catalog::{Batch, BatchName, Horizon};
use host::postgres::inspect::{Kind, LiveTable};

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
        let names = || catalog.source.tables.iter().map(|table| table.name.clone());
        let seen = Observation {
            identity: SourceIdentity { system: "1".into(), timeline: 1, database: 1 },
            horizon: Horizon::new(100),
            next: Horizon::new(101),
            counts: true,
            tables: names().map(|name| (name, LiveTable::default())).collect(),
            counters: names().map(|name| (name, counters(10))).collect(),
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
        self.seen.counters.insert(ident(table), counters(13));
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
    world.seen.counters.insert(ident("staff"), deleted);
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
    partitioned.seen.tables.values_mut().for_each(|table| table.kind = Kind::Partitioned);
    let mut reset = World::new();
    let reset_counters = Counters { since: Some("2026".into()), ..counters(10) };
    reset.seen.counters.values_mut().for_each(|counters| *counters = reset_counters.clone());
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
    view.seen.tables.values_mut().for_each(|table| table.kind = Kind::View);
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
