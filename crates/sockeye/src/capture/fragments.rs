//! Datagrams that were cut in pieces on their way, put together again (RFC 791, section 3.2; RFC 8200, section 4.5).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

use super::packet::{Datagram, Piece};

/// Bytes of pieces that wait for others, at most; behind that the oldest datagram is given up.
const MOST_HELD: usize = 16 * 1024 * 1024;
/// What a piece takes besides its bytes.
const EACH: usize = 128;
/// Bytes of a datagram, at most.
const LONGEST: usize = 65_535;

type Key = (IpAddr, IpAddr, u8, u32);

/// Pieces that wait for others.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    waiting: HashMap<Key, Whole>,
    /// In the order in which they began.
    order: VecDeque<Key>,
    held: usize,
    /// The two ends of datagrams of which a piece is missing, and how many.
    lost: BTreeMap<(IpAddr, IpAddr), u64>,
}

#[derive(Debug, Default)]
struct Whole {
    pieces: BTreeMap<usize, Vec<u8>>,
    held: usize,
    /// Bytes of all pieces.
    got: usize,
    length: Option<usize>,
}

impl Whole {
    /// All of it, if it is there.
    fn joined(&self) -> Option<Vec<u8>> {
        let length = self.length.filter(|&length| self.got >= length)?;
        let mut bytes = Vec::with_capacity(length.min(LONGEST));
        for (at, piece) in &self.pieces {
            let known = bytes.len().checked_sub(*at)?;
            bytes.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        (bytes.len() >= length).then(|| {
            bytes.truncate(length);
            bytes
        })
    }
}

impl Fragments {
    /// Takes a piece, and gives the datagram if it was the last that was missing.
    pub(super) fn take(&mut self, datagram: &Datagram<'_>, piece: Piece) -> Option<Vec<u8>> {
        let key = (datagram.from, datagram.to, datagram.protocol, piece.datagram);
        let end = piece.at + datagram.bytes.len();
        if datagram.bytes.len() < datagram.length || end > LONGEST {
            // It was not kept whole, or no datagram is that long.
            self.give_up(key);
            *self.lost.entry((key.0, key.1)).or_default() += 1;
            return None;
        }
        let whole = self.waiting.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Whole::default()
        });
        if piece.is_last {
            whole.length.get_or_insert(end);
        }
        if let std::collections::btree_map::Entry::Vacant(place) = whole.pieces.entry(piece.at) {
            place.insert(datagram.bytes.to_vec());
            whole.held += datagram.bytes.len() + EACH;
            whole.got += datagram.bytes.len();
            self.held += datagram.bytes.len() + EACH;
        }
        if let Some(bytes) = whole.joined() {
            self.give_up(key);
            return Some(bytes);
        }
        while self.held > MOST_HELD
            && let Some(oldest) = self.order.pop_front()
        {
            if self.give_up(oldest) {
                *self.lost.entry((oldest.0, oldest.1)).or_default() += 1;
            }
        }
        if self.order.len() > 2 * self.waiting.len() + 1024 {
            // What is done is forgotten here too.
            let waiting = &self.waiting;
            self.order.retain(|key| waiting.contains_key(key));
        }
        None
    }

    fn give_up(&mut self, key: Key) -> bool {
        let Some(whole) = self.waiting.remove(&key) else { return false };
        self.held -= whole.held;
        true
    }

    /// How many datagrams between each two hosts are not whole.
    pub(super) fn finish(mut self) -> BTreeMap<(IpAddr, IpAddr), u64> {
        for key in std::mem::take(&mut self.order) {
            if self.give_up(key) {
                *self.lost.entry((key.0, key.1)).or_default() += 1;
            }
        }
        self.lost
    }
}
