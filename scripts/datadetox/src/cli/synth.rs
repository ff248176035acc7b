//! `synth`: what is generated from the catalogue and committed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use catalog::Deployment;

use super::{Common, Outcome};
use crate::{catalogue, say};

pub(super) fn synth(common: &Common, definition: &Path, page: &Path, check: bool) -> Result<Outcome> {
    let deployment = Deployment::on_laptop(catalogue::read(&common.catalog)?);
    let text = format!("{}\n", serde_json::to_string_pretty(&catalogue::local_definition(&deployment))?);
    let mut outcome = keep_fresh(definition, text, check)?;
    // Whoever has a catalogue of his own has no page of the project's.
    if let Ok(old) = fs::read_to_string(page) {
        let text = catalog::docs::catalogue(&old).with_context(|| format!("cannot renew {}", page.display()))?;
        if let Outcome::Bad = keep_fresh(page, text, check)? {
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
    fs::write(path, text).with_context(|| format!("cannot write {place}"))?;
    say::data(&format!("wrote {place}"));
    Ok(Outcome::Good)
}
