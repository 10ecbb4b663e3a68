//! Pages with marks on them that are no sessions as people print them, and marks that are none of those we know.

use super::clean::{FURTHEST, behind_prefix};
use super::line::is_marked;
use crate::number::is_digits;
use crate::syntax::KEYWORDS;

/// Why no session is looked for on a page.
pub(super) fn why(page: &str) -> Option<&'static str> {
    // One such line is said by somebody, or is the page's, where more lines are marked as a session's.
    let count = |is_one: fn(&str) -> bool| page.lines().filter(|line| is_one(line.trim())).count();
    let are_all = |is_one: fn(&str) -> bool| {
        let found = count(is_one);
        found > 0 && found >= count(is_marked)
    };
    if is_transcript(page) {
        Some("it is a transcript already: `sockeye check` and `--play` take it as it is")
    } else if are_all(is_quoted_by_python) {
        Some(
            "its lines are quoted, as Python prints them: put a relay between, which writes down what is said (`sockeye relay --record`)",
        )
    } else if are_all(is_head_of_socat) {
        Some(
            "it is what `socat -v` prints: put a relay between, which writes down what is said (`sockeye relay --record`)",
        )
    } else {
        None
    }
}

/// `send: 'ehlo x\\r\\n'`, `reply: b'250 ok'`.
fn is_quoted_by_python(line: &str) -> bool {
    let behind = line.strip_prefix("send: ").or_else(|| line.strip_prefix("reply: "));
    behind.is_some_and(|said| said.trim_start_matches('b').starts_with(['\'', '"']) && said.ends_with(['\'', '"']))
}

/// `> 2024/01/02 12:00:00.000123  length=5 from=0 to=4`, as `socat -v` prints it.
fn is_head_of_socat(line: &str) -> bool {
    line.starts_with(['>', '<']) && [" length=", " from=", " to="].iter().all(|field| line.contains(field))
}

/// More words before a mark are prose.
const MOST_WORDS: usize = 4;

/// The first line that may be marked in a way we do not know, and what to do about it.
pub(super) fn strange_mark(page: &str) -> Option<String> {
    page.lines().zip(1_usize..).find_map(|(line, number)| {
        let line = line.trim();
        let body = behind_prefix(line).unwrap_or(line);
        if let Some((mark, letter)) = near_mark(body) {
            return Some(format!("line {number} begins with `{mark}`: write `{letter}:`"));
        }
        let (at, mark) = mark_behind(line)?;
        let before = line[..at].trim_end();
        if before.split_ascii_whitespace().count() > MOST_WORDS {
            return None;
        }
        Some(format!("line {number} has `{mark}` behind `{before}`: take that off"))
    })
}

/// `(C) a`, `C : a`, `C - a`.
fn near_mark(body: &str) -> Option<(&str, char)> {
    ["C", "S"].iter().find_map(|letter| {
        let letter = letter.chars().next()?;
        let marks = [format!("({letter})"), format!("{letter} :"), format!("{letter} -"), format!("{letter}.")];
        let mark =
            marks.iter().find(|mark| body.strip_prefix(mark.as_str()).is_some_and(|said| said.starts_with(' ')))?;
        Some((&body[..mark.len()], letter))
    })
}

/// Where `C:` or `S:` stands as a word of its own.
fn mark_behind(line: &str) -> Option<(usize, &'static str)> {
    let found = ["C:", "S:"].into_iter().filter_map(|mark| {
        let (at, _) = line
            .match_indices(mark)
            .find(|(at, _)| !line[..*at].ends_with(char::is_alphanumeric) && line[at + 2..].starts_with([' ', '\t']))?;
        Some((at, mark))
    });
    found.min().filter(|(at, _)| (1..=FURTHEST).contains(at))
}

/// Whether lines of a page are statements of a transcript, and no page's: `C raw: x`, `S closes`, `eol crlf`, a block.
fn is_transcript(page: &str) -> bool {
    // In a document there may be several, between fences, beside sessions of others.
    if page.lines().any(|line| line.trim_start().starts_with("```")) {
        return false;
    }
    let mut opens = false;
    let is_one = page.lines().any(|line| {
        let line = line.trim();
        let is_block = matches!(line, "repeat" | "either" | "together" | "maybe" | "in any order" | "at any time");
        let ends = opens && line == "end";
        opens |= is_block || line.strip_prefix("repeat ").is_some_and(is_digits);
        ends || is_setting(line) || is_statement(line)
    });
    is_one && !is_mostly_prose(page)
}

/// Whether most lines of a page begin as none of a transcript does: it has one of those words by chance.
fn is_mostly_prose(page: &str) -> bool {
    let lines = || page.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_known = |line: &str| {
        let word = line.split([' ', '\t', ':']).next().unwrap_or_default();
        let is_side = word.strip_prefix(['C', 'S']).is_some_and(|number| number.is_empty() || is_digits(number));
        line.starts_with('#') || is_side || KEYWORDS.contains(&word) || matches!(word, "is" | "else")
    };
    let known = lines().filter(|line| is_known(line)).count();
    2 * known < lines().count()
}

fn is_setting(line: &str) -> bool {
    let ending = line.strip_prefix("eol ").map(str::trim);
    ending.is_some_and(|ending| matches!(ending, "crlf" | "lf" | "any" | "none"))
}

/// `C raw: x`, `S hex: 0a`, `C file: x`, `S closes`, `C resets`.
fn is_statement(line: &str) -> bool {
    let said = line.strip_prefix("C ").or_else(|| line.strip_prefix("S ")).unwrap_or_default();
    matches!(said, "closes" | "resets" | "stops sending")
        || ["raw:", "hex:", "file:"].iter().any(|word| said.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_and_blocks_are_those_of_a_transcript() {
        for line in [
            "eol crlf",
            "eol none",
            "C raw: abc",
            "S hex: 00 ff",
            "C file: a",
            "S closes",
            "C resets",
            "S stops sending",
            "repeat\n  C: a\nend",
            "repeat 3\n  C: a\nend",
            "either\n  S: a\nor\n  S: b\nend",
        ] {
            assert!(is_transcript(&format!("C: a\n{line}\nS: b\n")), "{line}");
        }
        for line in [
            "eol",
            "eol is CRLF",
            "C closes it",
            "Craw: a",
            "C: raw: a",
            "S rawly: b",
            "repeat",
            "end",
            "repeat it\nend",
            "```\neol crlf\n```",
        ] {
            assert!(!is_transcript(&format!("C: a\n{line}\nS: b\n")), "{line}");
        }
    }

    #[test]
    fn a_statement_in_a_page_of_prose_makes_no_transcript_of_it() {
        for line in ["S closes", "C resets", "eol crlf", "C raw: abc"] {
            let page = format!("Words of the page\nthat go on.\n\nC: a\nS: b\n{line}\n\nMore words\nand\nmore.\n");
            assert!(!is_transcript(&page), "{page}");
            let body = "set x = 1\nat :7000\nC2 connects\nC2: a\nnot S: b\nchoose {x}\nis 1\n  S: c\nend\n";
            assert!(is_transcript(&format!("# words\n{body}{line}\nA line that is wrong\n")), "{line}");
        }
    }

    #[test]
    fn what_is_quoted_by_another_program_is_refused() {
        for line in [
            "send: 'ehlo x\\r\\n'",
            "reply: b'250 ok'",
            "send: b\"a\"",
            "> 2024/01/02 12:00:00.1  length=5 from=0 to=4",
        ] {
            assert!(why(&format!("a\n{line}\nb\n")).is_some(), "{line}");
        }
        // One among more marked ones is said, or is the page's.
        for page in [
            "C: send: it\nsend: \"x\"\nS: 250 ok\n",
            "C: a\nreply: b'250 ok'\nS: b\n",
            "C: a\nS: b\n> x length=5 from=0 to=4\n",
            "> C: a\n> S: b\n> x length=5 from=0 to=4\n",
        ] {
            assert!(why(page).is_none(), "{page}");
        }
        let python = "send: 'C: a\\r\\n'\nreply: b'250 ok'\n".repeat(2);
        assert!(why(&format!("C: what follows is\n{python}")).is_some());
        for line in ["send: it", "reply: 'a' and b", "> length=5", "C: a length=1 from=2 to=3", "send:"] {
            assert!(why(&format!("a\n{line}\nb\n")).is_none(), "{line}");
        }
    }

    #[test]
    fn a_mark_that_is_none_is_named() {
        for (line, told) in [
            ("host smtpd[1]: C: x", "line 2 has `C:` behind `host smtpd[1]:`: take that off"),
            ("2024-01-02 12:00 [DEBUG] S: x", "line 2 has `S:` behind `2024-01-02 12:00 [DEBUG]`: take that off"),
            ("~ C: a S: b", "line 2 has `C:` behind `~`: take that off"),
            ("(C) a", "line 2 begins with `(C)`: write `C:`"),
            ("12:00 S : a", "line 2 begins with `S :`: write `S:`"),
            ("C - a", "line 2 begins with `C -`: write `C:`"),
        ] {
            assert_eq!(strange_mark(&format!("words\n{line}\n")).as_deref(), Some(told), "{line}");
        }
        for line in [
            "see C:\\path",
            "FTPC: a",
            "the many words that stand C: a",
            "C",
            "(C)a",
            &format!("{} C: a", "a".repeat(60)),
        ] {
            assert_eq!(strange_mark(line), None, "{line}");
        }
    }
}
