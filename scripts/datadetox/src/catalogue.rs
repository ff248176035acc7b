//! The catalogue's file and the stack's folder: what every command knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use catalog::{Catalog, Deployment};
use clap::Args;
use serde_json::Value;

/// The folder of the local stack unless another is named.
pub const HOME: &str = ".datadetox";

/// What every command knows.
#[derive(Args, Clone, Debug)]
pub struct Project {
    /// The catalogue.
    #[arg(long, global = true, default_value = "pipeline.toml", value_name = "FILE")]
    pub catalog: PathBuf,
    /// The folder of the local stack.
    #[arg(long, global = true, default_value = HOME, value_name = "FOLDER")]
    pub home: PathBuf,
}

impl Project {
    /// Its pipeline on this machine.
    ///
    /// # Errors
    /// Every mistake in the catalogue.
    pub fn on_laptop(&self) -> Result<Deployment> {
        Ok(on_laptop(read(&self.catalog)?, &self.home))
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

/// A catalogue on this machine, in a folder: the commands that it prints name the folder where it is not the usual one.
#[must_use]
pub fn on_laptop(catalog: Arc<Catalog>, home: &Path) -> Deployment {
    if home == Path::new(HOME) {
        Deployment::on_laptop(catalog)
    } else {
        let home = std::path::absolute(home).unwrap_or_else(|_| home.to_path_buf());
        Deployment::on_laptop_in(catalog, home.display().to_string())
    }
}

/// The definition of a deployment on this machine.
#[must_use]
pub fn local_definition(deployment: &Deployment) -> Value {
    definition::on_laptop(deployment, local::topic_arn(deployment))
}
