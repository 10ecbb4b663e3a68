//! Why nothing was bound, and what to do about it.

use std::fmt;
use std::io;

use crate::address::AddressError;
use crate::child::ProgramError;
use crate::endpoint::{Endpoint, Name};
use crate::net::{words, words_at};
use crate::sys::holder::Holder;

/// Why nothing was bound.
#[derive(Debug)]
#[non_exhaustive]
pub enum ListenError {
    /// A program listens there.
    InUse {
        /// Where.
        endpoint: Endpoint,
        /// Who, as far as the system lets us see.
        holder: Holder,
    },
    /// Another socket of the same call has the port.
    Twice {
        /// Where.
        endpoint: Endpoint,
        /// The socket that was bound before it.
        first: Endpoint,
    },
    /// The system does not let us.
    NotAllowed {
        /// Where.
        endpoint: Endpoint,
    },
    /// No interface of this machine has the address.
    NotLocal {
        /// Where.
        endpoint: Endpoint,
    },
    /// The name has no address here.
    NoAddress {
        /// The name.
        host: String,
        /// Why.
        why: String,
    },
    /// What stands at the path is not ours to replace.
    Occupied {
        /// Where.
        endpoint: Endpoint,
        /// What stands there.
        what: &'static str,
    },
    /// The address has an option of who connects.
    Option(AddressError),
    /// The only client is a program that cannot be run.
    Program {
        /// As it was typed.
        address: String,
        /// Why.
        error: ProgramError,
    },
    /// Port 0: no number was free for all sockets of the address.
    NoCommonPort,
    /// Anything else.
    Other {
        /// Where.
        endpoint: Endpoint,
        /// The system's words.
        error: io::Error,
    },
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { endpoint, holder } => {
                let what = if endpoint.protocol.is_unix() { "path" } else { "port" };
                let advice = holder.advice();
                write!(f, "cannot listen on {endpoint}: the {what} is in use by {holder}; ")?;
                write!(f, "{advice} choose another {what}")
            }
            Self::Twice { endpoint, first } => {
                write!(f, "cannot listen on {endpoint}: it is asked for twice, and {first} has the port; ")?;
                f.write_str("leave one of the two addresses out")
            }
            Self::NotAllowed { endpoint } => {
                write!(f, "cannot listen on {endpoint}: not allowed")?;
                match &endpoint.name {
                    Name::Inet(address) if address.port() < first_free_port() => {
                        let first = first_free_port();
                        write!(f, "; ports below {first} need root or CAP_NET_BIND_SERVICE: choose a higher one")
                    }
                    Name::Inet(_) => f.write_str(" by a policy of this system"),
                    _ => f.write_str("; look at the permissions of the folder"),
                }
            }
            Self::NotLocal { endpoint } => {
                write!(f, "cannot listen on {endpoint}: no interface of this machine has that address")
            }
            Self::NoAddress { host, why } => write!(f, "cannot listen on {host}: {why}"),
            Self::Occupied { endpoint, what } => {
                write!(f, "cannot listen on {endpoint}: {what}; remove it or choose another path")
            }
            Self::Option(error) => error.fmt(f),
            Self::Program { address, error } => write!(f, "{address}: {error}"),
            Self::NoCommonPort => f.write_str("no port is free on all addresses at once; name one"),
            Self::Other { endpoint, error } => match &endpoint.name {
                Name::Inet(address) => write!(f, "cannot listen on {endpoint}: {}", words_at(error, address)),
                Name::Local(_) => write!(f, "cannot use {endpoint}: {}", words(error)),
                _ if error.kind() == io::ErrorKind::NotFound => {
                    write!(f, "cannot listen on {endpoint}: its folder does not exist")
                }
                _ => write!(f, "cannot listen on {endpoint}: {}", words(error)),
            },
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Other { error, .. } => Some(error),
            Self::Program { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The lowest port that anybody may listen on (ip(7), ip_unprivileged_port_start).
fn first_free_port() -> u16 {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    told.ok().and_then(|told| told.trim().parse().ok()).unwrap_or(1024)
}
