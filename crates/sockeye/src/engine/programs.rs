//! Programs for the peers of a datagram socket: a process for each, from its first datagram until it ends or the peer has been
//! silent for long. A datagram stays one on its way to a program and back.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::Loop;
use super::answers::Pair;
use super::channel::{Agent, Channel, ConnectionInfo, Line};
use super::guard::Guard;
use super::outlet::{OnePeer, Outlet};
use super::reactor::token::Key;
use super::threads::Membership;
use crate::event::{Conversation, Event, Name};
use crate::gate::{Denied, Gate, Pass, WhenFull, who};
use crate::limits;
use crate::net::listen::Socket;
use crate::sys::datagrams::{PeerAddress, UnixPeers};

/// Those of one datagram socket.
#[derive(Debug)]
pub(super) struct Programs {
    /// Where their channels come from, by its place in the loop.
    pub(super) origin: usize,
    outlet: Arc<Outlet>,
    /// The channel of each peer that has one.
    channels: HashMap<Pair, Key>,
    /// What came and was let in.
    arrived: Vec<(Pair, Box<[u8]>)>,
    waiting: VecDeque<(Pair, Box<[u8]>)>,
    /// Bytes of what waits.
    bytes: usize,
}

/// Why no program is started for a peer.
enum NotServed {
    /// No new client is served.
    Never,
    /// There is no room now: it waits.
    Full(String),
    /// There is no room, and it is refused.
    Refused(String),
}

impl Programs {
    /// # Errors
    /// As dup(2).
    pub(super) fn new(socket: &Socket, guard: Guard, unix: Option<Arc<UnixPeers>>) -> std::io::Result<Self> {
        let outlet = Arc::new(Outlet::new(socket.fd.try_clone()?, guard, unix));
        let (channels, arrived, waiting) = Default::default();
        Ok(Self { origin: 0, outlet, channels, arrived, waiting, bytes: 0 })
    }

    /// A datagram came.
    pub(super) fn take(&mut self, pair: Pair, payload: &[u8]) {
        self.arrived.push((pair, payload.into()));
    }

    /// What programs said and the guard kept back since the last look.
    pub(super) fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// Whose program runs, or waits for room.
    pub(super) fn peers(&self) -> impl Iterator<Item = PeerAddress> {
        let waiting = self.waiting.iter().chain(&self.arrived).map(|(pair, _)| pair.0);
        self.channels.keys().map(|pair| pair.0).chain(waiting)
    }

    /// Whether anyone waits for room.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Keeps a datagram; false if there is no room for it.
    fn put_off(&mut self, pair: Pair, payload: Box<[u8]>) -> bool {
        let has_room =
            self.waiting.len() < limits::WAITING_FOR_PROGRAM && self.bytes + payload.len() <= limits::WAITING_IN_ALL;
        if has_room {
            self.bytes += payload.len();
            self.waiting.push_back((pair, payload));
        }
        has_room
    }

    /// A conversation is over.
    fn forget(&mut self, pair: Pair, key: Key) {
        if self.channels.get(&pair) == Some(&key) {
            self.channels.remove(&pair);
        }
    }
}

impl Loop {
    /// Gives what came to a datagram socket to the programs of its peers.
    pub(super) fn serve_programs(&mut self, index: usize) {
        let Some(programs) = &mut self.datagrams[index].programs else { return };
        let arrived = std::mem::take(&mut programs.arrived);
        let mut full = None;
        for (pair, payload) in arrived {
            self.give(index, pair, payload, &mut full);
        }
        self.tell_of_full(index, full);
    }

    /// Those who wait have a program where there is room by now.
    pub(super) fn start_waiting(&mut self) {
        for index in 0..self.datagrams.len() {
            let Some(programs) = self.datagrams[index].programs.as_mut().filter(|programs| programs.has_waiting())
            else {
                continue;
            };
            let (mut full, mut put_off) = (None, HashSet::new());
            let waiting = std::mem::take(&mut programs.waiting);
            programs.bytes = 0;
            for (pair, payload) in waiting {
                let Some(programs) = &mut self.datagrams[index].programs else { break };
                // Others of the same peer come behind the first.
                if put_off.contains(&pair) || full.is_some() && !programs.channels.contains_key(&pair) {
                    programs.put_off(pair, payload);
                    continue;
                }
                if !self.give(index, pair, payload, &mut full) {
                    put_off.insert(pair);
                }
            }
        }
    }

    /// Whether peers wait for a program.
    pub(super) fn has_waiting_peers(&self) -> bool {
        self.datagrams.iter().any(|server| server.programs.as_ref().is_some_and(|programs| programs.has_waiting()))
    }

    /// Gives a datagram to its peer's program, which is started if there is none. False if it waits for room, and why.
    fn give(&mut self, index: usize, pair: Pair, payload: Box<[u8]>, full: &mut Option<(String, u64)>) -> bool {
        let Some(programs) = &self.datagrams[index].programs else { return true };
        let key = programs.channels.get(&pair).copied();
        if let Some(key) = key
            && self.channels.get_mut(key).is_some_and(|channel| channel.hears_messages())
        {
            self.with_channel(key, |channel, context| channel.hear_message(payload, context));
            return true;
        }
        match self.may_start(index, pair) {
            Ok(pass) => {
                self.start(index, pair, payload, pass);
                return true;
            }
            Err(NotServed::Never) => return true,
            Err(NotServed::Refused(why)) => {
                let error = format!("{}: {} {why}", self.datagrams[index].socket.endpoint, who(pair.0.ip()));
                self.resources.observer.observe(Event::Dropped { count: 1, error });
                return true;
            }
            Err(NotServed::Full(why)) => {
                let is_queued =
                    self.datagrams[index].programs.as_mut().is_some_and(|programs| programs.put_off(pair, payload));
                full.get_or_insert((why, 0)).1 += u64::from(!is_queued);
            }
        }
        false
    }

    /// Whether a peer may have a program now, and its right to be inside.
    fn may_start(&self, index: usize, pair: Pair) -> Result<Option<Box<Pass>>, NotServed> {
        let gate = &self.bounds.gate;
        if self.resources.stopping || self.all_played() {
            return Err(NotServed::Never);
        }
        if let Some(why) = self.lacks_room(&self.datagrams[index].origin.behaviour) {
            return Err(NotServed::Full(why));
        }
        let address = pair.0.ip();
        gate.judge(address, self.live()).map_err(|why| match why {
            Denied::Full(most) if gate.when_full == WhenFull::Wait => NotServed::Full(Gate::words_of_full(most)),
            Denied::FullOfAddress(_) if gate.when_full == WhenFull::Wait => {
                NotServed::Full(gate.words_of_waiting(address))
            }
            why => NotServed::Refused(why.to_string()),
        })
    }

    /// Opens a conversation with a peer, which has a program from now on.
    fn start(&mut self, index: usize, pair: Pair, payload: Box<[u8]>, pass: Option<Box<Pass>>) {
        let server = &self.datagrams[index];
        let Some(programs) = &server.programs else { return };
        let behaviour = &server.origin.behaviour;
        let agent = Agent::new(behaviour, behaviour.take_permit());
        let (peer, local) = (server.name_of(pair.0), local_name(&server.socket, pair.1));
        let line = Line::OnePeer(Box::new(OnePeer::new(&programs.outlet, pair, index)));
        let number = self.resources.tally.next_number();
        let info = ConnectionInfo {
            number,
            peer: peer.clone(),
            local: local.map(Box::new),
            origin: programs.origin,
            permit: None,
            pass,
        };
        self.resources.observer.observe(Event::Opened(Conversation {
            number,
            protocol: server.socket.endpoint.protocol,
            server: info.local.as_deref().unwrap_or(&server.socket.endpoint.name).clone(),
            client: peer,
            to: None,
        }));
        if let Some(Membership { workers, worker, .. }) = &self.member {
            workers.add(*worker);
        }
        let channel = Channel::new(line, info, agent, self.resources.now);
        let key = self.channels.insert(Box::new(channel));
        if let Some(programs) = &mut self.datagrams[index].programs {
            programs.channels.insert(pair, key);
        }
        self.with_channel(key, |channel, context| channel.hear_message(payload, context));
    }

    /// A conversation with a peer of a datagram socket is over.
    pub(super) fn forget_peer(&mut self, peer: &OnePeer, key: Key) {
        if let Some(programs) = self.datagrams.get_mut(peer.server).and_then(|server| server.programs.as_mut()) {
            programs.forget(peer.pair, key);
        }
        self.with_datagrams(peer.server, |server, _, context| server.tell_withheld(context));
    }

    /// Says once a second that clients wait, and how many datagrams found no room.
    fn tell_of_full(&mut self, index: usize, full: Option<(String, u64)>) {
        let Some((why, lost)) = full else { return };
        self.tell_full(why);
        if lost > 0 {
            let endpoint = &self.datagrams[index].socket.endpoint;
            let error = format!(
                "{endpoint}: datagrams of clients that wait for a program: {} wait already",
                limits::WAITING_FOR_PROGRAM
            );
            self.resources.observer.observe(Event::Dropped { count: lost, error });
        }
    }
}

/// Our end's name, where the socket's says only "every one".
fn local_name(socket: &Socket, source: Option<IpAddr>) -> Option<Name> {
    match (&socket.endpoint.name, source) {
        (Name::Inet(address), Some(source)) => Some(Name::Inet((source, address.port()).into())),
        _ => None,
    }
}
