//! The rooms of the workspace and the arrows between them, as Cargo has them: what ARCHITECTURE.md says never happens.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each room may depend on, tests apart. A room that is missing here fails the test: it needs a row in
/// ARCHITECTURE.md and one here.
const MAY_DEPEND_ON: [(&str, &[&str]); 23] = [
    ("catalog", &[]),
    ("columnar", &["catalog"]),
    ("host", &["catalog"]),
    ("ledger", &["catalog", "host"]),
    ("checkpoint", &["catalog", "host", "ledger"]),
    ("plan", &["catalog", "host"]),
    ("extract", &["catalog", "host"]),
    ("transform", &["catalog", "columnar", "host"]),
    ("load", &["catalog", "columnar", "host", "ledger"]),
    ("halt", &["catalog", "host"]),
    ("functions", &["checkpoint", "extract", "halt", "host", "load", "plan", "transform"]),
    ("asl", &[]),
    ("emulator", &["asl"]),
    ("definition", &["asl", "catalog"]),
    ("cdktf", &["catalog", "definition"]),
    ("local", &["asl", "catalog", "emulator"]),
    ("totesys", &["catalog"]),
    ("testbed", &["catalog", "host", "local"]),
    ("model", &["catalog", "definition", "local"]),
    ("runs", &["catalog", "local"]),
    ("web-console", &["catalog", "local", "runs"]),
    ("datadetox", &["catalog", "definition", "host", "ledger", "local", "runs", "totesys", "web-console"]),
    ("xtask", &["catalog", "cdktf"]),
];

/// What only one room may name.
const OF_ONE_ROOM: [(&str, &str); 4] =
    [("arrow2", "columnar"), ("lambda_runtime", "host"), ("s3s", "local"), ("toml", "catalog cdktf")];

/// The packages of the workspace with their direct dependencies, those of tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = local::environment::cargo().unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked", "--offline"])
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        all.filter(|dependency| dependency["kind"] != "dev").map(|dependency| text(&dependency["name"])).collect()
    };
    packages.iter().map(|package| (text(&package["name"]), of(package))).collect()
}

#[test]
fn arrows_between_rooms_point_one_way() {
    let rooms = dependencies();
    let known: BTreeMap<&str, &[&str]> = MAY_DEPEND_ON.into();
    for (room, dependencies) in &rooms {
        let allowed = known.get(room.as_str()).unwrap_or_else(|| panic!("{room} is a room that nobody described"));
        let within = dependencies.iter().filter(|name| rooms.contains_key(*name));
        let wrong: Vec<_> = within.filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "{room} may not depend on {wrong:?}");
    }
    for room in known.keys() {
        assert!(rooms.contains_key(*room), "{room} is described and does not exist");
    }
}

#[test]
fn what_one_room_is_for_no_other_names() {
    for (dependency, rooms) in OF_ONE_ROOM {
        for (room, dependencies) in dependencies() {
            let is_its_room = rooms.split(' ').any(|its| its == room);
            assert_eq!(dependencies.contains(dependency), is_its_room, "{room} and {dependency}");
        }
    }
}

/// Every foreign package with the features that Cargo builds it with for a selection.
fn features(selection: &[&str]) -> BTreeMap<String, String> {
    let cargo = local::environment::cargo().unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--no-dedupe", "--format", "{p}|{f}|"])
        .args(selection)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints text");
    let parts = |line: &str| line.split_once('|').map(|(package, features)| (package.to_owned(), features.to_owned()));
    text.lines().filter(|line| !line.contains(" (/")).filter_map(parts).collect()
}

/// A feature that only a test's dependency asks for would have the tests build the clients of AWS a second time: for
/// themselves, and for the programs that they start.
#[test]
fn tests_build_the_programs_dependencies_as_the_programs_do() {
    let with_tests = features(&["--workspace", "--edges", "normal,build,dev"]);
    let programs = features(&["--package", "functions", "--package", "datadetox", "--edges", "normal,build"]);
    assert!(programs.len() > 100, "{programs:?}");
    let twice: Vec<_> =
        programs.iter().filter(|(package, features)| with_tests.get(*package) != Some(features)).collect();
    assert!(twice.is_empty(), "these are built twice: {twice:?}");
}
