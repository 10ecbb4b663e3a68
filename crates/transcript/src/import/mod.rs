//! Sessions as RFCs print them become transcripts. What a person would have to guess is guessed, and said.
//!
//! ```
//! use transcript::import::{Import, import};
//!
//! let page = "   C: EHLO example.org\n   S: 250 hello\n   C: QUIT\n   S: 221 bye\n";
//! let imported = import(page, Import::default()).expect("the page has a session");
//! assert!(imported.text.contains("C: QUIT\nS: 221 bye\n"));
//! ```

mod clean;
mod flow;
mod fold;
mod label;
mod line;
mod padding;
mod pair;
mod parts;
mod refused;
mod signs;
mod volatile;
mod writer;

use std::collections::HashMap;

use padding::Padding;
use pair::Pair;
use parts::{Part, Parts};
use signs::Signs;
pub use volatile::with_holes;
use writer::Writer;

use clean::{
    LONGEST_SHAPE, behind_prefix, behind_shape, behind_time, has_mark_inside, shape, with_newlines, without_bom,
    without_colours,
};
use fold::goes_on_beside;
use label::{names_speaker, names_speaker_further_in};
use line::{BREAK, Marker, Parties, Party, Scheme, is_numbered, marked, marked_behind, without_pages};

use crate::side::Side;

/// Unmarked lines between two marked ones that may still be of one session: remarks, not the text of the page.
const REMARKS: usize = 6;

/// Most lines of a page: each takes far more memory than its bytes.
const MOST_LINES: usize = 1_000_000;

fn is_too_long(page: &str) -> bool {
    memchr::memchr_iter(b'\n', page.as_bytes()).count() > MOST_LINES
}

/// How to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Import<'a> {
    /// Which of several sessions, counted from 1.
    pub session: usize,
    /// Whether a direction to negotiate TLS becomes `starttls`; else it becomes a comment.
    pub starttls: bool,
    /// What stands before the lines of the client, if the page does not tell by itself: `A`, where `A:` does.
    pub client: Option<&'a str>,
}

impl Default for Import<'_> {
    fn default() -> Self {
        Self { session: 1, starttls: false, client: None }
    }
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

/// Why a page has no session: what it is instead, or what it lacks.
#[must_use]
pub fn why_none(page: &str, client: Option<&str>) -> String {
    if is_too_long(page) {
        return format!("it has more than {MOST_LINES} lines: cut out the pages that matter");
    }
    let page = &with_newlines(page);
    if let Some(why) = refused::why(page) {
        return why.to_owned();
    }
    if let pair::Found::Unclear(why) = Pair::find(&without_pages(page), client) {
        return why;
    }
    if let Some(client) = client.filter(|_| !page.trim().is_empty()) {
        return format!("no line is marked as said by `{client}`, who would talk with another one (--client)");
    }
    let head = without_bom(page).trim_start();
    let begins = |tag: &str| head.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    let mut parties = Parties::default();
    let is_marked = page.lines().any(|line| marked(line.trim(), &mut parties).is_some());
    if head.is_empty() {
        "it is empty"
    } else if begins("<!doctype html") || begins("<html") || begins("<?xml") {
        "it is a page for browsers: save it as plain text, as the .txt of an RFC"
    } else if is_marked
        && page.lines().any(|line| marked(line.trim(), &mut parties).is_some_and(|(_, said)| said.trim().is_empty()))
    {
        "its marks stand alone: write what is said behind them, or below them and further in"
    } else if is_marked {
        "its marked lines say nothing: they are directions such as <open connection>"
    } else {
        let why = "no line begins with C: or S:, or as other RFCs mark who speaks";
        return refused::strange_mark(page).map_or_else(|| why.to_owned(), |strange| format!("{why}; {strange}"));
    }
    .to_owned()
}

/// Turns one session of a page into a transcript; `None` if the page has no such session.
#[must_use]
pub fn import(page: &str, options: Import<'_>) -> Option<Imported> {
    let page = &with_newlines(page);
    if is_too_long(page) || refused::why(page).is_some() {
        return None;
    }
    let lines = without_pages(page);
    let Sessions { sessions, note, left } = Sessions::find(&lines, options.client);
    let session = sessions.get(options.session.checked_sub(1)?)?;
    let mut writer = Writer::new(session, options.starttls, note);
    if let Some(at) = without_bom(page).lines().position(|line| without_colours(line) != line) {
        writer.guess(at + 1, "colours are left out where a line begins with one".to_owned());
    }
    writer.settings();
    let is_said = |item: &Item| match &item.kind {
        Kind::Said(_, said) | Kind::Under(_, said) => !is_direction(said.trim()),
        Kind::Folded(_) | Kind::EndOfHead(_) => true,
        Kind::Remark(_) => false,
    };
    let last = session.items.iter().rposition(is_said).unwrap_or(0);
    for (at, item) in session.items.iter().enumerate() {
        writer.item(item, at > last);
    }
    let begins: Vec<usize> = sessions.iter().map(|session| session.items[0].line).collect();
    for (line, what) in parts::around(&left, &begins, options.session - 1) {
        writer.left_out(line, what);
    }
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
    /// Without a marker of its own: under an arrow, or the next line of a listing.
    Under(Marker, String),
    /// The rest of the line before, folded by whoever printed it.
    Folded(String),
    /// A remark.
    Remark(String),
    /// Where a head of HTTP's kind ends, which the page shows by nothing.
    EndOfHead(Marker),
}

#[derive(Debug)]
struct Session {
    items: Vec<Item>,
    scheme: Scheme,
    /// What stands between the markers of the client, and of the server, and what is said.
    padding: [Padding; 2],
    /// What stood before a mark and is left out, the first of it, with its line.
    left_out: Option<(usize, String)>,
}

/// The sessions of a page.
struct Sessions {
    sessions: Vec<Session>,
    /// What had to be guessed of all of them.
    note: Option<String>,
    /// What only one side says, away from all of them: the line, and what to tell.
    left: Vec<(usize, String)>,
}

impl Sessions {
    fn find(lines: &[(usize, String)], client: Option<&str>) -> Self {
        let of = |parts: Parts, note| Self { left: parts.left(), sessions: parts.found, note };
        let mut plain = Reader::default();
        let mut parts = plain.read(lines);
        if client.is_none() && !parts.found.is_empty() {
            return of(parts, None);
        }
        let flows = if client.is_none() { flow::sessions(lines) } else { Vec::new() };
        if !flows.is_empty() {
            return Self { sessions: flows, note: None, left: Vec::new() };
        }
        if let Some(signs) = Signs::find(lines).and_then(|signs| signs.told(client)) {
            let mut pointed = Reader { signs: Some(signs), ..Reader::default() };
            let pointed = pointed.read(lines);
            if !pointed.found.is_empty() {
                return of(pointed, Some(signs.guess()));
            }
        }
        let note = match Pair::find(lines, client) {
            pair::Found::Pair(pair) => {
                let note = Some(pair.guess());
                let mut labelled = Reader { pair: Some(pair), ..Reader::default() };
                let labelled = labelled.read(lines);
                if !labelled.found.is_empty() {
                    return of(labelled, note);
                }
                None
            }
            pair::Found::Unclear(why) => Some(why),
            pair::Found::Nothing => None,
        };
        // Arrows have names too, and where both never speak, what one of them says is what the page has.
        let Some(client) = client else {
            let sessions = parts.one_sided.into_iter().map(|one| one.session).collect();
            return Self { sessions, note, left: Vec::new() };
        };
        let party = plain.parties.find(client);
        parts.found.retain_mut(|session| party.is_some_and(|party| session.has_client(party)));
        of(parts, Some(format!("{client} is the client, as --client says")))
    }
}

/// What was read of a page so far.
#[derive(Default)]
struct Reader {
    parts: Vec<Part>,
    /// The line that ended the last part.
    ended: Option<usize>,
    /// The heading above this part, where nothing else stands between the two.
    alone: Option<Item>,
    items: Vec<Item>,
    remarks: Vec<Item>,
    parties: Parties,
    /// Whose labels mark what is said, where none of the usual marks do.
    pair: Option<Pair>,
    /// The arrows that mark what is said, where nothing else does. What has none is said by the program that printed the page.
    signs: Option<Signs>,
    /// The last marker, and the column in which it stands, or what is left out before it.
    last: Option<(usize, Marker)>,
    /// The column of the last marker itself.
    column: usize,
    /// What kinds of prefixes stand before the marks of this session.
    shapes: Vec<String>,
    /// How wide the last line is.
    width: usize,
    /// So many of the first remarks stand right below what is said.
    close: usize,
    /// The last item that stands behind a marker.
    last_said: Option<usize>,
    /// Who waits for a message: the last that this one said is 354 of SMTP, or 335 or 340 of NNTP.
    waits: Option<Marker>,
    /// How far in the lines stand that have no mark, since the last one that has: of a message that is said too.
    indents: HashMap<usize, usize>,
    /// The lines under an arrow that is the last marker.
    block: Option<Block>,
    /// The line at which a request or answer of HTTP's kind begins whose end no empty line shows yet.
    head: Option<(usize, Marker)>,
    blank: bool,
    /// The page ended above this line: whether an empty line stood there cannot be known.
    broke: bool,
    /// What stood before a mark of this session and is left out, the first of it.
    left_out: Option<(usize, String)>,
}

/// A line with a mark.
struct Marked<'a> {
    marker: Marker,
    /// The spaces behind the mark are still there.
    said: &'a str,
    /// What is left out before it.
    prefix: &'a str,
}

/// So many kinds of prefixes of one session are known; a page has one or two.
const MOST_SHAPES: usize = 16;

/// Lines under an arrow, or under a mark that stands alone.
struct Block {
    marker: Marker,
    /// The item that is its first unmarked line.
    first: usize,
    /// Where the first of them begins.
    indent: Option<usize>,
    /// Empty lines since the last of them.
    blanks: usize,
    /// Something was said already: an empty line is one that is said too.
    says: bool,
}

/// Room that a marker takes: what is folded behind a page break stands further in than prose.
const MARK: usize = 3;

impl Reader {
    fn read(&mut self, lines: &[(usize, String)]) -> Parts {
        for (line, text) in lines {
            self.line(*line, text);
            self.width = text.chars().count();
        }
        self.end_block();
        self.end_session(0);
        Parts::of(std::mem::take(&mut self.parts))
    }

    /// Nothing stands in a line.
    fn empty(&mut self) {
        self.blank = true;
        self.forget_above();
        if let Some(block) = &mut self.block {
            block.blanks += 1;
        }
    }

    fn line(&mut self, line: usize, text: &str) {
        let body = text.trim();
        if text == BREAK {
            self.broke = true;
            return;
        }
        if body.is_empty() {
            return self.empty();
        }
        // The fence around an example in Markdown.
        if body.starts_with("```") {
            self.end_session(line);
            self.alone = None;
            return;
        }
        // RFC 3501 prints its examples behind this word.
        let body = match &self.pair {
            Some(_) => label::behind_example(body),
            None => body.strip_prefix("Example:").map_or(body, str::trim_start),
        };
        let indent = text.trim_end().len() - body.len();
        let marks = self.marked(body);
        // Where marks stand behind a prefix, other lines do as well.
        let bare = marks.is_none().then(|| behind_shape(body, &self.shapes)).flatten();
        if bare == Some("") {
            return self.empty();
        }
        let (blank, broke) = (std::mem::take(&mut self.blank), std::mem::take(&mut self.broke));
        if let Some(Marked { marker, said, prefix }) = marks {
            self.behind_marker(line, indent, marker, said, prefix);
        } else if let Some(bare) = bare {
            let indent = text.trim_end().len() - bare.len();
            self.without_marker(line, text, (indent, self.column, bare), blank, broke);
        } else {
            let column = self.last.map_or(0, |(column, _)| column);
            self.without_marker(line, text, (indent, column, body), blank, broke);
        }
    }

    /// Who says a line, what, and what stands before the mark.
    fn marked<'a>(&mut self, body: &'a str) -> Option<Marked<'a>> {
        // Under an arrow `Server:` is a field of HTTP.
        let is_field = self.block.as_ref().is_some_and(|block| block.blanks == 0 && block.says)
            && (body.starts_with("Server:") || body.starts_with("Client:"));
        let (marked, behind) = match (&self.pair, self.signs) {
            (Some(pair), _) => (pair.marked(body), behind_prefix(body)),
            (None, Some(signs)) => (signs.marked(body), behind_time(body)),
            (None, None) => (marked(body, &mut self.parties).filter(|_| !is_field), behind_prefix(body)),
        };
        if let Some((marker, said)) = marked {
            return Some(Marked { marker, said, prefix: "" });
        }
        let behind = behind?;
        let (marker, said) = match (&self.pair, self.signs) {
            (Some(pair), _) => pair.marked(behind),
            (None, Some(signs)) => signs.marked(behind),
            // Under an arrow a bullet before `C:` is said.
            (None, None) => {
                marked_behind(behind, &mut self.parties).filter(|(marker, _)| marker.is_arrow() || self.block.is_none())
            }
        }?;
        let prefix = &body[..body.len() - behind.len()];
        Some(Marked { marker, said, prefix })
    }

    /// What stands behind a marker.
    fn behind_marker(&mut self, line: usize, indent: usize, marker: Marker, said: &str, prefix: &str) {
        if !prefix.is_empty() {
            self.left_out.get_or_insert_with(|| (line, prefix.trim_end().to_owned()));
            let shape = shape(prefix);
            if shape.len() <= LONGEST_SHAPE && self.shapes.len() < MOST_SHAPES && !self.shapes.contains(&shape) {
                self.shapes.push(shape);
            }
        }
        self.column = indent + prefix.len();
        self.indents.clear();
        self.close = 0;
        self.end_block();
        self.shorten_remarks();
        self.items.append(&mut self.remarks);
        let says = !said.trim().is_empty();
        if says || !marker.is_arrow() {
            self.said(line, marker, said.to_owned());
        }
        self.last = Some((indent, marker));
        self.block =
            marker.is_arrow().then_some(Block { marker, first: self.items.len(), indent: None, blanks: 0, says });
    }

    /// A line without a marker: it belongs to the one above it, or is a remark.
    fn without_marker(
        &mut self,
        line: usize,
        text: &str,
        (indent, column, body): (usize, usize, &str),
        blank: bool,
        broke: bool,
    ) {
        let Some((_, marker)) = self.last else {
            // Right above the first mark it is a line of the session that cannot be read; elsewhere it is the page's.
            self.forget_above();
            self.alone = None;
            if has_mark_inside(body) || names_speaker(body) {
                self.remarks.push(Item { line, kind: Kind::Remark(body.to_owned()) });
            }
            return;
        };
        self.see_mark_alone((indent, column), body, blank);
        if self.waits.is_some() {
            self.indents.insert(line, indent);
        }
        if self.signs.is_some() {
            self.remarks.push(Item { line, kind: Kind::Remark(body.to_owned()) });
        } else if body == "." && self.block.is_none() && indent >= column && self.is_message(marker) {
            self.end_message(line, marker);
        } else if self.is_in_block(indent, column, broke) {
            self.under_arrow(line, indent, body);
        } else if self.block.is_none()
            && !blank
            && self.remarks.is_empty()
            && self.is_rest((indent, column), body, broke)
        {
            // A listing goes on with its code; anything else is the rest of the line above.
            if self.goes_on(body) {
                self.under(line, marker, body);
            } else {
                self.items.push(Item { line, kind: Kind::Folded(body.to_owned()) });
            }
        } else {
            self.end_block();
            if !blank && self.close == self.remarks.len() {
                self.close += 1;
            }
            let remark = Item { line, kind: Kind::Remark(body.to_owned()) };
            self.remarks.push(remark.clone());
            let is_heading = is_heading(text);
            if self.remarks.len() > REMARKS || is_heading {
                // Where the marks stand as far out, a number may be that of a list.
                let is_alone = is_heading && self.remarks.len() == 1 && column == 0;
                self.close -= usize::from(is_heading && self.close == self.remarks.len());
                self.end_session(line);
                self.alone = is_alone.then_some(remark);
            }
        }
    }

    /// What is said may stand below its mark, and further in.
    fn see_mark_alone(&mut self, (indent, column): (usize, usize), body: &str, blank: bool) {
        let marker = match self.items.last().map(|item| &item.kind) {
            Some(Kind::Said(marker, said)) if said.trim().is_empty() => *marker,
            _ => return,
        };
        if self.block.is_none() && self.remarks.is_empty() && !blank && indent > column && !is_direction(body) {
            self.items.pop();
            self.last_said = None;
            self.block = Some(Block { marker, first: self.items.len(), indent: None, blanks: 0, says: false });
        }
    }

    /// A dot alone ends a message: what stands above it without a mark are its lines, and no folds or remarks.
    fn end_message(&mut self, line: usize, marker: Marker) {
        let Some(first) = self.last_said.map(|said| said + 1) else { return };
        let mut above = self.items[first - 1].line;
        let lines: Vec<Item> = self.items.drain(first..).chain(self.remarks.drain(..)).collect();
        // What stands further in than the others is said so: YAML, code, a header that was folded.
        let indents = std::mem::take(&mut self.indents);
        let indent = |line: usize| indents.get(&line).copied().unwrap_or_default();
        let is_said = |item: &&Item| matches!(item.kind, Kind::Folded(_) | Kind::Remark(_));
        let margin = lines.iter().filter(is_said).map(|item| indent(item.line)).min().unwrap_or_default();
        for Item { line, kind } in lines {
            let (Kind::Folded(said) | Kind::Remark(said)) = kind else {
                self.items.push(Item { line, kind });
                continue;
            };
            if line > above + 1 {
                self.items.push(Item { line: above + 1, kind: Kind::Under(marker, String::new()) });
            }
            above = line;
            let said = format!("{:1$}{said}", "", indent(line) - margin);
            self.items.push(Item { line, kind: Kind::Under(marker, said) });
        }
        self.close = 0;
        self.items.push(Item { line, kind: Kind::Under(marker, ".".to_owned()) });
    }

    /// Whether the other side has said that it waits for a message.
    fn is_message(&self, marker: Marker) -> bool {
        self.waits.is_some_and(|waits| waits != marker)
    }

    /// Whether a line without a mark is the next of a listing, or the rest of the line above.
    fn is_rest(&self, (indent, column): (usize, usize), body: &str, broke: bool) -> bool {
        indent >= column + if broke { MARK } else { 0 }
            && !is_direction(body)
            && !is_numbered(body)
            && !names_speaker_further_in(body)
            && (indent > column
                || self.goes_on(body)
                || !has_mark_inside(body) && goes_on_beside(body, self.above(), self.width))
    }

    /// What stands behind the last mark.
    fn above(&self) -> &str {
        match self.last_said.and_then(|at| self.items.get(at)).map(|item| &item.kind) {
            Some(Kind::Said(_, said)) => said.trim(),
            _ => "",
        }
    }

    /// Whether an unmarked line belongs to the arrow above it.
    fn is_in_block(&self, indent: usize, column: usize, broke: bool) -> bool {
        let Some(block) = &self.block else { return false };
        if block.blanks == 0 && !broke {
            // In the column of the arrow stand other remarks too, unless it says nothing itself, or a head.
            let is_beside = !block.says || self.head.is_some() || block.indent == Some(column);
            return indent > column || indent == column && is_beside;
        }
        // Behind an empty line stands a body, or what a mark without a colon announces; prose stands further out.
        let goes_on = block.indent.is_some() || self.head.is_some() || !block.says;
        goes_on && indent > column && block.indent.is_none_or(|first| indent >= first)
    }

    fn under_arrow(&mut self, line: usize, indent: usize, body: &str) {
        let Some(block) = &mut self.block else { return };
        let marker = block.marker;
        let blanks = std::mem::take(&mut block.blanks);
        let says = std::mem::replace(&mut block.says, true);
        block.indent.get_or_insert(indent);
        if blanks > 0 && says {
            // The page shows itself where the head ends.
            self.head = None;
            for _ in 0..blanks {
                self.items.push(Item { line: line - 1, kind: Kind::Under(marker, String::new()) });
            }
        }
        // The margin goes when all of them are known: what stands further in is folded, or a body's own.
        self.under(line, marker, &format!("{:indent$}{body}", ""));
    }

    fn said(&mut self, line: usize, marker: Marker, said: String) {
        self.see_head(line, marker, &said);
        if ["354", "335", "340"].iter().any(|code| said.trim_start().starts_with(code)) {
            self.waits = Some(marker);
        } else if self.waits == Some(marker) {
            self.waits = None;
        }
        if let Some((before, direction)) = direction_behind(&said) {
            let (before, direction) = (before.to_owned(), format!(" {direction}"));
            self.items.push(Item { line, kind: Kind::Said(marker, before) });
            self.items.push(Item { line, kind: Kind::Said(marker, direction) });
        } else {
            self.items.push(Item { line, kind: Kind::Said(marker, said) });
        }
        self.last_said = Some(self.items.len() - 1);
    }

    fn under(&mut self, line: usize, marker: Marker, said: &str) {
        self.see_head(line, marker, said);
        self.items.push(Item { line, kind: Kind::Under(marker, said.to_owned()) });
    }

    fn see_head(&mut self, line: usize, marker: Marker, said: &str) {
        if marker.is_arrow()
            && self.head.is_none()
            && ["HTTP/", "RTSP/", "SIP/2.0"].iter().any(|name| said.contains(name))
        {
            self.head = Some((line, marker));
        }
    }

    /// Whether a line is the next of a listing: `250-SIZE` below `250-PIPELINING`.
    fn goes_on(&self, body: &str) -> bool {
        let code =
            |text: &str| text.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned);
        let before = self.above();
        before.get(3..4) == Some("-") && code(before).is_some() && code(before) == code(body)
    }

    /// The lines under an arrow are at their end.
    fn end_block(&mut self) {
        if let Some(block) = self.block.take() {
            let under = self.items[block.first..].iter_mut().filter_map(|item| match &mut item.kind {
                Kind::Under(_, said) if !said.is_empty() => Some(said),
                _ => None,
            });
            let mut under: Vec<&mut String> = under.collect();
            let margin = under.iter().map(|said| said.len() - said.trim_start_matches(' ').len()).min().unwrap_or(0);
            under.iter_mut().for_each(|said| drop(said.drain(..margin)));
        }
        if let Some((line, marker)) = self.head.take() {
            self.items.push(Item { line, kind: Kind::EndOfHead(marker) });
        }
    }

    /// The line at `end` is no part of the session.
    fn end_session(&mut self, end: usize) {
        self.end_block();
        self.shorten_remarks();
        let mut items = std::mem::take(&mut self.items);
        // `(server closes)` right below the last line, and none of the page's own text.
        let remarks = std::mem::take(&mut self.remarks);
        let (has_signs, close) = (self.signs.is_some(), std::mem::take(&mut self.close));
        let remarks = remarks.into_iter().enumerate().take_while(|(at, item)| {
            has_signs
                || *at < close
                || matches!(&item.kind, Kind::Remark(remark)
                if is_direction(remark) && is_an_end(remark) || has_mark_inside(remark))
        });
        // A rule or a frame says nothing.
        let says = |item: &Item| !matches!(&item.kind, Kind::Remark(text) if !text.contains(char::is_alphanumeric));
        items.extend(remarks.map(|(_, item)| item).filter(says));
        (self.last, self.last_said, self.waits) = (None, None, None);
        self.indents.clear();
        self.shapes.clear();
        let left_out = self.left_out.take();
        let (alone, ended) = (self.alone.take(), self.ended);
        if !items.is_empty() {
            self.parts.push(Part { items, left_out, alone, ended });
            self.ended = Some(end);
        }
    }

    /// Of many lines without an arrow, as a body that curl prints is, the first are named and the others counted.
    fn shorten_remarks(&mut self) {
        if self.signs.is_some() && self.remarks.len() > REMARKS {
            let rest = self.remarks.split_off(REMARKS);
            let text = format!("{} further lines without an arrow", rest.len());
            self.remarks.push(Item { line: rest[0].line, kind: Kind::Remark(text) });
        }
    }

    /// What stood above the first mark, and not right above it, is no part of the session.
    fn forget_above(&mut self) {
        if self.last.is_none() {
            self.remarks.clear();
        }
    }
}

/// What stands behind marks or under them, directions too.
fn with_marks(items: &[Item]) -> impl Iterator<Item = (Marker, &str)> {
    items.iter().filter_map(|item| match &item.kind {
        Kind::Said(marker, said) | Kind::Under(marker, said) => Some((*marker, said.as_str())),
        _ => None,
    })
}

/// Whether a direction is about the end of the connection.
fn is_an_end(direction: &str) -> bool {
    let lower = direction.to_ascii_lowercase();
    ["clos", "disconnect", "hangs up", "terminates", "drops the", "end of "].iter().any(|word| lower.contains(word))
}

/// Whether a direction says that someone connects: `(connects to port 25)`, and not `<waits for a connection>`.
fn is_connecting(direction: &str) -> bool {
    let mut words = direction.split(|c: char| !c.is_ascii_alphabetic()).map(str::to_ascii_lowercase);
    words.any(|word| matches!(word.as_str(), "connect" | "connects" | "connected" | "connecting"))
}

/// Who does what a direction says, if it names one of the two.
fn who(direction: &str) -> Option<Side> {
    let lower = direction.to_ascii_lowercase();
    match (lower.contains("server"), lower.contains("client")) {
        (true, false) => Some(Side::Server),
        (false, true) => Some(Side::Client),
        _ => None,
    }
}

/// What is said and the direction behind it: `<CR><LF> {Sends an empty line}`.
fn direction_behind(said: &str) -> Option<(&str, &str)> {
    let at = said.trim_end().ends_with('}').then(|| said.rfind(" {"))??;
    let (before, direction) = (&said[..at], said[at + 1..].trim());
    (!before.trim().is_empty() && is_direction(direction)).then_some((before, direction))
}

/// A heading of a section: `4.2.  Name` or `D.1.  Name`, at the very beginning of a line.
fn is_heading(text: &str) -> bool {
    let number =
        text.strip_prefix(|c: char| c.is_ascii_uppercase()).filter(|rest| rest.starts_with('.')).unwrap_or(text);
    let behind = number.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    behind.len() < number.len() && behind.starts_with(' ') || text.starts_with("Appendix ")
}

/// A remark about what happens, in place of what is said.
fn is_direction(said: &str) -> bool {
    let within = |open: char, close: char| {
        said.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .filter(|inside| !inside.contains([open, close]))
    };
    // `..` is a line of a message that begins with a dot.
    let dots = said.chars().filter(|c| matches!(c, '.' | '*')).count();
    if said.chars().all(|c| matches!(c, '.' | ' ' | '…' | '*')) && (dots > 2 || said.contains('…')) {
        return true;
    }
    if said.starts_with("... ") || (said.ends_with(" ...") && !said.starts_with(|c: char| c.is_ascii_digit())) {
        return true;
    }
    // `{connects}`, `(closes)`.
    let alone = within('{', '}').or_else(|| within('(', ')')).or_else(|| within('[', ']'));
    let verbs = [
        "connect",
        "connects",
        "connected",
        "disconnect",
        "disconnects",
        "disconnected",
        "close",
        "closes",
        "closed",
        "open",
        "opens",
        "opened",
        "waits",
        "pauses",
    ];
    if alone.is_some_and(|word| verbs.contains(&word.trim().to_ascii_lowercase().as_str())) {
        return true;
    }
    // Of a braced one the first word tells: `{Opens connection}`, and neither JSON nor a script.
    if let Some(inside) = within('{', '}') {
        let is_prose = inside.trim_start().starts_with(|c: char| c.is_ascii_alphabetic() || c == '.')
            && !inside.contains([';', '=']);
        return is_prose && (inside.contains(' ') && !inside.contains("\":") || inside.contains("..."));
    }
    if said.trim_matches(['-', '<', '>', '(', ')', '[', ']', ' ']).eq_ignore_ascii_case("or")
        && !said.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return true;
    }
    let inside = within('<', '>').or_else(|| within('(', ')')).or_else(|| within('[', ']'));
    // Tags, lists of strings and addresses are what programs say.
    inside.is_some_and(|inside| {
        inside.contains(' ') && !inside.contains(['@', '"', '=']) && !inside.ends_with('/')
            || matches!(inside, "..." | "…" | "etc.")
    })
}

impl Session {
    fn of(items: Vec<Item>) -> Self {
        // Who only does something, as a direction says, asks nothing: it counts where nobody else speaks. Who connects is the client.
        let is_done = |said: &(Marker, &str)| is_direction(said.1.trim()) && !is_connecting(said.1);
        let scheme =
            Scheme::of(with_marks(&items).filter(|said| !is_done(said)).chain(with_marks(&items).filter(is_done)));
        let padding = Self::padding(&items, scheme);
        Self { items, scheme, padding, left_out: None }
    }

    /// Whether the client says something, and whether the server does; where both do, it is a session.
    fn speakers(&self) -> (bool, bool) {
        // By whom directions make the client too: else it would be a session of which nothing can be written down.
        let says = |side| {
            // An empty line alone is no conversation.
            with_marks(&self.items)
                .filter(|(_, said)| !is_direction(said.trim()) && !said.trim().is_empty())
                .any(|(marker, _)| self.scheme.side(marker) == Some(side))
        };
        (says(Side::Client), says(Side::Server))
    }

    /// Takes one of those with arrows between them for the client, if it says something.
    fn has_client(&mut self, client: Party) -> bool {
        let speaks = self.items.iter().any(|item| {
            matches!(&item.kind, Kind::Said(Marker::Arrow { from, .. }, _) | Kind::Under(Marker::Arrow { from, .. }, _)
                if *from == client)
        });
        if !speaks {
            return false;
        }
        self.scheme = Scheme::ClientServer(client);
        self.padding = Self::padding(&self.items, self.scheme);
        self.speakers() != (false, false)
    }

    fn padding(items: &[Item], scheme: Scheme) -> [Padding; 2] {
        let said = || {
            items.iter().filter_map(|item| match &item.kind {
                Kind::Said(marker, said) => Some((*marker, said.as_str())),
                _ => None,
            })
        };
        [Side::Client, Side::Server].map(|side| {
            let is_of =
                |(marker, said): &(Marker, &str)| scheme.side(*marker) == Some(side) && !is_direction(said.trim());
            Padding::of(said().filter(is_of).map(|(_, said)| said))
        })
    }
}

#[cfg(test)]
mod tests;
