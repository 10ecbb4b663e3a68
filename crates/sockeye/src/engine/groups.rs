//! Plays that have several connections, one after the other or at once. A play is over one of them at a time; it is handed
//! from one to the next here, where all of a loop's connections are at hand. Who connects next from the same host goes on
//! with the play that has waited longest.

mod awaited;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use transcript::{Ending, Input, Moment, Next, Side};

use super::channel::{Agent, Hearing, Opening};
use super::handoff::{Continuation, DetachedPlay, Handoff};
use super::origin::Reconnect;
use super::reactor::token::Key;
use super::threads::Membership;
use super::{FIRST, Loop};
use crate::address::{Address, Host, Scheme, Target as Place};
use crate::event::{Conversation, Event, Name, Protocol};
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::net::connecting::Target;
use crate::net::words;
pub(super) use awaited::{Awaited, Early};

/// If more plays than this are under way, it is not looked whether one is about to wait for the client that came.
const MOST_HEARD: usize = 64;

/// The connections of one play.
#[derive(Debug)]
struct Group {
    origin: usize,
    host: Option<IpAddr>,
    /// By their numbers in the transcript.
    members: Vec<(u8, Key)>,
    state: State,
    /// Since when it stands between two connections, and the bytes that it was counted with.
    since: Moment,
    held: usize,
    /// Its last conversation, for accounts.
    last: Conversation,
    /// Sockets that listen for it, by the number of what comes there.
    ports: Vec<(u8, u32)>,
}

#[derive(Debug)]
enum State {
    /// The play is over one of its connections.
    Plays,
    /// It pauses between two of them.
    Pauses { detached: DetachedPlay, until: Moment },
    /// The other side is to open one.
    Awaits { detached: DetachedPlay, connection: u8, has_port: bool, until: Option<Moment> },
}

impl State {
    /// When it is due.
    fn until(&self) -> Option<Moment> {
        match self {
            Self::Plays => None,
            Self::Pauses { until, .. } => Some(*until),
            Self::Awaits { until, .. } => *until,
        }
    }

    /// Bytes of memory of a play that no connection is counted with.
    fn memory(&self) -> usize {
        match self {
            Self::Plays => 0,
            Self::Pauses { detached, .. } | Self::Awaits { detached, .. } => {
                size_of::<Group>() + detached.play.memory()
            }
        }
    }
}

/// All such plays of a loop.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: HashMap<u64, Group>,
    awaited: Awaited,
    /// Plays between two connections, which stands longest first, and the memory of all of them.
    longest: BTreeSet<(Moment, u64)>,
    memory: usize,
    /// When a pause ends, or a connection is too late.
    due: BTreeSet<(Moment, u64)>,
    ports: HashMap<u32, Port>,
    next_port: u32,
}

/// A socket that listens for one connection of a play.
#[derive(Debug)]
struct Port {
    fd: OwnedFd,
    group: u64,
    is_watched: bool,
}

impl Groups {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// When something is due.
    pub(super) fn wakes(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Bytes that plays between two connections take.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    fn remove(&mut self, id: u64) -> Option<Group> {
        self.rouse(id);
        let group = self.all.remove(&id)?;
        for (_, port) in &group.ports {
            self.ports.remove(port);
        }
        Some(group)
    }

    /// A play stands between two connections from now on.
    fn stand(&mut self, id: u64, state: State, now: Moment) {
        let Some(group) = self.all.get_mut(&id) else { return };
        (group.since, group.held) = (now, state.memory());
        self.memory += group.held;
        self.longest.insert((now, id));
        self.due.extend(state.until().map(|until| (until, id)));
        if matches!(state, State::Awaits { has_port: false, .. }) {
            self.awaited.insert((group.origin, group.host), (now, id));
        }
        group.state = state;
    }

    /// It does no more; what it did until now.
    fn rouse(&mut self, id: u64) -> State {
        let Some(group) = self.all.get_mut(&id) else { return State::Plays };
        let state = std::mem::replace(&mut group.state, State::Plays);
        self.memory -= std::mem::take(&mut group.held);
        self.longest.remove(&(group.since, id));
        if let Some(until) = state.until() {
            self.due.remove(&(until, id));
        }
        if matches!(state, State::Awaits { has_port: false, .. }) {
            self.awaited.remove((group.origin, group.host), (group.since, id));
        }
        state
    }
}

impl Loop {
    /// A play of several connections begins, with the first of them.
    pub(super) fn begin_group(&mut self, id: u64, origin: usize, last: Conversation) {
        let peer = if self.origins[origin].is_client() { &last.server } else { &last.client };
        let (host, state) = (peer.ip(), State::Plays);
        let (since, held) = (self.resources.now, 0);
        self.groups.all.insert(id, Group { origin, host, members: vec![], state, since, held, last, ports: vec![] });
    }

    /// The same for one that we open.
    pub(super) fn begin_group_of(&mut self, key: Key, id: u64) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let (origin, last) = (channel.origin, channel.conversation(&self.origins[channel.origin]));
        self.begin_group(id, origin, last);
        self.join_group(id, FIRST, key);
    }

    /// The connection of a play has come to the loop.
    pub(super) fn join_group(&mut self, id: u64, connection: u8, key: Key) {
        if let Some(group) = self.groups.all.get_mut(&id) {
            group.members.retain(|(other, _)| *other != connection);
            group.members.push((connection, key));
        }
    }

    /// Plays go where they asked to go.
    pub(super) fn hand_on(&mut self) {
        while let Some(Handoff { group, first, continuation }) = self.resources.handoffs.pop_front() {
            if let Some(first) = first
                && let Some(known) = self.groups.all.get_mut(&group)
            {
                // A name has an address by now.
                let peer = if self.origins[known.origin].is_client() { &first.server } else { &first.client };
                known.host = peer.ip();
                known.last = first;
            }
            match continuation {
                Continuation::Over => self.end_group(group),
                Continuation::Continues(detached) => self.go_between(group, detached),
                Continuation::Requests(detached, next) => self.answer(group, detached, next),
            }
        }
    }

    /// Steps a play that is between two connections until it says where it goes.
    fn go_between(&mut self, id: u64, mut detached: DetachedPlay) {
        for _ in 0..limits::PLAY_STEPS {
            let DetachedPlay { play, script } = &mut detached;
            let input = Input { bytes: &[], datagram: false, ended: false, now: self.resources.now };
            let step = play.step(script, input, &mut self.resources.scratch, &mut self.resources.output);
            self.resources.output.clear();
            match step.next {
                Next::Pause { until } => {
                    return self.groups.stand(id, State::Pauses { detached, until }, self.resources.now);
                }
                Next::Flush => {}
                Next::End(Ending::GoesOn { .. })
                | Next::Hear { .. }
                | Next::StopSending
                | Next::StartTls
                | Next::StopTls => break,
                Next::End(ending) => return self.ended(id, ending),
                next => return self.answer(id, detached, next),
            }
        }
        self.end_group(id);
    }

    /// Does what a play asked for.
    fn answer(&mut self, id: u64, detached: DetachedPlay, next: Next) {
        match next {
            Next::Over { connection } => self.go_over(id, connection, detached),
            Next::Connect { connection, port } => self.open_next(id, connection, port, detached),
            Next::Listen { connection } => self.listen(id, connection, detached),
            Next::Accept { connection, has_port, until } => self.await_next(id, connection, has_port, until, detached),
            _ => self.go_between(id, detached),
        }
    }

    /// A play goes on over a connection that is there.
    fn go_over(&mut self, id: u64, connection: u8, detached: DetachedPlay) {
        let Some(group) = self.groups.all.get(&id) else { return };
        let found = group.members.iter().find(|(number, _)| *number == connection).map(|(_, key)| *key);
        let DetachedPlay { mut play, script } = detached;
        match found.filter(|key| self.channels.get_mut(*key).is_some_and(|channel| channel.is_open())) {
            Some(key) => self.with_channel(key, |channel, context| channel.go_on_with(play, script, context)),
            // It is gone: a reset, for its end would have been heard.
            None => match play.reset(&script, &[], &mut self.resources.scratch) {
                Ending::GoesOn { .. } => self.go_between(id, DetachedPlay { play, script }),
                ending => self.ended(id, ending),
            },
        }
    }

    /// We open the next connection of a play.
    fn open_next(&mut self, id: u64, connection: u8, port: Option<u16>, detached: DetachedPlay) {
        let Some(group) = self.groups.all.get(&id) else { return };
        let origin = group.origin;
        let is_ours = self.origins[origin].is_client();
        let peer = if is_ours { &group.last.server } else { &group.last.client };
        let Reconnect { address: asked, options, retry } =
            self.origins[origin].client().map_or_else(Reconnect::default, |client| client.reconnect.clone());
        let place = match (peer, port) {
            // The other end is the proxy then, which is asked for the host anew.
            _ if options.proxy.is_some() => match asked.as_ref().map(|asked| &asked.target) {
                Some(Place::Inet { host, port: first }) => {
                    let place = Place::Inet { host: host.clone(), port: port.unwrap_or(*first) };
                    Some((Scheme::Tcp, Protocol::Tcp, place))
                }
                _ => None,
            },
            (Name::Inet(address), port) => {
                let scope = if let SocketAddr::V6(address) = address { address.scope_id() } else { 0 };
                let host = Host::Ip(address.ip(), scope);
                let place = Place::Inet { host, port: port.unwrap_or(address.port()) };
                Some((Scheme::Tcp, Protocol::Tcp, place))
            }
            (Name::Path(path), None) => Some((Scheme::Unix, Protocol::Unix, Place::Unix(path.to_path_buf()))),
            (Name::Path(_) | Name::Unnamed | Name::Local(_), _) => None,
        };
        let DetachedPlay { play, script } = detached;
        let Some((scheme, protocol, place)) = place else {
            let reason =
                "it is not known where the next connection goes: a port needs a host, and this address has none";
            return self.not_had(id, reason.to_owned(), Kind::Socket);
        };
        let mut address = Address::new(Some(scheme), place);
        if let Some(asked) = asked {
            address.options = asked.options;
        }
        let target = Arc::new(Target { retry, ..Target::new(address, protocol, options) });
        let number = self.resources.tally.next_of_a_play();
        if let Some(Membership { workers, .. }) = &self.member {
            workers.add(0);
        }
        let hearing = Hearing::of(&self.origins[origin], Some(Opening { connection, by: Side::Client, port }));
        let key = self.connect_numbered(&target, origin, Agent::Play(play, script), (number, id), hearing);
        if let Some(key) = key {
            self.join_group(id, connection, key);
        }
    }

    /// We listen where the other side is to connect to.
    fn listen(&mut self, id: u64, connection: u8, detached: DetachedPlay) {
        let Some(group) = self.groups.all.get_mut(&id) else { return };
        let is_ours = self.origins[group.origin].is_client();
        let own = if is_ours { &group.last.client } else { &group.last.server };
        let Name::Inet(own) = own else {
            let reason = "a port to listen at needs TCP, and this conversation is over something else";
            return self.not_had(id, reason.to_owned(), Kind::Socket);
        };
        let bound = std::net::TcpListener::bind(SocketAddr::new(own.ip(), 0)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?.port(), listener))
        });
        match bound {
            Ok((port, listener)) => {
                let number = self.groups.next_port;
                self.groups.next_port = number.wrapping_add(1);
                // A port that no client came to is listened at no more.
                let old = group.ports.iter().position(|(other, _)| *other == connection);
                if let Some(old) = old {
                    self.groups.ports.remove(&group.ports.swap_remove(old).1);
                }
                group.ports.push((connection, number));
                self.groups.ports.insert(number, Port { fd: listener.into(), group: id, is_watched: false });
                let DetachedPlay { mut play, script } = detached;
                play.listens_at(&script, port, &mut self.resources.scratch);
                match play.connection() {
                    Some(connection) => self.go_over(id, connection, DetachedPlay { play, script }),
                    None => self.go_between(id, DetachedPlay { play, script }),
                }
            }
            Err(error) => self.not_had(id, format!("cannot listen at a port: {}", words(&error)), Kind::from(&error)),
        }
    }

    /// A client came that no play waits for yet: one of its host may, once it has heard what its client said before it opened
    /// this connection.
    pub(super) fn hear_plays_of(&mut self, origin: usize, client: &Name) {
        if self.groups.all.len() > MOST_HEARD {
            return;
        }
        let is_of_it =
            |group: &&Group| group.origin == origin && group.host == client.ip() && matches!(group.state, State::Plays);
        let groups = self.groups.all.values().filter(is_of_it);
        let keys: Vec<Key> = groups.flat_map(|group| group.members.iter().map(|(_, key)| *key)).collect();
        for key in keys {
            self.with_channel(key, |channel, context| channel.hear_what_came(context));
        }
        self.hand_on();
    }

    /// A play is over between two connections.
    fn ended(&mut self, id: u64, ending: Ending) {
        if let Ending::Failed(verdict) = ending {
            self.tell_of_group(id, verdict.into());
        }
        self.end_group(id);
    }

    /// A play has no connection to go on over.
    fn not_had(&mut self, id: u64, reason: String, kind: Kind) {
        self.tell_of_group(id, Failure::other(kind, reason));
        self.end_group(id);
    }

    fn tell_of_group(&mut self, id: u64, failure: Failure) {
        let Some(group) = self.groups.all.get(&id) else { return };
        self.resources.tally.failed += 1;
        let conversation = Some(group.last.clone());
        self.resources.observer.observe(Event::Failed { conversation, failure });
    }

    /// A play is over: so are all its connections.
    fn end_group(&mut self, id: u64) {
        let Some(group) = self.groups.remove(id) else { return };
        for (_, key) in group.members {
            self.with_channel(key, |channel, context| channel.end_with_its_play(context));
        }
    }

    /// What is due of plays between two connections.
    pub(super) fn wake_groups(&mut self) {
        while let Some(&(at, id)) = self.groups.due.first().filter(|(at, _)| *at <= self.resources.now) {
            self.groups.due.remove(&(at, id));
            match self.groups.rouse(id) {
                State::Pauses { detached, .. } => self.go_between(id, detached),
                State::Awaits { detached, .. } => self.not_come(id, detached),
                State::Plays => {}
            }
        }
    }

    /// The loop ends: no play goes on in another connection.
    pub(super) fn stop_groups(&mut self) {
        let waiting = self.groups.all.iter().filter(|(_, group)| !matches!(group.state, State::Plays));
        let waiting: Vec<u64> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            match self.groups.rouse(id) {
                State::Awaits { detached, .. } if self.bounds.is_judged() => self.not_come(id, detached),
                _ => self.end_group(id),
            }
        }
        self.drop_early();
    }
}
