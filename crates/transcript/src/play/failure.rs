//! How a walk fails: each fault ends the play with its account.

use super::walk::{Stop, Walk};
use super::{Part, Play, Watch};
use crate::function::{Function, NotEncoded};
use crate::program::{Pc, matcher};
use crate::values::MOST_VALUES;
use crate::verdict::{Fault, Verdict};

/// What came instead of the lines that are missing in a datagram.
const DATAGRAM_END: &str = "the end of the datagram";

impl<W: Watch> Walk<'_, W> {
    /// The account of a failure where the play stands.
    #[inline(never)]
    pub(super) fn account(&mut self, play: &mut Play, fault: Fault, received: &[u8]) -> Verdict {
        self.keep_said(play);
        play.verdict(self.script, fault, received, self.scratch)
    }

    /// What came is not what the message says.
    pub(super) fn differs(&mut self, play: &mut Play, index: usize) -> Stop {
        let message = &self.script.program.messages[index];
        let Some(slot) = matcher::bad_count(message, self.rest(), self.scratch) else {
            return self.fail(play, Fault::Differs);
        };
        let value = self.scratch.value(slot).unwrap_or_default().to_vec();
        let mut verdict = self.account(play, Fault::NotACount, &[]);
        self.script.program.name(slot).clone_into(&mut verdict.name);
        verdict.received = value;
        verdict.expected.clear();
        Stop::failed(verdict)
    }

    pub(super) fn fail(&mut self, play: &mut Play, fault: Fault) -> Stop {
        let mut received = self.rest();
        if let (Fault::Differs, Some(end)) = (fault, self.line_end(play)) {
            received = &received[..end];
        }
        let verdict = self.account(play, fault, received);
        Stop::failed(verdict)
    }

    /// A datagram ended before the block of lines did that is to be in it.
    #[cold]
    pub(super) fn datagram_ended(&mut self, play: &mut Play) -> Stop {
        // What was expected is a part of that datagram.
        play.part = Part::Some;
        let mut verdict = self.account(play, Fault::Differs, &[]);
        // Nothing came that could be compared, not even an empty line.
        verdict.byte = None;
        DATAGRAM_END.clone_into(&mut verdict.name);
        Stop::failed(verdict)
    }

    /// The values of the play would grow too large.
    pub(super) fn too_large(&mut self, play: &mut Play, pc: Pc, slot: usize) -> Stop {
        self.value_is_wrong(play, pc, slot, Fault::ValuesTooLarge { most: MOST_VALUES }, Vec::new())
    }

    /// A value that was heard is not what a function reads.
    pub(super) fn bad_value(&mut self, play: &mut Play, pc: Pc, slot: usize, value: Vec<u8>, why: NotEncoded) -> Stop {
        let Function::Write(number) = why.function else {
            let mut verdict = self.wrong_value(play, pc, Fault::NotEncoded, value);
            self.script.program.name(slot).clone_into(&mut verdict.name);
            verdict.refused = Some(why);
            return Stop::failed(verdict);
        };
        let mut verdict = self.wrong_value(play, pc, Fault::NoFit, value);
        verdict.name = format!("{}:{number}", self.script.program.name(slot));
        Stop::failed(verdict)
    }

    pub(super) fn value_is_wrong(
        &mut self,
        play: &mut Play,
        pc: Pc,
        slot: usize,
        fault: Fault,
        received: Vec<u8>,
    ) -> Stop {
        let mut verdict = self.wrong_value(play, pc, fault, received);
        self.script.program.name(slot).clone_into(&mut verdict.name);
        Stop::failed(verdict)
    }

    pub(super) fn wrong_value(&mut self, play: &mut Play, pc: Pc, fault: Fault, received: Vec<u8>) -> Verdict {
        let mut verdict = self.account(play, fault, &[]);
        verdict.place = self.script.program.places[pc];
        verdict.expected.clear();
        verdict.received = received;
        verdict
    }
}
