//! `synth`: what is generated from the catalogue and committed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Common, Outcome};
use crate::say;
use crate::stack::{ACCOUNT, REGION, local_definition, read_catalog};

pub(super) fn synth(common: &Common, definition: &Path, check: bool) -> Result<Outcome> {
    let catalog = read_catalog(&common.catalog)?;
    let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{}", catalog.topic_name());
    let text = format!("{}\n", serde_json::to_string_pretty(&local_definition(&catalog, topic))?);
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
