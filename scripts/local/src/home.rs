//! The folder in which everything of a local stack lies: `.datadetox` beside `pipeline.toml`.
//!
//! ```text
//! .datadetox/lake/<bucket>/…      the two buckets, as plain files
//! .datadetox/postgres/            the databases (elsewhere when root runs the stack from a folder closed to others)
//! .datadetox/executions/          one journal an execution; `.damaged` are put aside
//! .datadetox/inbox/               one file a message of the alerts topic
//! .datadetox/logs/                Postgres and every function
//! .datadetox/pg_service.conf      for psql: `PGSERVICEFILE=.datadetox/pg_service.conf psql service=warehouse`
//! .datadetox/stack.json           where the running stack listens
//! .datadetox/databases.json       which databases the stack was started with, without passwords
//! ```

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

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
    /// Port of its Postgres, if it has one.
    pub postgres_port: Option<u16>,
}

impl Home {
    /// Makes the folder where it is missing, and takes it.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be written.
    pub fn take(root: &Path) -> Result<Self> {
        if let Some(home) = Self::try_take(root)? {
            return Ok(home);
        }
        let who = Running::read(root).map_or_else(String::new, |running| format!(" (process {})", running.pid));
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
        for folder in ["lake", "executions", "inbox", "logs"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let root = root.canonicalize().with_context(|| format!("cannot open {}", root.display()))?;
        let failed = || format!("cannot lock {}", root.display());
        let lock = File::create(root.join("lock")).with_context(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
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
        let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", beside.display()))?;
        fs::rename(&beside, &path)?;
        Ok(path)
    }

    pub(crate) fn announce(&self, running: &Running) -> Result<()> {
        self.write_private("stack.json", &serde_json::to_string_pretty(running)?).map(|_| ())
    }

    pub(crate) fn withdraw(&self) {
        // Nobody can be told when it is not removed; the lock says that the stack is gone.
        let _ = fs::remove_file(self.join("stack.json"));
    }
}

impl Running {
    /// The stack that runs in a folder, if one does.
    #[must_use]
    pub fn find(root: &Path) -> Option<Self> {
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
            postgres_port: None,
        };
        home.announce(&running).unwrap();
        assert_eq!(Running::find(folder.path()).unwrap().endpoint, "e");
        drop(home);
        assert!(Running::find(folder.path()).is_none(), "the file is left, the stack is not");
        let _home = Home::take(folder.path()).unwrap();
        assert!(Running::find(folder.path()).is_none(), "who took the folder has not said that it is a stack");
    }
}
