//! A relay: clients that were accepted, each joined to a connection of its own to a server. A loop of its own on the engine's
//! slab and timers: a channel of the engine has one socket and an agent that decides what is said on it, and a pair has two
//! sockets and says nothing of its own. It knows no option of the command line.

mod accept;
mod attempts;
mod capture;
mod connecting;
mod direction;
mod dispatch;
mod flows;
mod framing;
mod leg;
mod lingering;
mod live;
mod message_queue;
mod messages;
mod names;
mod pair;
mod pcapng;
mod poll;
mod state;
mod stopping;
mod summary;
mod tap;
mod targets;

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use transcript::Moment;

use super::acceptor::Acceptor;
use super::reactor::slab::Slab;
use super::reactor::timers::Timers;
use super::reactor::token::Key;
use crate::address::Framing;
use crate::event::{Event, Observer, Protocol};
use crate::faults::BadNetwork;
use crate::gate::Gate;
use crate::net::listen::Socket;
use crate::net::session::ServerLayers;
use crate::stop::Stop;
use direction::Pipes;
use flows::Flows;
use leg::Buffer;
use lingering::LingeringPair;
use pair::{EndOfRelay, Pair};
use poll::{Poll, Readiness, RelayToken};
use state::{RelayMessage, RelayState};

pub(crate) use capture::Capture;
pub(crate) use live::Live;
pub(crate) use names::{Bell, Named};
pub use summary::{PairFailure, Summary};
pub use tap::{Listen, TapOptions};
pub use targets::Balance;
pub(crate) use targets::{Target, TargetAddress, Targets};

/// How long it takes until what this machine could not do, or a full backlog, is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a pair has lived when its server is first worth probes (keepalive): four calls that a short one is spared.
const PROBES_AFTER: Duration = Duration::from_secs(1);

/// How to relay.
#[derive(Debug, Clone)]
pub(crate) struct RelaySettings {
    pub(crate) threads: usize,
    /// Connections in all; then the relay ends.
    pub(crate) plays: Option<u64>,
    /// How long pairs get when the relay is stopped.
    pub(crate) grace: Duration,
    pub(crate) connect_timeout: Duration,
    /// How long a pair may be silent.
    pub(crate) idle: Option<Duration>,
    /// How long a client's datagrams may stay away until it is forgotten.
    pub(crate) datagram_idle: Duration,
    /// How streams hold messages, where messages keep their bounds from one end to the other, for an end is no stream.
    pub(crate) messages: Option<Framing>,
    /// Pairs at once.
    pub(crate) pairs: usize,
    /// Bytes that what waits in all pairs of a thread may take.
    pub(crate) memory: usize,
    /// Who may come in.
    pub(crate) gate: Gate,
    pub(crate) network: BadNetwork,
    pub(crate) hearers: TapOptions,
    pub(crate) capture: Option<Arc<Capture>>,
    /// Faults that change while it runs; then it has one thread.
    pub(crate) live: Option<Arc<Live>>,
    /// What several relays number their connections by.
    pub(crate) numbers: Option<Arc<AtomicU64>>,
}

/// A listening socket, and what its clients are spoken to through.
#[derive(Debug)]
pub(crate) struct RelayListener {
    pub(crate) socket: Socket,
    pub(crate) layers: ServerLayers,
}

/// The loop of one thread.
struct RelayLoop {
    worker: usize,
    shared: Arc<RelayState>,
    poll: Poll,
    /// Only the first has any; the others know how clients are spoken to.
    listeners: Vec<RelayListener>,
    layers: Vec<ServerLayers>,
    pairs: Slab<Box<Pair>>,
    /// Where datagrams are relayed, and not streams.
    flows: Option<Box<Flows>>,
    timers: Timers,
    began: Instant,
    now: Moment,
    buffer: Buffer,
    pipes: Pipes,
    /// Pairs that have more to move.
    again: Vec<Key>,
    /// Bytes that wait in all pairs.
    memory: usize,
    /// Those whose pair is over, and who is not.
    lingering: Vec<LingeringPair>,
    stop: Option<Stop>,
    stop_by: Option<Moment>,
    acceptor: Acceptor,
    broken: Option<io::Error>,
}

/// Relays until it is stopped and the last pair has ended, or the grace is over.
///
/// # Errors
/// The loop itself failed: no descriptor for epoll, or a listener that broke.
pub(crate) fn run(
    listeners: Vec<RelayListener>,
    targets: Targets,
    options: RelaySettings,
    stop: Stop,
    observer: Box<dyn Observer>,
) -> io::Result<Summary> {
    let began = Instant::now();
    let threads = options.threads.max(1);
    let shared = Arc::new(RelayState::new(options, targets, observer)?);
    let layers: Vec<ServerLayers> = listeners.iter().map(|listener| listener.layers.clone()).collect();
    let mut workers = Vec::new();
    for worker in 1..threads {
        let epoll = RelayLoop::poll(&shared, worker)?.into_epoll();
        let (shared, layers) = (Arc::clone(&shared), layers.clone());
        let thread = std::thread::Builder::new().name(format!("relay {worker}"));
        workers.push(thread.spawn(move || {
            let ran = RelayLoop::new(worker, Arc::clone(&shared), Poll::over(epoll), layers, began).run();
            shared.leave(worker);
            ran
        })?);
    }
    let mut first = RelayLoop::new(0, Arc::clone(&shared), RelayLoop::poll(&shared, 0)?, layers, began);
    let ran = first.listen(listeners, stop).and_then(|()| first.run());
    shared.write_all(|| RelayMessage::End);
    for worker in workers {
        let _ = worker.join();
    }
    let lost = first.finish_peers();
    if let Some(live) = &shared.options.live {
        live.end();
    }
    let mut summary = ran.map(|at_once| shared.summary(at_once))?;
    if lost > 0 {
        summary.lost += lost;
        summary.failure.get_or_insert(PairFailure::CutShort);
    }
    Ok(summary)
}

impl RelayLoop {
    fn poll(shared: &RelayState, worker: usize) -> io::Result<Poll> {
        let poll = Poll::new()?;
        poll.add(shared.waker(worker), RelayToken::Mail)?;
        Ok(poll)
    }

    fn new(worker: usize, shared: Arc<RelayState>, poll: Poll, layers: Vec<ServerLayers>, began: Instant) -> Self {
        Self {
            worker,
            shared,
            poll,
            listeners: Vec::new(),
            layers,
            pairs: Slab::new(),
            flows: None,
            timers: Timers::default(),
            began,
            now: Moment::default(),
            buffer: Buffer::new(),
            pipes: Pipes::default(),
            again: Vec::new(),
            memory: 0,
            lingering: Vec::new(),
            stop: None,
            stop_by: None,
            acceptor: Acceptor::default(),
            broken: None,
        }
    }

    /// Takes over the sockets.
    fn listen(&mut self, mut listeners: Vec<RelayListener>, stop: Stop) -> io::Result<()> {
        listeners.iter_mut().try_for_each(|listener| listener.socket.start())?;
        self.poll.add(&stop, RelayToken::Stop)?;
        if let Some(live) = &self.shared.options.live {
            self.poll.add(&**live, RelayToken::Faults)?;
        }
        let is_udp = |RelayListener { socket, .. }: &RelayListener| {
            socket.endpoint.protocol == Protocol::Udp && !socket.is_split() && !socket.has_one_client()
        };
        if listeners.first().is_some_and(is_udp) {
            let flows = Flows::new(listeners.into_iter().map(|listener| listener.socket).collect());
            for (index, socket) in flows.near().iter().enumerate() {
                self.poll.add(&socket.fd, RelayToken::Datagrams(index as u32))?;
                self.shared.observe(Event::Listening(socket.endpoint.clone()));
            }
            (self.stop, self.flows) = (Some(stop), Some(Box::new(flows)));
            return Ok(());
        }
        for (index, listener) in listeners.iter().enumerate() {
            self.poll.add(&listener.socket.fd, RelayToken::Listener(index as u32))?;
            if !listener.socket.has_one_client() {
                self.shared.observe(Event::Listening(listener.socket.endpoint.clone()));
            }
        }
        (self.stop, self.listeners) = (Some(stop), listeners);
        if self.shared.options.gate.counts() {
            // A client that leaves makes room for one that waits.
            self.shared.is_attentive.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        Ok(())
    }

    /// Whether it was asked twice to end.
    fn run(&mut self) -> io::Result<bool> {
        let ran = self.turn_until_over();
        if ran.is_err() {
            // No peer is told an end that was none.
            self.cut_all(EndOfRelay::Broken);
        }
        ran
    }

    fn turn_until_over(&mut self) -> io::Result<bool> {
        let mut ready: Vec<Readiness> = Vec::with_capacity(512);
        loop {
            self.poll.wait(self.may_sleep(), &mut ready)?;
            self.now = self.clock();
            for ready in &ready {
                if let ControlFlow::Break(was_asked_twice) = self.handle(ready) {
                    self.cut_all(EndOfRelay::Stopped);
                    return Ok(was_asked_twice);
                }
            }
            for key in std::mem::take(&mut self.again) {
                if self.flows.is_some() {
                    self.take_answers(key);
                } else if let Some(pair) = self.pairs.get_mut(key) {
                    pair.is_queued = false;
                    self.advance(key);
                }
            }
            self.wake_due();
            if self.worker != 0 {
                continue;
            }
            self.admit_waiting();
            if self.broken.is_some() && self.stop_by.is_none() {
                self.begin_stopping();
            }
            let is_done = self.stop_by.is_some() || self.all_came();
            let is_late = self.stop_by.is_some_and(|by| self.now >= by);
            if is_done && (self.shared.live() == 0 || is_late) {
                self.cut_all(EndOfRelay::Stopped);
                return self.broken.take().map_or(Ok(false), Err);
            }
        }
    }

    /// How long nothing is to be done, unless the kernel tells of something.
    fn may_sleep(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let datagrams = self.flows.as_ref().and_then(|flows| flows.wakes());
        let lingering = self.lingering.iter().map(LingeringPair::wakes).min();
        let all = [self.timers.next(), self.stop_by, self.acceptor.resumes(), datagrams, lingering];
        let wakes = all.into_iter().flatten().min();
        wakes.map(|at| Duration::from_nanos(at.nanos().saturating_sub(self.clock().nanos())))
    }

    /// Sees to what is ready. It breaks where all is to be cut: true if that was asked for twice.
    #[inline]
    fn handle(&mut self, ready: &Readiness) -> ControlFlow<bool> {
        match ready.who {
            RelayToken::Pair(key, _) if self.flows.is_some() => self.take_answers(key),
            RelayToken::Pair(key, end) => self.ready(key, end, ready),
            RelayToken::Listener(index) => self.accept(index as usize),
            RelayToken::Stop => {
                let Some(stop) = &self.stop else { return ControlFlow::Continue(()) };
                match stop.asked() {
                    // It is asked no more, and would be ready all the time.
                    None => self.poll.remove(stop),
                    Some(0) => {}
                    Some(1) if self.stop_by.is_none() => self.begin_stopping(),
                    Some(_) => return ControlFlow::Break(true),
                }
            }
            RelayToken::Mail => return self.read_mail(),
            RelayToken::Datagrams(index) => self.take_datagrams(index as usize),
            RelayToken::Faults => self.change_faults(),
        }
        ControlFlow::Continue(())
    }

    /// What other loops tell this one.
    fn read_mail(&mut self) -> ControlFlow<bool> {
        // There may be room by now.
        self.acceptor.hurry(self.now);
        for message in self.shared.messages(self.worker) {
            match message {
                RelayMessage::Client(client) => self.take_in(*client),
                RelayMessage::Stop(by) => {
                    self.stop_by = Some(by);
                    self.end_silent();
                }
                RelayMessage::End => return ControlFlow::Break(false),
            }
        }
        ControlFlow::Continue(())
    }

    fn clock(&self) -> Moment {
        Moment::from_nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether as many clients came as there are to be.
    fn all_came(&self) -> bool {
        self.shared.options.plays.is_some_and(|plays| self.shared.opened() >= plays)
    }
}
