//! Who may call what: every service asks for a signature and gives a function no more than its role in AWS would.

use aws_sdk_sfn::error::ProvideErrorMetadata as _;
use catalog::{Function, Side};
use local::{OPERATOR, topic_arn};

use crate::world::World;

fn code(code: Option<&str>) -> String {
    code.unwrap_or("none").to_owned()
}

#[tokio::test]
async fn step_functions_answers_the_operator_and_lets_plan_list() {
    let world = World::new().await;
    let machine = world.state_machine().await;
    let states = async |key: &str, secret: &str| {
        let client = aws_sdk_sfn::Client::new(&world.config(key, secret).await);
        let listed = client.list_executions().state_machine_arn(&machine).send().await;
        let started = client.start_execution().state_machine_arn(&machine).name("forged").send().await;
        let listed = listed.map_or_else(|error| code(error.code()), |_| "listed".to_owned());
        let started = started.map_or_else(|error| code(error.code()), |_| "started".to_owned());
        [listed, started]
    };
    let (plan, plan_secret) = world.credentials(Function::Plan);
    let (staff, staff_secret) = world.credentials(world.extract("staff"));
    assert_eq!(states(&plan, &plan_secret).await, ["listed", "AccessDeniedException"]);
    assert_eq!(states(&staff, &staff_secret).await, ["AccessDeniedException"; 2]);
    assert_eq!(states(OPERATOR, "guessed").await, ["InvalidSignatureException"; 2]);
    assert_eq!(states("nobody", "guessed").await, ["UnrecognizedClientException"; 2]);
    world.stop().await;
}

#[tokio::test]
async fn the_definition_of_an_execution_is_told_to_the_operator_alone() {
    let world = World::new().await;
    let operator = aws_sdk_sfn::Client::new(world.stack.aws());
    let start = operator.start_execution().state_machine_arn(world.state_machine().await).name("first");
    let arn = start.send().await.expect("it starts").execution_arn;
    let asked = operator.describe_state_machine_for_execution().execution_arn(&arn);
    let told = asked.send().await.expect("it is told");
    assert_eq!(told.definition, world.stack.machine.definition.to_string());
    assert_eq!((told.name, told.role_arn), (world.stack.machine.name.clone(), world.stack.machine.role_arn.clone()));

    let (plan, secret) = world.credentials(Function::Plan);
    let function = aws_sdk_sfn::Client::new(&world.config(&plan, &secret).await);
    let asked = function.describe_state_machine_for_execution().execution_arn(&arn);
    assert_eq!(asked.send().await.expect_err("it is refused").code(), Some("AccessDeniedException"));
    world.stop().await;
}

#[tokio::test]
async fn a_function_reads_its_own_secret_alone() {
    let world = World::new().await;
    let read = async |key: &str, secret: &str, id: &str| {
        let client = aws_sdk_secretsmanager::Client::new(&world.config(key, secret).await);
        let answer = client.get_secret_value().secret_id(id).send().await;
        answer.map_or_else(|error| code(error.code()), |_| "given".to_owned())
    };
    let (_, plan_secret) = world.credentials(Function::Plan);
    let (staff, staff_secret) = world.credentials(world.extract("staff"));
    let [source, warehouse] = Side::ALL.map(|side| world.stack.deployment.secret(side));
    assert_eq!(read(&staff, &staff_secret, &source).await, "given");
    assert_eq!(read(&staff, &staff_secret, &warehouse).await, "AccessDeniedException");
    assert_eq!(read(&staff, &plan_secret, &source).await, "InvalidSignatureException");
    assert_eq!(read(&staff, &staff_secret, "another").await, "ResourceNotFoundException");
    world.stop().await;
}

#[tokio::test]
async fn nobody_but_the_operator_publishes() {
    let world = World::new().await;
    let topic = topic_arn(&world.stack.deployment);
    let publish = async |key: &str, secret: &str| {
        let client = aws_sdk_sns::Client::new(&world.config(key, secret).await);
        let answer = client.publish().topic_arn(&topic).message("m").send().await;
        answer.map_or_else(|error| code(error.code()), |_| "published".to_owned())
    };
    let (plan, plan_secret) = world.credentials(Function::Plan);
    assert_eq!(publish(&plan, &plan_secret).await, "AuthorizationError");
    assert_eq!(publish(OPERATOR, "guessed").await, "SignatureDoesNotMatch");
    assert_eq!(publish("nobody", "guessed").await, "InvalidClientTokenId");
    world.stop().await;
}
