//! The thread between a datagram socket and the pairs of its peers.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, send, sendto, shutdown, socketpair,
};

use super::{AcceptQueue, LAST_WAIT, Next, Phase};
use crate::endpoint::{Name, Protocol};
use crate::limits;
use crate::net::message::{self, Received};
use crate::net::timespec;
use crate::sys::datagrams::{self, Inbox, Outbox, Refused};

/// Messages taken from one socket before the others have their turn.
const TURN: usize = 64;
/// How soon what a queue had no room for is sent again: the system does not tell of room in another's.
const SOON: Duration = Duration::from_millis(2);
/// How often flows are looked at for those that have been silent.
const LOOK: Duration = Duration::from_millis(500);

const SOCKET: u64 = 0;
const WAKER: u64 = 1;
/// Numbers of flows begin here.
const FIRST: u64 = 2;

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Peer {
    /// And the local address that it asked, where the socket has every one.
    Inet(SocketAddr, Option<IpAddr>),
    Unix(SocketAddrUnix),
    /// Sockets without a name, which all are one and cannot be answered.
    Unnamed,
}

struct Flow {
    ours: OwnedFd,
    peer: Peer,
    last: Instant,
    /// An answer that its peer had no room for, and until when it is tried.
    held: Option<(Vec<u8>, Instant)>,
    /// The peer was silent for long, and the caller that accepted it was told.
    said_end: bool,
}

pub(super) struct Flows {
    shared: Arc<AcceptQueue>,
    epoll: OwnedFd,
    flows: HashMap<u64, Flow>,
    by_peer: HashMap<Peer, u64>,
    next: u64,
    buffer: Vec<u8>,
    /// Of datagrams over IP, many at a time.
    inbox: Option<Inbox>,
    outbox: Outbox,
    refused: Vec<Refused>,
    /// A message that the caller that accepted its peer has no room for; nothing is taken meanwhile, and nothing lost.
    stuck: Option<(u64, Vec<u8>)>,
    /// Messages that were lost, by why; and when that was told.
    lost: HashMap<String, u64>,
    told: Option<Instant>,
    looked: Instant,
}

impl Flows {
    pub(super) fn new(shared: Arc<AcceptQueue>) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &shared.socket, EventData::new_u64(SOCKET), EventFlags::IN)?;
        epoll::add(&epoll, &shared.waker, EventData::new_u64(WAKER), EventFlags::IN)?;
        let inbox = (shared.endpoint.protocol == Protocol::Udp).then(Inbox::new);
        if inbox.is_some() {
            datagrams::take_many(&shared.socket);
        }
        Ok(Self {
            shared,
            epoll,
            flows: HashMap::new(),
            by_peer: HashMap::new(),
            next: FIRST,
            buffer: vec![0; message::LARGEST],
            inbox,
            outbox: Outbox::default(),
            refused: Vec::new(),
            stuck: None,
            lost: HashMap::new(),
            told: None,
            looked: Instant::now(),
        })
    }

    pub(super) fn run(mut self: Box<Self>) {
        let mut events = Vec::with_capacity(TURN);
        let (mut is_closed, mut over_by) = (false, None);
        loop {
            let time = self.wakes(over_by).map(|at| timespec(at.saturating_duration_since(Instant::now())));
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), time.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                // It cannot go on: the caller that accepted them learns it by their ends.
                Err(_) => return,
            }
            for event in &events {
                match event.data.u64() {
                    SOCKET => self.take(),
                    WAKER => drop(rustix::io::read(&self.shared.waker, &mut [0; 8][..])),
                    id => self.ready(id, event.flags),
                }
            }
            self.send_again();
            match self.shared.phase() {
                Phase::Open => {}
                Phase::Closed => is_closed = true,
                Phase::Over => {
                    is_closed = true;
                    let by = *over_by.get_or_insert_with(|| Instant::now() + LAST_WAIT);
                    let all_out = self.flows.is_empty() && self.outbox.is_empty();
                    if all_out || Instant::now() >= by {
                        for (_, flow) in std::mem::take(&mut self.flows) {
                            self.count_held(&flow);
                        }
                        self.tell(true);
                        return;
                    }
                }
            }
            if is_closed && self.flows.is_empty() && over_by.is_none() {
                // No peer is left inside.
                let _ = epoll::delete(&self.epoll, &self.shared.socket);
            }
            self.look();
            self.tell(false);
        }
    }

    fn wakes(&self, over_by: Option<Instant>) -> Option<Instant> {
        let soon = !self.outbox.is_empty() || self.flows.values().any(|flow| flow.held.is_some());
        let soon = soon.then(|| Instant::now() + SOON);
        let look = (!self.flows.is_empty()).then(|| self.looked + LOOK.min(self.shared.idle));
        let tell = (!self.lost.is_empty()).then(|| self.told.map_or_else(Instant::now, |told| told + LOOK * 2));
        [over_by, soon, look, tell].into_iter().flatten().min()
    }

    /// Takes what peers sent.
    fn take(&mut self) {
        if let Some(mut inbox) = self.inbox.take() {
            if inbox.receive(&self.shared.socket).is_ok() {
                for arrival in inbox.arrivals() {
                    let peer = Peer::Inet(arrival.from, arrival.to);
                    arrival.datagrams().for_each(|datagram| self.came(&peer, datagram));
                }
            }
            self.inbox = Some(inbox);
            return;
        }
        for _ in 0..TURN {
            if self.stuck.is_some() {
                return;
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            let received = message::receive(&self.shared.socket, &mut buffer, false);
            let went_on = match received {
                Ok((received, from)) => {
                    let peer = message::sender(from).map_or(Peer::Unnamed, Peer::Unix);
                    match received {
                        Received::Message(length) => self.came(&peer, &buffer[..length]),
                        Received::TooLarge(_) => self.is_lost(too_large("messages"), 1, 0),
                        Received::End => {}
                    }
                    true
                }
                Err(Errno::INTR) => true,
                Err(_) => false,
            };
            self.buffer = buffer;
            if !went_on {
                return;
            }
        }
    }

    /// A message of a peer.
    fn came(&mut self, peer: &Peer, message: &[u8]) {
        let id = match self.by_peer.get(peer) {
            Some(id) => *id,
            None if self.shared.phase() == Phase::Open => match self.open(peer) {
                Ok(id) => id,
                Err(error) => {
                    let why = format!("datagrams of new clients: {}", crate::net::words(&io::Error::from(error)));
                    self.is_lost(why, 1, 0);
                    return;
                }
            },
            None => return self.is_lost("datagrams of new clients, behind the last one".to_owned(), 1, 0),
        };
        let Some(flow) = self.flows.get_mut(&id) else { return };
        flow.last = Instant::now();
        match send(&flow.ours, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => {}
            Err(Errno::AGAIN | Errno::NOBUFS) if self.inbox.is_some() => {
                self.is_lost("datagrams that were not taken in time".to_owned(), 1, 0);
            }
            Err(Errno::AGAIN | Errno::NOBUFS) => {
                // A sender over a Unix socket waits, as it does for any full queue.
                self.stuck = Some((id, message.to_vec()));
                let _ = epoll::delete(&self.epoll, &self.shared.socket);
                self.watch(id, EventFlags::IN | EventFlags::OUT);
            }
            Err(Errno::PIPE | Errno::CONNRESET) => {
                // The caller that accepted it has closed it: what was said goes out, and this message begins another.
                if self.buffer.is_empty() {
                    // It holds what is being taken.
                    self.buffer = vec![0; message::LARGEST];
                }
                self.take_answers(id);
                self.end(id);
                self.came(peer, message);
            }
            Err(error) => {
                let why = format!("datagrams: {}", crate::net::words(&io::Error::from(error)));
                self.is_lost(why, 1, 0);
            }
        }
    }

    fn open(&mut self, peer: &Peer) -> Result<u64, Errno> {
        if self.flows.len() >= self.shared.most
            && let Some(oldest) = self.flows.iter().min_by_key(|(_, flow)| flow.last).map(|(id, _)| *id)
        {
            self.end(oldest);
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        message::mark_messages(&ours)?;
        let id = self.next;
        epoll::add(&self.epoll, &ours, EventData::new_u64(id), EventFlags::IN)?;
        self.next += 1;
        let (name, local) = match peer {
            Peer::Inet(address, own) => {
                let port = match &self.shared.endpoint.name {
                    Name::Inet(own) => own.port(),
                    _ => 0,
                };
                (Name::Inet(*address), own.map(|own| Name::Inet(SocketAddr::new(own, port))))
            }
            Peer::Unix(address) => (message::name(address), None),
            Peer::Unnamed => (Name::Unnamed, None),
        };
        let flow = Flow { ours, peer: peer.clone(), last: Instant::now(), held: None, said_end: false };
        self.flows.insert(id, flow);
        self.by_peer.insert(peer.clone(), id);
        self.shared.push(Next::Client(theirs, name, local));
        Ok(id)
    }

    /// A pair is ready.
    fn ready(&mut self, id: u64, flags: EventFlags) {
        if flags.contains(EventFlags::OUT)
            && let Some((_, message)) = self.stuck.take_if(|(stuck, _)| *stuck == id)
        {
            self.watch(id, EventFlags::IN);
            let _ = epoll::add(&self.epoll, &self.shared.socket, EventData::new_u64(SOCKET), EventFlags::IN);
            if let Some(flow) = self.flows.get(&id) {
                let peer = flow.peer.clone();
                self.came(&peer, &message);
            }
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.take_answers(id);
        }
    }

    /// Passes on what the caller that accepted a peer says to it.
    fn take_answers(&mut self, id: u64) {
        for _ in 0..TURN {
            let Some(flow) = self.flows.get(&id) else { return };
            let mut buffer = std::mem::take(&mut self.buffer);
            let received = message::receive(&flow.ours, &mut buffer, true);
            let goes_on = match received {
                Ok((Received::Message(length), _)) => self.answer(id, &buffer[..length]),
                Ok((Received::TooLarge(length), _)) => {
                    self.is_lost(too_large("answers"), 1, length);
                    true
                }
                // The caller that accepted it closed it and left something unread: that is told once, in front of what it said (unix(7)).
                Err(Errno::INTR | Errno::CONNRESET) => true,
                Err(Errno::AGAIN) => false,
                Ok((Received::End, _)) | Err(_) => {
                    self.end(id);
                    false
                }
            };
            self.buffer = buffer;
            if !goes_on {
                break;
            }
        }
        self.send_out();
    }

    /// Says something to a peer; whether more may follow.
    fn answer(&mut self, id: u64, message: &[u8]) -> bool {
        let Some(flow) = self.flows.get_mut(&id) else { return false };
        flow.last = Instant::now();
        let to = match &flow.peer {
            Peer::Inet(to, from) => {
                self.outbox.push(message, (*to).into(), *from);
                return true;
            }
            Peer::Unnamed => {
                self.is_lost(format!("answers could not be sent: {}", message::UNNAMED), 1, message.len());
                return true;
            }
            Peer::Unix(to) => to,
        };
        match sendto(&self.shared.socket, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, to) {
            Ok(_) => true,
            Err(Errno::INTR) => self.answer(id, message),
            Err(Errno::AGAIN | Errno::NOBUFS) => {
                flow.held = Some((message.to_vec(), Instant::now() + limits::WRITE_WAIT));
                // An end is told without end, whatever is watched for.
                let _ = epoll::delete(&self.epoll, &flow.ours);
                false
            }
            Err(error) => {
                let is_gone = matches!(error, Errno::CONNREFUSED | Errno::NOENT | Errno::PIPE | Errno::CONNRESET);
                let why = match is_gone {
                    true => format!("answers could not be sent: {} is gone", message::name(to)),
                    false => format!("answers could not be sent: {}", crate::net::words(&io::Error::from(error))),
                };
                self.is_lost(why, 1, message.len());
                true
            }
        }
    }

    /// Sends what was kept for want of room.
    fn send_again(&mut self) {
        let held: Vec<u64> = self.flows.iter().filter(|(_, flow)| flow.held.is_some()).map(|(id, _)| *id).collect();
        for id in held {
            let Some(flow) = self.flows.get_mut(&id) else { continue };
            let Some((message, until)) = flow.held.take() else { continue };
            if Instant::now() >= until {
                self.is_lost("answers that their client did not take in time".to_owned(), 1, message.len());
            } else if !self.answer(id, &message) {
                if let Some((_, by)) = self.flows.get_mut(&id).and_then(|flow| flow.held.as_mut()) {
                    *by = until;
                }
                continue;
            }
            if let Some(flow) = self.flows.get(&id) {
                let _ = epoll::add(&self.epoll, &flow.ours, EventData::new_u64(id), EventFlags::IN);
            }
        }
        self.send_out();
    }

    /// Sends answers over IP.
    fn send_out(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        self.outbox.send(&self.shared.socket, &mut self.refused);
        if self.outbox.bytes() > limits::SEND_QUEUE {
            self.outbox.give_up(u64::MAX, &mut self.refused);
        }
        for refused in std::mem::take(&mut self.refused) {
            let (count, bytes) = refused.among(0..u64::MAX);
            let why = match refused.error {
                Errno::MSGSIZE => "answers larger than a datagram".to_owned(),
                error => {
                    format!("answers could not be sent: {}", crate::net::words(&io::Error::from(error)))
                }
            };
            self.is_lost(why, count, bytes as usize);
        }
    }

    fn watch(&self, id: u64, flags: EventFlags) {
        if let Some(flow) = self.flows.get(&id) {
            let _ = epoll::modify(&self.epoll, &flow.ours, EventData::new_u64(id), flags);
        }
    }

    /// A flow is over.
    fn end(&mut self, id: u64) {
        let Some(flow) = self.flows.remove(&id) else { return };
        if self.by_peer.get(&flow.peer) == Some(&id) {
            self.by_peer.remove(&flow.peer);
        }
        self.count_held(&flow);
        if self.stuck.take_if(|(stuck, _)| *stuck == id).is_some() {
            self.is_lost("datagrams that were not taken".to_owned(), 1, 0);
            let _ = epoll::add(&self.epoll, &self.shared.socket, EventData::new_u64(SOCKET), EventFlags::IN);
        }
    }

    fn count_held(&mut self, flow: &Flow) {
        if let Some((message, _)) = &flow.held {
            self.is_lost("answers that their client did not take".to_owned(), 1, message.len());
        }
    }

    /// Ends flows that have been silent: first the caller that accepted them is told, then all is over.
    fn look(&mut self) {
        if self.looked.elapsed() < LOOK.min(self.shared.idle) {
            return;
        }
        self.looked = Instant::now();
        let silent = |flow: &&mut Flow| flow.last.elapsed() >= self.shared.idle && flow.held.is_none();
        let mut over = Vec::new();
        for (id, flow) in &mut self.flows {
            if !silent(&flow) || self.stuck.as_ref().is_some_and(|(stuck, _)| stuck == id) {
                continue;
            }
            if std::mem::replace(&mut flow.said_end, true) {
                over.push(*id);
                continue;
            }
            flow.last = Instant::now();
            let _ = shutdown(&flow.ours, Shutdown::Write);
            // What comes now is for another one.
            self.by_peer.remove(&flow.peer);
        }
        over.into_iter().for_each(|id| self.end(id));
    }

    fn is_lost(&mut self, why: String, count: u64, bytes: usize) {
        *self.lost.entry(why).or_default() += count;
        self.shared.lost.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    /// Says once a second what was lost.
    fn tell(&mut self, at_once: bool) {
        let is_due = self.told.is_none_or(|told| told.elapsed() >= LOOK * 2);
        if self.lost.is_empty() || !(is_due || at_once) {
            return;
        }
        self.told = Some(Instant::now());
        for (error, count) in self.lost.drain() {
            let error = format!("{}: {error}", self.shared.endpoint);
            self.shared.push(Next::Lost(count, error));
        }
    }
}

fn too_large(what: &str) -> String {
    format!("{what} larger than {} bytes", message::LARGEST)
}
