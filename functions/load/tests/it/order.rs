//! Which batch may follow which.

use catalog::message::LoadStatus;
use catalog::{BatchName, Fault};

use crate::shop::{Shop, brings};

#[tokio::test]
async fn a_batch_older_than_the_newest_is_superseded() {
    let mut shop = Shop::open().await;
    let mut older = shop.batch("older", &[brings("dim_staff", &["1|Old"])]).await;
    older.batch = testbed::batch("older", 0);
    shop.load("newer", &[brings("dim_staff", &["1|New"])]).await;
    let answer = shop.handle(&older).await.expect("it answers");
    assert_eq!((answer.status, answer.targets.len()), (LoadStatus::Superseded, 0));
    assert_eq!(shop.ask("SELECT string_agg(name, ' ') FROM dim_staff").await, "New");
    assert_eq!(shop.ask("SELECT count(*) FROM etl.batch").await, "1");
    assert_eq!(shop.commit_of(&older).await, None);
    shop.close().await;
}

#[tokio::test]
async fn a_batch_that_an_older_one_overtook_is_superseded_unless_it_builds_on_it() {
    let mut shop = Shop::open().await;
    let first = shop.batch("first", &[brings("dim_staff", &["1|First"])]).await;
    let mut second = shop.batch("second", &[brings("dim_staff", &["1|Second"])]).await;
    // Redriven, it comes in after the second one began.
    shop.handle(&first).await.expect("it loads");
    assert_eq!(shop.handle(&second).await.expect("it answers").status, LoadStatus::Superseded);
    assert_eq!(shop.ask("SELECT string_agg(name, ' ') FROM dim_staff").await, "First");
    second.base = Some(first.batch.name);
    assert_eq!(shop.handle(&second).await.expect("it answers").status, LoadStatus::Loaded);
    assert_eq!(shop.ask("SELECT string_agg(name, ' ') FROM dim_staff").await, "Second");
    shop.close().await;
}

#[tokio::test]
async fn a_warehouse_without_the_base_is_behind_and_the_next_plan_is_told() {
    let mut shop = Shop::open().await;
    let mut request = shop.batch("second", &[brings("dim_staff", &["1|Ada"])]).await;
    request.base = Some(BatchName::new("lost").expect("a name"));
    shop.refuses(&request, Fault::WarehouseBehind, &["does not hold the batch lost, which second builds on"]).await;
    let commit = shop.commit_of(&request).await.expect("it is written");
    assert!(commit.reset && commit.batch == request.batch, "{commit:?}");
    assert_eq!(shop.ask("SELECT to_regclass('dim_staff')").await, "NULL");
    shop.close().await;
}

#[tokio::test]
async fn two_pipelines_share_a_warehouse_and_know_nothing_of_each_other() {
    let mut shop = Shop::open().await;
    let request = shop.batch("one", &[brings("dim_staff", &["1|Ada"])]).await;
    shop.handle(&request).await.expect("it loads");
    shop.bed.warehouse_does("UPDATE etl.batch SET pipeline = 'another', started = now() + interval '1 day'").await;
    assert_eq!(shop.handle(&request).await.expect("it answers").status, LoadStatus::Loaded);
    assert_eq!(shop.ask("SELECT string_agg(pipeline, ' ' ORDER BY pipeline) FROM etl.batch").await, "another shop");
    shop.close().await;
}
