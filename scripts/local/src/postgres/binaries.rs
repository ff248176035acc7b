//! Where this machine keeps the programs of Postgres.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::environment;
use crate::home::Home;
use crate::process::find_on_path;

/// Where packages put `initdb` and `postgres` when not on the search path, a pattern a line; scripts/setup reads it too.
const USUAL_PLACES: &str = include_str!("../../postgres-places.txt");
/// The variable that names the folder of the binaries to use instead of those that this machine has.
pub const BINARIES: &str = "DATADETOX_POSTGRES";

/// The folder that holds `initdb` and `postgres`: the one that `DATADETOX_POSTGRES` names, and then no other; else that
/// on the search path, the one that scripts/setup unpacked, or the newest in the usual places.
pub(super) fn locate(home: &Home) -> Result<PathBuf> {
    let complete = |place: &PathBuf| place.join("initdb").is_file() && place.join("postgres").is_file();
    if let Some(named) = environment::variable(BINARIES) {
        let place = fs::canonicalize(&named).ok().filter(complete);
        return place.with_context(|| format!("{BINARIES} names {named}, which does not hold initdb and postgres"));
    }
    let on_path = find_on_path("initdb").and_then(|initdb| fs::canonicalize(initdb).ok());
    let on_path = on_path.and_then(|initdb| initdb.parent().map(std::path::Path::to_path_buf));
    let own = home.join("postgres-binaries/bin");
    let places = on_path.into_iter().chain([own]).chain(usual_places().flat_map(expand));
    places.into_iter().find(complete).context(
        "no PostgreSQL server is installed: `initdb` and `postgres` are neither on the search path nor in the usual places\n\
         install it with   apt-get install postgresql   |   dnf install postgresql-server   |   brew install postgresql\n\
         or let scripts/setup do it",
    )
}

fn usual_places() -> impl Iterator<Item = &'static str> {
    USUAL_PLACES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The folders a pattern with at most one `*` stands for, the highest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let Some((parent, stem)) = before.rsplit_once('/') else { return Vec::new() };
    let names =
        fs::read_dir(parent).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut versions: Vec<String> = names.filter_map(|name| name.strip_prefix(stem).map(str::to_owned)).collect();
    versions.sort_by_key(|version| {
        std::cmp::Reverse(version.split('.').next().and_then(|major| major.parse::<u32>().ok()))
    });
    versions.into_iter().map(|version| PathBuf::from(format!("{before}{version}{after}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_place_is_a_folder_of_programs() {
        assert!(usual_places().count() > 5);
        for place in usual_places() {
            let stars = place.matches('*').count();
            assert!(place.starts_with('/') && place.ends_with("/bin") && stars < 2, "{place}");
        }
    }

    #[test]
    fn the_newest_version_is_tried_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "17"] {
            fs::create_dir_all(folder.path().join(format!("pg-{version}/bin"))).unwrap();
        }
        let pattern = format!("{}/pg-*/bin", folder.path().display());
        let found: Vec<String> = expand(&pattern).iter().map(|path| path.display().to_string()).collect();
        assert!(found[0].ends_with("pg-17/bin") && found[2].ends_with("pg-9.6/bin"), "{found:?}");
    }
}
