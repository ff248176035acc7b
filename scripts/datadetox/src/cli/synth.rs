//! `synth`: what is generated from the catalogue and committed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use catalog::Deployment;
use clap::Args;

use super::Outcome;
use crate::catalogue::Project;
use crate::{catalogue, say};

/// Generate what follows from the catalogue: the state machine.
#[derive(Args, Debug)]
pub(super) struct Synth {
    /// Write nothing; fail when a generated file is stale.
    #[arg(long)]
    check: bool,
    /// Where the state machine goes.
    #[arg(long, default_value = "statemachine/etl.asl.json", value_name = "FILE")]
    definition: PathBuf,
}

impl Synth {
    pub(super) fn run(&self, project: &Project) -> Result<Outcome> {
        synth(project, &self.definition, self.check)
    }
}

fn synth(project: &Project, definition: &Path, check: bool) -> Result<Outcome> {
    let deployment = Deployment::on_laptop(catalogue::read(&project.catalog)?);
    let text = format!("{}\n", serde_json::to_string_pretty(&catalogue::local_definition(&deployment))?);
    let place = definition.display();
    if fs::read_to_string(definition).is_ok_and(|old| old == text) {
        say::line(&format!("{place} is up to date"));
        return Ok(Outcome::Good);
    }
    if check {
        say::error(&format!("{place} is stale; run: datadetox synth"));
        return Ok(Outcome::Bad);
    }
    fs::write(definition, text).with_context(|| format!("cannot write {place}"))?;
    say::data(&format!("wrote {place}"));
    Ok(Outcome::Good)
}
