//! The accounts of this machine that have to do with a stack: its own, and the one that the server runs as.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use anyhow::{Context as _, Result};

/// An account that is not root's: Postgres refuses to run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The account that this process runs as.
pub(crate) fn ours() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Account {
    /// `None` when this process is not root and can run the server itself.
    pub(crate) fn for_server() -> Result<Option<Self>> {
        if ours() != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read the accounts of this machine")?;
        let found = ["postgres", "nobody"].iter().find_map(|name| Self::of(&accounts, name));
        found
            .map(Some)
            .context("Postgres does not run as root, and there is no account postgres or nobody to run it as")
    }

    fn of(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }

    /// Whether it may pass through every folder on the way.
    pub(crate) fn can_reach(self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|folder| {
            fs::metadata(folder).is_ok_and(|metadata| {
                let shift = if metadata.uid() == self.uid {
                    6
                } else if metadata.gid() == self.gid {
                    3
                } else {
                    0
                };
                metadata.mode() >> shift & 1 == 1
            })
        })
    }

    /// Gives it a file or a folder.
    pub(crate) fn give(self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid)).with_context(|| format!("cannot give {} away", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_by_name() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(Account::of(accounts, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::of(accounts, "post"), None);
    }
}
