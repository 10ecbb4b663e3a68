//! What will be another thing the next time becomes a hole, with what it was as its default: dates, ids, digests. So a record that is
//! exact becomes a transcript that a real peer can play. It works on records as [`crate::record`] writes them.
//!
//! ```
//! use transcript::import::with_holes;
//!
//! let exact = "eol crlf\nS: Date: Sat, 28 Nov 2026 15:31:20 GMT\nS: Server: x\n";
//! let open = "eol crlf\n# a date\nS: Date: {_=Sat, 28 Nov 2026 15:31:20 GMT}\nS: Server: x\n";
//! assert_eq!(with_holes(exact), open);
//! ```

mod dns;
mod finder;

use std::collections::HashMap;
use std::ops::Range;

use finder::{Finder, Kind};

/// Shortest value that is looked for in what is said later.
const SHORTEST: usize = 8;
/// Values that are looked for, at most.
const MOST: usize = 10_000;

/// A statement of one side that has text.
struct Line<'a> {
    head: &'a str,
    payload: &'a str,
    is_raw: bool,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let end = ["C: ", "S: ", "C raw: ", "S raw: "].into_iter().find(|head| line.starts_with(head))?.len();
        let (head, payload) = line.split_at(end);
        Some(Self { head, payload, is_raw: end > 3 })
    }
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Text(&'a str),
    /// A value where it is said first, or nowhere else.
    First(&'a str, Kind),
    /// One that was said before, by its name.
    Again(&'a str, String),
}

/// Makes holes of what will be another thing the next time, each with a comment above its line.
#[must_use]
pub fn with_holes(exact: &str) -> String {
    let Some(finder) = Finder::new() else { return exact.to_owned() };
    let mut names = Names::of(exact, &finder);
    let mut text = String::with_capacity(exact.len());
    let lines: Vec<&str> = exact.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let Some(said) = Line::of(line) else {
            match dns::asked(&lines[at..], &mut names) {
                Some((both, count)) => {
                    text += &format!("# the id of the question, which comes back\n{both}");
                    at += count;
                }
                None => {
                    text += line;
                    text.push('\n');
                    at += 1;
                }
            }
            continue;
        };
        at += 1;
        let parts = holes_that_end(names.parts(said.payload, &finder), said.is_raw);
        let mut remarks: Vec<String> = vec![];
        let mut written = said.head.to_owned();
        for part in &parts {
            if !matches!(part, Token::Text(_)) {
                show_sign(&mut written);
            }
            match part {
                Token::Text(plain) => written += plain,
                Token::Again(_, name) => written += &format!("{{{name}}}"),
                Token::First(value, kind) => {
                    let name = names.begin(value, *kind);
                    let length = if said.is_raw { format!(":{} bytes", value.len()) } else { String::new() };
                    written += &format!("{{{}{length}={value}}}", name.as_deref().unwrap_or("_"));
                    let again = name.map_or_else(String::new, |name| format!(", which comes again as {{{name}}}"));
                    remarks.push(kind.words(value.len()) + &again);
                }
            }
        }
        if !remarks.is_empty() {
            remarks.dedup();
            text += &format!("# {}\n", remarks.join("; "));
        }
        text += &written;
        text.push('\n');
    }
    text
}

/// A sign that would look like a part of the hole behind it is written in its digits: `%{x}` is something else in other languages.
fn show_sign(written: &mut String) {
    if let Some(sign) = written.chars().next_back().filter(|sign| matches!(sign, '$' | '%' | '\\' | '{')) {
        written.pop();
        *written += &format!("{{0x{:02x}}}", sign as u32);
    }
}

/// The values that are said more than once, and their names.
#[derive(Debug, Default)]
struct Names {
    /// How often each is said, and its name once that was.
    values: HashMap<String, (usize, Option<String>)>,
    counts: HashMap<&'static str, usize>,
}

impl Names {
    fn of(exact: &str, finder: &Finder) -> Self {
        let mut names = Self::default();
        for line in exact.lines().filter_map(Line::of) {
            for (range, kind) in finder.find(line.payload) {
                let value = &line.payload[range];
                if kind.is_said_again() && value.len() >= SHORTEST && names.values.len() < MOST {
                    names.values.entry(value.to_owned()).or_insert((0, None));
                }
            }
        }
        if names.values.is_empty() {
            return names;
        }
        // They may stand where nothing tells what they are.
        for line in exact.lines().filter_map(Line::of) {
            for word in words(line.payload) {
                if let Some((count, _)) = names.values.get_mut(&line.payload[word]) {
                    *count += 1;
                }
            }
        }
        names
    }

    /// A name for a value, if it is said again.
    fn begin(&mut self, value: &str, kind: Kind) -> Option<String> {
        if !matches!(self.values.get(value), Some((2.., None))) || !kind.is_said_again() {
            return None;
        }
        let name = self.fresh(if kind == Kind::Digest { "digest" } else { "id" });
        if let Some((_, place)) = self.values.get_mut(value) {
            *place = Some(name.clone());
        }
        Some(name)
    }

    fn fresh(&mut self, stem: &'static str) -> String {
        let count = self.counts.entry(stem).or_default();
        *count += 1;
        if *count == 1 { stem.to_owned() } else { format!("{stem}{count}") }
    }

    fn parts<'a>(&self, payload: &'a str, finder: &Finder) -> Vec<Token<'a>> {
        let known = words(payload).filter_map(|range| match self.values.get(&payload[range.clone()]) {
            Some((_, Some(name))) => Some((range, name)),
            _ => None,
        });
        let again = |range: &Range<usize>, name: &String| Token::Again(&payload[range.clone()], name.clone());
        let mut marks: Vec<(Range<usize>, Token<'a>)> =
            known.map(|(range, name)| (range.clone(), again(&range, name))).collect();
        for (range, kind) in finder.find(payload) {
            if marks.iter().all(|(other, _)| range.end <= other.start || other.end <= range.start) {
                marks.push((range.clone(), Token::First(&payload[range], kind)));
            }
        }
        marks.sort_by_key(|(range, _)| range.start);
        let (mut parts, mut at) = (vec![], 0);
        for (range, mark) in marks {
            if range.start > at {
                parts.push(Token::Text(&payload[at..range.start]));
            }
            parts.push(mark);
            at = range.end;
        }
        if at < payload.len() {
            parts.push(Token::Text(&payload[at..]));
        }
        parts
    }
}

/// The words that a value may be, in a payload: with and without what may stand around it.
fn words(payload: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+/._~@%=$-".contains(&byte);
    let bytes = payload.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_part(bytes[at]) {
            at += 1;
        }
        let begins = at;
        while at < bytes.len() && is_part(bytes[at]) {
            at += 1;
        }
        (at > begins).then_some(begins..at)
    })
    .flat_map(|word| {
        // Behind the name of a field too: `sid=abc`.
        let inner = payload[word.clone()].find('=').map(|equals| word.start + equals + 1..word.end);
        let inner = inner.filter(|inner| inner.len() >= SHORTEST);
        [Some(word), inner].into_iter().flatten()
    })
}

/// Holes that are heard again as they were said: each ends where the text behind it stands for the first time.
fn holes_that_end(parts: Vec<Token<'_>>, is_raw: bool) -> Vec<Token<'_>> {
    if is_raw {
        return parts;
    }
    let mut tokens: Vec<Token<'_>> = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        let Token::First(value, _) = part else {
            tokens.push(part.clone());
            continue;
        };
        let behind = match parts.get(at + 1) {
            Some(Token::Text(text)) => Some(*text),
            Some(_) => None,
            None => Some(""),
        };
        // The last text of a line is looked for from its end.
        let is_last = at + 2 >= parts.len();
        let is_found = behind.is_some_and(|text| is_last || format!("{value}{text}").find(text) == Some(value.len()));
        let is_beside = matches!(tokens.last(), Some(Token::First(..) | Token::Again(..)));
        tokens.push(if is_found && !is_beside { part.clone() } else { Token::Text(value) });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::rehearse;
    use crate::{Carrier, PlayOptions, Script, Side, Transcript};

    /// The file with holes, which plays from both ends and says what the exact one says.
    fn open(exact: &str) -> String {
        let open = with_holes(exact);
        for text in [exact, &open] {
            let transcript = Transcript::parse("x", text.as_bytes(), &[]).unwrap_or_else(|why| panic!("{why}\n{text}"));
            let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).unwrap();
            let (client, server) = (prepare(Side::Client), prepare(Side::Server));
            let both = rehearse(&client, &server, |all| all);
            assert!(both.client.is_success() && both.server.is_success(), "{text}");
        }
        open
    }

    #[test]
    fn the_expressions_are_right() {
        assert!(Finder::new().is_some());
    }

    #[test]
    fn dates_are_holes_however_they_are_written() {
        for date in [
            "Sat, 28 Nov 2026 15:31:20 GMT",
            "Saturday",
            "Sat, 28 Nov 2026 15:31:20 +0000",
            "Sat Nov 28 15:31:20 2026",
            "Sat Nov  8 15:31:20 UTC 2026",
            "28-Nov-2026 15:31:20 +0100",
            "28/Nov/2026:15:31:20 +0000",
            "2026-11-28T15:31:20Z",
            "2026-11-28 15:31:20.123456",
            "2026-11-28T15:31:20.123+01:00",
            "Nov 28 15:31:20",
            "2026-11-28",
            "15:31:20",
        ] {
            let is_one = date != "Saturday";
            for (before, behind) in [("", ""), ("Date: ", ""), ("[", "] x"), ("at ", ", or so"), ("<p>", "</p>")] {
                let line = format!("S: {before}{date}{behind}\n");
                let expected = format!("# a date\nS: {before}{{_={date}}}{behind}\n");
                assert_eq!(open(&line), if is_one { expected } else { line });
            }
        }
        assert_eq!(
            open("S: UIDVALIDITY 1795879880]\n"),
            "# a time, counted since 1970\nS: UIDVALIDITY {_=1795879880}]\n"
        );
        let took = "# how long it took\nS: OK Fetch completed ({_=0.003 + 0.000 + 0.002 secs}).\n";
        assert_eq!(open("S: OK Fetch completed (0.003 + 0.000 + 0.002 secs).\n"), took);
        assert_eq!(open("S: done in 12.5ms\n"), "# how long it took\nS: done in {_=12.5ms}\n");
        assert_eq!(open("S: 2026-11-28 and 15:31:20 too\n"), "# a date\nS: {_=2026-11-28} and {_=15:31:20} too\n");
    }

    #[test]
    fn ids_and_digests_are_holes_and_have_a_name_where_they_come_again() {
        let exact = "eol crlf\n\
            C: X-Request-ID: 0b9ff4a2-1c2d-4e5f-8a9b-0c1d2e3f4a5b\n\
            S: Set-Cookie: sid=k3J9xQ2mP7; Path=/\n\
            S: X-Request-ID: 0b9ff4a2-1c2d-4e5f-8a9b-0c1d2e3f4a5b\n\
            S: ETag: \"6b0b2e9d-c\"\n\
            S: Content-MD5: 9e107d9d372bb6826bd81d3542a419d6\n\
            C: Cookie: sid=k3J9xQ2mP7\n\
            C: If-None-Match: \"6b0b2e9d-c\"\n";
        let expected = "eol crlf\n\
            # a UUID, which comes again as {id}\n\
            C: X-Request-ID: {id=0b9ff4a2-1c2d-4e5f-8a9b-0c1d2e3f4a5b}\n\
            # an id, which comes again as {id2}\n\
            S: Set-Cookie: sid={id2=k3J9xQ2mP7}; Path=/\n\
            S: X-Request-ID: {id}\n\
            # an id, which comes again as {id3}\n\
            S: ETag: \"{id3=6b0b2e9d-c}\"\n\
            # an id, or a digest as long as MD5\n\
            S: Content-MD5: {_=9e107d9d372bb6826bd81d3542a419d6}\n\
            C: Cookie: sid={id2}\n\
            C: If-None-Match: \"{id3}\"\n";
        assert_eq!(open(exact), expected);
        for (exact, hole) in [
            ("S: +OK ready <1896.697170952@dbc.mtview.ca.us>\n", "<{_=1896.697170952@dbc.mtview.ca.us}>"),
            ("S: 250 2.0.0 Ok: queued as 4F2A1B3C5D\n", "queued as {_=4F2A1B3C5D}"),
            (
                "S: run_id:f3d2b1a09c8e7d6f5a4b3c2d1e0f9a8b7c6d5e4f\n",
                "run_id:{_=f3d2b1a09c8e7d6f5a4b3c2d1e0f9a8b7c6d5e4f}",
            ),
            ("C: Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", "Key: {_=dGhlIHNhbXBsZSBub25jZQ==}"),
        ] {
            assert!(open(exact).contains(hole), "{}", open(exact));
        }
    }

    #[test]
    fn what_people_wrote_stays_as_it_is() {
        let exact = "C: GET /static/application-bootstrap-production.js HTTP/1.1\nC: Host: 127.0.0.1:26080\n\
            C: User-Agent: curl/7.88.1\nC: Accept: */*\nS: Content-Length: 1500000\nS: 250-AUTH PLAIN LOGIN CRAM-MD5\n\
            S: * OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+] ready\nS: 1600 words and 200 more\n\
            S: {\"answer\": 42, \"name\": \"supercalifragilisticexpialidocious\"}\nS: call 555-0123 or visit http://a.example/b/c/d/e/f/g\n";
        assert_eq!(open(exact), exact);
    }

    #[test]
    fn in_raw_messages_a_hole_has_its_length() {
        let exact = "S raw: {\"at\":\"2026-11-28T15:31:20Z\",\"id\":\"0b9ff4a2-1c2d-4e5f-8a9b-0c1d2e3f4a5b\"}{0x0a}\nS closes\n";
        let open = open(exact);
        assert!(open.contains("\"at\":\"{_:20 bytes=2026-11-28T15:31:20Z}\",\"id\":\"{_:36 bytes=0b9ff4a2-"), "{open}");
    }

    #[test]
    fn a_sign_that_is_no_part_of_the_hole_behind_it_is_written_in_digits() {
        for (sign, digits) in [("$", "24"), ("%", "25"), ("\\", "5c")] {
            let text = open(&format!("S: id {sign}9e107d9d372bb6826bd81d3542a419d6\n"));
            assert!(text.ends_with(&format!("S: id {{0x{digits}}}{{_=9e107d9d372bb6826bd81d3542a419d6}}\n")), "{text}");
        }
    }

    #[test]
    fn a_hole_that_would_not_be_heard_again_is_none() {
        // The text between two holes stands in the first of them too.
        let text = open("S: 2026-11-28 15:31:20 15:31:21 x\n");
        assert!(text.ends_with("S: 2026-11-28 15:31:20 {_=15:31:21} x\n"), "{text}");
    }

    #[test]
    fn the_id_of_a_question_to_a_name_server_comes_back() {
        let rest = "85 80 00 01 00 01 00 00 00 00 01 61 00 00 01 00 01";
        let exact =
            format!("eol none\nC hex: be ef 01 00 00 01 00 00 00 00 00 00 01 61 00 00 01 00 01\nS hex: be ef {rest}\n");
        let expected = format!(
            "eol none\n# the id of the question, which comes back\n\
            C hex: {{id:2 bytes=beef}} 01 00 00 01 00 00 00 00 00 00 01 61 00 00 01 00 01\nS hex: {{id}} {rest}\n"
        );
        assert_eq!(with_holes(&exact), expected);
        let stream = exact.replace("be ef", "00 13 be ef");
        assert_eq!(with_holes(&stream), expected.replace("{id", "00 13 {id"));
        // Another id is another question.
        let other = exact.replace("S hex: be", "S hex: bf");
        assert_eq!(with_holes(&other), other);
    }

    #[test]
    fn a_byte_that_ends_a_line_of_a_record_hides_no_id() {
        // In the id, in the length before it, in the length of a label behind it, in the address of the answer.
        let asks = "01 00 00 01 00 00 00 00 00 00";
        let answers = "85 80 00 01 00 01 00 00 00 00";
        for (length, id, label) in [("00 13", "be 0a", "01"), ("00 13", "0a 0a", "01"), ("00 0a", "be ef", "0a")] {
            let behind = format!("{label} 61 00 00 01 00 01 00 00");
            let exact = format!(
                "eol none\nC hex: {length} {id} {asks} {behind}\nS hex: {length} {id} {answers} {behind} 0a 01 02\n"
            );
            let hole = format!("{{id:2 bytes={}}}", id.replace(' ', ""));
            let expected = exact
                .replace(&format!("C hex: {length} {id}"), &format!("C hex: {length} {hole}"))
                .replace(&format!("S hex: {length} {id}"), &format!("S hex: {length} {{id}}"));
            let cut = |text: &str| text.replace(" 0a ", " 0a\nC hex: ");
            let lines: Vec<String> = exact
                .lines()
                .map(|line| cut(line).replace("\nC hex: ", &format!("\n{}", line.get(..7).unwrap_or_default())))
                .collect();
            let open = open(&format!("{}\n", lines.join("\n")));
            // The same bytes, whatever lines they stand in.
            let joined = |text: &str| {
                let text = text.replace("# the id of the question, which comes back\n", "");
                ["C hex: ", "S hex: "].iter().fold(text, |text, head| text.replace(&format!(" 0a\n{head}"), " 0a "))
            };
            assert_eq!(joined(&open), expected, "{open}");
        }
    }

    #[test]
    fn a_short_value_or_a_date_has_no_name_though_it_comes_again() {
        for (value, before, name) in [
            ("4F2A1B", "queued as ", None),
            ("4F2A1B3", "queued as ", None),
            ("4F2A1B3C", "queued as ", Some("id")),
            ("9e107d9d372bb6826bd81d3542a419d6", "sum ", Some("digest")),
            ("2026-11-28T15:31:20Z", "at ", None),
            ("1795879880", "at ", None),
        ] {
            let text = open(&format!("S: {before}{value}\nC: see {value}\n"));
            let first = format!("S: {before}{{{}={value}}}\n", name.unwrap_or("_"));
            assert!(text.contains(&first), "{text}");
            let again = name.map_or_else(String::new, |name| format!("C: see {{{name}}}\n"));
            assert!(text.ends_with(&again), "{text}");
            assert_eq!(text.contains(", which comes again as {"), name.is_some(), "{text}");
        }
    }
}
