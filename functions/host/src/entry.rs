//! From the Lambda Runtime API to a handler and back: events parsed, faults named, one JSON line per call in the log.

use std::fmt;
use std::sync::Arc;

use catalog::{Error, Fault, Result};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::{self, Needs, Settings};
use crate::{Call, Host};

/// Why the loop over the Runtime API ended.
pub type RuntimeError = lambda_runtime::Error;

/// Serves calls until the Runtime API goes away.
///
/// Settings and clients are made at the first call, so that what is wrong with them is answered as a named fault, which
/// Step Functions can show, and not as a crash at start.
///
/// # Errors
/// When the Runtime API cannot be spoken to.
pub async fn serve<Q, A, F>(needs: Needs, handle: F) -> std::result::Result<(), RuntimeError>
where
    Q: DeserializeOwned,
    A: Serialize,
    F: AsyncFn(Q, &Host) -> Result<A>,
{
    start_logging();
    let host: Arc<OnceCell<Host>> = Arc::default();
    let handle = Arc::new(handle);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let (host, handle) = (Arc::clone(&host), Arc::clone(&handle));
        async move {
            let call = Call { request_id: event.context.request_id, deadline_ms: event.context.deadline };
            let answer = async {
                let host = host
                    .get_or_try_init(async || Host::new(Settings::from_environment(needs)?, crate::aws().await))
                    .await?;
                let host = Host { call: call.clone(), ..host.clone() };
                answer(event.payload, &*handle, &host).await
            };
            answer.await.map_err(|error| Refusal::new(&error, &call))
        }
    }))
    .await
}

/// Serves calls with a handler that needs nothing: no settings, no clients, no catalogue.
///
/// # Errors
/// As [`serve`].
pub async fn serve_pure<Q, A>(handle: fn(Q) -> Result<A>) -> std::result::Result<(), RuntimeError>
where
    Q: DeserializeOwned,
    A: Serialize,
{
    start_logging();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let call = Call { request_id: event.context.request_id, deadline_ms: event.context.deadline };
        parse(event.payload).and_then(handle).map_err(|error| Refusal::new(&error, &call))
    }))
    .await
}

async fn answer<Q, A, F>(payload: Value, handle: &F, host: &Host) -> Result<A>
where
    Q: DeserializeOwned,
    F: AsyncFn(Q, &Host) -> Result<A>,
{
    // Boxed: a handler's future is as large as everything it awaits, and the runtime nests it deeply.
    Box::pin(handle(parse(payload)?, host)).await
}

/// The event is parsed here and not by the runtime, which would answer with the name of a Rust type.
fn parse<Q: DeserializeOwned>(payload: Value) -> Result<Q> {
    serde_json::from_value(payload).map_err(|error| Error::because(Fault::Bug, "cannot read the event", error))
}

/// A fault on its way to Lambda: `errorType` is its wire name, `errorMessage` its report.
struct Refusal {
    name: &'static str,
    report: String,
}

impl Refusal {
    fn new(error: &Error, call: &Call) -> Self {
        let refusal = Self { name: error.fault().name(), report: error.report() };
        tracing::error!(request_id = call.request_id, error = refusal.name, "{}", refusal.report);
        refusal
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.report)
    }
}

impl From<Refusal> for Diagnostic {
    fn from(refusal: Refusal) -> Self {
        Self { error_type: refusal.name.to_owned(), error_message: refusal.report }
    }
}

/// JSON lines on stdout, where Lambda and the local stack take them. `RUST_LOG` chooses the level: `debug`, or
/// `warn,load=debug` by module.
fn start_logging() {
    let wanted = settings::log_filter().and_then(|filter| filter.parse().ok());
    let filter: Targets = wanted.unwrap_or_else(|| Targets::new().with_default(Level::INFO));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}
