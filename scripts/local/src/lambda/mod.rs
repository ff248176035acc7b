//! AWS Lambda on one machine: a real process for every function instance, speaking the Runtime API, with the deadline,
//! memory and errors that Lambda gives it.

mod instance;
mod runtime_api;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use catalog::{Deployment, Sizing};
use serde_json::{Value, json};

use self::instance::Instance;
use crate::clock;
use crate::credentials::{ACCOUNT, REGION};

/// An idle instance is kept this long, as Lambda keeps one, so that the next run finds it warm.
const KEEP_WARM: Duration = Duration::from_secs(600);
/// What Lambda takes and gives.
const MAX_PAYLOAD: usize = 6 << 20;

/// The program that holds every function.
const ALL_FUNCTIONS: &str = "functions";

/// A function as it is deployed here.
#[derive(Clone, Debug)]
pub(crate) struct Deployed {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// Which function of the program.
    pub(crate) handler: &'static str,
    pub(crate) sizing: Sizing,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) log: PathBuf,
    pub(crate) log_group: String,
}

impl Deployed {
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", self.name)
    }
}

/// How an invocation failed, as Step Functions tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvocationError {
    /// The error's name.
    pub error: String,
    /// What was said.
    pub cause: String,
}

/// What an invocation came to.
pub type Invoked = Result<Value, InvocationError>;

/// The functions of the pipeline.
pub struct Lambda {
    functions: HashMap<String, Deployed>,
    idle: Mutex<Vec<(Instance, Instant)>>,
    peaks: Mutex<BTreeMap<String, u64>>,
}

impl Lambda {
    pub(crate) fn new(functions: Vec<Deployed>) -> Arc<Self> {
        let functions = functions.into_iter().map(|function| (function.name.clone(), function)).collect();
        Arc::new(Self { functions, idle: Mutex::default(), peaks: Mutex::default() })
    }

    /// Calls a function and waits for what it comes to. `request_id` tells this call from every other.
    pub async fn invoke(&self, name: &str, request_id: &str, payload: &Value) -> Invoked {
        let Some(function) = self.functions.get(name) else {
            let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}:$LATEST");
            let status = "Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException";
            return Err(InvocationError {
                error: "Lambda.ResourceNotFoundException".to_owned(),
                cause: format!("Function not found: {arn} ({status}; Request ID: {request_id}; Proxy: null)"),
            });
        };
        let body = payload.to_string();
        if body.len() > MAX_PAYLOAD {
            return Err(service_error(&format!("the payload has {} bytes, over {MAX_PAYLOAD}", body.len())));
        }
        let mut instance = match self.take_idle(name) {
            Some(instance) => instance,
            None => Instance::start(function).await.map_err(|error| service_error(&format!("{error:#}")))?,
        };
        let deadline = clock::now() + chrono::TimeDelta::seconds(function.sizing.timeout_seconds.into());
        let invoked = instance.invoke(request_id, body, deadline).await;
        self.note_peak(name, instance.peak_bytes());
        if instance.is_reusable() {
            self.give_back(instance);
        }
        invoked
    }

    fn take_idle(&self, name: &str) -> Option<Instance> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(|(instance, since)| since.elapsed() < KEEP_WARM && instance.lives());
        let place = idle.iter().position(|(instance, _)| instance.function() == name)?;
        Some(idle.swap_remove(place).0)
    }

    fn give_back(&self, instance: Instance) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((instance, Instant::now()));
    }

    fn note_peak(&self, name: &str, bytes: Option<u64>) {
        let Some(bytes) = bytes else { return };
        let mut peaks = self.peaks.lock().unwrap_or_else(PoisonError::into_inner);
        let peak = peaks.entry(name.to_owned()).or_default();
        *peak = bytes.max(*peak);
    }

    /// The most memory that any instance of each function held, in bytes, where the system tells.
    #[must_use]
    pub fn peaks(&self) -> BTreeMap<String, u64> {
        self.peaks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Process ids of the instances that wait for a call, by function.
    #[must_use]
    pub fn idle_processes(&self) -> Vec<(String, u32)> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter().filter_map(|(instance, _)| Some((instance.function().to_owned(), instance.pid()?))).collect()
    }

    /// Ends every idle instance.
    pub async fn stop(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        futures_util::future::join_all(idle.into_iter().map(|(instance, _)| instance.stop())).await;
    }
}

/// Lambda itself could not do it: what Step Functions retries.
fn service_error(what: &str) -> InvocationError {
    InvocationError { error: "Lambda.ServiceException".to_owned(), cause: what.to_owned() }
}

/// An error that Lambda makes up for a function that cannot answer.
fn runtime_error(error: &str, message: String) -> InvocationError {
    let cause = json!({ "errorType": error, "errorMessage": message }).to_string();
    InvocationError { error: error.to_owned(), cause }
}

/// Every function of the catalogue with its program from `folder`: one for all, or one each as in AWS.
pub(crate) fn deploy(
    deployment: &Deployment,
    folder: &std::path::Path,
    logs: &std::path::Path,
    environments: &BTreeMap<String, crate::Environment>,
) -> Result<Vec<Deployed>> {
    let all = folder.join(ALL_FUNCTIONS);
    let mut functions = Vec::new();
    for function in deployment.catalog.all_functions() {
        let name = deployment.function(function);
        let handler = function.program();
        let program = if all.is_file() { all.clone() } else { folder.join(handler) };
        if !program.is_file() {
            bail!("the program of {name} is not built: {} does not exist", program.display());
        }
        functions.push(Deployed {
            log_group: deployment.log_group(function),
            sizing: deployment.catalog.sizing(function),
            environment: environments.get(&name).cloned().unwrap_or_default(),
            log: logs.join(format!("{name}.log")),
            program,
            handler,
            name,
        });
    }
    Ok(functions)
}
