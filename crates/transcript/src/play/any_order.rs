//! Messages that may come in any order, and which of them have come.

use std::ops::Range;

use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::carrier::Carrier;
use crate::program::{Found, Literals, Order, Pc, matcher};
use crate::syntax::Form;
use crate::verdict::Fault;

impl Play {
    /// Whether a line of those that may come in any order has come.
    pub(super) fn has_come(&self, order: &Order, index: usize) -> bool {
        let bit = order.bit(index);
        self.counters[order.counter + bit / 32] >> (bit % 32) & 1 == 1
    }

    /// The first of some bits that stands for a line which has not come. Of many that have, a word is looked at at once.
    pub(super) fn missing(&self, order: &Order, bits: Range<usize>) -> Option<usize> {
        let mut bit = bits.start;
        while bit < bits.end {
            let missing = !self.counters[order.counter + bit / 32] >> (bit % 32);
            if missing != 0 {
                bit += missing.trailing_zeros() as usize;
                return (bit < bits.end).then_some(bit);
            }
            bit = (bit / 32 + 1) * 32;
        }
        None
    }

    /// Whether all lines have come of those that may come in any order.
    fn have_all_come(&self, order: &Order) -> bool {
        self.counters[order.came] as usize == order.messages.len()
    }
}

impl<W: Watch> Walk<'_, W> {
    /// Says the next of lines that may come in any order, or hears one of those that have not come.
    #[inline(never)]
    pub(super) fn any_order(&mut self, play: &mut Play, which: usize) -> Result<Pc, Stop> {
        let program = &self.script.program;
        let order = &program.orders[which];
        if order.ours {
            let said = play.counters[order.counter] as usize;
            let Some(&message) = order.messages.get(said) else { return Ok(play.pc + 1) };
            self.say(play, message)?;
            play.counters[order.counter] += 1;
            return Ok(play.pc);
        }
        if play.have_all_come(order) {
            return Ok(play.pc + 1);
        }
        self.owes_ending = false;
        self.begin_waiting(play);
        match &order.literals {
            _ if program.messages[order.messages[0]].form == Form::Text => self.any_line(play, which),
            Some(literals) if program.asides.is_empty() => self.any_literal(play, which, literals),
            _ => self.any_raw(play, which),
        }
    }

    /// Hears one of many text lines.
    fn any_line(&mut self, play: &mut Play, which: usize) -> Result<Pc, Stop> {
        let order = &self.script.program.orders[which];
        let line = self.line(play)?;
        let Some(index) = self.which_line(play, order, &self.rest()[..line.text]) else {
            return Err(self.aside_or(play, |walk, play| walk.fail(play, Fault::Differs)));
        };
        self.mark_heard(play, which, order.messages[index]);
        self.take_line(play, line)?;
        Ok(play.pc)
    }

    /// Which of the lines that have not come this is.
    fn which_line(&mut self, play: &Play, order: &Order, line: &[u8]) -> Option<usize> {
        self.scratch.captured.clear();
        let messages = &self.script.program.messages;
        let missing = |bits: Range<usize>| play.missing(order, bits);
        match (&order.literals, &order.keys) {
            (Some(literals), _) => literals.equal(line, missing),
            (None, Some(keys)) => {
                let mut found = std::mem::take(&mut self.scratch.found);
                keys.of_whole(line, missing, &mut found);
                let fits = |&index: &usize| matcher::line_matches(&messages[order.messages[index]], line, self.scratch);
                let first = found.iter().copied().find(fits);
                self.scratch.found = found;
                first
            }
            (None, None) => (0..order.messages.len()).find(|&index| {
                let message = &messages[order.messages[index]];
                !play.has_come(order, index) && matcher::line_matches(message, line, self.scratch)
            }),
        }
    }

    /// Hears one of many `raw` and `hex` messages.
    fn any_raw(&mut self, play: &mut Play, which: usize) -> Result<Pc, Stop> {
        let order = &self.script.program.orders[which];
        let together = play.together;
        let candidate =
            |play: &Play, index: usize| (!play.has_come(order, index)).then(|| (order.messages[index], together));
        match self.raw_at_hand(play, order.messages.len(), Some(order), candidate)? {
            Some((index, length)) => {
                self.mark_heard(play, which, order.messages[index]);
                self.take(play, length, length)?;
                Ok(play.pc)
            }
            None => Err(self.fail(play, Fault::Differs)),
        }
    }

    /// The same where all of them are known texts.
    fn any_literal(&mut self, play: &mut Play, which: usize, literals: &Literals) -> Result<Pc, Stop> {
        let order = &self.script.program.orders[which];
        if play.after_gap {
            let mut missing = (0..order.messages.len()).filter(|&index| !play.has_come(order, index));
            let may_be_its_own =
                missing.any(|index| self.script.program.messages[order.messages[index]].begins_with_ending());
            self.late_ending_before_raw(play, may_be_its_own)?;
        }
        let missing = |bits: Range<usize>| play.missing(order, bits);
        let Found { whole, may_become_longer } = match (self.script.carrier, self.datagram) {
            (Carrier::Stream | Carrier::Messages, _) => literals.find(self.rest(), missing),
            // Inside `together` it is a part of one, and nothing more comes of it.
            (Carrier::Datagram | Carrier::Packet, true) if play.together => {
                Found { may_become_longer: false, ..literals.find(self.rest(), missing) }
            }
            (Carrier::Datagram | Carrier::Packet, true) => Found {
                whole: literals.equal(self.rest(), missing).map(|index| (index, self.rest().len())),
                may_become_longer: false,
            },
            (Carrier::Datagram | Carrier::Packet, false) => Found { whole: None, may_become_longer: true },
        };
        match whole {
            _ if may_become_longer && (whole.is_none() || !self.is_decided(play)) => Err(self.wait(play)),
            None => Err(self.fail(play, Fault::Differs)),
            Some((index, length)) => {
                self.scratch.captured.clear();
                self.mark_heard(play, which, order.messages[index]);
                self.take(play, length, length)?;
                Ok(play.pc)
            }
        }
    }

    /// Notes that a line came of those that may come in any order.
    pub(super) fn mark_heard(&mut self, play: &mut Play, order: usize, message: usize) {
        self.note_heard(message);
        let order = &self.script.program.orders[order];
        // They were put down one behind the other.
        let bit = order.bit(message - order.messages[0]);
        play.counters[order.counter + bit / 32] |= 1 << (bit % 32);
        play.counters[order.came] += 1;
    }
}
