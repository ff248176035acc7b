//! `synth`: what is generated from the catalogue and committed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use catalog::Deployment;

use super::{Common, Outcome};
use crate::{catalogue, say};

pub(super) fn synth(common: &Common, definition: &Path, check: bool) -> Result<Outcome> {
    let deployment = Deployment::on_laptop(catalogue::read(&common.catalog)?);
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
