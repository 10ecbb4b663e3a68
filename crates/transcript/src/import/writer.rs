//! A session as a transcript: each line under its side, directions as statements, and what had to be guessed in a comment.

use super::clean::{has_mark_inside, mark_inside};
use super::fold::is_one_word;
use super::line::{Marker, Scheme};
use super::padding::Padding;
use super::{Item, Kind, Session, is_an_end, is_direction, who};
use crate::notation::show;
use crate::side::Side;

/// Writes the transcript.
pub(super) struct Writer {
    body: String,
    pub(super) guesses: Vec<(usize, String)>,
    starttls: bool,
    padding: [Padding; 2],
    scheme: Scheme,
    /// A line that a folded one may still be added to.
    open: Option<(Side, String, usize)>,
    over: bool,
    /// TLS began and has not ended: a page may direct to it in several words.
    is_under_tls: bool,
    /// It was told that others speak too.
    has_others: bool,
    /// It was told that something stands around what is said.
    has_frame: bool,
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
            has_frame: false,
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
                    if !is_one_word(line, rest) {
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
                let padding = self
                    .scheme
                    .side(*marker)
                    .map_or(Padding::ONE, |side| self.padding[usize::from(side == Side::Server)]);
                self.see_other_mark(*marker, said, item.line);
                self.see_frame(said, item.line);
                let text = padding.cut(said).trim_end();
                self.line(*marker, said.trim(), text, item.line, is_last);
            }
            Kind::Under(marker, said) => self.line(*marker, said.trim(), said, item.line, is_last),
        }
    }

    /// `C: | EHLO a |`: what stands around all that is said is said too.
    fn see_frame(&mut self, said: &str, line: usize) {
        let said = said.trim();
        let frame = ['|', '`'].into_iter().find(|frame| said.len() > 1 && said.ends_with(*frame));
        if let Some(frame) = frame.filter(|frame| *frame == '|' || said.starts_with(*frame))
            && !std::mem::replace(&mut self.has_frame, true)
        {
            self.guesses
                .push((line, format!("`{frame}` stands around it and is said too: take it off if it is the page's")));
        }
    }

    /// `C: PING S: PONG`: what may be two lines is said as one.
    fn see_other_mark(&mut self, marker: Marker, said: &str, line: usize) {
        let other = match marker {
            Marker::C => "S:",
            Marker::S => "C:",
            _ => return,
        };
        if mark_inside(said).is_some_and(|at| said[at..].starts_with(other)) {
            self.guesses.push((line, format!("`{other}` stands in it and is said too: two lines may have become one")));
        }
    }

    /// What a page has besides this session, and the transcript has not.
    pub(super) fn left_out(&mut self, line: usize, what: String) {
        self.close_line();
        self.guess(line, what);
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
            && (marker != Marker::Both || is_direction(direction))
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
    // `QUIT <CRLF>`: a space between two such signs is the printer's.
    let ended = if ended.len() < said.len() { ended.trim_end() } else { ended };
    ended.replace(" <SP> ", " ").replace("<SP>", " ")
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
            ("QUIT <CRLF>", "QUIT"),
            ("MAIL <SP> FROM:<a> <CRLF>", "MAIL FROM:<a>"),
            ("QUIT<SP><CRLF>", "QUIT "),
        ] {
            assert_eq!(spelled_out(said), meant, "{said}");
        }
    }
}
