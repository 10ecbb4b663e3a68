//! One step of a play: its operations are done one after the other, until more has to come or the play is over.

use std::time::Duration;

use super::step::{Ending, Input, Next, Output, SAID_AHEAD};
use super::{Last, Part, Play, Watch};
use crate::carrier::{Carrier, MessageKind};
use crate::program::{Op, Pc, Step as PathStep};
use crate::script::Script;
use crate::syntax::Tls;
use crate::values::Scratch;
use crate::verdict::Verdict;

/// Messages said in one step at which it pauses too: even empty ones take time, and over datagrams memory.
const MANY: usize = 4096;

/// Counted rounds in one step at which it pauses as well, so that no loop keeps the thread for long.
const MOST_ITERATIONS: usize = 64 * 1024;

/// Why the walk stops.
pub(super) enum Stop {
    Next(Next),
    /// Nothing more can be done with these bytes.
    More,
}

impl Stop {
    /// The play is over.
    pub(super) fn end(ending: Ending) -> Self {
        Self::Next(Next::End(ending))
    }

    /// The play is over, and did not go as written.
    pub(super) fn failed(verdict: Verdict) -> Self {
        Self::end(Ending::Failed(Box::new(verdict)))
    }
}

/// One step's view: the play's script, its input, and where the output goes.
pub(super) struct Walk<'a, W> {
    pub(super) script: &'a Script,
    pub(super) input: Input<'a>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) output: &'a mut Output,
    pub(super) watch: &'a mut W,
    /// Bytes of the input that are consumed.
    pub(super) at: usize,
    /// A datagram that was not consumed yet.
    pub(super) datagram: bool,
    /// Something was said that is in no datagram yet.
    pub(super) said: bool,
    /// Whether that is all text.
    pub(super) kind: MessageKind,
    /// What was said last in this step, where that is kept.
    pub(super) last: Option<Last>,
    /// How many messages were said.
    pub(super) messages: usize,
    /// How many counted rounds were gone: a round may say and hear nothing.
    pub(super) iterations: usize,
    /// The last line said in this run went without an ending; another one needs it first.
    pub(super) owes_ending: bool,
    /// The play goes on elsewhere than where it stood.
    pub(super) is_aside: bool,
}

impl<'a, W: Watch> Walk<'a, W> {
    #[inline]
    pub(super) fn new(
        script: &'a Script,
        input: Input<'a>,
        scratch: &'a mut Scratch,
        output: &'a mut Output,
        watch: &'a mut W,
    ) -> Self {
        Self {
            script,
            input,
            scratch,
            output,
            watch,
            at: 0,
            datagram: input.datagram,
            owes_ending: false,
            said: false,
            kind: MessageKind::Text,
            last: None,
            messages: 0,
            iterations: 0,
            is_aside: false,
        }
    }

    pub(super) fn run(&mut self, play: &mut Play) -> Next {
        loop {
            match self.operation(play) {
                Ok(pc) => play.pc = pc,
                Err(Stop::Next(next)) => return next,
                // It was told where it goes on: what came may come at any time.
                Err(Stop::More) if std::mem::take(&mut self.is_aside) => {}
                Err(Stop::More) => return Next::Hear { until: self.deadline(play) },
            }
        }
    }

    /// Has the play keep what was said last in this step.
    #[inline]
    pub(super) fn keep_said(&mut self, play: &mut Play) {
        if let Some(last) = self.last.take() {
            play.keep_said(&self.output.bytes, last);
        }
    }

    /// Does the operation at hand: the next one, or why to stop.
    #[inline(always)]
    fn operation(&mut self, play: &mut Play) -> Result<Pc, Stop> {
        let pc = play.pc;
        match &self.script.program.ops[pc] {
            Op::Say(message) => {
                // One datagram is said whole.
                let much = self.output.bytes.len() >= SAID_AHEAD || self.messages >= MANY;
                if much && (!play.together || self.script.carrier == Carrier::Stream) {
                    return Err(Stop::Next(Next::Flush));
                }
                self.say(play, *message)?;
                Ok(pc + 1)
            }
            Op::Hear(message) => {
                self.hear(play, *message)?;
                Ok(pc + 1)
            }
            Op::Choice(index) => match &self.script.program.choices[*index].ours {
                Some(plan) => Ok(self.choose(play, *index, plan)),
                None => self.dispatch(play, *index),
            },
            Op::Do(action) => Err(self.act(play, pc, *action)),
            Op::Expect(action) => {
                self.expect(play, *action)?;
                Ok(pc + 1)
            }
            Op::Pause(time) => {
                self.pause(play, *time)?;
                Ok(pc + 1)
            }
            Op::Tls(tls) => self.go_over_tls(play, matches!(tls, Tls::Start { .. })),
            Op::File(file) => self.file(play, *file),
            Op::AnyOrder(order) => self.any_order(play, *order),
            Op::Again { counter, times, body } => {
                play.counters[*counter] += 1;
                let next = if play.counters[*counter] < *times { *body } else { pc + 1 };
                self.iterations += 1;
                if self.iterations >= MOST_ITERATIONS {
                    play.pc = next;
                    return Err(Stop::Next(Next::Flush));
                }
                Ok(next)
            }
            Op::Jump(to) => Ok(*to),
            Op::On(_) | Op::Connect(_) | Op::Listen { .. } | Op::Choose(_) => self.cold_operation(play, pc),
            Op::Wrong | Op::End => Err(Stop::end(Ending::Done)),
            Op::ExtraWait(_)
            | Op::Set { .. }
            | Op::Let { .. }
            | Op::Enter(_)
            | Op::Together
            | Op::Apart
            | Op::Forbidden
            | Op::Return => {
                self.silent_operation(play, pc)?;
                Ok(pc + 1)
            }
        }
    }

    /// Pauses before we go on.
    fn pause(&mut self, play: &mut Play, time: Duration) -> Result<(), Stop> {
        self.owes_ending = false;
        let until = *play.paused_until.get_or_insert(self.input.now.after(time));
        if self.input.now < until {
            return Err(Stop::Next(Next::Pause { until }));
        }
        play.paused_until = None;
        Ok(())
    }

    /// What has to do with several connections, or with a choice by a value.
    #[cold]
    #[inline(never)]
    fn cold_operation(&mut self, play: &mut Play, pc: Pc) -> Result<Pc, Stop> {
        match &self.script.program.ops[pc] {
            Op::On(connection) => self.switch_connection(play, pc, *connection),
            Op::Connect(connect) => self.connect(play, pc, *connect),
            Op::Listen { connection, .. } => {
                play.pc = pc + 1;
                Err(Stop::Next(Next::Listen { connection: *connection }))
            }
            Op::Choose(table) => self.choose_by_value(play, pc, *table),
            _ => Ok(pc + 1),
        }
    }

    /// Does an operation that neither says nor hears anything.
    #[inline(never)]
    fn silent_operation(&mut self, play: &mut Play, pc: Pc) -> Result<(), Stop> {
        match &self.script.program.ops[pc] {
            Op::ExtraWait(time) => play.extra_wait += *time,
            Op::Set { slot, value } => self.assign(play, pc, *slot, value)?,
            Op::Let { slot, function, key, value } => self.compute(play, pc, *slot, function, (key, value))?,
            Op::Enter(counters) => counters.iter().for_each(|&counter| play.counters[counter] = 0),
            Op::Together => (play.together, play.part) = (true, Part::Nothing),
            Op::Forbidden | Op::Return => return Err(self.behind_aside(play)),
            Op::Apart => self.end_together(play)?,
            _ => {}
        }
        Ok(())
    }

    /// Follows the path to an arm's first statement.
    #[inline(never)]
    pub(super) fn follow(&mut self, play: &mut Play, path: &[PathStep]) -> Result<(), Stop> {
        for step in path {
            match step {
                PathStep::Run(pc) => self.silent_operation(play, *pc)?,
                PathStep::Again { counter, .. } => play.counters[*counter] += 1,
            }
        }
        Ok(())
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        let input: Input<'a> = self.input;
        &input.bytes[self.at..]
    }

    /// Whether the other side can say nothing more: the stream ended, and all of it is consumed.
    pub(super) fn is_over(&self) -> bool {
        self.input.ended && self.rest().is_empty() && !self.datagram
    }
}
