//! What every function stands on: settings said once, clients made once, errors that keep their names.
//!
//! A function is a `main.rs` of a few lines over `handle(request, &Host)` in its library. Nothing here knows whether it
//! runs in AWS or on a laptop: endpoints and credentials come from the environment, the SDKs are the real ones.
//!
//! ```no_run
//! # async fn handle(request: u32, host: &host::Host) -> catalog::Result<u32> { Ok(request) }
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), host::RuntimeError> {
//!     host::serve(host::Needs::SOURCE, handle).await
//! }
//! ```

mod answer;
mod authorities;
mod clock;
mod entry;
pub mod lake;
pub mod metrics;
mod panics;
pub mod postgres;
mod secret;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Result, Side};

pub use answer::cause;
pub use clock::now;
pub use entry::{RuntimeError, serve, serve_pure};
pub use lake::{Bucket, Lake};
pub use settings::{Needs, Settings, handler};

/// What a handler works with: the catalogue, connected clients, and the call it serves.
#[derive(Clone)]
pub struct Host {
    settings: Arc<Settings>,
    aws: aws_config::SdkConfig,
    /// The catalogue of this pipeline.
    pub catalog: Arc<Catalog>,
    /// The two buckets.
    pub lake: Lake,
    /// The call being served.
    pub call: Call,
}

/// One invocation.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The request id of AWS Lambda.
    pub request_id: String,
    /// Milliseconds since 1970 at which Lambda kills the function.
    pub deadline_ms: u64,
}

impl Call {
    /// A short word that tells this try from every other one: for the names of objects.
    #[must_use]
    pub fn attempt(&self) -> String {
        let word: String = self.request_id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        if word.is_empty() { "0".to_owned() } else { word.to_ascii_lowercase() }
    }

    /// Time left until Lambda kills the function.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        let now = u64::try_from(now().timestamp_millis()).unwrap_or_default();
        Duration::from_millis(self.deadline_ms.saturating_sub(now))
    }
}

impl Host {
    /// Connects what the settings name, through clients of this configuration. No request is made yet.
    ///
    /// # Errors
    /// `Misconfigured` when the catalogue cannot be read.
    pub fn new(settings: Settings, aws: aws_config::SdkConfig) -> Result<Self> {
        let catalog = Arc::new(settings.catalog()?);
        let lake = Lake::new(&aws, &settings);
        Ok(Self { settings: Arc::new(settings), aws, catalog, lake, call: Call::default() })
    }

    /// The SDK configuration, for a client that only one function has.
    #[must_use]
    pub fn aws(&self) -> &aws_config::SdkConfig {
        &self.aws
    }

    /// A connection to the source or the warehouse, with the session that the pipeline relies on.
    ///
    /// # Errors
    /// `Secret.Unavailable`, or the side's `Unavailable`, `Busy`, `AccessDenied`.
    pub async fn connect(&self, side: Side) -> Result<sqlx::PgConnection> {
        let (id, place) = self.settings.secret(side)?;
        let address = secret::read(&self.aws, side, id, place).await?;
        let session = postgres::Session {
            application: &self.settings.function_name,
            lock_timeout: self.catalog.source.lock_timeout,
            deadline: self.call.remaining(),
        };
        postgres::connect(side, address, &session).await
    }
}

/// The SDK configuration from the environment.
pub async fn aws() -> aws_config::SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http_client()).load().await
}

/// The HTTP client of every AWS client here: the TLS stack that Postgres uses too.
#[must_use]
pub fn http_client() -> aws_sdk_s3::config::SharedHttpClient {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
