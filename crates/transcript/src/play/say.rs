//! What we say: values and defaults are filled in, line endings follow the other side's.

use super::framing::LineEnding;
use super::step::{Ending, Next};
use super::walk::{Stop, Walk};
use super::{Last, Part, Play, Watch};
use crate::carrier::{Bound, Carrier, MessageKind};
use crate::program::{Depends, Generated, MOST_SAID, Message, Pattern, Piece, PieceKind, matcher};
use crate::script::DATAGRAM;
use crate::syntax::{Eol, Form};
use crate::values::{MOST_VALUES, TooLarge};
use crate::verdict::Fault;

/// Most bytes of what was said last that are kept for the account of a failure.
pub(super) const MOST_SHOWN: usize = 16 * 1024;

impl<W: Watch> Walk<'_, W> {
    /// Says a message.
    pub(super) fn say(&mut self, play: &mut Play, index: usize) -> Result<(), Stop> {
        let message = &self.script.program.messages[index];
        self.messages += 1;
        if std::mem::take(&mut self.owes_ending) {
            self.output.bytes.push(b'\n');
        }
        let start = self.output.bytes.len();
        for piece in &message.pieces {
            let from = self.output.bytes.len();
            if let Err(fault) = self.say_piece(play, piece, start) {
                let slot = match &piece.kind {
                    PieceKind::Capture { slot, .. } => *slot,
                    _ => None,
                };
                return Err(self.refuse_piece(play, (index, start), piece, slot, fault));
            }
            if let PieceKind::Capture { pattern: Pattern::BytesOf(count), .. } = &piece.kind
                && self.scratch.value(count.slot).and_then(|value| count.of(value))
                    != Some(self.output.bytes.len() - from)
            {
                return Err(self.refuse_piece(play, (index, start), piece, Some(count.slot), Fault::WrongLength));
            }
        }
        self.may_be_said(play, message, index, start)?;
        if self.script.keep_said {
            let end = self.output.bytes.len().min(start + MOST_SHOWN);
            self.last = Some(Last { line: message.place.line, start, end });
        }
        if message.form == Form::Text {
            self.end_line(play);
        } else {
            self.kind = MessageKind::Binary;
        }
        if play.together {
            self.said = true;
        } else {
            let owes = self.owes_ending;
            self.end_datagram();
            self.owes_ending = owes && self.script.carrier == Carrier::Stream;
        }
        self.watch.said(message.place.line, self.input.now);
        Ok(())
    }

    /// Whether what was put together may be said: it breaks no line, is taken for no other one, and is not too long.
    #[inline]
    fn may_be_said(&mut self, play: &mut Play, message: &Message, index: usize, start: usize) -> Result<(), Stop> {
        let said = &self.output.bytes[start..];
        let streamed_text = message.form == Form::Text && !self.script.carrier.keeps_bounds();
        if streamed_text
            && self.script.may_break_lines
            && message.depends == Depends::Play
            && memchr::memchr(b'\n', said).is_some()
        {
            return Err(self.refuse(play, index, start, Fault::BrokenLine));
        }
        if !message.rivals.is_empty()
            && message.depends == Depends::Play
            && let Some(rival) = self.heard_as(index, start)
        {
            return Err(self.refuse(play, index, start, Fault::Misheard { line: rival }));
        }
        let begins = self.output.datagrams.last().copied().unwrap_or(0);
        if self.script.carrier.keeps_bounds() && (self.output.bytes.len() - begins) as u64 > DATAGRAM {
            return Err(self.refuse(play, index, start, Fault::MessageTooLarge { most: DATAGRAM as usize }));
        }
        Ok(())
    }

    fn say_piece(&mut self, play: &mut Play, piece: &Piece, start: usize) -> Result<(), Fault> {
        let output = &mut self.output.bytes;
        match &piece.kind {
            PieceKind::Literal(bytes) => output.extend_from_slice(bytes),
            PieceKind::Value(slot) | PieceKind::Same { slot, .. } => {
                let value = self.scratch.value(*slot).unwrap_or_default();
                if output.len() - start + value.len() > MOST_SAID {
                    return Err(Fault::MessageTooLarge { most: MOST_SAID });
                }
                output.extend_from_slice(value);
            }
            PieceKind::Capture { slot, pattern, defaults, rotation, generated } => {
                let turn = match rotation {
                    Some(counter) => {
                        let turn = play.counters[*counter] as usize;
                        play.counters[*counter] = play.counters[*counter].wrapping_add(1);
                        turn % defaults.len().max(1)
                    }
                    None => 0,
                };
                let Some(default) = defaults.get(turn) else {
                    return self.say_generated(*slot, pattern, generated.as_deref(), start);
                };
                output.extend_from_slice(default);
                if let Some(slot) = slot {
                    let set = self.scratch.set(*slot, default);
                    set.map_err(|TooLarge { .. }| Fault::ValuesTooLarge { most: MOST_VALUES })?;
                }
            }
        }
        Ok(())
    }

    /// Says what is not written out: it becomes the value of its hole.
    #[inline(never)]
    fn say_generated(
        &mut self,
        slot: Option<usize>,
        pattern: &Pattern,
        generated: Option<&Generated>,
        start: usize,
    ) -> Result<(), Fault> {
        let output = &mut self.output.bytes;
        let from = output.len();
        match generated {
            None => {}
            Some(Generated::Made(made)) => {
                output.extend(made.make(&self.script.fresh, &self.script.drawn, self.input.now))
            }
            Some(Generated::Repeated(bytes)) => {
                let length = match pattern {
                    Pattern::Bytes(count) => Some(*count),
                    Pattern::BytesOf(count) => self.scratch.value(count.slot).and_then(|value| count.of(value)),
                    _ => None,
                };
                // One that is no number is told by who looks at the length.
                let length = length.unwrap_or(0);
                if from - start + length > MOST_SAID {
                    return Err(Fault::MessageTooLarge { most: MOST_SAID });
                }
                output.extend(bytes.iter().cycle().take(length));
            }
        }
        match slot {
            Some(slot) => {
                let set = self.scratch.set(slot, &self.output.bytes[from..]);
                set.map_err(|TooLarge { .. }| Fault::ValuesTooLarge { most: MOST_VALUES })
            }
            None => Ok(()),
        }
    }

    fn end_line(&mut self, play: &Play) {
        let datagram = self.script.carrier.keeps_bounds();
        let ending: &[u8] = match (self.script.eol, play.line_ending) {
            (Eol::None, _) => b"",
            (Eol::Lf, _) => b"\n",
            (Eol::CrLf, _) | (Eol::Any, LineEnding::CrLf) => b"\r\n",
            (Eol::Any, LineEnding::Nothing) if datagram => b"",
            (Eol::Any, LineEnding::Lf | LineEnding::Nothing) => b"\n",
            (Eol::Any, LineEnding::Bare) => b"",
        };
        // Of a run of lines only the last goes without its ending.
        self.owes_ending = ending.is_empty() && self.script.eol == Eol::Any;
        self.output.bytes.extend_from_slice(ending);
    }

    /// The end of a `together`: what was said in it is one datagram.
    pub(super) fn end_together(&mut self, play: &mut Play) -> Result<(), Stop> {
        (play.together, play.part) = (false, Part::Nothing);
        // What was begun to be heard is heard to its end.
        if self.datagram && self.at > 0 && !self.rest().is_empty() {
            return Err(self.fail(play, Fault::UnexpectedData));
        }
        if std::mem::take(&mut self.said) {
            // The ending before an empty last line must not be taken for that of the whole datagram.
            if self.owes_ending && self.output.bytes.ends_with(b"\n") {
                self.output.bytes.push(b'\n');
            }
            self.end_datagram();
        }
        Ok(())
    }

    /// A datagram, or a message, ends here.
    pub(super) fn end_datagram(&mut self) {
        self.owes_ending = false;
        let end = self.output.bytes.len();
        match self.script.carrier {
            Carrier::Stream => {}
            Carrier::Datagram | Carrier::Packet => self.output.datagrams.push(end),
            Carrier::Messages => {
                let kind = std::mem::replace(&mut self.kind, MessageKind::Text);
                self.output.messages.push(Bound { kind, end });
            }
        }
    }

    /// The line that a listener would take for what we are about to say.
    fn heard_as(&mut self, index: usize, start: usize) -> Option<usize> {
        let program = &self.script.program;
        let said = &self.output.bytes[start..];
        let rivals = program.messages[index].rivals.iter();
        let found = rivals.copied().find(|&rival| matcher::line_matches(&program.messages[rival], said, self.scratch));
        self.scratch.captured.clear();
        found.map(|rival| program.messages[rival].place.line)
    }

    /// The same for what a hole was about to say: the account shows the hole, and the name that its value is for.
    #[cold]
    fn refuse_piece(
        &mut self,
        play: &mut Play,
        (index, start): (usize, usize),
        piece: &Piece,
        slot: Option<usize>,
        fault: Fault,
    ) -> Stop {
        let mut stop = self.refuse(play, index, start, fault);
        if let (Stop::Next(Next::End(Ending::Failed(verdict))), Some(slot)) = (&mut stop, slot) {
            (verdict.place, verdict.name) = (piece.place, self.script.program.name(slot).to_owned());
        }
        stop
    }

    /// Takes back what was about to be said and ends the play.
    fn refuse(&mut self, play: &mut Play, index: usize, start: usize, fault: Fault) -> Stop {
        let message = &self.script.program.messages[index];
        let end = self.output.bytes.len().min(start + MOST_SHOWN);
        self.last = None;
        play.keep_said(&self.output.bytes, Last { line: message.place.line, start, end });
        self.output.bytes.truncate(start);
        let mut verdict = self.account(play, fault, &[]);
        verdict.side = self.script.side;
        verdict.place = message
            .pieces
            .iter()
            .find(|piece| matches!(piece.kind, PieceKind::Value(_)))
            .map_or(message.place, |piece| piece.place);
        Stop::failed(verdict)
    }
}
