//! What is said through a relay, as people see it: lines of a transcript, or hexadecimal digits. Nothing in it is obeyed by a
//! terminal.

use std::sync::{Mutex, PoisonError};

use sockeye::event::{Event, Observer};
use sockeye::record::Tap;
use transcript::{Side, show};

use crate::hex_rows::hex_rows;

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Hex,
}

/// Longest piece of one line that is shown as one.
const LONGEST: usize = 4096;

/// Shows one connection.
pub(crate) struct Shown {
    number: u64,
    form: Form,
    state: Mutex<State>,
}

struct State {
    /// Bytes that each side has said so far.
    offsets: [u64; 2],
    observer: Box<dyn Observer>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("number", &self.number).field("form", &self.form).finish_non_exhaustive()
    }
}

impl Shown {
    pub(crate) fn new(number: u64, form: Form, observer: Box<dyn Observer>) -> Self {
        Self { number, form, state: Mutex::new(State { offsets: [0; 2], observer }) }
    }

    fn tell(&self, side: Side, texts: impl Iterator<Item = String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for text in texts {
            state.observer.observe(Event::Said { number: self.number, side, text });
        }
    }
}

/// Lines as a transcript has them; what ends without a line ending is `raw`.
fn lines(side: Side, bytes: &[u8]) -> impl Iterator<Item = String> {
    let letter = side.letter();
    bytes.split_inclusive(|byte| *byte == b'\n').flat_map(move |line| {
        let text = line.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        match text {
            Some(text) if text.len() <= LONGEST => vec![format!("{letter}: {}", show(text))],
            _ => line.chunks(LONGEST).map(|piece| format!("{letter} raw: {}", show(piece))).collect(),
        }
    })
}

/// Rows of digits, and what they mean where it can be seen.
fn rows(side: Side, offset: u64, bytes: &[u8]) -> impl Iterator<Item = String> {
    let letter = side.letter();
    hex_rows(offset, bytes).map(move |row| format!("{letter} {row}"))
}

impl Tap for Shown {
    fn said(&self, side: Side, bytes: &[u8]) {
        if self.form == Form::Text {
            self.tell(side, lines(side, bytes));
            return;
        }
        let offset = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let offset = &mut state.offsets[usize::from(side == Side::Server)];
            std::mem::replace(offset, *offset + bytes.len() as u64)
        };
        self.tell(side, rows(side, offset, bytes));
    }

    fn ended(&self, side: Side) {
        self.tell(side, std::iter::once(format!("{} stops sending", side.letter())));
    }

    fn reset(&self, side: Side) {
        self.tell(side, std::iter::once(format!("{} resets", side.letter())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_shown_and_obeyed_by_nothing() {
        let text: Vec<String> = lines(Side::Client, b"hello\r\n\x1b[2Jbye").collect();
        assert_eq!(text, ["C: hello", "C raw: {0x1b}[2Jbye"]);
        let digits: Vec<String> = rows(Side::Server, 16, b"0123456789abcdef\n").collect();
        assert_eq!(digits[0], "S 00000010  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|");
        assert!(digits[1].starts_with("S 00000020  0a ") && digits[1].ends_with("|.|"), "{}", digits[1]);
    }
}
