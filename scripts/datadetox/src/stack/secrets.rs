//! Secrets Manager with two secrets: the credentials of source and warehouse. A function reads its own alone.

use std::collections::HashMap;

use catalog::Catalog;
use serde_json::{Value, json};

use super::credentials::{ACCOUNT, REGION};
use super::gateway::Refusal;

/// Names and values of the secrets, and who reads which.
pub(crate) struct Secrets {
    values: HashMap<String, String>,
    readers: HashMap<String, Vec<String>>,
}

/// The names of the secrets of a pipeline: source, warehouse.
pub(crate) fn names(catalog: &Catalog) -> (String, String) {
    let name = &catalog.pipeline.name;
    (format!("{name}/source"), format!("{name}/warehouse"))
}

impl Secrets {
    pub(crate) fn new(catalog: &Catalog, source: String, warehouse: String) -> Self {
        let (source_name, warehouse_name) = names(catalog);
        let mut readers: HashMap<String, Vec<String>> = HashMap::new();
        for function in catalog.all_functions() {
            let access = catalog.access(function);
            for (needed, secret) in [(access.source, &source_name), (access.warehouse, &warehouse_name)] {
                if needed {
                    readers.entry(secret.clone()).or_default().push(catalog.function_name(function));
                }
            }
        }
        Self { values: HashMap::from([(source_name, source), (warehouse_name, warehouse)]), readers }
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
