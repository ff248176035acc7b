//! The way to a home: who may rename a folder above it could put another home in its place.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::account;

/// What to do where the way is not ours.
pub(super) const CURE: &str = "name a folder of your own with --home";
/// As many links as Linux follows.
const MAX_LINKS: u8 = 40;
/// The group of a folder may write to it, or everybody may.
const BY_GROUP: u32 = 0o020;
const BY_ALL: u32 = 0o002;
/// Who may write there may still move nothing that is not their own.
const STICKY: u32 = 0o1000;

/// Where a path leads, without links; what it leads to need not be there. It is followed from the top: each name is looked up
/// in a folder in which `us` and root alone can give it to something else.
///
/// # Errors
/// When another account can.
pub(super) fn to(path: &Path, us: u32) -> Result<PathBuf> {
    let cannot = || format!("cannot open {}", path.display());
    let whole = std::path::absolute(path).with_context(cannot)?;
    let mut rest = reversed(&whole);
    let mut place = PathBuf::from("/");
    let trusted = [us, 0, fs::metadata(&place).with_context(cannot)?.uid()];
    let mut links = 0;
    while let Some(name) = rest.pop() {
        let folder = fs::metadata(&place).with_context(cannot)?;
        refuse_others(&place, &folder, path, us, &trusted)?;
        if name == ".." {
            place.pop();
            continue;
        }
        place.push(name);
        let metadata = match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound && rest.is_empty() => return Ok(place),
            known => known.with_context(cannot)?,
        };
        if metadata.is_symlink() {
            let (link, owner) = (place.display(), metadata.uid());
            // Root's links are the machine's: /tmp is one on some.
            if !trusted.contains(&owner) {
                bail!("{link} is a link that another account made (number {owner}): {CURE}");
            }
            links += 1;
            if links > MAX_LINKS {
                bail!("{}: {link} leads through too many links", cannot());
            }
            let target = fs::read_link(&place).with_context(cannot)?;
            place.pop();
            if target.is_absolute() {
                place = PathBuf::from("/");
            }
            rest.extend(reversed(&target));
        }
    }
    Ok(place)
}

/// The names of a path, the first one last.
fn reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    names.map(|part| part.as_os_str().to_owned()).collect()
}

/// As sshd does on the way to the keys that it believes.
fn refuse_others(folder: &Path, metadata: &Metadata, home: &Path, us: u32, trusted: &[u32]) -> Result<()> {
    let (folder, home) = (folder.display(), home.display());
    let (owner, mode) = (metadata.uid(), metadata.mode());
    if !trusted.contains(&owner) {
        bail!(
            "{folder} belongs to another account (number {owner}), which could put another folder in place of {home}: {CURE}"
        );
    }
    let by_group = mode & BY_GROUP != 0 && !account::is_alone_in(metadata.gid(), us);
    if mode & STICKY == 0 && (mode & BY_ALL != 0 || by_group) {
        bail!(
            "other accounts may write to {folder}, and could put another folder in place of {home}: chmod go-w {folder}, or {CURE}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;
    use crate::account::ours;

    fn refused(path: &Path, us: u32) -> String {
        to(path, us).unwrap_err().to_string()
    }

    /// Gives a folder to another account; answers who is to look, and who owns it then. Who is not root gives nothing away,
    /// and looks with another's eyes.
    fn given_away(folder: &Path) -> (u32, u32) {
        if ours() == 0 {
            chown(folder, Some(65_533), None).unwrap();
            return (0, 65_533);
        }
        (ours() + 1, ours())
    }

    #[test]
    fn a_folder_on_the_way_that_others_may_write_to_is_refused_unless_it_is_sticky() {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().join("above");
        fs::create_dir_all(above.join("between")).unwrap();
        let home = above.join("between/home");
        let open = |mode| fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(to(&home, ours()).unwrap(), home.parent().unwrap().canonicalize().unwrap().join("home"));
        for mode in [0o777, 0o757] {
            open(mode);
            let refused = refused(&home, ours());
            assert!(refused.starts_with("other accounts may write to ") && refused.contains("/above, "), "{refused}");
            assert!(refused.contains("chmod go-w ") && refused.ends_with(CURE), "{refused}");
        }
        for mode in [0o1777, 0o755, 0o700] {
            open(mode);
            to(&home, ours()).unwrap_or_else(|error| panic!("{mode:o}: {error}"));
        }
    }

    #[test]
    fn a_folder_on_the_way_that_another_account_owns_is_refused_also_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(theirs.join("home")).unwrap();
        symlink(&theirs, folder.path().join("link")).unwrap();
        let (us, owner) = given_away(&theirs);
        for home in ["theirs/home", "theirs/missing", "link/home", "theirs/../theirs/home"] {
            let refused = refused(&folder.path().join(home), us);
            assert!(refused.contains(&format!("another account (number {owner})")), "{home}: {refused}");
            assert!(refused.ends_with(CURE), "{refused}");
        }
    }

    #[test]
    fn links_of_ours_are_followed_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().canonicalize().unwrap();
        fs::create_dir(place.join("a")).unwrap();
        symlink("a/../a", place.join("b")).unwrap();
        symlink(place.join("b"), place.join("c")).unwrap();
        assert_eq!(to(&place.join("c/home"), ours()).unwrap(), place.join("a/home"));
        symlink("round", place.join("round")).unwrap();
        assert!(refused(&place.join("round"), ours()).contains("too many links"));
    }
}
