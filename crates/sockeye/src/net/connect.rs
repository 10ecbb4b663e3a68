//! Connecting: a name's addresses are raced, the first that answers wins (Happy Eyeballs, RFC 8305), and every attempt
//! is remembered.
//!
//! ```
//! use sockeye::address::Address;
//! use sockeye::event::Protocol;
//! use sockeye::net::connect::{ConnectOptions, connect};
//!
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let address = Address::parse(&listener.local_addr()?.to_string())?;
//! let connected = connect(&address, Protocol::Tcp, &ConnectOptions::default())?;
//! assert_eq!(connected.peer, listener.local_addr()?.into());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketFlags, connect as connect_to, sockopt};

use super::Family;
pub use super::attempt::{Attempt, ConnectError, ConnectOptions, Outcome, ProxyFailure, Source, SourceError};
pub use super::connected::Connected;
use super::connected::connect_datagrams;
pub use super::local::LocalEndReport;
use super::local::{LocalEnd, LocalError};
use super::proxy::{self, Destination, Proxy, ProxyError};
use super::race::{interleave, race};
use super::resolve::{self, ResolveError};
use super::{message, path};
use crate::address::{Address, Host, Target};
use crate::endpoint::{Name, Protocol};

/// Connects to an address over a protocol.
///
/// # Errors
/// The name leads nowhere, no server answers, or not in time.
pub fn connect(address: &Address, protocol: Protocol, options: &ConnectOptions) -> Result<Connected, ConnectError> {
    usable(address)?;
    match &options.proxy {
        Some(proxy) => connect_through(proxy, address, protocol, options),
        None => connect_straight(address, protocol, options),
    }
}

/// Whether an address is one that can be connected to.
///
/// # Errors
/// Only a listener can have it.
pub(super) fn usable(address: &Address) -> Result<(), ConnectError> {
    let why = match &address.target {
        Target::Inet { port: 0, .. } => "port 0 stands for any free one, which only a listener can ask for",
        Target::Inet { .. } if address.options.accept_proxy => {
            "accept-proxy is for who listens: relay FROM?accept-proxy TO"
        }
        _ => return Ok(()),
    };
    Err(ConnectError::Unusable { address: address.to_string(), why })
}

/// Connects to a proxy, and has it make the rest of the way.
fn connect_through(
    proxy: &Proxy,
    address: &Address,
    protocol: Protocol,
    options: &ConnectOptions,
) -> Result<Connected, ConnectError> {
    let until = Instant::now() + options.timeout;
    let failed = |why| ConnectError::Proxy { address: address.to_string(), proxy: proxy.to_string(), why };
    let unusable = |why: &str| failed(ProxyFailure::Asked(ProxyError::Unusable(why.to_owned())));
    if protocol != Protocol::Tcp {
        return Err(unusable("a proxy leads to tcp addresses alone"));
    }
    if matches!(proxy.kind, proxy::Kind::Https { .. }) {
        return Err(unusable("talk speaks to no proxy under TLS; `sockeye fetch` does"));
    }
    let destination = destination(proxy, address, options)?;
    let left = ConnectOptions { timeout: until.saturating_duration_since(Instant::now()), ..options.clone() };
    let proxied = usable(&proxy.address).and_then(|()| connect_straight(&proxy.address, Protocol::Tcp, &left));
    let connected = proxied.map_err(|error| match error {
        // How long was to be waited is known better here.
        ConnectError::TimedOut { address, attempts, waited_for, .. } => {
            failed(ProxyFailure::NoProxy(Box::new(ConnectError::TimedOut {
                address,
                after: options.timeout,
                attempts,
                waited_for,
            })))
        }
        error => failed(ProxyFailure::NoProxy(Box::new(error))),
    })?;
    match proxy::through(&connected.fd, proxy, destination, until) {
        Ok(()) => Ok(Connected { via: Some(address.to_string()), ..connected }),
        Err(ProxyError::TimedOut) => Err(ConnectError::TimedOut {
            address: address.to_string(),
            after: options.timeout,
            attempts: vec![],
            waited_for: Some("the way through the proxy"),
        }),
        Err(error) => Err(failed(ProxyFailure::Asked(error))),
    }
}

/// The host that a proxy is to connect to. Names are looked up there or here, as its scheme says.
fn destination(proxy: &Proxy, address: &Address, options: &ConnectOptions) -> Result<Destination, ConnectError> {
    match &address.target {
        Target::Inet { host: Host::Ip(ip, _), port } => Ok(Destination::Address((*ip, *port).into())),
        // The proxy's own loopback.
        Target::Inet { host: Host::Loopback | Host::Every, port } => {
            Ok(Destination::Address((Ipv4Addr::LOCALHOST, *port).into()))
        }
        Target::Inet { host: Host::Name(name), port } if proxy.kind.is_remote() => {
            Ok(Destination::Name(name.clone(), *port))
        }
        _ => {
            let only_v4 = matches!(proxy.kind, proxy::Kind::Socks4 { .. }).then_some(Family::V4);
            let options = ConnectOptions { family: only_v4.or(options.family), ..options.clone() };
            Ok(Destination::Address(look_up(address, &options)?))
        }
    }
}

fn connect_straight(
    address: &Address,
    protocol: Protocol,
    options: &ConnectOptions,
) -> Result<Connected, ConnectError> {
    let began = Instant::now();
    let (host, port) = match &address.target {
        Target::Unix(path) => return connect_path(address, path, protocol, options.timeout),
        Target::Inet { host, port } => (host, *port),
        Target::Standard | Target::Command(..) | Target::Descriptor(_) => return open_local(address),
    };
    let addresses = addresses(address, host, port, options)?;
    let lookup = began.elapsed();
    let connected = match protocol {
        Protocol::Udp => connect_datagrams(&addresses, &address.options, options).map_err(|error| error.at(address)),
        Protocol::Tcp | Protocol::Unix | Protocol::UnixDgram | Protocol::UnixSeqpacket => {
            race(address, &addresses, began, options)
        }
    };
    let connected = connected.map_err(|error| error.or_of_source(address, protocol, options.source.as_ref()));
    let connected = connected.map(|connected| Connected { lookup, ..connected })?;
    match rustix::io::ioctl_fionbio(&connected.fd, false) {
        Ok(()) => Ok(connected),
        Err(error) => Err(ConnectError::Local { address: address.to_string(), error: error.into() }),
    }
}

/// The first address of a name.
///
/// # Errors
/// The name leads nowhere, or it is not known in time.
pub(crate) fn look_up(address: &Address, options: &ConnectOptions) -> Result<SocketAddr, ConnectError> {
    let Target::Inet { host, port } = &address.target else {
        let error = io::Error::other("a path is looked up by nobody");
        return Err(ConnectError::Local { address: address.to_string(), error });
    };
    addresses(address, host, *port, options)?
        .first()
        .copied()
        .ok_or_else(|| ConnectError::NotFound { address: address.to_string(), why: "it has no address".to_owned() })
}

/// All addresses of a name, in the order in which they are tried.
///
/// # Errors
/// As [`look_up`].
pub(crate) fn look_up_all(address: &Address, options: &ConnectOptions) -> Result<Vec<SocketAddr>, ConnectError> {
    usable(address)?;
    match &address.target {
        Target::Inet { host, port } => addresses(address, host, *port, options).map(interleave),
        _ => Ok(vec![]),
    }
}

/// Whether an address has a name that a resolver is asked for, and may lead elsewhere later.
#[must_use]
pub fn is_looked_up(address: &Address) -> bool {
    let every = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    matches!(&address.target, Target::Inet { host, port } if resolve::without_asking(host, *port, every).is_none())
}

fn addresses(
    address: &Address,
    host: &Host,
    port: u16,
    options: &ConnectOptions,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let every = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    resolve::addresses(host, port, options.family, every, options.timeout)
        .map_err(|error| not_found(address, options.timeout, error))
}

/// A host leads nowhere, or it is not known in time.
pub(super) fn not_found(address: &Address, timeout: Duration, error: ResolveError) -> ConnectError {
    let address = address.to_string();
    match error {
        ResolveError::TimedOut => {
            let waited_for = Some("the name lookup");
            ConnectError::TimedOut { address, after: timeout, attempts: vec![], waited_for }
        }
        ResolveError::NoThread(error) => ConnectError::Local { address, error },
        other => ConnectError::NotFound { address, why: other.to_string() },
    }
}

/// Connects, and tries again until it stands or the time has passed: the server may only be starting.
///
/// # Errors
/// As [`connect`], of the last attempt; at once where trying again cannot help.
pub fn connect_within(
    address: &Address,
    protocol: Protocol,
    options: &ConnectOptions,
    retry: Option<Duration>,
) -> Result<Connected, ConnectError> {
    let mut again = RetryClock::until(retry.map(|time| Instant::now() + time));
    loop {
        // An attempt has its own time, or what is left.
        let timeout = retry.map_or(options.timeout, |_| options.timeout.min(again.left().max(again.pause)));
        let error = match connect(address, protocol, &ConnectOptions { timeout, ..options.clone() }) {
            Ok(connected) => return Ok(connected),
            Err(error) => error,
        };
        if !error.may_pass() || !again.wait() {
            return Err(error);
        }
    }
}

/// When something is tried again that may only be starting, and until when: the pauses grow from 20 ms to half a second.
///
/// ```
/// use std::time::{Duration, Instant};
/// use sockeye::net::connect::RetryClock;
///
/// let mut again = RetryClock::until(Some(Instant::now() + Duration::from_millis(30)));
/// while again.wait() {}
/// assert!(again.left().is_zero());
/// assert!(!RetryClock::until(None).wait());
/// ```
#[derive(Debug, Clone)]
pub struct RetryClock {
    until: Option<Instant>,
    pause: Duration,
}

impl RetryClock {
    const LONGEST_PAUSE: Duration = Duration::from_millis(500);

    /// Until a moment; without one nothing is tried again.
    #[must_use]
    pub fn until(until: Option<Instant>) -> Self {
        Self { until, pause: Duration::from_millis(20) }
    }

    /// How long it is until then.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Sleeps before the next attempt; false, at once, if the time is over.
    pub fn wait(&mut self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(Self::LONGEST_PAUSE);
        true
    }
}

/// A program, standard input and output, or a descriptor: it is there, and no server has to answer.
fn open_local(address: &Address) -> Result<Connected, ConnectError> {
    let local = |error| ConnectError::Local { address: address.to_string(), error };
    let end = LocalEnd::of_address(address).map_err(|error| match error {
        LocalError::Program(error) => ConnectError::Program { address: address.to_string(), error },
        LocalError::Descriptor(error) => local(error),
    })?;
    let Some(end) = end else { return Err(local(io::Error::other("it is no address to connect to"))) };
    end.open(None).map(Connected::over_local).map_err(local)
}

fn connect_path(
    address: &Address,
    path: &Path,
    protocol: Protocol,
    timeout: Duration,
) -> Result<Connected, ConnectError> {
    let deadline = Instant::now() + timeout;
    let connected = (|| {
        let fd = message::client(protocol, SocketFlags::CLOEXEC)?;
        super::options::apply(&fd, &address.options, protocol, true)?;
        let path = path::address(path)?;
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
        Ok(fd) => Ok(Connected::over_path(fd, protocol, Name::Path(Arc::from(path)))),
        Err(error) => Err(path_failed(address, path, error, timeout)),
    }
}

/// Nothing takes connections at a path, or not in time.
pub(super) fn path_failed(address: &Address, path: &Path, error: Errno, timeout: Duration) -> ConnectError {
    let address = address.to_string();
    match error {
        Errno::AGAIN => {
            let waited_for = Some("a backlog that is full");
            ConnectError::TimedOut { address, after: timeout, attempts: vec![], waited_for }
        }
        Errno::PROTOTYPE => {
            // As of /dev/log: connect(2) does not say which kind it is.
            let path = path.display();
            let error = format!(
                "a socket of another kind stands there: write unix:{path} for a stream, unix-dgram:{path} for datagrams, \
                unix-seqpacket:{path} for packets"
            );
            ConnectError::Local { address, error: io::Error::other(error) }
        }
        Errno::CONNREFUSED if path::abstract_name(path).is_none() => {
            // So says connect(2) of a file of any kind.
            let error = match std::fs::metadata(path).map(|found| found.file_type()) {
                Ok(kind) if kind.is_socket() => {
                    let why = "Connection refused: nothing listens at that socket (any more)";
                    io::Error::new(io::ErrorKind::ConnectionRefused, why)
                }
                Ok(kind) if kind.is_dir() => io::Error::other("it is a folder, and no socket"),
                Ok(kind) if kind.is_file() => io::Error::other("it is a file, and no socket"),
                Ok(_) => io::Error::other("it is no socket"),
                Err(_) => error.into(),
            };
            ConnectError::Local { address, error }
        }
        error => ConnectError::Local { address, error: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, getsockname, socket_with};

    use super::super::Family;
    use super::*;

    fn options() -> ConnectOptions {
        ConnectOptions { timeout: Duration::from_secs(10), ..ConnectOptions::default() }
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
        let hurried = ConnectOptions { timeout: Duration::from_millis(20), ..options() };
        let error = connect(&address, Protocol::Unix, &hurried).unwrap_err();
        assert!(error.to_string().ends_with("(--connect-timeout): a backlog that is full took all of it"), "{error}");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| connect(&address, Protocol::Unix, &options()));
            rustix::net::accept(&listener).unwrap();
            second.join().unwrap().unwrap();
        });
        drop(listener);
        let error = connect(&address, Protocol::Unix, &options()).unwrap_err().to_string();
        assert!(error.ends_with("s: Connection refused: nothing listens at that socket (any more)"), "{error}");
    }

    #[test]
    fn an_address_that_cannot_work_says_why() {
        for (typed, family, says) in [
            ("127.0.0.1:0", None, "port 0 stands for any free one"),
            ("127.0.0.1:1", Some(Family::V6), "it has no IPv6 address, and only those were asked for"),
            ("[fe80::1]:1", None, "needs its interface: [fe80::1%eth0]:1"),
        ] {
            let options = ConnectOptions { family, ..options() };
            let error = connect(&Address::parse(typed).unwrap(), Protocol::Tcp, &options).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot connect to {typed}: ")) && error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_name_that_does_not_resolve_is_told_apart() {
        let address = Address::parse("no-such-name.invalid:1").unwrap();
        assert!(matches!(connect(&address, Protocol::Tcp, &options()), Err(ConnectError::NotFound { .. })));
    }
}
