//! What carries a conversation.

/// What carries the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// A stream: packet boundaries never matter.
    Stream,
    /// Datagrams: one message is one of them.
    Datagram,
}
