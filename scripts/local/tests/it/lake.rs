//! S3: create-only, each function within its prefixes, whole listings.

use std::collections::BTreeSet;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;

use crate::world::{BUCKET, World};

#[tokio::test]
async fn a_function_reaches_its_own_prefixes_and_nothing_is_overwritten_or_deleted() {
    let world = World::new().await;
    let staff = world.lake_of(world.extract("staff")).await;
    let put = async |key: &str, if_none_match: bool, body: &'static [u8]| {
        let request = staff.put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(body));
        let request = if if_none_match { request.if_none_match("*") } else { request };
        request.send().await.map(|_| ()).map_err(|error| error.code().unwrap_or("none").to_owned())
    };
    let code = |code: &str| Err::<(), String>(code.to_owned());
    assert_eq!(put("staff/x/a", true, b"one").await, Ok(()));
    assert_eq!(put("staff/x/a", true, b"two").await, code("PreconditionFailed"));
    assert_eq!(put("staff/x/b", false, b"one").await, code("AccessDenied"));
    assert_eq!(put("payment/x/a", true, b"one").await, code("AccessDenied"));
    assert_eq!(put("staff/../payment/a", true, b"one").await, code("InvalidArgument"));
    let got = staff.get_object().bucket(BUCKET).key("staff/x/a").send().await.expect("it may read its own");
    assert_eq!(&got.body.collect().await.expect("a body").into_bytes()[..], b"one");
    let other = staff.get_object().bucket(BUCKET).key("payment/x/manifest.json").send().await;
    assert_eq!(other.expect_err("another's").code(), Some("AccessDenied"));
    let deleted = staff.delete_object().bucket(BUCKET).key("staff/x/a").send().await;
    assert_eq!(deleted.expect_err("nobody deletes").code(), Some("AccessDenied"));
    let listed = staff.list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(listed.expect_err("it may not look around").code(), Some("AccessDenied"));
    let (key, _) = world.credentials(world.extract("staff"));
    let forged = world.lake(&key, "another").await;
    let refused = forged.get_object().bucket(BUCKET).key("staff/x/a").send().await;
    assert_eq!(refused.expect_err("a wrong secret").code(), Some("SignatureDoesNotMatch"));
    world.stop().await;
}

#[tokio::test]
async fn of_many_writers_of_one_key_one_wins() {
    let world = World::new().await;
    let staff = world.lake_of(world.extract("staff")).await;
    let writers = (0..16_u8).map(|number| {
        let body = ByteStream::from(vec![number; 70_000]);
        staff.put_object().bucket(BUCKET).key("staff/race").if_none_match("*").body(body).send()
    });
    let answers = futures_util::future::join_all(writers).await;
    let won: Vec<usize> = (0..16).filter(|number| answers[*number].is_ok()).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    let got = staff.get_object().bucket(BUCKET).key("staff/race").send().await.expect("it is there");
    let body = got.body.collect().await.expect("a body").into_bytes();
    assert!(body.len() == 70_000 && body.iter().all(|byte| usize::from(*byte) == won[0]));
    world.stop().await;
}

#[tokio::test]
async fn listings_are_whole_and_in_order_over_many_pages() {
    let world = World::new().await;
    let staff = world.lake_of(world.extract("staff")).await;
    let names: BTreeSet<String> =
        (0..1_100).map(|number| format!("staff/list/{}{number}", ["a/", "a-", "b"][number % 3])).collect();
    let elsewhere = "staff/batch/part".to_owned();
    let writes = names.iter().chain([&elsewhere]).map(|key| {
        staff.put_object().bucket(BUCKET).key(key).if_none_match("*").body(ByteStream::from_static(b"x")).send()
    });
    for written in futures_util::future::join_all(writes).await {
        written.expect("it is created");
    }
    let mut pages = staff.list_objects_v2().bucket(BUCKET).prefix("staff/list/").into_paginator().send();
    let (mut listed, mut count) = (Vec::new(), 0);
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        count += 1;
        listed.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
    }
    assert_eq!(count, 2);
    assert!(listed.iter().eq(&names), "S3 lists in the order of bytes");

    let operator = world.lake_of_operator().await;
    let top = operator.list_objects_v2().bucket(BUCKET).prefix("staff/").delimiter("/").send().await.expect("a list");
    let folders: Vec<&str> = top.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!(folders, ["staff/batch/", "staff/list/"]);
    let buckets = operator.list_buckets().send().await.expect("a list");
    let names: Vec<_> =
        buckets.buckets().iter().filter_map(|bucket| bucket.name().zip(bucket.creation_date())).collect();
    assert_eq!(names.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["shop-ingestion", "shop-processed"]);
    let middle = operator.get_object().bucket(BUCKET).key(&listed[0]).range("bytes=0-0").send().await.expect("a range");
    assert_eq!(middle.content_range(), Some("bytes 0-0/1"));
    let head = operator.head_object().bucket(BUCKET).key("staff/none").send().await;
    assert!(head.expect_err("there is none").into_service_error().is_not_found());
    let copy =
        operator.copy_object().bucket(BUCKET).key("x").copy_source(format!("{BUCKET}/{}", listed[0])).send().await;
    assert_eq!(copy.expect_err("nobody needs it").code(), Some("NotImplemented"));
    world.stop().await;
}
