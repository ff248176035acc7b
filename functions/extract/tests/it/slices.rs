//! A long read is cut into slices by the table's key; what is recorded is not read again.

use catalog::key::{Bucket, Key};
use catalog::manifest::SliceRecord;
use catalog::message::StepStatus;
use host::Call;
use testbed::batch;

use crate::{bed, extract, host_of, ids, manifest, whole};

/// As many rows as make five slices of 40.
const ROWS: &str = r#"INSERT INTO "Thing's" SELECT i, 'n' || i FROM generate_series(1, 195) i; ANALYZE"#;

#[tokio::test]
async fn with_time_enough_one_call_reads_every_slice() {
    let mut bed = bed().await;
    bed.source_does(ROWS).await;
    let host = host_of(&bed).await;
    let extracted = extract(&host, "first", whole()).await.expect("it is read");
    assert_eq!((extracted.status, extracted.rows), (StepStatus::Done, 195));
    assert_eq!(
        manifest(&host, "first").await.parts.iter().map(|part| part.rows).collect::<Vec<_>>(),
        [40, 40, 40, 40, 35]
    );
    assert_eq!(ids(&host, "first").await, (1..=195).collect::<Vec<_>>());
    bed.end().await;
}

#[tokio::test]
async fn without_time_every_call_records_a_slice_and_the_next_goes_on_after_it() {
    let mut bed = bed().await;
    bed.source_does(ROWS).await;
    let mut host = host_of(&bed).await;
    // Less time than an extraction keeps for its answer: every call ends after one slice.
    host.call.deadline_ms = u64::try_from(host::now().timestamp_millis()).expect("after 1970") + 4_000;
    for call in 1..=4_u64 {
        host.call = Call { request_id: format!("call{call}"), ..host.call };
        let extracted = extract(&host, "first", whole()).await.expect("it is read");
        assert_eq!((extracted.status, extracted.rows), (StepStatus::Unfinished, call * 40));
    }
    let folder = Key::slices(&host.catalog.source.tables[0].name, &batch("first", 0).name);
    let keys = host.lake.all_keys(Bucket::Ingestion, &folder).await.expect("the lake answers");
    let first: SliceRecord =
        host.lake.read_json(Bucket::Ingestion, &keys[0]).await.expect("the lake answers").expect("it is recorded");
    assert_eq!((keys.len(), first.up_to), (4, Some(vec!["41".to_owned()])));
    // Rows that go while it reads, from a slice that is read and from one that is not.
    bed.source_does(r#"DELETE FROM "Thing's" WHERE id IN (1, 190)"#).await;
    let extracted = extract(&host, "first", whole()).await.expect("it is read");
    assert_eq!((extracted.status, extracted.rows), (StepStatus::Done, 194));
    assert_eq!(ids(&host, "first").await, (1..=195).filter(|id| *id != 190).collect::<Vec<_>>());
    bed.end().await;
}

#[tokio::test]
async fn a_read_that_grows_past_what_was_expected_is_cut_all_the_same() {
    let mut bed = bed().await;
    bed.source_does(ROWS).await;
    let host = host_of(&bed).await;
    let plan = catalog::message::TablePlan { expected_rows: Some(3), ..whole() };
    let extracted = extract(&host, "first", plan).await.expect("it is read");
    assert_eq!((extracted.status, extracted.rows), (StepStatus::Done, 195));
    let rows: Vec<u64> = manifest(&host, "first").await.parts.iter().map(|part| part.rows).collect();
    assert_eq!(rows, [40, 40, 40, 40, 35]);
    assert_eq!(ids(&host, "first").await, (1..=195).collect::<Vec<_>>());
    bed.end().await;
}
