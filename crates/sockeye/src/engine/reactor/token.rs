//! What an event of epoll is about: a number in the event, a value everywhere else. The numbers are packed and taken apart here, for
//! every loop.

/// A place in a [`Slab`](super::slab::Slab), and which of those that stood there is meant: what came and went is not taken for what stands there
/// now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Key {
    pub(in crate::engine) slot: u32,
    /// At most [`Key::GENERATIONS`].
    pub(in crate::engine) generation: u32,
}

impl Key {
    /// The generations that a key can name: after the last one comes the first again.
    pub(in crate::engine) const GENERATIONS: u32 = u32::MAX >> 4;
}

/// Descriptors that a connection may have besides its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum ChildDescriptor {
    /// What its program says.
    Out = 1,
    /// What its program says of errors.
    Errors = 2,
    /// The end of its program.
    Exit = 3,
    /// What its program hears.
    In = 4,
}

/// Who a ready descriptor of a channel loop belongs to; a relay's are in `relay/poll.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Token {
    Channel(Key),
    /// Something else that a connection has.
    Child(Key, ChildDescriptor),
    /// A listening socket, by its index.
    Listener(u32),
    /// A datagram socket, by its index.
    Datagrams(u32),
    /// The loop is to end.
    Stop,
    /// Transcripts are to be read again.
    Reload,
    /// Something is done that another thread did for a connection.
    Stored,
    /// A word from another loop of this server.
    Mail,
    /// A socket that listens for one connection of a play, by its number.
    Port(u32),
    /// A client that has to say first whom it is for, by its number.
    Announced(u32),
}

/// What a number of epoll says: a place in a slab and a part of what stands there, or a kind of something else and its index. Each
/// loop has tokens of its own; this is the one place that knows which bits hold what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum EventNumber {
    /// The part is at most 7.
    Part(Key, u8),
    /// The kind is at most [`Key::GENERATIONS`].
    Other { kind: u32, index: u32 },
}

impl EventNumber {
    /// Set where the number is no key; a kind stands above an index then.
    const OTHER: u64 = 1 << 63;
    /// Where the part of what a key names begins.
    const PART: u32 = 60;

    /// Something of which there is one.
    pub(in crate::engine) fn single(kind: u32) -> Self {
        Self::Other { kind, index: 0 }
    }

    pub(in crate::engine) fn pack(self) -> u64 {
        match self {
            Self::Part(Key { slot, generation }, part) => {
                u64::from(part) << Self::PART | u64::from(generation) << 32 | u64::from(slot)
            }
            Self::Other { kind, index } => Self::OTHER | u64::from(kind) << 32 | u64::from(index),
        }
    }

    /// What was packed.
    pub(in crate::engine) fn unpack(number: u64) -> Self {
        let (high, low) = ((number >> 32) as u32 & Key::GENERATIONS, number as u32);
        if number & Self::OTHER == 0 {
            return Self::Part(Key { slot: low, generation: high }, (number >> Self::PART) as u8);
        }
        Self::Other { kind: high, index: low }
    }
}

impl Token {
    /// The number for epoll.
    pub(in crate::engine) fn pack(self) -> u64 {
        let other = |kind, index| EventNumber::Other { kind, index };
        let number = match self {
            Self::Channel(key) => EventNumber::Part(key, 0),
            Self::Child(key, part) => EventNumber::Part(key, part as u8),
            Self::Listener(index) => other(0, index),
            Self::Datagrams(index) => other(1, index),
            Self::Stop => EventNumber::single(2),
            Self::Reload => EventNumber::single(3),
            Self::Stored => EventNumber::single(4),
            Self::Mail => EventNumber::single(5),
            Self::Port(number) => other(6, number),
            Self::Announced(number) => other(7, number),
        };
        number.pack()
    }

    /// What was packed.
    pub(in crate::engine) fn unpack(number: u64) -> Self {
        match EventNumber::unpack(number) {
            EventNumber::Part(key, 1) => Self::Child(key, ChildDescriptor::Out),
            EventNumber::Part(key, 2) => Self::Child(key, ChildDescriptor::Errors),
            EventNumber::Part(key, 3) => Self::Child(key, ChildDescriptor::Exit),
            EventNumber::Part(key, 4) => Self::Child(key, ChildDescriptor::In),
            EventNumber::Part(key, _) => Self::Channel(key),
            EventNumber::Other { kind: 0, index } => Self::Listener(index),
            EventNumber::Other { kind: 1, index } => Self::Datagrams(index),
            EventNumber::Other { kind: 2, .. } => Self::Stop,
            EventNumber::Other { kind: 3, .. } => Self::Reload,
            EventNumber::Other { kind: 4, .. } => Self::Stored,
            EventNumber::Other { kind: 5, .. } => Self::Mail,
            EventNumber::Other { kind: 6, index } => Self::Port(index),
            EventNumber::Other { index, .. } => Self::Announced(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_taken_apart_into_what_it_was_made_of() {
        let key = |slot, generation| Key { slot, generation };
        let parts = [key(0, 0), key(u32::MAX, 0), key(0, Key::GENERATIONS), key(u32::MAX, Key::GENERATIONS), key(7, 1)];
        let parts = parts.into_iter().flat_map(|key| (0..8).map(move |part| EventNumber::Part(key, part)));
        let others = [0, 1, 7, Key::GENERATIONS].into_iter();
        let others = others.flat_map(|kind| [0, 7, u32::MAX].map(move |index| EventNumber::Other { kind, index }));
        let all: Vec<EventNumber> = parts.chain(others).collect();
        for number in &all {
            assert_eq!(EventNumber::unpack(number.pack()), *number);
        }
        let packed: std::collections::HashSet<u64> = all.iter().map(|number| number.pack()).collect();
        assert_eq!(packed.len(), all.len());
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let key = |slot, generation| Token::Channel(Key { slot, generation });
        let tokens = [
            key(0, 0),
            key(u32::MAX, Key::GENERATIONS),
            key(7, 1),
            Token::Child(Key { slot: 7, generation: 1 }, ChildDescriptor::Out),
            Token::Child(Key { slot: 7, generation: 1 }, ChildDescriptor::Errors),
            Token::Child(Key { slot: u32::MAX, generation: Key::GENERATIONS }, ChildDescriptor::Exit),
            Token::Child(Key { slot: 0, generation: Key::GENERATIONS }, ChildDescriptor::In),
            Token::Listener(0),
            Token::Listener(u32::MAX),
            Token::Datagrams(3),
            Token::Stop,
            Token::Reload,
            Token::Stored,
            Token::Mail,
            Token::Port(7),
            Token::Announced(7),
        ];
        for (index, token) in tokens.into_iter().enumerate() {
            assert_eq!(Token::unpack(token.pack()), token);
            assert!(tokens[..index].iter().all(|other| other.pack() != token.pack()), "{token:?}");
        }
    }
}
