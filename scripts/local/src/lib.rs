//! The pipeline on one machine: S3, Lambda, Step Functions, Secrets Manager and SNS on loopback, Postgres on a Unix socket.
//!
//! Production code knows nothing of it: it finds the services by its environment and speaks to them through the real
//! SDKs. What a service does not support here it refuses, by name.

mod account;
mod calls;
mod clock;
mod credentials;
mod door;
mod ends;
pub mod environment;
mod gateway;
mod home;
mod inbox;
mod integrations;
mod lake;
mod lambda;
mod postgres;
mod process;
mod programs;
mod refusal;
mod schedule;
mod secrets;
mod states;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use catalog::deployment::variable;
use catalog::key::Bucket;
use catalog::{Deployment, Function};
use emulator::{Entry, Settings, StateMachine, StepFunctions};
use serde_json::Value;

#[cfg(fuzzing)]
pub use door::probe;

pub use clock::now;
pub use credentials::{ACCOUNT, OPERATOR, REGION};
pub use door::{Door, Open, Rules};
pub use home::{Home, Running};
pub use inbox::{Inbox, Message};
pub use lambda::{InvocationError, Invoked, Lambda};
pub use postgres::{APPLICATION, BINARIES, LOADER, Postgres, READER, WAREHOUSE, application_of};
pub use programs::build_when_run_by_cargo;
pub use schedule::{Schedule, run_name};

use credentials::{Credentials, password};
use gateway::Services;

/// What a stack is made of.
pub struct Config {
    /// The folder for everything it keeps.
    pub home: Home,
    /// Whether it goes on until somebody stops it: other processes may rely on it.
    pub serves: bool,
    /// The pipeline and its names.
    pub deployment: Deployment,
    /// The catalogue's file, for the functions.
    pub catalog_file: PathBuf,
    /// The state machine. Its functions and its topic have the names that the deployment gives them.
    pub definition: Value,
    /// Where the functions' programs lie; `None` where nobody invokes a function.
    pub programs: Option<PathBuf>,
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
    /// Whether it goes on until somebody stops it.
    pub serves: bool,
    /// Its pipeline and its names.
    pub deployment: Deployment,
    /// Where its AWS services listen.
    pub endpoint: String,
    /// Its databases, unless both are one's own.
    pub postgres: Option<Postgres>,
    /// Its functions.
    pub lambda: Arc<Lambda>,
    /// Its Step Functions.
    pub states: Arc<StepFunctions>,
    /// The pipeline's state machine.
    pub machine: Arc<StateMachine>,
    /// Its alerts.
    pub inbox: Arc<Inbox>,
    environments: BTreeMap<String, Environment>,
    aws: SdkConfig,
    gateway: Open,
}

/// The variable that holds the secret of a process' credentials.
const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";

/// What a process is told: variables by name.
pub type Environment = BTreeMap<String, String>;

/// What stands on folder and databases.
struct Standing {
    endpoint: String,
    environments: BTreeMap<String, Environment>,
    lambda: Arc<Lambda>,
    states: Arc<StepFunctions>,
    machine: Arc<StateMachine>,
    inbox: Arc<Inbox>,
    aws: SdkConfig,
    gateway: Open,
}

impl Stack {
    /// Starts everything.
    ///
    /// # Errors
    /// When the catalogue has mistakes, the home is taken, or something cannot be started; nothing is left running then.
    pub async fn start(config: Config) -> Result<Self> {
        let postgres = match (&config.source, &config.warehouse) {
            (Some(_), Some(_)) => None,
            _ => Some(Box::pin(Postgres::start(&config.home, &config.deployment.catalog.pipeline.name)).await?),
        };
        Self::over(postgres, config, true).await
    }

    /// Starts what it takes to look at executions and to stop them. They rest meanwhile: no database and no function is
    /// started, and no other process is told of this stack.
    ///
    /// # Errors
    /// When the catalogue has mistakes, the home is taken, or a journal cannot be read.
    pub async fn at_rest(config: Config) -> Result<Self> {
        Self::over(None, config, false).await
    }

    async fn over(postgres: Option<Postgres>, config: Config, goes_on: bool) -> Result<Self> {
        // Boxed: what a caller awaits is as large as everything in it.
        match Box::pin(Self::stand(&config, postgres.as_ref(), goes_on)).await {
            Ok(Standing { endpoint, environments, lambda, states, machine, inbox, aws, gateway }) => Ok(Self {
                home: config.home,
                serves: config.serves,
                deployment: config.deployment,
                endpoint,
                postgres,
                environments,
                lambda,
                states,
                machine,
                inbox,
                aws,
                gateway,
            }),
            Err(error) => {
                // In order, and waited for: the next start finds the folder free.
                if let Some(postgres) = postgres {
                    postgres.stop().await?;
                }
                Err(error)
            }
        }
    }

    async fn stand(config: &Config, postgres: Option<&Postgres>, goes_on: bool) -> Result<Standing> {
        let (deployment, home) = (&config.deployment, &config.home);
        let private = |role: &str| postgres.map(|postgres| postgres.secret(role)).unwrap_or_default();
        let source = config.source.clone().unwrap_or_else(|| private(READER));
        let warehouse = config.warehouse.clone().unwrap_or_else(|| private(LOADER));

        let calls = Arc::new(calls::Calls::open(config.record_calls.as_deref())?);
        let door = Door::bind().await?;
        let endpoint = format!("http://{}", door.address());
        let credentials = Credentials::new(deployment)?;
        credentials.write_config(home, &endpoint)?;
        let inbox = Arc::new(Inbox::new(topic_arn(deployment), home.join("inbox")));
        // A copy: functions start when they are called, and the file may be edited by then.
        // Under its own name: that is what people are told of it.
        let text = std::fs::read_to_string(&config.catalog_file).context("cannot read the catalogue")?;
        let catalog_file = home.write_private(&deployment.catalog.file, &text)?;
        let environments: BTreeMap<String, Environment> = deployment
            .catalog
            .all_functions()
            .map(|function| function_environment(deployment, &credentials, &endpoint, &catalog_file, function))
            .collect();
        let functions = match &config.programs {
            Some(programs) => lambda::deploy(deployment, programs, &home.join("logs"), &environments)?,
            None => Vec::new(),
        };
        let lambda = Lambda::new(functions);
        let aws = sdk_config(&endpoint, OPERATOR, credentials.secret(OPERATOR).unwrap_or_default()).await;
        let integrations = integrations::Integrations {
            lambda: Arc::clone(&lambda),
            sns: aws_sdk_sns::Client::new(&aws),
            calls: Arc::clone(&calls),
        };
        let settings = Settings {
            region: REGION.to_owned(),
            account: ACCOUNT.to_owned(),
            folder: home.join("executions"),
            goes_on,
            service: Arc::new(integrations),
            ended: ends::tell(deployment.clone(), Arc::clone(&inbox)),
            clock: clock::now,
        };
        let states = StepFunctions::open(settings, [(deployment.state_machine(), config.definition.clone())])?;
        let machine = states.machines().next().cloned().context("no state machine is deployed")?;
        let lake = Arc::new(lake::service(&home.join("lake"), deployment, &credentials, Arc::clone(&calls))?);
        let operator_secret = credentials.secret(OPERATOR).unwrap_or_default().to_owned();
        let services = Services {
            lake,
            states: states::States::new(Arc::clone(&states), deployment),
            secrets: secrets::Secrets::new(deployment, source, warehouse),
            calls,
            inbox: Arc::clone(&inbox),
        };
        let gateway = gateway::open(door, credentials, services);
        if goes_on {
            home.announce(&Running {
                pid: std::process::id(),
                serves: config.serves,
                endpoint: endpoint.clone(),
                operator_secret,
                pipeline: deployment.catalog.pipeline.name.clone(),
                state_machine: machine.arn.clone(),
                postgres_socket: postgres.map(|postgres| postgres.socket().to_path_buf()),
            })?;
        }
        Ok(Standing { endpoint, environments, lambda, states, machine, inbox, aws, gateway })
    }

    /// The SDK configuration of the operator.
    #[must_use]
    pub fn aws(&self) -> &SdkConfig {
        &self.aws
    }

    /// What a function is told when it starts here, its credentials among it.
    #[must_use]
    pub fn environment_of(&self, function: Function<'_>) -> &Environment {
        // Every function of the deployment has one.
        static NONE: Environment = Environment::new();
        self.environments.get(&self.deployment.function(function)).unwrap_or(&NONE)
    }

    /// The SDK configuration of a function, with its own credentials.
    pub async fn aws_of(&self, function: Function<'_>) -> SdkConfig {
        let secret = self.environment_of(function).get(SECRET_KEY).map(String::as_str).unwrap_or_default();
        sdk_config(&self.endpoint, &self.deployment.function(function), secret).await
    }

    /// The pipeline's execution of that name.
    #[must_use]
    pub fn execution(&self, name: &str) -> Option<Arc<Entry>> {
        self.states.find(&self.machine.execution_arn(name))
    }

    /// Ends everything in order: executions stay where they are and go on with the next start.
    ///
    /// # Errors
    /// When Postgres cannot be ended.
    pub async fn stop(self) -> Result<()> {
        self.home.withdraw();
        self.lambda.stop().await;
        drop(self.gateway);
        match self.postgres {
            Some(postgres) => postgres.stop().await,
            None => Ok(()),
        }
    }
}

/// The ARN that the alerts' topic has here.
#[must_use]
pub fn topic_arn(deployment: &Deployment) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{}", deployment.topic())
}

/// An SDK configuration for the services at `endpoint`, with the credentials of the operator or of a function.
pub async fn sdk_config(endpoint: &str, identity: &str, secret: &str) -> SdkConfig {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(aws_sdk_sfn::config::Credentials::new(identity, secret, None, None, "datadetox"));
    // Loopback needs no TLS.
    let client = aws_smithy_http_client::Builder::new().build_http();
    loader.http_client(client).load().await
}

/// A function's name and what it is told: the same names as in AWS, plus where the services are.
fn function_environment(
    deployment: &Deployment,
    credentials: &Credentials,
    endpoint: &str,
    catalog_file: &Path,
    function: Function<'_>,
) -> (String, Environment) {
    let name = deployment.function(function);
    let mut environment = BTreeMap::from(
        [
            ("AWS_ACCESS_KEY_ID", name.as_str()),
            (SECRET_KEY, credentials.secret(&name).unwrap_or_default()),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ENDPOINT_URL", endpoint),
            (variable::CATALOG, &*catalog_file.to_string_lossy()),
            ("TZ", ":UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    for bucket in Bucket::ALL {
        environment.insert(variable::bucket(bucket).to_owned(), deployment.bucket(bucket));
    }
    if let Some(side) = deployment.catalog.access(function).database {
        environment.insert(variable::secret(side).to_owned(), deployment.secret(side));
    }
    // Where a coverage run collects its profiles.
    if let Some(profile) = crate::environment::variable("LLVM_PROFILE_FILE") {
        environment.insert("LLVM_PROFILE_FILE".to_owned(), profile);
    }
    (name, environment)
}
