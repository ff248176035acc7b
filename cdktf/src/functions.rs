//! The Lambda functions, each with its own role, log group and environment.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use catalog::deployment::variable;
use catalog::key::Bucket;
use catalog::{Access, Function, Side};
use serde::Serialize;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::policy::{Statement, document, trust};
use crate::secrets::Secrets;
use crate::stack::{ACCOUNT, Handle, PARTITION, Resource, Stack, literal};
use crate::storage::Buckets;

#[derive(Serialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) assume_role_policy: String,
}

impl Resource for Role {
    const TYPE: &'static str = "aws_iam_role";
}

#[derive(Serialize)]
pub(crate) struct RolePolicy {
    pub(crate) name: &'static str,
    pub(crate) role: String,
    pub(crate) policy: String,
}

impl Resource for RolePolicy {
    const TYPE: &'static str = "aws_iam_role_policy";
}

/// A policy of its own: a role's inline policies may have 10,240 characters together, this one 6,144 and there may be ten.
#[derive(Serialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) policy: String,
}

impl Resource for Policy {
    const TYPE: &'static str = "aws_iam_policy";
}

#[derive(Serialize)]
pub(crate) struct PolicyAttachment {
    pub(crate) role: String,
    pub(crate) policy_arn: String,
}

impl Resource for PolicyAttachment {
    const TYPE: &'static str = "aws_iam_role_policy_attachment";
}

#[derive(Serialize)]
pub(crate) struct LogGroup {
    pub(crate) name: String,
    pub(crate) retention_in_days: u32,
    pub(crate) kms_key_id: Option<String>,
}

impl Resource for LogGroup {
    const TYPE: &'static str = "aws_cloudwatch_log_group";
}

#[derive(Serialize)]
struct Object {
    bucket: String,
    key: String,
    source: String,
    source_hash: String,
}

impl Resource for Object {
    const TYPE: &'static str = "aws_s3_object";
}

#[derive(Serialize)]
pub(crate) struct LambdaFunction {
    function_name: String,
    description: String,
    role: String,
    runtime: &'static str,
    handler: &'static str,
    architectures: [&'static str; 1],
    memory_size: u32,
    timeout: u32,
    s3_bucket: String,
    s3_key: String,
    source_code_hash: String,
    environment: Value,
    tracing_config: Value,
    logging_config: Value,
    kms_key_arn: Option<String>,
    vpc_config: Option<Value>,
    depends_on: Vec<String>,
}

impl Resource for LambdaFunction {
    const TYPE: &'static str = "aws_lambda_function";
}

/// Where `scripts/package` leaves the archive of a program, seen from the folder that Terraform runs in.
fn package(plan: &Plan<'_>, program: &str) -> String {
    format!("${{path.module}}/../../../../target/packages/{}/{program}.zip", plan.environment.architecture.name())
}

/// A deployed function.
pub(crate) struct Deployed {
    pub(crate) name: String,
    /// As alarms call it.
    pub(crate) short: String,
    pub(crate) function: Handle<LambdaFunction>,
    pub(crate) logs: Handle<LogGroup>,
    pub(crate) sizing: catalog::Sizing,
}

/// All functions.
pub(crate) struct Functions {
    pub(crate) all: Vec<Deployed>,
}

impl Functions {
    pub(crate) fn add(stack: &mut Stack, plan: &Plan<'_>, buckets: &Buckets, secrets: &Secrets) -> Result<Self> {
        let mut functions = Self { all: Vec::new() };
        let mut archives = BTreeMap::new();
        for function in plan.catalog.all_functions() {
            let program = function.program();
            if !archives.contains_key(program) {
                archives.insert(program, archive(stack, plan, buckets, program)?);
            }
            let archive = archives.get(program).context("the archive was added")?;
            functions.all.push(deploy(stack, plan, buckets, secrets, function, archive)?);
        }
        Ok(functions)
    }
}

/// One archive a program: all extractions run the same one.
fn archive(stack: &mut Stack, plan: &Plan<'_>, buckets: &Buckets, program: &str) -> Result<Handle<Object>> {
    let source = package(plan, program);
    let object = Object {
        bucket: buckets.artefacts.get("id"),
        key: format!("functions/{program}.zip"),
        source_hash: format!("${{filesha256(\"{source}\")}}"),
        source,
    };
    stack.add(program, object)
}

fn deploy(
    stack: &mut Stack,
    plan: &Plan<'_>,
    buckets: &Buckets,
    secrets: &Secrets,
    function: Function<'_>,
    archive: &Handle<Object>,
) -> Result<Deployed> {
    let name = plan.deployment.function(function);
    let access = plan.catalog.access(function);
    let role = stack.add(
        &name,
        Role {
            name: name.clone(),
            description: format!("What the function {name} may do."),
            assume_role_policy: trust("lambda.amazonaws.com", None),
        },
    )?;
    let logs = stack.add(
        &name,
        LogGroup {
            name: plan.deployment.log_group(function),
            retention_in_days: plan.environment.log_days,
            kms_key_id: plan.environment.kms_key.clone(),
        },
    )?;
    let policy = document(statements(plan, buckets, secrets, &access, &logs));
    let attached = stack.add(&name, RolePolicy { name: "function", role: role.get("id"), policy })?;
    let sizing = plan.catalog.sizing(function);
    let subject = function.subject().map(|subject| format!(" {subject}")).unwrap_or_default();
    let deployed = stack.add(
        &name,
        LambdaFunction {
            function_name: name.clone(),
            description: literal(&format!("{}: {}{subject}", plan.prefix, function.program())),
            role: role.arn(),
            runtime: "provided.al2023",
            handler: "bootstrap",
            architectures: [plan.environment.architecture.name()],
            memory_size: sizing.memory_mb,
            timeout: sizing.timeout_seconds,
            s3_bucket: archive.get("bucket"),
            s3_key: archive.get("key"),
            source_code_hash: format!("${{filebase64sha256(\"{}\")}}", package(plan, function.program())),
            environment: json!({ "variables": variables(buckets, secrets, &access) }),
            tracing_config: json!({ "mode": "Active" }),
            logging_config: json!({ "log_format": "Text", "log_group": logs.get("name") }),
            kms_key_arn: plan.environment.kms_key.clone(),
            vpc_config: vpc(plan),
            // Its first call needs both.
            depends_on: vec![attached.address(), logs.address()],
        },
    )?;
    let short = plan.deployment.short_name(function);
    Ok(Deployed { name, short, function: deployed, logs, sizing })
}

fn vpc(plan: &Plan<'_>) -> Option<Value> {
    let environment = plan.environment;
    (!environment.subnets.is_empty())
        .then(|| json!({ "subnet_ids": environment.subnets, "security_group_ids": environment.security_groups }))
}

/// The settings of a function, under the names that `host::settings` reads.
fn variables(buckets: &Buckets, secrets: &Secrets, access: &Access) -> BTreeMap<&'static str, String> {
    let mut variables = BTreeMap::from([
        (variable::bucket(Bucket::Ingestion), buckets.ingestion.get("id")),
        (variable::bucket(Bucket::Processed), buckets.processed.get("id")),
    ]);
    if let Some(side) = access.database {
        variables.insert(variable::secret(side), secrets.of(side).to_owned());
    }
    if let (Some(Side::Warehouse), Some((host, database))) = (access.database, &secrets.warehouse_place) {
        variables.insert(variable::WAREHOUSE_HOST, host.clone());
        variables.insert(variable::WAREHOUSE_DATABASE, database.clone());
    }
    variables
}

/// What a function may do: its prefixes, its secret, its logs. Nothing with `*` but what AWS has no resource for.
fn statements(
    plan: &Plan<'_>,
    buckets: &Buckets,
    secrets: &Secrets,
    access: &Access,
    logs: &Handle<LogGroup>,
) -> Vec<Statement> {
    let own_logs = vec![format!("{}:*", logs.arn())];
    let mut statements = vec![
        Statement::allow("WriteOwnLog", &["logs:CreateLogStream", "logs:PutLogEvents"], own_logs),
        // X-Ray has no resources.
        Statement::allow("Trace", &["xray:PutTelemetryRecords", "xray:PutTraceSegments"], vec!["*".to_owned()]),
    ];
    let bucket = |of: Bucket| match of {
        Bucket::Ingestion => buckets.ingestion.arn(),
        Bucket::Processed => buckets.processed.arn(),
    };
    let objects = |prefixes: &[(Bucket, String)]| -> Vec<String> {
        prefixes.iter().map(|(of, prefix)| format!("{}/{}*", bucket(*of), literal(prefix))).collect()
    };
    if !access.reads.is_empty() {
        statements.push(Statement::allow("ReadOwnPrefixes", &["s3:GetObject"], objects(&access.reads)));
        for (of, sid) in [(Bucket::Ingestion, "ListIngestion"), (Bucket::Processed, "ListProcessed")] {
            let own = access.reads.iter().filter(|(bucket, _)| *bucket == of);
            let prefixes: Vec<String> = own.map(|(_, prefix)| format!("{}*", literal(prefix))).collect();
            if !prefixes.is_empty() {
                let listed = Statement::allow(sid, &["s3:ListBucket"], vec![bucket(of)]);
                // If it exists: where an object is missing S3 asks for this permission, without a prefix, before it says
                // so and not "access denied".
                statements.push(listed.when(json!({ "StringLikeIfExists": { "s3:prefix": prefixes } })));
            }
        }
    }
    if !access.creates.is_empty() {
        statements.push(Statement::allow("CreateOwnObjects", &["s3:PutObject"], objects(&access.creates)));
    }
    if let Some(side) = access.database {
        let own = vec![secrets.of(side).to_owned()];
        statements.push(Statement::allow("ReadOwnSecret", &["secretsmanager:GetSecretValue"], own));
    }
    if access.executions {
        let machine = format!(
            "arn:{PARTITION}:states:{}:{ACCOUNT}:stateMachine:{}",
            plan.environment.region,
            plan.deployment.state_machine()
        );
        statements.push(Statement::allow("ListExecutions", &["states:ListExecutions"], vec![machine]));
    }
    if let Some(key) = &plan.environment.kms_key {
        let actions = ["kms:Decrypt", "kms:GenerateDataKey"];
        statements.push(Statement::allow("UseTheKey", &actions, vec![key.clone()]));
    }
    if vpc(plan).is_some() {
        let actions = ["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces"];
        // Lambda demands them on everything before it puts a function into a VPC.
        statements.push(Statement::allow("JoinTheVpc", &actions, vec!["*".to_owned()]));
    }
    statements
}
