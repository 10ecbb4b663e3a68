//! The same is asked over HTTP/1.1 again and again: several requests may be on their way, answers come in their order, and of
//! each its status and its length are checked.

use std::collections::VecDeque;
use std::sync::Arc;

use transcript::{FaultKind, Moment};

use super::super::super::Context;
use super::super::super::load::{Request, Room};
use super::super::{Channel, ChannelStatus, NO_MEMORY, append};
use super::Agent;
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::wire::http::answer::{Answer, Content, end_of_head, read_head};
use crate::wire::http::{Chunk, Chunks};

/// What asks.
#[derive(Debug)]
pub(in crate::engine) struct Ask {
    request: Arc<Request>,
    /// When each of those was due that are on their way.
    asked: VecDeque<Moment>,
    answer: Answer,
    /// What is wrong with the answer that is coming.
    wrong: Option<Box<str>>,
    /// The server closes behind the answer that is coming.
    closes: bool,
}

/// What every answer begins with.
const BEGINNING: &[u8] = b"HTTP/1.";

/// Why bytes are no answer.
fn why_not(bytes: &[u8]) -> &'static str {
    match bytes {
        // A frame of HTTP/2 about the connection: SETTINGS, or GOAWAY (RFC 9113, sections 6.5 and 6.8).
        [0, _, _, 4 | 7, _, 0, 0, 0, 0, ..] => "it is HTTP/2, and load asks over HTTP/1.1 alone",
        _ => "it does not begin with HTTP/1.1 and a status",
    }
}

/// How far reading came.
enum ParseStatus {
    /// More is needed.
    More,
    /// An answer is whole.
    Whole,
    /// What came is no answer.
    Garbage(&'static str),
}

impl Ask {
    pub(super) fn unanswered(&self) -> usize {
        self.asked.len()
    }

    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.asked.capacity() * size_of::<Moment>()
    }

    /// Reads on; how many bytes were taken.
    fn read(&mut self, bytes: &[u8], ended: bool) -> (usize, ParseStatus) {
        match &mut self.answer {
            Answer::Head => {
                // What is no answer may never have the end of one.
                let begins = &bytes[..bytes.len().min(BEGINNING.len())];
                if *begins != BEGINNING[..begins.len()] {
                    return (0, ParseStatus::Garbage(why_not(bytes)));
                }
                let Some(length) = end_of_head(bytes) else {
                    let is_too_long = bytes.len() > limits::HEAD;
                    return (
                        0,
                        if is_too_long { ParseStatus::Garbage("its head does not end") } else { ParseStatus::More },
                    );
                };
                let told = match read_head(&bytes[..length], self.request.wants_body) {
                    Ok(told) => told,
                    Err(error) => return (0, ParseStatus::Garbage(error.words())),
                };
                // It is told that an answer is coming; 101 is the last one in this protocol.
                if (100..200).contains(&told.status) && told.status != 101 {
                    return (length, ParseStatus::More);
                }
                let is_right = match self.request.status {
                    Some(status) => told.status == status,
                    None => (200..400).contains(&told.status),
                };
                if !is_right {
                    self.wrong = Some(wrong_status(&bytes[..length], self.request.status).into());
                }
                self.closes = told.closes || told.status == 101;
                self.answer = match told.content {
                    Content::None | Content::Length(0) => return (length, ParseStatus::Whole),
                    Content::Length(left) => Answer::Length(left),
                    Content::Chunked => Answer::Chunked(Box::default()),
                    Content::ToEnd => Answer::ToEnd,
                };
                (length, ParseStatus::More)
            }
            Answer::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                (taken, if *left == 0 { ParseStatus::Whole } else { ParseStatus::More })
            }
            Answer::Chunked(chunks) => read_chunks(chunks, bytes),
            Answer::ToEnd => (bytes.len(), if ended { ParseStatus::Whole } else { ParseStatus::More }),
        }
    }
}

fn read_chunks(chunks: &mut Chunks, bytes: &[u8]) -> (usize, ParseStatus) {
    let mut at = 0;
    while at < bytes.len() && !chunks.is_done() {
        match chunks.take(&bytes[at..], usize::MAX) {
            Ok((0, Chunk::Nothing)) => break,
            Ok((taken, _)) => at += taken,
            Err(_) => return (at, ParseStatus::Garbage("its chunks are wrong")),
        }
    }
    (at, if chunks.is_done() { ParseStatus::Whole } else { ParseStatus::More })
}

fn wrong_status(head: &[u8], expected: Option<u16>) -> String {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let line = transcript::show(line);
    match expected {
        Some(expected) => format!("the server answered `{line}`, and {expected} was expected"),
        None => format!("the server answered `{line}`"),
    }
}

impl Agent {
    pub(in crate::engine) fn ask(request: Arc<Request>) -> Self {
        let asked = VecDeque::with_capacity(request.depth);
        Self::Ask(Box::new(Ask { request, asked, answer: Answer::Head, wrong: None, closes: false }))
    }
}

impl Channel {
    /// Bytes came, or the connection stands, or a request is due.
    pub(super) fn ask_on(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        self.go_ahead();
        let status = if self.inbox.is_empty() {
            self.take_answers(bytes, context).and_then(|taken| self.keep_answer(&bytes[taken..], context))
        } else {
            let mut held = std::mem::take(&mut self.inbox);
            if !append(&mut held, bytes) {
                return self.evict(NO_MEMORY, context);
            }
            self.take_answers(&held, context).and_then(|taken| self.keep_answer(&held[taken..], context))
        };
        match status {
            Ok(()) => self.ask_more(context),
            Err(status) => status,
        }
    }

    fn keep_answer(&mut self, rest: &[u8], context: &mut Context<'_>) -> Result<(), ChannelStatus> {
        if append(&mut self.inbox, rest) { Ok(()) } else { Err(self.evict(NO_MEMORY, context)) }
    }

    /// Takes all answers that are whole; how many bytes are done with.
    fn take_answers(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<usize, ChannelStatus> {
        let (slot, mut at) = (self.number as usize, 0);
        loop {
            let Agent::Ask(ask) = &mut self.agent else { return Ok(at) };
            let rest = &bytes[at..];
            if rest.is_empty() && !(self.ended && matches!(ask.answer, Answer::ToEnd)) {
                break;
            }
            if ask.asked.is_empty() {
                let reason = "the server said something that was not asked for";
                return Err(self.fail_requests(Kind::Fault(FaultKind::UnexpectedData), reason, context));
            }
            let (taken, came) = ask.read(rest, self.ended);
            at += taken;
            match came {
                ParseStatus::More if taken == 0 => break,
                ParseStatus::More => {}
                ParseStatus::Garbage(why) => {
                    let shown = transcript::show(&rest[..rest.len().min(200)]);
                    let reason =
                        format!("what the server said is no answer of HTTP/1.1: {why}; it begins with `{shown}`");
                    return Err(self.fail_requests(Kind::Fault(FaultKind::Differs), &reason, context));
                }
                ParseStatus::Whole => {
                    ask.answer = Answer::Head;
                    let (wrong, closes) = (ask.wrong.take(), ask.closes || ask.request.reconnects);
                    let due = ask.asked.pop_front().unwrap_or_default();
                    let Some(load) = &mut context.load else { return Ok(at) };
                    load.bytes(slot, self.sent, self.received);
                    match wrong {
                        None => load.answered(slot, due, context.now),
                        Some(reason) => {
                            let kind = Kind::Fault(FaultKind::Differs);
                            let failure = Failure::Other { kind, line: None, reason: reason.into() };
                            let origin = context.origin;
                            load.request_failed(slot, &failure, || self.conversation(origin));
                        }
                    }
                    if closes {
                        return Err(self.close_asking(context));
                    }
                }
            }
        }
        Ok(at)
    }

    /// Asks as often as there is room and something is due.
    fn ask_more(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if self.ended {
            let Agent::Ask(ask) = &self.agent else { return ChannelStatus::Open };
            let reason = match ask.answer {
                Answer::Head if self.inbox.is_empty() => "the server closed the connection without an answer",
                _ => "the server closed the connection in the middle of an answer",
            };
            return self.server_left(FaultKind::ClosedEarly, reason, context);
        }
        let Agent::Ask(ask) = &mut self.agent else { return ChannelStatus::Open };
        let Some(load) = &mut context.load else { return ChannelStatus::Open };
        let mut count = 0;
        // What waits to be sent is asked before more is.
        let depth = if self.outbox.is_empty() { ask.request.depth } else { 0 };
        while ask.asked.len() < depth {
            match load.next_request(self.number as usize, context.now) {
                Room::Ask(due) => {
                    ask.asked.push_back(due);
                    count += 1;
                }
                Room::Rest => break,
                Room::Over if ask.asked.is_empty() => {
                    load.rests(self.number as usize, false);
                    return self.gone(context);
                }
                Room::Over => break,
            }
        }
        self.deadline = (!ask.asked.is_empty()).then(|| context.now.after(ask.request.wait));
        if count == 0 {
            return ChannelStatus::Open;
        }
        let request = Arc::clone(&ask.request);
        let bytes = &request.bytes[..count * request.length];
        if self.secure.is_some() {
            context.output.bytes.extend_from_slice(bytes);
            return self.send_output(context);
        }
        self.write(bytes, context)
    }

    /// The server is gone: that is a failure of what it was asked, and none if it was asked nothing.
    fn server_left(&mut self, fault: FaultKind, reason: &str, context: &mut Context<'_>) -> ChannelStatus {
        if matches!(&self.agent, Agent::Ask(ask) if !ask.asked.is_empty()) {
            return self.fail_requests(Kind::Fault(fault), reason, context);
        }
        if let Some(load) = &mut context.load {
            load.rests(self.number as usize, true);
        }
        self.gone(context)
    }

    /// All requests on their way have failed, and the connection is of no more use.
    fn fail_requests(&mut self, kind: Kind, reason: &str, context: &mut Context<'_>) -> ChannelStatus {
        let Agent::Ask(ask) = &mut self.agent else { return ChannelStatus::Open };
        let count = ask.asked.len();
        ask.asked.clear();
        let failure = Failure::Other { kind, line: None, reason: reason.to_owned() };
        let (slot, origin) = (self.number as usize, context.origin);
        let Some(load) = &mut context.load else { return ChannelStatus::Open };
        if count == 0 {
            load.unasked(slot);
        }
        for _ in 0..count.max(1) {
            load.request_failed(slot, &failure, || self.conversation(origin));
        }
        load.rests(slot, false);
        self.gone(context)
    }

    /// The server said that it closes behind this answer.
    fn close_asking(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let Agent::Ask(ask) = &mut self.agent else { return ChannelStatus::Open };
        let Some(load) = &mut context.load else { return ChannelStatus::Open };
        ask.asked.drain(..).for_each(|due| load.ask_again(due));
        load.rests(self.number as usize, false);
        self.gone(context)
    }

    /// The server is silent.
    pub(in crate::engine) fn answer_is_overdue(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let Agent::Ask(ask) = &self.agent else { return ChannelStatus::Open };
        let waited = transcript::seconds(ask.request.wait);
        let reason = match (&ask.answer, self.inbox.is_empty()) {
            (Answer::Head, true) => format!("nothing came for {waited}"),
            _ => format!("an answer began, and no more of it came for {waited}"),
        };
        self.fail_requests(Kind::Fault(FaultKind::NothingCame), &reason, context)
    }

    /// The connection was reset.
    pub(super) fn answer_is_reset(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.server_left(FaultKind::Reset, "the server reset the connection", context)
    }
}
