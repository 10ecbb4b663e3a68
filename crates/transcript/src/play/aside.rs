//! What the other side may begin at any time: it is heard where something else was awaited and did not come, played, and
//! then the play goes on where it waited. And what must not come.

use super::walk::{Stop, Walk};
use super::{Part, Play, Watch};
use crate::program::{Aside, Op, Pc, matcher};
use crate::syntax::{Eol, FIRST, Form};
use crate::verdict::{Awaited, Expected, Fault};

impl<'a, W: Watch> Walk<'a, W> {
    /// Hears what may begin at any time, where what came is not what was awaited; else what is to be done then.
    #[cold]
    #[inline(never)]
    pub(super) fn aside_or(&mut self, play: &mut Play, fail: impl FnOnce(&mut Self, &mut Play) -> Stop) -> Stop {
        let program = &self.script.program;
        let at = play.pc;
        if program.asides.is_empty() || play.counters[program.returns] != 0 || play.connection() != Some(FIRST) {
            return fail(self, play);
        }
        // One that was heard in part is no other one.
        let is_begun = self.datagram && self.at > 0;
        let mut lines =
            program.asides_at(at).iter().filter(|aside| program.messages[aside.message].form == Form::Text).peekable();
        if is_begun || lines.peek().is_none() {
            return fail(self, play);
        }
        let around = play.together;
        let mut framed = None;
        for aside in lines {
            // A datagram of several lines is another line than one of a single line; a stream's is the same.
            if framed.is_none() || self.datagram {
                play.together = aside.together;
                let line = self.line(play);
                play.together = around;
                framed = match line {
                    Ok(line) => Some(line),
                    Err(_) if self.datagram => None,
                    Err(stop) => return stop,
                };
            }
            let Some(line) = framed else { continue };
            if matcher::line_matches(&program.messages[aside.message], &self.rest()[..line.text], self.scratch) {
                // It is no part of the datagram that was awaited.
                let part = play.part;
                let taken = self.take_line(play, line);
                play.part = part;
                return match taken {
                    Ok(()) => self.begin_aside(play, aside),
                    Err(stop) => stop,
                };
            }
        }
        fail(self, play)
    }

    /// The first line of it came: plays on behind that.
    pub(super) fn begin_aside(&mut self, play: &mut Play, aside: &Aside) -> Stop {
        let program = &self.script.program;
        self.watch.heard(program.messages[aside.message].place.line, self.input.now);
        // What was awaited is awaited anew; there are fewer operations than a quarter of what a counter counts.
        let back = (play.pc + 1) << 2 | usize::from(play.part == Part::All) << 1 | usize::from(play.together);
        play.counters[program.returns] = u32::try_from(back).unwrap_or(u32::MAX);
        play.together = aside.together;
        play.part = match (aside.together && self.script.carrier.keeps_bounds(), self.datagram) {
            (true, true) => Part::Some,
            (true, false) => Part::All,
            (false, _) => Part::Nothing,
        };
        self.go_on(play, aside.begin + 1)
    }

    /// The messages that may begin at any time where others are awaited that are no lines.
    pub(super) fn framed_asides(&self, play: &Play) -> &'a [Aside] {
        let program = &self.script.program;
        let is_begun = self.datagram && self.at > 0;
        if program.framed_asides.is_empty()
            || is_begun
            || play.counters[program.returns] != 0
            || play.connection() != Some(FIRST)
        {
            return &[];
        }
        program.framed_asides_at(play.pc)
    }

    /// Behind what came at any time, and behind what must not come.
    #[cold]
    #[inline(never)]
    pub(super) fn behind_aside(&mut self, play: &mut Play) -> Stop {
        let program = &self.script.program;
        if matches!(program.ops[play.pc], Op::Forbidden) {
            return self.forbidden(play);
        }
        let back = std::mem::take(&mut play.counters[program.returns]) as usize;
        play.together = back & 1 == 1;
        play.part = if back & 2 == 2 { Part::All } else { Part::Nothing };
        self.go_on(play, (back >> 2).saturating_sub(1))
    }

    fn go_on(&mut self, play: &mut Play, pc: Pc) -> Stop {
        play.pc = pc;
        self.is_aside = true;
        Stop::More
    }

    /// A line came that must not: it is the last that was consumed.
    fn forbidden(&mut self, play: &mut Play) -> Stop {
        let consumed = &self.input.bytes[..self.at];
        // A CR is text where lines end at LF.
        let is_ending = !matches!(self.script.eol, Eol::Lf | Eol::None);
        let line = match consumed.strip_suffix(b"\n") {
            Some(line) if is_ending => line.strip_suffix(b"\r").unwrap_or(line),
            Some(line) => line,
            None => consumed,
        };
        let begin = memchr::memrchr(b'\n', line).map_or(0, |before| before + 1);
        let received = line[begin..].to_vec();
        let mut verdict = self.account(play, Fault::Forbidden, &received);
        let place = self.script.program.places[play.pc];
        verdict.place = place;
        let text = self.script.source.line(place.line).trim().to_owned();
        let text = text.split_once("not ").map_or(text.clone(), |(_, line)| format!("not {line}"));
        verdict.expected = vec![Expected { awaited: Awaited::Message, line: place.line, text, matched: 0 }];
        Stop::failed(verdict)
    }
}
