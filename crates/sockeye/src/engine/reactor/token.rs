//! What the kernel's word that something is ready is about: a number in epoll's event, a value everywhere else.

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

/// Who a ready descriptor belongs to.
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

/// Set where the number is no key; a kind stands above an index then.
const OTHERS: u64 = 1 << 63;
/// Where it is said which part of a connection is meant; 0 is its socket.
const PART: u32 = 60;

impl Token {
    /// The number for epoll.
    pub(in crate::engine) fn pack(self) -> u64 {
        let other = |kind: u64, index: u32| OTHERS | kind << 32 | u64::from(index);
        match self {
            Self::Channel(Key { slot, generation }) => u64::from(generation) << 32 | u64::from(slot),
            Self::Child(key, part) => Self::Channel(key).pack() | (part as u64) << PART,
            Self::Listener(index) => other(0, index),
            Self::Datagrams(index) => other(1, index),
            Self::Stop => other(2, 0),
            Self::Reload => other(3, 0),
            Self::Stored => other(4, 0),
            Self::Mail => other(5, 0),
            Self::Port(number) => other(6, number),
            Self::Announced(number) => other(7, number),
        }
    }

    /// What was packed.
    pub(in crate::engine) fn unpack(number: u64) -> Self {
        let (high, low) = ((number >> 32) as u32, number as u32);
        if number & OTHERS == 0 {
            let key = Key { slot: low, generation: high & Key::GENERATIONS };
            return match number >> PART {
                1 => Self::Child(key, ChildDescriptor::Out),
                2 => Self::Child(key, ChildDescriptor::Errors),
                3 => Self::Child(key, ChildDescriptor::Exit),
                4 => Self::Child(key, ChildDescriptor::In),
                _ => Self::Channel(key),
            };
        }
        match high & Key::GENERATIONS {
            0 => Self::Listener(low),
            1 => Self::Datagrams(low),
            2 => Self::Stop,
            3 => Self::Reload,
            4 => Self::Stored,
            5 => Self::Mail,
            6 => Self::Port(low),
            _ => Self::Announced(low),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
