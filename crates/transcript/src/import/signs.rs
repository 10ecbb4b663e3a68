//! Arrows without names before the lines, as swaks (` -> EHLO x`, `<-  250 ok`) and curl -v (`> GET / HTTP/1.1`,
//! `< HTTP/1.1 200 OK`) print them: what points away is said by the client.

use super::line::Marker;

/// Arrows that stand on one page: those of the client, and those of the server. swaks has others under TLS, and for answers
/// that refuse.
type Arrows = (&'static [&'static str], &'static [&'static str]);

const ALL: [Arrows; 9] = [
    (&["->", "~>"], &["<-", "<~", "<**", "<~*"]),
    (&[">"], &["<"]),
    (&[">>"], &["<<"]),
    (&[">>>"], &["<<<"]),
    (&["-->"], &["<--"]),
    (&["=>"], &["<="]),
    (&["==>"], &["<=="]),
    (&["→"], &["←"]),
    (&["⇒"], &["⇐"]),
];

/// The arrows that mark the lines of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs(Arrows);

impl Signs {
    /// Those that most lines have. Both directions must be there: `>` alone quotes mail.
    pub(super) fn find(lines: &[(usize, String)]) -> Option<Self> {
        let found = ALL.into_iter().map(Self).map(|signs| (signs.fewest(lines), signs));
        let (count, signs) = found.rev().max_by_key(|(count, _)| *count)?;
        let is_diff = signs.0.0 == [">"] && lines.iter().any(|(_, line)| is_change(line));
        (count > 0 && !is_diff).then_some(signs)
    }

    /// How many lines the direction has that fewer have.
    fn fewest(self, lines: &[(usize, String)]) -> usize {
        let mut counts = [0, 0];
        for (marker, said) in lines.iter().filter_map(|(_, line)| self.marked(line.trim())) {
            counts[usize::from(marker == Marker::S)] += usize::from(!said.trim().is_empty());
        }
        counts[0].min(counts[1])
    }

    /// Who says a line, and what.
    pub(super) fn marked(self, body: &str) -> Option<(Marker, &str)> {
        let (client, server) = self.0;
        let behind = |sign: &&str| body.strip_prefix(*sign).filter(|said| said.is_empty() || said.starts_with(' '));
        let of = |marker, signs: &[&str]| Some((marker, signs.iter().find_map(behind)?));
        of(Marker::C, client).or_else(|| of(Marker::S, server))
    }

    /// What was guessed, in words.
    pub(super) fn guess(self) -> String {
        let (client, server) = self.0;
        format!("`{}` stands before what the client says, and `{}` before what the server says", client[0], server[0])
    }
}

/// `3,4c5`: what diff prints above the lines that it marks with `<` and `>`.
fn is_change(line: &str) -> bool {
    let Some((before, after)) = line.split_once(['a', 'c', 'd']) else { return false };
    let is_range = |range: &str| {
        range.split(',').count() <= 2
            && range.split(',').all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
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
