//! The files of an assembly: `manifest.json`, and `stacks/<name>/cdk.tf.json` for each environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use catalog::deployment::Verb;
use catalog::{Catalog, EnvironmentName};
use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::delivery;
use crate::environment::Environment;
use crate::functions::Functions;
use crate::orchestration::Orchestration;
use crate::plan::Plan;
use crate::secrets::Secrets;
use crate::stack::Stack;
use crate::storage::Buckets;
use crate::warehouse::Warehouse;
use crate::watching;

/// The version of the format that the CLI reads.
const FORMAT: &str = "0.21.0";
/// The version of the AWS provider: the one that `provider-schema.json` is of, so that what is deployed was held against it.
const PROVIDER: &str = "6.25.0";
/// The folder of the stacks' folders.
const STACKS: &str = "stacks";
/// The file of a stack in its folder.
const STACK_FILE: &str = "cdk.tf.json";

/// The files by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembly {
    /// Path within the output folder → text.
    pub files: BTreeMap<PathBuf, String>,
}

/// The assembly of a catalogue: one stack an environment.
///
/// # Errors
/// When a stack names something twice.
pub fn assembly(catalog: &Arc<Catalog>, environments: &BTreeMap<EnvironmentName, Environment>) -> Result<Assembly> {
    let mut assembly = Assembly::default();
    let mut stacks = serde_json::Map::new();
    for (name, environment) in environments {
        let stack_name = environment.deploy(Arc::clone(catalog), name).prefix();
        let folder = format!("{STACKS}/{stack_name}");
        stacks.insert(
            stack_name.clone(),
            json!({
                "name": stack_name, "constructPath": stack_name, "workingDirectory": folder,
                "synthesizedStackPath": format!("{folder}/{STACK_FILE}"), "annotations": [], "dependencies": [],
            }),
        );
        let stack = stack(catalog, name, environment)?;
        assembly.add(&format!("{folder}/{STACK_FILE}"), &stack)?;
    }
    assembly.add("manifest.json", &json!({ "version": FORMAT, "stacks": stacks }))?;
    Ok(assembly)
}

impl Assembly {
    fn add(&mut self, path: &str, value: &Value) -> Result<()> {
        self.files.insert(path.into(), format!("{}\n", serde_json::to_string_pretty(value)?));
        Ok(())
    }

    /// Writes the files that are missing or differ, and removes the stacks that no longer are: a pipeline or environment
    /// that has another name now must not be deployed by its old one.
    ///
    /// # Errors
    /// When one cannot be written or removed.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.remove_others(&folder.join(STACKS))?;
        for (path, text) in &self.files {
            let path = folder.join(path);
            if fs::read_to_string(&path).is_ok_and(|old| &old == text) {
                continue;
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
            }
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Removes the folders of stacks that are not of this assembly, with what Terraform keeps there: it can be had again.
    fn remove_others(&self, stacks: &Path) -> Result<()> {
        for entry in fs::read_dir(stacks).into_iter().flatten() {
            let entry = entry.with_context(|| format!("cannot list {}", stacks.display()))?;
            let stack = Path::new(STACKS).join(entry.file_name()).join(STACK_FILE);
            let folder = entry.path();
            // A folder without a stack is somebody else's.
            if !self.files.contains_key(&stack) && folder.join(STACK_FILE).is_file() {
                fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
            }
        }
        Ok(())
    }
}

fn stack(catalog: &Arc<Catalog>, name: &EnvironmentName, environment: &Environment) -> Result<Value> {
    let deployment = environment.deploy(Arc::clone(catalog), name);
    let plan = Plan { catalog: Arc::clone(catalog), prefix: deployment.prefix(), environment, deployment };
    let mut stack = Stack::default();
    let alerts = Alerts::add(&mut stack, &plan)?;
    let warehouse = Warehouse::add(&mut stack, &plan)?;
    let secrets = Secrets::add(&mut stack, &plan, warehouse.as_ref())?;
    let buckets = Buckets::add(&mut stack, &plan)?;
    let functions = Functions::add(&mut stack, &plan, &buckets, &secrets)?;
    buckets.protect(&mut stack, &plan)?;
    let orchestration = Orchestration::add(&mut stack, &plan, &functions, &alerts)?;
    delivery::add(&mut stack, &plan, name.as_str())?;
    watching::add(&mut stack, &plan, &functions, &orchestration, &alerts, warehouse.as_ref())?;
    let look = format!("The state machine: {}.", plan.deployment.command(Verb::Runs, ""));
    stack.output("state_machine", orchestration.machine.arn(), &look);
    stack.output("alerts_topic", alerts.topic.arn(), "Who hears of trouble.");
    stack.output("ingestion_bucket", buckets.ingestion.get("id"), "CSV of the source tables.");
    stack.output("processed_bucket", buckets.processed.get("id"), "Parquet of dimensions and facts.");
    stack.finish(&plan.prefix, settings(&plan, name.as_str()))
}

fn settings(plan: &Plan<'_>, environment: &str) -> Value {
    let mut backend = json!({
        "key": format!("{}.tfstate", plan.prefix), "region": plan.environment.region, "encrypt": true, "use_lockfile": true,
    });
    if let Some(bucket) = &plan.environment.state {
        backend["bucket"] = json!(bucket);
    }
    let mut provider = json!({
        "region": plan.environment.region,
        "default_tags": [{ "tags": plan.tags(environment) }],
    });
    if let Some(account) = &plan.environment.account {
        provider["allowed_account_ids"] = json!([account]);
    }
    json!({
        "provider": { "aws": [provider] },
        "terraform": {
            "backend": { "s3": backend },
            "required_providers": { "aws": { "source": "hashicorp/aws", "version": PROVIDER } },
        },
    })
}

/// Writes the assembly of this repository to `CDKTF_OUTDIR`, or to `cdktf/cdktf.out`, for the environments of a file: its
/// path from the repository's root.
///
/// # Errors
/// Every mistake of the catalogue or of the environments; when a file cannot be read or written.
pub fn write_assembly(environments: &str) -> Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |path: &str| {
        let place = format!("{root}/{path}");
        fs::read_to_string(&place).with_context(|| format!("cannot read {place}"))
    };
    let catalog = Arc::new(Catalog::parse("pipeline.toml", &read("pipeline.toml")?)?);
    let environments = crate::environments(environments, &read(environments)?)?;
    #[expect(clippy::disallowed_methods, reason = "where the CLI wants the assembly is all that the environment says")]
    let folder =
        std::env::var_os("CDKTF_OUTDIR").map_or_else(|| format!("{root}/cdktf/cdktf.out").into(), PathBuf::from);
    assembly(&catalog, &environments)?.write(&folder)
}
