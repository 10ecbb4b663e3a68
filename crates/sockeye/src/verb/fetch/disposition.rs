//! The name that a server offers for a file (Content-Disposition, RFC 6266; RFC 8187 for names beyond ASCII).

use super::Head;
use crate::wire::http::percent_decoded;

/// The name as it is offered, which may be anything: it is made harmless before a file has it.
pub(super) fn file_name(head: &Head) -> Option<String> {
    head.every("content-disposition").find_map(|field| {
        let parameters = parameters(field);
        let of = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        // The extended form is better where there are both (section 4.3).
        let extended = of("filename*").and_then(|value| extended(value));
        extended.or_else(|| of("filename").map(|value| plain(value))).filter(|name| !name.is_empty())
    })
}

/// Names in small letters, and values without their quotes.
fn parameters(field: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = field;
    let mut found = Vec::new();
    // What stands before the first semicolon is how it is to be shown: a name counts in any case.
    while let Some(at) = end_of_part(rest) {
        rest = &rest[at + 1..];
        let part = &rest[..end_of_part(rest).unwrap_or(rest.len())];
        let Some(equals) = part.iter().position(|&byte| byte == b'=') else { continue };
        let name = String::from_utf8_lossy(part[..equals].trim_ascii()).to_ascii_lowercase();
        found.push((name, unquoted(part[equals + 1..].trim_ascii())));
    }
    // Some leave out the kind: `filename=x`.
    if found.is_empty()
        && let Some(equals) = field.iter().position(|&byte| byte == b'=')
    {
        let name = String::from_utf8_lossy(field[..equals].trim_ascii()).to_ascii_lowercase();
        found.push((name, unquoted(field[equals + 1..].trim_ascii())));
    }
    found
}

/// Where the next semicolon stands outside of quotes.
fn end_of_part(text: &[u8]) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(inner) = value.strip_prefix(b"\"") else { return value.to_vec() };
    let mut text = Vec::new();
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => text.extend(bytes.next()),
            other => text.push(other),
        }
    }
    text
}

/// `UTF-8''na%C3%AFve.txt`.
fn extended(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let (charset, rest) = text.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    let bytes = percent_decoded(encoded);
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" | "" => String::from_utf8(bytes).ok(),
        "iso-8859-1" | "latin1" => Some(latin1(&bytes)),
        _ => None,
    }
}

/// UTF-8, or else one byte a character as HTTP/1 once had it. Many encode percents here too, as browsers take it.
fn plain(value: &[u8]) -> String {
    let decoded = match std::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => String::from_utf8(percent_decoded(text)).unwrap_or_else(|_| text.to_owned()),
        Ok(text) => text.to_owned(),
        Err(_) => latin1(value),
    };
    decoded.trim().to_owned()
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_every_form_that_servers_write() {
        for (field, expected) in [
            ("attachment; filename=x.txt", Some("x.txt")),
            ("attachment; filename=\"a b;c.txt\"", Some("a b;c.txt")),
            ("inline; FileName=\"a\\\"b\"", Some("a\"b")),
            ("attachment; filename=\"x.txt\"; filename*=UTF-8''%e2%82%ac%20rates", Some("€ rates")),
            ("attachment; filename*=utf-8'en'na%C3%AFve.txt; filename=x", Some("naïve.txt")),
            ("attachment; filename*=iso-8859-1''%A3.txt", Some("£.txt")),
            ("attachment; filename*=koi8-r''%C1; filename=x", Some("x")),
            ("attachment; filename*=UTF-8''%ff; filename=x", Some("x")),
            ("attachment;filename = x ;size=3", Some("x")),
            ("filename=x", Some("x")),
            ("attachment; filename=\"a%20b\"", Some("a b")),
            ("attachment; filename=\"not closed", Some("not closed")),
            ("attachment; filename=\"../../etc/passwd\"", Some("../../etc/passwd")),
            ("attachment; filename=", None),
            ("attachment", None),
            ("", None),
        ] {
            let head = Head::parse(format!("HTTP/1.1 200 OK\r\nContent-Disposition: {field}\r\n\r\n").as_bytes());
            assert_eq!(file_name(&head.unwrap()).as_deref(), expected, "{field}");
        }
    }
}
