//! One function instance: a process, its Runtime API, its limits.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;
use tokio::sync::oneshot;

use super::runtime_api::{Answer, Event, RuntimeApi};
use super::{Deployed, Invoked, MAX_PAYLOAD, runtime_error};
use crate::clock;
use crate::process::{self, Ending};

/// How often the memory of a working function is looked at.
const LOOK: Duration = Duration::from_millis(25);
/// How long a function may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) struct Instance {
    function: Deployed,
    child: Child,
    api: RuntimeApi,
    reusable: bool,
    peak: Option<u64>,
}

/// Why a call ended before its answer.
enum Early {
    Exit(String),
    Memory(u64),
    Timeout,
}

impl Instance {
    pub(super) async fn start(function: &Deployed) -> Result<Self> {
        let call_time = Duration::from_secs(function.sizing.timeout_seconds.into());
        let api = RuntimeApi::listen(call_time).await?;
        let log = fs::OpenOptions::new().create(true).append(true).open(&function.log)?;
        let mut command = process::command(&function.program, Ending::Kill);
        command.env_clear().envs(&function.environment);
        for (name, value) in [
            ("AWS_LAMBDA_RUNTIME_API", api.address.as_str()),
            ("_HANDLER", function.handler),
            ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.sizing.memory_mb.to_string()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &function.log_group),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ] {
            command.env(name, value);
        }
        command.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log));
        let child = command.spawn().with_context(|| format!("cannot start {}", function.program.display()))?;
        Ok(Self { function: function.clone(), child, api, reusable: true, peak: None })
    }

    pub(super) fn function(&self) -> &str {
        &self.function.name
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The most memory it held so far, where the system tells.
    pub(super) fn peak_bytes(&self) -> Option<u64> {
        self.peak
    }

    /// Whether it may serve another call.
    pub(super) fn is_reusable(&self) -> bool {
        self.reusable
    }

    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Serves one call. After anything but an answer the process is gone.
    pub(super) async fn invoke(&mut self, request_id: &str, body: String, deadline: DateTime<Utc>) -> Invoked {
        let (answer, answered) = oneshot::channel();
        let event = Event {
            request_id: request_id.to_owned(),
            deadline_ms: deadline.timestamp_millis(),
            arn: self.function.arn(),
            body,
            answer,
        };
        let began = Instant::now();
        // The channel holds one call, and an instance serves one at a time: it is never full.
        let sent = self.api.events.send(event).await.is_ok();
        let outcome =
            if sent { self.wait(answered).await } else { Err(Early::Exit("its Runtime API is gone".to_owned())) };
        let invoked = match outcome {
            Ok(Answer::TooLarge) => Err(runtime_error(
                "Function.ResponseSizeTooLarge",
                format!("Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes)."),
            )),
            Ok(Answer::Response(body)) => response(&body),
            Ok(Answer::Error(body)) => Err(reported(&body)),
            Err(early) => {
                self.reusable = false;
                // Killed whatever it still does; waiting for it frees its process id.
                let _ = self.child.kill().await;
                Err(self.describe(&early, request_id))
            }
        };
        self.log_report(request_id, began.elapsed(), &invoked).await;
        invoked
    }

    async fn wait(&mut self, answered: oneshot::Receiver<Answer>) -> Result<Answer, Early> {
        let timeout = Duration::from_secs(self.function.sizing.timeout_seconds.into());
        let limit = u64::from(self.function.sizing.memory_mb) << 20;
        let pid = self.child.id();
        let mut look = tokio::time::interval(LOOK);
        let mut answered = answered;
        let deadline = tokio::time::sleep(timeout);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => {
                    self.peak = pid.and_then(memory).or(self.peak);
                    return answer.map_err(|_| Early::Exit("its Runtime API is gone".to_owned()));
                }
                status = self.child.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    return Err(Early::Exit(status));
                }
                () = &mut deadline => return Err(Early::Timeout),
                _ = look.tick() => {
                    self.peak = pid.and_then(memory).or(self.peak);
                    if let Some(held) = self.peak.filter(|held| *held > limit) {
                        return Err(Early::Memory(held));
                    }
                }
            }
        }
    }

    /// As Lambda puts it.
    fn describe(&self, early: &Early, request_id: &str) -> super::InvocationError {
        match early {
            Early::Timeout => {
                let seconds = self.function.sizing.timeout_seconds;
                let message = format!("RequestId: {request_id} Error: Task timed out after {seconds}.00 seconds");
                runtime_error("Sandbox.Timedout", message)
            }
            Early::Exit(status) => {
                let message = format!("RequestId: {request_id} Error: Runtime exited with error: {status}");
                runtime_error("Runtime.ExitError", message)
            }
            Early::Memory(held) => {
                let (held, limit) = (held >> 20, self.function.sizing.memory_mb);
                let message = format!(
                    "RequestId: {request_id} Error: Runtime exited with error: signal: killed (it held {held} MB of {limit} MB)"
                );
                runtime_error("Runtime.ExitError", message)
            }
        }
    }

    /// Lambda's own line in the function's log.
    async fn log_report(&self, request_id: &str, took: Duration, invoked: &Invoked) {
        let peak = self.peak.map_or_else(|| "unknown".to_owned(), |peak| format!("{} MB", peak >> 20));
        let status = match invoked {
            Ok(_) => "success".to_owned(),
            Err(error) => error.error.clone(),
        };
        let line = format!(
            "{} REPORT RequestId: {request_id} Duration: {} ms Memory Size: {} MB Max Memory Used: {peak} Status: {status}\n",
            clock::now().to_rfc3339(),
            took.as_millis(),
            self.function.sizing.memory_mb,
        );
        let file = tokio::fs::OpenOptions::new().append(true).create(true).open(&self.function.log).await;
        if let Ok(mut file) = file {
            // A full disk must not fail a call that was served.
            let _ = file.write_all(line.as_bytes()).await;
            let _ = file.flush().await;
        }
    }

    /// Ends the process. Its Runtime API goes after it and not before: Lambda never answers the call for an event that does
    /// not come, and a function that it were taken from would panic.
    pub(super) async fn stop(mut self) {
        // One that cannot be ended so is killed when it is dropped.
        let _ = process::end(&mut self.child, Ending::Terminate, PATIENCE).await;
    }
}

/// What a function answered. Step Functions carries it in an envelope of one level.
fn response(body: &[u8]) -> Invoked {
    let malformed = |what: String| runtime_error("Runtime.MalformedResponse", what);
    let answer: Value = serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let mut enveloped = Value::Array(vec![answer]);
    if asl::nests_too_deep(&enveloped) {
        return Err(malformed(format!("the answer nests deeper than {} levels", asl::MAX_NESTING - 1)));
    }
    Ok(enveloped[0].take())
}

/// What a function reported, under the name it gave.
fn reported(body: &[u8]) -> super::InvocationError {
    let cause = String::from_utf8_lossy(body).into_owned();
    let report: Option<Value> = serde_json::from_slice(body).ok();
    let error = report.as_ref().and_then(|report| report.get("errorType")).and_then(Value::as_str);
    super::InvocationError { error: error.unwrap_or("Lambda.Unknown").to_owned(), cause }
}

/// The most memory a process held, in bytes; its present memory where only that is told.
fn memory(pid: u32) -> Option<u64> {
    if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) {
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        return Some(kilobytes << 10);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use catalog::Sizing;

    use super::*;

    /// Stands for a function between two calls.
    const PROGRAM: &str = "#!/bin/sh
        trap 'echo asked to end; exit' TERM
        echo waits
        while :; do sleep 0.02; done
    ";

    #[test]
    fn an_answer_nests_no_deeper_than_its_execution_bears() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(response(nested(63).as_bytes()).is_ok());
        for levels in [64, 120, 100_000] {
            let refused = response(nested(levels).as_bytes()).map_err(|refused| refused.error);
            assert_eq!(refused, Err("Runtime.MalformedResponse".to_owned()), "{levels}");
        }
    }

    #[tokio::test]
    async fn an_idle_function_is_asked_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let (program, log) = (folder.path().join("function"), folder.path().join("log"));
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let function = Deployed {
            name: "function".to_owned(),
            program,
            handler: "halt",
            sizing: Sizing { memory_mb: 128, timeout_seconds: 3 },
            environment: std::collections::BTreeMap::new(),
            log: log.clone(),
            log_group: "/aws/lambda/function".to_owned(),
        };
        let instance = Instance::start(&function).await.unwrap();
        let waits = async {
            while fs::read_to_string(&log).unwrap() != "waits\n" {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap();
        instance.stop().await;
        assert_eq!(fs::read_to_string(&log).unwrap(), "waits\nasked to end\n");
    }
}
