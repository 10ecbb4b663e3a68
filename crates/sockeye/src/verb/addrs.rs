//! This machine's interfaces and addresses, and which of them a destination would be reached from.
//!
//! ```
//! use sockeye::verb::addrs::{interfaces, routes};
//!
//! let all = interfaces()?;
//! let route = &routes(&["127.0.0.1".parse()?], 0, &all)[0];
//! assert!(route.from.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};

use crate::sys::interfaces;
pub use crate::sys::interfaces::{Address, Interface, Scope};

/// How a destination would be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// Where to.
    pub destination: IpAddr,
    /// The address that would be used, and the interface that has it; or why there is none.
    pub from: Result<(IpAddr, Option<String>), NoRoute>,
}

/// Why a destination cannot be reached, in the system's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoute(String);

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoRoute {}

/// Every interface of this network namespace with its addresses, in the kernel's order.
///
/// # Errors
/// The kernel does not tell of its interfaces (rtnetlink(7)).
pub fn interfaces() -> io::Result<Vec<Interface>> {
    Ok(interfaces::all()?)
}

/// Which address and interface each destination would be reached from; `scope` is the number of the interface on which link-local
/// ones are, or 0. Nothing is sent: a datagram socket is connected, and asked for its
/// name.
#[must_use]
pub fn routes(destinations: &[IpAddr], scope: u32, interfaces: &[Interface]) -> Vec<Route> {
    destinations.iter().map(|&destination| Route { destination, from: route(destination, scope, interfaces) }).collect()
}

fn route(destination: IpAddr, scope: u32, interfaces: &[Interface]) -> Result<(IpAddr, Option<String>), NoRoute> {
    let any: IpAddr = if destination.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let to = match destination {
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, 9, 0, scope)),
        IpAddr::V4(_) => SocketAddr::new(destination, 9),
    };
    let from = UdpSocket::bind((any, 0))
        .and_then(|socket| socket.connect(to).and_then(|()| socket.local_addr()))
        .map_err(|error| NoRoute(why(&error, destination, scope)))?
        .ip();
    let has = |interface: &&Interface| interface.addresses.iter().any(|address| address.ip == from);
    // 127.0.0.0/8 is all of the loopback's, and only its first address is listed.
    let is_loopback = |interface: &&Interface| from.is_loopback() && interface.is_loopback;
    let interface = interfaces.iter().find(has).or_else(|| interfaces.iter().find(is_loopback));
    Ok((from, interface.map(|interface| interface.name.clone())))
}

/// The kernel's words, or ours where those say nothing of an address.
fn why(error: &io::Error, destination: IpAddr, scope: u32) -> String {
    match (error.raw_os_error(), destination) {
        (Some(libc::EINVAL), IpAddr::V6(ip)) if ip.is_unicast_link_local() && scope == 0 => {
            format!("it is a link-local address: say on which interface, as {ip}%eth0")
        }
        (Some(libc::EACCES), IpAddr::V4(_)) => "it is a broadcast address (talk --broadcast sends there)".to_owned(),
        _ => crate::net::words(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_there_and_is_reached_from_itself() {
        let all = interfaces().unwrap();
        let loopback = all.iter().find(|interface| interface.is_loopback).unwrap();
        let first = Address { ip: [127, 0, 0, 1].into(), prefix: 8, scope: Scope::Host };
        assert!(loopback.is_up && loopback.mtu > 0 && loopback.addresses.contains(&first), "{loopback:?}");
        let found = routes(&[[127, 0, 0, 1].into(), [127, 1, 2, 3].into()], 0, &all);
        let name = Some(loopback.name.clone());
        assert_eq!(found[0].from, Ok(([127, 0, 0, 1].into(), name.clone())));
        assert_eq!(found[1].from.as_ref().map(|(_, interface)| interface), Ok(&name));
    }
}
