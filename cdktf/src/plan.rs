//! What a stack is made of: the catalogue under the name that its environment gives it.

use std::sync::Arc;

use catalog::{Catalog, Deployment};

use crate::environment::Environment;

/// A catalogue in an environment.
pub(crate) struct Plan<'p> {
    /// Every name; it begins with the environment's too, because two of them share an account.
    pub(crate) deployment: Deployment,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) environment: &'p Environment,
    /// Begins every name: `totesys-prod`.
    pub(crate) prefix: String,
}

impl Plan<'_> {
    /// Tags that every resource carries.
    pub(crate) fn tags(&self, environment: &str) -> serde_json::Value {
        serde_json::json!({
            "Pipeline": self.prefix, "Environment": environment, "ManagedBy": "cdk-for-terraform",
        })
    }
}
