//! One connection: a player joined to a stream socket. One read, all answers, one write; while it is idle it keeps no
//! buffer. What was sent arrives: closing is shutting down, draining what still comes, and only then closing.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use transcript::{Ending, Fault, Input, Moment, Next, Play, Script};

use super::poller::Interest;
use super::timers::Armed;
use super::web::Web;
use super::{Behaviour, Shared};
use crate::event::{ClosedBy, Conversation, Event, Name, Protocol};
use crate::limits;
use crate::net::tls::{Session, TlsError};

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
    pub(super) armed: Armed,
    pub(super) interest: Interest,
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
            armed: Armed::default(),
            interest: Interest::Read,
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
            && web.website.is_secure
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
        if broken && fate == Fate::Lives && self.wants() != Interest::Read {
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

    fn read(&mut self, shared: &mut Shared<'_>) -> Fate {
        for _ in 0..READS {
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
            if self.phase == Phase::Open {
                self.inbox = bytes[consumed..].to_vec();
            }
            return fate;
        }
        let mut held = std::mem::take(&mut self.inbox);
        held.extend_from_slice(bytes);
        let (fate, consumed) = self.steps(&script, &held, shared);
        if self.phase == Phase::Open {
            // What is only waited for is not copied again with every piece that comes.
            self.inbox = if consumed == 0 { held } else { held[consumed..].to_vec() };
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
            let resting = shared.stopping && play.at_rest(script);
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
                Next::End(ending) => return (self.over(ending, shared), at),
            }
            return (Fate::Lives, at);
        }
    }

    fn is_handshaking(&self) -> bool {
        self.secure.as_ref().is_some_and(|session| session.is_handshaking())
    }

    fn begin_tls(&mut self, session: Result<Session, TlsError>, shared: &mut Shared<'_>) -> Fate {
        match session {
            Ok(session) => {
                self.secure = Some(Box::new(session));
                self.deadline = Some(shared.now.after(limits::HANDSHAKE_WAIT));
                Fate::Lives
            }
            Err(error) => self.not_secure(&error.to_string(), shared),
        }
    }

    /// Bytes of TLS came: the session may have to answer, and the play goes on with what they mean.
    fn decrypt(&mut self, bytes: &[u8], shared: &mut Shared<'_>) -> Fate {
        let Some(session) = &mut self.secure else { return Fate::Lives };
        let was_handshaking = session.is_handshaking();
        let (mut clear, mut wire) = (Vec::new(), Vec::new());
        let received = session.receive(bytes, &mut clear);
        session.send(&[], &mut wire);
        let (is_handshaking, has_ended) = (session.is_handshaking(), session.has_ended());
        if !wire.is_empty() && self.write(&wire, shared) == Fate::Gone {
            return Fate::Gone;
        }
        if let Err(error) = received {
            return self.not_secure(&error.to_string(), shared);
        }
        if is_handshaking {
            return Fate::Lives;
        }
        self.ended |= has_ended;
        if was_handshaking {
            self.deadline = None;
            let chose_http2 = self.secure.as_ref().is_some_and(|session| session.alpn() == Some(b"h2"));
            if let Role::Web(web) = &mut self.role
                && chose_http2
            {
                web.speak_http2();
            }
        }
        if was_handshaking || has_ended || !clear.is_empty() {
            return self.advance(&clear, shared);
        }
        Fate::Lives
    }

    /// There is no secure connection, or no more.
    fn not_secure(&mut self, why: &str, shared: &mut Shared<'_>) -> Fate {
        let Role::Play(play, script) = &mut self.role else {
            // Whoever knocks without speaking TLS is a line in the log, and no failure of ours.
            self.secure = None;
            self.reason = Some(format!("TLS: {why}").into());
            return self.finish(shared);
        };
        let ending = play.tls_failed(script, Fault::Tls, why, shared.scratch);
        self.over(ending, shared)
    }

    /// Under TLS the end is said too, so that nobody else can say it (RFC 8446, section 6.1).
    fn say_end(&mut self, shared: &mut Shared<'_>) -> Fate {
        let Some(session) = &mut self.secure else { return Fate::Lives };
        let mut wire = Vec::new();
        session.end(&mut wire);
        self.write(&wire, shared)
    }

    /// The play is over.
    fn over(&mut self, ending: Ending, shared: &mut Shared<'_>) -> Fate {
        self.by = if self.ended { ClosedBy::Client } else { ClosedBy::Server };
        match ending {
            Ending::Done => self.by = ClosedBy::Server,
            Ending::DoneByReset => {
                self.by = ClosedBy::Reset;
                // The transcript says so; this is the only reset that we make on purpose.
                let _ = rustix::net::sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
                return self.gone(shared);
            }
            Ending::Left => self.by = ClosedBy::Client,
            Ending::IdleTimeout { waited } => {
                self.by = ClosedBy::Timeout;
                let reason = format!("nothing came for {} (--timeout)", transcript::seconds(waited));
                self.fail_if_strict(&reason, shared);
                self.reason = Some(reason.into());
            }
            Ending::IdleReset => {
                self.by = ClosedBy::Reset;
                self.fail_if_strict("the client reset the connection", shared);
                return self.gone(shared);
            }
            Ending::Failed(verdict) => {
                if matches!(verdict.fault, transcript::Fault::NothingCame { .. }) {
                    self.by = ClosedBy::Timeout;
                }
                if matches!(verdict.fault, transcript::Fault::Tls) {
                    // Nothing is said inside a session that failed, not even its end.
                    self.secure = None;
                }
                self.reason = Some(verdict.headline().into());
                let conversation = self.conversation(shared.protocol, shared.server);
                let who = format!("play {}, {} -> {}", conversation.number, conversation.client, conversation.server);
                let error = verdict.render(&who);
                shared.tally.failed += 1;
                shared.observer.observe(Event::Failed { conversation: Some(conversation), error });
                if matches!(verdict.fault, transcript::Fault::Reset) {
                    self.by = ClosedBy::Reset;
                    return self.gone(shared);
                }
            }
        }
        self.finish(shared)
    }

    /// Between two exchanges a reset or an idle time limit is no failure, unless one asked for it to be.
    fn fail_if_strict(&mut self, reason: &str, shared: &mut Shared<'_>) {
        if shared.strict {
            let conversation = self.conversation(shared.protocol, shared.server);
            let error = format!("{} -> {}: {reason} (--strict)", conversation.client, conversation.server);
            shared.tally.failed += 1;
            shared.observer.observe(Event::Failed { conversation: Some(conversation), error });
        }
    }

    /// The connection was reset.
    fn reset(&mut self, shared: &mut Shared<'_>) -> Fate {
        if let (Phase::Open, Role::Play(play, script)) = (self.phase, &mut self.role) {
            let ending = play.reset(script, &self.inbox, shared.scratch);
            self.outbox = Vec::new();
            let fate = self.over(ending, shared);
            if fate == Fate::Gone {
                return fate;
            }
        }
        self.by = ClosedBy::Reset;
        self.gone(shared)
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
            let what = match self.outbox.len() as u64 + self.part().map_or(0, |part| part.left) {
                0 => String::new(),
                left => format!(" of {left} bytes"),
            };
            self.reason = Some(format!("the client took nothing{what} for {waited}").into());
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

    /// The server is to stop: between two exchanges it ends at once, else when it comes to rest.
    pub(super) fn stop(&mut self, shared: &mut Shared<'_>) -> Fate {
        // What has already come is still answered.
        if self.phase == Phase::Open && self.wants() == Interest::Read && self.read(shared) == Fate::Gone {
            return Fate::Gone;
        }
        if let Phase::Draining { until, .. } = &mut self.phase {
            *until = (*until).min(shared.now.after(shared.linger));
            return Fate::Lives;
        }
        let resting = match &self.role {
            Role::Play(play, script) => play.at_rest(script),
            Role::Echo | Role::Discard => true,
            Role::Web(web) => web.is_idle() && self.inbox.is_empty(),
        };
        if self.phase != Phase::Open || !resting || !self.outbox.is_empty() {
            return Fate::Lives;
        }
        // Nothing is unread and nothing unsent: closing now loses nothing.
        self.gone(shared)
    }

    /// Ends it whatever it is doing.
    pub(super) fn cut(&mut self, shared: &mut Shared<'_>) -> bool {
        let cut = self.phase == Phase::Open || !self.outbox.is_empty();
        if cut {
            self.reason = Some("cut: the server was stopped".into());
        }
        self.gone(shared);
        cut
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
        self.outbox.extend_from_slice(bytes);
        Fate::Lives
    }

    /// Sends the front of the bytes, as much as the socket takes.
    fn push(&mut self, bytes: &mut &[u8]) -> Result<(), Errno> {
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
            self.outbox = bytes.to_vec();
            return Fate::Lives;
        }
        self.write_deadline = None;
        if self.phase == Phase::Finishing {
            return self.finish(shared);
        }
        if std::mem::take(&mut self.half_close) {
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

    /// All is said: shut our end when the queue is empty, then drain.
    pub(super) fn finish(&mut self, shared: &mut Shared<'_>) -> Fate {
        self.inbox = Vec::new();
        self.deadline = None;
        if self.phase == Phase::Open {
            // Once: the queue may be met here again, in the phase of finishing.
            self.phase = Phase::Finishing;
            if self.say_end(shared) == Fate::Gone {
                return Fate::Gone;
            }
        }
        if !self.outbox.is_empty() {
            self.phase = Phase::Finishing;
            return Fate::Lives;
        }
        if self.ended {
            // Everything was read, so that closing sends no reset.
            return self.gone(shared);
        }
        if shutdown(&self.fd, Shutdown::Write).is_err() {
            return self.gone(shared);
        }
        let drain = if shared.stopping { shared.linger } else { limits::DRAIN_WAIT };
        self.phase = Phase::Draining { until: shared.now.after(drain), bytes: 0 };
        Fate::Lives
    }

    /// Says that it is over.
    fn gone(&mut self, shared: &mut Shared<'_>) -> Fate {
        shared.tally.close(self.from_client);
        shared.observer.observe(Event::Closed {
            conversation: self.conversation(shared.protocol, shared.server),
            by: self.by,
            from_client: self.from_client,
            from_server: self.from_server,
            lasted: Duration::from_nanos(shared.now.nanos().saturating_sub(self.opened.nanos())),
            reason: self.reason.take().map(Into::into),
        });
        Fate::Gone
    }

    /// Without a play the time limit runs from the last bytes.
    fn rest_until(&mut self, shared: &Shared<'_>) {
        self.deadline = shared.wait.map(|wait| shared.now.after(wait));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use transcript::{Output, Scratch};

    use super::super::{AccessLog, Tally, Website};
    use super::*;
    use crate::net::tls;
    use crate::web::answer::Site;
    use crate::web::clock::Now;
    use crate::web::options::Options;
    use crate::web::root::Root;

    /// What a loop lends its connections, with a clock that the test sets.
    struct World {
        scratch: Scratch,
        output: Output,
        events: Vec<Event>,
        tally: Tally,
        identity: tls::Identity,
        date: Now,
        now: Moment,
    }

    impl World {
        fn new() -> Self {
            let (scratch, output) = (Scratch::new(), Output::default());
            let (events, tally, identity) = Default::default();
            let date = Now::new(std::time::SystemTime::UNIX_EPOCH);
            Self { scratch, output, events, tally, identity, date, now: Moment::default() }
        }

        fn lend<T>(&mut self, act: impl FnOnce(&mut Shared<'_>) -> T) -> T {
            let events = &mut self.events;
            let mut shared = Shared {
                buffer: vec![0; super::super::BUFFER],
                scratch: &mut self.scratch,
                output: &mut self.output,
                observer: &mut |event| events.push(event),
                tally: &mut self.tally,
                now: self.now,
                wait: Some(Duration::from_secs(1)),
                live: 1,
                stopping: false,
                strict: false,
                linger: Duration::ZERO,
                plays: None,
                identity: &self.identity,
                date: &self.date,
                storing: None,
                protocol: Protocol::Unix,
                server: &Name::Unnamed,
            };
            act(&mut shared)
        }
    }

    /// An echo whose client has sent until nothing more was taken, and read nothing.
    fn stuffed(world: &mut World) -> (Connection, UnixStream) {
        let (server, client) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        let identity = Identity { number: 1, client: Name::Unnamed, server: None, listener: 0 };
        let mut connection = Connection::new(server.into(), identity, &Behaviour::Echo, world.now);
        let bytes = vec![b'x'; 1 << 20];
        while connection.wants() == Interest::Read {
            let _ = std::io::Write::write(&mut &client, &bytes);
            assert_eq!(world.lend(|shared| connection.ready(false, shared)), Fate::Lives);
        }
        (connection, client)
    }

    /// Row 8 of the faults.
    #[test]
    fn a_client_that_never_reads_holds_a_bounded_queue_until_the_write_deadline() {
        let mut world = World::new();
        let (mut connection, _client) = stuffed(&mut world);
        assert!(connection.outbox.len() <= limits::SEND_QUEUE && connection.inbox.is_empty());
        assert_eq!(connection.wants(), Interest::Write);
        // The limit of a second passes, and is not due: there is something to send.
        let last = Moment::default().after(limits::WRITE_WAIT);
        assert_eq!(connection.wakes(), Some(last));
        world.now = Moment::from_nanos(last.nanos() - 1);
        assert_eq!(world.lend(|shared| connection.wake(shared)), Fate::Lives);
        assert_eq!(connection.wakes(), Some(last));
        world.now = last;
        assert_eq!(world.lend(|shared| connection.wake(shared)), Fate::Gone);
        let Some(Event::Closed { by: ClosedBy::Timeout, reason: Some(reason), .. }) = world.events.last() else {
            panic!("{:?}", world.events);
        };
        assert!(reason.contains("took nothing of") && reason.ends_with("bytes for 1 min"), "{reason}");
    }

    #[test]
    fn a_client_that_reads_a_little_now_and_then_is_waited_for() {
        let mut world = World::new();
        let (mut connection, mut client) = stuffed(&mut world);
        let mut buffer = vec![0; 4096];
        for _ in 0..3 {
            world.now = Moment::from_nanos(connection.wakes().unwrap().nanos() - 1);
            let before = connection.from_server;
            while connection.from_server == before {
                assert!(std::io::Read::read(&mut client, &mut buffer).unwrap() > 0);
                assert_eq!(world.lend(|shared| connection.ready(false, shared)), Fate::Lives);
            }
            assert_eq!(connection.wakes(), Some(world.now.after(limits::WRITE_WAIT)));
        }
    }

    /// A site with a file of 32 MiB and one of 40 KiB, and a client that has not asked for anything.
    fn site(world: &mut World) -> (Connection, TcpStream, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("large"), vec![b'x'; LARGE]).unwrap();
        std::fs::write(folder.path().join("some"), vec![b'x'; SOME]).unwrap();
        let site = Site::new(Root::open(folder.path()).unwrap(), Options::default());
        let website = Website { site: Arc::new(site), is_secure: false, log: AccessLog::None };
        // A Unix socket would not take as much at once.
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let identity = Identity { number: 1, client: Name::Unnamed, server: None, listener: 0 };
        let mut connection = Connection::new(server.into(), identity, &Behaviour::Site(website.into()), world.now);
        assert_eq!(world.lend(|shared| connection.open(shared)), Fate::Lives);
        (connection, client, folder)
    }

    const LARGE: usize = 32 << 20;
    const SOME: usize = 40 * 1024;

    fn ask(client: &TcpStream, path: &str, times: usize) {
        let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(times);
        std::io::Write::write_all(&mut &*client, request.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_that_is_sent_for_long_is_sent_whole_as_long_as_some_of_it_is_taken() {
        let mut world = World::new();
        let (mut connection, mut client, _folder) = site(&mut world);
        ask(&client, "large", 1);
        // Whole or not, the next request is not late while this one is being answered.
        ask(&client, "some", 1);
        let (mut got, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        client.set_nonblocking(true).unwrap();
        while got.len() < LARGE {
            assert_eq!(world.lend(|shared| connection.ready(false, shared)), Fate::Lives);
            while let Ok(length @ 1..) = std::io::Read::read(&mut client, &mut buffer) {
                got.extend_from_slice(&buffer[..length]);
            }
            world.now = world.now.after(limits::WRITE_WAIT / 8);
            // A moment that was due before the file began may be told now.
            assert_eq!(world.lend(|shared| connection.wake(shared)), Fate::Lives, "{:?}", world.events);
        }
        assert!(!got.windows(4).any(|bytes| bytes == b" 408"));
    }

    /// Row 8 of the faults, for files.
    #[test]
    fn a_client_that_takes_no_more_of_a_file_is_waited_for_until_the_write_deadline() {
        let mut world = World::new();
        let (mut connection, client, _folder) = site(&mut world);
        ask(&client, "large", 1);
        assert_eq!(world.lend(|shared| connection.ready(false, shared)), Fate::Lives);
        let last = Moment::default().after(limits::WRITE_WAIT);
        assert_eq!((connection.wants(), connection.wakes()), (Interest::Write, Some(last)));
        world.now = last;
        assert_eq!(world.lend(|shared| connection.wake(shared)), Fate::Gone);
        assert!(matches!(world.events.last(), Some(Event::Closed { by: ClosedBy::Timeout, .. })));
    }

    #[test]
    fn whole_requests_that_came_together_are_all_answered_and_none_waits_for_a_word() {
        let mut world = World::new();
        let (mut connection, mut client, _folder) = site(&mut world);
        ask(&client, "some", 100);
        let (mut got, mut buffer) = (0, vec![0; 1 << 20]);
        client.set_nonblocking(true).unwrap();
        while connection.wants() == Interest::Write || got == 0 {
            assert_eq!(world.lend(|shared| connection.ready(false, shared)), Fate::Lives);
            assert!(connection.wants() != Interest::Write || connection.wakes().is_some(), "it could wait for ever");
            while let Ok(length @ 1..) = std::io::Read::read(&mut client, &mut buffer) {
                got += length;
            }
        }
        assert!(got > 100 * SOME && connection.inbox.is_empty(), "{got}");
    }
}
