//! Two legs that are one connection: a client's, and one to a server. Each end of a stream is passed on by itself, a reset is
//! passed on as one, and whatever came before either of them arrives first.

mod ending;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::Duration;

use transcript::{Moment, Side};

use super::super::held::Held;
use super::super::reactor::timers::Armed;
use super::attempts::Connecting;
use super::direction::{Direction, Tools, Turn};
use super::leg::{Leg, ReadOutcome};
use super::poll::End;
use super::summary::PairFailure;
use super::tap::Taps;
use crate::event::{ClosedBy, Conversation, Event, Name};
use crate::failure::{Failure, Kind};
use crate::faults::{Lane, LiveFault};
use crate::gate::Pass;
use crate::net::local::Guest;
use crate::net::tls::TlsError;

/// How soon a leg is asked for the first time whether its peer has taken everything.
const LOOK: Duration = Duration::from_millis(2);

/// A client that was accepted.
pub(super) struct Client {
    pub(super) fd: OwnedFd,
    pub(super) conversation: Conversation,
    pub(super) listener: usize,
    /// Its right to be inside, where that is counted.
    pub(super) pass: Option<Box<Pass>>,
    /// Who stands behind it.
    pub(super) guest: Option<Box<Guest>>,
}

/// How far a pair is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The client's handshake of TLS.
    Greeting,
    /// On the way to a server.
    Connecting(Connecting),
    Joined,
    /// One side is gone: what it said before still arrives at the other, which then is reset.
    Resetting {
        by: End,
        until: Moment,
        look: Duration,
    },
    /// Both ends were said, on purpose; what still comes is thrown away.
    Cutting {
        until: Moment,
    },
    /// All is said and passed on; the peers' systems have not taken all of it yet.
    Ending {
        untaken: u64,
        until: Moment,
        look: Duration,
    },
}

/// How a relay ends whose pairs are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndOfRelay {
    /// It was asked to, and the time to finish is over.
    Stopped,
    /// Its loop cannot go on.
    Broken,
}

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) near: Leg,
    pub(super) far: Option<Leg>,
    pub(super) up: Direction,
    pub(super) down: Direction,
    pub(super) stage: Stage,
    pub(super) conversation: Conversation,
    /// The server that it leads to.
    pub(super) target: Option<usize>,
    pub(super) opened: Moment,
    pub(super) deadline: Option<Moment>,
    /// A header of the PROXY protocol is still to come.
    pub(super) awaits_header: bool,
    /// It has come, and whom it tells of has not come in yet.
    pub(super) waits_for_room: bool,
    /// By when the server's handshake of TLS is to be over.
    pub(super) secure_by: Option<Moment>,
    /// From when on the system asks the server now and then whether it is still there.
    pub(super) probes_at: Option<Moment>,
    pub(super) armed: Armed,
    /// Bytes moved when it was last looked at, for the idle time.
    pub(super) last_moved: (u64, Moment),
    first_end: Option<End>,
    by: Option<ClosedBy>,
    reason: Option<String>,
    failure: Option<PairFailure>,
    /// Bytes that were passed on, in either direction, and had not arrived when it broke.
    undelivered: u64,
    pub(super) taps: Option<Box<Taps>>,
    /// Its right to be inside, given back with it.
    pub(super) pass: Option<Box<Pass>>,
    /// Who stands behind either leg and has to be waited for: programs, and bridges to what is no socket.
    pub(super) guests: Vec<Guest>,
    pub(super) was_told: bool,
    /// It stands among those that have more to move.
    pub(super) is_queued: bool,
    /// What the loop counted of what waits in it.
    pub(super) held: Held,
}

/// Whether a pair lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PairStatus {
    Open,
    /// It has more to move at once.
    Runnable,
    Closed,
}

impl Pair {
    /// Bytes of memory that what waits in it needs.
    pub(super) fn memory(&self) -> usize {
        let far = self.far.as_ref().map_or(0, Leg::memory);
        self.up.memory() + self.down.memory() + self.near.memory() + far
    }

    pub(super) fn new(
        near: Leg,
        conversation: Conversation,
        directions: (Direction, Direction),
        stage: Stage,
        now: Moment,
    ) -> Self {
        Self {
            near,
            far: None,
            up: directions.0,
            down: directions.1,
            stage,
            conversation,
            target: None,
            opened: now,
            deadline: None,
            awaits_header: false,
            waits_for_room: false,
            secure_by: None,
            probes_at: None,
            armed: Armed::default(),
            last_moved: (0, now),
            first_end: None,
            by: None,
            reason: None,
            failure: None,
            undelivered: 0,
            taps: None,
            pass: None,
            guests: Vec::new(),
            was_told: false,
            is_queued: false,
            held: Held::new(now),
        }
    }

    /// These live faults from now on.
    pub(super) fn change(&mut self, faults: &[LiveFault], seed: u64, now: Moment) {
        let connection = self.conversation.number;
        for (direction, side) in [(&mut self.up, Side::Client), (&mut self.down, Side::Server)] {
            direction.change(faults, Lane { seed, connection, side }, now);
        }
    }

    /// A socket is ready: what for is remembered.
    pub(super) fn ready(&mut self, end: End, ready: &super::poll::Readiness) {
        let leg = match end {
            End::Near => &mut self.near,
            End::Far => match &mut self.far {
                Some(leg) => leg,
                None => return,
            },
        };
        leg.readable |= ready.readable || ready.hung;
        leg.writable |= ready.writable || ready.broken;
        leg.hung |= ready.hung;
        leg.has_left |= ready.broken && leg.bounds.is_some() && leg.protocol.keeps_bounds() && end == End::Near;
        if ready.broken && (leg.ended || self.is_stalled(end)) {
            let leg = if end == End::Near { Some(&mut self.near) } else { self.far.as_mut() };
            // It is not read any more, so it would not be learned of otherwise.
            if let Some(leg) = leg {
                leg.broken = leg.broken.or_else(|| leg.take_error());
            }
        }
    }

    fn is_stalled(&self, end: End) -> bool {
        let direction = if end == End::Near { &self.up } else { &self.down };
        direction.faults.as_ref().is_some_and(|faults| faults.has_stalled())
    }

    /// Hears whom a proxy stands for; false if more of that is to come.
    pub(super) fn hear_header(&mut self) -> Result<bool, PairStatus> {
        match self.near.hear_first() {
            Ok(None) => Ok(false),
            Ok(Some(ends)) => {
                (self.awaits_header, self.waits_for_room) = (false, true);
                if let Some((client, server)) = ends.addresses {
                    self.conversation.client = Name::Inet(client);
                    self.conversation.server = Name::Inet(server);
                }
                Ok(true)
            }
            Err(why) => {
                self.near.reset();
                Err(self.give_up(ClosedBy::Server, format!("PROXY protocol: {why}")))
            }
        }
    }

    /// Goes on with the client's handshake.
    pub(super) fn greet(&mut self, tools: &mut Tools<'_>) -> Result<bool, PairStatus> {
        loop {
            if !self.near.is_handshaking() {
                return Ok(true);
            }
            match self.near.receive(tools.buffer) {
                ReadOutcome::Bytes(length) => {
                    let bytes = tools.buffer.bytes(length);
                    self.up.mark(self.near.take_marks());
                    match self.up.messages {
                        // Where a message ends is found when it is passed on.
                        Some(_) => self.near.keep(bytes),
                        None => self.up.take(bytes, tools.now, self.taps.as_deref_mut()),
                    }
                }
                ReadOutcome::Nothing => {
                    if self.near.flush().is_err() {
                        let why = self.left_early();
                        return Err(self.give_up(ClosedBy::Reset, why));
                    }
                    return Ok(!self.near.is_handshaking());
                }
                // Its end came together with the last of the handshake, and is found again.
                ReadOutcome::End | ReadOutcome::Cut if !self.near.is_handshaking() => return Ok(true),
                ReadOutcome::End | ReadOutcome::Cut => {
                    let why = format!("the client closed the connection in the handshake of {}", self.near.layer());
                    return Err(self.give_up(ClosedBy::Client, why));
                }
                ReadOutcome::Broken(_) => {
                    let why = self.left_early();
                    return Err(self.give_up(ClosedBy::Reset, why));
                }
                // A client that knocks without speaking TLS is a line in the log, and no failure of ours.
                ReadOutcome::NotSecure(error) => {
                    return Err(self.give_up(ClosedBy::Server, format!("{}: {error}", error.layer())));
                }
            }
        }
    }

    /// Its time is over before it was joined.
    pub(super) fn is_late(&mut self) {
        let what = match self.awaits_header {
            true => "its header of the PROXY protocol".to_owned(),
            false => format!("the handshake of {}", self.near.layer()),
        };
        self.give_up(ClosedBy::Timeout, format!("the client took too long for {what}"));
    }

    /// The client's end and ours, for who is told of them.
    pub(super) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        match (&self.conversation.client, &self.conversation.server) {
            (Name::Inet(client), Name::Inet(server)) => Some((*client, *server)),
            _ => None,
        }
    }

    fn left_early(&self) -> String {
        format!("the client left in the handshake of {}", self.near.layer())
    }

    /// Ends before it was joined.
    pub(super) fn give_up(&mut self, by: ClosedBy, why: String) -> PairStatus {
        self.by = Some(by);
        self.reason = Some(why);
        PairStatus::Closed
    }

    /// No server answers: the client is refused as that server would have.
    pub(super) fn no_server(&mut self, kind: Kind, why: &str) -> Failure {
        self.failure = Some(PairFailure::Kind(kind));
        self.by = Some(ClosedBy::Server);
        self.near.reset();
        Failure::other(kind, why.to_owned())
    }

    /// It was refused on purpose.
    pub(super) fn refuse(&mut self, why: &str) -> PairStatus {
        self.near.reset();
        self.give_up(ClosedBy::Reset, why.to_owned())
    }

    /// Moves what can be moved.
    pub(super) fn advance(&mut self, tools: &mut Tools<'_>, observe: &mut dyn FnMut(Event)) -> PairStatus {
        match self.stage {
            Stage::Joined => self.turn(tools, observe),
            Stage::Resetting { by, until, look } => self.finish_resetting(by, until, look, tools),
            Stage::Ending { untaken, until, look } => self.finish_ending(untaken, until, look, tools.now),
            Stage::Cutting { until } => self.finish_cutting(until, tools),
            Stage::Greeting | Stage::Connecting(_) => PairStatus::Open,
        }
    }

    fn turn(&mut self, tools: &mut Tools<'_>, observe: &mut dyn FnMut(Event)) -> PairStatus {
        let was_handshaking = self.far.as_ref().is_some_and(Leg::is_handshaking);
        let (mut wakes, more) = match self.move_both(tools, observe) {
            ControlFlow::Continue(rest) => rest,
            ControlFlow::Break(status) => return status,
        };
        let Some(far) = &mut self.far else { return PairStatus::Closed };
        if self.up.ended && !self.up.shut && far.ends_both_ways() {
            // What it answered just now may have been all.
            wakes = wakes.into_iter().chain(self.up.awaits_answer(far, tools.now)).min();
        }
        if self.probes_at.take_if(|at| *at <= tools.now).is_some() {
            far.keep_alive();
        }
        wakes = wakes.into_iter().chain(self.probes_at).min();
        if was_handshaking {
            if !far.is_handshaking() {
                // What waited for that goes now.
                self.secure_by = None;
                return self.turn(tools, observe);
            }
            if self.secure_by.is_some_and(|by| by <= tools.now) {
                let error = TlsError::local(format!("{} took too long for the handshake", self.server()));
                return self.not_secure(End::Far, &error, observe, tools);
            }
            wakes = wakes.into_iter().chain(self.secure_by).min();
        }
        let broken = [(End::Near, self.near.broken), (End::Far, far.broken)];
        if let Some((end, error)) = broken.into_iter().find_map(|(end, error)| Some((end, error?))) {
            return self.broken(end, error, tools);
        }
        if self.near.has_left && self.up.shut && far.is_shut() && !self.down.shut {
            return self.end_without_client(tools);
        }
        if self.up.shut && self.down.shut && self.near.is_shut() && far.is_shut() {
            return self.end_both(tools.now);
        }
        self.deadline = wakes;
        if more { PairStatus::Runnable } else { PairStatus::Open }
    }

    /// Moves what can be moved, first what the client says: when the pair is to be woken, and whether there is more. It breaks
    /// with what became of a pair that cannot go on.
    #[inline]
    fn move_both(
        &mut self,
        tools: &mut Tools<'_>,
        observe: &mut dyn FnMut(Event),
    ) -> ControlFlow<PairStatus, (Option<Moment>, bool)> {
        let (mut wakes, mut more) = (None, false);
        for from in [End::Near, End::Far] {
            let Some(far) = &mut self.far else { return ControlFlow::Break(PairStatus::Closed) };
            let (direction, source, sink) = match from {
                End::Near => (&mut self.up, &mut self.near, far),
                End::Far => (&mut self.down, far, &mut self.near),
            };
            let had_ended = direction.ended;
            let turn = direction.turn(source, sink, self.taps.as_deref_mut(), tools);
            if direction.ended && !had_ended {
                self.first_end.get_or_insert(from);
            }
            match turn {
                Turn::Rests(at) => wakes = wakes.into_iter().chain(at).min(),
                Turn::More => more = true,
                Turn::SourceBroken(error) => return ControlFlow::Break(self.broken(from, error, tools)),
                Turn::SinkBroken(error) => return ControlFlow::Break(self.broken(from.other(), error, tools)),
                Turn::NotSecure(error) => return ControlFlow::Break(self.not_secure(from, &error, observe, tools)),
                Turn::Limit(met) => return ControlFlow::Break(self.limit(from, met, tools)),
            }
        }
        ControlFlow::Continue((wakes, more))
    }

    fn server(&self) -> String {
        self.conversation.to.as_ref().map_or_else(|| "the server".to_owned(), ToString::to_string)
    }

    /// Bytes that came from both sides.
    pub(super) fn moved(&self) -> u64 {
        self.up.came + self.down.came + self.up.passed + self.down.passed
    }
}
