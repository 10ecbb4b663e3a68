//! Connecting: a name's addresses are raced, the first that answers wins (Happy Eyeballs, RFC 8305), and every attempt
//! is remembered.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as connect_to, getpeername, getsockname,
    socket_with, sockopt,
};

use super::Family;
use super::resolve::{self, ResolveError};
use crate::address::{Address, Target};
use crate::event::{Name, Protocol};

/// How long an attempt is alone before the next one begins (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only this address family.
    pub family: Option<Family>,
    /// For the lookup and all attempts together.
    pub timeout: Duration,
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
}

/// One address that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub enum ConnectError {
    /// The name has no address.
    NotFound {
        /// The name.
        host: String,
        /// The resolver's words.
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
        /// Each address that was tried; none if the lookup took all the time.
        attempts: Vec<Attempt>,
    },
    /// This machine could not even try.
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
            Self::NotFound { host, why } => write!(f, "{host}: the name was not found: {why}"),
            Self::Refused { address, attempts } => {
                write!(f, "cannot connect to {address}: ")?;
                list(f, attempts)
            }
            Self::TimedOut { address, after, attempts } => {
                let after = transcript::seconds(*after);
                write!(f, "cannot connect to {address}: no connection within {after} (--connect-timeout)")?;
                if attempts.is_empty() {
                    return f.write_str(": the name lookup took all of it");
                }
                f.write_str(": ")?;
                list(f, attempts)
            }
            Self::Local { address, error } => write!(f, "cannot connect to {address}: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {}

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
    let every = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let addresses =
        resolve::addresses(host, port, options.family, every, Some(options.timeout)).map_err(|error| match error {
            ResolveError::NotFound(error) => {
                ConnectError::NotFound { host: address.to_string(), why: error.to_string() }
            }
            ResolveError::Family => ConnectError::NotFound {
                host: address.to_string(),
                why: "it has no address of the family asked for".to_owned(),
            },
            ResolveError::TimedOut => {
                ConnectError::TimedOut { address: address.to_string(), after: options.timeout, attempts: vec![] }
            }
        })?;
    if protocol == Protocol::Udp {
        return connect_datagrams(address, &addresses);
    }
    race(address, &interleave(addresses), began, options.timeout)
}

/// Alternates the families, beginning with the resolver's first choice (RFC 8305, section 4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    first.reverse();
    second.reverse();
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    loop {
        match (first.pop(), second.pop()) {
            (None, None) => return mixed,
            (a, b) => mixed.extend(a.into_iter().chain(b)),
        }
    }
}

/// One attempt that is under way.
struct Running {
    fd: OwnedFd,
    index: usize,
}

fn race(
    address: &Address,
    addresses: &[SocketAddr],
    began: Instant,
    timeout: Duration,
) -> Result<Connected, ConnectError> {
    let deadline = began + timeout;
    let mut attempts: Vec<(Attempt, Instant)> = Vec::new();
    let mut running: Vec<Running> = Vec::new();
    let mut waiting = addresses.iter().copied();
    let mut begin_next_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= deadline {
            for (attempt, since) in &mut attempts {
                if attempt.outcome == Outcome::Lost {
                    (attempt.outcome, attempt.took) = (Outcome::Unanswered, now - *since);
                }
            }
            let attempts = attempts.into_iter().map(|(attempt, _)| attempt).collect();
            return Err(ConnectError::TimedOut { address: address.to_string(), after: timeout, attempts });
        }
        if (running.is_empty() || now >= begin_next_at)
            && let Some(next) = waiting.next()
        {
            begin_next_at = now + STAGGER;
            let index = attempts.len();
            // Until something else is known it has lost.
            attempts.push((Attempt { address: next, outcome: Outcome::Lost, took: Duration::ZERO }, now));
            match begin(next) {
                Ok((fd, true)) => return won(address, fd, index, attempts),
                Ok((fd, false)) => running.push(Running { fd, index }),
                Err(error) => attempts[index].0.outcome = Outcome::Failed(words(error)),
            }
            continue;
        }
        if running.is_empty() {
            let attempts = attempts.into_iter().map(|(attempt, _)| attempt).collect();
            return Err(ConnectError::Refused { address: address.to_string(), attempts });
        }
        let until = if waiting.len() > 0 { begin_next_at.min(deadline) } else { deadline };
        let ready = wait(&running, until.saturating_duration_since(now));
        for position in ready.into_iter().rev() {
            let Running { fd, index } = running.swap_remove(position);
            let error = match sockopt::socket_error(&fd) {
                Ok(Ok(())) if is_self_connection(&fd) => Errno::CONNREFUSED,
                Ok(Ok(())) => return won(address, fd, index, attempts),
                Ok(Err(error)) | Err(error) => error,
            };
            let (attempt, since) = &mut attempts[index];
            (attempt.outcome, attempt.took) = (Outcome::Failed(words(error)), since.elapsed());
            // A refusal is an answer: the next one begins at once.
            begin_next_at = Instant::now();
        }
    }
}

/// The system's words for an error, without its number.
fn words(error: Errno) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// Begins a connection; true if it stands already.
fn begin(address: SocketAddr) -> Result<(OwnedFd, bool), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    match connect_to(&fd, &address) {
        Ok(()) if is_self_connection(&fd) => Err(Errno::CONNREFUSED),
        Ok(()) => Ok((fd, true)),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok((fd, false)),
        Err(error) => Err(error),
    }
}

/// A connection to a free port of our own number range may meet itself (simultaneous open, RFC 9293, section 3.5).
fn is_self_connection(fd: &OwnedFd) -> bool {
    match (getsockname(fd).map(SocketAddr::try_from), getpeername(fd).map(|peer| peer.map(SocketAddr::try_from))) {
        (Ok(Ok(local)), Ok(Some(Ok(peer)))) => local == peer,
        _ => false,
    }
}

/// The positions of those that have an answer.
fn wait(running: &[Running], time: Duration) -> Vec<usize> {
    let mut polled: Vec<PollFd<'_>> = running.iter().map(|attempt| PollFd::new(&attempt.fd, PollFlags::OUT)).collect();
    let time = timespec(time);
    match poll(&mut polled, Some(&time)) {
        Ok(_) => (0..polled.len()).filter(|&position| !polled[position].revents().is_empty()).collect(),
        Err(_) => vec![],
    }
}

pub(crate) fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(time.subsec_nanos()) }
}

fn won(
    address: &Address,
    fd: OwnedFd,
    index: usize,
    mut attempts: Vec<(Attempt, Instant)>,
) -> Result<Connected, ConnectError> {
    let (attempt, since) = &mut attempts[index];
    (attempt.outcome, attempt.took) = (Outcome::Won, since.elapsed());
    let attempts = attempts.into_iter().map(|(attempt, _)| attempt).collect();
    connected(fd, Protocol::Tcp, attempts)
        .map_err(|error| ConnectError::Local { address: address.to_string(), error: error.into() })
}

fn connected(fd: OwnedFd, protocol: Protocol, attempts: Vec<Attempt>) -> Result<Connected, Errno> {
    rustix::io::ioctl_fionbio(&fd, false)?;
    let local = getsockname(&fd).map_or(Name::Unnamed, name);
    let peer = getpeername(&fd)?.map_or(Name::Unnamed, name);
    Ok(Connected { fd, protocol, local, peer, attempts })
}

fn name(address: rustix::net::SocketAddrAny) -> Name {
    SocketAddr::try_from(address).map_or(Name::Unnamed, Name::Inet)
}

/// Over datagrams connecting only chooses the peer: the first address that this machine has a way to.
fn connect_datagrams(address: &Address, addresses: &[SocketAddr]) -> Result<Connected, ConnectError> {
    let mut attempts = Vec::new();
    for &candidate in addresses {
        let family = if candidate.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let tried = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .and_then(|fd| connect_to(&fd, &candidate).map(|()| fd))
            .and_then(|fd| connected(fd, Protocol::Udp, vec![]));
        let took = Duration::ZERO;
        match tried {
            Ok(connected) => {
                attempts.push(Attempt { address: candidate, outcome: Outcome::Won, took });
                return Ok(Connected { attempts, ..connected });
            }
            Err(error) => {
                attempts.push(Attempt { address: candidate, outcome: Outcome::Failed(words(error)), took });
            }
        }
    }
    Err(ConnectError::Refused { address: address.to_string(), attempts })
}

fn connect_path(address: &Address, path: &Path, timeout: Duration) -> Result<Connected, ConnectError> {
    let deadline = Instant::now() + timeout;
    let local = |error: Errno| ConnectError::Local { address: address.to_string(), error: error.into() };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    loop {
        let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(local)?;
        match connect_to(&fd, &SocketAddrUnix::new(path).map_err(local)?) {
            Ok(()) => {
                rustix::io::ioctl_fionbio(&fd, false).map_err(local)?;
                let peer = Name::Path(Arc::from(path));
                return Ok(Connected { fd, protocol: Protocol::Unix, local: Name::Unnamed, peer, attempts: vec![] });
            }
            // The backlog is full; poll(2) does not tell when there is room.
            Err(Errno::AGAIN) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Err(Errno::AGAIN) => {
                return Err(ConnectError::TimedOut { address: address.to_string(), after: timeout, attempts: vec![] });
            }
            Err(error) => return Err(local(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn options() -> Options {
        Options { family: None, timeout: Duration::from_secs(10) }
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
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connected = connect(&Address::loopback(port), Protocol::Tcp, &options()).unwrap();
        assert_eq!(connected.peer, Name::Inet(listener.local_addr().unwrap()));
        assert_eq!(connected.attempts.len(), 2);
    }

    #[test]
    fn a_dead_first_address_costs_a_quarter_of_a_second_and_not_more() {
        // A listener whose backlog is full lets further connections hang.
        let dead = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&dead, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&dead, 0).unwrap();
        let dead_address = SocketAddr::try_from(getsockname(&dead).unwrap()).unwrap();
        let _fill: Vec<_> = (0..2).map(|_| begin(dead_address).unwrap()).collect();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [dead_address, live.local_addr().unwrap()];
        let began = Instant::now();
        let address = Address::parse("both:1").unwrap();
        let connected = race(&address, &addresses, began, Duration::from_secs(10)).unwrap();
        assert_eq!(connected.attempts[0].outcome, Outcome::Lost);
        assert_eq!(connected.peer, Name::Inet(addresses[1]));
        assert!(began.elapsed() >= STAGGER);
        let error = race(&address, &addresses[..1], Instant::now(), Duration::from_millis(50)).unwrap_err();
        assert!(
            matches!(&error, ConnectError::TimedOut { attempts, .. } if attempts[0].outcome == Outcome::Unanswered)
        );
    }

    #[test]
    fn the_families_alternate() {
        let all = ["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1"].map(|text| text.parse().unwrap());
        let mixed: Vec<String> = interleave(all.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(mixed, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }

    #[test]
    fn a_name_that_does_not_resolve_is_told_apart() {
        let address = Address::parse("no-such-name.invalid:1").unwrap();
        assert!(matches!(connect(&address, Protocol::Tcp, &options()), Err(ConnectError::NotFound { .. })));
    }
}
