//! Where the server listens: on a Unix socket, in a folder that its account alone comes into.
//!
//! A port would be anybody's on this machine: to connect to, or to take before the server does.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::account::{Account, ours};
use crate::credentials::password;
use crate::environment;

/// In the name of the socket; nothing listens on it.
pub(super) const PORT: u16 = 5432;
/// How long the path of a socket may be, in bytes; macOS takes the least.
const LONGEST: usize = 103;
/// Of folders outside of the home.
const PREFIX: &str = "datadetox-";

/// Makes the folder: beside the data, or where that is too deep for a socket, under a name that nobody can guess.
///
/// # Errors
/// When there is no place that serves.
pub(super) fn make(data: &Path, account: Option<Account>) -> Result<PathBuf> {
    let beside = data.with_extension("socket");
    if fits(&beside) {
        if !beside.exists() {
            create(&beside, account)?;
        }
        return Ok(beside);
    }
    let runtime = environment::variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    for base in runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]) {
        let folder = base.join(format!("{PREFIX}{}", &password()?[..16]));
        if fits(&folder) && serves(&base) && account.is_none_or(|account| account.can_reach(&folder)) {
            create(&folder, account)?;
            return Ok(folder);
        }
    }
    bail!("{} is too deep for the socket of Postgres, and there is no temporary folder: use --home", data.display())
}

/// Removes a folder outside of the home, with what a server that crashed left in it.
pub(super) fn discard(folder: &Path) {
    let is_ours = folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    if is_ours {
        let socket = format!(".s.PGSQL.{PORT}");
        // What is left lies in a folder that is closed, and hurts nobody.
        let _ = fs::remove_file(folder.join(&socket));
        let _ = fs::remove_file(folder.join(socket + ".lock"));
        let _ = fs::remove_dir(folder);
    }
}

fn create(folder: &Path, account: Option<Account>) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.with_context(|| format!("cannot create {}", folder.display()))?;
    account.map_or(Ok(()), |account| account.give(folder))
}

/// Whether a socket in it has a path that systems take, and that libpq, which splits lists at commas, reads as one.
fn fits(folder: &Path) -> bool {
    let plain = |letter: char| !letter.is_control() && !",'\"\\".contains(letter);
    folder.is_absolute()
        && folder.to_str().is_some_and(|path| path.chars().all(plain))
        && folder.join(format!(".s.PGSQL.{PORT}")).as_os_str().len() <= LONGEST
}

/// Whether what is made there stays what it is: nobody else may put another in its place.
fn serves(base: &Path) -> bool {
    fs::metadata(base).is_ok_and(|metadata| {
        let sticky = metadata.mode() & 0o1000 != 0;
        metadata.is_dir() && [ours(), 0].contains(&metadata.uid()) && (sticky || metadata.mode() & 0o022 == 0)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_is_too_deep_or_that_libpq_takes_for_a_list_has_its_socket_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(80));
        let listed = folder.path().join("one,two");
        for odd in [deep, listed] {
            fs::create_dir(&odd).unwrap();
            let (one, other) = (make(&odd.join("postgres"), None).unwrap(), make(&odd.join("postgres"), None).unwrap());
            assert!(!one.starts_with(folder.path()) && one != other, "nobody can guess it");
            assert_eq!(fs::metadata(&one).unwrap().mode() & 0o777, 0o700);
            fs::write(one.join(".s.PGSQL.5432"), "").unwrap();
            for made in [one, other] {
                discard(&made);
                assert!(!made.exists());
            }
        }
        let beside = make(&folder.path().join("postgres"), None).unwrap();
        assert_eq!(beside, folder.path().join("postgres.socket"));
        discard(&beside);
        assert!(beside.exists(), "it is the home's");
    }

    #[test]
    fn a_folder_in_which_others_may_put_one_thing_for_another_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, is_right) in [(0o700, true), (0o755, true), (0o1777, true), (0o777, false), (0o775, false)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(serves(folder.path()), is_right, "{mode:o}");
        }
    }
}
