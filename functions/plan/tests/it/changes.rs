//! What changed since the last commit, by counters and by the rows themselves.

use catalog::message::{Checkpoint, PlanRequest, PlanStatus, Read};
use catalog::{Function, Horizon, Side};
use sqlx::{ConnectOptions as _, Connection as _};
use testbed::{Testbed, ask, batch, execute};

use crate::{CATALOGUE, PLACES, bed, commit, committed, first, ident, read, request, second, settle, until};

#[tokio::test]
async fn the_first_run_reads_everything() {
    let bed = bed().await;
    let plan = first(&bed).await;
    assert_eq!((plan.status, &plan.base), (PlanStatus::Changed, &None));
    assert_eq!(read(&plan, "thing"), (Read::Whole, "first read"));
    assert_eq!(read(&plan, "place"), (Read::Whole, "first read"));
    assert!(plan.tables.values().all(|table| table.versioned));
    assert!(plan.targets.values().all(|target| target.build && !target.verify_key));
    let horizon = plan.source.as_ref().expect("it is read").horizon;
    let states: Vec<_> = plan.tables.values().filter_map(|table| table.state.as_ref()).collect();
    assert!(states.iter().all(|state| state.horizon == horizon && state.batch.as_str() == "first"));
    assert_eq!(states.len(), 2);
    bed.end().await;
}

#[tokio::test]
async fn a_run_after_it_finds_nothing() {
    let (bed, checkpoint) = committed().await;
    let plan = second(&bed, &checkpoint).await;
    assert_eq!((plan.status, plan.reason.as_str()), (PlanStatus::UpToDate, "nothing changed since the last commit"));
    assert_eq!(read(&plan, "thing"), (Read::Nothing, "unchanged"));
    assert!(plan.next.is_none());
    bed.end().await;
}

#[tokio::test]
async fn a_changed_table_is_read_since_the_last_horizon_and_a_snapshot_whole() {
    let (mut bed, checkpoint) = committed().await;
    let before = first(&bed).await.source.expect("it is read").horizon;
    bed.source_does("UPDATE thing SET price = 2 WHERE id = 3; UPDATE place SET name = 'York' WHERE id = 1").await;
    let plan = second(&bed, &checkpoint).await;
    let (Read::Since { horizon }, "changed") = read(&plan, "thing") else { panic!("{:?}", plan.tables) };
    assert!(horizon <= before, "that of the last read");
    assert_eq!(plan.tables[&ident("thing")].expected_rows, Some(1), "counted");
    assert_eq!(read(&plan, "place"), (Read::Whole, "changed"));
    assert_eq!(plan.base.as_ref().map(|base| base.as_str()), Some("first"));
    bed.end().await;
}

#[tokio::test]
async fn rows_tell_what_counters_tell_late_and_late_counters_are_no_change() {
    let (mut bed, checkpoint) = committed().await;
    let options = bed.options(local::APPLICATION, Side::Source).await;
    // A session reports once a second, and when it ends.
    let mut session = options.connect().await.expect("the source answers");
    let inserted = "pg_stat_get_tuples_inserted('thing'::regclass)";
    until(&mut bed, inserted, "10").await;
    execute(&mut session, "INSERT INTO thing VALUES (11, 1, 1)").await;
    execute(&mut session, "INSERT INTO thing VALUES (12, 1, 1)").await;
    settle(&mut bed).await;
    let seen = second(&bed, &checkpoint).await;
    assert!(matches!(read(&seen, "thing"), (Read::Since { .. }, "changed")), "{:?}", seen.tables);
    let checkpoint = commit(&bed, &seen).await;
    session.close().await.expect("a connection closes");
    until(&mut bed, inserted, "12").await;
    let third = crate::plan(&bed, batch("third", 10), &checkpoint).await.expect("it is planned");
    assert_eq!((third.status, read(&third, "thing")), (PlanStatus::UpToDate, (Read::Nothing, "unchanged")));
    bed.end().await;
}

#[tokio::test]
async fn a_table_that_is_locked_and_cannot_be_asked_is_left_to_its_own_extraction() {
    let (bed, checkpoint) = committed().await;
    let holder = bed.hold(Side::Source, "LOCK TABLE thing").await;
    let plan = second(&bed, &checkpoint).await;
    assert!(matches!(read(&plan, "thing"), (Read::Since { .. }, "changed")), "{:?}", plan.tables);
    assert_eq!(read(&plan, "place"), (Read::Nothing, "unchanged"), "it does not take the others with it");
    holder.close().await.expect("a connection closes");
    bed.end().await;
}

/// `thing` with a time that the application moves, and an index that leads with it.
async fn with_cursor(index: &str) -> (Testbed, Checkpoint) {
    let catalogue = CATALOGUE.replace(
        "columns = { id = 'integer', price = 'numeric(10,2)',",
        "cursor = 'moved'\ncolumns = { id = 'integer', moved = 'timestamp', price = 'numeric(10,2)',",
    );
    let mut bed = Testbed::new(&catalogue).await;
    bed.source_does(PLACES).await;
    let table = "CREATE TABLE thing (id integer PRIMARY KEY, price numeric(10,2) NOT NULL, place_id integer NOT NULL,
                                     moved timestamp NOT NULL);
                 INSERT INTO thing SELECT i, 1, 1, timestamp '2026-01-01' + i * interval '1 minute' FROM generate_series(1, 5000) i";
    bed.source_does(table).await;
    bed.source_does(index).await;
    bed.source_does("ANALYZE thing").await;
    settle(&mut bed).await;
    let checkpoint = commit(&bed, &first(&bed).await).await;
    (bed, checkpoint)
}

#[tokio::test]
async fn a_table_with_an_index_on_its_cursor_is_asked_by_it() {
    let (mut bed, checkpoint) = with_cursor("CREATE INDEX ON thing (moved, id)").await;
    let newest = checkpoint_cursor(&bed, &checkpoint).await;
    assert_eq!(newest.as_deref(), Some("2026-01-04 11:20:00"));
    assert_eq!(second(&bed, &checkpoint).await.status, PlanStatus::UpToDate);
    // Set before the newest one and committed after it.
    bed.source_does("UPDATE thing SET price = 2, moved = '2026-01-04 11:00:00.5' WHERE id = 7").await;
    settle(&mut bed).await;
    let plan = second(&bed, &checkpoint).await;
    assert!(matches!(read(&plan, "thing"), (Read::Since { .. }, "changed")), "{:?}", plan.tables);
    assert_eq!(plan.tables[&ident("thing")].expected_rows, Some(1));
    // A change that does not move it is found when the table is due.
    let checkpoint = commit(&bed, &plan).await;
    bed.source_does("UPDATE thing SET price = 3 WHERE id = 8").await;
    settle(&mut bed).await;
    assert_eq!(
        crate::plan(&bed, batch("third", 10), &checkpoint).await.expect("it is planned").status,
        PlanStatus::UpToDate
    );
    let due = crate::plan(&bed, batch("fourth", 36), &checkpoint).await.expect("it is planned");
    assert!(matches!(read(&due, "thing"), (Read::Since { .. }, "due to be read again")), "{:?}", due.tables);
    bed.end().await;
}

#[tokio::test]
async fn a_cursor_without_an_index_that_leads_with_it_is_not_used() {
    let (mut bed, checkpoint) = with_cursor("CREATE INDEX ON thing (price, moved)").await;
    assert_eq!(checkpoint_cursor(&bed, &checkpoint).await, None);
    bed.source_does("UPDATE thing SET price = 3 WHERE id = 8").await;
    settle(&mut bed).await;
    assert!(matches!(read(&second(&bed, &checkpoint).await, "thing"), (Read::Since { .. }, "changed")));
    bed.end().await;
}

/// The newest value of `thing`'s cursor, as the state of the last batch knows it.
async fn checkpoint_cursor(bed: &Testbed, checkpoint: &Checkpoint) -> Option<String> {
    let key = &checkpoint.base.as_ref().expect("a batch").state;
    let lake = bed.host(Function::Plan).await.lake;
    let state: catalog::state::State =
        lake.read_json(catalog::key::Bucket::Processed, key).await.expect("the lake answers").expect("it is there");
    state.tables[&ident("thing")].cursor.clone()
}

#[tokio::test]
async fn a_full_run_reads_everything_whatever_changed() {
    let (bed, checkpoint) = committed().await;
    let host = bed.host(Function::Plan).await;
    let input = serde_json::json!({ "full": true });
    let request = PlanRequest { input, ..request(&bed, batch("second", 5), &checkpoint) };
    let plan = plan::handle(request, &host).await.expect("it is planned");
    assert_eq!((read(&plan, "thing"), read(&plan, "place")), ((Read::Whole, "asked for"), (Read::Whole, "asked for")));
    bed.end().await;
}

#[tokio::test]
async fn a_transaction_still_open_holds_the_horizon_back() {
    let mut bed = bed().await;
    let mut late = bed.hold(Side::Source, "INSERT INTO thing VALUES (11, 1, 1)").await;
    let open: Horizon = ask(&mut late, "pg_current_xact_id()").await.parse().expect("a transaction id");
    bed.source_does("INSERT INTO thing VALUES (12, 1, 1)").await;
    let horizon = first(&bed).await.source.expect("it is read").horizon;
    assert!(horizon <= open, "{horizon} is after {open}, which may still commit");
    late.close().await.expect("a connection closes");
    bed.end().await;
}
