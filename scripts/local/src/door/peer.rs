//! Whose process is at the other end of a connection.
//!
//! Linux tells the owner of every socket in `/proc/net/tcp`. Read by hand: it is four fields of a line whose form the kernel
//! keeps, while a crate for it parses all of `/proc`.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};

/// A connection over IPv4 is in the second table when its other end was opened for IPv6.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// A table is read in pieces while sockets come and go: a line may be missing once.
const LOOKS: usize = 3;

/// The user whose connections are let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    uid: u32,
    /// Whether the system tells whose a connection is.
    is_told: bool,
}

impl Owner {
    /// Our own user. An error where the system should tell and does not.
    pub(super) fn ours() -> Result<Self> {
        let is_told = cfg!(target_os = "linux");
        if is_told {
            fs::metadata(TABLES[0]).with_context(|| {
                format!("cannot tell whose a connection is: {} is not there; mount /proc", TABLES[0])
            })?;
        }
        Ok(Self { uid: rustix::process::geteuid().as_raw(), is_told })
    }

    #[cfg(test)]
    pub(super) fn another(self) -> Self {
        Self { uid: self.uid + 1, ..self }
    }

    /// Whether the process that connected from `peer` to `door` is his.
    pub(super) async fn owns(self, peer: SocketAddr, door: SocketAddr) -> bool {
        if !self.is_told {
            return true;
        }
        let look = move || (0..LOOKS).find_map(|_| owner(peer, door));
        // Not found is gone, or not to be told: neither is let in.
        tokio::task::spawn_blocking(look).await.is_ok_and(|uid| uid == Some(self.uid))
    }
}

fn owner(peer: SocketAddr, door: SocketAddr) -> Option<u32> {
    TABLES.into_iter().zip([false, true]).find_map(|(table, mapped)| {
        let ends = [peer, door].map(|address| written(address, mapped)).join(" ");
        // A system without IPv6 has no second table.
        owner_in(&fs::read_to_string(table).ok()?, &ends)
    })
}

/// `0: 0100007F:B780 0100007F:A05D 01 00000000:00000000 00:00000000 00000000 1000 0 4711 …`: number, ends, state, queues,
/// timer, retransmits, user, time-out, inode. A socket without inode has been closed by its process and belongs to nobody,
/// which the kernel writes as root.
fn owner_in(table: &str, ends: &str) -> Option<u32> {
    let line = table.lines().find(|line| line.contains(ends))?;
    let mut fields = line.split_whitespace().skip(7);
    let (uid, inode) = (fields.next()?, fields.nth(1)?);
    if inode == "0" { None } else { uid.parse().ok() }
}

/// An address as the tables write it: each four bytes of it as a number of this machine, then the port.
fn written(address: SocketAddr, mapped: bool) -> String {
    let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
    let ip = match address {
        SocketAddr::V4(address) => word(address.ip().octets()),
        // Nothing here listens on it.
        SocketAddr::V6(_) => String::new(),
    };
    let prefix = if mapped { word([0; 4]).repeat(2) + &word([0, 0, 0xff, 0xff]) } else { String::new() };
    format!("{prefix}{ip}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn line(ends: [SocketAddr; 2], mapped: bool, uid: u32, inode: u32) -> String {
        let ends = ends.map(|end| written(end, mapped)).join(" ");
        format!("   1: {ends} 01 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0 20 4 30 10 -1\n")
    }

    #[test]
    fn the_owner_of_the_other_end_is_found_and_not_that_of_ours() {
        let (peer, door) = (address(47_000), address(80));
        let ours = line([door, peer], false, 1, 11);
        let his = line([peer, door], false, 2, 12);
        let ends = [peer, door].map(|end| written(end, false)).join(" ");
        assert_eq!(owner_in(&format!("{ours}{his}"), &ends), Some(2));
        assert_eq!(owner_in(&ours, &ends), None);
    }

    #[test]
    fn a_socket_that_its_process_closed_is_nobody_s_and_not_root_s() {
        let ends = [address(47_000), address(80)];
        assert_eq!(owner_in(&line(ends, false, 0, 0), &ends.map(|end| written(end, false)).join(" ")), None);
    }

    #[test]
    fn a_connection_from_a_socket_of_ipv6_is_found() {
        let ends = [address(47_000), address(80)];
        let mapped = ends.map(|end| written(end, true)).join(" ");
        assert_eq!(mapped.len(), 2 * (32 + 5) + 1);
        assert_eq!(owner_in(&line(ends, true, 3, 13), &mapped), Some(3));
    }
}
