//! A connection that asks a site: requests come out of its bytes, answers go into a buffer, and parts of files follow.
//! It knows no socket: the connection sends, and tells when it has.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use transcript::Moment;

use super::access::{Ledger, Lines, Record};
use super::answer_context::AnswerContext;
use super::http2::{ConnectionProgress, Http2, PREFACE};
use super::pending_request::PendingRequest;
pub use super::served::AccessLog;
pub(crate) use super::served::HttpService;
use super::storage::Done;
use super::turn::ANSWERS;
use crate::limits;
use crate::web::answer::Reply;
use crate::web::http1::write_head;
use crate::web::made::{End, Made};
use crate::web::response::{Body, Response};
use crate::web::upload::{Receipt, Upload};
use crate::wire::http::body::{Decoder, Framing};
use crate::wire::http::request::{Parsed, Request, Version, parse};
use crate::wire::http::status::Status;

/// A body up to this size goes out with its head; a longer one is sent by the kernel, which copies nothing.
const SMALL: u64 = 12 * 1024;
/// The same under TLS, where each piece is read to be encrypted.
const SMALL_SECURE: u64 = 32 * 1024;
/// Bytes of answers that are gathered before they are sent.
const MUCH: usize = 64 * 1024;

/// What came of answering.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answered {
    /// Bytes that are done with.
    pub(super) used: usize,
    /// There is more to say once this is sent.
    pub(super) has_more: bool,
    /// Requests that were answered.
    pub(super) answers: u64,
}

/// What follows a head and is being sent.
#[derive(Debug)]
pub(super) enum BodySource {
    /// A part of a file.
    File {
        file: OwnedFd,
        at: u64,
        left: u64,
    },
    Made(Made),
}

impl BodySource {
    /// How many bytes are missing, as far as that is known.
    pub(super) fn left(&self) -> u64 {
        match self {
            Self::File { left, .. } | Self::Made(Made { end: End::Length(left), .. }) => *left,
            Self::Made(_) => 0,
        }
    }
}

/// What a connection to a site is doing.
#[derive(Debug)]
pub(super) struct Web {
    pub(super) website: Arc<HttpService>,
    content: Content,
    /// The client speaks HTTP/2; then this is all there is.
    http2: Option<Box<Http2>>,
    pub(super) part: Option<BodySource>,
    /// What the kernel holds for a client that does not take it is bounded.
    pub(super) is_bounded: bool,
    /// Nothing more is answered behind what is being sent.
    pub(super) closes: bool,
    /// Since when the head or the content in hand is awaited, and how much of that content came since.
    since: Option<(Moment, u64)>,
    answered: u64,
    /// What is told of the answers that are being sent.
    pub(super) ledger: Ledger,
    /// When the request in hand was read.
    asked: Option<Instant>,
}

/// Content of a request that has not ended.
#[derive(Debug)]
enum Content {
    None,
    /// It is read and thrown away.
    Skipped(Decoder),
    /// It is stored, with the head that asked for it, for the log.
    Stored(Box<Upload>, PendingRequest),
    /// It has come, and is on its way to the disk. Nothing is read meanwhile.
    Storing(Receipt, PendingRequest),
    /// There is none; the answer to this request takes long, and is made elsewhere.
    Answering(PendingRequest),
}

impl Web {
    pub(super) fn new(website: Arc<HttpService>) -> Self {
        Self {
            website,
            content: Content::None,
            http2: None,
            part: None,
            is_bounded: false,
            closes: false,
            since: None,
            answered: 0,
            ledger: Ledger::default(),
            asked: None,
        }
    }

    /// The client has chosen HTTP/2 (RFC 7301), or begins with it.
    pub(super) fn speak_http2(&mut self) {
        self.http2 = Some(Box::new(Http2::new(Arc::clone(&self.website))));
    }

    /// Whether TLS is spoken from the first byte.
    pub(super) fn is_secure(&self) -> bool {
        self.website.is_secure
    }

    /// Whether nothing is asked and nothing is being answered.
    pub(super) fn is_idle(&self) -> bool {
        self.http2.as_ref().is_none_or(|http2| http2.is_idle())
            && self.part.is_none()
            && matches!(self.content, Content::None)
    }

    /// Whether the last request was answered, and none has begun since.
    pub(super) fn has_answered(&self) -> bool {
        match &self.http2 {
            Some(http2) => http2.has_answered(),
            None => self.answered > 0 && self.since.is_none(),
        }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        let content = match &self.content {
            Content::None | Content::Skipped(_) => 0,
            Content::Stored(_, request) => size_of::<Upload>() + request.memory(),
            Content::Storing(_, request) => size_of::<Receipt>() + request.memory(),
            Content::Answering(request) => request.memory(),
        };
        let part = match &self.part {
            Some(BodySource::Made(made)) => made.source.memory(),
            Some(BodySource::File { .. }) | None => 0,
        };
        content + part + self.http2.as_ref().map_or(0, |http2| http2.memory())
    }

    /// Until when something must come; `unread` are the bytes that no request could be made of.
    pub(super) fn deadline(&self, unread: bool, wait: Option<Duration>, now: Moment) -> Option<Moment> {
        if self.part.is_some() || self.is_storing() {
            return None;
        }
        if let Some(http2) = &self.http2 {
            return http2.deadline(wait, now);
        }
        let bound = |limit: Duration| wait.map_or(limit, |wait| wait.min(limit));
        Some(match self.since {
            Some((since, _)) => since.after(bound(limits::REQUEST_WAIT)),
            None if unread || self.answered == 0 => now.after(bound(limits::REQUEST_WAIT)),
            None => now.after(bound(limits::KEEP_ALIVE)),
        })
    }

    /// Answers what the bytes ask, into `out`, until they end or something is to be sent first.
    pub(super) fn answer(&mut self, bytes: &[u8], out: &mut Vec<u8>, answering: &mut AnswerContext<'_>) -> Answered {
        if self.http2.is_none() && self.answered == 0 && !bytes.is_empty() && begins_http2(bytes) {
            if bytes.len() < PREFACE.len() {
                self.since.get_or_insert((answering.now, 0));
                return Answered::default();
            }
            self.since = None;
            self.speak_http2();
        }
        if let Some(http2) = &mut self.http2 {
            self.answered += u64::from(!bytes.is_empty());
            let went = http2.step(bytes, out, answering);
            self.closes |= went == ConnectionProgress::Finished || answering.stopping && http2.is_idle();
            let has_more = went == ConnectionProgress::More;
            return Answered { used: bytes.len(), has_more, answers: http2.begun() };
        }
        let before = self.answered;
        let used = self.answer_http1(bytes, out, answering);
        Answered { used, has_more: false, answers: self.answered - before }
    }

    /// How many bytes are done with.
    fn answer_http1(&mut self, bytes: &[u8], out: &mut Vec<u8>, answering: &mut AnswerContext<'_>) -> usize {
        let mut at = 0;
        let end = self.answered + ANSWERS;
        while self.part.is_none() && !self.closes && out.len() < MUCH && self.answered < end {
            let rest = &bytes[at..];
            let used = match &mut self.content {
                Content::None if rest.is_empty() => 0,
                Content::None => self.head(rest, out, answering),
                Content::Skipped(decoder) => match decoder.take(rest) {
                    Ok(piece) => {
                        if piece.is_last {
                            self.content = Content::None;
                            self.since = None;
                        }
                        // An end that takes no byte is progress too.
                        if piece.is_last && piece.used == 0 {
                            continue;
                        }
                        self.gained(piece.used, answering.now);
                        piece.used
                    }
                    Err(_) => {
                        self.closes = true;
                        0
                    }
                },
                Content::Stored(..) => self.store(rest, out, answering),
                Content::Storing(..) | Content::Answering(_) => 0,
            };
            at += used;
            if used == 0 {
                break;
            }
        }
        if self.part.is_none() && matches!(self.content, Content::None) {
            if at == bytes.len() || out.len() >= MUCH || self.answered >= end {
                // What has not been looked at is not late.
                self.since = None;
            } else {
                // The beginning of a head: its time runs from its first byte.
                self.since.get_or_insert((answering.now, 0));
            }
        }
        self.closes |= answering.stopping && self.is_idle() && at == bytes.len();
        at
    }

    /// Whether only some of what it says at once took too long, which the others need not pay for.
    pub(super) fn has_streams(&self) -> bool {
        self.http2.is_some() && !self.is_idle()
    }

    /// What is said to who took too long; nothing to who asked nothing.
    pub(super) fn time_out(&mut self, unread: bool, out: &mut Vec<u8>, answering: &mut AnswerContext<'_>) {
        self.closes = true;
        if self.http2.is_some() || matches!(self.content, Content::None) && !unread {
            return;
        }
        self.content = Content::None;
        let response = self.website.site.refuse(Status::REQUEST_TIMEOUT, answering.date, answering.fields);
        self.conclude(response, None, out, answering);
    }

    /// The client speaks HTTP without TLS where TLS is spoken.
    pub(super) fn refuse_plain(&mut self, out: &mut Vec<u8>, answering: &mut AnswerContext<'_>) {
        let response = self.website.site.refuse_plain(answering.date, answering.fields);
        self.conclude(response, None, out, answering);
    }

    fn head(&mut self, bytes: &[u8], out: &mut Vec<u8>, answering: &mut AnswerContext<'_>) -> usize {
        match parse(bytes) {
            Parsed::Partial => 0,
            Parsed::Bad(status) => {
                let response = self.website.site.refuse(status, answering.date, answering.fields);
                self.conclude(response, None, out, answering);
                bytes.len()
            }
            Parsed::Whole { request, length } => {
                self.since = None;
                self.asked = (self.website.log != AccessLog::None).then(Instant::now);
                let pending = || PendingRequest::Http1(bytes[..length].to_vec());
                let may_wait = request.framing == Framing::None && answering.storing.is_some();
                if may_wait
                    && self.website.takes_long(&request, answering.date)
                    && answering.ask(0, &self.website, pending()).is_ok()
                {
                    self.content = Content::Answering(pending());
                    return length;
                }
                match self.website.answer(&request, answering.date, answering.fields) {
                    Reply::Ready(response) => {
                        if response.keep_alive && request.framing != Framing::None {
                            self.content = Content::Skipped(Decoder::new(request.framing));
                            self.since = Some((answering.now, 0));
                        }
                        self.conclude(response, Some(&request), out, answering);
                    }
                    Reply::Upload(upload) => {
                        if upload.is_awaited() && length == bytes.len() {
                            out.extend_from_slice(Upload::CONTINUE);
                        }
                        self.content = Content::Stored(upload, pending());
                        self.since = Some((answering.now, 0));
                    }
                }
                length
            }
        }
    }

    fn store(&mut self, bytes: &[u8], out: &mut Vec<u8>, answering: &mut AnswerContext<'_>) -> usize {
        let Content::Stored(mut upload, request) = std::mem::replace(&mut self.content, Content::None) else {
            return 0;
        };
        let (used, response) = match upload.take(bytes) {
            Ok(taken) if !taken.is_whole => {
                self.content = Content::Stored(upload, request);
                self.gained(taken.used, answering.now);
                return taken.used;
            }
            Ok(taken) => {
                let (file, receipt) = upload.seal();
                let Some(stored) = answering.store(0, file) else {
                    self.since = None;
                    self.content = Content::Storing(receipt, request);
                    return taken.used;
                };
                (taken.used, receipt.answer(stored, answering.date, answering.fields))
            }
            Err(status) => (bytes.len(), upload.fail(status, answering.date, answering.fields)),
        };
        self.since = None;
        self.conclude(response, request.request().as_ref(), out, answering);
        used
    }

    /// Whether what is asked next has to wait until a file is stored.
    pub(super) fn is_storing(&self) -> bool {
        matches!(self.content, Content::Storing(..) | Content::Answering(_))
    }

    /// Whether an answer is owed that comes without another word of the client.
    pub(super) fn awaits_disk(&self) -> bool {
        self.is_storing() || self.http2.as_ref().is_some_and(|http2| http2.is_storing())
    }

    /// A file is stored, or an answer made: the request that waits for it is told.
    pub(super) fn done(&mut self, number: u32, done: Done, out: &mut Vec<u8>, answering: &mut AnswerContext<'_>) {
        if let Some(http2) = &mut self.http2 {
            http2.done(number, done);
            return;
        }
        match (std::mem::replace(&mut self.content, Content::None), done) {
            (Content::Storing(receipt, request), Done::Stored(stored)) => {
                let response = receipt.answer(stored, answering.date, answering.fields);
                self.conclude(response, request.request().as_ref(), out, answering);
            }
            (Content::Answering(request), Done::Answered(response, fields)) => {
                *answering.fields = fields;
                self.conclude(response, request.request().as_ref(), out, answering);
            }
            (other, _) => self.content = other,
        }
    }

    /// Content came: a good piece of it begins the time limit anew.
    fn gained(&mut self, bytes: usize, now: Moment) {
        if let Some((since, gained)) = &mut self.since {
            *gained += bytes as u64;
            if *gained >= limits::REQUEST_GAIN {
                (*since, *gained) = (now, 0);
            }
        }
    }

    /// Writes the head of an answer, sees to what follows it, and tells of it.
    fn conclude(
        &mut self,
        mut response: Response,
        request: Option<&Request<'_>>,
        out: &mut Vec<u8>,
        answering: &mut AnswerContext<'_>,
    ) {
        self.answered += 1;
        let about = (answering.client, answering.date);
        let record = Record::begin(&self.website, request, response.status, about, self.asked.take());
        write_head(&mut response, answering.fields, request.map_or(Version::Http11, |request| request.version), out);
        let from = out.len();
        response.absorb(out, if self.website.is_secure { SMALL_SECURE } else { SMALL });
        match response.body {
            Body::Empty => {}
            Body::Bytes(bytes) => out.extend_from_slice(&bytes),
            Body::File { fd, from, length } => self.part = Some(BodySource::File { file: fd, at: from, left: length }),
            Body::Made(made) => self.part = Some(BodySource::Made(made)),
        }
        self.closes |= !response.keep_alive;
        self.ledger.add(record, from, self.part.is_none().then_some(out.len()));
    }

    /// The connection is over: tells of what was cut.
    pub(super) fn cut(&mut self, waiting: usize, lines: &mut Lines) {
        self.ledger.cut(waiting, lines);
        if let Some(http2) = &mut self.http2 {
            http2.cut(lines);
        }
    }
}

/// Whether bytes are the beginning of HTTP/2, as far as they have come. `PR` may still become `PROPFIND`.
fn begins_http2(bytes: &[u8]) -> bool {
    let length = bytes.len().min(PREFACE.len());
    length > 2 && bytes[..length] == PREFACE[..length]
}
