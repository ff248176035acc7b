//! The services of a whole stack: Step Functions through the real SDK, functions through Lambda. What each service answers
//! by itself is tested beside it, in `scripts/local` and `statemachine/emulator`.

use aws_sdk_sfn::error::ProvideErrorMetadata as _;
use aws_sdk_sfn::types::ExecutionStatus;

use crate::world::World;

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
