//! `--hex`: what passes, as a dump in hex on standard error. `>` is what we send, `<` what the peer sends.

use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use sockeye::record::Tap;
use transcript::{Carrier, Side};

use crate::hex_rows::hex_rows;
use crate::output::write_all;

/// A tap that dumps. It waits for standard error: half a dump is of no use.
#[derive(Debug)]
pub(super) struct Hex {
    ours: Side,
    carrier: Carrier,
    /// Which connection of a play it is, as its transcript says it: nothing for the first.
    connection: String,
    /// Where the next byte stands, from us and from the peer.
    offsets: Mutex<[u64; 2]>,
}

impl Hex {
    pub(super) fn new(ours: Side, carrier: Carrier) -> Self {
        Self { ours, carrier, connection: String::new(), offsets: Mutex::default() }
    }

    fn write(&self, text: &str) {
        // That it has no reader ends no conversation.
        let _ = write_all(io::stderr().as_fd(), text.as_bytes());
    }

    fn mark(&self, side: Side) -> String {
        format!("{}{}", self.connection, if side == self.ours { '>' } else { '<' })
    }
}

impl Tap for Hex {
    fn said(&self, side: Side, bytes: &[u8]) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = &mut offsets[usize::from(side == self.ours)];
        // A datagram is a message of its own.
        let begin = if self.carrier.keeps_bounds() { 0 } else { *offset };
        *offset += bytes.len() as u64;
        self.write(&dump(&self.mark(side), begin, bytes));
    }

    fn ended(&self, side: Side) {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&format!("{} {:08x}  end\n", self.mark(side), offsets[usize::from(side == self.ours)]));
    }

    fn secured(&self) {
        self.write(&format!("{}= TLS begins; what follows is said inside it\n", self.connection));
    }

    fn unsecured(&self) {
        self.write(&format!("{}= TLS ends; what follows is said in clear\n", self.connection));
    }

    fn reset(&self, side: Side) {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&format!("{} {:08x}  reset\n", self.mark(side), offsets[usize::from(side == self.ours)]));
    }

    fn connects(&self, number: u8, side: Side, port: Option<u16>) -> Option<Arc<dyn Tap>> {
        let connection = if number == 1 { String::new() } else { number.to_string() };
        let to = port.map_or(String::new(), |port| format!(" to port {port}"));
        self.write(&format!("{connection}= {} connects{to}\n", side.letter()));
        Some(Arc::new(Self { connection, ..Self::new(self.ours, self.carrier) }))
    }
}

fn dump(mark: &str, begin: u64, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 5 + 32);
    if bytes.is_empty() {
        let _ = writeln!(text, "{mark} {begin:08x}  empty");
    }
    for row in hex_rows(begin, bytes) {
        let _ = writeln!(text, "{mark} {row}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_laid_out_as_hexdump_does_it() {
        let expected = "\
> 00000010  68 65 6c 6c 6f 0d 0a 00  ff 31 32 33 34 35 36 37  |hello....1234567|
> 00000020  38                                                |8|
";
        assert_eq!(dump(">", 16, b"hello\r\n\0\xff12345678"), expected);
        assert_eq!(dump("<", 0, b""), "< 00000000  empty\n");
    }
}
