//! How a connection ends: what was sent arrives, what still comes is drained, and why it ended is told.

use transcript::FaultKind;

use super::super::Context;
use super::super::account::{Closed, cut_at};
use super::super::context::give_back;
use super::super::origin::Closer;
use super::{Channel, ChannelStatus, Interest, Phase, secure};
use crate::event::Protocol;
use crate::failure::{Failure, Kind};
use crate::limits;

impl Channel {
    /// The connection was reset.
    pub(in crate::engine) fn reset(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.tell_left_in_inbox(context);
        self.tell_tap(context, |tap, ours| tap.reset(ours.other()));
        let status = match self.phase {
            Phase::Handshaking => {
                let error = self.cut_in_handshake(context);
                self.by = Closer::Reset;
                self.not_secure(&error, context)
            }
            Phase::EndingTls => {
                self.by = Closer::Reset;
                self.tls_goes_on(&secure::cut(context.origin.peer()), context)
            }
            Phase::Open => self.hear_reset(context),
            Phase::Connecting => ChannelStatus::Open,
            Phase::Finishing | Phase::Draining { .. } => {
                self.judge_late_reset(context);
                ChannelStatus::Open
            }
            Phase::Ending => return ChannelStatus::Open,
        };
        if status == ChannelStatus::Closed {
            return status;
        }
        self.by = Closer::Reset;
        self.gone(context)
    }

    /// A reset behind the last statement. Whether the peer had read all is not known then; a server has said all that it had
    /// to say, and clients that close in a hurry reset: only where plays are judged, what had not even arrived is lost. A
    /// session's own end is often left unread, which is a reset and loses nothing, if an answer shows that the rest was read.
    fn judge_late_reset(&mut self, context: &mut Context<'_>) {
        // One that failed before is not counted twice.
        if !self.agent.has_transcript() || self.reason.is_some() {
            return;
        }
        let reason = match (self.phase, context.origin.is_client()) {
            (Phase::Draining { .. }, true) if self.secure.as_ref().is_some_and(|session| !session.is_unanswered()) => {
                return;
            }
            (_, true) => {
                let Self { sent, received, .. } = self;
                let why = "the connection was reset, and not everything that was said may have been read";
                format!("{why}; {sent} bytes sent, {received} received")
            }
            (Phase::Draining { .. }, false) if !context.is_judged => return,
            (Phase::Draining { .. }, false) => match self.not_arrived(context) {
                0 => return,
                left => format!("the client reset the connection before all had arrived: {left} bytes had not"),
            },
            (_, false) => "the client reset the connection before all was sent".to_owned(),
        };
        self.fail(Kind::Fault(FaultKind::Reset), &reason, context);
    }

    /// Bytes of a TCP connection that the peer's system had not taken when it was reset.
    fn not_arrived(&self, context: &Context<'_>) -> u64 {
        match context.origin.endpoint.protocol {
            Protocol::Tcp => self.line.not_arrived(),
            _ => 0,
        }
    }

    /// The kernel does not tell of it any more, which is no fault of the client.
    pub(in crate::engine) fn unwatched(&mut self, error: &std::io::Error, context: &mut Context<'_>) {
        let reason = format!("the connection cannot be watched: {error}");
        self.fail(Kind::NoResources, &reason, context);
        self.reason = Some(reason.into());
        self.by = Closer::Us;
        self.gone(context);
    }

    /// Its conversation did not go as it should, for a reason that no line of a transcript has.
    pub(in crate::engine) fn fail(&mut self, kind: Kind, reason: &str, context: &mut Context<'_>) {
        let line = self.agent.line();
        self.tell(Failure::Other { kind, line, reason: reason.to_owned() }, context);
    }

    pub(in crate::engine) fn tell(&self, failure: Failure, context: &mut Context<'_>) {
        if let Some(load) = &mut context.load {
            let origin = context.origin;
            return load.failed(self.number as usize, &failure, || self.conversation(origin));
        }
        context.tell_failure(self.conversation(context.origin), failure);
    }

    /// Reads what has come already.
    pub(in crate::engine) fn hear_what_came(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if self.is_open() && self.wants() == Interest::Read { self.read(context) } else { ChannelStatus::Open }
    }

    /// The server is to stop: where a play may end it ends at once, else when it comes there.
    pub(in crate::engine) fn stop(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if self.phase == Phase::Connecting {
            return self.gone(context);
        }
        // What has already come is still answered.
        if self.hear_what_came(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        if let Phase::Draining { until, .. } = &mut self.phase {
            *until = (*until).min(context.now.after(context.linger));
            return ChannelStatus::Open;
        }
        if !self.is_open() || !self.rests() || !self.outbox.is_empty() {
            return ChannelStatus::Open;
        }
        if self.has_messages() {
            // Those who hear no word of an end take it for a failure.
            return self.finish(context);
        }
        // Nothing is unread and nothing unsent: closing now loses nothing.
        self.gone(context)
    }

    /// Ends it whatever it is doing.
    pub(in crate::engine) fn cut(&mut self, context: &mut Context<'_>) -> bool {
        let is_at_work = matches!(self.phase, Phase::Connecting | Phase::Ending);
        let cut = self.is_open() || is_at_work || !self.outbox.is_empty();
        self.kill_child();
        if cut {
            self.reason = Some(cut_at(self.agent.line().filter(|_| self.is_open())).into());
        }
        self.gone(context);
        cut
    }

    /// Ends it because all buffers together take too much.
    pub(in crate::engine) fn evict(&mut self, why: &str, context: &mut Context<'_>) -> ChannelStatus {
        self.by = Closer::Us;
        self.reason = Some(why.into());
        if self.is_open() && self.agent.has_transcript() {
            if context.load.is_some() && context.is_judged {
                self.fail(Kind::Evicted, why, context);
            } else {
                let origin = context.origin;
                context.tell_eviction(self.agent.line(), why, || self.conversation(origin));
            }
        }
        self.gone(context)
    }

    /// All is said: shut our end when the queue is empty, then drain.
    pub(in crate::engine) fn finish(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.tell_left_in_inbox(context);
        self.inbox = Vec::new();
        self.deadline = None;
        if self.is_open() {
            if self.secure.as_ref().is_some_and(|session| session.may_end() && session.has_ended()) {
                self.tell_end_of_tls(context);
            }
            // Once: the queue may be met here again, in the phase of finishing.
            self.phase = Phase::Finishing;
            self.holds_end = self.may_hold_end(context);
            if !self.holds_end && self.say_end(context) == ChannelStatus::Closed {
                return ChannelStatus::Closed;
            }
        }
        if !self.outbox.is_empty() {
            self.phase = Phase::Finishing;
            return ChannelStatus::Open;
        }
        if self.line.has_no_end() {
            // Whether somebody listens is told behind what was said, to whoever asks.
            let is_judged = self.agent.has_transcript() && self.reason.is_none();
            if is_judged
                && context.origin.is_client()
                && let Err(error) = self.line.take_error()
            {
                return self.datagram_failed(error, context);
            }
            return self.gone(context);
        }
        if self.ended {
            // Everything was read, so that closing sends no reset.
            self.tell_tap(context, |tap, ours| tap.ended(ours));
            return self.gone(context);
        }
        if self.holds_end {
            self.phase = Phase::Draining { until: context.now.after(limits::END_HOLD), bytes: 0 };
            return if self.is_broken { self.reset(context) } else { ChannelStatus::Open };
        }
        self.shut(context);
        let drain = if context.stopping { context.linger } else { context.origin.drain_wait() };
        self.phase = Phase::Draining { until: context.now.after(drain), bytes: 0 };
        if self.is_broken { self.reset(context) } else { ChannelStatus::Open }
    }

    /// Whether our end is held back for a moment: under a session, a server that read our last words and then closes would answer
    /// our end with a reset, as does one that read nothing. Without it, what it read is plain from how it ends.
    fn may_hold_end(&self, context: &Context<'_>) -> bool {
        let is_unanswered = self.secure.as_ref().is_some_and(|session| session.is_unanswered());
        is_unanswered
            && context.origin.is_client()
            && self.agent.has_transcript()
            && self.reason.is_none()
            && !context.stopping
    }

    /// The moment is over.
    pub(super) fn say_held_end(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.holds_end = false;
        self.phase = Phase::Finishing;
        if self.say_end(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        self.finish(context)
    }

    /// What still comes is read and thrown away.
    pub(super) fn drain(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        let mut clear = std::mem::take(context.clear);
        let said = match &mut self.secure {
            // What a session does not understand at its end says nothing.
            Some(session) => session.receive(bytes, &mut clear).map_or(&[][..], |()| &clear),
            None => bytes,
        };
        self.unjudged += said.len() as u64;
        self.tell_of_peer(said, context);
        give_back(context.clear, clear);
        match &mut self.phase {
            Phase::Draining { bytes: drained, .. } => {
                *drained += bytes.len() as u64;
                if *drained > limits::DRAIN { self.gone(context) } else { ChannelStatus::Open }
            }
            _ => ChannelStatus::Open,
        }
    }

    /// Says that it is over. It was closed by the side that sent the first end that was read or sent.
    pub(in crate::engine) fn gone(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if let Some(load) = &mut context.load {
            let unanswered = self.agent.unanswered();
            if unanswered > 0 {
                load.cut_requests(self.number as usize, unanswered);
            }
            load.gone(self.number as usize, self.sent, self.received);
            return ChannelStatus::Closed;
        }
        if self.waits_for_child(context) {
            return ChannelStatus::Open;
        }
        self.tell_of_cut_answers(context);
        self.tell_of_strangers(context);
        if let Some(passed) = self.child_passed() {
            (self.received, self.sent) = passed;
        }
        let by = match self.by {
            Closer::Timeout | Closer::Reset => self.by,
            Closer::Us | Closer::Peer => self.first_end.unwrap_or(self.by),
        };
        context.tell_closed(Closed {
            conversation: self.conversation(context.origin),
            by,
            opened: self.opened,
            received: self.received,
            sent: self.sent,
            unjudged: self.unjudged,
            reason: self.reason.take().map(Into::into),
            ended: self.ended(),
        });
        ChannelStatus::Closed
    }
}
