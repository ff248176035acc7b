//! Whose a folder is, and that nobody else comes into it: on a shared machine others have accounts of their own.
//!
//! What lies in a home needs no modes of its own as long as the home is closed. Everything in it is closed all the same, for
//! a copy of it, and where root lets the server's account pass through the home.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::process::umask;

use super::way;
use crate::account::{Account, ours};

/// The owner alone.
const CLOSED: u32 = 0o700;
/// The same, and the group of the server's account passes through: it can neither list nor read.
const PASSED: u32 = 0o710;
/// Who may write into a folder may have put something there.
const WRITTEN: u32 = 0o022;
/// The owner alone, and it was not looked yet for what others put there: whatever ends a look, the next start looks again.
const UNSEEN: u32 = 0o1700;

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
/// When it is somebody else's, something in it is, or another account could put another one in its place.
pub(super) fn claim(root: &Path) -> Result<Claimed> {
    let cannot = || format!("cannot create {}", root.display());
    let whole = std::path::absolute(root).with_context(cannot)?;
    if let Some(parent) = whole.parent() {
        let mut shared = DirBuilder::new();
        shared
            .recursive(true)
            .mode(0o755)
            .create(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let path = way::to(&whole, ours())?;
    match DirBuilder::new().mode(CLOSED).create(&path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).with_context(cannot),
        _ => {}
    }
    let folder = open(&path, ours())?;
    keep_closed();
    let mode = folder.metadata()?.mode() & 0o1777;
    let was_open = mode & !CLOSED != 0 && !(mode == PASSED && ours() == 0);
    if was_open {
        if mode == UNSEEN || mode & WRITTEN != 0 {
            close_as(UNSEEN, &folder, &path)?;
            refuse_what_others_put(&path, ours())?;
        }
        close(&folder, &path)?;
    }
    Ok(Claimed { path, was_open })
}

/// Where a folder of ours is, without links on the way; of somebody else's nothing is believed.
pub(super) fn find(root: &Path) -> Option<PathBuf> {
    let path = way::to(root, ours()).ok()?;
    open(&path, ours()).is_ok().then_some(path)
}

/// A folder that `us` owns: what is known of it, and done to it, is of the one that was opened.
fn open(path: &Path, us: u32) -> Result<File> {
    let place = path.display();
    let cannot = || format!("cannot open {place}");
    let known = fs::symlink_metadata(path).with_context(cannot)?;
    // A file is not opened: one that is no file at all may answer never. And who owns a folder may be all that is known.
    if !known.is_dir() {
        bail!("{place} is no folder: {}", way::CURE);
    }
    refuse_another_owner(path, &known, us)?;
    let flags = i32::try_from((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits()).with_context(cannot)?;
    let folder = File::options().read(true).custom_flags(flags).open(path).with_context(cannot)?;
    refuse_another_owner(path, &folder.metadata().with_context(cannot)?, us)?;
    Ok(folder)
}

fn refuse_another_owner(path: &Path, metadata: &Metadata, us: u32) -> Result<()> {
    if metadata.uid() != us {
        bail!("{} belongs to another account (number {}): {}", path.display(), metadata.uid(), way::CURE);
    }
    Ok(())
}

/// Closes a folder of ours, and insists: not every file system keeps modes.
fn close(folder: &File, path: &Path) -> Result<()> {
    close_as(CLOSED, folder, path)
}

fn close_as(mode: u32, folder: &File, path: &Path) -> Result<()> {
    let cannot = || format!("cannot close {} to other accounts", path.display());
    folder.set_permissions(fs::Permissions::from_mode(mode)).with_context(cannot)?;
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
                // Who is in it already could go on putting things there.
                if owner == us && metadata.mode() & WRITTEN != 0 {
                    close(&open(&path, us)?, &path)?;
                }
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
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let folder = open(path, ours())?;
            if folder.metadata()?.mode() & 0o777 == CLOSED { Ok(()) } else { close(&folder, path) }
        }
        Err(error) => Err(error).with_context(|| format!("cannot create {}", path.display())),
    }
}

/// A file of ours in the home, closed, with what is in it; made where it is not there.
pub(super) fn file(path: &Path) -> Result<File> {
    let cannot = || format!("cannot write {}", path.display());
    // Not through a link that somebody put there; and not emptied, as it may be one that they gave another name.
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).with_context(cannot)?;
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(flags);
    let file = options.open(path).with_context(cannot)?;
    refuse_another_owner(path, &file.metadata().with_context(cannot)?, ours())?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).with_context(cannot)?;
    Ok(file)
}

/// A file of ours in the home, closed and new: whatever has its name goes.
pub(super) fn new_file(path: &Path) -> Result<File> {
    let cannot = || format!("cannot write {}", path.display());
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(cannot),
        _ => {}
    }
    File::options().create_new(true).write(true).mode(0o600).open(path).with_context(cannot)
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
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn widen(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_of_ours_that_was_open_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        assert!(!claim(&root).unwrap().was_open, "it is made closed");
        assert_eq!(mode(&root), 0o700);
        for wide in [0o755, 0o777, 0o770, 0o750, 0o701] {
            widen(&root, wide);
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
        assert_eq!(find(&link), Some(root.canonicalize().unwrap()), "a link of our own leads where we want");
        // Seen by somebody else, ours is another account's.
        let refused = open(&root, ours() + 1).unwrap_err().to_string();
        assert!(refused.contains(&format!("belongs to another account (number {})", ours())), "{refused}");
        if ours() == 0 {
            // In a folder that holds what others put there.
            widen(folder.path(), 0o1777);
            lchown(&link, Some(65_533), None).unwrap();
            let refused = claim(&link).err().unwrap().to_string();
            assert!(refused.contains("is a link that another account made (number 65533)"), "{refused}");
            assert_eq!(find(&link), None);
        }
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(open(&file, ours()).unwrap_err().to_string().contains("is no folder"));
        assert!(open(&link, ours()).unwrap_err().to_string().contains("is no folder"), "the way has none");
    }

    #[test]
    fn a_home_in_whose_place_another_account_could_put_another_is_refused_before_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().join("above");
        fs::create_dir(&above).unwrap();
        widen(&above, 0o777);
        let root = above.join("home");
        let refused = claim(&root).err().unwrap().to_string();
        assert!(refused.starts_with("other accounts may write to "), "{refused}");
        assert!(!root.exists());
        widen(&above, 0o1777);
        claim(&root).unwrap();
        assert_eq!(find(&root), Some(root.canonicalize().unwrap()));
        widen(&above, 0o777);
        assert_eq!(find(&root), None, "what stands there is not believed");
    }

    #[test]
    fn a_file_that_has_the_name_of_ours_is_not_emptied_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("precious"), "words").unwrap();
        fs::hard_link(place("precious"), place("lock")).unwrap();
        drop(file(&place("lock")).unwrap());
        fs::hard_link(place("precious"), place("told.new")).unwrap();
        drop(new_file(&place("told.new")).unwrap());
        symlink(place("precious"), place("link")).unwrap();
        assert!(file(&place("link")).is_err());
        drop(new_file(&place("link")).unwrap());
        assert_eq!(fs::read_to_string(place("precious")).unwrap(), "words");
        assert_eq!((mode(&place("link")), mode(&place("told.new"))), (0o600, 0o600));
        if ours() == 0 {
            chown(place("lock"), Some(65_533), None).unwrap();
            assert!(file(&place("lock")).unwrap_err().to_string().contains("belongs to another account"));
        }
    }

    #[test]
    fn what_another_account_put_into_a_folder_that_was_open_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("lake/staff")).unwrap();
        fs::write(folder.path().join("lake/staff/part"), "").unwrap();
        refuse_what_others_put(folder.path(), ours()).unwrap();
        let refused = refuse_what_others_put(folder.path(), ours() + 1).unwrap_err().to_string();
        assert!(refused.contains("/lake belongs to another account") && refused.ends_with("remove it"), "{refused}");
        if ours() == 0 {
            let home = folder.path().join("home");
            fs::create_dir_all(home.join("lake/theirs")).unwrap();
            chown(home.join("lake/theirs"), Some(65_533), None).unwrap();
            widen(&home.join("lake"), 0o777);
            widen(&home, 0o777);
            for start in 0..3 {
                let refused = claim(&home).err().map(|error| error.to_string());
                assert!(refused.is_some_and(|why| why.contains("theirs belongs to another account")), "start {start}");
            }
            assert_eq!((mode(&home), mode(&home.join("lake"))), (0o700, 0o700), "closed all the while");
            fs::remove_dir(home.join("lake/theirs")).unwrap();
            assert!(claim(&home).unwrap().was_open);
            assert!(!claim(&home).unwrap().was_open);
        }
    }
}
