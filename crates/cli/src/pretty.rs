//! JSON for people: each member on a line of its own, in colour. Nothing is read into values, so numbers, escapes, the order of
//! keys and keys that come twice stay as they came. What is no JSON is shown as it came.

use std::io::{self, Write};

use serde::de::IgnoredAny;

use crate::clean::Cleaner;

/// Most bytes that are held to see whether they are JSON; more is not read on a terminal.
const HELD: usize = sockeye::limits::SHOWN_JSON;

/// Whether a Content-Type is that of JSON (RFC 8259, RFC 6839), or of lines of it.
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    const KINDS: [&[u8]; 7] = [
        b"application/json",
        b"text/json",
        b"application/x-json",
        b"application/ndjson",
        b"application/x-ndjson",
        b"application/jsonl",
        b"application/x-jsonlines",
    ];
    KINDS.contains(&kind.as_slice()) || kind.ends_with(b"+json")
}

/// A writer for a terminal: a peer's bytes go in, harmless text comes out, and JSON in a form that is easy to read.
pub(crate) struct Pretty<W: Write> {
    /// What is not written yet.
    held: Vec<u8>,
    /// Bytes of it in which no line ends.
    searched: usize,
    /// Bytes behind the end of the first line that are only blank.
    blank: usize,
    kind: Kind,
    color: bool,
    inner: Cleaner<W>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No line has ended.
    Unknown,
    /// One value.
    Value,
    /// A value in each line, shown when it is there: they may go on for ever.
    Lines,
    /// Something else.
    Other,
}

impl<W: Write> Pretty<W> {
    pub(crate) fn new(inner: W, color: bool) -> Self {
        Self { held: Vec::new(), searched: 0, blank: 0, kind: Kind::Unknown, color, inner: Cleaner::new(inner) }
    }

    /// Writes what is held: nothing more comes.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.show(&held)?;
        }
        self.inner.finish()
    }

    /// Shows something whole.
    fn show(&mut self, text: &[u8]) -> io::Result<()> {
        if self.kind == Kind::Lines && text.trim_ascii().is_empty() {
            return Ok(());
        }
        match checked(text) {
            Some(valid) => format(valid, self.color, &mut self.inner),
            None => {
                self.kind = Kind::Other;
                self.inner.write_all(text)
            }
        }
    }

    /// Where the first line ends. What comes in many pieces is looked at once.
    fn end_of_line(&mut self) -> Option<usize> {
        let rest = &self.held[self.searched..];
        let found = line_end(rest);
        self.searched += found.unwrap_or(rest.len());
        found.map(|_| self.searched)
    }

    /// Whether anything but blanks has come from here on. Those are looked at once, too.
    fn goes_on_behind(&mut self, end: usize) -> bool {
        let rest = &self.held[end + self.blank..];
        self.blank += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.held.len() > end + self.blank
    }

    /// Shows the lines that are whole. They leave together: each by itself would move all that stand behind it.
    fn show_lines(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let mut from = 0;
        while self.kind == Kind::Lines
            && let Some(length) = line_end(&held[from.max(self.searched)..])
        {
            let end = from.max(self.searched) + length + 1;
            self.show(&held[from..end])?;
            (from, self.searched) = (end, end);
        }
        self.held = held;
        self.held.drain(..from);
        self.searched = self.held.len();
        Ok(())
    }

    /// What can be shown before the end, is.
    fn go_on(&mut self) -> io::Result<()> {
        if self.kind == Kind::Unknown
            && let Some(end) = self.end_of_line()
            && self.goes_on_behind(end)
        {
            self.kind = if checked(&self.held[..end]).is_some() { Kind::Lines } else { Kind::Value };
        }
        if self.kind == Kind::Lines {
            self.show_lines()?;
        }
        if self.kind == Kind::Other || self.held.len() > HELD {
            self.kind = Kind::Other;
            let held = std::mem::take(&mut self.held);
            self.inner.write_all(&held)?;
        }
        Ok(())
    }
}

impl<W: Write> Write for Pretty<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.kind == Kind::Other {
            return self.inner.write(bytes);
        }
        self.held.extend_from_slice(bytes);
        self.go_on()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

/// The text of one value, if it is that and not too deep.
fn checked(text: &[u8]) -> Option<&str> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = std::str::from_utf8(text).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(text)
}

// SGR codes of ECMA-48.
const KEY: &str = "36";
const STRING: &str = "32";
const NUMBER: &str = "33";
const WORD: &str = "35";

/// Writes a value that is known to be one.
fn format<W: Write>(text: &str, color: bool, out: &mut Cleaner<W>) -> io::Result<()> {
    let mut rest = text;
    let mut depth = 0;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(first) = rest.chars().next() else { break };
        let (token, after) = rest.split_at(length(rest));
        let after = after.trim_start_matches([' ', '\t', '\r', '\n']);
        rest = after;
        match first {
            '{' | '[' if after.starts_with(['}', ']']) => {
                out.write_all(token.as_bytes())?;
                out.write_all(&after.as_bytes()[..1])?;
                rest = &after[1..];
            }
            '{' | '[' => {
                depth += 1;
                out.write_all(token.as_bytes())?;
                break_line(out, depth)?;
            }
            '}' | ']' => {
                depth -= 1;
                break_line(out, depth)?;
                out.write_all(token.as_bytes())?;
            }
            ',' => {
                out.write_all(b",")?;
                break_line(out, depth)?;
            }
            ':' => out.write_all(b": ")?,
            _ => {
                let code = match first {
                    '"' if after.starts_with(':') => KEY,
                    '"' => STRING,
                    '-' | '0'..='9' => NUMBER,
                    _ => WORD,
                };
                if color {
                    out.paint(code, token.as_bytes())?;
                } else {
                    out.write_all(token.as_bytes())?;
                }
            }
        }
    }
    out.write_all(b"\n")
}

/// How long the token is with which a text begins.
fn length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes[0] {
        b'"' => {
            let mut at = 1;
            while at < bytes.len() && bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            (at + 1).min(bytes.len())
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
        _ => {
            let ends = |byte: &u8| b"{}[],: \t\r\n\"".contains(byte);
            bytes.iter().position(ends).unwrap_or(bytes.len())
        }
    }
}

fn break_line(out: &mut impl Write, depth: usize) -> io::Result<()> {
    out.write_all(b"\n")?;
    out.write_all(&b" ".repeat(depth * 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]], color: bool) -> String {
        let mut pretty = Pretty::new(Vec::new(), color);
        for piece in pieces {
            pretty.write_all(piece).unwrap();
        }
        String::from_utf8(pretty.finish().unwrap()).unwrap()
    }

    #[test]
    fn everything_stays_as_it_came_but_the_space_between() {
        let text = "\u{feff}{\"b\" :1.10, \"a\":[ ] ,\"b\":123456789012345678901234567890, \"c\":{\"\\u00e9\\\"\":[1e999,-0,null,true]}, \"d\":{}}";
        let expected = "{\n  \"b\": 1.10,\n  \"a\": [],\n  \"b\": 123456789012345678901234567890,\n  \"c\": {\n    \
            \"\\u00e9\\\"\": [\n      1e999,\n      -0,\n      null,\n      true\n    ]\n  },\n  \"d\": {}\n}\n";
        for cut in 0..text.len() {
            assert_eq!(shown(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..]], false), expected);
        }
        assert_eq!(shown(&[b" 12 "], false), "12\n");
        assert_eq!(
            shown(&[b"{\"a\":[\"x\",-1,null]}"], true),
            "{\n  \x1b[36m\"a\"\x1b[0m: [\n    \x1b[32m\"x\"\x1b[0m,\n    \x1b[33m-1\x1b[0m,\n    \x1b[35mnull\x1b[0m\n  ]\n}\n"
        );
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_came_and_harmless() {
        for text in [
            "{\"a\": 1,}",
            "{\"a\":1} x",
            "{\"a\":1}{\"b\":2}",
            "{'a':1}",
            "[1,2",
            "nul",
            "01",
            "\"a",
            "{\"a\":\n1,\n}",
            "",
            "  \n",
        ] {
            assert_eq!(shown(&[text.as_bytes()], true), text);
        }
        assert_eq!(shown(&[b"{\"a\":\"\x1b[31m\"}"], false), "{\"a\":\"{0x1b}[31m\"}");
        assert_eq!(shown(&[b"[\"\xff\"]"], false), "[\"{0xff}\"]");
        assert_eq!(
            shown(&["[\"\u{9b}31m\u{202e}\u{7f}\"]".as_bytes()], false),
            "[\n  \"{0xc29b}31m{0xe280ae}{0x7f}\"\n]\n"
        );
        let deep = "[".repeat(100_000);
        assert_eq!(shown(&[deep.as_bytes()], false), deep);
        let long = format!("[{}1]", "1,".repeat(HELD));
        assert_eq!(shown(&[long.as_bytes()], false), long);
    }

    #[test]
    fn lines_of_json_are_shown_when_they_are_there() {
        let mut pretty = Pretty::new(Vec::new(), false);
        for piece in ["{\"a\":1}\n", "{\"b\"", ":2}\r\n\n[]\n"] {
            pretty.write_all(piece.as_bytes()).unwrap();
        }
        pretty.write_all(b"no\n{\"c\":1}\n").unwrap();
        let shown = String::from_utf8(pretty.finish().unwrap()).unwrap();
        assert_eq!(shown, "{\n  \"a\": 1\n}\n{\n  \"b\": 2\n}\n[]\nno\n{\"c\":1}\n");
    }

    /// Where each byte or line is looked at again for each that follows, this takes hours.
    #[test]
    fn many_lines_and_many_blanks_take_no_longer_each_than_a_few() {
        let lines = "1\n".repeat(HELD / 2);
        assert!(shown(&[lines.as_bytes()], false) == lines, "many lines at once");
        let blanks = format!("[1]{}", "\n".repeat(HELD / 2));
        let pieces: Vec<&[u8]> = blanks.as_bytes().chunks(1).collect();
        assert_eq!(shown(&pieces, false), "[\n  1\n]\n");
        let long = format!("\"{}\"", "x".repeat(HELD / 2));
        let pieces: Vec<&[u8]> = long.as_bytes().chunks(1).collect();
        assert!(shown(&pieces, false) == format!("{long}\n"), "one long value, byte by byte");
    }

    #[test]
    fn the_kinds_of_json_are_known() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json", "text/json;x"] {
            assert!(is_json(kind.as_bytes()), "{kind}");
        }
        for kind in ["text/plain", "application/jsonx", "application/javascript", "", "x; application/json"] {
            assert!(!is_json(kind.as_bytes()), "{kind}");
        }
    }
}
