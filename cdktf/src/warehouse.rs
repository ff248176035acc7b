//! A Postgres of Amazon RDS for the warehouse, for those who have none.
//!
//! RDS makes the loader's password, keeps it in a secret of its own and changes it every week: no human and no Terraform
//! state ever holds it.

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::stack::{Handle, Resource, Stack};

#[derive(Serialize)]
struct SubnetGroup {
    name: String,
    description: String,
    subnet_ids: Vec<String>,
}

impl Resource for SubnetGroup {
    const TYPE: &'static str = "aws_db_subnet_group";
}

#[derive(Serialize)]
struct ParameterGroup {
    name: String,
    description: String,
    family: String,
    parameter: Vec<Value>,
}

impl Resource for ParameterGroup {
    const TYPE: &'static str = "aws_db_parameter_group";
}

#[derive(Serialize)]
struct SecurityGroup {
    name: String,
    description: String,
    vpc_id: String,
}

impl Resource for SecurityGroup {
    const TYPE: &'static str = "aws_security_group";
}

#[derive(Serialize)]
struct IngressRule {
    security_group_id: String,
    description: &'static str,
    referenced_security_group_id: String,
    ip_protocol: &'static str,
    from_port: u16,
    to_port: u16,
}

impl Resource for IngressRule {
    const TYPE: &'static str = "aws_vpc_security_group_ingress_rule";
}

#[derive(Serialize)]
pub(crate) struct Instance {
    identifier: String,
    engine: &'static str,
    engine_version: &'static str,
    instance_class: String,
    db_name: &'static str,
    username: &'static str,
    manage_master_user_password: bool,
    master_user_secret_kms_key_id: Option<String>,
    allocated_storage: u32,
    max_allocated_storage: u32,
    storage_type: &'static str,
    storage_encrypted: bool,
    kms_key_id: Option<String>,
    db_subnet_group_name: String,
    vpc_security_group_ids: Vec<String>,
    parameter_group_name: String,
    publicly_accessible: bool,
    iam_database_authentication_enabled: bool,
    backup_retention_period: u32,
    copy_tags_to_snapshot: bool,
    deletion_protection: bool,
    final_snapshot_identifier: String,
    auto_minor_version_upgrade: bool,
    enabled_cloudwatch_logs_exports: [&'static str; 2],
}

impl Resource for Instance {
    const TYPE: &'static str = "aws_db_instance";
}

/// The major version. RDS takes minor ones by itself.
const VERSION: &str = "17";
const PORT: u16 = 5432;
/// The database on the server.
const DATABASE: &str = "warehouse";

/// The server of the warehouse.
pub(crate) struct Warehouse {
    pub(crate) instance: Handle<Instance>,
}

impl Warehouse {
    /// Adds it where the environment asks for one.
    pub(crate) fn add(stack: &mut Stack, plan: &Plan<'_>) -> Result<Option<Self>> {
        let Some(class) = &plan.environment.warehouse else { return Ok(None) };
        let name = plan.deployment.warehouse_server();
        let description = format!("{}: the warehouse", plan.prefix);
        let first = plan.environment.subnets.first().context("a warehouse needs subnets")?;
        let vpc_id = stack.data("aws_subnet", "warehouse", json!({ "id": first }), "vpc_id");
        let subnets = stack.add(
            "warehouse",
            SubnetGroup {
                name: name.clone(),
                description: description.clone(),
                subnet_ids: plan.environment.subnets.clone(),
            },
        )?;
        let group =
            stack.add("warehouse", SecurityGroup { name: name.clone(), description: description.clone(), vpc_id })?;
        for (number, functions) in plan.environment.security_groups.iter().enumerate() {
            stack.add(
                &format!("warehouse-{}", number + 1),
                IngressRule {
                    security_group_id: group.get("id"),
                    description: "The functions.",
                    referenced_security_group_id: functions.clone(),
                    ip_protocol: "tcp",
                    from_port: PORT,
                    to_port: PORT,
                },
            )?;
        }
        let parameters = stack.add(
            "warehouse",
            ParameterGroup {
                name: name.clone(),
                description,
                family: format!("postgres{VERSION}"),
                parameter: vec![
                    // Nobody speaks to it in the clear.
                    json!({ "name": "rds.force_ssl", "value": "1" }),
                    // Who changed which table, and which queries are slow; not every one of the loader's.
                    json!({ "name": "log_statement", "value": "ddl" }),
                    json!({ "name": "log_min_duration_statement", "value": "5000" }),
                ],
            },
        )?;
        let key = &plan.environment.kms_key;
        let instance = stack.add(
            "warehouse",
            Instance {
                identifier: name.clone(),
                engine: "postgres",
                engine_version: VERSION,
                instance_class: class.clone(),
                db_name: DATABASE,
                username: "loader",
                manage_master_user_password: true,
                master_user_secret_kms_key_id: key.clone(),
                allocated_storage: 20,
                max_allocated_storage: 1_000,
                storage_type: "gp3",
                storage_encrypted: true,
                kms_key_id: key.clone(),
                db_subnet_group_name: subnets.get("name"),
                vpc_security_group_ids: vec![group.get("id")],
                parameter_group_name: parameters.get("name"),
                publicly_accessible: false,
                iam_database_authentication_enabled: true,
                // The history of facts is nowhere else: the source forgets it.
                backup_retention_period: 14,
                copy_tags_to_snapshot: true,
                deletion_protection: true,
                final_snapshot_identifier: format!("{name}-final"),
                auto_minor_version_upgrade: true,
                enabled_cloudwatch_logs_exports: ["postgresql", "upgrade"],
            },
        )?;
        stack.output("warehouse_host", instance.get("address"), "The warehouse's server; its database is warehouse.");
        stack.output("warehouse_security_group", group.get("id"), "Let analysts in by rules of this group.");
        Ok(Some(Self { instance }))
    }

    /// The secret that RDS keeps the loader's password in.
    pub(crate) fn secret(&self) -> String {
        self.instance.get("master_user_secret[0].secret_arn")
    }

    /// Where it is, which that secret does not say: host and database.
    pub(crate) fn place(&self) -> (String, String) {
        (self.instance.get("address"), DATABASE.to_owned())
    }
}
