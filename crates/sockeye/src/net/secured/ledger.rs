//! Which bytes of those that were given to a session stand where in what it made of them: so it is known how many of them
//! have arrived, and not how many of its own.

use std::collections::VecDeque;

/// So many places are kept apart. More become fewer, which are farther apart: then some that arrived count as missing, and
/// none that is missing as arrived.
const MOST: usize = 1024;

/// A place in both: so many bytes in front of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Boundary {
    wire: u64,
    given: u64,
}

/// What was given to a session, and what it made of that.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// All so far.
    end: Boundary,
    /// Places up to which whole messages or records stand, in their order.
    places: VecDeque<Boundary>,
}

impl Ledger {
    /// The session was given so many bytes more, of which the last so many still wait inside it, and made so many of the others.
    pub(super) fn made(&mut self, wire: usize, given: usize, waiting: usize) {
        self.end.wire += wire as u64;
        self.end.given += given as u64;
        if wire == 0 {
            return;
        }
        if self.places.len() >= MOST {
            let mut index = 0;
            self.places.retain(|_| {
                index += 1;
                index % 2 == 0
            });
        }
        self.places.push_back(Boundary { given: self.end.given - waiting as u64, ..self.end });
    }

    /// The last so many bytes are not to be counted: their sending failed, and they stay with the caller.
    pub(super) fn take_back(&mut self, given: usize) {
        self.end.given -= given as u64;
    }

    /// How many of the bytes that were given have not arrived, where so many of what was made of them have not.
    pub(super) fn missing(&self, wire: u64) -> u64 {
        let arrived = self.end.wire.saturating_sub(wire);
        let behind = self.places.partition_point(|place| place.wire <= arrived);
        let given = behind.checked_sub(1).map_or(0, |last| self.places[last].given);
        self.end.given.saturating_sub(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_missing_whose_record_is_not_there_to_its_end() {
        let mut ledger = Ledger::default();
        // A handshake, two records, a word of its own.
        for (wire, given) in [(300, 0), (122, 100), (72, 50), (24, 0)] {
            ledger.made(wire, given, 0);
        }
        for (wire, missing) in [(0, 0), (24, 0), (25, 50), (96, 50), (97, 150), (218, 150), (518, 150), (9999, 150)] {
            assert_eq!(ledger.missing(wire), missing, "{wire}");
        }
    }

    #[test]
    fn the_beginning_of_a_line_that_waits_for_its_end_is_missing() {
        let mut ledger = Ledger::default();
        ledger.made(0, 3, 3);
        assert_eq!(ledger.missing(0), 3);
        // `abc` and `d\nef`.
        ledger.made(10, 4, 2);
        assert_eq!((ledger.missing(0), ledger.missing(1)), (2, 7));
        ledger.made(8, 0, 0);
        assert_eq!((ledger.missing(0), ledger.missing(8)), (0, 2));
    }

    #[test]
    fn what_could_not_be_sent_stays_with_the_caller_and_is_not_counted_twice() {
        let mut ledger = Ledger::default();
        ledger.made(122, 100, 0);
        ledger.made(122, 100, 0);
        ledger.take_back(100);
        assert_eq!([0, 122, 123].map(|wire| ledger.missing(wire)), [0, 0, 100]);
    }

    #[test]
    fn however_much_is_said_little_is_kept_and_nothing_missing_is_forgotten() {
        let mut ledger = Ledger::default();
        for _ in 0..100_000 {
            ledger.made(10, 1, 0);
        }
        assert!(ledger.places.len() <= MOST);
        for wire in [0, 10, 5_000, 500_000, 1_000_000] {
            assert!(ledger.missing(wire) >= wire / 10, "{wire}");
        }
        assert_eq!((ledger.missing(0), ledger.missing(1_000_000)), (0, 100_000));
    }
}
