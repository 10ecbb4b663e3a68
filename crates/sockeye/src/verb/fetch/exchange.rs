//! One request and its answer. hyper speaks HTTP; the socket under it, the waiting, and the bytes of a head are ours.

use std::cell::RefCell;
use std::io::{self, Read as _};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};

use super::driver::{Driver, Optional, Speaking};
use super::kept::{self, Connection, Http2};
use super::outgoing::Sending;
use super::wire::{Io, Wire};
use super::{FetchError, Stopper};
use crate::limits;
use crate::net::stream::Stream;
use crate::sink::Sink;
use crate::wire::http::{Asked, Head};

/// Bytes of a body that a server of HTTP/2 may send before they are taken: enough for 80 MB a second over 100 ms.
const WINDOW: u32 = 8 * 1024 * 1024;

/// How long nothing takes.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Until when what may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The end of everything, and how long it was away at the beginning.
    pub(super) total: Option<(Instant, Duration)>,
    /// How long nothing may come.
    pub(super) idle: Duration,
}

impl Patience {
    /// The nearer of the whole's end and this unit's, which begins now.
    pub(super) fn until(self, unit: Duration) -> Instant {
        self.until_since(Instant::now(), unit)
    }

    pub(super) fn until_since(self, began: Instant, unit: Duration) -> Instant {
        let unit = began + unit;
        self.total.map_or(unit, |(total, _)| total.min(unit))
    }

    /// The end of everything, or one that never comes.
    pub(super) fn end(self) -> Instant {
        self.total.map_or_else(|| Instant::now() + NEVER, |(until, _)| until)
    }

    /// Whether there is time left, for whoever always has something to do and never waits.
    pub(super) fn check(self, received: u64) -> Result<(), FetchError> {
        match self.total {
            Some((until, _)) if until <= Instant::now() => Err(self.timed_out("not done", received)),
            _ => Ok(()),
        }
    }

    /// Writes a piece of the body, as long as there is time.
    pub(super) fn write(self, sink: &mut Sink<'_>, piece: &[u8], received: u64) -> Result<(), FetchError> {
        self.check(received)?;
        sink.write_until(piece, self.total.map(|(until, _)| until)).map_err(|error| self.unwritten(error, received))
    }

    /// Why an output takes nothing.
    pub(super) fn unwritten(self, error: io::Error, received: u64) -> FetchError {
        match error.kind() {
            io::ErrorKind::TimedOut => self.timed_out("not done", received),
            _ => FetchError::Output(error),
        }
    }

    pub(super) fn timed_out(self, what: &'static str, received: u64) -> FetchError {
        match self.total {
            Some((until, after)) if until <= Instant::now() => {
                FetchError::TimedOut { what: "not done", after, flag: Some("--timeout"), received }
            }
            _ => FetchError::TimedOut { what, after: self.idle, flag: Some("--idle-timeout"), received },
        }
    }
}

/// Without it hyper takes a connection for one that nobody needs.
enum Sender {
    Http1 { _held: http1::SendRequest<Sending> },
    Http2(http2::SendRequest<Sending>),
}

/// A connection on which one request was sent and the head of its answer has come.
pub(super) struct Exchange {
    wire: Rc<RefCell<Wire>>,
    speaking: Speaking,
    sender: Sender,
    body: Incoming,
    /// The answer's head.
    pub(super) head: Head,
    /// When its first byte came.
    pub(super) first_byte: Option<Instant>,
    patience: Patience,
}

impl Exchange {
    /// Sends a request and waits for the head of the answer.
    pub(super) fn begin(
        connection: Connection,
        request: http::Request<Sending>,
        patience: Patience,
    ) -> Result<Self, FetchError> {
        let is_http2 = connection.speaks_http2();
        let (sent, asked) = (request.body().sent(), Asked::by(request.method()));
        if request.headers().contains_key(http::header::EXPECT) && !is_http2 {
            sent.hold_until(Instant::now() + limits::CONTINUE_WAIT);
        }
        let (wire, speaking, response, sender) = match connection {
            Connection::Stream(stream) if !is_http2 => {
                let (wire, speaking) = (Rc::new(RefCell::new(Wire::new(*stream, sent, asked))), Speaking::default());
                let (response, sender) = Self::ask(&wire, &speaking, request, patience)?;
                (wire, speaking, response, Sender::Http1 { _held: sender })
            }
            connection => {
                let Http2 { wire, speaking, mut sender } = match connection {
                    Connection::Stream(stream) => Self::shake_http2(Wire::new(*stream, sent, asked), patience)?,
                    Connection::Http2(session) => {
                        session.wire.borrow_mut().begin_again(sent);
                        session
                    }
                };
                let driver = Driver { wire: &wire, speaking: &speaking };
                let failed = |error| Wire::failure(&wire, error, patience, "the answer");
                let response = driver.run(pin!(sender.send_request(request)), patience).map_err(failed)?;
                (wire, speaking, response, Sender::Http2(sender))
            }
        };
        let (head, first_byte) = {
            let mut wire = wire.borrow_mut();
            (wire.answer.take(), wire.first_byte)
        };
        let (head, first_byte) = match (head, is_http2) {
            (Some(head), _) => (head, first_byte),
            (None, true) => (Head::of_http2(response.status(), response.headers(), asked)?, Some(Instant::now())),
            (None, false) => return Err(FetchError::Protocol("the answer has no head".to_owned())),
        };
        wire.borrow_mut().past_head = true;
        Ok(Self { wire, speaking, sender, body: response.into_body(), head, first_byte, patience })
    }

    fn ask(
        wire: &Rc<RefCell<Wire>>,
        speaking: &Speaking,
        request: http::Request<Sending>,
        patience: Patience,
    ) -> Result<(http::Response<Incoming>, http1::SendRequest<Sending>), FetchError> {
        let shake = http1::Builder::new()
            .title_case_headers(true)
            .max_headers(4096)
            .handshake::<_, Sending>(Io(Rc::clone(wire)));
        let driver = Driver { wire, speaking };
        let failed = |error| Wire::failure(wire, error, patience, "the answer");
        let (mut sender, connection) = driver.run(pin!(shake), patience).map_err(failed)?;
        // That it failed, and why, the exchange hears.
        speaking.add(async move { drop(connection.await) });
        let response = driver.run(pin!(sender.send_request(request)), patience).map_err(failed)?;
        Ok((response, sender))
    }

    fn shake_http2(wire: Wire, patience: Patience) -> Result<Http2, FetchError> {
        let (wire, speaking) = (Rc::new(RefCell::new(wire)), Speaking::default());
        wire.borrow_mut().is_http2 = true;
        let shake = http2::Builder::new(speaking.tasks())
            .max_header_list_size(u32::try_from(limits::HEAD).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake::<_, Sending>(Io(Rc::clone(&wire)));
        let driver = Driver { wire: &wire, speaking: &speaking };
        let failed = |error| Wire::failure(&wire, error, patience, "the answer");
        let (sender, connection) = driver.run(pin!(shake), patience).map_err(failed)?;
        let heard = Rc::downgrade(&wire);
        speaking.add(async move {
            if let (Err(error), Some(wire)) = (connection.await, heard.upgrade()) {
                wire.borrow_mut().ending = Some(error);
            }
        });
        Ok(Http2 { wire, speaking, sender })
    }

    /// The next piece of the body, unchunked; none at its end.
    pub(super) fn next(&mut self, received: u64) -> Result<Option<Bytes>, FetchError> {
        self.wire.borrow_mut().opened = true;
        loop {
            self.patience.check(received)?;
            let driver = Driver { wire: &self.wire, speaking: &self.speaking };
            let frame = driver.run(pin!(Optional(self.body.frame())), self.patience);
            match frame {
                Ok(None) if self.is_whole(received) => return Ok(None),
                Ok(None) => {
                    let (what, promised) = ("its end".to_owned(), self.head.length);
                    return Err(FetchError::Cut { what, received, promised });
                }
                Ok(Some(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                    // Trailers (RFC 9110, section 6.5) change nothing here.
                }
                Err(error) => {
                    let what = if self.head.chunked { "its last chunk" } else { "its end" };
                    let mut failure = Wire::failure(&self.wire, error, self.patience, what);
                    failure.came(received, self.head.length);
                    return Err(failure);
                }
            }
        }
    }

    /// Whether a body that goes no further has come to its end. hyper takes a stream of HTTP/2 that the server gives up with
    /// NO_ERROR, or leaves behind by a GOAWAY with it, for one that has ended (RFC 9113, section 8.1).
    fn is_whole(&self, received: u64) -> bool {
        let has_ended = !self.is_http2() || self.body.is_end_stream();
        has_ended && self.head.length.is_none_or(|length| received >= length)
    }

    fn is_http2(&self) -> bool {
        self.wire.borrow().is_http2
    }

    /// Takes the connection back from HTTP, with what came behind the head: a tunnel, or a body that needs no reading.
    pub(super) fn into_stream(self) -> Option<(Stream, Vec<u8>)> {
        let Self { wire, speaking, body, .. } = self;
        drop((speaking, body));
        let wire = Rc::try_unwrap(wire).ok()?.into_inner();
        Some((wire.stream, wire.held))
    }

    /// Behind the end of the body: the connection, if the server keeps it and said nothing more.
    pub(super) fn into_kept(self) -> Option<Connection> {
        if !self.has_sent_all() {
            return None;
        }
        if let Sender::Http2(sender) = self.sender {
            return Some(Connection::Http2(Http2 { wire: self.wire, speaking: self.speaking, sender }));
        }
        self.wire.borrow_mut().refill();
        if !kept::stays(&self.head) || !self.speaking.goes_on() {
            return None;
        }
        let (stream, behind) = self.into_stream()?;
        behind.is_empty().then(|| Connection::Stream(Box::new(stream)))
    }

    /// Passes over a body that nobody wants, for the sake of the connection; not if it is long or does not come at once.
    pub(super) fn pass_over(mut self, has_body: bool) -> Option<Connection> {
        if has_body && (self.is_http2() || kept::stays(&self.head)) {
            self.patience.idle = self.patience.idle.min(limits::PASSED_OVER_WAIT);
            let mut received = 0;
            while received <= limits::PASSED_OVER {
                let Some(piece) = self.next(received).ok()? else {
                    return if self.surplus() == 0 { self.into_kept() } else { None };
                };
                received += piece.len() as u64;
            }
            return None;
        }
        self.into_kept()
    }

    /// Lets somebody else end it.
    pub(super) fn stop_with(&self, stopper: &Stopper) {
        stopper.add(&self.wire.borrow().stream);
    }

    /// Whether the server has got all of the request: it may answer before that.
    pub(super) fn has_sent_all(&self) -> bool {
        self.wire.borrow().has_sent_all()
    }

    /// Whether the bytes on the socket are those of the conversation.
    pub(super) fn is_plain(&self) -> bool {
        self.wire.borrow().stream.is_plain()
    }

    /// Bytes that came behind the promised end, as far as they have come.
    pub(super) fn surplus(&self) -> u64 {
        let Some(length) = self.head.length else { return 0 };
        let mut wire = self.wire.borrow_mut();
        if wire.is_http2 {
            // What comes behind it belongs to nobody's body.
            return 0;
        }
        let more = wire.stream.read(&mut [0; 4096]).unwrap_or(0);
        (wire.behind_head + wire.held.len() as u64 + more as u64).saturating_sub(length)
    }
}

impl FetchError {
    /// Adds how much of the body had come.
    fn came(&mut self, so_far: u64, length: Option<u64>) {
        match self {
            Self::Cut { received, promised, .. } => (*received, *promised) = (so_far, length),
            Self::Reset { received, .. } | Self::TimedOut { received, .. } | Self::Http2 { received, .. } => {
                *received = so_far;
            }
            _ => {}
        }
    }
}
