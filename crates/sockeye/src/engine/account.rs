//! What is told of a conversation, and what it counts for: the same over streams and datagrams, at either end.

use std::time::Duration;

use transcript::{FaultKind, Moment};

use super::context::Context;
use super::origin::Closer;
use crate::event::{Conversation, Event};
use crate::failure::{Failure, Kind};
use crate::sys::child::Ended;

/// A conversation that is over.
pub(super) struct Closed {
    pub(super) conversation: Conversation,
    pub(super) by: Closer,
    pub(super) opened: Moment,
    /// Bytes of the peer that were taken, and bytes of ours that left.
    pub(super) received: u64,
    pub(super) sent: u64,
    /// Bytes of the peer that came behind the end.
    pub(super) unjudged: u64,
    pub(super) reason: Option<String>,
    /// How its program ended.
    pub(super) ended: Option<Ended>,
}

/// Why a conversation ended in which nothing came for that long.
pub(super) fn silence(waited: Duration) -> String {
    format!("nothing came for {} (--timeout)", transcript::seconds(waited))
}

/// Why a conversation ended that a server cut, at a line of its transcript if it stood at one.
pub(super) fn cut_at(line: Option<usize>) -> String {
    match line {
        Some(line) => format!("cut at line {line}: the server was stopped"),
        None => "cut: the server was stopped".to_owned(),
    }
}

impl Context<'_> {
    /// A conversation did not go as it should.
    pub(super) fn tell_failure(&mut self, conversation: Conversation, failure: Failure) {
        self.tally.failed += 1;
        self.observer.observe(Event::Failed { conversation: Some(conversation), failure });
    }

    /// A play was ended because all of them together take too much. It counts as failed; where plays are judged, that is told.
    pub(super) fn tell_eviction(
        &mut self,
        line: Option<usize>,
        why: &str,
        conversation: impl FnOnce() -> Conversation,
    ) {
        if self.is_judged {
            let reason = why.to_owned();
            self.tell_failure(conversation(), Failure::Other { kind: Kind::Evicted, line, reason });
        } else {
            self.tally.failed += 1;
        }
    }

    /// What a silence or a reset between two exchanges is: no failure of a server's, unless one asked for it to be.
    pub(super) fn between_exchanges(&self, fault: FaultKind, reason: &str, line: Option<usize>) -> Option<Failure> {
        let reason = match self.origin.is_client() {
            true => reason.to_owned(),
            false if self.strict => format!("{reason} (--strict)"),
            false => return None,
        };
        Some(Failure::Other { kind: Kind::Fault(fault), line, reason })
    }

    /// A conversation is over.
    pub(super) fn tell_closed(&mut self, closed: Closed) {
        let Closed { conversation, by, opened, received, sent, unjudged, reason, ended } = closed;
        self.tally.close(received);
        let (from_client, from_server) = if self.origin.is_client() { (sent, received) } else { (received, sent) };
        self.observer.observe(Event::Closed {
            conversation,
            by: self.origin.closed_by(by),
            from_client,
            from_server,
            unjudged,
            lasted: Duration::from_nanos(self.now.nanos().saturating_sub(opened.nanos())),
            reason,
            ended,
        });
    }
}
