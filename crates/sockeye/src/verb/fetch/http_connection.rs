//! The socket as hyper sees it, and what passes through it. It lower-cases the names of fields and forgets their order
//! (hyper's documentation of `http1::Builder`), and it refuses what curl takes: so a head of HTTP/1 and the sizes of chunks are
//! read here, and hyper gets to see only what they mean.

use std::cell::RefCell;
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::rt::ReadBufCursor;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::FetchError;
use super::deadlines::Deadlines;
use super::error::Again;
use super::upload_progress::UploadState;
use crate::limits;
use crate::net::stream::Stream;
use crate::net::tls::TlsError;
use crate::wire::http::{Asked, Chunk, Chunks, Head, end_of_head};

/// Bytes that are read from the socket at once.
const PIECE: usize = 16 * 1024;

/// How often hyper reads before the driver looks at the time: a peer may send without end and say nothing.
const BUDGET: u32 = 1024;

/// The same for HTTP/2. What was read waits in memory until it is taken, and memory that a cache holds is the cheapest.
const BUDGET_OF_HTTP2: u32 = 8;

/// Why the driver stopped.
pub(super) enum Stopped {
    TimedOut,
    /// Nothing is waited for, and nothing happens.
    Stuck,
    Socket(io::Error),
    Hyper(hyper::Error),
}

/// The socket under hyper, and what passes through it.
pub(super) struct HttpConnection {
    pub(super) stream: Stream,
    /// Bytes that came and are not yet given on.
    pub(super) held: Vec<u8>,
    /// What hyper is to get before them: the head in its plainest form, or the framing of a chunk.
    to_hyper: Vec<u8>,
    /// What the answer is to.
    asked: Asked,
    /// The chunks of a body, if it comes in them.
    chunks: Option<Chunks>,
    /// How many bytes of heads came, of interim answers too.
    head_bytes: usize,
    /// The head of the final answer.
    pub(super) answer: Option<Head>,
    /// Whether the final head was seen; the body follows.
    pub(super) past_head: bool,
    /// Whether hyper gets the body: it is not asked for before it is known who reads it.
    pub(super) opened: bool,
    /// Bytes of the body's framing and content given to hyper.
    pub(super) behind_head: u64,
    pub(super) first_byte: Option<Instant>,
    /// When the peer last took something, or when this wait began.
    pub(super) active: Instant,
    /// Bytes held that have no end of a head in them.
    seen: usize,
    /// Whether the peer takes no more of the request, and why until that is told.
    is_deaf: bool,
    deaf_for: Option<io::Error>,
    /// What is read before it is given on.
    piece: Box<[u8]>,
    /// What the socket is to become ready for.
    pub(super) interest: PollFlags,
    /// How many reads hyper has left.
    budget: u32,
    failure: Option<FetchError>,
    /// What a connection of HTTP/2 ended with.
    pub(super) ending: Option<hyper::Error>,
    /// Whether hyper gets every byte as it comes: heads are packed in HTTP/2, and it keeps bodies back itself.
    pub(super) is_http2: bool,
    /// Whether the peer took less of the request than there was.
    is_stuck: bool,
    /// What becomes of what is sent.
    pub(super) sent: Rc<UploadState>,
    /// The end of what was sent of the head of a request of HTTP/1, until all of it was.
    head_sent: Option<Vec<u8>>,
    /// Whether the answer is over, and only the rest of the request is being sent.
    pub(super) only_sends: bool,
    /// Bytes of the request's body that had been sent when something was sent last.
    counted: u64,
}

impl HttpConnection {
    pub(super) fn new(stream: Stream, sent: Rc<UploadState>, asked: Asked) -> Self {
        Self {
            stream,
            held: Vec::new(),
            to_hyper: Vec::new(),
            asked,
            chunks: None,
            head_bytes: 0,
            answer: None,
            past_head: false,
            opened: false,
            behind_head: 0,
            first_byte: None,
            active: Instant::now(),
            seen: 0,
            is_deaf: false,
            deaf_for: None,
            piece: vec![0; PIECE].into_boxed_slice(),
            interest: PollFlags::empty(),
            budget: BUDGET,
            failure: None,
            ending: None,
            is_http2: false,
            is_stuck: false,
            sent,
            head_sent: Some(Vec::new()),
            only_sends: false,
            counted: 0,
        }
    }

    /// Lets hyper read again.
    pub(super) fn refill(&mut self) {
        self.budget = if self.is_http2 { BUDGET_OF_HTTP2 } else { BUDGET };
    }

    /// Whether the peer has got all of the request, so that another one can follow.
    pub(super) fn has_sent_all(&self) -> bool {
        self.sent.is_whole() && !self.is_stuck && !self.is_deaf
    }

    /// Whether there is nothing more to be sent, or no peer to send it to.
    pub(super) fn has_done_sending(&self) -> bool {
        self.has_sent_all() || self.is_deaf || self.sent.is_cut()
    }

    /// Counts what stands behind the head of a request of HTTP/1.
    fn count_sent(&mut self, bytes: &[u8]) {
        if self.is_http2 {
            return;
        }
        let Some(mut head) = self.head_sent.take() else { return self.sent.progress().wrote(bytes.len()) };
        head.extend_from_slice(bytes);
        match memchr::memmem::find(&head, b"\r\n\r\n") {
            Some(end) => self.sent.progress().wrote(head.len() - end - 4),
            None => self.head_sent = Some(head.split_off(head.len().saturating_sub(3))),
        }
    }

    /// Another answer of HTTP/2 comes.
    pub(super) fn begin_again(&mut self, sent: Rc<UploadState>) {
        (self.past_head, self.opened, self.first_byte, self.only_sends) = (false, false, None, false);
        sent.progress().over_http2();
        self.sent = sent;
    }

    /// What made the driver stop: our own finding where there is one, else what hyper says.
    pub(super) fn failure(connection: &RefCell<Self>, error: Stopped, deadlines: Deadlines, what: &str) -> FetchError {
        if let Some(why) = connection.borrow().sent.fault() {
            return FetchError::Input(why);
        }
        // What a server of HTTP/2 said before it left tells more than how it left.
        if let (Stopped::Hyper(error), true) = (&error, connection.borrow().is_http2) {
            let of_connection = || connection.borrow().ending.as_ref().and_then(of_http2);
            if let Some(said) = of_http2(error).or_else(of_connection) {
                return said;
            }
        }
        if let Some(failure) = connection.borrow_mut().failure.take() {
            return failure;
        }
        match error {
            Stopped::TimedOut if what == "the answer" => deadlines.timed_out("no answer", 0),
            Stopped::TimedOut => deadlines.timed_out("nothing came", 0),
            Stopped::Stuck => FetchError::Protocol("the exchange waits for nothing".to_owned()),
            Stopped::Socket(why) => FetchError::Reset { why, received: 0 },
            Stopped::Hyper(error) => {
                let again = (error.is_canceled() || error.is_closed()).then_some(Again::Anew);
                if again.is_some() && connection.borrow().is_http2 {
                    let what = "the server ended the connection before it was asked".to_owned();
                    return FetchError::Http2 { code: "no reason".to_owned(), what, again, received: 0 };
                }
                of_hyper(&error, what)
            }
        }
    }

    /// Takes bytes for hyper, as far as it may have them now.
    fn read(&mut self, cursor: &mut ReadBufCursor<'_>) -> Result<Option<()>, FetchError> {
        if self.is_http2 {
            return match self.copy(cursor)? {
                Some(0) => {
                    let what = if self.past_head { "its end" } else { "it began" }.to_owned();
                    Err(FetchError::Cut { what, received: 0, promised: None })
                }
                length => Ok(length.map(|_| ())),
            };
        }
        while self.to_hyper.is_empty() && !self.past_head {
            if !self.look_for_head()? {
                let mut piece = [0; PIECE];
                match self.receive(&mut piece)? {
                    None => return Ok(None),
                    Some(0) => {
                        // Writing may have been told of a reset, and then reading is told of an end.
                        if let Some(why) = self.deaf_for.take() {
                            let is_pipe = why.kind() == io::ErrorKind::BrokenPipe;
                            let why = if is_pipe { Errno::CONNRESET.into() } else { why };
                            return Err(FetchError::Reset { why, received: 0 });
                        }
                        let what = if self.held.is_empty() { "it began" } else { "the end of its head" };
                        return Err(FetchError::Cut { what: what.to_owned(), received: 0, promised: None });
                    }
                    Some(length) => self.held.extend_from_slice(&piece[..length]),
                }
            }
        }
        if self.give_framing(cursor) {
            return Ok(Some(()));
        }
        if !self.opened {
            // What opens it polls again.
            return Ok(None);
        }
        // Behind the last chunk only the end of the connection is looked for, while the rest of the request is sent.
        if self.chunks.as_ref().is_some_and(|chunks| !chunks.is_done() || !self.only_sends) {
            return self.read_chunks(cursor);
        }
        if !self.held.is_empty() {
            let length = self.held.len().min(cursor.remaining());
            cursor.put_slice(&self.held[..length]);
            self.held.drain(..length);
            self.behind_head += length as u64;
            return Ok(Some(()));
        }
        let Some(length) = self.copy(cursor)? else { return Ok(None) };
        self.behind_head += length as u64;
        Ok(Some(()))
    }

    /// Gives hyper what it is to get next that did not come like that; whether there was any.
    fn give_framing(&mut self, cursor: &mut ReadBufCursor<'_>) -> bool {
        let length = self.to_hyper.len().min(cursor.remaining());
        cursor.put_slice(&self.to_hyper[..length]);
        self.to_hyper.drain(..length);
        length > 0
    }

    /// Gives hyper chunks in their plainest form. What comes behind the last stays here.
    fn read_chunks(&mut self, cursor: &mut ReadBufCursor<'_>) -> Result<Option<()>, FetchError> {
        let Some(mut chunks) = self.chunks.take() else { return Ok(None) };
        let read = self.read_chunks_by(&mut chunks, cursor);
        self.chunks = Some(chunks);
        read
    }

    fn read_chunks_by(
        &mut self,
        chunks: &mut Chunks,
        cursor: &mut ReadBufCursor<'_>,
    ) -> Result<Option<()>, FetchError> {
        let mut has_given = false;
        while !chunks.is_done() {
            if self.held.is_empty() {
                if has_given {
                    break;
                }
                let read = self.stream.read(&mut self.piece);
                match self.sorted(read)? {
                    None => return Ok(None),
                    Some(0) => return Ok(Some(())),
                    Some(length) => self.held.extend_from_slice(&self.piece[..length]),
                }
            }
            let (taken, chunk) = chunks
                .take(&self.held, cursor.remaining())
                .map_err(|error| FetchError::Protocol(format!("the answer breaks the protocol: {error}")))?;
            match chunk {
                Chunk::Data(data) => {
                    cursor.put_slice(data);
                    has_given |= taken > 0;
                }
                Chunk::Framing(text) => self.to_hyper.extend_from_slice(text.as_bytes()),
                Chunk::Nothing => {}
            }
            self.held.drain(..taken);
            self.behind_head += taken as u64;
            has_given |= self.give_framing(cursor);
            if !self.to_hyper.is_empty() || cursor.remaining() == 0 {
                break;
            }
        }
        Ok(has_given.then_some(()))
    }

    /// Reads into hyper's buffer, to which safe code can only copy.
    fn copy(&mut self, cursor: &mut ReadBufCursor<'_>) -> Result<Option<usize>, FetchError> {
        let room = cursor.remaining().min(PIECE);
        let read = self.stream.read(&mut self.piece[..room]);
        let length = self.sorted(read)?;
        cursor.put_slice(&self.piece[..length.unwrap_or(0)]);
        Ok(length)
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
        let head = Head::of(&self.held[..end], self.asked)?;
        self.head_bytes += end;
        self.held.drain(..end);
        match head.status {
            101 => {
                return Err(FetchError::Protocol(
                    "the server changes the protocol, which it was not asked for".to_owned(),
                ));
            }
            100 => self.sent.open(),
            102..=199 => {}
            _ => {
                self.sent.answered((200..300).contains(&head.status));
                self.past_head = true;
                self.to_hyper = head.plain(self.asked);
                self.chunks = head.chunked.then(Chunks::default);
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

/// What a server of HTTP/2 said when it gave up (RFC 9113, sections 6.4, 6.8 and 7).
fn of_http2(error: &hyper::Error) -> Option<FetchError> {
    use std::error::Error;
    let error = error.source()?.downcast_ref::<h2::Error>()?;
    let reason = error.reason()?;
    // The only way to the words of a GOAWAY; they stand there as they would in a program, and so are harmless.
    let said = error.to_string();
    let said = said.split_once(&format!("received: {reason}")).map_or("", |(_, said)| said).trim();
    let said = if said.is_empty() { String::new() } else { format!(", saying {}", said.trim_matches(['(', ')'])) };
    let what = match (error.is_remote(), error.is_go_away()) {
        (true, true) => format!("the server leaves the connection (GOAWAY{said})"),
        (true, false) => "the server gives up the answer (RST_STREAM)".to_owned(),
        (false, _) => "the server breaks the rules of HTTP/2".to_owned(),
    };
    let again = match reason {
        _ if !error.is_remote() => None,
        h2::Reason::HTTP_1_1_REQUIRED => Some(Again::Http1),
        h2::Reason::REFUSED_STREAM => Some(Again::Anew),
        // Such a GOAWAY meets those streams only that the server has not begun.
        h2::Reason::NO_ERROR if error.is_go_away() => Some(Again::Anew),
        _ => None,
    };
    let code = match format!("{reason:?}") {
        unknown if unknown.starts_with("Reason(") => format!("the unknown code {:#x}", u32::from(reason)),
        name => name,
    };
    Some(FetchError::Http2 { code, what, again, received: 0 })
}

fn of_hyper(error: &hyper::Error, what: &str) -> FetchError {
    use std::error::Error;
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
pub(super) struct Io(pub(super) Rc<RefCell<HttpConnection>>);

impl hyper::rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut connection = self.0.borrow_mut();
        let Some(left) = connection.budget.checked_sub(1) else {
            context.waker().wake_by_ref();
            return Poll::Pending;
        };
        connection.budget = left;
        match connection.read(&mut cursor) {
            Ok(Some(())) => Poll::Ready(Ok(())),
            Ok(None) => Poll::Pending,
            Err(failure) => {
                connection.failure.get_or_insert(failure);
                // To HTTP/2 it is an end: of an error it forgets what the server said before (GOAWAY).
                if connection.is_http2 { Poll::Ready(Ok(())) } else { Poll::Ready(Err(io::Error::other("stopped"))) }
            }
        }
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut connection = self.0.borrow_mut();
        let before = connection.sent.progress().bytes();
        let sent = connection.send(|stream| stream.write(bytes), bytes.len());
        if let (Poll::Ready(Ok(length)), false) = (&sent, connection.is_deaf) {
            connection.count_sent(&bytes[..*length]);
        }
        // While an answer of HTTP/2 comes, what is sent is said by machines: that the server may go on, or is heard. Content
        // is counted a little later than it is sent.
        if sent.is_ready() && !(connection.is_http2 && connection.past_head && connection.counted == before) {
            connection.active = Instant::now();
        }
        connection.counted = before;
        sent
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().send(|stream| stream.flush(), ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl HttpConnection {
    /// Sends, unless the peer takes nothing any more. A server may answer and close before it has read everything: what it
    /// said counts, so the rest of the request is let go, and reading tells whether there is an answer.
    fn send<T>(&mut self, act: impl FnOnce(&mut Stream) -> io::Result<T>, all: T) -> Poll<io::Result<T>> {
        if self.is_deaf {
            return Poll::Ready(Ok(all));
        }
        let acted = act(&mut self.stream);
        self.is_stuck = acted.is_err();
        match acted {
            Ok(done) => Poll::Ready(Ok(done)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.interest |= PollFlags::OUT;
                Poll::Pending
            }
            Err(error) => {
                (self.is_deaf, self.deaf_for) = (true, Some(error));
                Poll::Ready(Ok(all))
            }
        }
    }
}
