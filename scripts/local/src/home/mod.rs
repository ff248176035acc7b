//! The folder in which everything of a local stack lies: `.datadetox` beside `pipeline.toml`.
//!
//! ```text
//! .datadetox/lake/<bucket>/…      the two buckets, as plain files
//! .datadetox/postgres/            the databases (elsewhere when root runs the stack from a folder closed to others)
//! .datadetox/postgres.socket/     where they listen (elsewhere when that is too deep for a socket)
//! .datadetox/executions/          one journal an execution, and an index that can be missed; `.damaged` are put aside
//! .datadetox/inbox/               one file a message of the alerts topic
//! .datadetox/logs/                Postgres and every function
//! .datadetox/pg_service.conf      for psql: `PGSERVICEFILE=.datadetox/pg_service.conf psql service=warehouse`
//! .datadetox/stack.json           where the running stack listens
//! .datadetox/databases.json       which databases the stack was started with, without passwords
//! ```
//!
//! All of it is its owner's alone, whatever the umask: the lake and the journals hold rows, and who holds the lock keeps a
//! stack from starting.

mod owner;
mod way;

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::process;

pub(crate) use owner::umask_before;

/// Time between two looks at a folder that another process holds.
const LOOK: Duration = Duration::from_millis(50);

/// The folder, held by this process until it is dropped.
pub struct Home {
    root: PathBuf,
    _lock: File,
}

/// What a running stack tells other processes.
#[derive(Clone, Serialize, Deserialize)]
pub struct Running {
    /// Process id of the stack.
    pub pid: u32,
    /// Whether it goes on until somebody stops it, and not only as long as one run takes.
    pub serves: bool,
    /// Where its AWS services listen.
    pub endpoint: String,
    /// With which its operator signs requests; the file is its owner's alone.
    pub operator_secret: String,
    /// Name of the pipeline.
    pub pipeline: String,
    /// ARN of its state machine.
    pub state_machine: String,
    /// The folder of its Postgres' socket, if it has one.
    pub postgres_socket: Option<PathBuf>,
}

impl Home {
    /// Makes the folder where it is missing, and takes it.
    ///
    /// # Errors
    /// When another process holds it, it is another account's, or it cannot be written.
    pub fn take(root: &Path) -> Result<Self> {
        if let Some(home) = Self::try_take(root)? {
            return Ok(home);
        }
        let running = owner::find(root).and_then(|root| Running::read(&root));
        let who = running.map_or_else(String::new, |running| format!(" (process {})", running.pid));
        let place = root.display();
        bail!("a stack already runs in {place}{who}; use `datadetox start` where it goes on running, or stop it first")
    }

    /// The same, waiting for another process to give it up.
    ///
    /// # Errors
    /// When another process still holds it after `patience`, or it cannot be written.
    pub async fn take_within(root: &Path, patience: Duration) -> Result<Self> {
        let free = async {
            let mut looks = tokio::time::interval(LOOK);
            loop {
                looks.tick().await;
                if let Some(home) = Self::try_take(root)? {
                    return Ok(home);
                }
            }
        };
        match tokio::time::timeout(patience, free).await {
            Ok(taken) => taken,
            Err(_) => Self::take(root),
        }
    }

    /// The same; `None` while another process holds it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn try_take(root: &Path) -> Result<Option<Self>> {
        let owner::Claimed { path: root, was_open } = owner::claim(root)?;
        for folder in ["lake", "executions", "inbox", "logs"] {
            owner::folder(&root.join(folder))?;
        }
        let place = root.join("lock");
        let mut lock = try_lock(&place)?;
        // While others could come in, one of them could take the lock, and may hold it still. It is a file that they cannot
        // open any more, then, unless a stack of ours says that it runs.
        let runs = || Running::read(&root).is_some_and(|running| process::is_alive(running.pid));
        if lock.is_none() && was_open && !runs() {
            fs::remove_file(&place).with_context(|| format!("cannot remove {}", place.display()))?;
            lock = try_lock(&place)?;
        }
        let Some(lock) = lock else { return Ok(None) };
        let home = Self { root, _lock: lock };
        // What a stack that was killed told of itself is true no longer.
        home.withdraw();
        Ok(Some(home))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A path inside of it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file that only its owner reads, whole or not at all; answers its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_private(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.join(name);
        let beside = self.join(&format!("{name}.new"));
        let mut file = owner::new_file(&beside)?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", beside.display()))?;
        fs::rename(&beside, &path)?;
        Ok(path)
    }

    /// Lets the server's account through to its own folders.
    pub(crate) fn let_pass(&self, account: Account) -> Result<()> {
        owner::let_pass(&self.root, account)
    }

    pub(crate) fn announce(&self, running: &Running) -> Result<()> {
        self.write_private("stack.json", &serde_json::to_string_pretty(running)?).map(|_| ())
    }

    pub(crate) fn withdraw(&self) {
        // Nobody can be told when it is not removed; the lock says that the stack is gone.
        let _ = fs::remove_file(self.join("stack.json"));
    }
}

/// The lock, unless another process holds it.
fn try_lock(place: &Path) -> Result<Option<File>> {
    let lock = owner::file(place)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", place.display())),
    }
}

impl Running {
    /// The stack that runs in a folder, if one does.
    #[must_use]
    pub fn find(root: &Path) -> Option<Self> {
        // What another account says would lead us to its own services.
        let root = &owner::find(root)?;
        let running = Self::read(root)?;
        // The file outlives a crash, the lock does not.
        let lock = File::open(root.join("lock")).ok()?;
        matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)).then_some(running)
    }

    fn read(root: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(root.join("stack.json")).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_folder_has_one_stack() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::take(folder.path()).unwrap();
        assert!(Home::take(folder.path()).err().unwrap().to_string().starts_with("a stack already runs in"));
        let running = Running {
            pid: 1,
            serves: true,
            endpoint: "e".into(),
            operator_secret: "s".into(),
            pipeline: "p".into(),
            state_machine: "s".into(),
            postgres_socket: None,
        };
        home.announce(&running).unwrap();
        assert_eq!(Running::find(folder.path()).unwrap().endpoint, "e");
        drop(home);
        assert!(Running::find(folder.path()).is_none(), "the file is left, the stack is not");
        let _home = Home::take(folder.path()).unwrap();
        assert!(Running::find(folder.path()).is_none(), "who took the folder has not said that it is a stack");
    }

    #[test]
    fn who_took_the_lock_of_a_home_that_was_open_holds_nothing_once_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("home");
        drop(Home::take(&root).unwrap());
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        let another = File::open(root.join("lock")).unwrap();
        another.lock_shared().unwrap();
        let home = Home::take(&root).unwrap();
        assert!(Home::try_take(&root).unwrap().is_none(), "it is held as any other");
        drop(home);
        let held = File::open(root.join("lock")).unwrap();
        held.lock_shared().unwrap();
        assert!(Home::try_take(&root).unwrap().is_none(), "in a home that was closed it is a stack of ours");
    }
}
