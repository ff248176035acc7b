//! The functions' programs: where they are, and that they are built.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

/// The package whose program the stack runs, and this one: built together, they share what they depend on.
const PACKAGES: [&str; 2] = ["functions", "datadetox"];
/// What cargo tells a program that it runs. Told to cargo again, it would look to build scripts like a change.
const CARGO_TELLS: [&str; 6] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR"];

/// Names of variables that may hold a secret begin so. What cargo builds runs code of many hands, and needs none of them.
const SECRETS: [&str; 3] = ["AWS_", "DATADETOX_", "PG"];

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
    let mut build = match crate::home::umask_before() {
        // What is built is for others too, as if cargo had been called by hand.
        Some(mask) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", "umask \"$0\" && exec \"$@\"", &mask]).arg(cargo);
            shell
        }
        None => Command::new(cargo),
    };
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    build.args(["build", "--quiet", "--profile", &profile]).arg("--target-dir").arg(target);
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    for name in crate::environment::names() {
        if CARGO_TELLS.iter().chain(&SECRETS).any(|told| name.starts_with(told)) {
            build.env_remove(name);
        }
    }
    if !PACKAGES.iter().all(|program| folder.join(program).is_file()) {
        tracing::info!("building the functions, which takes a minute or two the first time");
    }
    let status = build.stdin(Stdio::null()).stdout(Stdio::null()).status().await.context("cannot run cargo")?;
    if !status.success() {
        bail!("the functions do not build: cargo ended with {status}");
    }
    Ok(folder)
}
