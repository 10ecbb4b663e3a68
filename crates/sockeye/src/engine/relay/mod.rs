//! A relay: clients that were accepted, each joined to a connection of its own to a server. A loop of its own on the engine's
//! slab and timers: a channel of the engine has one socket and an agent that decides what is said on it, and a pair has two
//! sockets and says nothing of its own. It knows no option of the command line.

mod accept;
mod attempts;
mod capture;
mod connecting;
mod direction;
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
mod tap;
mod targets;

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use transcript::{FaultKind, Moment};

use super::reactor::slab::Slab;
use super::reactor::timers::Timers;
use super::reactor::token::Key;
use crate::address::Framing;
use crate::event::{Event, Observer, Protocol};
use crate::failure::Kind;
use crate::faults::BadNetwork;
use crate::gate::Gate;
use crate::net::listen::Socket;
use crate::net::session::ServerLayers;
use crate::net::words;
use crate::stop::Stop;
use accept::PendingClient;
use direction::{Pipes, Tools};
use flows::Flows;
use leg::Buffer;
use lingering::LingeringPair;
use pair::{EndOfRelay, Pair, PairStatus, Stage};
use poll::{End, Poll, Ready, Token};
use state::{Message, RelayState};

pub(crate) use capture::Capture;
pub(crate) use live::Live;
pub(crate) use names::{Bell, Named};
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

/// What went wrong with a pair, for an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairFailure {
    /// There is no server.
    Kind(Kind),
    /// It was reset.
    Reset,
    /// Not everything arrived.
    CutShort,
    /// TLS failed.
    Tls,
    /// The server's certificate is not believed.
    Untrusted,
}

impl PairFailure {
    fn fault(self) -> FaultKind {
        match self {
            Self::Untrusted => FaultKind::Untrusted,
            Self::Reset => FaultKind::Reset,
            _ => FaultKind::Tls,
        }
    }
}

/// What came of one pair.
#[derive(Debug)]
pub(super) struct Outcome {
    from_client: u64,
    from_server: u64,
    lost: u64,
    failure: Option<PairFailure>,
    is_cut: bool,
}

/// What came of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Clients that came.
    pub opened: u64,
    /// Pairs that ended by themselves.
    pub closed: u64,
    /// Of all pairs, those with which something went wrong.
    pub failed: u64,
    /// Pairs that the end of the relay cut.
    pub cut: u64,
    /// Bytes that came from clients.
    pub from_clients: u64,
    /// Bytes that came from servers.
    pub from_servers: u64,
    /// Bytes of both that the other side did not take.
    pub lost: u64,
    /// The first thing that went wrong.
    pub failure: Option<PairFailure>,
    /// Whether it was asked twice to end.
    pub at_once: bool,
}

impl Summary {
    /// Adds what came of another relay.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { opened, closed, failed, cut, from_clients, from_servers, lost, failure, at_once } = other;
        self.opened += opened;
        self.closed += closed;
        self.failed += failed;
        self.cut += cut;
        self.from_clients += from_clients;
        self.from_servers += from_servers;
        self.lost += lost;
        self.failure = self.failure.or(failure);
        self.at_once |= at_once;
    }
}

/// A listening socket, and what its clients are spoken to through.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: Socket,
    pub(crate) layers: ServerLayers,
}

/// The loop of one thread.
struct Loop {
    worker: usize,
    shared: Arc<RelayState>,
    poll: Poll,
    /// Only the first has any; the others know how clients are spoken to.
    listeners: Vec<Listener>,
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
    /// Those whose pair is over, and who is not.
    lingering: Vec<LingeringPair>,
    stop: Option<Stop>,
    stop_by: Option<Moment>,
    accept_again: Option<Moment>,
    told_full: Option<Moment>,
    /// Clients that wait for others of their address to leave; and how many had left at the last look.
    waiting: VecDeque<PendingClient>,
    left: u64,
    is_paused: bool,
    broken: Option<io::Error>,
}

/// Relays until it is stopped and the last pair has ended, or the grace is over.
///
/// # Errors
/// The loop itself failed: no descriptor for epoll, or a listener that broke.
pub(crate) fn run(
    listeners: Vec<Listener>,
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
        let epoll = Loop::poll(&shared, worker)?.into_epoll();
        let (shared, layers) = (Arc::clone(&shared), layers.clone());
        let thread = std::thread::Builder::new().name(format!("relay {worker}"));
        workers.push(thread.spawn(move || {
            let ran = Loop::new(worker, Arc::clone(&shared), Poll::over(epoll), layers, began).run();
            shared.leave(worker);
            ran
        })?);
    }
    let mut first = Loop::new(0, Arc::clone(&shared), Loop::poll(&shared, 0)?, layers, began);
    let ran = first.listen(listeners, stop).and_then(|()| first.run());
    shared.write_all(|| Message::End);
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

impl Loop {
    fn poll(shared: &RelayState, worker: usize) -> io::Result<Poll> {
        let poll = Poll::new()?;
        poll.add(shared.waker(worker), Token::Mail)?;
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
            lingering: Vec::new(),
            stop: None,
            stop_by: None,
            accept_again: None,
            told_full: None,
            waiting: VecDeque::new(),
            left: 0,
            is_paused: false,
            broken: None,
        }
    }

    /// Takes over the sockets.
    fn listen(&mut self, mut listeners: Vec<Listener>, stop: Stop) -> io::Result<()> {
        listeners.iter_mut().try_for_each(|listener| listener.socket.start())?;
        self.poll.add(&stop, Token::Stop)?;
        if let Some(live) = &self.shared.options.live {
            self.poll.add(&**live, Token::Faults)?;
        }
        let is_udp = |Listener { socket, .. }: &Listener| {
            socket.endpoint.protocol == Protocol::Udp && !socket.is_split() && !socket.has_one_client()
        };
        if listeners.first().is_some_and(is_udp) {
            let flows = Flows::new(listeners.into_iter().map(|listener| listener.socket).collect());
            for (index, socket) in flows.near().iter().enumerate() {
                self.poll.add(&socket.fd, Token::Datagrams(index as u32))?;
                self.shared.observe(Event::Listening(socket.endpoint.clone()));
            }
            (self.stop, self.flows) = (Some(stop), Some(Box::new(flows)));
            return Ok(());
        }
        for (index, listener) in listeners.iter().enumerate() {
            self.poll.add(&listener.socket.fd, Token::Listener(index as u32))?;
            if !listener.socket.has_one_client() {
                self.shared.observe(Event::Listening(listener.socket.endpoint.clone()));
            }
        }
        (self.stop, self.listeners) = (Some(stop), listeners);
        if self.shared.options.gate.counts() {
            // Whoever leaves makes room for one who waits.
            self.shared.is_attentive.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        Ok(())
    }

    /// What was said to peers of datagram sockets goes out; how many bytes did not.
    fn finish_peers(&mut self) -> u64 {
        let mut lost = 0;
        for listener in &mut self.listeners {
            let left = listener.socket.finish();
            lost += left.lost;
            for (count, error) in left.told {
                self.shared.observe(Event::Dropped { count, error });
            }
        }
        lost
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
        let mut ready: Vec<Ready> = Vec::with_capacity(512);
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
        let all = [self.timers.next(), self.stop_by, self.accept_again, datagrams, lingering];
        let wakes = all.into_iter().flatten().min();
        wakes.map(|at| Duration::from_nanos(at.nanos().saturating_sub(self.clock().nanos())))
    }

    /// Sees to what is ready. It breaks where all is to be cut: true if that was asked for twice.
    #[inline]
    fn handle(&mut self, ready: &Ready) -> ControlFlow<bool> {
        match ready.who {
            Token::Pair(key, _) if self.flows.is_some() => self.take_answers(key),
            Token::Pair(key, end) => self.ready(key, end, ready),
            Token::Listener(index) => self.accept(index as usize),
            Token::Stop => {
                let asked = self.stop.as_ref().map_or(0, Stop::asked);
                if asked > 1 || asked == 1 && self.stop_by.is_some() {
                    return ControlFlow::Break(true);
                }
                if asked == 1 {
                    self.begin_stopping();
                }
            }
            Token::Mail => return self.read_mail(),
            Token::Datagrams(index) => self.take_datagrams(index as usize),
            Token::Faults => self.change_faults(),
        }
        ControlFlow::Continue(())
    }

    /// What other loops tell this one.
    fn read_mail(&mut self) -> ControlFlow<bool> {
        if self.is_paused {
            // There may be room by now.
            self.accept_again = Some(self.now);
        }
        for message in self.shared.messages(self.worker) {
            match message {
                Message::Client(client) => self.take_in(*client),
                Message::Stop(by) => {
                    self.stop_by = Some(by);
                    self.end_silent();
                }
                Message::End => return ControlFlow::Break(false),
            }
        }
        ControlFlow::Continue(())
    }

    /// Faults have changed: every pair has the new ones before whoever changed them goes on.
    fn change_faults(&mut self) {
        let Some(live) = self.shared.options.live.clone() else { return };
        live.hear();
        let (faults, change) = live.look();
        let seed = self.shared.options.network.seed;
        for key in self.pairs.keys() {
            if let Some(pair) = self.pairs.get_mut(key) {
                pair.change(&faults, seed, self.now);
                self.advance(key);
            }
        }
        live.is_known(change);
    }

    fn clock(&self) -> Moment {
        Moment::from_nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether as many clients came as there are to be.
    fn all_came(&self) -> bool {
        self.shared.options.plays.is_some_and(|plays| self.shared.opened() >= plays)
    }

    fn begin_stopping(&mut self) {
        let by = self.now.after(self.shared.options.grace);
        self.stop_by = Some(by);
        self.close_listeners();
        self.shared.is_attentive.store(true, std::sync::atomic::Ordering::SeqCst);
        self.shared.write_all(|| Message::Stop(by));
        self.end_silent();
    }

    /// The relay ends: clients that cannot say that they have ended have, and get the answers to what they said.
    fn end_silent(&mut self) {
        for key in self.pairs.keys() {
            if let Some(pair) = self.pairs.get_mut(key)
                && pair.near.protocol.has_no_end()
            {
                pair.near.is_over = true;
                if let Some(far) = &mut pair.far {
                    far.hurries = true;
                }
                self.advance(key);
            }
        }
    }

    fn close_listeners(&mut self) {
        for listener in &mut self.listeners {
            self.poll.remove(&listener.socket.fd);
            listener.socket.close();
        }
        if !self.waiting.is_empty() {
            let count = std::mem::take(&mut self.waiting).len() as u64;
            let error = "clients that waited for room: the relay was stopped".to_owned();
            self.shared.observe(Event::Dropped { count, error });
        }
        if let Some(flows) = &mut self.flows {
            for socket in flows.near() {
                self.poll.remove(&socket.fd);
            }
            flows.close();
            self.end_flows();
        }
        self.accept_again = None;
    }

    fn cut_all(&mut self, end: EndOfRelay) {
        self.end_flows();
        for key in self.pairs.keys() {
            if let Some(pair) = self.pairs.get_mut(key) {
                pair.cut(end);
                self.conclude(key, true);
            }
        }
        for pair in std::mem::take(&mut self.lingering) {
            self.finish(pair);
        }
    }

    fn ready(&mut self, key: Key, end: End, ready: &Ready) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if end == End::Far && pair.far.is_some() && matches!(pair.stage, Stage::Connecting(_)) {
            if ready.writable || ready.broken {
                pair.ready(end, ready);
                self.connected(key, ready.broken);
            }
            return;
        }
        pair.ready(end, ready);
        if end == End::Near && ready.broken && matches!(pair.stage, Stage::Connecting(_)) {
            pair.near.broken = pair.near.broken.or_else(|| pair.near.take_error());
            // What it said before it left is for the server all the same.
            if pair.near.broken.is_some() && pair.near.unread() == 0 && pair.up.waiting() == 0 {
                if let Some(far) = &mut pair.far {
                    far.reset();
                }
                let why = "the client left before there was a server";
                pair.give_up(crate::event::ClosedBy::Reset, why.to_owned());
                self.conclude(key, false);
                return;
            }
        }
        self.advance(key);
    }

    /// Moves what a pair can move, and sees to what comes of it.
    fn advance(&mut self, key: Key) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if matches!(pair.stage, Stage::Greeting) {
            return self.go_on_greeting(key);
        }
        let mut tools = Tools { buffer: &mut self.buffer, pipes: &mut self.pipes, now: self.now };
        let shared = &self.shared;
        let fate = pair.advance(&mut tools, &mut |event| shared.observe(event));
        self.see_to(key, fate);
    }

    /// Whom a proxy stands for is heard first, then the handshake; then the server is asked.
    fn go_on_greeting(&mut self, key: Key) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if pair.awaits_header {
            match pair.hear_header() {
                Ok(false) => return,
                Ok(true) => {}
                Err(_) => return self.conclude(key, false),
            }
        }
        if pair.waits_for_room && !self.admit_announced(key) {
            return;
        }
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let mut tools = Tools { buffer: &mut self.buffer, pipes: &mut self.pipes, now: self.now };
        match pair.greet(&mut tools) {
            Ok(false) => {}
            Ok(true) => self.connect(key),
            Err(_) => self.conclude(key, false),
        }
    }

    fn see_to(&mut self, key: Key, fate: PairStatus) {
        match fate {
            PairStatus::Closed => self.conclude(key, false),
            PairStatus::Runnable => {
                let Some(pair) = self.pairs.get_mut(key) else { return };
                if !std::mem::replace(&mut pair.is_queued, true) {
                    self.again.push(key);
                }
            }
            PairStatus::Open => self.arm(key),
        }
    }

    /// Sees to it that a pair is woken for its deadline, and looked at for its idle time.
    fn arm(&mut self, key: Key) {
        let idle = self.shared.options.idle;
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let mut wakes = pair.deadline;
        if let Some(idle) = idle
            && matches!(pair.stage, Stage::Joined)
        {
            let moved = pair.moved();
            if moved != pair.last_moved.0 {
                pair.last_moved = (moved, self.now);
            }
            wakes = wakes.into_iter().chain([pair.last_moved.1.after(idle)]).min();
        }
        if let Some(at) = wakes {
            self.timers.arm(&mut pair.armed, at, key);
        }
    }

    fn wake_due(&mut self) {
        if self.accept_again.is_some_and(|at| at <= self.now) {
            self.resume_accepting();
        }
        self.finish_lingering();
        if self.flows.as_ref().and_then(|flows| flows.wakes()).is_some_and(|at| at <= self.now) {
            self.finish_datagrams();
        }
        while let Some((at, key)) = self.timers.due(self.now) {
            if self.flows.is_some() {
                self.wake_flow(key, at);
                continue;
            }
            let Some(pair) = self.pairs.get_mut(key) else { continue };
            pair.armed.clear(at);
            match &pair.stage {
                Stage::Greeting if pair.waits_for_room => self.advance(key),
                Stage::Greeting => {
                    if pair.deadline.is_some_and(|by| by <= self.now) {
                        pair.is_late();
                        self.conclude(key, false);
                    } else {
                        self.arm(key);
                    }
                }
                Stage::Connecting(_) => self.connect_again(key),
                Stage::Joined => {
                    let idle = self.shared.options.idle;
                    let moved = pair.moved();
                    if let Some(idle) = idle
                        && moved == pair.last_moved.0
                        && pair.last_moved.1.after(idle) <= self.now
                    {
                        pair.time_out(idle);
                        self.conclude(key, false);
                    } else {
                        self.advance(key);
                    }
                }
                _ => self.advance(key),
            }
        }
        if self.timers.len() > self.pairs.len() + self.shared.live() + super::STALE {
            let mut timers = std::mem::take(&mut self.timers);
            timers.keep(|key| self.pairs.contains(key) || self.has_flow(key));
            self.timers = timers;
        }
    }

    fn tell_opened(&mut self, key: Key) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if !std::mem::replace(&mut pair.was_told, true) {
            self.shared.observe(Event::Opened(pair.conversation.clone()));
        }
    }

    /// Says once that a capture is not whole.
    fn tell_capture(&self) {
        let failure = self.shared.options.capture.as_ref().and_then(|capture| capture.take_failure());
        if let Some(error) = failure {
            let why = format!("the capture is not whole: {}; the relay goes on", words(&error));
            self.shared.observe(Event::Notice(why));
        }
    }

    /// A pair is over: its sockets are closed, and it is told.
    fn conclude(&mut self, key: Key, is_cut: bool) {
        self.tell_opened(key);
        let Some(mut pair) = self.pairs.remove(key) else { return };
        if let Some(index) = pair.target
            && pair.conversation.to.is_some()
        {
            self.shared.targets.all[index].left();
        }
        let (event, outcome) = pair.conclude(self.now, is_cut);
        if let Some(taps) = pair.taps.take() {
            self.finish_taps(*taps, &pair.conversation);
        }
        let guests = std::mem::take(&mut pair.guests);
        // Whoever hears of it finds it closed.
        drop(pair);
        self.tell_capture();
        if !guests.is_empty() {
            let pair = LingeringPair::new(guests, event, outcome, self.now, self.shared.options.grace);
            self.lingering.push(pair);
            return self.finish_lingering();
        }
        self.is_over(event, &outcome);
    }

    /// Nothing of a connection is left.
    fn is_over(&mut self, event: Event, outcome: &Outcome) {
        self.shared.observe(event);
        self.shared.remove(self.worker, outcome);
        if self.is_paused {
            self.accept_again = Some(self.now);
        }
    }
}
