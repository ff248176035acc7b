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

/// A deployment under way, and a run in the middle of it: each of the programs that work in a run has the new catalogue or
/// the old one, and the state machine has the old one still.
pub(super) async fn edit_catalogue(site: &Site, rng: &mut Rng) -> Result<()> {
    let edited = edited(site)?;
    for handler in ["checkpoint", "plan", "extract", "transform", "load"] {
        // What decides is deployed first, more often than not.
        if rng.u32(0..8) < if handler == "plan" { 6 } else { 3 } {
            site.launch.deploy(&edited, Some(handler))?;
            site.steps.note(&format!("{handler} has the new catalogue"));
            for process in site.functions_of(handler) {
                // One that works is retried with the new one.
                let _ = kill_process(process, Signal::KILL);
            }
        }
    }
    let name = site.start_run(&serde_json::json!({})).await?;
    tokio::time::sleep(std::time::Duration::from_millis(rng.u64(800..5_000))).await;
    // The deployment is done: everything is started with the new catalogue.
    site.launch.deploy(&edited, None)?;
    site.end_stack(false).await?;
    site.start_stack().await?;
    if rng.bool() {
        // Nobody waits until the run of the old catalogue gives up.
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        let _ = site.stop_run(&name).await;
    }
    let ended = site.end_of_run(&name).await?;
    site.steps.note(&format!("the run in the middle of the deployment: {:?}", ended.outcome));
    Ok(())
}

fn edited(site: &Site) -> Result<String> {
    let text = std::fs::read_to_string(site.launch.catalogue())?;
    let from = "shelf = { from = \"shelf\", if_null = \"Unknown\" }";
    let edited = text.replace(from, &from.replace("Unknown", UNKNOWN));
    anyhow::ensure!(text != edited, "the catalogue has no such column");
    Ok(edited)
}
