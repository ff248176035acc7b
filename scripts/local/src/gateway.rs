//! One address for all AWS services, as every SDK finds them by `AWS_ENDPOINT_URL`: the request's form tells which.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::calls::Calls;
use crate::credentials::{Credentials, OPERATOR};
use crate::inbox::Inbox;
use crate::lake;
use crate::refusal::Refusal;
use crate::secrets::Secrets;
use crate::signature::{Unsigned, signer};
use crate::states::States;

/// What Step Functions takes in one request.
const MAX_REQUEST: usize = 1 << 20;

/// What answers behind the gateway.
pub(crate) struct Services {
    pub(crate) credentials: Credentials,
    pub(crate) lake: lake::Shared,
    pub(crate) states: States,
    pub(crate) secrets: Secrets,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) calls: Arc<Calls>,
}

/// A bound address, before anything answers there: services know it before they exist.
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) endpoint: String,
}

pub(crate) async fn bind() -> Result<Bound> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    Ok(Bound { listener, endpoint })
}

impl Bound {
    pub(crate) fn serve(self, services: Services) -> JoinHandle<()> {
        let routes = Router::new().fallback(route).with_state(Arc::new(services));
        tokio::spawn(async move {
            // It ends by being aborted.
            let _ = axum::serve(self.listener, routes).await;
        })
    }
}

async fn route(State(services): State<Arc<Services>>, request: Request) -> Response {
    let headers = request.headers();
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).map(str::to_owned);
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if target.is_none() && !is_form {
        let mut lake = (*services.lake).clone();
        return match tower_call(&mut lake, request).await {
            Ok(response) => response,
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
        };
    }
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, MAX_REQUEST).await {
        Ok(body) => body,
        Err(error) => return (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response(),
    };
    let identity = signer(&services.credentials, &parts, &body);
    match target {
        Some(target) => json_call(&services, &target, identity, &body),
        None => services.inbox.call(identity, &body),
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
fn json_call(services: &Services, target: &str, identity: Result<String, Unsigned>, body: &Bytes) -> Response {
    let answer = || {
        let identity = identity.map_err(refuse)?;
        let input: Value =
            serde_json::from_slice(body).map_err(|error| Refusal::new("SerializationException", error.to_string()))?;
        if identity != OPERATOR {
            record(&services.calls, &identity, target, &input);
        }
        match target.split_once('.') {
            Some(("AWSStepFunctions", operation)) => services.states.call(operation, &identity, &input),
            Some(("secretsmanager", operation)) => services.secrets.call(operation, &identity, &input),
            _ => Err(Refusal::new("UnknownOperationException", format!("{target} is not supported here"))),
        }
    };
    let (status, body) = match answer() {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => (refusal.status, json!({ "__type": refusal.code, "message": refusal.message })),
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body.to_string()).into_response()
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

fn refuse(unsigned: Unsigned) -> Refusal {
    let code = match unsigned {
        Unsigned::Missing => "MissingAuthenticationTokenException",
        Unsigned::UnknownKey => "UnrecognizedClientException",
        Unsigned::Mismatch => "InvalidSignatureException",
    };
    Refusal { status: StatusCode::FORBIDDEN, code, message: unsigned.message().to_owned() }
}
