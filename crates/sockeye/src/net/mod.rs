//! Sockets: binding and connecting them. It never reads or writes a conversation.
//!
//! ```
//! use std::net::SocketAddr;
//! use sockeye::net::{Family, words};
//!
//! let loopback: SocketAddr = "[::1]:80".parse()?;
//! assert!(Family::V6.has(&loopback) && !Family::V4.has(&loopback));
//! let error = std::fs::read("/no/such/file").expect_err("it is not there");
//! assert_eq!(words(&error), "No such file or directory");
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

pub(crate) mod alive;
mod aside;
mod attempt;
pub mod connect;
mod connected;
pub(crate) mod connecting;
pub mod datagrams;
pub mod listen;
pub(crate) mod local;
pub mod lookup;
pub(crate) mod message;
pub(crate) mod options;
pub(crate) mod path;
pub(crate) mod peer;
pub(crate) mod per_peer;
pub mod proxy;
pub(crate) mod race;
mod resolve;
pub mod secured;
pub(crate) mod session;
#[cfg(feature = "http")]
pub(crate) mod stream;
pub(crate) mod timed;
pub mod tls;
#[cfg_attr(not(feature = "http"), path = "no_websocket.rs")]
pub(crate) mod websocket;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::io::Errno;

pub use crate::words::words;

/// One version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Whether an address belongs to it.
    #[must_use]
    pub fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// The system's words for bytes that could not be sent, with what to look at.
#[must_use]
pub fn words_of_sending(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::PERM) => "the system does not allow it: a firewall of this machine may drop it".to_owned(),
        Some(Errno::MSGSIZE) => "it is too long for a datagram".to_owned(),
        _ => words(error),
    }
}

/// Whether an error says that this machine has too little of something, and nothing about a peer.
#[must_use]
pub fn is_exhausted(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN];
    Errno::from_io_error(error).is_some_and(|error| exhausted.contains(&error))
}

pub(crate) fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(time.subsec_nanos()) }
}

/// Whether an error says that the connection is no more, and not that this machine could not do something.
pub(crate) fn is_of_connection(error: Errno) -> bool {
    matches!(
        error,
        Errno::CONNRESET
            | Errno::PIPE
            | Errno::CONNABORTED
            | Errno::CONNREFUSED
            | Errno::TIMEDOUT
            | Errno::NOTCONN
            | Errno::HOSTUNREACH
            | Errno::HOSTDOWN
            | Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::NETRESET
    )
}

/// The system's words for an address that could not be bound or connected to, with what the system does not say.
fn words_at(error: &io::Error, address: &SocketAddr) -> String {
    let words = words(error);
    match address {
        // The same number stands for another machine on every link (RFC 4007, section 6).
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
            format!("{words}; a link-local address needs its interface: [{}%eth0]:{}", v6.ip(), v6.port())
        }
        _ => words,
    }
}
