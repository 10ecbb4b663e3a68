//! Text of others in places where some of its characters would mean something: HTML, URLs, JSON, log lines.

use std::io::Write;

use transcript::is_hidden;

/// Percent-encodes a name as one segment of a URL: all but the characters that never need it (RFC 3986, section 2.3). No
/// colon is left in which a browser could see a scheme.
pub(crate) fn push_encoded(out: &mut Vec<u8>, name: &[u8]) {
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Copies a query that came in a request's target. What is not visible ASCII is encoded: a field could not hold it.
pub(crate) fn push_query(out: &mut Vec<u8>, query: &str) {
    for byte in query.bytes() {
        if byte.is_ascii_graphic() {
            out.push(byte);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Writes text into HTML, between tags or in a quoted attribute. What would be obeyed or would hide something, and what is
/// no UTF-8, is shown in the notation of transcripts: `{0x0a}`.
pub(crate) fn push_html(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '&' => out.extend_from_slice(b"&amp;"),
                '<' => out.extend_from_slice(b"&lt;"),
                '>' => out.extend_from_slice(b"&gt;"),
                '"' => out.extend_from_slice(b"&quot;"),
                '\'' => out.extend_from_slice(b"&#39;"),
                _ => push_shown(out, character),
            }
        }
        push_hex(out, chunk.invalid());
    }
}

fn push_shown(out: &mut Vec<u8>, character: char) {
    let mut room = [0; 4];
    let bytes = character.encode_utf8(&mut room).as_bytes();
    if is_hidden(character) { push_hex(out, bytes) } else { out.extend_from_slice(bytes) }
}

fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.extend_from_slice(b"{0x");
        for byte in bytes {
            let _ = write!(out, "{byte:02x}");
        }
        out.push(b'}');
    }
}

/// Writes text into a line whose parts stand in quotes, as Apache's server does: printable ASCII stays, all else is `\xhh`.
pub(crate) fn push_quoted(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(push: fn(&mut Vec<u8>, &[u8]), text: &[u8]) -> String {
        let mut out = vec![];
        push(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_means_anything_where_it_is_written() {
        let text = "<a href=\"x\" b='&'>\n\u{202e}ü\\".as_bytes();
        assert_eq!(made(push_html, text), "&lt;a href=&quot;x&quot; b=&#39;&amp;&#39;&gt;{0x0a}{0xe280ae}ü\\");
        assert_eq!(made(push_quoted, text), "<a href=\\\"x\\\" b='&'>\\x0a\\xe2\\x80\\xae\\xc3\\xbc\\\\");
        assert_eq!(made(push_encoded, b"javascript:a(1)//.\xff"), "javascript%3Aa%281%29%2F%2F.%FF");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_bytes() {
        assert_eq!(made(push_html, b"a\xc0\xafb"), "a{0xc0}{0xaf}b");
    }
}
