//! A state machine as it is deployed.

use std::sync::Arc;

use asl::{DefinitionError, Identity, Machine};
use serde_json::{Value, json};

/// A state machine: its names and its definition.
#[derive(Debug)]
pub struct StateMachine {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The role it runs under.
    pub role_arn: String,
    /// Its definition.
    pub definition: Value,
    pub(crate) machine: Arc<Machine>,
}

impl StateMachine {
    pub(crate) fn new(region: &str, account: &str, name: String, definition: Value) -> Result<Self, DefinitionError> {
        Ok(Self {
            arn: format!("arn:aws:states:{region}:{account}:stateMachine:{name}"),
            role_arn: format!("arn:aws:iam::{account}:role/{name}"),
            machine: Machine::parse(&definition)?,
            name,
            definition,
        })
    }

    /// The ARN that an execution of that name has, whether or not there is one.
    #[must_use]
    pub fn execution_arn(&self, name: &str) -> String {
        format!("{}:{name}", self.arn.replacen(":stateMachine:", ":execution:", 1))
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        Identity {
            arn: self.execution_arn(name),
            name: name.to_owned(),
            machine_arn: self.arn.clone(),
            machine_name: self.name.clone(),
            role_arn: self.role_arn.clone(),
        }
    }

    pub(crate) fn summary(&self) -> Value {
        json!({ "stateMachineArn": self.arn, "name": self.name, "type": "STANDARD", "creationDate": 0 })
    }
}
