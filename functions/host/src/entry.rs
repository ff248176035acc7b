//! From the Lambda Runtime API to a handler and back: events parsed, faults and panics named, one JSON line per call in
//! the log.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use catalog::{Error, Fault, Result, plain, told_json};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::{self, Needs, Settings};
use crate::{Call, Host, panics};

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
            // Boxed: a handler's future is as large as everything it awaits, and the runtime nests it deeply.
            Box::pin(panics::caught(answer)).await.map_err(|error| Refusal::new(&error, &call))
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
        let answer = async { parse(event.payload).and_then(handle) };
        panics::caught(answer).await.map_err(|error| Refusal::new(&error, &call))
    }))
    .await
}

async fn answer<Q, A, F>(payload: Value, handle: &F, host: &Host) -> Result<A>
where
    Q: DeserializeOwned,
    F: AsyncFn(Q, &Host) -> Result<A>,
{
    handle(parse(payload)?, host).await
}

/// The event is parsed here and not by the runtime, which would answer with the name of a Rust type.
fn parse<Q: DeserializeOwned>(payload: Value) -> Result<Q> {
    serde_json::from_value(payload)
        .map_err(|error| Error::new(Fault::Bug, format!("cannot read the event: {}", told_json(&error))))
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
    panics::note_all();
    let wanted = settings::log_filter().and_then(|filter| filter.parse().ok());
    let filter: Targets = wanted.unwrap_or_else(|| Targets::new().with_default(Level::INFO));
    let lines = lines(|| Shown(io::stdout()));
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}

fn lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(writer)
}

/// Lines of JSON, which spells out the control characters of ASCII by itself, with those that remain spelled out too: logs
/// are read in terminals.
struct Shown<W>(W);

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(plain(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_line_is_json_that_no_terminal_obeys() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::registry().with(lines(move || Shown(writer.clone())));
        let said = "a\u{1b}[2J\u{9b}2J\r\u{202e}\nb";
        tracing::subscriber::with_default(subscriber, || tracing::error!("{said}"));
        let line = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(!line.trim_end_matches('\n').contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
        let logged: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(logged["message"], said);
    }
}
