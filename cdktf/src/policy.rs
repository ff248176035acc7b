//! IAM policy documents.

use serde_json::{Value, json};

/// One statement.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    sid: &'static str,
    effect: &'static str,
    principal: Option<Value>,
    actions: Vec<&'static str>,
    resources: Vec<String>,
    condition: Option<Value>,
}

impl Statement {
    /// Allows actions on resources.
    pub(crate) fn allow(sid: &'static str, actions: &[&'static str], resources: Vec<String>) -> Self {
        Self { sid, effect: "Allow", principal: None, actions: actions.to_vec(), resources, condition: None }
    }

    /// Denies them, whatever else allows them.
    pub(crate) fn deny(sid: &'static str, actions: &[&'static str], resources: Vec<String>) -> Self {
        Self { effect: "Deny", ..Self::allow(sid, actions, resources) }
    }

    /// For whom, in the policy of a resource.
    pub(crate) fn to(mut self, principal: Value) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Only when.
    pub(crate) fn when(mut self, condition: Value) -> Self {
        self.condition = Some(condition);
        self
    }

    fn json(self) -> Value {
        let mut statement = json!({ "Sid": self.sid, "Effect": self.effect, "Action": self.actions });
        if let Some(principal) = self.principal {
            statement["Principal"] = principal;
        }
        if !self.resources.is_empty() {
            statement["Resource"] = json!(self.resources);
        }
        if let Some(condition) = self.condition {
            statement["Condition"] = condition;
        }
        statement
    }
}

/// Denies what comes over the network in the clear, whoever it is.
pub(crate) fn tls_only(actions: &[&'static str], resources: Vec<String>) -> Statement {
    Statement::deny("OnlyOverTls", actions, resources)
        .to(json!("*"))
        .when(json!({ "Bool": { "aws:SecureTransport": "false" } }))
}

/// A document as IAM takes it.
pub(crate) fn document(statements: Vec<Statement>) -> String {
    let statements: Vec<Value> = statements.into_iter().map(Statement::json).collect();
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

/// Lets a service take a role; where the service tells for whom it does, for this account alone.
pub(crate) fn trust(service: &str, account: Option<&str>) -> String {
    let mut statement = Statement::allow("Assume", &["sts:AssumeRole"], Vec::new()).to(json!({ "Service": service }));
    if let Some(account) = account {
        statement = statement.when(json!({ "StringEquals": { "aws:SourceAccount": account } }));
    }
    document(vec![statement])
}
