//! A transcript is played: what came goes to the player, what it says is sent, and what it asks for is done.

use std::sync::Arc;

use transcript::{Ending, FaultKind, Input, Moment, Next, Script, Verdict};

use super::super::super::Context;
use super::super::super::account::silence;
use super::super::super::handoff::{Continuation, Handoff};
use super::super::super::origin::Closer;
use super::super::{Channel, ChannelStatus, NO_MEMORY, append};
use super::Agent;
use crate::failure::{Failure, Kind};
use crate::net::session::Session;
use crate::net::tls::{TlsError, TlsErrorKind};

/// Outputs in a row that one channel sends before the others have their turn.
const TURNS: usize = 16;

/// What to change when a client left where it may leave only if it is allowed to.
const BETWEEN_ROUNDS: &str = "it stood between two rounds of `repeat`: --allow-early-close lets a client leave there";

/// What came of some steps.
struct Taken {
    status: ChannelStatus,
    /// Of those that were given, how many are done with.
    bytes: usize,
    /// The datagram that was given is to be given again.
    leaves_datagram: bool,
}

impl Channel {
    /// Gives the player what came, sends what it says and does what it asks, as far as that goes.
    pub(in crate::engine) fn play_on(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        if self.line.has_datagrams() {
            return self.hear_datagram(None, context);
        }
        if context.load.is_some()
            && let Some(status) = self.play_again(bytes.len(), context)
        {
            return status;
        }
        let Agent::Play(_, script) = &self.agent else { return ChannelStatus::Open };
        let script = Arc::clone(script);
        if self.inbox.is_empty() {
            let Taken { status, bytes: taken, .. } = self.steps(&script, bytes, false, context);
            if self.is_open() && status == ChannelStatus::Open && !append(&mut self.inbox, &bytes[taken..]) {
                return self.evict(NO_MEMORY, context);
            }
            return status;
        }
        let mut held = std::mem::take(&mut self.inbox);
        if !append(&mut held, bytes) {
            return self.evict(NO_MEMORY, context);
        }
        let Taken { status, bytes: taken, .. } = self.steps(&script, &held, false, context);
        if self.is_open() {
            // What is only waited for is not copied again with every piece that comes.
            if taken == held.len() {
                return status;
            }
            if taken > 0 {
                held.drain(..taken);
                held.shrink_to(held.len());
            }
            self.inbox = held;
        }
        status
    }

    /// The same over datagrams: one came, or something else that the play may have waited for.
    pub(in crate::engine) fn hear_datagram(&mut self, came: Option<&[u8]>, context: &mut Context<'_>) -> ChannelStatus {
        if context.load.is_some()
            && let Some(status) = self.play_again(came.map_or(0, <[u8]>::len), context)
        {
            return status;
        }
        let Agent::Play(_, script) = &self.agent else { return ChannelStatus::Open };
        let script = Arc::clone(script);
        if let Some(payload) = came {
            context.origin.tell_tap(|tap, ours| tap.said(ours.other(), payload));
        }
        let left = if came.is_none() { self.datagrams().and_then(|datagrams| datagrams.left.take()) } else { None };
        let payload = came.or(left.as_deref());
        let taken = self.steps(&script, payload.unwrap_or_default(), payload.is_some(), context);
        if taken.leaves_datagram
            && self.is_open()
            && let Some(datagrams) = self.datagrams()
        {
            datagrams.left = payload.map(<[u8]>::to_vec);
        }
        taken.status
    }

    /// As many steps as can be taken with these bytes, which may be a datagram.
    fn steps(&mut self, script: &Script, bytes: &[u8], is_datagram: bool, context: &mut Context<'_>) -> Taken {
        let has_datagrams = self.line.has_datagrams();
        let mut taken = Taken { status: ChannelStatus::Open, bytes: 0, leaves_datagram: is_datagram };
        // The other script is that of another transcript, whose play a load has begun.
        let (mut turns, mut other) = (0, None);
        loop {
            let script = other.as_deref().unwrap_or(script);
            self.go_ahead();
            self.paused = false;
            let Agent::Play(play, _) = &mut self.agent else { return taken };
            let bytes_left = if has_datagrams && !taken.leaves_datagram { &[] } else { &bytes[taken.bytes..] };
            let input =
                Input { bytes: bytes_left, datagram: taken.leaves_datagram, ended: self.ended, now: context.now };
            let step = match &mut context.load {
                None => play.step(script, input, context.scratch, context.output),
                Some(load) => load.step(self.number as usize, play, script, input, (context.scratch, context.output)),
            };
            if has_datagrams {
                taken.leaves_datagram = step.left;
            } else {
                self.tell_taken(bytes_left, step.consumed, context);
                taken.bytes += step.consumed;
            }
            if self.send_output(context) == ChannelStatus::Closed {
                return Taken { status: ChannelStatus::Closed, ..taken };
            }
            let blocked = !self.outbox.is_empty();
            match step.next {
                Next::Hear { until } => taken.status = self.hear_until(until, context),
                Next::Flush if !blocked && turns < TURNS => {
                    turns += 1;
                    continue;
                }
                Next::Flush => self.give_way(context),
                Next::StopSending => match self.stop_sending(context) {
                    Some(status) => taken.status = status,
                    None => continue,
                },
                // What was said last reached no peer.
                Next::End(ending) if self.is_broken && ending.is_success() => taken.status = self.reset(context),
                Next::End(ending) if ending.is_success() && context.load.is_some() => {
                    let behind = if has_datagrams { 0 } else { bytes_left.len() - step.consumed };
                    match self.play_passed(ending, behind, context) {
                        Some(status) => taken.status = status,
                        None if turns < TURNS => {
                            turns += 1;
                            other = self.another(script).or(other);
                            continue;
                        }
                        None => self.give_way(context),
                    }
                }
                Next::End(ending) => taken.status = self.over_with(ending, &bytes_left[step.consumed..], context),
                next => taken.status = self.interrupt(next, script, context),
            }
            return taken;
        }
    }

    /// Our direction ends: at once, and then the play goes on, or when all that waits is sent.
    fn stop_sending(&mut self, context: &mut Context<'_>) -> Option<ChannelStatus> {
        let status = self.say_end(context);
        if status == ChannelStatus::Open && self.outbox.is_empty() {
            self.shut(context);
            return None;
        }
        (self.half_close, self.resume) = (true, true);
        Some(status)
    }

    /// The play is over, and these bytes came behind its end.
    fn over_with(&mut self, ending: Ending, behind: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        self.unjudged += behind.len() as u64;
        self.tell_left(behind, context);
        self.over(ending, context)
    }

    /// The play waits for the peer; a server that is to stop ends it here if it may end.
    #[inline]
    fn hear_until(&mut self, until: Option<Moment>, context: &mut Context<'_>) -> ChannelStatus {
        if context.stopping && self.outbox.is_empty() && self.rests() {
            return self.finish(context);
        }
        self.deadline = until;
        ChannelStatus::Open
    }

    /// Neither side says anything now: the play pauses, TLS begins or ends, or another connection is next.
    fn interrupt(&mut self, next: Next, script: &Script, context: &mut Context<'_>) -> ChannelStatus {
        match next {
            Next::Pause { until } => (self.paused, self.deadline) = (true, Some(until)),
            // The client begins; what we said in clear goes out first.
            Next::StartTls => return self.begin_session(self.session(script, context), context),
            Next::StopTls => return self.end_tls(context),
            next => self.hand_over(Some(next), context),
        }
        ChannelStatus::Open
    }

    /// What a play's `starttls` begins.
    fn session(&self, script: &Script, context: &Context<'_>) -> Result<Session, TlsError> {
        let Agent::Play(play, _) = &self.agent else { return Err(TlsError::local("nothing is played".to_owned())) };
        let session = context.origin.session(context.identity, play.alpn(script))?;
        Ok(if script.stops_tls() { session.that_ends() } else { session })
    }

    /// The play is over.
    pub(super) fn over(&mut self, ending: Ending, context: &mut Context<'_>) -> ChannelStatus {
        if self.group != 0 && !matches!(ending, Ending::GoesOn { .. }) {
            context.handoffs.push_back(Handoff { group: self.group, first: None, continuation: Continuation::Over });
        }
        match ending {
            Ending::Done | Ending::Left => {
                if self.was_closed_in_failure() && (context.origin.is_client() || context.is_judged) {
                    let why = self.reason.as_deref().unwrap_or_default().to_owned();
                    self.fail(Kind::Socket, &why, context);
                }
            }
            Ending::GoesOn { by_reset } => {
                self.hand_over(None, context);
                self.paused = false;
                if by_reset {
                    self.by = Closer::Reset;
                    self.line.reset_on_close();
                    self.tell_tap(context, |tap, ours| tap.reset(ours));
                    return self.gone(context);
                }
            }
            Ending::DoneByReset => {
                self.by = Closer::Reset;
                // The transcript says so; this is the only reset that we make on purpose.
                self.line.reset_on_close();
                self.tell_tap(context, |tap, ours| tap.reset(ours));
                return self.gone(context);
            }
            Ending::IdleTimeout { waited } => {
                self.by = Closer::Timeout;
                let reason = silence(waited);
                self.fail_if_strict(FaultKind::NothingCame, &reason, context);
                self.reason = Some(reason.into());
            }
            Ending::IdleReset => {
                self.by = Closer::Reset;
                let reason = format!("{} reset the connection", context.origin.peer());
                self.fail_if_strict(FaultKind::Reset, &reason, context);
                return self.gone(context);
            }
            Ending::Failed(verdict) => return self.play_failed(verdict, context),
        }
        self.finish(context)
    }

    /// A play did not go as written.
    fn play_failed(&mut self, verdict: Box<Verdict>, context: &mut Context<'_>) -> ChannelStatus {
        let fault = verdict.fault.kind();
        match fault {
            FaultKind::NothingCame => self.by = Closer::Timeout,
            // Nothing is said inside a session that failed, not even its end.
            FaultKind::Tls | FaultKind::TlsGoesOn | FaultKind::Untrusted => self.secure = None,
            _ => {}
        }
        let why = verdict.headline();
        self.reason = Some(match &self.reason {
            // How it was closed early.
            Some(closed) => format!("{why}; {closed}").into(),
            None => why.into(),
        });
        let hears = self.has_messages() && fault != FaultKind::Reset;
        if hears && self.say_end_at_odds(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        let between = matches!(&self.agent, Agent::Play(play, script) if play.at_rest(script) && !play.may_end(script));
        let hint = between.then_some(BETWEEN_ROUNDS);
        self.tell(Failure::Play { verdict, hint }, context);
        if fault == FaultKind::Reset {
            self.by = Closer::Reset;
            return self.gone(context);
        }
        self.finish(context)
    }

    /// Between two exchanges a reset or an idle time limit is no failure of a server's, unless one asked for it to be.
    fn fail_if_strict(&mut self, fault: FaultKind, reason: &str, context: &mut Context<'_>) {
        if let Some(failure) = context.between_exchanges(fault, reason, self.agent.line()) {
            self.tell(failure, context);
        }
    }

    /// The connection was reset while it was played over.
    pub(in crate::engine) fn play_is_reset(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let Agent::Play(play, script) = &mut self.agent else { return ChannelStatus::Open };
        let ending = play.reset(script, &self.inbox, context.scratch);
        self.outbox = Vec::new();
        self.by = Closer::Reset;
        // One that the transcript tells of is its end: there is no peer to say it to.
        if let Ending::GoesOn { .. } = ending {
            self.hand_over(None, context);
            return self.gone(context);
        }
        if !matches!(ending, Ending::Done) {
            return self.over(ending, context);
        }
        if let Some(load) = &mut context.load {
            load.passed_with_connection(self.number as usize, context.now);
        }
        self.gone(context)
    }

    /// The end of TLS that the transcript asks for was not to be had.
    pub(in crate::engine) fn play_has_no_clear_text(&mut self, why: &str, context: &mut Context<'_>) -> ChannelStatus {
        let Agent::Play(play, script) = &mut self.agent else { return ChannelStatus::Open };
        let ending = play.tls_failed(script, transcript::Fault::TlsGoesOn, why, context.scratch);
        self.over(ending, context)
    }

    /// Whether what TLS agreed on is among what the transcript asks for; else what is wrong with it.
    pub(in crate::engine) fn agreed(&self, context: &Context<'_>) -> Result<(), TlsError> {
        let (Agent::Play(play, script), Some(session)) = (&self.agent, &self.secure) else { return Ok(()) };
        let wanted = play.alpn(script);
        let chosen = session.alpn();
        if wanted.is_empty() || chosen.is_some_and(|chosen| wanted.iter().any(|name| name.as_bytes() == chosen)) {
            return Ok(());
        }
        let (names, peer) = (wanted.join(" or "), context.origin.tls_peer());
        Err(TlsError::local(match chosen {
            Some(other) => format!("{peer} chose `{}` (ALPN), and not {names}", String::from_utf8_lossy(other)),
            None if context.origin.is_client() => {
                format!("{peer} chose no protocol (ALPN), and should have chosen {names}")
            }
            None => format!("{peer} asked for no protocol (ALPN), and should have asked for {names}"),
        }))
    }

    /// The handshake that the transcript asks for failed.
    pub(in crate::engine) fn play_has_no_tls(&mut self, error: &TlsError, context: &mut Context<'_>) -> ChannelStatus {
        let Agent::Play(play, script) = &mut self.agent else { return ChannelStatus::Open };
        let fault =
            if error.why == TlsErrorKind::Certificate { transcript::Fault::Untrusted } else { transcript::Fault::Tls };
        let ending = play.tls_failed(script, fault, &error.to_string(), context.scratch);
        self.over(ending, context)
    }
}
