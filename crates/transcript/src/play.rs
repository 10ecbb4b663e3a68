//! The player: a transcript walked step by step. Bytes, the end of the stream and the time go in; what to send and
//! what to do next come out. It was told its side once, by the script, and treats both alike.

mod account;
mod aside;
mod connections;
mod expected;
mod fast_path;
mod file;
mod hear;
mod say;
mod watch;

use std::ops::Range;
use std::time::Duration;

pub use watch::{Exchange, Exchanges, Watch};

use crate::carrier::{Bound, Carrier, MessageKind};
use crate::function::{Function, NotEncoded};
use crate::moment::Moment;
use crate::program::{Arm, First, Fork, Op, Order, Pc, Piece, PieceKind, Plan, Step as PathStep, StreamAction};
use crate::row::Row;
use crate::script::Script;
use crate::syntax::Tls;
use crate::values::{Coming, MOST_VALUES, Saved, Scratch};
use crate::verdict::{Fault, Verdict};

/// What has come from the other side and was not consumed yet.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// On a stream every byte since the last one that was consumed; over datagrams the payload of one.
    pub bytes: &'a [u8],
    /// Over datagrams: whether `bytes` is one, even if it is empty. Ignored on a stream.
    pub datagram: bool,
    /// Whether the other side's end of the stream stands behind the bytes.
    pub ended: bool,
    /// The time now.
    pub now: Moment,
}

/// What there is to send.
#[derive(Debug, Default)]
pub struct Output {
    /// The bytes; on a stream one write.
    pub bytes: Vec<u8>,
    /// Over datagrams: where each ends in the bytes.
    pub datagrams: Vec<usize>,
    /// Over a stream of messages: where each ends. What stands behind the last is bytes. Of text, a line feed at its end is that of
    /// its line, and no part of the message.
    pub messages: Vec<Bound>,
}

impl Output {
    /// Forgets what was sent; the memory stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
        self.messages.clear();
    }
}

/// What a step came to.
#[derive(Debug)]
pub struct Step {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// Over datagrams: the one that was given was not taken. While the play pauses, or has much to send, it is to be kept
    /// and given again with the step after that; where the play is over, it is the next one's.
    pub left: bool,
    /// What to do, after sending the output.
    pub next: Next,
}

/// What the play needs next.
#[derive(Debug)]
pub enum Next {
    /// More from the other side, or this moment.
    Hear {
        /// When to step again if nothing comes; `None` is never.
        until: Option<Moment>,
    },
    /// There is much to send: step again when it is sent.
    Flush,
    /// Nothing before this moment.
    Pause {
        /// When to step again.
        until: Moment,
    },
    /// Half-close our direction, then step again.
    StopSending,
    /// Go on with another connection that is open: with the next step comes what came there.
    Over {
        /// Which: the 2 of `C2:`.
        connection: u8,
    },
    /// Open a connection; the next step is about it.
    Connect {
        /// Which.
        connection: u8,
        /// The port, where it is not that of the conversation; the host is the same.
        port: Option<u16>,
    },
    /// Take a connection that the other side opens; the next step is about it. See [`Play::not_connected`].
    Accept {
        /// Which.
        connection: u8,
        /// Whether it comes to the port at which [`Next::Listen`] had us listen for it, or to that of the conversation.
        has_port: bool,
        /// When that is too late; `None` is never.
        until: Option<Moment>,
    },
    /// Listen at a port that is free, and tell which: [`Play::listens_at`].
    Listen {
        /// The connection that will come there.
        connection: u8,
    },
    /// Shake hands for TLS, then step again with what is said inside it. See [`Play::alpn`].
    StartTls,
    /// Say that TLS ends (close_notify), wait for the other side to say so, then step again with what is said in clear.
    StopTls,
    /// The play is over.
    End(Ending),
}

/// How a play ended.
#[derive(Debug)]
pub enum Ending {
    /// As written, at its last statement; we close.
    Done,
    /// As written, and the transcript says that we reset.
    DoneByReset,
    /// The connection ends here, and the play goes on: step again, without input, for where.
    GoesOn {
        /// We end it by a reset.
        by_reset: bool,
    },
    /// The other side left where it may.
    Left,
    /// Nothing came for long where nothing was due.
    IdleTimeout {
        /// How long was waited.
        waited: Duration,
    },
    /// A reset came where nothing was due.
    IdleReset,
    /// Not as written.
    Failed(Box<Verdict>),
}

impl Ending {
    /// Whether the conversation went as written, or ended where it may.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}

/// Bytes of output at which a step pauses for them to be sent.
pub const SAID_AHEAD: usize = 64 * 1024;

/// Messages said in one step at which it pauses too: even empty ones take time, and over datagrams memory.
const MANY: usize = 4096;

/// Counted rounds in one step at which it pauses as well, so that no loop keeps the thread for long.
const MOST_ITERATIONS: usize = 64 * 1024;

/// The line ending that the other side used last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Heard {
    /// It said nothing yet.
    #[default]
    Nothing,
    Lf,
    CrLf,
    /// None: its line ended by the gap, the end or with its datagram.
    Bare,
}

/// One play of a script. Where it stands without live values and with nothing read in part, it owns no memory.
#[derive(Debug, Clone, Default)]
pub struct Play {
    pc: Pc,
    /// Since when we wait for what we hear next.
    since: Option<Moment>,
    /// When bytes last came.
    fresh: Moment,
    /// Until when we pause.
    pause: Option<Moment>,
    /// How much longer than usual the next read may take.
    patience: Duration,
    /// Bytes that were left unconsumed, to tell whether new ones came.
    left: usize,
    /// Bytes of them that hold no line ending.
    scanned: usize,
    /// How far the messages that are no lines have come that may be the one that is coming.
    coming: Vec<Coming>,
    /// Bytes of the file that is being said or heard.
    in_file: u64,
    /// How much of what is not a line had come when the wait began anew.
    gained: u64,
    counters: Box<[u32]>,
    /// What it was given, beside the script's own values.
    row: Option<Row>,
    saved: Option<Box<Saved>>,
    /// What we said last, for the account of a failure; its memory stays.
    said: Option<Box<Said>>,
    heard: Heard,
    /// The last line ended by the gap: a lone line ending that comes now belongs to it.
    after_gap: bool,
    /// Inside `together`.
    together: bool,
    /// Over which connection it goes; 0 is the first.
    on: u8,
    /// The connections that are not as they were when the play began: a bit each.
    changed: u16,
    /// Those that are under TLS, by a `starttls`: a bit each.
    secret: u16,
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

/// Why the walk stops.
enum Stop {
    Next(Next),
    /// Nothing more can be done with these bytes.
    More,
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
        let mut coming = std::mem::take(&mut self.coming);
        coming.clear();
        let (mut said, after_gap) = (self.said.take(), self.after_gap);
        if let Some(said) = &mut said {
            said.line = 0;
        }
        *self = Self { counters, coming, said, after_gap, row: row.cloned(), ..Self::default() };
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
        self.bring(script, scratch);
        if input.bytes.len() > self.left {
            self.fresh = input.now;
        }
        let mut walk = Walk::new(script, input, scratch, output, watch);
        let next = walk.run(self);
        walk.keep_said(self);
        let consumed = walk.at;
        let goes_on = matches!(next, Next::Pause { .. } | Next::Flush | Next::End(Ending::Done | Ending::Left));
        let left = walk.datagram && consumed == 0 && goes_on;
        self.left = input.bytes.len() - consumed;
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
    fn bring(&mut self, script: &Script, scratch: &mut Scratch) {
        scratch.load(self.saved.take(), script.program.slots.len());
        if self.row.is_some() {
            scratch.row = self.row.take();
        }
    }

    /// The connection was reset: how the play ends.
    #[must_use]
    pub fn reset(&mut self, script: &Script, unread: &[u8], scratch: &mut Scratch) -> Ending {
        self.bring(script, scratch);
        let ending = match &script.program.ops[self.pc] {
            Op::Expect(StreamAction::Reset) => self.part(script, self.pc, Ending::Done),
            Op::Choice(_) if unread.is_empty() => match self.way_by_reset(script, scratch) {
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

    /// Where a choice of theirs has a way that begins with a reset: how the play ends there.
    fn way_by_reset(&mut self, script: &Script, scratch: &mut Scratch) -> Option<Ending> {
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
            _ => self.part(script, arm.pc, Ending::Done),
        })
    }

    /// What is to be spoken inside the TLS that [`Next::StartTls`] asks for, the most wanted first (ALPN, RFC 7301); none: nobody
    /// asks.
    #[must_use]
    pub fn alpn<'s>(&self, script: &'s Script) -> &'s [String] {
        match script.program.ops.get(self.pc.wrapping_sub(1)) {
            Some(Op::Tls(Tls::Start { alpn })) => alpn,
            _ => &[],
        }
    }

    /// What [`Next::StartTls`] or [`Next::StopTls`] asked for failed, or TLS broke later: how the play ends.
    #[must_use]
    pub fn tls_failed(&mut self, script: &Script, fault: Fault, why: &str, scratch: &mut Scratch) -> Ending {
        self.bring(script, scratch);
        // The account stands at the line that asked for it; a certificate may be refused after the handshake.
        if matches!(script.program.ops.get(self.pc.wrapping_sub(1)), Some(Op::Tls(_))) {
            self.pc -= 1;
        }
        let mut verdict = self.verdict(script, fault, &[], scratch);
        why.clone_into(&mut verdict.name);
        self.row = scratch.row.take();
        Ending::Failed(Box::new(verdict))
    }

    /// Whether the play stands between two exchanges: at the top of a loop that the other side begins, with nothing
    /// read in part.
    #[must_use]
    pub fn at_rest(&self, script: &Script) -> bool {
        self.left == 0
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

    /// Whether a line of those that may come in any order has come.
    fn has_come(&self, order: &Order, index: usize) -> bool {
        let bit = order.bit(index);
        self.counters[order.counter + bit / 32] >> (bit % 32) & 1 == 1
    }

    /// The first of some bits that stands for a line which has not come. Of many that have, a word is looked at at once.
    fn missing(&self, order: &Order, bits: Range<usize>) -> Option<usize> {
        let mut bit = bits.start;
        while bit < bits.end {
            let missing = !self.counters[order.counter + bit / 32] >> (bit % 32);
            if missing != 0 {
                bit += missing.trailing_zeros() as usize;
                return (bit < bits.end).then_some(bit);
            }
            bit = (bit / 32 + 1) * 32;
        }
        None
    }

    /// Whether all lines have come of those that may come in any order.
    fn have_all_come(&self, order: &Order) -> bool {
        self.counters[order.came] as usize == order.messages.len()
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
            && self.left == 0
            && self.saved.is_none()
            && self.counters.iter().all(|&counter| counter == 0)
            && self.pause.is_none()
    }
}

/// One step's view: the play's script, its input, and where the output goes.
struct Walk<'a, W> {
    script: &'a Script,
    input: Input<'a>,
    scratch: &'a mut Scratch,
    output: &'a mut Output,
    watch: &'a mut W,
    /// Bytes of the input that are consumed.
    at: usize,
    /// A datagram that was not consumed yet.
    datagram: bool,
    /// Something was said that is in no datagram yet.
    said: bool,
    /// Whether that is all text.
    kind: MessageKind,
    /// What was said last in this step, where that is kept.
    last: Option<Last>,
    /// How many messages were said.
    messages: usize,
    /// How many counted rounds were gone: a round may say and hear nothing.
    iterations: usize,
    /// The last line said in this run went without an ending; another one needs it first.
    owes_ending: bool,
    /// The play goes on elsewhere than where it stood.
    is_aside: bool,
}

impl<'a, W: Watch> Walk<'a, W> {
    #[inline]
    fn new(
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

    fn run(&mut self, play: &mut Play) -> Next {
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
    fn keep_said(&mut self, play: &mut Play) {
        if let Some(last) = self.last.take() {
            play.keep_said(&self.output.bytes, last);
        }
    }

    /// The account of a failure where the play stands.
    #[inline(never)]
    fn account(&mut self, play: &mut Play, fault: Fault, received: &[u8]) -> Verdict {
        self.keep_said(play);
        play.verdict(self.script, fault, received, self.scratch)
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
            Op::Do(deed) => {
                self.owes_ending = false;
                match deed {
                    StreamAction::Close | StreamAction::Reset => Err(self.end_ours(play, pc, *deed)),
                    StreamAction::StopSending => {
                        play.pc = pc + 1;
                        Err(Stop::Next(Next::StopSending))
                    }
                }
            }
            Op::Expect(deed) => {
                self.expect(play, *deed)?;
                Ok(pc + 1)
            }
            Op::Pause(time) => {
                self.owes_ending = false;
                let until = *play.pause.get_or_insert(self.input.now.after(*time));
                if self.input.now < until {
                    return Err(Stop::Next(Next::Pause { until }));
                }
                play.pause = None;
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
            Op::On(_) | Op::Connect(_) | Op::Listen { .. } | Op::Choose(_) => self.beside(play, pc),
            Op::Wrong | Op::End => Err(Stop::Next(Next::End(Ending::Done))),
            Op::Patience(_)
            | Op::Set { .. }
            | Op::Let { .. }
            | Op::Enter(_)
            | Op::Together
            | Op::Apart
            | Op::Forbidden
            | Op::Return => {
                self.pass(play, pc)?;
                Ok(pc + 1)
            }
        }
    }

    /// Goes over to TLS, or back. What was said in clear behind the line that asked for it must not be taken for what is said
    /// inside (CVE-2011-0411), and the other way round.
    #[cold]
    #[inline(never)]
    fn go_over_tls(&mut self, play: &mut Play, begins: bool) -> Result<Pc, Stop> {
        self.owes_ending = false;
        self.skip_late_ending(play);
        let bit = 1 << play.connection().unwrap_or_default();
        let is_inside = play.secret & bit != 0;
        let (fault, name) = match (self.rest().is_empty(), begins) {
            (true, _) if is_inside != begins => {
                play.secret ^= bit;
                play.pc += 1;
                return Err(Stop::Next(if begins { Next::StartTls } else { Next::StopTls }));
            }
            (true, true) => (Fault::Tls, "it has begun before, and has not ended".to_owned()),
            (true, false) => (Fault::TlsGoesOn, "it has not begun".to_owned()),
            (false, true) => (Fault::ClearBytes, String::new()),
            (false, false) => {
                let side = self.script.side.other();
                (Fault::TlsGoesOn, format!("the {side} said more inside it"))
            }
        };
        let received = self.rest().to_vec();
        let mut verdict = self.account(play, fault, &received);
        if !name.is_empty() {
            verdict.name = name;
        }
        Err(Stop::Next(Next::End(Ending::Failed(Box::new(verdict)))))
    }

    /// Does an operation that neither says nor hears anything.
    #[inline(never)]
    fn pass(&mut self, play: &mut Play, pc: Pc) -> Result<(), Stop> {
        match &self.script.program.ops[pc] {
            Op::Patience(time) => play.patience += *time,
            Op::Set { slot, value } => {
                // What is put behind its own value leaves that where it is.
                let (is_longer, value) = match &value[..] {
                    [Piece { kind: PieceKind::Value(own), .. }, more @ ..] if own == slot => (true, more),
                    all => (false, all),
                };
                let bytes = self.fill(value).map_err(|_| self.too_large(play, pc, *slot))?;
                let set = match is_longer {
                    true => self.scratch.append(*slot, &bytes),
                    false => self.scratch.set(*slot, &bytes),
                };
                set.map_err(|_| self.too_large(play, pc, *slot))?;
            }
            Op::Let { slot, function, key, value } => {
                let filled = self.fill(key).and_then(|key| Ok((key, self.fill(value)?)));
                let (secret, bytes) = filled.map_err(|_| self.too_large(play, pc, *slot))?;
                let made = match function.apply(&secret, &bytes) {
                    Ok(made) => made,
                    Err(why) => return Err(self.bad_value(play, pc, *slot, bytes, why)),
                };
                self.scratch.set(*slot, &made).map_err(|_| self.too_large(play, pc, *slot))?;
            }
            Op::Enter(counters) => counters.iter().for_each(|&counter| play.counters[counter] = 0),
            Op::Together => play.together = true,
            Op::Forbidden | Op::Return => return Err(self.behind_aside(play)),
            Op::Apart => {
                play.together = false;
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
            }
            _ => {}
        }
        Ok(())
    }

    /// The values of the play would grow too large.
    fn too_large(&mut self, play: &mut Play, pc: Pc, slot: usize) -> Stop {
        let program = &self.script.program;
        let mut verdict = self.account(play, Fault::ValuesTooLarge { most: MOST_VALUES }, &[]);
        verdict.place = program.places[pc];
        program.name(slot).clone_into(&mut verdict.name);
        verdict.expected.clear();
        Stop::Next(Next::End(Ending::Failed(Box::new(verdict))))
    }

    /// A value that was heard is not what a function reads.
    fn bad_value(&mut self, play: &mut Play, pc: Pc, slot: usize, value: Vec<u8>, why: NotEncoded) -> Stop {
        let program = &self.script.program;
        let fault = if matches!(why.function, Function::Write(_)) { Fault::NoFit } else { Fault::NotEncoded };
        let mut verdict = self.account(play, fault, &[]);
        verdict.place = program.places[pc];
        program.name(slot).clone_into(&mut verdict.name);
        if let Function::Write(number) = why.function {
            verdict.name = format!("{}:{number}", verdict.name);
        }
        verdict.expected.clear();
        verdict.received = value;
        Stop::Next(Next::End(Ending::Failed(Box::new(verdict))))
    }

    /// Takes our way at a choice that is ours.
    #[inline(never)]
    fn choose(&mut self, play: &mut Play, choice: usize, plan: &Plan) -> Pc {
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
                let mut way = turns[0].0;
                for (start, times) in turns {
                    if turn < *times {
                        way = *start;
                        break;
                    }
                    turn -= times;
                }
                if let Some(place) = self.script.program.places.get(way) {
                    self.watch.took(place.line);
                }
                way
            }
            (Plan::Repeat { .. }, Fork::Either { branches, .. }) => branches[0],
        }
    }

    /// Goes the way to an arm's first statement.
    #[inline(never)]
    fn follow(&mut self, play: &mut Play, path: &[PathStep]) -> Result<(), Stop> {
        for step in path {
            match step {
                PathStep::Run(pc) => self.pass(play, *pc)?,
                PathStep::Again { counter, .. } => play.counters[*counter] += 1,
            }
        }
        Ok(())
    }

    /// A datagram, or a message, ends here.
    fn end_datagram(&mut self) {
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
}
