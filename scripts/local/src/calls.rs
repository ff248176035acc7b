//! A record of the AWS calls that functions and state machine make, one JSON line each: what their roles in AWS must allow.
//!
//! `scripts/check-stack` holds the deployed policies against it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Who calls when it is the state machine.
pub(crate) const STATE_MACHINE: &str = "state machine";

/// The record, if one is kept.
#[derive(Default)]
pub(crate) struct Calls(Option<Mutex<File>>);

impl Calls {
    /// A record in that file, or none.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self> {
        let Some(path) = file else { return Ok(Self::default()) };
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(Some(Mutex::new(file))))
    }

    /// Records a call. The resource is told by what it is to the pipeline, not by its name here: `{"secret": "source"}`.
    pub(crate) fn record(&self, caller: &str, action: &str, resource: Value, context: Value) {
        let Some(file) = &self.0 else { return };
        let line = json!({ "caller": caller, "action": action, "resource": resource, "context": context });
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A record that cannot be written is found to be short by whoever reads it.
        let _ = writeln!(file, "{line}");
    }
}
