//! Secrets Manager with two secrets: the credentials of source and warehouse. A function reads its own alone.

use std::collections::HashMap;

use catalog::{Deployment, Side};
use serde_json::{Value, json};

use crate::credentials::{ACCOUNT, REGION};
use crate::refusal::Refusal;

/// Names and values of the secrets, and who reads which.
pub(crate) struct Secrets {
    values: HashMap<String, String>,
    readers: HashMap<String, Vec<String>>,
}

impl Secrets {
    pub(crate) fn new(deployment: &Deployment, source: String, warehouse: String) -> Self {
        let catalog = &deployment.catalog;
        let mut readers: HashMap<String, Vec<String>> = HashMap::new();
        for function in catalog.all_functions() {
            if let Some(side) = catalog.access(function).database {
                readers.entry(deployment.secret(side)).or_default().push(deployment.function(function));
            }
        }
        let values = [(Side::Source, source), (Side::Warehouse, warehouse)];
        Self { values: values.map(|(side, value)| (deployment.secret(side), value)).into(), readers }
    }

    pub(crate) fn call(&self, operation: &str, identity: &str, input: &Value) -> Result<Value, Refusal> {
        if operation != "GetSecretValue" {
            return Err(Refusal::new("UnknownOperationException", format!("{operation} is not supported here")));
        }
        let id = input["SecretId"].as_str().unwrap_or_default();
        let Some(value) = self.values.get(id) else {
            return Err(Refusal::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret."));
        };
        if !self.readers.get(id).is_some_and(|readers| readers.iter().any(|reader| reader == identity)) {
            return Err(Refusal::denied(identity, &format!("secretsmanager:GetSecretValue on {id}")));
        }
        let arn = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{id}");
        Ok(json!({ "ARN": arn, "Name": id, "SecretString": value, "VersionStages": ["AWSCURRENT"] }))
    }
}
