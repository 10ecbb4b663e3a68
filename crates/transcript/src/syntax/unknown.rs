//! Lines that are no statement: what was meant, as far as one can tell, and what to write instead.

use super::duration::nearest_duration;
use super::foreign::foreign;
use super::heads::head;
use super::meant::{Instead, Meant, clip, is_message};
use super::nearest::nearest;

/// Words that begin a statement, for suggestions.
const KEYWORDS: [&str; 22] = [
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
    "c:",
    "s:",
    "S closes",
];

use Instead::{Block, End, Nothing, Or, Statement};

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
            return says(help, Nothing);
        }
        (Some('A'..='Z'), ":") => {
            return says("a line is said by the client, `C:`, or by the server, `S:`".to_owned(), Nothing);
        }
        _ => {}
    }
    let rest = text[word.len()..].trim_matches([' ', '\t']);
    if let Some((help, instead)) = foreign(word, rest) {
        return says(help, instead);
    }
    if let Some(hex) = bare_bytes(text) {
        return says(format!("bytes are said by a side: `C hex: {0}` or `S hex: {0}`", clip(&hex)), Nothing);
    }
    if let Some((name, value)) = assignment(text) {
        return says(format!("write `set {name} = {value}`"), Statement(format!("set {name} = {value}")));
    }
    let is_label = word.len() > 2 && word.ends_with(':');
    if let Some(near) = nearest(word, KEYWORDS).filter(|_| !is_label) {
        let instead = match near {
            "repeat" | "either" | "together" | "maybe" | "choose" => Block,
            "or" => Or,
            "end" => End,
            _ => Nothing,
        };
        return says(format!("did you mean `{near}`?"), instead);
    }
    let help = if word.ends_with(':') {
        "a line is said by the client, `C:`, or by the server, `S:`"
    } else if below {
        "if it belongs to the line above, it needs a `C:` or `S:` of its own; # begins a comment"
    } else {
        "a line that is said begins with C: or S:, and # begins a comment; other statements are repeat, either, or, \
        end, set, let, at, eol, gap and timeout"
    };
    says(help.to_owned(), Nothing)
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

/// The side that a word names.
fn side_of(word: &str) -> Option<char> {
    match word.trim_matches(['[', ']', '(', ')', '<', '>', '"', '*']).to_ascii_lowercase().as_str() {
        "s" | "server" | "srv" | "svr" | "response" | "resp" => Some('S'),
        "c" | "client" | "cli" | "clt" | "request" | "req" => Some('C'),
        _ => None,
    }
}

/// `S> hello`, `Server: hello`, `s: hello`, `C->S: hello`, `[S] hello`, `S : hello`, `- S: hello`, `S closes` in other letters.
fn side_mark(text: &str) -> Option<Meant<'_>> {
    let wrong = |part, message: String, repaired: String| {
        let help = format!("write `{}`", clip(&repaired));
        Some(Meant { part, message, help, instead: Statement(repaired) })
    };
    if let Some((mark, from, said)) = arrow(text) {
        let repaired = format!("{from}: {}", said.trim_start());
        let message = format!("`{}` is not how a line begins: it begins with the side that speaks", mark.trim_end());
        let help =
            format!("write `{}`; `sockeye import` makes a transcript of a page with such marks", clip(&repaired));
        return Some(Meant { part: mark.trim_end(), message, help, instead: Statement(repaired) });
    }
    // What stands before a good mark: bullets, numbers, quotes.
    let start = text.trim_start_matches(|c: char| !c.is_ascii_alphabetic() && !"#{}<>".contains(c) || c == '>');
    let before = &text[..text.len() - start.len()];
    if !before.is_empty() && !before.starts_with('#') && is_message(start) {
        let quotes = ['"', '\'', '`', '“', '”', '‘', '’', '«', '»'];
        let bare = if before.ends_with(quotes) { start.trim_end_matches(quotes) } else { start };
        return wrong(before.trim_end(), format!("`{}` does not belong before a line", before.trim()), bare.to_owned());
    }
    let end = text
        .find(|c: char| {
            !c.is_ascii_alphabetic() && !"[]()<".contains(c) || c == '>' || c == '<' && !text.starts_with('<')
        })
        .unwrap_or(text.len());
    let end = if text[end..].starts_with('>') && text.starts_with('<') { end + 1 } else { end };
    let word = &text[..end];
    let side = side_of(word)?;
    let rest = &text[end..];
    let is_plain = word == "C" || word == "S";
    let gap = rest.len() - rest.trim_start().len();
    let behind = rest.trim_start();
    let mark =
        behind.len() - behind.trim_start_matches([':', '>', '<', '-', '=', ';', '|', '»', '→', '←', '.', ',']).len();
    let (sign, said) = behind.split_at(mark);
    let marked = &text[..end + gap + mark];
    if sign.is_empty() && is_plain && gap > 0 {
        return form_or_act(text, side, behind);
    }
    if !sign.is_empty() {
        if is_plain && sign == ":" && gap == 0 {
            return None;
        }
        let repaired = format!("{side}: {}", said.trim_start());
        let message = if sign == ":" && gap == 0 && word.len() == 1 {
            format!("the sides are written large: `{side}:`")
        } else {
            format!("`{marked}` is not how a line begins: the sides are `C:` and `S:`")
        };
        return wrong(marked, message, repaired);
    }
    let bracketed = word.ends_with([']', ')', '>']);
    if bracketed && gap > 0 {
        let repaired = format!("{side}: {behind}");
        let message = format!("`{word}` is not how a line begins: the sides are `C:` and `S:`");
        let help =
            format!("write `{}`; `sockeye import` makes a transcript of a page with such marks", clip(&repaired));
        return Some(Meant { part: word, message, help, instead: Statement(repaired) });
    }
    // `server closes`, `c waits 1s`, `client raw: x`.
    let verb = behind.split([' ', '\t', ':']).next().unwrap_or_default();
    if matches!(
        verb.to_ascii_lowercase().as_str(),
        "says" | "sends" | "said" | "sent" | "say" | "send" | "writes" | "replies" | "answers"
    ) && behind.len() > verb.len()
    {
        let said = behind[verb.len()..].trim_start_matches([':', ' ', '\t']);
        let message = format!("`{} {verb}` is not how a line begins: the sides are `C:` and `S:`", word);
        return wrong(text[..text.len() - said.len()].trim_end(), message, format!("{side}: {said}"));
    }
    let known = ["closes", "stops sending", "resets", "waits", "raw:", "hex:", "file:"];
    if known.iter().any(|act| behind.to_ascii_lowercase().starts_with(act)) {
        let repaired = format!("{side} {}", behind.to_ascii_lowercase().split(':').next()?);
        let repaired = behind.split_once(':').map_or(repaired.clone(), |(_, said)| format!("{repaired}:{said}"));
        return wrong(word, format!("the sides are `C` and `S`, and not `{word}`"), repaired);
    }
    None
}

/// `C->S: x` and its like: the whole mark, who speaks, and what is said.
fn arrow(text: &str) -> Option<(&str, char, &str)> {
    let first = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let from = side_of(&text[..first])?;
    let behind = text[first..].trim_start();
    let (arrow, left) = ["-->", "->", "=>", "→", ">>", "<--", "<-", "<=", "←", "<<"]
        .iter()
        .find_map(|arrow| Some((*arrow, behind.strip_prefix(arrow)?.trim_start())))?;
    let second = left.find(|c: char| !c.is_ascii_alphabetic())?;
    let to = side_of(&left[..second]).filter(|to| *to != from)?;
    let said = left[second..].trim_start().strip_prefix(':')?;
    let mark = &text[..text.len() - said.len()];
    let back = arrow.starts_with(['<', '←']);
    Some((mark, if back { to } else { from }, said))
}

/// Something else behind a side than `:`, a form and its colon, or an act.
fn form_or_act<'a>(text: &'a str, side: char, behind: &'a str) -> Option<Meant<'a>> {
    let wrong = |part, message: String, repaired: String| {
        let help = format!("write `{}`", clip(&repaired));
        Some(Meant { part, message, help, instead: Statement(repaired) })
    };
    let word = behind.split([' ', '\t', ':']).next()?;
    let rest = behind[word.len()..].trim_start();
    let lower = word.to_ascii_lowercase();
    if matches!(lower.as_str(), "raw" | "hex" | "file") {
        let said = rest.strip_prefix(':').unwrap_or(rest).trim_start();
        return wrong(
            &text[..text.len() - rest.len()],
            format!("`{side} {lower}` and its colon stand close together, in small letters"),
            format!("{side} {lower}: {said}"),
        );
    }
    if matches!(lower.as_str(), "says" | "sends" | "say" | "send" | "said" | "sent" | "writes" | "replies" | "answers")
        && !rest.is_empty()
    {
        let said = rest.strip_prefix(':').unwrap_or(rest).trim_start();
        // What is sent below the lines.
        let act = match said.trim_end_matches(['.', '!']).to_ascii_lowercase().as_str() {
            "rst" | "a reset" | "a rst" => Some("resets"),
            "fin" | "a fin" | "eof" | "end of file" => Some("closes"),
            _ => None,
        };
        if let Some(act) = act.filter(|_| !rest.starts_with(':')) {
            return wrong(text, format!("`{text}` is not a statement"), format!("{side} {act}"));
        }
        let message = format!("`{side} {word}` is not how a line begins: the sides are `C:` and `S:`");
        return wrong(text[..text.len() - said.len()].trim_end(), message, format!("{side}: {said}"));
    }
    if let Some(said) = rest.strip_prefix(':') {
        let said = said.trim_start();
        let is_plain = matches!(
            lower.as_str(),
            "text" | "line" | "json" | "xml" | "html" | "string" | "str" | "plain" | "utf8" | "ascii"
        );
        let (form, what) = match nearest(&lower, ["raw", "hex", "file"]).filter(|_| !is_plain) {
            Some(near) => (near, String::new()),
            None => match lower.as_str() {
                "bin" | "binary" | "bytes" | "byte" | "data" => ("hex", " and bytes as pairs of hex digits".to_owned()),
                "base64" | "b64" => ("raw", format!(" and a hole, with `let packed = unbase64 {}` above", clip(said))),
                _ => ("", format!(", or `{side} raw:`, `{side} hex:`, `{side} file:`")),
            },
        };
        let mark = if form.is_empty() { format!("{side}:") } else { format!("{side} {form}:") };
        return Some(Meant {
            part: word,
            message: format!("`{side} {word}:` is not how a line begins"),
            help: format!("write `{mark}`{what}"),
            instead: if form == "hex" { Nothing } else { Statement(format!("{mark} {said}")) },
        });
    }
    // A comment behind an act is told as one.
    let has_words = rest.starts_with(|c: char| c.is_alphabetic());
    let act = match lower.as_str() {
        "starttls" | "tls" | "starts" | "upgrades"
            if lower.ends_with("tls") || rest.to_ascii_lowercase().ends_with("tls") =>
        {
            let message = "TLS begins for both sides at once".to_owned();
            return wrong(text, message, "starttls".to_owned());
        }
        "close" | "closed" | "closing" | "disconnect" | "disconnects" | "hangs" | "quits" | "exits" | "ends"
        | "fin" | "eof" | "leaves" | "hangup" | "goes" | "terminates" | "drops" => "closes",
        "is" if matches!(rest.trim_end_matches(['.', '!']), "closing" | "closed" | "done" | "gone" | "leaving") => {
            "closes"
        }
        "half" if rest.starts_with("clos") => "stops sending",
        "closes" if has_words => "closes",
        "reset" | "rst" | "aborts" | "abort" | "crashes" | "kills" => "resets",
        "resets" if has_words => "resets",
        "wait" | "waits" | "sleep" | "sleeps" | "delay" | "delays" | "pause" | "pauses" => "waits",
        "stop" | "stops" | "shutdown" | "shuts" | "half-closes" | "half-close" | "halfcloses" | "finishes" => {
            "stops sending"
        }
        _ => return None,
    };
    let repaired = if act == "waits" {
        // What is no duration is told so.
        if lower == "waits" && behind.starts_with("waits ") {
            return None;
        }
        format!("{side} waits {}", nearest_duration(rest).unwrap_or_else(|| "50ms".to_owned()))
    } else if behind == act {
        return None;
    } else {
        format!("{side} {act}")
    };
    wrong(text, format!("`{text}` is not a statement"), repaired)
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
    let bare = text.trim_end_matches(|c: char| ":;.,{(){}".contains(c) || c.is_whitespace());
    let mark = text[bare.len()..].trim();
    if mark.is_empty() {
        return None;
    }
    let lower = bare.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_ascii_whitespace().collect();
    let is_whole =
        matches!(
            words[..],
            ["repeat" | "either" | "or" | "end" | "together" | "maybe" | "starttls"]
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

/// `gap: 100ms`, `eol = crlf`.
fn sign_behind(text: &str) -> Option<Meant<'_>> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let word = &text[..end];
    let lower = word.to_ascii_lowercase();
    if !["gap", "eol", "timeout", "at", "transcript", "set", "let", "ignore"].contains(&lower.as_str()) {
        return None;
    }
    let behind = text[end..].trim_start();
    let value = behind.strip_prefix([':', '='])?.trim_start();
    let sign = &behind[..1];
    let value = if lower == "eol" { value.to_ascii_lowercase() } else { value.to_owned() };
    let repaired = format!("{lower} {value}");
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
    let name = name.trim().trim_start_matches('$').trim_end_matches(':');
    let is_name = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    (is_name && !value.starts_with(['=', '>'])).then(|| (name, value.trim()))
}
