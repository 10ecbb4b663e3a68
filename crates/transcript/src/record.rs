//! A conversation written down as it is heard: who said what, byte for byte, and who ended first.
//!
//! ```
//! use transcript::record::{Finished, Recorder, Recording};
//! use transcript::{Carrier, Moment, Side};
//!
//! let recording = Recording { carrier: Carrier::Stream, at: None, secrets: vec![], times: false };
//! let mut recorder = Recorder::new(recording);
//! recorder.said(Side::Client, b"hello\n", Moment::default());
//! recorder.ended(Side::Client);
//! let (Finished::Whole(text) | Finished::Rest(text)) = recorder.finish();
//! assert!(text.contains("C: hello\n") && text.contains("C closes"), "{text}");
//! ```

use std::fmt::Write as _;
use std::time::Duration;

use crate::carrier::Carrier;
use crate::moment::Moment;
use crate::notation::{hex, show, show_hiding};
use crate::side::Side;
use crate::syntax::Eol;

pub use crate::secret::Secret;

/// How to write a record.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What carries the conversation.
    pub carrier: Carrier,
    /// The server's address, for `at`.
    pub at: Option<String>,
    /// Values that are written as their holes.
    pub secrets: Vec<Secret>,
    /// Whether pauses are written too, as `waits`.
    pub times: bool,
}

/// Bytes on a `hex:` line.
const HEX_LINE: usize = 32;
/// Longest text line: what is longer could not be heard as a line again.
const LINE: usize = 64 * 1024;
/// Most bytes of one `raw:` or `hex:` statement of what never ends a line.
const PIECE: usize = 64 * 1024;
/// Bytes of a conversation that are kept to write it anew with the line ending that was seen most.
const KEPT: usize = 16 * 1024 * 1024;
/// What each piece of it takes besides.
const EACH: usize = size_of::<Heard>() + 2 * size_of::<usize>();
/// Bytes after which a record begins though none of them ended a line.
const UNDECIDED: usize = 64 * 1024;
/// A shorter pause is not written.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes a record. The text grows by whole statements, so that it is a transcript at any time: what
/// [`Recorder::take`] gives may be appended to a file at once.
#[derive(Debug)]
pub struct Recorder {
    recording: Recording,
    writer: Writer,
    /// What was heard, to be written again if another line ending turns out to be the usual one.
    heard: Option<Vec<Heard>>,
    kept: usize,
    lf: u64,
    crlf: u64,
    bare: u64,
    /// Whether the last byte of the client, and of the server, was a CR: its LF may come by itself.
    after_cr: [bool; 2],
}

#[derive(Debug)]
enum Heard {
    Bytes(Side, Vec<u8>, Moment),
    End(Side),
    Secured,
    Unsecured,
    Reset(Side),
    Remark(String),
}

impl Recorder {
    /// An empty record.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let writer = Writer::new(None);
        Self { recording, writer, heard: Some(vec![]), kept: 0, lf: 0, crlf: 0, bare: 0, after_cr: [false; 2] }
    }

    /// A side said something; over datagrams, one of them.
    pub fn said(&mut self, side: Side, bytes: &[u8], now: Moment) {
        self.count(side, bytes);
        let heard = Heard::Bytes(side, bytes.to_vec(), now);
        self.write(heard, bytes.len());
    }

    /// A side said its last: its end of the stream was seen.
    pub fn ended(&mut self, side: Side) {
        self.write(Heard::End(side), 0);
    }

    /// Both sides went over to TLS; what is said from here is what is said inside.
    pub fn secured(&mut self) {
        self.write(Heard::Secured, 0);
    }

    /// Both sides said that TLS ends; what is said from here is said in clear.
    pub fn unsecured(&mut self) {
        self.write(Heard::Unsecured, 0);
    }

    /// A side reset the connection.
    pub fn reset(&mut self, side: Side) {
        self.write(Heard::Reset(side), 0);
    }

    /// Something is to be known of this place: a comment.
    pub fn remark(&mut self, text: &str) {
        self.write(Heard::Remark(show(text.as_bytes())), text.len());
    }

    fn write(&mut self, heard: Heard, size: usize) {
        self.kept = self.kept.saturating_add(size + EACH);
        let has_ending = self.lf + self.crlf + self.bare > 0;
        if self.writer.eol.is_none() && (has_ending || self.kept > UNDECIDED) {
            self.writer.eol = Some(self.usual());
        }
        self.writer.hear(&heard, &self.recording);
        if self.kept > KEPT {
            self.heard = None;
        }
        if let Some(all) = &mut self.heard {
            all.push(heard);
        }
    }

    fn count(&mut self, side: Side, bytes: &[u8]) {
        if self.recording.carrier.keeps_bounds() {
            let (lf, crlf) = (bytes.ends_with(b"\n"), bytes.ends_with(b"\r\n"));
            self.crlf += u64::from(crlf);
            self.lf += u64::from(lf && !crlf);
            self.bare += u64::from(!lf);
            return;
        }
        let after_cr = &mut self.after_cr[usize::from(side == Side::Server)];
        for at in memchr::memchr_iter(b'\n', bytes) {
            let crlf = at.checked_sub(1).map_or(*after_cr, |before| bytes[before] == b'\r');
            self.crlf += u64::from(crlf);
            self.lf += u64::from(!crlf);
        }
        *after_cr = bytes.last().map_or(*after_cr, |&last| last == b'\r');
    }

    /// The line ending that was seen most.
    fn usual(&self) -> Eol {
        if self.recording.carrier.keeps_bounds() && self.bare >= self.lf.max(self.crlf) {
            Eol::None
        } else if self.crlf > self.lf {
            Eol::CrLf
        } else {
            Eol::Lf
        }
    }

    /// The statements that were written since the last time. Nothing comes before the first line ending was seen.
    #[must_use]
    pub fn take(&mut self) -> String {
        self.writer.take(&self.recording)
    }

    /// Writes what is still open. The whole record again, if it is another than what was taken so far: with the line
    /// ending that was seen most. Else what is left to append.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let usual = self.usual();
        if self.writer.eol.is_some_and(|eol| eol != usual)
            && let Some(heard) = self.heard.take()
        {
            let mut writer = Writer::new(Some(usual));
            heard.iter().for_each(|heard| writer.hear(heard, &self.recording));
            writer.finish(&self.recording);
            return Finished::Whole(writer.take(&self.recording));
        }
        self.writer.eol.get_or_insert(usual);
        self.writer.finish(&self.recording);
        Finished::Rest(self.writer.take(&self.recording))
    }
}

/// The end of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// To be appended.
    Rest(String),
    /// To replace all that was taken.
    Whole(String),
}

/// Turns what was heard into statements.
#[derive(Debug)]
struct Writer {
    /// `None` as long as no line ending was seen.
    eol: Option<Eol>,
    head_written: bool,
    text: String,
    /// Bytes of one side that are no whole line yet, and when the first of them came.
    open: Option<(Side, Vec<u8>, Moment)>,
    /// A side whose end came: whether it closed or went on reading is known by what follows.
    ended: Option<Side>,
    over: bool,
    last: Option<Moment>,
}

impl Writer {
    fn new(eol: Option<Eol>) -> Self {
        Self { eol, head_written: false, text: String::new(), open: None, ended: None, over: false, last: None }
    }

    fn hear(&mut self, heard: &Heard, recording: &Recording) {
        if self.over {
            return;
        }
        match heard {
            Heard::Bytes(side, bytes, now) => self.bytes(*side, bytes, *now, recording),
            Heard::End(side) => {
                self.flush(recording);
                match self.ended {
                    Some(first) if first != *side => self.close(first),
                    _ => self.ended = Some(*side),
                }
            }
            Heard::Secured => {
                self.flush(recording);
                let _ = writeln!(self.text, "starttls");
            }
            Heard::Unsecured => {
                self.flush(recording);
                let _ = writeln!(self.text, "stoptls");
            }
            Heard::Remark(text) => {
                self.flush(recording);
                let _ = writeln!(self.text, "# {text}");
            }
            Heard::Reset(side) => {
                self.flush(recording);
                self.half_closed();
                let _ = writeln!(self.text, "{} resets", side.letter());
                self.over = true;
            }
        }
    }

    fn bytes(&mut self, side: Side, bytes: &[u8], now: Moment, recording: &Recording) {
        if recording.carrier.keeps_bounds() {
            self.wait(side, now, recording);
            self.datagram(side, bytes, recording);
            return;
        }
        if bytes.is_empty() {
            return;
        }
        if self.open.as_ref().is_some_and(|(other, ..)| *other != side) {
            self.flush(recording);
        }
        self.half_closed();
        let (_, held, since) = self.open.get_or_insert_with(|| (side, vec![], now));
        held.extend_from_slice(bytes);
        let since = *since;
        let mut held = std::mem::take(held);
        let mut at = 0;
        // Until it is known how lines end, nothing is written as one.
        while let Some(eol) = self.eol
            && let Some(found) = memchr::memchr(b'\n', &held[at..])
        {
            self.wait(side, if at == 0 { since } else { now }, recording);
            let line = &held[at..=at + found];
            self.line(side, line, eol, recording);
            at += found + 1;
        }
        held.drain(..at);
        if held.len() > LINE {
            // Whatever ends lines here, this is none; nothing is held for ever.
            self.eol.get_or_insert(Eol::Lf);
            self.wait(side, now, recording);
            self.raw(side, &std::mem::take(&mut held), recording);
        }
        self.open = (!held.is_empty()).then_some((side, held, now));
    }

    /// A whole line with its ending.
    fn line(&mut self, side: Side, line: &[u8], eol: Eol, recording: &Recording) {
        let ending: &[u8] = if eol == Eol::CrLf { b"\r\n" } else { b"\n" };
        let text = line.strip_suffix(ending).filter(|text| eol == Eol::CrLf || !text.ends_with(b"\r"));
        match text {
            Some(text) if text.len() <= LINE && is_text(text) => {
                self.statement(side, "", &show_hiding(text, &recording.secrets));
            }
            _ => self.raw(side, line, recording),
        }
    }

    /// Bytes that are no line with the usual ending: as text if they are that, else in hex.
    fn raw(&mut self, side: Side, bytes: &[u8], recording: &Recording) {
        for piece in pieces(bytes, &recording.secrets, PIECE) {
            if is_text(piece) {
                self.statement(side, " raw", &show_hiding(piece, &recording.secrets));
                continue;
            }
            for part in pieces(piece, &recording.secrets, HEX_LINE) {
                self.statement(side, " hex", &hex(part, &recording.secrets));
            }
        }
    }

    /// One datagram is one statement.
    fn datagram(&mut self, side: Side, bytes: &[u8], recording: &Recording) {
        let ending: &[u8] = match self.eol {
            Some(Eol::CrLf) => b"\r\n",
            Some(Eol::Lf) => b"\n",
            _ => b"",
        };
        let text = bytes.strip_suffix(ending).filter(|text| {
            is_text(text) && !text.contains(&b'\n') && (self.eol == Some(Eol::CrLf) || !text.ends_with(b"\r"))
        });
        match text {
            Some(text) => self.statement(side, "", &show_hiding(text, &recording.secrets)),
            None if is_text(bytes) && !bytes.is_empty() => {
                self.statement(side, " raw", &show_hiding(bytes, &recording.secrets));
            }
            None if !bytes.is_empty() => self.statement(side, " hex", &hex(bytes, &recording.secrets)),
            None => {
                self.text.push_str("# an empty datagram cannot be written beside others that end in a line ending\n")
            }
        }
    }

    fn statement(&mut self, side: Side, form: &str, payload: &str) {
        let space = if payload.is_empty() { "" } else { " " };
        let _ = writeln!(self.text, "{}{form}:{space}{payload}", side.letter());
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
            let _ = writeln!(self.text, "{} waits {}ms", side.letter(), pause.as_millis());
        }
    }

    /// Writes what came of a line that is not finished, because something else comes now.
    fn flush(&mut self, recording: &Recording) {
        if let Some((side, bytes, since)) = self.open.take() {
            self.wait(side, since, recording);
            self.raw(side, &bytes, recording);
        }
    }

    /// Something came after an end: that side had only stopped sending.
    fn half_closed(&mut self) {
        if let Some(side) = self.ended.take() {
            let _ = writeln!(self.text, "{} stops sending", side.letter());
        }
    }

    fn close(&mut self, side: Side) {
        let _ = writeln!(self.text, "{} closes", side.letter());
        self.over = true;
    }

    fn finish(&mut self, recording: &Recording) {
        self.flush(recording);
        if let Some(side) = self.ended.take()
            && !self.over
        {
            self.close(side);
        }
    }

    fn take(&mut self, recording: &Recording) -> String {
        let Some(eol) = self.eol else { return String::new() };
        let body = std::mem::take(&mut self.text);
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

    fn record(carrier: Carrier, heard: &[(char, &[u8])]) -> String {
        record_with(carrier, heard, vec![], false)
    }

    fn record_with(carrier: Carrier, heard: &[(char, &[u8])], secrets: Vec<Secret>, times: bool) -> String {
        let mut recorder =
            Recorder::new(Recording { carrier, at: Some("tcp://127.0.0.1:9999".to_owned()), secrets, times });
        let mut text = String::new();
        for (index, (side, bytes)) in heard.iter().enumerate() {
            let now = Moment::from_nanos(index as u64 * 50_000_000);
            match side {
                'C' => recorder.said(Side::Client, bytes, now),
                'S' => recorder.said(Side::Server, bytes, now),
                'c' => recorder.ended(Side::Client),
                's' => recorder.ended(Side::Server),
                'r' => recorder.reset(Side::Client),
                _ => panic!("no side"),
            }
            text.push_str(&recorder.take());
        }
        match recorder.finish() {
            Finished::Rest(rest) => text + &rest,
            Finished::Whole(whole) => whole,
        }
    }

    const HEAD: &str = "transcript 1\nat tcp://127.0.0.1:9999\n";

    #[test]
    fn lines_are_lines_and_the_rest_is_raw_or_hex() {
        let text = record(
            Carrier::Stream,
            &[
                ('S', b"Welcome!\n"),
                ('C', b"An"),
                ('C', b"n\n"),
                ('S', b"login: "),
                ('C', b"x \n"),
                ('S', b"\xff\x00\n"),
                ('C', b"{a} {}\n\n"),
            ],
        );
        let body =
            "eol lf\nS: Welcome!\nC: Ann\nS raw: login:{0x20}\nC: x{0x20}\nS hex: ff 00 0a\nC: {0x7b}a} {}\nC:\n";
        assert_eq!(text, format!("{HEAD}{body}"));
    }

    #[test]
    fn the_line_ending_is_the_one_seen_most_even_if_it_is_not_the_first() {
        let text = record(Carrier::Stream, &[('C', b"a\n"), ('S', b"b\r\nc\r\n")]);
        assert_eq!(text, format!("{HEAD}eol crlf\nC raw: a{{0x0a}}\nS: b\nS: c\n"));
        let text = record(Carrier::Stream, &[('C', b"a\r\n"), ('S', b"b\nc\n")]);
        assert_eq!(text, format!("{HEAD}eol lf\nC raw: a{{0x0d}}{{0x0a}}\nS: b\nS: c\n"));
    }

    #[test]
    fn who_ended_first_and_who_went_on_speaking_is_told_apart() {
        let text = record(Carrier::Stream, &[('C', b"a\n"), ('c', b""), ('S', b"b\n"), ('s', b"")]);
        assert_eq!(text, format!("{HEAD}eol lf\nC: a\nC stops sending\nS: b\nS closes\n"));
        let text = record(Carrier::Stream, &[('S', b"b\n"), ('s', b""), ('c', b"")]);
        assert_eq!(text, format!("{HEAD}eol lf\nS: b\nS closes\n"));
        let text = record(Carrier::Stream, &[('S', b"b"), ('r', b"")]);
        assert_eq!(text, format!("{HEAD}eol lf\nS raw: b\nC resets\n"));
    }

    #[test]
    fn a_secret_is_written_as_its_hole_even_in_hex() {
        let secret = || vec![Secret { name: "password".to_owned(), value: b"hunter2".to_vec() }];
        let long = [&[0xff; 28][..], b"hunter2", &[1; 3]].concat();
        let text = record_with(
            Carrier::Stream,
            &[('C', b"PASS hunter2 hunter\n"), ('S', &long), ('C', b"x\n")],
            secret(),
            false,
        );
        assert!(!text.contains("hunter2") && !text.contains("68 75 6e"), "{text}");
        assert!(text.contains("C: PASS {password} hunter\n"), "{text}");
        assert!(text.contains("{password}"), "{text}");
    }

    #[test]
    fn pauses_are_written_only_when_asked_for() {
        let heard = [('C', &b"a\n"[..]), ('S', b"b\n"), ('S', b"c\n")];
        let text = record_with(Carrier::Stream, &heard, vec![], true);
        assert_eq!(text, format!("{HEAD}eol lf\nC: a\nS waits 50ms\nS: b\nS waits 50ms\nS: c\n"));
    }

    #[test]
    fn a_datagram_is_one_statement() {
        let heard =
            [('C', &b"ping"[..]), ('S', b"pong"), ('C', b"a\nb"), ('S', b"\x00\xff"), ('C', b""), ('S', b"x\n")];
        let text = record(Carrier::Datagram, &heard);
        assert_eq!(
            text,
            format!("{HEAD}eol none\nC: ping\nS: pong\nC raw: a{{0x0a}}b\nS hex: 00 ff\nC:\nS raw: x{{0x0a}}\n")
        );
    }

    #[test]
    fn what_only_happens_to_be_utf_8_is_written_in_hex() {
        let question = b"\x01}\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
        let text = record(Carrier::Datagram, &[('C', question), ('S', b"{\x1b[1m}")]);
        assert!(text.ends_with(" 61 07 65 78 61 6d 70 6c 65 00 00 01 00 01\nS: {{0x1b}[1m}\n"), "{text}");
        let text = record(Carrier::Stream, &[('C', b"\0\0\x05\n"), ('S', b"\0"), ('C', b"one \x07 bell\n")]);
        assert!(text.ends_with("C hex: 00 00 05 0a\nS hex: 00\nC: one {0x07} bell\n"), "{text}");
    }

    #[test]
    fn what_was_taken_so_far_is_a_transcript_at_any_time() {
        let recording = Recording { carrier: Carrier::Stream, at: None, secrets: vec![], times: false };
        let mut recorder = Recorder::new(recording);
        let mut text = String::new();
        for piece in ["Wel", "come!\r\nlog", "in: ", "more\r", "\n"] {
            recorder.said(Side::Server, piece.as_bytes(), Moment::default());
            text.push_str(&recorder.take());
            // With nothing said yet it says nothing, and is no transcript to play.
            let says = text.contains("S:");
            assert_eq!(crate::Transcript::parse("x", text.as_bytes(), &[]).is_ok(), says, "{text}");
        }
        assert_eq!(text, "transcript 1\neol crlf\nS: Welcome!\nS: login: more\n");
    }
}
