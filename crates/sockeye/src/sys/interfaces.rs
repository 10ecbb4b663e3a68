//! Interfaces and their addresses, asked of the kernel (rtnetlink(7)).

use std::collections::BTreeMap;
use std::net::IpAddr;

use rustix::io::Errno;

use super::netlink::{attributes, dump, number};

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// Its number, which is a scope in IPv6 addresses too.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Largest packet, bytes.
    pub mtu: u32,
    /// Its hardware address, if it has one: six bytes on Ethernet.
    pub hardware: Option<Vec<u8>>,
    /// It was switched on.
    pub is_up: bool,
    /// It can carry packets.
    pub is_running: bool,
    /// It leads back to this machine.
    pub is_loopback: bool,
    /// It takes multicasts.
    pub is_multicast: bool,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<Address>,
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits of it that name the network.
    pub prefix: u8,
    /// How far it is valid.
    pub scope: Scope,
}

/// How far an address is valid (rtnetlink(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Everywhere.
    Global,
    /// On this site (RFC 3879: no longer given out).
    Site,
    /// On this link.
    Link,
    /// On this machine.
    Host,
}

impl Scope {
    /// As ip(8) spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Site => "site",
            Self::Link => "link",
            Self::Host => "host",
        }
    }
}

// linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/if.h.
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const LINK_HARDWARE: u16 = 1;
const LINK_NAME: u16 = 3;
const LINK_MTU: u16 = 4;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const UP: u32 = 1;
const LOOPBACK: u32 = 8;
const RUNNING: u32 = 0x40;
const MULTICAST: u32 = 0x1000;
/// What `ifinfomsg` and `ifaddrmsg` have before their attributes.
const LINK_FIXED: usize = 16;
const ADDRESS_FIXED: usize = 8;

/// Every interface of this network namespace.
///
/// # Errors
/// The kernel does not answer such questions.
pub(crate) fn all() -> Result<Vec<Interface>, Errno> {
    let mut found = BTreeMap::new();
    dump(None, GET_LINK, &[0; LINK_FIXED], |_, body| {
        found.extend(interface(body).map(|interface| (interface.index, interface)));
    })?;
    dump(None, GET_ADDRESS, &[0; ADDRESS_FIXED], |_, body| {
        if let Some((index, address)) = address(body)
            && let Some(interface) = found.get_mut(&index)
        {
            interface.addresses.push(address);
        }
    })?;
    for interface in found.values_mut() {
        interface.addresses.sort_by_key(|address| address.ip.is_ipv6());
    }
    Ok(found.into_values().collect())
}

fn interface(body: &[u8]) -> Option<Interface> {
    let (index, flags) = (number(body, 4)?, number(body, 8)?);
    let is = |flag| flags & flag != 0;
    let mut interface = Interface {
        index,
        name: String::new(),
        mtu: 0,
        hardware: None,
        is_up: is(UP),
        is_running: is(RUNNING),
        is_loopback: is(LOOPBACK),
        is_multicast: is(MULTICAST),
        addresses: Vec::new(),
    };
    for (attribute, value) in attributes(body.get(LINK_FIXED..)?) {
        match attribute {
            LINK_NAME => interface.name = String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into(),
            LINK_MTU => interface.mtu = number(value, 0).unwrap_or(0),
            LINK_HARDWARE if value.iter().any(|&byte| byte != 0) => interface.hardware = Some(value.to_vec()),
            _ => {}
        }
    }
    Some(interface)
}

fn address(body: &[u8]) -> Option<(u32, Address)> {
    let &[_, prefix, _, scope, ..] = body else { return None };
    let index = number(body, 4)?;
    let (mut own, mut peer) = (None, None);
    for (attribute, value) in attributes(body.get(ADDRESS_FIXED..)?) {
        match attribute {
            // On a line with two ends this is the other one, and our own stands in the next.
            ADDRESS => peer = ip(value),
            LOCAL => own = ip(value),
            _ => {}
        }
    }
    let scope = match scope {
        0 => Scope::Global,
        200 => Scope::Site,
        253 => Scope::Link,
        _ => Scope::Host,
    };
    Some((index, Address { ip: own.or(peer)?, prefix, scope }))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match *value {
        [a, b, c, d] => Some([a, b, c, d].into()),
        _ => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
    }
}
