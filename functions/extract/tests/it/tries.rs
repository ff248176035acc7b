//! The second try of a batch: what is done is answered, what another try left half done is not trusted.

use catalog::key::{Bucket, Format, Key};
use catalog::message::StepStatus;
use host::Call;
use testbed::batch;

use crate::{bed, extract, host_of, ids, manifest, whole};

#[tokio::test]
async fn what_is_done_is_answered_from_its_manifest() {
    let mut bed = bed().await;
    bed.source_does(r#"INSERT INTO "Thing's" VALUES (1, 'one')"#).await;
    let mut host = host_of(&bed).await;
    let first = extract(&host, "first", whole()).await.expect("it is read");
    let before = manifest(&host, "first").await;
    bed.source_does(r#"INSERT INTO "Thing's" VALUES (2, 'two')"#).await;
    host.call = Call { request_id: "second".to_owned(), ..host.call };
    let second = extract(&host, "first", whole()).await.expect("it is answered");
    assert_eq!((first.status, second.status), (StepStatus::Done, StepStatus::AlreadyDone));
    assert_eq!((second.rows, second.bytes), (first.rows, first.bytes));
    assert_eq!(manifest(&host, "first").await, before);
    bed.end().await;
}

#[tokio::test]
async fn parts_of_another_try_are_left_alone() {
    let mut bed = bed().await;
    bed.source_does(r#"INSERT INTO "Thing's" VALUES (1, 'one')"#).await;
    let host = host_of(&bed).await;
    let of_another_try = Key::Part {
        owner: host.catalog.source.tables[0].name.clone(),
        batch: batch("first", 0).name,
        number: 1,
        attempt: "another".to_owned(),
        format: Format::Csv,
    };
    let left = host.lake.create(Bucket::Ingestion, &of_another_try.to_string(), "id,cut sho").await;
    left.expect("the lake answers");
    extract(&host, "first", whole()).await.expect("it is read");
    assert_eq!(ids(&host, "first").await, [1]);
    assert!(manifest(&host, "first").await.parts.iter().all(|part| part.key != of_another_try.to_string()));
    bed.end().await;
}
