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

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::carrier::Carrier;
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

/// Steps and bytes after which a rehearsal is given up: it may be as long as `repeat 4294967295`.
const MOST_STEPS: usize = 4_000_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What a step counts for that had to stop, with more to say or further rounds to go.
const MUCH_WORK: usize = 64 * 1024;

/// The lines at which branches begin that were taken at choices of ours.
#[derive(Default)]
struct Taken(BTreeSet<usize>);

impl Watch for Taken {
    fn took(&mut self, line: usize) {
        self.0.insert(line);
    }
}

struct End<'a> {
    script: &'a Script,
    play: Play,
    taken: Taken,
    /// What comes, by the number of its connection; nothing comes over the one with the number 0.
    wires: Vec<Incoming>,
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
    coming: VecDeque<u8>,
    /// The other said its last.
    peer_done: bool,
    /// That was heard.
    half_closed: bool,
}

impl<'a> End<'a> {
    fn new(script: &'a Script) -> Self {
        Self {
            script,
            play: script.play(),
            taken: Taken::default(),
            wires: vec![Incoming::default(); if script.spans() { usize::from(MOST_CONNECTIONS) + 1 } else { 2 }],
            on: usize::from(FIRST),
            awaits: None,
            datagrams: [].into(),
            most: Ahead::default(),
            holds_datagram: false,
            said: vec![],
            until: None,
            ending: None,
            worked: false,
            handshakes: 0,
            shaken: 0,
        }
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

fn rehearse_within(
    bounds: &Bounds,
    client: &Script,
    server: &Script,
    mut pieces: impl FnMut(usize) -> usize,
) -> Rehearsal {
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
    let mut unplayed: Vec<usize> = ends.iter().flat_map(|end| end.script.program.untaken(&end.taken.0)).collect();
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
            return false;
        }
        me.shaken = me.handshakes;
        me.until = Some(now);
    }
    if let Some(connection) = me.awaits {
        return meet(me, other, connection, now, scratch);
    }
    let datagrams = me.script.carrier == Carrier::Datagram;
    let mut came = false;
    let wire = &mut me.wires[me.on];
    if datagrams {
        if !me.holds_datagram
            && let Some(length) = me.datagrams.pop_front()
        {
            wire.buffer.clear();
            wire.buffer.extend(wire.coming.drain(..length));
            (wire.consumed, me.holds_datagram) = (0, true);
            came = true;
        }
    } else if !wire.coming.is_empty() {
        let count = pieces(wire.coming.len()).clamp(1, wire.coming.len());
        wire.buffer.extend(wire.coming.drain(..count));
        came = true;
    }
    let ended = wire.peer_done && wire.coming.is_empty();
    let due = me.until.is_none_or(|until| now >= until);
    let first = me.said.is_empty() && me.until.is_none();
    let ends_now = ended && !wire.half_closed;
    if !(came || due || ends_now || first) {
        return false;
    }
    wire.half_closed |= ended;
    let mut output = Output::default();
    let datagram = std::mem::take(&mut me.holds_datagram);
    let input = Input { bytes: &wire.buffer[wire.consumed..], datagram, ended, now };
    let step = me.play.step_watched(me.script, input, scratch, &mut output, &mut me.taken);
    wire.consumed += step.consumed;
    // What is consumed byte by byte is let go in large pieces.
    if wire.consumed >= wire.buffer.len() || wire.consumed > 64 * 1024 && wire.consumed > wire.buffer.len() / 2 {
        wire.buffer.drain(..wire.consumed);
        wire.consumed = 0;
    }
    me.holds_datagram = datagram && step.left;
    me.said.extend_from_slice(&output.bytes);
    if !datagrams || !output.datagrams.is_empty() {
        let mut from = 0;
        for &end in &output.datagrams {
            other.datagrams.push_back(end - from);
            from = end;
        }
        other.wires[me.on].coming.extend(&output.bytes);
    }
    if datagrams {
        other.most.datagrams = other.most.datagrams.max(other.datagrams.len());
        other.most.bytes = other.most.bytes.max(other.wires[me.on].coming.len());
    }
    match step.next {
        Next::Hear { until } => me.until = Some(until.unwrap_or(Moment::from_nanos(u64::MAX))),
        Next::Flush => {
            me.until = Some(now);
            // Messages of a byte or more are bounded by their bytes.
            me.worked = output.bytes.len() < 4096;
        }
        Next::Pause { until } => me.until = Some(until),
        Next::StopSending => {
            other.wires[me.on].peer_done = true;
            me.until = Some(now);
        }
        Next::Over { connection } => {
            me.on = usize::from(connection);
            me.until = Some(now);
        }
        Next::Connect { connection, .. } => {
            me.awaits = Some(usize::from(connection));
            me.until = None;
        }
        Next::Accept { connection, until, .. } => {
            me.awaits = Some(usize::from(connection));
            me.until = until;
        }
        Next::Listen { .. } => {
            me.play.listens_at(me.script, IMAGINARY_PORT, scratch);
            me.until = Some(now);
        }
        Next::End(Ending::GoesOn { by_reset }) => {
            other.wires[me.on].peer_done = true;
            if by_reset && other.ending.is_none() && other.on == me.on {
                reset(other, now, scratch);
            }
            // It hears nothing until it is over another one.
            me.on = 0;
            me.until = Some(now);
        }
        Next::StartTls => {
            me.handshakes += 1;
            me.until = None;
        }
        Next::End(ending) => {
            if matches!(ending, Ending::DoneByReset) && other.ending.is_none() {
                reset(other, now, scratch);
            }
            other.wires.iter_mut().for_each(|wire| wire.peer_done = !datagrams);
            let all_came = other.wires[other.on].coming.is_empty();
            if datagrams && other.ending.is_none() && all_came && other.play.at_rest(other.script) {
                other.ending = Some(Ending::Left);
            }
            me.ending = Some(ending);
        }
    }
    true
}

/// The port at which who listens in a rehearsal does.
const IMAGINARY_PORT: u16 = 50_001;

/// One end waits for a connection: it stands when the other end has come to it too.
fn meet<'a>(me: &mut End<'a>, other: &mut End<'a>, connection: usize, now: Moment, scratch: &mut Scratch) -> bool {
    if other.awaits == Some(connection) {
        for end in [me, other] {
            end.wires[connection] = Incoming::default();
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
    other.wires.iter_mut().for_each(|wire| wire.peer_done = true);
    true
}

/// The other end has reset the connection over which this one goes.
fn reset(end: &mut End<'_>, now: Moment, scratch: &mut Scratch) {
    let wire = std::mem::take(&mut end.wires[end.on]);
    match end.play.reset(end.script, &wire.buffer[wire.consumed..], scratch) {
        Ending::GoesOn { .. } => (end.on, end.until) = (0, Some(now)),
        ending => end.ending = Some(ending),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
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
