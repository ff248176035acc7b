//! When a horizon or a table's counters cannot be trusted, more is read and nothing is lost.

use catalog::message::{PlanRequest, PlanStatus, Read};
use catalog::state::State;
use catalog::{Fault, Function, Horizon};
use testbed::{Testbed, batch};

use crate::{
    CATALOGUE, PLACES, bed, commit, commit_state, committed, first, ident, read, request, second, settle, state_after,
};

/// A plan after a batch whose state was altered.
async fn after(alter: impl FnOnce(&mut State)) -> catalog::message::Plan {
    let mut bed = bed().await;
    settle(&mut bed).await;
    let mut state = state_after(&first(&bed).await);
    alter(&mut state);
    let checkpoint = commit_state(&bed, state).await;
    let plan = second(&bed, &checkpoint).await;
    bed.end().await;
    plan
}

#[tokio::test]
async fn another_source_is_refused_until_it_is_adopted_and_then_read_whole() {
    let (bed, mut checkpoint) = committed().await;
    checkpoint.base.as_mut().expect("a batch").source.system = "another".to_owned();
    let host = bed.host(Function::Plan).await;
    let ask = |input| PlanRequest { input, ..request(&bed, batch("second", 5), &checkpoint) };
    let error = plan::handle(ask(serde_json::json!({})), &host).await.expect_err("it is refused");
    assert_eq!(error.fault(), Fault::SourceReplaced);
    assert!(error.report().contains("of server another (to do: "), "{}", error.report());
    assert!(error.report().contains("start a run with --adopt-source"), "{}", error.report());
    let adopted = plan::handle(ask(serde_json::json!({ "adopt_source": true })), &host).await.expect("it is planned");
    assert_eq!(adopted.status, PlanStatus::UpToDate, "the state is this server's: only the ledger was altered");
    bed.end().await;
}

#[tokio::test]
async fn a_server_that_could_have_lost_what_it_showed_is_read_whole() {
    let plan = after(|state| state.source.timeline += 1).await;
    assert_eq!(read(&plan, "thing"), (Read::Whole, "the source crashed, was put back or failed over"));
    let plan = after(|state| state.source.began = Some("yesterday".to_owned())).await;
    assert_eq!(read(&plan, "place"), (Read::Whole, "the source crashed, was put back or failed over"));
}

#[tokio::test]
async fn a_horizon_ahead_of_the_server_is_not_used() {
    let ahead = Horizon::new(u64::MAX / 2);
    let plan = after(|state| state.tables.values_mut().for_each(|state| state.horizon = ahead)).await;
    assert_eq!(read(&plan, "thing"), (Read::Whole, "the last read is ahead of this server"));
}

#[tokio::test]
async fn a_table_whose_counters_prove_nothing_is_asked() {
    let forget = |state: &mut State| {
        if let Some(state) = state.tables.get_mut(&ident("thing")) {
            state.counters = None;
        }
    };
    let plan = after(forget).await;
    assert_eq!((plan.status, read(&plan, "thing")), (PlanStatus::UpToDate, (Read::Nothing, "unchanged")));
}

#[tokio::test]
async fn another_catalogue_than_the_state_machine_s_plans_nothing() {
    let bed = bed().await;
    let another =
        PlanRequest { catalogue: "another".to_owned(), ..request(&bed, batch("first", 0), &Default::default()) };
    let error = plan::handle(another, &bed.host(Function::Plan).await).await.expect_err("it is refused");
    assert_eq!(error.fault(), Fault::DeploymentInProgress);
    bed.end().await;
}

#[tokio::test]
async fn a_target_defined_anew_is_read_whole() {
    let plan = after(|state| {
        state.targets.insert(ident("fact_thing"), "another definition".to_owned());
    })
    .await;
    assert_eq!(read(&plan, "thing"), (Read::Whole, "its targets are defined anew"));
}

#[tokio::test]
async fn a_partitioned_table_has_no_counters_and_is_asked() {
    let mut bed = Testbed::new(CATALOGUE).await;
    bed.source_does(PLACES).await;
    let partitioned =
        "CREATE TABLE thing (id integer PRIMARY KEY, price numeric(10,2) NOT NULL, place_id integer NOT NULL)
                       PARTITION BY RANGE (id);
                       CREATE TABLE thing_low PARTITION OF thing FOR VALUES FROM (0) TO (100)";
    bed.source_does(partitioned).await;
    settle(&mut bed).await;
    let whole = first(&bed).await;
    assert!(whole.tables[&ident("thing")].versioned);
    let checkpoint = commit(&bed, &whole).await;
    assert_eq!(second(&bed, &checkpoint).await.status, PlanStatus::UpToDate);
    bed.source_does("INSERT INTO thing VALUES (1, 1, 1)").await;
    let plan = second(&bed, &checkpoint).await;
    assert!(matches!(read(&plan, "thing"), (Read::Since { .. }, "changed")), "{:?}", plan.tables);
    bed.end().await;
}

#[tokio::test]
async fn a_view_is_read_whole_each_time_and_its_key_verified() {
    let mut bed = Testbed::new(CATALOGUE).await;
    bed.source_does(PLACES).await;
    bed.source_does("CREATE VIEW thing AS SELECT 1 AS id, 1.50::numeric(10,2) AS price, 1 AS place_id").await;
    settle(&mut bed).await;
    let whole = first(&bed).await;
    assert!(!whole.tables[&ident("thing")].versioned && whole.targets[&ident("fact_thing")].verify_key);
    let checkpoint = commit(&bed, &whole).await;
    assert_eq!(read(&second(&bed, &checkpoint).await, "thing"), (Read::Whole, "its rows carry no transaction id"));
    bed.end().await;
}

#[tokio::test]
async fn a_table_with_a_foreign_one_beneath_it_is_read_whole_each_time_as_a_view_is() {
    let columns = "(id integer NOT NULL, price numeric(10,2) NOT NULL, place_id integer NOT NULL)";
    let child = format!(
        "CREATE TABLE thing {columns}; ALTER TABLE thing ADD PRIMARY KEY (id);
         CREATE TABLE between () INHERITS (thing); CREATE FOREIGN TABLE away () INHERITS (between) SERVER other"
    );
    let partition = format!(
        "CREATE TABLE thing {columns} PARTITION BY RANGE (id);
         CREATE FOREIGN TABLE away PARTITION OF thing FOR VALUES FROM (0) TO (100) SERVER other"
    );
    for make in [child, partition] {
        let mut bed = Testbed::new(CATALOGUE).await;
        bed.source_does(PLACES).await;
        let server = format!(
            "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER other FOREIGN DATA WRAPPER nothing;
             GRANT USAGE ON FOREIGN SERVER other TO {}",
            local::APPLICATION
        );
        testbed::execute(&mut bed.superuser(catalog::Side::Source).await, &server).await;
        bed.source_does(&make).await;
        settle(&mut bed).await;
        let whole = first(&bed).await;
        assert!(!whole.tables[&ident("thing")].versioned && whole.targets[&ident("fact_thing")].verify_key, "{make}");
        let checkpoint = commit(&bed, &whole).await;
        let reason = "the rows of public.away, a foreign table beneath it, carry no transaction id";
        assert_eq!(read(&second(&bed, &checkpoint).await, "thing"), (Read::Whole, reason), "{make}");
        bed.end().await;
    }
}

#[tokio::test]
async fn a_server_whose_files_were_put_back_while_it_was_stopped_is_read_whole() {
    let life = |state: &mut State| state.life.clone().expect("it tells since when it runs");
    // Started anew since, and shut down before what was read; nothing else tells.
    let put_back = after(|state| {
        let life = life(state);
        state.life = Some(catalog::state::Life { started: "yesterday".to_owned(), log: u64::MAX, ..life });
    })
    .await;
    assert_eq!(read(&put_back, "thing"), (Read::Whole, "the source crashed, was put back or failed over"));
    let same = after(|state| assert!(life(state).log > 0)).await;
    assert_eq!(same.status, PlanStatus::UpToDate);
}
