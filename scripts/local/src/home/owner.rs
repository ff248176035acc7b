//! Whose a folder is, and that nobody else comes into it: on a shared machine others have accounts of their own.
//!
//! What lies in a home needs no modes of its own as long as the home is closed. Everything in it is closed all the same, for
//! a copy of it, and where root lets the server's account pass through the home.

use std::fs::{self, DirBuilder, File, Metadata};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::process::umask;

use crate::account::{Account, ours};

/// The owner alone.
const CLOSED: u32 = 0o700;
/// The same, and the group of the server's account passes through: it can neither list nor read.
const PASSED: u32 = 0o710;
/// Who may write into a folder may have put something there.
const WRITTEN: u32 = 0o022;

/// A folder of ours.
pub(super) struct Claimed {
    /// Without links on the way.
    pub(super) path: PathBuf,
    /// Whether others could come into it until now.
    pub(super) was_open: bool,
}

/// Makes a folder of ours where there is none, and closes one that others can come into.
///
/// # Errors
/// When it is somebody else's, or something in it is.
pub(super) fn claim(root: &Path) -> Result<Claimed> {
    let place = root.display();
    if let Some(parent) = root.parent() {
        let mut shared = DirBuilder::new();
        shared
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let metadata = match DirBuilder::new().mode(CLOSED).create(root) {
        Ok(()) => fs::metadata(root)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => ours_to_use(root, ours())?,
        Err(error) => return Err(error).with_context(|| format!("cannot create {place}")),
    };
    keep_closed();
    let path = root.canonicalize().with_context(|| format!("cannot open {place}"))?;
    let mode = metadata.mode() & 0o777;
    let was_open = mode & !CLOSED != 0 && !(mode == PASSED && ours() == 0);
    if was_open {
        close(&path)?;
        if mode & WRITTEN != 0 {
            refuse_what_others_put(&path, ours())?;
        }
    }
    Ok(Claimed { path, was_open })
}

/// Whether a folder is there and ours; of somebody else's nothing is believed.
pub(super) fn is_ours(root: &Path) -> bool {
    ours_to_use(root, ours()).is_ok()
}

/// What is known of a folder that `us` owns.
fn ours_to_use(root: &Path, us: u32) -> Result<Metadata> {
    let place = root.display();
    let cannot = || format!("cannot open {place}");
    let cure = "name a folder of your own with --home";
    let link = fs::symlink_metadata(root).with_context(cannot)?;
    // Root's links are the machine's: /tmp is one on some.
    if link.is_symlink() && ![us, 0].contains(&link.uid()) {
        bail!("{place} is a link that another account made (number {}): {cure}", link.uid());
    }
    let metadata = fs::metadata(root).with_context(cannot)?;
    if !metadata.is_dir() {
        bail!("{place} is no folder: {cure}");
    }
    if metadata.uid() != us {
        bail!("{place} belongs to another account (number {}): {cure}", metadata.uid());
    }
    Ok(metadata)
}

/// Closes a folder of ours, and insists: not every file system keeps modes.
fn close(path: &Path) -> Result<()> {
    let cannot = || format!("cannot close {} to other accounts", path.display());
    let folder = File::open(path).with_context(cannot)?;
    folder.set_permissions(fs::Permissions::from_mode(CLOSED)).with_context(cannot)?;
    if folder.metadata()?.mode() & 0o077 != 0 {
        bail!("{}: its file system keeps no modes; name a folder on another one with --home", cannot());
    }
    Ok(())
}

/// Looks through a folder that others could write to.
fn refuse_what_others_put(folder: &Path, us: u32) -> Result<()> {
    let server = Account::for_server().ok().flatten().map(|account| account.uid);
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let cannot = || format!("cannot read {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let metadata = fs::symlink_metadata(&path).with_context(cannot)?;
            let owner = metadata.uid();
            if owner != us && Some(owner) != server {
                let path = path.display();
                bail!("{path} belongs to another account (number {owner}), which could write there: remove it");
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// A folder of ours in the home, closed.
pub(super) fn folder(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(CLOSED).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mode = ours_to_use(path, ours())?.mode() & 0o777;
            if mode == CLOSED { Ok(()) } else { close(path) }
        }
        Err(error) => Err(error).with_context(|| format!("cannot create {}", path.display())),
    }
}

/// A file of ours in the home, closed; made where it is not there.
pub(super) fn file(path: &Path) -> Result<File> {
    let cannot = || format!("cannot write {}", path.display());
    // Not through a link that somebody put there.
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).with_context(cannot)?;
    let open = File::options().create(true).truncate(true).write(true).mode(0o600).custom_flags(flags).open(path);
    let file = open.with_context(cannot)?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).with_context(cannot)?;
    Ok(file)
}

/// Lets the server's account pass through a folder of ours.
pub(super) fn let_pass(path: &Path, account: Account) -> Result<()> {
    let cannot = || format!("cannot let the server pass through {}", path.display());
    chown(path, None, Some(account.gid)).with_context(cannot)?;
    fs::set_permissions(path, fs::Permissions::from_mode(PASSED)).with_context(cannot)
}

/// What files this process made were open to before, for programs that make files for others.
static BEFORE: OnceLock<Mode> = OnceLock::new();

/// From now on the files of this process, and of the processes that it starts, are their owner's alone.
fn keep_closed() {
    BEFORE.get_or_init(|| umask(Mode::from_raw_mode(0o077)));
}

/// What this process' umask was at first, as a shell takes it; `None` where it is the same still.
pub(crate) fn umask_before() -> Option<String> {
    BEFORE.get().map(|mode| format!("{:03o}", mode.bits()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn open(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_of_ours_that_was_open_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        assert!(!claim(&root).unwrap().was_open, "it is made closed");
        assert_eq!(mode(&root), 0o700);
        for wide in [0o755, 0o777, 0o770, 0o750, 0o701] {
            open(&root, wide);
            assert!(claim(&root).unwrap().was_open, "{wide:o}");
            assert_eq!(mode(&root), 0o700, "{wide:o}");
        }
        assert!(!claim(&root).unwrap().was_open);
    }

    #[test]
    fn a_folder_or_a_link_of_another_account_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (root, link) = (folder.path().join("home"), folder.path().join("link"));
        fs::create_dir(&root).unwrap();
        symlink(&root, &link).unwrap();
        assert!(ours_to_use(&link, ours()).is_ok(), "a link of our own leads where we want");
        // Seen by somebody else, ours is another account's.
        let other = ours() + 1;
        let refused = ours_to_use(&root, other).unwrap_err().to_string();
        assert!(refused.contains(&format!("belongs to another account (number {})", ours())), "{refused}");
        if ours() != 0 {
            let refused = ours_to_use(&link, other).unwrap_err().to_string();
            assert!(refused.contains("is a link that another account made"), "{refused}");
        }
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(ours_to_use(&file, ours()).unwrap_err().to_string().contains("is no folder"));
    }

    #[test]
    fn what_another_account_put_into_a_folder_that_was_open_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("lake/staff")).unwrap();
        fs::write(folder.path().join("lake/staff/part"), "").unwrap();
        refuse_what_others_put(folder.path(), ours()).unwrap();
        let refused = refuse_what_others_put(folder.path(), ours() + 1).unwrap_err().to_string();
        assert!(refused.contains("/lake belongs to another account") && refused.ends_with("remove it"), "{refused}");
    }
}
