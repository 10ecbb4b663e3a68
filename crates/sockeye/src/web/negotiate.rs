//! What a client would rather have (RFC 9110, section 12).

use super::pack::Coding;
use crate::wire::http::fields::{Value, members};

/// How it takes an answer packed, unless it says that it likes the plain one better. Brotli goes first where both are
/// liked the same, and only to who names it: who takes anything has gzip in mind.
pub(crate) fn coding(accept_encoding: &Value<'_>) -> Option<Coding> {
    codings(accept_encoding)[0]
}

/// All that it takes, the one that it likes best first.
pub(crate) fn codings(accept_encoding: &Value<'_>) -> [Option<Coding>; 2] {
    if accept_encoding.is_none() {
        return [None; 2];
    }
    let any = weight(accept_encoding, b"*").unwrap_or(0);
    let gzip = weight(accept_encoding, b"gzip").or_else(|| weight(accept_encoding, b"x-gzip")).unwrap_or(any);
    let brotli = weight(accept_encoding, b"br").unwrap_or(0);
    let least = weight(accept_encoding, b"identity").unwrap_or(0).max(1);
    let taken = |weight: u16, coding| (weight >= least).then_some(coding);
    let (brotli_is_taken, gzip_is_taken) = (taken(brotli, Coding::Brotli), taken(gzip, Coding::Gzip));
    match brotli >= gzip {
        true => [brotli_is_taken, gzip_is_taken],
        false => [gzip_is_taken, brotli_is_taken],
    }
}

/// Whether it asks for JSON by name, and for that more than for HTML.
pub(crate) fn wants_json(accept: &Value<'_>) -> bool {
    weight(accept, b"application/json").unwrap_or(0) > weight(accept, b"text/html").unwrap_or(0)
}

/// Whether it names HTML among what it takes, as browsers do where a person goes to a page, and not where a page loads a
/// script, a picture or data.
pub(crate) fn wants_page(accept: &Value<'_>) -> bool {
    [b"text/html".as_slice(), b"application/xhtml+xml"].iter().any(|name| weight(accept, name).unwrap_or(0) > 0)
}

/// The weight of a member in thousandths (RFC 9110, section 12.4.2), nothing where it is not named.
fn weight(list: &Value<'_>, name: &[u8]) -> Option<u16> {
    members(list).find_map(|member| {
        let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        if !parts.next().is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return None;
        }
        let written = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
        Some(written.map_or(1000, thousandths))
    })
}

/// `1`, `0.5`, `0.001`; what is none of this weighs nothing.
fn thousandths(text: &[u8]) -> u16 {
    let (whole, fraction) = match text {
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        [whole] => (*whole, [].as_slice()),
        _ => return 0,
    };
    if !fraction.iter().all(u8::is_ascii_digit) || !matches!(whole, b'0' | b'1') {
        return 0;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |digit| u16::from(digit - b'0'));
    (u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2)).min(1000)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn packing_is_done_for_those_who_take_it() {
        use Coding::{Brotli, Gzip};
        for (value, takes) in [
            ("gzip", Some(Gzip)),
            ("deflate, GZIP;q=1.0, *;q=0.5", Some(Gzip)),
            ("gzip, deflate", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("br", Some(Brotli)),
            ("BR;q=0.5, gzip;q=0.5", Some(Brotli)),
            ("br;q=0.5, gzip", Some(Gzip)),
            ("br;q=0, gzip", Some(Gzip)),
            ("br;q=0.5, gzip;q=0", Some(Brotli)),
            ("*", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip;q=0.001", Some(Gzip)),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
            ("identity, br;q=0.9, gzip;q=0.5", None),
            ("", None),
            ("zstd", None),
            ("gzip;q=0", None),
            ("gzip; q=0.000", None),
            ("gzip;q=0, *", None),
            ("*;q=0", None),
            ("identity, gzip;q=0.5", None),
            ("gzip;q=x", None),
            ("xgzip", None),
        ] {
            assert_eq!(coding(&Some(Cow::Borrowed(value.as_bytes()))), takes, "{value}");
        }
        assert_eq!(coding(&None), None);
    }

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (value, wants) in [
            ("application/json", true),
            ("application/json, text/plain, */*", true),
            ("text/html;q=0.5, application/json", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("application/json;q=0.5, text/html", false),
            ("*/*", false),
            ("application/json;q=0", false),
        ] {
            assert_eq!(wants_json(&Some(Cow::Borrowed(value.as_bytes()))), wants, "{value}");
        }
    }
}
