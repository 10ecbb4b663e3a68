//! What we hear: the one message or the one act of theirs that may come, and what is done with a message that came.

use std::time::Duration;

use super::framing::Line;
use super::step::Ending;
use super::walk::{Stop, Walk};
use super::{Part, Play, Watch};
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
        if let Some(bookkeeping) = &message.fast_path.bookkeeping {
            self.fast_path_with_bookkeeping(play, &message.fast_path, bookkeeping);
            // Behind what was answered on a stream there is mostly nothing, and nothing to look at.
            if self.rest().is_empty() {
                self.begin_waiting(play);
                return Err(self.wait(play));
            }
        }
        self.begin_waiting(play);
        if message.form != Form::Text {
            let together = play.together;
            return match self.raw_at_hand(play, 1, None, |_, _| Some((index, together)))? {
                Some((_, length)) => {
                    self.take(play, length, length)?;
                    self.watch.heard(message.place.line, self.input.now);
                    Ok(())
                }
                None => Err(self.differs(play, index)),
            };
        }
        let line = self.line(play)?;
        if !matcher::line_matches(message, &self.rest()[..line.text], self.scratch) {
            return Err(self.aside_or(play, |walk, play| walk.differs(play, index)));
        }
        self.take_line(play, line)?;
        self.watch.heard(message.place.line, self.input.now);
        Ok(())
    }

    /// Tells who watches that all of a message has come.
    pub(super) fn note_heard(&mut self, message: usize) {
        if let Some(message) = self.script.program.messages.get(message) {
            self.watch.heard(message.place.line, self.input.now);
        }
    }

    /// Waits for an act of theirs.
    #[inline(never)]
    pub(super) fn expect(&mut self, play: &mut Play, action: StreamAction) -> Result<(), Stop> {
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
        match action {
            StreamAction::Close if self.is_over() => {
                Err(Stop::end(play.end_connection(self.script, play.pc, Ending::Left)))
            }
            StreamAction::StopSending if self.is_over() => {
                play.waiting_since = None;
                Ok(())
            }
            StreamAction::Reset if self.is_over() => Err(self.fail(play, Fault::ClosedEarly)),
            _ => Err(self.wait(play)),
        }
    }

    /// A text line came: what its holes got are values from here on.
    pub(super) fn take_line(&mut self, play: &mut Play, line: Line) -> Result<(), Stop> {
        play.line_ending = line.ending;
        play.after_gap = line.by_gap;
        self.take(play, line.text, line.next)
    }

    /// A message came, of which the first bytes are its text; the next one begins behind `next` bytes.
    pub(super) fn take(&mut self, play: &mut Play, text: usize, next: usize) -> Result<(), Stop> {
        let line = &self.rest()[..text];
        if let Err(TooLarge { slot }) = self.scratch.take_captured(line) {
            return Err(self.too_large(play, play.pc, slot));
        }
        self.at += next;
        if self.datagram {
            let is_whole = self.rest().is_empty();
            self.datagram = !is_whole;
            if play.together {
                play.part = if is_whole { Part::All } else { Part::Some };
            }
        }
        play.waiting_since = None;
        play.extra_wait = Duration::ZERO;
        play.scanned = 0;
        play.gained = 0;
        Ok(())
    }
}
