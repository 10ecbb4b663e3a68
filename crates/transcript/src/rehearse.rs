//! Two players of one transcript joined by a line that nobody else can see: how a file is tried before it meets a
//! socket. Time passes only when both wait.
//!
//! ```
//! use transcript::rehearse::rehearse;
//! use transcript::{Carrier, PlayOptions, Script, Side, Transcript};
//!
//! let transcript = Transcript::parse("a.talk", b"C: {name=Ann}\nS: Hello, {name}!\n", &[])?;
//! let prepare = |side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream));
//! let rehearsal = rehearse(&prepare(Side::Client)?, &prepare(Side::Server)?, |all| all);
//! assert!(rehearsal.finished && rehearsal.client.is_success() && rehearsal.server.is_success());
//! assert_eq!(rehearsal.from_server, b"Hello, Ann!\n");
//! # Ok::<(), transcript::Refused>(())
//! ```

mod branches;
mod many;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

pub use branches::{BranchOutcome, Branches};
pub use many::left_of;

use crate::moment::Moment;
use crate::play::{Ending, Input, Next, Output, Play, Watch};
use crate::script::Script;
use crate::syntax::{FIRST, MOST_CONNECTIONS};
use crate::values::Scratch;

/// What came of a rehearsal.
#[derive(Debug)]
pub struct Rehearsal {
    /// How the client's play ended.
    pub client: Ending,
    /// How the server's play ended.
    pub server: Ending,
    /// Every byte the client said.
    pub from_client: Vec<u8>,
    /// Every byte the server said.
    pub from_server: Vec<u8>,
    /// How long it would have taken on a line without delay.
    pub took: Duration,
    /// Whether it was played to its end; one that is too long is given up.
    pub finished: bool,
    /// The lines with which branches begin that were not played.
    pub unplayed: Vec<usize>,
    /// Over datagrams: the most that one end had said and the other had not heard yet.
    pub ahead: Ahead,
}

/// Datagrams that are on their way. A real socket holds so many of them, and loses the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ahead {
    /// How many.
    pub datagrams: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Rehearsal {
    /// Whether both ends went as written.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.client.is_success() && self.server.is_success()
    }
}

/// Steps after which a rehearsal is given up: it may be as long as `repeat 4294967295`.
pub const MOST_STEPS: usize = 4_000_000;
/// Bytes said by one end after which it is given up.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What a step counts for that had to stop, with more to say or further rounds to go.
const MUCH_WORK: usize = 64 * 1024;

/// The lines at which branches begin that were taken at choices of ours, and those of the messages that were said.
#[derive(Default)]
struct Taken {
    branches: BTreeSet<usize>,
    said: BTreeSet<usize>,
}

impl Watch for Taken {
    fn took(&mut self, line: usize) {
        self.branches.insert(line);
    }

    fn said(&mut self, line: usize, _now: Moment) {
        self.said.insert(line);
    }
}

struct End<'a> {
    script: &'a Script,
    play: Play,
    taken: Taken,
    /// What comes, by the number of its connection; nothing comes over the one with the number 0.
    incoming: Vec<Incoming>,
    /// The connection over which it goes.
    on: usize,
    /// The connection that it waits for, and whether it has a port of its own.
    awaits: Option<usize>,
    /// How long each datagram is in what is coming.
    datagrams: VecDeque<usize>,
    /// The most that waited at once.
    most: Ahead,
    /// Over datagrams: the one in the buffer was not taken yet.
    holds_datagram: bool,
    said: Vec<u8>,
    until: Option<Moment>,
    /// It waits for what the other says: what came before is stepped over.
    listens: bool,
    ending: Option<Ending>,
    /// The last step ended because it had done much.
    worked: bool,
    /// TLS handshakes that it has come to, and those that are done.
    handshakes: u32,
    shaken: u32,
}

/// One direction of a connection, as who hears it has it.
#[derive(Debug, Clone, Default)]
struct Incoming {
    /// What came and was not consumed.
    buffer: Vec<u8>,
    /// The first byte of it that is not consumed.
    consumed: usize,
    /// What the other said and has not come yet.
    in_flight: VecDeque<u8>,
    /// The other said its last.
    peer_done: bool,
    /// That was heard.
    half_closed: bool,
    /// The other reset the connection, behind what it said last.
    reset: bool,
}

impl<'a> End<'a> {
    fn new(script: &'a Script) -> Self {
        Self {
            script,
            play: script.play(),
            taken: Taken::default(),
            incoming: vec![Incoming::default(); if script.spans() { usize::from(MOST_CONNECTIONS) + 1 } else { 2 }],
            on: usize::from(FIRST),
            awaits: None,
            datagrams: [].into(),
            most: Ahead::default(),
            holds_datagram: false,
            said: vec![],
            until: None,
            listens: false,
            ending: None,
            worked: false,
            handshakes: 0,
            shaken: 0,
        }
    }

    fn is_over_datagrams(&self) -> bool {
        self.script.carrier.keeps_bounds()
    }

    /// Takes from the line what comes at once; whether that is anything.
    fn receive(&mut self, pieces: &mut impl FnMut(usize) -> usize) -> bool {
        let over_datagrams = self.is_over_datagrams();
        let incoming = &mut self.incoming[self.on];
        if over_datagrams {
            if self.holds_datagram {
                return false;
            }
            let Some(length) = self.datagrams.pop_front() else { return false };
            incoming.buffer.clear();
            incoming.buffer.extend(incoming.in_flight.drain(..length));
            (incoming.consumed, self.holds_datagram) = (0, true);
            return true;
        }
        if incoming.in_flight.is_empty() {
            return false;
        }
        let count = pieces(incoming.in_flight.len()).clamp(1, incoming.in_flight.len());
        incoming.buffer.extend(incoming.in_flight.drain(..count));
        true
    }

    /// One step of the play, with what has come: what it does next.
    fn step(&mut self, ended: bool, now: Moment, scratch: &mut Scratch, output: &mut Output) -> Next {
        let incoming = &mut self.incoming[self.on];
        let datagram = std::mem::take(&mut self.holds_datagram);
        let input = Input { bytes: &incoming.buffer[incoming.consumed..], datagram, ended, now };
        let step = self.play.step_watched(self.script, input, scratch, output, &mut self.taken);
        incoming.consume(step.consumed);
        self.holds_datagram = datagram && step.left;
        self.said.extend_from_slice(&output.bytes);
        step.next
    }

    /// What the play waits for, or goes on with at once.
    fn wait_for(&mut self, next: Next, output: &Output, now: Moment, scratch: &mut Scratch) {
        match next {
            Next::Hear { until } => self.until = Some(until.unwrap_or(Moment::from_nanos(u64::MAX))),
            Next::Flush => {
                self.until = Some(now);
                // Messages of a byte or more are bounded by their bytes.
                self.worked = output.bytes.len() < 4096;
            }
            Next::Pause { until } => self.until = Some(until),
            Next::Over { connection } => {
                self.on = usize::from(connection);
                self.until = Some(now);
            }
            Next::Connect { connection, .. } => {
                self.awaits = Some(usize::from(connection));
                self.until = None;
            }
            Next::Accept { connection, until, .. } => {
                self.awaits = Some(usize::from(connection));
                self.until = until;
            }
            Next::Listen { .. } => {
                self.play.listens_at(self.script, IMAGINARY_PORT, scratch);
                self.until = Some(now);
            }
            Next::StartTls | Next::StopTls => {
                self.handshakes += 1;
                self.until = None;
            }
            // Those are the other end's business too: see `turn`.
            Next::StopSending | Next::End(_) => {}
        }
    }
}

impl Incoming {
    /// What is consumed byte by byte is let go in large pieces.
    fn consume(&mut self, count: usize) {
        self.consumed += count;
        if self.consumed >= self.buffer.len() || self.consumed > 64 * 1024 && self.consumed > self.buffer.len() / 2 {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
    }

    /// Whether nothing comes any more but the reset: what was said before it is read first, as from a socket.
    fn is_reset(&self) -> bool {
        self.reset && self.in_flight.is_empty()
    }
}

/// Plays a client and a server against each other. `pieces` says how many of so many waiting bytes come at once (at
/// least one); over datagrams it is not asked.
///
/// A rehearsal always ends: a play that waits for ever runs into its time limit, which costs no real time.
pub fn rehearse(client: &Script, server: &Script, pieces: impl FnMut(usize) -> usize) -> Rehearsal {
    rehearse_within(&Bounds { steps: MOST_STEPS, bytes: MOST_BYTES }, client, server, pieces)
}

/// Where a rehearsal is given up.
struct Bounds {
    steps: usize,
    bytes: usize,
}

fn rehearse_within(bounds: &Bounds, client: &Script, server: &Script, pieces: impl FnMut(usize) -> usize) -> Rehearsal {
    let (ends, now) = play_within(bounds, client, server, pieces);
    let mut unplayed: Vec<usize> =
        ends.iter().flat_map(|end| end.script.program.untaken(&end.taken.branches)).collect();
    unplayed.sort_unstable();
    unplayed.dedup();
    let [client, server] = ends;
    let (one, other) = (client.most, server.most);
    Rehearsal {
        ahead: Ahead { datagrams: one.datagrams.max(other.datagrams), bytes: one.bytes.max(other.bytes) },
        unplayed,
        took: Duration::from_nanos(now.nanos()),
        finished: client.ending.is_some() && server.ending.is_some(),
        from_client: client.said,
        from_server: server.said,
        client: client.ending.unwrap_or(Ending::Left),
        server: server.ending.unwrap_or(Ending::Left),
    }
}

/// Plays both ends; where each stands then.
fn play_within<'a>(
    bounds: &Bounds,
    client: &'a Script,
    server: &'a Script,
    mut pieces: impl FnMut(usize) -> usize,
) -> ([End<'a>; 2], Moment) {
    let mut ends = [End::new(client), End::new(server)];
    let mut scratch = Scratch::new();
    let mut now = Moment::default();
    let mut steps = 0;
    while steps < bounds.steps {
        steps += 1;
        let mut moved = false;
        for index in 0..2 {
            let (left, right) = ends.split_at_mut(1);
            let (me, other) = if index == 0 { (&mut left[0], &mut right[0]) } else { (&mut right[0], &mut left[0]) };
            moved |= turn(me, other, now, &mut scratch, &mut pieces);
            // Much was done in that one step, even if nothing came of it.
            steps += if std::mem::take(&mut me.worked) { MUCH_WORK } else { 0 };
        }
        if ends.iter().all(|end| end.ending.is_some()) || ends.iter().any(|end| end.said.len() > bounds.bytes) {
            break;
        }
        if !moved {
            let waiting = ends.iter().filter(|end| end.ending.is_none()).filter_map(|end| end.until).min();
            match waiting {
                Some(until) if until > now => now = until,
                _ => break,
            }
        }
    }
    (ends, now)
}

/// Lets one end go on; whether anything changed.
fn turn<'a>(
    me: &mut End<'a>,
    other: &mut End<'a>,
    now: Moment,
    scratch: &mut Scratch,
    pieces: &mut impl FnMut(usize) -> usize,
) -> bool {
    if me.ending.is_some() {
        return false;
    }
    if me.handshakes > me.shaken {
        if other.handshakes < me.handshakes {
            return me.incoming[me.on].is_reset() && hear_reset(me, now, scratch);
        }
        me.shaken = me.handshakes;
        me.until = Some(now);
    }
    if let Some(connection) = me.awaits {
        return meet(me, other, connection, now, scratch);
    }
    let came = me.receive(pieces);
    let incoming = &mut me.incoming[me.on];
    if me.listens && !came && incoming.is_reset() {
        return hear_reset(me, now, scratch);
    }
    let ended = incoming.peer_done && !incoming.reset && incoming.in_flight.is_empty();
    let due = me.until.is_none_or(|until| now >= until);
    let first = me.said.is_empty() && me.until.is_none();
    let ends_now = ended && !incoming.half_closed;
    if !(came || due || ends_now || first) {
        return false;
    }
    incoming.half_closed |= ended;
    let mut output = Output::default();
    let next = me.step(ended, now, scratch, &mut output);
    me.listens = matches!(next, Next::Hear { .. });
    send(me, other, &output);
    match next {
        Next::End(Ending::GoesOn { by_reset }) => leave_connection(me, other, by_reset, now),
        Next::End(ending) => end(me, other, ending),
        Next::StopSending => {
            other.incoming[me.on].peer_done = true;
            me.until = Some(now);
        }
        next => me.wait_for(next, &output, now, scratch),
    }
    true
}

/// Puts what one end has said on its way to the other.
fn send(me: &End<'_>, other: &mut End<'_>, output: &Output) {
    let incoming = &mut other.incoming[me.on];
    if !me.is_over_datagrams() {
        incoming.in_flight.extend(&output.bytes);
        return;
    }
    if !output.datagrams.is_empty() {
        let mut from = 0;
        for &end in &output.datagrams {
            other.datagrams.push_back(end - from);
            from = end;
        }
        incoming.in_flight.extend(&output.bytes);
    }
    other.most.datagrams = other.most.datagrams.max(other.datagrams.len());
    other.most.bytes = other.most.bytes.max(incoming.in_flight.len());
}

/// One end is done with its connection, and its play goes on over another one.
fn leave_connection(me: &mut End<'_>, other: &mut End<'_>, by_reset: bool, now: Moment) {
    let incoming = &mut other.incoming[me.on];
    (incoming.peer_done, incoming.reset) = (true, by_reset);
    // It hears nothing until it is over another one.
    me.on = 0;
    me.until = Some(now);
}

/// One end's play is over.
fn end(me: &mut End<'_>, other: &mut End<'_>, ending: Ending) {
    other.incoming[me.on].reset |= matches!(ending, Ending::DoneByReset);
    let over_datagrams = me.is_over_datagrams();
    other.incoming.iter_mut().for_each(|incoming| incoming.peer_done = !over_datagrams);
    let all_came = other.incoming[other.on].in_flight.is_empty();
    if over_datagrams && other.ending.is_none() && all_came && other.play.at_rest(other.script) {
        other.ending = Some(Ending::Left);
    }
    me.ending = Some(ending);
}

/// The port at which who listens in a rehearsal does.
const IMAGINARY_PORT: u16 = 50_001;

/// One end waits for a connection: it stands when the other end has come to it too.
fn meet<'a>(me: &mut End<'a>, other: &mut End<'a>, connection: usize, now: Moment, scratch: &mut Scratch) -> bool {
    if other.awaits == Some(connection) {
        for end in [me, other] {
            end.incoming[connection] = Incoming::default();
            (end.on, end.awaits, end.until) = (connection, None, Some(now));
        }
        return true;
    }
    let is_late = me.until.is_some_and(|until| now >= until);
    if other.ending.is_none() && !is_late {
        return false;
    }
    let waited = me.script.wait.unwrap_or_default();
    me.ending = Some(me.play.not_connected(me.script, waited, scratch));
    other.incoming.iter_mut().for_each(|incoming| incoming.peer_done = true);
    true
}

/// The other end has reset the connection over which this one goes, and what it said before was read. As of a turn, whether something
/// changed: always.
fn hear_reset(me: &mut End<'_>, now: Moment, scratch: &mut Scratch) -> bool {
    let incoming = std::mem::take(&mut me.incoming[me.on]);
    me.listens = false;
    match me.play.reset(me.script, &incoming.buffer[incoming.consumed..], scratch) {
        Ending::GoesOn { .. } => (me.on, me.until) = (0, Some(now)),
        ending => me.ending = Some(ending),
    }
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::Carrier;
    use crate::script::PlayOptions;
    use crate::side::Side;
    use crate::transcript::Transcript;

    #[test]
    fn a_rehearsal_ends_however_long_the_conversation_is() {
        let small = Bounds { steps: 10_000, bytes: 64 * 1024 };
        for (text, bounds) in [
            ("repeat 4294967295\n  C: a\nend\n", Bounds { steps: MOST_STEPS, ..small }),
            ("repeat 4294967295\n  C: a\n  S: b\nend\n", Bounds { bytes: MOST_BYTES, ..small }),
            ("eol none\nrepeat 4294967295\n  C: \nend\n", Bounds { steps: MOST_STEPS, bytes: MOST_BYTES }),
            ("C: a\nrepeat 4294967295\n  S: \nend\n", Bounds { steps: MOST_STEPS, ..small }),
            (
                "set x = a\nset x = b\nC: a\nrepeat 65535\n  repeat 65535\n    set x = c\n  end\nend\nS: {x}\n",
                Bounds { steps: 20 * MUCH_WORK, bytes: MOST_BYTES },
            ),
        ] {
            let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
            let [client, server] = [Side::Client, Side::Server]
                .map(|side| Script::prepare(&transcript, &PlayOptions::new(side, Carrier::Stream)).unwrap());
            assert!(!rehearse_within(&bounds, &client, &server, |all| all).finished, "{text}");
        }
    }
}
