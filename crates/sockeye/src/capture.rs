//! Captures: what tcpdump and Wireshark wrote down becomes conversations. A file is read twice: once to see what is in it, and
//! once for the conversation that is asked for, so that nothing else of it is held.
//!
//! ```
//! use std::io::Cursor;
//! use sockeye::capture::{NoCapture, is_capture, survey};
//!
//! let page = b"S: hello\n";
//! assert!(!is_capture(page));
//! assert!(matches!(survey(Cursor::new(page)), Err(NoCapture::OtherFormat)));
//! ```

mod file;
mod fragments;
mod half;
#[cfg(feature = "http")]
mod har;
mod packet;
mod table;
#[cfg(feature = "tls")]
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::net::IpAddr;

use transcript::record::{Finished, Recorder, Recording};
use transcript::{Carrier, Moment, Side};

pub use file::{NoCapture, is_capture};
#[cfg(feature = "http")]
pub use har::{Archive, NoArchive, archives};
pub use table::{Protocol, Stream, StreamId};
#[cfg(feature = "tls")]
pub use tls::{KeyLog, NotDecrypted};

use crate::limits;
use file::{Item, Packets};
use fragments::Fragments;
use half::Connection;
use packet::{Carried, Datagram, Transport};
use table::Table;

/// Bytes of a key log, at most.
const MOST_SECRETS: usize = 16 * 1024 * 1024;
/// What a datagram takes besides its bytes.
const EACH: usize = 64;

/// What is in a capture.
#[derive(Debug, Default)]
pub struct Survey {
    /// Its conversations, in the order in which they begin.
    pub streams: Vec<Stream>,
    /// All packets.
    pub packets: u64,
    /// Packets that are part of no conversation: of other protocols.
    pub others: u64,
    /// Types of links that are not known, by their numbers.
    pub unknown_links: BTreeSet<u16>,
    /// Packets of more conversations than are told apart.
    pub uncounted: u64,
    /// Where it ends too early, if it does.
    pub end: End,
    /// The secrets of TLS sessions in it.
    secrets: Vec<u8>,
    /// Datagrams in pieces of which some are missing.
    lost_pieces: BTreeMap<(IpAddr, IpAddr), u64>,
}

/// How a capture ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum End {
    /// Behind a whole packet.
    #[default]
    Whole,
    /// In the middle of a packet.
    Cut,
    /// With something that is no packet, so many bytes from its beginning.
    Broken(u64),
}

impl Survey {
    /// The secrets of TLS sessions that are in the capture itself.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn key_log(&self) -> KeyLog {
        let mut log = KeyLog::default();
        log.read(&self.secrets);
        log
    }

    /// A conversation, by its number.
    #[must_use]
    pub fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.id == id)
    }
}

/// Reads what is in a capture.
///
/// # Errors
/// It is none, or is broken before its first packet.
pub fn survey(source: impl Read) -> Result<Survey, NoCapture> {
    walk(source, |_| Ok(()))
}

/// Reads one conversation of a capture, by what was seen of it before.
///
/// # Errors
/// The capture cannot be read again, or the conversation is too large.
pub fn conversation(source: impl Read, survey: &Survey, stream: &Stream) -> Result<Conversation, NoConversation> {
    let place = survey.streams.iter().position(|other| other.id == stream.id);
    let mut reading = Reading::new(stream);
    walk(source, |found| if Some(found.place) == place { reading.take(found) } else { Ok(()) })?;
    Ok(reading.finish(survey))
}

/// Why a conversation cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoConversation {
    /// The capture cannot be read.
    Capture(NoCapture),
    /// It has more bytes than a transcript may have.
    TooLarge(StreamId),
}

impl fmt::Display for NoConversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(why) => why.fmt(f),
            Self::TooLarge(id) => write!(f, "stream {id} has more than 16 MiB, and a transcript has no more"),
        }
    }
}

impl std::error::Error for NoConversation {}

impl From<NoCapture> for NoConversation {
    fn from(why: NoCapture) -> Self {
        Self::Capture(why)
    }
}

/// A packet of a conversation.
struct Found<'a> {
    carried: Carried<'a>,
    /// Which conversation of the table.
    place: usize,
    number: u64,
}

/// Goes through the packets of a file, and shows those that are part of a conversation.
fn walk<E: From<NoCapture>>(source: impl Read, mut each: impl FnMut(&Found<'_>) -> Result<(), E>) -> Result<Survey, E> {
    let mut packets = Packets::open(source)?;
    let (mut survey, mut table, mut fragments) = (Survey::default(), Table::default(), Fragments::default());
    loop {
        let packet = match packets.next() {
            Ok(Some(Item::Packet(packet))) => packet,
            Ok(Some(Item::KeyLog(lines))) => {
                let room = MOST_SECRETS - survey.secrets.len();
                survey.secrets.extend_from_slice(&lines[..lines.len().min(room)]);
                // Each block has whole lines; the last one may lack its end.
                if room > lines.len() {
                    survey.secrets.push(b'\n');
                }
                continue;
            }
            Ok(None) => break,
            Err(NoCapture::Broken { at }) if survey.packets > 0 => {
                survey.end = End::Broken(at);
                break;
            }
            Err(error) => return Err(error.into()),
        };
        survey.packets += 1;
        if !packet::is_known(packet.link) {
            survey.unknown_links.insert(packet.link);
        }
        let joined;
        let whole = match packet::datagram(packet.link, packet.bytes) {
            Some(datagram @ Datagram { piece: Some(piece), .. }) => {
                let Some(bytes) = fragments.take(&datagram, piece) else { continue };
                joined = bytes;
                Some(Datagram { piece: None, bytes: &joined, length: joined.len(), ..datagram })
            }
            other => other,
        };
        let Some(carried) = whole.and_then(|datagram| packet::carried(&datagram)) else {
            survey.others += 1;
            continue;
        };
        match table.place(&carried) {
            Some(place) => each(&Found { carried, place, number: survey.packets })?,
            None => survey.uncounted += 1,
        }
    }
    if packets.is_cut() {
        survey.end = End::Cut;
    }
    survey.streams = table.streams();
    survey.lost_pieces = fragments.finish();
    Ok(survey)
}

/// A conversation as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A side said something; over datagrams, one of them.
    Said(Side, Vec<u8>),
    /// So many bytes of a side are not in the capture.
    Missing(Side, u64),
    /// A side said its last.
    Ended(Side),
    /// A side reset the connection.
    Reset(Side),
    /// Both went over to TLS.
    Secured,
    /// Something is to be known of this place.
    Remark(String),
}

/// A conversation of a capture.
#[derive(Debug)]
pub struct Conversation {
    /// What carries it.
    pub carrier: Carrier,
    /// Where the server is, as `at` has it.
    pub at: String,
    /// What is to be known of it, in words.
    pub notes: Vec<String>,
    /// Whether something that was said is missing.
    pub is_cut: bool,
    pub(crate) events: Vec<Event>,
}

/// A conversation as its packets come.
struct Reading<'a> {
    stream: &'a Stream,
    connection: Connection,
    datagrams: Vec<Event>,
    held: usize,
    /// Bytes of packets that were not kept.
    clipped: u64,
}

impl<'a> Reading<'a> {
    fn new(stream: &'a Stream) -> Self {
        Self { stream, connection: Connection::default(), datagrams: vec![], held: 0, clipped: 0 }
    }

    fn take(&mut self, found: &Found<'_>) -> Result<(), NoConversation> {
        let carried = &found.carried;
        self.clipped += carried.missing as u64;
        let side = if carried.from == self.stream.client { Side::Client } else { Side::Server };
        match carried.transport {
            Transport::Tcp(segment) => self.connection.take(side, carried, segment, found.number),
            Transport::Udp => {
                self.held += carried.payload.len() + EACH;
                self.datagrams.push(Event::Said(side, carried.payload.to_vec()));
                if carried.missing > 0 {
                    self.datagrams.push(Event::Missing(side, carried.missing as u64));
                }
            }
        }
        // A transcript cannot be larger, and what keeps pieces apart takes room too.
        if self.held + self.connection.held() > 4 * limits::TRANSCRIPT as usize {
            return Err(NoConversation::TooLarge(self.stream.id));
        }
        Ok(())
    }

    fn finish(self, survey: &Survey) -> Conversation {
        let Self { stream, connection, mut datagrams, clipped, .. } = self;
        let mut notes = vec![];
        let is_tcp = stream.id.protocol == Protocol::Tcp;
        let (carrier, missing) = if is_tcp {
            if let Some(side) = connection.unseen() {
                notes.push(format!(
                    "no packet of the {side} is in the capture, as with a filter for one direction: what it said is not in it"
                ));
            } else if !connection.has_beginning() {
                notes.push(format!(
                    "the connection was there before the capture began: what was said before is not in it{}",
                    if stream.is_whole { "" } else { ", and who is the client is a guess (--client ADDRESS)" }
                ));
            }
            let account = connection.finish(&mut |event| datagrams.push(event));
            if account.differ > 0 {
                notes.push(format!(
                    "{} were sent again and were others then: what came first is taken",
                    bytes(account.differ)
                ));
            }
            if account.after_reset > 0 {
                notes.push(format!("{} came after the reset, and are left out", bytes(account.after_reset)));
            }
            (Carrier::Stream, account.missing)
        } else {
            (Carrier::Datagram, clipped)
        };
        if missing > 0 {
            let why = if clipped > 0 {
                "the packets were not kept whole (tcpdump -s 0 keeps them)"
            } else {
                "they were sent, and their packets are not in the capture"
            };
            notes.push(format!("{} are missing: {why}", bytes(missing)));
        }
        let hosts = [(stream.client.ip(), stream.server.ip()), (stream.server.ip(), stream.client.ip())];
        let lost: u64 = hosts.iter().filter_map(|hosts| survey.lost_pieces.get(hosts)).sum();
        if lost > 0 {
            notes.push(format!(
                "{lost} packets between these hosts were cut in pieces of which some are missing: they are left out"
            ));
        }
        Conversation {
            carrier,
            at: format!("{}://{}", if is_tcp { "tcp" } else { "udp" }, stream.server),
            notes,
            is_cut: missing + lost > 0,
            events: datagrams,
        }
    }
}

fn bytes(count: u64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

#[cfg(feature = "tls")]
impl Conversation {
    /// Whether it is, or becomes, TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        let said = |side| {
            self.events.iter().filter_map(move |event| match event {
                Event::Said(who, bytes) if *who == side => Some(bytes.as_slice()),
                _ => None,
            })
        };
        let first = |side| said(side).next().is_some_and(tls::continues_tls);
        self.carrier == Carrier::Stream
            && (said(Side::Client).any(tls::begins_tls) || first(Side::Client) && first(Side::Server))
    }

    /// What was said inside TLS.
    ///
    /// # Errors
    /// Why it cannot be decrypted.
    pub fn decrypted(mut self, log: &KeyLog) -> Result<Self, NotDecrypted> {
        let decrypted = tls::decrypt(std::mem::take(&mut self.events), log)?;
        self.events = decrypted.events;
        self.notes.extend(decrypted.notes);
        self.is_cut |= decrypted.is_cut;
        Ok(self)
    }
}

impl Conversation {
    /// The conversation as a transcript, every byte as it was; what is missing is a comment in its place.
    #[must_use]
    pub fn transcript(&self) -> String {
        let at = Some(self.at.clone());
        let mut recorder =
            Recorder::new(Recording { carrier: self.carrier, at, secrets: vec![], times: false, ports: false });
        for event in &self.events {
            match event {
                Event::Said(side, bytes) => recorder.said(*side, bytes, Moment::default()),
                Event::Missing(side, count) => {
                    recorder.remark(&format!("{} of the {side} are missing here", bytes(*count)));
                }
                Event::Ended(side) => recorder.ended(*side),
                Event::Reset(side) => recorder.reset(*side),
                Event::Secured => recorder.secured(),
                Event::Remark(text) => recorder.remark(text),
            }
        }
        let begun = recorder.take();
        match recorder.finish() {
            Finished::Whole(text) => text,
            Finished::Rest(text) => begun + &text,
        }
    }

    /// What a side said, all of it.
    #[must_use]
    pub fn said(&self, side: Side) -> Vec<u8> {
        let parts = self.events.iter().filter_map(|event| match event {
            Event::Said(who, bytes) if *who == side => Some(bytes.as_slice()),
            _ => None,
        });
        parts.collect::<Vec<_>>().concat()
    }
}
