//! One connection: an agent joined to a stream socket, of which it is all the same who connected. One read, all answers, one
//! write; while it is idle it keeps no buffer. What was sent arrives: closing is shutting down, draining what still comes, and
//! only then closing.

mod agent;
mod connecting;
mod datagrams;
mod ending;
mod hearing;
mod line;
mod secure;

use std::io;

use rustix::io::Errno;
use transcript::Moment;

use super::Context;
use super::exec::ProgramPermit;
use super::origin::{Closer, Origin};
use super::reactor::poller::Interest;
use super::reactor::timers::Armed;
use crate::event::{Conversation, Name};
use crate::failure::Kind;
use crate::gate::Pass;
use crate::limits;
use crate::net::session::Session;
use crate::net::{is_of_connection, words};
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
    /// Bytes of its buffers that the loop counted, and since when it holds some that wait.
    pub(super) held: usize,
    pub(super) held_since: Moment,
    pub(super) armed: Armed,
    pub(super) interest: Interest,
    /// Who sent the first end of a stream that was read or sent.
    pub(super) first_end: Option<Closer>,
    /// The peer is gone; what it said before may still stand in the kernel.
    pub(super) is_broken: bool,
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
pub(super) struct Identity {
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
    pub(super) fn new(line: Line, identity: Identity, agent: Agent, now: Moment) -> Self {
        let Identity { number, peer, local, origin, permit: _, pass } = identity;
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
            held: 0,
            held_since: now,
            armed: Armed::default(),
            interest: Interest::Read,
            first_end: None,
            is_broken: false,
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

    /// The first step: whoever speaks first speaks now.
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

    /// The socket is ready.
    pub(super) fn ready(&mut self, broken: bool, context: &mut Context<'_>) -> ChannelStatus {
        if self.phase == Phase::Ending {
            return ChannelStatus::Open;
        }
        let went_on = if !self.outbox.is_empty() {
            self.flush(context)
        } else if self.sends_part() {
            self.go_on(context)
        } else if self.resume {
            self.advance(&[], context)
        } else {
            ChannelStatus::Open
        };
        if went_on == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        if broken && matches!(self.agent, Agent::Child(_)) && self.paused && self.phase == Phase::Open {
            return self.child_loses_peer(context);
        }
        let mut fate =
            if !self.is_open() || self.wants() == Interest::Read { self.read(context) } else { ChannelStatus::Open };
        // In a pause nothing is read: what came before the error is heard after it, and then the error.
        let pauses = self.paused && !self.ended;
        if broken && !pauses && fate == ChannelStatus::Open && self.wants() != Interest::Read {
            // Nothing is read now, and the kernel would tell of the error without end.
            fate = match self.line.take_error() {
                Err(error) => self.socket_failed(error, context),
                // Both directions are shut and no error stands: there is no peer to say anything to. A program that said all that
                // it had to say may go on.
                Ok(()) if self.ended && !self.child_has_shut() => self.reset(context),
                Ok(()) => ChannelStatus::Open,
            };
        }
        fate
    }

    /// Hears what the peer said before it was gone, to the last byte; then that it is gone.
    pub(super) fn hear_out(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        loop {
            if !self.is_open() || self.paused || self.ended {
                return self.reset(context);
            }
            let mut buffer = std::mem::take(context.buffer);
            let fate = match self.line.recv(&mut buffer[..]) {
                Ok(length) if length > 0 || self.line.has_datagrams() && !self.line.has_ended() => {
                    self.take(&buffer[..length], context)
                }
                Err(Errno::INTR) => ChannelStatus::Open,
                // The error of the socket was taken by whoever sent: what looks like an end is none.
                Ok(_) | Err(_) => self.reset(context),
            };
            *context.buffer = buffer;
            if fate == ChannelStatus::Closed {
                return ChannelStatus::Closed;
            }
        }
    }

    pub(super) fn read(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let is_datagram = match &self.line {
            Line::Connecting(_) => return self.connect_on(context),
            line => line.has_datagrams(),
        };
        for _ in 0..READS {
            if self.is_broken {
                return ChannelStatus::Open;
            }
            // The buffer is lent out of the context while the rest of it is in use.
            let mut buffer = std::mem::take(context.buffer);
            let (fate, more) = match self.line.recv(&mut buffer[..]) {
                Ok(0) if !is_datagram || self.line.has_ended() => (self.end(context), false),
                Ok(length) => (self.take(&buffer[..length], context), is_datagram || length == buffer.len()),
                Err(Errno::INTR) => (ChannelStatus::Open, true),
                Err(Errno::AGAIN) => (ChannelStatus::Open, false),
                // The peer said something before, which stands behind the error.
                Err(error) if is_datagram && !self.line.has_no_end() && is_of_connection(error) => {
                    self.is_broken = true;
                    (ChannelStatus::Open, false)
                }
                Err(error) => (self.socket_failed(error, context), false),
            };
            *context.buffer = buffer;
            if fate == ChannelStatus::Closed || !more || self.wants() != Interest::Read {
                return fate;
            }
        }
        ChannelStatus::Open
    }

    /// Bytes came.
    fn take(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        self.received += bytes.len() as u64;
        if let Phase::Draining { .. } = self.phase {
            return self.drain(bytes, context);
        }
        if self.secure.is_some() {
            return self.decrypt(bytes, context);
        }
        if self.line.has_datagrams() {
            return self.hear_message_of_socket(bytes, context);
        }
        self.tell_heard(bytes, context);
        self.advance(bytes, context)
    }

    /// The peer's end came.
    fn end(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.ended = true;
        self.first_end.get_or_insert(Closer::Peer);
        self.tell_left_in_inbox(context);
        self.tell_tap(context, |tap, ours| tap.ended(ours.other()));
        match self.phase {
            Phase::Draining { .. } => self.gone(context),
            Phase::Handshaking => self.not_secure(&self.cut_in_handshake(context), context),
            Phase::EndingTls => self.tls_goes_on(&secure::cut(context.origin.peer()), context),
            Phase::Open if self.lacks_close() => {
                self.reason = Some("the stream ended without a close (1006)".into());
                self.reset(context)
            }
            Phase::Connecting | Phase::Open | Phase::Finishing => self.hear_end(context),
            Phase::Ending => ChannelStatus::Open,
        }
    }

    /// The socket gave an error: the connection is no more, or this machine could not do something.
    pub(super) fn socket_failed(&mut self, error: Errno, context: &mut Context<'_>) -> ChannelStatus {
        if self.line.has_datagrams() && (!is_of_connection(error) || self.line.has_no_end()) {
            return self.datagram_failed(error, context);
        }
        if is_of_connection(error) {
            return self.reset(context);
        }
        let error = io::Error::from(error);
        let reason = words(&error);
        self.fail(Kind::from(&error), &reason, context);
        self.reason = Some(reason.into());
        self.gone(context)
    }

    /// A moment came that it wanted to be woken at.
    pub(super) fn wake(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let now = context.now;
        let is_stuck = self.sends_again().is_some();
        if is_stuck && self.write_deadline.is_none_or(|at| now < at) {
            return self.flush(context);
        }
        if let Phase::Draining { until, .. } = self.phase {
            return if now >= until { self.gone(context) } else { ChannelStatus::Open };
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
            match self.agent {
                Agent::Play(..) => self.fail(Kind::WriteTimeout, &reason, context),
                Agent::Ask(_) => return self.answer_is_overdue(context),
                _ => {}
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
            return self.not_secure(&self.of_handshake(why), context);
        }
        if self.phase == Phase::EndingTls {
            let waited = transcript::seconds(limits::HANDSHAKE_WAIT);
            let why = format!("{} did not say within {waited} that it ends (close_notify)", context.origin.peer());
            return self.tls_goes_on(&why, context);
        }
        self.overdue(context)
    }

    /// Sends what the agent said.
    pub(super) fn send_output(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if !context.output.datagrams.is_empty() {
            return self.send_datagrams(context);
        }
        if context.output.bytes.is_empty() && context.output.messages.is_empty() {
            return ChannelStatus::Open;
        }
        let output = std::mem::take(&mut context.output.bytes);
        let fate = match &mut self.secure {
            Some(session) => {
                let mut wire = Vec::with_capacity(output.len() + 64);
                match &context.output.messages[..] {
                    [] => session.send(&output, &mut wire),
                    bounds => session.send_messages(&output, bounds, &mut wire),
                }
                let fate = self.write(&wire, context);
                self.tell_said(&output, context);
                fate
            }
            None => self.write(&output, context),
        };
        context.output.bytes = output;
        context.output.clear();
        fate
    }

    /// Sends bytes; what the socket does not take is kept for when it does.
    pub(super) fn write(&mut self, mut bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        if self.outbox.is_empty() {
            match self.push(&mut bytes, context) {
                Ok(()) if bytes.is_empty() => return ChannelStatus::Open,
                Ok(()) => self.write_deadline = Some(context.write_by()),
                Err(error) => return self.write_failed(error, context),
            }
        }
        if !append(&mut self.outbox, bytes) {
            return self.evict(NO_MEMORY, context);
        }
        ChannelStatus::Open
    }

    /// Sends the front of the bytes, as much as the socket takes.
    fn push(&mut self, bytes: &mut &[u8], context: &Context<'_>) -> Result<(), Errno> {
        if self.is_broken {
            *bytes = &[];
        }
        // A head without its file would be a segment of its own.
        let has_more = self.secure.is_none() && self.sends_file();
        while !bytes.is_empty() {
            match self.line.send(bytes, has_more) {
                Ok(length) => {
                    self.sent += length as u64;
                    if self.secure.is_none() {
                        self.tell_said(&bytes[..length], context);
                    }
                    *bytes = &bytes[length..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The peer is gone; whatever it said before may still wait to be read, but no peer hears an answer.
    pub(super) fn write_failed(&mut self, error: Errno, context: &mut Context<'_>) -> ChannelStatus {
        self.outbox = Vec::new();
        let may_hear = is_of_connection(error) && !self.line.has_no_end();
        if may_hear && matches!(self.agent, Agent::Play(..)) && self.is_open() {
            (self.is_broken, self.write_deadline) = (true, None);
            return ChannelStatus::Open;
        }
        self.socket_failed(error, context)
    }

    /// The socket takes bytes again.
    fn flush(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if matches!(self.line, Line::OnePeer(_)) {
            return self.answer_again(context);
        }
        let sent = if self.line.has_datagrams() { self.flush_datagrams(context) } else { self.flush_bytes(context) };
        if let Err(error) = sent {
            return self.write_failed(error, context);
        }
        if !self.outbox.is_empty() {
            return ChannelStatus::Open;
        }
        self.write_deadline = None;
        if self.phase == Phase::Finishing {
            return self.finish(context);
        }
        if std::mem::take(&mut self.half_close) {
            self.shut(context);
        }
        if matches!(self.agent, Agent::Http(_)) {
            return self.go_on(context);
        }
        if self.resume || !self.inbox.is_empty() || context.stopping {
            return self.advance(&[], context);
        }
        ChannelStatus::Open
    }

    /// Sends what was kept, as much as the socket takes.
    fn flush_bytes(&mut self, context: &Context<'_>) -> Result<(), Errno> {
        let held = std::mem::take(&mut self.outbox);
        let mut bytes = &held[..];
        self.push(&mut bytes, context)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() < held.len() {
            self.write_deadline = Some(context.write_by());
        }
        let sent = held.len() - bytes.len();
        self.outbox = held;
        self.outbox.drain(..sent);
        self.outbox.shrink_to(self.outbox.len());
        Ok(())
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
