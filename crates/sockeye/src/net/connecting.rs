//! A connection that is on its way while others go on: its name is looked up, its addresses race, and one descriptor tells
//! when there is something to do. It never waits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, SocketFlags, connect};

use super::aside::Aside;
use super::attempt::{ConnectError, ConnectOptions};
use super::connect::{not_found, path_failed, usable};
use super::connected::{Connected, connect_datagrams};
use super::race::Race;
use super::resolve::{self, Lookup, ResolveError};
use super::{message, options, path};
use crate::address::{self, Address, Host};
use crate::endpoint::{Name, Protocol};

/// How soon a Unix socket whose backlog is full is asked again: the system does not tell of room in it.
const BACKLOG_FULL: Duration = Duration::from_millis(5);

/// How often one is looked at that a thread of its own makes, and that tells when it is done.
const ASIDE: Duration = Duration::from_secs(60);

/// Where to connect, and how: the same for every connection that goes there.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) protocol: Protocol,
    pub(crate) options: ConnectOptions,
    /// The addresses of its name, if they were looked up before.
    pub(crate) known: Option<Vec<SocketAddr>>,
    /// For how long it is tried again where it is refused.
    pub(crate) retry: Option<Duration>,
}

impl Target {
    pub(crate) fn new(address: Address, protocol: Protocol, options: ConnectOptions) -> Self {
        Self { address, protocol, options, known: None, retry: None }
    }

    /// What is known of the other end before it stands.
    pub(crate) fn peer(&self) -> Name {
        match (&self.address.target, self.known.as_deref()) {
            (address::Target::Unix(path), _) => Name::Path(Arc::from(path.as_path())),
            (_, Some([only])) => Name::Inet(*only),
            (address::Target::Inet { host: Host::Ip(ip, _), port }, _) => Name::Inet(SocketAddr::new(*ip, *port)),
            _ => Name::Unnamed,
        }
    }
}

/// One connection on its way.
pub(crate) struct Connecting {
    target: Arc<Target>,
    began: Instant,
    lookup: Duration,
    state: State,
    /// Where several descriptors may come to be waited for: what is ready when one of them is.
    several: Option<OwnedFd>,
}

enum State {
    /// A thread of its own makes it.
    Aside(Aside),
    LookingUp(Lookup),
    Racing(Race),
    Datagrams(Vec<SocketAddr>),
    /// A Unix socket that may wait for room in its server's backlog.
    Path(OwnedFd, SocketAddrUnix),
    Over,
}

/// How far a connection is.
pub(crate) enum Progress {
    /// There is something to do when the descriptor is ready, and in so long at the latest.
    Waits(Duration),
    /// It stands; its socket does not block.
    Stands(Box<Connected>),
}

/// What tells that there is something to do.
pub(crate) enum Watched<'a> {
    /// This one can be read. It stands for several, and goes with what is on its way.
    Several(BorrowedFd<'a>),
    /// This one can be written to: it is the socket of the connection itself.
    Socket(BorrowedFd<'a>),
    /// Nothing: only time counts.
    Nothing,
}

impl std::fmt::Debug for Connecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connecting").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Connecting {
    /// Sets off.
    ///
    /// # Errors
    /// What was asked for leads nowhere, or no descriptor is free.
    pub(crate) fn begin(target: &Arc<Target>) -> Result<Self, ConnectError> {
        usable(&target.address)?;
        let began = Instant::now();
        let mut several = None;
        let state = match &target.address.target {
            _ if target.retry.is_some() || target.options.proxy.is_some() => {
                let Target { address, protocol, options, retry, .. } = &**target;
                let begun = Aside::begin(address.clone(), *protocol, options.clone(), *retry).and_then(|aside| {
                    let epoll = watch_several()?;
                    epoll::add(&epoll, &aside, EventData::new_u64(0), EventFlags::IN)?;
                    several = Some(epoll);
                    Ok(State::Aside(aside))
                });
                begun.map_err(|error| local(target, error))?
            }
            address::Target::Unix(path) => {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                let protocol = target.protocol;
                let both = message::client(protocol, flags).and_then(|fd| {
                    options::apply(&fd, &target.address.options, protocol, true)?;
                    Ok(State::Path(fd, path::address(path)?))
                });
                both.map_err(|error| local(target, error.into()))?
            }
            address::Target::Standard | address::Target::Command(..) | address::Target::Descriptor(_) => {
                return Err(local(target, io::Error::other("it is no address to connect to")));
            }
            address::Target::Inet { host, port } => {
                let every = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
                let known = target.known.clone().or_else(|| resolve::without_asking(host, *port, every));
                match (known, host) {
                    (None, Host::Name(name)) => {
                        let lookup = Lookup::begin(name, *port).map_err(|error| unknown(target, error))?;
                        let epoll = watch_several().map_err(|error| local(target, error.into()))?;
                        epoll::add(&epoll, &lookup, EventData::new_u64(0), EventFlags::IN)
                            .map_err(|error| local(target, error.into()))?;
                        several = Some(epoll);
                        State::LookingUp(lookup)
                    }
                    (known, _) => {
                        let found = resolve::chosen(known.unwrap_or_default(), target.options.family)
                            .map_err(|error| unknown(target, error))?;
                        if found.len() > 1 && target.protocol != Protocol::Udp {
                            several = Some(watch_several().map_err(|error| local(target, error.into()))?);
                        }
                        State::set_off(target, found, began)
                    }
                }
            }
        };
        Ok(Self { target: Arc::clone(target), began, lookup: Duration::ZERO, state, several })
    }

    /// One that led nowhere.
    pub(crate) fn over(target: &Arc<Target>) -> Self {
        let (target, began) = (Arc::clone(target), Instant::now());
        Self { target, began, lookup: Duration::ZERO, state: State::Over, several: None }
    }

    /// What is to be watched until it stands. It stays the same.
    pub(crate) fn watched(&self) -> Watched<'_> {
        match (&self.several, &self.state) {
            (Some(several), _) => Watched::Several(several.as_fd()),
            (None, State::Racing(race)) => race.sockets().next().map_or(Watched::Nothing, Watched::Socket),
            (None, _) => Watched::Nothing,
        }
    }

    /// Goes on as far as it can without waiting. After an error it is over.
    ///
    /// # Errors
    /// There is no connection.
    pub(crate) fn advance(&mut self) -> Result<Progress, ConnectError> {
        let left = (self.began + self.target.options.timeout).saturating_duration_since(Instant::now());
        if let State::LookingUp(lookup) = &self.state {
            let found = match lookup.found() {
                None if left.is_zero() => return Err(unknown(&self.target, ResolveError::TimedOut)),
                None => return Ok(Progress::Waits(left)),
                Some(found) => found.and_then(|found| resolve::chosen(found, self.target.options.family)),
            };
            self.lookup = self.began.elapsed();
            let found = found.map_err(|error| unknown(&self.target, error))?;
            self.state = State::set_off(&self.target, found, self.began);
        }
        let Target { address, options, .. } = &*self.target;
        let connected = match &mut self.state {
            State::LookingUp(_) | State::Over => return Ok(Progress::Waits(left)),
            State::Aside(aside) => match aside.outcome() {
                // It keeps its own time.
                None => return Ok(Progress::Waits(ASIDE)),
                Some(outcome) => {
                    let connected = outcome.map_err(|error| local(&self.target, error))??;
                    rustix::io::ioctl_fionbio(&connected.fd, true)
                        .map_err(|error| local(&self.target, error.into()))?;
                    connected
                }
            },
            State::Racing(race) => {
                let several = self.several.as_ref();
                let advanced = race.advance(address, options, |fd| match several {
                    Some(epoll) => Ok(epoll::add(epoll, fd, EventData::new_u64(0), EventFlags::OUT)?),
                    None => Ok(()),
                });
                match advanced {
                    None => return Ok(Progress::Waits(race.wakes().saturating_duration_since(Instant::now()))),
                    Some(connected) => {
                        let protocol = self.target.protocol;
                        connected.map_err(|error| error.or_of_source(address, protocol, options.source.as_ref()))?
                    }
                }
            }
            State::Datagrams(found) => {
                let connected = connect_datagrams(found, &address.options, options)
                    .map_err(|error| error.at(address).or_of_source(address, Protocol::Udp, options.source.as_ref()))?;
                rustix::io::ioctl_fionbio(&connected.fd, true).map_err(|error| local(&self.target, error.into()))?;
                connected
            }
            State::Path(fd, path) => match connect(&*fd, path) {
                Ok(()) | Err(Errno::ISCONN) => match std::mem::replace(&mut self.state, State::Over) {
                    State::Path(fd, _) => Connected::over_path(fd, self.target.protocol, self.target.peer()),
                    _ => return Ok(Progress::Waits(left)),
                },
                Err(Errno::AGAIN | Errno::INTR) if !left.is_zero() => {
                    return Ok(Progress::Waits(BACKLOG_FULL.min(left)));
                }
                Err(error) => return Err(no_path(&self.target, error)),
            },
        };
        Ok(Progress::Stands(Box::new(Connected { lookup: self.lookup, ..connected })))
    }
}

impl State {
    fn set_off(target: &Target, found: Vec<SocketAddr>, began: Instant) -> Self {
        match target.protocol {
            Protocol::Udp => Self::Datagrams(found),
            Protocol::Tcp | Protocol::Unix | Protocol::UnixDgram | Protocol::UnixSeqpacket => {
                Self::Racing(Race::new(found, began + target.options.timeout))
            }
        }
    }
}

/// A descriptor that is ready when one of several is.
fn watch_several() -> Result<OwnedFd, Errno> {
    epoll::create(CreateFlags::CLOEXEC)
}

fn unknown(target: &Target, error: ResolveError) -> ConnectError {
    not_found(&target.address, target.options.timeout, error)
}

fn no_path(target: &Target, error: Errno) -> ConnectError {
    match &target.address.target {
        address::Target::Unix(path) => path_failed(&target.address, path, error, target.options.timeout),
        _ => local(target, error.into()),
    }
}

fn local(target: &Target, error: io::Error) -> ConnectError {
    ConnectError::Local { address: target.address.to_string(), error }
}
