//! Two players of one transcript joined by a line that nobody else can see: how a file is tried before it meets a
//! socket. Time passes only when both wait.
//!
//! ```
//! use transcript::rehearse::rehearse;
//! use transcript::{Carrier, Options, Script, Side, Transcript};
//!
//! let transcript = Transcript::parse("a.talk", b"C: {name=Ann}\nS: Hello, {name}!\n", &[])?;
//! let prepare = |side| Script::prepare(&transcript, &Options::new(side, Carrier::Stream));
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
    /// What came and was not consumed.
    buffer: Vec<u8>,
    /// The first byte of it that is not consumed.
    consumed: usize,
    /// What the other said and has not come yet.
    coming: VecDeque<u8>,
    /// How long each datagram is in what is coming.
    datagrams: VecDeque<usize>,
    /// The most that waited at once.
    most: Ahead,
    /// Over datagrams: the one in the buffer was not taken yet.
    holds_datagram: bool,
    /// The other said its last.
    peer_done: bool,
    said: Vec<u8>,
    until: Option<Moment>,
    ending: Option<Ending>,
    half_closed: bool,
    /// The last step ended because it had done much.
    worked: bool,
    /// TLS handshakes that it has come to, and those that are done.
    handshakes: u32,
    shaken: u32,
}

impl<'a> End<'a> {
    fn new(script: &'a Script) -> Self {
        Self {
            script,
            play: script.play(),
            taken: Taken::default(),
            buffer: vec![],
            consumed: 0,
            coming: [].into(),
            datagrams: [].into(),
            most: Ahead::default(),
            holds_datagram: false,
            peer_done: false,
            said: vec![],
            until: None,
            ending: None,
            half_closed: false,
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
fn turn(
    me: &mut End<'_>,
    other: &mut End<'_>,
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
    let datagrams = me.script.carrier == Carrier::Datagram;
    let mut came = false;
    if datagrams {
        if !me.holds_datagram
            && let Some(length) = me.datagrams.pop_front()
        {
            me.buffer.clear();
            me.buffer.extend(me.coming.drain(..length));
            (me.consumed, me.holds_datagram) = (0, true);
            came = true;
        }
    } else if !me.coming.is_empty() {
        let count = pieces(me.coming.len()).clamp(1, me.coming.len());
        me.buffer.extend(me.coming.drain(..count));
        came = true;
    }
    let ended = me.peer_done && me.coming.is_empty();
    let due = me.until.is_none_or(|until| now >= until);
    let first = me.said.is_empty() && me.until.is_none();
    let ends_now = ended && !me.half_closed;
    if !(came || due || ends_now || first) {
        return false;
    }
    me.half_closed |= ended;
    let mut output = Output::default();
    let datagram = std::mem::take(&mut me.holds_datagram);
    let input = Input { bytes: &me.buffer[me.consumed..], datagram, ended, now };
    let step = me.play.step_watched(me.script, input, scratch, &mut output, &mut me.taken);
    me.consumed += step.consumed;
    // What is consumed byte by byte is let go in large pieces.
    if me.consumed >= me.buffer.len() || me.consumed > 64 * 1024 && me.consumed > me.buffer.len() / 2 {
        me.buffer.drain(..me.consumed);
        me.consumed = 0;
    }
    me.holds_datagram = datagram && step.left;
    me.said.extend_from_slice(&output.bytes);
    if !datagrams || !output.datagrams.is_empty() {
        let mut from = 0;
        for &end in &output.datagrams {
            other.datagrams.push_back(end - from);
            from = end;
        }
        other.coming.extend(&output.bytes);
    }
    if datagrams {
        other.most.datagrams = other.most.datagrams.max(other.datagrams.len());
        other.most.bytes = other.most.bytes.max(other.coming.len());
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
            other.peer_done = true;
            me.until = Some(now);
        }
        Next::StartTls => {
            me.handshakes += 1;
            me.until = None;
        }
        Next::End(ending) => {
            if matches!(ending, Ending::DoneByReset) && other.ending.is_none() {
                let unread = other.buffer.split_off(other.consumed);
                other.ending = Some(other.play.reset(other.script, &unread, scratch));
            }
            other.peer_done = !datagrams;
            if datagrams && other.ending.is_none() && other.coming.is_empty() && other.play.at_rest(other.script) {
                other.ending = Some(Ending::Left);
            }
            me.ending = Some(ending);
        }
    }
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::script::Options;
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
                .map(|side| Script::prepare(&transcript, &Options::new(side, Carrier::Stream)).unwrap());
            assert!(!rehearse_within(&bounds, &client, &server, |all| all).finished, "{text}");
        }
    }
}
