//! The Lambda Runtime API of one function instance: next, response, error.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// A call on its way to the function.
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) deadline_ms: i64,
    pub(super) arn: String,
    pub(super) body: String,
    /// Takes what the function answers.
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What a function posted.
pub(super) enum Answer {
    Response(Bytes),
    Error(Bytes),
}

/// The server of one instance; it ends when dropped, and outlives the function.
pub(super) struct RuntimeApi {
    /// `host:port`, as `AWS_LAMBDA_RUNTIME_API` wants it.
    pub(super) address: String,
    pub(super) events: mpsc::Sender<Event>,
    server: JoinHandle<()>,
}

struct Shared {
    events: Mutex<mpsc::Receiver<Event>>,
    /// The call that the function works on.
    open: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
}

impl RuntimeApi {
    pub(super) async fn listen() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen for a function")?;
        let address = listener.local_addr()?.to_string();
        let (events, receiver) = mpsc::channel(1);
        let shared = Arc::new(Shared { events: Mutex::new(receiver), open: Mutex::default() });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(shared);
        let server = tokio::spawn(async move {
            // It ends by being aborted; what it says about that is of no use.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, events, server })
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// GET /2018-06-01/runtime/invocation/next: waits for a call, however long.
async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let Some(event) = shared.events.lock().await.recv().await else {
        // The instance is ending: as in Lambda, there is no answer.
        return std::future::pending().await;
    };
    let mut headers = HeaderMap::new();
    let trace =
        format!("Root=1-{:08x}-{:0>24.24};Sampled=0", event.deadline_ms / 1000, event.request_id.replace('-', ""));
    for (name, value) in [
        ("lambda-runtime-aws-request-id", event.request_id.clone()),
        ("lambda-runtime-deadline-ms", event.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", event.arn),
        ("lambda-runtime-trace-id", trace),
        ("content-type", "application/json".to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    *shared.open.lock().await = Some((event.request_id, event.answer));
    (headers, event.body).into_response()
}

/// POST /2018-06-01/runtime/invocation/{id}/response
async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    answer(&shared, &id, Answer::Response(body)).await
}

/// POST /2018-06-01/runtime/invocation/{id}/error
async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    answer(&shared, &id, Answer::Error(body)).await
}

async fn answer(shared: &Shared, id: &str, answer: Answer) -> StatusCode {
    let mut open = shared.open.lock().await;
    match open.take() {
        Some((request_id, sender)) if request_id == id => {
            // Nobody waits any more: the call timed out, and this process is about to be killed.
            let _ = sender.send(answer);
            StatusCode::ACCEPTED
        }
        other => {
            *open = other;
            StatusCode::BAD_REQUEST
        }
    }
}
