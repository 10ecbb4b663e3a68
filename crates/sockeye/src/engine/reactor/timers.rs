//! Deadlines of many connections. Most deadlines only move on, line after line, so a connection stands in the heap at
//! most once for its earliest entry, and an entry that comes up too early is put back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use transcript::Moment;

use super::token::Key;

/// A heap of moments with the connection to wake.
#[derive(Debug, Default)]
pub(in crate::engine) struct Timers {
    heap: BinaryHeap<Reverse<(Moment, Key)>>,
}

/// One connection's place in the heap.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Armed(Option<Moment>);

impl Timers {
    /// Sees to it that the key comes up at the moment or before.
    pub(in crate::engine) fn arm(&mut self, armed: &mut Armed, at: Moment, key: Key) {
        if armed.0.is_none_or(|earlier| at < earlier) {
            armed.0 = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// How many entries stand in the heap, those of connections that are gone included.
    pub(in crate::engine) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Forgets the entries of keys that are gone.
    pub(in crate::engine) fn keep(&mut self, lives: impl Fn(Key) -> bool) {
        self.heap.retain(|Reverse((_, key))| lives(*key));
    }

    /// When the next key comes up.
    pub(in crate::engine) fn next(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A key whose moment has come. Its owner calls [`Armed::clear`] and arms again.
    pub(in crate::engine) fn due(&mut self, now: Moment) -> Option<(Moment, Key)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

impl Armed {
    /// Notes that an entry came up; a stale one, behind an earlier one, changes nothing.
    pub(in crate::engine) fn clear(&mut self, at: Moment) {
        if self.0 == Some(at) {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_only_moves_on_takes_one_entry() {
        let mut timers = Timers::default();
        let mut armed = Armed::default();
        let key = Key { slot: 7, generation: 0 };
        for nanos in 100..1000 {
            timers.arm(&mut armed, Moment::from_nanos(nanos), key);
        }
        assert_eq!(timers.heap.len(), 1);
        timers.arm(&mut armed, Moment::from_nanos(50), key);
        assert_eq!(timers.next(), Some(Moment::from_nanos(50)));
        assert_eq!(timers.due(Moment::from_nanos(49)), None);
        assert_eq!(timers.due(Moment::from_nanos(50)), Some((Moment::from_nanos(50), key)));
        armed.clear(Moment::from_nanos(50));
        timers.arm(&mut armed, Moment::from_nanos(200), key);
        assert_eq!(timers.heap.len(), 2);
    }

    #[test]
    fn entries_of_keys_that_are_gone_are_forgotten_and_the_others_come_up() {
        let mut timers = Timers::default();
        for slot in 0..10 {
            let at = Moment::from_nanos(100 + u64::from(slot));
            timers.arm(&mut Armed::default(), at, Key { slot, generation: 0 });
        }
        timers.keep(|key| key.slot % 5 == 4);
        assert_eq!(timers.len(), 2);
        let up: Vec<_> = std::iter::from_fn(|| timers.due(Moment::from_nanos(1000))).map(|(_, key)| key.slot).collect();
        assert_eq!(up, [4, 9]);
    }
}
