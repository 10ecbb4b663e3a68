//! What carries a conversation.

/// What carries the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// A stream: packet boundaries never matter.
    Stream,
    /// Datagrams: one message is one of them.
    Datagram,
    /// Packets of a connection: one message is one of them, and each side can say that it has ended.
    Packet,
}

impl Carrier {
    /// Whether what is said at once is heard at once.
    #[must_use]
    pub fn keeps_bounds(self) -> bool {
        matches!(self, Self::Datagram | Self::Packet)
    }
}
