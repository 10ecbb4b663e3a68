//! Bytes in hexadecimal digits, laid out as `hexdump -C` does it.

use std::fmt::Write as _;

/// Bytes in a row.
const ROW: usize = 16;

/// Rows of digits, each behind the offset of its first byte and before what can be seen of it.
pub(crate) fn hex_rows(offset: u64, bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.chunks(ROW).enumerate().map(move |(row, bytes)| {
        let mut text = format!("{:08x} ", offset + (row * ROW) as u64);
        for place in 0..ROW {
            let space = if place == ROW / 2 { " " } else { "" };
            let _ = match bytes.get(place) {
                Some(byte) => write!(text, "{space} {byte:02x}"),
                None => write!(text, "{space}   "),
            };
        }
        let seen = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let _ = write!(text, "  |{}|", bytes.iter().map(seen).collect::<String>());
        text
    })
}
