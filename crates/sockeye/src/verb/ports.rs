//! Which process holds which port: every TCP, UDP and Unix socket of this network namespace, from the kernel itself.
//!
//! ```
//! use sockeye::verb::ports::{Query, State, ports};
//!
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let port = listener.local_addr()?.port();
//! let found = ports(&Query { ports: vec![port], listening: true, ..Query::default() })?;
//! assert!(found[0].state == State::Listen && found[0].is_listening());
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::event::{Name, Protocol};
use crate::net::Family;
pub use crate::sys::inet_diag::TcpInfo;
use crate::sys::inet_diag::{self, InetSocket};
pub use crate::sys::process::Process;
use crate::sys::process::{Owners, user};
use crate::sys::unix_diag::{self, UnixSocket};

/// Which sockets are wanted.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Bound to one of these ports; none: to any, Unix sockets too.
    pub ports: Vec<u16>,
    /// Only those that take connections or datagrams from anybody.
    pub listening: bool,
    /// Only those of one process, or of all processes of a name.
    pub of: Option<Of>,
    /// Only these protocols; none: all.
    pub protocols: Vec<Protocol>,
    /// Only sockets of this family of addresses; none: of any, Unix sockets too.
    pub family: Option<Family>,
}

/// Whose sockets are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// The process with this number.
    Pid(i32),
    /// Every process of this name.
    Name(String),
}

/// What a socket is doing (RFC 9293, section 3.3.2, and for sockets without a connection the two that are left).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum State {
    /// Takes connections.
    Listen,
    /// Has a number and neither listens nor is connected: no other socket can have it (ss(8) leaves these out).
    Bound,
    /// Takes datagrams from anybody, or is a Unix socket that does nothing yet.
    Unconnected,
    /// Connected.
    Established,
    /// We asked for a connection.
    SynSent,
    /// A client asked for one.
    SynReceived,
    /// We closed, and the peer has not acknowledged it.
    FinWait1,
    /// We closed, and the peer still sends.
    FinWait2,
    /// The peer closed, and the process has not.
    CloseWait,
    /// Both closed at once.
    Closing,
    /// The peer closed first; our end waits to be acknowledged.
    LastAck,
    /// We closed first, and the number stays taken for a while.
    TimeWait,
}

impl State {
    /// From a number of net/tcp_states.h.
    fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => Self::Unconnected,
        }
    }

    /// As ss(8) spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Bound => "bound",
            Self::Unconnected => "unconn",
            Self::Established => "established",
            Self::SynSent => "syn-sent",
            Self::SynReceived => "syn-recv",
            Self::FinWait1 => "fin-wait-1",
            Self::FinWait2 => "fin-wait-2",
            Self::CloseWait => "close-wait",
            Self::Closing => "closing",
            Self::LastAck => "last-ack",
            Self::TimeWait => "time-wait",
        }
    }

    /// Who closed first, if this state tells.
    #[must_use]
    pub fn closed_first(self) -> Option<End> {
        match self {
            Self::FinWait1 | Self::FinWait2 | Self::TimeWait => Some(End::Local),
            Self::CloseWait | Self::LastAck => Some(End::Peer),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An end of a connection, seen from the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The socket's own.
    Local,
    /// The other.
    Peer,
}

/// How a Unix socket sends (unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnixKind {
    /// A stream.
    Stream,
    /// Datagrams.
    Datagram,
    /// Messages in order.
    Seqpacket,
}

/// One socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Socket {
    /// Its transport.
    pub protocol: Protocol,
    /// How it sends, if it is a Unix socket.
    pub unix: Option<UnixKind>,
    /// What it is doing.
    pub state: State,
    /// Where it is bound.
    pub local: Name,
    /// The peer that it is connected to.
    pub peer: Option<Name>,
    /// Bytes that came and were not read; of a listener, connections that wait to be accepted.
    pub receive_queue: u32,
    /// Bytes that were sent and not acknowledged; of a listener, how many connections may wait.
    pub send_queue: u32,
    /// The user who made it, if the kernel says so.
    pub uid: Option<u32>,
    /// The user's name, if /etc/passwd has one.
    pub user: Option<String>,
    /// The socket's inode; 0 if no process has it any more.
    pub inode: u64,
    /// The processes that have it open, as far as we may see them.
    pub processes: Vec<Process>,
    /// How long TIME_WAIT still lasts.
    pub time_wait: Option<Duration>,
    /// What the kernel measures of a TCP connection.
    pub info: Option<TcpInfo>,
}

impl Socket {
    /// Whether it takes connections or datagrams from anybody.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        match self.protocol {
            Protocol::Tcp => self.state == State::Listen,
            Protocol::Udp => self.state == State::Unconnected && port(&self.local).is_some_and(|port| port != 0),
            Protocol::Unix | Protocol::UnixDgram | Protocol::UnixSeqpacket => {
                let takes_datagrams = self.unix == Some(UnixKind::Datagram) && self.peer.is_none();
                self.state == State::Listen || (takes_datagrams && self.local != Name::Unnamed)
            }
        }
    }

    /// Whether a process has it open that we may not see.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.inode != 0 && self.processes.is_empty() && self.state != State::SynReceived
    }
}

fn port(name: &Name) -> Option<u16> {
    match name {
        Name::Inet(address) => Some(address.port()),
        _ => None,
    }
}

/// The sockets that are wanted: those that listen first, by port.
///
/// # Errors
/// The kernel does not tell of its sockets (sock_diag(7)).
pub fn ports(query: &Query) -> io::Result<Vec<Socket>> {
    let asked = |protocol| query.protocols.is_empty() || query.protocols.contains(&protocol);
    let mut found = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        if asked(protocol) {
            found.extend(inet_diag::sockets(protocol)?.into_iter().map(inet));
        }
    }
    if asked(Protocol::Unix) && query.ports.is_empty() && query.family.is_none() {
        found.extend(unix(unix_diag::sockets()?));
    }
    found.retain(|socket| is_wanted(socket, query));
    // Only now, and only if there is something to look for: it takes longer than all the rest.
    if found.iter().any(|socket| socket.inode != 0) {
        let owners = Owners::look();
        for socket in &mut found {
            socket.processes = owners.of(socket.inode).to_vec();
        }
    }
    if let Some(of) = &query.of {
        found.retain(|socket| socket.processes.iter().any(|process| of.is(process)));
    }
    let mut names = HashMap::new();
    for socket in &mut found {
        socket.user = socket.uid.and_then(|uid| names.entry(uid).or_insert_with(|| user(uid)).clone());
    }
    found.sort_by_cached_key(|socket| {
        (!socket.is_listening(), order(&socket.local), socket.protocol.scheme(), socket.inode)
    });
    Ok(found)
}

/// Waits until a program listens on each port, and gives those sockets; `None` if the time is over before.
///
/// # Errors
/// As [`ports`].
pub fn wait(query: &Query, until: Option<Instant>) -> io::Result<Option<Vec<Socket>>> {
    /// The kernel does not tell that a socket was bound.
    const LOOK_AGAIN: Duration = Duration::from_millis(50);
    let query = Query { listening: true, ..query.clone() };
    loop {
        let found = ports(&query)?;
        let is_there = |wanted: &u16| found.iter().any(|socket| port(&socket.local) == Some(*wanted));
        if query.ports.iter().all(is_there) && !found.is_empty() {
            return Ok(Some(found));
        }
        let left = until.map(|at| at.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Ok(None);
        }
        std::thread::sleep(left.map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN)));
    }
}

impl Of {
    fn is(&self, process: &Process) -> bool {
        match self {
            Self::Pid(pid) => process.pid == *pid,
            Self::Name(name) => process.name == *name,
        }
    }
}

fn is_wanted(socket: &Socket, query: &Query) -> bool {
    let on_port = query.ports.is_empty() || port(&socket.local).is_some_and(|port| query.ports.contains(&port));
    let of_family = |family: Family| matches!(&socket.local, Name::Inet(address) if family.has(address));
    on_port && (!query.listening || socket.is_listening()) && query.family.is_none_or(of_family)
}

/// Ports by number, then paths, then what has no name.
fn order(name: &Name) -> (u8, u16, String) {
    match name {
        Name::Inet(address) => (0, address.port(), address.ip().to_string()),
        Name::Path(path) => (1, 0, path.display().to_string()),
        Name::Unnamed | Name::Local(_) => (2, 0, String::new()),
    }
}

fn inet(found: InetSocket) -> Socket {
    let InetSocket { protocol, local, peer, receive_queue, send_queue, uid, inode, time_wait, .. } = found;
    let state = match State::from_number(found.state) {
        State::Unconnected if protocol == Protocol::Tcp => State::Bound,
        state => state,
    };
    let is_connection = !matches!(state, State::Listen | State::Bound | State::Unconnected);
    Socket {
        protocol,
        unix: None,
        state,
        local: Name::Inet(local),
        peer: is_somebody(peer).then_some(Name::Inet(peer)),
        receive_queue,
        send_queue,
        uid: Some(uid),
        user: None,
        inode,
        processes: Vec::new(),
        time_wait,
        info: found.info.filter(|_| is_connection),
    }
}

fn is_somebody(peer: SocketAddr) -> bool {
    peer.port() != 0 || !peer.ip().is_unspecified()
}

fn unix(sockets: Vec<UnixSocket>) -> Vec<Socket> {
    let names: HashMap<u64, Name> = sockets.iter().map(|socket| (socket.inode, unix_name(socket))).collect();
    let socket = |found: UnixSocket| {
        let local = unix_name(&found);
        Socket {
            protocol: Protocol::Unix,
            unix: Some(match found.kind {
                2 => UnixKind::Datagram,
                5 => UnixKind::Seqpacket,
                _ => UnixKind::Stream,
            }),
            state: State::from_number(found.state),
            local,
            peer: found.peer.map(|peer| names.get(&peer).cloned().unwrap_or(Name::Unnamed)),
            receive_queue: found.receive_queue,
            send_queue: found.send_queue,
            uid: found.uid,
            user: None,
            inode: found.inode,
            processes: Vec::new(),
            time_wait: None,
            info: None,
        }
    };
    sockets.into_iter().map(socket).collect()
}

fn unix_name(socket: &UnixSocket) -> Name {
    socket.name.as_deref().map_or(Name::Unnamed, |path| Name::Path(path.into()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    fn own() -> Of {
        Of::Pid(i32::try_from(std::process::id()).unwrap())
    }

    #[test]
    fn who_listens_on_a_port_is_found_and_its_clients_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let query = Query { ports: vec![address.port()], ..Query::default() };
        let found = ports(&query).unwrap();
        let states: Vec<_> = found.iter().map(|socket| (socket.state, socket.peer.clone())).collect();
        let name = Name::Inet(client.local_addr().unwrap());
        // The server's end waits to be accepted, and belongs to no process yet.
        assert_eq!(states, [(State::Listen, None), (State::Established, Some(name))]);
        assert_eq!(found[0].processes.iter().map(|process| process.pid).collect::<Vec<_>>(), [own_pid()]);
        let listening = ports(&Query { listening: true, ..query }).unwrap();
        assert_eq!(listening.len(), 1);
        assert!(!listening[0].is_hidden());
    }

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn unix_sockets_are_named_by_path_and_peer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        let datagrams = UnixDatagram::bind(folder.path().join("d.sock")).unwrap();
        let query = Query { of: Some(own()), protocols: vec![Protocol::Unix], ..Query::default() };
        let found = ports(&query).unwrap();
        let name = Name::Path(path.as_path().into());
        let listens = found.iter().find(|socket| socket.local == name && socket.state == State::Listen).unwrap();
        assert!(listens.is_listening() && listens.unix == Some(UnixKind::Stream), "{listens:?}");
        assert!(found.iter().any(|socket| socket.local == Name::Unnamed && socket.peer == Some(name.clone())));
        assert!(found.iter().any(|socket| socket.unix == Some(UnixKind::Datagram) && socket.is_listening()));
        drop((client, server, datagrams));
    }

    #[test]
    fn waiting_ends_when_somebody_listens_or_time_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let query = Query { ports: vec![listener.local_addr().unwrap().port()], ..Query::default() };
        assert_eq!(wait(&query, None).unwrap().map(|found| found.len()), Some(1));
        drop(listener);
        assert_eq!(wait(&query, Some(Instant::now())).unwrap(), None);
    }
}
