//! Options of an address, on a socket: what is set before it is bound or connected.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{Protocol as Number, bind, ipproto, sockopt};

use super::alive;
use crate::address::AddressOptions;
use crate::endpoint::Protocol;
use crate::sys::option;

/// The number to ask socket(2) for, where it is not the usual one.
pub(crate) fn protocol(options: &AddressOptions) -> Option<Number> {
    options.mptcp.filter(|wanted| *wanted).map(|_| ipproto::MPTCP)
}

/// Sets what the address asks for.
///
/// # Errors
/// As setsockopt(2): a mark needs a privilege, an interface must be there.
pub(crate) fn apply(fd: impl AsFd, options: &AddressOptions, protocol: Protocol, is_v4: bool) -> Result<(), Errno> {
    if options.is_empty() {
        return Ok(());
    }
    if let Some(bytes) = options.sndbuf {
        sockopt::set_socket_send_buffer_size(&fd, bytes)?;
    }
    if let Some(bytes) = options.rcvbuf {
        sockopt::set_socket_recv_buffer_size(&fd, bytes)?;
    }
    if protocol.is_unix() {
        return Ok(());
    }
    if let Some(name) = &options.interface {
        option::bind_to_interface(&fd, name)?;
    }
    if let Some(mark) = options.mark {
        option::set(&fd, libc::SOL_SOCKET, libc::SO_MARK, mark as libc::c_int)?;
    }
    let (level, tos, ttl) = if is_v4 {
        (libc::IPPROTO_IP, libc::IP_TOS, libc::IP_TTL)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, libc::IPV6_UNICAST_HOPS)
    };
    if let Some(value) = options.tos {
        option::set(&fd, level, tos, value.into())?;
    }
    if let Some(value) = options.ttl {
        option::set(&fd, level, ttl, value.into())?;
        let (level, hops) = if is_v4 {
            (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL)
        } else {
            (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS)
        };
        let _ = option::set(&fd, level, hops, value.into());
    }
    match protocol {
        Protocol::Udp => apply_datagram(fd, options, is_v4),
        _ => apply_stream(fd, options),
    }
}

fn apply_stream(fd: impl AsFd, options: &AddressOptions) -> Result<(), Errno> {
    if let Some(nodelay) = options.nodelay {
        sockopt::set_tcp_nodelay(&fd, nodelay)?;
    }
    match options.keepalive {
        None => Ok(()),
        Some(Duration::ZERO) => sockopt::set_socket_keepalive(&fd, false),
        Some(quiet) => alive::probe_after(&fd, quiet, (quiet / 4).max(Duration::from_secs(1))),
    }
}

fn apply_datagram(fd: impl AsFd, options: &AddressOptions, is_v4: bool) -> Result<(), Errno> {
    if let Some(broadcast) = options.broadcast.filter(|_| is_v4) {
        sockopt::set_socket_broadcast(&fd, broadcast)?;
    }
    match options.join {
        Some((IpAddr::V4(group), interface)) if is_v4 => {
            sockopt::set_ip_add_membership_with_ifindex(&fd, &group, &std::net::Ipv4Addr::UNSPECIFIED, interface)
        }
        Some((IpAddr::V6(group), interface)) if !is_v4 => sockopt::set_ipv6_add_membership(&fd, &group, interface),
        _ => Ok(()),
    }
}

/// Has a socket that is to be connected come from the address that the options name.
///
/// # Errors
/// As bind(2); it is of another family.
pub(crate) fn take_source(fd: impl AsFd, options: &AddressOptions, to: &SocketAddr) -> Result<(), Errno> {
    let Some(from) = options.bind else { return Ok(()) };
    if from.is_ipv4() != to.is_ipv4() {
        return Err(Errno::AFNOSUPPORT);
    }
    if from.port() == 0 {
        // The port is chosen with the connection: as many as there are peers, and not one for all of them (ip(7)).
        let _ = option::set(&fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
    }
    bind(&fd, &from)
}
