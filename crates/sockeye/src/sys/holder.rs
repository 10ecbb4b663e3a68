//! Which process holds a port or a path, as far as /proc lets us see (proc(5)).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::inet_diag::{self, InetSocket};
use super::process::{Owners, Process, user};
use super::unix_diag;
use crate::endpoint::{Endpoint, Name, Protocol};

/// Who holds an address. Displays as what stands behind "in use by".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// A process that we may look into.
    Process {
        /// Its number.
        pid: i32,
        /// Its name, which it may have chosen itself: not yet harmless.
        name: String,
    },
    /// A socket of this user, whose process the system hides from us.
    Hidden {
        /// The user's number.
        uid: u32,
        /// The user's name, if /etc/passwd has one.
        user: Option<String>,
    },
    /// No process any more: connections that ended keep the number for up to a minute (TIME_WAIT; RFC 9293, section 3.6.1).
    /// Our own leave it to the next server; those of one that did not set SO_REUSEADDR do not.
    Closing,
    /// No process was found: it may have ended by now, be bound without listening, or live in another namespace.
    Unknown,
}

impl Holder {
    /// What would free the address or show more; "choose another port" follows.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Process { .. } => "end that process or",
            Self::Closing => "wait a minute or",
            Self::Hidden { .. } if !rustix::process::geteuid().is_root() => "run as root to see which, or",
            Self::Hidden { .. } => "it is in a container or in the kernel;",
            Self::Unknown => "it may be bound without listening, or be in a container;",
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, name } => write!(f, "{name} (pid {pid})"),
            Self::Hidden { uid, user: Some(user) } => write!(f, "a hidden process of user {user} (uid {uid})"),
            Self::Hidden { uid, user: None } => write!(f, "a hidden process of user {uid}"),
            Self::Closing => f.write_str("connections that are still closing"),
            Self::Unknown => f.write_str("a process that cannot be seen from here"),
        }
    }
}

/// Looks for the holder of an address that could not be bound.
#[must_use]
pub(crate) fn of(endpoint: &Endpoint) -> Holder {
    let sockets = match &endpoint.name {
        Name::Inet(address) => inet_sockets(endpoint.protocol, *address),
        Name::Path(path) => unix_sockets(path),
        Name::Unnamed | Name::Local(_) => vec![],
    };
    let owners = Owners::look();
    judge(&sockets, |inode| owners.of(inode).first().map(named))
}

/// The state of a listener (net/tcp_states.h).
const LISTENING: u8 = 10;

/// A socket that may be the one: its inode, 0 if no process has it any more, and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    inode: u64,
    uid: u32,
}

fn inet_sockets(protocol: Protocol, wanted: SocketAddr) -> Vec<Candidate> {
    let mut found = inet_diag::sockets(protocol).unwrap_or_default();
    found.retain(|socket| conflicts(socket.local, wanted));
    // A listener rather than a connection that happens to have the number.
    found.sort_by_key(|socket| socket.state != LISTENING);
    found.iter().map(|&InetSocket { inode, uid, .. }| Candidate { inode, uid }).collect()
}

/// Whether a bound socket of the same protocol keeps the wanted address from being bound: the same number on the same address, or either of
/// them on every address.
pub(crate) fn conflicts(held: SocketAddr, wanted: SocketAddr) -> bool {
    let (held_ip, wanted_ip) = (held.ip().to_canonical(), wanted.ip().to_canonical());
    let either_every = held_ip.is_unspecified() || wanted_ip.is_unspecified();
    let same_family = held_ip.is_ipv4() == wanted_ip.is_ipv4();
    // A socket on every IPv6 address may hold the IPv4 ones too.
    let dual = held_ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    held.port() == wanted.port() && (held_ip == wanted_ip || (either_every && same_family) || dual)
}

fn unix_sockets(path: &Path) -> Vec<Candidate> {
    let Ok(file) = rustix::fs::lstat(path) else { return vec![] };
    let sockets = unix_diag::bound_to(&file).unwrap_or_default();
    sockets.into_iter().map(|inode| Candidate { inode, uid: file.st_uid }).collect()
}

/// The first socket that a process is found for, or what is left to say.
fn judge(sockets: &[Candidate], process: impl Fn(u64) -> Option<Holder>) -> Holder {
    let open: Vec<_> = sockets.iter().filter(|socket| socket.inode != 0).collect();
    if let Some(found) = open.iter().find_map(|socket| process(socket.inode)) {
        return found;
    }
    match (open.first(), sockets) {
        (Some(hidden), _) => Holder::Hidden { uid: hidden.uid, user: user(hidden.uid) },
        (None, [_, ..]) => Holder::Closing,
        (None, []) => Holder::Unknown,
    }
}

fn named(process: &Process) -> Holder {
    Holder::Process { pid: process.pid, name: process.name.clone() }
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
    fn the_process_is_named_in_full() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let name = Name::Inet(held.local_addr().unwrap());
        let pid = i32::try_from(std::process::id()).unwrap();
        let own = std::env::current_exe().unwrap();
        match of(&Endpoint { protocol: Protocol::Tcp, name, over: None }) {
            Holder::Process { pid: found, name } => {
                assert_eq!(found, pid);
                // The name of the thread that was first may have been cut, but then it is made whole.
                assert!(own.file_name().unwrap().to_str().unwrap().starts_with(&name), "{name}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_seen_is_told_apart() {
        let [hidden, ended] = [(5, 0), (0, 7)].map(|(inode, uid)| Candidate { inode, uid });
        let nobody = |_| None;
        let root = Holder::Hidden { uid: 0, user: Some("root".to_owned()) };
        assert_eq!(judge(&[ended, hidden], nobody), root);
        assert_eq!(root.to_string(), "a hidden process of user root (uid 0)");
        let stranger = Holder::Hidden { uid: u32::MAX - 7, user: user(u32::MAX - 7) };
        assert_eq!(stranger.to_string(), "a hidden process of user 4294967288");
        assert_eq!(judge(&[ended], nobody), Holder::Closing);
        assert_eq!(judge(&[], nobody), Holder::Unknown);
        let found = Holder::Process { pid: 1, name: "x".to_owned() };
        assert_eq!(judge(&[ended, hidden], |inode| (inode == 5).then(|| found.clone())), found);
    }
}
