//! Whose process is at the other end of a connection: what the system says of its socket.
//!
//! Linux is asked for that one socket (`sock_diag`), which costs a tenth of a millisecond. Where the kernel does not answer
//! that, `/proc/net/tcp` is read, which lists every socket of the machine: tens of milliseconds where there are thousands.
//! Both are a few numbers of a form that the kernel keeps, so they are read by hand.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use anyhow::{Result, bail};

/// A connection over IPv4 is in the second table when its other end was opened for IPv6.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// A table is read in pieces while sockets come and go: a line may be missing once.
const LOOKS: usize = 3;

/// Who may connect to a door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peers {
    uid: u32,
    door: SocketAddrV4,
    told: Told,
}

/// Where the system tells whose a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Asked,
    InTables,
    /// By no means that is safe code.
    Nowhere,
}

impl Peers {
    /// The processes of that user. An error where the system should tell them and does not.
    pub(super) fn of(uid: u32, door: SocketAddr) -> Result<Self> {
        let SocketAddr::V4(door) = door else { bail!("a door is on 127.0.0.1, and not on {door}") };
        let told = if !cfg!(target_os = "linux") {
            Told::Nowhere
        } else if diagnostics::owner(door, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).is_some() {
            // It knows the door itself.
            Told::Asked
        } else if fs::metadata(TABLES[0]).is_ok() {
            Told::InTables
        } else {
            bail!(
                "cannot tell whose a connection is: the kernel has no inet_diag, and {} is not there; mount /proc",
                TABLES[0]
            );
        };
        Ok(Self { uid, door, told })
    }

    /// Whether a connection from there is one of theirs. One that is gone, or not to be told, is not.
    pub(super) async fn include(self, peer: SocketAddr) -> bool {
        let SocketAddr::V4(peer) = peer else { return false };
        let uid = match self.told {
            Told::Nowhere => return true,
            Told::Asked => diagnostics::owner(peer, self.door),
            Told::InTables => {
                let look = move || (0..LOOKS).find_map(|_| owner_in_tables(peer, self.door));
                tokio::task::spawn_blocking(look).await.ok().flatten()
            }
        };
        uid == Some(self.uid)
    }
}

#[cfg(target_os = "linux")]
mod diagnostics {
    use std::net::SocketAddrV4;

    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

    /// What `linux/sock_diag.h`, `linux/inet_diag.h` and `linux/netlink.h` call them.
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const AF_INET: u8 = 2;
    const IPPROTO_TCP: u8 = 6;
    /// Header and question, the same and answer.
    const ASKED: u32 = 72;
    const ANSWERED: usize = 88;

    /// The owner of the socket at `end` whose other end is `other`; of an IPv6 socket too that was used for IPv4.
    pub(super) fn owner(end: SocketAddrV4, other: SocketAddrV4) -> Option<u32> {
        let kind = (AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC);
        let socket = socket_with(kind.0, kind.1, kind.2, Some(netlink::SOCK_DIAG)).ok()?;
        send(&socket, &question(end, other), SendFlags::empty()).ok()?;
        let mut answer = [0; 512];
        // It is there when the question was sent.
        let (_, length) = recv(&socket, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
        read(answer.get(..length)?, end, other)
    }

    fn ports(end: SocketAddrV4, other: SocketAddrV4) -> [u8; 4] {
        let ([a, b], [c, d]) = (end.port().to_be_bytes(), other.port().to_be_bytes());
        [a, b, c, d]
    }

    fn question(end: SocketAddrV4, other: SocketAddrV4) -> Vec<u8> {
        let mut question = Vec::new();
        question.extend(ASKED.to_ne_bytes());
        question.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        question.extend(NLM_F_REQUEST.to_ne_bytes());
        question.extend([0; 8]); // No number, no sender: one question, one answer.
        question.extend([AF_INET, IPPROTO_TCP, 0, 0]);
        question.extend([0xff; 4]); // In every state.
        question.extend(ports(end, other));
        for address in [end, other] {
            question.extend(address.ip().octets());
            question.extend([0; 12]);
        }
        question.extend([0; 4]); // By any interface.
        question.extend([0xff; 8]); // Whatever its cookie.
        question
    }

    /// A header of 16 bytes; family, state and two more; ports and addresses as asked, 48 bytes; three numbers; user; inode.
    fn read(answer: &[u8], end: SocketAddrV4, other: SocketAddrV4) -> Option<u32> {
        let number = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
        let is_it = answer.len() >= ANSWERED && kind == SOCK_DIAG_BY_FAMILY && answer[20..24] == ports(end, other);
        let (uid, inode) = (number(80)?, number(84)?);
        // Without inode it has been closed by its process and belongs to nobody, which the kernel writes as root.
        (is_it && inode != 0).then_some(uid)
    }
}

#[cfg(not(target_os = "linux"))]
mod diagnostics {
    pub(super) fn owner(_: std::net::SocketAddrV4, _: std::net::SocketAddrV4) -> Option<u32> {
        None
    }
}

fn owner_in_tables(peer: SocketAddrV4, door: SocketAddrV4) -> Option<u32> {
    TABLES.into_iter().zip([false, true]).find_map(|(table, mapped)| {
        let ends = [peer, door].map(|address| written(address, mapped)).join(" ");
        // A system without IPv6 has no second table.
        owner_in(&fs::read_to_string(table).ok()?, &ends)
    })
}

/// `0: 0100007F:B780 0100007F:A05D 01 00000000:00000000 00:00000000 00000000 1000 0 4711 …`: number, ends, state, queues,
/// timer, retransmits, user, time-out, inode. As to inodes see above.
fn owner_in(table: &str, ends: &str) -> Option<u32> {
    let line = table.lines().find(|line| line.contains(ends))?;
    let mut fields = line.split_whitespace().skip(7);
    let (uid, inode) = (fields.next()?, fields.nth(1)?);
    if inode == "0" { None } else { uid.parse().ok() }
}

/// An address as the tables write it: each four bytes of it as a number of this machine, then the port.
fn written(address: SocketAddrV4, mapped: bool) -> String {
    let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
    let prefix = if mapped { word([0; 4]).repeat(2) + &word([0, 0, 0xff, 0xff]) } else { String::new() };
    format!("{prefix}{}:{:04X}", word(address.ip().octets()), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    fn line(ends: [SocketAddrV4; 2], mapped: bool, uid: u32, inode: u32) -> String {
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
    fn a_connection_from_a_socket_of_ipv6_is_found_in_its_table() {
        let ends = [address(47_000), address(80)];
        let mapped = ends.map(|end| written(end, true)).join(" ");
        assert_eq!(mapped.len(), 2 * (32 + 5) + 1);
        assert_eq!(owner_in(&line(ends, true, 3, 13), &mapped), Some(3));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_of_open_sockets_and_of_no_closed_one() {
        let uid = rustix::process::geteuid().as_raw();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(door) = listener.local_addr().unwrap() else { panic!("it is of IPv4") };
        for mapped in [false, true] {
            let connection = match mapped {
                false => std::net::TcpStream::connect(door).unwrap(),
                true => {
                    let mapped = std::net::SocketAddrV6::new(door.ip().to_ipv6_mapped(), door.port(), 0, 0);
                    std::net::TcpStream::connect(mapped).unwrap()
                }
            };
            let (_ours, SocketAddr::V4(peer)) = listener.accept().unwrap() else { panic!("it is of IPv4") };
            assert_eq!(diagnostics::owner(peer, door), Some(uid), "{mapped}");
            assert_eq!(owner_in_tables(peer, door), Some(uid), "{mapped}");
            drop(connection);
            assert_eq!((diagnostics::owner(peer, door), owner_in_tables(peer, door)), (None, None), "{mapped}");
        }
    }
}
