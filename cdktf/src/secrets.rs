//! The credentials of both databases. Their values are set outside of Terraform, whose state would keep them.

use anyhow::Result;
use serde::Serialize;

use crate::plan::Plan;
use crate::stack::{Handle, Resource, Stack};

#[derive(Serialize)]
pub(crate) struct Secret {
    name: String,
    description: &'static str,
    kms_key_id: Option<String>,
    recovery_window_in_days: u32,
}

impl Resource for Secret {
    const TYPE: &'static str = "aws_secretsmanager_secret";
}

pub(crate) struct Secrets {
    pub(crate) source: Handle<Secret>,
    pub(crate) warehouse: Handle<Secret>,
}

impl Secrets {
    pub(crate) fn add(stack: &mut Stack, plan: &Plan<'_>) -> Result<Self> {
        let mut secret = |name: &str, description| {
            stack.add(
                name,
                Secret {
                    name: format!("{}/{name}", plan.prefix),
                    description,
                    kms_key_id: plan.environment.kms_key.clone(),
                    recovery_window_in_days: 7,
                },
            )
        };
        Ok(Self {
            source: secret("source", "The reader's credentials for the source: a Postgres URL or the JSON of RDS.")?,
            warehouse: secret("warehouse", "The loader's credentials for the warehouse, in the same form.")?,
        })
    }
}
