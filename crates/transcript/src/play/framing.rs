//! Where a text line ends: by its ending, by a gap in what comes, by the end of the stream, or with its datagram.

use super::expected::expected_messages;
use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::program::Op;
use crate::syntax::{Eol, Form};
use crate::verdict::Fault;

/// The line ending that the other side used last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LineEnding {
    /// It said nothing yet.
    #[default]
    Nothing,
    Lf,
    CrLf,
    /// None: its line ended by the gap, the end or with its datagram.
    Bare,
}

/// A whole text line at hand: where its text ends, where the next one begins, and what ended it.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) text: usize,
    pub(super) next: usize,
    pub(super) ending: LineEnding,
    /// Nothing but a gap ended it.
    pub(super) by_gap: bool,
}

impl Line {
    /// A line whose end is no gap.
    fn ended(text: usize, next: usize, ending: LineEnding) -> Self {
        Self { text, next, ending, by_gap: false }
    }
}

/// What the bytes at hand are.
pub(super) enum Framed {
    /// A whole line.
    Line(Line),
    /// Part of one, or nothing.
    Part,
    /// Nothing, and nothing will come.
    Ended,
    /// A fault of the line itself.
    Wrong(Fault),
}

impl<W: Watch> Walk<'_, W> {
    /// The next whole line at hand, or why there is none.
    pub(super) fn line(&mut self, play: &mut Play) -> Result<Line, Stop> {
        self.skip_late_ending(play);
        match self.frame(play) {
            Framed::Line(line) if line.text <= self.script.longest_line => Ok(line),
            Framed::Line(_) => Err(self.fail(play, Fault::TooLong { most: self.script.longest_line })),
            Framed::Wrong(fault) => Err(self.fail(play, fault)),
            Framed::Ended if matches!(self.script.program.ops[play.pc], Op::Choice(_)) => Err(Stop::More),
            Framed::Ended => Err(self.fail(play, Fault::ClosedEarly)),
            Framed::Part => Err(self.wait(play)),
        }
    }

    /// The usual case without ceremony: a whole line is at hand, on a stream whose lines end in LF or CRLF.
    pub(super) fn line_at_hand(&self, play: &Play) -> Option<Line> {
        if !self.script.plain_lines || play.after_gap {
            return None;
        }
        let rest = self.rest();
        let end = play.scanned + memchr::memchr(b'\n', rest.get(play.scanned..)?)?;
        if end > self.script.longest_line {
            return None;
        }
        Some(match end > 0 && rest[end - 1] == b'\r' {
            true => Line::ended(end - 1, end + 1, LineEnding::CrLf),
            false => Line::ended(end, end + 1, LineEnding::Lf),
        })
    }

    fn frame(&self, play: &mut Play) -> Framed {
        let rest = self.rest();
        if self.script.carrier.keeps_bounds() {
            return self.frame_datagram(play);
        }
        let eol = self.script.eol;
        if eol != Eol::None {
            if let Some(found) = memchr::memchr(b'\n', &rest[play.scanned.min(rest.len())..]) {
                let end = play.scanned + found;
                let has_cr = end > 0 && rest[end - 1] == b'\r';
                return match eol {
                    Eol::CrLf if !has_cr => Framed::Wrong(Fault::WrongEnding),
                    Eol::Any | Eol::CrLf if has_cr => Framed::Line(Line::ended(end - 1, end + 1, LineEnding::CrLf)),
                    _ => Framed::Line(Line::ended(end, end + 1, LineEnding::Lf)),
                };
            }
            play.scanned = rest.len();
        }
        // A CR may stand before the ending that is still missing; it does not count.
        if rest.len() > self.script.longest_line + 1 {
            return Framed::Wrong(Fault::TooLong { most: self.script.longest_line });
        }
        let bare = |by_gap| {
            let text = rest.len() - usize::from(rest.ends_with(b"\r") && eol == Eol::Any);
            Framed::Line(Line { text, next: rest.len(), ending: LineEnding::Bare, by_gap })
        };
        match eol {
            _ if rest.is_empty() => {
                if self.input.ended {
                    Framed::Ended
                } else {
                    Framed::Part
                }
            }
            Eol::Lf | Eol::CrLf if self.input.ended => Framed::Wrong(Fault::WrongEnding),
            Eol::Any | Eol::None if self.input.ended => bare(false),
            Eol::Any | Eol::None if self.is_quiet(play) => bare(true),
            _ => Framed::Part,
        }
    }

    /// A datagram is a line; inside `together` it holds several.
    pub(super) fn frame_datagram(&self, play: &Play) -> Framed {
        if !self.datagram {
            return if self.input.ended { Framed::Ended } else { Framed::Part };
        }
        let rest = self.rest();
        let whole = rest.len();
        let first = if play.together { memchr::memchr(b'\n', rest) } else { None };
        let ended = first.map(|at| at + 1).or_else(|| rest.ends_with(b"\n").then_some(whole));
        match (ended, self.script.eol) {
            (_, Eol::None) | (None, Eol::Any) => Framed::Line(Line::ended(whole, whole, LineEnding::Bare)),
            (None, _) => Framed::Wrong(Fault::WrongEnding),
            (Some(next), eol) => {
                let has_cr = next > 1 && rest[next - 2] == b'\r';
                match eol {
                    Eol::CrLf if !has_cr => Framed::Wrong(Fault::WrongEnding),
                    Eol::Any | Eol::CrLf if has_cr => Framed::Line(Line::ended(next - 2, next, LineEnding::CrLf)),
                    _ => Framed::Line(Line::ended(next - 1, next, LineEnding::Lf)),
                }
            }
        }
    }

    /// A line ending that comes after a line which the gap ended belongs to that line.
    pub(super) fn skip_late_ending(&mut self, play: &mut Play) {
        if !play.after_gap || self.rest().is_empty() {
            return;
        }
        let rest = self.rest();
        let lone_cr = rest == b"\r";
        let quiet = self.input.ended || self.is_quiet(play);
        let length = match rest {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ if lone_cr && quiet => 1,
            _ => 0,
        };
        if length > 0 || !lone_cr {
            play.after_gap = false;
            self.at += length;
            play.scanned = 0;
        }
    }

    /// The same before a message that is no line; where such a one may begin with an ending, this is its own.
    pub(super) fn late_ending_before_raw(&mut self, play: &mut Play, may_be_its_own: bool) -> Result<(), Stop> {
        if may_be_its_own {
            play.after_gap = false;
        }
        self.skip_late_ending(play);
        if play.after_gap && self.rest() == b"\r" {
            // The LF that belongs to it may follow.
            return Err(self.wait(play));
        }
        Ok(())
    }

    /// Where the text of the line at hand ends.
    pub(super) fn line_end(&self, play: &mut Play) -> Option<usize> {
        let text_line = expected_messages(self.script, play)
            .first()
            .is_some_and(|&message| self.script.program.messages[message].form == Form::Text);
        match self.frame(play) {
            Framed::Line(line) if text_line => Some(line.text),
            _ => None,
        }
    }
}
