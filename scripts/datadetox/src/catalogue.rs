//! The catalogue's file and the stack's folder: what every command knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use catalog::{Catalog, Deployment};
use clap::Args;
use serde_json::Value;

/// The catalogue unless another is named.
pub const CATALOG: &str = "pipeline.toml";
/// The folder of the local stack unless another is named.
pub const HOME: &str = ".datadetox";

/// What every command knows.
#[derive(Args, Clone, Debug)]
pub struct Project {
    /// The catalogue.
    #[arg(long, global = true, default_value = CATALOG, value_name = "FILE")]
    pub catalog: PathBuf,
    /// The folder of the local stack.
    #[arg(long, global = true, default_value = HOME, value_name = "FOLDER")]
    pub home: PathBuf,
}

impl Project {
    /// Its pipeline on this machine: the commands that it prints name catalogue and folder where they are not the usual.
    ///
    /// # Errors
    /// Every mistake in the catalogue.
    pub fn on_laptop(&self) -> Result<Deployment> {
        let deployment = read(&self.catalog)?;
        let told = [("--catalog", &self.catalog, CATALOG), ("--home", &self.home, HOME)];
        let told = told.into_iter().filter(|(_, path, usual)| path.as_path() != Path::new(usual));
        // Whoever types the command may stand in another folder by then.
        let whole = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string();
        Ok(Deployment::on_laptop_with(deployment, told.map(|(option, path, _)| (option, whole(path)))))
    }
}

/// Reads and checks a catalogue.
///
/// # Errors
/// Every mistake in it.
pub fn read(path: &Path) -> Result<Arc<Catalog>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Arc::new(Catalog::parse(&path.display().to_string(), &text)?))
}

/// The definition of a deployment on this machine.
#[must_use]
pub fn local_definition(deployment: &Deployment) -> Value {
    definition::on_laptop(deployment, local::topic_arn(deployment))
}
