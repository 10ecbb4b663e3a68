//! How a pair ends: both sides said so, one of them is gone, a limit was met, its time is over or the relay is.

use std::time::Duration;

use rustix::io::Errno;
use transcript::{FaultKind, Moment, Side};

use super::super::direction::{Tools, Turn};
use super::super::leg::{Leg, ReadOutcome};
use super::super::poll::End;
use super::super::summary::{Outcome, PairFailure};
use super::{EndOfRelay, LOOK, Pair, PairStatus, Stage};
use crate::event::{ClosedBy, Event};
use crate::failure::{Failure, Kind};
use crate::faults::{Limit, Met};
use crate::limits;
use crate::net::tls::{TlsError, TlsErrorKind};
use crate::net::words;

/// How long it takes at most until it is asked again.
const LONGEST_LOOK: Duration = Duration::from_millis(250);

impl Pair {
    /// The server has all that was said, and there is no client to hear an answer.
    pub(super) fn end_without_client(&mut self, tools: &mut Tools<'_>) -> PairStatus {
        if self.down.waiting() > 0 {
            return self.broken(End::Near, Errno::PIPE, tools);
        }
        self.by = Some(if self.near.protocol.has_no_end() { ClosedBy::Timeout } else { ClosedBy::Client });
        let _ = self.near.say_end();
        let until = tools.now.after(limits::DRAIN_WAIT);
        self.stage = Stage::Cutting { until };
        self.finish_cutting(until, tools)
    }

    /// Both sides have ended, and each was told so.
    pub(super) fn end_both(&mut self, now: Moment) -> PairStatus {
        let Some(far) = &self.far else { return PairStatus::Closed };
        if self.up.was_cut || self.down.was_cut {
            let who = if self.up.was_cut { "the client" } else { "the server" };
            self.reason = Some(format!("{who} did not end TLS before its stream ended: it may have been cut short"));
            self.failure.get_or_insert(PairFailure::CutShort);
        }
        let closes = [("the client", self.near.close()), ("the server", far.close())];
        if let Some((who, close)) = closes.into_iter().find_map(|(who, close)| Some((who, close?)))
            && !close.is_clean()
        {
            self.reason = Some(format!("{who} closed with {close}"));
            self.failure.get_or_insert(PairFailure::CutShort);
        }
        self.stage = Stage::Ending { untaken: u64::MAX, until: now, look: LOOK };
        self.finish_ending(u64::MAX, now, LOOK, now)
    }

    /// Waits until both peers' systems have taken all that was passed on.
    pub(super) fn finish_ending(&mut self, before: u64, until: Moment, look: Duration, now: Moment) -> PairStatus {
        let Some(far) = &mut self.far else { return PairStatus::Closed };
        let [near_untaken, far_untaken] = [self.near.untaken(), far.untaken()];
        let is_gone =
            |leg: &Leg, untaken: u64| leg.broken.is_some() || leg.hung && untaken > 0 && leg.take_error().is_some();
        if is_gone(&self.near, near_untaken) {
            let lost = self.near.undelivered();
            return self.is_gone(End::Near, lost);
        }
        if is_gone(far, far_untaken) {
            let lost = far.undelivered();
            return self.is_gone(End::Far, lost);
        }
        let untaken = near_untaken + far_untaken;
        if untaken == 0 {
            return PairStatus::Closed;
        }
        self.near.say_due_end();
        far.say_due_end();
        // What goes to a pipe or a terminal is taken when it is read.
        let is_patient = self.near.is_bridged() || far.is_bridged();
        let until = if untaken < before || is_patient { now.after(crate::limits::WRITE_WAIT) } else { until };
        if now >= until {
            self.failure.get_or_insert(PairFailure::CutShort);
            self.by = Some(ClosedBy::Timeout);
            self.reason = Some(format!("{untaken} bytes were not taken"));
            return PairStatus::Closed;
        }
        let next = (look * 2).min(LONGEST_LOOK);
        self.stage = Stage::Ending { untaken, until, look: next };
        self.deadline = Some(now.after(look));
        PairStatus::Open
    }

    /// One side is gone; what it said is passed on, and then the other side is reset. So is the one that is gone: what broke
    /// may be our own end of it alone, and its peer would find an end as if all had been said.
    pub(super) fn broken(&mut self, end: End, error: Errno, tools: &mut Tools<'_>) -> PairStatus {
        if let Some(leg) = if end == End::Near { Some(&mut self.near) } else { self.far.as_mut() } {
            leg.reset_at_close();
        }
        self.pass_on_reset(end, error, tools)
    }

    pub(super) fn pass_on_reset(&mut self, end: End, error: Errno, tools: &mut Tools<'_>) -> PairStatus {
        self.by = Some(ClosedBy::Reset);
        self.failure.get_or_insert(PairFailure::Reset);
        let who = if end == End::Near { "the client" } else { "the server" };
        let how = match error {
            Errno::CONNREFUSED => {
                // An answer by ICMP, or of the system where the peer's socket is gone.
                self.failure = Some(PairFailure::Kind(Kind::Refused));
                "does not listen: port or path closed".to_owned()
            }
            Errno::CONNRESET | Errno::PIPE => "reset the connection".to_owned(),
            other => format!("is gone: {}", words(&std::io::Error::from(other))),
        };
        self.reason = Some(format!("{who} {how}"));
        if let Some(taps) = &mut self.taps {
            taps.reset(if end == End::Near { Side::Client } else { Side::Server });
        }
        if let Some(leg) = if end == End::Near { Some(&mut self.near) } else { self.far.as_mut() } {
            leg.is_gone(error);
        }
        let until = tools.now.after(limits::RESET_WAIT);
        self.stage = Stage::Resetting { by: end, until, look: LOOK };
        self.finish_resetting(end, until, LOOK, tools)
    }

    pub(super) fn finish_resetting(
        &mut self,
        by: End,
        until: Moment,
        look: Duration,
        tools: &mut Tools<'_>,
    ) -> PairStatus {
        let Some(far) = &mut self.far else { return PairStatus::Closed };
        let (direction, back, source, sink) = match by {
            End::Near => (&mut self.up, &self.down, &mut self.near, far),
            End::Far => (&mut self.down, &self.up, far, &mut self.near),
        };
        // What it said before it was gone still stands in the kernel. Its end is none.
        source.readable = true;
        let turn = if direction.ended && direction.waiting() == 0 && sink.waiting() == 0 {
            Turn::Rests(None)
        } else {
            direction.shut = true;
            direction.turn(source, sink, self.taps.as_deref_mut(), tools)
        };
        let is_read = direction.ended || matches!(turn, Turn::SourceBroken(_) | Turn::NotSecure(_));
        let is_lost = matches!(turn, Turn::SinkBroken(_) | Turn::Limit(_));
        direction.ended |= is_read;
        let is_passed = direction.waiting() == 0 && sink.waiting() == 0;
        let (left, lost) = (direction.waiting(), back.waiting());
        let is_done = is_lost || is_read && is_passed && sink.untaken() == 0;
        if is_done || tools.now >= until {
            // What was passed on to the side that is gone, and what it said and the other side did not take.
            self.undelivered = source.undelivered() + if is_done && !is_lost { 0 } else { sink.undelivered() };
            let lost = lost + self.undelivered + if is_done && !is_lost { 0 } else { left };
            sink.reset();
            if lost > 0
                && let Some(reason) = &mut self.reason
            {
                reason.push_str(&format!("; {lost} bytes did not arrive"));
            }
            return PairStatus::Closed;
        }
        self.stage = Stage::Resetting { by, until, look: (look * 2).min(LONGEST_LOOK) };
        self.deadline = Some(tools.now.after(look).min(until));
        if matches!(turn, Turn::More) { PairStatus::Runnable } else { PairStatus::Open }
    }

    /// A peer is gone before its system had taken everything.
    pub(super) fn is_gone(&mut self, end: End, lost: u64) -> PairStatus {
        let who = if end == End::Near { "the client" } else { "the server" };
        self.by = Some(ClosedBy::Reset);
        self.failure.get_or_insert(PairFailure::Reset);
        self.undelivered = lost;
        self.reason = Some(match lost {
            0 => format!("{who} reset the connection"),
            lost => format!("{who} reset the connection; {lost} bytes did not arrive"),
        });
        PairStatus::Closed
    }

    pub(super) fn not_secure(
        &mut self,
        end: End,
        error: &TlsError,
        observe: &mut dyn FnMut(Event),
        tools: &mut Tools<'_>,
    ) -> PairStatus {
        let kind = match error.why {
            TlsErrorKind::Certificate => Kind::Fault(FaultKind::Untrusted),
            TlsErrorKind::WebSocket => Kind::NoWebSocket,
            TlsErrorKind::Messages => Kind::Socket,
            _ => Kind::Fault(FaultKind::Tls),
        };
        self.failure = Some(PairFailure::Kind(kind));
        let conversation = Some(self.conversation.clone());
        let failure = Failure::other(kind, format!("{}: {error}", error.layer()));
        observe(Event::Failed { conversation, failure });
        let status = self.pass_on_reset(end, Errno::CONNRESET, tools);
        self.reason = Some(format!("{}: {error}", error.layer()));
        self.by = Some(if end == End::Near { ClosedBy::Client } else { ClosedBy::Server });
        self.failure = Some(PairFailure::Kind(kind));
        // What is encrypted for the peer, an alert, goes before the reset.
        if let Some(leg) = if end == End::Near { Some(&mut self.near) } else { self.far.as_mut() } {
            let _ = leg.flush();
        }
        status
    }

    pub(super) fn limit(&mut self, from: End, met: Met, tools: &mut Tools<'_>) -> PairStatus {
        let by = match met {
            Met { is_live: true, .. } => "a toxic",
            Met { limit: Limit::Cut, .. } => "--cut-after",
            Met { limit: Limit::Reset, .. } => "--reset-after",
        };
        let what = if from == End::Near { "what the client says" } else { "what the server says" };
        self.failure.get_or_insert(PairFailure::CutShort);
        match met.limit {
            Limit::Cut => {
                self.reason = Some(format!("cut on purpose ({by}, {what})"));
                self.by = Some(if from == End::Near { ClosedBy::Client } else { ClosedBy::Server });
                let _ = self.near.say_end();
                let _ = self.far.as_mut().map(Leg::say_end);
                let until = tools.now.after(limits::DRAIN_WAIT);
                self.stage = Stage::Cutting { until };
                self.finish_cutting(until, tools)
            }
            Limit::Reset => {
                self.reason = Some(format!("reset on purpose ({by}, {what})"));
                self.reset_both();
                self.by = Some(ClosedBy::Reset);
                PairStatus::Closed
            }
        }
    }

    /// Reads what still comes, so that closing is no reset.
    pub(super) fn finish_cutting(&mut self, until: Moment, tools: &mut Tools<'_>) -> PairStatus {
        let mut all_ended = true;
        for leg in [Some(&mut self.near), self.far.as_mut()].into_iter().flatten() {
            let _ = leg.flush();
            while !leg.ended {
                match leg.receive(tools.buffer) {
                    ReadOutcome::Bytes(_) => {}
                    ReadOutcome::Nothing => {
                        leg.ended = leg.has_no_end();
                        break;
                    }
                    ReadOutcome::End | ReadOutcome::Cut | ReadOutcome::Broken(_) | ReadOutcome::NotSecure(_) => {
                        leg.ended = true
                    }
                }
            }
            all_ended &= leg.ended && leg.is_shut();
        }
        if all_ended || tools.now >= until {
            return PairStatus::Closed;
        }
        self.deadline = Some(until);
        PairStatus::Open
    }

    /// Has closing reset both connections.
    fn reset_both(&mut self) {
        self.near.reset();
        if let Some(far) = &mut self.far {
            far.reset();
        }
    }

    /// Nothing was said for too long.
    pub(in super::super) fn time_out(&mut self, idle: Duration) -> PairStatus {
        self.by = Some(ClosedBy::Timeout);
        self.reason = Some(format!("nothing was said for {} (--idle-timeout)", transcript::seconds(idle)));
        self.reset_both();
        PairStatus::Closed
    }

    /// The relay ends: what waits is lost, and is seen to be. One that broke lost count of what may still come: it gives no
    /// peer an end that the other one did not say.
    pub(in super::super) fn cut(&mut self, end: EndOfRelay) {
        self.by = Some(ClosedBy::Server);
        let legs = [Some(&self.near), self.far.as_ref()].into_iter().flatten();
        // What stands in a socket of ours its peer believes to have said.
        let in_legs: u64 = legs.map(|leg| leg.waiting() as u64 + leg.unread()).sum();
        let waiting = self.up.waiting() + self.down.waiting() + in_legs;
        if waiting > 0 || end == EndOfRelay::Broken {
            self.reset_both();
        }
        self.reason = Some(match waiting {
            0 => "cut at the end of the relay".to_owned(),
            _ => format!("cut at the end of the relay; {waiting} bytes did not arrive"),
        });
    }

    /// It has to go: all pairs together take too much memory.
    pub(in super::super) fn evict(&mut self, why: &str) {
        self.reset_both();
        self.by = Some(ClosedBy::Reset);
        self.failure.get_or_insert(PairFailure::Kind(Kind::Evicted));
        self.reason = Some(why.to_owned());
    }

    /// The account of a pair that is over.
    pub(in super::super) fn conclude(&mut self, now: Moment, is_cut: bool) -> (Event, Outcome) {
        let by = self.by.unwrap_or(match self.first_end {
            Some(End::Near) | None => ClosedBy::Client,
            Some(End::Far) => ClosedBy::Server,
        });
        let lasted = Duration::from_nanos(now.nanos().saturating_sub(self.opened.nanos()));
        let (from_client, from_server) = (self.up.came, self.down.came);
        for direction in [&mut self.up, &mut self.down] {
            let (count, bytes) = direction.messages.as_ref().map_or((0, 0), |messages| messages.dropped());
            direction.passed += bytes;
            if count > 0 {
                self.reason.get_or_insert_with(|| format!("{count} datagrams were lost on purpose (--drop)"));
            }
        }
        for leg in [Some(&self.near), self.far.as_ref()].into_iter().flatten() {
            let (count, why) = &leg.refused;
            if *count > 0 {
                let words = match count {
                    1 => format!("1 message did not arrive: {why}"),
                    count => format!("{count} messages did not arrive; the last: {why}"),
                };
                self.reason = Some(self.reason.take().map_or(words.clone(), |reason| format!("{reason}; {words}")));
                self.failure.get_or_insert(PairFailure::CutShort);
            }
        }
        let lost = (from_client - self.up.passed.min(from_client)) + (from_server - self.down.passed.min(from_server));
        let unread = self.near.unread + self.far.as_ref().map_or(0, |far| far.unread);
        if unread > 0 {
            self.reason.get_or_insert_with(|| {
                format!("the program had ended before it read all: {unread} bytes did not arrive")
            });
        }
        let lost = lost + unread + self.undelivered;
        let event = Event::Closed {
            conversation: self.conversation.clone(),
            by,
            from_client,
            from_server,
            unjudged: 0,
            lasted,
            reason: self.reason.take(),
            ended: None,
        };
        let failure = self.failure.or((lost > 0).then_some(PairFailure::CutShort));
        (event, Outcome { from_client, from_server, lost, failure, is_cut })
    }
}
