//! Statements and blocks, line by line. A wrong line is reported and skipped, so that one reading finds every mistake.

use std::sync::Arc;

use super::duration::duration;
use super::encoding;
use super::foreign::{decides_by_name, is_case};
use super::line::{Line, LookedAt};
use super::meant::{Instead, Meant};
use super::nearest::nearest;
use super::open::{Block, Open};
use super::size::Size;
use super::template::{self, At};
use super::unknown;
use super::{Act, FIRST, Form, MOST_CONNECTIONS, Refused, Settings, Statement, StatementKind, Template, Tree};
use crate::Side;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::file::Files;
use crate::pattern::Expressions;

/// Largest transcript, in bytes.
const LARGEST: usize = crate::limits::TRANSCRIPT;

/// What was included so far.
#[derive(Debug, Default)]
pub(super) struct Included {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// Reads a whole text, with every mistake in its statements. What is not text at all is refused.
pub(crate) fn read(name: &str, text: &[u8], files: Option<&dyn Files>) -> Result<Tree, Refused> {
    if text.len() > LARGEST {
        let finding = Diagnostic::error(Span { line: 1, column: 1, width: 1 }, "the file is larger than 16 MiB");
        return Err(Refused::new(&Arc::new(Source::new(name, "")), vec![finding]));
    }
    if let Some(finding) = encoding::not_text(text) {
        return Err(Refused::new(&Arc::new(Source::new(name, "")), vec![finding]));
    }
    let decoded = String::from_utf8_lossy(text);
    let decoded = decoded.strip_prefix('\u{feff}').unwrap_or(&decoded);
    let mut parser = Parser {
        source: Source::new(name, decoded),
        files,
        inside: Vec::new(),
        blocks_outside: 0,
        included: Included::default(),
        astray: None,
        findings: Vec::new(),
        settings: Settings::default(),
        open: Vec::new(),
        seen: Seen::default(),
        is_repaired: false,
        inline: 0,
        connection: FIRST,
        is_full: false,
        size: Size::default(),
        looked_at: LookedAt::default(),
        expressions: Expressions::default(),
        body: Vec::new(),
    };
    if let Err(wrong) = std::str::from_utf8(text) {
        parser.findings.push(encoding::not_utf8(text, wrong.valid_up_to()));
    }
    parser.lines(decoded, 0);
    let is_closed = parser.open.is_empty();
    parser.close_all();
    let Parser { mut findings, settings, body, seen, source, .. } = parser;
    let source = Arc::new(source);
    if findings.is_empty() && (!seen.message || super::only_waits(&body)) {
        findings.push(encoding::nothing_said(&source));
    }
    Ok(Tree { source, settings, body, findings, is_closed })
}

/// Which settings were met.
#[derive(Default)]
pub(super) struct Seen {
    statement: bool,
    pub(super) message: bool,
    pub(super) settings: Vec<&'static str>,
}

pub(super) struct Parser<'a> {
    pub(super) source: Source,
    /// Where the files come from that are included.
    pub(super) files: Option<&'a dyn Files>,
    /// The files that are being included, from the outside to the inside, by their paths below the first one's folder.
    pub(super) inside: Vec<String>,
    /// Blocks that are open in the files around the one in hand.
    pub(super) blocks_outside: usize,
    pub(super) included: Included,
    /// The first block whose `end` stands in another column: if one is never closed, it is this one.
    pub(super) astray: Option<Span>,
    pub(super) findings: Vec<Diagnostic>,
    pub(super) settings: Settings,
    pub(super) open: Vec<Open>,
    pub(super) seen: Seen,
    /// The line that is read is not the one that is written but the one that was meant.
    is_repaired: bool,
    /// Heads with a line behind them that were told as mistakes, and whose `end` did not come yet, if there is one.
    pub(super) inline: usize,
    /// The connection of the last statement.
    pub(super) connection: u8,
    /// No more is read.
    pub(super) is_full: bool,
    pub(super) size: Size,
    pub(super) looked_at: LookedAt,
    /// Those of all files together: what one includes shares them.
    pub(super) expressions: Expressions,
    pub(super) body: Vec<Statement>,
}

impl Parser<'_> {
    pub(super) fn error(&mut self, place: Span, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Diagnostic::error(place, message).help(help));
    }

    /// Something stands behind a statement that is a line of its own.
    pub(super) fn something_follows(&mut self, line: Line<'_>, word: &str, rest: &str) {
        let help = format!("write `{word}`, and a statement that follows it on a line below");
        self.error(line.place_of(rest), format!("nothing follows `{word}` on its line"), help);
    }

    /// Reads the lines of one text; so much is added to their numbers. Whether all of them were read.
    pub(super) fn lines(&mut self, text: &str, offset: usize) -> bool {
        for (index, line) in text.split('\n').enumerate() {
            let number = offset + index + 1;
            let end = line.as_ptr() as usize - text.as_ptr() as usize + line.len();
            let below = text.get(end + 1..).unwrap_or_default();
            self.line(number, line.strip_suffix('\r').unwrap_or(line), below);
            if self.is_full {
                return false;
            }
            let finding = self.size.full(number, self.findings.len());
            if finding.is_some() || self.expressions.is_full() {
                self.findings.extend(finding);
                // What is not read may have closed them.
                self.open.clear();
                self.is_full = true;
                return false;
            }
        }
        true
    }

    fn line(&mut self, number: usize, whole: &str, below: &str) {
        let text = whole.trim_start_matches([' ', '\t']);
        let indent = whole.len() - text.len();
        let place = Span { line: number, column: indent + 1, width: text.trim_end().chars().count() };
        if text.is_empty() || text.starts_with('#') {
            if let Some(path) = text.strip_prefix("#include ").filter(|path| path.contains(".talk")) {
                let path = path.trim().trim_matches(['"', '<', '>']);
                let help = format!("write `include {path}`; a comment that is meant has a space behind its #");
                self.findings.push(Diagnostic::warning(place, "this is a comment: nothing is included").help(help));
            }
            return;
        }
        let line = Line { place, text, below };
        let (findings, depth, statements) = (self.findings.len(), self.open.len(), self.body.len());
        self.statement(line);
        let nothing_came_of_it = self.open.len() == depth && self.body.len() == statements;
        if nothing_came_of_it && self.findings.len() > findings {
            self.push(place, StatementKind::Wrong);
        }
    }

    fn statement(&mut self, line: Line<'_>) {
        let Line { place, text, below } = line;
        let first = !self.seen.statement;
        self.seen.statement = true;
        if self.message(line) {
            return;
        }
        let verbatim = line;
        let line = Line { place, text: text.trim_end_matches([' ', '\t']), below };
        if let Some(meant) = unknown::misprinted(line.text) {
            return self.meant(line, meant);
        }
        let (word, rest) = line.word();
        match word {
            "starttls" | "stoptls" => self.tls(line, word, rest),
            // What stands behind the sign is the value, to the last space.
            "set" => self.set(verbatim, verbatim.behind(word)),
            "let" => self.let_(verbatim, verbatim.behind(word)),
            "include" => self.include(line, rest),
            "repeat" => self.repeat(line, rest),
            "in" if rest.split_ascii_whitespace().eq(["any", "order"]) => self.begin(place, Block::AnyOrder),
            "at" if rest.split_ascii_whitespace().eq(["any", "time"]) => self.aside(place),
            "not" => self.not(line, rest),
            "or" if self.chooses() => self.or_in_choose(line, rest),
            "is:" | "else:" if self.chooses() => self.case_with_colon(line, word, rest),
            _ if self.chooses() && is_case(word, rest) => {
                self.case_in_other_words(line, word, rest);
            }
            "either" | "together" | "maybe" | "end" | "or" if !rest.is_empty() => {
                self.word_with_more(line, word, rest);
            }
            "either" | "together" | "maybe" | "or" | "end" => self.statement_word(place, word),
            "choose:" => {
                let before = self.findings.len();
                self.choose(line, rest);
                // One mistake is told once.
                if self.findings.len() == before {
                    let help = format!("write `choose {rest}`");
                    self.error(line.place, "no `:` stands behind `choose`", help);
                }
            }
            "choose" => self.choose(line, rest),
            "is" if self.chooses() => self.is(verbatim, verbatim.behind_one_space(word)),
            "else" if self.chooses() && rest.is_empty() => self.case(place, None),
            "else" if self.chooses() => self.else_with_more(line, rest),
            "is" | "else" if self.is_way_outside(word) => self.way_outside(line, word),
            _ if let Some((name, value)) = decides_by_name(line.text, word) => {
                self.choose_in_other_words(line, word, name, value);
            }
            "transcript" | "at" | "eol" | "gap" | "timeout" | "ignore" => self.setting(line, word, rest, first),
            _ if let Some((side, connection)) = said_by(word) => self.act(line, side, connection, rest),
            _ => {
                let is_below = matches!(self.body.last(), Some(Statement { kind: StatementKind::Message { .. }, .. }));
                self.meant(line, unknown::unknown(line.text, word, is_below));
            }
        }
    }

    /// `either or`, `or else`: a word that stands alone, with something behind it.
    fn word_with_more(&mut self, line: Line<'_>, word: &str, rest: &str) {
        self.something_follows(line, word, rest);
        let findings = self.findings.len();
        self.statement_word(line.place, word);
        // What the word itself does is no second mistake.
        if word == "or" {
            self.findings.truncate(findings);
        }
    }

    fn statement_word(&mut self, place: Span, word: &str) {
        match word {
            "either" => self.begin(place, Block::Either { done: Vec::new(), current: place }),
            "together" => self.begin(place, Block::Together),
            "maybe" => self.begin(place, Block::Maybe),
            "or" => self.or(place),
            "end" => self.end(place),
            _ => {}
        }
    }

    pub(super) fn push(&mut self, place: Span, kind: StatementKind) {
        self.push_on(place, FIRST, kind);
    }

    pub(super) fn push_on(&mut self, place: Span, connection: u8, kind: StatementKind) {
        if begins_with_connecting(&kind) {
            self.goes_on();
        } else if let Some(before) = self.body.last().filter(|before| before.connection == connection)
            && let Some(warning) = behind_an_end(before, place)
        {
            self.findings.push(warning);
        }
        self.size.statement();
        self.connection = connection;
        self.body.push(Statement { place, kind, connection });
    }

    /// Behind the end of a connection comes another one: what stands between the two is played.
    fn goes_on(&mut self) {
        let between = |statement: &&Statement| {
            matches!(
                statement.kind,
                StatementKind::Act { act: Act::Waits(_), .. }
                    | StatementKind::Set { .. }
                    | StatementKind::Let { .. }
                    | StatementKind::Fresh { .. }
            )
        };
        let count = self.body.iter().rev().take_while(between).count();
        if let Some(at) = self.body.len().checked_sub(count + 1)
            && let [end, first, ..] = &self.body[at..]
            && behind_an_end(end, first.place).as_ref() == self.findings.last()
        {
            self.findings.pop();
        }
    }

    /// `C: …`, `S raw: …`, `C hex: …`, and these with `not` before them; false if the line is something else.
    fn message(&mut self, line: Line<'_>) -> bool {
        let Some((head, _)) = line.text.split_once(':') else { return false };
        let not = head.strip_prefix("not").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim_start);
        let (word, form) = not.unwrap_or(head).split_once(' ').unwrap_or((not.unwrap_or(head), ""));
        let Some((side, connection)) = said_by(word) else { return false };
        let form = match form {
            "" if !not.unwrap_or(head).ends_with(' ') => Form::Text,
            "raw" => Form::Raw,
            "hex" => Form::Hex,
            "file" if not.is_none() => return self.file(line, side, connection),
            _ => return false,
        };
        self.seen.message = true;
        let rest = &line.text[head.len() + 1..];
        let payload = match rest.strip_prefix(' ') {
            Some(payload) => payload,
            None if rest.is_empty() => rest,
            None => {
                let place = Span { width: head.chars().count() + 1, ..line.place };
                let said = rest.trim_start_matches(|c: char| c == ':' || c.is_whitespace());
                let odd = rest.chars().next().and_then(|odd| Some((unknown::odd_space(odd)?, odd)));
                // `C:raw: x`
                let form = ["raw", "hex", "file"]
                    .into_iter()
                    .find(|form| head == word && rest.strip_prefix(form).is_some_and(|rest| rest.starts_with(':')));
                let (head, said) = match form {
                    Some(form) => (format!("{head} {form}"), said[form.len() + 1..].trim_start()),
                    None => (head.to_owned(), said),
                };
                let message = match odd {
                    _ if form.is_some() => "the side and its form stand before one colon".to_owned(),
                    Some((name, odd)) => {
                        format!("{name} (U+{:04X}) stands where a plain space should be", u32::from(odd))
                    }
                    None => "a space must follow the colon".to_owned(),
                };
                self.error(place, message, format!("write `{head}: {said}`"));
                rest
            }
        };
        let at = At { line: line.place.line, column: line.place_of(payload).column };
        let template = match form {
            Form::Hex => template::hex(payload, at, &mut self.expressions, &mut self.findings),
            Form::Text | Form::Raw => template::text(payload, at, &mut self.expressions, &mut self.findings),
        };
        self.size.template(&template);
        if form != Form::Text && payload.trim().is_empty() {
            self.error(line.place, format!("`{head}:` says nothing"), "write at least one byte");
        }
        let kind = match not {
            Some(_) => StatementKind::Not { side, form, template },
            None => StatementKind::Message { side, form, template },
        };
        self.push_on(line.place, connection, kind);
        true
    }

    /// `C file: path`.
    fn file(&mut self, line: Line<'_>, side: Side, connection: u8) -> bool {
        self.seen.message = true;
        let path = line.text.split_once(':').map_or("", |(_, path)| path).trim_matches([' ', '\t']);
        let path_place = if path.is_empty() { line.place } else { line.place_of(path) };
        let findings = self.findings.len();
        if path.is_empty() {
            self.error(path_place, "`file:` names a file", format!("write `{} file: body.bin`", side.letter()));
        } else if path.len() > 2 && ['"', '\''].iter().any(|quote| path.starts_with(*quote) && path.ends_with(*quote)) {
            let help = format!("write `{} file: {}`", side.letter(), &path[1..path.len() - 1]);
            self.error(path_place, "a path stands there without quotes", help);
        } else if let Some((path, _)) = path.split_once(" # ") {
            let help = format!("write `{} file: {}`, and the comment above it", side.letter(), path.trim_end());
            self.error(path_place, "a comment stands on a line of its own", help);
        }
        let is_wrong = self.findings.len() > findings;
        let path = self.below_the_folder(path).unwrap_or_else(|| {
            if !is_wrong {
                self.not_below(path_place, path);
            }
            path.to_owned()
        });
        self.push_on(line.place, connection, StatementKind::File { side, path, path_place });
        true
    }

    fn act(&mut self, line: Line<'_>, side: Side, connection: u8, rest: &str) {
        self.seen.message = true;
        let word = line.word().0;
        if let Some(to) = rest.strip_prefix("connects").filter(|to| to.is_empty() || to.starts_with([' ', '\t'])) {
            return self.connects(line, side, connection, to.trim_start());
        }
        let act = match rest {
            "closes" => Act::Closes,
            "stops sending" => Act::StopsSending,
            "resets" => Act::Resets,
            _ => match rest.strip_prefix("waits ").map(str::trim_start) {
                Some(written) => match duration(written) {
                    Some(time) => Act::Waits(time),
                    None => return self.bad_duration(line, written),
                },
                None => {
                    let acts = ["closes", "stops sending", "resets", "waits 50ms", "connects", "raw: text", "hex: 0a"];
                    let first = rest.split([' ', '\t']).next().unwrap_or_default();
                    let near = match first {
                        "connect" | "open" | "opens" | "opened" | "dials" | "connected" => Some("connects"),
                        _ => nearest(rest, acts),
                    };
                    if near == Some("connects") {
                        self.connects_all_the_same(line, connection);
                    }
                    let help = match near {
                        // A server hears of a port at most, and the first connection is open from the start.
                        Some("connects") if connection == FIRST && self.has_ended() => {
                            "did you mean `C connects`?".to_owned()
                        }
                        Some("connects") if connection == FIRST => {
                            "the first connection is open from the start; a second one is `C2 connects`".to_owned()
                        }
                        Some("connects") if side == Side::Server => format!(
                            "did you mean `C{} connects`, or `{word} connects to {{port}}` with a port that the client says?",
                            &word[1..]
                        ),
                        Some(near) => format!("did you mean `{word} {near}`?"),
                        None => format!(
                            "a line said is `{word}: text`; an act is `{word} closes`, `{word} stops \
                            sending`, `{word} resets` or `{word} waits 50ms`"
                        ),
                    };
                    return self.error(line.place, format!("`{}` is not a statement", line.text), help);
                }
            },
        };
        self.push_on(line.place, connection, StatementKind::Act { side, act });
    }

    /// `C connects`, `C2 connects to {port}`.
    fn connects(&mut self, line: Line<'_>, side: Side, connection: u8, to: &str) {
        let word = line.word().0;
        let written = to.strip_prefix("to").map(str::trim_start).filter(|_| to.starts_with("to "));
        let to: Option<Template> = match written {
            Some(written) => {
                let at = At { line: line.place.line, column: line.place_of(written).column };
                let template = template::text(written, at, &mut self.expressions, &mut self.findings);
                let is_name = template.names().count() == 1 && template.parts.len() == 1;
                if !is_name {
                    let help =
                        format!("write `{word} connects to {{port}}`, with the name that the other side says before");
                    self.error(line.place_of(written), format!("`{written}` is not the name of a port"), help);
                    return self.connects_all_the_same(line, connection);
                }
                Some(template)
            }
            None if to.is_empty() => None,
            None => {
                let help = format!("write `{word} connects`, or `{word} connects to {{port}}`");
                self.error(line.place_of(to), format!("`{to}` says nothing about a connection"), help);
                return self.connects_all_the_same(line, connection);
            }
        };
        if side == Side::Server && to.is_none() {
            let help = format!(
                "write `C{} connects`, or `{word} connects to {{port}}` with a port that the client says",
                &word[1..]
            );
            self.error(line.place, "a server does not know where to connect to", help);
            return self.connects_all_the_same(line, connection);
        }
        self.push_on(line.place, connection, StatementKind::Connects { side, to });
    }

    /// Whether the first connection was ended above, in the same block.
    fn has_ended(&self) -> bool {
        self.body
            .iter()
            .filter(|statement| statement.connection == FIRST)
            .any(|statement| matches!(&statement.kind, StatementKind::Act { act, .. } if act.that_ends().is_some()))
    }

    /// A connection that was meant to be opened is open: what is said over it is no second mistake.
    fn connects_all_the_same(&mut self, line: Line<'_>, connection: u8) {
        // The first one is open from the start.
        if connection != FIRST || self.has_ended() {
            self.push_on(line.place, connection, StatementKind::Connects { side: Side::Client, to: None });
        }
    }

    /// `not` without a line behind it.
    fn not(&mut self, line: Line<'_>, rest: &str) {
        let help = match rest.split_ascii_whitespace().next() {
            Some(side @ ("C" | "S")) => format!("write `not {side}: text`: what must not come is a line"),
            _ => "write `not S: text` or `not C: text`".to_owned(),
        };
        self.error(line.place, "`not` stands before a line that must not come", help);
        self.push(line.place, StatementKind::Wrong);
    }

    /// Tells what is wrong with a line, and reads it as what was meant, so that nothing follows from it.
    fn meant(&mut self, line: Line<'_>, meant: Meant<'_>) {
        let Meant { part, message, help, instead } = meant;
        // A block whose head was told needs no other word for its ways.
        if matches!(instead, Instead::Or) && matches!(self.open.last(), Some(Open { kind: Block::Broken, .. })) {
            return;
        }
        self.error(line.place_of(part), message, help);
        match instead {
            Instead::Statement(text) if !self.is_repaired => {
                let findings = self.findings.len();
                self.is_repaired = true;
                self.statement(Line { place: line.place, text: &text, below: line.below });
                self.is_repaired = false;
                // What was meant is wrong in itself: only that which is right is written.
                let word = text.split(' ').next().unwrap_or_default();
                let is_whole = |help: &String| {
                    help.starts_with(&format!("write `{word}")) || word == "eol" && help.starts_with("write ")
                };
                let deeper = self.findings.drain(findings..).filter_map(|finding| finding.help).find(is_whole);
                if let (true, Some(deeper)) = (is_shortly_said(word), deeper) {
                    self.findings[findings - 1].help = Some(deeper);
                }
            }
            Instead::Block => self.begin(line.place, Block::Broken),
            Instead::BlockIfClosed if line.has_block(self.open.len(), &mut self.looked_at) => {
                self.begin(line.place, Block::Broken)
            }
            Instead::Inline => self.inline += 1,
            Instead::Or if !self.open.is_empty() => self.or_broken(line.place),
            Instead::End if !self.open.is_empty() => self.end(line.place),
            _ => {}
        }
    }
}

/// Whether a statement is a setting, a value or a loop: its fix is the whole line.
fn is_shortly_said(word: &str) -> bool {
    matches!(word, "set" | "let" | "at" | "eol" | "gap" | "timeout" | "transcript" | "ignore" | "repeat")
}

/// The warning about what stands right behind the end of a connection.
fn behind_an_end(end: &Statement, place: Span) -> Option<Diagnostic> {
    let StatementKind::Act { side, act } = &end.kind else { return None };
    let act = act.that_ends()?;
    let message = format!("nothing is played behind `{}{} {act}`", side.letter(), number(end.connection));
    Some(Diagnostic::warning(place, message).help("the play ends there: move it up or leave it out"))
}

/// How a connection is written behind the letter of a side.
fn number(connection: u8) -> String {
    if connection == FIRST { String::new() } else { connection.to_string() }
}

/// Whether the first thing that is done is that a connection is opened.
fn begins_with_connecting(kind: &StatementKind) -> bool {
    match kind {
        StatementKind::Connects { .. } => true,
        StatementKind::Repeat { body, .. } => body.first().is_some_and(|first| begins_with_connecting(&first.kind)),
        _ => false,
    }
}

/// Whose line it is, and over which connection: `C`, `S2`.
pub(crate) fn said_by(word: &str) -> Option<(Side, u8)> {
    let mut letters = word.chars();
    let side = match letters.next()? {
        'C' => Side::Client,
        'S' => Side::Server,
        _ => return None,
    };
    let connection = match letters.as_str() {
        "" => FIRST,
        digit => digit.parse().ok().filter(|number| digit.len() == 1 && (2..=MOST_CONNECTIONS).contains(number))?,
    };
    Some((side, connection))
}
