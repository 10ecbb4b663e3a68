//! What we say: values and defaults are filled in, line endings follow the other side's.

use super::{Ending, Heard, Next, Play, Stop, Walk};
use crate::matcher;
use crate::pattern::count_in;
use crate::program::{Pattern, Piece, PieceKind};
use crate::script::Carrier;
use crate::syntax::{Eol, Form};
use crate::verdict::Fault;

impl Walk<'_> {
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
            self.say_piece(play, piece);
            if let PieceKind::Capture { pattern: Pattern::BytesOf(count), .. } = &piece.kind
                && self.scratch.value(*count).and_then(count_in) != Some(self.output.bytes.len() - from)
            {
                let name = &self.script.program.slots[*count];
                let mut stop = self.refuse(play, index, start, Fault::WrongLength);
                if let Stop::Next(Next::End(Ending::Failed(verdict))) = &mut stop {
                    (verdict.place, verdict.name) = (piece.place, name.clone());
                }
                return Err(stop);
            }
        }
        let said = &self.output.bytes[start..];
        let streamed_text = message.form == Form::Text && self.script.carrier == Carrier::Stream;
        if streamed_text && self.script.may_break_lines && message.dynamic && memchr::memchr(b'\n', said).is_some() {
            return Err(self.refuse(play, index, start, Fault::BrokenLine));
        }
        if !message.rivals.is_empty()
            && message.dynamic
            && let Some(rival) = self.heard_as(index, start)
        {
            return Err(self.refuse(play, index, start, Fault::Misheard { line: rival }));
        }
        if self.script.keep_said {
            play.said = Some(Box::new((message.place.line, self.output.bytes[start..].to_vec())));
        }
        if message.form == Form::Text {
            self.end_line(play);
        }
        if play.together {
            self.said = true;
        } else {
            let owes = self.owes_ending;
            self.end_datagram();
            self.owes_ending = owes && self.script.carrier == Carrier::Stream;
        }
        Ok(())
    }

    fn say_piece(&mut self, play: &mut Play, piece: &Piece) {
        let output = &mut self.output.bytes;
        match &piece.kind {
            PieceKind::Literal(bytes) => output.extend_from_slice(bytes),
            PieceKind::Value(slot) | PieceKind::Same { slot, .. } => {
                output.extend_from_slice(self.scratch.value(*slot).unwrap_or_default());
            }
            PieceKind::Capture { slot, defaults, tour, .. } => {
                let turn = match tour {
                    Some(counter) => {
                        let turn = play.counters[*counter] as usize;
                        play.counters[*counter] = play.counters[*counter].wrapping_add(1);
                        turn % defaults.len().max(1)
                    }
                    None => 0,
                };
                let default = defaults.get(turn).map(Vec::as_slice).unwrap_or_default();
                output.extend_from_slice(default);
                if let Some(slot) = slot {
                    self.scratch.set(*slot, default);
                }
            }
        }
    }

    fn end_line(&mut self, play: &Play) {
        let datagram = self.script.carrier == Carrier::Datagram;
        let ending: &[u8] = match (self.script.eol, play.heard) {
            (Eol::None, _) => b"",
            (Eol::Lf, _) => b"\n",
            (Eol::CrLf, _) | (Eol::Any, Heard::CrLf) => b"\r\n",
            (Eol::Any, Heard::Nothing) if datagram => b"",
            (Eol::Any, Heard::Lf | Heard::Nothing) => b"\n",
            (Eol::Any, Heard::Bare) => b"",
        };
        // Of a run of lines only the last goes without its ending.
        self.owes_ending = ending.is_empty() && self.script.eol == Eol::Any;
        self.output.bytes.extend_from_slice(ending);
    }

    /// The value of a `set`.
    pub(super) fn fill(&self, pieces: &[Piece], into: &mut Vec<u8>) {
        for piece in pieces {
            match &piece.kind {
                PieceKind::Literal(bytes) => into.extend_from_slice(bytes),
                PieceKind::Value(slot) | PieceKind::Same { slot, .. } => {
                    into.extend_from_slice(self.scratch.value(*slot).unwrap_or_default());
                }
                PieceKind::Capture { .. } => {}
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

    /// Takes back what was about to be said and ends the play.
    fn refuse(&mut self, play: &mut Play, index: usize, start: usize, fault: Fault) -> Stop {
        let message = &self.script.program.messages[index];
        play.said = Some(Box::new((message.place.line, self.output.bytes[start..].to_vec())));
        self.output.bytes.truncate(start);
        let mut verdict = play.verdict(self.script, fault, &[], self.scratch);
        verdict.side = self.script.side;
        verdict.place = message
            .pieces
            .iter()
            .find(|piece| matches!(piece.kind, PieceKind::Value(_)))
            .map_or(message.place, |piece| piece.place);
        Stop::Next(Next::End(Ending::Failed(Box::new(verdict))))
    }
}
