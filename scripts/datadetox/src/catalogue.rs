//! The catalogue's file, read for a person: every mistake of it at once.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use catalog::{Catalog, Deployment};
use serde_json::Value;

/// The folder of the local stack unless another is named.
pub const HOME: &str = ".datadetox";

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
