//! The one place that joins players to sockets, at either end of a connection: a loop for each thread waits with epoll(7),
//! moves bytes, keeps deadlines and reports. It knows no option of the command line and no text of a transcript.

mod accept;
#[cfg(feature = "http")]
mod access;
mod account;
mod after_play;
mod announced;
#[cfg(feature = "http")]
mod answer_context;
mod answers;
mod at_rest;
mod bounds;
mod channel;
pub(crate) mod client;
mod connect;
mod context;
mod datagram;
mod events;
mod exec;
#[cfg(feature = "figures")]
mod generate;
mod groups;
mod guard;
mod handoff;
#[cfg(feature = "http")]
mod http2;
#[cfg(feature = "http")]
mod kept_request;
#[cfg_attr(not(feature = "figures"), path = "no_load.rs")]
pub(crate) mod load;
mod mailbox;
#[cfg(feature = "http")]
mod more_files;
mod origin;
mod outlet;
mod programs;
mod reactor;
pub(crate) mod relay;
mod room;
#[cfg(feature = "http")]
mod served;
mod stopping;
#[cfg(feature = "http")]
mod storage;
mod threads;
#[cfg(feature = "http")]
mod turn;
#[cfg_attr(not(feature = "http"), path = "no_web.rs")]
mod web;
mod workers;

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;
use transcript::Moment;

use accept::{Listener, Waiting};
use announced::Announced;
use bounds::Tally;
use channel::{Agent, Channel, ChannelStatus, Identity, Line};
use context::{Context, LoopResources};
use datagram::DatagramServer;
use events::LoopEnd;
use exec::Leftovers;
use groups::Groups;
use guard::Guard;
use handoff::{Continuation, Handoff};
use origin::Origin;
use programs::Programs;
use reactor::poller::{Interest, Poller, Ready};
use reactor::slab::Slab;
use reactor::timers::Timers;
use reactor::token::{Key, Token};
#[cfg(feature = "http")]
use storage::{Storage, Storing};
use threads::Membership;
#[cfg(not(feature = "http"))]
use web::{Storage, Storing};
use workers::Message;

use crate::event::{Event, Name, Observer, Protocol};
use crate::stop::Stop;
use crate::sys::datagrams::Inbox;
use crate::sys::memory;

pub use bounds::Summary;
pub(crate) use bounds::{Behaviour, Bounds, Listening, Loaded, Reload};
pub(crate) use exec::Exec;
pub use exec::{Errors, Terminal};
pub use guard::Budget;
#[cfg(feature = "http")]
pub use web::AccessLog;
#[cfg(feature = "http")]
pub(crate) use web::HttpService;

/// The number of the connection that a play begins with.
const FIRST: u8 = 1;

/// Entries of dead connections that may stand in the heap of deadlines.
const STALE: usize = 4096;

/// What is due within this time is waited for to the microsecond.
const NEAR: Duration = Duration::from_secs(2);

/// The event loop of one thread.
pub(crate) struct Loop {
    poller: Poller,
    listeners: Vec<Listener>,
    /// Where channels come from, the listeners first and in their order.
    origins: Vec<Origin>,
    /// None where there is one loop.
    member: Option<Membership>,
    /// The other loops, where this is the first.
    threads: Vec<JoinHandle<io::Result<Summary>>>,
    datagrams: Vec<DatagramServer>,
    channels: Slab<Box<Channel>>,
    /// Bytes that the buffers of the connections take.
    memory: usize,
    timers: Timers,
    bounds: Bounds,
    /// None in a loop that another one stops.
    stop: Option<Stop>,
    reload: Option<Reload>,
    /// Where each socket stands, in the order in which they came: whether it takes datagrams, and its index.
    order: Vec<(bool, usize)>,
    resources: LoopResources,
    inbox: Option<Inbox>,
    began: Instant,
    has_sites: bool,
    /// Where clients may store files.
    storage: Option<Storage>,
    /// Why a listener cannot go on: those inside may finish, then the loop ends with it.
    broken: Option<io::Error>,
    /// Since when no client is there, and how many had come by then.
    alone: Option<(Moment, u64)>,
    /// Accepting rests until this moment.
    accept_again: Option<Moment>,
    told_full: Option<Moment>,
    /// Clients that were accepted and wait for others of their address to leave; and how many had left at the last look.
    waiting: VecDeque<Waiting>,
    /// Clients that have to say first whom they are for.
    announced: Announced,
    left: u64,
    /// Plays of several connections.
    groups: Groups,
    /// Process groups that outlived their conversation.
    leftovers: Leftovers,
    /// Programs were asked to end, for the grace is over.
    has_hurried: bool,
    /// When those inside are cut, once it is stopped.
    end_by: Option<Moment>,
}

impl Loop {
    /// A loop over bound sockets and what each does.
    ///
    /// # Errors
    /// As `epoll_create1(2)` and `epoll_ctl(2)`.
    pub(crate) fn new(
        sockets: Vec<Listening>,
        bounds: Bounds,
        stop: Stop,
        reload: Option<Reload>,
        observer: Box<dyn Observer>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&stop, Token::Stop, Interest::Read)?;
        if let Some(reload) = &reload {
            poller.add(&reload.asked, Token::Reload, Interest::Read)?;
        }
        let own_ports: Vec<u16> = sockets
            .iter()
            .filter_map(|Listening { socket, .. }| match &socket.endpoint.name {
                Name::Inet(address) if socket.endpoint.protocol == Protocol::Udp => Some(address.port()),
                _ => None,
            })
            .collect();
        let mut own = Self::idle(poller, bounds, observer, Instant::now());
        for Listening { socket, behaviour, layers } in sockets {
            if socket.endpoint.protocol.has_no_end() && !socket.has_one_client() {
                own.poller.add(&socket.fd, Token::Datagrams(own.datagrams.len() as u32), Interest::Read)?;
                own.order.push((true, own.datagrams.len()));
                let guard = || Guard::new(own.bounds.budget, own_ports.clone());
                let runs_programs = matches!(behaviour, Behaviour::Exec(_));
                let mut server = DatagramServer::new(socket, behaviour, guard(), own.bounds.is_judged());
                if runs_programs {
                    server.programs = Some(Box::new(Programs::new(&server.socket, guard(), server.unix_peers())?));
                }
                own.datagrams.push(server);
            } else {
                own.poller.add(&socket.fd, Token::Listener(own.listeners.len() as u32), Interest::Read)?;
                own.order.push((false, own.listeners.len()));
                own.origins.push(Origin::listener(socket.endpoint.clone(), behaviour, layers));
                own.listeners.push(Listener { socket, paused: false });
            }
        }
        for server in &mut own.datagrams {
            if let Some(programs) = &mut server.programs {
                programs.origin = own.origins.len();
                own.origins.push(Origin::clone(&server.origin));
            }
        }
        let is_one_of_several = own.bounds.threads > 1 && !own.listeners.is_empty();
        if is_one_of_several {
            memory::share_one_heap();
        }
        let storage = Self::storage_for(&own.origins)?;
        own.take_storage(storage)?;
        own.inbox = own.datagrams.iter().any(DatagramServer::is_inet).then(Inbox::new);
        (own.stop, own.reload) = (Some(stop), reload);
        if is_one_of_several {
            own.spawn_workers();
        }
        Ok(own)
    }

    /// A loop that has no socket yet.
    fn idle(poller: Poller, bounds: Bounds, observer: Box<dyn Observer>, began: Instant) -> Self {
        Self {
            poller,
            listeners: Vec::new(),
            origins: Vec::new(),
            member: None,
            threads: Vec::new(),
            datagrams: Vec::new(),
            channels: Slab::new(),
            memory: 0,
            timers: Timers::default(),
            bounds,
            stop: None,
            reload: None,
            order: Vec::new(),
            resources: LoopResources::new(observer),
            inbox: None,
            began,
            has_sites: false,
            storage: None,
            broken: None,
            alone: None,
            accept_again: None,
            told_full: None,
            waiting: VecDeque::new(),
            announced: Announced::default(),
            left: 0,
            groups: Groups::default(),
            leftovers: Leftovers::default(),
            has_hurried: false,
            end_by: None,
        }
    }

    /// Who does for sites what takes long.
    fn storage_for(origins: &[Origin]) -> io::Result<Option<Storage>> {
        let takes_files =
            |origin: &Origin| matches!(&origin.behaviour, Behaviour::Site(website) if website.takes_files());
        match origins.iter().any(|origin| matches!(origin.behaviour, Behaviour::Site(_))) {
            true if origins.iter().any(takes_files) => Storage::new().map(Some),
            // Without it, what takes long holds the others up, and is answered all the same.
            true => Ok(Storage::new().ok()),
            false => Ok(None),
        }
    }

    /// Begins to hear of what is done.
    fn take_storage(&mut self, storage: Option<Storage>) -> io::Result<()> {
        self.has_sites = self.origins.iter().any(|origin| matches!(origin.behaviour, Behaviour::Site(_)));
        if let Some(storage) = &storage {
            self.poller.add(storage, Token::Stored, Interest::Read)?;
        }
        self.storage = storage;
        Ok(())
    }

    /// Serves until it is stopped and the last conversation has ended or the grace is over.
    ///
    /// # Errors
    /// As `epoll_wait(2)`; a listener that broke is an error too.
    pub(crate) fn run(mut self) -> io::Result<Summary> {
        for listener in &self.listeners {
            if !listener.socket.has_one_client() {
                self.resources.observer.observe(Event::Listening(listener.socket.endpoint.clone()));
            }
        }
        for server in &self.datagrams {
            self.resources.observer.observe(Event::Listening(server.socket.endpoint.clone()));
        }
        self.resources.now = self.clock();
        let mut ready: Vec<Ready> = Vec::with_capacity(1024);
        if self.all_played() && self.closed() >= self.resources.tally.opened {
            // The only one there is was over at once.
            return self.end(false);
        }
        let mut later: Vec<Ready> = Vec::new();
        loop {
            self.hand_on();
            let visit_by = self.visit_by();
            let next = self.next_wake(visit_by);
            let mut time = next.map(|at| self.time_until(at));
            if self.attend() {
                time = Some(Duration::ZERO);
            }
            self.poller.wait(time, &mut ready)?;
            self.resources.now = self.clock();
            if self.has_sites {
                self.resources.date.update(SystemTime::now());
            }
            for event in &ready {
                // Who closed one connection and opened the next is heard in this order.
                if let Token::Listener(index) = event.token
                    && self.spans(index as usize)
                {
                    later.push(*event);
                    continue;
                }
                if let ControlFlow::Break(LoopEnd { at_once }) = self.handle(event) {
                    return self.end(at_once);
                }
            }
            self.hand_on();
            for event in later.drain(..) {
                if let ControlFlow::Break(LoopEnd { at_once }) = self.handle(&event) {
                    return self.end(at_once);
                }
            }
            self.wake_due();
            self.hand_on();
            self.admit_waiting();
            self.start_waiting();
            self.resources.lines.tell_due(self.resources.now, &mut *self.resources.observer);
            self.make_room(false);
            if self.broken.is_some() && !self.resources.stopping {
                self.end_by = Some(self.begin_grace());
            }
            if self.has_ended() {
                return self.end(false);
            }
            if visit_by.is_some_and(|at| self.resources.now >= at) && self.visit_by() == visit_by {
                return self.end(false).map(|summary| Summary { unvisited: true, ..summary });
            }
            if self.has_stopped() {
                return self.end(false);
            }
        }
    }

    /// By when the next client has to come: the time runs while none is there. The other loops do not see clients come, and
    /// end with the first.
    fn visit_by(&mut self) -> Option<Moment> {
        let wait = self.bounds.wait_for_client.filter(|_| self.is_first())?;
        if self.live() > 0 || self.resources.stopping || self.datagrams.iter().any(DatagramServer::is_busy) {
            self.alone = None;
            return None;
        }
        let opened = self.resources.tally.opened;
        let (since, _) = *match &mut self.alone {
            Some(alone) if alone.1 == opened => alone,
            alone => alone.insert((self.resources.now, opened)),
        };
        Some(since.after(wait))
    }

    /// Whether as many conversations were opened as there are to be.
    fn all_played(&self) -> bool {
        self.is_first()
            && self.bounds.plays.is_some_and(|plays| self.resources.tally.begun() >= plays)
            && self.groups.is_empty()
    }

    /// New conversations get the new behaviours; those that are open go on with the old ones.
    fn load_again(&mut self) {
        let Some(reload) = &mut self.reload else { return };
        if reload.asked.asked() == 0 {
            return;
        }
        let notice = match (reload.load)() {
            Ok((behaviours, notice)) => {
                for (behaviour, &(datagrams, index)) in behaviours.into_iter().zip(&self.order) {
                    if datagrams {
                        Arc::make_mut(&mut self.datagrams[index].origin).behaviour = behaviour;
                    } else {
                        self.origins[index].behaviour = behaviour;
                    }
                }
                if let Some(member) = &self.member {
                    let copies = || self.origins.iter().map(Origin::for_another_thread).collect();
                    member.workers.write_all(|| Message::Origins(copies()));
                }
                notice
            }
            Err(why) => format!("not read again, the old one stays: {why}"),
        };
        self.resources.observer.observe(Event::Notice(notice));
    }

    /// How long to wait for a moment. The clock is read for one that is near; for others it is enough to know when this turn
    /// began, for what was done in a turn is done before anything that is due.
    fn time_until(&self, at: Moment) -> Duration {
        let since = |now: Moment| Duration::from_nanos(at.nanos().saturating_sub(now.nanos()));
        let far = since(self.resources.now);
        if far > NEAR { far } else { since(self.clock()) }
    }

    fn clock(&self) -> Moment {
        Moment::from_nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn next_wake(&self, visit_by: Option<Moment>) -> Option<Moment> {
        let datagrams = self.datagrams.iter().filter_map(DatagramServer::wakes);
        self.timers
            .next()
            .into_iter()
            .chain(self.accept_again)
            .chain(self.end_by)
            .chain(visit_by)
            .chain(self.resources.lines.due())
            .chain(datagrams)
            .chain(self.looks_again())
            .chain(self.leftovers.wakes())
            .chain(self.announced.wakes())
            .chain(self.groups.wakes())
            .min()
    }

    /// Does something with one connection, then sees to its interest, its deadline and its end.
    fn with_channel(&mut self, key: Key, act: impl FnOnce(&mut Channel, &mut Context<'_>) -> ChannelStatus) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        let origin = &self.origins[channel.origin];
        let storing = self.storage.as_ref().map(|storage| Storing { storage, key });
        let mut context = self.resources.context(&self.bounds, origin, storing);
        let mut fate = act(channel, &mut context);
        if channel.is_broken && fate != ChannelStatus::Closed && channel.hear_out(&mut context) == ChannelStatus::Closed
        {
            fate = ChannelStatus::Closed;
        }
        if fate != ChannelStatus::Open {
            let moved = match channel.line.fd() {
                _ if fate == ChannelStatus::Closed => return self.drop_channel(key),
                Some(fd) => self.poller.add(fd, Token::Channel(key), channel.wants()),
                None => Ok(()),
            };
            channel.interest = channel.wants();
            if let Err(error) = moved {
                channel.unwatched(&error, &mut context);
                return self.drop_channel(key);
            }
        }
        if matches!(channel.agent, Agent::Child(_)) {
            self.leftovers.extend(channel.leftover());
            if let Err(error) = channel.watch_child(&self.poller, key) {
                channel.kill_child();
                channel.unwatched(&error, &mut context);
                self.drop_channel(key);
                return;
            }
        }
        let held = channel.memory();
        if held != channel.held {
            if channel.held == 0 || held < channel.held {
                // It went on: what waits now waits from here.
                channel.held_since = context.now;
            }
            self.memory = self.memory + held - channel.held;
            channel.held = held;
        }
        let wants = channel.wants();
        if wants != channel.interest {
            let changed = channel.line.fd().map_or(Ok(()), |fd| self.poller.change(fd, Token::Channel(key), wants));
            if let Err(error) = changed {
                // It would wait for what the kernel does not tell.
                channel.unwatched(&error, &mut context);
                self.drop_channel(key);
                return;
            }
            channel.interest = wants;
        }
        if let Some(at) = channel.wakes() {
            self.timers.arm(&mut channel.armed, at, key);
        }
    }

    fn drop_channel(&mut self, key: Key) {
        let Some(mut channel) = self.channels.remove(key) else { return };
        self.memory -= channel.held;
        self.leftovers.extend(channel.leftover());
        if let Line::OnePeer(peer) = &channel.line {
            self.forget_peer(peer, key);
        }
        if channel.group != 0 && matches!(channel.agent, Agent::Play(..)) {
            self.resources.handoffs.push_back(Handoff {
                group: channel.group,
                first: None,
                continuation: Continuation::Over,
            });
        }
        // Whoever is told of it finds that its address has room.
        drop(channel);
        if let Some(Membership { workers, worker, .. }) = &self.member {
            workers.remove(*worker, self.resources.tally.closed);
        }
        // Deadlines of connections that came and went would stand in the heap for minutes.
        if self.timers.len() > 2 * self.channels.len() + STALE {
            let channels = &self.channels;
            self.timers.keep(|key| channels.contains(key));
        }
        if self.accept_again.is_some() {
            // There is room again: those who wait in the backlog come in with the next look.
            self.accept_again = Some(self.resources.now);
        }
    }

    fn with_datagrams(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut DatagramServer, Option<&mut Inbox>, &mut Context<'_>),
    ) {
        let Some(server) = self.datagrams.get_mut(index) else { return };
        let origin = Arc::clone(&server.origin);
        let mut context = self.resources.context(&self.bounds, &origin, None);
        act(server, self.inbox.as_mut(), &mut context);
    }

    /// Serves a client here.
    fn take_in(&mut self, fd: OwnedFd, mut identity: Identity) {
        let origin = &self.origins[identity.origin];
        let mut agent = Agent::new(&origin.behaviour);
        let mut paused = false;
        if let (Agent::Child(served), Behaviour::Exec(exec)) = (&mut agent, &origin.behaviour) {
            served.permit = identity.permit.take();
            // Its program is to have the socket: what comes is none of ours.
            let is_plain = origin.endpoint.protocol == Protocol::Tcp && !origin.begins_secure();
            paused = is_plain && exec.terminal == Terminal::None;
        }
        let number = identity.number;
        let (line, marked) = Line::of_client(fd, origin.endpoint.protocol);
        let mut channel = Channel::new(line, identity, agent, self.resources.now);
        channel.paused = paused;
        if self.spans(channel.origin) {
            let (id, origin) = (number, channel.origin);
            channel.group = id;
            self.begin_group(id, origin, channel.conversation(&self.origins[origin]));
            let key = self.adopt_client(channel, marked);
            return self.join_group(id, FIRST, key);
        }
        self.adopt_client(channel, marked);
    }

    /// The same of a client, with what went wrong as it came in.
    fn adopt_client(&mut self, channel: Channel, came: Result<(), Errno>) -> Key {
        let key = self.adopt(channel);
        if let Err(error) = came {
            self.with_channel(key, |channel, context| {
                channel.unwatched(&error.into(), context);
                ChannelStatus::Closed
            });
        }
        key
    }

    /// Has a channel watched, and lets it begin.
    fn adopt(&mut self, mut channel: Channel) -> Key {
        let wants = channel.wants();
        channel.interest = wants;
        let key = self.channels.insert(Box::new(channel));
        let watched = match self.channels.get_mut(key).and_then(|channel| channel.line.fd()) {
            Some(fd) => self.poller.add(fd, Token::Channel(key), wants),
            None => Ok(()),
        };
        if let Err(error) = watched {
            self.with_channel(key, |channel, context| {
                channel.unwatched(&error, context);
                ChannelStatus::Closed
            });
            return key;
        }
        self.with_channel(key, Channel::open);
        key
    }

    fn wake_due(&mut self) {
        // Each at most once, so that one that is due again and again holds nobody up.
        for _ in 0..self.timers.len() {
            let Some((at, key)) = self.timers.due(self.resources.now) else { break };
            self.with_channel(key, |channel, context| {
                channel.armed.clear(at);
                channel.wake(context)
            });
            // Many may be due at once, each with much to say.
            self.make_room(false);
        }
        self.leftovers.wake(self.resources.now);
        self.wake_announced();
        self.wake_groups();
        for index in 0..self.datagrams.len() {
            if self.datagrams[index].wakes().is_some_and(|at| at <= self.resources.now) {
                self.with_datagrams(index, |server, _, context| server.wake(context));
            }
        }
        if self.accept_again.is_some_and(|at| at <= self.resources.now) {
            self.resume_accepting();
        }
    }

    /// Answers the datagrams that have come to a socket.
    fn serve_datagrams(&mut self, index: usize) {
        self.with_datagrams(index, |server, inbox, context| server.ready(inbox, context));
        self.serve_programs(index);
    }
}
