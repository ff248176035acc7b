//! `synth`: what is generated from the catalogue and committed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use catalog::Deployment;
use clap::Args;

use super::Outcome;
use crate::catalogue::Project;
use crate::{catalogue, say};

/// The page of the documentation that has generated parts.
const PAGE: &str = "docs/catalogue.md";

/// Generate what follows from the catalogue: the state machine, and the tables of its documentation.
#[derive(Args, Debug)]
pub(super) struct Synth {
    /// Write nothing; fail when a generated file is stale.
    #[arg(long)]
    check: bool,
    /// Where the state machine goes.
    #[arg(long, default_value = "statemachine/etl.asl.json", value_name = "FILE")]
    definition: PathBuf,
    /// The page of the documentation whose generated parts are renewed, where it is there.
    #[arg(long, default_value = PAGE, value_name = "FILE")]
    page: PathBuf,
}

impl Synth {
    pub(super) fn run(&self, project: &Project) -> Result<Outcome> {
        synth(project, &self.definition, &self.page, self.check)
    }
}

fn synth(project: &Project, definition: &Path, page: &Path, check: bool) -> Result<Outcome> {
    let deployment = Deployment::on_laptop(catalogue::read(&project.catalog)?);
    let text = format!("{}\n", serde_json::to_string_pretty(&catalogue::local_definition(&deployment))?);
    let mut files = vec![(definition, text)];
    match fs::read_to_string(page) {
        Ok(old) => {
            let text = catalog::docs::catalogue(&old).with_context(|| format!("cannot renew {}", page.display()))?;
            files.push((page, text));
        }
        // Whoever has a catalogue of his own has no page of the project's.
        Err(error) if error.kind() == ErrorKind::NotFound && page == Path::new(PAGE) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", page.display())),
    }
    let mut outcome = Outcome::Good;
    for (path, text) in files {
        if let Outcome::Bad = keep_fresh(path, text, check)? {
            outcome = Outcome::Bad;
        }
    }
    Ok(outcome)
}

/// Writes a generated file, or says that it is stale.
fn keep_fresh(path: &Path, text: String, check: bool) -> Result<Outcome> {
    let place = path.display();
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        say::line(&format!("{place} is up to date"));
        return Ok(Outcome::Good);
    }
    if check {
        say::error(&format!("{place} is stale; run: datadetox synth"));
        return Ok(Outcome::Bad);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of {place}"))?;
    fs::write(path, text).with_context(|| format!("cannot write {place}"))?;
    say::data(&format!("wrote {place}"));
    Ok(Outcome::Good)
}
