//! NcOptions of a socket, set before it is bound or connected, in nc's order.

use super::{Fatal, Nc};
use crate::sys::bsd::socket::{Address, Fd, set_option, sign};

impl Nc<'_> {
    /// Sets what was asked for; `address` is where the socket will be bound or connected to.
    pub(super) fn set_options(&self, fd: Fd, address: &Address) -> Result<(), Fatal> {
        let options = self.options;
        if options.broadcast {
            set_option(fd, libc::SOL_SOCKET, libc::SO_BROADCAST, 1).map_err(|error| Fatal::of(&error))?;
        }
        if let Some(password) = &options.signature {
            sign(fd, address, password).map_err(|error| Fatal::of(&error))?;
        }
        if options.debug {
            set_option(fd, libc::SOL_SOCKET, libc::SO_DEBUG, 1).map_err(|error| Fatal::of(&error))?;
        }
        let is_v6 = address.family() == libc::AF_INET6;
        let of_family = |v4: (i32, &'static str), v6: (i32, &'static str)| {
            if is_v6 { (libc::IPPROTO_IPV6, v6.0, v6.1) } else { (libc::IPPROTO_IP, v4.0, v4.1) }
        };
        let set = |(level, option, what): (i32, i32, &'static str), value: Option<i32>| match value {
            Some(value) => set_option(fd, level, option, value).map_err(|error| Fatal::at(what, &error)),
            None => Ok(()),
        };
        set(
            of_family((libc::IP_TOS, "set IP ToS"), (libc::IPV6_TCLASS, "set IPv6 traffic class")),
            options.traffic_class,
        )?;
        set((libc::SOL_SOCKET, libc::SO_RCVBUF, "set TCP receive buffer size"), options.receive_buffer)?;
        set((libc::SOL_SOCKET, libc::SO_SNDBUF, "set TCP send buffer size"), options.send_buffer)?;
        set(of_family((libc::IP_TTL, "set IP TTL"), (libc::IPV6_UNICAST_HOPS, "set IPv6 unicast hops")), options.ttl)?;
        set(
            of_family((libc::IP_MINTTL, "set IP min TTL"), (libc::IPV6_MINHOPCOUNT, "set IPv6 min hop count")),
            options.least_ttl,
        )
    }
}
