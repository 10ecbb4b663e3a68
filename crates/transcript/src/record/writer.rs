//! What was heard, turned into statements.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use super::ports::{Mention, Port};
use super::{Event, EventKind, Recording};
use crate::moment::Moment;
use crate::notation::{hex, show, show_hiding};
use crate::secret::Secret;
use crate::side::Side;
use crate::syntax::{Eol, FIRST};

/// Bytes on a `hex:` line.
const HEX_LINE: usize = 32;
/// Longest text line: what is longer could not be heard as a line again.
const LINE: usize = 64 * 1024;
/// Most bytes of one `raw:` or `hex:` statement of what never ends a line.
const PIECE: usize = 64 * 1024;
/// A shorter pause is not written.
const PAUSE: Duration = Duration::from_millis(10);
/// Most text that waits for how a side ended that stands above it.
const WAITING: usize = 1024 * 1024;

/// Turns what was heard into statements.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` as long as no line ending was seen.
    pub(super) eol: Option<Eol>,
    head_written: bool,
    text: VecDeque<Part>,
    /// Bytes of text below an end of which it is not known yet whether that side closed.
    waiting: usize,
    /// Those that are open, and those that nothing else has opened again since.
    connections: Vec<Connection>,
    /// The one that was written of last.
    current: u32,
    last: Option<Moment>,
    statements: usize,
    /// What was said, where ports are looked for in it.
    pub(super) mentions: Option<Vec<Mention>>,
    /// Where the ports stand that connections go to, in the order of those.
    pub(super) ports: Vec<Port>,
    ports_used: usize,
    /// What comes next cannot be written.
    is_cut: bool,
}

/// Statements, and perhaps an end below them.
#[derive(Debug, Default)]
struct Part {
    text: String,
    end: Option<End>,
}

/// That a side ended is known before it is known how: the word comes later.
#[derive(Debug)]
struct End {
    connection: u32,
    who: String,
    word: Option<&'static str>,
}

/// What is written of one connection.
#[derive(Debug)]
struct Connection {
    id: u32,
    number: u8,
    /// Bytes of one side that are no whole line yet, and when the first of them came.
    open: Option<(Side, Vec<u8>, Moment)>,
    /// A side whose end came: whether it closed or went on reading is known by what follows.
    ended: Option<Side>,
    over: bool,
}

impl Connection {
    fn new(id: u32, number: u8) -> Self {
        Self { id, number, open: None, ended: None, over: false }
    }

    /// How a statement of it begins.
    fn who(&self, side: Side) -> String {
        match self.number {
            FIRST => side.letter().to_string(),
            number => format!("{}{number}", side.letter()),
        }
    }
}

impl Writer {
    pub(super) fn new(eol: Option<Eol>) -> Self {
        Self {
            eol,
            head_written: false,
            text: VecDeque::from([Part::default()]),
            waiting: 0,
            connections: vec![Connection::new(0, FIRST)],
            current: 0,
            last: None,
            statements: 0,
            mentions: None,
            ports: Vec::new(),
            ports_used: 0,
            is_cut: false,
        }
    }

    pub(super) fn hear(&mut self, event: &Event, recording: &Recording) {
        if self.is_cut {
            return;
        }
        if let EventKind::Connected { number, side, port, now } = &event.kind {
            return self.connects(event.connection, (*number, *side, *port), *now, recording);
        }
        let Some(at) = self.connections.iter().position(|connection| connection.id == event.connection) else { return };
        if self.connections[at].over {
            return;
        }
        if self.current != event.connection {
            // What is said over two connections stands in the order in which it was said.
            self.flush_all(recording);
            self.current = event.connection;
        }
        match &event.kind {
            EventKind::Bytes(side, bytes, now) => self.bytes(at, *side, bytes, *now, recording),
            EventKind::End(side) => {
                self.flush(at, recording);
                match self.connections[at].ended {
                    Some(first) if first != *side => self.close(at),
                    Some(_) => {}
                    None => self.end(at, *side),
                }
            }
            EventKind::Secured => {
                self.flush(at, recording);
                self.line("starttls");
            }
            EventKind::Unsecured => {
                self.flush(at, recording);
                self.line("stoptls");
            }
            EventKind::Remark(text) => {
                self.flush(at, recording);
                self.line(&format!("# {text}"));
            }
            EventKind::Reset(side) => {
                self.flush(at, recording);
                self.half_closed(at);
                let line = format!("{} resets", self.connections[at].who(*side));
                self.line(&line);
                self.connections[at].over = true;
            }
            EventKind::Connected { .. } => {}
        }
    }

    /// A connection is there, perhaps once more.
    fn connects(&mut self, id: u32, (number, side, port): (u8, Side, Option<u16>), now: Moment, recording: &Recording) {
        self.flush_all(recording);
        if let Some(at) = self.connections.iter().position(|connection| connection.number == number) {
            // Nobody told of its end, or of the other side's.
            if !self.connections[at].over {
                if self.connections[at].ended.is_none() {
                    self.end(at, Side::Client);
                }
                self.close(at);
            }
            self.connections.swap_remove(at);
        }
        let connection = Connection::new(id, number);
        let who = connection.who(side);
        self.connections.push(connection);
        self.current = id;
        self.wait(side, now, recording);
        let Some(port) = port else { return self.line(&format!("{who} connects")) };
        if let Some(mentions) = &self.mentions {
            let found = Port::told(port, side.other(), mentions, &self.ports, &recording.secrets);
            self.ports.push(found);
        }
        let found = self.ports.get(self.ports_used);
        self.ports_used += 1;
        match (found.and_then(Port::name), side) {
            (Some(name), _) => self.line(&format!("{who} connects to {{{name}}}")),
            (None, Side::Client) => {
                self.line(&format!("# to port {port}, which does not stand in what the server said"));
                self.line(&format!("{who} connects"));
            }
            (None, Side::Server) => {
                self.line(&format!(
                    "# the server connected to port {port}, which does not stand in what the client said:"
                ));
                self.line("# what came then cannot be written");
                self.is_cut = true;
            }
        }
    }

    fn bytes(&mut self, at: usize, side: Side, bytes: &[u8], now: Moment, recording: &Recording) {
        if recording.carrier.keeps_bounds() {
            self.wait(side, now, recording);
            self.datagram(at, side, bytes, recording);
            return;
        }
        if bytes.is_empty() {
            return;
        }
        if self.connections[at].open.as_ref().is_some_and(|(other, ..)| *other != side) {
            self.flush(at, recording);
        }
        self.half_closed(at);
        let (_, held, since) = self.connections[at].open.get_or_insert_with(|| (side, vec![], now));
        held.extend_from_slice(bytes);
        let since = *since;
        let mut held = std::mem::take(held);
        let mut done = 0;
        // Until it is known how lines end, nothing is written as one.
        while let Some(eol) = self.eol
            && let Some(found) = memchr::memchr(b'\n', &held[done..])
        {
            self.wait(side, if done == 0 { since } else { now }, recording);
            self.whole_line(at, side, &held[done..=done + found], eol, recording);
            done += found + 1;
        }
        held.drain(..done);
        if held.len() > LINE {
            // Whatever ends lines here, this is none; nothing is held for ever.
            self.eol.get_or_insert(Eol::Lf);
            self.wait(side, now, recording);
            self.raw(at, side, &std::mem::take(&mut held), recording);
        }
        self.connections[at].open = (!held.is_empty()).then_some((side, held, now));
    }

    /// A whole line with its ending.
    fn whole_line(&mut self, at: usize, side: Side, line: &[u8], eol: Eol, recording: &Recording) {
        let ending: &[u8] = if eol == Eol::CrLf { b"\r\n" } else { b"\n" };
        let text = line.strip_suffix(ending).filter(|text| eol == Eol::CrLf || !text.ends_with(b"\r"));
        match text {
            Some(text) if text.len() <= LINE && is_text(text) => self.statement(at, side, Form::Line, text, recording),
            _ => self.raw(at, side, line, recording),
        }
    }

    /// Bytes that are no line with the usual ending: as text if they are that, else in hex.
    fn raw(&mut self, at: usize, side: Side, bytes: &[u8], recording: &Recording) {
        for piece in pieces(bytes, &recording.secrets, PIECE) {
            if is_text(piece) {
                self.statement(at, side, Form::Raw, piece, recording);
                continue;
            }
            for part in pieces(piece, &recording.secrets, HEX_LINE) {
                self.statement(at, side, Form::Hex, part, recording);
            }
        }
    }

    /// One datagram is one statement.
    fn datagram(&mut self, at: usize, side: Side, bytes: &[u8], recording: &Recording) {
        let ending: &[u8] = match self.eol {
            Some(Eol::CrLf) => b"\r\n",
            Some(Eol::Lf) => b"\n",
            _ => b"",
        };
        let text = bytes.strip_suffix(ending).filter(|text| {
            is_text(text) && !text.contains(&b'\n') && (self.eol == Some(Eol::CrLf) || !text.ends_with(b"\r"))
        });
        match text {
            Some(text) => self.statement(at, side, Form::Line, text, recording),
            None if is_text(bytes) && !bytes.is_empty() => self.statement(at, side, Form::Raw, bytes, recording),
            None if !bytes.is_empty() => self.statement(at, side, Form::Hex, bytes, recording),
            None => self.line("# an empty datagram cannot be written beside others that end in a line ending"),
        }
    }

    fn statement(&mut self, at: usize, side: Side, form: Form, bytes: &[u8], recording: &Recording) {
        let port = self.ports.iter().find_map(|port| port.as_hole(self.statements));
        let with_port: Vec<Secret> =
            port.into_iter().flat_map(|port| [&[port], &recording.secrets[..]].concat()).collect();
        let holes = if with_port.is_empty() { &recording.secrets } else { &with_port };
        let (word, payload) = match form {
            Form::Line => ("", show_hiding(bytes, holes)),
            Form::Raw => (" raw", show_hiding(bytes, holes)),
            Form::Hex => (" hex", hex(bytes, holes)),
        };
        let space = if payload.is_empty() { "" } else { " " };
        let line = format!("{}{word}:{space}{payload}", self.connections[at].who(side));
        self.line(&line);
        if let Some(mentions) = &mut self.mentions {
            mentions.push(Mention {
                statement: self.statements,
                side,
                is_hex: form == Form::Hex,
                bytes: bytes.to_vec(),
            });
        }
        self.statements += 1;
    }

    /// Writes the pause before something that is said.
    fn wait(&mut self, side: Side, now: Moment, recording: &Recording) {
        let before = self.last.replace(now);
        if !recording.times {
            return;
        }
        let pause =
            before.map_or(Duration::ZERO, |before| Duration::from_nanos(now.nanos().saturating_sub(before.nanos())));
        if pause >= PAUSE {
            self.line(&format!("{} waits {}ms", side.letter(), pause.as_millis()));
        }
    }

    /// Writes what came of a line that is not finished, because something else comes now.
    fn flush(&mut self, at: usize, recording: &Recording) {
        if let Some((side, bytes, since)) = self.connections[at].open.take() {
            self.wait(side, since, recording);
            self.raw(at, side, &bytes, recording);
        }
    }

    fn flush_all(&mut self, recording: &Recording) {
        for at in 0..self.connections.len() {
            self.flush(at, recording);
        }
    }

    /// A side's end came.
    fn end(&mut self, at: usize, side: Side) {
        let connection = &mut self.connections[at];
        connection.ended = Some(side);
        let end = End { connection: connection.id, who: connection.who(side), word: None };
        if let Some(part) = self.text.back_mut() {
            part.end = Some(end);
        }
        self.text.push_back(Part::default());
    }

    /// Something came after an end: that side had only stopped sending.
    fn half_closed(&mut self, at: usize) {
        if self.connections[at].ended.take().is_some() {
            self.decide(self.connections[at].id, "stops sending");
        }
    }

    fn close(&mut self, at: usize) {
        self.decide(self.connections[at].id, "closes");
        (self.connections[at].ended, self.connections[at].over) = (None, true);
    }

    /// It is known how the end of a connection is to be written.
    fn decide(&mut self, id: u32, word: &'static str) {
        let ends = self.text.iter_mut().filter_map(|part| part.end.as_mut());
        if let Some(end) = ends.rev().find(|end| end.connection == id && end.word.is_none()) {
            end.word = Some(word);
        }
        if !self.is_undecided() {
            self.waiting = 0;
        }
    }

    fn is_undecided(&self) -> bool {
        self.text.iter().any(|part| part.end.as_ref().is_some_and(|end| end.word.is_none()))
    }

    fn line(&mut self, line: &str) {
        let Some(part) = self.text.back_mut() else { return };
        part.text.push_str(line);
        part.text.push('\n');
        if self.text.len() > 1 && self.is_undecided() {
            self.waiting += line.len() + 1;
            if self.waiting > WAITING {
                self.wait_no_more();
            }
        }
    }

    /// Of an end that nothing followed for long, it is said that its side says no more: that is so in any case.
    fn wait_no_more(&mut self) {
        for at in 0..self.connections.len() {
            self.half_closed(at);
        }
    }

    pub(super) fn finish(&mut self, recording: &Recording) {
        self.flush_all(recording);
        for at in 0..self.connections.len() {
            if self.connections[at].ended.is_some() {
                self.close(at);
            }
        }
    }

    pub(super) fn take(&mut self, recording: &Recording) -> String {
        let Some(eol) = self.eol else { return String::new() };
        let mut body = String::new();
        while let Some(part) = self.text.front_mut() {
            body.push_str(&std::mem::take(&mut part.text));
            let Some(End { who, word: Some(word), .. }) = &part.end else { break };
            let _ = writeln!(body, "{who} {word}");
            self.text.pop_front();
        }
        if std::mem::replace(&mut self.head_written, true) {
            return body;
        }
        let mut text = String::from("transcript 1\n");
        if let Some(at) = &recording.at {
            let _ = writeln!(text, "at {}", show(at.as_bytes()));
        }
        let word = match eol {
            Eol::CrLf => "crlf",
            Eol::None => "none",
            Eol::Lf | Eol::Any => "lf",
        };
        let _ = writeln!(text, "eol {word}");
        text + &body
    }
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Line,
    Raw,
    Hex,
}

/// Whether bytes are text for people: UTF-8 of which no more than a quarter are controls that text does not have. Numbers of a
/// protocol may happen to be UTF-8 as well.
fn is_text(bytes: &[u8]) -> bool {
    let is_control = |byte: &&u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n' | 0x1b);
    std::str::from_utf8(bytes).is_ok() && bytes.iter().filter(is_control).count() * 4 <= bytes.len()
}

/// Cuts bytes into pieces of at most so many, but never through a secret or a character.
fn pieces<'a>(bytes: &'a [u8], secrets: &[Secret], most: usize) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while rest.len() > most {
        let mut cut = most;
        for secret in secrets.iter().filter(|secret| !secret.value.is_empty()) {
            // A secret that begins before the cut and ends behind it moves the cut behind it.
            let from = cut.saturating_sub(secret.value.len() - 1);
            let to = (cut + secret.value.len() - 1).min(rest.len());
            if let Some(found) = memchr::memmem::find(&rest[from..to], &secret.value) {
                cut = from + found + secret.value.len();
            }
        }
        let boundary = (cut.saturating_sub(3)..=cut)
            .rev()
            .find(|&at| at > 0 && rest.get(at).is_none_or(|byte| byte & 0xc0 != 0x80));
        let cut = boundary.unwrap_or(cut).min(rest.len());
        let (piece, more) = rest.split_at(cut);
        pieces.push(piece);
        rest = more;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_in_no_secret_and_in_no_character() {
        for (text, secrets, expected) in [
            ("abcdefgh", &[][..], &["abcd", "efgh"][..]),
            ("abcd", &[], &["abcd"]),
            ("", &[], &[]),
            ("abcdefgh", &[""], &["abcd", "efgh"]),
            // One that ends or begins at the cut is whole.
            ("abcdefgh", &["cd"], &["abcd", "efgh"]),
            ("abcdefgh", &["ef"], &["abcd", "efgh"]),
            ("abcdefgh", &["de"], &["abcde", "fgh"]),
            ("abcdefgh", &["cdef"], &["abcdef", "gh"]),
            ("abcdefgh", &["defg"], &["abcdefg", "h"]),
            ("abcdefgh", &["cdefgh"], &["abcdefgh"]),
            ("abcdefgh", &["de", "efg"], &["abcdefg", "h"]),
            ("abcéfgh", &[], &["abc", "éfg", "h"]),
            ("a😀b", &[], &["a", "😀", "b"]),
        ] {
            let secrets: Vec<Secret> =
                secrets.iter().map(|value| Secret { name: "s".to_owned(), value: value.as_bytes().to_vec() }).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|piece| piece.as_bytes()).collect();
            assert_eq!(pieces(text.as_bytes(), &secrets, 4), expected, "{text} {secrets:?}");
        }
    }

    #[test]
    fn bytes_are_text_up_to_a_quarter_of_controls() {
        for bytes in [&b""[..], b"abc", b"\x01abc", b"\x01\x7fabcdef", b"\t\r\n\x1b"] {
            assert!(is_text(bytes), "{bytes:?}");
        }
        for bytes in [&b"\x01ab"[..], b"\x01\x7fabcde", b"a\xff"] {
            assert!(!is_text(bytes), "{bytes:?}");
        }
    }
}
