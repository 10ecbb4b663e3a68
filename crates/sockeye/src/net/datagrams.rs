//! Datagrams to many: broadcast, multicast, and the interface that they go through.
//!
//! ```
//! use sockeye::net::datagrams::Group;
//!
//! let group: Group = "239.1.2.3".parse()?;
//! assert_eq!(group.to_string(), "239.1.2.3");
//! assert!("192.0.2.1".parse::<Group>().is_err());
//! # Ok::<(), sockeye::net::datagrams::GroupError>(())
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::net::sockopt;

use crate::sys::{interface, option};

/// What holds for a socket of datagrams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// Whether it may send to all of a network at once.
    pub broadcast: bool,
    /// Groups whose datagrams it takes.
    pub groups: Vec<Group>,
    /// How many routers a datagram may pass, and one more.
    pub ttl: Option<u8>,
}

/// A multicast group, and the interface on which it is joined, by its number; 0 is the system's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    ip: IpAddr,
    interface: u32,
}

/// Why a text is no group to join.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// It is no address.
    NoAddress,
    /// It is an address, but of one host.
    NotMulticast(IpAddr),
    /// No interface of this machine has that name.
    NoInterface(String),
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("write a multicast address: 239.1.2.3, or ff02::1%eth0"),
            Self::NotMulticast(ip) => write!(f, "{ip} is no multicast address: those are 224.0.0.0/4 and ff00::/8"),
            Self::NoInterface(name) => write!(f, "no interface of this machine has the name {name}"),
        }
    }
}

impl std::error::Error for GroupError {}

impl FromStr for Group {
    type Err = GroupError;

    /// `239.1.2.3`, `239.1.2.3%eth0`, `ff02::1%eth0`.
    fn from_str(text: &str) -> Result<Self, GroupError> {
        let (ip, name) = text.split_once('%').map_or((text, None), |(ip, name)| (ip, Some(name)));
        let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
        let ip: IpAddr = bare.parse().map_err(|_| GroupError::NoAddress)?;
        if !ip.is_multicast() {
            return Err(GroupError::NotMulticast(ip));
        }
        let interface = match name {
            Some(name) => name
                .parse()
                .ok()
                .or_else(|| interface::number(name))
                .ok_or_else(|| GroupError::NoInterface(name.to_owned()))?,
            None => 0,
        };
        Ok(Self { ip, interface })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.interface {
            0 => write!(f, "{}", self.ip),
            interface => write!(f, "{}%{interface}", self.ip),
        }
    }
}

impl Group {
    /// Has a socket take what is sent to the group; one of the other family takes nothing of it.
    ///
    /// # Errors
    /// As setsockopt(2): there is no such interface, or none that takes multicast.
    pub fn join(&self, socket: impl AsFd, is_v4: bool) -> Result<(), Errno> {
        match self.ip {
            IpAddr::V4(ip) if is_v4 => {
                sockopt::set_ip_add_membership_with_ifindex(socket, &ip, &Ipv4Addr::UNSPECIFIED, self.interface)
            }
            IpAddr::V6(ip) if !is_v4 => sockopt::set_ipv6_add_membership(socket, &ip, self.interface),
            _ => Ok(()),
        }
    }
}

impl Datagrams {
    /// Whether nothing of it differs from what every socket has.
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Sets it on a socket that is to send to an address.
    pub(super) fn set(&self, socket: impl AsFd, to: &SocketAddr) -> Result<(), Errno> {
        let socket = socket.as_fd();
        if self.broadcast {
            sockopt::set_socket_broadcast(socket, true)?;
        }
        if let Some(ttl) = self.ttl {
            if to.is_ipv4() {
                sockopt::set_ip_ttl(socket, ttl.into())?;
                sockopt::set_ip_multicast_ttl(socket, ttl.into())?;
            } else {
                sockopt::set_ipv6_unicast_hops(socket, Some(ttl))?;
                sockopt::set_ipv6_multicast_hops(socket, ttl.into())?;
            }
        }
        for group in &self.groups {
            group.join(socket, to.is_ipv4())?;
            if group.interface > 0 && group.ip.is_ipv4() == to.is_ipv4() && to.ip().is_multicast() {
                send_through(socket, group.interface, to)?;
            }
        }
        Ok(())
    }
}

/// Has what is sent to groups leave by an interface.
fn send_through(socket: impl AsFd, interface: u32, to: &SocketAddr) -> Result<(), Errno> {
    if to.is_ipv6() {
        return sockopt::set_ipv6_multicast_if(socket, interface);
    }
    sockopt::set_ip_multicast_if_with_ifindex(socket, &Ipv4Addr::UNSPECIFIED, &Ipv4Addr::UNSPECIFIED, interface)
}

/// Has a socket send and take through an interface only. Older systems let root do that alone; there it sends through it
/// at least (ip(7), `IP_UNICAST_IF`).
pub(super) fn through(socket: impl AsFd, name: &str, to: &SocketAddr) -> Result<(), Errno> {
    let socket = socket.as_fd();
    match option::bind_to_interface(socket, name) {
        Err(error @ Errno::PERM) => {
            let index = interface::number(name).ok_or(Errno::NODEV)?;
            // In the network's order of bytes, as the manual has it.
            let value = i32::from_ne_bytes(index.to_be_bytes());
            let (level, option) = match to.is_ipv4() {
                true => (libc::IPPROTO_IP, libc::IP_UNICAST_IF),
                false => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_IF),
            };
            option::set(socket, level, option, value).map_err(|_| error)?;
            if to.ip().is_multicast() { send_through(socket, index, to) } else { Ok(()) }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_a_multicast_address_and_perhaps_an_interface() {
        let lo = interface::number("lo").unwrap();
        assert_eq!("239.1.2.3%lo".parse(), Ok(Group { ip: "239.1.2.3".parse().unwrap(), interface: lo }));
        assert_eq!(format!("[ff02::1]%{lo}").parse(), Ok(Group { ip: "ff02::1".parse().unwrap(), interface: lo }));
        for wrong in ["", "10.0.0.1", "239.1.2.3%no-such", "host"] {
            assert!(wrong.parse::<Group>().is_err(), "{wrong}");
        }
    }
}
