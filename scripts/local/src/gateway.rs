//! One address for all AWS services, as every SDK finds them by `AWS_ENDPOINT_URL`: the request's form tells which.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use crate::calls::Calls;
use crate::credentials::{Credentials, OPERATOR};
use crate::door::{Door, Identity, Open, Protocol, Rules, Said, Terms, json_error, whole};
use crate::inbox::Inbox;
use crate::lake;
use crate::refusal::Refusal;
use crate::secrets::Secrets;
use crate::states::States;

/// What Step Functions takes in one request.
const MAX_REQUEST: usize = 1 << 20;
/// What the lake takes as one object: a part has 16 MiB at most, and a row more.
const MAX_OBJECT: usize = 64 << 20;
/// The most connections at once.
const MAX_CONNECTIONS: u64 = 512;
/// How long a client may keep a connection for its next request, or take for the head of it.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a body may stand still.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What answers behind the gateway.
pub(crate) struct Services {
    pub(crate) lake: lake::Shared,
    pub(crate) states: States,
    pub(crate) secrets: Secrets,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) calls: Arc<Calls>,
}

/// Answers at that door, to whoever has one of these keys.
pub(crate) fn open(door: Door, credentials: Credentials, services: Services) -> Open {
    // No more than a quarter of the files that the process may hold: a request holds another one, and the functions some.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = usize::try_from((files / 4).min(MAX_CONNECTIONS)).unwrap_or(usize::MAX);
    let rules = Rules { connections, head_time: HEAD_TIME, body_time: BODY_TIME, has_pages: false, credentials, terms };
    door.open(rules, Router::new().fallback(route).with_state(Arc::new(services)))
}

/// The operation of a request in one of the JSON protocols: `AWSStepFunctions.StartExecution`.
fn target(parts: &Parts) -> Option<&str> {
    parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap_or_default())
}

fn terms(parts: &Parts) -> Result<Terms, Box<Response>> {
    let is_form = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let (protocol, signed_for, max_body) = match target(parts) {
        Some(target) => match target.split_once('.') {
            Some(("AWSStepFunctions", _)) => (Protocol::Json, "states", MAX_REQUEST),
            Some(("secretsmanager", _)) => (Protocol::Json, "secretsmanager", MAX_REQUEST),
            _ => {
                let message = format!("{target} is not supported here");
                return Err(Box::new(json_error(StatusCode::BAD_REQUEST, "UnknownOperationException", &message)));
            }
        },
        None if is_form => (Protocol::Query, "sns", MAX_REQUEST),
        None => (Protocol::S3, "s3", MAX_OBJECT),
    };
    Ok(Terms { protocol, signed_for: Some(signed_for), max_body })
}

async fn route(
    State(services): State<Arc<Services>>,
    Extension(Identity(identity)): Extension<Identity>,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let said = parts.extensions.remove();
    if let (Some(target), Some(Said(input))) = (target(&parts), said) {
        return json_call(&services, target, &identity, &input);
    }
    let is_s3 = terms(&parts).is_ok_and(|terms| terms.protocol == Protocol::S3);
    if is_s3 {
        let mut lake = (*services.lake).clone();
        return match tower_call(&mut lake, Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
        };
    }
    match whole(body).await {
        Ok(body) => services.inbox.call(&identity, &body),
        Err(broken) => (StatusCode::BAD_REQUEST, broken.to_string()).into_response(),
    }
}

/// Hands a request to the S3 service, which is of another HTTP library's making.
async fn tower_call(lake: &mut s3s::service::S3Service, request: Request) -> Result<Response, String> {
    let request = request.map(s3s::Body::http_body_unsync);
    match lake.call(request).await {
        Ok(response) => Ok(response.map(Body::new)),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// The AWS JSON protocols 1.0 and 1.1: the operation in a header, members in the body.
fn json_call(services: &Services, target: &str, identity: &str, input: &Value) -> Response {
    if identity != OPERATOR {
        record(&services.calls, identity, target, input);
    }
    let answer = match target.split_once('.') {
        Some(("AWSStepFunctions", operation)) => services.states.call(operation, identity, input),
        Some(("secretsmanager", operation)) => services.secrets.call(operation, identity, input),
        _ => Err(Refusal::new("UnknownOperationException", format!("{target} is not supported here"))),
    };
    match answer {
        Ok(body) => ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body.to_string()).into_response(),
        Err(refusal) => json_error(refusal.status, refusal.code, &refusal.message),
    }
}

/// A function's call, as its role in AWS is asked.
fn record(calls: &Calls, identity: &str, target: &str, input: &Value) {
    match target.split_once('.') {
        Some(("AWSStepFunctions", operation)) => {
            calls.record(identity, &format!("states:{operation}"), json!({ "state_machine": true }), json!({}));
        }
        Some(("secretsmanager", operation)) => {
            let secret = input["SecretId"].as_str().and_then(|id| id.rsplit('/').next()).unwrap_or_default();
            calls.record(identity, &format!("secretsmanager:{operation}"), json!({ "secret": secret }), json!({}));
        }
        _ => {}
    }
}
