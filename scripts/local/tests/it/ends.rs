//! EventBridge: runs that ended without a word of their own are told to the topic.

use serde_json::{Value, json};

use crate::world::World;

impl World {
    /// Starts an execution with such an input, lets `then` happen, waits for its end and answers what the topic got.
    async fn told(&self, name: &str, input: &Value, then: impl AsyncFnOnce(&aws_sdk_sfn::Client, &str)) -> Vec<String> {
        let client = aws_sdk_sfn::Client::new(self.stack.aws());
        let request = client.start_execution().state_machine_arn(self.state_machine().await).name(name);
        let arn = request.input(input.to_string()).send().await.expect("it starts").execution_arn;
        then(&client, &arn).await;
        self.stack.execution(name).expect("it was started").ended().await;
        self.messages()
    }
}

async fn nothing(_: &aws_sdk_sfn::Client, _: &str) {}

#[tokio::test]
async fn a_stopped_run_is_told() {
    let world = World::new().await;
    let stop = async |client: &aws_sdk_sfn::Client, arn: &str| {
        client.stop_execution().execution_arn(arn).send().await.expect("it is stopped");
    };
    let told = world.told("first", &json!({}), stop).await;
    let arn = world.stack.machine.execution_arn("first");
    let expected = "Subject: shop: a run was stopped\n\nshop: run first was stopped. What it finished is kept; \
                    let it go on with `datadetox redrive first`. Execution: ";
    assert_eq!(told, [format!("{expected}{arn}\n")]);
    world.stop().await;
}

#[tokio::test]
async fn a_run_that_took_too_long_is_told() {
    let wait = json!({ "Type": "Wait", "Seconds": 3600, "End": true });
    let world = World::of(json!({ "StartAt": "Wait", "TimeoutSeconds": 1, "States": { "Wait": wait } })).await;
    let told = world.told("late", &json!({}), nothing).await;
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("Subject: shop: a run took too long\n\nshop: run late took longer than 6h"),
        "{}",
        told[0]
    );
    world.stop().await;
}

#[tokio::test]
async fn a_run_that_no_catch_sees_is_told_and_one_that_succeeds_or_told_itself_is_not() {
    // A path that leads nowhere passes every Catch.
    let ask = json!({
        "Type": "Choice",
        "Choices": [
            { "Variable": "$", "IsNull": true, "Next": "Good" },
            { "Variable": "$.none", "IsNull": true, "Next": "Good" },
        ],
        "Default": "Good",
    });
    let good = json!({ "Type": "Succeed" });
    let world = World::of(json!({ "StartAt": "Ask", "States": { "Ask": ask, "Good": good } })).await;
    assert_eq!(world.told("good", &json!(null), nothing).await, Vec::<String>::new());
    let told = world.told("broken", &json!([]), nothing).await;
    assert_eq!(told.len(), 1);
    let expected = "shop: run broken failed with States.Runtime, where it could not tell of it itself. \
                    See why with `datadetox show broken`; after the repair start another with `datadetox start`.";
    assert!(told[0].contains(expected), "{}", told[0]);
    world.stop().await;

    // The error of what `halt` holds.
    let halt = json!({ "Type": "Fail", "Error": "LoadFailed", "Cause": "told by Notify" });
    let world = World::of(json!({ "StartAt": "Halt", "States": { "Halt": halt } })).await;
    assert_eq!(world.told("held", &json!({}), nothing).await, Vec::<String>::new());
    world.stop().await;
}
