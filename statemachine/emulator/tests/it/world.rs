//! A service's life: machines, a scripted service behind their tasks, journals.

use std::collections::BTreeMap;
use std::fs;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use asl::{Resource, Status};
use chrono::{DateTime, SubsecRound as _, Utc};
use emulator::{CallFailed, Called, Service, Settings, StepFunctions};
use serde_json::{Value, json};

/// What a function does when it is called.
#[derive(Clone)]
pub(crate) enum Does {
    /// Answers what it was given.
    Echoes,
    /// Answers so many arrays in one another.
    Nests(usize),
    /// Fails under that name.
    Fails(&'static str),
    /// Never answers.
    Hangs,
    /// Answers once that file is gone.
    Waits(PathBuf),
}

/// Functions by name; one that is not scripted echoes.
#[derive(Default)]
pub(crate) struct Script {
    functions: Mutex<BTreeMap<String, Does>>,
    /// The functions that were called, in order.
    pub(crate) called: Mutex<Vec<String>>,
    /// Name, status and error of the executions that ended, in order.
    pub(crate) ended: Mutex<Vec<[String; 3]>>,
}

impl Script {
    pub(crate) fn new(function: &str, does: Does) -> Arc<Self> {
        let script = Arc::new(Self::default());
        script.set(function, does);
        script
    }

    pub(crate) fn set(&self, function: &str, does: Does) {
        self.functions.lock().expect("no test panicked").insert(function.to_owned(), does);
    }
}

impl Service for Script {
    fn call(&self, resource: Resource, parameters: Value) -> Called {
        assert_eq!(resource, Resource::LambdaInvoke);
        let function = parameters["FunctionName"].as_str().expect("a name").to_owned();
        let does = self.functions.lock().expect("no test panicked").get(&function).cloned().unwrap_or(Does::Echoes);
        self.called.lock().expect("no test panicked").push(function);
        Box::pin(async move {
            match does {
                Does::Echoes => Ok(parameters["Payload"].clone()),
                Does::Nests(levels) => Ok((1..levels).fold(json!([]), |inner, _| json!([inner]))),
                Does::Fails(error) => Err(CallFailed { error: error.to_owned(), cause: "as scripted".to_owned() }),
                Does::Hangs => pending().await,
                Does::Waits(file) => {
                    until(|| !file.exists()).await;
                    Ok(parameters["Payload"].clone())
                }
            }
        })
    }
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let looks = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looks).await.expect("it comes to be so");
}

/// What the service told in this process, line by line; each line of a journal names its file.
pub(crate) fn news() -> MutexGuard<'static, String> {
    static NEWS: Mutex<String> = Mutex::new(String::new());
    NEWS.lock().expect("no test panicked")
}

struct News;

impl io::Write for News {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        news().push_str(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The service during one life.
pub(crate) struct World {
    pub(crate) states: Arc<StepFunctions>,
}

/// Lets a service live over the folder until `story` ends.
pub(crate) fn live<S: Future>(
    folder: &Path,
    script: &Arc<Script>,
    machines: &[(&str, Value)],
    story: impl FnOnce(World) -> S,
) -> S::Output {
    lives(folder, script, machines, true, story)
}

/// The same while the executions of earlier lives rest.
pub(crate) fn rest<S: Future>(
    folder: &Path,
    script: &Arc<Script>,
    machines: &[(&str, Value)],
    story: impl FnOnce(World) -> S,
) -> S::Output {
    lives(folder, script, machines, false, story)
}

fn lives<S: Future>(
    folder: &Path,
    script: &Arc<Script>,
    machines: &[(&str, Value)],
    goes_on: bool,
    story: impl FnOnce(World) -> S,
) -> S::Output {
    // The first life of this process begins to listen.
    let _ = tracing_subscriber::fmt().with_writer(|| News).with_ansi(false).try_init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime");
    let output = runtime.block_on(async {
        let settings = Settings {
            region: "eu-west-2".to_owned(),
            account: "000000000000".to_owned(),
            folder: folder.to_owned(),
            goes_on,
            service: Arc::clone(script) as Arc<dyn Service>,
            ended: {
                let script = Arc::clone(script);
                Arc::new(move |execution| {
                    let error = execution.failure.error.clone().unwrap_or_default();
                    let end = [execution.identity.name.clone(), execution.status.name().to_owned(), error];
                    script.ended.lock().expect("no test panicked").push(end);
                })
            },
            clock: now,
        };
        let machines = machines.iter().map(|(name, definition)| ((*name).to_owned(), definition.clone()));
        let states = StepFunctions::open(settings, machines).unwrap_or_else(|error| panic!("{error:#}"));
        story(World { states }).await
    });
    // Waits for what is at work: whoever opens the folder next is alone with it.
    drop(runtime);
    output
}

#[expect(clippy::disallowed_methods, reason = "what is scheduled here is slept for in real time")]
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

/// One task that calls a function of that name, with retries of an error called `Lambda.ServiceException`.
pub(crate) fn one_task(function: &str) -> Value {
    json!({
        "StartAt": "Work",
        "States": { "Work": {
            "Type": "Task",
            "Resource": Resource::LAMBDA_INVOKE,
            "Parameters": { "FunctionName": function, "Payload.$": "$" },
            "Retry": [{ "ErrorEquals": ["Lambda.ServiceException"], "IntervalSeconds": 1, "MaxDelaySeconds": 1, "JitterStrategy": "FULL" }],
            "End": true,
        } },
    })
}

/// The only journal of a folder.
pub(crate) fn journal(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it can be read").path());
    let found = files.find(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    found.expect("an execution has a journal")
}

pub(crate) fn machine_arn(name: &str) -> String {
    format!("arn:aws:states:eu-west-2:000000000000:stateMachine:{name}")
}

pub(crate) fn execution_arn(machine: &str, name: &str) -> String {
    format!("arn:aws:states:eu-west-2:000000000000:execution:{machine}:{name}")
}

impl World {
    /// A call that is answered.
    pub(crate) fn call(&self, operation: &str, input: &Value) -> Value {
        self.states.call(operation, input).unwrap_or_else(|refusal| panic!("{operation} {input}: {refusal}"))
    }

    /// The name of the refusal of a call.
    pub(crate) fn refusal(&self, operation: &str, input: &Value) -> &'static str {
        match self.states.call(operation, input) {
            Ok(answer) => panic!("{operation} {input} is answered: {answer}"),
            Err(refusal) => refusal.code,
        }
    }

    /// Starts an execution.
    pub(crate) fn start(&self, machine: &str, name: &str, input: &Value) {
        let input = input.to_string();
        self.call("StartExecution", &json!({ "stateMachineArn": machine_arn(machine), "name": name, "input": input }));
    }

    /// Waits until it ended.
    pub(crate) async fn wait(&self, machine: &str, name: &str) -> Status {
        self.states.find(&execution_arn(machine, name)).expect("it was started").ended().await
    }

    /// The same, from the start.
    pub(crate) async fn run(&self, machine: &str, name: &str, input: &Value) -> Status {
        self.start(machine, name, input);
        self.wait(machine, name).await
    }

    pub(crate) fn describe(&self, machine: &str, name: &str) -> Value {
        self.call("DescribeExecution", &json!({ "executionArn": execution_arn(machine, name) }))
    }

    /// Waits until the execution runs, or has run, again: the service answers a redrive before.
    pub(crate) async fn redriven(&self, machine: &str, name: &str, times: u64) -> Status {
        let entry = self.states.find(&execution_arn(machine, name)).expect("it was started");
        let mut changes = entry.watch();
        while entry.summary().redrives < times {
            changes.changed().await.expect("the execution lives");
        }
        entry.ended().await
    }

    /// Waits until the execution runs again, and answers how often it was redriven.
    pub(crate) async fn running_again(&self, machine: &str, name: &str) -> u64 {
        let entry = self.states.find(&execution_arn(machine, name)).expect("it was started");
        let mut changes = entry.watch();
        while entry.status() != Status::Running {
            changes.changed().await.expect("the execution lives");
        }
        entry.summary().redrives
    }

    /// Names of a machine's executions, as they are listed.
    pub(crate) fn listed(&self, machine: &str) -> Vec<String> {
        let answer = self.call("ListExecutions", &json!({ "stateMachineArn": machine_arn(machine) }));
        let executions = answer["executions"].as_array().expect("a list");
        executions.iter().map(|execution| execution["name"].as_str().expect("a name").to_owned()).collect()
    }
}
