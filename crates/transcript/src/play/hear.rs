//! What we hear: the one message or the one act of theirs that may come, and what is done with a message that came.

use std::time::Duration;

use super::framing::Heard;
use super::step::Ending;
use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::carrier::Carrier;
use crate::program::{StreamAction, matcher};
use crate::syntax::Form;
use crate::values::TooLarge;
use crate::verdict::Fault;

impl<W: Watch> Walk<'_, W> {
    /// Hears the one message that may come here.
    pub(super) fn hear(&mut self, play: &mut Play, index: usize) -> Result<(), Stop> {
        self.owes_ending = false;
        let script = self.script;
        let message = &script.program.messages[index];
        if let Some(own) = &message.fast_path.own {
            self.fast_path_with_bookkeeping(play, &message.fast_path, own);
            // Behind what was answered on a stream there is mostly nothing, and nothing to look at.
            if self.rest().is_empty() {
                self.begin_waiting(play);
                return Err(self.wait(play));
            }
        }
        self.begin_waiting(play);
        if message.form != Form::Text {
            let together = play.together;
            return match self.run_at_hand(play, 1, None, |_, _| Some((index, together)))? {
                Some((_, length)) => {
                    self.take(play, length, length)?;
                    self.watch.heard(message.place.line, self.input.now);
                    Ok(())
                }
                None => Err(self.differs(play, index)),
            };
        }
        let (text, next, heard, by_gap) = self.line(play)?;
        let line = &self.rest()[..text];
        if !matcher::line_matches(message, line, self.scratch) {
            return Err(self.aside_or(play, |walk, play| walk.differs(play, index)));
        }
        self.take_line(play, text, next, heard, by_gap)?;
        self.watch.heard(message.place.line, self.input.now);
        Ok(())
    }

    /// Tells who watches that all of a message has come.
    pub(super) fn told(&mut self, message: usize) {
        if let Some(message) = self.script.program.messages.get(message) {
            self.watch.heard(message.place.line, self.input.now);
        }
    }

    /// Waits for an act of theirs.
    #[inline(never)]
    pub(super) fn expect(&mut self, play: &mut Play, deed: StreamAction) -> Result<(), Stop> {
        self.owes_ending = false;
        self.begin_waiting(play);
        self.skip_late_ending(play);
        if self.script.carrier == Carrier::Datagram {
            // Closing sends nothing there: the play is simply over.
            return Err(Stop::end(Ending::Done));
        }
        // A packet of no bytes is one, too.
        if !self.rest().is_empty() || self.datagram {
            return Err(self.aside_or(play, |walk, play| walk.fail(play, Fault::UnexpectedData)));
        }
        match deed {
            StreamAction::Close if self.is_over() => Err(Stop::end(play.part(self.script, play.pc, Ending::Left))),
            StreamAction::StopSending if self.is_over() => {
                play.since = None;
                Ok(())
            }
            StreamAction::Reset if self.is_over() => Err(self.fail(play, Fault::ClosedEarly)),
            _ => Err(self.wait(play)),
        }
    }

    pub(super) fn take_line(
        &mut self,
        play: &mut Play,
        text: usize,
        next: usize,
        heard: Heard,
        by_gap: bool,
    ) -> Result<(), Stop> {
        play.heard = heard;
        play.after_gap = by_gap;
        self.take(play, text, next)
    }

    pub(super) fn take(&mut self, play: &mut Play, text: usize, next: usize) -> Result<(), Stop> {
        let line = &self.rest()[..text];
        if let Err(TooLarge { slot }) = self.scratch.take_captured(line) {
            return Err(self.too_large(play, play.pc, slot));
        }
        self.at += next;
        if self.datagram && self.rest().is_empty() {
            self.datagram = false;
        }
        play.since = None;
        play.patience = Duration::ZERO;
        play.scanned = 0;
        play.gained = 0;
        Ok(())
    }
}
