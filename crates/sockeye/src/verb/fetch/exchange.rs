//! One request and its answer. hyper speaks HTTP; the socket under it, the waiting, and the bytes of a head are ours.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::Read as _;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};

use super::deadlines::Deadlines;
use super::driver::{ConnectionTasks, Driver, Optional};
use super::http_connection::{HttpConnection, Io, Stopped};
use super::outgoing::Sending;
use super::pool::{self, Http2, IdleConnection};
use super::{FetchError, Stopper};
use crate::limits;
use crate::net::stream::Stream;
use crate::wire::http::{Asked, Head};

/// Bytes of a body that a server of HTTP/2 may send before they are taken: enough for 80 MB a second over 100 ms.
const WINDOW: u32 = 8 * 1024 * 1024;

/// Without it hyper takes a connection for one that is not needed any more.
enum Sender {
    Http1 { _held: http1::SendRequest<Sending> },
    Http2(http2::SendRequest<Sending>),
}

/// A connection on which one request was sent and the head of its answer has come.
pub(super) struct Exchange {
    connection: Rc<RefCell<HttpConnection>>,
    tasks: ConnectionTasks,
    sender: Sender,
    body: Incoming,
    /// The answer's head.
    pub(super) head: Head,
    /// When its first byte came.
    pub(super) first_byte: Option<Instant>,
    deadlines: Deadlines,
}

impl Exchange {
    /// Sends a request and waits for the head of the answer.
    pub(super) fn begin(
        idle: IdleConnection,
        request: http::Request<Sending>,
        deadlines: Deadlines,
    ) -> Result<Self, FetchError> {
        let is_http2 = idle.speaks_http2();
        let (sent, asked) = (request.body().sent(), Asked::by(request.method()));
        if request.headers().contains_key(http::header::EXPECT) && !is_http2 {
            sent.hold_until(Instant::now() + limits::CONTINUE_WAIT);
        }
        let (connection, tasks, response, sender) = match idle {
            IdleConnection::Stream(stream) if !is_http2 => {
                let (connection, tasks) =
                    (Rc::new(RefCell::new(HttpConnection::new(*stream, sent, asked))), ConnectionTasks::default());
                let (response, sender) = Self::ask(&connection, &tasks, request, deadlines)?;
                (connection, tasks, response, Sender::Http1 { _held: sender })
            }
            idle => {
                let Http2 { connection, tasks, mut sender } = match idle {
                    IdleConnection::Stream(stream) => {
                        Self::shake_http2(HttpConnection::new(*stream, sent, asked), deadlines)?
                    }
                    IdleConnection::Http2(session) => {
                        session.connection.borrow_mut().begin_again(sent);
                        session
                    }
                };
                let driver = Driver { connection: &connection, tasks: &tasks };
                let failed = |error| HttpConnection::failure(&connection, error, deadlines, "the answer");
                let response = driver.run(pin!(sender.send_request(request)), deadlines).map_err(failed)?;
                (connection, tasks, response, Sender::Http2(sender))
            }
        };
        let (head, first_byte) = {
            let mut connection = connection.borrow_mut();
            (connection.answer.take(), connection.first_byte)
        };
        let (head, first_byte) = match (head, is_http2) {
            (Some(head), _) => (head, first_byte),
            (None, true) => (Head::of_http2(response.status(), response.headers(), asked)?, Some(Instant::now())),
            (None, false) => return Err(FetchError::Protocol("the answer has no head".to_owned())),
        };
        connection.borrow_mut().past_head = true;
        Ok(Self { connection, tasks, sender, body: response.into_body(), head, first_byte, deadlines })
    }

    fn ask(
        connection: &Rc<RefCell<HttpConnection>>,
        tasks: &ConnectionTasks,
        request: http::Request<Sending>,
        deadlines: Deadlines,
    ) -> Result<(http::Response<Incoming>, http1::SendRequest<Sending>), FetchError> {
        let shake = http1::Builder::new()
            .title_case_headers(true)
            .max_headers(4096)
            .handshake::<_, Sending>(Io(Rc::clone(connection)));
        let driver = Driver { connection, tasks };
        let failed = |error| HttpConnection::failure(connection, error, deadlines, "the answer");
        let (mut sender, task) = driver.run(pin!(shake), deadlines).map_err(failed)?;
        // That it failed, and why, the exchange hears.
        tasks.add(async move { drop(task.await) });
        let response = driver.run(pin!(sender.send_request(request)), deadlines).map_err(failed)?;
        Ok((response, sender))
    }

    fn shake_http2(connection: HttpConnection, deadlines: Deadlines) -> Result<Http2, FetchError> {
        let (connection, tasks) = (Rc::new(RefCell::new(connection)), ConnectionTasks::default());
        {
            let mut connection = connection.borrow_mut();
            connection.is_http2 = true;
            connection.sent.progress().over_http2();
        }
        let shake = http2::Builder::new(tasks.executor())
            .max_header_list_size(u32::try_from(limits::HEAD).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake::<_, Sending>(Io(Rc::clone(&connection)));
        let driver = Driver { connection: &connection, tasks: &tasks };
        let failed = |error| HttpConnection::failure(&connection, error, deadlines, "the answer");
        let (sender, task) = driver.run(pin!(shake), deadlines).map_err(failed)?;
        let heard = Rc::downgrade(&connection);
        tasks.add(async move {
            if let (Err(error), Some(connection)) = (task.await, heard.upgrade()) {
                connection.borrow_mut().ending = Some(error);
            }
        });
        Ok(Http2 { connection, tasks, sender })
    }

    /// The next piece of the body, unchunked; none at its end.
    pub(super) fn next(&mut self, received: u64) -> Result<Option<Bytes>, FetchError> {
        self.connection.borrow_mut().opened = true;
        loop {
            self.deadlines.check(received)?;
            let driver = Driver { connection: &self.connection, tasks: &self.tasks };
            let frame = driver.run(pin!(Optional(self.body.frame())), self.deadlines);
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
                    let mut failure = HttpConnection::failure(&self.connection, error, self.deadlines, what);
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
        self.connection.borrow().is_http2
    }

    /// Takes the connection back from HTTP, with what came behind the head: a tunnel, or a body that needs no reading.
    pub(super) fn into_stream(self) -> Option<(Stream, Vec<u8>)> {
        let Self { connection, tasks, body, .. } = self;
        drop((tasks, body));
        let connection = Rc::try_unwrap(connection).ok()?.into_inner();
        Some((connection.stream, connection.held))
    }

    /// Behind the end of the body: the connection, if the server keeps it and said nothing more.
    pub(super) fn into_idle(self) -> Option<IdleConnection> {
        if !self.has_sent_all() {
            return None;
        }
        if let Sender::Http2(sender) = self.sender {
            return Some(IdleConnection::Http2(Http2 { connection: self.connection, tasks: self.tasks, sender }));
        }
        self.connection.borrow_mut().refill();
        if !pool::stays_open(&self.head) || !self.tasks.is_alive() {
            return None;
        }
        let (stream, behind) = self.into_stream()?;
        behind.is_empty().then(|| IdleConnection::Stream(Box::new(stream)))
    }

    /// Passes over a body that is not wanted, for the sake of the connection; not if it is long or does not come at once.
    pub(super) fn pass_over(mut self, has_body: bool) -> Option<IdleConnection> {
        if has_body && (self.is_http2() || pool::stays_open(&self.head)) {
            self.deadlines.idle = self.deadlines.idle.min(limits::PASSED_OVER_WAIT);
            let mut received = 0;
            while received <= limits::PASSED_OVER {
                let Some(piece) = self.next(received).ok()? else {
                    return if self.surplus() == 0 { self.into_idle() } else { None };
                };
                received += piece.len() as u64;
            }
            return None;
        }
        self.into_idle()
    }

    /// Lets another thread end it.
    pub(super) fn stop_with(&self, stopper: &Stopper) {
        stopper.add(&self.connection.borrow().stream);
    }

    /// Whether the server has got all of the request: it may answer before that.
    pub(super) fn has_sent_all(&self) -> bool {
        self.connection.borrow().has_sent_all()
    }

    /// Whether what was sent with the request is still to go on behind the answer: where that says that all went well. Who
    /// says otherwise does not want the rest.
    pub(super) fn sends_on(&self) -> bool {
        (200..300).contains(&self.head.status) && !self.has_sent_all()
    }

    /// Sends what is left of the request, behind the end of an answer that came before.
    pub(super) fn send_rest(&mut self) -> Result<(), FetchError> {
        if !self.sends_on() {
            return Ok(());
        }
        {
            let mut connection = self.connection.borrow_mut();
            (connection.opened, connection.only_sends) = (true, true);
        }
        let driver = Driver { connection: &self.connection, tasks: &self.tasks };
        let is_done = || self.connection.borrow().has_done_sending();
        let done = poll_fn(|_| if is_done() { Poll::Ready(Ok(())) } else { Poll::Pending });
        match driver.run(pin!(done), self.deadlines) {
            _ if self.has_sent_all() => Ok(()),
            Err(Stopped::TimedOut) => Err(self.deadlines.timed_out("the server took no more of the upload", 0)),
            Ok(()) | Err(_) => match self.connection.borrow().sent.fault() {
                Some(why) => Err(FetchError::Input(why)),
                None => Err(FetchError::Unsent(self.head.status_line())),
            },
        }
    }

    /// Whether the bytes on the socket are those of the conversation.
    pub(super) fn is_plain(&self) -> bool {
        self.connection.borrow().stream.is_plain()
    }

    /// Bytes that came behind the promised end, as far as they have come.
    pub(super) fn surplus(&self) -> u64 {
        let Some(length) = self.head.length else { return 0 };
        let mut connection = self.connection.borrow_mut();
        if connection.is_http2 {
            // What comes behind it belongs to no body.
            return 0;
        }
        let more = connection.stream.read(&mut [0; 4096]).unwrap_or(0);
        (connection.behind_head + connection.held.len() as u64 + more as u64).saturating_sub(length)
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
