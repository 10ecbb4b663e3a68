//! Which conversation a packet belongs to: numbered as Wireshark numbers them (`tcp.stream`, `udp.stream`).

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use super::packet::{Carried, Segment, Transport};

/// Conversations that are told apart, at most.
pub(super) const MOST: usize = 262_144;
/// How far behind the first packet that was seen of a connection its beginning may come: packets of a capture may stand in
/// another order than they had.
const LATE: u32 = 16 * 1024 * 1024;

/// What carries a conversation of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// The number of a conversation: Wireshark's `tcp.stream` or `udp.stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Which of the two is counted.
    pub protocol: Protocol,
    /// Counted from 0.
    pub number: u32,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Tcp => write!(f, "{}", self.number),
            Protocol::Udp => write!(f, "udp:{}", self.number),
        }
    }
}

/// A conversation of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its number.
    pub id: StreamId,
    /// Who began.
    pub client: SocketAddr,
    /// Who was asked.
    pub server: SocketAddr,
    /// Whether its beginning is in the capture, so that this is no guess.
    pub is_whole: bool,
    /// Packets of both.
    pub packets: u64,
    /// Bytes that the client said.
    pub from_client: u64,
    /// Bytes that the server said.
    pub from_server: u64,
}

impl Stream {
    /// Whether anything was said.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.from_client + self.from_server > 0
    }
}

type Ends = (Protocol, SocketAddr, SocketAddr);

/// All conversations so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The last conversation between two ends, the lower address first.
    by_ends: HashMap<Ends, usize>,
    entries: Vec<Entry>,
    counts: [u32; 2],
}

#[derive(Debug)]
struct Entry {
    id: StreamId,
    /// Who sent the first packet, and who got it.
    ends: [SocketAddr; 2],
    /// Which of them connected, if that was seen.
    client: Option<usize>,
    packets: u64,
    said: [Said; 2],
}

/// What one end said, without its bytes.
#[derive(Debug, Default)]
struct Said {
    /// The number before that of the first byte that was seen, and whether it is that of the beginning.
    base: Option<(u32, bool)>,
    /// Places of the first byte and behind the last, as far as any was seen.
    span: Option<(i64, i64)>,
    bytes: u64,
}

impl Table {
    /// The place of a packet's conversation, which may be a new one; `None` if there are too many.
    pub(super) fn place(&mut self, found: &Carried<'_>) -> Option<usize> {
        let protocol = if found.transport == Transport::Udp { Protocol::Udp } else { Protocol::Tcp };
        let (low, high) = if found.from <= found.to { (found.from, found.to) } else { (found.to, found.from) };
        let key = (protocol, low, high);
        let known = self.by_ends.get(&key).copied().filter(|&at| !self.entries[at].is_followed_by(found));
        let at = match known {
            Some(at) => at,
            None if self.entries.len() >= MOST => return None,
            None => {
                let count = &mut self.counts[usize::from(protocol == Protocol::Udp)];
                let id = StreamId { protocol, number: *count };
                *count += 1;
                let ends = [found.from, found.to];
                self.entries.push(Entry { id, ends, client: None, packets: 0, said: Default::default() });
                self.by_ends.insert(key, self.entries.len() - 1);
                self.entries.len() - 1
            }
        };
        self.entries[at].take(found);
        Some(at)
    }

    pub(super) fn streams(&self) -> Vec<Stream> {
        self.entries.iter().map(Entry::stream).collect()
    }
}

impl Entry {
    fn sender(&self, found: &Carried<'_>) -> usize {
        usize::from(found.from != self.ends[0])
    }

    /// Whether a packet is the first of another connection between the same ports.
    fn is_followed_by(&self, found: &Carried<'_>) -> bool {
        let Transport::Tcp(Segment { opens: true, acknowledged: None, sequence, .. }) = found.transport else {
            return false;
        };
        match self.said[self.sender(found)].base {
            None => false,
            Some((base, true)) => base != sequence,
            Some((base, false)) => base.wrapping_sub(sequence) > LATE,
        }
    }

    fn take(&mut self, found: &Carried<'_>) {
        self.packets += 1;
        let sender = self.sender(found);
        let said = &mut self.said[sender];
        let length = (found.payload.len() + found.missing) as u64;
        let Transport::Tcp(segment) = found.transport else {
            said.bytes += length;
            return;
        };
        if segment.opens {
            said.begins(segment.sequence);
            self.client = Some(if segment.acknowledged.is_none() { sender } else { 1 - sender });
        }
        if !segment.resets {
            self.said[sender].spans(segment, length);
        }
    }

    fn stream(&self) -> Stream {
        // The port that a server is likelier to have is the lower one.
        let guess = usize::from(self.id.protocol == Protocol::Tcp && self.ends[0].port() < self.ends[1].port());
        let client = self.client.unwrap_or(guess);
        Stream {
            id: self.id,
            client: self.ends[client],
            server: self.ends[1 - client],
            is_whole: self.id.protocol == Protocol::Udp || self.client.is_some(),
            packets: self.packets,
            from_client: self.said[client].count(),
            from_server: self.said[1 - client].count(),
        }
    }
}

impl Said {
    fn begins(&mut self, sequence: u32) {
        match self.base {
            Some((_, true)) => {}
            Some((base, false)) => {
                // Places are counted from here now.
                let later = i64::from(base.wrapping_sub(sequence));
                self.span = self.span.map(|(from, to)| (from + later, to + later));
                self.base = Some((sequence, true));
            }
            None => self.base = Some((sequence, true)),
        }
    }

    fn spans(&mut self, segment: Segment, length: u64) {
        let first = segment.sequence.wrapping_add(u32::from(segment.opens));
        let (base, is_begin) = *self.base.get_or_insert((first.wrapping_sub(1), false));
        if length == 0 {
            return;
        }
        let near = self.span.map_or(0, |(_, to)| to);
        let expected = base.wrapping_add(1).wrapping_add(near as u32);
        let from = near + i64::from(first.wrapping_sub(expected) as i32);
        let from = if is_begin { from.max(0) } else { from };
        let to = (from + length as i64).max(from);
        self.span = Some(self.span.map_or((from, to), |(low, high)| (low.min(from), high.max(to))));
    }

    fn count(&self) -> u64 {
        self.bytes + self.span.map_or(0, |(from, to)| from.abs_diff(to))
    }
}
