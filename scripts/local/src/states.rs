//! Step Functions here: who may ask it for what.

use std::sync::Arc;

use catalog::Deployment;
use emulator::StepFunctions;
use serde_json::Value;

use crate::credentials::OPERATOR;
use crate::refusal::Refusal;

pub(crate) struct States {
    states: Arc<StepFunctions>,
    /// The functions that may ask which executions run.
    listers: Vec<String>,
}

impl States {
    pub(crate) fn new(states: Arc<StepFunctions>, deployment: &Deployment) -> Self {
        let catalog = &deployment.catalog;
        let listers = catalog.all_functions().filter(|function| catalog.access(*function).executions);
        let listers = listers.map(|function| deployment.function(function)).collect();
        Self { states, listers }
    }

    pub(crate) fn call(&self, operation: &str, identity: &str, input: &Value) -> Result<Value, Refusal> {
        let may_list = operation == "ListExecutions" && self.listers.iter().any(|lister| lister == identity);
        if identity != OPERATOR && !may_list {
            return Err(Refusal::denied(identity, &format!("states:{operation}")));
        }
        self.states.call(operation, input).map_err(|refusal| Refusal::new(refusal.code, refusal.message))
    }
}
