//! The role under which a GitHub workflow deploys: no key is kept anywhere, and only this repository's environment gets in.

use anyhow::Result;
use serde_json::json;

use crate::functions::{Role, RolePolicy};
use crate::plan::Plan;
use crate::policy::{Statement, document};
use crate::stack::{ACCOUNT, PARTITION, Stack, literal};

/// Who vouches for a workflow.
const ISSUER: &str = "token.actions.githubusercontent.com";

pub(crate) fn add(stack: &mut Stack, plan: &Plan<'_>, environment: &str) -> Result<()> {
    let Some(repository) = &plan.environment.repository else { return Ok(()) };
    let name = plan.deployment.deploy_role();
    let provider = format!("arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/{ISSUER}");
    let subject = literal(&format!("repo:{repository}:environment:{environment}"));
    let workflow = Statement::allow("TheWorkflow", &["sts:AssumeRoleWithWebIdentity"], Vec::new())
        .to(json!({ "Federated": provider }))
        .when(json!({
            "StringEquals": { format!("{ISSUER}:aud"): "sts.amazonaws.com", format!("{ISSUER}:sub"): subject },
        }));
    let role = stack.add(
        &name,
        Role {
            name: name.clone(),
            description: format!("What the workflow that deploys {} may do.", plan.prefix),
            assume_role_policy: document(vec![workflow]),
        },
    )?;
    let policy = document(statements(plan));
    stack.add(&name, RolePolicy { name: "deploy", role: role.get("id"), policy })?;
    stack.output("deploy_role", role.arn(), "What the workflow deploys with: the variable AWS_DEPLOY_ROLE on GitHub.");
    Ok(())
}

/// Everything of this stack by its name, and nothing else.
fn statements(plan: &Plan<'_>) -> Vec<Statement> {
    let (prefix, region) = (&plan.prefix, &plan.environment.region);
    let regional = |service: &str, rest: &str| format!("arn:{PARTITION}:{service}:{region}:{ACCOUNT}:{rest}");
    let state = plan.environment.state.clone().unwrap_or_else(|| "*-terraform-state".to_owned());
    let bucket = |name: &str| format!("arn:{PARTITION}:s3:::{name}");
    let of_stack = vec![
        regional("lambda", &format!("function:{prefix}-*")),
        regional("states", &format!("stateMachine:{prefix}-*")),
        regional("sns", &format!("{prefix}-*")),
        regional("sqs", &format!("{prefix}-*")),
        regional("events", &format!("rule/{prefix}-*")),
        regional("scheduler", &format!("schedule/default/{prefix}-*")),
        regional("logs", &format!("log-group:{}*", plan.deployment.log_groups())),
        regional("logs", &format!("log-group:{}*", plan.deployment.state_machine_log_groups())),
        regional("secretsmanager", &format!("secret:{prefix}/*")),
        regional("cloudwatch", &format!("alarm:{prefix}-*")),
        format!("arn:{PARTITION}:cloudwatch::{ACCOUNT}:dashboard/{}", plan.deployment.dashboard()),
        bucket(&format!("{prefix}-*")),
    ];
    let services = [
        "cloudwatch:*",
        "events:*",
        "lambda:*",
        "logs:*",
        "s3:*",
        "scheduler:*",
        "secretsmanager:*",
        "sns:*",
        "sqs:*",
        "states:*",
    ];
    let roles = vec![format!("arn:{PARTITION}:iam::{ACCOUNT}:role/{prefix}-*")];
    let role_actions = [
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListInstanceProfilesForRole",
        "iam:ListRolePolicies",
        "iam:PassRole",
        "iam:PutRolePolicy",
        "iam:TagRole",
        "iam:UntagRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
    ];
    let policies = vec![format!("arn:{PARTITION}:iam::{ACCOUNT}:policy/{prefix}-*")];
    let policy_actions = [
        "iam:CreatePolicy",
        "iam:CreatePolicyVersion",
        "iam:DeletePolicy",
        "iam:DeletePolicyVersion",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:ListPolicyVersions",
        "iam:TagPolicy",
        "iam:UntagPolicy",
    ];
    let unnamed = [
        "kms:CreateKey",
        "kms:DescribeKey",
        "kms:EnableKeyRotation",
        "kms:GetKeyPolicy",
        "kms:GetKeyRotationStatus",
        "kms:ListResourceTags",
        "kms:PutKeyPolicy",
        "kms:ScheduleKeyDeletion",
        "kms:TagResource",
        "logs:DescribeLogGroups",
        "logs:DescribeMetricFilters",
        "sts:GetCallerIdentity",
    ];
    let mut statements = vec![
        Statement::allow("OwnResources", &services, of_stack),
        // Whoever deploys functions could read the secrets through one; not in one step, all the same.
        Statement::deny("NoSecrets", &["secretsmanager:GetSecretValue"], vec!["*".to_owned()]),
        Statement::allow("OwnRoles", &role_actions, roles.clone()),
        Statement::allow("OwnPolicies", &policy_actions, policies.clone()),
        Statement::allow("AttachOwnPolicies", &["iam:AttachRolePolicy", "iam:DetachRolePolicy"], roles)
            .when(json!({ "ArnLike": { "iam:PolicyARN": policies } })),
        // To tell the encrypted topic how it went.
        Statement::allow("PublishEncrypted", &["kms:Decrypt", "kms:GenerateDataKey"], vec!["*".to_owned()])
            .when(json!({ "StringEquals": { "kms:ViaService": format!("sns.{region}.amazonaws.com") } })),
        Statement::allow(
            "TerraformState",
            &["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"],
            vec![bucket(&state), format!("{}/{prefix}.tfstate*", bucket(&state))],
        ),
        // A key has no name before it exists, and what only lists has no resource.
        Statement::allow("WhatHasNoName", &unnamed, vec!["*".to_owned()]),
    ];
    if plan.environment.warehouse.is_some() {
        statements.extend(for_a_warehouse(prefix, &regional));
    }
    statements
}

/// The server of RDS, its groups, and the secret that RDS makes in the name of whoever makes the server.
fn for_a_warehouse(prefix: &str, regional: &dyn Fn(&str, &str) -> String) -> Vec<Statement> {
    let own = vec![
        regional("rds", &format!("db:{prefix}-*")),
        regional("rds", &format!("subgrp:{prefix}-*")),
        regional("rds", &format!("pg:{prefix}-*")),
        regional("rds", &format!("snapshot:{prefix}-*")),
    ];
    let changes = [
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:DeleteSecurityGroup",
        "ec2:ModifySecurityGroupRules",
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
    ];
    let unnamed = [
        "ec2:CreateSecurityGroup",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "rds:DescribeDBInstances",
    ];
    let groups = vec![regional("ec2", "security-group/*"), regional("ec2", "security-group-rule/*")];
    let role = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/aws-service-role/rds.amazonaws.com/*");
    vec![
        Statement::allow("OwnWarehouse", &["rds:*"], own),
        Statement::allow(
            "SecretOfRds",
            &["secretsmanager:CreateSecret", "secretsmanager:RotateSecret", "secretsmanager:TagResource"],
            vec![regional("secretsmanager", "secret:rds!*")],
        ),
        Statement::allow("RoleOfRds", &["iam:CreateServiceLinkedRole"], vec![role]),
        // RDS encrypts with the key for as long as the server is there.
        Statement::allow("LendTheKey", &["kms:CreateGrant"], vec!["*".to_owned()])
            .when(json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } })),
        Statement::allow("TagWhatIsMade", &["ec2:CreateTags"], groups.clone()).when(json!({
            "StringEquals": { "ec2:CreateAction": ["AuthorizeSecurityGroupIngress", "CreateSecurityGroup"] },
        })),
        Statement::allow("OwnSecurityGroup", &changes, groups)
            .when(json!({ "StringEquals": { "aws:ResourceTag/Pipeline": prefix } })),
        // A group and its rules have no name before they exist, and what only lists has no resource.
        Statement::allow("WhatHasNoNameYet", &unnamed, vec!["*".to_owned()]),
    ]
}
