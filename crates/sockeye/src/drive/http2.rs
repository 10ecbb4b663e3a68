//! HTTP/2 (RFC 9113) to a site, without a socket: bytes that came go in, bytes to be sent come out. Frames, windows and
//! packed heads are h2's, which is polled here by hand. A request becomes the text that HTTP/1.1 would have, so that one
//! parser judges both.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::web::{Around, Part, Website, tell};
use crate::limits;
use crate::web::answer::{Body, Reply};
use crate::web::request::{Parsed, Version, parse};
use crate::web::status::Status;
use crate::web::upload::Upload;

/// What a client begins with (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests of one connection that are answered at once.
const STREAMS: u32 = 128;
/// Bytes that wait to be sent before no more are made.
const MUCH: usize = 128 * 1024;
/// Bytes of a file that are read at once.
const PIECE: usize = 16 * 1024;
/// Room for each upload to come in before it is stored.
const WINDOW: u32 = 256 * 1024;

/// One connection.
pub(super) struct Http2 {
    stage: Stage,
    pipe: Arc<Mutex<Pipe>>,
    woken: Arc<Woken>,
    streams: Vec<Stream>,
    website: Arc<Website>,
    is_ending: bool,
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2").field("streams", &self.streams.len()).finish_non_exhaustive()
    }
}

enum Stage {
    Shaking(Handshake<End, Bytes>),
    Open(Connection<End, Bytes>),
    Over,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// There is more to say once this is sent.
    More,
    /// Something must come first.
    Waits,
    /// Nothing will be said any more.
    Over,
}

impl Http2 {
    pub(super) fn new(website: Arc<Website>) -> Self {
        let pipe = Arc::new(Mutex::new(Pipe::default()));
        let handshake = Builder::new()
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(limits::REQUEST_HEAD as u32)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(4 * WINDOW)
            .handshake(End(Arc::clone(&pipe)));
        let (stage, woken, streams) = (Stage::Shaking(handshake), Arc::default(), Vec::new());
        Self { stage, pipe, woken, streams, website, is_ending: false }
    }

    /// Whether no request is being answered.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// Takes what came, and adds what is to be sent.
    pub(super) fn step(&mut self, bytes: &[u8], out: &mut Vec<u8>, around: &mut Around<'_>) -> Went {
        lock(&self.pipe).incoming.extend_from_slice(bytes);
        if around.stopping && !self.is_ending {
            self.is_ending = true;
            if let Stage::Open(connection) = &mut self.stage {
                connection.graceful_shutdown();
            }
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        let mut is_full = false;
        loop {
            self.woken.0.store(false, Ordering::Relaxed);
            let has_begun = self.accept(&mut context, around);
            let has_moved = self.send(&mut context, around);
            is_full = is_full || lock(&self.pipe).outgoing.len() >= MUCH;
            if matches!(self.stage, Stage::Over) || is_full {
                break;
            }
            if !has_begun && !has_moved && !self.woken.0.load(Ordering::Relaxed) {
                break;
            }
        }
        out.append(&mut lock(&self.pipe).outgoing);
        match self.stage {
            Stage::Over => Went::Over,
            _ if is_full => Went::More,
            _ => Went::Waits,
        }
    }

    /// Lets h2 read and write, and takes the requests that have come.
    fn accept(&mut self, context: &mut Context<'_>, around: &mut Around<'_>) -> bool {
        let connection = match &mut self.stage {
            Stage::Open(connection) => connection,
            Stage::Over => return false,
            Stage::Shaking(handshake) => match Pin::new(handshake).poll(context) {
                Poll::Pending => return false,
                Poll::Ready(Ok(connection)) => {
                    self.stage = Stage::Open(connection);
                    return true;
                }
                Poll::Ready(Err(_)) => {
                    self.stage = Stage::Over;
                    return false;
                }
            },
        };
        let mut has_begun = false;
        loop {
            match connection.poll_accept(context) {
                Poll::Pending => return has_begun,
                Poll::Ready(Some(Ok((request, respond)))) => {
                    has_begun = true;
                    self.streams.extend(Stream::begin(request, respond, &self.website, around));
                }
                // The client is done, or broke the protocol: what h2 has to say to that stands in the pipe.
                Poll::Ready(Some(Err(_)) | None) => {
                    self.stage = Stage::Over;
                    return has_begun;
                }
            }
        }
    }

    /// Lets each stream say as much as its window has room for, in turn.
    fn send(&mut self, context: &mut Context<'_>, around: &mut Around<'_>) -> bool {
        let mut has_moved = false;
        let website = &self.website;
        self.streams.retain_mut(|stream| {
            let step = stream.step(context, website, around);
            has_moved |= step != Moved::Not;
            step != Moved::ToTheEnd
        });
        has_moved
    }
}

/// What a step of one stream came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Not,
    On,
    ToTheEnd,
}

/// One request and its answer.
enum Stream {
    /// Its answer goes out.
    Answer { send: SendStream<Bytes>, rest: Rest },
    /// Its content comes in.
    Upload {
        upload: Option<Box<Upload>>,
        head: Vec<u8>,
        content: RecvStream,
        chunked: bool,
        respond: SendResponse<Bytes>,
    },
}

/// What is left to be sent.
enum Rest {
    Bytes(Bytes),
    Part(Part),
}

impl Stream {
    /// Answers a request; `None` if its answer has gone out with its head.
    fn begin(
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        website: &Website,
        around: &mut Around<'_>,
    ) -> Option<Self> {
        let (parts, content) = request.into_parts();
        let has_content = !content.is_end_stream();
        let chunked = has_content && !parts.headers.contains_key(http::header::CONTENT_LENGTH);
        let head = as_text(&parts, chunked);
        let mut out = Vec::new();
        let reply = match parse(&head) {
            Parsed::Whole { mut request, .. } => {
                request.version = Version::Http2;
                match website.site.answer(&request, around.date, &mut out) {
                    Reply::Ready(response) => {
                        tell(website, Some(&request), response.status, response.body.len(), around);
                        response.body
                    }
                    Reply::Upload(upload) => {
                        let upload = Some(upload);
                        return Some(Self::Upload { upload, head, content, chunked, respond });
                    }
                }
            }
            Parsed::Bad(status) => refuse(website, status, &mut out, around),
            Parsed::Partial => refuse(website, Status::BAD_REQUEST, &mut out, around),
        };
        Self::answer(&mut respond, &out, reply)
    }

    /// Sends a head, and what has to follow it.
    fn answer(respond: &mut SendResponse<Bytes>, head: &[u8], body: Body) -> Option<Self> {
        let rest = match body {
            Body::Empty => None,
            Body::Bytes(bytes) if bytes.is_empty() => None,
            Body::File { length: 0, .. } => None,
            Body::Bytes(bytes) => Some(Rest::Bytes(Bytes::from(bytes))),
            Body::File { fd, from, length } => Some(Rest::Part(Part { file: fd, at: from, left: length })),
        };
        let head = as_response(head)?;
        let send = respond.send_response(head, rest.is_none()).ok()?;
        rest.map(|rest| Self::Answer { send, rest })
    }

    fn step(&mut self, context: &mut Context<'_>, website: &Website, around: &mut Around<'_>) -> Moved {
        match self {
            Self::Answer { send, rest } => rest.send(send, context),
            Self::Upload { upload, head, content, chunked, respond } => {
                let Some(taking) = upload else { return Moved::ToTheEnd };
                let result = match content.poll_data(context) {
                    Poll::Pending => return Moved::Not,
                    Poll::Ready(Some(Ok(data))) => {
                        let _ = content.flow_control().release_capacity(data.len());
                        if *chunked { take_chunk(taking, &data) } else { take_all(taking, &data) }
                    }
                    Poll::Ready(None) if *chunked => take_all(taking, b"0\r\n\r\n"),
                    Poll::Ready(None) => take_all(taking, b"").and_then(|is_whole| {
                        // It is shorter than it was said to be.
                        if is_whole { Ok(true) } else { Err(Status::BAD_REQUEST) }
                    }),
                    Poll::Ready(Some(Err(_))) => return Moved::ToTheEnd,
                };
                if matches!(result, Ok(false)) {
                    return Moved::On;
                }
                let Some(upload) = upload.take() else { return Moved::ToTheEnd };
                let mut out = Vec::new();
                let response = match result {
                    Ok(_) => upload.finish(around.date, &mut out),
                    Err(status) => upload.fail(status, around.date, &mut out),
                };
                if let Parsed::Whole { mut request, .. } = parse(head) {
                    request.version = Version::Http2;
                    tell(website, Some(&request), response.status, response.body.len(), around);
                }
                match Self::answer(respond, &out, response.body) {
                    Some(answer) => {
                        *self = answer;
                        Moved::On
                    }
                    None => Moved::ToTheEnd,
                }
            }
        }
    }
}

impl Rest {
    /// Sends as much as the window has room for.
    fn send(&mut self, to: &mut SendStream<Bytes>, context: &mut Context<'_>) -> Moved {
        if matches!(to.poll_reset(context), Poll::Ready(_)) {
            return Moved::ToTheEnd;
        }
        let most = match self {
            Self::Bytes(bytes) => bytes.len().min(PIECE),
            Self::Part(part) => usize::try_from(part.left).map_or(PIECE, |left| left.min(PIECE)),
        };
        to.reserve_capacity(most);
        let room = match to.capacity() {
            0 => match to.poll_capacity(context) {
                Poll::Pending => return Moved::Not,
                Poll::Ready(Some(Ok(room))) => room,
                Poll::Ready(Some(Err(_)) | None) => return Moved::ToTheEnd,
            },
            room => room,
        };
        let (piece, is_last) = match self.take(room.min(most)) {
            Ok(taken) => taken,
            Err(_) => {
                // The file became shorter, or cannot be read: the client has to see that bytes are missing.
                to.send_reset(Reason::INTERNAL_ERROR);
                return Moved::ToTheEnd;
            }
        };
        match to.send_data(piece, is_last) {
            Ok(()) if !is_last => Moved::On,
            _ => Moved::ToTheEnd,
        }
    }

    fn take(&mut self, most: usize) -> io::Result<(Bytes, bool)> {
        match self {
            Self::Bytes(bytes) => {
                let piece = bytes.split_to(most.min(bytes.len()));
                Ok((piece, bytes.is_empty()))
            }
            Self::Part(part) => {
                let mut piece = vec![0; most];
                let length = rustix::io::pread(&part.file, &mut piece[..], part.at)?;
                if length == 0 && most > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                piece.truncate(length);
                part.at += length as u64;
                part.left -= length as u64;
                Ok((Bytes::from(piece), part.left == 0))
            }
        }
    }
}

fn refuse(website: &Website, status: Status, out: &mut Vec<u8>, around: &mut Around<'_>) -> Body {
    let response = crate::web::answer::refuse(status, around.date, out);
    tell(website, None, response.status, response.body.len(), around);
    response.body
}

/// Gives an upload all of some bytes; whether it is whole.
fn take_all(upload: &mut Upload, mut bytes: &[u8]) -> Result<bool, Status> {
    loop {
        let taken = upload.take(bytes)?;
        bytes = &bytes[taken.used..];
        if taken.is_whole {
            return Ok(true);
        }
        if taken.used == 0 {
            return Ok(false);
        }
    }
}

/// The same for bytes whose end is not known: as the chunk that they would be in HTTP/1.1.
fn take_chunk(upload: &mut Upload, data: &[u8]) -> Result<bool, Status> {
    if data.is_empty() {
        return Ok(false);
    }
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    take_all(upload, &chunk)
}

/// The head as HTTP/1.1 would write it.
fn as_text(parts: &http::request::Parts, chunked: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    text.extend_from_slice(parts.method.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(path.as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    let authority = parts.uri.authority();
    if let Some(authority) = authority {
        push_field(&mut text, b"host", authority.as_str().as_bytes());
    }
    for (name, value) in &parts.headers {
        // It says the same as the authority, or should (RFC 9113, section 8.3.1).
        if name != http::header::HOST || authority.is_none() {
            push_field(&mut text, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if chunked {
        push_field(&mut text, b"transfer-encoding", b"chunked");
    }
    text.extend_from_slice(b"\r\n");
    text
}

fn push_field(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// A head that we wrote, as h2 takes it. What is about one connection of HTTP/1.1 has no place in it.
fn as_response(head: &[u8]) -> Option<Response<()>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut fields);
    if !matches!(parsed.parse(head), Ok(httparse::Status::Complete(_))) {
        return None;
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(parsed.code?).ok()?;
    for field in parsed.headers.iter() {
        if field.name.eq_ignore_ascii_case("connection") {
            continue;
        }
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        response.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(response)
}

/// What lies between h2 and whoever has the socket.
#[derive(Default)]
struct Pipe {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

/// h2's end of it.
struct End(Arc<Mutex<Pipe>>);

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.0);
        let length = pipe.incoming.len().min(into.remaining());
        if length == 0 {
            // Whoever puts bytes in asks h2 to go on.
            return Poll::Pending;
        }
        into.put_slice(&pipe.incoming[..length]);
        pipe.incoming.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = lock(&self.0);
        if pipe.outgoing.len() >= 2 * MUCH {
            return Poll::Pending;
        }
        pipe.outgoing.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A waker that only remembers: the step looks before it ends.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
