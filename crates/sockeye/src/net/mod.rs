//! Sockets: binding and connecting them. It never reads or writes a conversation.

pub mod connect;
pub mod listen;
mod path;
mod resolve;

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
    pub fn has(self, address: &std::net::SocketAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}
