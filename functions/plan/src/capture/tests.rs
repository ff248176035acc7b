//! Decisions over a source of three tables: a fact by its changes, two dimensions by snapshots.

use catalog::message::{Base, Checkpoint};
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
    Counters { inserted, updated: 0, deleted: 0, since: None }
}

/// A source whose three tables stand at 10 rows, a batch at horizon 100 that read them there, and the next run.
struct World {
    catalog: Catalog,
    seen: Observation,
    base: Option<State>,
    request: PlanRequest,
    input: RunInput,
    damaged: BTreeSet<Ident>,
}

impl World {
    fn new() -> Self {
        let catalog = Catalog::parse("p", CATALOG).unwrap();
        let names = || catalog.source.tables.iter().map(|table| table.name.clone());
        let seen = Observation {
            identity: SourceIdentity { system: "1".into(), timeline: 1, database: 1, began: Some("once".into()) },
            horizon: Horizon::new(100),
            next: Horizon::new(101),
            counts: true,
            reported: true,
            fingerprints: names().map(|name| (name, "f".to_owned())).collect(),
            tables: names().map(|name| (name, LiveTable::default())).collect(),
            counters: names().map(|name| (name, counters(10))).collect(),
            told: None,
        };
        let batch = |name: &str, minute: i64| Batch {
            name: BatchName::new(name).unwrap(),
            started: chrono::DateTime::from_timestamp_millis(minute * 60_000).unwrap(),
        };
        let request = |batch: Batch| PlanRequest {
            state_machine: String::new(),
            execution: String::new(),
            catalogue: String::new(),
            checkpoint: Checkpoint::default(),
            batch,
            input: serde_json::Value::Null,
        };
        let first = request(batch("first", 0));
        let (input, damaged) = (RunInput::default(), BTreeSet::new());
        let mut world = Self { catalog, seen, base: None, request: first, input, damaged };
        let plan = world.plan();
        let mut base = plan.next.unwrap();
        base.tables = plan.tables.into_iter().map(|(name, plan)| (name, plan.state.unwrap())).collect();
        world.request = request(batch("second", 5));
        world.request.checkpoint.base =
            Some(Base { batch: base.batch.name.clone(), source: base.source.clone(), state: String::new() });
        world.base = Some(base);
        world.seen.horizon = Horizon::new(200);
        world.seen.next = Horizon::new(201);
        world
    }

    fn decision(&self) -> Decision<'_> {
        Decision {
            catalog: &self.catalog,
            request: &self.request,
            input: self.input,
            seen: &self.seen,
            base: self.base.as_ref(),
            damaged: self.damaged.clone(),
        }
    }

    /// The plan of a source whose rows say what its counters say: three rows more in each table that moved.
    fn plan(&self) -> Plan {
        let moved = |doubt: &Doubt| {
            let known = self.base.as_ref().and_then(|base| base.tables.get(&doubt.table));
            known.is_some_and(|known| known.counters.as_ref() != self.seen.counters.get(&doubt.table))
        };
        let touched = self.decision().doubts().into_iter().filter(moved).map(|doubt| (doubt.table, Some(3)));
        self.decision().plan(&touched.collect())
    }

    fn plan_touched(&self, touched: &[&str]) -> Plan {
        self.decision().plan(&touched.iter().map(|name| (ident(name), None)).collect())
    }

    fn doubts(&self) -> Vec<String> {
        self.decision().doubts().into_iter().map(|doubt| doubt.table.to_string()).collect()
    }

    fn change(&mut self, table: &str) {
        self.seen.counters.insert(ident(table), counters(13));
    }

    fn base(&mut self) -> &mut State {
        self.base.as_mut().unwrap()
    }
}

fn reads(plan: &Plan) -> Vec<(&str, Read)> {
    plan.tables.iter().map(|(name, plan)| (name.as_str(), plan.read)).collect()
}

const SINCE_100: Read = Read::Since { horizon: Horizon::new(100) };

#[test]
fn the_first_run_reads_everything() {
    let mut world = World::new();
    (world.base, world.request.checkpoint.base) = (None, None);
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
    assert_eq!(plan.tables[&ident("orders")].state.as_ref().unwrap().horizon, Horizon::new(200));
    assert_eq!(next.tables[&ident("staff")].horizon, Horizon::new(100));
    assert!(!next.tables.contains_key(&ident("orders")), "its own read says what is known of it then");
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
fn counters_that_stand_still_prove_something_when_every_session_has_reported() {
    let mut world = World::new();
    assert_eq!(world.doubts(), Vec::<String>::new());
    world.seen.reported = false;
    assert_eq!(world.doubts(), ["orders", "staff", "team"], "whatever their size");
    assert_eq!(world.plan_touched(&["orders"]).tables[&ident("orders")].read, SINCE_100);
}

#[test]
fn trusted_counters_excuse_a_table_whatever_a_session_holds_back() {
    let mut world = World::new();
    world.seen.reported = false;
    let trusted = CATALOG.replace("orders = { key = 'id',", "orders = { key = 'id', trust_counters = true,");
    world.catalog = Catalog::parse("p", &trusted).unwrap();
    assert_eq!(world.doubts(), ["staff", "team"]);
    assert_eq!(reads(&world.plan())[0], ("orders", Read::Nothing));
    world.change("orders");
    assert_eq!(reads(&world.plan_touched(&[]))[0], ("orders", SINCE_100), "it is not asked either when they moved");
}

#[test]
fn a_table_whose_counters_prove_nothing_is_asked() {
    let mut off = World::new();
    off.seen.counts = false;
    let mut partitioned = World::new();
    partitioned.seen.tables.values_mut().for_each(|table| table.kind = Kind::Partitioned);
    let mut reset = World::new();
    let reset_counters = Counters { since: Some("2026".into()), ..counters(10) };
    reset.seen.counters.values_mut().for_each(|counters| *counters = reset_counters.clone());
    let mut deferred = World::new();
    deferred.base().tables.values_mut().for_each(|state| state.counters = None);
    for (name, world) in [("off", off), ("partitioned", partitioned), ("reset", reset), ("deferred", deferred)] {
        assert_eq!(world.doubts(), ["orders", "staff", "team"], "{name}");
        assert_eq!(reads(&world.plan_touched(&["orders"]))[0], ("orders", SINCE_100), "{name}");
    }
}

#[test]
fn a_clock_that_was_put_back_excuses_no_table() {
    let mut world = World::new();
    world.base().tables.values_mut().for_each(|state| state.read_at += chrono::TimeDelta::days(300));
    assert_eq!(reads(&world.plan())[0], ("orders", SINCE_100));
}

#[test]
fn a_target_that_is_made_anew_is_fed_by_everything_it_is_made_of() {
    let mut world = World::new();
    world.request.checkpoint.rebuild.insert(ident("dim_staff"), "dim_staff is not in the warehouse".to_owned());
    let plan = world.plan();
    assert_eq!(reads(&plan), [("orders", Read::Nothing), ("staff", Read::Whole), ("team", Read::Whole)]);
    assert_eq!(plan.tables[&ident("staff")].reason, "dim_staff is not in the warehouse");
    let [staff, orders] = ["dim_staff", "fact_orders"].map(|name| &plan.targets[&ident(name)]);
    assert!(staff.rebuild && staff.build && !orders.rebuild && !orders.build);
}

#[test]
fn a_damaged_copy_is_read_again() {
    let mut world = World::new();
    world.change("team");
    world.damaged.insert(ident("staff"));
    let plan = world.plan();
    assert_eq!(reads(&plan), [("orders", Read::Nothing), ("staff", Read::Whole), ("team", Read::Whole)]);
    let sources = &plan.targets[&ident("dim_staff")].sources;
    assert!(sources.values().all(|batch| batch.as_ref().is_some_and(|batch| batch.as_str() == "second")));
}

#[test]
fn a_replica_that_lags_is_not_planned_upon() {
    let mut world = World::new();
    world.seen.horizon = Horizon::new(99);
    let ask = |world: &World| crate::server::has_come_to(world.base.as_ref(), &world.seen);
    assert!(ask(&world).is_ok(), "a server that is no replica was put back, which is another matter");
    world.seen.identity.began = None;
    let error = ask(&world).unwrap_err();
    assert_eq!(error.fault(), catalog::Fault::SourceBusy);
    assert!(error.to_string().ends_with("it is at transaction 99, the last batch at 100"), "{error}");
    world.seen.horizon = Horizon::new(100);
    assert!(ask(&world).is_ok());
}

#[test]
fn what_a_replica_does_not_tell_is_remembered() {
    let mut world = World::new();
    world.seen.identity.began = None;
    world.change("orders");
    let plan = world.plan();
    assert_eq!(reads(&plan)[0], ("orders", SINCE_100));
    assert_eq!(plan.next.unwrap().source.began.as_deref(), Some("once"));
}

#[test]
fn a_horizon_that_cannot_be_trusted_is_not_used() {
    let mut other_timeline = World::new();
    other_timeline.base().source.timeline = 2;
    let mut crashed = World::new();
    crashed.seen.identity.began = Some("again".into());
    let mut adopted = World::new();
    adopted.base().source.system = "2".into();
    let mut another_table = World::new();
    another_table.seen.fingerprints.values_mut().for_each(|fingerprint| fingerprint.push('x'));
    let mut lost = World::new();
    lost.base = None;
    let mut ahead = World::new();
    ahead.base().tables.values_mut().for_each(|state| state.horizon = Horizon::new(202));
    let mut ages_ago = World::new();
    ages_ago.seen.next = Horizon::new(1 << 32);
    let mut view = World::new();
    view.seen.tables.values_mut().for_each(|table| table.kind = Kind::View);
    let mut asked = World::new();
    asked.input.full = true;
    let mut redefined = World::new();
    redefined.base().targets.values_mut().for_each(|fingerprint| fingerprint.push('x'));
    let worlds = [
        ("other timeline", other_timeline),
        ("crashed", crashed),
        ("adopted", adopted),
        ("another table", another_table),
        ("lost", lost),
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
