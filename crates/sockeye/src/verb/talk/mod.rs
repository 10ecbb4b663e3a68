//! `talk`: one conversation, joined to standard input and output, or played from a transcript.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpListener;
//! use std::os::fd::AsFd;
//! use sockeye::address::Address;
//! use sockeye::event::Protocol;
//! use sockeye::net::connect::{ConnectOptions, connect};
//! use sockeye::verb::talk::{TalkOptions, Sink, over_stream};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = Address::parse(&listener.local_addr()?.to_string())?;
//! let server = std::thread::spawn(move || {
//!     let (mut client, _) = listener.accept()?;
//!     client.write_all(b"Welcome!\n")?;
//!     client.read_to_end(&mut Vec::new())
//! });
//!
//! let connected = connect(&address, Protocol::Tcp, &ConnectOptions::default())?;
//! let input = std::fs::File::open("/dev/null")?;
//! let mut heard = Vec::new();
//! let outcome = over_stream(&connected, input.as_fd(), &mut Sink::Writer(&mut heard), &TalkOptions::default());
//! drop(connected);
//! assert!(outcome.is_complete() && heard == b"Welcome!\n");
//! server.join().expect("it does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connection;
mod datagram;
mod input;
mod listen;
mod play;
mod sending;
mod spliced;
mod starttls;
mod stream;
mod unread;
mod zero;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use transcript::Side;

use crate::address::Address;
pub use crate::engine::client::{InitialLayers, Reconnect};
use crate::gate::Gate;
use crate::net::session::ServerLayers;
use crate::net::tls::{Identity, TlsError};
use crate::net::websocket::Messages;
use crate::net::{words, words_of_sending};
use crate::record::Tap;
pub use crate::sink::Sink;
pub use crate::wire::starttls::Upgrade;

pub use datagram::{AskAgain, talk as over_datagrams};
pub use listen::{Listened, listen};
pub(crate) use play::play_at;
pub use play::{Played, Setting, play};
pub use starttls::{UpgradeError, upgrade};
pub use stream::talk as over_stream;
pub use zero::{Probed, probe};

/// How lines of standard input end on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Eol {
    /// As they came; over datagrams without an ending.
    #[default]
    AsTyped,
    /// LF.
    Lf,
    /// CRLF.
    CrLf,
    /// None; and datagrams go to standard output as they came.
    None,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// From the peer to us: standard input is not read, and our end stays open until the peer's comes.
    Receive,
    /// From us to the peer: what comes is thrown away, and the conversation is over when all has arrived.
    Send,
}

/// When our end is sent once standard input has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OurEnd {
    /// At once.
    #[default]
    AtOnce,
    /// When it has been quiet: what stands between ends both ways when it hears one end, as many proxies do.
    WhenQuiet,
}

/// Which end of the connection is ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// The one that connected.
    #[default]
    Client,
    /// The one that listened, for one client.
    Listener,
    /// The one that listened, for one client after another.
    Keeping,
}

/// How to talk.
#[derive(Debug, Clone)]
pub struct TalkOptions {
    /// Line endings.
    pub eol: Eol,
    /// Which way bytes go.
    pub direction: Direction,
    /// Which end of the connection is ours.
    pub role: Role,
    /// Who writes the input.
    pub writer: Writer,
    /// When our end is sent.
    pub our_end: OurEnd,
    /// For the whole conversation, from when it is open.
    pub timeout: Option<Duration>,
    /// How long nothing may pass, either way.
    pub idle: Option<Duration>,
    /// Over datagrams, and through a proxy: how long a quiet ends the waiting once an answer came.
    pub quiet: Duration,
    /// Likewise: how long to wait for the first answer.
    pub first_answer: Duration,
    /// Over datagrams: whether is asked again where no program listens.
    pub again: Option<AskAgain>,
    /// Counts as they go, for a caller that interrupts.
    pub progress: Arc<Progress>,
    /// What passes is heard here.
    pub tap: Option<Arc<Tapped>>,
    /// Who may come in, where we listen.
    pub gate: Gate,
    /// What a client that comes to us is spoken to through.
    pub secure: Option<ListenerLayers>,
}

/// What the listening end speaks to its client through, as its address asks for it: TLS, WebSocket, or both.
#[derive(Debug, Clone)]
pub struct ListenerLayers(ServerLayers);

impl ListenerLayers {
    /// Those of the address; who has no certificate has this one.
    ///
    /// # Errors
    /// A file is of no use.
    pub fn new(address: &Address, identity: &Identity) -> Result<Self, TlsError> {
        ServerLayers::at(address, identity, None, Messages::WholeLines).map(Self)
    }

    /// Whether there are any.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.is_plain()
    }

    /// By what clients know a certificate that was made for this run.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.0.fingerprint()
    }
}

/// Who writes the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writer {
    /// Someone who types, if it is a terminal; else a program, or it is a file.
    #[default]
    AsItLooks,
    /// Someone who types, though it is no terminal: their lines are edited before.
    Typist,
}

/// A tap, and which side of the conversation is ours.
#[derive(Debug)]
pub struct Tapped {
    ours: Side,
    tap: Arc<dyn Tap>,
    /// Held from before something is sent until the tap has heard it: an answer may be here before send(2) returns.
    order: Mutex<()>,
}

impl Tapped {
    /// A tap on a conversation of which this side is ours.
    #[must_use]
    pub fn new(ours: Side, tap: Arc<dyn Tap>) -> Arc<Self> {
        Arc::new(Self { ours, tap, order: Mutex::new(()) })
    }

    fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TalkOptions {
    /// Whether someone types this input.
    fn is_typed(&self, input: BorrowedFd<'_>) -> bool {
        self.writer == Writer::Typist || rustix::termios::isatty(input)
    }

    /// Sends the front of some bytes, and has the tap hear what was sent before any answer to it.
    fn send_heard<E>(&self, bytes: &[u8], send: impl FnOnce(&[u8]) -> Result<usize, E>) -> Result<usize, E> {
        let Some(tapped) = &self.tap else { return send(bytes) };
        let _order = tapped.order();
        let sent = send(bytes);
        if let Ok(length) = sent {
            tapped.tap.said(tapped.ours, &bytes[..length]);
        }
        sent
    }

    /// The peer said something.
    fn heard_received(&self, bytes: &[u8]) {
        if let Some(tapped) = &self.tap {
            let _order = tapped.order();
            tapped.tap.said(tapped.ours.other(), bytes);
        }
    }

    /// Our end of a stream passed, or the peer's.
    fn heard_end(&self, is_ours: bool) {
        if let Some(tapped) = &self.tap {
            let _order = tapped.order();
            tapped.tap.ended(if is_ours { tapped.ours } else { tapped.ours.other() });
        }
    }

    /// The peer reset the connection.
    fn heard_reset(&self) {
        if let Some(tapped) = &self.tap {
            tapped.tap.reset(tapped.ours.other());
        }
    }
}

impl Default for TalkOptions {
    fn default() -> Self {
        Self {
            eol: Eol::AsTyped,
            direction: Direction::Both,
            role: Role::Client,
            writer: Writer::default(),
            our_end: OurEnd::AtOnce,
            timeout: None,
            idle: None,
            quiet: crate::limits::DATAGRAM_QUIET,
            first_answer: crate::limits::DATAGRAM_ANSWER,
            again: None,
            progress: Arc::default(),
            tap: None,
            gate: Gate::default(),
            secure: None,
        }
    }
}

/// When something passed last, and which direction ended first, for both.
#[derive(Debug)]
struct Activity {
    began: Instant,
    /// In nanoseconds from the beginning.
    last: AtomicU64,
    first_end: OnceLock<FirstEnd>,
}

impl Activity {
    fn new() -> Self {
        Self { began: Instant::now(), last: AtomicU64::new(0), first_end: OnceLock::new() }
    }

    fn passed(&self) {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    /// A direction ended.
    fn ended(&self, whose: FirstEnd) {
        let _ = self.first_end.set(whose);
    }

    /// Which end was sent or read first.
    fn first_end(&self) -> Option<FirstEnd> {
        self.first_end.get().copied()
    }
}

/// Bytes moved so far.
#[derive(Debug, Default)]
pub struct Progress {
    sent: AtomicU64,
    received: AtomicU64,
    strangers: AtomicU64,
    dropped: AtomicU64,
}

impl Progress {
    fn sent_more(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn received_more(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Over datagrams: those that came from another address than the peer's, and were not taken.
    #[must_use]
    pub fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }

    /// Over datagrams: those of the peer that the kernel had no room for.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes given to the socket.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes taken from the socket.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// How a conversation ended.
#[derive(Debug)]
pub enum Ending {
    /// Both directions ended, and everything arrived.
    Done,
    /// The peer has closed, and standard input had not ended.
    PeerEnded,
    /// The connection was reset, or broke.
    Reset(io::Error),
    /// Under TLS the connection ended without the peer saying so: something may be missing.
    Cut,
    /// The connection ended, and the peer had not closed the WebSocket inside it: something may be missing.
    NoClose,
    /// What came breaks TLS.
    Insecure(TlsError),
    /// The time for the whole conversation was over.
    TimedOut(Duration),
    /// Nothing passed for so long, either way.
    Idle(Duration),
    /// What came could not be written.
    OutputFailed(io::Error),
    /// Standard input could not be read.
    InputFailed(io::Error),
    /// This machine could not do something; which.
    Failed(&'static str, io::Error),
    /// Over datagrams: no program listens there (the ICMP error came).
    PortClosed,
    /// Over datagrams: there is no way to that host.
    Unreachable(io::Error),
    /// Over datagrams: nothing came in time.
    NoAnswer(Duration),
    /// Over datagrams: a line does not fit into one.
    TooLarge {
        /// The line of standard input, from 1.
        line: u64,
        /// Its length in bytes.
        length: usize,
    },
    /// A message came that is larger than what is taken.
    TooLargeToTake,
    /// Over datagrams: one could not be sent.
    SendFailed(io::Error),
}

/// Bytes that did not reach the peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsent {
    /// How many are known.
    pub bytes: u64,
    /// Of those, bytes that the socket has, and that the peer's system has not taken.
    pub in_queue: u64,
    /// There may be more: the producer had not ended.
    pub at_least: bool,
}

/// What came of a conversation.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Bytes given to the socket.
    pub sent: u64,
    /// Bytes taken from the socket.
    pub received: u64,
    /// Bytes of standard input that did not reach the peer.
    pub unsent: Unsent,
    /// Over datagrams: how many came that the kernel had no room for.
    pub dropped: u64,
    /// Over what has ends, a stream or packets: whose was sent or read first.
    pub first_end: Option<FirstEnd>,
}

/// Who ended a conversation first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstEnd {
    /// We did.
    Us,
    /// The peer did.
    Peer,
}

impl Outcome {
    /// Whether every byte arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.ending, Ending::Done | Ending::PeerEnded) && self.unsent.bytes == 0 && self.dropped == 0
    }
}

impl Ending {
    /// Whether it is the end of what the peer says, and of nothing else: it may read on.
    fn is_end(&self) -> bool {
        matches!(self, Self::Done | Self::Cut | Self::NoClose)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ending {
            Ending::Done | Ending::PeerEnded if self.is_complete() => f.write_str("done")?,
            Ending::Done if self.unsent.bytes == 0 => f.write_str("not everything arrived")?,
            Ending::Done => f.write_str("the peer did not take everything")?,
            Ending::PeerEnded => f.write_str("the peer ended first")?,
            Ending::Reset(error) => match Errno::from_io_error(error) {
                Some(Errno::CONNRESET | Errno::CONNABORTED) | None => f.write_str("the connection was reset")?,
                Some(Errno::PIPE | Errno::NOTCONN) => {
                    f.write_str("the connection was reset: the peer had closed it")?
                }
                Some(_) => write!(f, "the connection broke: {}", words(error))?,
            },
            Ending::Cut => f.write_str(
                "cut short: the connection ended and the peer had not said so under TLS (close_notify); something may be missing",
            )?,
            Ending::NoClose => f.write_str(
                "cut short: the connection ended and the peer had not said so inside the WebSocket (no Close frame, 1006); \
                 something may be missing",
            )?,
            Ending::Insecure(error) => write!(f, "{}: {error}", error.layer())?,
            Ending::TimedOut(time) => {
                write!(f, "the conversation took longer than {} (--timeout)", transcript::seconds(*time))?;
            }
            Ending::Idle(time) => write!(f, "nothing passed for {} (--idle)", transcript::seconds(*time))?,
            Ending::OutputFailed(error) => write!(f, "cannot write what came: {}", words(error))?,
            Ending::InputFailed(error) => write!(f, "cannot read standard input: {}", words(error))?,
            Ending::Failed(what, error) => write!(f, "{what}: {}", words(error))?,
            Ending::PortClosed => f.write_str("port closed: nobody listens there")?,
            Ending::Unreachable(error) => write!(f, "cannot be reached: {}", words(error))?,
            Ending::NoAnswer(time) => {
                write!(f, "no answer within {}", transcript::seconds(*time))?;
            }
            Ending::TooLarge { line, length } => {
                write!(f, "line {line} of standard input has {length} bytes, more than a datagram holds")?;
            }
            Ending::TooLargeToTake => {
                let most = crate::limits::bytes(crate::net::message::LARGEST);
                write!(f, "a message came that is larger than {most}, and was not taken")?;
            }
            Ending::SendFailed(error) => write!(f, "cannot send: {}", words_of_sending(error))?,
        }
        let Self { sent, received, unsent, dropped, .. } = self;
        // What was given to the socket and went no further was not sent.
        write!(f, "; {} bytes sent, {received} received", sent.saturating_sub(unsent.in_queue))?;
        if unsent.bytes > 0 {
            let least = if unsent.at_least { "at least " } else { "" };
            write!(f, ", {least}{} bytes of standard input were not sent", unsent.bytes)?;
        }
        if unsent.bytes == 0 && unsent.at_least {
            f.write_str(", standard input had not ended")?;
        }
        if matches!(self.ending, Ending::NoAnswer(_)) && *sent > 0 {
            f.write_str("; where no answer is due, say --send-only")?;
        }
        if *dropped > 0 {
            write!(f, ", {dropped} datagrams were dropped: the kernel's queue was full")?;
        }
        Ok(())
    }
}
