//! The local services answer what AWS answers: refusals by name, objects created once, an API that an SDK can use.

use std::collections::BTreeSet;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sfn::types::ExecutionStatus;
use local::{OPERATOR, REGION};

use crate::world::World;

const BUCKET: &str = "totesys-ingestion";

/// A client with the credentials of the operator or of a function.
fn client(world: &World, identity: &str, secret: &str) -> aws_sdk_s3::Client {
    let credentials = aws_sdk_s3::config::Credentials::new(identity, secret, None, None, "test");
    let config = aws_sdk_s3::config::Builder::from(world.stack.aws()).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.credentials_provider(credentials).build())
}

/// The credentials of a function, from the process that runs it.
fn credentials(world: &World, function: &str) -> (String, String) {
    let (_, pid) = world.stack.lambda.idle_processes().into_iter().find(|(name, _)| name == function).expect("it ran");
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).expect("its own environment");
    let variable = |name: &str| {
        environment.split('\0').find_map(|pair| pair.strip_prefix(&format!("{name}="))).expect("it is told").to_owned()
    };
    (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
}

#[tokio::test]
async fn a_function_reaches_its_own_prefixes_and_nothing_is_overwritten_or_deleted() {
    let mut world = World::new().await;
    let run = world.load().await;
    let (id, secret) = credentials(&world, "totesys-extract-staff");
    let staff = client(&world, &id, &secret);
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
    let other = staff.get_object().bucket(BUCKET).key(format!("payment/{}/manifest.json", run.name)).send().await;
    assert_eq!(other.expect_err("another's").code(), Some("AccessDenied"));
    let deleted = staff.delete_object().bucket(BUCKET).key("staff/x/a").send().await;
    assert_eq!(deleted.expect_err("nobody deletes").code(), Some("AccessDenied"));
    let listed = staff.list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(listed.expect_err("it may not look around").code(), Some("AccessDenied"));
    let forged = client(&world, &id, "another");
    let refused = forged.get_object().bucket(BUCKET).key("staff/x/a").send().await;
    assert_eq!(refused.expect_err("a wrong secret").code(), Some("SignatureDoesNotMatch"));
    world.stop().await;
}

#[tokio::test]
async fn of_many_writers_of_one_key_one_wins() {
    let mut world = World::new().await;
    world.load().await;
    let (id, secret) = credentials(&world, "totesys-extract-staff");
    let staff = client(&world, &id, &secret);
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
    let mut world = World::new().await;
    let first = world.load().await;
    let (id, secret) = credentials(&world, "totesys-extract-staff");
    let staff = client(&world, &id, &secret);
    let names: BTreeSet<String> =
        (0..1_100).map(|number| format!("staff/list/{}{number}", ["a/", "a-", "b"][number % 3])).collect();
    for key in &names {
        let request = staff.put_object().bucket(BUCKET).key(key).if_none_match("*").body(ByteStream::from_static(b"x"));
        request.send().await.expect("it is created");
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

    let operator = client(&world, OPERATOR, &world.operator_secret());
    let top = operator.list_objects_v2().bucket(BUCKET).prefix("staff/").delimiter("/").send().await.expect("a list");
    let folders: Vec<&str> = top.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!(folders, [format!("staff/{}/", first.name).as_str(), "staff/list/"]);
    let buckets = operator.list_buckets().send().await.expect("a list");
    let names: Vec<_> =
        buckets.buckets().iter().filter_map(|bucket| bucket.name().zip(bucket.creation_date())).collect();
    assert_eq!(names.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["totesys-ingestion", "totesys-processed"]);
    let middle = operator.get_object().bucket(BUCKET).key(&listed[0]).range("bytes=0-0").send().await.expect("a range");
    assert_eq!(middle.content_range(), Some("bytes 0-0/1"));
    let head = operator.head_object().bucket(BUCKET).key("staff/none").send().await;
    assert!(head.expect_err("there is none").into_service_error().is_not_found());
    let copy =
        operator.copy_object().bucket(BUCKET).key("x").copy_source(format!("{BUCKET}/{}", listed[0])).send().await;
    assert_eq!(copy.expect_err("nobody needs it").code(), Some("NotImplemented"));
    world.stop().await;
}

/// What each operation answers is held by `emulator`'s own tests; here only that the SDK understands it.
#[tokio::test]
async fn step_functions_answers_the_real_sdk() {
    let mut world = World::new().await;
    let run = world.load().await;
    let client = aws_sdk_sfn::Client::new(world.stack.aws());
    let (machine, execution) = (world.stack.machine.arn.clone(), world.stack.machine.execution_arn(&run.name));
    let again = client.start_execution().state_machine_arn(&machine).name(&run.name).send().await;
    assert!(again.expect_err("it is there").into_service_error().is_execution_already_exists());
    let unknown = client.list_activities().send().await;
    assert_eq!(unknown.expect_err("nobody needs it").code(), Some("UnknownOperationException"));

    let listed = client.list_executions().state_machine_arn(&machine).status_filter(ExecutionStatus::Succeeded);
    let listed = listed.send().await.expect("a list");
    assert_eq!(listed.executions().iter().map(|run| run.name()).collect::<Vec<_>>(), [&run.name]);
    let mut pages =
        client.get_execution_history().execution_arn(&execution).max_results(50).into_paginator().items().send();
    let mut ids = Vec::new();
    while let Some(event) = pages.next().await {
        ids.push(event.expect("an event").id);
    }
    assert!(ids.len() > 100 && ids.iter().copied().eq(1..=ids.len() as i64));
    let described = client.describe_state_machine().state_machine_arn(&machine).send().await.expect("it exists");
    assert_eq!(described.definition, world.stack.machine.definition.to_string());
    world.stop().await;
}

#[tokio::test]
async fn only_the_alerts_topic_takes_messages_and_only_legal_ones() {
    let world = World::new().await;
    let client = aws_sdk_sns::Client::new(world.stack.aws());
    let topic = format!("arn:aws:sns:{REGION}:000000000000:totesys-alerts");
    let publish = async |topic: &str, subject: &str, text: &str| {
        let request = client.publish().topic_arn(topic).subject(subject).message(text);
        request.send().await.map(|_| ()).map_err(|error| error.code().unwrap_or("none").to_owned())
    };
    assert_eq!(publish(&topic, "a subject", "text & <more>\nü").await, Ok(()));
    assert_eq!(world.alerts(), ["Subject: a subject\n\ntext & <more>\nü\n"]);
    for (subject, text) in [("", ""), (&*"s".repeat(101), "text"), ("two\nlines", "text"), ("é", "text")] {
        assert_eq!(publish(&topic, subject, text).await, Err("InvalidParameter".to_owned()), "{subject:?}");
    }
    assert_eq!(publish(&format!("{topic}2"), "s", "t").await, Err("NotFound".to_owned()));
    let other = client.list_topics().send().await;
    assert_eq!(other.expect_err("nobody needs it").code(), Some("InvalidAction"));
    world.stop().await;
}

#[tokio::test]
async fn lambda_refuses_what_it_does_not_know_and_names_what_a_function_cannot_read() {
    let world = World::new().await;
    let none = world.stack.lambda.invoke("none", "r", &serde_json::json!({})).await.expect_err("there is none");
    assert_eq!(none.error, "Lambda.ResourceNotFoundException");
    let nonsense = world.stack.lambda.invoke("totesys-plan", "r", &serde_json::json!({ "a": 1 })).await;
    let nonsense = nonsense.expect_err("it is no request");
    assert_eq!(nonsense.error, "Internal.Bug");
    assert!(nonsense.cause.contains("cannot read the event"), "{}", nonsense.cause);
    world.stop().await;
}

#[tokio::test]
async fn every_service_asks_for_a_signature_and_gives_a_function_no_more_than_its_role_would() {
    let mut world = World::new().await;
    world.load().await;
    let arn = world.stack.machine.arn.clone();
    let states = async |identity: &str, secret: &str| {
        let credentials = aws_sdk_sfn::config::Credentials::new(identity, secret, None, None, "test");
        let config = aws_sdk_sfn::config::Builder::from(world.stack.aws()).credentials_provider(credentials).build();
        let client = aws_sdk_sfn::Client::from_conf(config);
        let listed = client.list_executions().state_machine_arn(&arn).send().await;
        let started = client.start_execution().state_machine_arn(&arn).name("forged").send().await;
        let code = |code: Option<&str>| code.unwrap_or("none").to_owned();
        let listed = listed.map_or_else(|error| code(error.code()), |_| "listed".to_owned());
        let started = started.map_or_else(|error| code(error.code()), |_| "started".to_owned());
        [listed, started]
    };
    let (plan, plan_secret) = credentials(&world, "totesys-plan");
    let (staff, staff_secret) = credentials(&world, "totesys-extract-staff");
    assert_eq!(states(&plan, &plan_secret).await, ["listed", "AccessDeniedException"]);
    assert_eq!(states(&staff, &staff_secret).await, ["AccessDeniedException"; 2]);
    assert_eq!(states(OPERATOR, "guessed").await, ["InvalidSignatureException"; 2]);
    assert_eq!(states("nobody", "guessed").await, ["UnrecognizedClientException"; 2]);

    let secret = async |identity: &str, secret: &str, id: &str| {
        let credentials = aws_sdk_secretsmanager::config::Credentials::new(identity, secret, None, None, "test");
        let config = aws_sdk_secretsmanager::config::Builder::from(world.stack.aws());
        let client = aws_sdk_secretsmanager::Client::from_conf(config.credentials_provider(credentials).build());
        let answer = client.get_secret_value().secret_id(id).send().await;
        answer.map_or_else(|error| error.code().unwrap_or("none").to_owned(), |_| "given".to_owned())
    };
    assert_eq!(secret(&staff, &staff_secret, "totesys/source").await, "given");
    assert_eq!(secret(&staff, &staff_secret, "totesys/warehouse").await, "AccessDeniedException");
    assert_eq!(secret(&staff, &plan_secret, "totesys/source").await, "InvalidSignatureException");
    assert_eq!(secret(&staff, &staff_secret, "another").await, "ResourceNotFoundException");

    let publish = async |identity: &str, secret: &str| {
        let credentials = aws_sdk_sns::config::Credentials::new(identity, secret, None, None, "test");
        let config = aws_sdk_sns::config::Builder::from(world.stack.aws()).credentials_provider(credentials).build();
        let topic = format!("arn:aws:sns:{REGION}:000000000000:totesys-alerts");
        let answer = aws_sdk_sns::Client::from_conf(config).publish().topic_arn(topic).message("m").send().await;
        answer.map_or_else(|error| error.code().unwrap_or("none").to_owned(), |_| "published".to_owned())
    };
    assert_eq!(publish(&plan, &plan_secret).await, "AuthorizationError");
    assert_eq!(publish(OPERATOR, "guessed").await, "SignatureDoesNotMatch");
    assert_eq!(publish("nobody", "guessed").await, "InvalidClientTokenId");
    world.stop().await;
}
