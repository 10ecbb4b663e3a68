//! Lines that are no statement: what was meant, as far as one can tell, and what to write instead.

use super::foreign::{begins_block, foreign};
use super::heads::head;
use super::meant::{Instead, Meant, clip, is_message};
use super::nearest::{distance, is_swapped};
use super::setting_meant::{counted_on, giving};
use super::side_mark::{side_mark, side_of};

/// Words that begin a statement; `is` and `else` part one.
pub(crate) const KEYWORDS: [&str; 20] = [
    "repeat",
    "either",
    "or",
    "end",
    "set",
    "let",
    "gap",
    "eol",
    "timeout",
    "transcript",
    "at",
    "ignore",
    "together",
    "maybe",
    "choose",
    "not",
    "include",
    "in",
    "starttls",
    "stoptls",
];

use Instead::{Block, BlockIfClosed, End, Inline, Nothing, Or, Statement};

/// What is wrong with the letters, signs and marks of a line that is no message, whatever word it begins with.
pub(super) fn misprinted(text: &str) -> Option<Meant<'_>> {
    hidden(text)
        .or_else(|| head(text))
        .or_else(|| other_colon(text))
        .or_else(|| other_letter(text))
        .or_else(|| side_mark(text))
        .or_else(|| comment_behind(text))
        .or_else(|| mark_behind(text))
        .or_else(|| sign_behind(text))
        .or_else(|| end_of_what(text))
}

/// A line whose first word begins no statement; `text` is without its indent, `below` says that it stands right below
/// something said.
pub(super) fn unknown<'a>(text: &'a str, word: &'a str, below: bool) -> Meant<'a> {
    let message = format!("`{word}` begins no statement");
    let says = |help: String, instead| Meant { part: word, message: message.clone(), help, instead };
    let mut letters = word.chars();
    match (letters.next(), letters.as_str()) {
        (Some('C' | 'S'), digits) if !digits.is_empty() && digits.trim_end_matches(':').parse::<u32>().is_ok() => {
            let side = &word[..1];
            let help = match digits.trim_end_matches(':') {
                "1" => format!("the first connection has no number: write `{side}`"),
                _ => format!("a second connection is `{side}2`, and a play has at most 9 of them"),
            };
            return says(help, BlockIfClosed);
        }
        (Some('A'..='Z' | 'a'..='z'), ":") | (Some(':'), "") => {
            return says("a line is said by the client, `C:`, or by the server, `S:`".to_owned(), BlockIfClosed);
        }
        _ => {}
    }
    let rest = text[word.len()..].trim_matches([' ', '\t']);
    if let Some((help, instead)) = without_side(text, word, rest) {
        return says(help, instead);
    }
    if let Some((help, instead)) = foreign(word, rest) {
        // `optional S: a`: whether it has an `end` is not known.
        let instead = match instead {
            BlockIfClosed if is_message(rest) => Inline,
            Nothing => BlockIfClosed,
            other => other,
        };
        return says(help, instead);
    }
    if let Some(hex) = bare_bytes(text) {
        return says(format!("bytes are said by a side: `C hex: {0}` or `S hex: {0}`", clip(&hex)), BlockIfClosed);
    }
    if let Some((name, value)) = assignment(text) {
        return says(format!("write `set {name} = {value}`"), Statement(format!("set {name} = {value}")));
    }
    if let Some((name, function, value)) = counted_on(text) {
        let statement = format!("let {name} = {function} {{{name}}} {value}");
        return says(format!("write `{statement}`"), Statement(statement));
    }
    if let Some(near) = near_keyword(word) {
        return says(format!("did you mean `{near}`?"), in_place_of(near));
    }
    let help = if word.ends_with(':') {
        "a line is said by the client, `C:`, or by the server, `S:`"
    } else if below {
        "if it belongs to the line above, it needs a `C:` or `S:` of its own; # begins a comment"
    } else {
        "a line that is said begins with C: or S:, and # begins a comment; other statements are repeat, either, or, \
        end, set, let, at, eol, gap and timeout"
    };
    says(help.to_owned(), BlockIfClosed)
}

/// How a line is read that was meant to begin with this word.
fn in_place_of(keyword: &str) -> Instead {
    match keyword {
        "repeat" | "either" | "together" | "maybe" | "choose" => Block,
        "or" => Or,
        "end" => End,
        _ => BlockIfClosed,
    }
}

/// The word of a statement that was mistyped. In a short word another letter makes another word: `and` is no `end`, and
/// `on` no `or`.
fn near_keyword(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let length = lower.chars().count();
    if lower.contains(|c: char| c == ':' || c.is_ascii_digit()) {
        return None;
    }
    // A word may be as long as a file.
    let alike = KEYWORDS.into_iter().filter(|keyword| keyword.len().abs_diff(length) <= 2);
    let near = alike.filter_map(|keyword| {
        if is_swapped(&lower, keyword) {
            return Some((1, keyword));
        }
        let most = match length.min(keyword.len()) {
            0..=2 => 0,
            _ if length <= 5 => 1,
            _ => 2,
        };
        Some((distance(&lower, keyword), keyword)).filter(|(edits, _)| *edits <= most)
    });
    near.min_by_key(|(edits, _)| *edits).map(|(_, keyword)| keyword)
}

/// `EHLO x`, `GET / HTTP/1.1`, `+OK ready`: a line of a protocol that has lost its side.
fn without_side(text: &str, word: &str, rest: &str) -> Option<(String, Instead)> {
    let is_http = |word: &str| {
        word.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("HTTP/"))
            && word[5..].starts_with(|c: char| c.is_ascii_digit())
    };
    let is_http = is_http(word) || rest.split_ascii_whitespace().next_back().is_some_and(is_http);
    let bare = word.trim_start_matches(['+', '-', '*']);
    let is_large = bare.len() > 1
        && bare.starts_with(|c: char| c.is_ascii_uppercase())
        && bare.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if !is_http && !is_large {
        return None;
    }
    let said = clip(text);
    let lower = word.to_ascii_lowercase();
    if let Some(keyword) = KEYWORDS.into_iter().find(|keyword| *keyword == lower).filter(|_| !is_http) {
        return Some((format!("did you mean `{keyword}`? if it is said, write `C: {said}`"), in_place_of(keyword)));
    }
    let is_sign = rest.is_empty() && matches!(bare, "TLS" | "SSL" | "FIN" | "RST" | "EOF") || bare == "REM";
    (is_http || !is_sign && !begins_block(word, rest)).then(|| {
        let help = format!(
            "a line begins with the side that says it: write `C: {said}` if that is the client, `S: {said}` if it is the server"
        );
        (help, BlockIfClosed)
    })
}

/// Spaces that are not the plain one, and characters that cannot be seen. What is said or set is not looked at.
fn hidden(text: &str) -> Option<Meant<'_>> {
    let head = &text[..text.find([':', '=']).unwrap_or(text.len())];
    let (at, odd) = head.char_indices().find(|(_, c)| odd_space(*c).is_some() || is_unseen(*c))?;
    let plain = |c: char| if odd_space(c).is_some() { Some(' ') } else { (!is_unseen(c)).then_some(c) };
    let repaired: String = head.chars().filter_map(plain).collect::<String>() + &text[head.len()..];
    // No space stands before the colon.
    let repaired = repaired.trim_start().replacen(" :", ":", 1);
    let message = match odd_space(odd) {
        Some(name) => format!("{name} (U+{:04X}) stands where a plain space should be", odd as u32),
        None => format!("a character that cannot be seen (U+{:04X}) stands here", odd as u32),
    };
    let help = format!("write `{}`", clip(&repaired));
    Some(Meant { part: &text[at..at + odd.len_utf8()], message, help, instead: Statement(repaired) })
}

/// What a space is called that is not the plain one.
pub(super) fn odd_space(c: char) -> Option<&'static str> {
    match c {
        '\u{a0}' | '\u{202f}' => Some("a no-break space"),
        '\u{3000}' => Some("a full-width space"),
        '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{205f}' => Some("a space of another width"),
        '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some("a control character"),
        _ => None,
    }
}

/// Characters without a width.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `S：hello`.
fn other_colon(text: &str) -> Option<Meant<'_>> {
    let (at, colon) =
        text.char_indices().find(|(_, c)| matches!(c, '：' | '；' | '﹕' | '︓' | '∶' | 'ː' | '꞉' | '։'))?;
    let side = side_of(text[..at].split(' ').next()?)?;
    let form = text[..at].split_ascii_whitespace().nth(1).map_or(String::new(), |form| format!(" {form}"));
    let repaired = format!("{side}{form}: {}", text[at + colon.len_utf8()..].trim_start());
    let message = format!("this colon (U+{:04X}) is not the plain one", colon as u32);
    let help = format!("write `{}`", clip(&repaired));
    Some(Meant { part: &text[at..at + colon.len_utf8()], message, help, instead: Statement(repaired) })
}

/// Letters that look like C and S and are others: Cyrillic, Greek, full-width.
fn other_letter(text: &str) -> Option<Meant<'_>> {
    let first = text.chars().next()?;
    let side = match first {
        'С' | 'с' | 'Ϲ' | 'Ｃ' | 'ｃ' | 'Ⅽ' => 'C',
        'Ѕ' | 'ѕ' | 'Ｓ' | 'ｓ' => 'S',
        _ => return None,
    };
    let rest = &text[first.len_utf8()..];
    if !rest.starts_with([':', ' ']) {
        return None;
    }
    let repaired = format!("{side}{rest}");
    let message = format!("this letter (U+{:04X}) only looks like {side}", first as u32);
    let help = format!("write `{}`", clip(&repaired));
    Some(Meant { part: &text[..first.len_utf8()], message, help, instead: Statement(repaired) })
}

/// `repeat # twice`, `S closes // bye`: of a statement that says nothing.
fn comment_behind(text: &str) -> Option<Meant<'_>> {
    let word = text.split([' ', '\t']).next()?;
    let known = [
        "repeat",
        "either",
        "or",
        "end",
        "in",
        "together",
        "maybe",
        "starttls",
        "stoptls",
        "gap",
        "eol",
        "timeout",
        "transcript",
        "ignore",
        "C",
        "S",
        "at",
    ];
    if !known.contains(&word) || text.contains(": ") {
        return None;
    }
    let at = [" #", "\t#", " // ", " /* ", " -- "].iter().filter_map(|mark| text.find(mark)).min()?;
    let (statement, comment) = (text[..at].trim_end(), text[at..].trim_start());
    Some(Meant {
        part: comment,
        message: "a comment stands on a line of its own".to_owned(),
        help: format!("write `{}`, and the comment above it behind a #", clip(statement)),
        instead: Statement(statement.to_owned()),
    })
}

/// `in any order:`, `repeat {`, `end;`, `S closes.`: a mark that other languages put there.
fn mark_behind(text: &str) -> Option<Meant<'_>> {
    let bare = text.trim_end_matches(|c: char| ":;.,{(){}=".contains(c) || c.is_whitespace());
    let mark = text[bare.len()..].trim();
    if mark.is_empty() {
        return None;
    }
    let lower = bare.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_ascii_whitespace().collect();
    let is_whole =
        matches!(
            words[..],
            ["repeat" | "either" | "or" | "end" | "together" | "maybe" | "starttls" | "stoptls"]
                | ["repeat", _]
                | ["in", "any", "order"]
                | ["at", "any", "time"]
        ) || matches!(bare, "C closes" | "S closes" | "C resets" | "S resets" | "C stops sending" | "S stops sending");
    is_whole.then(|| Meant {
        part: &text[bare.len()..],
        message: format!("`{mark}` does not belong here"),
        help: format!("write `{}`{}", bare, if mark.contains('{') { ", and `end` where the block ends" } else { "" }),
        instead: Statement(bare.to_owned()),
    })
}

/// `gap: 100ms`, `eol = crlf`, `set = 5`.
fn sign_behind(text: &str) -> Option<Meant<'_>> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let word = &text[..end];
    let lower = word.to_ascii_lowercase();
    if !["gap", "eol", "timeout", "at", "transcript", "set", "let", "ignore"].contains(&lower.as_str()) {
        return None;
    }
    let behind = text[end..].trim_start();
    let value = behind.strip_prefix([':', '='])?;
    let sign = &behind[..1];
    // `at :7000` and `at ::1:80` are addresses.
    let touches = behind.len() == text.len() - end;
    if lower == "at" && sign == ":" && !value.is_empty() && !value.starts_with([' ', '\t']) && !touches {
        return None;
    }
    // `at::1:80`: the sign belongs to the address, of which `:7000` is a whole one.
    let is_cut = sign == ":" && value.starts_with(':') && !value.starts_with("::") && value[1..].contains(':');
    let value = value.trim_start();
    let repaired = match lower.as_str() {
        "at" if is_cut => format!("at :{value}"),
        "eol" => format!("eol {}", value.trim_end_matches([';', ' ']).to_ascii_lowercase()),
        "set" | "let" if sign == "=" && !value.is_empty() => format!("{} name = {value}", giving(&lower, value)),
        // No value of a setting ends so.
        "gap" | "timeout" | "ignore" => format!("{lower} {}", value.trim_end_matches([';', ' '])),
        _ => format!("{lower} {value}"),
    };
    Some(Meant {
        part: sign,
        message: format!("no `{sign}` stands behind `{lower}`"),
        help: format!("write `{}`", clip(&repaired)),
        instead: Statement(repaired),
    })
}

/// `end repeat`, `end if`.
fn end_of_what(text: &str) -> Option<Meant<'_>> {
    let rest = text.strip_prefix("end")?.strip_prefix([' ', '\t'])?.trim_start();
    let block = rest.split([' ', '\t']).next()?;
    let blocks = ["repeat", "either", "or", "in", "any", "together", "if", "loop", "while", "for", "order", "block"];
    blocks.contains(&block.to_ascii_lowercase().as_str()).then(|| Meant {
        part: rest,
        message: "`end` stands alone on its line".to_owned(),
        help: "write `end`: it closes the last block that is open".to_owned(),
        instead: Statement("end".to_owned()),
    })
}

/// `0x01 0x02`, `\x01\x02`, `01 02 ff`: bytes without a side.
pub(crate) fn bare_bytes(text: &str) -> Option<String> {
    let marks = ["0x", "0X", "\\x", "\\X"];
    let is_marked = marks.iter().any(|mark| text.starts_with(mark));
    let spaced = marks.iter().fold(text.to_owned(), |text, mark| text.replace(mark, " "));
    let words: Vec<&str> = spaced.split([' ', '\t', ',', ':']).filter(|word| !word.is_empty()).collect();
    let is_hex = |word: &&str| word.len().is_multiple_of(2) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_pairs = words.len() > 1 && words.iter().all(|word| word.len() == 2);
    ((is_marked || is_pairs) && !words.is_empty() && words.iter().all(is_hex)).then(|| words.join(" "))
}

/// `name = value`, `$name=value`.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim().trim_start_matches('$').trim_end_matches(':').trim_end();
    let is_name = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    let is_keyword = KEYWORDS.contains(&name.to_ascii_lowercase().as_str());
    (is_name && !is_keyword && !value.starts_with(['=', '>'])).then(|| (name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_value_around_a_sign_are_an_assignment() {
        for (text, name, value) in [
            ("x = 1", "x", "1"),
            ("x=1", "x", "1"),
            ("x := 1", "x", "1"),
            ("$user = ann", "user", "ann"),
            ("_a1:=b = c", "_a1", "b = c"),
            ("x =", "x", ""),
        ] {
            assert_eq!(assignment(text), Some((name, value)), "{text}");
        }
        for text in ["x == 1", "x => 1", "1x = 1", "a b = 1", "a-b = 1", "= 1", "x 1", ""] {
            assert_eq!(assignment(text), None, "{text}");
        }
        let meant = unknown("greeting = hello", "greeting", false);
        assert_eq!(meant.help, "write `set greeting = hello`");
        assert!(matches!(meant.instead, Statement(line) if line == "set greeting = hello"));
    }

    #[test]
    fn bytes_without_a_side_are_known_by_their_marks_or_as_pairs() {
        for (text, bytes) in [
            ("0x01 0x02", "01 02"),
            ("0x0102", "0102"),
            ("\\x01\\xff", "01 ff"),
            ("0X01,0XfF", "01 fF"),
            ("01 02 ff", "01 02 ff"),
            ("01:02\tff", "01 02 ff"),
        ] {
            assert_eq!(bare_bytes(text).as_deref(), Some(bytes), "{text}");
        }
        for text in ["01", "0102 0304", "01 0x", "0x", "0x1", "0x0g", "01 2 03", "hello", ""] {
            assert_eq!(bare_bytes(text), None, "{text}");
        }
    }
}
