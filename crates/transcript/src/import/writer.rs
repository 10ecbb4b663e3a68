//! A session as a transcript: each line under its side, directions as statements, and what had to be guessed in a comment.

use super::clean::has_mark_inside;
use super::line::{Marker, Scheme};
use super::{Item, Kind, Session, is_an_end, is_direction, who};
use crate::notation::show;
use crate::side::Side;

/// Writes the transcript.
pub(super) struct Writer {
    body: String,
    pub(super) guesses: Vec<(usize, String)>,
    starttls: bool,
    padding: [usize; 2],
    scheme: Scheme,
    /// A line that a folded one may still be added to.
    open: Option<(Side, String, usize)>,
    over: bool,
    /// TLS began and has not ended: a page may direct to it in several words.
    is_under_tls: bool,
    /// It was told that others speak too.
    has_others: bool,
}

impl Writer {
    pub(super) fn new(session: &Session, starttls: bool, note: Option<String>) -> Self {
        let mut writer = Self {
            body: String::new(),
            guesses: Vec::new(),
            starttls,
            padding: session.padding,
            scheme: session.scheme,
            open: None,
            over: false,
            is_under_tls: false,
            has_others: false,
        };
        let first = session.items.first().map_or(1, |item| item.line);
        writer.guess(first, "lines end with CR and LF, as in the protocols of RFCs".to_owned());
        let is_told = note.is_some();
        if let Some(note) = note {
            writer.guess(first, note);
        }
        if session.scheme == Scheme::SenderReceiver {
            writer.guess(first, "S is the sender, who is the client, and R the receiver".to_owned());
        }
        if session.scheme == Scheme::InitiatorResponder {
            writer.guess(first, "I is the initiator, who is the client, and R the responder".to_owned());
        }
        if session.scheme.is_guessed() && !is_told {
            let speaker = session.items.iter().find_map(|item| match &item.kind {
                Kind::Said(marker, said) | Kind::Under(marker, said) if !is_direction(said.trim()) => {
                    session.scheme.side(*marker)
                }
                _ => None,
            });
            let client = if speaker == Some(Side::Server) { "is greeted with a code" } else { "speaks first" };
            writer.guess(first, format!("the one who {client} is the client"));
        }
        let markers = session.items.iter().filter_map(|item| match &item.kind {
            Kind::Said(marker, _) | Kind::Under(marker, _) => Some(*marker),
            _ => None,
        });
        if session.scheme.servers(markers) > 1 {
            writer.guess(first, "all whom the client speaks to are the server".to_owned());
        }
        match session.speakers() {
            (true, false) => writer.guess(first, "only the client speaks".to_owned()),
            (false, true) => writer.guess(first, "only the server speaks".to_owned()),
            _ => {}
        }
        if let Some((line, what)) = &session.left_out {
            writer.guess(*line, format!("what stands before a mark is left out, as `{what}`"));
        }
        writer
    }

    /// What stands above all that is said, below what was guessed of the whole.
    pub(super) fn settings(&mut self) {
        self.body.push_str("eol crlf\n");
    }

    pub(super) fn guess(&mut self, line: usize, what: String) {
        self.comment(&format!("guessed: {what}"));
        self.guesses.push((line, what));
    }

    fn comment(&mut self, text: &str) {
        // A comment is one line, and nothing in it hides.
        let shown = show(text.as_bytes());
        self.body.push_str(&format!("# {shown}\n"));
    }

    pub(super) fn item(&mut self, item: &Item, is_last: bool) {
        match &item.kind {
            Kind::Folded(rest) => match &mut self.open {
                Some((_, line, folded)) => {
                    if !(ends_in_base64(line) && is_base64(rest)) {
                        line.push(' ');
                    }
                    line.push_str(rest);
                    *folded = item.line;
                }
                None => self.comment(rest),
            },
            Kind::Remark(remark) => {
                self.close_line();
                if has_mark_inside(remark) {
                    self.comment(remark);
                    let why = "a mark stands in it, and not at its beginning";
                    self.guesses.push((item.line, format!("`{}` is a comment: {why}", show(remark.as_bytes()))));
                } else {
                    self.direction(Marker::Both, remark, item.line, is_last);
                }
            }
            Kind::EndOfHead(marker) => {
                self.close_line();
                if let Some(side) = self.scheme.side(*marker) {
                    self.guess(item.line, "an empty line ends this head".to_owned());
                    self.open = Some((side, String::new(), 0));
                }
            }
            Kind::Said(marker, said) => {
                let padding =
                    self.scheme.side(*marker).map_or(1, |side| self.padding[usize::from(side == Side::Server)]);
                let spaces = said.len() - said.trim_start_matches(' ').len();
                let text = said[padding.min(spaces)..].trim_end();
                self.line(*marker, said.trim(), text, item.line, is_last);
            }
            Kind::Under(marker, said) => self.line(*marker, said.trim(), said, item.line, is_last),
        }
    }

    fn line(&mut self, marker: Marker, direction: &str, said: &str, line: usize, is_last: bool) {
        self.close_line();
        match self.scheme.side(marker) {
            _ if is_direction(direction) => self.direction(marker, direction, line, is_last),
            Some(side) if !self.over => self.open = Some((side, spelled_out(said), 0)),
            side => {
                self.comment(said);
                if side.is_none() && marker == Marker::I {
                    self.guesses.push((line, format!("`I: {said}` is a comment: here C and S, or S and R, speak")));
                }
                if side.is_none() && marker.is_arrow() && !std::mem::replace(&mut self.has_others, true) {
                    self.guesses.push((line, "what others say to each other is a comment".to_owned()));
                }
            }
        }
    }

    /// What happens without a word.
    fn direction(&mut self, marker: Marker, direction: &str, line: usize, is_last: bool) {
        let lower = direction.to_ascii_lowercase();
        let is_tls = ["tls", "ssl"].iter().any(|word| lower.contains(word));
        self.comment(direction);
        let ends = is_an_end(&lower) || ["shut", "clear", "ends", "stop"].iter().any(|word| lower.contains(word));
        if is_tls && self.is_under_tls && ends && !is_last && !self.over {
            self.is_under_tls = false;
            self.body.push_str("stoptls\n");
            self.guesses.push((line, format!("`{direction}` is where TLS ends")));
        } else if is_tls && self.is_under_tls && !(ends && is_last) {
            self.guesses.push((line, format!("`{direction}` is part of how TLS begins")));
        } else if is_tls && self.starttls && !self.is_under_tls && !self.over {
            self.is_under_tls = true;
            self.body.push_str("starttls\n");
            self.guesses.push((line, format!("`{direction}` is where TLS begins")));
        } else if is_tls && !self.is_under_tls {
            self.guesses.push((line, format!("`{direction}` is a comment; --starttls makes it `starttls`")));
        } else if let Some(side) =
            self.scheme.side(marker).or_else(|| who(direction).filter(|_| marker == Marker::Both))
            && is_last
            && !self.over
            && is_an_end(&lower)
        {
            self.body.push_str(&format!("{} closes\n", side.letter()));
            self.over = true;
            self.guesses.push((line, format!("`{direction}` ends the conversation")));
        } else {
            self.guesses.push((line, format!("`{direction}` is a comment: it says nothing that can be played")));
        }
    }

    fn close_line(&mut self) {
        let Some((side, line, folded)) = self.open.take() else { return };
        if folded > 0 {
            self.guess(folded, "the next line was folded, and is one line with a space at each fold".to_owned());
        }
        let payload = show(line.as_bytes());
        let space = if payload.is_empty() { "" } else { " " };
        self.body.push_str(&format!("{}:{space}{payload}\n", side.letter()));
    }

    pub(super) fn text(&mut self) -> String {
        self.close_line();
        std::mem::take(&mut self.body)
    }
}

/// What stands for characters that cannot be printed, undone.
fn spelled_out(said: &str) -> String {
    const ENDING: &str = "<CRLF>";
    let said = &said.replace("<CR><LF>", ENDING);
    // RFC 821 shows the end of a message with the line ending in front of it.
    if said == "<CRLF>.<CRLF>" {
        return ".".to_owned();
    }
    // One that ends the line; in `end with <CRLF>.<CRLF>` they are words.
    let ended = said.strip_suffix(ENDING).filter(|rest| !rest.contains(ENDING)).unwrap_or(said);
    ended.replace("<SP>", " ")
}

/// Whether the last word of a line is such a part. Of a very long one its end tells.
fn ends_in_base64(line: &str) -> bool {
    const ENOUGH: usize = 64;
    let word = line.bytes().rev().take_while(|byte| *byte != b' ').take(ENOUGH);
    let word: Vec<u8> = word.collect();
    std::str::from_utf8(&word).is_ok_and(is_base64)
}

/// Whether a word is part of something long that was cut where the page ended.
fn is_base64(word: &str) -> bool {
    word.len() > 16 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_line_ending_or_a_space_is_undone() {
        for (said, meant) in [
            ("HELO a<CRLF>", "HELO a"),
            ("HELO a<CR><LF>", "HELO a"),
            ("HELO<SP>a<CRLF>", "HELO a"),
            ("<CRLF>.<CRLF>", "."),
            ("<CR><LF>.<CR><LF>", "."),
            ("354 end with <CRLF>.<CRLF>", "354 end with <CRLF>.<CRLF>"),
            ("a<CRLF> b", "a<CRLF> b"),
            ("<CRLF>", ""),
        ] {
            assert_eq!(spelled_out(said), meant, "{said}");
        }
    }

    #[test]
    fn a_part_of_something_long_is_told_by_its_last_word() {
        for (line, is_one) in [
            ("AUTH dGVzdAB0ZXN0AHRlc3Q=", true),
            ("abcdefghijklmnopq", true),
            ("abcdefghijklmnop", false),
            ("AUTH short", false),
            ("dGVzdAB0ZXN0AHRlc3Q= x", false),
            ("dGVzdAB0ZXN0AHRlc3Q-x", false),
            ("", false),
        ] {
            assert_eq!(ends_in_base64(line), is_one, "{line}");
        }
        assert!(ends_in_base64(&format!("-{}", "a".repeat(64))), "of a very long one the end tells");
        assert!(!ends_in_base64(&format!("{}-a", "a".repeat(64))));
    }
}
