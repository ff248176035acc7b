//! The Lambda Runtime API of one function instance: next, response, error.
//!
//! In AWS nobody but the function reaches it, so it asks for no signature. Here it stands behind the door, under a path that
//! only the function is told, which its runtime puts before every request; and an answer counts for the open call alone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::MAX_PAYLOAD;
use crate::credentials::{Credentials, password};
use crate::door::{Broken, Door, Open, Protocol, Rules, Terms, whole};

/// A function has one connection, and another for a moment.
const MAX_CONNECTIONS: usize = 8;
/// How much longer than a call a connection may wait for its next request: it does while the function works, and a request
/// that meets a connection that is being closed is lost.
const BEYOND: Duration = Duration::from_secs(60);
/// How long an answer may stand still.
const BODY_TIME: Duration = Duration::from_secs(10);

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
    /// More than Lambda takes.
    TooLarge,
}

/// The server of one instance; it ends when dropped, and outlives the function.
pub(super) struct RuntimeApi {
    /// `http://host:port/secret`. AWS writes `host:port` alone; the runtime of our functions takes a base URL as well.
    pub(super) address: String,
    pub(super) events: mpsc::Sender<Event>,
    _server: Open,
}

struct Shared {
    events: Mutex<mpsc::Receiver<Event>>,
    /// The call that the function works on.
    open: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
}

impl RuntimeApi {
    /// For a function whose calls take no longer than that.
    pub(super) async fn listen(call_time: Duration) -> Result<Self> {
        let door = Door::bind().await?;
        let secret = password()?;
        let address = format!("http://{}/{secret}", door.address());
        let (events, receiver) = mpsc::channel(1);
        let shared = Arc::new(Shared { events: Mutex::new(receiver), open: Mutex::default() });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(shared);
        let rules = Rules {
            connections: MAX_CONNECTIONS,
            head_time: call_time + BEYOND,
            body_time: BODY_TIME,
            has_pages: false,
            credentials: Credentials::default(),
            terms: |_| Ok(Terms { protocol: Protocol::Plain, signed_for: None, max_body: MAX_PAYLOAD }),
        };
        let server = door.open(rules, Router::new().nest(&format!("/{secret}"), routes));
        Ok(Self { address, events, _server: server })
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
async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Body) -> StatusCode {
    answer(&shared, &id, body, Answer::Response).await
}

/// POST /2018-06-01/runtime/invocation/{id}/error
async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Body) -> StatusCode {
    answer(&shared, &id, body, Answer::Error).await
}

async fn answer(shared: &Shared, id: &str, body: Body, answer: fn(Bytes) -> Answer) -> StatusCode {
    // Before the body is read: what nobody waits for costs nothing.
    if shared.open.lock().await.as_ref().is_none_or(|(request_id, _)| request_id != id) {
        return StatusCode::BAD_REQUEST;
    }
    let (status, answer) = match whole(body).await {
        Ok(body) => (StatusCode::ACCEPTED, answer(body)),
        Err(Broken::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, Answer::TooLarge),
        // The call goes on: the function may say it again, until its time is over.
        Err(Broken::TooSlow) => return StatusCode::REQUEST_TIMEOUT,
        Err(Broken::Cut) => return StatusCode::BAD_REQUEST,
    };
    let mut open = shared.open.lock().await;
    match open.take() {
        Some((request_id, sender)) if request_id == id => {
            // Nobody waits any more: the call timed out, and this process is about to be killed.
            let _ = sender.send(answer);
            status
        }
        other => {
            *open = other;
            StatusCode::BAD_REQUEST
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn api() -> RuntimeApi {
        RuntimeApi::listen(Duration::from_secs(3)).await.unwrap()
    }

    /// Sends a request and gives what is answered; the path comes after the secret, unless it has none.
    async fn ask(api: &RuntimeApi, secret: bool, method: &str, path: &str, headers: &str, body: &[u8]) -> String {
        let (host, base) = api.address.strip_prefix("http://").and_then(|address| address.split_once('/')).unwrap();
        let base = if secret { format!("/{base}") } else { String::new() };
        let mut connection = TcpStream::connect(host).await.unwrap();
        let head = format!(
            "{method} {base}/2018-06-01/runtime/invocation/{path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n\r\n"
        );
        // It may be closed before all is said.
        let _ = connection.write_all(&[head.as_bytes(), body].concat()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("it answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn call(api: &RuntimeApi) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let event =
            Event { request_id: "id".to_owned(), deadline_ms: 0, arn: "arn".to_owned(), body: "{}".to_owned(), answer };
        assert!(api.events.send(event).await.is_ok());
        answered
    }

    const HOST: &str = "host: 127.0.0.1:80";

    #[tokio::test]
    async fn an_invocation_cannot_be_stolen() {
        let api = api().await;
        let mut answered = call(&api).await;
        // Without the path that the function is told, by a page, or under a name that leads here.
        assert!(ask(&api, false, "GET", "next", HOST, b"").await.starts_with("HTTP/1.1 404 "));
        for headers in [
            "host: evil.example",
            "host: localhost\r\norigin: http://evil.example",
            "host: localhost\r\nsec-fetch-site: cross-site",
        ] {
            assert!(ask(&api, true, "GET", "next", headers, b"").await.starts_with("HTTP/1.1 403 "), "{headers}");
        }
        let forged = |headers: &str| format!("{headers}\r\ncontent-length: 2");
        assert!(ask(&api, true, "GET", "next", HOST, b"").await.starts_with("HTTP/1.1 200 "), "it was still there");
        assert!(ask(&api, false, "POST", "id/response", &forged(HOST), b"{}").await.starts_with("HTTP/1.1 404 "));
        let host = forged("host: evil.example");
        assert!(ask(&api, true, "POST", "id/response", &host, b"{}").await.starts_with("HTTP/1.1 403 "));
        assert!(ask(&api, true, "POST", "another/response", &forged(HOST), b"{}").await.starts_with("HTTP/1.1 400 "));
        assert!(answered.try_recv().is_err(), "nothing counted");
        assert!(ask(&api, true, "POST", "id/response", &forged(HOST), b"{}").await.starts_with("HTTP/1.1 202 "));
        assert!(matches!(answered.await, Ok(Answer::Response(body)) if body == "{}"));
    }

    #[tokio::test]
    async fn a_body_that_no_call_waits_for_is_not_read() {
        let api = api().await;
        let _answered = call(&api).await;
        ask(&api, true, "GET", "next", HOST, b"").await;
        // Of its 32 MB not a byte is sent.
        let announced = format!("{HOST}\r\ncontent-length: 33554432");
        assert!(ask(&api, true, "POST", "another/response", &announced, b"").await.starts_with("HTTP/1.1 400 "));
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_ends_its_call() {
        let api = api().await;
        for announced in [true, false] {
            let answered = call(&api).await;
            ask(&api, true, "GET", "next", HOST, b"").await;
            let length = if announced { "content-length: 33554432" } else { "transfer-encoding: chunked" };
            let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
            let body = if announced { Vec::new() } else { chunk.repeat(7) };
            ask(&api, true, "POST", "id/response", &format!("{HOST}\r\n{length}"), &body).await;
            assert!(matches!(answered.await, Ok(Answer::TooLarge)), "{length}");
        }
    }
}
