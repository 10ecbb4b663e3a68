//! The part of a generator that asks over HTTP: each request is a play of one exchange, and several may be on their way over one
//! connection.

use std::time::Duration;

use transcript::Moment;

use super::{Generator, Stage, StartPolicy};
use crate::endpoint::Conversation;
use crate::failure::Failure;

/// What is asked, again and again.
#[derive(Debug)]
pub(crate) struct Request {
    /// The bytes of as many requests as may be on their way at once.
    pub(crate) bytes: Vec<u8>,
    /// How long one of them is.
    pub(crate) length: usize,
    /// How many may be on their way over a connection.
    pub(crate) depth: usize,
    /// Whether an answer has a body at all.
    pub(crate) wants_body: bool,
    /// A connection for each.
    pub(crate) reconnects: bool,
    /// How long the server may be silent.
    pub(crate) wait: Duration,
    /// The status that answers must have; none: one of success, or a redirect.
    pub(crate) status: Option<u16>,
}

/// What a connection does that has room for one more request.
pub(crate) enum Room {
    /// It asks; that was due then.
    Ask(Moment),
    /// Nothing is due.
    Rest,
    /// Nothing will be.
    Over,
}

impl Generator {
    /// A connection has room for one more request.
    pub(in crate::engine) fn next_request(&mut self, slot: usize, now: Moment) -> Room {
        self.now = now;
        if let Some(due) = self.again.pop_front() {
            self.playing += 1;
            self.slots[slot].stage = Stage::Playing;
            return Room::Ask(due);
        }
        if !self.may_begin() {
            return Room::Over;
        }
        let due = match &mut self.job.start {
            StartPolicy::Closed { think } if !think.is_zero() && self.slots[slot].stage == Stage::Playing => {
                self.slots[slot].stage = Stage::Resting;
                self.wakes.push(std::cmp::Reverse((now.after(*think), slot as u32)));
                return Room::Rest;
            }
            StartPolicy::Closed { .. } => now,
            StartPolicy::Open(schedule) => {
                let due = schedule.next();
                if due > now || due >= self.until {
                    self.slots[slot].stage = Stage::Resting;
                    self.slots[slot].since = now;
                    self.set_free(slot as u32);
                    return Room::Rest;
                }
                schedule.advance();
                let held = Duration::from_nanos(now.nanos() - due.nanos());
                if held > super::LATE {
                    self.account.held += 1;
                    self.account.held_by = self.account.held_by.max(held);
                }
                due
            }
        };
        self.left -= 1;
        self.playing += 1;
        self.account.begun += 1;
        self.slots[slot].stage = Stage::Playing;
        self.slots[slot].number = self.number;
        self.number += self.job.numbers.1;
        Room::Ask(due)
    }

    /// An answer came that is right, to what was due then.
    pub(in crate::engine) fn answered(&mut self, slot: usize, due: Moment, now: Moment) {
        self.playing -= 1;
        let latency = Duration::from_nanos(now.nanos().saturating_sub(due.nanos()));
        (self.slots[slot].backoff, self.slots[slot].is_proven) = (Duration::ZERO, true);
        self.account.last = Duration::from_nanos(now.nanos());
        self.record(|recorder| {
            recorder.exchange(0, latency);
            recorder.short_play();
        });
    }

    /// A request failed.
    pub(in crate::engine) fn request_failed(
        &mut self,
        slot: usize,
        failure: &Failure,
        conversation: impl FnOnce() -> Conversation,
    ) {
        self.playing -= 1;
        self.account.first.get_or_insert(failure.kind());
        let number = self.slots[slot].number;
        let account = || failure.of(Some(&Conversation { number, ..conversation() }));
        self.record(|recorder| recorder.failure(Some(0), failure.kind().name(), account));
    }

    /// What is to be counted as failed was never asked.
    pub(in crate::engine) fn unasked(&mut self, slot: usize) {
        self.playing += 1;
        self.account.begun += 1;
        self.left = self.left.saturating_sub(1);
        self.slots[slot].number = self.number;
        self.number += self.job.numbers.1;
    }

    /// The server closed the connection before it came to this one, which is asked again (RFC 9112, section 9.3.2).
    pub(in crate::engine) fn ask_again(&mut self, due: Moment) {
        self.playing -= 1;
        self.again.push_back(due);
    }

    /// Requests were on their way when it ended.
    pub(in crate::engine) fn cut_requests(&mut self, slot: usize, count: usize) {
        self.slots[slot].stage = Stage::Resting;
        self.playing -= count;
        self.account.cut += count as u64;
    }

    /// The connection of requests is closed, with none on its way.
    pub(in crate::engine) fn rests(&mut self, slot: usize, is_lapsed: bool) {
        self.slots[slot].stage = Stage::Resting;
        self.account.lapsed += u64::from(is_lapsed);
    }
}
