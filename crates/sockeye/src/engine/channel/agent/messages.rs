//! A program whose peer sends datagrams: each is a message to it, and each message of its own is a datagram. Nothing but silence
//! says that no more will come.

use std::time::Duration;

use super::super::super::Context;
use super::super::super::account::silence;
use super::super::super::answers::words_of_unsent;
use super::super::super::origin::Closer;
use super::super::super::outlet::Unsent;
use super::super::{Channel, ChannelStatus, Line, NO_MEMORY, Phase};
use super::Agent;
use super::child::Served;
use crate::event::Event;
use crate::failure::Kind;
use crate::limits;
use rustix::io::Errno;
use transcript::Moment;

impl Served {
    /// Gives it the messages that it takes now.
    pub(super) fn hear_messages(&mut self, now: Moment) {
        if self.stdin.is_empty() {
            return;
        }
        let mut stdin = std::mem::take(&mut self.stdin);
        let heard = self.input().map_or(Err(Errno::PIPE), |input| stdin.pass_on(input, now));
        if let Err(error) = heard {
            stdin.clear();
            self.hear_nothing(error);
        }
        self.stdin = stdin;
    }
}

impl Channel {
    /// Whether a datagram of its peer is for its program: it has not ended, nor was it told that no more will come.
    pub(in crate::engine) fn hears_messages(&self) -> bool {
        let has_program = matches!(&self.agent, Agent::Child(served) if !served.has_ended());
        self.phase == Phase::Open && !self.ended && has_program
    }

    /// Its peer sent a datagram.
    pub(in crate::engine) fn hear_message(&mut self, message: Box<[u8]>, context: &mut Context<'_>) -> ChannelStatus {
        self.received += message.len() as u64;
        context.heard(&message);
        if let Line::OnePeer(peer) = &mut self.line {
            peer.came(message.len());
        }
        let Agent::Child(served) = &mut self.agent else { return ChannelStatus::Open };
        served.is_active(context.now);
        if served.has_terminal() && self.inbox.len() + message.len() <= limits::WAITING_BYTES {
            return self.tell_child(&message, context);
        }
        if served.has_terminal() || !served.stdin.push(message) {
            let error = format!(
                "{}: datagrams that a program did not read in time: {} of {} wait already",
                context.origin.endpoint,
                limits::WAITING_DATAGRAMS,
                limits::bytes(limits::WAITING_BYTES)
            );
            context.observer.observe(Event::Dropped { count: 1, error });
        }
        self.tell_child(&[], context)
    }

    /// The same of a connection that keeps the bounds of messages: until it is read, nothing more is taken.
    pub(in crate::engine) fn hear_packet(&mut self, message: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        let Agent::Child(served) = &mut self.agent else { return ChannelStatus::Open };
        if served.has_terminal() {
            return self.tell_child(message, context);
        }
        if !served.stdin.push(message.into()) {
            return self.evict(NO_MEMORY, context);
        }
        self.tell_child(&[], context)
    }

    /// How long nothing may pass.
    pub(super) fn idle_limit(&self, context: &Context<'_>) -> Option<Duration> {
        match &self.line {
            // Told that no more comes, it has the time to say its last.
            Line::OnePeer(_) if self.ended => Some(context.grace),
            Line::OnePeer(_) => Some(context.wait.unwrap_or(limits::FLOW_IDLE)),
            _ => context.wait,
        }
    }

    /// Nothing came for long, which is the only end that there is: its program hears it as one, and may say its last.
    pub(super) fn end_by_silence(&mut self, wait: Duration, context: &mut Context<'_>) -> ChannelStatus {
        self.ended = true;
        self.by = Closer::Timeout;
        self.reason = Some(silence(wait).into());
        self.tell_child(&[], context)
    }

    /// Sends what its program said as one datagram.
    pub(super) fn answer_peer(&mut self, message: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        let Line::OnePeer(peer) = &mut self.line else { return ChannelStatus::Open };
        match peer.send(message, context.now) {
            Ok(()) => {
                self.sent += message.len() as u64;
                context.said(message);
            }
            Err(Unsent::Full) => {
                peer.again = Some(context.now.after(limits::DATAGRAM_AGAIN));
                self.write_deadline.get_or_insert(context.write_by());
                self.outbox = message.to_vec();
            }
            Err(Unsent::Withheld) if context.is_judged => {
                self.fail(Kind::AnswersWithheld, "an answer was held back (--udp-budget)", context);
            }
            Err(Unsent::Withheld) => {}
            Err(Unsent::Refused(error)) => {
                let why = words_of_unsent(error, peer.pair.0);
                let reason = format!("an answer of {} bytes could not be sent: {why}", message.len());
                self.fail(Kind::AnswersLost, &reason, context);
            }
        }
        ChannelStatus::Open
    }

    /// Sends what the system had no room for.
    pub(in crate::engine) fn answer_again(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let message = std::mem::take(&mut self.outbox);
        let status = self.answer_peer(&message, context);
        if status == ChannelStatus::Closed || !self.outbox.is_empty() {
            return status;
        }
        self.write_deadline = None;
        if self.phase == Phase::Finishing { self.finish(context) } else { ChannelStatus::Open }
    }
}
