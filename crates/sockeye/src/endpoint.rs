//! What tells sockets and conversations apart: protocols, names of ends, four-tuples.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use transcript::Carrier;

/// The transport under a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// A reliable stream over IP (RFC 9293).
    Tcp,
    /// Datagrams over IP that may not arrive (RFC 768).
    Udp,
    /// A reliable stream inside one machine (unix(7)).
    Unix,
    /// Datagrams inside one machine: they arrive in their order, or the sender is told.
    UnixDgram,
    /// Connections inside one machine whose messages keep their bounds.
    UnixSeqpacket,
}

impl Protocol {
    /// The scheme that names it in an address: `tcp`, `udp`, `unix`, `unix-dgram`, `unix-seqpacket`.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixDgram => "unix-dgram",
            Self::UnixSeqpacket => "unix-seqpacket",
        }
    }

    /// Whether its sockets are bound to paths, and not to ports.
    #[must_use]
    pub fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::UnixDgram | Self::UnixSeqpacket)
    }

    /// Whether what is sent at once arrives at once: each message keeps its bounds.
    #[must_use]
    pub fn keeps_bounds(self) -> bool {
        matches!(self, Self::Udp | Self::UnixDgram | Self::UnixSeqpacket)
    }

    /// What it is to a transcript.
    #[must_use]
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Tcp | Self::Unix => Carrier::Stream,
            Self::Udp | Self::UnixDgram => Carrier::Datagram,
            Self::UnixSeqpacket => Carrier::Packet,
        }
    }

    /// Whether nothing says that a peer has ended.
    #[must_use]
    pub fn has_no_end(self) -> bool {
        matches!(self, Self::Udp | Self::UnixDgram)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

/// One end's name, as the kernel gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// An IP address and a port.
    Inet(SocketAddr),
    /// The path that a Unix socket is bound to.
    Path(Arc<Path>),
    /// A Unix socket that was never bound, as clients usually are.
    Unnamed,
    /// What is no socket with a name: `stdio`, `exec:cat`, `fd:3`.
    Local(Arc<str>),
}

impl Name {
    /// Its address without the port, if it has one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(address.ip()),
            Self::Path(_) | Self::Unnamed | Self::Local(_) => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
            Self::Unnamed => f.write_str("(unnamed)"),
            Self::Local(name) => f.write_str(name),
        }
    }
}

impl From<SocketAddr> for Name {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

/// One bound socket: displays as `tcp://127.0.0.1:9999`, `udp://[::1]:9999`, `unix:/run/x.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The transport.
    pub protocol: Protocol,
    /// Where it is bound.
    pub name: Name,
    /// What is spoken over it, where that has a scheme of its own: `http`, `https`.
    pub over: Option<&'static str>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Name::Local(name) = &self.name {
            return f.write_str(name);
        }
        let slashes = if self.protocol.is_unix() { "" } else { "//" };
        let scheme = self.over.filter(|_| !slashes.is_empty()).unwrap_or(self.protocol.scheme());
        write!(f, "{scheme}:{slashes}{}", self.name)
    }
}

/// What tells one conversation from every other: its number here and its four-tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Counted from 1 in the order of opening, over all sockets of this process.
    pub number: u64,
    /// The transport.
    pub protocol: Protocol,
    /// The server's address and port.
    pub server: Name,
    /// The client's address and port.
    pub client: Name,
    /// Where a relay leads it.
    pub to: Option<Name>,
}

impl Conversation {
    /// As a play of a transcript: `play 7, 127.0.0.1:52144 -> 127.0.0.1:9999`.
    #[must_use]
    pub fn play(&self) -> String {
        format!("play {}, {} -> {}", self.number, self.client, self.server)
    }
}
