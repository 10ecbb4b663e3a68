//! One connection: a player joined to a stream socket. One read, all answers, one write; while it is idle it keeps no
//! buffer. What was sent arrives: closing is shutting down, draining what still comes, and only then closing.

mod closing;
mod secure;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use transcript::{Input, Moment, Next, Play, Script};

use super::poller::Interest;
use super::timers::Armed;
use super::web::Web;
use super::{Behaviour, Shared};
use crate::event::{ClosedBy, Conversation, Name, Protocol};
use crate::failure::Kind;
use crate::limits;
use crate::net::tls::Session;

/// Reads in a row from one connection before the others have their turn.
const READS: usize = 4;
/// Outputs in a row that one connection sends before the others have their turn.
const TURNS: usize = 16;

/// Whether a connection lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    /// It is over and said so; drop it.
    Gone,
}

/// What the connection does with what comes.
#[derive(Debug)]
pub(super) enum Role {
    /// A play, and the script that it began with: a server that reads its transcripts again keeps it for this one.
    Play(Play, Arc<Script>),
    Echo,
    Discard,
    Web(Box<Web>),
}

/// How far it is with ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// All is said; what is queued goes out, then our end is shut.
    Finishing,
    /// Our end is shut; what still comes is read and thrown away, to this moment at most.
    Draining {
        until: Moment,
        bytes: u64,
    },
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) fd: OwnedFd,
    pub(super) listener: usize,
    number: u64,
    pub(super) client: Name,
    /// Our end's name, where it is not the listener's.
    server: Option<Box<Name>>,
    pub(super) role: Role,
    pub(super) phase: Phase,
    /// Bytes that came and are not consumed: an unfinished line.
    pub(super) inbox: Vec<u8>,
    /// Bytes that the socket did not take yet.
    pub(super) outbox: Vec<u8>,
    opened: Moment,
    from_client: u64,
    pub(super) from_server: u64,
    /// The client's end of the stream was read.
    pub(super) ended: bool,
    /// The player wants to go on once the outbox is empty.
    pub(super) resume: bool,
    half_close: bool,
    /// The player pauses: nothing is read meanwhile.
    paused: bool,
    pub(super) deadline: Option<Moment>,
    pub(super) write_deadline: Option<Moment>,
    /// Bytes of its buffers that the loop counted, and since when it holds some that wait.
    pub(super) held: usize,
    pub(super) held_since: Moment,
    pub(super) armed: Armed,
    pub(super) interest: Interest,
    /// Who sent the first end of a stream that was read or sent.
    pub(super) first_end: Option<ClosedBy>,
    /// The client is gone; what it said before may still stand in the kernel.
    pub(super) is_broken: bool,
    pub(super) by: ClosedBy,
    pub(super) reason: Option<Box<str>>,
    /// From where the transcript goes over to TLS.
    pub(super) secure: Option<Box<Session>>,
}

/// What a new connection is known by.
pub(super) struct Identity {
    pub(super) number: u64,
    pub(super) client: Name,
    pub(super) server: Option<Box<Name>>,
    pub(super) listener: usize,
}

impl Connection {
    pub(super) fn new(fd: OwnedFd, identity: Identity, behaviour: &Behaviour, now: Moment) -> Self {
        let Identity { number, client, server, listener } = identity;
        Self {
            fd,
            listener,
            number,
            client,
            server,
            role: match behaviour {
                Behaviour::Play(script) => Role::Play(script.play(), Arc::clone(script)),
                Behaviour::Echo => Role::Echo,
                Behaviour::Discard => Role::Discard,
                Behaviour::Site(website) => Role::Web(Box::new(Web::new(Arc::clone(website)))),
            },
            phase: Phase::Open,
            inbox: Vec::new(),
            outbox: Vec::new(),
            opened: now,
            from_client: 0,
            from_server: 0,
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
            by: ClosedBy::Server,
            reason: None,
            secure: None,
        }
    }

    pub(super) fn conversation(&self, protocol: Protocol, server: &Name) -> Conversation {
        Conversation {
            number: self.number,
            protocol,
            server: self.server.as_deref().unwrap_or(server).clone(),
            client: self.client.clone(),
        }
    }

    /// Bytes of memory that its buffers take.
    pub(super) fn memory(&self) -> usize {
        let role = match &self.role {
            Role::Play(play, _) => play.memory(),
            Role::Web(web) => web.memory(),
            Role::Echo | Role::Discard => 0,
        };
        let session = self.secure.as_ref().map_or(0, |session| session.memory());
        self.inbox.capacity() + self.outbox.capacity() + role + session
    }

    /// What the socket is to be watched for.
    pub(super) fn wants(&self) -> Interest {
        match self.phase {
            Phase::Draining { .. } => Interest::Read,
            _ if !self.outbox.is_empty() => Interest::Write,
            // It has more to say, and lets others go first.
            Phase::Open if self.has_more() => Interest::Write,
            Phase::Open if !self.paused && !self.ended && !self.is_storing() => Interest::Read,
            _ => Interest::Nothing,
        }
    }

    /// Whether these bytes, which have come, are the first.
    pub(super) fn is_first(&self, bytes: &[u8]) -> bool {
        self.from_client == bytes.len() as u64
    }

    /// Whether it has something to say and waits only for the socket to take it.
    fn has_more(&self) -> bool {
        !self.outbox.is_empty() || self.sends_part() || self.resume
    }

    /// It has more to say, and the others have their turn. A socket that is full by then may stay so.
    pub(super) fn give_way(&mut self, now: Moment) {
        self.resume = true;
        self.write_deadline.get_or_insert(now.after(limits::WRITE_WAIT));
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
            _ if self.has_more() => self.write_deadline,
            _ => self.deadline,
        }
    }

    /// The first step: a server that speaks first speaks now.
    pub(super) fn open(&mut self, shared: &mut Shared<'_>) -> Fate {
        if let Role::Web(web) = &self.role
            && web.is_secure()
        {
            return self.begin_tls(Session::web_server(shared.identity), shared);
        }
        self.advance(&[], shared)
    }

    /// The socket is ready.
    pub(super) fn ready(&mut self, broken: bool, shared: &mut Shared<'_>) -> Fate {
        let went_on = if !self.outbox.is_empty() {
            self.flush(shared)
        } else if self.sends_part() {
            self.go_on(shared)
        } else if self.resume {
            self.advance(&[], shared)
        } else {
            Fate::Lives
        };
        if went_on == Fate::Gone {
            return Fate::Gone;
        }
        let mut fate =
            if self.phase != Phase::Open || self.wants() == Interest::Read { self.read(shared) } else { Fate::Lives };
        // In a pause nothing is read: what came before the error is heard after it, and then the error.
        let pauses = self.paused && !self.ended;
        if broken && !pauses && fate == Fate::Lives && self.wants() != Interest::Read {
            // Nothing is read now, and the kernel would tell of the error without end.
            fate = match rustix::net::sockopt::socket_error(&self.fd) {
                Ok(Err(_)) | Err(_) => self.reset(shared),
                // Both directions are shut and no error stands: there is nobody to say anything to.
                Ok(Ok(())) if self.ended => self.reset(shared),
                Ok(Ok(())) => Fate::Lives,
            };
        }
        fate
    }

    /// Hears what the client said before it was gone, to the last byte; then that it is gone.
    pub(super) fn hear_out(&mut self, shared: &mut Shared<'_>) -> Fate {
        loop {
            if self.phase != Phase::Open || self.paused || self.ended {
                return self.reset(shared);
            }
            let mut buffer = std::mem::take(&mut shared.buffer);
            let fate = match recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, length)) if length > 0 => {
                    self.from_client += length as u64;
                    self.take(&buffer[..length], shared)
                }
                Err(Errno::INTR) => Fate::Lives,
                // The error of the socket was taken by whoever sent: what looks like an end is none.
                Ok(_) | Err(_) => self.reset(shared),
            };
            shared.buffer = buffer;
            if fate == Fate::Gone {
                return Fate::Gone;
            }
        }
    }

    fn read(&mut self, shared: &mut Shared<'_>) -> Fate {
        for _ in 0..READS {
            if self.is_broken {
                return Fate::Lives;
            }
            // The buffer is lent out of the shared part while the rest of it is in use.
            let mut buffer = std::mem::take(&mut shared.buffer);
            let (fate, more) = match recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, 0)) => (self.end(shared), false),
                Ok((_, length)) => {
                    self.from_client += length as u64;
                    (self.take(&buffer[..length], shared), length == buffer.len())
                }
                Err(Errno::INTR) => (Fate::Lives, true),
                Err(Errno::AGAIN) => (Fate::Lives, false),
                Err(_) => (self.reset(shared), false),
            };
            shared.buffer = buffer;
            if fate == Fate::Gone || !more || self.wants() != Interest::Read {
                return fate;
            }
        }
        Fate::Lives
    }

    /// Bytes came.
    fn take(&mut self, bytes: &[u8], shared: &mut Shared<'_>) -> Fate {
        if let Phase::Draining { bytes: drained, .. } = &mut self.phase {
            *drained += bytes.len() as u64;
            return if *drained > limits::DRAIN { self.gone(shared) } else { Fate::Lives };
        }
        match self.role {
            _ if self.secure.is_some() => self.decrypt(bytes, shared),
            Role::Play(..) | Role::Web(_) => self.advance(bytes, shared),
            Role::Echo => {
                self.rest_until(shared);
                self.write(bytes, shared)
            }
            Role::Discard => {
                self.rest_until(shared);
                Fate::Lives
            }
        }
    }

    /// The client's end came.
    fn end(&mut self, shared: &mut Shared<'_>) -> Fate {
        self.ended = true;
        self.first_end.get_or_insert(ClosedBy::Client);
        match (self.phase, &self.role) {
            (Phase::Draining { .. }, _) => self.gone(shared),
            (Phase::Open, _) if self.is_handshaking() => {
                self.not_secure("the client closed the connection in the handshake", shared)
            }
            (_, Role::Play(..) | Role::Web(_)) => self.advance(&[], shared),
            (_, Role::Echo | Role::Discard) => {
                self.by = ClosedBy::Client;
                self.finish(shared)
            }
        }
    }

    /// Gives the player what came, sends what it says and does what it asks, as far as that goes.
    fn advance(&mut self, bytes: &[u8], shared: &mut Shared<'_>) -> Fate {
        if self.phase != Phase::Open || self.is_handshaking() {
            return Fate::Lives;
        }
        let Role::Play(_, script) = &self.role else {
            if matches!(self.role, Role::Web(_)) {
                return self.ask(bytes, shared);
            }
            self.rest_until(shared);
            return Fate::Lives;
        };
        let script = Arc::clone(script);
        if self.inbox.is_empty() {
            let (fate, consumed) = self.steps(&script, bytes, shared);
            if self.phase == Phase::Open && fate == Fate::Lives && !append(&mut self.inbox, &bytes[consumed..]) {
                return self.evict(NO_MEMORY, shared);
            }
            return fate;
        }
        let mut held = std::mem::take(&mut self.inbox);
        if !append(&mut held, bytes) {
            return self.evict(NO_MEMORY, shared);
        }
        let (fate, consumed) = self.steps(&script, &held, shared);
        if self.phase == Phase::Open {
            // What is only waited for is not copied again with every piece that comes.
            if consumed == held.len() {
                return fate;
            }
            if consumed > 0 {
                held.drain(..consumed);
                held.shrink_to(held.len());
            }
            self.inbox = held;
        }
        fate
    }

    /// As many steps as can be taken, and how many of the bytes they consumed.
    fn steps(&mut self, script: &Script, bytes: &[u8], shared: &mut Shared<'_>) -> (Fate, usize) {
        let mut turns = 0;
        let mut at = 0;
        loop {
            self.go_ahead();
            self.paused = false;
            let Role::Play(play, _) = &mut self.role else { return (Fate::Lives, at) };
            let input = Input { bytes: &bytes[at..], datagram: false, ended: self.ended, now: shared.now };
            let step = play.step(script, input, shared.scratch, shared.output);
            let resting = shared.stopping && play.may_end(script);
            at += step.consumed;
            if self.send_output(shared) == Fate::Gone {
                return (Fate::Gone, at);
            }
            let blocked = !self.outbox.is_empty();
            match step.next {
                Next::Hear { .. } if resting && !blocked => return (self.finish(shared), at),
                Next::Hear { until } => self.deadline = until,
                Next::Flush if !blocked && turns < TURNS => {
                    turns += 1;
                    continue;
                }
                Next::Flush => self.give_way(shared.now),
                Next::Pause { until } => {
                    self.paused = true;
                    self.deadline = Some(until);
                }
                Next::StopSending => {
                    if self.say_end(shared) == Fate::Gone {
                        return (Fate::Gone, at);
                    }
                    let blocked = !self.outbox.is_empty();
                    if !blocked {
                        self.first_end.get_or_insert(ClosedBy::Server);
                        let _ = shutdown(&self.fd, Shutdown::Write);
                        continue;
                    }
                    (self.half_close, self.resume) = (true, true);
                }
                // The client begins; what we said in clear goes out first.
                Next::StartTls => {
                    if self.begin_tls(Session::server(shared.identity), shared) == Fate::Gone {
                        return (Fate::Gone, at);
                    }
                }
                // What was said last reached nobody.
                Next::End(ending) if self.is_broken && ending.is_success() => return (self.reset(shared), at),
                Next::End(ending) => return (self.over(ending, shared), at),
            }
            return (Fate::Lives, at);
        }
    }

    /// A moment came that it wanted to be woken at.
    pub(super) fn wake(&mut self, shared: &mut Shared<'_>) -> Fate {
        let now = shared.now;
        if let Phase::Draining { until, .. } = self.phase {
            return if now >= until { self.gone(shared) } else { Fate::Lives };
        }
        if self.write_deadline.is_some_and(|at| now >= at) {
            self.by = ClosedBy::Timeout;
            let waited = transcript::seconds(limits::WRITE_WAIT);
            let what = match self.outbox.len() as u64 + self.part().map_or(0, |part| part.left()) {
                0 => String::new(),
                left => format!(" of {left} bytes"),
            };
            let reason = format!("the client took nothing{what} for {waited}");
            if matches!(self.role, Role::Play(..)) {
                self.fail(Kind::WriteTimeout, &reason, shared);
            }
            self.reason = Some(reason.into());
            return self.gone(shared);
        }
        if self.deadline.is_none_or(|at| now < at) || self.has_more() {
            return Fate::Lives;
        }
        match self.role {
            _ if self.is_handshaking() => {
                let waited = transcript::seconds(limits::HANDSHAKE_WAIT);
                self.not_secure(&format!("no handshake within {waited}"), shared)
            }
            Role::Play(..) => self.advance(&[], shared),
            Role::Web(_) => self.took_too_long(shared),
            Role::Echo | Role::Discard => {
                self.by = ClosedBy::Timeout;
                let waited = shared.wait.map(transcript::seconds).unwrap_or_default();
                self.reason = Some(format!("nothing came for {waited} (--timeout)").into());
                self.finish(shared)
            }
        }
    }

    /// Sends what the player said.
    pub(super) fn send_output(&mut self, shared: &mut Shared<'_>) -> Fate {
        if shared.output.bytes.is_empty() {
            return Fate::Lives;
        }
        let output = std::mem::take(&mut shared.output.bytes);
        let fate = match &mut self.secure {
            Some(session) => {
                let mut wire = Vec::with_capacity(output.len() + 64);
                session.send(&output, &mut wire);
                self.write(&wire, shared)
            }
            None => self.write(&output, shared),
        };
        shared.output.bytes = output;
        shared.output.clear();
        fate
    }

    /// Sends bytes; what the socket does not take is kept for when it does.
    fn write(&mut self, mut bytes: &[u8], shared: &mut Shared<'_>) -> Fate {
        if self.outbox.is_empty() {
            match self.push(&mut bytes) {
                Ok(()) if bytes.is_empty() => return Fate::Lives,
                Ok(()) => self.write_deadline = Some(shared.now.after(limits::WRITE_WAIT)),
                Err(_) => return self.write_failed(shared),
            }
        }
        if !append(&mut self.outbox, bytes) {
            return self.evict(NO_MEMORY, shared);
        }
        Fate::Lives
    }

    /// Sends the front of the bytes, as much as the socket takes.
    fn push(&mut self, bytes: &mut &[u8]) -> Result<(), Errno> {
        if self.is_broken {
            *bytes = &[];
        }
        while !bytes.is_empty() {
            match send(&self.fd, bytes, SendFlags::NOSIGNAL) {
                Ok(length) => {
                    self.from_server += length as u64;
                    *bytes = &bytes[length..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The client is gone; whatever it said before may still wait to be read, but nobody hears an answer.
    pub(super) fn write_failed(&mut self, shared: &mut Shared<'_>) -> Fate {
        self.outbox = Vec::new();
        if matches!(self.role, Role::Play(..)) && self.phase == Phase::Open {
            (self.is_broken, self.write_deadline) = (true, None);
            return Fate::Lives;
        }
        self.reset(shared)
    }

    /// The socket takes bytes again.
    fn flush(&mut self, shared: &mut Shared<'_>) -> Fate {
        let held = std::mem::take(&mut self.outbox);
        let mut bytes = &held[..];
        if self.push(&mut bytes).is_err() {
            return self.write_failed(shared);
        }
        if !bytes.is_empty() {
            if bytes.len() < held.len() {
                self.write_deadline = Some(shared.now.after(limits::WRITE_WAIT));
            }
            let sent = held.len() - bytes.len();
            self.outbox = held;
            self.outbox.drain(..sent);
            self.outbox.shrink_to(self.outbox.len());
            return Fate::Lives;
        }
        self.write_deadline = None;
        if self.phase == Phase::Finishing {
            return self.finish(shared);
        }
        if std::mem::take(&mut self.half_close) {
            self.first_end.get_or_insert(ClosedBy::Server);
            let _ = shutdown(&self.fd, Shutdown::Write);
        }
        if matches!(self.role, Role::Web(_)) {
            return self.go_on(shared);
        }
        if self.resume || !self.inbox.is_empty() || shared.stopping {
            return self.advance(&[], shared);
        }
        Fate::Lives
    }

    /// Without a play the time limit runs from the last bytes.
    fn rest_until(&mut self, shared: &Shared<'_>) {
        self.deadline = shared.wait.map(|wait| shared.now.after(wait));
    }
}

/// Why a connection ends that the system has no memory for.
const NO_MEMORY: &str = "the system gives no memory for this conversation";

/// Adds bytes, if there is memory: how many there are is what a peer chooses.
fn append(into: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let has_room = into.try_reserve(bytes.len()).is_ok();
    if has_room {
        into.extend_from_slice(bytes);
    }
    has_room
}

#[cfg(all(test, feature = "http"))]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests;
