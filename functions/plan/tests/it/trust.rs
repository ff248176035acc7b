//! When a horizon or a table's counters cannot be trusted, more is read and nothing is lost.

use catalog::Horizon;
use catalog::message::{PlanStatus, Read};
use catalog::state::Commit;
use testbed::{Testbed, batch};

use crate::{CATALOGUE, PLACES, commit, ident, plan, read, settle};

/// A plan after a commit that was altered.
async fn after(alter: impl FnOnce(&mut Commit)) -> catalog::message::Plan {
    let mut bed = crate::bed().await;
    settle(&mut bed).await;
    let first = plan(&bed, batch("first", 0)).await.expect("it is planned");
    let mut next = first.next.expect("there is something to read");
    alter(&mut next);
    commit(&bed, next).await;
    let plan = plan(&bed, batch("second", 5)).await.expect("it is planned");
    bed.end().await;
    plan
}

#[tokio::test]
async fn the_commit_of_another_server_is_not_built_upon() {
    let plan = after(|commit| commit.source.system = "another".to_owned()).await;
    assert_eq!(read(&plan, "thing"), (Read::Whole, "the last commit is of another server"));
}

#[tokio::test]
async fn a_horizon_ahead_of_the_server_is_not_used() {
    let ahead = Horizon::new(u64::MAX / 2);
    let plan = after(|commit| commit.tables.values_mut().for_each(|state| state.horizon = ahead)).await;
    assert_eq!(read(&plan, "thing"), (Read::Whole, "the last commit is ahead of this server"));
}

#[tokio::test]
async fn a_table_whose_counters_proved_nothing_is_read_since_its_horizon() {
    let forget = |commit: &mut Commit| {
        if let Some(state) = commit.tables.get_mut(&ident("thing")) {
            state.counters = None;
        }
    };
    let plan = after(forget).await;
    assert!(matches!(read(&plan, "thing").0, Read::Since { .. }), "{:?}", plan.tables);
    assert_eq!(read(&plan, "place"), (Read::Nothing, "unchanged"));
}

#[tokio::test]
async fn a_target_defined_anew_is_read_whole() {
    let plan = after(|commit| {
        commit.targets.insert(ident("fact_thing"), "another definition".to_owned());
    })
    .await;
    assert_eq!(read(&plan, "thing"), (Read::Whole, "its targets are defined anew"));
}

#[tokio::test]
async fn the_counters_of_a_partitioned_table_prove_nothing() {
    let mut bed = Testbed::new(CATALOGUE).await;
    bed.source_does(PLACES).await;
    let partitioned =
        "CREATE TABLE thing (id integer PRIMARY KEY, price numeric(10,2) NOT NULL, place_id integer NOT NULL)
                       PARTITION BY RANGE (id);
                       CREATE TABLE thing_low PARTITION OF thing FOR VALUES FROM (0) TO (100)";
    bed.source_does(partitioned).await;
    settle(&mut bed).await;
    let first = plan(&bed, batch("first", 0)).await.expect("it is planned");
    assert!(first.tables[&ident("thing")].versioned);
    commit(&bed, first.next.expect("there is something to read")).await;
    let second = plan(&bed, batch("second", 5)).await.expect("it is planned");
    assert_eq!(second.status, PlanStatus::Changed);
    assert!(matches!(read(&second, "thing").0, Read::Since { .. }), "{:?}", second.tables);
    bed.end().await;
}

#[tokio::test]
async fn a_view_is_read_whole_each_time_and_its_key_verified() {
    let mut bed = Testbed::new(CATALOGUE).await;
    bed.source_does(PLACES).await;
    bed.source_does("CREATE VIEW thing AS SELECT 1 AS id, 1.50::numeric(10,2) AS price, 1 AS place_id").await;
    settle(&mut bed).await;
    let first = plan(&bed, batch("first", 0)).await.expect("it is planned");
    assert!(!first.tables[&ident("thing")].versioned && first.targets[&ident("fact_thing")].verify_key);
    commit(&bed, first.next.expect("there is something to read")).await;
    let second = plan(&bed, batch("second", 5)).await.expect("it is planned");
    assert_eq!(read(&second, "thing"), (Read::Whole, "its rows carry no transaction id"));
    bed.end().await;
}
