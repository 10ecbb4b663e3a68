//! How to connect, and what became of each address that was tried.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::datagrams::{self, Datagrams};
use super::proxy::{Proxy, ProxyError};
use super::{Family, words};
use crate::address::{Address, AddressOptions};
use crate::child::ProgramError;
use crate::endpoint::Protocol;
use crate::limits;
use crate::sys::{interface, option};

/// How to connect.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Only this address family.
    pub family: Option<Family>,
    /// For the lookup and all attempts together.
    pub timeout: Duration,
    /// What connections come from; none: whatever leads there.
    pub source: Option<Source>,
    /// Of datagrams: who may be sent to, and what is taken.
    pub datagrams: Datagrams,
    /// What stands between, over TCP.
    pub proxy: Option<Proxy>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        let (timeout, datagrams) = (limits::CONNECT_WAIT, Datagrams::default());
        Self { family: None, timeout, source: None, datagrams, proxy: None }
    }
}

/// What a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An address of this machine.
    Address(IpAddr),
    /// A port of this machine, at one address or at any.
    Port(Option<IpAddr>, u16),
    /// A network interface.
    Interface(String),
}

impl Source {
    /// Has a socket that is to be connected to an address come from here.
    pub(super) fn take(&self, fd: &OwnedFd, to: &SocketAddr) -> Result<(), Errno> {
        match self {
            Self::Interface(name) => datagrams::through(fd, name, to),
            Self::Port(Some(ip), _) | Self::Address(ip) if ip.is_ipv4() != to.is_ipv4() => Err(Errno::AFNOSUPPORT),
            Self::Port(ip, port) => {
                // What is left of a connection before is no reason not to take the port again (TIME_WAIT).
                sockopt::set_socket_reuseaddr(fd, true)?;
                let any = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
                bind(fd, &SocketAddr::new(ip.unwrap_or(any), *port))
            }
            // The port is chosen with the connection: as many as there are peers, and not one for all of them (ip(7)).
            Self::Address(ip) => {
                let _ = option::set(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
                bind(fd, &SocketAddr::new(*ip, 0))
            }
        }
    }
}

/// Why nothing can come from the own end that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// No interface of this machine has the address.
    NotLocal,
    /// It is an address of the other family.
    OtherFamily,
    /// No interface of this machine has the name.
    NoInterface,
    /// Another socket has the port.
    InUse,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLocal => "no interface of this machine has that address (sockeye addrs shows those there are)",
            Self::OtherFamily => "one of the two addresses is of IPv4, and the other one of IPv6",
            Self::NoInterface => "no interface of this machine has that name (sockeye addrs shows those there are)",
            Self::InUse => "another socket of this machine has that port",
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => ip.fmt(f),
            Self::Port(Some(ip), port) => SocketAddr::new(*ip, *port).fmt(f),
            Self::Port(None, port) => write!(f, "port {port}"),
            Self::Interface(name) => write!(f, "the interface {name}"),
        }
    }
}

impl Source {
    /// What the options of an address name as our own end.
    fn of_address(options: &AddressOptions) -> impl Iterator<Item = Self> {
        let bind = options.bind.map(|from| match from.port() {
            0 => Self::Address(from.ip()),
            port => Self::Port(Some(from.ip()), port),
        });
        bind.into_iter().chain(options.interface.clone().map(Self::Interface))
    }

    /// Why nothing can come from here to an address, if that is so.
    fn error(&self, to: &SocketAddr, protocol: Protocol) -> Option<SourceError> {
        if let Self::Interface(name) = self {
            return interface::number(name).is_none().then_some(SourceError::NoInterface);
        }
        match self.check(to, protocol) {
            Err(Errno::ADDRNOTAVAIL) => Some(SourceError::NotLocal),
            Err(Errno::AFNOSUPPORT) => Some(SourceError::OtherFamily),
            Err(Errno::ADDRINUSE) => Some(SourceError::InUse),
            _ => None,
        }
    }

    /// Whether anything could come from here to an address.
    ///
    /// # Errors
    /// This machine does not have it, or it leads to other kinds of addresses.
    pub(crate) fn check(&self, to: &SocketAddr, protocol: Protocol) -> Result<(), Errno> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let kind = if protocol == Protocol::Udp { SocketType::DGRAM } else { SocketType::STREAM };
        self.take(&socket_with(family, kind, SocketFlags::CLOEXEC, None)?, to)
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
    /// Why this machine could not even begin: it has no free port there, or none of the addresses to come from.
    pub(crate) is_without_port: bool,
}

impl Attempt {
    /// One that begins. Until something else is known it has lost.
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, outcome: Outcome::Lost, took: Duration::ZERO, is_without_port: false }
    }
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
    /// The proxy makes no way, or there is none to it.
    Proxy {
        /// What was asked for.
        address: String,
        /// The proxy, without its secrets.
        proxy: String,
        /// Why.
        why: ProxyFailure,
    },
    /// The program that is to be the other end cannot be run.
    Program {
        /// As it was typed.
        address: String,
        /// Why.
        error: ProgramError,
    },
    /// It is an address that only a listener can have.
    Unusable {
        /// What was asked for.
        address: String,
        /// Why.
        why: &'static str,
    },
    /// Nothing can come from the own end that was asked for, to any address that was tried.
    Source {
        /// What was asked for.
        address: String,
        /// The own end.
        source: Source,
        /// Why.
        error: SourceError,
    },
    /// The connection failed inside this machine: nothing at the path of a Unix socket, no descriptor free.
    Local {
        /// What was asked for.
        address: String,
        /// The system's words.
        error: io::Error,
    },
}

/// Why a proxy makes no way.
#[derive(Debug)]
pub enum ProxyFailure {
    /// There is no connection to it.
    NoProxy(Box<ConnectError>),
    /// It was asked.
    Asked(ProxyError),
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
            Self::Proxy { address, proxy, why } => {
                write!(f, "cannot connect to {address} through {proxy}: ")?;
                match why {
                    ProxyFailure::NoProxy(error) => error.fmt(f),
                    ProxyFailure::Asked(error) => error.fmt(f),
                }
            }
            Self::Program { address, error } => write!(f, "{address}: {error}"),
            Self::Unusable { address, why } => write!(f, "cannot connect to {address}: {why}"),
            Self::Source { address, source, error } => write!(f, "cannot connect to {address} from {source}: {error}"),
            Self::Local { address, error } if address.starts_with("fd:") || address == "stdio" => {
                write!(f, "cannot use {address}: {}", words(error))
            }
            Self::Local { address, error } => write!(f, "cannot connect to {address}: {}", words(error)),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Local { error, .. } => Some(error),
            Self::Program { error, .. } => Some(error),
            Self::Proxy { why: ProxyFailure::NoProxy(error), .. } => Some(error),
            Self::Proxy { why: ProxyFailure::Asked(error), .. } => Some(error),
            Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::TimedOut { .. }
            | Self::Unusable { .. }
            | Self::Source { .. } => None,
        }
    }
}

impl ConnectError {
    /// The same, with our own end to blame where nothing could come from there to any address that was tried.
    pub(super) fn or_of_source(self, address: &Address, protocol: Protocol, source: Option<&Source>) -> Self {
        let Self::Refused { attempts, .. } = &self else { return self };
        let sources: Vec<Source> = source.cloned().into_iter().chain(Source::of_address(&address.options)).collect();
        let wrong = |to: &SocketAddr| {
            sources.iter().find_map(|source| source.error(to, protocol).map(|error| (source.clone(), error)))
        };
        let all: Option<Vec<_>> = attempts.iter().map(|attempt| wrong(&attempt.address)).collect();
        // That a name has addresses of the other family too says the least.
        let told = all.and_then(|all| all.into_iter().min_by_key(|(_, error)| *error == SourceError::OtherFamily));
        match told {
            Some((source, error)) => Self::Source { address: address.to_string(), source, error },
            None => self,
        }
    }

    /// Whether no attempt left this machine, for it has no port to come from.
    pub(crate) fn is_without_port(&self) -> bool {
        match self {
            Self::Refused { attempts, .. } => {
                !attempts.is_empty() && attempts.iter().all(|attempt| attempt.is_without_port)
            }
            _ => false,
        }
    }

    /// Whether it may be otherwise in a moment, without a change of what was asked for.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Refused { .. } | Self::TimedOut { .. } => true,
            Self::Proxy { why: ProxyFailure::NoProxy(error), .. } => error.may_pass(),
            Self::Proxy { why: ProxyFailure::Asked(error), .. } => error.may_pass(),
            Self::Program { .. } | Self::Unusable { .. } => false,
            Self::Source { error, .. } => *error == SourceError::InUse,
            Self::Local { address, .. } if address.starts_with("fd:") => false,
            // The path of a Unix socket that is not there yet, or from before.
            Self::Local { error, .. } => {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
            }
        }
    }
}
