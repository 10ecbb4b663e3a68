//! Arrows without names before the lines, as swaks (` -> EHLO x`, `<-  250 ok`) and curl -v (`> GET / HTTP/1.1`,
//! `< HTTP/1.1 200 OK`) print them: what points away is said by the client.

use super::clean::behind_time;
use super::line::Marker;
use crate::number::is_digits;

/// Arrows that stand on one page: those of the client, and those of the server. swaks has others under TLS, and for answers
/// that refuse.
type Arrows = (&'static [&'static str], &'static [&'static str]);

const ALL: [Arrows; 11] = [
    (&["->", "~>"], &["<-", "<~", "<**", "<~*"]),
    (&[">"], &["<"]),
    (&[">>"], &["<<"]),
    (&[">>>"], &["<<<"]),
    (&["-->"], &["<--"]),
    (&["=>"], &["<="]),
    (&["==>"], &["<=="]),
    (&["→"], &["←"]),
    (&["⇒"], &["⇐"]),
    (&["SMTP>"], &["SMTP<"]),
    (&["SMTP>>"], &["SMTP<<"]),
];

/// The arrows that mark the lines of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    arrows: Arrows,
    /// The widest sign of the client that the page has, and of the server: swaks prints what is said behind it.
    widths: [usize; 2],
    /// The client is who has the signs that point away from the server.
    is_swapped: bool,
}

impl Signs {
    /// Those that most lines have. Both directions must be there: `>` alone quotes mail.
    pub(super) fn find(lines: &[(usize, String)]) -> Option<Self> {
        let found = ALL.into_iter().map(|arrows| {
            let signs = Self { arrows, widths: [0, 0], is_swapped: false };
            (signs.fewest(lines), signs)
        });
        let (count, signs) = found.rev().max_by_key(|(count, _)| *count)?;
        let is_diff = signs.arrows.0 == [">"] && lines.iter().any(|(_, line)| is_change(line));
        (count > 0 && !is_diff).then(|| signs.as_wide_as(lines))
    }

    /// How many lines the direction has that fewer have.
    fn fewest(self, lines: &[(usize, String)]) -> usize {
        let mut counts = [0, 0];
        for (marker, said) in lines.iter().filter_map(|(_, line)| {
            let (marker, _, said) = self.sign_of(line.trim())?;
            Some((marker, said))
        }) {
            counts[usize::from(marker == Marker::S)] += usize::from(!said.trim().is_empty());
        }
        counts[0].min(counts[1])
    }

    /// The same, knowing how wide the signs are that the page has.
    fn as_wide_as(mut self, lines: &[(usize, String)]) -> Self {
        for (_, line) in lines {
            if let Some((marker, sign, _)) = self.sign_of(line.trim()) {
                let width = &mut self.widths[usize::from(marker == Marker::S)];
                *width = sign.chars().count().max(*width);
            }
        }
        self
    }

    /// Who says a line, and what.
    pub(super) fn marked(self, body: &str) -> Option<(Marker, &str)> {
        let (marker, sign, mut said) = self.sign(body)?;
        // `<-  220` beside `<** 550`.
        for _ in sign.chars().count()..self.widths[usize::from(marker == Marker::S)] {
            said = said.strip_prefix(' ').unwrap_or(said);
        }
        let marker = match marker {
            Marker::C if self.is_swapped => Marker::S,
            Marker::S if self.is_swapped => Marker::C,
            _ => marker,
        };
        Some((marker, said))
    }

    /// The same, where it is told which of them the client has; none if they have no such sign.
    pub(super) fn told(self, client: Option<&str>) -> Option<Self> {
        let Some(client) = client.map(str::trim) else { return Some(self) };
        let is_swapped = self.arrows.1.contains(&client);
        (is_swapped || self.arrows.0.contains(&client)).then_some(Self { is_swapped, ..self })
    }

    /// The sign of a line, also behind a time.
    fn sign_of(self, body: &str) -> Option<(Marker, &'static str, &str)> {
        self.sign(body).or_else(|| self.sign(behind_time(body)?))
    }

    fn sign(self, body: &str) -> Option<(Marker, &'static str, &str)> {
        let (client, server) = self.arrows;
        let behind = |sign: &&'static str| {
            let said = body.strip_prefix(*sign).filter(|said| said.is_empty() || said.starts_with([' ', '\t']))?;
            Some((*sign, said))
        };
        let of = |marker, signs: &'static [&'static str]| {
            let (sign, said) = signs.iter().find_map(behind)?;
            Some((marker, sign, said))
        };
        of(Marker::C, client).or_else(|| of(Marker::S, server))
    }

    /// What was guessed, in words.
    pub(super) fn guess(self) -> String {
        let (mut client, mut server) = self.arrows;
        if self.is_swapped {
            std::mem::swap(&mut client, &mut server);
        }
        format!("`{}` stands before what the client says, and `{}` before what the server says", client[0], server[0])
    }
}

/// `3,4c5`: what diff prints above the lines that it marks with `<` and `>`.
fn is_change(line: &str) -> bool {
    let Some((before, after)) = line.split_once(['a', 'c', 'd']) else { return false };
    let is_range = |range: &str| range.split(',').count() <= 2 && range.split(',').all(is_digits);
    is_range(before) && is_range(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_diff_prints_is_no_conversation() {
        for line in ["3c3", "3,4c5", "10d9", "0a1,20"] {
            assert!(is_change(line), "{line}");
        }
        for line in ["", "c", "3c", "a3", "3,c4", "1,2,3c4", "abc", "3 c 4"] {
            assert!(!is_change(line), "{line}");
        }
    }
}
