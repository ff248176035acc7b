//! What a program holds that is no crate: the npm packages that the console's pages have something of.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// A folder for each package, of its name, with its licence.
pub(crate) const ASSETS: &str = "scripts/console/assets";

/// Every npm package by the SHA-512 of its archive: `sum  name@version`.
pub(crate) const PACKAGES: &str = "scripts/npm-packages.sha512";

/// Those packages as components of a CycloneDX document, by their names.
pub(crate) fn components(assets: &Path, packages: &Path) -> Result<Vec<Value>> {
    let listed = read(packages)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(assets).with_context(|| format!("cannot read {}", assets.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    let component = |name: &String| {
        let line = listed.lines().filter_map(|line| line.split_once("  ")).find_map(|(sum, package)| {
            let version = package.strip_prefix(name.as_str())?.strip_prefix('@')?;
            Some((sum, version))
        });
        let folder = assets.join(name);
        let (sum, version) =
            line.with_context(|| format!("{} is of no package that {} lists", folder.display(), packages.display()))?;
        let licence = read(&folder.join("LICENSE"))?;
        Ok(json!({
            "type": "library", "name": name, "version": version, "scope": "required",
            "bom-ref": format!("pkg:npm/{name}@{version}"), "purl": format!("pkg:npm/{name}@{version}"),
            "hashes": [{ "alg": "SHA-512", "content": sum }],
            "licenses": [{ "license": {
                "name": licence.lines().next().unwrap_or_default(),
                "text": { "contentType": "text/plain", "content": licence },
            } }],
        }))
    };
    names.iter().map(component).collect()
}

/// Adds components to a CycloneDX document.
pub(crate) fn add(document: &Path, components: Vec<Value>) -> Result<()> {
    let mut contents: Value =
        serde_json::from_str(&read(document)?).with_context(|| format!("{} is no JSON", document.display()))?;
    let list = contents["components"].as_array_mut();
    list.with_context(|| format!("{} has no components", document.display()))?.extend(components);
    let text = serde_json::to_string_pretty(&contents)? + "\n";
    std::fs::write(document, text).with_context(|| format!("cannot write {}", document.display()))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

    fn shipped() -> Vec<Value> {
        let root = Path::new(ROOT);
        components(&root.join(ASSETS), &root.join(PACKAGES)).unwrap_or_else(|error| panic!("{error:#}"))
    }

    #[test]
    fn every_package_that_pages_have_something_of_is_named_with_its_version_bytes_and_licence() {
        let components = shipped();
        let names: Vec<&str> = components.iter().filter_map(|component| component["name"].as_str()).collect();
        assert_eq!(names, ["htmx-ext-sse", "htmx.org", "uplot"]);
        let licences = ["BSD Zero Clause License", "Zero-Clause BSD", "The MIT License (MIT)"];
        for (component, licence) in components.iter().zip(licences) {
            let package = component["purl"].as_str().and_then(|purl| purl.strip_prefix("pkg:npm/")).expect("a package");
            let listed = std::fs::read_to_string(Path::new(ROOT).join(PACKAGES)).expect("the list is there");
            let sum = component["hashes"][0]["content"].as_str().expect("a sum");
            assert!(listed.contains(&format!("{sum}  {package}\n")), "{package}");
            assert_eq!(component["licenses"][0]["license"]["name"], licence);
        }
    }

    #[test]
    fn a_folder_of_no_listed_package_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("assets/html")).expect("made");
        // Begins with its name.
        std::fs::write(folder.path().join("list"), "00  html.org@2.0.11\n").expect("written");
        let error =
            components(&folder.path().join("assets"), &folder.path().join("list")).expect_err("it is not listed");
        assert!(error.to_string().contains("assets/html is of no package"), "{error:#}");
    }

    #[test]
    fn they_are_beside_the_crates_of_a_document() {
        let folder = tempfile::tempdir().expect("a folder");
        let document = folder.path().join("datadetox.cdx.json");
        std::fs::write(&document, r#"{"bomFormat":"CycloneDX","components":[{"name":"axum"}]}"#).expect("written");
        add(&document, shipped()).unwrap_or_else(|error| panic!("{error:#}"));
        let text = std::fs::read_to_string(&document).expect("it is there");
        let contents: Value = serde_json::from_str(&text).expect("JSON");
        let names: Vec<&Value> =
            contents["components"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["axum", "htmx-ext-sse", "htmx.org", "uplot"]);
        assert_eq!(contents["bomFormat"], "CycloneDX");
    }
}
