//! The functions' programs: where they are, and that they are built.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// The packages whose programs the stack runs.
const FUNCTIONS: [&str; 5] = ["plan", "extract", "transform", "load", "halt"];

/// The folder of the functions' programs: the one that this program lies in. When cargo started this process, cargo is
/// asked to bring them up to date first, with the same profile: `cargo run` builds only the program it runs.
///
/// # Errors
/// When they cannot be built.
pub async fn build_when_run_by_cargo() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find the program that runs")?;
    let folder = program.parent().unwrap_or(Path::new("/")).to_path_buf();
    // Test programs lie one deeper than the others.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(&folder).to_path_buf() } else { folder };
    let Some(cargo) = crate::environment::cargo() else { return Ok(folder) };
    let Some((target, profile)) = folder.parent().zip(folder.file_name()) else { return Ok(folder) };
    let profile = match profile.to_string_lossy().as_ref() {
        "debug" => "dev".to_owned(),
        other => other.to_owned(),
    };
    let mut build = Command::new(cargo);
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    build.args(["build", "--quiet", "--profile", &profile]).arg("--target-dir").arg(target);
    for function in FUNCTIONS {
        build.args(["--package", function]);
    }
    let status = build.stdin(Stdio::null()).stdout(Stdio::null()).status().await.context("cannot run cargo")?;
    if !status.success() {
        bail!("the functions do not build: cargo ended with {status}");
    }
    Ok(folder)
}
