//! How a program and its connection end: it says nothing more, it exits, its peer is gone, it is asked to end or killed.

use std::io;

use rustix::net::{Shutdown, shutdown};

use super::super::super::super::Context;
use super::super::super::super::exec::{Leftover, Signal};
use super::super::super::super::origin::Closer;
use super::super::super::{Channel, ChannelStatus, Line, Phase};
use super::super::Agent;
use super::Input;
use super::pipes::has_ended;
use crate::child::Ended;
use crate::failure::Kind;
use crate::sys::tcp_info::passed;
use crate::sys::terminal::line_too_long;
use crate::words::words;

impl Channel {
    /// It says nothing more, which is not the end of what it hears.
    pub(super) fn child_said_all(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if let Some(served) = self.served() {
            let out = served.out.take();
            served.left = out.filter(|_| served.how == Input::Terminal);
        }
        self.see_who_ended();
        if self.served().is_some_and(|served| served.ended.is_some()) {
            return self.settle_child(context);
        }
        if self.say_end(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        if self.outbox.is_empty() {
            self.shut(context);
            return if std::mem::take(&mut self.is_broken) { self.reset(context) } else { ChannelStatus::Open };
        }
        self.half_close = true;
        ChannelStatus::Open
    }

    /// Its terminal would cut a line that came: nothing of that is given to it, and the conversation is over.
    pub(super) fn break_line(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let Some(served) = self.served() else { return ChannelStatus::Open };
        served.too_long = None;
        let reason = format!("{} could not be given all that came: {}", served.exec.program.name(), line_too_long());
        self.fail(Kind::Program, &reason, context);
        self.reason = Some(reason.into());
        self.by = Closer::Us;
        self.gone(context)
    }

    /// Whether our end was shut before, which is then noted: of a connection that is over in both directions it would fail.
    pub(in crate::engine) fn was_shut(&mut self) -> bool {
        self.served().is_some_and(|served| std::mem::replace(&mut served.is_shut, true))
    }

    /// Whether its program says nothing more, and the peer was told so.
    pub(in crate::engine) fn child_has_shut(&self) -> bool {
        matches!(&self.agent, Agent::Child(served) if served.is_shut)
    }

    /// Where it reads the socket by itself, we have not seen the peer's end.
    pub(super) fn see_who_ended(&mut self) {
        if self.line.fd().is_some_and(has_ended) {
            self.first_end.get_or_insert(Closer::Peer);
        }
    }

    pub(super) fn child_ended(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        // Where others of its group are left, the kernel tells of it again.
        let Some(served) = self.served().filter(|served| served.ended.is_none()) else { return ChannelStatus::Open };
        let Some(child) = &mut served.child else { return ChannelStatus::Open };
        let Some(ended) = child.ended() else { return ChannelStatus::Open };
        served.ended = Some(ended);
        // Processes that it left behind have the grace: in its group, or elsewhere with its output open.
        if child.has_group() || served.out.is_some() {
            served.signal = Some(served.signal.unwrap_or(Signal::Term(context.now.after(context.grace))));
        } else {
            (served.child, served.permit, served.signal) = (None, None, None);
        }
        if self.phase == Phase::Ending {
            return self.gone(context);
        }
        // What it said last is there by now.
        if self.pass_on(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        self.settle_child(context)
    }

    /// Closes when it has ended and nothing more can be said, by it or by anyone that it left behind.
    pub(super) fn settle_child(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let number = self.number;
        let is_judged = context.is_judged;
        let Some(served) = self.served() else { return ChannelStatus::Open };
        let (Some(ended), None) = (served.ended, &served.out) else {
            self.rest_child(context);
            return ChannelStatus::Open;
        };
        if self.phase != Phase::Open {
            return ChannelStatus::Open;
        }
        let Some(served) = self.served() else { return ChannelStatus::Open };
        served.hear_errors(number, context);
        served.input = None;
        if served.child.as_ref().is_some_and(|child| !child.has_group()) {
            (served.child, served.permit, served.signal) = (None, None, None);
        }
        if let Some(error) = served.unwritten.take() {
            let why = words(&io::Error::from(error));
            let reason = format!("{} could not be given all that came: {why}", served.exec.program.name());
            self.fail(Kind::Program, &reason, context);
        } else if is_judged && ended != Ended::Exited(0) {
            let reason = format!("{} {ended}", served.exec.program.name());
            self.fail(Kind::Program, &reason, context);
        }
        let status = self.finish(context);
        if status == ChannelStatus::Open
            && matches!(self.phase, Phase::Draining { .. })
            && self.first_end == Some(Closer::Peer)
        {
            // Its end is there already: there is nothing to wait for.
            return self.read(context);
        }
        status
    }

    /// The kernel says that the connection has an error, or is over in both directions.
    pub(in crate::engine) fn child_loses_peer(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if self.phase != Phase::Open {
            return ChannelStatus::Open;
        }
        if let Err(error) = self.line.take_error() {
            return self.socket_failed(error, context);
        }
        // The first that reads the socket is told of its error, and no other is.
        let has_said_all = self.served().is_some_and(|served| served.out.is_none());
        let is_closed = self.line.fd().and_then(passed).is_some_and(|passed| passed.is_closed);
        if is_closed && !has_said_all { self.reset(context) } else { ChannelStatus::Open }
    }

    /// A connection that is over waits for its program, which gets the grace to end too.
    pub(in crate::engine) fn waits_for_child(&mut self, context: &Context<'_>) -> bool {
        let Agent::Child(served) = &mut self.agent else { return false };
        if !served.is_running() {
            return false;
        }
        (served.out, served.input, served.too_long) = (None, None, None);
        let grace = context.now.after(context.grace);
        served.signal.get_or_insert(Signal::Term(grace));
        if let Line::Socket(_) | Line::Datagrams(_) = &self.line
            && let Some(socket) = self.line.fd()
        {
            // It has it too: closing ours would end nothing.
            let _ = shutdown(socket, Shutdown::Both);
        }
        (self.inbox, self.outbox) = (Vec::new(), Vec::new());
        (self.is_broken, self.resume, self.half_close) = (false, false, false);
        self.write_deadline = None;
        self.phase = Phase::Ending;
        self.rest_child(context);
        true
    }

    /// A moment came that something is to be done with it.
    pub(in crate::engine::channel) fn child_is_due(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let now = context.now;
        let Agent::Child(served) = &mut self.agent else { return ChannelStatus::Open };
        if served.retry.is_some_and(|(at, _)| now >= at) {
            return self.start_child(context);
        }
        if served.stdin.again().is_some_and(|at| now >= at) || served.too_long.is_some() {
            return self.tell_child(&[], context);
        }
        if let (Some(child), Some(signal)) = (&served.child, served.signal) {
            served.signal = signal.send(child, now);
            if served.signal.is_none() && served.ended.is_some() {
                // No process of its group is left; one that still has its output is no concern of the connection.
                (served.child, served.permit, served.out) = (None, None, None);
                return self.settle_child(context);
            }
        }
        if let (Some(wait), Phase::Open) = (self.idle_limit(context), self.phase) {
            let quiet = self.quiet(now);
            if quiet >= wait {
                if matches!(self.line, Line::OnePeer(_)) && !self.ended {
                    return self.end_by_silence(wait, context);
                }
                self.by = Closer::Timeout;
                self.reason = Some(format!("nothing passed for {} (--timeout)", transcript::seconds(wait)).into());
                return self.gone(context);
            }
        }
        self.rest_child(context);
        ChannelStatus::Open
    }

    /// How its program ended.
    pub(in crate::engine) fn ended(&self) -> Option<Ended> {
        match &self.agent {
            Agent::Child(served) => served.ended,
            _ => None,
        }
    }

    /// Asks the program to end, for the server is to.
    pub(in crate::engine) fn hurry_child(&mut self, context: &Context<'_>) -> ChannelStatus {
        if let Agent::Child(served) = &mut self.agent
            && let (Some(child), None | Some(Signal::Term(_))) = (&served.child, served.signal)
        {
            served.signal = Signal::Term(context.now).send(child, context.now);
        }
        self.rest_child(context);
        ChannelStatus::Open
    }

    /// Ends the program and all of its group now.
    pub(in crate::engine) fn kill_child(&mut self) {
        if let Agent::Child(served) = &mut self.agent
            && let Some(child) = &mut served.child
        {
            let ended = child.kill();
            served.ended = served.ended.or(ended).or(Some(Ended::Unknown));
            (served.child, served.permit) = (None, None);
        }
    }

    /// What of its process group outlives both the program and the conversation.
    pub(in crate::engine) fn leftover(&mut self) -> Option<Leftover> {
        let is_over = !self.is_open();
        let Agent::Child(served) = &mut self.agent else { return None };
        if !is_over || served.ended.is_none() {
            return None;
        }
        let (child, signal) = (served.child.take()?, served.signal?);
        Some(Leftover { child, signal, _permit: served.permit.take() })
    }
}
