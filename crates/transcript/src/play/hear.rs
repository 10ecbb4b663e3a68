//! What we hear: bytes become lines, and lines are matched.

use std::ops::Range;

use super::expected::{allowed, expected_messages};
use super::{Ending, Heard, Input, Moment, Next, Play, Stop, Walk, Watch};
use crate::carrier::Carrier;
use crate::pattern::MOST_BYTES;
use crate::program::matcher::{self, Walked};
use crate::program::{Arm, First, Fork, Found, KeyMatch, Literals, Message, Op, Order, Pc, StreamAction};
use crate::syntax::{Eol, Form};
use crate::values::{Coming, Progress, TooLarge};
use crate::verdict::Fault;

/// Bytes that must come within the time limit while something is awaited that is no line.
const GAIN: u64 = 64 * 1024;

/// How many gaps the rest of a character may take. Text that is not UTF-8 may look like half a character, and must not
/// wait for ever.
const PATIENCE_INSIDE_A_CHARACTER: u32 = 10;

/// What the bytes at hand are.
enum Framed {
    /// A whole line: where its text ends, where the next one begins, and its ending.
    Line { text: usize, next: usize, heard: Heard, by_gap: bool },
    /// Part of one, or nothing.
    Part,
    /// Nothing, and nothing will come.
    Ended,
    /// A fault of the line itself.
    Wrong(Fault),
}

impl<'a, W: Watch> Walk<'a, W> {
    pub(super) fn rest(&self) -> &'a [u8] {
        let input: Input<'a> = self.input;
        &input.bytes[self.at..]
    }

    /// Whether the other side can say nothing more: the stream ended, and all of it is consumed.
    fn is_over(&self) -> bool {
        self.input.ended && self.rest().is_empty() && !self.datagram
    }

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
    fn told(&mut self, message: usize) {
        if let Some(message) = self.script.program.messages.get(message) {
            self.watch.heard(message.place.line, self.input.now);
        }
    }

    /// Hears the first line at a choice of theirs and takes the first way that it fits.
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
            && let Some((text, next, heard)) = self.line_at_hand(play)
            && let Some(pc) = self.take_way(play, &choice.arms, text, next, heard)?
        {
            return Ok(pc);
        }
        if play.since.is_none() {
            play.patience += choice.patience;
            self.begin_waiting(play);
        }
        if self.is_over() || !choice.has_lines {
            return self.end_at(play, index);
        }
        if nothing {
            return Err(self.wait(play));
        }
        if !choice.has_text {
            return self.dispatch_run(play, &choice.arms);
        }
        if self.datagram && choice.arms.iter().any(|arm| arm.together) {
            return self.dispatch_datagram(play, index);
        }
        let (text, next, heard, by_gap) = match self.line(play) {
            Err(Stop::More) if self.is_over() => return self.end_at(play, index),
            framed => framed?,
        };
        match self.take_way(play, &choice.arms, text, next, heard)? {
            Some(pc) => {
                play.after_gap = by_gap;
                Ok(pc)
            }
            None => Err(self.aside_or(play, |walk, play| walk.fail(play, Fault::Differs))),
        }
    }

    /// A datagram at a choice where some way begins with a part of one: each way sees the line that it would get.
    #[inline(never)]
    fn dispatch_datagram(&mut self, play: &mut Play, index: usize) -> Result<Pc, Stop> {
        let script = self.script;
        let arms = &script.program.choices[index].arms;
        let around = play.together;
        let mut wrong = None;
        for arm in arms {
            play.together = around || arm.together;
            let framed = self.frame_datagram(play);
            play.together = around;
            let (text, next, heard) = match framed {
                Framed::Line { text, next, heard, .. } if text <= script.longest_line => (text, next, heard),
                Framed::Line { .. } => {
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
            let is_more = next < self.rest().len();
            let fits = match script.program.ops.get(arm.pc + 1) {
                _ if !arm.together => !is_more,
                Some(Op::Apart) => !is_more,
                Some(Op::Hear(_)) => is_more,
                // Where a block follows, it tells.
                _ => true,
            };
            if !fits {
                continue;
            }
            if let Some(pc) = self.take_way(play, std::slice::from_ref(arm), text, next, heard)? {
                return Ok(pc);
            }
        }
        Err(self.aside_or(play, |walk, play| walk.fail(play, wrong.unwrap_or(Fault::Differs))))
    }

    /// The usual case without ceremony: a whole line is at hand, on a stream whose lines end in LF or CRLF.
    fn line_at_hand(&self, play: &Play) -> Option<(usize, usize, Heard)> {
        if !self.script.plain_lines || play.after_gap {
            return None;
        }
        let rest = self.rest();
        let end = play.scanned + memchr::memchr(b'\n', rest.get(play.scanned..)?)?;
        if end > self.script.longest_line {
            return None;
        }
        let (text, heard) = if end > 0 && rest[end - 1] == b'\r' { (end - 1, Heard::CrLf) } else { (end, Heard::Lf) };
        Some((text, end + 1, heard))
    }

    /// Takes the first way whose line fits what came.
    fn take_way(
        &mut self,
        play: &mut Play,
        arms: &[Arm],
        text: usize,
        next: usize,
        heard: Heard,
    ) -> Result<Option<Pc>, Stop> {
        let line = &self.rest()[..text];
        for arm in arms {
            let First::Line(index) = arm.first else { continue };
            let message = &self.script.program.messages[index];
            if !allowed(play, &arm.path) || !matcher::line_matches(message, line, self.scratch) {
                continue;
            }
            if !arm.path.is_empty() {
                let captured = std::mem::take(&mut self.scratch.captured);
                self.follow(play, &arm.path)?;
                self.scratch.captured = captured;
            }
            self.take_line(play, text, next, heard, false)?;
            return Ok(Some(self.behind(play, arm.pc, index)));
        }
        Ok(None)
    }

    /// Where the way goes on behind a line that was heard.
    fn behind(&mut self, play: &mut Play, pc: Pc, message: usize) -> Pc {
        match &self.script.program.ops[pc] {
            Op::AnyOrder(order) => {
                self.came(play, *order, message);
                pc
            }
            _ => {
                self.told(message);
                pc + 1
            }
        }
    }

    /// Notes that a line came of those that may come in any order.
    fn came(&mut self, play: &mut Play, order: usize, message: usize) {
        self.told(message);
        let order = &self.script.program.orders[order];
        // They were put down one behind the other.
        let bit = order.bit(message - order.messages[0]);
        play.counters[order.counter + bit / 32] |= 1 << (bit % 32);
        play.counters[order.came] += 1;
    }

    /// Says the next of lines that may come in any order, or hears one of those that have not come.
    #[inline(never)]
    pub(super) fn any_order(&mut self, play: &mut Play, which: usize) -> Result<Pc, Stop> {
        let script = self.script;
        let order = &script.program.orders[which];
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
        if script.program.messages[order.messages[0]].form == Form::Text {
            let (text, next, heard, by_gap) = self.line(play)?;
            let line = &self.rest()[..text];
            self.scratch.captured.clear();
            let missing = |bits: Range<usize>| play.missing(order, bits);
            let found = match (&order.literals, &order.keys) {
                (Some(literals), _) => literals.equal(line, missing),
                (None, Some(keys)) => {
                    let mut found = std::mem::take(&mut self.scratch.found);
                    keys.of_whole(line, missing, &mut found);
                    let fits = |&index: &usize| {
                        matcher::line_matches(&script.program.messages[order.messages[index]], line, self.scratch)
                    };
                    let first = found.iter().copied().find(fits);
                    self.scratch.found = found;
                    first
                }
                (None, None) => (0..order.messages.len()).find(|&index| {
                    let message = &script.program.messages[order.messages[index]];
                    !play.has_come(order, index) && matcher::line_matches(message, line, self.scratch)
                }),
            };
            let Some(index) = found else {
                return Err(self.aside_or(play, |walk, play| walk.fail(play, Fault::Differs)));
            };
            self.came(play, which, order.messages[index]);
            self.take_line(play, text, next, heard, by_gap)?;
            return Ok(play.pc);
        }
        if let Some(literals) = &order.literals
            && script.program.asides.is_empty()
        {
            return self.literal(play, which, literals);
        }
        let together = play.together;
        let candidate =
            |play: &Play, index: usize| (!play.has_come(order, index)).then(|| (order.messages[index], together));
        match self.run_at_hand(play, order.messages.len(), Some(order), candidate)? {
            Some((index, length)) => {
                self.came(play, which, order.messages[index]);
                self.take(play, length, length)?;
                Ok(play.pc)
            }
            None => Err(self.fail(play, Fault::Differs)),
        }
    }

    /// Hears one of many texts that may come in any order.
    fn literal(&mut self, play: &mut Play, which: usize, literals: &Literals) -> Result<Pc, Stop> {
        let order = &self.script.program.orders[which];
        if play.after_gap {
            let mut missing = (0..order.messages.len()).filter(|&index| !play.has_come(order, index));
            let may_be_its_own =
                missing.any(|index| self.script.program.messages[order.messages[index]].begins_with_ending());
            self.late_ending_before_run(play, may_be_its_own)?;
        }
        let missing = |bits: Range<usize>| play.missing(order, bits);
        let Found { whole, may_become_longer } = match (self.script.carrier, self.datagram) {
            (Carrier::Stream | Carrier::Messages, _) => literals.find(self.rest(), missing),
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
                self.came(play, which, order.messages[index]);
                self.take(play, length, length)?;
                Ok(play.pc)
            }
        }
    }

    /// The same for `raw` and `hex` messages.
    #[inline(never)]
    fn dispatch_run(&mut self, play: &mut Play, arms: &[Arm]) -> Result<Pc, Stop> {
        let candidate = |play: &Play, index: usize| {
            let arm = &arms[index];
            let First::Line(message) = arm.first else { return None };
            allowed(play, &arm.path).then_some((message, play.together || arm.together))
        };
        let Some((index, length)) = self.run_at_hand(play, arms.len(), None, candidate)? else {
            return Err(self.fail(play, Fault::Differs));
        };
        let arm = &arms[index];
        let captured = std::mem::take(&mut self.scratch.captured);
        self.follow(play, &arm.path)?;
        self.scratch.captured = captured;
        self.take(play, length, length)?;
        match arm.first {
            First::Line(message) => Ok(self.behind(play, arm.pc, message)),
            _ => Ok(arm.pc),
        }
    }

    /// The same as [`Self::first_at_hand`]; what may come at any time is tried behind them, and if it is that, the play goes on
    /// there.
    fn run_at_hand(
        &mut self,
        play: &mut Play,
        count: usize,
        order: Option<&Order>,
        candidate: impl Fn(&Play, usize) -> Option<(usize, bool)>,
    ) -> Result<Option<(usize, usize)>, Stop> {
        let asides = self.framed_asides(play);
        let order = order.filter(|_| asides.is_empty());
        let candidate = |play: &Play, index: usize| match index.checked_sub(count) {
            None => candidate(play, index),
            Some(aside) => asides.get(aside).map(|aside| (aside.message, aside.together)),
        };
        match self.first_at_hand(play, count + asides.len(), order, candidate)? {
            Some((index, length)) if index >= count => {
                self.take(play, length, length)?;
                Err(self.begin_aside(play, asides[index - count]))
            }
            found => Ok(found),
        }
    }

    /// Which of several `raw` and `hex` messages is at hand, and how long it is; `None` if none of them. The first that
    /// fits is taken, but not while one that may still come begins just like it: then the longer one, or the shorter
    /// one once the other side was quiet for the gap, has ended, or is out of time.
    fn first_at_hand(
        &mut self,
        play: &mut Play,
        count: usize,
        order: Option<&Order>,
        candidate: impl Fn(&Play, usize) -> Option<(usize, bool)>,
    ) -> Result<Option<(usize, usize)>, Stop> {
        let script = self.script;
        if play.after_gap {
            let mut messages = (0..count).filter_map(|index| Some(&script.program.messages[candidate(play, index)?.0]));
            let may_be_its_own = messages.any(Message::begins_with_ending);
            self.late_ending_before_run(play, may_be_its_own)?;
        }
        let keys = order.and_then(|order| Some((order, order.keys.as_ref()?)));
        let waited = !play.coming.is_empty();
        let mut coming = std::mem::take(if waited { &mut play.coming } else { &mut self.scratch.coming });
        if !waited {
            coming.clear();
            let mut found = std::mem::take(&mut self.scratch.found);
            let rest = self.rest();
            match keys {
                Some((order, keys)) => {
                    let missing = |bits: Range<usize>| play.missing(order, bits);
                    // Between datagrams nothing has come, as on a stream.
                    let carrier = if self.datagram { Carrier::Datagram } else { Carrier::Stream };
                    if keys.of_part(rest, carrier, missing, &mut found) == KeyMatch::Partial {
                        (self.scratch.found, self.scratch.coming) = (found, coming);
                        return Err(self.wait(play));
                    }
                }
                None => {
                    found.clear();
                    found.extend(0..count);
                }
            }
            let all = found.iter().map(|&candidate| Coming { candidate, whole: None, progress: Progress::default() });
            coming.extend(all.filter(|one| {
                let message = candidate(play, one.candidate).map(|(message, _)| &script.program.messages[message]);
                message.is_some_and(|message| message.may_begin(rest))
            }));
            self.scratch.found = found;
        }
        // The first that is whole, or a longer one that begins like it and holds nothing but text.
        let mut best: Option<(usize, usize)> = None;
        let mut may_become_longer = false;
        // Whose captures stand in the scratch.
        let mut walked_last = None;
        let is_text = |index: usize| {
            candidate(play, index).is_some_and(|(message, _)| !script.program.messages[message].has_holes())
        };
        coming.retain_mut(|one| {
            let Some((message, together)) = candidate(play, one.candidate) else { return false };
            let walked = match one.whole {
                Some(length) => Walked::Whole(length),
                None => {
                    walked_last = Some(one.candidate);
                    self.run_of(&script.program.messages[message], together, &mut one.progress)
                }
            };
            match walked {
                Walked::Whole(length) => {
                    one.whole = Some(length);
                    let better = |(best, shorter)| length > shorter && is_text(best) && is_text(one.candidate);
                    if best.is_none_or(better) {
                        best = Some((one.candidate, length));
                    }
                }
                Walked::Partly => {
                    may_become_longer |= best.is_none_or(|(best, _)| is_text(best) && is_text(one.candidate));
                }
                Walked::Differs { .. } => return false,
            }
            true
        });
        let Some((index, length)) = best else {
            if !may_become_longer {
                return Ok(None);
            }
            // Where nothing has come, nothing is kept.
            if self.rest().is_empty() {
                self.scratch.coming = coming;
            } else {
                play.coming = coming;
            }
            return Err(self.wait(play));
        };
        if may_become_longer && !self.is_decided(play) {
            play.coming = coming;
            return Err(self.wait(play));
        }
        self.scratch.coming = coming;
        // What the last of them captured is not what this one did.
        if walked_last != Some(index)
            && let Some((message, together)) = candidate(play, index)
        {
            self.run_of(&script.program.messages[message], together, &mut Progress::default());
        }
        Ok(Some((index, length)))
    }

    /// Whether nothing will come soon that makes a message longer.
    fn is_decided(&self, play: &Play) -> bool {
        self.input.ended
            || self.script.carrier.keeps_bounds()
            || self.is_quiet(play)
            || self.overdue_at(play).is_some_and(|at| self.input.now >= at)
    }

    /// The end of their stream at a choice: a way that begins with it, or leaving where one may.
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
            if fits && !waits && allowed(play, &arm.path) {
                self.follow(play, &arm.path)?;
                play.since = None;
                return match arm.first {
                    First::End => Err(Stop::Next(Next::End(if self.is_over() { Ending::Left } else { Ending::Done }))),
                    First::Expect(StreamAction::Close) => {
                        Err(Stop::Next(Next::End(play.part(script, arm.pc, Ending::Left))))
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
        if may_leave { Err(Stop::Next(Next::End(Ending::Left))) } else { Err(self.fail(play, Fault::ClosedEarly)) }
    }

    /// Waits for an act of theirs.
    #[inline(never)]
    pub(super) fn expect(&mut self, play: &mut Play, deed: StreamAction) -> Result<(), Stop> {
        self.owes_ending = false;
        self.begin_waiting(play);
        self.skip_late_ending(play);
        if self.script.carrier == Carrier::Datagram {
            // Closing sends nothing there: the play is simply over.
            return Err(Stop::Next(Next::End(Ending::Done)));
        }
        // A packet of no bytes is one, too.
        if !self.rest().is_empty() || self.datagram {
            return Err(self.aside_or(play, |walk, play| walk.fail(play, Fault::UnexpectedData)));
        }
        match deed {
            StreamAction::Close if self.is_over() => {
                Err(Stop::Next(Next::End(play.part(self.script, play.pc, Ending::Left))))
            }
            StreamAction::StopSending if self.is_over() => {
                play.since = None;
                Ok(())
            }
            StreamAction::Reset if self.is_over() => Err(self.fail(play, Fault::ClosedEarly)),
            _ => Err(self.wait(play)),
        }
    }

    pub(super) fn begin_waiting(&mut self, play: &mut Play) {
        if play.since.is_none() {
            play.since = Some(self.input.now);
            // Nothing of before is needed any more: the memory is free for the next round.
            if !self.script.program.live[play.pc] {
                self.scratch.forget();
            }
        }
    }

    /// The next whole line at hand, or why there is none.
    pub(super) fn line(&mut self, play: &mut Play) -> Result<(usize, usize, Heard, bool), Stop> {
        self.skip_late_ending(play);
        match self.frame(play) {
            Framed::Line { text, next, heard, by_gap } if text <= self.script.longest_line => {
                Ok((text, next, heard, by_gap))
            }
            Framed::Line { .. } => Err(self.fail(play, Fault::TooLong { most: self.script.longest_line })),
            Framed::Wrong(fault) => Err(self.fail(play, fault)),
            Framed::Ended if matches!(self.script.program.ops[play.pc], Op::Choice(_)) => Err(Stop::More),
            Framed::Ended => Err(self.fail(play, Fault::ClosedEarly)),
            Framed::Part => Err(self.wait(play)),
        }
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
                    Eol::Lf => Framed::Line { text: end, next: end + 1, heard: Heard::Lf, by_gap: false },
                    _ if has_cr => Framed::Line { text: end - 1, next: end + 1, heard: Heard::CrLf, by_gap: false },
                    _ => Framed::Line { text: end, next: end + 1, heard: Heard::Lf, by_gap: false },
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
            Framed::Line { text, next: rest.len(), heard: Heard::Bare, by_gap }
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
    fn frame_datagram(&self, play: &Play) -> Framed {
        if !self.datagram {
            return if self.input.ended { Framed::Ended } else { Framed::Part };
        }
        let rest = self.rest();
        let whole = rest.len();
        let first = if play.together { memchr::memchr(b'\n', rest) } else { None };
        let ended = first.map(|at| at + 1).or_else(|| rest.ends_with(b"\n").then_some(whole));
        match (ended, self.script.eol) {
            (_, Eol::None) | (None, Eol::Any) => {
                Framed::Line { text: whole, next: whole, heard: Heard::Bare, by_gap: false }
            }
            (None, _) => Framed::Wrong(Fault::WrongEnding),
            (Some(next), eol) => {
                let has_cr = next > 1 && rest[next - 2] == b'\r';
                match eol {
                    Eol::CrLf if !has_cr => Framed::Wrong(Fault::WrongEnding),
                    Eol::Lf => Framed::Line { text: next - 1, next, heard: Heard::Lf, by_gap: false },
                    _ if has_cr => Framed::Line { text: next - 2, next, heard: Heard::CrLf, by_gap: false },
                    _ => Framed::Line { text: next - 1, next, heard: Heard::Lf, by_gap: false },
                }
            }
        }
    }

    fn run_of(&mut self, message: &Message, together: bool, progress: &mut Progress) -> Walked {
        let rest = self.rest();
        // Over datagrams a message is the whole datagram, inside `together` a part of one.
        let whole = if self.datagram { !together || message.to_end } else { self.input.ended && message.to_end };
        let walked = matcher::run_matches(message, rest, whole, progress, self.scratch);
        match walked {
            Walked::Partly if self.datagram => Walked::Differs { piece: 0, at: rest.len() },
            Walked::Whole(length) if self.datagram && !together && length < rest.len() => {
                Walked::Differs { piece: message.pieces.len().saturating_sub(1), at: length }
            }
            other => other,
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
    fn late_ending_before_run(&mut self, play: &mut Play, may_be_its_own: bool) -> Result<(), Stop> {
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
        play.patience = std::time::Duration::ZERO;
        play.scanned = 0;
        play.gained = 0;
        Ok(())
    }

    /// More is needed: wait for it, unless it is too late.
    pub(super) fn wait(&mut self, play: &mut Play) -> Stop {
        if self.awaits_bytes(play) {
            let come = self.rest().len();
            if come > MOST_BYTES {
                return self.fail(play, Fault::TooMuch { most: MOST_BYTES });
            }
            // What is not a line may take long, as long as it comes.
            if come as u64 - play.gained.min(come as u64) >= GAIN {
                (play.gained, play.since) = (come as u64, Some(self.input.now));
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
        let waited = self.script.wait.unwrap_or_default() + play.patience;
        let at_loop = match &self.script.program.ops[play.pc] {
            Op::Choice(index) => matches!(self.script.program.choices[*index].kind, Fork::Loop { .. }),
            _ => false,
        };
        if at_loop && self.rest().is_empty() && self.script.may_leave {
            return Stop::Next(Next::End(Ending::IdleTimeout { waited }));
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

    pub(super) fn overdue_at(&self, play: &Play) -> Option<Moment> {
        Some(play.since?.after(self.script.wait? + play.patience))
    }

    /// When what has come counts as quiet for the gap. In the middle of a character that is longer: its other bytes belong
    /// to it, however late they are.
    #[inline]
    fn quiet_at(&self, play: &Play) -> Option<Moment> {
        let gap = self.script.gap?;
        let times = if ends_inside_a_character(self.rest()) { PATIENCE_INSIDE_A_CHARACTER } else { 1 };
        Some(play.fresh.after(gap.saturating_mul(times)))
    }

    fn is_quiet(&self, play: &Play) -> bool {
        self.quiet_at(play).is_some_and(|at| self.input.now >= at)
    }

    /// When to look again if nothing comes: the gap behind an unfinished line, or the end of our patience.
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

    /// What came is not what the message says.
    fn differs(&mut self, play: &mut Play, index: usize) -> Stop {
        let message = &self.script.program.messages[index];
        let Some(slot) = matcher::bad_count(message, self.rest(), self.scratch) else {
            return self.fail(play, Fault::Differs);
        };
        let value = self.scratch.value(slot).unwrap_or_default().to_vec();
        let mut verdict = self.account(play, Fault::NotACount, &[]);
        self.script.program.name(slot).clone_into(&mut verdict.name);
        verdict.received = value;
        verdict.expected.clear();
        Stop::Next(Next::End(Ending::Failed(Box::new(verdict))))
    }

    pub(super) fn fail(&mut self, play: &mut Play, fault: Fault) -> Stop {
        let mut received = self.rest();
        if let (Fault::Differs, Some(end)) = (fault, self.line_end(play)) {
            received = &received[..end];
        }
        let verdict = self.account(play, fault, received);
        Stop::Next(Next::End(Ending::Failed(Box::new(verdict))))
    }

    /// Where the text of the line at hand ends.
    fn line_end(&self, play: &mut Play) -> Option<usize> {
        let text_line = expected_messages(self.script, play)
            .first()
            .is_some_and(|&message| self.script.program.messages[message].form == Form::Text);
        match self.frame(play) {
            Framed::Line { text, .. } if text_line => Some(text),
            _ => None,
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
