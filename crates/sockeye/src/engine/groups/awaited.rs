//! Connections that plays wait for, and clients that came before a play did.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::SocketFlags;
use transcript::{Moment, Side};

use super::super::Loop;
use super::super::acceptor::{AcceptError, accept_stream, own_name};
use super::super::channel::{Agent, Channel, ConnectionInfo, Hearing, Line, Opening};
use super::super::handoff::DetachedPlay;
use super::super::reactor::poller::Interest;
use super::super::reactor::token::Token;
use super::super::threads::Membership;
use super::{Group, Port, State};
use crate::event::{Conversation, Event, Name};
use crate::failure::{Failure, Kind};
use crate::gate::Pass;
use crate::limits;

/// A listening socket, and a host whose clients it has.
type Source = (usize, Option<IpAddr>);

/// By listening socket and host: the plays that wait for the next client, who waits longest first.
#[derive(Debug, Default)]
pub(in crate::engine) struct Awaited {
    plays: HashMap<Source, BTreeSet<(Moment, u64)>>,
    early: VecDeque<Early>,
}

/// A client that came while all plays are under way, and none of its host waits for one.
#[derive(Debug)]
pub(in crate::engine) struct Early {
    pub(in crate::engine) fd: OwnedFd,
    pub(in crate::engine) client: Name,
    pub(in crate::engine) server: Option<Box<Name>>,
    pub(in crate::engine) listener: usize,
    pub(in crate::engine) pass: Option<Box<Pass>>,
}

impl Awaited {
    pub(super) fn insert(&mut self, who: Source, play: (Moment, u64)) {
        self.plays.entry(who).or_default().insert(play);
    }

    pub(super) fn remove(&mut self, who: Source, play: (Moment, u64)) {
        if let Some(plays) = self.plays.get_mut(&who) {
            plays.remove(&play);
            if plays.is_empty() {
                self.plays.remove(&who);
            }
        }
    }
}

impl Loop {
    /// A play waits for the other side to connect.
    pub(super) fn await_next(
        &mut self,
        id: u64,
        connection: u8,
        has_port: bool,
        until: Option<Moment>,
        detached: DetachedPlay,
    ) {
        self.groups.stand(id, State::Awaits { detached, connection, has_port, until }, self.resources.now);
        let most = limits::STANDING_PLAYS;
        if self.groups.longest.len() > most {
            let why = format!("more than {most} plays wait for a connection: the one that waits longest goes first");
            self.drop_longest_standing(&why);
            self.resources.observer.observe(Event::Dropped { count: 1, error: why });
        }
        if has_port {
            return self.watch_port(id, connection);
        }
        let Some((origin, host)) = self.groups.all.get(&id).map(|group| (group.origin, group.host)) else { return };
        let is_for_it = |early: &Early| early.listener == origin && early.client.ip() == host;
        let early = self.groups.awaited.early.iter().position(is_for_it);
        if let Some(early) = early.and_then(|at| self.groups.awaited.early.remove(at)) {
            self.go_on_in(early);
        }
    }

    /// Ends the play that has stood longest between two connections; whether there was one.
    pub(in crate::engine) fn drop_longest_standing(&mut self, why: &str) -> bool {
        let Some(&(_, id)) = self.groups.longest.first() else { return false };
        if self.bounds.is_judged() {
            self.tell_of_group(id, Failure::other(Kind::Evicted, why));
        }
        self.end_group(id);
        true
    }

    /// Whether a play waits for this client.
    pub(in crate::engine) fn is_awaited(&self, listener: usize, client: &Name) -> bool {
        self.groups.awaited.plays.contains_key(&(listener, client.ip()))
    }

    /// A client came that no play waits for, and none begins: it waits for one that is under way.
    pub(in crate::engine) fn came_early(&mut self, early: Early) {
        if self.groups.awaited.early.len() >= limits::EARLY_CLIENTS
            && let Some(first) = self.groups.awaited.early.pop_front()
        {
            self.tell_of_early(&first);
        }
        self.groups.awaited.early.push_back(early);
    }

    fn tell_of_early(&mut self, early: &Early) {
        let endpoint = &self.origins[early.listener].endpoint;
        let error = format!("{endpoint}: {} connected, and no play waited for it", early.client);
        self.resources.observer.observe(Event::Dropped { count: 1, error });
    }

    pub(in crate::engine) fn drop_early(&mut self) {
        while let Some(early) = self.groups.awaited.early.pop_front() {
            self.tell_of_early(&early);
        }
    }

    /// The play that has waited longest for a client of this host goes on with it.
    pub(in crate::engine) fn go_on_in(&mut self, early: Early) {
        let Early { fd, client, server, listener, pass } = early;
        let Some(plays) = self.groups.awaited.plays.get(&(listener, client.ip())) else { return };
        let Some(&(_, id)) = plays.first() else { return };
        self.connected(id, fd, client, server, pass);
    }

    /// The connection is there that a play waited for.
    fn connected(&mut self, id: u64, fd: OwnedFd, client: Name, server: Option<Box<Name>>, pass: Option<Box<Pass>>) {
        if !matches!(self.groups.all.get(&id), Some(Group { state: State::Awaits { .. }, .. })) {
            return;
        }
        let State::Awaits { detached: DetachedPlay { play, script }, connection, has_port, .. } = self.groups.rouse(id)
        else {
            return;
        };
        let Some(group) = self.groups.all.get_mut(&id) else { return };
        let origin = group.origin;
        let endpoint = &self.origins[origin].endpoint;
        let number = self.resources.tally.next_of_a_play();
        let conversation = Conversation {
            number,
            protocol: endpoint.protocol,
            server: server.as_deref().unwrap_or(&endpoint.name).clone(),
            client: client.clone(),
            to: None,
        };
        if !has_port {
            group.last = conversation.clone();
        }
        self.resources.observer.observe(Event::Opened(conversation));
        if let Some(Membership { workers, .. }) = &self.member {
            workers.add(0);
        }
        let port = match server.as_deref() {
            Some(Name::Inet(own)) => Some(own.port()),
            _ => None,
        };
        let info = ConnectionInfo { number, peer: client, local: server, origin, permit: None, pass };
        let (line, marked) = Line::of_client(fd, self.origins[origin].endpoint.protocol);
        let mut channel = Channel::new(line, info, Agent::Play(play, script), self.resources.now);
        channel.group = id;
        channel.hearing = Hearing::of(&self.origins[origin], Some(Opening { connection, by: Side::Server, port }));
        let key = self.adopt_client(channel, marked);
        self.join_group(id, connection, key);
    }

    /// The other side did not open the connection that a play waited for.
    pub(super) fn not_come(&mut self, id: u64, detached: DetachedPlay) {
        let Some(group) = self.groups.all.get(&id) else { return };
        let DetachedPlay { mut play, script } = detached;
        let waited = Duration::from_nanos(self.resources.now.nanos().saturating_sub(group.since.nanos()));
        let ending = play.not_connected(&script, waited, &mut self.resources.scratch);
        self.ended(id, ending);
    }

    /// Begins to look at the socket at which a connection is to come.
    fn watch_port(&mut self, id: u64, connection: u8) {
        let Some(group) = self.groups.all.get(&id) else { return };
        let found = group.ports.iter().find(|(other, _)| *other == connection).map(|(_, port)| *port);
        let watched = match found.and_then(|number| Some((number, self.groups.ports.get_mut(&number)?))) {
            Some((_, Port { is_watched: true, .. })) => Ok(()),
            Some((number, port)) => {
                port.is_watched = true;
                self.poller.add(&port.fd, Token::Port(number), Interest::Read)
            }
            None => Err(std::io::Error::other("nothing listens there")),
        };
        if let Err(error) = watched {
            let kind = (&error).into();
            self.not_had(id, format!("the next connection cannot be waited for: {error}"), kind);
        }
    }

    /// A client connects to a port at which a play listens.
    pub(in crate::engine) fn accept_at_port(&mut self, number: u32) {
        let Some(Port { fd, group: id, .. }) = self.groups.ports.get(&number) else { return };
        let id = *id;
        let (socket, client) = match accept_stream(fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(Some(accepted)) => accepted,
            // This client is gone: the port waits for the next one.
            Ok(None) | Err(AcceptError::OfClient) => return,
            Err(AcceptError::Shortage(why)) => {
                let why = format!("the next connection cannot be accepted: {why}");
                return self.not_had(id, why, Kind::NoResources);
            }
            Err(AcceptError::Odd(error) | AcceptError::OfListener(error)) => {
                let error = std::io::Error::from(error);
                let kind = (&error).into();
                return self.not_had(id, format!("the next connection cannot be accepted: {error}"), kind);
            }
        };
        let Some(group) = self.groups.all.get(&id) else { return };
        if client.ip() != group.host {
            // A port is for the host that was told of it.
            let error = format!("{client} connected to a port that is for another host");
            self.resources.observer.observe(Event::Dropped { count: 1, error });
            return;
        }
        let server = own_name(&socket);
        self.groups.ports.remove(&number);
        if let Some(group) = self.groups.all.get_mut(&id) {
            group.ports.retain(|(_, port)| *port != number);
        }
        self.connected(id, socket, client, server, None);
    }

    /// Whether new plays of a listening socket may have several connections.
    pub(in crate::engine) fn spans(&self, origin: usize) -> bool {
        self.origins[origin].behaviour.script().is_some_and(|script| script.spans())
    }
}
