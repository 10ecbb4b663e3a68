//! How a connection ends: what was sent arrives, what still comes is drained, and why it ended is told.

use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use transcript::{Ending, FaultKind};

use super::super::Shared;
use super::{Connection, Fate, Interest, Phase, Role};
use crate::event::{ClosedBy, Event};
use crate::failure::{Failure, Kind};
use crate::limits;

/// What to change when a client left where it may leave only if it is allowed to.
const BETWEEN_ROUNDS: &str = "it stood between two rounds of `repeat`: --allow-early-close lets a client leave there";

impl Connection {
    /// The play is over.
    pub(super) fn over(&mut self, ending: Ending, shared: &mut Shared<'_>) -> Fate {
        match ending {
            Ending::Done | Ending::Left => {}
            Ending::DoneByReset => {
                self.by = ClosedBy::Reset;
                // The transcript says so; this is the only reset that we make on purpose.
                let _ = rustix::net::sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
                return self.gone(shared);
            }
            Ending::IdleTimeout { waited } => {
                self.by = ClosedBy::Timeout;
                let reason = format!("nothing came for {} (--timeout)", transcript::seconds(waited));
                self.fail_if_strict(FaultKind::NothingCame, &reason, shared);
                self.reason = Some(reason.into());
            }
            Ending::IdleReset => {
                self.by = ClosedBy::Reset;
                self.fail_if_strict(FaultKind::Reset, "the client reset the connection", shared);
                return self.gone(shared);
            }
            Ending::Failed(verdict) => {
                let fault = verdict.fault.kind();
                match fault {
                    FaultKind::NothingCame => self.by = ClosedBy::Timeout,
                    // Nothing is said inside a session that failed, not even its end.
                    FaultKind::Tls => self.secure = None,
                    _ => {}
                }
                self.reason = Some(verdict.headline().into());
                let between =
                    matches!(&self.role, Role::Play(play, script) if play.at_rest(script) && !play.may_end(script));
                let hint = between.then_some(BETWEEN_ROUNDS);
                self.tell(Failure::Play { verdict, hint }, shared);
                if fault == FaultKind::Reset {
                    self.by = ClosedBy::Reset;
                    return self.gone(shared);
                }
            }
        }
        self.finish(shared)
    }

    /// Between two exchanges a reset or an idle time limit is no failure, unless one asked for it to be.
    pub(super) fn fail_if_strict(&mut self, fault: FaultKind, reason: &str, shared: &mut Shared<'_>) {
        if shared.strict {
            self.fail(Kind::Fault(fault), &format!("{reason} (--strict)"), shared);
        }
    }

    /// The connection was reset.
    pub(super) fn reset(&mut self, shared: &mut Shared<'_>) -> Fate {
        if let (Phase::Open, Role::Play(play, script)) = (self.phase, &mut self.role) {
            let ending = play.reset(script, &self.inbox, shared.scratch);
            self.outbox = Vec::new();
            self.by = ClosedBy::Reset;
            let fate = self.over(ending, shared);
            if fate == Fate::Gone {
                return fate;
            }
        }
        if let (Phase::Open, Role::Echo | Role::Discard, Some(_)) = (self.phase, &self.role, shared.plays) {
            // Where conversations are judged, one of which nobody knows what is missing is none that went well.
            self.fail(Kind::Fault(FaultKind::Reset), "the client reset the connection", shared);
        }
        if let (Phase::Finishing, Role::Play(..)) = (self.phase, &self.role) {
            let reason = "the client reset the connection before all was sent";
            self.fail(Kind::Fault(FaultKind::Reset), reason, shared);
        }
        self.by = ClosedBy::Reset;
        self.gone(shared)
    }

    /// The kernel does not tell of it any more, which is no fault of the client.
    pub(in crate::drive) fn unwatched(&mut self, error: &std::io::Error, shared: &mut Shared<'_>) {
        let reason = format!("the connection cannot be watched: {error}");
        self.fail(Kind::NoResources, &reason, shared);
        self.reason = Some(reason.into());
        self.by = ClosedBy::Server;
        self.gone(shared);
    }

    /// Its conversation did not go as it should, for a reason that no line of a transcript has.
    pub(super) fn fail(&mut self, kind: Kind, reason: &str, shared: &mut Shared<'_>) {
        let line = match &self.role {
            Role::Play(play, script) => Some(play.line(script)),
            _ => None,
        };
        self.tell(Failure::Other { kind, line, reason: reason.to_owned() }, shared);
    }

    fn tell(&self, failure: Failure, shared: &mut Shared<'_>) {
        let conversation = Some(self.conversation(shared.protocol, shared.server));
        shared.tally.failed += 1;
        shared.observer.observe(Event::Failed { conversation, failure });
    }

    /// The server is to stop: where a play may end it ends at once, else when it comes there.
    pub(in crate::drive) fn stop(&mut self, shared: &mut Shared<'_>) -> Fate {
        // What has already come is still answered.
        if self.phase == Phase::Open && self.wants() == Interest::Read && self.read(shared) == Fate::Gone {
            return Fate::Gone;
        }
        if let Phase::Draining { until, .. } = &mut self.phase {
            *until = (*until).min(shared.now.after(shared.linger));
            return Fate::Lives;
        }
        let resting = match &self.role {
            Role::Play(play, script) => play.may_end(script),
            Role::Echo | Role::Discard => true,
            Role::Web(web) => web.is_idle() && self.inbox.is_empty(),
        };
        if self.phase != Phase::Open || !resting || !self.outbox.is_empty() {
            return Fate::Lives;
        }
        // Nothing is unread and nothing unsent: closing now loses nothing.
        self.gone(shared)
    }

    /// Ends it whatever it is doing.
    pub(in crate::drive) fn cut(&mut self, shared: &mut Shared<'_>) -> bool {
        let cut = self.phase == Phase::Open || !self.outbox.is_empty();
        if cut {
            self.reason = Some(match &self.role {
                Role::Play(play, script) if self.phase == Phase::Open => {
                    format!("cut at line {}: the server was stopped", play.line(script)).into()
                }
                _ => "cut: the server was stopped".into(),
            });
        }
        self.gone(shared);
        cut
    }

    /// Ends it because all buffers together take too much.
    pub(in crate::drive) fn evict(&mut self, why: &str, shared: &mut Shared<'_>) -> Fate {
        self.by = ClosedBy::Server;
        self.reason = Some(why.into());
        if self.phase == Phase::Open && matches!(self.role, Role::Play(..)) {
            if shared.is_judged {
                self.fail(Kind::Evicted, why, shared);
            } else {
                shared.tally.failed += 1;
            }
        }
        self.gone(shared)
    }

    /// All is said: shut our end when the queue is empty, then drain.
    pub(in crate::drive) fn finish(&mut self, shared: &mut Shared<'_>) -> Fate {
        self.inbox = Vec::new();
        self.deadline = None;
        if self.phase == Phase::Open {
            // Once: the queue may be met here again, in the phase of finishing.
            self.phase = Phase::Finishing;
            if self.say_end(shared) == Fate::Gone {
                return Fate::Gone;
            }
        }
        if !self.outbox.is_empty() {
            self.phase = Phase::Finishing;
            return Fate::Lives;
        }
        if self.ended {
            // Everything was read, so that closing sends no reset.
            return self.gone(shared);
        }
        self.first_end.get_or_insert(ClosedBy::Server);
        if shutdown(&self.fd, Shutdown::Write).is_err() {
            return self.gone(shared);
        }
        let drain = if shared.stopping { shared.linger } else { limits::DRAIN_WAIT };
        self.phase = Phase::Draining { until: shared.now.after(drain), bytes: 0 };
        Fate::Lives
    }

    /// Says that it is over. Who closed it is whoever sent the first end that was read or sent.
    pub(super) fn gone(&mut self, shared: &mut Shared<'_>) -> Fate {
        self.tell_of_cut_answers(shared);
        let by = match self.by {
            ClosedBy::Timeout | ClosedBy::Reset => self.by,
            ClosedBy::Client | ClosedBy::Server => self.first_end.unwrap_or(self.by),
        };
        shared.tally.close(self.from_client);
        shared.observer.observe(Event::Closed {
            conversation: self.conversation(shared.protocol, shared.server),
            by,
            from_client: self.from_client,
            from_server: self.from_server,
            lasted: Duration::from_nanos(shared.now.nanos().saturating_sub(self.opened.nanos())),
            reason: self.reason.take().map(Into::into),
        });
        Fate::Gone
    }
}
