//! Which folder holds the stack of an environment: the assembly's manifest says it, by the name that the deployment has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use catalog::{Catalog, EnvironmentName};
use cdktf::Environment;
use serde::Deserialize;

use crate::read;

/// Where the stack is deployed.
pub(crate) const ENVIRONMENTS: &str = "cdktf/environments.toml";
/// What is synthesized from that and the catalogue.
pub(crate) const ASSEMBLY: &str = "cdktf/cdktf.out";

/// `manifest.json` of an assembly, as far as it is asked.
#[derive(Deserialize)]
struct Manifest {
    stacks: std::collections::BTreeMap<String, Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// The stack's folder within the assembly's.
    working_directory: PathBuf,
}

/// The folder of an environment's stack.
///
/// # Errors
/// When there is no such environment, or it is not synthesized.
pub(crate) fn stack(catalog: &Arc<Catalog>, environment: &EnvironmentName) -> Result<PathBuf> {
    let stacks = stacks(catalog, Path::new(ENVIRONMENTS), Path::new(ASSEMBLY))?;
    let found = stacks.into_iter().find(|(name, _)| name == environment);
    Ok(found.with_context(|| format!("{ENVIRONMENTS} has no environment {environment}"))?.1)
}

/// Every environment of a file, and the folder of its stack.
///
/// # Errors
/// What is wrong with the file; when an environment is not synthesized.
pub(crate) fn stacks(
    catalog: &Arc<Catalog>,
    environments: &Path,
    assembly: &Path,
) -> Result<Vec<(EnvironmentName, PathBuf)>> {
    let place = assembly.join("manifest.json");
    let manifest: Manifest =
        serde_json::from_str(&read(&place)?).with_context(|| format!("cannot understand {}", place.display()))?;
    let each = parse(environments)?.into_iter().map(|(name, environment)| {
        let stack = environment.deploy(Arc::clone(catalog), &name).prefix();
        let listed = manifest.stacks.get(&stack).with_context(|| {
            format!("{} does not list {stack}: synthesize it with `cargo run --package cdktf`", place.display())
        })?;
        Ok((name, assembly.join(&listed.working_directory)))
    });
    each.collect()
}

/// An environment by its name.
///
/// # Errors
/// When there is no such environment.
pub(crate) fn environment(name: &EnvironmentName) -> Result<Environment> {
    parse(Path::new(ENVIRONMENTS))?.remove(name).with_context(|| format!("{ENVIRONMENTS} has no environment {name}"))
}

fn parse(environments: &Path) -> Result<std::collections::BTreeMap<EnvironmentName, Environment>> {
    cdktf::environments(&environments.display().to_string(), &read(environments)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(pipeline: &str) -> Arc<Catalog> {
        let text = format!(
            "[pipeline]\nname = '{pipeline}'\n[source.tables.staff]\nkey = 'id'\ncapture = 'snapshot'\n\
             columns = {{ id = 'integer' }}\n[dimensions.dim_staff]\nfrom = 'staff'\ncolumns = {{ id = 'id' }}\n"
        );
        Arc::new(Catalog::parse("p", &text).unwrap())
    }

    #[test]
    fn a_stack_is_found_by_its_whole_name() {
        let home = tempfile::tempdir().unwrap();
        let environments = home.path().join("environments.toml");
        std::fs::write(&environments, "[dev]\nregion = 'x'\n").unwrap();
        // Another pipeline's environment of the same name stands beside it, and comes first.
        let manifest = r#"{ "stacks": {
            "elder-dev": { "workingDirectory": "stacks/elder-dev" }, "shop-dev": { "workingDirectory": "stacks/shop-dev" }
        } }"#;
        std::fs::write(home.path().join("manifest.json"), manifest).unwrap();
        let found = stacks(&catalog("shop"), &environments, home.path()).unwrap();
        assert_eq!(found, [("dev".parse().unwrap(), home.path().join("stacks/shop-dev"))]);
        let error = format!("{:#}", stacks(&catalog("other"), &environments, home.path()).unwrap_err());
        assert!(error.contains("does not list other-dev: synthesize it"), "{error}");
    }
}
