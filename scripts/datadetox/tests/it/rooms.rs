//! The rooms of the workspace and the arrows between them, as Cargo has them: what ARCHITECTURE.md says never happens.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each room may depend on, tests apart. A room that is missing here fails the test: it needs a row in
/// ARCHITECTURE.md and one here.
const MAY_DEPEND_ON: [(&str, &[&str]); 18] = [
    ("catalog", &[]),
    ("columnar", &["catalog"]),
    ("host", &["catalog"]),
    ("plan", &["catalog", "host"]),
    ("extract", &["catalog", "host"]),
    ("transform", &["catalog", "columnar", "host"]),
    ("load", &["catalog", "columnar", "host"]),
    ("halt", &["catalog", "host"]),
    ("functions", &["extract", "halt", "host", "load", "plan", "transform"]),
    ("asl", &[]),
    ("emulator", &["asl"]),
    ("definition", &["asl", "catalog"]),
    ("cdktf", &["catalog", "definition"]),
    ("local", &["asl", "catalog", "emulator"]),
    ("totesys", &["catalog"]),
    ("testbed", &["catalog", "host", "local"]),
    ("datadetox", &["asl", "catalog", "definition", "host", "local", "totesys"]),
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
