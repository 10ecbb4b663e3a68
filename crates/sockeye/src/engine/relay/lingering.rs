//! A connection is over, and who stood behind one of its ends is not: a program that has lost its peer has the grace to end
//! by itself, and what a bridge has in its hands still goes where it was to go. Then the connection is told of, with how the
//! program ended.

use std::time::Duration;

use transcript::Moment;

use super::RelayLoop;
use super::summary::{Outcome, PairFailure};
use crate::event::Event;
use crate::failure::{Failure, Kind};
use crate::limits::TERM_WAIT;
use crate::net::local::Guest;

/// How often they are looked at, at first and at most.
const LOOK: Duration = Duration::from_micros(200);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct LingeringPair {
    guests: Vec<Guest>,
    event: Event,
    outcome: Outcome,
    /// When programs are asked to end, and whether they were.
    term_at: Moment,
    was_asked: bool,
    look: Duration,
    next: Moment,
}

impl LingeringPair {
    pub(super) fn new(guests: Vec<Guest>, event: Event, outcome: Outcome, now: Moment, grace: Duration) -> Self {
        Self { guests, event, outcome, term_at: now.after(grace), was_asked: false, look: LOOK, next: now }
    }

    /// When it is looked at next.
    pub(super) fn wakes(&self) -> Moment {
        self.next
    }

    /// Whether all are over, or have had their time.
    fn is_over(&mut self, now: Moment) -> bool {
        if self.guests.iter_mut().all(|guest| guest.is_over()) {
            return true;
        }
        if now >= self.term_at && !std::mem::replace(&mut self.was_asked, true) {
            for guest in &self.guests {
                guest.signal(libc::SIGTERM);
            }
        }
        let has_program = self.guests.iter().any(|guest| guest.is_program());
        if has_program && now >= self.term_at.after(TERM_WAIT) {
            return true;
        }
        self.next = now.after(self.look);
        self.look = (self.look * 2).min(LONGEST_LOOK);
        false
    }

    /// What is told in the end.
    fn conclude(self) -> (Event, Outcome) {
        let Self { guests, mut event, mut outcome, .. } = self;
        for left in guests.into_iter().map(|guest| guest.leave()) {
            let failure = Failure::of_left(&left);
            if let Some(failure) = &failure {
                let of_pair = PairFailure::Kind(failure.kind());
                if failure.kind() == Kind::Program {
                    outcome.failure.get_or_insert(of_pair);
                } else {
                    // The reset that followed from it is no news.
                    outcome.failure = Some(of_pair);
                }
            }
            if let Event::Closed { ended, reason, .. } = &mut event {
                *ended = ended.or(left.ended);
                if let Some(Failure::Other { kind, reason: why, .. }) = failure
                    && kind != Kind::Program
                {
                    *reason = Some(why);
                }
            }
        }
        (event, outcome)
    }
}

impl RelayLoop {
    /// Looks whether those are over that are waited for.
    pub(super) fn finish_lingering(&mut self) {
        let mut index = 0;
        while index < self.lingering.len() {
            let pair = &mut self.lingering[index];
            if pair.next <= self.now && pair.is_over(self.now) {
                let pair = self.lingering.swap_remove(index);
                self.finish(pair);
            } else {
                index += 1;
            }
        }
    }

    /// Those that are not over by now are ended.
    pub(super) fn finish(&mut self, pair: LingeringPair) {
        let (event, outcome) = pair.conclude();
        self.is_over(event, &outcome);
    }
}
