//! Clients come in, and go to the loop with the fewest pairs.

use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType, sockopt};

use super::super::acceptor::{ACCEPTS, AcceptedClient, NextClient, NotAdmitted, next_client};
use super::super::reactor::token::Key;
use super::capture::SocketCapture;
use super::direction::Direction;
use super::leg::{Bounds, Leg, PeerKind};
use super::message_queue::Messages;
use super::pair::{Client, Pair, Stage};
use super::poll::{End, RelayToken};
use super::state::RelayMessage;
use super::{RelayListener, RelayLoop};
use crate::address::Framing;
use crate::event::{ClosedBy, Conversation, Event};
use crate::faults::{Chain, DatagramFaults, Faults, Impairment, Lane};
use crate::gate::{Denied, Gate, Pass, WhenFull, who};
use crate::limits;
use crate::net::session::ServerLayers;
use transcript::Side;

/// How soon it is looked again whether there is room for a client that a proxy stands for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl RelayLoop {
    /// Takes those who wait at a listener.
    pub(super) fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPTS {
            if self.stop_by.is_some() {
                return;
            }
            if self.all_came() {
                self.close_listeners();
                self.shared.is_attentive.store(true, std::sync::atomic::Ordering::SeqCst);
                return;
            }
            let most = self.shared.options.pairs;
            if self.shared.live() >= most {
                let why = format!(
                    "{most} connections are open, as many as the limit of open files allows (ulimit -n, less 64, two \
                    for each); new clients wait"
                );
                self.pause_accepting(why);
                return;
            }
            if let Some(most) = self.shared.options.gate.is_full(self.shared.live()) {
                self.pause_accepting(Gate::words_of_full(most));
                return;
            }
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let shared = &self.shared;
            match next_client(&self.listeners[index].socket, index, flags, |event| shared.observe(event)) {
                NextClient::Client(client) => {
                    if let Some((client, pass)) = self.admit(client) {
                        self.receive(client, pass);
                    }
                }
                NextClient::None => return,
                NextClient::Shortage(why) => return self.pause_accepting(why),
                NextClient::Failing(why) => return self.pause_accepting(why.to_owned()),
                NextClient::Broken(error) => {
                    self.broken = Some(error);
                    return;
                }
            }
        }
    }

    /// Lets a client in if the rules say so and there is room for it.
    fn admit(&mut self, client: AcceptedClient) -> Option<(AcceptedClient, Option<Box<Pass>>)> {
        let gate = &self.shared.options.gate;
        let RelayListener { socket, layers } = &self.listeners[client.listener];
        if let Some(why) = layers.distrusts(client.client.ip()) {
            let error = format!("{}: {why}", socket.endpoint);
            self.shared.observe(Event::Dropped { count: 1, error });
            return None;
        }
        // A client that a proxy stands for is judged once the proxy has said so.
        let address = client.client.ip().filter(|_| !layers.accepts_proxy);
        match self.acceptor.admit(client, address, gate, self.shared.live(), &socket.endpoint) {
            Ok(admitted) => return Some(admitted),
            Err(NotAdmitted::Waits(words)) => self.tell_full(words),
            Err(NotAdmitted::Refused(error)) => self.shared.observe(Event::Dropped { count: 1, error }),
        }
        None
    }

    /// A client comes in, and goes to the loop with the fewest.
    fn receive(&mut self, client: AcceptedClient, pass: Option<Box<Pass>>) {
        let AcceptedClient { fd, client, server, listener } = client;
        let endpoint = &self.listeners[listener].socket.endpoint;
        let server = server.map_or_else(|| endpoint.name.clone(), |server| *server);
        let (number, protocol) = (self.shared.next_number(), endpoint.protocol);
        let conversation = Conversation { number, protocol, server, client, to: None };
        let guest = self.listeners[listener].socket.take_guest();
        let client = Client { fd, conversation, listener, pass, guest };
        let worker = self.shared.freest();
        self.shared.add(worker);
        if worker == self.worker {
            self.take_in(client);
        } else {
            self.shared.write(worker, RelayMessage::Client(Box::new(client)));
        }
    }

    /// Those who wait for room of their address come in when one has left.
    pub(super) fn admit_waiting(&mut self) {
        if self.stop_by.is_some() {
            return;
        }
        for _ in 0..self.acceptor.looks(&self.shared.options.gate) {
            let gate = &self.shared.options.gate;
            if self.all_came() || self.shared.live() >= gate.bound(self.shared.options.pairs) {
                self.acceptor.look_again();
                break;
            }
            if let Some((client, pass)) = self.acceptor.next_waiting(gate) {
                self.receive(client, pass);
            }
        }
    }

    /// A proxy has said whom a connection is for: whether that client comes in now. One for whose address there is no room waits.
    pub(super) fn admit_announced(&mut self, key: Key) -> bool {
        let Some(pair) = self.pairs.get_mut(key) else { return false };
        let gate = &self.shared.options.gate;
        let address = pair.conversation.client.ip();
        let why = match gate.judge_announced(address) {
            Ok(pass) => {
                (pair.pass, pair.waits_for_room) = (pass, false);
                pair.deadline = Some(self.now.after(limits::HANDSHAKE_WAIT));
                return true;
            }
            Err(Denied::FullOfAddress(_)) if gate.when_full == WhenFull::Wait && self.stop_by.is_none() => {
                pair.deadline = Some(self.now.after(LOOK_AGAIN));
                let words = gate.words_of_waiting(address);
                self.arm(key);
                self.tell_full(words);
                return false;
            }
            Err(why) => why,
        };
        pair.near.reset();
        pair.give_up(ClosedBy::Server, format!("{} {why}", who(address)));
        self.conclude(key, false);
        false
    }

    /// A client is this loop's.
    pub(super) fn take_in(&mut self, client: Client) {
        let Client { fd, conversation, listener, pass, guest } = client;
        let network = &self.shared.options.network;
        let number = conversation.number;
        let impairment = if network.is_good() { Impairment::None } else { network.impairment(number) };
        // One of many peers has a pair of sockets with an end; a socket that was given to us has none.
        let has_end = sockopt::socket_type(&fd) != Ok(SocketType::DGRAM);
        let mut near = Leg::new(fd, conversation.protocol, PeerKind::of(guest.as_deref()));
        let keeps_bounds = conversation.protocol.keeps_bounds();
        let layers = self.layers.get(listener);
        let websocket = layers.and_then(|layers| layers.websocket.as_ref());
        let directions = match self.shared.options.messages {
            None => self.directions(number, impairment),
            Some(framing) => {
                near.carry_messages(match websocket {
                    Some(_) => Bounds::of_session(),
                    None if keeps_bounds => Box::new(Bounds::OfSocket { has_end }),
                    None => Bounds::framed(framing),
                });
                let shown = (!keeps_bounds && websocket.is_none()).then_some(framing);
                self.message_directions(number, impairment, shown, keeps_bounds)
            }
        };
        if let Some(capture) = &self.shared.options.capture {
            let (client, server) = (&conversation.client, &conversation.server);
            near.wire_tap = Some(match keeps_bounds {
                true => SocketCapture::of_messages(capture, End::Near, client, server, number),
                false => SocketCapture::between(capture, End::Near, client, server, number),
            });
        }
        let taps = self.taps_of(&conversation);
        let mut pair = Pair::new(near, conversation, directions, Stage::Greeting, self.now);
        (pair.taps, pair.pass) = (taps, pass);
        pair.guests.extend(guest.map(|guest| *guest));
        let key = self.pairs.insert(Box::new(pair));
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let begun = self.poll.add_end(pair.near.fd(), key, End::Near);
        if impairment == Impairment::Refused {
            pair.refuse("refused on purpose (--refuse)");
            self.conclude(key, false);
            return;
        }
        self.greet(key, listener, begun);
    }

    /// Both directions of a pair of streams, with the faults that they have.
    fn directions(&self, number: u64, impairment: Impairment) -> (Direction, Direction) {
        let network = &self.shared.options.network;
        let live = self.shared.options.live.as_ref().map(|live| live.look().0).unwrap_or_default();
        let direction = |side, faults: &Faults| {
            let fixed = Some(*faults).filter(|faults| impairment == Impairment::Faults && !faults.is_none());
            let lane = Lane { seed: network.seed, connection: number, side };
            let chain = (fixed.is_some() || !live.is_empty()).then(|| Chain::new(lane, fixed, &live, self.now));
            Direction::new(side, chain.filter(|chain| !chain.is_empty()).map(Box::new))
        };
        (direction(Side::Client, &network.up), direction(Side::Server, &network.down))
    }

    /// The same where messages keep their bounds.
    fn message_directions(
        &self,
        number: u64,
        impairment: Impairment,
        shown: Option<Framing>,
        keeps_bounds: bool,
    ) -> (Direction, Direction) {
        let network = &self.shared.options.network;
        let direction = |side, faults: &Faults, index| {
            let is_bad = impairment == Impairment::Faults && !faults.is_none();
            let faults = is_bad.then(|| DatagramFaults::new(*faults, network.seed, number, index));
            Direction::of_messages(side, Messages::new(faults.map(Box::new), shown, !keeps_bounds))
        };
        (direction(Side::Client, &network.up, 1), direction(Side::Server, &network.down, 2))
    }

    /// What is said to a client before its server is asked: nothing, or what the listener's layers need first.
    fn greet(&mut self, key: Key, listener: usize, mut begun: Result<(), Errno>) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let layers = self.layers.get(listener);
        pair.awaits_header = layers.is_some_and(|layers| layers.accepts_proxy);
        if pair.awaits_header {
            pair.deadline = Some(self.now.after(limits::HANDSHAKE_WAIT));
        }
        let session = layers.and_then(ServerLayers::session);
        if session.is_none() && pair.awaits_header && begun.is_ok() {
            self.arm(key);
            return;
        }
        if let Some(session) = session {
            pair.deadline = Some(self.now.after(limits::HANDSHAKE_WAIT));
            match session {
                Ok(session) => begun = begun.and_then(|()| pair.near.secure(session)),
                Err(error) => {
                    pair.give_up(ClosedBy::Server, format!("{}: {error}", error.layer()));
                    self.conclude(key, false);
                    return;
                }
            }
            if begun.is_ok() {
                self.arm(key);
                return;
            }
        }
        match begun {
            Ok(()) => self.connect(key),
            Err(error) => {
                pair.refuse(&crate::net::words(&std::io::Error::from(error)));
                self.conclude(key, false);
            }
        }
    }

    /// Rests from accepting: those who wait stay in the backlog, those inside go on.
    fn pause_accepting(&mut self, why: String) {
        if self.acceptor.pause(self.now) {
            self.watch_listeners(false);
        }
        self.tell_full(why);
    }

    /// Says once a second that clients wait.
    fn tell_full(&mut self, why: String) {
        if self.acceptor.tells_full(self.now) {
            self.shared.observe(Event::Notice(why));
        }
    }

    pub(super) fn resume_accepting(&mut self) {
        if self.stop_by.is_some() {
            self.acceptor.resume();
        } else if self.shared.live() >= self.shared.options.gate.bound(self.shared.options.pairs) {
            self.acceptor.pause(self.now);
        } else if self.acceptor.resume() {
            self.watch_listeners(true);
        }
    }

    fn watch_listeners(&self, is_watched: bool) {
        for (index, listener) in self.listeners.iter().enumerate() {
            let _ = self.poll.watch(&listener.socket.fd, RelayToken::Listener(index as u32), is_watched);
        }
    }
}
