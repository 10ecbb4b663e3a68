//! Who is at the other end of a datagram. Addresses over IP stand for themselves; Unix sockets have a number, so that peers of both
//! kinds are compared, copied and kept alike.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::net::SocketAddrUnix;

/// Sockets without a name are all one, which cannot be answered.
const UNNAMED: u32 = 0;
/// As many names are kept before it is asked which of them are still of use.
const MANY: usize = 1024;

/// The other end of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PeerAddress {
    Inet(SocketAddr),
    /// A Unix socket, by its number among [`UnixPeers`].
    Unix(u32),
}

impl PeerAddress {
    /// Its address without the port, if it has one.
    pub(crate) fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }

    pub(crate) fn is_unix(self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

/// The peers of a Unix socket by their numbers, and how much waits to be sent to each.
#[derive(Debug, Default)]
pub(crate) struct UnixPeers(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    numbers: HashMap<SocketAddrUnix, u32>,
    peers: HashMap<u32, UnixPeer>,
    last: u32,
    /// How many there were when it was last asked which are of use.
    swept: usize,
}

#[derive(Debug)]
struct UnixPeer {
    address: SocketAddrUnix,
    /// Bytes that wait to be sent to it, and the numbers of the messages.
    bytes: usize,
    waiting: VecDeque<u64>,
}

impl UnixPeers {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a peer, which it has from now on; that of all without a name if it has none.
    pub(crate) fn number(&self, address: Option<SocketAddrUnix>) -> PeerAddress {
        let Some(address) = address else { return PeerAddress::Unix(UNNAMED) };
        let mut table = self.table();
        if let Some(number) = table.numbers.get(&address) {
            return PeerAddress::Unix(*number);
        }
        let mut number = table.last.wrapping_add(1).max(1);
        while table.peers.contains_key(&number) {
            number = number.wrapping_add(1).max(1);
        }
        table.last = number;
        table.peers.insert(number, UnixPeer { address: address.clone(), bytes: 0, waiting: VecDeque::new() });
        table.numbers.insert(address, number);
        PeerAddress::Unix(number)
    }

    /// Where a peer is; none if it has no name.
    pub(crate) fn address(&self, number: u32) -> Option<SocketAddrUnix> {
        self.table().peers.get(&number).map(|peer| peer.address.clone())
    }

    /// Whether so many peers are known that those of no use are to be forgotten.
    pub(crate) fn are_many(&self) -> bool {
        let table = self.table();
        table.peers.len() > MANY.max(2 * table.swept)
    }

    /// Forgets peers that are of no use any more.
    pub(crate) fn retain(&self, is_of_use: impl Fn(PeerAddress) -> bool) {
        let table = &mut *self.table();
        table.peers.retain(|number, peer| {
            let stays = !peer.waiting.is_empty() || is_of_use(PeerAddress::Unix(*number));
            if !stays {
                table.numbers.remove(&peer.address);
            }
            stays
        });
        table.swept = table.peers.len();
    }

    /// Whether a peer takes what is sent to it, or no more than these bytes and messages wait for that.
    pub(crate) fn has_room(&self, number: u32, bytes: usize, messages: usize) -> bool {
        let has_room = |peer: &UnixPeer| peer.bytes <= bytes && peer.waiting.len() < messages;
        self.table().peers.get(&number).is_none_or(has_room)
    }

    /// The first message that waits to be sent to a peer.
    pub(crate) fn first(&self, number: u32) -> Option<u64> {
        self.table().peers.get(&number).and_then(|peer| peer.waiting.front().copied())
    }

    /// A message for a peer waits to be sent.
    pub(super) fn waits(&self, number: u32, message: u64, bytes: usize) {
        if let Some(peer) = self.table().peers.get_mut(&number) {
            peer.bytes += bytes;
            peer.waiting.push_back(message);
        }
    }

    /// The first one was sent, or never will be.
    pub(super) fn left(&self, number: u32, bytes: usize) {
        if let Some(peer) = self.table().peers.get_mut(&number) {
            peer.bytes = peer.bytes.saturating_sub(bytes);
            peer.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_keeps_its_number_until_it_is_of_no_use() {
        let peers = UnixPeers::default();
        let named = |name: &str| Some(SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap());
        let (a, b) = (peers.number(named("a")), peers.number(named("b")));
        assert_ne!(a, b);
        assert_eq!(peers.number(named("a")), a);
        assert_eq!(peers.number(None), PeerAddress::Unix(UNNAMED));
        assert_eq!(peers.address(UNNAMED), None);
        let PeerAddress::Unix(number) = b else { panic!("{b:?}") };
        assert_eq!(peers.address(number), named("b"));
        peers.retain(|peer| peer == b);
        assert_eq!(peers.number(named("b")), b);
        assert_ne!(peers.number(named("a")), a);
    }

    #[test]
    fn a_peer_for_which_something_waits_is_not_forgotten() {
        let peers = UnixPeers::default();
        let named = Some(SocketAddrUnix::new_abstract_name(b"a").unwrap());
        let PeerAddress::Unix(number) = peers.number(named.clone()) else { panic!() };
        peers.waits(number, 7, 100);
        peers.waits(number, 9, 0);
        assert!(!peers.has_room(number, 99, 9) && !peers.has_room(number, 100, 2));
        assert_eq!(peers.first(number), Some(7));
        peers.retain(|_| false);
        assert_eq!(peers.address(number), named);
        peers.left(number, 100);
        assert!(peers.has_room(number, 99, 9));
        assert_eq!(peers.first(number), Some(9));
        peers.left(number, 0);
        peers.retain(|_| false);
        assert_eq!(peers.address(number), None);
    }
}
