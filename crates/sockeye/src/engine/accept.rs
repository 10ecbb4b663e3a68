//! Clients come in, and go to the loop with the fewest: what becomes of errors of accept(2), and when accepting pauses.

use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, SocketFlags, acceptfrom_with, getsockname};

use super::at_rest::Admission;
use super::channel::ConnectionInfo;
use super::groups::Early;
use super::reactor::poller::Interest;
use super::reactor::token::Token;
use super::threads::Membership;
use super::workers::Message;
use super::{Behaviour, Loop};
use crate::event::{Conversation, Endpoint, Event, Name};
use crate::gate::{Denied, Gate, Pass, WhenFull, who};
use crate::net::listen::Socket;
use crate::net::message;
use crate::net::per_peer::Next;

/// Connections taken from one listener before the others have their turn.
pub(super) const ACCEPTS: usize = 64;
/// How long accepting rests when the system is out of something and no connection closes.
pub(super) const PAUSE: Duration = Duration::from_millis(250);
/// Errors in a row after which accepting rests: an error that stays must not keep the loop busy.
pub(super) const ERRORS: usize = 8;

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: Socket,
    /// Not watched now: there is no room for another channel.
    pub(super) paused: bool,
}

/// A client that was accepted to learn its address, of which as many are inside as may be.
#[derive(Debug)]
pub(super) struct Waiting {
    fd: OwnedFd,
    client: Name,
    server: Option<Box<Name>>,
    listener: usize,
}

/// Of those, at most so many wait; more are refused.
pub(super) const MOST_WAITING: usize = crate::limits::WAITING_CLIENTS;

/// A client that may come in, with its own name, ours, and its right to be inside.
type Admitted = (OwnedFd, Name, Option<Box<Name>>, Option<Box<Pass>>);

/// What accepting came to.
pub(super) enum AcceptOutcome {
    One {
        fd: OwnedFd,
        client: Name,
        server: Option<Box<Name>>,
    },
    /// Nobody waits.
    None,
    /// This client is gone, or a rule refused it: the next one may do better.
    GoOn,
    /// An error that should not be: it is told, and the next client is tried.
    Odd(Event),
    /// The system is out of something, and this is what to say of it; the client waits in the backlog meanwhile.
    Pause(String),
    /// The listener itself is broken.
    Die(io::Error),
}

/// Takes the next client of a listener.
pub(super) fn accept(socket: &Socket, flags: SocketFlags) -> AcceptOutcome {
    if socket.has_one_client() {
        return match socket.take_client() {
            Some((fd, client, server)) => {
                // It blocks until now, and without an error that would be known by now it may be told not to.
                let _ = rustix::io::ioctl_fionbio(&fd, flags.contains(SocketFlags::NONBLOCK));
                AcceptOutcome::One { fd, client, server: (server != Name::Unnamed).then(|| Box::new(server)) }
            }
            None => AcceptOutcome::None,
        };
    }
    if socket.is_split() {
        return match socket.next_peer() {
            Some(Next::Client(fd, client, server)) => {
                let _ = rustix::io::ioctl_fionbio(&fd, flags.contains(SocketFlags::NONBLOCK));
                AcceptOutcome::One { fd, client, server: server.map(Box::new) }
            }
            Some(Next::Lost(count, error)) => AcceptOutcome::Odd(Event::Dropped { count, error }),
            None => AcceptOutcome::None,
        };
    }
    match acceptfrom_with(&socket.fd, flags) {
        Ok((fd, peer)) => {
            let client = peer.map_or(Name::Unnamed, |peer| match SocketAddr::try_from(peer.clone()) {
                Ok(peer) => Name::Inet(unmapped(peer)),
                Err(_) => SocketAddrUnix::try_from(peer).map_or(Name::Unnamed, |peer| message::name(&peer)),
            });
            let server = own_name(socket, &fd);
            AcceptOutcome::One { fd, client, server }
        }
        Err(error) => sort(error, &socket.endpoint),
    }
}

/// Our end's address, where the listener's says only "every one".
fn own_name(socket: &Socket, fd: &OwnedFd) -> Option<Box<Name>> {
    match &socket.endpoint.name {
        Name::Inet(address) if address.ip().is_unspecified() => getsockname(fd)
            .ok()
            .and_then(|name| SocketAddr::try_from(name).ok())
            .map(|name| Box::new(Name::Inet(unmapped(name)))),
        _ => None,
    }
}

/// Sorts the errors of accept(2). Those of the network below are passed on by Linux and are about one client only, and
/// so may be any other that we do not know. Only what says that our own socket or our own call is wrong ends a listener.
fn sort(error: Errno, endpoint: &Endpoint) -> AcceptOutcome {
    match error {
        Errno::AGAIN => AcceptOutcome::None,
        Errno::INTR
        | Errno::CONNABORTED
        | Errno::PROTO
        | Errno::PERM
        | Errno::NETDOWN
        | Errno::NOPROTOOPT
        | Errno::HOSTDOWN
        | Errno::NONET
        | Errno::HOSTUNREACH
        | Errno::OPNOTSUPP
        | Errno::NETUNREACH
        | Errno::TIMEDOUT => AcceptOutcome::GoOn,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
            AcceptOutcome::Pause(format!("{}; new clients wait", shortage(error)))
        }
        Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => {
            let why = format!("{endpoint}: accept: {error}; those inside may finish");
            AcceptOutcome::Die(io::Error::new(io::Error::from(error).kind(), why))
        }
        other => {
            let error = format!("{endpoint}: a client could not be accepted: {other}");
            AcceptOutcome::Odd(Event::Dropped { count: 1, error })
        }
    }
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What to call the shortage in a message.
fn shortage(error: Errno) -> &'static str {
    match error {
        Errno::MFILE => "this process has no open file left (ulimit -n)",
        Errno::NFILE => "the system has no open file left",
        _ => "the system has no memory for sockets left",
    }
}

impl Loop {
    /// Takes those who wait at a listener, so many at most.
    pub(super) fn accept(&mut self, index: usize, most: usize) {
        let mut to_wake = 0_u64;
        self.take_clients(index, most, &mut to_wake);
        if let Some(Membership { workers, .. }) = &self.member {
            // Once for all that a loop got.
            (0..self.bounds.threads)
                .filter(|worker| to_wake >> worker & 1 == 1)
                .for_each(|worker| workers.wake(worker));
        }
    }

    fn take_clients(&mut self, index: usize, most: usize, to_wake: &mut u64) {
        let mut errors = 0;
        for _ in 0..most {
            if self.all_played() {
                // Whoever comes now finds nobody listening, as after the end.
                self.close_listeners();
                return;
            }
            match self.room_for_one(index) {
                ControlFlow::Continue(true) => {}
                // Those that rested made way: how much room there is now is looked at anew.
                ControlFlow::Continue(false) => continue,
                ControlFlow::Break(()) => return,
            }
            let flags = self.origins[index].behaviour.socket_flags();
            match accept(&self.listeners[index].socket, flags) {
                AcceptOutcome::One { fd, client, server } => {
                    errors = 0;
                    if let Some(why) = self.origins[index].distrusts(client.ip()) {
                        let error = format!("{}: {why}", self.origins[index].endpoint);
                        self.resources.observer.observe(Event::Dropped { count: 1, error });
                    } else if self.origins[index].accepts_proxy() {
                        self.await_header(fd, client, server, index);
                    } else if self.let_in(fd, client, server, index, to_wake) {
                        return;
                    }
                }
                AcceptOutcome::None => return,
                AcceptOutcome::GoOn => errors += 1,
                AcceptOutcome::Odd(event) => {
                    errors += 1;
                    self.resources.observer.observe(event);
                }
                AcceptOutcome::Pause(why) => {
                    if self.make_way(index) == Admission::HasRoom {
                        continue;
                    }
                    self.pause_accepting(why);
                    return;
                }
                AcceptOutcome::Die(error) => {
                    self.broken = Some(error);
                    return;
                }
            }
            if errors >= ERRORS {
                self.pause_accepting("accept failed again and again; new clients wait".to_owned());
                return;
            }
        }
    }

    /// Lets a client in, if it may; whether it is the last that there is to be.
    pub(super) fn let_in(
        &mut self,
        fd: OwnedFd,
        client: Name,
        server: Option<Box<Name>>,
        index: usize,
        to_wake: &mut u64,
    ) -> bool {
        let Some((fd, client, server, pass)) = self.admit(fd, client, server, index) else { return false };
        let spans = self.spans(index);
        // The one before may have begun a play that waits for this one already.
        self.hand_on();
        if spans && !self.is_awaited(index, &client) {
            self.hear_plays_of(index, &client);
        }
        if self.is_awaited(index, &client) {
            self.go_on_in(Early { fd, client, server, listener: index, pass });
            return false;
        }
        let plays = self.bounds.plays;
        if plays.is_some_and(|plays| self.resources.tally.begun() >= plays) {
            self.came_early(Early { fd, client, server, listener: index, pass });
            return false;
        }
        let last = !spans && plays.is_some_and(|plays| self.resources.tally.begun() + 1 >= plays);
        if last {
            // Before it is greeted: whoever is greeted last knows that nobody else will be.
            self.close_listeners();
        }
        *to_wake |= 1 << self.open(fd, client, server, index, pass);
        last
    }

    /// Why there is no room for one more, whoever it is, in words for those who wait.
    pub(super) fn lacks_room(&self, behaviour: &Behaviour) -> Option<String> {
        let bound = self.bounds.connections;
        if self.live() + self.announced.len() >= bound {
            return Some(format!(
                "{bound} connections are open, as many as the limit of open files allows \
                (ulimit -n, less 64); new clients wait"
            ));
        }
        behaviour.is_full()
    }

    /// Lets a client in if the rules say so and there is room for it.
    fn admit(&mut self, fd: OwnedFd, client: Name, server: Option<Box<Name>>, listener: usize) -> Option<Admitted> {
        let gate = &self.bounds.gate;
        let address = client.ip();
        let why = match gate.judge(address, self.live()) {
            Ok(pass) => return Some((fd, client, server, pass)),
            Err(Denied::FullOfAddress(_)) if gate.when_full == WhenFull::Wait && self.waiting.len() < MOST_WAITING => {
                let words = gate.words_of_waiting(address);
                self.waiting.push_back(Waiting { fd, client, server, listener });
                self.tell_full(words);
                return None;
            }
            Err(why) => why,
        };
        let error = format!("{}: {} {why}", self.origins[listener].endpoint, who(address));
        self.resources.observer.observe(Event::Dropped { count: 1, error });
        None
    }

    /// Says once a second that clients wait.
    pub(super) fn tell_full(&mut self, why: String) {
        if self.told_full.is_none_or(|told| self.resources.now >= told.after(Duration::from_secs(1))) {
            self.told_full = Some(self.resources.now);
            self.resources.observer.observe(Event::Notice(why));
        }
    }

    /// Those who wait for room of their address come in when one has left.
    pub(super) fn admit_waiting(&mut self) {
        let left = self.bounds.gate.left();
        if self.waiting.is_empty() || left == std::mem::replace(&mut self.left, left) || self.resources.stopping {
            return;
        }
        for _ in 0..self.waiting.len() {
            let Some(waiting) = self.waiting.pop_front() else { break };
            if self.all_played() || self.live() >= self.bounds.gate.bound(self.bounds.connections) {
                // Whoever leaves next makes room for it.
                self.left = left.wrapping_sub(1);
                self.waiting.push_front(waiting);
                break;
            }
            let pass = waiting.client.ip().map_or(Ok(None), |address| self.bounds.gate.enter(address));
            match pass {
                Ok(pass) => {
                    let Waiting { fd, client, server, listener } = waiting;
                    let worker = self.open(fd, client, server, listener, pass);
                    if let Some(Membership { workers, .. }) = &self.member {
                        workers.wake(worker);
                    }
                }
                Err(()) => self.waiting.push_back(waiting),
            }
        }
    }

    /// Whether the next client of a listener may come in: at once, or perhaps now that others have made way. Where there is no
    /// room at all, or nobody waits for it, it breaks.
    fn room_for_one(&mut self, index: usize) -> ControlFlow<(), bool> {
        let why = if let Some(most) = self.bounds.gate.is_full(self.live()) {
            Gate::words_of_full(most)
        } else if let Some(why) = self.announced.is_full() {
            self.pause_accepting(why);
            return ControlFlow::Break(());
        } else if let Some(why) = self.lacks_room(&self.origins[index].behaviour) {
            why
        } else {
            return ControlFlow::Continue(true);
        };
        match self.make_way(index) {
            Admission::HasRoom => return ControlFlow::Continue(false),
            Admission::NobodyWaits => {}
            Admission::IsFull => self.pause_accepting(why),
        }
        ControlFlow::Break(())
    }

    /// Opens a conversation and gives it to the loop with the fewest connections: the index of that worker.
    fn open(
        &mut self,
        fd: OwnedFd,
        client: Name,
        server: Option<Box<Name>>,
        listener: usize,
        pass: Option<Box<Pass>>,
    ) -> usize {
        let number = self.resources.tally.next_number();
        let endpoint = &self.origins[listener].endpoint;
        self.resources.observer.observe(Event::Opened(Conversation {
            number,
            protocol: endpoint.protocol,
            server: server.as_deref().unwrap_or(&endpoint.name).clone(),
            client: client.clone(),
            to: None,
        }));
        let permit = self.origins[listener].behaviour.take_permit();
        let info = ConnectionInfo { number, peer: client, local: server, origin: listener, permit, pass };
        let spans = self.spans(listener);
        if let Some(Membership { workers, .. }) = &self.member {
            // Connections of one play are all of one loop, which is the one that accepts.
            let worker = if spans { 0 } else { workers.freest() };
            workers.add(worker);
            if worker > 0 {
                workers.write(worker, Message::Client(fd, info));
                return worker;
            }
        }
        self.take_in(fd, info);
        0
    }

    /// Rests from accepting: those who wait stay in the backlog, those inside are served.
    fn pause_accepting(&mut self, why: String) {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if !listener.paused {
                listener.paused = true;
                let _ = self.poller.change(&listener.socket.fd, Token::Listener(index as u32), Interest::Nothing);
            }
        }
        self.accept_again = Some(self.resources.now.after(PAUSE));
        self.tell_full(why);
    }

    pub(super) fn resume_accepting(&mut self) {
        let is_full = self.live() >= self.bounds.connections
            && (0..self.listeners.len()).all(|index| self.make_way(index) == Admission::IsFull);
        if is_full || self.resources.stopping {
            self.accept_again = Some(self.resources.now.after(PAUSE));
            return;
        }
        self.accept_again = None;
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if std::mem::take(&mut listener.paused) {
                let _ = self.poller.change(&listener.socket.fd, Token::Listener(index as u32), Interest::Read);
            }
        }
    }
}
