//! Connecting: a name's addresses are raced, the first that answers wins (Happy Eyeballs, RFC 8305), and every attempt
//! is remembered.
//!
//! ```
//! use sockeye::address::Address;
//! use sockeye::event::Protocol;
//! use sockeye::net::connect::{Options, connect};
//!
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let address = Address::parse(&listener.local_addr()?.to_string())?;
//! let connected = connect(&address, Protocol::Tcp, &Options::default())?;
//! assert_eq!(connected.peer, listener.local_addr()?.into());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect as connect_to, getpeername, getsockname,
    socket_with, sockopt,
};

use super::race::{interleave, race};
use super::resolve::{self, ResolveError};
use super::{Family, is_exhausted, words, words_at};
use crate::address::{Address, Host, Target};
use crate::event::{Name, Protocol};
use crate::limits;
use crate::sys::option;

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only this address family.
    pub family: Option<Family>,
    /// For the lookup and all attempts together.
    pub timeout: Duration,
    /// What connections come from; none: whatever leads there.
    pub source: Option<Source>,
}

impl Default for Options {
    fn default() -> Self {
        Self { family: None, timeout: limits::CONNECT_WAIT, source: None }
    }
}

/// What a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An address of this machine.
    Address(IpAddr),
    /// A network interface.
    Interface(String),
}

impl Source {
    /// Has a socket that is to be connected to an address come from here.
    pub(super) fn take(&self, fd: &OwnedFd, to: &SocketAddr) -> Result<(), Errno> {
        match self {
            Self::Interface(name) => option::bind_to_interface(fd, name),
            Self::Address(ip) if ip.is_ipv4() != to.is_ipv4() => Err(Errno::AFNOSUPPORT),
            // The port is chosen with the connection: as many as there are peers, and not one for all of them (ip(7)).
            Self::Address(ip) => {
                let _ = option::set(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
                bind(fd, &SocketAddr::new(*ip, 0))
            }
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub struct Connected {
    /// Blocking; Nagle's algorithm is off.
    pub fd: OwnedFd,
    /// The transport.
    pub protocol: Protocol,
    /// Our end.
    pub local: Name,
    /// The other end.
    pub peer: Name,
    /// Every address that was tried.
    pub attempts: Vec<Attempt>,
    /// How long looking up the name took.
    pub lookup: Duration,
    /// The peer had reset it by the time we looked. The kernel tells that only once: what came before can still be read,
    /// and what follows looks like an end.
    pub(crate) broken: Option<Errno>,
    /// Over datagrams: the name's other addresses, which are tried when nobody listens at this one.
    pub(crate) others: Vec<SocketAddr>,
}

impl Connected {
    /// Over datagrams: the same for the name's next address, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Self> {
        let Self { attempts, others, lookup, .. } = self;
        let mut next = connect_datagrams(others).ok()?;
        next.attempts.splice(..0, attempts.iter().cloned());
        Some(Self { lookup: *lookup, ..next })
    }
}

/// One address that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is the connection.
    Won,
    /// Another was faster.
    Lost,
    /// It failed.
    Failed(String),
    /// It had not answered when the time was over.
    Unanswered,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64() * 1000.0;
        match &self.outcome {
            Outcome::Won => write!(f, "{}: connected after {took:.1} ms", self.address),
            Outcome::Lost => write!(f, "{}: another was faster", self.address),
            Outcome::Failed(why) => write!(f, "{}: {why}", self.address),
            Outcome::Unanswered => write!(f, "{}: no answer after {took:.0} ms", self.address),
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address, or none of the family asked for.
    NotFound {
        /// What was asked for.
        address: String,
        /// Why, in the resolver's words where it said something.
        why: String,
    },
    /// Every address refused or cannot be reached.
    Refused {
        /// What was asked for.
        address: String,
        /// Each address that was tried.
        attempts: Vec<Attempt>,
    },
    /// The time was over first.
    TimedOut {
        /// What was asked for.
        address: String,
        /// How long was waited.
        after: Duration,
        /// Each address that was tried; none over a Unix socket, or if the lookup took all the time.
        attempts: Vec<Attempt>,
        /// What took all the time, if no address is to blame.
        waited_for: Option<&'static str>,
    },
    /// The connection failed inside this machine: nothing at the path of a Unix socket, no descriptor free.
    Local {
        /// What was asked for.
        address: String,
        /// The system's words.
        error: io::Error,
    },
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, attempts: &[Attempt]| {
            for (index, attempt) in attempts.iter().enumerate() {
                write!(f, "{}{attempt}", if index == 0 { "" } else { "; " })?;
            }
            Ok(())
        };
        match self {
            Self::NotFound { address, why } => write!(f, "cannot connect to {address}: {why}"),
            Self::Refused { address, attempts } => match attempts.as_slice() {
                // The address was typed in full: once is enough.
                [Attempt { address: tried, outcome: Outcome::Failed(why), .. }]
                    if address.ends_with(&tried.to_string()) =>
                {
                    write!(f, "cannot connect to {address}: {why}")
                }
                _ => {
                    write!(f, "cannot connect to {address}: ")?;
                    list(f, attempts)
                }
            },
            Self::TimedOut { address, after, attempts, waited_for } => {
                let after = transcript::seconds(*after);
                write!(f, "cannot connect to {address}: no connection within {after} (--connect-timeout)")?;
                if let Some(what) = waited_for {
                    write!(f, ": {what} took all of it")?;
                }
                if attempts.is_empty() {
                    return Ok(());
                }
                f.write_str(": ")?;
                list(f, attempts)
            }
            Self::Local { address, error } => write!(f, "cannot connect to {address}: {}", words(error)),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Local { error, .. } => Some(error),
            Self::NotFound { .. } | Self::Refused { .. } | Self::TimedOut { .. } => None,
        }
    }
}

impl ConnectError {
    /// Whether it may be otherwise in a moment, without anybody changing what was asked for.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Refused { .. } | Self::TimedOut { .. } => true,
            // The path of a Unix socket that is not there yet, or from before.
            Self::Local { error, .. } => {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
            }
        }
    }
}

/// Connects to an address over a protocol.
///
/// # Errors
/// The name leads nowhere, nobody answers, or not in time.
pub fn connect(address: &Address, protocol: Protocol, options: &Options) -> Result<Connected, ConnectError> {
    let began = Instant::now();
    let (host, port) = match &address.target {
        Target::Unix(path) => return connect_path(address, path, options.timeout),
        Target::Inet { host, port } => (host, *port),
    };
    if port == 0 {
        let error = io::Error::other("port 0 stands for any free one, which only a listener can ask for");
        return Err(ConnectError::Local { address: address.to_string(), error });
    }
    let addresses = addresses(address, host, port, options)?;
    let lookup = began.elapsed();
    let connected = match protocol {
        Protocol::Udp => connect_datagrams(&addresses).map_err(|error| match error {
            NoWay::Local(error) => ConnectError::Local { address: address.to_string(), error },
            NoWay::Refused(attempts) => ConnectError::Refused { address: address.to_string(), attempts },
        }),
        Protocol::Tcp | Protocol::Unix => race(address, &interleave(addresses), began, options),
    };
    connected.map(|connected| Connected { lookup, ..connected })
}

/// The first address of a name.
///
/// # Errors
/// The name leads nowhere, or it is not known in time.
pub(crate) fn look_up(address: &Address, options: &Options) -> Result<SocketAddr, ConnectError> {
    let Target::Inet { host, port } = &address.target else {
        let error = io::Error::other("a path is looked up by nobody");
        return Err(ConnectError::Local { address: address.to_string(), error });
    };
    addresses(address, host, *port, options)?
        .first()
        .copied()
        .ok_or_else(|| ConnectError::NotFound { address: address.to_string(), why: "it has no address".to_owned() })
}

fn addresses(address: &Address, host: &Host, port: u16, options: &Options) -> Result<Vec<SocketAddr>, ConnectError> {
    let every = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    resolve::addresses(host, port, options.family, every, options.timeout).map_err(|error| {
        let address = address.to_string();
        match error {
            ResolveError::TimedOut => ConnectError::TimedOut {
                address,
                after: options.timeout,
                attempts: vec![],
                waited_for: Some("the name lookup"),
            },
            ResolveError::NoThread(error) => ConnectError::Local { address, error },
            other => ConnectError::NotFound { address, why: other.to_string() },
        }
    })
}

pub(super) fn connected(fd: OwnedFd, protocol: Protocol, peer: SocketAddr) -> Result<Connected, Errno> {
    rustix::io::ioctl_fionbio(&fd, false)?;
    let local = getsockname(&fd).map_or(Name::Unnamed, name);
    // One that was reset by now has no peer any more, as far as the kernel is concerned.
    let peer = getpeername(&fd).ok().flatten().map_or(Name::Inet(peer), name);
    Ok(Connected { fd, protocol, local, peer, attempts: vec![], lookup: Duration::ZERO, broken: None, others: vec![] })
}

fn name(address: rustix::net::SocketAddrAny) -> Name {
    SocketAddr::try_from(address).map_or(Name::Unnamed, Name::Inet)
}

pub(crate) fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(time.subsec_nanos()) }
}

/// Over datagrams connecting only chooses the peer: the first address that this machine has a way to.
fn connect_datagrams(addresses: &[SocketAddr]) -> Result<Connected, NoWay> {
    let mut attempts = Vec::new();
    for (index, &candidate) in addresses.iter().enumerate() {
        let family = if candidate.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let tried = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .and_then(|fd| connect_to(&fd, &candidate).map(|()| fd))
            .and_then(|fd| connected(fd, Protocol::Udp, candidate));
        let took = Duration::ZERO;
        match tried {
            Ok(connected) => {
                attempts.push(Attempt { address: candidate, outcome: Outcome::Won, took });
                return Ok(Connected { attempts, others: addresses[index + 1..].to_vec(), ..connected });
            }
            Err(error) if is_exhausted(&error.into()) => {
                return Err(NoWay::Local(error.into()));
            }
            Err(error) => {
                let mut why = words_at(&error.into(), &candidate);
                if error == Errno::ACCESS {
                    // connect(2): a socket must be told that it may send to all.
                    why.push_str("; a route may prohibit it, and to a broadcast address sockeye does not send: name one host, or take ");
                    why.push_str(&format!("`socat - UDP-DATAGRAM:{candidate},broadcast`"));
                }
                attempts.push(Attempt { address: candidate, outcome: Outcome::Failed(why), took });
            }
        }
    }
    Err(NoWay::Refused(attempts))
}

/// Why no datagram can go to any of several addresses.
#[derive(Debug)]
enum NoWay {
    Local(io::Error),
    Refused(Vec<Attempt>),
}

/// Connects, and tries again until it stands or the time has passed: whoever is to answer may only be starting.
///
/// # Errors
/// As [`connect`], of the last attempt; at once where trying again cannot help.
pub fn connect_within(
    address: &Address,
    protocol: Protocol,
    options: &Options,
    retry: Option<Duration>,
) -> Result<Connected, ConnectError> {
    let until = retry.map(|time| Instant::now() + time);
    let mut pause = Duration::from_millis(20);
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // The first attempt has its own time, the others what is left.
        let timeout = left.map_or(options.timeout, |left| options.timeout.min(left.max(pause)));
        let error = match connect(address, protocol, &Options { timeout, ..options.clone() }) {
            Ok(connected) => return Ok(connected),
            Err(error) => error,
        };
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() || !error.may_pass() {
            return Err(error);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

fn connect_path(address: &Address, path: &Path, timeout: Duration) -> Result<Connected, ConnectError> {
    let deadline = Instant::now() + timeout;
    let connected = (|| {
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let path = SocketAddrUnix::new(path)?;
        // While the backlog is full, connect(2) waits as long as send(2) may; poll(2) would not tell of room in it.
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
            sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, Some(left))?;
            match connect_to(&fd, &path) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        }
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, None)?;
        Ok(fd)
    })();
    match connected {
        Ok(fd) => {
            let peer = Name::Path(Arc::from(path));
            let lookup = Duration::ZERO;
            let (attempts, broken) = (vec![], None);
            let (protocol, local, others) = (Protocol::Unix, Name::Unnamed, vec![]);
            Ok(Connected { fd, protocol, local, peer, attempts, lookup, broken, others })
        }
        Err(Errno::AGAIN) => Err(ConnectError::TimedOut {
            address: address.to_string(),
            after: timeout,
            attempts: vec![],
            waited_for: Some("a backlog that is full"),
        }),
        Err(Errno::PROTOTYPE) => {
            // As of /dev/log: connect(2) does not say which kind it is.
            let why = "it is no stream: it takes datagrams or packets, which talk does not send to a path; ";
            let error = format!("{why}take `socat - UNIX-SENDTO:{}`", path.display());
            Err(ConnectError::Local { address: address.to_string(), error: io::Error::other(error) })
        }
        Err(error) => Err(ConnectError::Local { address: address.to_string(), error: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn options() -> Options {
        Options { family: None, timeout: Duration::from_secs(10), source: None }
    }

    #[test]
    fn a_refused_connection_says_which_address_was_tried() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = Address::parse(&free.to_string()).unwrap();
        let error = connect(&address, Protocol::Tcp, &options()).unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }));
        assert!(error.to_string().contains(&format!("{free}: Connection refused")), "{error}");
    }

    #[test]
    fn a_bare_port_tries_both_loopbacks() {
        // The same number of 127.0.0.1 is held and does not listen, so that no other test can.
        let (_held, listener) = std::iter::repeat_with(|| {
            let held = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
            rustix::net::bind(&held, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            let port = SocketAddr::try_from(getsockname(&held).unwrap()).unwrap().port();
            (held, TcpListener::bind(("::1", port)))
        })
        .find_map(|(held, listener)| Some((held, listener.ok()?)))
        .unwrap();
        let port = listener.local_addr().unwrap().port();
        let connected = connect(&Address::loopback(port), Protocol::Tcp, &options()).unwrap();
        assert_eq!(connected.peer, Name::Inet(listener.local_addr().unwrap()));
        assert_eq!(connected.attempts.len(), 2);
    }

    #[test]
    fn a_full_backlog_of_a_unix_socket_is_waited_for_within_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = Address::parse(&format!("unix:{}", path.display())).unwrap();
        let first = connect(&address, Protocol::Unix, &options()).unwrap();
        assert_eq!(sockopt::socket_timeout(&first.fd, sockopt::Timeout::Send).unwrap(), None);
        let hurried = Options { timeout: Duration::from_millis(20), ..options() };
        let error = connect(&address, Protocol::Unix, &hurried).unwrap_err();
        assert!(error.to_string().ends_with("(--connect-timeout): a backlog that is full took all of it"), "{error}");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| connect(&address, Protocol::Unix, &options()));
            rustix::net::accept(&listener).unwrap();
            second.join().unwrap().unwrap();
        });
        drop(listener);
        let error = connect(&address, Protocol::Unix, &options()).unwrap_err().to_string();
        assert!(error.ends_with("s: Connection refused"), "{error}");
    }

    #[test]
    fn an_address_that_cannot_work_says_why() {
        for (typed, family, says) in [
            ("127.0.0.1:0", None, "port 0 stands for any free one"),
            ("127.0.0.1:1", Some(Family::V6), "it has no IPv6 address, and only those were asked for"),
            ("[fe80::1]:1", None, "needs its interface: [fe80::1%eth0]:1"),
        ] {
            let options = Options { family, ..options() };
            let error = connect(&Address::parse(typed).unwrap(), Protocol::Tcp, &options).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot connect to {typed}: ")) && error.contains(says), "{error}");
        }
    }

    #[test]
    fn datagrams_go_to_the_first_address_there_is_a_way_to() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let live = server.local_addr().unwrap();
        let nowhere = SocketAddr::from(([255, 255, 255, 255], 9));
        let connected = connect_datagrams(&[nowhere, live]).unwrap();
        assert_eq!(connected.peer, Name::Inet(live));
        assert_eq!(connected.attempts.len(), 2);
        std::net::UdpSocket::from(connected.fd).send(b"x").unwrap();
        assert_eq!(server.recv(&mut [0; 8]).unwrap(), 1);
    }

    #[test]
    fn a_name_that_does_not_resolve_is_told_apart() {
        let address = Address::parse("no-such-name.invalid:1").unwrap();
        assert!(matches!(connect(&address, Protocol::Tcp, &options()), Err(ConnectError::NotFound { .. })));
    }
}
