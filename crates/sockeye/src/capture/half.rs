//! What one end of a TCP connection said, put together again: what was sent twice is taken once, what came in another order
//! is put right, and what is missing is told. And the order in which both ends spoke.

use std::collections::BTreeMap;

use transcript::Side;

use super::Event;
use super::packet::{Carried, Segment};

/// What a piece takes besides its bytes.
const EACH: usize = 128;

/// Both directions of a connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// What the client said, and the server.
    halves: [Half; 2],
    /// Who reset it first: whose, at which packet, and what that side had seen.
    reset: Option<(usize, u64, Option<i64>)>,
    /// Bytes that are held, with what keeps them apart.
    held: usize,
}

/// What came of putting a connection together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Bytes that came more than once, and were not the same.
    pub(super) differ: u64,
    /// Bytes that are missing.
    pub(super) missing: u64,
    /// Bytes that came behind a reset.
    pub(super) after_reset: u64,
}

/// One direction. Places are counted from the first byte that was seen, so they may be negative.
#[derive(Debug, Default)]
struct Half {
    base: Option<u32>,
    /// The place of the very first byte, if the connection's beginning was seen.
    start: Option<i64>,
    /// Behind the last byte that was seen.
    top: i64,
    pieces: BTreeMap<i64, Piece>,
    /// Where its end is, at which packet, and what this end had seen by then.
    end: Option<(i64, u64, Option<i64>)>,
    /// Up to where the other end has seen it.
    seen: Option<i64>,
    /// Whether a packet of this end is in the capture.
    is_captured: bool,
    /// Bytes that came more than once, and were not the same.
    differ: u64,
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// The number of its packet in the capture.
    packet: u64,
    /// What the sender had seen of the other end when it said this.
    seen: Option<i64>,
}

impl Half {
    /// Where a sequence number is: the place near to what was seen last.
    fn place(&mut self, sequence: u32) -> i64 {
        let base = *self.base.get_or_insert(sequence);
        let expected = base.wrapping_add(self.top as u32);
        self.top + i64::from(sequence.wrapping_sub(expected) as i32)
    }

    /// Takes bytes; the first that came for a place stay. Gives how much more is held.
    fn take(&mut self, mut at: i64, mut bytes: &[u8], packet: u64, seen: Option<i64>) -> usize {
        let mut held = 0;
        self.top = self.top.max(at + bytes.len() as i64);
        if let Some((&before, piece)) = self.pieces.range(..=at).next_back() {
            let from = usize::try_from(at - before).unwrap_or(usize::MAX);
            if let Some(known) = piece.bytes.get(from..) {
                let count = known.len().min(bytes.len());
                self.differ += u64::from(known[..count] != bytes[..count]) * count as u64;
                (at, bytes) = (at + count as i64, &bytes[count..]);
            }
        }
        while !bytes.is_empty() {
            let next = self.pieces.range(at..).next().map(|(&next, piece)| (next, &piece.bytes));
            let (room, known) = match next {
                Some((next, known)) => (usize::try_from(next - at).unwrap_or(usize::MAX).min(bytes.len()), Some(known)),
                None => (bytes.len(), None),
            };
            let (ours, rest) = bytes.split_at(room);
            let mut skipped = 0;
            if let Some(known) = known.filter(|_| !rest.is_empty()) {
                skipped = known.len().min(rest.len());
                self.differ += u64::from(known[..skipped] != rest[..skipped]) * skipped as u64;
            }
            if !ours.is_empty() {
                held += ours.len() + EACH;
                self.pieces.insert(at, Piece { bytes: ours.to_vec(), packet, seen });
            }
            (at, bytes) = (at + (room + skipped) as i64, &rest[skipped..]);
        }
        held
    }
}

impl Connection {
    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes a packet of a side, by its number in the capture.
    pub(super) fn take(&mut self, side: Side, found: &Carried<'_>, segment: Segment, packet: u64) {
        let (ours, theirs) = if side == Side::Client { (0, 1) } else { (1, 0) };
        let seen = segment.acknowledged.map(|number| self.halves[theirs].place(number));
        if segment.resets {
            self.halves[ours].is_captured = true;
            if self.reset.is_none() {
                self.reset = Some((ours, packet, seen));
            }
            return;
        }
        if let Some(seen) = seen {
            let other = &mut self.halves[theirs];
            other.seen = other.seen.max(Some(seen));
            if segment.opens {
                // The answer to a beginning tells where that was.
                other.start.get_or_insert(seen);
            }
        }
        let half = &mut self.halves[ours];
        half.is_captured = true;
        let mut at = half.place(segment.sequence);
        if segment.opens {
            at += 1;
            half.start.get_or_insert(at);
        }
        self.held += half.take(at, found.payload, packet, seen);
        if segment.ends {
            let end = at + (found.payload.len() + found.missing) as i64;
            half.end.get_or_insert((end, packet, seen));
        }
    }

    /// Whether the beginning of both directions was seen.
    pub(super) fn has_beginning(&self) -> bool {
        self.halves.iter().all(|half| half.start.is_some())
    }

    /// The side of which no packet was captured, as a filter for one direction leaves it.
    pub(super) fn unseen(&self) -> Option<Side> {
        let unseen = self.halves.iter().position(|half| !half.is_captured)?;
        Some(if unseen == 0 { Side::Client } else { Side::Server })
    }

    /// What was said, in the order in which it was: each side in its own order, and nothing before what it answers.
    pub(super) fn finish(self, tell: &mut impl FnMut(Event)) -> Account {
        let differ = self.halves.iter().map(|half| half.differ).sum();
        let mut account = Account { differ, ..Account::default() };
        let [client, server] = self.halves.map(Queue::of);
        let mut queues = [client, server];
        if let Some((ours, packet, seen)) = self.reset {
            let at = queues[ours].end();
            queues[ours].items.push(Item { at, packet, seen, what: What::Reset });
        }
        queues.iter_mut().for_each(Queue::prepare);
        let mut is_reset = false;
        while let Some(turn) = turn(&queues) {
            let side = if turn == 0 { Side::Client } else { Side::Server };
            let Some(item) = queues[turn].pop() else { break };
            match item.what {
                What::Bytes(bytes) if is_reset => account.after_reset += bytes.len() as u64,
                What::Bytes(bytes) => tell(Event::Said(side, bytes)),
                What::Gap(count) => {
                    account.missing += count;
                    tell(Event::Missing(side, count));
                }
                What::End if !is_reset => {
                    queues[turn].has_ended = true;
                    tell(Event::Ended(side));
                }
                // Who had said that it ends has closed, and hears no more: what still comes is answered by a reset.
                What::Reset if !queues[turn].has_ended => {
                    is_reset = true;
                    tell(Event::Reset(side));
                }
                What::End | What::Reset => {}
            }
        }
        account
    }
}

/// What one side still has to say.
#[derive(Debug)]
struct Queue {
    /// The next one stands last.
    items: Vec<Item>,
    /// Up to where it was said; the end counts as one more.
    done: i64,
    has_ended: bool,
}

#[derive(Debug)]
struct Item {
    /// Behind it.
    at: i64,
    packet: u64,
    seen: Option<i64>,
    what: What,
}

#[derive(Debug)]
enum What {
    Bytes(Vec<u8>),
    Gap(u64),
    End,
    Reset,
}

impl Queue {
    fn of(half: Half) -> Self {
        // Of an end that is not in the capture, the first place that the other one acknowledged is known.
        let unseen = (!half.is_captured && half.seen.is_some()).then_some(0);
        let start = half.start.or_else(|| half.pieces.keys().next().copied()).or(unseen);
        let mut at = start.unwrap_or_else(|| half.end.map_or(0, |(end, ..)| end));
        let mut items = Vec::with_capacity(half.pieces.len() + 2);
        for (place, mut piece) in half.pieces {
            let end = place + piece.bytes.len() as i64;
            if end <= at {
                // Before the beginning: a probe whether the other end is still there.
                continue;
            }
            if place < at {
                piece.bytes.drain(..usize::try_from(at - place).unwrap_or(0));
            }
            if half.end.is_some_and(|(end, ..)| place >= end) {
                break;
            }
            if place > at {
                let missing = What::Gap(place.abs_diff(at));
                // It waits for nothing: what answers it may come before what stands behind it.
                items.push(Item { at: place, packet: piece.packet, seen: None, what: missing });
            }
            at = end;
            items.push(Item { at, packet: piece.packet, seen: piece.seen, what: What::Bytes(piece.bytes) });
        }
        let behind = match half.end {
            Some((end, ..)) => end,
            // The one number that no byte has may be that of an end that is not in the capture.
            None => half.seen.filter(|&seen| seen > at + 1 && start.is_some()).unwrap_or(at),
        };
        if behind > at {
            let packet = half.end.map_or(u64::MAX, |(_, packet, _)| packet);
            items.push(Item { at: behind, packet, seen: None, what: What::Gap(behind.abs_diff(at)) });
        }
        if let Some((end, packet, seen)) = half.end {
            items.push(Item { at: end.max(at) + 1, packet, seen, what: What::End });
        }
        Self { items, done: start.unwrap_or(0), has_ended: false }
    }

    fn end(&self) -> i64 {
        self.items.last().map_or(self.done, |item| item.at)
    }

    /// What stands behind something is heard no earlier than that. Then the first one goes last.
    fn prepare(&mut self) {
        let mut latest = 0;
        for item in &mut self.items {
            latest = item.packet.max(latest);
            item.packet = latest;
        }
        self.items.reverse();
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop()?;
        self.done = item.at;
        Some(item)
    }
}

/// Whose turn it is: of those who say nothing before what they answer, the side that was captured first.
fn turn(queues: &[Queue; 2]) -> Option<usize> {
    let next = |index: usize| queues[index].items.last();
    let is_ready = |index: usize| {
        let other = &queues[1 - index];
        next(index).is_some_and(|item| other.items.is_empty() || item.seen.is_none_or(|seen| seen <= other.done))
    };
    match (next(0), next(1)) {
        (None, None) => None,
        (Some(_), None) => Some(0),
        (None, Some(_)) => Some(1),
        (Some(client), Some(server)) => match (is_ready(0), is_ready(1)) {
            (true, false) => Some(0),
            (false, true) => Some(1),
            // Where both wait for each other, something is wrong with the numbers.
            _ => Some(usize::from(server.packet < client.packet)),
        },
    }
}
