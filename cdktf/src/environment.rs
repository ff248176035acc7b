//! `environments.toml`: where the stack is deployed.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use catalog::{Catalog, Deployment, EnvironmentName};
use serde::Deserialize;

/// One environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The AWS region.
    pub region: String,
    /// The only account it may be deployed to.
    pub account: Option<String>,
    /// S3 bucket of the Terraform state.
    pub state: Option<String>,
    /// `owner/name` on GitHub whose workflow may deploy.
    pub repository: Option<String>,
    /// Bucket that the access logs of the buckets go to.
    pub access_logs: Option<String>,
    /// Subnets of the functions.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// Security groups of the functions.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Instance class of a Postgres of RDS that is made for the warehouse.
    pub warehouse: Option<String>,
    /// The processors that the functions run on.
    #[serde(default)]
    pub architecture: Architecture,
    /// ARN of the key that everything is encrypted with.
    pub kms_key: Option<String>,
    /// Days for which logs are kept.
    #[serde(default = "default_log_days")]
    pub log_days: u32,
}

impl Environment {
    /// A catalogue deployed to this environment, which has that name.
    #[must_use]
    pub fn deploy(&self, catalog: Arc<Catalog>, name: &EnvironmentName) -> Deployment {
        Deployment::in_aws(catalog, name.clone(), Some(self.region.clone()))
    }
}

/// The processors that Lambda has.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Graviton, a fifth cheaper.
    #[default]
    Arm64,
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86,
}

impl Architecture {
    /// The name that Lambda and `scripts/package` have for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        }
    }
}

fn default_log_days() -> u32 {
    30
}

/// The environments of a file by name.
///
/// # Errors
/// What is wrong with the file, with its line.
pub fn parse(file: &str, text: &str) -> Result<BTreeMap<EnvironmentName, Environment>> {
    let read: BTreeMap<String, Environment> = toml::from_str(text).with_context(|| format!("{file} has a mistake"))?;
    let mut environments = BTreeMap::new();
    for (name, environment) in read {
        let name: EnvironmentName = name.parse().with_context(|| file.to_owned())?;
        if environment.subnets.is_empty() != environment.security_groups.is_empty() {
            bail!("{file}: [{name}] needs both subnets and security_groups, or neither");
        }
        if let Some(class) = &environment.warehouse {
            if environment.subnets.len() < 2 {
                bail!("{file}: [{name}] warehouse needs subnets in two availability zones: RDS asks for them");
            }
            if !class.starts_with("db.") {
                bail!("{file}: [{name}] warehouse = {class:?} is no instance class of RDS, such as \"db.t4g.small\"");
            }
        }
        environments.insert(name, environment);
    }
    if environments.is_empty() {
        bail!("{file} names no environment");
    }
    Ok(environments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, expected: &str| {
            let error = format!("{:#}", parse("environments.toml", text).unwrap_err());
            assert!(error.contains(expected), "{error}");
        };
        check("[dev]\nregion = 'x'\ncolour = 'red'", "unknown field `colour`");
        check("[dev]\n", "missing field `region`");
        check("[Prod-1]\nregion = 'x'", "\"Prod-1\" is no environment");
        check("[dev]\nregion = 'x'\nsubnets = ['s']", "needs both subnets and security_groups");
        check("", "names no environment");
        check("[dev]\nregion = 'x'\nwarehouse = 'db.t4g.micro'", "warehouse needs subnets in two availability zones");
        let vpc = "[dev]\nregion = 'x'\nsubnets = ['a', 'b']\nsecurity_groups = ['g']\n";
        check(&format!("{vpc}warehouse = 'large'"), "is no instance class of RDS");
        check("[dev]\nregion = 'x'\narchitecture = 'mips'", "expected `arm64` or `x86_64`");
        let name: EnvironmentName = "dev".parse().unwrap();
        assert_eq!(parse("f", "[dev]\nregion = 'x'").unwrap()[&name].log_days, 30);
    }
}
