//! Single lines of a printed page: who they are marked as said by, and which are the page's own.

use std::collections::HashMap;

use super::clean::{behind_prefix, has_mark_inside, without_bom, without_colours};
use super::label::is_letter;
use crate::number::is_digits;
use crate::side::Side;

/// Whom a line is marked as said by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// `C:`, `Client:`, `[C]`.
    C,
    /// `S:`, `Server:`, `[S]`.
    S,
    /// `R:`, as RFC 821 has it.
    R,
    /// `I:`, the initiator beside `R:`, the responder.
    I,
    /// `C->S:`, `C->M:`, `F1 INVITE Alice -> Bob`; unmarked lines may follow under it.
    Arrow { from: Party, to: Party },
    /// `C & S:`.
    Both,
}

impl Marker {
    pub(super) fn is_arrow(self) -> bool {
        matches!(self, Self::Arrow { .. })
    }
}

/// One of those that a page has arrows between: its number in [`Parties`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Party(usize);

const CLIENT: Party = Party(0);
const SERVER: Party = Party(1);

/// Those that a page has arrows between, by name.
#[derive(Debug, Default)]
pub(super) struct Parties(HashMap<String, usize>);

impl Parties {
    /// The one of that name, if there are arrows to or from it.
    pub(super) fn find(&self, name: &str) -> Option<Party> {
        match name.to_ascii_lowercase().as_str() {
            "c" | "client" => Some(CLIENT),
            "s" | "server" => Some(SERVER),
            lower => Some(Party(*self.0.get(lower)?)),
        }
    }

    fn named(&mut self, name: &str) -> Party {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "c" | "client" => CLIENT,
            "s" | "server" => SERVER,
            _ => {
                // The client and the server have the first two numbers.
                let next = self.0.len() + 2;
                Party(*self.0.entry(lower).or_insert(next))
            }
        }
    }
}

/// What the marks of a session mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Who is the client of those with arrows between them.
    ClientServer(Party),
    /// RFC 821: the sender is the client, and its letter is S.
    SenderReceiver,
    /// The initiator is the client, and R the responder.
    InitiatorResponder,
}

impl Scheme {
    pub(super) fn of<'a>(said: impl Iterator<Item = (Marker, &'a str)>) -> Self {
        let (mut first, mut receives, mut initiates, mut sends) = (None, false, false, false);
        for (marker, said) in said {
            match marker {
                Marker::R => receives = true,
                Marker::I => initiates = true,
                Marker::S => sends = true,
                Marker::Arrow { from, to } if from == CLIENT || to == CLIENT => first = Some(CLIENT),
                // Who asks first is the client, unless it is called the server; a greeting with a code asks nothing.
                Marker::Arrow { from, to } => {
                    let is_asked = from == SERVER || to != SERVER && is_answer(said.trim());
                    first = first.or(Some(if is_asked { to } else { from }));
                }
                Marker::C | Marker::Both => {}
            }
        }
        if initiates && !sends {
            return Self::InitiatorResponder;
        }
        if receives {
            return Self::SenderReceiver;
        }
        Self::ClientServer(first.unwrap_or(CLIENT))
    }

    /// Whether it had to be guessed who is the client.
    pub(super) fn is_guessed(self) -> bool {
        matches!(self, Self::ClientServer(client) if client != CLIENT)
    }

    /// With how many others the client has arrows.
    pub(super) fn servers(self, markers: impl Iterator<Item = Marker>) -> usize {
        let Self::ClientServer(client) = self else { return 1 };
        let mut servers: Vec<usize> = markers
            .filter_map(|marker| match marker {
                Marker::Arrow { from, to } if from == client => Some(to.0),
                Marker::Arrow { from, to } if to == client => Some(from.0),
                _ => None,
            })
            .collect();
        servers.sort_unstable();
        servers.dedup();
        servers.len()
    }

    /// Who says what is marked so; none if it is neither, or both.
    pub(super) fn side(self, marker: Marker) -> Option<Side> {
        match (marker, self) {
            (Marker::Both, _) => None,
            (Marker::I, Self::InitiatorResponder) => Some(Side::Client),
            (Marker::I, _) => None,
            (Marker::Arrow { from, .. }, Self::ClientServer(client)) if from == client => Some(Side::Client),
            (Marker::Arrow { to, .. }, Self::ClientServer(client)) if to == client => Some(Side::Server),
            (Marker::Arrow { from: CLIENT, .. }, _) => Some(Side::Client),
            (Marker::Arrow { to: CLIENT, .. }, _) => Some(Side::Server),
            (Marker::Arrow { .. }, _) => None,
            (Marker::C, _) | (Marker::S, Self::SenderReceiver) => Some(Side::Client),
            (Marker::S, _) | (Marker::R, _) => Some(Side::Server),
        }
    }
}

/// Whether a line is one that servers say: it begins with a code, or with a word that stands for one.
pub(super) fn is_answer(said: &str) -> bool {
    let is_code = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut words = said.split([' ', '\t', '-']);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match first {
        "+OK" | "+" | "*" => true,
        "" => said.starts_with("-ERR"),
        _ if is_code(first) => true,
        _ if ["HTTP/", "RTSP/", "SIP/"].iter().any(|name| first.starts_with(name)) => is_code(second),
        // IMAP's, behind the tag of the command.
        _ => matches!(second, "OK" | "NO" | "BAD"),
    }
}

/// Every way in which a line is marked without an arrow.
const MARKERS: [(&str, Marker); 25] = [
    ("C & S:", Marker::Both),
    ("S & C:", Marker::Both),
    ("C&S:", Marker::Both),
    ("S&C:", Marker::Both),
    ("C, S:", Marker::Both),
    ("Client to Server:", Marker::C),
    ("Server to Client:", Marker::S),
    ("**C:**", Marker::C),
    ("**S:**", Marker::S),
    ("C\u{ff1a}", Marker::C),
    ("S\u{ff1a}", Marker::S),
    ("[C]:", Marker::C),
    ("[S]:", Marker::S),
    ("[C]", Marker::C),
    ("[S]", Marker::S),
    ("Client (C):", Marker::C),
    ("Server (S):", Marker::S),
    ("Client:", Marker::C),
    ("CLIENT:", Marker::C),
    ("Server:", Marker::S),
    ("SERVER:", Marker::S),
    ("C:", Marker::C),
    ("S:", Marker::S),
    ("R:", Marker::R),
    ("I:", Marker::I),
];

/// The marker of a line without its margin, and what stands behind it.
pub(super) fn marked<'a>(body: &'a str, parties: &mut Parties) -> Option<(Marker, &'a str)> {
    let plain = MARKERS.iter().find_map(|(text, marker)| Some((*text, *marker, body.strip_prefix(text)?)));
    if let Some((text, marker, rest)) = plain {
        // `S:foo`, as EPP has `C:</epp>`; `C:\path` and `S::Name` are words of prose.
        let stands_close = text.len() < 4 && !rest.starts_with(['\\', ':', '/']);
        return (rest.is_empty() || rest.starts_with([' ', '\t']) || stands_close).then_some((marker, rest));
    }
    arrow(body, parties).or_else(|| request(body)).or_else(|| flow(body, parties))
}

/// The same of what stands behind a time, a bullet or a sign of quoting.
pub(super) fn marked_behind<'a>(behind: &'a str, parties: &mut Parties) -> Option<(Marker, &'a str)> {
    if let Some(found) = arrow(behind, parties) {
        return Some(found);
    }
    let (marker, said) = MARKERS.iter().find_map(|(text, marker)| Some((*marker, behind.strip_prefix(text)?)))?;
    (said.is_empty() || said.starts_with([' ', '\t'])).then_some((marker, said))
}

/// `C1:`, `S2:`: one of several clients or servers.
pub(super) fn is_numbered(body: &str) -> bool {
    let number = body.strip_prefix(['C', 'S']).and_then(|rest| rest.split_once(':')).map(|(number, _)| number);
    number.is_some_and(is_digits)
}

/// Every way to print an arrow; whether it points to the left.
const ARROWS: [(&str, bool); 17] = [
    ("-->>", false),
    ("--->", false),
    ("->>", false),
    ("<---", true),
    ("\u{2013}>", false),
    ("⇒", false),
    ("⇐", true),
    ("==>", false),
    ("<==", true),
    ("-->", false),
    ("->", false),
    ("=>", false),
    ("→", false),
    ("<--", true),
    ("<-", true),
    ("<=", true),
    ("←", true),
];

/// `C->S: text`, `M -> C:`, `S<-C:`, `C>S: text`, `[C->S] text`.
fn arrow<'a>(body: &'a str, parties: &mut Parties) -> Option<(Marker, &'a str)> {
    let name_end = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let close = [("[", "]"), ("(", ")")].iter().find(|(open, _)| body.starts_with(open)).map(|(_, close)| *close);
    let inside = if close.is_some() { &body[1..] } else { body };
    let (left, behind) = inside.split_at(name_end(inside));
    // A short one stands close: `C>S:`.
    let short = [('>', false), ('<', true)].into_iter().find(|(sign, _)| {
        behind.strip_prefix(*sign).is_some_and(|right| right.starts_with(|c: char| c.is_ascii_alphabetic()))
    });
    let (back, behind) = match short {
        Some((_, back)) => (back, &behind[1..]),
        None => ARROWS
            .iter()
            .find_map(|(arrow, back)| Some((*back, behind.trim_start().strip_prefix(arrow)?.trim_start())))?,
    };
    let (right, behind) = behind.split_at(name_end(behind));
    let said = match close {
        Some(close) => {
            let said = behind.trim_start().strip_prefix(close)?;
            said.strip_prefix(':').unwrap_or(said)
        }
        None => behind.trim_start().strip_prefix(':')?,
    };
    let is_name = |name: &str| {
        let known = ["c", "s", "client", "server"].contains(&name.to_ascii_lowercase().as_str());
        known || name.starts_with(|c: char| c.is_ascii_uppercase()) && name.len() < 13
    };
    (is_name(left) && is_name(right) && left != right).then(|| {
        let (left, right) = (parties.named(left), parties.named(right));
        let (from, to) = if back { (right, left) } else { (left, right) };
        (Marker::Arrow { from, to }, said)
    })
}

/// `>> Request <<` and `>>Response`, as the RFCs of WebDAV have them.
fn request(body: &str) -> Option<(Marker, &str)> {
    let word = body.strip_prefix(">>")?.trim_matches(['>', '<', ' ', ':']);
    let marker = match word.to_ascii_lowercase().as_str() {
        "request" => Marker::Arrow { from: CLIENT, to: SERVER },
        "response" => Marker::Arrow { from: SERVER, to: CLIENT },
        _ => return None,
    };
    Some((marker, &body[body.len()..]))
}

/// `F1 INVITE Alice -> atlanta.com proxy`, as RFC 3261 has it, or `Alice -> Bob`: the lines stand below.
fn flow<'a>(body: &'a str, parties: &mut Parties) -> Option<(Marker, &'a str)> {
    let spaced = body.replace('\t', " ");
    let (left, right) = spaced.split_once(" -> ").or_else(|| spaced.split_once(" → "))?;
    let left: Vec<&str> = left.split_ascii_whitespace().collect();
    let right: Vec<&str> = right.split_ascii_whitespace().collect();
    let is_numbered = left.first().is_some_and(|word| {
        word.strip_prefix('F').is_some_and(|number| {
            !number.is_empty() && number.trim_end_matches([':', '.', ')']).bytes().all(|byte| byte.is_ascii_digit())
        })
    });
    let words = || left.iter().chain(&right);
    let are_names =
        words().all(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:)".contains(&byte)));
    let is_bare =
        left.len() == 1 && right.len() == 1 && words().all(|word| word.starts_with(|c: char| c.is_ascii_uppercase()));
    if right.is_empty() || right.len() > 2 || !are_names || !(is_numbered && left.len() > 1 || is_bare) {
        return None;
    }
    let name = |words: &[&str]| match words {
        // `atlanta.com proxy` is one, and `OK Alice` is not.
        [.., before, last] if last.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{before} {last}"),
        [.., last] => (*last).to_owned(),
        [] => String::new(),
    };
    let (from, to) = (parties.named(&name(&left)), parties.named(&name(&right)));
    (from != to).then_some((Marker::Arrow { from, to }, &body[body.len()..]))
}

/// What stands for a break between two pages among the lines of a page.
pub(super) const BREAK: &str = "\u{c}";

/// The lines of a page with their numbers, without what the printer added between two pages: the foot with its number,
/// the form feed, the head of the next one, and the empty lines around them, for which [`BREAK`] stands.
pub(super) fn without_pages(page: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut breaking = false;
    let (mut heads, mut head_is_over) = (0, false);
    // A form feed stands on a line of its own, before a line or behind it; one inside a line is said.
    let parts = without_bom(page).lines().enumerate().flat_map(|(at, line)| {
        let whole = without_colours(line);
        let line = whole.trim_matches('\u{c}');
        let breaks = [whole.starts_with('\u{c}'), whole.len() > line.len() && whole.ends_with('\u{c}')];
        let line = with_margin(line.trim_end());
        let line = if line.is_empty() && breaks[0] { None } else { Some(line) };
        let feed = |is_there: bool| is_there.then(|| BREAK.to_owned());
        [feed(breaks[0]), line, feed(breaks[1])].into_iter().flatten().map(move |line| (at, line))
    });
    for (at, line) in parts {
        if is_foot(&line) && !is_marked(line.trim_start()) || line == BREAK {
            if !breaking {
                while lines.last().is_some_and(|(_, line)| line.is_empty()) {
                    lines.pop();
                }
                lines.push((at + 1, BREAK.to_owned()));
            }
            breaking = true;
            (heads, head_is_over) = (0, false);
        } else if breaking && line.is_empty() {
            head_is_over |= heads > 0;
        } else if breaking && !head_is_over && heads < 2 && is_head(&line) {
            heads += 1;
        } else {
            breaking = false;
            lines.push((at + 1, line));
        }
    }
    lines
}

/// A line whose margin has spaces alone, eight for a tab. Tabs further in may be said.
fn with_margin(line: &str) -> String {
    let body = line.trim_start_matches([' ', '\t']);
    format!("{}{body}", line[..line.len() - body.len()].replace('\t', "        "))
}

/// `Myers & Rose                Standards Track                   [Page 19]`, or with the number first, as on pages to the left.
fn is_foot(line: &str) -> bool {
    let last = line.strip_suffix(']').and_then(|line| line.rsplit_once("[Page ")).map(|(_, number)| number);
    let first = line.strip_prefix("[Page ").and_then(|line| line.split_once(']')).map(|(number, _)| number);
    last.or(first).is_some_and(is_digits)
}

/// Whether a mark stands at the beginning of a line, or behind a time, a bullet or a sign of quoting.
pub(super) fn is_marked(body: &str) -> bool {
    marked(body, &mut Parties::default()).is_some()
        || behind_prefix(body).and_then(|behind| marked_behind(behind, &mut Parties::default())).is_some()
}

/// `RFC 1939                          POP3                          May 1996`, in one line or two: what stands at the very
/// beginning of a line behind a page break, and is neither a heading nor said by anybody.
fn is_head(line: &str) -> bool {
    !line.is_empty()
        && !line.starts_with(' ')
        && !is_marked(line)
        && !has_mark_inside(line)
        && !is_letter(line)
        && !super::is_heading(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_marked_with_a_letter_a_word_or_brackets() {
        for (line, marker, said) in [
            ("C: hello", Marker::C, " hello"),
            ("C:", Marker::C, ""),
            ("C:</epp>", Marker::C, "</epp>"),
            ("S:foo", Marker::S, "foo"),
            ("R:foo", Marker::R, "foo"),
            ("I: foo", Marker::I, " foo"),
            ("[C]foo", Marker::C, "foo"),
            ("[S] foo", Marker::S, " foo"),
            ("Client: a", Marker::C, " a"),
            ("SERVER: a", Marker::S, " a"),
            ("C & S: a", Marker::Both, " a"),
            ("S&C: a", Marker::Both, " a"),
            ("C, S:", Marker::Both, ""),
        ] {
            assert_eq!(marked(line, &mut Parties::default()), Some((marker, said)), "{line}");
        }
        for line in ["C:\\path", "S::Name", "R://x", "C&S:foo", "Client:foo", "Server:/x", "c: x", "X: x", "hello", ""]
        {
            assert_eq!(marked(line, &mut Parties::default()), None, "{line}");
        }
    }

    #[test]
    fn requests_and_responses_are_announced_by_a_line_between_arrows() {
        let (asks, answers) = (Marker::Arrow { from: CLIENT, to: SERVER }, Marker::Arrow { from: SERVER, to: CLIENT });
        for (line, marker) in [
            (">> Request <<", asks),
            (">>Request", asks),
            (">>REQUEST:", asks),
            (">> Response <<", answers),
            (">>response", answers),
        ] {
            assert_eq!(marked(line, &mut Parties::default()), Some((marker, "")), "{line}");
        }
        for line in [">> Requests", "> Request", ">>", "Request"] {
            assert_eq!(marked(line, &mut Parties::default()), None, "{line}");
        }
    }

    #[test]
    fn a_number_behind_the_letter_of_a_side_is_one_of_several() {
        for (line, is_one) in
            [("C1: x", true), ("S12:", true), ("C: x", false), ("Cx: y", false), ("C1 x", false), ("A1: x", false)]
        {
            assert_eq!(is_numbered(line), is_one, "{line}");
        }
    }

    #[test]
    fn what_servers_say_begins_with_a_code_or_a_word_for_one() {
        for (line, is_one) in [
            ("220 hello", true),
            ("250-SIZE", true),
            ("250", true),
            ("+OK", true),
            ("+ go on", true),
            ("* OK ready", true),
            ("-ERR no", true),
            ("HTTP/1.1 200 OK", true),
            ("RTSP/1.0 404", true),
            ("SIP/2.0 180 Ringing", true),
            ("a1 OK done", true),
            ("a1 NO", true),
            ("a1 BAD x", true),
            ("22 x", false),
            ("2200 x", false),
            ("22a x", false),
            ("HTTP/1.1 OK", false),
            ("GET / HTTP/1.1", false),
            ("EHLO x", false),
            ("-x", false),
            ("a1 Ok", false),
            ("", false),
        ] {
            assert_eq!(is_answer(line), is_one, "{line}");
        }
    }

    #[test]
    fn the_head_and_the_foot_of_a_page_are_known_by_where_they_stand() {
        for (line, is_one) in [
            ("RFC 1939                  POP3                May 1996", true),
            ("Note: draft", true),
            ("", false),
            ("   RFC 1939", false),
            ("C: QUIT", false),
            ("A: QUIT", false),
            ("[A] QUIT", false),
            ("4.2.  Name", false),
            ("Appendix A", false),
        ] {
            assert_eq!(is_head(line), is_one, "{line}");
        }
        for (line, is_one) in [
            ("Myers & Rose        Standards Track        [Page 19]", true),
            ("[Page 20]        Standards Track        Myers & Rose", true),
            ("[Page 1]", true),
            ("see [Page 19] there", false),
            ("Myers [Page x]", false),
            ("Myers [Page ]", false),
            ("Page 19", false),
        ] {
            assert_eq!(is_foot(line), is_one, "{line}");
        }
    }

    #[test]
    fn between_two_pages_nothing_is_left_but_a_break() {
        let kept = |page: &str| -> Vec<(usize, String)> { without_pages(page) };
        let foot = "Myers & Rose   Standards Track   [Page 19]";
        let head = "RFC 1939   POP3   May 1996";
        let line = |number: usize, text: &str| (number, text.to_owned());
        assert_eq!(
            kept(&format!("C: a\n\n\n{foot}\n\u{c}\n{head}\n\n\n\tS: b  \n\nC: c\n")),
            [line(1, "C: a"), line(4, BREAK), line(9, "        S: b"), line(10, ""), line(11, "C: c")]
        );
        // A head has two lines at most, and what somebody says is none of them.
        assert_eq!(
            kept(&format!("A: a\n{foot}\n{head}\nInternet\nThird\n")),
            [line(1, "A: a"), line(2, BREAK), line(5, "Third")]
        );
        assert_eq!(kept(&format!("A: a\n{foot}\nB: b\n")), [line(1, "A: a"), line(2, BREAK), line(3, "B: b")]);
        assert_eq!(
            kept(&format!("A: a\n{foot}\n{head}\n\nText\n")),
            [line(1, "A: a"), line(2, BREAK), line(5, "Text")]
        );
    }
}
