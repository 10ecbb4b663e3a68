//! From a host as typed to socket addresses, by the system's resolver: it honours the hosts file and its order.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use super::{Family, words};
use crate::address::Host;

/// Why a host has no address.
#[derive(Debug)]
pub(super) enum ResolveError {
    /// The resolver's answer, or that it could not be asked.
    NotFound(io::Error),
    /// This machine could not ask.
    NoThread(io::Error),
    /// It did not answer in time.
    TimedOut,
    /// There are addresses, but none of the family asked for.
    Family(Family),
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

/// The addresses of a host, in the resolver's order.
pub(super) fn addresses(
    host: &Host,
    port: u16,
    family: Option<Family>,
    every: [IpAddr; 2],
    time: Duration,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut found: Vec<SocketAddr> = match host {
        Host::Every => every.map(|ip| SocketAddr::new(ip, port)).to_vec(),
        Host::Loopback => {
            vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
        }
        // An IPv4 address written as an IPv6 one is of no use to a socket that speaks only IPv6 (RFC 4291, 2.5.5.2).
        Host::Ip(ip, scope) => match ip.to_canonical() {
            IpAddr::V6(ip) => vec![SocketAddrV6::new(ip, port, 0, *scope).into()],
            ip => vec![SocketAddr::new(ip, port)],
        },
        Host::Name(name) => look_up(name.clone(), port, time)?,
    };
    let mut seen = Vec::new();
    found.retain(|address| {
        let new = !seen.contains(address);
        seen.push(*address);
        new && family.is_none_or(|family| family.has(address))
    });
    match family {
        Some(family) if found.is_empty() => Err(ResolveError::Family(family)),
        // A resolver that finds nothing says so by an error; this is for one that does not.
        None if found.is_empty() => Err(ResolveError::NotFound(io::Error::other("it has no address"))),
        _ => Ok(found),
    }
}

/// getaddrinfo(3) cannot be called off, so it runs beside us; one that hangs is left behind.
fn look_up(name: String, port: u16, time: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || {
            let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            let _ = sender.send(found);
        })
        .map_err(ResolveError::NoThread)?;
    receiver.recv_timeout(time).map_err(|_| ResolveError::TimedOut)?.map_err(ResolveError::NotFound)
}
