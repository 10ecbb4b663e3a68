//! A connection to a site: what [`super::web`] answers is sent, files by sendfile(2) where nothing is encrypted.

use std::cell::Cell;

use rustix::fs::sendfile;
use rustix::io::Errno;
use transcript::FaultKind;

use super::super::super::Context;
use super::super::super::answer_context::AnswerContext;
use super::super::super::origin::Closer;
use super::super::super::storage::Done;
use super::super::super::web::{Answered, BodySource, Web};
use super::super::{Channel, ChannelStatus, Phase};
use super::Agent;
use crate::failure::Kind;
use crate::limits;
use crate::sys::files::read_onto;
use crate::sys::queue::bound_unsent;
use crate::web::field_list::FieldList;
use crate::web::made::{End, push_chunk};

/// Bytes that the kernel is asked to send at once.
const PIECE: u64 = 1 << 20;
/// Bytes of a file that are encrypted at once.
const CLEAR: usize = 64 * 1024;

thread_local! {
    static FIELDS: Cell<FieldList> = const { Cell::new(FieldList::new()) };
}

impl Channel {
    /// The part of a file that is being sent.
    pub(in crate::engine) fn part(&mut self) -> Option<&mut BodySource> {
        match &mut self.agent {
            Agent::Http(web) => web.part.as_mut(),
            _ => None,
        }
    }

    pub(in crate::engine) fn sends_part(&self) -> bool {
        matches!(&self.agent, Agent::Http(web) if web.part.is_some())
    }

    /// Whether a piece of a file comes next.
    pub(in crate::engine) fn sends_file(&self) -> bool {
        matches!(&self.agent, Agent::Http(web) if matches!(web.part, Some(BodySource::File { .. })))
    }

    /// Whether what is asked next has to wait until a file is stored.
    pub(in crate::engine) fn is_storing(&self) -> bool {
        matches!(&self.agent, Agent::Http(web) if web.is_storing())
    }

    /// A file that the client sent is stored, or an answer that took long is there.
    pub(in crate::engine) fn done(&mut self, number: u32, done: Done, context: &mut Context<'_>) -> ChannelStatus {
        if self.phase != Phase::Open {
            return ChannelStatus::Open;
        }
        self.with_web(context, |web, out, answering| web.done(number, done, out, answering));
        if self.send_answers(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        if self.send_part(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        if self.is_blocked() { ChannelStatus::Open } else { self.ask(&[], context) }
    }

    /// Answers what has come.
    pub(in crate::engine) fn ask(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        if self.inbox.is_empty() {
            let (status, used) = self.answer(bytes, context);
            if self.phase == Phase::Open {
                self.inbox = bytes[used..].to_vec();
            }
            return self.settle(status, context);
        }
        let mut held = std::mem::take(&mut self.inbox);
        held.extend_from_slice(bytes);
        let (status, used) = self.answer(&held, context);
        if self.phase == Phase::Open {
            self.inbox = if used == 0 { held } else { held[used..].to_vec() };
        }
        self.settle(status, context)
    }

    /// Answers as long as answers can be sent; how many bytes are done with.
    fn answer(&mut self, bytes: &[u8], context: &mut Context<'_>) -> (ChannelStatus, usize) {
        let mut at = 0;
        self.go_ahead();
        loop {
            let Answered { used, has_more, answers } =
                self.with_web(context, |web, out, answering| web.answer(&bytes[at..], out, answering));
            at += used;
            context.turn.answers(answers);
            if self.send_answers(context) == ChannelStatus::Closed {
                return (ChannelStatus::Closed, at);
            }
            if self.send_part(context) == ChannelStatus::Closed {
                return (ChannelStatus::Closed, at);
            }
            if self.is_blocked() || self.phase != Phase::Open || (used == 0 && !has_more) {
                break;
            }
            if context.turn.is_over() {
                // The others have theirs.
                if has_more || at < bytes.len() {
                    self.give_way(context);
                }
                break;
            }
        }
        (ChannelStatus::Open, at)
    }

    /// Sends what was made, and tells of the answers that have ended with it.
    fn send_answers(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        context.turn.sends(context.output.bytes.len());
        if let Agent::Http(web) = &mut self.agent {
            web.ledger.makes(context.output.bytes.len());
            if web.part.is_none() {
                web.ledger.content_ends();
            }
        }
        let status = self.send_output(context);
        if status != ChannelStatus::Closed {
            self.tell_of_answers(context);
        }
        status
    }

    /// Tells of the answers that the kernel has taken all of.
    fn tell_of_answers(&mut self, context: &mut Context<'_>) {
        let waiting = self.outbox.len();
        if let Agent::Http(web) = &mut self.agent {
            web.ledger.sent_but(waiting, context.lines);
        }
    }

    /// Tells of the answers that nothing more is sent of.
    pub(in crate::engine) fn tell_of_cut_answers(&mut self, context: &mut Context<'_>) {
        let waiting = self.outbox.len();
        if context.is_judged && self.reason.is_none() && (self.sends_part() || waiting > 0) {
            self.fail(Kind::Fault(FaultKind::Reset), "the client left before it had the whole answer", context);
        }
        if let Agent::Http(web) = &mut self.agent {
            web.cut(waiting, context.lines);
        }
    }

    /// Whether something must be sent before the next answer.
    pub(in crate::engine) fn is_blocked(&self) -> bool {
        !self.outbox.is_empty() || self.sends_part()
    }

    fn with_web<T>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(&mut Web, &mut Vec<u8>, &mut AnswerContext<'_>) -> T,
    ) -> T
    where
        T: Default,
    {
        let client = self.peer.ip();
        let Agent::Http(web) = &mut self.agent else { return T::default() };
        let (date, now, stopping, storing) = (context.date, context.now, context.stopping, context.storing);
        let (wait, lines, turn) = (context.wait, &mut *context.lines, &mut context.turn);
        // One list serves for all answers of a thread: it keeps its room.
        let mut fields = FIELDS.take();
        let list = &mut fields;
        let mut answering = AnswerContext { client, date, now, wait, lines, turn, stopping, storing, fields: list };
        let result = act(web, &mut context.output.bytes, &mut answering);
        FIELDS.set(fields);
        result
    }

    /// Ends what is answered last, or sets the time for what is to come.
    fn settle(&mut self, status: ChannelStatus, context: &mut Context<'_>) -> ChannelStatus {
        if status == ChannelStatus::Closed
            || self.phase != Phase::Open
            || self.is_blocked()
            || self.resume
            || self.is_storing()
        {
            return status;
        }
        let unread = !self.inbox.is_empty();
        let (ended, wait) = (self.ended, context.wait);
        let Agent::Http(web) = &mut self.agent else { return status };
        if web.closes || ended && !web.awaits_disk() {
            self.by = if ended { Closer::Peer } else { Closer::Us };
            return self.finish(context);
        }
        self.deadline = web.deadline(unread, wait, context.now);
        ChannelStatus::Open
    }

    /// What was queued is sent: the rest of a file follows, and what was asked meanwhile.
    pub(in crate::engine) fn go_on(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.tell_of_answers(context);
        if self.send_part(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        if self.is_blocked() || self.phase != Phase::Open {
            return ChannelStatus::Open;
        }
        self.ask(&[], context)
    }

    /// Whether a handshake of TLS is waited for, and these first bytes are the beginning of a method.
    pub(in crate::engine) fn is_plain_http(&self, bytes: &[u8]) -> bool {
        matches!(&self.agent, Agent::Http(web) if web.website.is_secure)
            && self.phase == Phase::Handshaking
            && self.is_first(bytes)
            && bytes.first().is_some_and(u8::is_ascii_uppercase)
    }

    /// Tells a client that speaks plain HTTP what is spoken here.
    pub(in crate::engine) fn refuse_plain(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.secure = None;
        self.reason = Some("TLS: the client speaks plain HTTP".into());
        self.with_web(context, |web, out, answering| web.refuse_plain(out, answering));
        if self.send_answers(context) == ChannelStatus::Closed { ChannelStatus::Closed } else { self.finish(context) }
    }

    /// Nothing came in time.
    pub(in crate::engine) fn took_too_long(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if matches!(&self.agent, Agent::Http(web) if web.has_streams()) {
            return self.ask(&[], context);
        }
        let unread = !self.inbox.is_empty();
        self.with_web(context, |web, out, answering| web.time_out(unread, out, answering));
        self.by = Closer::Timeout;
        self.inbox = Vec::new();
        if self.send_answers(context) == ChannelStatus::Closed { ChannelStatus::Closed } else { self.finish(context) }
    }

    /// A kernel takes megabytes for a client that reads nothing, and a few thousand of those use up what there is for all
    /// of TCP. A client that reads is served faster, too, for what waits long is in no cache any more: large files went out
    /// at three quarters of the rate with four times as much.
    fn bound_unsent(&mut self) {
        if let Agent::Http(web) = &mut self.agent
            && web.part.is_some()
            && !web.is_bounded
        {
            web.is_bounded = true;
            // A Unix socket has no such option, and a bound of its own.
            let _ = self.line.fd().map(|fd| bound_unsent(fd, limits::UNSENT));
        }
    }

    /// Sends of the part as much as the socket takes.
    fn send_part(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.bound_unsent();
        while !context.turn.is_over() {
            if !self.outbox.is_empty() || self.part().is_none() {
                return ChannelStatus::Open;
            }
            let is_made = matches!(self.part(), Some(BodySource::Made(_)));
            let status = match self.secure.is_some() {
                _ if is_made => self.make_piece(context),
                true => self.encrypt_piece(context),
                false => self.send_piece(context),
            };
            match status {
                Ok(true) => {}
                Ok(false) => return ChannelStatus::Open,
                Err(status) => return status,
            }
        }
        // The others have their turn; by then the socket may be full.
        if self.sends_part() {
            self.write_deadline.get_or_insert(context.write_by());
        }
        ChannelStatus::Open
    }

    /// Has the kernel send a piece; whether the socket may take more.
    fn send_piece(&mut self, context: &mut Context<'_>) -> Result<bool, ChannelStatus> {
        let Agent::Http(web) = &mut self.agent else { return Ok(false) };
        let Some(BodySource::File { file, at, left }) = &mut web.part else { return Ok(false) };
        let most = usize::try_from((*left).min(PIECE).min(context.turn.left())).unwrap_or(usize::MAX);
        let Some(socket) = self.line.fd() else { return Ok(false) };
        match sendfile(socket, &*file, Some(at), most) {
            Ok(0) => Err(self.cut_part(context)),
            Ok(length) => {
                self.sent += length as u64;
                *left -= length as u64;
                context.turn.sends(length);
                web.ledger.makes(length);
                if *left == 0 {
                    web.part = None;
                    web.ledger.content_ends();
                    web.ledger.sent_but(0, context.lines);
                    self.write_deadline = None;
                } else {
                    self.write_deadline = Some(context.write_by());
                }
                Ok(true)
            }
            Err(Errno::INTR) => Ok(true),
            Err(Errno::AGAIN) => {
                self.write_deadline.get_or_insert(context.write_by());
                Ok(false)
            }
            Err(Errno::IO) => Err(self.cut_part(context)),
            Err(error) => Err(self.write_failed(error, context)),
        }
    }

    /// The same over TLS, where the bytes pass through here.
    fn encrypt_piece(&mut self, context: &mut Context<'_>) -> Result<bool, ChannelStatus> {
        let Some(BodySource::File { file, at, left }) = self.part() else { return Ok(false) };
        let most = usize::try_from(*left).map_or(CLEAR, |left| left.min(CLEAR));
        match read_onto(&*file, *at, most, &mut context.output.bytes) {
            Ok(0) => Err(self.cut_part(context)),
            Ok(length) => {
                *at += length as u64;
                *left -= length as u64;
                if *left == 0
                    && let Agent::Http(web) = &mut self.agent
                {
                    web.part = None;
                }
                self.send_made(context)
            }
            Err(Errno::INTR) => Ok(true),
            Err(_) => Err(self.cut_part(context)),
        }
    }

    /// The same for what is made while it is sent.
    fn make_piece(&mut self, context: &mut Context<'_>) -> Result<bool, ChannelStatus> {
        let Agent::Http(web) = &mut self.agent else { return Ok(false) };
        let Some(BodySource::Made(made)) = &mut web.part else { return Ok(false) };
        let mut piece = Vec::new();
        let Ok(has_more) = made.source.more(&mut piece) else { return Err(self.cut_part(context)) };
        context.turn.makes(piece.len());
        let out = &mut context.output.bytes;
        let mut is_short = false;
        match &mut made.end {
            End::Chunked => push_chunk(out, &piece, !has_more),
            End::Close => out.extend_from_slice(&piece),
            End::Length(left) => {
                // Nothing is sent that was not announced, and nothing announced is left out.
                is_short = piece.len() as u64 > *left || !has_more && piece.len() as u64 != *left;
                *left = left.saturating_sub(piece.len() as u64);
                out.extend_from_slice(&piece);
            }
        }
        if is_short {
            out.clear();
            return Err(self.cut_part(context));
        }
        if !has_more {
            web.part = None;
        }
        self.send_made(context)
    }

    /// Sends a piece that was put down; the socket may take more.
    fn send_made(&mut self, context: &mut Context<'_>) -> Result<bool, ChannelStatus> {
        if self.send_answers(context) == ChannelStatus::Closed {
            return Err(ChannelStatus::Closed);
        }
        if self.outbox.is_empty() {
            self.write_deadline = self.sends_part().then(|| context.write_by());
        }
        Ok(true)
    }

    /// The file is shorter than it was, or cannot be read any more: the client has to see that bytes are missing.
    fn cut_part(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let left = self.part().map_or(0, |part| part.left());
        let ends_by_close = matches!(self.part(), Some(BodySource::Made(made)) if made.end == End::Close);
        let is_secure = self.secure.is_some();
        if let Agent::Http(web) = &mut self.agent {
            web.part = None;
        }
        self.secure = None;
        if ends_by_close && !is_secure {
            // Only a reset tells this client that there should have been more.
            self.line.reset_on_close();
            return self.write_failed(Errno::PIPE, context);
        }
        let missing = if left > 0 { format!(": {left} bytes are missing") } else { String::new() };
        let reason = format!("the file became shorter while it was sent{missing}");
        if context.is_judged {
            self.fail(Kind::Fault(FaultKind::FileShrank), &reason, context);
        }
        self.reason = Some(reason.into());
        self.finish(context)
    }
}
