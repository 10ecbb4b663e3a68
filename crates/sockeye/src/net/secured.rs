//! TLS over a connected socket whose two directions run on threads of their own: a session between them, under a lock that
//! no thread holds while it waits.
//!
//! ```
//! use std::io::Write;
//! use std::net::TcpListener;
//! use std::time::{Duration, Instant};
//! use sockeye::address::Address;
//! use sockeye::event::Protocol;
//! use sockeye::net::connect::{ConnectOptions, connect};
//! use sockeye::net::secured::SecureError;
//! use sockeye::net::tls::Trust;
//!
//! // A server that does not speak TLS.
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = Address::parse(&listener.local_addr()?.to_string())?;
//! let mut connected = connect(&address, Protocol::Tcp, &ConnectOptions::default())?;
//! listener.accept()?.0.write_all(b"220 ready\r\n")?;
//!
//! let until = Instant::now() + Duration::from_secs(10);
//! let error = connected.secure(&Trust::system(), "localhost", until).expect_err("it is no TLS");
//! assert!(matches!(error, SecureError::Tls(_) | SecureError::Socket(_)), "{error}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ledger;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use self::ledger::Ledger;
use super::session::Session;
use super::timed::{Timed, TimedError};
use super::tls::{TlsError, Trust};

/// Bytes that a read takes at once.
const READ: usize = 64 * 1024;
/// Bytes that are encrypted at once.
const WRITE: usize = 64 * 1024;
/// Bytes whose arrival is known together: those of a record (RFC 8446, section 5.1).
const RECORD: usize = 16 * 1024;

/// A session over a socket.
pub(crate) struct Secured(Mutex<Inner>);

struct Inner {
    session: Session,
    /// Encrypted, and not yet taken by the socket.
    wire: Vec<u8>,
    sent: usize,
    ledger: Ledger,
    /// What came and was not taken yet.
    clear: Vec<u8>,
    /// What was wrong behind that.
    failed: Option<TlsError>,
    has_said_end: bool,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secured")
    }
}

/// Why a session does not begin.
#[derive(Debug)]
pub enum SecureError {
    /// The two could not agree, or one is not to be believed.
    Tls(TlsError),
    /// It was not done in time.
    TimedOut,
    /// The connection broke.
    Socket(io::Error),
}

impl SecureError {
    /// Whether it may be otherwise in a moment: the connection broke, or nothing came, before a word of the handshake was
    /// refused.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Tls(error) => error.is_cut,
            Self::TimedOut | Self::Socket(_) => true,
        }
    }
}

impl fmt::Display for SecureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => write!(f, "{}: {error}", error.layer()),
            Self::TimedOut => f.write_str("the handshake was not done in time"),
            Self::Socket(error) => write!(f, "the connection broke in the handshake: {}", super::words(error)),
        }
    }
}

impl std::error::Error for SecureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(error) => Some(error),
            Self::Socket(error) => Some(error),
            Self::TimedOut => None,
        }
    }
}

impl From<TlsError> for SecureError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<TimedError> for SecureError {
    fn from(error: TimedError) -> Self {
        match error {
            TimedError::TimedOut => Self::TimedOut,
            TimedError::Socket(error) => Self::Socket(error.into()),
        }
    }
}

/// Why nothing was received.
#[derive(Debug)]
pub(crate) enum Unreceived {
    /// The socket says so.
    Socket(Errno),
    /// It ended without saying so, under TLS or inside a WebSocket: a third party on the way can do that (RFC 8446, section
    /// 6.1; RFC 6455, section 7.1.5, code 1006).
    Cut,
    /// What came breaks the protocol.
    Tls(TlsError),
}

impl Secured {
    /// Shakes hands as the client; the certificate must be for this host.
    ///
    /// # Errors
    /// It does not come about, or not in time.
    pub(crate) fn client(
        socket: BorrowedFd<'_>,
        trust: &Trust,
        host: &str,
        until: Instant,
    ) -> Result<Self, SecureError> {
        Self::over(socket, Session::client(trust, host, &[])?, host, until)
    }

    /// Shakes hands as a session has it.
    ///
    /// # Errors
    /// It does not come about, or not in time.
    pub(crate) fn over(
        socket: BorrowedFd<'_>,
        session: Session,
        host: &str,
        until: Instant,
    ) -> Result<Self, SecureError> {
        let (wire, clear, ledger) = (Vec::new(), Vec::new(), Ledger::default());
        let mut inner = Inner { session, wire, sent: 0, ledger, clear, failed: None, has_said_end: false };
        let mut piece = vec![0; READ];
        let timed = Timed { socket, until };
        loop {
            inner.session.send(&[], &mut inner.wire);
            inner.flush_until(&timed)?;
            if !inner.session.is_handshaking() {
                return Ok(Self(Mutex::new(inner)));
            }
            let length = timed.receive(&mut piece, RecvFlags::empty())?;
            if length == 0 && inner.session.awaits_websocket() {
                return Err(SecureError::Socket(io::Error::other(format!("{host} closed it before it had answered"))));
            }
            if length == 0 {
                return Err(TlsError::cut(host).into());
            }
            if let Err(error) = inner.session.receive(&piece[..length], &mut inner.clear) {
                // The peer is told why, if it still listens.
                inner.session.send(&[], &mut inner.wire);
                inner.session.answer_close(&mut inner.wire);
                let _ = inner.flush(socket);
                if inner.session.is_handshaking() {
                    return Err(error.into());
                }
                // It came right behind the handshake, and perhaps behind something that is to be delivered.
                inner.failed = Some(error);
                return Ok(Self(Mutex::new(inner)));
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encrypts the front of these bytes, and sends what the socket takes.
    ///
    /// # Errors
    /// `EAGAIN` if what was encrypted before is still to be sent; `EPIPE` behind the end of a WebSocket; as send(2).
    pub(crate) fn send(&self, socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
        let mut inner = self.inner();
        inner.flush(socket)?;
        let piece = &bytes[..bytes.len().min(WRITE)];
        if !piece.is_empty() && !inner.session.is_heard() {
            return Err(Errno::PIPE);
        }
        for record in piece.chunks(RECORD) {
            inner.say(record.len(), |session, wire| session.send(record, wire));
        }
        match inner.flush(socket) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Ok(piece.len()),
            Err(error) => {
                // The caller still has it.
                inner.ledger.take_back(piece.len());
                Err(error)
            }
        }
    }

    /// Sends what was encrypted and not taken.
    ///
    /// # Errors
    /// `EAGAIN` if the socket takes no more for now; as send(2).
    pub(crate) fn flush(&self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        self.inner().flush(socket)
    }

    /// Sends the beginning of a line that waited for its end: there will be none.
    pub(crate) fn finish_line(&self, socket: BorrowedFd<'_>) {
        let mut inner = self.inner();
        inner.say(0, Session::finish_line);
        // What the socket does not take now goes with our end.
        let _ = inner.flush(socket);
    }

    /// Says that nothing more is said; it still has to be flushed.
    pub(crate) fn end(&self) {
        let mut inner = self.inner();
        inner.has_said_end = true;
        inner.say(0, |session, wire| session.end(None, wire));
    }

    /// How many of the bytes that were given to [`Self::send`] have not arrived, where so many of those on the wire wait in the
    /// socket. A record or a message that is there in part counts as missing.
    pub(crate) fn missing(&self, in_socket: u64) -> u64 {
        let inner = self.inner();
        inner.ledger.missing(in_socket + (inner.wire.len() - inner.sent) as u64)
    }

    /// Whether messages are inside.
    pub(crate) fn is_websocket(&self) -> bool {
        self.inner().session.is_websocket()
    }

    /// Puts what there is into a buffer; 0 at the end, if the peer has said it.
    ///
    /// # Errors
    /// `EAGAIN` if there is nothing; that the end came without being said.
    pub(crate) fn receive(&self, socket: BorrowedFd<'_>, into: &mut Vec<u8>) -> Result<usize, Unreceived> {
        into.clear();
        loop {
            {
                let mut inner = self.inner();
                if !inner.clear.is_empty() {
                    std::mem::swap(&mut inner.clear, into);
                    return Ok(into.len());
                }
                if let Some(error) = inner.failed.take() {
                    return Err(Unreceived::Tls(error));
                }
                if let Some(close) = inner.session.close().filter(|close| close.is_failure()) {
                    let why = format!("the peer closed it with {close}, which says that something went wrong");
                    return Err(Unreceived::Tls(TlsError::messages(why)));
                }
                if inner.session.has_ended() {
                    return Ok(0);
                }
            }
            into.resize(READ, 0);
            let received = recv(socket, &mut into[..], RecvFlags::DONTWAIT).map(|(_, length)| length);
            let mut piece = std::mem::take(into);
            let length = received.map_err(Unreceived::Socket)?;
            if length == 0 {
                let inner = self.inner();
                // Behind our end a WebSocket may go without a word.
                let may_go = inner.session.is_websocket() && inner.has_said_end;
                return if may_go { Ok(0) } else { Err(Unreceived::Cut) };
            }
            let mut inner = self.inner();
            let Inner { session, clear, .. } = &mut *inner;
            let came = session.receive(&piece[..length], clear);
            // An answer to what came, such as a new key, or why it is not taken. If the socket takes none now, the next
            // write carries it.
            inner.say(0, |session, wire| {
                session.send(&[], wire);
                session.answer_close(wire);
            });
            let _ = inner.flush(socket);
            piece.clear();
            *into = piece;
            // What came before is delivered first.
            inner.failed = came.err();
        }
    }
}

impl Inner {
    /// Has the session say something, which is so many bytes that it is given.
    fn say(&mut self, given: usize, act: impl FnOnce(&mut Session, &mut Vec<u8>)) {
        let before = self.wire.len();
        act(&mut self.session, &mut self.wire);
        self.ledger.made(self.wire.len() - before, given, self.session.waiting());
    }

    fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        while self.sent < self.wire.len() {
            match send(socket, &self.wire[self.sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(length) => self.sent += length,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        self.wire.clear();
        self.sent = 0;
        Ok(())
    }

    fn flush_until(&mut self, timed: &Timed<'_>) -> Result<(), SecureError> {
        loop {
            match self.flush(timed.socket) {
                Ok(()) => return Ok(()),
                Err(Errno::AGAIN) => timed.wait(PollFlags::OUT)?,
                Err(error) => return Err(SecureError::Socket(error.into())),
            }
        }
    }
}
