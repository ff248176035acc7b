//! What happens to the lake and to the catalogue.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use rustix::process::{Signal, kill_process};

use crate::site::Site;

/// What stands for NULL in the edited catalogue.
pub(super) const UNKNOWN: &str = "Nowhere";

fn objects(site: &Site) -> Vec<PathBuf> {
    let mut objects = Vec::new();
    let mut folders = vec![site.launch.home().join("lake")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            // What is being written lies in a folder of its own.
            match path.is_dir() {
                true if entry.file_name() != ".incoming" => folders.push(path),
                true => {}
                false => objects.push(path),
            }
        }
    }
    objects.sort();
    objects
}

pub(super) fn wipe_lake(site: &Site) -> Result<()> {
    for object in objects(site) {
        std::fs::remove_file(&object).with_context(|| object.display().to_string())?;
    }
    Ok(())
}

/// Of six objects one is gone, and three are cut.
pub(super) fn damage_lake(site: &Site, rng: &mut Rng) -> Result<()> {
    for object in objects(site) {
        match rng.u32(0..6) {
            0 => std::fs::remove_file(&object)?,
            1..=3 => {
                let bytes = std::fs::read(&object)?;
                // A new file: those who read the old one go on.
                std::fs::remove_file(&object)?;
                std::fs::write(&object, &bytes[..bytes.len() / 2])?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A deployment under way, and a run in the middle of it: what decides has the new catalogue mostly, what works the old
/// one, and so has the state machine.
pub(super) async fn edit_catalogue(site: &Site, rng: &mut Rng) -> Result<()> {
    let path = site.launch.catalogue();
    let text = std::fs::read_to_string(&path)?;
    let from = "shelf = { from = \"shelf\", if_null = \"Unknown\" }";
    let edited = text.replace(from, &from.replace("Unknown", UNKNOWN));
    anyhow::ensure!(text != edited, "the catalogue has no such column");
    std::fs::write(&path, edited)?;
    for process in site.functions() {
        let environment = std::fs::read(format!("/proc/{}/environ", process.as_raw_nonzero())).unwrap_or_default();
        let decides = String::from_utf8_lossy(&environment).contains("_HANDLER=plan");
        if rng.u32(0..8) < if decides { 7 } else { 2 } {
            // One that works is retried with the new one.
            let _ = kill_process(process, Signal::KILL);
        }
    }
    let ended = site.run(&serde_json::json!({})).await?;
    site.steps.note(&format!("the run in the middle of the deployment: {:?}", ended.outcome));
    Ok(())
}

/// The deployment is done: everything is started with the new catalogue.
pub(super) async fn deploy(site: &Site) -> Result<()> {
    site.end_stack(false).await?;
    site.start_stack().await
}
