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

/// Whether nobody but `us` and root is in a group: many systems give every account one of its own, and let it write. A
/// group that this machine has no list of may have anybody in it.
pub(crate) fn is_alone_in(gid: u32, us: u32) -> bool {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    is_private(gid, us, &read("/etc/passwd"), &read("/etc/group"))
}

fn is_private(gid: u32, us: u32, accounts: &str, groups: &str) -> bool {
    let number = |line: &str, field| line.split(':').nth(field).and_then(|field| field.parse::<u32>().ok());
    let is_us = |line: &str| number(line, 2).is_some_and(|uid| uid == us || uid == 0);
    let is_ours = |name: &str| accounts.lines().any(|line| is_us(line) && line.split(':').next() == Some(name));
    let mut others = accounts.lines().filter(|line| !is_us(line));
    let mut groups = groups.lines().filter(|line| number(line, 2) == Some(gid)).peekable();
    groups.peek().is_some()
        && !others.any(|line| number(line, 3) == Some(gid))
        && groups.all(|line| {
            let members = line.split(':').nth(3).unwrap_or_default();
            members.split(',').filter(|name| !name.is_empty()).all(is_ours)
        })
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

    #[test]
    fn a_group_is_private_that_has_nobody_else_in_it() {
        let accounts = "root:x:0:0::/:/bin/sh\nme:x:1000:1000::/:/bin/sh\nyou:x:1001:100::/:/bin/sh\n";
        let groups = "root:x:0:\nme:x:1000:\nown:x:7:me,root\nteam:x:8:me,you\nusers:x:100:\n";
        for (gid, is) in [(1000, true), (7, true), (8, false), (100, false), (9, false)] {
            assert_eq!(is_private(gid, 1000, accounts, groups), is, "{gid}");
        }
    }
}
