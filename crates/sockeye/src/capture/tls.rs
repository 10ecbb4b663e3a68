//! What was said inside TLS: the records of a captured connection opened with the secrets of a key log
//! (RFC 8446, RFC 5246; the log as draft-ietf-tls-keylogfile has it).

mod hello;
mod key_log;
mod keys;

use std::fmt;

use transcript::Side;

use super::Event;
use hello::{ClientHello, ServerHello, Version};
pub use key_log::KeyLog;
use keys::{Direction, Opened, Suite};

/// Bytes of one record, at most: a whole one with all that encryption adds (RFC 5246, section 6.2.3).
const LONGEST_RECORD: usize = 16 * 1024 + 2048;
/// Bytes of the messages before encryption that are looked through.
const LONGEST_HELLO: usize = 128 * 1024;

/// Why a conversation cannot be decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotDecrypted {
    /// Where TLS begins is not in the capture, and without that no key can be made.
    NoHandshake,
    /// The handshake did not come to its end; perhaps one side said why.
    Refused(Option<u8>),
    /// A version that is not decrypted.
    OldVersion(u8),
    /// A suite that is not decrypted.
    OtherSuite(u16),
    /// Its secrets were not given.
    NoSecrets {
        /// 1.2 or 1.3.
        version: &'static str,
        /// The client's random value, which names the session in a key log.
        session: String,
    },
    /// The secrets that were given open nothing.
    WrongSecrets,
}

impl fmt::Display for NotDecrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHandshake => f.write_str(
                "it is TLS, and its handshake is not in the capture: it cannot be decrypted. Begin the capture before the client connects",
            ),
            Self::Refused(Some(alert)) => {
                write!(f, "it is TLS whose handshake failed with alert {alert}: nothing is said inside")
            }
            Self::Refused(None) => f.write_str("it is TLS whose handshake did not end: nothing is said inside"),
            Self::OldVersion(minor) => {
                write!(f, "it is {}, which is not decrypted: TLS 1.2 and 1.3 are", old_name(*minor))
            }
            Self::OtherSuite(suite) => {
                write!(f, "its cipher suite {:#06x} ({}) is not decrypted: AES-GCM and ChaCha20-Poly1305 are", suite, keys::kind(*suite))
            }
            Self::NoSecrets { version, session } => write!(
                f,
                "it is TLS {version}, and nothing has its secrets: --keylog FILE names the file that SSLKEYLOGFILE had the client or \
                 the server write, with a line for the session {session}"
            ),
            Self::WrongSecrets => f.write_str("it is TLS, and the secrets that the key log has for it do not open its records"),
        }
    }
}

impl std::error::Error for NotDecrypted {}

fn old_name(minor: u8) -> &'static str {
    match minor {
        0 => "SSL 3.0",
        1 => "TLS 1.0",
        2 => "TLS 1.1",
        _ => "a version of TLS that is not known",
    }
}

/// Whether bytes begin as a client begins TLS.
pub(super) fn begins_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [22, 3, 0..=4, _, _, 1, ..]) && {
        let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        (4..=LONGEST_RECORD).contains(&length)
    }
}

/// Whether bytes look like records from the middle of TLS.
pub(super) fn continues_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [20..=23, 3, 1..=3, high, ..] if *high < 0x48)
}

/// What came of decrypting.
#[derive(Debug, Default)]
pub(super) struct Decrypted {
    pub(super) events: Vec<Event>,
    /// What could not be, in words.
    pub(super) notes: Vec<String>,
    /// Whether something that was said is missing because of it.
    pub(super) is_cut: bool,
}

/// Opens what both sides said.
pub(super) fn decrypt(events: Vec<Event>, log: &KeyLog) -> Result<Decrypted, NotDecrypted> {
    let mut session: Option<Session> = None;
    let mut done = Decrypted::default();
    for event in events {
        match (&mut session, event) {
            (None, Event::Said(Side::Client, bytes)) if begins_tls(&bytes) => {
                done.events.push(Event::Secured);
                let mut begun = Session::default();
                begun.heard(Side::Client, &bytes, log, &mut done)?;
                session = Some(begun);
            }
            (Some(session), Event::Said(side, bytes)) => session.heard(side, &bytes, log, &mut done)?,
            (Some(session), Event::Missing(side, count)) => session.missed(side, count, &mut done),
            (Some(session), Event::Ended(side)) => session.ended(side, &mut done),
            (_, other) => done.events.push(other),
        }
    }
    match session {
        None => Err(NotDecrypted::NoHandshake),
        Some(session) => session.finish(&mut done).map(|()| done),
    }
}

/// A TLS session.
#[derive(Debug, Default)]
struct Session {
    client: Option<ClientHello>,
    server: Option<(ServerHello, Suite)>,
    directions: [RecordDirection; 2],
    alert: Option<u8>,
    /// Whether any record was opened.
    is_open: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct RecordDirection {
    /// Bytes that are no whole record yet.
    held: Vec<u8>,
    /// Messages of the handshake that came in clear, as far as they are not read.
    messages: Vec<u8>,
    keys: Option<Direction>,
    /// Whether what comes is encrypted.
    is_encrypted: bool,
    /// It told its end.
    has_ended: bool,
    /// It cannot be read on.
    is_lost: bool,
}

fn index(side: Side) -> usize {
    usize::from(side == Side::Server)
}

impl Session {
    fn heard(&mut self, side: Side, bytes: &[u8], log: &KeyLog, done: &mut Decrypted) -> Result<(), NotDecrypted> {
        let direction = &mut self.directions[index(side)];
        if direction.is_lost {
            done.is_cut = true;
            return Ok(());
        }
        direction.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut direction.held);
        let mut rest = &held[..];
        while let [kind, major, _, high, low, body @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if *major != 3 || !(20..=24).contains(kind) || length > LONGEST_RECORD {
                self.lose(side, "what it says is no record of TLS", done);
                return Ok(());
            }
            let Some(body) = body.get(..length) else { break };
            let (head, behind) = (&rest[..5], &rest[5 + length..]);
            self.record(side, head, body, log, done)?;
            if self.directions[index(side)].is_lost {
                return Ok(());
            }
            rest = behind;
        }
        self.directions[index(side)].held = rest.to_vec();
        Ok(())
    }

    fn record(
        &mut self,
        side: Side,
        head: &[u8],
        body: &[u8],
        log: &KeyLog,
        done: &mut Decrypted,
    ) -> Result<(), NotDecrypted> {
        let is_13 = matches!(&self.server, Some((hello, _)) if hello.version == Version::V1_3);
        let direction = &mut self.directions[index(side)];
        match head[0] {
            // From here this side encrypts, but for TLS 1.3, where it means nothing.
            20 if !direction.is_encrypted => direction.is_encrypted = !is_13 && self.server.is_some(),
            22 if !direction.is_encrypted => {
                direction.messages.extend_from_slice(body);
                if direction.messages.len() > LONGEST_HELLO {
                    return Err(NotDecrypted::NoHandshake);
                }
                self.messages(side, log)?;
            }
            21 if !direction.is_encrypted => self.alert = body.get(1).copied(),
            kind if direction.is_encrypted || is_13 && kind == 23 => self.opened(side, head, body, done),
            // What a client says before it knows whether the server takes it.
            23 if side == Side::Client => {
                if let Some(keys) = self.client.as_ref().and_then(|hello| Direction::early(hello, log)) {
                    direction.keys.get_or_insert(keys);
                    self.opened(side, head, body, done);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the messages that came in clear.
    fn messages(&mut self, side: Side, log: &KeyLog) -> Result<(), NotDecrypted> {
        loop {
            let direction = &mut self.directions[index(side)];
            let [kind, a, b, c, rest @ ..] = &direction.messages[..] else { return Ok(()) };
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let Some(body) = rest.get(..length) else { return Ok(()) };
            match (kind, side) {
                // After a server asked for another one, the second has the same random value.
                (1, Side::Client) => self.client = ClientHello::read(body),
                (2, Side::Server) => {
                    let hello = ServerHello::read(body).ok_or(NotDecrypted::NoHandshake)?;
                    if !hello.is_retry {
                        self.agreed(hello, log)?;
                    }
                }
                _ => {}
            }
            self.directions[index(side)].messages.drain(..4 + length);
        }
    }

    /// Both have said hello: the keys follow from that and the log.
    fn agreed(&mut self, server: ServerHello, log: &KeyLog) -> Result<(), NotDecrypted> {
        let client = self.client.as_ref().ok_or(NotDecrypted::NoHandshake)?;
        if let Version::Old(minor) = server.version {
            return Err(NotDecrypted::OldVersion(minor));
        }
        let suite = Suite::of(server.suite).ok_or(NotDecrypted::OtherSuite(server.suite))?;
        let is_13 = server.version == Version::V1_3;
        let keys =
            if is_13 { Direction::of_1_3(suite, client, log) } else { Direction::of_1_2(suite, client, &server, log) };
        let Some([ours, theirs]) = keys else {
            let version = if is_13 { "1.3" } else { "1.2" };
            return Err(NotDecrypted::NoSecrets { version, session: client.name() });
        };
        match &mut self.directions[0].keys {
            Some(early) => early.goes_on(ours),
            none => *none = Some(ours),
        }
        self.directions[1].keys = Some(theirs);
        self.server = Some((server, suite));
        Ok(())
    }

    fn opened(&mut self, side: Side, head: &[u8], body: &[u8], done: &mut Decrypted) {
        let direction = &mut self.directions[index(side)];
        let Some(keys) = &mut direction.keys else { return };
        match keys.open(head, body) {
            Opened::Content(23, bytes) => {
                self.is_open = true;
                if !bytes.is_empty() {
                    done.events.push(Event::Said(side, bytes));
                }
            }
            // Nothing more is said: the end of the connection itself need not come at once.
            Opened::Content(21, bytes) => {
                self.is_open = true;
                match bytes[..] {
                    [_, 0] => self.ended(side, done),
                    [_, alert] => {
                        done.notes.push(format!("the {side} ended TLS with alert {alert}"));
                    }
                    _ => {}
                }
            }
            Opened::Content(..) => self.is_open = true,
            Opened::OfHandshake => {}
            Opened::Wrong => self.lose(side, "one of its records cannot be decrypted", done),
        }
    }

    /// A side cannot be read any more.
    fn lose(&mut self, side: Side, why: &str, done: &mut Decrypted) {
        self.directions[index(side)].is_lost = true;
        done.is_cut = true;
        done.notes.push(format!("what the {side} said inside TLS is not all here: {why}"));
        done.events.push(Event::Remark(format!("what the {side} says from here on is not decrypted")));
    }

    fn missed(&mut self, side: Side, count: u64, done: &mut Decrypted) {
        done.events.push(Event::Missing(side, count));
        if !self.directions[index(side)].is_lost {
            self.lose(
                side,
                "bytes of it are missing in the capture, and what comes behind them cannot be decrypted",
                done,
            );
        }
    }

    fn ended(&mut self, side: Side, done: &mut Decrypted) {
        if !std::mem::replace(&mut self.directions[index(side)].has_ended, true) {
            done.events.push(Event::Ended(side));
        }
    }

    fn finish(mut self, done: &mut Decrypted) -> Result<(), NotDecrypted> {
        for side in [Side::Client, Side::Server] {
            let direction = &self.directions[index(side)];
            if self.is_open && !direction.is_lost && direction.keys.as_ref().is_some_and(Direction::is_closed) {
                self.lose(side, "none of its records can be decrypted", done);
            } else if self.is_open && !direction.is_lost && !direction.held.is_empty() {
                self.lose(side, "its last record is not whole", done);
            }
        }
        match &self.server {
            None if self.client.is_none() => Err(NotDecrypted::NoHandshake),
            None => Err(NotDecrypted::Refused(self.alert)),
            Some(_) if self.is_open => Ok(()),
            Some(_) if self.alert.is_some() => Err(NotDecrypted::Refused(self.alert)),
            Some(_)
                if self.directions.iter().all(|direction| direction.keys.as_ref().is_none_or(Direction::is_unused)) =>
            {
                Err(NotDecrypted::Refused(None))
            }
            Some(_) => Err(NotDecrypted::WrongSecrets),
        }
    }
}
