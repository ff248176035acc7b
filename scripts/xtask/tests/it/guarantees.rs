//! `docs/guarantees.md` and `SECURITY.md` name tests, and every one of them exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn page() -> String {
    std::fs::read_to_string(format!("{ROOT}/docs/guarantees.md")).expect("the page is there")
}

/// What the page puts in backticks and that has the form of a test's name: crate, module, test.
fn named(text: &str) -> Vec<[&str; 3]> {
    let quoted = text.split('`').skip(1).step_by(2);
    let parts = quoted.filter_map(|words| words.split("::").collect::<Vec<_>>().try_into().ok());
    parts.collect()
}

/// Every Rust file of a package, which lies in a folder of its name.
fn files(package: &str) -> Vec<PathBuf> {
    let rooms = ["functions", "statemachine", "scripts", "."].map(|room| Path::new(ROOT).join(room).join(package));
    let room = rooms.into_iter().find(|room| room.join("Cargo.toml").exists());
    let room = room.unwrap_or_else(|| panic!("there is no package {package}"));
    let mut files = Vec::new();
    let mut folders = vec![room.join("src"), room.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Whether a file is the module, or its tests.
fn is_module(path: &Path, module: &str) -> bool {
    let own = path.file_stem().is_some_and(|stem| stem == module);
    let folder = path.parent().and_then(Path::file_name).is_some_and(|folder| folder == module);
    own || (folder && (path.ends_with("mod.rs") || path.ends_with("tests.rs")))
}

/// Whether a text has a test of that name.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let is_head = |line: &str| ["fn ", "async fn "].iter().any(|head| line.starts_with(&format!("{head}{name}(")));
    let is_mark = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    lines.iter().enumerate().any(|(at, line)| is_head(line) && lines[at.saturating_sub(3)..at].iter().any(is_mark))
}

#[test]
fn every_test_that_the_pages_name_exists() {
    let security = std::fs::read_to_string(format!("{ROOT}/SECURITY.md")).expect("the page is there");
    let pages = page() + &security;
    let names = named(&pages);
    assert!(named(&security).len() > 8 && names.len() > 90, "{}", names.len());
    let missing = names.iter().filter(|[package, module, test]| {
        let of_module = files(package).into_iter().filter(|path| is_module(path, module));
        !of_module.into_iter().any(|path| has_test(&std::fs::read_to_string(path).expect("a text"), test))
    });
    let missing: Vec<String> = missing.map(|parts| parts.join("::")).collect();
    assert!(missing.is_empty(), "docs/guarantees.md or SECURITY.md names tests that do not exist: {missing:#?}");
}

#[test]
fn every_promise_has_its_tests() {
    let page = page();
    let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
    let promised: BTreeSet<String> =
        sections.iter().filter_map(|text| Some(text.split_once(": ")?.0.to_owned())).collect();
    for number in 1..=10 {
        assert!(promised.contains(&format!("R{number}")), "R{number}: {promised:?}");
    }
    for section in sections {
        let title = section.lines().next().unwrap_or_default();
        assert!(!named(section).is_empty(), "{title} names no test");
    }
}

#[test]
fn a_name_that_is_no_test_is_found_out() {
    assert!(has_test("    #[tokio::test]\n    async fn a_b() {", "a_b"));
    assert!(!has_test("#[test]\nfn a_b_c() {", "a_b") && !has_test("fn a_b() {", "a_b"));
    assert_eq!(named("see `a::b::c`, `a::b` and `x`"), [["a", "b", "c"]]);
}
