//! Files that are no text of ours: other encodings, other line endings, nothing at all.

use crate::diagnostic::{Diagnostic, Source, Span};

/// Why the bytes are no text that could be read line by line.
pub(super) fn not_text(text: &[u8]) -> Option<Diagnostic> {
    let begins = |bytes: &[u8]| text.starts_with(bytes);
    let start = Span { line: 1, column: 1, width: 1 };
    if let Some((what, import)) = other_record(text) {
        let finding = Diagnostic::error(start, format!("this is {what}, and no transcript"));
        return Some(finding.help(format!("`{import}` makes a transcript of it")));
    }
    if begins(&[0xff, 0xfe, 0, 0]) || begins(&[0, 0, 0xfe, 0xff]) {
        return Some(wide("UTF-32"));
    }
    // Without a mark, plain letters in two bytes each have a zero in every other one.
    let head = &text[..text.len().min(64) & !1];
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let mostly = head.len() / 2 * 3 / 4;
    let is_wide = |from| mostly > 0 && zeros(from) >= mostly && zeros(1 - from) < mostly;
    if begins(&[0xff, 0xfe]) || begins(&[0xfe, 0xff]) {
        return Some(wide("UTF-16"));
    } else if is_wide(1) {
        return Some(wide("UTF-16LE"));
    } else if is_wide(0) {
        return Some(wide("UTF-16BE"));
    }
    if memchr::memchr(0, text).is_some() && std::str::from_utf8(text).is_err() {
        let finding = Diagnostic::error(start, "this is not text: it holds zero bytes");
        return Some(finding.help("a transcript is UTF-8 text; bytes are written on an `S hex:` line"));
    }
    if let Some(at) = memchr::memchr(b'\r', text)
        && memchr::memchr(b'\n', text).is_none()
        && text[at + 1..].iter().any(|byte| !byte.is_ascii_whitespace())
    {
        let column = String::from_utf8_lossy(&text[..at]).chars().count() + 1;
        let finding = Diagnostic::error(Span { column, ..start }, "the lines of this file end with CR alone");
        return Some(finding.help("save it with LF or CRLF at the end of its lines; `tr '\\r' '\\n'` does it"));
    }
    None
}

/// What other tools record conversations in, and the command that reads it: captures of packets, and what browsers save.
fn other_record(text: &[u8]) -> Option<(&'static str, &'static str)> {
    // The magic numbers of pcap in both byte orders, for microseconds and nanoseconds, and of a section of pcapng.
    const CAPTURES: [[u8; 4]; 5] = [
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0x4d, 0x3c, 0xb2, 0xa1],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0x0a, 0x0d, 0x0d, 0x0a],
    ];
    if CAPTURES.iter().any(|magic| text.starts_with(magic)) {
        return Some(("a capture of packets", "sockeye import FILE"));
    }
    let plain = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let inside = plain.strip_prefix(b"{")?.trim_ascii_start();
    let holds = |word: &[u8]| memchr::memmem::find(inside, word).is_some();
    let is_archive = inside.starts_with(b"\"log\"") && holds(b"\"entries\"");
    is_archive.then_some(("what a browser recorded (HAR)", "sockeye import --har FILE"))
}

fn wide(encoding: &str) -> Diagnostic {
    Diagnostic::error(Span { line: 1, column: 1, width: 1 }, format!("the file is {encoding}, and not UTF-8"))
        .help(format!("save it as UTF-8; `iconv -f {encoding} -t UTF-8` does it"))
}

/// The first byte that is not UTF-8.
pub(super) fn not_utf8(text: &[u8], offset: usize) -> Diagnostic {
    let before = &text[..offset];
    let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    Diagnostic::error(Span { line, column, width: 1 }, format!("byte 0x{:02x} is not UTF-8", text[offset]))
        .help("a transcript is UTF-8 text: save it so; write other bytes as {0xff} or on an `S hex:` line")
}

/// A file without a line that is said: played, it would pass against everyone.
pub(super) fn nothing_said(source: &Source) -> Diagnostic {
    let lines =
        (1..).take_while(|number| *number <= source.len()).find(|number| !source.line(*number).trim().is_empty());
    let line = lines.unwrap_or(1);
    let width = source.line(line).chars().count();
    Diagnostic::error(Span { line, column: 1, width }, "nothing is said in this file")
        .help("write what is said, a line each: `C: text` for the client, `S: text` for the server")
}

#[cfg(test)]
mod tests {
    use super::{not_text, not_utf8, nothing_said};
    use crate::diagnostic::Source;

    fn told(text: &[u8]) -> String {
        not_text(text).map_or_else(String::new, |finding| finding.message)
    }

    #[test]
    fn a_file_in_another_encoding_is_told_by_its_mark_or_by_where_its_zeros_stand() {
        for (text, message) in [
            (&b"\xff\xfe\0\0C\0\0\0"[..], "the file is UTF-32, and not UTF-8"),
            (b"\xff\xfeC\0:\0", "the file is UTF-16, and not UTF-8"),
            (b"C\0:\0 \0a\0", "the file is UTF-16LE, and not UTF-8"),
            (b"\0C\0:\0 \0a", "the file is UTF-16BE, and not UTF-8"),
            // Letters of other scripts have a byte that is no zero; most of a transcript has none of them.
            (b"C\0:\0 \0\x36\x04", "the file is UTF-16LE, and not UTF-8"),
            ("C: h\u{e9}\n".as_bytes(), ""),
            (b"C: a", ""),
        ] {
            assert_eq!(told(text), message, "{text:?}");
        }
    }

    #[test]
    fn what_other_tools_record_is_told_as_what_it_is() {
        for text in [
            &b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0"[..],
            b"\xa1\xb2\xc3\xd4\0\x02\0\x04\0\0\0\0",
            b"\x4d\x3c\xb2\xa1\x02\0\x04\0",
            b"\n\r\r\n\x1c\0\0\0M<+\x1a",
        ] {
            assert_eq!(told(text), "this is a capture of packets, and no transcript", "{text:?}");
        }
        for text in ["{\"log\":{\"version\":\"1.2\",\"entries\":[]}}", "\u{feff}{\n  \"log\": {\n \"entries\": [\n"] {
            assert_eq!(told(text.as_bytes()), "this is what a browser recorded (HAR), and no transcript", "{text:?}");
        }
        for text in ["{\"a\": 1}\n", "C: {\"log\":{\"entries\":[]}}\n", "\n\nC: a\n", "{\"log\": 1}\n"] {
            assert_eq!(told(text.as_bytes()), "", "{text:?}");
        }
    }

    #[test]
    fn zeros_on_both_sides_of_a_pair_of_bytes_are_no_letters() {
        for text in [&b"\0\0\0\0"[..], b"\0\0a\0", b"\0a\0\0", b"\0\0\0\0\0\0\0\x01"] {
            assert_eq!(told(text), "", "{text:?}");
        }
        for text in [&b"\0\0\xff\0"[..], b"\0\xff\0\0", b"\0\0\0\0\0\0\0\xff"] {
            assert_eq!(told(text), "this is not text: it holds zero bytes", "{text:?}");
        }
    }

    #[test]
    fn three_letters_in_four_that_have_a_zero_are_another_encoding_and_fewer_are_text_with_zeros() {
        // No more than the first 64 bytes tell.
        for (pairs, zeros, told_low, told_high) in [
            (32, 24, "the file is UTF-16LE, and not UTF-8", "the file is UTF-16BE, and not UTF-8"),
            (32, 23, "", ""),
            (32, 8, "", ""),
            (8, 6, "the file is UTF-16LE, and not UTF-8", "the file is UTF-16BE, and not UTF-8"),
            (8, 5, "", ""),
            (4, 3, "the file is UTF-16LE, and not UTF-8", "the file is UTF-16BE, and not UTF-8"),
            (4, 2, "", ""),
            (2, 1, "the file is UTF-16LE, and not UTF-8", "the file is UTF-16BE, and not UTF-8"),
            (1, 1, "", ""),
        ] {
            let high = |index| if index < zeros { 0 } else { b'b' };
            let low: Vec<u8> = (0..pairs).flat_map(|index| [b'a', high(index)]).collect();
            let other: Vec<u8> = (0..pairs).flat_map(|index| [high(index), b'a']).collect();
            assert_eq!((told(&low).as_str(), told(&other).as_str()), (told_low, told_high), "{zeros} of {pairs}");
            let behind = [&low[..], &vec![0; 64][..]].concat();
            if pairs == 32 {
                assert_eq!(told(&behind), told_low, "{zeros} of {pairs} and more behind them");
            }
        }
    }

    #[test]
    fn lines_that_end_with_cr_alone_are_told_where_the_first_one_ends() {
        let column = |text: &[u8]| not_text(text).map(|finding| finding.column);
        for (text, expected) in [
            (&b"C: a\rS: b\r"[..], Some(5)),
            ("C: \u{e9}\rS: b".as_bytes(), Some(5)),
            (b"\rC: a", Some(1)),
            // One at the very end is of a line whose LF is missing.
            (b"C: a\r", None),
            (b"C: a\r \r\t", None),
            (b"C: a\rb\n", None),
        ] {
            assert_eq!(column(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_byte_that_is_no_text_is_told_with_its_line_and_column() {
        for (text, offset, line, column) in [
            (&b"\xff"[..], 0, 1, 1),
            (b"C: \xe9", 3, 1, 4),
            (b"C: a\n\xfe", 5, 2, 1),
            (b"C: a\n\nS: \xc3\xa9 \xff\n", 12, 3, 6),
        ] {
            let finding = not_utf8(text, offset);
            assert_eq!((finding.line, finding.column), (line, column), "{text:?}");
            assert!(finding.message.contains(&format!("byte 0x{:02x} is not UTF-8", text[offset])), "{finding:?}");
        }
    }

    #[test]
    fn that_nothing_is_said_is_told_at_the_first_line_that_is_not_blank() {
        for (text, line, width) in
            [("", 1, 1), ("\n\n", 1, 1), ("# a\n", 1, 3), ("\n \n# only\n\n", 3, 6), ("\r\n\teol crlf\n", 2, 9)]
        {
            let finding = nothing_said(&Source::new("x", text));
            assert_eq!((finding.line, finding.column, finding.width), (line, 1, width), "{text:?}");
        }
    }
}
