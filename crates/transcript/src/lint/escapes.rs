//! Characters that do not say what they seem to: backslash escapes, comments, and what cannot be seen.

use super::payload::Payload;
use crate::diagnostic::Diagnostic;
use crate::notation::in_hex;

/// An escape of C's kind: how many characters, and the bytes that it would be elsewhere.
fn escape(payload: &Payload<'_>, at: usize) -> Option<(usize, Vec<u8>)> {
    if payload.text_at(at) != Some('\\') {
        return None;
    }
    let digits = |from: usize, count: usize, radix: u32| {
        let text: String = (from..from + count).map_while(|at| payload.text_at(at)).collect();
        (text.len() == count).then(|| u32::from_str_radix(&text, radix).ok()).flatten()
    };
    match payload.text_at(at + 1)? {
        'r' => Some((2, vec![b'\r'])),
        'n' => Some((2, vec![b'\n'])),
        't' => Some((2, vec![b'\t'])),
        'x' => Some((4, vec![digits(at + 2, 2, 16)? as u8])),
        'u' => {
            let character = char::from_u32(digits(at + 2, 4, 16)?)?;
            Some((6, character.to_string().into_bytes()))
        }
        'e' if payload.text_at(at + 2) == Some('[') => Some((2, vec![0x1b])),
        '0' | '1' if digits(at + 1, 3, 8).is_some_and(|byte| byte < 128) => {
            Some((4, vec![digits(at + 1, 3, 8)? as u8]))
        }
        '0' if !payload.text_at(at + 2).is_some_and(|c| c.is_alphanumeric()) => Some((2, vec![0])),
        _ => None,
    }
}

/// `\r\n`, `\x00` and their like; `is_bytes` where no line ending is added.
pub(super) fn escapes(payload: &Payload<'_>, is_bytes: bool, findings: &mut Vec<Diagnostic>) {
    let end = payload.characters.len();
    if let Some(finding) = spelled_ending(payload, is_bytes) {
        findings.push(finding);
    }
    if !payload.has(&['\\']) {
        return;
    }
    if end > 1 && payload.text_at(end - 1) == Some('\\') && payload.text_at(end - 2) == Some(' ') {
        let message = "a backslash at the end joins no lines: it is said".to_owned();
        let help = "write the line as one, or `{0x5c}` for a backslash that is meant".to_owned();
        findings.push(payload.warning(end - 1, end, message, help));
    }
    let (mut at, mut word) = (0, Word::at(0));
    while at < end {
        // A backslash that is escaped itself is the usual one of a string in a string.
        if payload.text_at(at) == Some('\\') && payload.text_at(at + 1) == Some('\\') {
            at += 2;
            continue;
        }
        let (from, mut bytes) = (at, Vec::new());
        while let Some((length, more)) = escape(payload, at) {
            at += length;
            bytes.extend(more);
        }
        if bytes.is_empty() {
            at += 1;
            continue;
        }
        let is_ending = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        let ends = at == end;
        // `"hello\n"`: nothing but one string as a program has it.
        let is_string = at + 1 == end
            && is_ending
            && payload.characters.first() == Some(&'"')
            && payload.characters.iter().filter(|c| **c == '"').count() == 2
            && payload.text_at(at) == Some('"');
        if !is_string && (payload.is_quoted(from) || !(ends && is_ending) && word.goes_on(payload, from, at)) {
            continue;
        }
        let hex = in_hex(&bytes);
        let written = payload.slice(from, at);
        let help = match (is_ending, ends || is_string, is_bytes) {
            (true, true, false) => {
                format!("leave it out: each line gets its ending from `eol`; further bytes are `{{0x{hex}}}`")
            }
            (true, false, false) => {
                format!("write each line as a statement of its own, or `{{0x{hex}}}` on a `raw:` line")
            }
            _ => format!("write `{{0x{hex}}}`"),
        };
        let message = format!("`{written}` is no escape: it is said as it stands");
        findings.push(payload.warning(from, at, message, help));
    }
}

/// The word in front of what looks like an escape. It grows as a line is read from left to right, so that a long word is
/// looked at once, however many escapes it has.
struct Word {
    begins: usize,
    /// What was looked at so far, and how far it was read as escapes and other characters.
    searched_to: usize,
    walked: usize,
    is_punctuation: bool,
    is_domain: bool,
    has_backslash: bool,
}

impl Word {
    fn at(begins: usize) -> Self {
        let (searched_to, walked) = (begins, begins);
        Self { begins, searched_to, walked, is_punctuation: true, is_domain: true, has_backslash: false }
    }

    fn grow(&mut self, payload: &Payload<'_>, to: usize) {
        while self.searched_to < to {
            match payload.text_at(self.searched_to) {
                Some(c) if !c.is_whitespace() => {
                    self.is_punctuation &= !c.is_alphanumeric();
                    self.is_domain &= c.is_ascii_uppercase() || c.is_ascii_digit() || "-_.".contains(c);
                    self.searched_to += 1;
                }
                _ => *self = Self::at(self.searched_to + 1),
            }
        }
        while self.walked < to {
            let length = escape(payload, self.walked).map(|(length, _)| length);
            self.has_backslash |= length.is_none() && payload.text_at(self.walked) == Some('\\');
            self.walked += length.unwrap_or(1);
        }
    }

    /// Whether what looks like an escape behind it belongs to a path, a name, a command or an expression.
    fn goes_on(&mut self, payload: &Payload<'_>, from: usize, to: usize) -> bool {
        self.grow(payload, from);
        let is_one = to - from == 2;
        let next_is_small = payload.text_at(to).is_some_and(|c| c.is_ascii_lowercase());
        // `\Seen \noselect`, `\title{x}`.
        if is_one && next_is_small && self.is_punctuation {
            return true;
        }
        // `C:\new`, `\\host\tmp`, `CORP\nancy`, `a\.b\t`.
        let is_domain = self.begins < from && self.is_domain;
        let is_drive = payload.text_at(self.begins).is_some_and(|c| c.is_ascii_alphabetic())
            && payload.text_at(self.begins + 1) == Some(':')
            && payload.text_at(self.begins + 2) == Some('\\');
        let begins_with_one = self.begins < from && payload.text_at(self.begins) == Some('\\');
        let is_path = is_drive || begins_with_one || self.has_backslash;
        is_one && (is_path || is_domain && next_is_small)
    }
}

/// `<CRLF>` at the end, where RFCs print the line ending.
fn spelled_ending(payload: &Payload<'_>, is_bytes: bool) -> Option<Diagnostic> {
    let text: String = payload.characters.iter().collect();
    let is_url = text.contains(['/', '?', '=', '&']);
    let encoded = ["%0d%0a", "%0D%0A", "%0a", "%0A"].into_iter().find(|ending| !is_url && text.ends_with(ending));
    let ending = encoded.or_else(|| {
        [
            "\\\\r\\\\n",
            "&#13;&#10;",
            "&#xD;&#xA;",
            "&#10;",
            "<CRLF>",
            "<CR><LF>",
            "<crlf>",
            "<cr><lf>",
            "[CRLF]",
            "<LF>",
            "^M^J",
            "^M",
            "␍␊",
            "␤",
            "↵",
            "¶",
        ]
        .into_iter()
        .find(|ending| text.ends_with(ending))
    })?;
    let length = ending.chars().count();
    let from = payload.characters.len() - length;
    // `354 end with <CRLF>.<CRLF>` is what servers say.
    let is_named = text[..text.len() - ending.len()].to_ascii_uppercase().contains("<CR");
    if is_named || payload.text_at(from).is_none() || payload.is_quoted(from) {
        return None;
    }
    let help = if is_bytes { "write `{0x0d0a}`" } else { "leave it out: each line gets its ending from `eol`" };
    Some(payload.warning(from, from + length, format!("`{ending}` is said as it stands"), help.to_owned()))
}

/// `hello  # a greeting`, `hello // a greeting`.
pub(super) fn comment(payload: &Payload<'_>, findings: &mut Vec<Diagnostic>) {
    if !payload.has(&['#', '/']) {
        return;
    }
    let end = payload.characters.len();
    let text = payload.slice(0, end);
    if text.ends_with(" */")
        && let Some(open) = text.rfind(" /* ")
        && !text[..open].trim().is_empty()
    {
        let at = text[..=open].chars().count();
        if payload.text_at(at).is_some() && !payload.is_quoted(at) {
            let message = "a comment stands on a line of its own: this one is said".to_owned();
            let help = "put it on the line above behind a #, or write `{0x2f}*` for a /* that is meant".to_owned();
            findings.push(payload.warning(at, end, message, help));
            return;
        }
    }
    for at in 2..end.saturating_sub(1) {
        let (mark, length) = match (payload.text_at(at), payload.text_at(at + 1)) {
            (Some('#'), _) => ("#", 1),
            (Some('/'), Some('/')) => ("//", 2),
            _ => continue,
        };
        let stands_alone = payload.text_before(at).is_some_and(|c| matches!(c, ' ' | '\t'))
            && payload.text_at(at + length) == Some(' ');
        if !stands_alone {
            continue;
        }
        let comment = payload.characters[at + length..].iter().find(|c| !c.is_whitespace());
        let said = payload.characters[..at].iter().rfind(|c| !c.is_whitespace());
        // `/ # `, `root@host:~# ls`: a prompt. `number # 3`, `"a # b"`: words.
        let is_prompt = said.is_none_or(|c| matches!(c, '/' | '~' | ']' | '>' | '$' | ':' | '#'));
        if !is_prompt && comment.is_some_and(|c| c.is_alphabetic()) && !payload.is_quoted(at) {
            let message = "a comment stands on a line of its own: this one is said".to_owned();
            let (behind, hex) = if length == 1 { ("", "{0x23}") } else { (" behind a #", "{0x2f}/") };
            let help = format!("put it on the line above{behind}, or write `{hex}` for a {mark} that is meant");
            findings.push(payload.warning(at, end, message, help));
            return;
        }
    }
}

/// Spaces at the end, no-break spaces, carriage returns and other characters that cannot be seen.
pub(super) fn unseen(payload: &Payload<'_>, findings: &mut Vec<Diagnostic>) {
    let end = payload.characters.len();
    let blank = (0..end).rev().take_while(|at| matches!(payload.text_at(*at), Some(' ' | '\t'))).count();
    if blank > 0 {
        let from = end - blank;
        let hex: String = payload.characters[from..].iter().map(|c| format!("{:02x}", *c as u32)).collect();
        let what = match (blank, payload.characters[from]) {
            (1, ' ') => "a space that cannot be seen stands at the end".to_owned(),
            (1, _) => "a tab that cannot be seen stands at the end".to_owned(),
            _ => format!("{blank} spaces that cannot be seen stand at the end"),
        };
        let them = if blank == 1 { "it" } else { "them" };
        let help = format!("leave {them} out, or write `{{0x{hex}}}` so that {them} can be seen")
            .replace("that them", "that they");
        findings.push(payload.warning(from, end, what, help));
    }
    // Where a language is written from right to left, its marks are meant.
    let from_the_right = payload.characters.iter().any(|c| {
        matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    });
    let is_meant = |c: char| from_the_right && is_mark_of_direction(c);
    let odd = |at: &usize| payload.text_at(*at).filter(|c| !is_meant(*c)).and_then(unseen_name).map(|name| (*at, name));
    if let Some((at, name)) = (0..end).find_map(|at| odd(&at)) {
        let character = payload.characters[at];
        let hex = in_hex(character.to_string().as_bytes());
        let message = format!("{name} (U+{:04X}) stands in what is said", character as u32);
        let instead = if matches!(character, '\u{a0}' | '\u{202f}') { "write a plain space" } else { "leave it out" };
        let help = format!("{instead}, or `{{0x{hex}}}` where it is meant");
        findings.push(payload.warning(at, at + 1, message, help));
    }
}

/// Characters that let text run from the right or from the left.
fn is_mark_of_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a character is called that cannot be told from a space or from nothing.
fn unseen_name(c: char) -> Option<&'static str> {
    match c {
        '\u{a0}' | '\u{202f}' => Some("a no-break space"),
        c if is_mark_of_direction(c) => Some("a mark of direction that cannot be seen"),
        // U+200C and U+200D join letters and signs of which some languages and pictures are made.
        '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => Some("a character that cannot be seen"),
        '\r' => Some("a carriage return"),
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            Some("a control character")
        }
        _ => None,
    }
}
