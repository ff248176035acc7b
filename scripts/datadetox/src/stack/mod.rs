//! The pipeline on one machine: Postgres, S3, Lambda, Step Functions, Secrets Manager and SNS, all on loopback.
//!
//! Production code knows nothing of it: it finds the services by its environment and speaks to them through the real
//! SDKs. What a service does not support here it refuses, by name.

mod calls;
mod clock;
mod credentials;
mod engine;
mod gateway;
mod home;
mod inbox;
mod lake;
mod lambda;
mod postgres;
mod process;
mod programs;
mod schedule;
mod secrets;
mod signature;
mod states_api;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use catalog::{Catalog, Function};
use serde_json::Value;
use statemachine::{Names, definition};
use tokio::task::JoinHandle;

pub use clock::now;
pub use credentials::{ACCOUNT, OPERATOR, REGION};
pub use engine::{Engine, Entry};
pub use home::{Home, Running};
pub use inbox::{Inbox, Message};
pub use lake::BucketNames;
pub use lambda::{InvocationError, Invoked, Lambda};
pub use postgres::{APPLICATION, LOADER, Postgres, READER, WAREHOUSE, application_of};
pub use programs::build_when_run_by_cargo;
pub use schedule::{Schedule, run_name};

use credentials::{Credentials, password};
use gateway::Services;

/// What a stack is made of.
pub struct Config {
    /// The folder for everything it keeps.
    pub home: PathBuf,
    /// The catalogue.
    pub catalog: PathBuf,
    /// Where the functions' programs lie.
    pub programs: PathBuf,
    /// A source of one's own, as a Postgres URL; else the private one.
    pub source: Option<String>,
    /// A warehouse of one's own, as a Postgres URL; else the private one.
    pub warehouse: Option<String>,
    /// Where the AWS calls of functions and state machine are recorded.
    pub record_calls: Option<PathBuf>,
}

/// A running stack. Stop it with [`Stack::stop`]; when it is only dropped its processes are killed.
pub struct Stack {
    /// Its folder.
    pub home: Home,
    /// Its catalogue.
    pub catalog: Arc<Catalog>,
    /// Where its AWS services listen.
    pub endpoint: String,
    /// Its databases, unless both are one's own.
    pub postgres: Option<Postgres>,
    /// Its functions.
    pub lambda: Arc<Lambda>,
    /// Its executions.
    pub engine: Arc<Engine>,
    /// Its alerts.
    pub inbox: Arc<Inbox>,
    aws: SdkConfig,
    gateway: JoinHandle<()>,
}

/// What stands on folder and databases.
struct Standing {
    endpoint: String,
    lambda: Arc<Lambda>,
    engine: Arc<Engine>,
    inbox: Arc<Inbox>,
    aws: SdkConfig,
    gateway: JoinHandle<()>,
}

impl Stack {
    /// Starts everything.
    ///
    /// # Errors
    /// When the catalogue has mistakes, the home is taken, or something cannot be started; nothing is left running then.
    pub async fn start(config: Config) -> Result<Self> {
        let catalog = Arc::new(read_catalog(&config.catalog)?);
        let home = Home::take(&config.home)?;
        let postgres = match (&config.source, &config.warehouse) {
            (Some(_), Some(_)) => None,
            _ => Some(Postgres::start(&home, &catalog.pipeline.name).await?),
        };
        match Self::stand(config, &catalog, &home, postgres.as_ref()).await {
            Ok(Standing { endpoint, lambda, engine, inbox, aws, gateway }) => {
                Ok(Self { home, catalog, endpoint, postgres, lambda, engine, inbox, aws, gateway })
            }
            Err(error) => {
                // In order, and waited for: the next start finds the folder free.
                if let Some(postgres) = postgres {
                    postgres.stop().await?;
                }
                Err(error)
            }
        }
    }

    async fn stand(
        config: Config,
        catalog: &Arc<Catalog>,
        home: &Home,
        postgres: Option<&Postgres>,
    ) -> Result<Standing> {
        let private = |role: &str| postgres.map(|postgres| postgres.secret(role)).unwrap_or_default();
        let source = config.source.unwrap_or_else(|| private(READER));
        let warehouse = config.warehouse.unwrap_or_else(|| private(LOADER));

        let calls = Arc::new(calls::Calls::open(config.record_calls.as_deref())?);
        let bound = gateway::bind().await?;
        let endpoint = bound.endpoint.clone();
        let credentials = Credentials::new(catalog)?;
        credentials.write_config(home, &endpoint)?;
        let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{}", catalog.topic_name());
        let inbox = Arc::new(Inbox::new(topic.clone(), home.join("inbox")));
        let catalog_file = config.catalog.canonicalize().context("cannot open the catalogue")?;
        let environment = |function: Function<'_>, name: &str| {
            function_environment(catalog, &credentials, &endpoint, &catalog_file, function, name)
        };
        let functions = lambda::deploy(catalog, &config.programs, &home.join("logs"), environment)?;
        let lambda = Lambda::new(functions);
        let aws = sdk_config(&endpoint, credentials.secret(OPERATOR).unwrap_or_default()).await;
        let services = engine::Services {
            lambda: Arc::clone(&lambda),
            sns: aws_sdk_sns::Client::new(&aws),
            calls: Arc::clone(&calls),
        };
        let machine = local_definition(catalog, topic);
        let engine = Engine::open(catalog, machine, home.join("executions"), services)?;
        let lake = Arc::new(lake::service(&home.join("lake"), catalog, &credentials, Arc::clone(&calls))?);
        let operator_secret = credentials.secret(OPERATOR).unwrap_or_default().to_owned();
        let gateway = bound.serve(Services {
            credentials,
            lake,
            states: states_api::StatesApi::new(Arc::clone(&engine), catalog),
            secrets: secrets::Secrets::new(catalog, source, warehouse),
            calls,
            inbox: Arc::clone(&inbox),
        });
        home.announce(&Running {
            pid: std::process::id(),
            endpoint: endpoint.clone(),
            operator_secret,
            pipeline: catalog.pipeline.name.clone(),
            state_machine: engine.machine_arn.clone(),
            postgres_port: postgres.map(Postgres::port),
        })?;
        Ok(Standing { endpoint, lambda, engine, inbox, aws, gateway })
    }

    /// The SDK configuration of the operator.
    #[must_use]
    pub fn aws(&self) -> &SdkConfig {
        &self.aws
    }

    /// Ends everything in order: executions stay where they are and go on with the next start.
    ///
    /// # Errors
    /// When Postgres cannot be ended.
    pub async fn stop(self) -> Result<()> {
        self.home.withdraw();
        self.lambda.stop().await;
        self.gateway.abort();
        match self.postgres {
            Some(postgres) => postgres.stop().await,
            None => Ok(()),
        }
    }
}

/// Reads and checks a catalogue.
///
/// # Errors
/// Every mistake in it.
pub fn read_catalog(path: &Path) -> Result<Catalog> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Catalog::parse(&path.display().to_string(), &text)?)
}

/// The definition with the names that functions and topic have here; this is the one that is committed.
#[must_use]
pub fn local_definition(catalog: &Catalog, topic: String) -> Value {
    definition(catalog, &Names { function: &|function| catalog.function_name(function), topic })
}

/// An SDK configuration for the services at `endpoint`.
pub async fn sdk_config(endpoint: &str, secret: &str) -> SdkConfig {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(aws_sdk_sfn::config::Credentials::new(OPERATOR, secret, None, None, "datadetox"));
    loader.http_client(host::http_client()).load().await
}

/// What a function is told: the same names as in AWS, plus where the services are.
fn function_environment(
    catalog: &Catalog,
    credentials: &Credentials,
    endpoint: &str,
    catalog_file: &Path,
    function: Function<'_>,
    name: &str,
) -> BTreeMap<String, String> {
    let buckets = BucketNames::of(catalog);
    let (source, warehouse) = secrets::names(catalog);
    let access = catalog.access(function);
    let mut environment = BTreeMap::from(
        [
            ("AWS_ACCESS_KEY_ID", name),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret(name).unwrap_or_default()),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ENDPOINT_URL", endpoint),
            (catalog::environment::INGESTION_BUCKET, &buckets.ingestion),
            (catalog::environment::PROCESSED_BUCKET, &buckets.processed),
            (catalog::environment::CATALOG, &*catalog_file.to_string_lossy()),
            ("TZ", ":UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    for (needed, variable, secret) in [
        (access.source, catalog::environment::SOURCE_SECRET, source),
        (access.warehouse, catalog::environment::WAREHOUSE_SECRET, warehouse),
    ] {
        if needed {
            environment.insert(variable.to_owned(), secret);
        }
    }
    // Where a coverage run collects its profiles.
    if let Some(profile) = crate::environment::variable("LLVM_PROFILE_FILE") {
        environment.insert("LLVM_PROFILE_FILE".to_owned(), profile);
    }
    environment
}
