//! What changed since the last commit, by counters and by the rows themselves.

use catalog::message::{PlanRequest, PlanStatus, Read, RunInput};
use catalog::{Function, Horizon, Side};
use sqlx::{ConnectOptions as _, Connection as _};
use testbed::{ask, batch, execute};

use crate::{bed, commit, committed, ident, plan, read, request, settle, until};

#[tokio::test]
async fn the_first_run_reads_everything() {
    let bed = bed().await;
    let plan = plan(&bed, batch("first", 0)).await.expect("it is planned");
    assert_eq!((plan.status, &plan.base), (PlanStatus::Changed, &None));
    assert_eq!(read(&plan, "thing"), (Read::Whole, "first read"));
    assert_eq!(read(&plan, "place"), (Read::Whole, "first read"));
    assert!(plan.tables.values().all(|table| table.versioned));
    assert!(plan.targets.values().all(|target| target.build && !target.verify_key));
    let next = plan.next.expect("there is something to read");
    assert!(next.tables.values().all(|state| state.horizon == plan.horizon && state.batch.as_str() == "first"));
    bed.end().await;
}

#[tokio::test]
async fn a_run_after_it_finds_nothing() {
    let bed = committed().await;
    let plan = plan(&bed, batch("second", 5)).await.expect("it is planned");
    assert_eq!((plan.status, plan.reason.as_str()), (PlanStatus::UpToDate, "nothing changed since the last commit"));
    assert_eq!(read(&plan, "thing"), (Read::Nothing, "unchanged"));
    assert!(plan.next.is_none());
    bed.end().await;
}

#[tokio::test]
async fn a_changed_table_is_read_since_the_last_horizon_and_a_snapshot_whole() {
    let mut bed = committed().await;
    let first = plan(&bed, batch("other", 4)).await.expect("it is planned");
    bed.source_does("UPDATE thing SET price = 2 WHERE id = 3; UPDATE place SET name = 'York' WHERE id = 1").await;
    let plan = plan(&bed, batch("second", 5)).await.expect("it is planned");
    let (Read::Since { horizon }, "changed") = read(&plan, "thing") else { panic!("{:?}", plan.tables) };
    assert!(horizon <= first.horizon, "that of the commit");
    assert_eq!(read(&plan, "place"), (Read::Whole, "changed"));
    assert_eq!(plan.base.as_ref().map(|base| base.as_str()), Some("first"));
    bed.end().await;
}

#[tokio::test]
async fn rows_tell_what_counters_tell_late_and_late_counters_are_no_change() {
    let mut bed = committed().await;
    let options = bed.options(local::APPLICATION, Side::Source).await;
    // A session reports once a second, and when it ends.
    let mut session = options.connect().await.expect("the source answers");
    let inserted = "pg_stat_get_tuples_inserted('thing'::regclass)";
    until(&mut bed, inserted, "10").await;
    execute(&mut session, "INSERT INTO thing VALUES (11, 1, 1)").await;
    execute(&mut session, "INSERT INTO thing VALUES (12, 1, 1)").await;
    settle(&mut bed).await;
    let second = plan(&bed, batch("second", 5)).await.expect("it is planned");
    assert!(matches!(read(&second, "thing"), (Read::Since { .. }, "changed")), "{:?}", second.tables);
    commit(&bed, second.next.expect("there is something to read")).await;
    session.close().await.expect("a connection closes");
    until(&mut bed, inserted, "12").await;
    let third = plan(&bed, batch("third", 10)).await.expect("it is planned");
    assert_eq!((third.status, read(&third, "thing")), (PlanStatus::UpToDate, (Read::Nothing, "unchanged")));
    bed.end().await;
}

#[tokio::test]
async fn a_table_that_is_locked_and_cannot_be_asked_is_left_to_its_own_extraction() {
    let bed = committed().await;
    let holder = bed.hold(Side::Source, "LOCK TABLE thing").await;
    let plan = plan(&bed, batch("second", 5)).await.expect("it is planned");
    assert!(matches!(read(&plan, "thing"), (Read::Since { .. }, "changed")), "{:?}", plan.tables);
    assert_eq!(read(&plan, "place"), (Read::Nothing, "unchanged"), "it does not take the others with it");
    holder.close().await.expect("a connection closes");
    bed.end().await;
}

#[tokio::test]
async fn a_full_run_reads_everything_whatever_changed() {
    let bed = committed().await;
    let host = bed.host(Function::Plan).await;
    let request = PlanRequest { input: RunInput { full: true }, ..request(&bed, batch("second", 5)) };
    let plan = plan::handle(request, &host).await.expect("it is planned");
    assert_eq!((read(&plan, "thing"), read(&plan, "place")), ((Read::Whole, "asked for"), (Read::Whole, "asked for")));
    bed.end().await;
}

#[tokio::test]
async fn a_lost_warehouse_s_commit_is_not_built_upon() {
    let bed = bed().await;
    let first = plan(&bed, batch("first", 0)).await.expect("it is planned").next.expect("there is something to read");
    commit(&bed, catalog::state::Commit { reset: true, ..first }).await;
    let plan = plan(&bed, batch("second", 5)).await.expect("it is planned");
    assert_eq!((read(&plan, "thing"), &plan.base), ((Read::Whole, "first read"), &None));
    assert_eq!(plan.next.expect("there is something to read").tables[&ident("thing")].batch.as_str(), "second");
    bed.end().await;
}

#[tokio::test]
async fn a_table_moved_to_another_file_is_asked_again_and_a_column_more_changes_nothing() {
    let mut bed = committed().await;
    bed.source_does("ALTER TABLE thing ADD colour text DEFAULT 'red'").await;
    bed.source_does("VACUUM FULL place").await;
    let plan = plan(&bed, batch("second", 5)).await.expect("it is planned");
    assert_eq!(read(&plan, "thing"), (Read::Nothing, "unchanged"));
    assert_eq!(read(&plan, "place"), (Read::Whole, "changed"));
    bed.end().await;
}

#[tokio::test]
async fn a_transaction_still_open_holds_the_horizon_back() {
    let mut bed = bed().await;
    let mut late = bed.hold(Side::Source, "INSERT INTO thing VALUES (11, 1, 1)").await;
    let open: Horizon = ask(&mut late, "pg_current_xact_id()").await.parse().expect("a transaction id");
    bed.source_does("INSERT INTO thing VALUES (12, 1, 1)").await;
    let plan = plan(&bed, batch("first", 0)).await.expect("it is planned");
    assert!(plan.horizon <= open, "{} is after {open}, which may still commit", plan.horizon);
    late.close().await.expect("a connection closes");
    bed.end().await;
}
