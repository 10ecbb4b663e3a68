//! A conversation written down as it is heard: who said what, byte for byte, and who ended first. It may have several connections.
//!
//! ```
//! use transcript::record::{Finished, Recorder, Recording};
//! use transcript::{Carrier, Moment, Side};
//!
//! let recording = Recording { carrier: Carrier::Stream, at: None, secrets: vec![], times: false, ports: false };
//! let mut recorder = Recorder::new(recording);
//! recorder.said(Side::Client, b"hello\n", Moment::default());
//! recorder.ended(Side::Client);
//! let (Finished::Whole(text) | Finished::Rest(text)) = recorder.finish();
//! assert!(text.contains("C: hello\n") && text.contains("C closes"), "{text}");
//! ```

mod ports;
mod writer;

use crate::carrier::Carrier;
use crate::moment::Moment;
use crate::notation::show;
use crate::side::Side;
use crate::syntax::Eol;
use writer::Writer;

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
    /// Whether a side may tell the other a port that a connection then goes to. It is written as a hole, in a line that was
    /// said before anybody went there; so such a record is written at its end.
    pub ports: bool,
}

/// Bytes of a conversation that are kept to write it anew with the line ending that was seen most.
const MOST_HELD: usize = 16 * 1024 * 1024;
/// What each piece of it takes besides.
const EACH: usize = size_of::<Event>() + 2 * size_of::<usize>();
/// Bytes after which a record begins though none of them ended a line.
const UNDECIDED: usize = 64 * 1024;

/// Writes a record. The text grows by whole statements, so that it is a transcript at any time: what
/// [`Recorder::take`] gives may be appended to a file at once.
#[derive(Debug)]
pub struct Recorder {
    recording: Recording,
    writer: Writer,
    /// What was heard, to be written again if another line ending turns out to be the usual one.
    events: Option<Vec<Event>>,
    /// Bytes that are held for that.
    held: usize,
    /// Which connection is told of, and how many there were.
    current: u32,
    connections: u32,
    lf: u64,
    crlf: u64,
    bare: u64,
    /// Whether the last byte of the client, and of the server, was a CR: its LF may come by itself.
    after_cr: [bool; 2],
}

/// One connection of a conversation. The default is the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connection(u32);

/// Something that happened over a connection.
#[derive(Debug)]
struct Event {
    connection: u32,
    kind: EventKind,
}

#[derive(Debug)]
enum EventKind {
    Connected { number: u8, side: Side, port: Option<u16>, now: Moment },
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
        let (events, after_cr) = (Some(vec![]), [false; 2]);
        Self { recording, writer, events, held: 0, current: 0, connections: 0, lf: 0, crlf: 0, bare: 0, after_cr }
    }

    /// A side opened a further connection, which has this number in the transcript (`C2`), or 1 for another first one. `port`
    /// is where it goes, if the other side told a port.
    pub fn connects(&mut self, number: u8, side: Side, port: Option<u16>, now: Moment) -> Connection {
        self.connections += 1;
        self.over(Connection(self.connections));
        self.write(EventKind::Connected { number, side, port, now }, 0);
        Connection(self.connections)
    }

    /// What is told next is about this connection.
    pub fn over(&mut self, connection: Connection) -> &mut Self {
        if self.current != connection.0 {
            (self.current, self.after_cr) = (connection.0, [false; 2]);
        }
        self
    }

    /// A side said something; over datagrams, one of them.
    pub fn said(&mut self, side: Side, bytes: &[u8], now: Moment) {
        self.count(side, bytes);
        self.write(EventKind::Bytes(side, bytes.to_vec(), now), bytes.len());
    }

    /// A side said its last: its end of the stream was seen.
    pub fn ended(&mut self, side: Side) {
        self.write(EventKind::End(side), 0);
    }

    /// Both sides went over to TLS; what is said from here is what is said inside.
    pub fn secured(&mut self) {
        self.write(EventKind::Secured, 0);
    }

    /// Both sides said that TLS ends; what is said from here is said in clear.
    pub fn unsecured(&mut self) {
        self.write(EventKind::Unsecured, 0);
    }

    /// A side reset the connection.
    pub fn reset(&mut self, side: Side) {
        self.write(EventKind::Reset(side), 0);
    }

    /// Something is to be known of this place: a comment.
    pub fn remark(&mut self, text: &str) {
        self.write(EventKind::Remark(show(text.as_bytes())), text.len());
    }

    fn write(&mut self, kind: EventKind, size: usize) {
        let event = Event { connection: self.current, kind };
        self.held = self.held.saturating_add(size + EACH);
        let has_ending = self.lf + self.crlf + self.bare > 0;
        if self.writer.eol.is_none() && (has_ending || self.held > UNDECIDED) {
            self.writer.eol = Some(self.usual());
        }
        self.writer.hear(&event, &self.recording);
        if self.held > MOST_HELD {
            // Ports that are told from here on are not found.
            (self.events, self.recording.ports) = (None, false);
        }
        if let Some(all) = &mut self.events {
            all.push(event);
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

    /// The statements that were written since the last time. Nothing comes before the first line ending was seen, or, where
    /// sides tell ports, before the end.
    #[must_use]
    pub fn take(&mut self) -> String {
        if self.recording.ports { String::new() } else { self.writer.take(&self.recording) }
    }

    /// Writes what is still open. The whole record again, if it is another than what was taken so far: with the line
    /// ending that was seen most. Else what is left to append.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let usual = self.usual();
        let has_other = self.writer.eol.is_some_and(|eol| eol != usual);
        if (has_other || self.recording.ports)
            && let Some(events) = self.events.take()
        {
            let whole = self.written(&events, usual);
            return if self.recording.ports { Finished::Rest(whole) } else { Finished::Whole(whole) };
        }
        self.writer.eol.get_or_insert(usual);
        self.writer.finish(&self.recording);
        Finished::Rest(self.writer.take(&self.recording))
    }

    /// All of it, with this line ending.
    fn written(&self, events: &[Event], eol: Eol) -> String {
        let write = |mut writer: Writer| {
            events.iter().for_each(|event| writer.hear(event, &self.recording));
            writer.finish(&self.recording);
            writer
        };
        let mut writer = Writer::new(Some(eol));
        if self.recording.ports {
            let mut first = Writer::new(Some(eol));
            first.mentions = Some(vec![]);
            writer.ports = write(first).ports;
        }
        write(writer).take(&self.recording)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(carrier: Carrier, heard: &[(char, &[u8])]) -> String {
        record_with(carrier, heard, vec![], false)
    }

    fn record_with(carrier: Carrier, heard: &[(char, &[u8])], secrets: Vec<Secret>, times: bool) -> String {
        let mut recorder = Recorder::new(Recording {
            carrier,
            at: Some("tcp://127.0.0.1:9999".to_owned()),
            secrets,
            times,
            ports: false,
        });
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
    fn a_line_that_came_in_pieces_is_timed_by_its_first_and_those_behind_it_by_its_last() {
        let heard = [('C', &b"a\n"[..]), ('S', b"b"), ('S', b"c\nd\ne\n"), ('C', b"f\n")];
        let text = record_with(Carrier::Stream, &heard, vec![], true);
        let body = "C: a\nS waits 50ms\nS: bc\nS waits 50ms\nS: d\nS: e\nC waits 50ms\nC: f\n";
        assert_eq!(text, format!("{HEAD}eol lf\n{body}"));
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
        let recording = Recording { carrier: Carrier::Stream, at: None, secrets: vec![], times: false, ports: false };
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
