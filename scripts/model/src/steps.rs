//! The seed's journal of steps: what the model did, and what came of it, a line each.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

/// The file.
pub(crate) struct Steps(Mutex<File>);

impl Steps {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(Mutex::new(file.with_context(|| format!("cannot create {}", path.display()))?)))
    }

    pub(crate) fn note(&self, step: &str) {
        let line = format!("{} {step}\n", local::now().format("%H:%M:%S%.3f"));
        // A step that cannot be noted is taken all the same.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}
