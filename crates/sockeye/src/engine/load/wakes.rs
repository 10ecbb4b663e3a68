//! When a generator has something to do, and when it gives up.

use std::cmp::Reverse;
use std::time::Duration;

use transcript::Moment;

use super::{Account, Generator, Stage, StartPolicy};
use crate::limits;

impl Generator {
    /// Says how long the run has gone on.
    pub(in crate::engine) fn tick(&mut self) {
        let elapsed = Duration::from_nanos(self.now.nanos());
        self.record(|recorder| recorder.tick(elapsed));
    }

    /// Whether no connection came about from the beginning on: nothing but refusals came, or there was no room here for one.
    pub(in crate::engine) fn has_no_server(&self) -> bool {
        let Account { connected, refused, portless, fileless, .. } = self.account;
        let lasted = Duration::from_nanos(self.now.nanos());
        let is_vain = refused > 0 && lasted > limits::LOAD_REFUSED_WAIT
            || portless + fileless > 0 && lasted > limits::LOAD_SHORTAGE_WAIT;
        connected == 0 && is_vain
    }

    /// When there is something to begin, or a second is past.
    pub(in crate::engine) fn next_wake(&self) -> Option<Moment> {
        let second = Moment::from_nanos((self.now.nanos() / 1_000_000_000 + 1) * 1_000_000_000);
        let wakes = self.wakes.peek().map(|Reverse((at, _))| *at);
        let due = if self.free.is_empty() { None } else { self.due() };
        let until = Some(self.until).filter(|until| *until > self.now);
        [Some(second), wakes, due, until].into_iter().flatten().min()
    }

    /// Plays that were due and never began are cut.
    pub(in crate::engine) fn give_up_due(&mut self) {
        while self.may_begin() && self.due().is_some_and(|due| due <= self.now) {
            if let StartPolicy::Open(schedule) = &mut self.job.start {
                schedule.advance();
            }
            self.left -= 1;
            self.account.cut += 1;
        }
    }

    /// A slot whose time has come.
    pub(in crate::engine) fn woken(&mut self) -> Option<u32> {
        self.wakes.peek().filter(|Reverse((at, _))| *at <= self.now)?;
        self.wakes.pop().map(|Reverse((_, slot))| slot)
    }

    /// Connections that have ended are to be opened again, where plays may still begin.
    pub(in crate::engine) fn take_back_ended(&mut self) {
        while let Some(slot) = self.ended.pop() {
            let (place, keeps) = (&self.slots[slot as usize], self.keeps());
            if place.stage != Stage::Closed {
                continue;
            }
            let backoff = place.backoff;
            let think = match self.job.start {
                // Between two plays over connections of their own, too.
                StartPolicy::Closed { think } if !keeps => think,
                _ => Duration::ZERO,
            };
            self.slots[slot as usize].since = self.now;
            if self.opens_when_due() && backoff.is_zero() {
                self.set_free(slot);
            } else {
                self.wakes.push(Reverse((self.now.after(backoff.max(think)), slot)));
            }
        }
    }
}
