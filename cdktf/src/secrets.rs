//! The credentials of both databases. Their values are set outside of Terraform, whose state would keep them.

use anyhow::Result;
use catalog::Side;
use serde::Serialize;

use crate::plan::Plan;
use crate::stack::{Resource, Stack};
use crate::warehouse::Warehouse;

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

/// The ARNs of the secrets.
pub(crate) struct Secrets {
    source: String,
    warehouse: String,
    /// Host and database of the warehouse, where its secret does not say them.
    pub(crate) warehouse_place: Option<(String, String)>,
}

impl Secrets {
    /// The ARN of a database's secret.
    pub(crate) fn of(&self, side: Side) -> &str {
        match side {
            Side::Source => &self.source,
            Side::Warehouse => &self.warehouse,
        }
    }

    pub(crate) fn add(stack: &mut Stack, plan: &Plan<'_>, own: Option<&Warehouse>) -> Result<Self> {
        let mut secret = |side: Side, description| -> Result<String> {
            let name = side.name();
            let secret = stack.add(
                name,
                Secret {
                    name: plan.deployment.secret(side),
                    description,
                    kms_key_id: plan.environment.kms_key.clone(),
                    recovery_window_in_days: 7,
                },
            )?;
            stack.output(&format!("{name}_secret"), secret.get("name"), description);
            Ok(secret.arn())
        };
        let source =
            secret(Side::Source, "The reader's credentials for the source: a Postgres URL or the JSON of RDS.")?;
        let warehouse = match own {
            Some(own) => own.secret(),
            None => secret(Side::Warehouse, "The loader's credentials for the warehouse, in the same form.")?,
        };
        Ok(Self { source, warehouse, warehouse_place: own.map(Warehouse::place) })
    }
}
