//! Two legs that are one connection: a client's, and one to a server. Each end of a stream is passed on by itself, a reset is
//! passed on as one, and whatever came before either of them arrives first.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use transcript::{Moment, Side};

use super::super::reactor::timers::Armed;
use super::attempts::Connecting;
use super::direction::{Direction, Tools, Turn};
use super::leg::{Leg, ReadOutcome};
use super::poll::End;
use super::tap::Taps;
use super::{Outcome, PairFailure};
use crate::event::{ClosedBy, Conversation, Event, Name};
use crate::failure::{Failure, Kind};
use crate::faults::{Lane, Limit, LiveFault, Met};
use crate::gate::Pass;
use crate::net::local::Guest;
use crate::net::tls::{TlsError, TlsErrorKind};
use crate::net::words;

/// How long what came before a reset may take to arrive.
const RESET_WAIT: Duration = Duration::from_secs(5);
/// How often a leg is asked whether its peer has taken everything, at first and at most.
const LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(250);

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
    pub(super) taps: Option<Box<Taps>>,
    /// Its right to be inside, given back with it.
    pub(super) pass: Option<Box<Pass>>,
    /// Who stands behind either leg and has to be waited for: programs, and bridges to what is no socket.
    pub(super) guests: Vec<Guest>,
    pub(super) was_told: bool,
    /// It stands among those that have more to move.
    pub(super) is_queued: bool,
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
    pub(super) fn new(
        near: Leg,
        conversation: Conversation,
        ways: (Direction, Direction),
        stage: Stage,
        now: Moment,
    ) -> Self {
        Self {
            near,
            far: None,
            up: ways.0,
            down: ways.1,
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
            taps: None,
            pass: None,
            guests: Vec::new(),
            was_told: false,
            is_queued: false,
        }
    }

    /// These live faults from now on.
    pub(super) fn change(&mut self, faults: &[LiveFault], seed: u64, now: Moment) {
        let connection = self.conversation.number;
        for (way, side) in [(&mut self.up, Side::Client), (&mut self.down, Side::Server)] {
            way.change(faults, Lane { seed, connection, side }, now);
        }
    }

    /// A socket is ready: what for is remembered.
    pub(super) fn ready(&mut self, end: End, ready: &super::poll::Ready) {
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
            // Nobody reads it any more, so nobody else would learn of it.
            if let Some(leg) = leg {
                leg.broken = leg.broken.or_else(|| leg.take_error());
            }
        }
    }

    fn is_stalled(&self, end: End) -> bool {
        let way = if end == End::Near { &self.up } else { &self.down };
        way.weather.as_ref().is_some_and(|weather| weather.has_stalled())
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
                // Whoever knocks without speaking TLS is a line in the log, and no failure of ours.
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
        let mut more = false;
        let mut wakes = None;
        let was_handshaking = self.far.as_ref().is_some_and(Leg::is_handshaking);
        for from in [End::Near, End::Far] {
            let Some(far) = &mut self.far else { return PairStatus::Closed };
            let (way, source, sink) = match from {
                End::Near => (&mut self.up, &mut self.near, far),
                End::Far => (&mut self.down, far, &mut self.near),
            };
            let had_ended = way.ended;
            let turn = way.turn(source, sink, self.taps.as_deref_mut(), tools);
            if way.ended && !had_ended {
                self.first_end.get_or_insert(from);
            }
            match turn {
                Turn::Rests(at) => wakes = wakes.into_iter().chain(at).min(),
                Turn::More => more = true,
                Turn::SourceBroken(error) => return self.broken(from, error, tools),
                Turn::SinkBroken(error) => return self.broken(from.other(), error, tools),
                Turn::NotSecure(error) => return self.not_secure(from, &error, observe, tools),
                Turn::Limit(met) => return self.limit(from, met, tools),
            }
        }
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
            // The server has all that was said, and there is nobody to hear an answer.
            if self.down.waiting() > 0 {
                return self.broken(End::Near, Errno::PIPE, tools);
            }
            self.by = Some(if self.near.protocol.has_no_end() { ClosedBy::Timeout } else { ClosedBy::Client });
            let _ = self.near.say_end();
            let until = tools.now.after(crate::limits::DRAIN_WAIT);
            self.stage = Stage::Cutting { until };
            return self.finish_cutting(until, tools);
        }
        if self.up.shut && self.down.shut && self.near.is_shut() && far.is_shut() {
            if self.up.was_cut || self.down.was_cut {
                let who = if self.up.was_cut { "the client" } else { "the server" };
                self.reason =
                    Some(format!("{who} did not end TLS before its stream ended: it may have been cut short"));
                self.failure.get_or_insert(PairFailure::CutShort);
            }
            let closes = [("the client", self.near.close()), ("the server", far.close())];
            if let Some((who, close)) = closes.into_iter().find_map(|(who, close)| Some((who, close?)))
                && !close.is_clean()
            {
                self.reason = Some(format!("{who} closed with {close}"));
                self.failure.get_or_insert(PairFailure::CutShort);
            }
            self.stage = Stage::Ending { untaken: u64::MAX, until: tools.now, look: LOOK };
            return self.finish_ending(u64::MAX, tools.now, LOOK, tools.now);
        }
        self.deadline = wakes;
        if more { PairStatus::Runnable } else { PairStatus::Open }
    }

    fn server(&self) -> String {
        self.conversation.to.as_ref().map_or_else(|| "the server".to_owned(), ToString::to_string)
    }

    /// Waits until both peers' systems have taken all that was passed on.
    fn finish_ending(&mut self, before: u64, until: Moment, look: Duration, now: Moment) -> PairStatus {
        let Some(far) = &mut self.far else { return PairStatus::Closed };
        let [near_untaken, far_untaken] = [self.near.untaken(), far.untaken()];
        let is_gone =
            |leg: &Leg, untaken: u64| leg.broken.is_some() || leg.hung && untaken > 0 && leg.take_error().is_some();
        if is_gone(&self.near, near_untaken) {
            return self.is_gone(End::Near, near_untaken);
        }
        if is_gone(far, far_untaken) {
            return self.is_gone(End::Far, far_untaken);
        }
        let untaken = near_untaken + far_untaken;
        if untaken == 0 {
            return PairStatus::Closed;
        }
        self.near.say_due_end();
        far.say_due_end();
        // What goes to a pipe or a terminal is taken when somebody reads it.
        let is_patient = self.near.is_bridged() || far.is_bridged();
        let until = if untaken < before || is_patient { now.after(crate::limits::WRITE_WAIT) } else { until };
        if now >= until {
            self.failure.get_or_insert(PairFailure::CutShort);
            self.by = Some(ClosedBy::Timeout);
            self.reason = Some(format!("{untaken} bytes were not taken"));
            return PairStatus::Closed;
        }
        let next = (look * 2).min(LONGEST_LOOK);
        self.stage = Stage::Ending { untaken, until, look: next };
        self.deadline = Some(now.after(look));
        PairStatus::Open
    }

    /// One side is gone; what it said is passed on, and then the other side is reset. So is the one that is gone: what broke
    /// may be our own end of it alone, and its peer would find an end as if all had been said.
    fn broken(&mut self, end: End, error: Errno, tools: &mut Tools<'_>) -> PairStatus {
        if let Some(leg) = if end == End::Near { Some(&mut self.near) } else { self.far.as_mut() } {
            leg.reset_at_close();
        }
        self.pass_on_reset(end, error, tools)
    }

    fn pass_on_reset(&mut self, end: End, error: Errno, tools: &mut Tools<'_>) -> PairStatus {
        self.by = Some(ClosedBy::Reset);
        self.failure.get_or_insert(PairFailure::Reset);
        let who = if end == End::Near { "the client" } else { "the server" };
        let how = match error {
            Errno::CONNREFUSED => {
                // An answer by ICMP, or of the system where the peer's socket is gone.
                self.failure = Some(PairFailure::Kind(Kind::Refused));
                "does not listen: port or path closed".to_owned()
            }
            Errno::CONNRESET | Errno::PIPE => "reset the connection".to_owned(),
            other => format!("is gone: {}", words(&std::io::Error::from(other))),
        };
        self.reason = Some(format!("{who} {how}"));
        if let Some(taps) = &mut self.taps {
            taps.reset(if end == End::Near { Side::Client } else { Side::Server });
        }
        if let Some(leg) = if end == End::Near { Some(&mut self.near) } else { self.far.as_mut() } {
            leg.is_gone(error);
        }
        let until = tools.now.after(RESET_WAIT);
        self.stage = Stage::Resetting { by: end, until, look: LOOK };
        self.finish_resetting(end, until, LOOK, tools)
    }

    fn finish_resetting(&mut self, by: End, until: Moment, look: Duration, tools: &mut Tools<'_>) -> PairStatus {
        let Some(far) = &mut self.far else { return PairStatus::Closed };
        let (way, back, source, sink) = match by {
            End::Near => (&mut self.up, &self.down, &mut self.near, far),
            End::Far => (&mut self.down, &self.up, far, &mut self.near),
        };
        // What it said before it was gone still stands in the kernel. Its end is none.
        source.readable = true;
        let turn = if way.ended && way.waiting() == 0 && sink.waiting() == 0 {
            Turn::Rests(None)
        } else {
            way.shut = true;
            way.turn(source, sink, self.taps.as_deref_mut(), tools)
        };
        let is_read = way.ended || matches!(turn, Turn::SourceBroken(_) | Turn::NotSecure(_));
        let is_lost = matches!(turn, Turn::SinkBroken(_) | Turn::Limit(_));
        way.ended |= is_read;
        let is_passed = way.waiting() == 0 && sink.waiting() == 0;
        let (left, lost) = (way.waiting(), back.waiting());
        let is_done = is_lost || is_read && is_passed && sink.untaken() == 0;
        if is_done || tools.now >= until {
            let lost = lost + if is_done && !is_lost { 0 } else { left.max(sink.untaken()) };
            sink.reset();
            if lost > 0
                && let Some(reason) = &mut self.reason
            {
                reason.push_str(&format!("; {lost} bytes did not arrive"));
            }
            return PairStatus::Closed;
        }
        self.stage = Stage::Resetting { by, until, look: (look * 2).min(LONGEST_LOOK) };
        self.deadline = Some(tools.now.after(look).min(until));
        if matches!(turn, Turn::More) { PairStatus::Runnable } else { PairStatus::Open }
    }

    /// A peer is gone before its system had taken everything.
    fn is_gone(&mut self, end: End, untaken: u64) -> PairStatus {
        let who = if end == End::Near { "the client" } else { "the server" };
        self.by = Some(ClosedBy::Reset);
        self.failure.get_or_insert(PairFailure::Reset);
        self.reason = Some(format!("{who} reset the connection; {untaken} bytes did not arrive"));
        PairStatus::Closed
    }

    fn not_secure(
        &mut self,
        end: End,
        error: &TlsError,
        observe: &mut dyn FnMut(Event),
        tools: &mut Tools<'_>,
    ) -> PairStatus {
        let kind = match error.why {
            TlsErrorKind::Certificate => PairFailure::Untrusted,
            TlsErrorKind::WebSocket | TlsErrorKind::Messages => PairFailure::Reset,
            _ => PairFailure::Tls,
        };
        self.failure = Some(kind);
        let conversation = Some(self.conversation.clone());
        let failure = Failure::other(Kind::Fault(kind.fault()), format!("{}: {error}", error.layer()));
        observe(Event::Failed { conversation, failure });
        let fate = self.pass_on_reset(end, Errno::CONNRESET, tools);
        self.reason = Some(format!("{}: {error}", error.layer()));
        self.by = Some(if end == End::Near { ClosedBy::Client } else { ClosedBy::Server });
        self.failure = Some(kind);
        // What is encrypted for the peer, an alert, goes before the reset.
        if let Some(leg) = if end == End::Near { Some(&mut self.near) } else { self.far.as_mut() } {
            let _ = leg.flush();
        }
        fate
    }

    fn limit(&mut self, from: End, met: Met, tools: &mut Tools<'_>) -> PairStatus {
        let by = match met {
            Met { is_live: true, .. } => "a toxic",
            Met { limit: Limit::Cut, .. } => "--cut-after",
            Met { limit: Limit::Reset, .. } => "--reset-after",
        };
        let what = if from == End::Near { "what the client says" } else { "what the server says" };
        self.failure.get_or_insert(PairFailure::CutShort);
        match met.limit {
            Limit::Cut => {
                self.reason = Some(format!("cut on purpose ({by}, {what})"));
                self.by = Some(if from == End::Near { ClosedBy::Client } else { ClosedBy::Server });
                let _ = self.near.say_end();
                let _ = self.far.as_mut().map(Leg::say_end);
                let until = tools.now.after(crate::limits::DRAIN_WAIT);
                self.stage = Stage::Cutting { until };
                self.finish_cutting(until, tools)
            }
            Limit::Reset => {
                self.reason = Some(format!("reset on purpose ({by}, {what})"));
                self.near.reset();
                if let Some(far) = &mut self.far {
                    far.reset();
                }
                self.by = Some(ClosedBy::Reset);
                PairStatus::Closed
            }
        }
    }

    /// Reads what still comes, so that closing is no reset.
    fn finish_cutting(&mut self, until: Moment, tools: &mut Tools<'_>) -> PairStatus {
        let mut all_ended = true;
        for leg in [Some(&mut self.near), self.far.as_mut()].into_iter().flatten() {
            let _ = leg.flush();
            while !leg.ended {
                match leg.receive(tools.buffer) {
                    ReadOutcome::Bytes(_) => {}
                    ReadOutcome::Nothing => {
                        leg.ended = leg.has_no_end();
                        break;
                    }
                    ReadOutcome::End | ReadOutcome::Cut | ReadOutcome::Broken(_) | ReadOutcome::NotSecure(_) => {
                        leg.ended = true
                    }
                }
            }
            all_ended &= leg.ended && leg.is_shut();
        }
        if all_ended || tools.now >= until {
            return PairStatus::Closed;
        }
        self.deadline = Some(until);
        PairStatus::Open
    }

    /// Nothing was said for too long.
    pub(super) fn time_out(&mut self, idle: Duration) -> PairStatus {
        self.by = Some(ClosedBy::Timeout);
        self.reason = Some(format!("nothing was said for {} (--idle-timeout)", transcript::seconds(idle)));
        self.near.reset();
        if let Some(far) = &mut self.far {
            far.reset();
        }
        PairStatus::Closed
    }

    /// Bytes that came from both sides.
    pub(super) fn moved(&self) -> u64 {
        self.up.came + self.down.came + self.up.passed + self.down.passed
    }

    /// The relay ends: what waits is lost, and is seen to be. One that broke lost count of what may still come: it gives no
    /// peer an end that the other one did not say.
    pub(super) fn cut(&mut self, end: EndOfRelay) {
        self.by = Some(ClosedBy::Server);
        let legs = [Some(&self.near), self.far.as_ref()].into_iter().flatten();
        // What stands in a socket of ours its peer believes to have said.
        let in_legs: u64 = legs.map(|leg| leg.waiting() as u64 + leg.unread()).sum();
        let waiting = self.up.waiting() + self.down.waiting() + in_legs;
        if waiting > 0 || end == EndOfRelay::Broken {
            self.near.reset();
            if let Some(far) = &mut self.far {
                far.reset();
            }
        }
        self.reason = Some(match waiting {
            0 => "cut at the end of the relay".to_owned(),
            _ => format!("cut at the end of the relay; {waiting} bytes did not arrive"),
        });
    }

    /// The account of a pair that is over.
    pub(super) fn conclude(&mut self, now: Moment, is_cut: bool) -> (Event, Outcome) {
        let by = self.by.unwrap_or(match self.first_end {
            Some(End::Near) | None => ClosedBy::Client,
            Some(End::Far) => ClosedBy::Server,
        });
        let lasted = Duration::from_nanos(now.nanos().saturating_sub(self.opened.nanos()));
        let (from_client, from_server) = (self.up.came, self.down.came);
        for way in [&mut self.up, &mut self.down] {
            let (count, bytes) = way.messages.as_ref().map_or((0, 0), |messages| messages.dropped());
            way.passed += bytes;
            if count > 0 {
                self.reason.get_or_insert_with(|| format!("{count} datagrams were lost on purpose (--drop)"));
            }
        }
        for leg in [Some(&self.near), self.far.as_ref()].into_iter().flatten() {
            let (count, why) = &leg.refused;
            if *count > 0 {
                let words = match count {
                    1 => format!("1 message did not arrive: {why}"),
                    count => format!("{count} messages did not arrive; the last: {why}"),
                };
                self.reason = Some(self.reason.take().map_or(words.clone(), |reason| format!("{reason}; {words}")));
                self.failure.get_or_insert(PairFailure::CutShort);
            }
        }
        let lost = (from_client - self.up.passed.min(from_client)) + (from_server - self.down.passed.min(from_server));
        let unread = self.near.unread + self.far.as_ref().map_or(0, |far| far.unread);
        if unread > 0 {
            self.reason.get_or_insert_with(|| {
                format!("the program had ended before it read all: {unread} bytes did not arrive")
            });
        }
        let lost = lost + unread;
        let event = Event::Closed {
            conversation: self.conversation.clone(),
            by,
            from_client,
            from_server,
            unjudged: 0,
            lasted,
            reason: self.reason.take(),
            ended: None,
        };
        let failure = self.failure.or((lost > 0).then_some(PairFailure::CutShort));
        (event, Outcome { from_client, from_server, lost, failure, is_cut })
    }
}
