//! The player: a transcript walked step by step. Bytes, the end of the stream and the time go in; what to send and
//! what to do next come out. It was told its side once, by the script, and treats both alike.

mod account;
mod any_order;
mod aside;
mod assign;
mod choice;
mod connections;
mod expected;
mod failure;
mod fast_path;
mod file;
mod framing;
mod hear;
mod raw;
mod say;
mod step;
mod tls;
mod waiting;
mod walk;
mod watch;

use std::time::Duration;

use framing::LineEnding;
pub use step::{Ending, Input, Next, Output, SAID_AHEAD, Step};
use walk::{Stop, Walk};
pub use watch::{Exchange, Exchanges, Watch};

use crate::moment::Moment;
use crate::program::{Arm, First, Fork, Op, Pc, StreamAction};
use crate::row::Row;
use crate::script::Script;
use crate::values::{PartialMatch, Saved, Scratch};
use crate::verdict::Fault;

/// One play of a script. Where it stands without live values and with nothing read in part, it owns no memory.
#[derive(Debug, Clone, Default)]
pub struct Play {
    pc: Pc,
    /// Since when we wait for what we hear next.
    waiting_since: Option<Moment>,
    /// When bytes last came.
    last_received: Moment,
    /// Until when we pause.
    paused_until: Option<Moment>,
    /// How much longer than usual the next read may take.
    extra_wait: Duration,
    /// Bytes that were left unconsumed, to tell whether new ones came.
    unconsumed: usize,
    /// Bytes of them that hold no line ending.
    scanned: usize,
    /// The messages that are no lines and fit what has come so far, and how far each of them has come.
    partial: Vec<PartialMatch>,
    /// Bytes of the file that is being said or heard.
    file_offset: u64,
    /// How much of what is not a line had come when the wait began anew.
    gained: u64,
    counters: Box<[u32]>,
    /// What it was given, beside the script's own values.
    row: Option<Row>,
    saved: Option<Box<Saved>>,
    /// What we said last, for the account of a failure; its memory stays.
    said: Option<Box<Said>>,
    line_ending: LineEnding,
    /// The last line ended by the gap: a lone line ending that comes now belongs to it.
    after_gap: bool,
    /// Inside `together`.
    together: bool,
    /// How much was heard of the datagram that the block is.
    part: Part,
    /// Over which connection it goes; 0 is the first.
    current: u8,
    /// The connections that are not as they were when the play began: a bit each.
    changed: u16,
    /// Those that are under TLS, by a `starttls`: a bit each.
    under_tls: u16,
}

impl Script {
    /// A new play of it, at its beginning.
    #[must_use]
    pub fn play(&self) -> Play {
        Play::new(self)
    }

    /// A new play with values of its own, which [`Script::row`] of this script has looked at.
    #[must_use]
    pub fn play_with(&self, row: &Row) -> Play {
        Play { row: Some(row.clone()), ..Play::new(self) }
    }
}

/// How much was heard of a datagram of several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    /// Nothing, or what is heard is none.
    #[default]
    Nothing,
    /// Some of it: what follows is in the same datagram.
    Some,
    /// All of it: what follows is in another one.
    All,
}

/// A line that we said, and its bytes.
#[derive(Debug, Clone, Default)]
struct Said {
    line: usize,
    bytes: Vec<u8>,
}

/// The same, as long as it stands in the output.
struct Last {
    line: usize,
    start: usize,
    end: usize,
}

impl Play {
    pub(crate) fn new(script: &Script) -> Self {
        Self { counters: vec![0; script.program.counters].into_boxed_slice(), ..Self::default() }
    }

    /// Stands at the beginning again, as a new play of this script would: its memory stays. Of what was heard before only
    /// this is kept, that a lone line ending may still belong to a line that ended without one.
    pub fn begin_again(&mut self, script: &Script, row: Option<&Row>) {
        let mut counters = std::mem::take(&mut self.counters);
        if counters.len() == script.program.counters {
            counters.fill(0);
        } else {
            counters = vec![0; script.program.counters].into_boxed_slice();
        }
        let mut partial = std::mem::take(&mut self.partial);
        partial.clear();
        let (mut said, after_gap) = (self.said.take(), self.after_gap);
        if let Some(said) = &mut said {
            said.line = 0;
        }
        *self = Self { counters, partial, said, after_gap, row: row.cloned(), ..Self::default() };
    }

    /// The values of a play that is over: their memory is of use for the next one, see [`Script::row_again`].
    pub fn take_row(&mut self) -> Option<Row> {
        self.row.take()
    }

    /// Goes on as far as the input allows. Output is appended, and is to be sent before what `next` says is done.
    pub fn step(&mut self, script: &Script, input: Input<'_>, scratch: &mut Scratch, output: &mut Output) -> Step {
        self.step_watched(script, input, scratch, output, &mut ())
    }

    /// The same with somebody who is told line by line what was done.
    pub fn step_watched<W: Watch>(
        &mut self,
        script: &Script,
        input: Input<'_>,
        scratch: &mut Scratch,
        output: &mut Output,
        watch: &mut W,
    ) -> Step {
        self.load_values(script, scratch);
        if input.bytes.len() > self.unconsumed {
            self.last_received = input.now;
        }
        let mut walk = Walk::new(script, input, scratch, output, watch);
        let next = walk.run(self);
        walk.keep_said(self);
        let consumed = walk.at;
        let goes_on = matches!(next, Next::Pause { .. } | Next::Flush | Next::End(Ending::Done | Ending::Left));
        let left = walk.datagram && consumed == 0 && goes_on;
        self.unconsumed = input.bytes.len() - consumed;
        if scratch.row.is_some() {
            self.row = scratch.row.take();
        }
        if !matches!(&next, Next::End(ending) if !matches!(ending, Ending::GoesOn { .. })) {
            self.saved = scratch.save(script.program.live.get(self.pc).copied().unwrap_or(false));
        }
        Step { consumed, left, next }
    }

    /// Keeps what was said last. A play says many lines, and its memory stays for the next one.
    #[inline(never)]
    fn keep_said(&mut self, output: &[u8], last: Last) {
        let said = self.said.get_or_insert_default();
        said.line = last.line;
        said.bytes.clear();
        said.bytes.extend_from_slice(&output[last.start..last.end]);
    }

    /// What was said last, as an account has it.
    fn sent(&self) -> Option<(usize, Vec<u8>)> {
        // None in this play: lines are counted from 1.
        let said = self.said.as_ref().filter(|said| said.line > 0);
        said.map(|said| (said.line, said.bytes.clone()))
    }

    /// Brings its values to where they are looked up.
    #[inline]
    fn load_values(&mut self, script: &Script, scratch: &mut Scratch) {
        scratch.load(self.saved.take(), script.program.slots.len());
        if self.row.is_some() {
            scratch.row = self.row.take();
        }
    }

    /// The connection was reset: how the play ends.
    #[must_use]
    pub fn reset(&mut self, script: &Script, unread: &[u8], scratch: &mut Scratch) -> Ending {
        self.load_values(script, scratch);
        let ending = match &script.program.ops[self.pc] {
            Op::Expect(StreamAction::Reset) => self.end_connection(script, self.pc, Ending::Done),
            Op::Choice(_) if unread.is_empty() => match self.branch_by_reset(script, scratch) {
                Some(ending) => ending,
                None if self.at_rest(script) && script.forgives_resets() => Ending::IdleReset,
                None => Ending::Failed(Box::new(self.verdict(script, Fault::Reset, unread, scratch))),
            },
            _ => Ending::Failed(Box::new(self.verdict(script, Fault::Reset, unread, scratch))),
        };
        self.row = scratch.row.take();
        if let Ending::GoesOn { .. } = ending {
            self.saved = scratch.save(script.program.live[self.pc]);
        }
        ending
    }

    /// Where a choice of theirs has a branch that begins with a reset: how the play ends there.
    fn branch_by_reset(&mut self, script: &Script, scratch: &mut Scratch) -> Option<Ending> {
        let Op::Choice(index) = &script.program.ops[self.pc] else { return None };
        let choice = &script.program.choices[*index];
        let is_way =
            |arm: &&Arm| matches!(arm.first, First::Expect(StreamAction::Reset)) && expected::allowed(self, &arm.path);
        let arm = choice.arms.iter().filter(|_| choice.ours.is_none()).find(is_way)?;
        let input = Input { bytes: &[], datagram: false, ended: true, now: Moment::default() };
        let (mut output, mut unwatched) = (Output::default(), ());
        let mut walk = Walk::new(script, input, scratch, &mut output, &mut unwatched);
        Some(match walk.follow(self, &arm.path) {
            Err(Stop::Next(Next::End(ending))) => ending,
            _ => self.end_connection(script, arm.pc, Ending::Done),
        })
    }

    /// Whether the play stands between two exchanges: at the top of a loop that the other side begins, with nothing
    /// read in part.
    #[must_use]
    pub fn at_rest(&self, script: &Script) -> bool {
        self.unconsumed == 0
            && match script.program.ops.get(self.pc) {
                Some(Op::Choice(index)) => {
                    let choice = &script.program.choices[*index];
                    choice.ours.is_none() && matches!(choice.kind, Fork::Loop { .. })
                }
                _ => false,
            }
    }

    /// Whether it stands where the other side may be gone and all is as written: between two exchanges, where nothing
    /// that must be said follows, or where it may leave.
    #[must_use]
    pub fn may_end(&self, script: &Script) -> bool {
        let ends = |first| {
            matches!(
                first,
                First::End | First::Expect(StreamAction::Close) | First::Do(StreamAction::Close | StreamAction::Reset)
            )
        };
        self.at_rest(script)
            && match script.program.ops.get(self.pc) {
                Some(Op::Choice(index)) => {
                    let choice = &script.program.choices[*index];
                    let last = matches!(choice.kind, Fork::Loop { ends_file: true, .. });
                    last || script.may_leave
                        || choice.arms.iter().any(|arm| ends(arm.first) && expected::allowed(self, &arm.path))
                }
                _ => false,
            }
    }

    /// The transcript's line at which it stands: that of the message that would be heard or said next.
    #[must_use]
    pub fn line(&self, script: &Script) -> usize {
        let pc = self.pc.min(script.program.places.len().saturating_sub(1));
        match expected::expected_messages(script, self).first() {
            Some(&message) => script.program.messages[message].place.line,
            None => script.program.places.get(pc).map_or(1, |place| place.line),
        }
    }

    /// Bytes of memory that it holds for its values and for what was said last: what a driver of many plays adds up.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.saved.as_ref().map_or(0, |saved| saved.size())
            + self.said.as_ref().map_or(0, |said| size_of::<Said>() + said.bytes.capacity())
    }

    /// Bytes of memory that it keeps while it waits, beyond its own size.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of_val(&*self.counters) + self.holds()
    }

    /// Whether it stands just where a new play would stand, so that it may be forgotten.
    #[must_use]
    pub fn is_fresh(&self, script: &Script) -> bool {
        let start = match script.program.ops.first() {
            Some(Op::Enter(_)) => 1,
            _ => 0,
        };
        (self.pc == 0 || self.pc == start)
            && self.unconsumed == 0
            && self.saved.is_none()
            && self.counters.iter().all(|&counter| counter == 0)
            && self.paused_until.is_none()
    }
}
