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
use super::super::answer_context::AnswerContext;
use super::super::pending_request::PendingRequest;
use super::super::served::HttpService;
use super::super::storage::Done;
use super::super::turn::Turn;
use super::Asked;
use crate::limits;
use crate::web::answer::Reply;
use crate::web::field_list::FieldList;
use crate::web::made::Source;
use crate::web::response::{Body, Response as Answer};
use crate::web::upload::{Receipt, Stored, Upload};
use crate::wire::http::status::Status;

/// Bytes of a file that are read at once.
const PIECE: usize = 16 * 1024;

/// What a step of one stream came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamProgress {
    Blocked,
    Advanced,
    Finished,
}

/// What a stream keeps from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldResource {
    File,
    Bytes(usize),
}

/// One request and its answer.
pub(super) struct Stream {
    doing: StreamState,
    unread: Option<Unread>,
    /// What is told of it once its answer has ended.
    record: Option<Record>,
    /// Bytes of content that were given away to be sent.
    sent: u64,
    /// When it has taken too long. A client that says something else meanwhile, such as PING, gains nothing by it.
    until: Moment,
    /// Bytes of memory that the request takes which is kept for it.
    keeps: usize,
}

/// Content that no answer waits for. It is read all the same, as behind an answer of HTTP/1 that ends the connection, and within
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

enum StreamState {
    /// All of it has gone out.
    Nothing,
    /// Its answer goes out.
    Answer { send: SendStream<Bytes>, rest: Rest },
    /// Its answer takes long, and is made elsewhere.
    Wait { request: PendingRequest, respond: SendResponse<Bytes>, began: Instant, made: Option<(Answer, FieldList)> },
    /// Its content comes in.
    Upload {
        coming: UploadState,
        request: PendingRequest,
        content: RecvStream,
        respond: SendResponse<Bytes>,
        /// Bytes that came since the time began.
        gained: usize,
        began: Instant,
    },
}

/// What a stream keeps of its answer beside what it is doing.
struct AnswerAccount<'s> {
    unread: &'s mut Option<Unread>,
    record: &'s mut Option<Record>,
    sent: &'s mut u64,
}

/// How far something is with being stored.
enum UploadState {
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
    pub(super) fn begin(
        (request, mut respond): Asked,
        website: &HttpService,
        answering: &mut AnswerContext<'_>,
    ) -> Option<Self> {
        let (parts, content) = request.into_parts();
        let has_content = !content.is_end_stream();
        let kept = PendingRequest::Http2(Box::new(parts), has_content);
        let began = Instant::now();
        let about = (answering.client, answering.date);
        let (record, response) = match kept.read() {
            Ok(request) => {
                let number = respond.stream_id().as_u32();
                if !has_content
                    && answering.storing.is_some()
                    && website.takes_long(&request, answering.date)
                    && answering.ask(number, website, kept.clone()).is_ok()
                {
                    let keeps = kept.memory();
                    let doing = StreamState::Wait { request: kept, respond, began, made: None };
                    return Some(Self { doing, unread: None, record: None, sent: 0, until: due(answering), keeps });
                }
                match website.answer(&request, answering.date, answering.fields) {
                    Reply::Ready(response) => {
                        (Record::begin(website, Some(&request), response.status, about, Some(began)), response)
                    }
                    Reply::Upload(upload) => {
                        let (coming, keeps) = (UploadState::Content(upload), kept.memory() + size_of::<Upload>());
                        let doing = StreamState::Upload { coming, request: kept, content, respond, gained: 0, began };
                        return Some(Self { doing, unread: None, record: None, sent: 0, until: due(answering), keeps });
                    }
                }
            }
            Err(status) => {
                let response = website.site.refuse(status, answering.date, answering.fields);
                (Record::begin(website, None, status, about, Some(began)), response)
            }
        };
        Self::answered(StreamState::answer(&mut respond, response, answering.fields), record, content, answering)
    }

    /// What is left to be done behind an answer's head.
    fn answered(
        doing: Option<StreamState>,
        mut record: Option<Record>,
        content: RecvStream,
        answering: &mut AnswerContext<'_>,
    ) -> Option<Self> {
        let unread = Unread::of(content);
        if doing.is_none()
            && let Some(record) = record.take()
        {
            record.end(0, answering.lines);
        }
        let until = answering.now.after(if doing.is_some() { limits::WRITE_WAIT } else { limits::DRAIN_WAIT });
        (doing.is_some() || unread.is_some()).then(|| Self {
            doing: doing.unwrap_or(StreamState::Nothing),
            unread,
            record,
            sent: 0,
            until,
            keeps: 0,
        })
    }

    /// Its answer has ended, or nothing more will be sent of it.
    pub(super) fn tell(&mut self, lines: &mut Lines) {
        if let Some(record) = self.record.take() {
            record.end(self.sent, lines);
        }
    }

    /// What it keeps from others.
    pub(super) fn holds(&self) -> HeldResource {
        match &self.doing {
            StreamState::Answer { rest: Rest::Bytes(bytes), .. } => HeldResource::Bytes(bytes.len()),
            StreamState::Nothing => HeldResource::Bytes(0),
            // However much it will be.
            StreamState::Wait { .. } => HeldResource::Bytes(limits::STREAM_BYTES),
            StreamState::Answer { rest: Rest::Made { source, .. }, .. } if source.holds() > 0 => {
                HeldResource::Bytes(source.holds())
            }
            StreamState::Answer { rest: Rest::Part { .. } | Rest::Made { .. }, .. } | StreamState::Upload { .. } => {
                HeldResource::File
            }
        }
    }

    /// About how many bytes of memory it takes, beside what is being sent.
    pub(super) fn memory(&self) -> usize {
        let answer = match self.holds() {
            HeldResource::File => 0,
            HeldResource::Bytes(bytes) => bytes,
        };
        answer
            + if matches!(self.doing, StreamState::Wait { .. } | StreamState::Upload { .. }) { self.keeps } else { 0 }
    }

    /// Its content, if some may come that was not taken yet.
    pub(super) fn content(&mut self) -> Option<&mut RecvStream> {
        match &mut self.doing {
            StreamState::Upload { content, .. } => Some(content),
            _ => self.unread.as_mut().map(|unread| &mut unread.content),
        }
    }

    /// When it has taken too long. How long the disk takes is not for the client to answer for.
    pub(super) fn until(&self) -> Option<Moment> {
        (!self.is_storing()).then_some(self.until)
    }

    /// Whether its file is on its way to the disk, or its answer takes long.
    pub(super) fn is_storing(&self) -> bool {
        matches!(
            self.doing,
            StreamState::Upload { coming: UploadState::Storing(_), .. } | StreamState::Wait { made: None, .. }
        )
    }

    /// Whether it is the one of this number that waits.
    pub(super) fn waits_as(&self, number: u32) -> bool {
        match &self.doing {
            StreamState::Upload { coming: UploadState::Storing(_), respond, .. }
            | StreamState::Wait { made: None, respond, .. } => respond.stream_id().as_u32() == number,
            _ => false,
        }
    }

    /// What it waits for is done.
    pub(super) fn done(&mut self, done: Done) {
        match (&mut self.doing, done) {
            (StreamState::Upload { coming, .. }, Done::Stored(stored)) => {
                *coming = match std::mem::replace(coming, UploadState::Over) {
                    UploadState::Storing(receipt) => UploadState::Stored(receipt, stored),
                    other => other,
                };
            }
            (StreamState::Wait { made, .. }, Done::Answered(response, fields)) => *made = Some((response, fields)),
            _ => {}
        }
    }

    /// Does as much as can be done now.
    pub(super) fn step(
        &mut self,
        context: &mut Context<'_>,
        website: &HttpService,
        answering: &mut AnswerContext<'_>,
    ) -> StreamProgress {
        let was_answered = matches!(self.doing, StreamState::Nothing);
        let mut moved = self.go_on(context, website, answering);
        if self.unread.as_mut().is_some_and(|unread| unread.pass_over(context)) {
            self.unread = None;
        }
        if moved == StreamProgress::Finished && self.unread.is_some() && !was_answered {
            (self.doing, moved) = (StreamState::Nothing, StreamProgress::Advanced);
            self.tell(answering.lines);
        }
        if matches!(self.doing, StreamState::Nothing) {
            if !was_answered {
                self.until = answering.now.after(limits::DRAIN_WAIT);
            }
            let is_over = self.unread.is_none() || answering.now >= self.until;
            return if is_over { StreamProgress::Finished } else { moved };
        }
        moved
    }

    /// Does what it is doing, unless that has taken too long.
    fn go_on(
        &mut self,
        context: &mut Context<'_>,
        website: &HttpService,
        answering: &mut AnswerContext<'_>,
    ) -> StreamProgress {
        let mut answer = AnswerAccount { unread: &mut self.unread, record: &mut self.record, sent: &mut self.sent };
        let moved = self.doing.step(&mut answer, context, website, answering);
        match (moved, &mut self.doing) {
            (StreamProgress::Advanced, StreamState::Answer { .. }) => {
                self.until = answering.now.after(limits::WRITE_WAIT)
            }
            (StreamProgress::Advanced, StreamState::Upload { gained, .. })
                if *gained as u64 >= limits::REQUEST_GAIN =>
            {
                *gained = 0;
                self.until = due(answering);
            }
            (
                StreamProgress::Blocked,
                StreamState::Nothing
                | StreamState::Upload { coming: UploadState::Storing(_), .. }
                | StreamState::Wait { .. },
            ) => {}
            (StreamProgress::Blocked, doing) if answering.now >= self.until => {
                self.until = answering.now.after(limits::WRITE_WAIT);
                return doing.end(&mut answer, website, answering);
            }
            _ => {}
        }
        moved
    }
}

/// When the next good piece of what is stored must have come.
fn due(answering: &AnswerContext<'_>) -> Moment {
    answering.now.after(answering.wait.map_or(limits::REQUEST_WAIT, |wait| wait.min(limits::REQUEST_WAIT)))
}

impl StreamState {
    /// It took too long: who stores something is told, who takes nothing is not.
    fn end(
        &mut self,
        answer: &mut AnswerAccount<'_>,
        website: &HttpService,
        answering: &mut AnswerContext<'_>,
    ) -> StreamProgress {
        match self {
            Self::Nothing | Self::Wait { .. } => StreamProgress::Finished,
            Self::Answer { send, .. } => {
                send.send_reset(Reason::CANCEL);
                StreamProgress::Finished
            }
            Self::Upload { .. } => self.conclude(Err(Status::REQUEST_TIMEOUT), answer, website, answering),
        }
    }

    /// Sends a head, and what has to follow it.
    fn answer(respond: &mut SendResponse<Bytes>, response: Answer, fields: &FieldList) -> Option<Self> {
        let head = head(response.status, fields)?;
        let rest = match response.body {
            Body::Empty => None,
            Body::Bytes(bytes) if bytes.is_empty() => None,
            Body::File { length: 0, .. } => None,
            Body::Bytes(bytes) => Some(Rest::Bytes(Bytes::from(bytes))),
            Body::File { fd, from, length } => Some(Rest::Part { file: fd, at: from, left: length }),
            Body::Made(made) => Some(Rest::Made { source: made.source, made: BytesMut::new(), has_more: true }),
        };
        let send = respond.send_response(head, rest.is_none()).ok()?;
        rest.map(|rest| Self::Answer { send, rest })
    }

    fn step(
        &mut self,
        answer: &mut AnswerAccount<'_>,
        context: &mut Context<'_>,
        website: &HttpService,
        answering: &mut AnswerContext<'_>,
    ) -> StreamProgress {
        match self {
            Self::Nothing => StreamProgress::Blocked,
            Self::Wait { made: None, respond, .. } => match respond.poll_reset(context) {
                Poll::Pending => StreamProgress::Blocked,
                Poll::Ready(_) => StreamProgress::Finished,
            },
            Self::Wait { .. } => self.answer_late(answer, website, answering),
            Self::Answer { send, rest } => rest.send(send, answer.sent, context, answering.turn),
            Self::Upload { coming, content, respond, gained, .. } => {
                let taking = match coming {
                    UploadState::Content(taking) => taking,
                    UploadState::Storing(_) if respond.poll_reset(context).is_pending() => {
                        return StreamProgress::Blocked;
                    }
                    UploadState::Storing(_) => return StreamProgress::Finished,
                    UploadState::Stored(..) | UploadState::Over => {
                        return self.conclude(Ok(()), answer, website, answering);
                    }
                };
                let result = match content.poll_data(context) {
                    Poll::Pending => return StreamProgress::Blocked,
                    Poll::Ready(Some(Ok(data))) => {
                        let _ = content.flow_control().release_capacity(data.len());
                        *gained += data.len();
                        // A frame is taken at once: nothing but chunks comes in pieces, and they are of HTTP/1.
                        taking.take(&data).map(|taken| taken.is_whole)
                    }
                    Poll::Ready(None) => taking.end().map(|()| true),
                    Poll::Ready(Some(Err(_))) => return StreamProgress::Finished,
                };
                if matches!(result, Ok(false)) {
                    return StreamProgress::Advanced;
                }
                self.conclude(result.map(|_| ()), answer, website, answering)
            }
        }
    }

    /// Sends an answer that took long.
    fn answer_late(
        &mut self,
        answer: &mut AnswerAccount<'_>,
        website: &HttpService,
        answering: &mut AnswerContext<'_>,
    ) -> StreamProgress {
        let Self::Wait { request, respond, began, made } = self else { return StreamProgress::Finished };
        let Some((response, fields)) = made.take() else { return StreamProgress::Finished };
        let (request, about) = (request.request(), (answering.client, answering.date));
        *answer.record = Record::begin(website, request.as_ref(), response.status, about, Some(*began));
        match Self::answer(respond, response, &fields) {
            Some(next) => {
                *self = next;
                StreamProgress::Advanced
            }
            None => StreamProgress::Finished,
        }
    }

    /// Has an upload stored that is whole, and answers one that is stored or went wrong.
    fn conclude(
        &mut self,
        result: Result<(), Status>,
        answer: &mut AnswerAccount<'_>,
        website: &HttpService,
        answering: &mut AnswerContext<'_>,
    ) -> StreamProgress {
        let Self::Upload { coming, request, respond, began, .. } = self else { return StreamProgress::Finished };
        let response = match (std::mem::replace(coming, UploadState::Over), result) {
            (UploadState::Content(upload), Ok(())) => {
                let (file, receipt) = upload.seal();
                let Some(stored) = answering.store(respond.stream_id().as_u32(), file) else {
                    *coming = UploadState::Storing(receipt);
                    return StreamProgress::Advanced;
                };
                receipt.answer(stored, answering.date, answering.fields)
            }
            (UploadState::Content(upload), Err(status)) => upload.fail(status, answering.date, answering.fields),
            (UploadState::Stored(receipt, stored), _) => receipt.answer(stored, answering.date, answering.fields),
            (UploadState::Storing(_) | UploadState::Over, _) => return StreamProgress::Finished,
        };
        let (request, about) = (request.request(), (answering.client, answering.date));
        *answer.record = Record::begin(website, request.as_ref(), response.status, about, Some(*began));
        let next = Self::answer(respond, response, answering.fields);
        if let Self::Upload { content, .. } = std::mem::replace(self, Self::Nothing) {
            *answer.unread = Unread::of(content);
        }
        match next {
            Some(next) => {
                *self = next;
                StreamProgress::Advanced
            }
            None if answer.unread.is_some() => StreamProgress::Advanced,
            None => StreamProgress::Finished,
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
    ) -> StreamProgress {
        if matches!(to.poll_reset(context), Poll::Ready(_)) {
            return StreamProgress::Finished;
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
                    Poll::Pending => return StreamProgress::Blocked,
                    // A window that was opened and shut again: sending nothing would be no progress.
                    Poll::Ready(Some(Ok(0))) => {}
                    Poll::Ready(Some(Ok(room))) => break room,
                    Poll::Ready(Some(Err(_)) | None) => return StreamProgress::Finished,
                }
            },
            room => room,
        };
        let (piece, is_last) = match self.take(room.min(most), turn) {
            // Nothing came of a piece, and the others have their turn before the next.
            Ok((piece, false)) if piece.is_empty() => return StreamProgress::Advanced,
            Ok(taken) => taken,
            Err(_) => {
                // The file became shorter, or cannot be read: the client has to see that bytes are missing.
                to.send_reset(Reason::INTERNAL_ERROR);
                return StreamProgress::Finished;
            }
        };
        *sent += piece.len() as u64;
        match to.send_data(piece, is_last) {
            Ok(()) if !is_last => StreamProgress::Advanced,
            _ => StreamProgress::Finished,
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

/// The head of an answer as h2 takes it.
fn head(status: Status, fields: &FieldList) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status.code()).ok()?;
    response.headers_mut().reserve(fields.len());
    for (name, value) in fields.iter() {
        let (name, value) = (HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
        response.headers_mut().append(name, value);
    }
    Some(response)
}
