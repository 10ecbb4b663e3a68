//! JSON as programs read it and a terminal can show it (RFC 8259). Logs are read on terminals, and so is what a client prints:
//! what a terminal could obey, or would not show, is escaped.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;
use transcript::is_hidden;

/// Adds a value.
pub(crate) fn push(out: &mut Vec<u8>, value: &impl Serialize) {
    // A vector takes everything, and no map here has keys that are no text.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(out, Harmless));
}

/// Adds a string with its quotes. What is no UTF-8 becomes U+FFFD, as JSON can hold nothing else.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let _ = serde_json::Serializer::with_formatter(out, Harmless).serialize_str(&text_of(text));
}

/// Bytes as JSON can hold them.
pub(crate) fn text_of(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// Escapes what hides, and puts each element of an array on a line of its own.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|&(_, character)| is_hidden(character)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hidden.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        writer.write_all(if first { b"\n" } else { b",\n" })
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_survives_and_none_that_hides_is_written() {
        let all: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let mut out = Vec::new();
        push_text(&mut out, all.as_bytes());
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
        assert!(!String::from_utf8(out).unwrap().chars().any(is_hidden));
    }

    #[test]
    fn what_is_no_text_is_told_to_be_none() {
        let made = |text: &[u8]| {
            let mut out = Vec::new();
            push_text(&mut out, text);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            made("<a href=\"x\">\n\u{202e}ü\\\u{7f}".as_bytes()),
            "\"<a href=\\\"x\\\">\\n\\u202eü\\\\\\u007f\""
        );
        assert_eq!(made(b"a\xffb"), "\"a\u{fffd}b\"");
        assert_eq!(made("\u{1f600}\u{e0001}".as_bytes()), "\"\u{1f600}\\udb40\\udc01\"");
    }

    #[test]
    fn each_element_stands_on_a_line() {
        let mut out = Vec::new();
        push(&mut out, &["a", "b"]);
        assert_eq!(out, b"[\n\"a\",\n\"b\"\n]");
    }
}
