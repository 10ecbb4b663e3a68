//! One end of a pair: a socket, perhaps with TLS over it, that is read and written without waiting. It knows nothing of the
//! other end.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, getsockname, recv, send, shutdown, sockopt};

use super::super::announced::AnnounceError;
use super::capture::SocketCapture;
use super::framing::Framer;
use crate::address::Framing;
use crate::endpoint::{Name, Protocol};
use crate::net::alive;
use crate::net::local::Guest;
use crate::net::session::Session;
use crate::net::tls::TlsError;
use crate::net::websocket::{Close, Mark};
use crate::sys::queue;
use crate::wire::preface::{self, Ends};
use transcript::{MessageKind, Moment};

/// Bytes that are encrypted at once, and most that wait encrypted for a socket to take them before more are.
const ENCRYPTED: usize = 64 * 1024;

/// What reading came to.
#[derive(Debug)]
pub(super) enum ReadOutcome {
    /// So many bytes stand in the buffer.
    Bytes(usize),
    /// Nothing is there now.
    Nothing,
    /// The peer says no more.
    End,
    /// The stream ended inside a session of TLS that was not ended: it may be cut short.
    Cut,
    Broken(Errno),
    /// The session cannot go on.
    NotSecure(TlsError),
}

/// Where what is read stands: room for one read, and what it means where it was encrypted.
pub(super) struct Buffer {
    raw: Vec<u8>,
    pub(super) clear: Vec<u8>,
    pub(super) is_clear: bool,
}

/// Bytes read at once.
pub(super) const READ: usize = 64 * 1024;

impl Buffer {
    pub(super) fn new() -> Self {
        Self { raw: vec![0; READ], clear: Vec::new(), is_clear: false }
    }

    /// Room for one message, whatever its length.
    pub(super) fn room_for_message(&mut self) -> &mut [u8] {
        self.is_clear = true;
        self.clear.resize(crate::net::message::LARGEST, 0);
        &mut self.clear
    }

    /// Keeps one that was found elsewhere.
    pub(super) fn keep(&mut self, message: &[u8]) {
        self.is_clear = true;
        self.clear.clear();
        self.clear.extend_from_slice(message);
    }

    pub(super) fn bytes(&self, length: usize) -> &[u8] {
        if self.is_clear { &self.clear[..length] } else { &self.raw[..length] }
    }
}

/// What stands behind a socket of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerKind {
    /// A peer, who has the other end.
    Peer,
    /// A program, which may end without having read everything: no reset, and what it did not read is counted.
    Program,
    /// A bridge to a pipe, a file or a terminal.
    Bridge,
}

impl PeerKind {
    pub(super) fn of(guest: Option<&Guest>) -> Self {
        match guest {
            None => Self::Peer,
            Some(guest) if guest.is_program() => Self::Program,
            Some(_) => Self::Bridge,
        }
    }
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    /// Inside a session that was not ended.
    Cut,
}

/// How a leg carries messages, where those keep their bounds from one end to the other.
#[derive(Debug)]
pub(super) enum Bounds {
    /// The socket keeps them.
    OfSocket {
        /// Its peer can say that nothing more comes.
        has_end: bool,
    },
    /// They stand in a stream.
    Framed {
        framer: Framer,
        framing: Framing,
        /// How the stream ended, behind the last of them.
        ended: Option<Ended>,
    },
}

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) fd: OwnedFd,
    behind: PeerKind,
    /// Bytes that a program was to be given and that it was not there any more to read.
    pub(super) unread: u64,
    pub(super) protocol: Protocol,
    /// None: it carries bytes.
    pub(super) bounds: Option<Box<Bounds>>,
    /// Messages that could not be sent or received, and why the last of them was not.
    pub(super) refused: (u64, String),
    /// When something came last over what has no end.
    pub(super) heard: Option<Moment>,
    /// Its peer has closed its socket, and hears nothing any more.
    pub(super) has_left: bool,
    /// All is to end: what may still come is waited for a short time.
    pub(super) hurries: bool,
    /// It is not read any more: what could come has no reader.
    pub(super) is_over: bool,
    pub(super) session: Option<Box<Session>>,
    /// Why that cannot go on, once what came before is heard.
    failed: Option<Box<TlsError>>,
    /// What the session wants sent and the socket has not taken.
    pub(super) wire: Vec<u8>,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// Its end may stand behind what is read next.
    pub(super) hung: bool,
    /// The peer's end was read.
    pub(super) ended: bool,
    /// Bytes that came.
    pub(super) received: u64,
    /// We said our end; the socket's is shut once all before it was taken.
    pub(super) said_end: bool,
    pub(super) is_shut: bool,
    /// The system took our end, which counts as a byte until the peer's system has taken it.
    has_end_queued: bool,
    /// Our end is said by closing.
    ends_by_closing: bool,
    /// The error that broke it.
    pub(super) broken: Option<Errno>,
    /// Who hears what passes the socket itself.
    pub(super) wire_tap: Option<Box<SocketCapture>>,
}

impl Leg {
    pub(super) fn new(fd: OwnedFd, protocol: Protocol, behind: PeerKind) -> Self {
        Self {
            fd,
            behind,
            unread: 0,
            protocol,
            bounds: None,
            refused: (0, String::new()),
            heard: None,
            has_left: false,
            hurries: false,
            is_over: false,
            session: None,
            failed: None,
            wire: Vec::new(),
            readable: false,
            writable: true,
            hung: false,
            ended: false,
            received: 0,
            said_end: false,
            is_shut: false,
            has_end_queued: false,
            ends_by_closing: false,
            broken: None,
            wire_tap: None,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn is_bridged(&self) -> bool {
        self.behind == PeerKind::Bridge
    }

    /// Whether an error says no more than that a program has ended.
    pub(super) fn is_end_of_program(&self, error: Errno) -> bool {
        self.behind == PeerKind::Program && matches!(error, Errno::CONNRESET | Errno::PIPE)
    }

    /// The name of our end.
    pub(super) fn own_name(&self) -> Name {
        let name = getsockname(&self.fd).ok().and_then(|name| SocketAddr::try_from(name).ok());
        name.map_or(Name::Unnamed, Name::Inet)
    }

    /// Has the system ask its peer now and then whether it is still there.
    pub(super) fn keep_alive(&self) {
        // Without it the conversation is the same.
        let _ = alive::keep_alive(&self.fd);
    }

    /// Whether its bytes are those of the conversation, so that the kernel may move them.
    pub(super) fn is_plain(&self) -> bool {
        self.session.is_none() && self.wire_tap.is_none() && self.bounds.is_none()
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_handshaking())
    }

    /// Says something before everything else.
    pub(super) fn say_first(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.wire.extend_from_slice(bytes);
        self.flush()
    }

    /// Takes the header of the PROXY protocol, with which a connection begins, and not a byte behind it; none where it has not
    /// come whole.
    ///
    /// # Errors
    /// It is none, or the connection ended before.
    pub(super) fn hear_first(&mut self) -> Result<Option<Ends>, AnnounceError> {
        let mut bytes = [0; preface::LONGEST];
        loop {
            match recv(&self.fd, &mut bytes, RecvFlags::PEEK) {
                Ok((0, _)) => return Err(AnnounceError::Ended),
                Ok((length, _)) => match preface::read(&bytes[..length])? {
                    Some(ends) => {
                        // It stands there, so that all of it comes.
                        let taken = recv(&self.fd, &mut bytes[..ends.length], RecvFlags::empty());
                        let (length, _) = taken.map_err(AnnounceError::Socket)?;
                        self.tell(|tap| tap.received(&bytes[..length]));
                        return Ok(Some(ends));
                    }
                    None if self.hung => return Err(AnnounceError::Cut),
                    None => break,
                },
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(AnnounceError::Socket(error)),
            }
        }
        self.readable = false;
        Ok(None)
    }

    /// Whether its peer says nothing more once it hears our end.
    pub(super) fn ends_both_ways(&self) -> bool {
        self.is_websocket()
    }

    pub(super) fn is_websocket(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_websocket())
    }

    /// What stands between, for people.
    pub(super) fn layer(&self) -> &'static str {
        if self.is_websocket() { "WebSocket" } else { "TLS" }
    }

    /// Why the peer says no more, where it said why.
    pub(super) fn close(&self) -> Option<&Close> {
        self.session.as_ref()?.close()
    }

    /// Begins TLS or WebSocket; a client has the first word.
    pub(super) fn secure(&mut self, mut session: Session) -> Result<(), Errno> {
        session.send(&[], &mut self.wire);
        self.session = Some(Box::new(session));
        self.flush()
    }

    /// Bytes that wait here for the socket.
    pub(super) fn waiting(&self) -> usize {
        self.wire.len()
    }

    /// Bytes of memory that its session and what is encrypted need.
    pub(super) fn memory(&self) -> usize {
        self.wire.capacity() + self.session.as_ref().map_or(0, |session| session.memory())
    }

    /// Reads once what is there.
    pub(super) fn receive(&mut self, buffer: &mut Buffer) -> ReadOutcome {
        if let Some(Bounds::OfSocket { has_end }) = self.bounds.as_deref() {
            return self.receive_packet(*has_end, buffer);
        }
        buffer.is_clear = self.session.is_some();
        if self.session.is_none() {
            return match self.receive_raw(&mut buffer.raw) {
                Ok(Some(0)) => ReadOutcome::End,
                Ok(Some(length)) => {
                    self.tell(|tap| tap.received(&buffer.raw[..length]));
                    ReadOutcome::Bytes(length)
                }
                Ok(None) => ReadOutcome::Nothing,
                Err(error) => ReadOutcome::Broken(error),
            };
        }
        buffer.clear.clear();
        loop {
            if let Some(error) = self.failed.take() {
                return ReadOutcome::NotSecure(*error);
            }
            if self.session.as_ref().is_some_and(|session| session.has_ended()) {
                return ReadOutcome::End;
            }
            let length = match self.receive_raw(&mut buffer.raw) {
                // Messages end with a word: what ends without one is broken (RFC 6455, section 7.1.5, code 1006).
                Ok(Some(0)) if self.is_websocket() && !self.is_handshaking() => {
                    return if self.said_end { ReadOutcome::End } else { ReadOutcome::Broken(Errno::CONNRESET) };
                }
                Ok(Some(0)) => return ReadOutcome::Cut,
                Ok(Some(length)) => length,
                Ok(None) => return ReadOutcome::Nothing,
                Err(error) => return ReadOutcome::Broken(error),
            };
            let Some(session) = &mut self.session else { return ReadOutcome::Nothing };
            let received = session.receive(&buffer.raw[..length], &mut buffer.clear);
            // Behind the secrets that are known by it, so that it can be read.
            if let Some(tap) = &mut self.wire_tap {
                tap.received(&buffer.raw[..length]);
            }
            session.send(&[], &mut self.wire);
            session.answer_close(&mut self.wire);
            if let Err(error) = self.flush() {
                // What came is told first.
                self.broken.get_or_insert(error);
            }
            match received {
                // What came before was said.
                Err(error) if !buffer.clear.is_empty() => self.failed = Some(Box::new(error)),
                Err(error) => return ReadOutcome::NotSecure(error),
                Ok(()) => {}
            }
            if !buffer.clear.is_empty() || self.session.as_ref().is_some_and(|session| session.has_marks()) {
                self.received += buffer.clear.len() as u64;
                return ReadOutcome::Bytes(buffer.clear.len());
            }
        }
    }

    /// One read of the socket. A short one says that nothing more stands there, unless the end does.
    fn receive_raw(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        if !self.readable {
            return Ok(None);
        }
        loop {
            match recv(&self.fd, &mut *buffer, RecvFlags::empty()) {
                // The error was told before, and is told only once.
                Ok((0, _)) if self.broken.is_some() => return Err(self.broken.unwrap_or(Errno::CONNRESET)),
                Ok((length, _)) => {
                    if length < buffer.len() && !self.hung {
                        self.readable = false;
                    }
                    if length == 0 {
                        self.tell(SocketCapture::peer_ended);
                    }
                    return Ok(Some(length));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.readable = false;
                    return Ok(None);
                }
                Err(error) if self.is_end_of_program(error) => return Ok(Some(0)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Its peer is gone.
    pub(super) fn is_gone(&mut self, error: Errno) {
        self.broken.get_or_insert(error);
        self.tell(SocketCapture::peer_reset);
    }

    /// Sends what the socket takes; how many bytes it took, or the session for it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if self.session.is_none() {
            return self.send_raw(bytes);
        }
        if self.is_handshaking() {
            // Nothing is said before it is known to whom.
            self.flush()?;
            return Ok(0);
        }
        let mut taken = 0;
        while taken < bytes.len() {
            if self.wire.len() >= ENCRYPTED {
                self.flush()?;
                if !self.wire.is_empty() {
                    break;
                }
            }
            let piece = &bytes[taken..bytes.len().min(taken + ENCRYPTED)];
            if let Some(session) = &mut self.session {
                if !session.is_heard() {
                    return Err(Errno::PIPE);
                }
                session.send(piece, &mut self.wire);
            }
            taken += piece.len();
        }
        self.flush()?;
        Ok(taken)
    }

    /// Whether messages are passed on as what they were.
    pub(super) fn keeps_messages(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.keeps_messages())
    }

    /// Where messages ended that came, where that is kept.
    pub(super) fn take_marks(&mut self) -> Vec<Mark> {
        self.session.as_mut().map(|session| session.take_marks()).unwrap_or_default()
    }

    /// Sends the front of what is left of a message; how many bytes the session took, and none where it takes nothing now.
    pub(super) fn send_part(&mut self, left: &[u8], kind: MessageKind, is_all: bool) -> Result<Option<usize>, Errno> {
        if self.wire.len() >= ENCRYPTED || self.is_handshaking() {
            self.flush()?;
            if !self.wire.is_empty() || self.is_handshaking() {
                return Ok(None);
            }
        }
        let piece = &left[..left.len().min(ENCRYPTED)];
        if let Some(session) = &mut self.session {
            if !session.is_heard() {
                return Err(Errno::PIPE);
            }
            session.send_part(piece, kind, is_all && piece.len() == left.len(), &mut self.wire);
        }
        Ok(Some(piece.len()))
    }

    fn send_raw(&mut self, mut bytes: &[u8]) -> Result<usize, Errno> {
        let mut taken = 0;
        while !bytes.is_empty() && self.writable {
            match send(&self.fd, bytes, SendFlags::NOSIGNAL) {
                Ok(length) => {
                    self.tell(|tap| tap.sent(&bytes[..length]));
                    taken += length;
                    bytes = &bytes[length..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.writable = false,
                Err(error) if self.is_end_of_program(error) => {
                    self.unread += bytes.len() as u64;
                    return Ok(taken + bytes.len());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Sends what waits here, and the end behind it.
    pub(super) fn flush(&mut self) -> Result<(), Errno> {
        if !self.wire.is_empty() && self.writable {
            let wire = std::mem::take(&mut self.wire);
            let taken = self.send_raw(&wire)?;
            self.wire = wire;
            self.wire.drain(..taken);
        }
        if self.wire.is_empty() {
            self.wire = Vec::new();
            if self.said_end && !self.is_shut {
                self.is_shut = true;
                self.tell(SocketCapture::ended);
                if matches!(self.bounds.as_deref(), Some(Bounds::OfSocket { has_end: false })) {
                    // On this kind of socket the peer does not learn of it.
                    return Ok(());
                }
                return match self.end() {
                    // It is broken, and reading tells how.
                    Err(Errno::NOTCONN) => Ok(()),
                    ended => ended,
                };
            }
        }
        Ok(())
    }

    /// Says that nothing more is said.
    pub(super) fn say_end(&mut self) -> Result<(), Errno> {
        self.say_end_as(None)
    }

    /// The same, and why.
    pub(super) fn say_end_as(&mut self, why: Option<&Close>) -> Result<(), Errno> {
        if self.said_end {
            return Ok(());
        }
        self.said_end = true;
        if let Some(session) = &mut self.session {
            session.end(why, &mut self.wire);
        }
        self.flush()
    }

    /// Says the last end of the pair: nothing comes any more from either side, and nothing waits. Closing the socket says it too,
    /// and a call less is made, unless [`Leg::untaken`] keeps it open: then [`Leg::say_due_end`] says it.
    pub(super) fn say_last_end(&mut self, why: Option<&Close>) -> Result<(), Errno> {
        if self.session.is_some() || self.behind != PeerKind::Peer || !self.wire.is_empty() || self.said_end {
            return self.say_end_as(why);
        }
        (self.said_end, self.is_shut, self.ends_by_closing) = (true, true, true);
        self.tell(SocketCapture::ended);
        Ok(())
    }

    /// Says an end that was to be said by closing, which has to wait.
    pub(super) fn say_due_end(&mut self) {
        if std::mem::take(&mut self.ends_by_closing) {
            // If it is broken, reading or asking tells how.
            let _ = self.end();
        }
    }

    fn end(&mut self) -> Result<(), Errno> {
        shutdown(&self.fd, Shutdown::Write)?;
        self.has_end_queued = self.protocol == Protocol::Tcp;
        Ok(())
    }

    /// Whether our end was said and all before it taken.
    pub(super) fn is_shut(&self) -> bool {
        self.is_shut
    }

    /// The kernel moved bytes of the other end here.
    pub(super) fn is_full(&mut self) {
        self.writable = false;
    }

    /// Bytes that the peer's system has not taken yet; none where that cannot be known.
    pub(super) fn untaken(&self) -> u64 {
        match self.behind {
            PeerKind::Peer if self.protocol != Protocol::Tcp => 0,
            PeerKind::Program => 0,
            PeerKind::Peer | PeerKind::Bridge => queue::unsent(&self.fd).unwrap_or(0),
        }
    }

    /// Bytes that were said to its peer and do not arrive if it is gone now: those that wait here, and those that its system has not
    /// taken. What it took and nobody read cannot be known.
    pub(super) fn undelivered(&self) -> u64 {
        let not_arrived = match (self.behind, self.protocol) {
            (PeerKind::Peer, Protocol::Tcp) => queue::not_arrived(&self.fd, self.has_end_queued),
            _ => 0,
        };
        self.waiting() as u64 + not_arrived
    }

    /// Bytes that stand in the socket to be read.
    pub(super) fn unread(&self) -> u64 {
        queue::unread(&self.fd).unwrap_or(0)
    }

    /// The error that the socket has, if it has one. It is told only once.
    pub(super) fn take_error(&self) -> Option<Errno> {
        let error = sockopt::socket_error(&self.fd).ok().and_then(Result::err)?;
        (!self.is_end_of_program(error)).then_some(error)
    }

    /// Ends it for both sides at once: the peer sees a reset, where its socket knows such a thing.
    pub(super) fn reset(&mut self) {
        self.reset_at_close();
        self.tell(SocketCapture::reset);
    }

    /// Has closing reset it.
    pub(super) fn reset_at_close(&self) {
        if self.protocol == Protocol::Tcp {
            let _ = sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
        }
    }

    pub(super) fn tell(&mut self, act: impl FnOnce(&mut SocketCapture)) {
        if let Some(tap) = &mut self.wire_tap {
            act(tap);
        }
    }
}
