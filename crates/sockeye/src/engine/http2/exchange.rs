//! One request over HTTP/2 and its answer, which goes out as its window has room, or its content, which comes in.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use transcript::Moment;

use super::super::access::{Lines, Record};
use super::super::storage::Done;
use super::super::turn::Turn;
use super::super::web::{Around, Website};
use super::Asked;
use crate::limits;
use crate::web::answer::{self as web, Body, Reply};
use crate::web::made::Source;
use crate::web::request::{Parsed, Version, parse};
use crate::web::status::Status;
use crate::web::upload::{Receipt, Stored, Upload};

/// Bytes of a file that are read at once.
const PIECE: usize = 16 * 1024;

/// What a step of one stream came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Not,
    On,
    ToTheEnd,
}

/// What a stream keeps from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    File,
    Bytes(usize),
}

/// One request and its answer.
pub(super) struct Stream {
    doing: Doing,
    unread: Option<Unread>,
    /// What is told of it once its answer has ended.
    record: Option<Record>,
    /// Bytes of content that were given away to be sent.
    sent: u64,
    /// When it has taken too long. A client that says something else meanwhile, such as PING, gains nothing by it.
    until: Moment,
}

/// Content that nobody waits for. It is read all the same, as behind an answer of HTTP/1 that ends the connection, and within
/// the same bounds: a stream that is reset while it comes takes the answer with it in some clients (RFC 9113, section 8.1,
/// lets them).
struct Unread {
    content: RecvStream,
    came: u64,
}

impl Unread {
    fn of(content: RecvStream) -> Option<Self> {
        (!content.is_end_stream()).then_some(Self { content, came: 0 })
    }

    /// Passes over what has come; whether that is all there will be. Of what is too much, no more is let in: the client has
    /// time to see its answer.
    fn pass_over(&mut self, context: &mut Context<'_>) -> bool {
        while self.came <= limits::DRAIN {
            match self.content.poll_data(context) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(data))) => {
                    self.came += data.len() as u64;
                    let _ = self.content.flow_control().release_capacity(data.len());
                }
                Poll::Ready(Some(Err(_)) | None) => return true,
            }
        }
        false
    }
}

enum Doing {
    /// All of it has gone out.
    Nothing,
    /// Its answer goes out.
    Answer { send: SendStream<Bytes>, rest: Rest },
    /// Its answer takes long, and is made elsewhere.
    Wait { head: Vec<u8>, respond: SendResponse<Bytes>, began: Instant, made: Option<(web::Response, Vec<u8>)> },
    /// Its content comes in.
    Upload {
        coming: Coming,
        head: Vec<u8>,
        content: RecvStream,
        chunked: bool,
        respond: SendResponse<Bytes>,
        /// Bytes that came since the time began.
        gained: usize,
        began: Instant,
    },
}

/// What a stream keeps of its answer beside what it is doing.
struct About<'s> {
    unread: &'s mut Option<Unread>,
    record: &'s mut Option<Record>,
    sent: &'s mut u64,
}

/// How far something is with being stored.
enum Coming {
    Content(Box<Upload>),
    /// All of it has come, and is on its way to the disk.
    Storing(Receipt),
    Stored(Receipt, Stored),
    Over,
}

/// What is left to be sent.
enum Rest {
    Bytes(Bytes),
    Part {
        file: OwnedFd,
        at: u64,
        left: u64,
    },
    /// What is made as the window has room, and of that what is not sent yet.
    Made {
        source: Box<dyn Source>,
        made: BytesMut,
        has_more: bool,
    },
}

impl Stream {
    /// Answers a request; `None` if its answer has gone out with its head.
    pub(super) fn begin((request, mut respond): Asked, website: &Website, around: &mut Around<'_>) -> Option<Self> {
        let (parts, content) = request.into_parts();
        let has_content = !content.is_end_stream();
        let chunked = has_content && !parts.headers.contains_key(http::header::CONTENT_LENGTH);
        let mut out = Vec::new();
        let began = Instant::now();
        let about = (around.client, around.date);
        let refuse = |status, out: &mut Vec<u8>| {
            let response = website.site.refuse(status, around.date, out);
            (Record::begin(website, None, status, about, Some(began)), response.body)
        };
        let Some(head) = as_text(&parts, chunked) else {
            let (record, reply) = refuse(Status::BAD_REQUEST, &mut out);
            return Self::answered(Doing::answer(&mut respond, &out, reply), record, content, around);
        };
        let (record, reply) = match parse(&head) {
            Parsed::Whole { mut request, .. } => {
                request.version = Version::Http2;
                let number = respond.stream_id().as_u32();
                if !has_content
                    && around.storing.is_some()
                    && website.takes_long(&request, around.date)
                    && around.ask(number, website, &head, Version::Http2)
                {
                    let doing = Doing::Wait { head, respond, began, made: None };
                    return Some(Self { doing, unread: None, record: None, sent: 0, until: due(around) });
                }
                match website.answer(&request, around.date, &mut out) {
                    Reply::Ready(response) => {
                        let record = Record::begin(website, Some(&request), response.status, about, Some(began));
                        (record, response.body)
                    }
                    Reply::Upload(upload) => {
                        let coming = Coming::Content(upload);
                        let doing = Doing::Upload { coming, head, content, chunked, respond, gained: 0, began };
                        return Some(Self { doing, unread: None, record: None, sent: 0, until: due(around) });
                    }
                }
            }
            Parsed::Bad(status) => refuse(status, &mut out),
            Parsed::Partial => refuse(Status::BAD_REQUEST, &mut out),
        };
        Self::answered(Doing::answer(&mut respond, &out, reply), record, content, around)
    }

    /// What is left to be done behind an answer's head.
    fn answered(
        doing: Option<Doing>,
        mut record: Option<Record>,
        content: RecvStream,
        around: &mut Around<'_>,
    ) -> Option<Self> {
        let unread = Unread::of(content);
        if doing.is_none()
            && let Some(record) = record.take()
        {
            record.end(0, around.lines);
        }
        let until = around.now.after(if doing.is_some() { limits::WRITE_WAIT } else { limits::DRAIN_WAIT });
        (doing.is_some() || unread.is_some()).then(|| Self {
            doing: doing.unwrap_or(Doing::Nothing),
            unread,
            record,
            sent: 0,
            until,
        })
    }

    /// Its answer has ended, or nothing more will be sent of it.
    pub(super) fn tell(&mut self, lines: &mut Lines) {
        if let Some(record) = self.record.take() {
            record.end(self.sent, lines);
        }
    }

    /// What it keeps from others.
    pub(super) fn holds(&self) -> Held {
        match &self.doing {
            Doing::Answer { rest: Rest::Bytes(bytes), .. } => Held::Bytes(bytes.len()),
            Doing::Nothing => Held::Bytes(0),
            // However much it will be.
            Doing::Wait { .. } => Held::Bytes(limits::STREAM_BYTES),
            Doing::Answer { rest: Rest::Made { source, .. }, .. } if source.holds() > 0 => Held::Bytes(source.holds()),
            Doing::Answer { rest: Rest::Part { .. } | Rest::Made { .. }, .. } | Doing::Upload { .. } => Held::File,
        }
    }

    /// When it has taken too long. How long the disk takes is not for the client to answer for.
    pub(super) fn until(&self) -> Option<Moment> {
        (!self.is_storing()).then_some(self.until)
    }

    /// Whether its file is on its way to the disk, or its answer takes long.
    pub(super) fn is_storing(&self) -> bool {
        matches!(self.doing, Doing::Upload { coming: Coming::Storing(_), .. } | Doing::Wait { made: None, .. })
    }

    /// Whether it is the one of this number that waits.
    pub(super) fn waits_as(&self, number: u32) -> bool {
        match &self.doing {
            Doing::Upload { coming: Coming::Storing(_), respond, .. } | Doing::Wait { made: None, respond, .. } => {
                respond.stream_id().as_u32() == number
            }
            _ => false,
        }
    }

    /// What it waits for is done.
    pub(super) fn done(&mut self, done: Done) {
        match (&mut self.doing, done) {
            (Doing::Upload { coming, .. }, Done::Stored(stored)) => {
                *coming = match std::mem::replace(coming, Coming::Over) {
                    Coming::Storing(receipt) => Coming::Stored(receipt, stored),
                    other => other,
                };
            }
            (Doing::Wait { made, .. }, Done::Answered(response, head)) => *made = Some((response, head)),
            _ => {}
        }
    }

    /// Does as much as can be done now.
    pub(super) fn step(&mut self, context: &mut Context<'_>, website: &Website, around: &mut Around<'_>) -> Moved {
        let was_answered = matches!(self.doing, Doing::Nothing);
        let mut moved = self.go_on(context, website, around);
        if self.unread.as_mut().is_some_and(|unread| unread.pass_over(context)) {
            self.unread = None;
        }
        if moved == Moved::ToTheEnd && self.unread.is_some() && !was_answered {
            (self.doing, moved) = (Doing::Nothing, Moved::On);
            self.tell(around.lines);
        }
        if matches!(self.doing, Doing::Nothing) {
            if !was_answered {
                self.until = around.now.after(limits::DRAIN_WAIT);
            }
            let is_over = self.unread.is_none() || around.now >= self.until;
            return if is_over { Moved::ToTheEnd } else { moved };
        }
        moved
    }

    /// Does what it is doing, unless that has taken too long.
    fn go_on(&mut self, context: &mut Context<'_>, website: &Website, around: &mut Around<'_>) -> Moved {
        let mut answer = About { unread: &mut self.unread, record: &mut self.record, sent: &mut self.sent };
        let moved = self.doing.step(&mut answer, context, website, around);
        match (moved, &mut self.doing) {
            (Moved::On, Doing::Answer { .. }) => self.until = around.now.after(limits::WRITE_WAIT),
            (Moved::On, Doing::Upload { gained, .. }) if *gained as u64 >= limits::REQUEST_GAIN => {
                *gained = 0;
                self.until = due(around);
            }
            (Moved::Not, Doing::Nothing | Doing::Upload { coming: Coming::Storing(_), .. } | Doing::Wait { .. }) => {}
            (Moved::Not, doing) if around.now >= self.until => {
                self.until = around.now.after(limits::WRITE_WAIT);
                return doing.end(&mut answer, website, around);
            }
            _ => {}
        }
        moved
    }
}

/// When the next good piece of what is stored must have come.
fn due(around: &Around<'_>) -> Moment {
    around.now.after(around.wait.map_or(limits::REQUEST_WAIT, |wait| wait.min(limits::REQUEST_WAIT)))
}

impl Doing {
    /// It took too long: who stores something is told, who takes nothing is not.
    fn end(&mut self, answer: &mut About<'_>, website: &Website, around: &mut Around<'_>) -> Moved {
        match self {
            Self::Nothing | Self::Wait { .. } => Moved::ToTheEnd,
            Self::Answer { send, .. } => {
                send.send_reset(Reason::CANCEL);
                Moved::ToTheEnd
            }
            Self::Upload { .. } => self.conclude(Err(Status::REQUEST_TIMEOUT), answer, website, around),
        }
    }

    /// Sends a head, and what has to follow it.
    fn answer(respond: &mut SendResponse<Bytes>, head: &[u8], body: Body) -> Option<Self> {
        let rest = match body {
            Body::Empty => None,
            Body::Bytes(bytes) if bytes.is_empty() => None,
            Body::File { length: 0, .. } => None,
            Body::Bytes(bytes) => Some(Rest::Bytes(Bytes::from(bytes))),
            Body::File { fd, from, length } => Some(Rest::Part { file: fd, at: from, left: length }),
            Body::Made(made) => Some(Rest::Made { source: made.source, made: BytesMut::new(), has_more: true }),
        };
        let head = as_response(head)?;
        let send = respond.send_response(head, rest.is_none()).ok()?;
        rest.map(|rest| Self::Answer { send, rest })
    }

    fn step(
        &mut self,
        answer: &mut About<'_>,
        context: &mut Context<'_>,
        website: &Website,
        around: &mut Around<'_>,
    ) -> Moved {
        match self {
            Self::Nothing => Moved::Not,
            Self::Wait { made: None, respond, .. } => match respond.poll_reset(context) {
                Poll::Pending => Moved::Not,
                Poll::Ready(_) => Moved::ToTheEnd,
            },
            Self::Wait { .. } => self.answer_late(answer, website, around),
            Self::Answer { send, rest } => rest.send(send, answer.sent, context, around.turn),
            Self::Upload { coming, content, chunked, respond, gained, .. } => {
                let taking = match coming {
                    Coming::Content(taking) => taking,
                    Coming::Storing(_) if respond.poll_reset(context).is_pending() => return Moved::Not,
                    Coming::Storing(_) => return Moved::ToTheEnd,
                    Coming::Stored(..) | Coming::Over => return self.conclude(Ok(()), answer, website, around),
                };
                let result = match content.poll_data(context) {
                    Poll::Pending => return Moved::Not,
                    Poll::Ready(Some(Ok(data))) => {
                        let _ = content.flow_control().release_capacity(data.len());
                        *gained += data.len();
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
                self.conclude(result.map(|_| ()), answer, website, around)
            }
        }
    }

    /// Sends an answer that took long.
    fn answer_late(&mut self, answer: &mut About<'_>, website: &Website, around: &mut Around<'_>) -> Moved {
        let Self::Wait { head, respond, began, made } = self else { return Moved::ToTheEnd };
        let Some((response, out)) = made.take() else { return Moved::ToTheEnd };
        if let Parsed::Whole { mut request, .. } = parse(head) {
            request.version = Version::Http2;
            let about = (around.client, around.date);
            *answer.record = Record::begin(website, Some(&request), response.status, about, Some(*began));
        }
        match Self::answer(respond, &out, response.body) {
            Some(next) => {
                *self = next;
                Moved::On
            }
            None => Moved::ToTheEnd,
        }
    }

    /// Has an upload stored that is whole, and answers one that is stored or went wrong.
    fn conclude(
        &mut self,
        result: Result<(), Status>,
        answer: &mut About<'_>,
        website: &Website,
        around: &mut Around<'_>,
    ) -> Moved {
        let Self::Upload { coming, head, respond, began, .. } = self else { return Moved::ToTheEnd };
        let mut out = Vec::new();
        let response = match (std::mem::replace(coming, Coming::Over), result) {
            (Coming::Content(upload), Ok(())) => {
                let (file, receipt) = upload.seal();
                let Some(stored) = around.store(respond.stream_id().as_u32(), file) else {
                    *coming = Coming::Storing(receipt);
                    return Moved::On;
                };
                receipt.answer(stored, around.date, &mut out)
            }
            (Coming::Content(upload), Err(status)) => upload.fail(status, around.date, &mut out),
            (Coming::Stored(receipt, stored), _) => receipt.answer(stored, around.date, &mut out),
            (Coming::Storing(_) | Coming::Over, _) => return Moved::ToTheEnd,
        };
        if let Parsed::Whole { mut request, .. } = parse(head) {
            request.version = Version::Http2;
            let about = (around.client, around.date);
            *answer.record = Record::begin(website, Some(&request), response.status, about, Some(*began));
        }
        let next = Self::answer(respond, &out, response.body);
        if let Self::Upload { content, .. } = std::mem::replace(self, Self::Nothing) {
            *answer.unread = Unread::of(content);
        }
        match next {
            Some(next) => {
                *self = next;
                Moved::On
            }
            None if answer.unread.is_some() => Moved::On,
            None => Moved::ToTheEnd,
        }
    }
}

impl Rest {
    /// Sends as much as the window has room for.
    fn send(
        &mut self,
        to: &mut SendStream<Bytes>,
        sent: &mut u64,
        context: &mut Context<'_>,
        turn: &mut Turn,
    ) -> Moved {
        if matches!(to.poll_reset(context), Poll::Ready(_)) {
            return Moved::ToTheEnd;
        }
        let most = match self {
            Self::Bytes(bytes) => bytes.len().min(PIECE),
            Self::Part { left, .. } => usize::try_from(*left).map_or(PIECE, |left| left.min(PIECE)),
            Self::Made { .. } => PIECE,
        };
        to.reserve_capacity(most);
        let room = match to.capacity() {
            0 => loop {
                match to.poll_capacity(context) {
                    Poll::Pending => return Moved::Not,
                    // A window that was opened and shut again: sending nothing would be no progress.
                    Poll::Ready(Some(Ok(0))) => {}
                    Poll::Ready(Some(Ok(room))) => break room,
                    Poll::Ready(Some(Err(_)) | None) => return Moved::ToTheEnd,
                }
            },
            room => room,
        };
        let (piece, is_last) = match self.take(room.min(most), turn) {
            // Nothing came of a piece, and the others have their turn before the next.
            Ok((piece, false)) if piece.is_empty() => return Moved::On,
            Ok(taken) => taken,
            Err(_) => {
                // The file became shorter, or cannot be read: the client has to see that bytes are missing.
                to.send_reset(Reason::INTERNAL_ERROR);
                return Moved::ToTheEnd;
            }
        };
        *sent += piece.len() as u64;
        match to.send_data(piece, is_last) {
            Ok(()) if !is_last => Moved::On,
            _ => Moved::ToTheEnd,
        }
    }

    fn take(&mut self, most: usize, turn: &mut Turn) -> io::Result<(Bytes, bool)> {
        match self {
            Self::Bytes(bytes) => {
                let piece = bytes.split_to(most.min(bytes.len()));
                Ok((piece, bytes.is_empty()))
            }
            Self::Made { source, made, has_more } => {
                if *has_more && made.is_empty() {
                    let mut more = Vec::new();
                    *has_more = source.more(&mut more)?;
                    turn.makes(more.len());
                    made.extend_from_slice(&more);
                }
                let piece = made.split_to(most.min(made.len())).freeze();
                Ok((piece, made.is_empty() && !*has_more))
            }
            Self::Part { file, at, left } => {
                let mut piece = vec![0; most];
                let length = rustix::io::pread(&*file, &mut piece[..], *at)?;
                if length == 0 && most > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                piece.truncate(length);
                *at += length as u64;
                *left -= length as u64;
                Ok((Bytes::from(piece), *left == 0))
            }
        }
    }
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

/// The head as HTTP/1.1 would write it; nothing if it says two things about for whom it is (RFC 9113, section 8.3.1).
fn as_text(parts: &http::request::Parts, chunked: bool) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(512);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    text.extend_from_slice(parts.method.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(path.as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    let authority = parts.uri.authority();
    if let Some(authority) = authority {
        let hosts = || parts.headers.get_all(http::header::HOST).iter();
        if hosts().count() > 1 || hosts().any(|host| !is_same_host(host.as_bytes(), authority.as_str())) {
            return None;
        }
        push_field(&mut text, b"host", authority.as_str().as_bytes());
    }
    for (name, value) in &parts.headers {
        // It says the same as the authority.
        if name != http::header::HOST || authority.is_none() {
            push_field(&mut text, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if chunked {
        push_field(&mut text, b"transfer-encoding", b"chunked");
    }
    text.extend_from_slice(b"\r\n");
    Some(text)
}

/// A port that goes without saying may be said.
fn is_same_host(host: &[u8], authority: &str) -> bool {
    let bare = |text: &[u8]| {
        let text = text.strip_suffix(b":443").or_else(|| text.strip_suffix(b":80")).unwrap_or(text);
        text.to_ascii_lowercase()
    };
    bare(host) == bare(authority.as_bytes())
}

fn push_field(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// A head that we wrote, as h2 takes it. What is about one connection of HTTP/1.1 has no place in it.
fn as_response(head: &[u8]) -> Option<Response<()>> {
    let mut fields = [httparse::EMPTY_HEADER; 96];
    let mut parsed = httparse::Response::new(&mut fields);
    if !matches!(parsed.parse(head), Ok(httparse::Status::Complete(_))) {
        return None;
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(parsed.code?).ok()?;
    for field in parsed.headers.iter() {
        if ["connection", "transfer-encoding"].iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        response.headers_mut().append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(response)
}
