//! The one place that joins players to sockets, at either end of a connection: a loop for each thread waits with epoll(7),
//! moves bytes, keeps deadlines and reports. It knows no option of the command line and no text of a transcript.

mod accept;
mod acceptor;
#[cfg(feature = "http")]
mod access;
mod account;
mod after_play;
mod announced;
#[cfg(feature = "http")]
mod answer_context;
mod answers;
mod at_rest;
mod behaviour;
mod bounds;
mod channel;
pub(crate) mod client;
mod connect;
mod context;
mod datagram;
mod dispatch;
mod events;
mod exec;
#[cfg(feature = "figures")]
mod generate;
mod groups;
mod guard;
mod handoff;
mod held;
#[cfg(feature = "http")]
mod http2;
#[cfg_attr(not(feature = "figures"), path = "no_load.rs")]
pub(crate) mod load;
mod mailbox;
#[cfg(feature = "http")]
mod more_files;
mod origin;
mod outlet;
#[cfg(feature = "http")]
mod pending_request;
mod programs;
mod reactor;
pub(crate) mod relay;
mod reload;
mod room;
#[cfg(feature = "http")]
mod served;
mod setup;
mod stopping;
#[cfg(feature = "http")]
mod storage;
mod threads;
#[cfg(feature = "http")]
mod turn;
#[cfg_attr(not(feature = "http"), path = "no_web.rs")]
mod web;
mod workers;

use std::io;
use std::ops::ControlFlow;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use transcript::Moment;

use acceptor::Acceptor;
use announced::Announced;
use bounds::Tally;
use channel::Channel;
use context::{Context, LoopResources};
use datagram::DatagramServer;
use events::LoopEnd;
use exec::Leftovers;
use groups::Groups;
use origin::Origin;
use reactor::poller::{Poller, Ready};
use reactor::slab::Slab;
use reactor::timers::Timers;
use reactor::token::Token;
#[cfg(feature = "http")]
use storage::{Storage, Storing};
use threads::Membership;
#[cfg(not(feature = "http"))]
use web::{Storage, Storing};

use crate::event::Event;
use crate::net::listen::Socket;
use crate::stop::Stop;
use crate::sys::datagrams::Inbox;

pub(crate) use behaviour::Behaviour;
pub use bounds::Summary;
pub(crate) use bounds::{Bounds, Listening, Loaded, Reload, ReloadError};
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
    listeners: Vec<Socket>,
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
    acceptor: Acceptor,
    /// Clients that have to say first whom they are for.
    announced: Announced,
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
    /// Serves until it is stopped and the last conversation has ended or the grace is over.
    ///
    /// # Errors
    /// As `epoll_wait(2)`; a listener that broke is an error too.
    pub(crate) fn run(mut self) -> io::Result<Summary> {
        for listener in &self.listeners {
            if !listener.has_one_client() {
                self.resources.observer.observe(Event::Listening(listener.endpoint.clone()));
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
            if let ControlFlow::Break(LoopEnd { at_once }) = self.handle_all(&ready, &mut later) {
                return self.end(at_once);
            }
            self.see_to_others();
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

    /// Handles what the kernel told in this turn; `later` is empty before and after.
    #[inline]
    fn handle_all(&mut self, ready: &[Ready], later: &mut Vec<Ready>) -> ControlFlow<LoopEnd> {
        for event in ready {
            // Who closed one connection and opened the next is heard in this order.
            if let Token::Listener(index) = event.token
                && self.spans(index as usize)
            {
                later.push(*event);
                continue;
            }
            self.handle(event)?;
        }
        self.hand_on();
        for event in later.drain(..) {
            self.handle(&event)?;
        }
        ControlFlow::Continue(())
    }

    /// What is due, waits or has to be told after the events of a turn.
    #[inline]
    fn see_to_others(&mut self) {
        self.wake_due();
        self.hand_on();
        self.admit_waiting();
        self.start_waiting();
        self.resources.lines.tell_due(self.resources.now, &mut *self.resources.observer);
        self.make_room(false);
        if self.broken.is_some() && !self.resources.stopping {
            self.end_by = Some(self.begin_grace());
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
            .chain(self.acceptor.resumes())
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

    fn wake_due(&mut self) {
        // Each at most once, so that one that is due again and again holds no other up.
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
        if self.acceptor.resumes().is_some_and(|at| at <= self.resources.now) {
            self.resume_accepting();
        }
    }
}
