//! Scripted services behind the interpreter.

use std::sync::Arc;

use asl::{Execution, Identity, Machine, Order, Resource, Signal, Status, Token};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// What a service answers: a result, or an error's name and cause.
pub(crate) type Answer = Result<Value, (&'static str, &'static str)>;

/// An execution, the services it calls, and the time.
pub(crate) struct Simulation<S> {
    pub(crate) execution: Execution,
    pub(crate) now: DateTime<Utc>,
    /// Every call: function name or `sns`, and what it was given.
    pub(crate) calls: Vec<(String, Value)>,
    service: S,
    due: Vec<(DateTime<Utc>, Signal)>,
}

pub(crate) fn identity() -> Identity {
    Identity {
        arn: "arn:aws:states:us-east-1:000000000000:execution:totesys-etl:run".into(),
        name: "run".into(),
        machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:totesys-etl".into(),
        machine_name: "totesys-etl".into(),
        role_arn: "arn:aws:iam::000000000000:role/totesys-etl".into(),
    }
}

impl<S: FnMut(&str, &Value) -> Answer> Simulation<S> {
    /// Runs a definition until it ends.
    pub(crate) fn run(definition: &Value, input: Value, service: S) -> Self {
        let machine = Machine::parse(definition).unwrap_or_else(|error| panic!("{error}"));
        Self::start(machine, input, service)
    }

    fn start(machine: Arc<Machine>, input: Value, service: S) -> Self {
        let now = DateTime::from_timestamp_millis(1_700_000_000_000).expect("a time");
        let (execution, orders) = Execution::start(machine, identity(), input, now);
        let mut simulation = Self { execution, now, calls: Vec::new(), service, due: Vec::new() };
        simulation.go(orders);
        simulation
    }

    pub(crate) fn redrive(&mut self) {
        self.execution.check_redrivable().unwrap_or_else(|error| panic!("{error}"));
        self.due.clear();
        self.now += TimeDelta::hours(1);
        let orders = self.execution.handle(&Signal::Redrive, self.now, 0);
        self.go(orders);
    }

    fn go(&mut self, orders: Vec<Order>) {
        self.obey(orders);
        while self.execution.status == Status::Running {
            self.due.sort_by_key(|(at, _)| *at);
            assert!(!self.due.is_empty(), "the execution waits for nothing");
            let (at, signal) = self.due.remove(0);
            self.now = self.now.max(at);
            let orders = self.execution.handle(&signal, self.now, 1_000_000);
            self.obey(orders);
        }
    }

    fn obey(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::End => {}
                Order::Wake { token, at } => self.due.push((at, Signal::Woken { token })),
                Order::Call { token, resource, parameters } => self.call(token, resource, &parameters),
            }
        }
    }

    fn call(&mut self, token: Token, resource: Resource, parameters: &Value) {
        let (name, given) = match resource {
            Resource::LambdaInvoke => {
                let name = parameters["FunctionName"].as_str().expect("a function name").to_owned();
                (name, parameters["Payload"].clone())
            }
            Resource::SnsPublish => ("sns".to_owned(), parameters.clone()),
        };
        self.calls.push((name.clone(), given.clone()));
        let signal = match ((self.service)(&name, &given), resource) {
            (Ok(answer), Resource::LambdaInvoke) => Signal::TaskSucceeded {
                token,
                output: json!({ "ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200 }),
            },
            (Ok(_), Resource::SnsPublish) => Signal::TaskSucceeded { token, output: json!({ "MessageId": "m" }) },
            // A service that never answers: the state's own timeout has to.
            (Err(("silence", _)), _) => return,
            (Err((error, cause)), _) => Signal::TaskFailed { token, error: error.to_owned(), cause: cause.to_owned() },
        };
        self.due.push((self.now, signal));
    }

    /// How often a function was called.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.calls.iter().filter(|(called, _)| called == name).count()
    }
}
