//! What tasks call: the functions and the topic that stand here.

use std::sync::Arc;

use asl::Resource;
use aws_sdk_sns::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use emulator::{CallFailed, Called, Service};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::calls::{Calls, STATE_MACHINE};
use crate::credentials::random;
use crate::lambda::Lambda;

pub(crate) struct Integrations {
    pub(crate) lambda: Arc<Lambda>,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) calls: Arc<Calls>,
}

impl Service for Integrations {
    fn call(&self, resource: Resource, parameters: Value) -> Called {
        let record = |action, resource| self.calls.record(STATE_MACHINE, action, resource, json!({}));
        match resource {
            Resource::LambdaInvoke => {
                record("lambda:InvokeFunction", json!({ "function": parameters["FunctionName"] }))
            }
            Resource::SnsPublish => record("sns:Publish", json!({ "topic": true })),
        }
        match resource {
            Resource::LambdaInvoke => invoke(Arc::clone(&self.lambda), parameters).boxed(),
            Resource::SnsPublish => publish(self.sns.clone(), parameters).boxed(),
        }
    }
}

async fn invoke(lambda: Arc<Lambda>, parameters: Value) -> Result<Value, CallFailed> {
    let function = parameters["FunctionName"].as_str().unwrap_or_default();
    let name = function.rsplit(':').next().unwrap_or_default();
    let request_id = request_id();
    let invoked = lambda.invoke(name, &request_id, parameters.get("Payload").unwrap_or(&Value::Null)).await;
    let payload = invoked.map_err(|failed| CallFailed { error: failed.error, cause: failed.cause })?;
    Ok(json!({
        "ExecutedVersion": "$LATEST",
        "Payload": payload,
        "SdkHttpMetadata": { "HttpStatusCode": 200 },
        "SdkResponseMetadata": { "RequestId": request_id },
        "StatusCode": 200,
    }))
}

async fn publish(sns: aws_sdk_sns::Client, parameters: Value) -> Result<Value, CallFailed> {
    let text = |name: &str| parameters.get(name).and_then(Value::as_str).map(str::to_owned);
    // A message that is no text is published as its JSON.
    let message = text("Message").or_else(|| parameters.get("Message").map(Value::to_string));
    let request = sns.publish().set_topic_arn(text("TopicArn")).set_subject(text("Subject")).set_message(message);
    let answer = request.send().await.map_err(|error| {
        let status = match &error {
            SdkError::ServiceError(context) => context.raw().status().as_u16(),
            _ => 0,
        };
        match (error.code(), error.message()) {
            (Some(code), Some(message)) => CallFailed {
                error: format!("SNS.{}Exception", code.trim_end_matches("Exception")),
                cause: format!(
                    "{message} (Service: AmazonSNS; Status Code: {status}; Error Code: {code}; Request ID: local; Proxy: null)"
                ),
            },
            _ => CallFailed {
                error: "SNS.SdkClientException".to_owned(),
                cause: DisplayErrorContext(&error).to_string(),
            },
        }
    })?;
    Ok(json!({
        "MessageId": answer.message_id(),
        "SdkHttpMetadata": { "HttpStatusCode": 200 },
        "SdkResponseMetadata": {},
    }))
}

/// A version 4 UUID.
fn request_id() -> String {
    // Without randomness ids repeat; objects of two tries would then share a name, which the lake refuses.
    let bytes = random().unwrap_or_else(|_| fastrand::u128(..).to_be_bytes());
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
