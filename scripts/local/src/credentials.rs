//! Who may call the local services: every function under its own name, and the operator.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use catalog::Deployment;

use crate::home::Home;

/// The identity of whoever works in the home's folder.
pub const OPERATOR: &str = "operator";
/// The region that the local services say they are in.
pub const REGION: &str = "us-east-1";
/// The account that the local services say they belong to.
pub const ACCOUNT: &str = "000000000000";

/// Access keys (the name of the function, or `operator`) and their secrets.
#[derive(Default)]
pub(crate) struct Credentials(BTreeMap<String, String>);

impl Credentials {
    /// New secrets for everybody, for as long as the stack runs.
    pub(crate) fn new(deployment: &Deployment) -> Result<Self> {
        let functions = deployment.catalog.all_functions().map(|function| deployment.function(function));
        let identities = functions.chain([OPERATOR.to_owned()]);
        identities.map(|identity| Ok((identity, password()?))).collect::<Result<_>>().map(Self)
    }

    /// One of a name and a secret that are known.
    #[cfg(fuzzing)]
    pub(crate) fn of(name: &str, secret: &str) -> Self {
        Self(BTreeMap::from([(name.to_owned(), secret.to_owned())]))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(identity, secret)| (identity.as_str(), secret.as_str()))
    }

    pub(crate) fn secret(&self, identity: &str) -> Option<&str> {
        self.0.get(identity).map(String::as_str)
    }

    /// A configuration with which every AWS tool finds the local services: `AWS_CONFIG_FILE=… aws s3 ls`.
    pub(crate) fn write_config(&self, home: &Home, endpoint: &str) -> Result<()> {
        let secret = self.secret(OPERATOR).unwrap_or_default();
        let text = format!(
            "# For AWS tools: AWS_CONFIG_FILE=<this file> aws s3 ls\n[default]\nregion = {REGION}\nendpoint_url = {endpoint}\n\
             aws_access_key_id = {OPERATOR}\naws_secret_access_key = {secret}\ns3 =\n  addressing_style = path\n"
        );
        home.write_private("aws_config", &text).map(|_| ())
    }
}

/// 32 hexadecimal digits from the system's randomness.
pub(crate) fn password() -> Result<String> {
    random().map(hex::encode)
}

/// As many bytes as a UUID has, from the system's randomness.
pub(crate) fn random() -> Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system gives no randomness")?;
    Ok(bytes)
}
