//! The buckets: ingestion, processed, and the artefacts that functions are deployed from.

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::policy::{Statement, document, tls_only};
use crate::stack::{ACCOUNT, Handle, PARTITION, Resource, Stack};

#[derive(Serialize)]
pub(crate) struct Bucket {
    bucket: String,
    force_destroy: bool,
}

impl Resource for Bucket {
    const TYPE: &'static str = "aws_s3_bucket";
}

#[derive(Serialize)]
struct Versioning {
    bucket: String,
    versioning_configuration: Value,
}

impl Resource for Versioning {
    const TYPE: &'static str = "aws_s3_bucket_versioning";
}

#[derive(Serialize)]
struct Encryption {
    bucket: String,
    rule: Vec<Value>,
}

impl Resource for Encryption {
    const TYPE: &'static str = "aws_s3_bucket_server_side_encryption_configuration";
}

#[derive(Serialize)]
struct PublicAccessBlock {
    bucket: String,
    block_public_acls: bool,
    block_public_policy: bool,
    ignore_public_acls: bool,
    restrict_public_buckets: bool,
}

impl Resource for PublicAccessBlock {
    const TYPE: &'static str = "aws_s3_bucket_public_access_block";
}

#[derive(Serialize)]
struct BucketPolicy {
    bucket: String,
    policy: String,
}

impl Resource for BucketPolicy {
    const TYPE: &'static str = "aws_s3_bucket_policy";
}

#[derive(Serialize)]
struct Lifecycle {
    bucket: String,
    rule: Vec<Value>,
}

impl Resource for Lifecycle {
    const TYPE: &'static str = "aws_s3_bucket_lifecycle_configuration";
}

#[derive(Serialize)]
struct AccessLogs {
    bucket: String,
    target_bucket: String,
    target_prefix: String,
}

impl Resource for AccessLogs {
    const TYPE: &'static str = "aws_s3_bucket_logging";
}

/// The three buckets.
pub(crate) struct Buckets {
    pub(crate) ingestion: Handle<Bucket>,
    pub(crate) processed: Handle<Bucket>,
    pub(crate) artefacts: Handle<Bucket>,
}

impl Buckets {
    pub(crate) fn add(stack: &mut Stack, plan: &Plan<'_>) -> Result<Self> {
        Ok(Self {
            ingestion: of_lake(stack, plan, catalog::key::Bucket::Ingestion)?,
            processed: of_lake(stack, plan, catalog::key::Bucket::Processed)?,
            artefacts: bucket(stack, plan, "artefacts", plan.deployment.artefacts_in(ACCOUNT))?,
        })
    }

    /// What the stack's roles create they never overwrite or delete, whatever their own policies say. The roles are told
    /// by their names' beginning: a list of them would outgrow a bucket's policy.
    pub(crate) fn protect(&self, stack: &mut Stack, plan: &Plan<'_>) -> Result<()> {
        let roles = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/{}-*", plan.prefix);
        let functions = json!({ "ArnLike": { "aws:PrincipalArn": roles } });
        for (name, bucket) in [("ingestion", &self.ingestion), ("processed", &self.processed)] {
            let (own, objects) = (bucket.arn(), format!("{}/*", bucket.arn()));
            let no_delete = Statement::deny(
                "NothingIsDeleted",
                &["s3:DeleteObject", "s3:DeleteObjectVersion"],
                vec![objects.clone()],
            );
            let mut unconditional = functions.clone();
            unconditional["Null"] = json!({ "s3:if-none-match": "true" });
            let create_only = Statement::deny("ObjectsAreOnlyCreated", &["s3:PutObject"], vec![objects.clone()]);
            let statements = vec![
                tls_only(&["s3:*"], vec![own, objects]),
                no_delete.to(json!("*")).when(functions.clone()),
                create_only.to(json!("*")).when(unconditional),
            ];
            stack.add(name, BucketPolicy { bucket: bucket.get("id"), policy: document(statements) })?;
        }
        let (own, objects) = (self.artefacts.arn(), format!("{}/*", self.artefacts.arn()));
        let policy = document(vec![tls_only(&["s3:*"], vec![own, objects])]);
        stack.add("artefacts", BucketPolicy { bucket: self.artefacts.get("id"), policy })?;
        Ok(())
    }
}

fn of_lake(stack: &mut Stack, plan: &Plan<'_>, of: catalog::key::Bucket) -> Result<Handle<Bucket>> {
    bucket(stack, plan, of.name(), plan.deployment.bucket_in(of, ACCOUNT))
}

fn bucket(stack: &mut Stack, plan: &Plan<'_>, name: &str, full: String) -> Result<Handle<Bucket>> {
    let bucket = stack.add(name, Bucket { bucket: full, force_destroy: false })?;
    let id = bucket.get("id");
    let versioning_configuration = json!({ "status": "Enabled" });
    stack.add(name, Versioning { bucket: id.clone(), versioning_configuration })?;
    let by_default = match &plan.environment.kms_key {
        Some(key) => json!({ "sse_algorithm": "aws:kms", "kms_master_key_id": key }),
        None => json!({ "sse_algorithm": "AES256" }),
    };
    // A bucket key spares a request to KMS for every object.
    let rule = vec![json!({ "apply_server_side_encryption_by_default": by_default, "bucket_key_enabled": true })];
    stack.add(name, Encryption { bucket: id.clone(), rule })?;
    stack.add(
        name,
        PublicAccessBlock {
            bucket: id.clone(),
            block_public_acls: true,
            block_public_policy: true,
            ignore_public_acls: true,
            restrict_public_buckets: true,
        },
    )?;
    if let Some(target) = &plan.environment.access_logs {
        let target_prefix = format!("{}-{name}/", plan.prefix);
        stack.add(name, AccessLogs { bucket: id.clone(), target_bucket: target.clone(), target_prefix })?;
    }
    let mut rules = vec![json!({
        "id": "unfinished-uploads", "status": "Enabled", "filter": { "prefix": "" },
        "abort_incomplete_multipart_upload": { "days_after_initiation": 1 },
    })];
    if name == "artefacts" {
        rules.push(json!({
            "id": "old-versions", "status": "Enabled", "filter": { "prefix": "" },
            "noncurrent_version_expiration": { "noncurrent_days": 90 },
        }));
    } else {
        // History is kept, and seldom read again: it becomes cheap, not lost.
        rules.push(json!({
            "id": "cheaper-with-age", "status": "Enabled", "filter": { "prefix": "" },
            "transition": [
                { "days": 30, "storage_class": "STANDARD_IA" },
                { "days": 180, "storage_class": "GLACIER_IR" },
            ],
        }));
    }
    stack.add(name, Lifecycle { bucket: id, rule: rules })?;
    Ok(bucket)
}
