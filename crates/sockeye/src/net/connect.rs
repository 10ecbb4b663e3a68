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

use super::resolve::{self, ResolveError};
use super::{Family, words, words_at};
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
    if port == 0 {
        let error = io::Error::other("port 0 stands for any free one, which only a listener can ask for");
        return Err(ConnectError::Local { address: address.to_string(), error });
    }
    let every = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let addresses = resolve::addresses(host, port, options.family, every, options.timeout).map_err(|error| {
        let address = address.to_string();
        match error {
            ResolveError::TimedOut => ConnectError::TimedOut {
                address,
                after: options.timeout,
                attempts: vec![],
                waited_for: Some("the name lookup"),
            },
            other => ConnectError::NotFound { address, why: other.to_string() },
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
            let address = address.to_string();
            return Err(ConnectError::TimedOut { address, after: timeout, attempts, waited_for: None });
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
                Err(error) => {
                    attempts[index].0.outcome = Outcome::Failed(words_at(&error.into(), &next));
                    begin_next_at = now;
                }
            }
            continue;
        }
        if running.is_empty() {
            let attempts = attempts.into_iter().map(|(attempt, _)| attempt).collect();
            return Err(ConnectError::Refused { address: address.to_string(), attempts });
        }
        let until = if waiting.len() > 0 { begin_next_at.min(deadline) } else { deadline };
        let ready = wait(&running, until.saturating_duration_since(now));
        let mut settled: Vec<Running> = ready.into_iter().rev().map(|position| running.remove(position)).collect();
        // Of two that stand at the same time the earlier is preferred.
        settled.reverse();
        for Running { fd, index } in settled {
            let error = match sockopt::socket_error(&fd) {
                Ok(Ok(())) if is_self_connection(&fd) => Errno::CONNREFUSED,
                Ok(Ok(())) => return won(address, fd, index, attempts),
                Ok(Err(error)) | Err(error) => error,
            };
            let (attempt, since) = &mut attempts[index];
            (attempt.outcome, attempt.took) =
                (Outcome::Failed(words_at(&error.into(), &attempt.address)), since.elapsed());
            // A refusal is an answer: the next one begins at once.
            begin_next_at = Instant::now();
        }
    }
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
/// It is reset, not closed: in TIME_WAIT it would keep the server that is missing from binding its port.
fn is_self_connection(fd: &OwnedFd) -> bool {
    let met =
        match (getsockname(fd).map(SocketAddr::try_from), getpeername(fd).map(|peer| peer.map(SocketAddr::try_from))) {
            (Ok(Ok(local)), Ok(Some(Ok(peer)))) => local == peer,
            _ => false,
        };
    if met {
        let _ = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
    }
    met
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
                attempts.push(Attempt {
                    address: candidate,
                    outcome: Outcome::Failed(words_at(&error.into(), &candidate)),
                    took,
                });
            }
        }
    }
    Err(ConnectError::Refused { address: address.to_string(), attempts })
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
            Ok(Connected { fd, protocol: Protocol::Unix, local: Name::Unnamed, peer, attempts: vec![] })
        }
        Err(Errno::AGAIN) => Err(ConnectError::TimedOut {
            address: address.to_string(),
            after: timeout,
            attempts: vec![],
            waited_for: Some("a backlog that is full"),
        }),
        Err(error) => Err(ConnectError::Local { address: address.to_string(), error: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn options() -> Options {
        Options { family: None, timeout: Duration::from_secs(10) }
    }

    /// A listener whose backlog is full lets further connections hang.
    fn full_backlog() -> (OwnedFd, SocketAddr, Vec<(OwnedFd, bool)>) {
        let dead = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&dead, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&dead, 0).unwrap();
        let address = SocketAddr::try_from(getsockname(&dead).unwrap()).unwrap();
        let fill = (0..2).map(|_| begin(address).unwrap()).collect();
        (dead, address, fill)
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
        let (_dead, dead_address, _fill) = full_backlog();
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
    fn an_attempt_that_fails_at_once_does_not_cost_the_wait_for_the_next() {
        let (_dead, dead_address, _fill) = full_backlog();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        // TCP has no way to every machine of a network at once: the system says so without sending anything.
        let nowhere = SocketAddr::from(([255, 255, 255, 255], 9));
        let addresses = [dead_address, nowhere, nowhere, nowhere, live.local_addr().unwrap()];
        let address = Address::parse("five:1").unwrap();
        let took = |_| {
            let began = Instant::now();
            let connected = race(&address, &addresses, began, Duration::from_secs(10)).unwrap();
            assert!(matches!(connected.attempts[1].outcome, Outcome::Failed(_)));
            began.elapsed()
        };
        // The best of three, so that a busy machine fails nobody.
        let best = (0..3).map(took).min().unwrap();
        assert!(best < 2 * STAGGER, "{best:?}");
    }

    #[test]
    fn a_connection_that_meets_itself_is_none_and_leaves_the_port_free() {
        let fd = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&fd, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let own = SocketAddr::try_from(getsockname(&fd).unwrap()).unwrap();
        connect_to(&fd, &own).unwrap();
        assert!(is_self_connection(&fd));
        drop(fd);
        let again = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&again, &own).unwrap();
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
        let connected = connect_datagrams(&Address::parse("both:1").unwrap(), &[nowhere, live]).unwrap();
        assert_eq!(connected.peer, Name::Inet(live));
        assert_eq!(connected.attempts.len(), 2);
        std::net::UdpSocket::from(connected.fd).send(b"x").unwrap();
        assert_eq!(server.recv(&mut [0; 8]).unwrap(), 1);
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
