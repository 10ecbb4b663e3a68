//! How long is waited for what the other side says: for its next message, and for a gap that ends a line.

use super::step::Ending;
use super::walk::{Stop, Walk};
use super::{Part, Play, Watch};
use crate::moment::Moment;
use crate::pattern::MOST_BYTES;
use crate::program::{Fork, Op};
use crate::syntax::Form;
use crate::verdict::Fault;

/// Bytes that must come within the time limit while something is awaited that is no line.
const GAIN: u64 = crate::limits::GAIN;

/// How many gaps the rest of a character may take. Text that is not UTF-8 may look like half a character, and must not
/// wait for ever.
const GAPS_INSIDE_A_CHARACTER: u32 = 10;

impl<W: Watch> Walk<'_, W> {
    /// Whether nothing will come soon that makes a message longer.
    pub(super) fn is_decided(&self, play: &Play) -> bool {
        self.input.ended
            || self.script.carrier.keeps_bounds()
            || self.is_quiet(play)
            || self.overdue_at(play).is_some_and(|at| self.input.now >= at)
    }

    pub(super) fn begin_waiting(&mut self, play: &mut Play) {
        if play.waiting_since.is_none() {
            play.waiting_since = Some(self.input.now);
            // Nothing of before is needed any more: the memory is free for the next round.
            if !self.script.program.live[play.pc] {
                self.scratch.forget();
            }
        }
    }

    /// More is needed: wait for it, unless it is too late.
    pub(super) fn wait(&mut self, play: &mut Play) -> Stop {
        if play.part == Part::All && !self.datagram && !self.may_leave_datagram(play) {
            return self.datagram_ended(play);
        }
        let come = self.rest().len();
        // Mostly nothing has come yet.
        if come > 0 && self.awaits_bytes(play) {
            if come > MOST_BYTES {
                return self.fail(play, Fault::TooMuch { most: MOST_BYTES });
            }
            // What is not a line may take long, as long as it comes.
            if come as u64 - play.gained.min(come as u64) >= GAIN {
                (play.gained, play.waiting_since) = (come as u64, Some(self.input.now));
            }
        }
        let overdue = self.overdue_at(play).is_some_and(|at| self.input.now >= at);
        if self.is_over() {
            return match self.script.program.ops[play.pc] {
                Op::Choice(_) => Stop::More,
                _ => self.fail(play, Fault::ClosedEarly),
            };
        }
        if self.input.ended && !self.rest().is_empty() {
            return self.fail(play, Fault::ClosedEarly);
        }
        if !overdue {
            return Stop::More;
        }
        let waited = self.script.wait.unwrap_or_default() + play.extra_wait;
        let at_loop = match &self.script.program.ops[play.pc] {
            Op::Choice(index) => matches!(self.script.program.choices[*index].kind, Fork::Loop { .. }),
            _ => false,
        };
        if at_loop && self.rest().is_empty() && self.script.may_leave {
            return Stop::end(Ending::IdleTimeout { waited });
        }
        self.fail(play, Fault::NothingCame { waited })
    }

    /// Whether bytes are awaited that are no text line.
    fn awaits_bytes(&self, play: &Play) -> bool {
        let program = &self.script.program;
        match &program.ops[play.pc] {
            Op::Hear(message) => program.messages[*message].form != Form::Text,
            Op::AnyOrder(order) => program.messages[program.orders[*order].messages[0]].form != Form::Text,
            Op::Choice(choice) => program.choices[*choice].has_lines && !program.choices[*choice].has_text,
            _ => false,
        }
    }

    fn overdue_at(&self, play: &Play) -> Option<Moment> {
        Some(play.waiting_since?.after(self.script.wait? + play.extra_wait))
    }

    /// When what has come counts as quiet for the gap. In the middle of a character that is longer: its other bytes belong
    /// to it, however late they are.
    #[inline]
    fn quiet_at(&self, play: &Play) -> Option<Moment> {
        let gap = self.script.gap?;
        let times = if ends_inside_a_character(self.rest()) { GAPS_INSIDE_A_CHARACTER } else { 1 };
        Some(play.last_received.after(gap.saturating_mul(times)))
    }

    pub(super) fn is_quiet(&self, play: &Play) -> bool {
        self.quiet_at(play).is_some_and(|at| self.input.now >= at)
    }

    /// When to look again if nothing comes: the gap behind an unfinished line, or the end of our wait.
    pub(super) fn deadline(&self, play: &Play) -> Option<Moment> {
        let overdue = self.overdue_at(play);
        match self.quiet_at(play) {
            // A gap that is over and ended nothing, as of a message in the middle, will not be over again.
            Some(quiet) if !self.rest().is_empty() && quiet > self.input.now => {
                Some(overdue.map_or(quiet, |overdue| overdue.min(quiet)))
            }
            _ => overdue,
        }
    }
}

/// Whether bytes are UTF-8 whose last character is not whole yet.
fn ends_inside_a_character(bytes: &[u8]) -> bool {
    let last = &bytes[bytes.len().saturating_sub(4)..];
    // Not in the middle of a character at the front.
    let front = last.iter().position(|byte| !(0x80..0xc0).contains(byte)).unwrap_or(last.len());
    std::str::from_utf8(&last[front..]).is_err_and(|error| error.error_len().is_none())
}
