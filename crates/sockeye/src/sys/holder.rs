//! Which process holds a port or a path, as far as /proc lets us see (proc(5)).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use procfs::net::{TcpNetEntry, TcpState, UdpNetEntry, UnixState};
use procfs::process::FDTarget;

use crate::event::{Endpoint, Name, Protocol};

/// Who holds an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A process that we may look into.
    Process {
        /// Its number.
        pid: i32,
        /// Its name.
        name: String,
    },
    /// A process of this user, which the system hides from us.
    Hidden {
        /// The user's number.
        uid: u32,
    },
    /// Nobody was found: it may have ended by now, or live in another namespace.
    Unknown,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "by {name} (pid {pid}); end that process or choose another one"),
            Self::Hidden { uid } => {
                write!(f, "by a process of user {uid} that the system hides from us; as root its name would be seen")
            }
            Self::Unknown => f.write_str("by a process that cannot be seen from here; choose another one"),
        }
    }
}

/// Looks for the holder of an address that could not be bound.
#[must_use]
pub fn of(endpoint: &Endpoint) -> Holder {
    let sockets = match &endpoint.name {
        Name::Inet(address) => inet_sockets(endpoint.protocol, *address),
        Name::Path(path) => unix_sockets(path),
        Name::Unnamed => vec![],
    };
    name(&sockets)
}

/// A socket that may be the one: its inode and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    inode: u64,
    uid: u32,
}

fn inet_sockets(protocol: Protocol, wanted: SocketAddr) -> Vec<Candidate> {
    if protocol == Protocol::Udp {
        let tables = [procfs::net::udp(), procfs::net::udp6()];
        return tables.into_iter().flatten().flatten().filter_map(|entry| udp(&entry, wanted)).collect();
    }
    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let mut found: Vec<(bool, Candidate)> =
        tables.into_iter().flatten().flatten().filter_map(|entry| tcp(&entry, wanted)).collect();
    // A listener rather than a connection that happens to have the number.
    found.sort_by_key(|(listens, _)| !listens);
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

fn udp(entry: &UdpNetEntry, wanted: SocketAddr) -> Option<Candidate> {
    conflicts(entry.local_address, wanted).then_some(Candidate { inode: entry.inode, uid: entry.uid })
}

fn tcp(entry: &TcpNetEntry, wanted: SocketAddr) -> Option<(bool, Candidate)> {
    (conflicts(entry.local_address, wanted) && entry.inode != 0)
        .then_some((entry.state == TcpState::Listen, Candidate { inode: entry.inode, uid: entry.uid }))
}

/// Whether a bound socket keeps the wanted address from being bound: the same number on the same address, or either of
/// them on every address.
fn conflicts(held: SocketAddr, wanted: SocketAddr) -> bool {
    let (held_ip, wanted_ip) = (held.ip().to_canonical(), wanted.ip().to_canonical());
    let either_every = held_ip.is_unspecified() || wanted_ip.is_unspecified();
    let same_family = held_ip.is_ipv4() == wanted_ip.is_ipv4();
    // A socket on every IPv6 address may hold the IPv4 ones too.
    let dual = held_ip == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);
    held.port() == wanted.port() && (held_ip == wanted_ip || (either_every && same_family) || dual)
}

fn unix_sockets(path: &Path) -> Vec<Candidate> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let uid = std::os::unix::fs::MetadataExt::uid;
    let owner = std::fs::symlink_metadata(path).map_or(0, |found| uid(&found));
    procfs::net::unix()
        .into_iter()
        .flatten()
        .filter(|entry| entry.path.as_deref().is_some_and(|held| held == path || held == absolute))
        .filter(|entry| entry.state == UnixState::UNCONNECTED)
        .map(|entry| Candidate { inode: entry.inode, uid: owner })
        .collect()
}

/// The process that has one of the sockets open.
fn name(sockets: &[Candidate]) -> Holder {
    let Some(first) = sockets.first() else { return Holder::Unknown };
    let processes: Vec<_> = procfs::process::all_processes().into_iter().flatten().flatten().collect();
    for socket in sockets {
        for process in &processes {
            let holds = process
                .fd()
                .into_iter()
                .flatten()
                .flatten()
                .any(|open| matches!(open.target, FDTarget::Socket(inode) if inode == socket.inode));
            if holds {
                let name = process.stat().map_or_else(|_| "a process".to_owned(), |stat| stat.comm);
                return Holder::Process { pid: process.pid, name };
            }
        }
    }
    Holder::Hidden { uid: first.uid }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_conflicts_with_itself_and_with_every_address() {
        for (held, wanted, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "0.0.0.0:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("[::1]:1", "127.0.0.1:1", false),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1", true),
        ] {
            assert_eq!(conflicts(address(held), address(wanted)), expected, "{held} {wanted}");
        }
    }

    #[test]
    fn a_socket_that_no_process_shows_is_hidden_and_none_at_all_is_unknown() {
        assert_eq!(name(&[Candidate { inode: u64::MAX, uid: 7 }]), Holder::Hidden { uid: 7 });
        assert_eq!(name(&[]), Holder::Unknown);
        assert!(Holder::Hidden { uid: 7 }.to_string().contains("user 7"));
    }
}
