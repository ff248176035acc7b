//! Who hears of trouble: the topic, and what publishes to it beside the state machine.

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::policy::{Statement, document, tls_only};
use crate::stack::{ACCOUNT, Handle, PARTITION, Resource, Stack};

#[derive(Serialize)]
struct Key {
    description: String,
    enable_key_rotation: bool,
    policy: String,
}

impl Resource for Key {
    const TYPE: &'static str = "aws_kms_key";
}

#[derive(Serialize)]
pub(crate) struct Topic {
    name: String,
    kms_master_key_id: String,
}

impl Resource for Topic {
    const TYPE: &'static str = "aws_sns_topic";
}

#[derive(Serialize)]
struct TopicPolicy {
    arn: String,
    policy: String,
}

impl Resource for TopicPolicy {
    const TYPE: &'static str = "aws_sns_topic_policy";
}

#[derive(Serialize)]
struct Subscription {
    topic_arn: String,
    protocol: &'static str,
    endpoint: String,
}

impl Resource for Subscription {
    const TYPE: &'static str = "aws_sns_topic_subscription";
}

/// The topic and the key it is encrypted with.
pub(crate) struct Alerts {
    pub(crate) topic: Handle<Topic>,
    pub(crate) key: String,
}

/// The services that publish by themselves.
const PUBLISHERS: [&str; 2] = ["cloudwatch.amazonaws.com", "events.amazonaws.com"];

impl Alerts {
    pub(crate) fn add(stack: &mut Stack, plan: &Plan<'_>) -> Result<Self> {
        let key = match &plan.environment.kms_key {
            Some(key) => key.clone(),
            None => own_key(stack, plan)?,
        };
        let name = plan.deployment.topic();
        let topic = stack.add("alerts", Topic { name, kms_master_key_id: key.clone() })?;
        let publish = Statement::allow("AlarmsAndRules", &["sns:Publish"], vec![topic.arn()])
            .to(json!({ "Service": PUBLISHERS }))
            .when(of_this_account());
        // A topic's policy knows no `sns:*`.
        let over_tls = tls_only(&["sns:Publish"], vec![topic.arn()]);
        stack.add("alerts", TopicPolicy { arn: topic.arn(), policy: document(vec![publish, over_tls]) })?;
        for (number, address) in plan.catalog.pipeline.alerts.iter().enumerate() {
            let endpoint = crate::stack::literal(address);
            let name = format!("alerts-{}", number + 1);
            stack.add(&name, Subscription { topic_arn: topic.arn(), protocol: "email", endpoint })?;
        }
        Ok(Self { topic, key })
    }
}

fn of_this_account() -> Value {
    json!({ "StringEquals": { "aws:SourceAccount": ACCOUNT } })
}

/// Alarms cannot publish to a topic that is encrypted with AWS' own key.
fn own_key(stack: &mut Stack, plan: &Plan<'_>) -> Result<String> {
    // In the policy of a key, `*` is the key itself.
    let itself = || vec!["*".to_owned()];
    let owner = Statement::allow("TheAccountManagesIt", &["kms:*"], itself())
        .to(json!({ "AWS": format!("arn:{PARTITION}:iam::{ACCOUNT}:root") }));
    let publishers = Statement::allow("PublishersUseIt", &["kms:Decrypt", "kms:GenerateDataKey"], itself())
        .to(json!({ "Service": PUBLISHERS }))
        .when(of_this_account());
    let key = Key {
        description: format!("{}: alerts", plan.prefix),
        enable_key_rotation: true,
        policy: document(vec![owner, publishers]),
    };
    Ok(stack.add("alerts", key)?.arn())
}
