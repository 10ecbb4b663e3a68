//! A long text looked for in bytes that come bit by bit, or one whose letters match in either case here and not there: each
//! byte is looked at a fixed number of times, whatever a peer sends. By rolling hashes (Karp and Rabin), whose base no peer knows.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// The numbers are reckoned modulo this prime, 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;

fn add(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    // Both halves have at most 61 bits.
    add((product & u128::from(PRIME)) as u64, (product >> 61) as u64)
}

fn base() -> u64 {
    static BASE: OnceLock<u64> = OnceLock::new();
    *BASE.get_or_init(|| 256 + RandomState::new().hash_one(0) % (PRIME - 512))
}

/// A part of the text: its bytes, and whether its letters match in either case.
type Part<'a> = (&'a [u8], bool);

/// Where the search stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seek {
    /// The place that was looked at last.
    start: usize,
    length: usize,
    windows: Vec<Window>,
}

/// What stands where a part of the text would stand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    offset: usize,
    length: usize,
    fold: bool,
    /// The hash of the part, and of what stands there.
    wanted: u64,
    found: u64,
    /// What the first byte of the window counts for.
    first: u64,
}

impl Window {
    fn byte(&self, byte: u8) -> u64 {
        u64::from(if self.fold { byte.to_ascii_lowercase() } else { byte })
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |hash, byte| add(multiply(hash, base()), self.byte(*byte)))
    }

    /// The window moves on by a byte.
    fn roll(&mut self, out: u8, into: u8) {
        let without = add(self.found, PRIME - multiply(self.byte(out), self.first));
        self.found = add(multiply(without, base()), self.byte(into));
    }
}

impl Seek {
    /// Begins at a place behind which there are as many bytes as the text has.
    pub(crate) fn at<'a>(start: usize, parts: impl Iterator<Item = Part<'a>>, line: &[u8]) -> Self {
        let mut seek = Self { start, length: 0, windows: Vec::new() };
        for (part, fold) in parts.filter(|(part, _)| !part.is_empty()) {
            let first = (1..part.len()).fold(1, |power, _| multiply(power, base()));
            let mut window = Window { offset: seek.length, length: part.len(), fold, wanted: 0, found: 0, first };
            window.wanted = window.hash(part);
            window.found = window.hash(&line[start + window.offset..][..window.length]);
            seek.length += part.len();
            seek.windows.push(window);
        }
        seek
    }

    /// The first place from here on at which the text stands, for which `is_there` looks.
    pub(crate) fn go(&mut self, line: &[u8], is_there: impl Fn(usize) -> bool) -> Option<usize> {
        loop {
            if self.windows.iter().all(|window| window.wanted == window.found) && is_there(self.start) {
                return Some(self.start);
            }
            if self.start + self.length >= line.len() {
                return None;
            }
            for window in &mut self.windows {
                let from = self.start + window.offset;
                window.roll(line[from], line[from + window.length]);
            }
            self.start += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks for a text that comes in pieces of some bytes, as it would be looked for at each place.
    fn seek(parts: &[Part<'_>], line: &[u8], piece: usize) -> Option<usize> {
        let length: usize = parts.iter().map(|(part, _)| part.len()).sum();
        let is_there = |start: usize| {
            let mut at = start;
            parts.iter().all(|(part, fold)| {
                let there = &line[at..at + part.len()];
                at += part.len();
                if *fold { there.eq_ignore_ascii_case(part) } else { there == *part }
            })
        };
        let mut come = length;
        let mut seek = None::<Seek>;
        let mut found = None;
        while come <= line.len() && found.is_none() {
            let state = seek.get_or_insert_with(|| Seek::at(0, parts.iter().copied(), &line[..come]));
            found = state.go(&line[..come], is_there);
            come = if come == line.len() { come + 1 } else { (come + piece).min(line.len()) };
        }
        assert_eq!(
            found,
            (0..=line.len().saturating_sub(length)).find(|&start| length <= line.len() && is_there(start))
        );
        found
    }

    #[test]
    fn a_text_is_found_where_it_first_stands_however_it_comes() {
        for piece in [1, 2, 7, 100] {
            assert_eq!(seek(&[(b"aab", false)], b"aaaaaaab;aab", piece), Some(5));
            assert_eq!(seek(&[(b"aab", false)], b"aaaaaaaaaaa", piece), None);
            assert_eq!(seek(&[(b"AaB", true)], b"aaaaAAb", piece), Some(4));
            assert_eq!(seek(&[(b"ab", false), (b"", true), (b"CD", true)], b"abcABcdabcd", piece), Some(7));
            assert_eq!(seek(&[(b"x=", true), (b"Secret", false)], b"x=secret X=Secret", piece), Some(9));
            assert_eq!(seek(&[(b"\0", false), (b"\xff\xff", false)], b"\0\xff\0\xff\xff", piece), Some(2));
            assert_eq!(seek(&[(b"long", false)], b"lon", piece), None);
        }
    }

    #[test]
    fn the_base_is_one_of_so_many_that_no_peer_guesses_it() {
        // Of 2^45 processes one has a smaller one.
        assert!((1 << 16..PRIME).contains(&base()), "{}", base());
        assert_eq!(base(), base());
    }

    #[test]
    fn bytes_are_compared_only_where_the_text_stands() {
        for (part, line, looks) in [
            (&b"aaaaaaab"[..], [b'a'; 4000].to_vec(), 0),
            (b"aaaaaaaa", b"aaaaaaab".repeat(500), 0),
            (b"needle", [&b"needlf".repeat(600)[..], b"needle"].concat(), 1),
            (b"Needle", [&b"NEEDLF".repeat(600)[..], b"nEEDLE"].concat(), 1),
        ] {
            let looked = std::cell::Cell::new(0);
            let is_there = |start: usize| {
                looked.set(looked.get() + 1);
                line[start..start + part.len()].eq_ignore_ascii_case(part)
            };
            let found = Seek::at(0, [(part, true)].into_iter(), &line).go(&line, is_there);
            assert_eq!((found.is_some(), looked.get()), (looks == 1, looks));
        }
    }

    #[test]
    fn texts_of_two_letters_are_found_as_they_would_be_at_each_place() {
        // Of short texts over few letters every beginning comes again.
        let mut seed = 7_u64;
        let mut letter = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            b"abAB"[(seed >> 62) as usize]
        };
        for round in 0..400 {
            let one: Vec<u8> = (0..round % 4).map(|_| letter()).collect();
            let two: Vec<u8> = (0..1 + round % 3).map(|_| letter()).collect();
            let line: Vec<u8> = (0..round % 60).map(|_| letter()).collect();
            seek(&[(&one, true), (&two, false)], &line, 1 + round % 5);
        }
    }
}
