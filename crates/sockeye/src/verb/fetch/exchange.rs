//! One request and its answer. hyper speaks HTTP; the socket under it, the waiting, and the bytes of the head are ours:
//! it lower-cases names and forgets their order (hyper's documentation of `http1::Builder`), so the head is read here
//! before hyper gets to see it.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection};
use hyper::rt::ReadBufCursor;
use rustix::event::PollFlags;

use super::outgoing::{Sending, Unreadable};
use super::{FetchError, Stopper};
use crate::limits;
use crate::net::stream::Stream;
use crate::net::tls::TlsError;
use crate::wire::http::{Head, end_of_head};

/// Bytes that are read from the socket at once while the head comes.
const PIECE: usize = 16 * 1024;

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

    fn until_since(self, began: Instant, unit: Duration) -> Instant {
        let unit = began + unit;
        self.total.map_or(unit, |(total, _)| total.min(unit))
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

/// A connection on which one request was sent and the head of its answer has come.
pub(super) struct Exchange {
    wire: Rc<RefCell<Wire>>,
    connection: Pin<Box<Spoken>>,
    connection_ended: bool,
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
        stream: Stream,
        request: http::Request<Sending>,
        patience: Patience,
    ) -> Result<Self, FetchError> {
        let wire = Rc::new(RefCell::new(Wire::new(stream)));
        let shake = http1::Builder::new()
            .title_case_headers(true)
            .max_headers(4096)
            .handshake::<_, Sending>(Io(Rc::clone(&wire)));
        let time = (patience, patience.idle);
        let (mut sender, connection) = Driver { wire: &wire, connection: None }
            .run(pin!(shake), time)
            .map_err(|error| Wire::failure(&wire, error, patience, "the answer"))?;
        let mut connection = Box::pin(connection);
        let mut connection_ended = false;
        let driver = Driver { wire: &wire, connection: Some((connection.as_mut(), &mut connection_ended)) };
        let response = driver
            .run(pin!(sender.send_request(request)), time)
            .map_err(|error| Wire::failure(&wire, error, patience, "the answer"))?;
        let (head, first_byte) = {
            let mut wire = wire.borrow_mut();
            (wire.answer.take(), wire.first_byte)
        };
        let Some(head) = head else { return Err(FetchError::Protocol("the answer has no head".to_owned())) };
        Ok(Self { wire, connection, connection_ended, body: response.into_body(), head, first_byte, patience })
    }

    /// The next piece of the body, unchunked; none at its end.
    pub(super) fn next(&mut self, received: u64) -> Result<Option<Bytes>, FetchError> {
        self.wire.borrow_mut().opened = true;
        loop {
            let time = (self.patience, self.patience.idle);
            let connection = Some((self.connection.as_mut(), &mut self.connection_ended));
            let frame = Driver { wire: &self.wire, connection }.run(pin!(Optional(self.body.frame())), time);
            match frame {
                Ok(None) => return Ok(None),
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

    /// Takes the connection back from HTTP, with what came behind the head: a tunnel, or a body that needs no reading.
    pub(super) fn into_stream(self) -> Option<(Stream, Vec<u8>)> {
        let Self { wire, connection, body, .. } = self;
        drop((connection, body));
        let wire = Rc::try_unwrap(wire).ok()?.into_inner();
        Some((wire.stream, wire.held))
    }

    /// Lets somebody else end it.
    pub(super) fn stop_with(&self, stopper: &Stopper) {
        stopper.add(&self.wire.borrow().stream);
    }

    /// Whether the bytes on the socket are those of the conversation.
    pub(super) fn is_plain(&self) -> bool {
        self.wire.borrow().stream.is_plain()
    }

    /// Bytes that came behind the promised end, as far as they have come.
    pub(super) fn surplus(&self) -> u64 {
        let Some(length) = self.head.length else { return 0 };
        let mut wire = self.wire.borrow_mut();
        let more = wire.stream.read(&mut [0; 4096]).unwrap_or(0);
        (wire.behind_head + wire.held.len() as u64 + more as u64).saturating_sub(length)
    }
}

impl FetchError {
    /// Adds how much of the body had come.
    fn came(&mut self, so_far: u64, length: Option<u64>) {
        match self {
            Self::Cut { received, promised, .. } => (*received, *promised) = (so_far, length),
            Self::Reset { received, .. } | Self::TimedOut { received, .. } => *received = so_far,
            _ => {}
        }
    }
}

/// The socket under hyper, and what passes through it.
struct Wire {
    stream: Stream,
    /// Bytes that came and are not yet given on.
    held: Vec<u8>,
    /// How many of them belong to heads that were looked at.
    granted: usize,
    /// How many bytes of heads came, of interim answers too.
    head_bytes: usize,
    /// The head of the final answer.
    answer: Option<Head>,
    /// Whether the final head was seen; the body follows.
    past_head: bool,
    /// Whether hyper gets the body: it is not asked for before it is known who reads it.
    opened: bool,
    /// Bytes of the body's framing and content given to hyper.
    behind_head: u64,
    first_byte: Option<Instant>,
    /// When the peer last took something, or when this wait began.
    active: Instant,
    /// Bytes held that have no end of a head in them.
    seen: usize,
    /// Whether the peer takes no more of the request.
    is_deaf: bool,
    /// What the socket is to become ready for.
    interest: PollFlags,
    failure: Option<FetchError>,
}

impl Wire {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            held: Vec::new(),
            granted: 0,
            head_bytes: 0,
            answer: None,
            past_head: false,
            opened: false,
            behind_head: 0,
            first_byte: None,
            active: Instant::now(),
            seen: 0,
            is_deaf: false,
            interest: PollFlags::empty(),
            failure: None,
        }
    }

    /// What made the driver stop: our own finding where there is one, else what hyper says.
    fn failure(wire: &RefCell<Self>, error: Stopped, patience: Patience, what: &str) -> FetchError {
        if let Some(failure) = wire.borrow_mut().failure.take() {
            return failure;
        }
        match error {
            Stopped::TimedOut if what == "the answer" => patience.timed_out("no answer", 0),
            Stopped::TimedOut => patience.timed_out("nothing came", 0),
            Stopped::Stuck => FetchError::Protocol("the exchange waits for nothing".to_owned()),
            Stopped::Socket(why) => FetchError::Reset { why, received: 0 },
            Stopped::Hyper(error) => of_hyper(&error, what),
        }
    }

    /// Takes bytes for hyper, as far as it may have them now.
    fn read(&mut self, cursor: &mut ReadBufCursor<'_>) -> Result<Option<()>, FetchError> {
        while self.granted == 0 && !self.past_head {
            if !self.look_for_head()? {
                let mut piece = [0; PIECE];
                match self.receive(&mut piece)? {
                    None => return Ok(None),
                    Some(0) => {
                        let what = if self.held.is_empty() { "it began" } else { "the end of its head" };
                        return Err(FetchError::Cut { what: what.to_owned(), received: 0, promised: None });
                    }
                    Some(length) => self.held.extend_from_slice(&piece[..length]),
                }
            }
        }
        if self.granted > 0 {
            let length = self.granted.min(cursor.remaining());
            cursor.put_slice(&self.held[..length]);
            self.held.drain(..length);
            self.granted -= length;
            return Ok(Some(()));
        }
        if !self.opened {
            // Whoever opens it polls again.
            return Ok(None);
        }
        if !self.held.is_empty() {
            let length = self.held.len().min(cursor.remaining());
            cursor.put_slice(&self.held[..length]);
            self.held.drain(..length);
            self.behind_head += length as u64;
            return Ok(Some(()));
        }
        // Safe code can only copy into hyper's buffer.
        let mut piece = [0; PIECE];
        let room = cursor.remaining().min(PIECE);
        let read = self.stream.read(&mut piece[..room]);
        let Some(length) = self.sorted(read)? else { return Ok(None) };
        cursor.put_slice(&piece[..length]);
        self.behind_head += length as u64;
        Ok(Some(()))
    }

    /// Whether a whole head has come; hyper may then have its bytes.
    fn look_for_head(&mut self) -> Result<bool, FetchError> {
        let shown = b"HTTP/".len().min(self.held.len());
        if self.held[..shown] != b"HTTP/"[..shown] {
            return Err(FetchError::Protocol("the answer is not HTTP/1: it does not begin with `HTTP/`".to_owned()));
        }
        let end = end_of_head(&self.held, self.seen);
        self.seen = if end.is_some() { 0 } else { self.held.len() };
        if self.head_bytes + end.unwrap_or(self.held.len()) > limits::HEAD {
            let bound = limits::HEAD / 1024;
            return Err(FetchError::Protocol(format!("the answer's head is longer than {bound} KiB")));
        }
        let Some(end) = end else { return Ok(false) };
        let head = Head::parse(&self.held[..end])?;
        self.head_bytes += end;
        self.granted = end;
        match head.status {
            101 => {
                return Err(FetchError::Protocol("the server changes the protocol, which nobody asked for".to_owned()));
            }
            100..=199 => {}
            _ => {
                self.past_head = true;
                self.answer = Some(head);
            }
        }
        Ok(true)
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<Option<usize>, FetchError> {
        let read = self.stream.read(bytes);
        let length = self.sorted(read)?;
        if length.is_some_and(|length| length > 0) {
            self.first_byte.get_or_insert_with(Instant::now);
        }
        Ok(length)
    }

    /// Sorts what reading came to; none if there is nothing yet.
    fn sorted(&mut self, read: io::Result<usize>) -> Result<Option<usize>, FetchError> {
        match read {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.interest |= PollFlags::IN;
                Ok(None)
            }
            Err(error) => Err(of_socket(error)),
        }
    }
}

fn of_socket(error: io::Error) -> FetchError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let what = "TLS said that it ends (close_notify)".to_owned();
        return FetchError::Cut { what, received: 0, promised: None };
    }
    match error.downcast::<TlsError>() {
        Ok(error) => FetchError::Tls(error),
        Err(why) => FetchError::Reset { why, received: 0 },
    }
}

fn of_hyper(error: &hyper::Error, what: &str) -> FetchError {
    use std::error::Error;
    if let Some(ours) = error.source().and_then(|cause| cause.downcast_ref::<Unreadable>()) {
        return FetchError::Input(ours.0.clone());
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let is_cut =
        error.is_incomplete_message() || cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof);
    if is_cut {
        return FetchError::Cut { what: what.to_owned(), received: 0, promised: None };
    }
    let why = cause.map_or_else(|| error.to_string(), ToString::to_string);
    FetchError::Protocol(format!("the answer breaks the protocol: {why}"))
}

/// The socket as hyper sees it.
struct Io(Rc<RefCell<Wire>>);

impl hyper::rt::Read for Io {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.borrow_mut();
        match wire.read(&mut cursor) {
            Ok(Some(())) => Poll::Ready(Ok(())),
            Ok(None) => Poll::Pending,
            Err(failure) => {
                wire.failure.get_or_insert(failure);
                Poll::Ready(Err(io::Error::other("stopped")))
            }
        }
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.borrow_mut();
        let sent = wire.send(|stream| stream.write(bytes), bytes.len());
        if sent.is_ready() {
            wire.active = Instant::now();
        }
        sent
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().send(|stream| stream.flush(), ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Wire {
    /// Sends, unless the peer takes nothing any more. A server may answer and close before it has read everything: what it
    /// said counts, so the rest of the request is let go, and reading tells whether there is an answer.
    fn send<T>(&mut self, act: impl FnOnce(&mut Stream) -> io::Result<T>, all: T) -> Poll<io::Result<T>> {
        if self.is_deaf {
            return Poll::Ready(Ok(all));
        }
        match act(&mut self.stream) {
            Ok(done) => Poll::Ready(Ok(done)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.interest |= PollFlags::OUT;
                Poll::Pending
            }
            Err(_) => {
                self.is_deaf = true;
                Poll::Ready(Ok(all))
            }
        }
    }
}

/// Why the driver stopped.
enum Stopped {
    TimedOut,
    /// Nothing is waited for, and nothing happens.
    Stuck,
    Socket(io::Error),
    Hyper(hyper::Error),
}

/// HTTP as hyper speaks it over our socket.
type Spoken = Connection<Io, Sending>;

/// Drives hyper on one thread: what can go on goes on, then the socket is waited for.
struct Driver<'a> {
    wire: &'a RefCell<Wire>,
    /// hyper's part of it, and whether it has ended.
    connection: Option<(Pin<&'a mut Spoken>, &'a mut bool)>,
}

impl Driver<'_> {
    fn run<T>(
        mut self,
        mut future: Pin<&mut impl Future<Output = Result<T, hyper::Error>>>,
        (patience, unit): (Patience, Duration),
    ) -> Result<T, Stopped> {
        self.wire.borrow_mut().active = Instant::now();
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        loop {
            woken.0.store(false, Ordering::Relaxed);
            self.wire.borrow_mut().interest = PollFlags::empty();
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return result.map_err(Stopped::Hyper);
            }
            if let Some((connection, ended)) = &mut self.connection
                && !**ended
                && connection.as_mut().poll(&mut context).is_ready()
            {
                // The future hears why.
                **ended = true;
                continue;
            }
            if woken.0.load(Ordering::Relaxed) {
                continue;
            }
            let wire = self.wire.borrow();
            if wire.interest.is_empty() {
                return Err(Stopped::Stuck);
            }
            // While the peer takes the request, its answer is not due.
            let until = patience.until_since(wire.active, unit);
            wire.stream.wait(wire.interest, Some(until)).map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => Stopped::TimedOut,
                _ => Stopped::Socket(error),
            })?;
        }
    }
}

/// A waker that only remembers: the driver looks before it sleeps.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future of perhaps nothing as one of a result.
struct Optional<F>(F);

impl<F: Future<Output = Option<Result<T, hyper::Error>>> + Unpin, T> Future for Optional<F> {
    type Output = Result<Option<T>, hyper::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(Option::transpose)
    }
}
