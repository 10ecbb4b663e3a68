//! A play that has several connections: it is over one of them at a time, and asks whoever drives it for the others.

use std::time::Duration;

use super::step::{Ending, Next};
use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::program::{Connect, Op, Pc, StreamAction};
use crate::script::Script;
use crate::syntax::FIRST;
use crate::values::Scratch;
use crate::verdict::{Awaited, Expected, Fault};

/// Where a play stands whose connection ended and that has not come to another one.
const NO_CONNECTION: u8 = u8::MAX;

impl Play {
    /// The connection over which it goes; none between two of them.
    #[must_use]
    pub fn connection(&self) -> Option<u8> {
        match self.current {
            0 => Some(FIRST),
            NO_CONNECTION => None,
            on => Some(on),
        }
    }

    fn is_open(&self, connection: u8) -> bool {
        // The first is open when a play begins, and the others are not.
        (self.changed >> connection & 1 == 1) != (connection == FIRST)
    }

    /// It goes on over another connection: nothing is known of what came there.
    fn switch_to(&mut self, connection: u8) {
        self.current = connection;
        (self.unconsumed, self.scanned, self.waiting_since) = (0, 0, None);
        self.after_gap = false;
        self.extra_wait = Duration::ZERO;
        self.gained = 0;
        self.partial.clear();
    }

    /// Whether something is played behind the end of a connection.
    fn goes_on(&self, script: &Script, mut pc: Pc) -> bool {
        let program = &script.program;
        if !program.spans {
            return false;
        }
        // A way back to where it was leads to nothing new.
        for _ in 0..=program.ops.len() {
            match &program.ops[pc] {
                Op::Connect(_) => return true,
                Op::On(connection) => return self.is_open(*connection),
                Op::Pause(_)
                | Op::ExtraWait(_)
                | Op::Set { .. }
                | Op::Let { .. }
                | Op::Enter(_)
                | Op::Listen { .. }
                | Op::Together
                | Op::Apart => pc += 1,
                Op::Jump(to) => pc = *to,
                Op::Again { counter, times, body } => {
                    pc = if self.counters[*counter] + 1 < *times { *body } else { pc + 1 };
                }
                _ => return false,
            }
        }
        false
    }

    /// The connection ends as the operation says: the play with it, unless it goes on over another one.
    pub(super) fn end_connection(&mut self, script: &Script, pc: Pc, ending: Ending) -> Ending {
        let Some(connection) = self.connection().filter(|_| script.program.spans) else { return ending };
        self.changed ^= 1 << connection;
        if !self.goes_on(script, pc + 1) {
            self.changed ^= 1 << connection;
            return ending;
        }
        self.switch_to(NO_CONNECTION);
        self.pc = pc + 1;
        Ending::GoesOn { by_reset: matches!(ending, Ending::DoneByReset) }
    }

    /// A socket listens at this port, as [`Next::Listen`] asked: the play goes on with the next step.
    pub fn listens_at(&mut self, script: &Script, port: u16, scratch: &mut Scratch) {
        let Some(Op::Listen { slot, .. }) = script.program.ops.get(self.pc.wrapping_sub(1)) else { return };
        self.load_values(script, scratch);
        // Five digits always fit: the values were a play's before.
        let _ = scratch.set(*slot, port.to_string().as_bytes());
        self.row = scratch.row.take();
        self.saved = scratch.save(true);
    }

    /// The other side did not open the connection that [`Next::Connect`] asked for: how the play ends.
    #[must_use]
    pub fn not_connected(&mut self, script: &Script, waited: Duration, scratch: &mut Scratch) -> Ending {
        self.load_values(script, scratch);
        self.pc = self.pc.saturating_sub(1);
        let mut verdict = self.verdict(script, Fault::NothingCame { waited }, &[], scratch);
        let line = script.program.places[self.pc].line;
        let text = script.source.line(line).trim().to_owned();
        verdict.name.clone_from(&text);
        verdict.expected = vec![Expected { awaited: Awaited::End, line, text, matched: 0 }];
        self.row = scratch.row.take();
        Ending::Failed(Box::new(verdict))
    }
}

impl<W: Watch> Walk<'_, W> {
    pub(super) fn switch_connection(&mut self, play: &mut Play, pc: Pc, connection: u8) -> Result<Pc, Stop> {
        if play.connection() == Some(connection) {
            return Ok(pc + 1);
        }
        self.owes_ending = false;
        play.switch_to(connection);
        play.pc = pc + 1;
        Err(Stop::Next(Next::Over { connection }))
    }

    pub(super) fn connect(&mut self, play: &mut Play, pc: Pc, connect: Connect) -> Result<Pc, Stop> {
        let Connect { connection, ours, to } = connect;
        self.owes_ending = false;
        let port = match to {
            None => None,
            Some(slot) => {
                let value = self.scratch.value(slot).unwrap_or_default();
                let port = std::str::from_utf8(value).ok().and_then(|port| port.parse().ok()).filter(|port| *port > 0);
                if port.is_none() {
                    let received = value.to_vec();
                    return Err(self.value_is_wrong(play, pc, slot, Fault::NotAPort, received));
                }
                port
            }
        };
        let wait = self.script.wait.map(|wait| wait + play.extra_wait);
        play.changed ^= 1 << connection;
        play.under_tls &= !(1 << connection);
        play.switch_to(connection);
        play.pc = pc + 1;
        let now = self.input.now;
        Err(Stop::Next(match ours {
            true => Next::Connect { connection, port },
            false => Next::Accept { connection, has_port: port.is_some(), until: wait.map(|wait| now.after(wait)) },
        }))
    }

    /// Does an act of ours to the connection.
    #[inline(never)]
    pub(super) fn act(&mut self, play: &mut Play, pc: Pc, action: StreamAction) -> Stop {
        self.owes_ending = false;
        match action {
            StreamAction::Close => Stop::end(play.end_connection(self.script, pc, Ending::Done)),
            StreamAction::Reset => Stop::end(play.end_connection(self.script, pc, Ending::DoneByReset)),
            StreamAction::StopSending => {
                play.pc = pc + 1;
                Stop::Next(Next::StopSending)
            }
        }
    }
}
