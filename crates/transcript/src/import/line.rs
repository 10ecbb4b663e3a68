//! Single lines of a printed page: who they are marked as said by, and which are the page's own.

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
    /// `C->S:`; unmarked lines may follow under it.
    CToS,
    /// `S->C:`.
    SToC,
    /// `C & S:`.
    Both,
}

impl Marker {
    pub(super) fn is_arrow(self) -> bool {
        matches!(self, Self::CToS | Self::SToC)
    }
}

/// What the letters of a session mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    ClientServer,
    /// RFC 821: the sender is the client, and its letter is S.
    SenderReceiver,
}

impl Scheme {
    pub(super) fn of(mut markers: impl Iterator<Item = Marker>) -> Self {
        if markers.any(|marker| marker == Marker::R) { Self::SenderReceiver } else { Self::ClientServer }
    }

    pub(super) fn side(self, marker: Marker) -> Option<Side> {
        match (marker, self) {
            (Marker::Both, _) => None,
            (Marker::C | Marker::CToS, _) | (Marker::S, Self::SenderReceiver) => Some(Side::Client),
            (Marker::S | Marker::SToC, _) | (Marker::R, _) => Some(Side::Server),
        }
    }
}

/// Every way in which a line is marked.
const MARKERS: [(&str, Marker); 22] = [
    ("C & S:", Marker::Both),
    ("S & C:", Marker::Both),
    ("C&S:", Marker::Both),
    ("S&C:", Marker::Both),
    ("C, S:", Marker::Both),
    ("C->S:", Marker::CToS),
    ("C -> S:", Marker::CToS),
    ("S->C:", Marker::SToC),
    ("S -> C:", Marker::SToC),
    ("S<-C:", Marker::CToS),
    ("S <- C:", Marker::CToS),
    ("C<-S:", Marker::SToC),
    ("C <- S:", Marker::SToC),
    ("[C]", Marker::C),
    ("[S]", Marker::S),
    ("Client:", Marker::C),
    ("CLIENT:", Marker::C),
    ("Server:", Marker::S),
    ("SERVER:", Marker::S),
    ("C:", Marker::C),
    ("S:", Marker::S),
    ("R:", Marker::R),
];

/// The marker of a line without its margin, and what stands behind it.
pub(super) fn marked(body: &str) -> Option<(Marker, &str)> {
    let (marker, rest) = MARKERS.iter().find_map(|(text, marker)| Some((*marker, body.strip_prefix(text)?)))?;
    // `S:foo` may be a word of prose; a line that says something has a space there.
    (rest.is_empty() || rest.starts_with(' ')).then_some((marker, rest))
}

/// The lines of a page with their numbers, without what the printer added between two pages: the foot with its number,
/// the form feed, the head of the next one, and the empty lines around them.
pub(super) fn without_pages(page: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut breaking = false;
    for (at, line) in page.lines().enumerate() {
        let line = line.trim_end().replace('\t', "        ");
        if is_foot(&line) || line.contains('\u{c}') || (breaking && is_head(&line)) {
            breaking = true;
            while lines.last().is_some_and(|(_, line)| line.is_empty()) {
                lines.pop();
            }
        } else if !(breaking && line.is_empty()) {
            breaking = false;
            lines.push((at + 1, line));
        }
    }
    lines
}

/// `Myers & Rose                Standards Track                   [Page 19]`, or with the number first, as on pages to the left.
fn is_foot(line: &str) -> bool {
    let is_number = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let last = line.strip_suffix(']').and_then(|line| line.rsplit_once("[Page ")).map(|(_, number)| number);
    let first = line.strip_prefix("[Page ").and_then(|line| line.split_once(']')).map(|(number, _)| number);
    last.or(first).is_some_and(is_number)
}

/// `RFC 1939                          POP3                          May 1996`, in one line or two: what stands at the very
/// beginning of a line behind a page break, and is neither a heading nor said by anybody.
fn is_head(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(' ') && marked(line).is_none() && !super::is_heading(line)
}
