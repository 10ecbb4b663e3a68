//! Where a play branches: by what the other side says or does, by our plan, or by a value.

use super::expected::{is_inside, is_open};
use super::framing::{Framed, Line};
use super::step::Ending;
use super::walk::{Stop, Walk};
use super::{Part, Play, Watch};
use crate::program::{Arm, First, Fork, Op, Pc, PieceKind, Plan, StreamAction, matcher};
use crate::verdict::Fault;

impl<W: Watch> Walk<'_, W> {
    /// Takes our branch at a choice that is ours.
    #[inline(never)]
    pub(super) fn choose(&mut self, play: &mut Play, choice: usize, plan: &Plan) -> Pc {
        match (plan, &self.script.program.choices[choice].kind) {
            (Plan::Repeat { counter, times }, Fork::Loop { body, after, .. }) => {
                if play.counters[*counter] < *times {
                    play.counters[*counter] += 1;
                    *body
                } else {
                    *after
                }
            }
            (Plan::Turns { counter, turns }, _) => {
                let all = turns.iter().fold(0_u32, |sum, (_, times)| sum.saturating_add(*times));
                let mut turn = match counter {
                    Some(counter) => {
                        let turn = play.counters[*counter] % all.max(1);
                        play.counters[*counter] = play.counters[*counter].wrapping_add(1);
                        turn
                    }
                    None => 0,
                };
                let mut branch = turns[0].0;
                for (start, times) in turns {
                    if turn < *times {
                        branch = *start;
                        break;
                    }
                    turn -= times;
                }
                if let Some(place) = self.script.program.places.get(branch) {
                    self.watch.took(place.line);
                }
                branch
            }
            (Plan::Repeat { .. }, Fork::Either { branches, .. }) => branches[0],
        }
    }

    /// Hears the first line at a choice of theirs and takes the first branch that it fits.
    pub(super) fn dispatch(&mut self, play: &mut Play, index: usize) -> Result<Pc, Stop> {
        self.owes_ending = false;
        let script = self.script;
        let choice = &script.program.choices[index];
        if !choice.fast_path.exchanges.is_empty() {
            self.take_fast_path(play, &choice.fast_path);
        }
        // Behind what was answered on a stream there is mostly nothing, and nothing to look at.
        let nothing = self.rest().is_empty() && !self.datagram;
        if choice.has_text
            && !nothing
            && let Some(line) = self.line_at_hand(play)
            && let Some(pc) = self.take_arm(play, &choice.arms, line)?
        {
            return Ok(pc);
        }
        if play.waiting_since.is_none() {
            play.extra_wait += choice.extra_wait;
            self.begin_waiting(play);
        }
        if self.is_over() || !choice.has_lines {
            return self.end_at(play, index);
        }
        if nothing {
            return match self.only_way_out(play, &choice.arms) {
                Some(arm) => {
                    self.follow(play, &arm.path)?;
                    play.waiting_since = None;
                    Ok(arm.pc)
                }
                None => Err(self.wait(play)),
            };
        }
        if !choice.has_text {
            return self.dispatch_raw(play, &choice.arms);
        }
        let leaves = |arm: &Arm| play.part != Part::Nothing && is_inside(script, &arm.path) == Some(false);
        if self.datagram && choice.arms.iter().any(|arm| arm.together || leaves(arm)) {
            return self.dispatch_datagram(play, index);
        }
        let line = match self.line(play) {
            Err(Stop::More) if self.is_over() => return self.end_at(play, index),
            framed => framed?,
        };
        match self.take_arm(play, &choice.arms, line)? {
            Some(pc) => Ok(pc),
            None => Err(self.aside_or(play, |walk, play| walk.fail(play, Fault::Differs))),
        }
    }

    /// A datagram at a choice where some branch begins with a part of one: each branch sees the line that it would get.
    #[inline(never)]
    fn dispatch_datagram(&mut self, play: &mut Play, index: usize) -> Result<Pc, Stop> {
        let script = self.script;
        let arms = &script.program.choices[index].arms;
        let around = play.together;
        let mut wrong = None;
        for arm in arms {
            let inside = is_inside(script, &arm.path);
            play.together = inside.unwrap_or(around);
            let framed = self.frame_datagram(play);
            play.together = around;
            let line = match framed {
                Framed::Line(line) if line.text <= script.longest_line => line,
                Framed::Line(_) => {
                    wrong = wrong.or(Some(Fault::TooLong { most: script.longest_line }));
                    continue;
                }
                Framed::Wrong(fault) => {
                    wrong = wrong.or(Some(fault));
                    continue;
                }
                Framed::Part | Framed::Ended => continue,
            };
            // A datagram of several lines has more behind the first one, and one of a single line has not.
            let is_more = line.next < self.rest().len();
            let fits = match script.program.ops.get(arm.pc + 1) {
                // Of one that was begun all is heard, and what follows tells.
                _ if inside.is_none() && around => true,
                _ if !arm.together => !is_more,
                Some(Op::Apart) => !is_more,
                Some(Op::Hear(_)) => is_more,
                // Where a block follows, it tells.
                _ => true,
            };
            if !fits {
                continue;
            }
            if let Some(pc) = self.take_arm(play, std::slice::from_ref(arm), line)? {
                return Ok(pc);
            }
        }
        Err(self.aside_or(play, |walk, play| walk.fail(play, wrong.unwrap_or(Fault::Differs))))
    }

    /// Takes the first branch whose line fits what came.
    fn take_arm(&mut self, play: &mut Play, arms: &[Arm], line: Line) -> Result<Option<Pc>, Stop> {
        let bytes = &self.rest()[..line.text];
        for arm in arms {
            let First::Line(index) = arm.first else { continue };
            let message = &self.script.program.messages[index];
            if !is_open(self.script, play, &arm.path) || !matcher::line_matches(message, bytes, self.scratch) {
                continue;
            }
            if !arm.path.is_empty() {
                let captured = std::mem::take(&mut self.scratch.captured);
                self.follow(play, &arm.path)?;
                self.scratch.captured = captured;
            }
            self.take_line(play, line)?;
            return Ok(Some(self.behind_line(play, arm.pc, index)));
        }
        Ok(None)
    }

    /// Where the play goes on behind a line that was heard.
    fn behind_line(&mut self, play: &mut Play, pc: Pc, message: usize) -> Pc {
        match &self.script.program.ops[pc] {
            Op::AnyOrder(order) => {
                self.mark_heard(play, *order, message);
                pc
            }
            _ => {
                self.note_heard(message);
                pc + 1
            }
        }
    }

    /// The same for `raw` and `hex` messages.
    #[inline(never)]
    fn dispatch_raw(&mut self, play: &mut Play, arms: &[Arm]) -> Result<Pc, Stop> {
        let script = self.script;
        let candidate = |play: &Play, index: usize| {
            let arm = &arms[index];
            let First::Line(message) = arm.first else { return None };
            is_open(script, play, &arm.path).then(|| (message, is_inside(script, &arm.path).unwrap_or(play.together)))
        };
        let Some((index, length)) = self.raw_at_hand(play, arms.len(), None, candidate)? else {
            return Err(self.fail(play, Fault::Differs));
        };
        let arm = &arms[index];
        let captured = std::mem::take(&mut self.scratch.captured);
        self.follow(play, &arm.path)?;
        self.scratch.captured = captured;
        self.take(play, length, length)?;
        match arm.first {
            First::Line(message) => Ok(self.behind_line(play, arm.pc, message)),
            _ => Ok(arm.pc),
        }
    }

    /// Whether what follows may be in the next datagram.
    pub(super) fn may_leave_datagram(&self, play: &Play) -> bool {
        let Op::Choice(index) = &self.script.program.ops[play.pc] else { return false };
        let mut arms = self.script.program.choices[*index].arms.iter();
        arms.any(|arm| is_open(self.script, play, &arm.path))
    }

    /// A datagram is over where its block may be: how the play goes on, if the other side need not speak for that.
    fn only_way_out<'s>(&self, play: &Play, arms: &'s [Arm]) -> Option<&'s Arm> {
        if play.part != Part::All || self.datagram {
            return None;
        }
        let mut ways = arms.iter().filter(|arm| is_open(self.script, play, &arm.path));
        let only = ways.next().filter(|_| ways.next().is_none())?;
        matches!(only.first, First::Do(_) | First::End).then_some(only)
    }

    /// The end of their stream at a choice: a branch that begins with it, or leaving where one may.
    #[inline(never)]
    fn end_at(&mut self, play: &mut Play, index: usize) -> Result<Pc, Stop> {
        let script = self.script;
        let choice = &script.program.choices[index];
        for arm in &choice.arms {
            let fits = match arm.first {
                First::Do(_) | First::End => true,
                First::Expect(StreamAction::Close | StreamAction::StopSending) => self.is_over(),
                First::Expect(StreamAction::Reset)
                | First::Line(_)
                | First::File(_)
                | First::Tls
                | First::Connect
                | First::Choose
                | First::Wrong => false,
            };
            // Without the end, an act of ours or the end of the file waits for it where they could still speak.
            let waits = !self.is_over() && choice.arms.len() > 1;
            if fits && !waits && is_open(script, play, &arm.path) {
                self.follow(play, &arm.path)?;
                play.waiting_since = None;
                return match arm.first {
                    First::End => Err(Stop::end(if self.is_over() { Ending::Left } else { Ending::Done })),
                    First::Expect(StreamAction::Close) => {
                        Err(Stop::end(play.end_connection(script, arm.pc, Ending::Left)))
                    }
                    First::Expect(_) => Ok(arm.pc + 1),
                    _ => Ok(arm.pc),
                };
            }
        }
        if !self.is_over() {
            return if self.rest().is_empty() {
                Err(self.wait(play))
            } else {
                Err(self.aside_or(play, |walk, play| walk.fail(play, Fault::UnexpectedData)))
            };
        }
        let may_leave = match &choice.kind {
            Fork::Loop { ends_file, .. } => *ends_file || script.may_leave,
            Fork::Either { .. } => false,
        };
        if may_leave { Err(Stop::end(Ending::Left)) } else { Err(self.fail(play, Fault::ClosedEarly)) }
    }

    pub(super) fn choose_by_value(&mut self, play: &mut Play, pc: Pc, table: usize) -> Result<Pc, Stop> {
        let table = &self.script.program.tables[table];
        let value = match &table.key.kind {
            PieceKind::Literal(bytes) => &bytes[..],
            PieceKind::Value(slot) => self.scratch.value(*slot).unwrap_or_default(),
            PieceKind::Capture { .. } | PieceKind::Same { .. } => &[],
        };
        match table.cases.get(value).copied().or(table.otherwise) {
            Some(case) => {
                self.watch.took(self.script.program.places[case].line);
                Ok(case)
            }
            None => {
                let received = value.to_vec();
                let mut verdict = self.wrong_value(play, pc, Fault::NoSuchValue, received);
                verdict.name = match &table.key.kind {
                    PieceKind::Value(slot) => self.script.program.name(*slot).to_owned(),
                    _ => {
                        let line = self.script.source.line(table.place.line).trim();
                        line.strip_prefix("choose").unwrap_or(line).trim().to_owned()
                    }
                };
                Err(Stop::failed(verdict))
            }
        }
    }
}
