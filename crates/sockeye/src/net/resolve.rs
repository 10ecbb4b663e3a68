//! From a host as typed to socket addresses, by the system's resolver: it honours the hosts file and its order.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use super::Family;
use crate::address::Host;

/// Why a name leads nowhere.
#[derive(Debug)]
pub(super) enum ResolveError {
    NotFound(io::Error),
    TimedOut,
    /// It has addresses, but none of the family asked for.
    Family,
}

/// The addresses of a host, in the resolver's order.
pub(super) fn addresses(
    host: &Host,
    port: u16,
    family: Option<Family>,
    every: [IpAddr; 2],
    time: Option<Duration>,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut found: Vec<SocketAddr> = match host {
        Host::Every => every.map(|ip| SocketAddr::new(ip, port)).to_vec(),
        Host::Loopback => {
            vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
        }
        Host::Ip(IpAddr::V6(ip), scope) => vec![SocketAddrV6::new(*ip, port, 0, *scope).into()],
        Host::Ip(ip, _) => vec![SocketAddr::new(*ip, port)],
        Host::Name(name) => look_up(name.clone(), port, time)?,
    };
    let mut seen = Vec::new();
    found.retain(|address| {
        let new = !seen.contains(address);
        seen.push(*address);
        new && family.is_none_or(|family| family.has(address))
    });
    if found.is_empty() { Err(ResolveError::Family) } else { Ok(found) }
}

/// getaddrinfo(3) cannot be called off, so it runs beside us; one that hangs is left behind.
fn look_up(name: String, port: u16, time: Option<Duration>) -> Result<Vec<SocketAddr>, ResolveError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || {
            let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            let _ = sender.send(found);
        })
        .map_err(ResolveError::NotFound)?;
    let answer = match time {
        Some(time) => receiver.recv_timeout(time).map_err(|_| ResolveError::TimedOut)?,
        None => receiver.recv().map_err(|_| ResolveError::TimedOut)?,
    };
    answer.map_err(ResolveError::NotFound)
}
