//! Datagrams: each client's go to a server over a socket of their own, so that the answers find their way back. A flow has no
//! end but that nothing comes for a while, or that the server's port is closed.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::getsockname;
use transcript::{Moment, Side};

use super::super::reactor::slab::Slab;
use super::super::reactor::timers::Armed;
use super::super::reactor::token::Key;
use super::RelayLoop;
use super::capture::Capture;
use super::poll::End;
use super::summary::{Outcome, PairFailure};
use super::tap::Taps;
use super::targets::PendingConnection;
use crate::event::{ClosedBy, Conversation, Event, Name, Protocol};
use crate::failure::{Failure, Kind};
use crate::faults::{DatagramFaults, Faults, Impairment};
use crate::gate::{Denied, Pass};
use crate::limits;
use crate::net::listen::Socket;
use crate::net::{is_exhausted, words};
use crate::sys::datagrams::{self, Inbox, Outbox, Refused};

/// Batches taken from one socket before the others have their turn.
const BATCHES: usize = 8;
/// How long datagrams wait that an interface has no room for.
const AGAIN: Duration = Duration::from_millis(1);
/// Flows that are looked at for one that has been silent, when there is no room for another.
const LOOKS: usize = 16;

/// Datagram sockets that clients send to, and where what they send goes.
pub(super) struct Flows {
    near: Vec<Socket>,
    by_peer: HashMap<(usize, SocketAddr), Key>,
    flows: Slab<Box<Flow>>,
    /// In the order of opening, or of the last look.
    by_age: VecDeque<(Key, Moment)>,
    inbox: Inbox,
    up: Outbox,
    /// Answers on their way, for each socket.
    down: Vec<Outbox>,
    refused: Vec<Refused>,
    /// When answers are tried again that had no room.
    again: Option<Moment>,
    /// Datagrams that could not be sent, of all flows, and when that was last told.
    lost: u64,
    /// Those of clients that may not come in, by why.
    denied: HashMap<Denied, u64>,
    told: Option<Moment>,
}

/// A socket to a server.
struct ServerSocket {
    target: usize,
    version: u64,
    fd: OwnedFd,
    to: SocketAddr,
}

/// One client's datagrams.
struct Flow {
    fd: OwnedFd,
    near: usize,
    peer: SocketAddr,
    /// The local address that it asked, where the socket has every one.
    source: Option<IpAddr>,
    to: SocketAddr,
    /// Our end towards the server, where a capture wants to know.
    own: Name,
    conversation: Conversation,
    target: usize,
    /// How often the server's name had led elsewhere when it began; when it last answered.
    version: u64,
    answered: Option<Moment>,
    opened: Moment,
    last: Moment,
    from_client: u64,
    from_server: u64,
    armed: Armed,
    up: Option<Box<DatagramFaults>>,
    down: Option<Box<DatagramFaults>>,
    taps: Option<Box<Taps>>,
    capture: Option<Arc<Capture>>,
    /// Its right to be inside, given back with it.
    _pass: Option<Box<Pass>>,
}

impl Flows {
    pub(super) fn new(near: Vec<Socket>) -> Self {
        for socket in &near {
            datagrams::take_many(&socket.fd);
        }
        Self {
            down: near.iter().map(|_| Outbox::default()).collect(),
            near,
            by_peer: HashMap::new(),
            flows: Slab::new(),
            by_age: VecDeque::new(),
            inbox: Inbox::new(),
            up: Outbox::default(),
            refused: Vec::new(),
            again: None,
            lost: 0,
            denied: HashMap::new(),
            told: None,
        }
    }

    pub(super) fn near(&self) -> &[Socket] {
        &self.near
    }

    pub(super) fn close(&mut self) {
        self.near.iter_mut().for_each(Socket::close);
    }

    pub(super) fn wakes(&self) -> Option<Moment> {
        let has_word = self.lost > 0 || !self.denied.is_empty();
        let word = self.told.filter(|_| has_word).map(|told| told.after(Duration::from_secs(1)));
        self.again.into_iter().chain(word).min()
    }

    /// Sends answers that wait, and notes what could not go.
    fn send_down(&mut self, now: Moment) {
        self.again = None;
        for (socket, outbox) in self.near.iter().zip(&mut self.down) {
            if outbox.is_empty() {
                continue;
            }
            outbox.send(&socket.fd, &mut self.refused);
            if outbox.bytes() > limits::SEND_QUEUE {
                outbox.give_up(u64::MAX, &mut self.refused);
            }
            if !outbox.is_empty() {
                self.again = Some(now.after(AGAIN));
            }
        }
        for refused in self.refused.drain(..) {
            self.lost += refused.among(0..u64::MAX).0;
        }
    }
}

impl Flow {
    fn send_up(&mut self, datagram: &[u8], outbox: &mut Outbox) {
        if let Some(capture) = &self.capture {
            capture.datagram(End::Far, &self.own, &Name::Inet(self.to), datagram);
        }
        outbox.push(datagram, self.to.into(), None);
    }
}

impl Flow {
    /// An answer goes to the client.
    fn tell_answer(&self, datagram: &[u8]) {
        if let Some(capture) = &self.capture {
            let Conversation { client, server, .. } = &self.conversation;
            capture.datagram(End::Near, server, client, datagram);
        }
    }
}

impl RelayLoop {
    /// Takes what clients sent.
    pub(super) fn take_datagrams(&mut self, index: usize) {
        let Some(mut flows) = self.flows.take() else { return };
        for _ in 0..BATCHES {
            if flows.inbox.receive(&flows.near[index].fd).is_err() {
                break;
            }
            let mut inbox = std::mem::replace(&mut flows.inbox, Inbox::none());
            for arrival in inbox.arrivals() {
                let found = match self.shared.options.gate.admits(arrival.from.ip()) {
                    true => self.flow_of(&mut flows, index, arrival.from, arrival.to),
                    false => Err(Denied::ByRules),
                };
                let key = match found {
                    Ok(Some(key)) => key,
                    Ok(None) => continue,
                    Err(why) => {
                        *flows.denied.entry(why).or_default() += arrival.datagrams().count() as u64;
                        continue;
                    }
                };
                let Some(flow) = flows.flows.get_mut(key) else { continue };
                flow.last = self.now;
                for datagram in arrival.datagrams() {
                    flow.from_client += datagram.len() as u64;
                    if let Some(capture) = &flow.capture {
                        let Conversation { client, server, .. } = &flow.conversation;
                        capture.datagram(End::Near, client, server, datagram);
                    }
                    if let Some(taps) = &mut flow.taps {
                        taps.said(Side::Client, datagram);
                    }
                    match &mut flow.up {
                        Some(faults) => faults.take(datagram, self.now),
                        None => flow.send_up(datagram, &mut flows.up),
                    }
                }
                flows.up.send(&flow.fd, &mut flows.refused);
                if !flows.up.is_empty() {
                    // The way there has no room: it is lost, as on any full queue.
                    flows.up.give_up(u64::MAX, &mut flows.refused);
                }
                self.pass_due(&mut flows, key);
            }
            std::mem::swap(&mut flows.inbox, &mut inbox);
            if flows.inbox.is_drained() {
                break;
            }
        }
        self.flows = Some(flows);
        self.finish_datagrams();
    }

    /// A server answered, or its port is closed.
    pub(super) fn take_answers(&mut self, key: Key) {
        let Some(mut flows) = self.flows.take() else { return };
        for turn in 0.. {
            let Some(flow) = flows.flows.get_mut(key) else { break };
            if turn >= BATCHES {
                self.again.push(key);
                break;
            }
            match flows.inbox.receive(&flow.fd) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.no_listener(&mut flows, key, Errno::from_io_error(&error).unwrap_or(Errno::IO));
                    break;
                }
            }
            flow.last = self.now;
            self.shared.targets.all[flow.target].answered();
            flow.answered = Some(self.now);
            for datagram in flows.inbox.arrivals().flat_map(|arrival| arrival.datagrams()) {
                flow.from_server += datagram.len() as u64;
                if let Some(capture) = &flow.capture {
                    capture.datagram(End::Far, &Name::Inet(flow.to), &flow.own, datagram);
                }
                if let Some(taps) = &mut flow.taps {
                    taps.said(Side::Server, datagram);
                }
                match &mut flow.down {
                    Some(faults) => faults.take(datagram, self.now),
                    None => {
                        flow.tell_answer(datagram);
                        flows.down[flow.near].push(datagram, flow.peer.into(), flow.source);
                    }
                }
            }
            self.pass_due(&mut flows, key);
            flows.send_down(self.now);
            if flows.inbox.is_drained() {
                break;
            }
        }
        self.flows = Some(flows);
        self.finish_datagrams();
    }

    /// Sends answers again that had no room, and tells what was lost.
    pub(super) fn finish_datagrams(&mut self) {
        let Some(flows) = &mut self.flows else { return };
        flows.send_down(self.now);
        let is_due = flows.told.is_none_or(|told| self.now >= told.after(Duration::from_secs(1)));
        if !is_due || flows.lost == 0 && flows.denied.is_empty() {
            return;
        }
        flows.told = Some(self.now);
        if flows.lost > 0 {
            let (count, error) = (std::mem::take(&mut flows.lost), "datagrams that could not be sent on".to_owned());
            self.shared.observe(Event::Dropped { count, error });
        }
        for (why, count) in flows.denied.drain() {
            let error = match why {
                Denied::ByRules => "datagrams from addresses that may not come in (--allow, --deny)".to_owned(),
                full => format!("datagrams of new clients, {full}"),
            };
            self.shared.observe(Event::Dropped { count, error });
        }
    }

    /// What a bad network has done with is sent.
    fn pass_due(&mut self, flows: &mut Flows, key: Key) {
        let Some(flow) = flows.flows.get_mut(key) else { return };
        let mut wakes = None;
        if let Some(faults) = &mut flow.up {
            while let Some(datagram) = faults.due(self.now) {
                if let Some(capture) = &flow.capture {
                    capture.datagram(End::Far, &flow.own, &Name::Inet(flow.to), &datagram);
                }
                flows.up.push(&datagram, flow.to.into(), None);
            }
            wakes = faults.wakes();
            flows.up.send(&flow.fd, &mut flows.refused);
            flows.up.give_up(u64::MAX, &mut flows.refused);
        }
        if let Some(faults) = &mut flow.down {
            while let Some(datagram) = faults.due(self.now) {
                if let Some(capture) = &flow.capture {
                    let Conversation { client, server, .. } = &flow.conversation;
                    capture.datagram(End::Near, server, client, &datagram);
                }
                flows.down[flow.near].push(&datagram, flow.peer.into(), flow.source);
            }
            wakes = wakes.into_iter().chain(faults.wakes()).min();
        }
        if let Some(at) = wakes {
            self.timers.arm(&mut flow.armed, at, key);
        }
    }

    /// The flow of a client; a new one if it has none.
    fn flow_of(
        &mut self,
        flows: &mut Flows,
        near: usize,
        peer: SocketAddr,
        source: Option<IpAddr>,
    ) -> Result<Option<Key>, Denied> {
        if let Some(&key) = flows.by_peer.get(&(near, peer)) {
            if !self.is_led_elsewhere(flows, key) {
                return Ok(Some(key));
            }
            self.end_flow(flows, key, ClosedBy::Server, None, false);
        }
        if self.stop_by.is_some() || self.all_came() {
            return Ok(None);
        }
        let pass = self.shared.options.gate.judge(Some(peer.ip()), flows.flows.len())?;
        if flows.flows.len() >= self.shared.options.pairs {
            self.make_room(flows);
        }
        let socket = &flows.near[near];
        let server = match (&socket.endpoint.name, source) {
            (Name::Inet(own), Some(ip)) => Name::Inet(SocketAddr::new(ip, own.port())),
            (name, _) => name.clone(),
        };
        let number = self.shared.next_number();
        let mut conversation =
            Conversation { number, protocol: Protocol::Udp, server, client: Name::Inet(peer), to: None };
        let opened = match self.open_flow(&conversation) {
            Ok(opened) => opened,
            Err((kind, why)) => {
                self.tell_no_server(conversation, kind, why);
                return Ok(None);
            }
        };
        conversation.to = Some(Name::Inet(opened.to));
        self.shared.observe(Event::Opened(conversation.clone()));
        self.shared.add(self.worker);
        let to = opened.to;
        let mut flow = self.flow(conversation, opened, (near, peer, source), pass);
        flow.taps = self.taps_of(&flow.conversation);
        let key = flows.flows.insert(Box::new(flow));
        let Some(flow) = flows.flows.get_mut(key) else { return Ok(None) };
        if let Err(error) = self.poll.add_end(&flow.fd, key, End::Far) {
            let error = std::io::Error::from(error);
            let why = format!("the way to {to} cannot be watched: {}", words(&error));
            let failure = Failure::other(Kind::NoResources, why);
            self.shared.observe(Event::Failed { conversation: Some(flow.conversation.clone()), failure });
            self.end_flow(flows, key, ClosedBy::Server, Some(PairFailure::Kind(Kind::NoResources)), false);
            return Ok(None);
        }
        let idle = self.shared.options.datagram_idle;
        self.timers.arm(&mut flow.armed, self.now.after(idle), key);
        flows.by_peer.insert((near, peer), key);
        flows.by_age.push_back((key, self.now));
        Ok(Some(key))
    }

    /// A flow over a socket that leads to its server.
    fn flow(
        &self,
        conversation: Conversation,
        opened: ServerSocket,
        (near, peer, source): (usize, SocketAddr, Option<IpAddr>),
        pass: Option<Box<Pass>>,
    ) -> Flow {
        let ServerSocket { target, version, fd, to } = opened;
        let (up, down) = self.faults_of(conversation.number);
        let capture = self.shared.options.capture.clone();
        let own = getsockname(&fd).ok().filter(|_| capture.is_some());
        let own = own.and_then(|name| SocketAddr::try_from(name).ok()).map_or(Name::Unnamed, Name::Inet);
        Flow {
            own,
            capture,
            fd,
            near,
            peer,
            source,
            to,
            conversation,
            target,
            version,
            answered: None,
            opened: self.now,
            last: self.now,
            from_client: 0,
            from_server: 0,
            armed: Armed::default(),
            up,
            down,
            taps: None,
            _pass: pass,
        }
    }

    /// No server answers: the conversation is over before it began.
    fn tell_no_server(&self, conversation: Conversation, kind: Kind, why: String) {
        self.shared.add(self.worker);
        let failure = Failure::other(kind, why);
        self.shared.observe(Event::Failed { conversation: Some(conversation), failure });
        let failure = Some(PairFailure::Kind(kind));
        let outcome = Outcome { from_client: 0, from_server: 0, lost: 0, failure, is_cut: false };
        self.shared.remove(self.worker, &outcome);
    }

    /// What a bad network does to what each side of a flow says.
    fn faults_of(&self, number: u64) -> (Option<Box<DatagramFaults>>, Option<Box<DatagramFaults>>) {
        let network = &self.shared.options.network;
        let impairment = if network.is_good() { Impairment::None } else { network.impairment(number) };
        let faults = |faults: &Faults, direction| {
            let is_bad = impairment == Impairment::Faults && !faults.is_none();
            is_bad.then(|| Box::new(DatagramFaults::new(*faults, network.seed, number, direction)))
        };
        (faults(&network.up, 1), faults(&network.down, 2))
    }

    /// Whether the name of a flow's server leads elsewhere by now. One that still answers is a conversation, which stays where it is.
    fn is_led_elsewhere(&self, flows: &mut Flows, key: Key) -> bool {
        let Some(flow) = flows.flows.get_mut(key) else { return false };
        let target = &self.shared.targets.all[flow.target];
        let version = target.version();
        if version == flow.version {
            return false;
        }
        let addresses = target.addresses();
        if (0..addresses.count()).any(|index| addresses.get(index) == Some(flow.to)) {
            flow.version = version;
            return false;
        }
        flow.answered.is_none_or(|at| at.after(limits::FLOW_ANSWERS) <= self.now)
    }

    /// A socket to the next server that there is a way to.
    fn open_flow(&self, conversation: &Conversation) -> Result<ServerSocket, (Kind, String)> {
        let mut last = (Kind::Refused, "there is no server".to_owned());
        for index in self.shared.targets.order(self.now) {
            let target = &self.shared.targets.all[index];
            let version = target.version();
            let addresses = target.addresses();
            for (place, to) in (0..addresses.count()).filter_map(|place| Some((place, addresses.get(place)?))) {
                match target.begin(&addresses, place, conversation) {
                    Ok(PendingConnection { fd, .. }) => {
                        datagrams::take_many(&fd);
                        target.joined();
                        return Ok(ServerSocket { target: index, version, fd, to });
                    }
                    Err(error) => {
                        let error = std::io::Error::from(error);
                        let kind = if is_exhausted(&error) { Kind::NoResources } else { Kind::Unreachable };
                        last = (kind, format!("cannot send to {to}: {}", words(&error)));
                    }
                }
            }
            target.failed(self.now);
        }
        Err(last)
    }

    /// The port that a flow leads to is closed: the next datagram may find another server.
    fn no_listener(&mut self, flows: &mut Flows, key: Key, error: Errno) {
        let Some(flow) = flows.flows.get_mut(key) else { return };
        let target = &self.shared.targets.all[flow.target];
        target.failed(self.now);
        let (kind, why) = match error {
            Errno::CONNREFUSED => (Kind::Refused, format!("nobody listens at udp://{}", flow.to)),
            Errno::HOSTUNREACH | Errno::NETUNREACH => {
                (Kind::Unreachable, format!("udp://{}: {}", flow.to, words(&std::io::Error::from(error))))
            }
            other => (Kind::Socket, format!("udp://{}: {}", flow.to, words(&std::io::Error::from(other)))),
        };
        let failure = Failure::other(kind, why);
        self.shared.observe(Event::Failed { conversation: Some(flow.conversation.clone()), failure });
        self.end_flow(flows, key, ClosedBy::Server, Some(PairFailure::Kind(kind)), false);
    }

    /// Closes the flow that has been silent for longest, or almost.
    fn make_room(&mut self, flows: &mut Flows) {
        for look in 0.. {
            let Some((key, seen)) = flows.by_age.pop_front() else { return };
            let Some(flow) = flows.flows.get_mut(key) else { continue };
            if flow.last > seen && look < LOOKS {
                flows.by_age.push_back((key, flow.last));
                continue;
            }
            self.end_flow(flows, key, ClosedBy::Timeout, None, false);
            return;
        }
    }

    fn end_flow(&mut self, flows: &mut Flows, key: Key, by: ClosedBy, failure: Option<PairFailure>, is_cut: bool) {
        let Some(mut flow) = flows.flows.remove(key) else { return };
        flows.by_peer.remove(&(flow.near, flow.peer));
        self.shared.targets.all[flow.target].left();
        let lasted = Duration::from_nanos(self.now.nanos().saturating_sub(flow.opened.nanos()));
        let Flow { from_client, from_server, .. } = *flow;
        let dropped = |faults: &Option<Box<DatagramFaults>>| faults.as_ref().map_or(0, |faults| faults.dropped);
        let dropped = dropped(&flow.up) + dropped(&flow.down);
        let reason = (dropped > 0).then(|| format!("{dropped} datagrams were lost on purpose (--drop)"));
        if let Some(taps) = flow.taps.take() {
            self.finish_taps(*taps, &flow.conversation);
        }
        let conversation = flow.conversation.clone();
        drop(flow);
        let (unjudged, ended) = (0, None);
        let closed = Event::Closed { conversation, by, from_client, from_server, unjudged, lasted, reason, ended };
        self.tell_capture();
        self.shared.observe(closed);
        self.shared.remove(self.worker, &Outcome { from_client, from_server, lost: 0, failure, is_cut });
    }

    /// A flow's time has come: something is due, or it was silent for too long.
    pub(super) fn wake_flow(&mut self, key: Key, at: Moment) {
        let Some(mut flows) = self.flows.take() else { return };
        if let Some(flow) = flows.flows.get_mut(key) {
            flow.armed.clear(at);
            let ends = flow.last.after(self.shared.options.datagram_idle);
            self.pass_due(&mut flows, key);
            if ends <= self.now {
                self.end_flow(&mut flows, key, ClosedBy::Timeout, None, false);
            } else if let Some(flow) = flows.flows.get_mut(key) {
                self.timers.arm(&mut flow.armed, ends, key);
            }
        }
        self.flows = Some(flows);
        self.finish_datagrams();
    }

    /// The relay ends: flows end with it, and lose nothing, for nothing of them waits.
    pub(super) fn end_flows(&mut self) {
        let Some(mut flows) = self.flows.take() else { return };
        for key in flows.flows.keys() {
            self.end_flow(&mut flows, key, ClosedBy::Server, None, false);
        }
        self.flows = Some(flows);
    }

    /// Whether a flow stands there.
    pub(super) fn has_flow(&self, key: Key) -> bool {
        self.flows.as_ref().is_some_and(|flows| flows.flows.contains(key))
    }
}
