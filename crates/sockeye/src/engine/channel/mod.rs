//! One connection: an agent joined to a stream socket, and it makes no difference which side connected. One read, all answers, one
//! write; while it is idle it keeps no buffer. What was sent arrives: closing is shutting down, draining what still comes, and
//! only then closing.

mod agent;
mod connecting;
mod datagrams;
mod ending;
mod hearing;
mod line;
mod receiving;
mod secure;
mod sending;

use std::ops::ControlFlow;

use transcript::Moment;

use super::Context;
use super::exec::ProgramPermit;
use super::held::Held;
use super::origin::{Closer, Origin};
use super::reactor::poller::Interest;
use super::reactor::timers::Armed;
use crate::event::{Conversation, Name};
use crate::gate::Pass;
use crate::limits;
use crate::net::is_of_connection;
use crate::net::session::Session;
pub(super) use agent::Agent;
pub(super) use datagrams::failure_of_socket;
pub(super) use hearing::{Hearing, Opening};
pub(super) use line::{Datagrams, Line};

/// Reads in a row from one connection before the others have their turn.
const READS: usize = 4;

/// Whether a connection lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelStatus {
    Open,
    /// It is over and said so; drop it.
    Closed,
    /// It lives on, over another descriptor: that one is to be watched.
    DescriptorChanged,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is on its way: a name is looked up, or addresses race.
    Connecting,
    /// Every byte is of the handshake of TLS.
    Handshaking,
    /// We said that TLS ends, and the peer is to say so too.
    EndingTls,
    Open,
    /// All is said; what is queued goes out, then our end is shut.
    Finishing,
    /// Our end is shut; what still comes is read and thrown away, to this moment at most.
    Draining {
        until: Moment,
        bytes: u64,
    },
    /// The connection is over; its program has the grace to end too.
    Ending,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) line: Line,
    /// Where it comes from, by its place in the loop.
    pub(super) origin: usize,
    /// The play that it belongs to with others, by the number of the first of them; 0 is none.
    pub(super) group: u64,
    number: u64,
    pub(super) peer: Name,
    /// Our end's name, where it is not the origin's.
    local: Option<Box<Name>>,
    pub(super) agent: Agent,
    pub(super) phase: Phase,
    /// Bytes that came and are not consumed: an unfinished line.
    pub(super) inbox: Vec<u8>,
    /// Bytes that the socket did not take yet.
    pub(super) outbox: Vec<u8>,
    opened: Moment,
    received: u64,
    pub(super) sent: u64,
    /// Bytes that came behind the end of what was to be said.
    pub(super) unjudged: u64,
    /// The peer's end of the stream was read.
    pub(super) ended: bool,
    /// The agent wants to go on once the outbox is empty.
    pub(super) resume: bool,
    /// Our end is shut once the outbox is empty.
    pub(super) half_close: bool,
    /// The agent pauses: nothing is read meanwhile.
    pub(super) paused: bool,
    pub(super) deadline: Option<Moment>,
    pub(super) write_deadline: Option<Moment>,
    /// What the loop counted of its buffers.
    pub(super) held: Held,
    pub(super) armed: Armed,
    pub(super) interest: Interest,
    /// Who sent the first end of a stream that was read or sent.
    pub(super) first_end: Option<Closer>,
    /// The peer is gone; what it said before may still stand in the kernel.
    pub(super) is_broken: bool,
    /// All is said, and our end is held back for a moment: see [`limits::END_HOLD`].
    pub(super) holds_end: bool,
    pub(super) by: Closer,
    pub(super) reason: Option<Box<str>>,
    /// Who hears it, where its play has several connections.
    pub(super) hearing: Option<Box<Hearing>>,
    /// From where it goes over to TLS.
    pub(super) secure: Option<Box<Session>>,
    /// Its right to be inside, given back with it.
    _pass: Option<Box<Pass>>,
}

/// What a new channel is known by.
pub(super) struct ConnectionInfo {
    pub(super) number: u64,
    pub(super) peer: Name,
    pub(super) local: Option<Box<Name>>,
    pub(super) origin: usize,
    /// The room that its program has.
    pub(super) permit: Option<ProgramPermit>,
    /// Its right to be inside, where that is counted.
    pub(super) pass: Option<Box<Pass>>,
}

impl Channel {
    pub(super) fn new(line: Line, info: ConnectionInfo, agent: Agent, now: Moment) -> Self {
        let ConnectionInfo { number, peer, local, origin, permit: _, pass } = info;
        Self {
            line,
            origin,
            group: 0,
            number,
            peer,
            local,
            agent,
            phase: Phase::Open,
            inbox: Vec::new(),
            outbox: Vec::new(),
            opened: now,
            received: 0,
            sent: 0,
            unjudged: 0,
            ended: false,
            resume: false,
            half_close: false,
            paused: false,
            deadline: None,
            write_deadline: None,
            held: Held::new(now),
            armed: Armed::default(),
            interest: Interest::Read,
            first_end: None,
            is_broken: false,
            holds_end: false,
            by: Closer::Us,
            reason: None,
            hearing: None,
            secure: None,
            _pass: pass,
        }
    }

    pub(super) fn conversation(&self, origin: &Origin) -> Conversation {
        let (number, protocol) = (self.number, origin.endpoint.protocol);
        let peer = self.peer.clone();
        match &self.local {
            Some(local) if origin.is_client() => {
                Conversation { number, protocol, server: peer, client: Name::clone(local), to: None }
            }
            None if origin.is_client() => {
                Conversation { number, protocol, server: peer, client: Name::Unnamed, to: None }
            }
            local => {
                let server = local.as_deref().unwrap_or(&origin.endpoint.name).clone();
                Conversation { number, protocol, server, client: peer, to: None }
            }
        }
    }

    /// Whether nothing of its end has begun.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Handshaking | Phase::EndingTls)
    }

    /// Bytes of memory that its buffers take.
    pub(super) fn memory(&self) -> usize {
        let session = self.secure.as_ref().map_or(0, |session| session.memory());
        self.inbox.capacity() + self.outbox.capacity() + self.agent.memory() + session
    }

    /// What the socket is to be watched for.
    pub(super) fn wants(&self) -> Interest {
        match self.phase {
            Phase::Draining { .. } => Interest::Read,
            Phase::Connecting => self.line.interest(),
            Phase::Ending => Interest::Nothing,
            _ if self.sends_again().is_some() => Interest::Nothing,
            _ if !self.outbox.is_empty() => Interest::Write,
            Phase::Handshaking | Phase::EndingTls if !self.ended => Interest::Read,
            // It has more to say, and lets others go first.
            Phase::Open if self.has_more() => Interest::Write,
            Phase::Open if !self.paused && !self.ended && !self.is_storing() => Interest::Read,
            _ => Interest::Nothing,
        }
    }

    /// Whether these bytes, which have come, are the first.
    pub(super) fn is_first(&self, bytes: &[u8]) -> bool {
        self.received == bytes.len() as u64
    }

    /// Whether it has something to say and waits only for the socket to take it.
    fn has_more(&self) -> bool {
        !self.outbox.is_empty() || self.sends_part() || self.resume
    }

    /// It has more to say, and the others have their turn. A socket that is full by then may stay so.
    pub(super) fn give_way(&mut self, context: &Context<'_>) {
        self.resume = true;
        self.write_deadline.get_or_insert(context.write_by());
    }

    /// It goes on: what is said next has a time of its own, and so has what is waited for.
    pub(super) fn go_ahead(&mut self) {
        self.resume = false;
        self.deadline = None;
        if !self.is_blocked() {
            self.write_deadline = None;
        }
    }

    /// When it wants to be woken.
    pub(super) fn wakes(&self) -> Option<Moment> {
        match self.phase {
            Phase::Draining { until, .. } => Some(until),
            // While the client does not read, nothing else is due: a time limit that has passed is met after that.
            _ if self.has_more() => self.sends_again().or(self.write_deadline),
            _ => self.deadline,
        }
    }

    /// The first step: the side that speaks first speaks now.
    pub(super) fn open(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.tell_opening();
        if let Some(session) = context.origin.first_session() {
            return self.begin_session(session, context);
        }
        if self.agent.begins_secure() {
            return self.begin_session(Session::web_server(context.identity), context);
        }
        self.advance(&[], context)
    }

    /// A moment came that it wanted to be woken at.
    pub(super) fn wake(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let now = context.now;
        let is_stuck = self.sends_again().is_some();
        if is_stuck && self.write_deadline.is_none_or(|at| now < at) {
            return self.flush(context);
        }
        if let Phase::Draining { until, .. } = self.phase {
            return match now >= until {
                true if self.holds_end => self.say_held_end(context),
                true => self.gone(context),
                false => ChannelStatus::Open,
            };
        }
        if self.write_deadline.is_some_and(|at| now >= at) {
            self.by = Closer::Timeout;
            let waited = transcript::seconds(context.origin.write_wait());
            let what = match self.outbox.len() as u64 + self.part().map_or(0, |part| part.left()) {
                0 => String::new(),
                left => format!(" of {left} bytes"),
            };
            let reason = match is_stuck {
                true => format!("the interface's queue took no datagram for {waited}"),
                false => format!("{} took nothing{what} for {waited}", context.origin.peer()),
            };
            if let ControlFlow::Break(status) = self.hear_write_timeout(&reason, context) {
                return status;
            }
            self.reason = Some(reason.into());
            return self.gone(context);
        }
        if self.deadline.is_none_or(|at| now < at) || self.has_more() {
            return ChannelStatus::Open;
        }
        if self.phase == Phase::Connecting {
            return self.connect_on(context);
        }
        if self.phase == Phase::Handshaking {
            let waited = transcript::seconds(limits::HANDSHAKE_WAIT);
            let why = format!("{} did not shake hands within {waited}", context.origin.tls_peer());
            return self.not_secure(&self.of_handshake(why).without_a_word(), context);
        }
        if self.phase == Phase::EndingTls {
            let waited = transcript::seconds(limits::HANDSHAKE_WAIT);
            let why = format!("{} did not say within {waited} that it ends (close_notify)", context.origin.peer());
            return self.tls_goes_on(&why, context);
        }
        self.overdue(context)
    }

    /// Ends our direction.
    pub(super) fn shut(&mut self, context: &Context<'_>) {
        if self.was_shut() {
            return;
        }
        self.first_end.get_or_insert(Closer::Us);
        // What came before a reset may still be heard.
        if self.line.shut().is_err_and(is_of_connection) {
            self.is_broken = true;
        }
        self.tell_tap(context, |tap, ours| tap.ended(ours));
    }

    /// Without a play the time limit runs from the last bytes.
    pub(super) fn rest_until(&mut self, context: &Context<'_>) {
        self.deadline = context.wait.map(|wait| context.now.after(wait));
    }
}

/// Why a connection ends that the system has no memory for.
pub(super) const NO_MEMORY: &str = "the system gives no memory for this conversation";

/// Adds bytes, if there is memory: how many there are is what a peer chooses.
pub(super) fn append(into: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let has_room = into.try_reserve(bytes.len()).is_ok();
    if has_room {
        into.extend_from_slice(bytes);
    }
    has_room
}

#[cfg(all(test, feature = "http"))]
mod imaginary;
#[cfg(all(test, feature = "http"))]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod network;
#[cfg(all(test, feature = "http"))]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests;
