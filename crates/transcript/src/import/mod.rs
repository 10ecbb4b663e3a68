//! Sessions as RFCs print them become transcripts. What a person would have to guess is guessed, and said.

mod line;

use line::{Marker, Scheme, marked, without_pages};

use crate::notation::show;
use crate::side::Side;

/// Unmarked lines between two marked ones that may still be of one session: remarks, not the text of the page.
const REMARKS: usize = 6;

/// How to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Import {
    /// Which of several sessions, counted from 1.
    pub session: usize,
    /// Whether a direction to negotiate TLS becomes `starttls`; else it becomes a comment.
    pub starttls: bool,
}

/// A session as a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The transcript.
    pub text: String,
    /// What was guessed, each with the line of the page, counted from 1.
    pub guesses: Vec<(usize, String)>,
    /// The line at which each session of the page begins.
    pub sessions: Vec<usize>,
}

/// Turns one session of a page into a transcript; `None` if the page has no such session.
#[must_use]
pub fn import(page: &str, options: Import) -> Option<Imported> {
    let lines = without_pages(page);
    let sessions = sessions(&lines);
    let session = sessions.get(options.session.checked_sub(1)?)?;
    let mut writer = Writer::new(session, options.starttls);
    for (at, item) in session.items.iter().enumerate() {
        writer.item(item, at + 1 == session.items.len());
    }
    let begins = sessions.iter().map(|session| session.items[0].line).collect();
    Some(Imported { text: writer.text(), guesses: writer.guesses, sessions: begins })
}

/// One marked line, or what stands between two.
#[derive(Debug, Clone)]
struct Item {
    /// Of the page.
    line: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Behind a marker; the spaces behind it are still there.
    Said(Marker, String),
    /// The rest of the line before, folded by whoever printed it.
    Folded(String),
    /// A remark.
    Remark(String),
}

#[derive(Debug)]
struct Session {
    items: Vec<Item>,
    scheme: Scheme,
    /// Spaces between a marker and what is said.
    padding: usize,
}

/// Finds the sessions of a page.
fn sessions(lines: &[(usize, String)]) -> Vec<Session> {
    let mut found: Vec<Vec<Item>> = Vec::new();
    let mut items: Vec<Item> = Vec::new();
    let mut remarks: Vec<Item> = Vec::new();
    // The column of the last marker, and whether unmarked lines below it are lines of their own.
    let mut last: Option<(usize, Marker, bool)> = None;
    let mut blank = false;
    for (line, text) in lines {
        let indent = text.len() - text.trim_start_matches(' ').len();
        let body = text.trim();
        if body.is_empty() {
            blank = true;
            continue;
        }
        if let Some((marker, said)) = marked(body) {
            items.append(&mut remarks);
            let stands_alone = said.trim().is_empty() && marker.is_arrow();
            if !stands_alone {
                items.push(Item { line: *line, kind: Kind::Said(marker, said.to_owned()) });
            }
            last = Some((indent, marker, stands_alone));
        } else if let Some((column, marker, true)) = last.filter(|_| !blank)
            && indent >= column
        {
            items.push(Item { line: *line, kind: Kind::Said(marker, format!(" {body}")) });
        } else if let Some((column, ..)) = last
            && !blank
            && remarks.is_empty()
            && indent > column
            && !is_direction(body)
        {
            items.push(Item { line: *line, kind: Kind::Folded(body.to_owned()) });
        } else if last.is_some() {
            remarks.push(Item { line: *line, kind: Kind::Remark(body.to_owned()) });
            if remarks.len() > REMARKS || is_heading(text) {
                found.push(std::mem::take(&mut items));
                (last, remarks) = (None, Vec::new());
            }
        }
        blank = false;
    }
    found.push(items);
    found.into_iter().filter(|items| is_session(items)).map(Session::of).collect()
}

/// Whether somebody says something and somebody else something too; a single marked line is a remark about a protocol.
fn is_session(items: &[Item]) -> bool {
    let said = items.iter().filter(|item| matches!(item.kind, Kind::Said(..)));
    said.count() >= 2
}

/// A heading of a section: `4.2.  Name`, at the very beginning of a line.
fn is_heading(text: &str) -> bool {
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    text.starts_with(|c: char| c.is_ascii_digit()) && number.starts_with(' ')
}

/// A remark about what happens, in place of what is said.
fn is_direction(said: &str) -> bool {
    let within = |open: char, close: char| {
        said.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .filter(|inside| !inside.contains([open, close]))
    };
    if said.chars().all(|c| matches!(c, '.' | ' ' | '…' | '*' | ':')) && said.len() > 1 {
        return true;
    }
    let inside = within('<', '>').or_else(|| within('(', ')')).or_else(|| within('[', ']'));
    inside.is_some_and(|inside| inside.contains(' ') && !inside.contains('@') || matches!(inside, "..." | "…" | "etc."))
}

impl Session {
    fn of(items: Vec<Item>) -> Self {
        let said = || {
            items.iter().filter_map(|item| match &item.kind {
                Kind::Said(marker, said) => Some((*marker, said.as_str())),
                _ => None,
            })
        };
        let scheme = Scheme::of(said().map(|(marker, _)| marker));
        let padding = said()
            .filter(|(_, said)| !said.trim().is_empty() && !is_direction(said.trim()))
            .map(|(_, said)| said.len() - said.trim_start_matches(' ').len())
            .min()
            .unwrap_or(1);
        Self { items, scheme, padding }
    }
}

/// Writes the transcript.
struct Writer {
    body: String,
    guesses: Vec<(usize, String)>,
    starttls: bool,
    padding: usize,
    scheme: Scheme,
    /// A line that a folded one may still be added to.
    open: Option<(Side, String, usize)>,
    over: bool,
}

impl Writer {
    fn new(session: &Session, starttls: bool) -> Self {
        let mut writer = Self {
            body: String::new(),
            guesses: Vec::new(),
            starttls,
            padding: session.padding,
            scheme: session.scheme,
            open: None,
            over: false,
        };
        let first = session.items.first().map_or(1, |item| item.line);
        writer.guess(first, "lines end with CR and LF, as in the protocols of RFCs".to_owned());
        if session.scheme == Scheme::SenderReceiver {
            writer.guess(first, "S is the sender, who is the client, and R the receiver".to_owned());
        }
        writer.body.push_str("eol crlf\n");
        writer
    }

    fn guess(&mut self, line: usize, what: String) {
        self.comment(&format!("guessed: {what}"));
        self.guesses.push((line, what));
    }

    fn comment(&mut self, text: &str) {
        // A comment is one line, and nothing in it hides.
        let shown = show(text.as_bytes());
        self.body.push_str(&format!("# {shown}\n"));
    }

    fn item(&mut self, item: &Item, is_last: bool) {
        match &item.kind {
            Kind::Folded(rest) => match &mut self.open {
                Some((_, line, folded)) => {
                    line.push(' ');
                    line.push_str(rest);
                    *folded = item.line;
                }
                None => self.comment(rest),
            },
            Kind::Remark(remark) => {
                self.close_line();
                self.comment(remark);
            }
            Kind::Said(marker, said) => {
                self.close_line();
                let direction = said.trim();
                let said = said.get(self.padding.min(said.len())..).unwrap_or_default().trim_end();
                match self.scheme.side(*marker) {
                    _ if is_direction(direction) => self.direction(*marker, direction, item.line, is_last),
                    Some(side) if !self.over => self.open = Some((side, spelled_out(said), 0)),
                    _ => self.comment(said),
                }
            }
        }
    }

    /// What happens without a word.
    fn direction(&mut self, marker: Marker, direction: &str, line: usize, is_last: bool) {
        let lower = direction.to_ascii_lowercase();
        let is_tls = ["tls", "ssl"].iter().any(|word| lower.contains(word));
        self.comment(direction);
        if is_tls && self.starttls && !self.over {
            self.body.push_str("starttls\n");
            self.guesses.push((line, format!("`{direction}` is where TLS begins")));
        } else if is_tls {
            self.guesses.push((line, format!("`{direction}` is a comment; --starttls makes it `starttls`")));
        } else if let Some(side) = self.scheme.side(marker)
            && is_last
            && lower.contains("clos")
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

    fn text(&mut self) -> String {
        self.close_line();
        std::mem::take(&mut self.body)
    }
}

/// What stands for characters that cannot be printed, undone.
fn spelled_out(said: &str) -> String {
    let ended = ["<CRLF>", "<CR><LF>", "<crlf>"].iter().find_map(|ending| said.strip_suffix(ending)).unwrap_or(said);
    ended.replace("<SP>", " ")
}

#[cfg(test)]
mod tests;
