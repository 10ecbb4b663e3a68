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
    /// A stream of messages (WebSocket). A line is one of text, and what is no line is one of bytes. What comes is heard as a
    /// stream, in which a line feed stands behind each message of text.
    Messages,
}

impl Carrier {
    /// Whether what is said at once is heard at once.
    #[must_use]
    pub fn keeps_bounds(self) -> bool {
        matches!(self, Self::Datagram | Self::Packet)
    }
}

/// What a message holds, where that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Text, in UTF-8.
    Text,
    /// Bytes.
    Binary,
}

/// Where a message ends in some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bound {
    /// Its kind.
    pub kind: MessageKind,
    /// How many of the bytes stand before its end.
    pub end: usize,
}
