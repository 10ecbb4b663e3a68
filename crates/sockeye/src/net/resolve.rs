//! From a host as typed to socket addresses, by the system's resolver: it honours the hosts file and its order.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::{Family, words};
use crate::address::Host;

/// Why a host has no address.
#[derive(Debug)]
pub(super) enum ResolveError {
    /// The resolver's answer, or that it could not be asked. Several may wait for the same one.
    NotFound(Arc<io::Error>),
    /// This machine could not ask.
    NoThread(io::Error),
    /// It did not answer in time.
    TimedOut,
    /// There are addresses, but none of the family asked for.
    Family(Family),
}

impl ResolveError {
    fn not_found(error: io::Error) -> Self {
        Self::NotFound(Arc::new(error))
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(error) => {
                let words = words(error);
                let why = words.strip_prefix("failed to lookup address information: ").unwrap_or(&words);
                write!(f, "the name was not found: {why}")
            }
            Self::NoThread(error) => write!(f, "cannot start a thread to look the name up: {}", words(error)),
            Self::TimedOut => f.write_str("the name was not found in time"),
            Self::Family(family) => write!(f, "it has no {} address, and only those were asked for", family.name()),
        }
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotFound(error) => Some(&**error),
            Self::NoThread(error) => Some(error),
            Self::TimedOut | Self::Family(_) => None,
        }
    }
}

/// The addresses of a host, in the resolver's order.
pub(super) fn addresses(
    host: &Host,
    port: u16,
    family: Option<Family>,
    every: [IpAddr; 2],
    time: Duration,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let found = match without_asking(host, port, every) {
        Some(found) => found,
        None => {
            let Host::Name(name) = host else { return chosen(vec![], family) };
            look_up(name.clone(), port, time)?
        }
    };
    chosen(found, family)
}

/// The addresses of a host that is no name.
pub(super) fn without_asking(host: &Host, port: u16, every: [IpAddr; 2]) -> Option<Vec<SocketAddr>> {
    match host {
        Host::Every => Some(every.map(|ip| SocketAddr::new(ip, port)).to_vec()),
        Host::Loopback => Some(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]),
        // An IPv4 address written as an IPv6 one is of no use to a socket that speaks only IPv6 (RFC 4291, 2.5.5.2).
        Host::Ip(ip, scope) => Some(match ip.to_canonical() {
            IpAddr::V6(ip) => vec![SocketAddrV6::new(ip, port, 0, *scope).into()],
            ip => vec![SocketAddr::new(ip, port)],
        }),
        // RFC 6761, section 6.3: such a name is this machine, and no resolver has to know it.
        Host::Name(name) if is_below_localhost(name) => without_asking(&Host::Loopback, port, every),
        Host::Name(_) => None,
    }
}

/// `app.localhost`, as browsers and curl have it. `localhost` itself stands in the hosts file.
fn is_below_localhost(name: &str) -> bool {
    const END: &str = ".localhost";
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() > END.len() && name.get(name.len() - END.len()..).is_some_and(|end| end.eq_ignore_ascii_case(END))
}

/// Of what was found, those of the family asked for, each once.
pub(super) fn chosen(mut found: Vec<SocketAddr>, family: Option<Family>) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut seen = Vec::new();
    found.retain(|address| {
        let new = !seen.contains(address);
        seen.push(*address);
        new && family.is_none_or(|family| family.has(address))
    });
    match family {
        Some(family) if found.is_empty() => Err(ResolveError::Family(family)),
        // A resolver that finds nothing says so by an error; this is for one that does not.
        None if found.is_empty() => Err(ResolveError::not_found(io::Error::other("it has no address"))),
        _ => Ok(found),
    }
}

/// getaddrinfo(3) cannot be called off, so it runs beside us; one that hangs is left behind.
fn look_up(name: String, port: u16, time: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    ask(name, port, move |found| {
        let _ = sender.send(found);
    })?;
    receiver.recv_timeout(time).map_err(|_| ResolveError::TimedOut)?.map_err(ResolveError::not_found)
}

fn ask(
    name: String,
    port: u16,
    tell: impl FnOnce(io::Result<Vec<SocketAddr>>) + Send + 'static,
) -> Result<(), ResolveError> {
    let resolve = move || tell((name.as_str(), port).to_socket_addrs().map(Iterator::collect));
    std::thread::Builder::new().name("resolver".to_owned()).spawn(resolve).map(|_| ()).map_err(ResolveError::NoThread)
}

/// A name that is being looked up while others go on. A caller that asks for the same name meanwhile gets the same answer, so that
/// a server that connects for each of its clients does not start a thread for each.
#[derive(Debug)]
pub(super) struct Lookup(Arc<Asked>);

/// One who waits for an answer.
#[derive(Debug)]
struct Asked {
    /// Can be read once the answer is there.
    ready: OwnedFd,
    found: Mutex<Option<Result<Vec<SocketAddr>, Arc<io::Error>>>>,
}

type Waiting = BTreeMap<(String, u16), Vec<Arc<Asked>>>;

/// The callers that wait for names that are being looked up.
static UNDER_WAY: Mutex<Waiting> = Mutex::new(BTreeMap::new());

impl Lookup {
    /// Begins.
    ///
    /// # Errors
    /// No descriptor, or no thread.
    pub(super) fn begin(name: &str, port: u16) -> Result<Self, ResolveError> {
        let ready = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| ResolveError::NoThread(error.into()))?;
        let asked = Arc::new(Asked { ready, found: Mutex::default() });
        let key = (name.to_owned(), port);
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = under_way.entry(key.clone()).or_default();
        waiting.push(Arc::clone(&asked));
        if waiting.len() > 1 {
            return Ok(Self(asked));
        }
        drop(under_way);
        let own = key.clone();
        let answered = ask(key.0.clone(), port, move |found| answer(&own, found));
        if answered.is_err() {
            UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
        answered.map(|()| Self(asked))
    }

    /// What was found, once that is known.
    pub(super) fn found(&self) -> Option<Result<Vec<SocketAddr>, ResolveError>> {
        let found = self.0.found.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(found.map_err(ResolveError::NotFound))
    }
}

impl AsFd for Lookup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.ready.as_fd()
    }
}

/// Tells everybody who waits.
fn answer(key: &(String, u16), found: io::Result<Vec<SocketAddr>>) {
    let found = found.map_err(Arc::new);
    let waiting = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default();
    for asked in waiting {
        *asked.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        let _ = rustix::io::write(&asked.ready, &1_u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_localhost_are_this_machine_whatever_a_resolver_knows() {
        for (name, is_here) in [
            ("app.localhost", true),
            ("a.b.LocalHost", true),
            ("app.localhost.", true),
            ("localhost.example.org", false),
            (".localhost", false),
            ("mylocalhost", false),
            ("é.localhos", false),
        ] {
            let found = without_asking(&Host::Name(name.to_owned()), 80, [Ipv4Addr::UNSPECIFIED.into(); 2]);
            assert_eq!(found.is_some(), is_here, "{name}");
            assert!(found.iter().flatten().all(|address| address.ip().is_loopback() && address.port() == 80));
        }
    }
}
