//! A datagram socket that serves: a play for each peer, which costs nothing while it stands at its beginning.

mod unix;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use transcript::{Ending, Fault, FaultKind, Input, Moment, Next, Play, Script};

use super::account::{Closed, cut_at, silence};
use super::answers::{Answers, Draining, Exchange, Loss, Pair};
use super::guard::{Guard, Reflected, Withheld};
use super::origin::{Closer, Origin};
use super::programs::Programs;
use super::{Behaviour, Context};
use crate::event::{Conversation, Event, Name, Protocol};
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::net::listen::Socket;
use crate::net::session::ServerLayers;
use crate::sys::datagrams::{self, Arrival, Inbox, PeerAddress};
use unix::Unix;

/// Entries of peers that are gone that may stand among the wakes.
const STALE: usize = 4096;
/// How often, at most, it is said what was withheld.
const SECOND: Duration = Duration::from_secs(1);
/// Batches taken from one socket before the others have their turn.
const BATCHES: usize = 8;

/// A peer whose play has gone on from its beginning.
#[derive(Debug)]
struct Peer {
    play: Play,
    /// The script that the play began with.
    script: Arc<Script>,
    tally: Exchange,
    /// What came while it could hear nothing, in order.
    waiting: VecDeque<Box<[u8]>>,
    until: Option<Moment>,
    /// The moment under which it stands among the wakes.
    armed: Option<Moment>,
    /// Bytes that its play was counted with.
    held: usize,
}

#[derive(Debug)]
pub(super) struct DatagramServer {
    pub(super) socket: Socket,
    pub(super) origin: Arc<Origin>,
    /// Where each peer has a program.
    pub(super) programs: Option<Box<Programs>>,
    guard: Guard,
    answers: Answers,
    /// Where it is a Unix socket.
    unix: Option<Box<Unix>>,
    /// The system tells of answers that it or a network did not deliver: where plays are judged.
    tells_errors: bool,
    peers: HashMap<Pair, Peer>,
    /// Bytes that the plays of the peers take.
    memory: usize,
    /// When to look at a peer again; an entry whose peer has another time by now is stale.
    wakes: BinaryHeap<Reverse<(Moment, Pair)>>,
    wildcard: bool,
    withheld: HashMap<Withheld, u64>,
    /// Bytes of datagrams that wait for their plays, and how many found no room.
    waiting: usize,
    crowded: u64,
    told: Option<Moment>,
    /// The kernel's count of what it dropped, when it was last looked at, and that moment.
    drops: (u32, Moment),
    /// Something came since: a second later it is looked at again.
    uncounted: bool,
}

impl DatagramServer {
    pub(super) fn new(socket: Socket, behaviour: Behaviour, guard: Guard, is_judged: bool) -> Self {
        let unix = (socket.endpoint.protocol == Protocol::UnixDgram).then(Box::<Unix>::default);
        if unix.is_none() {
            datagrams::take_many(&socket.fd);
        }
        let v6 = matches!(&socket.endpoint.name, Name::Inet(address) if address.is_ipv6());
        // Without it, what a full queue of an interface drops looks like sent (udp(7)).
        let tells_errors = is_judged && unix.is_none() && datagrams::report_errors(&socket.fd, v6, true).is_ok();
        let wildcard = matches!(&socket.endpoint.name, Name::Inet(address) if address.ip().is_unspecified());
        let origin = Arc::new(Origin::listener(socket.endpoint.clone(), behaviour, ServerLayers::default()));
        Self {
            socket,
            origin,
            programs: None,
            guard,
            answers: Answers::new(unix.as_ref().map(|unix| unix.peers())),
            unix,
            tells_errors,
            peers: HashMap::new(),
            memory: 0,
            wakes: BinaryHeap::new(),
            wildcard,
            withheld: HashMap::new(),
            waiting: 0,
            crowded: 0,
            told: None,
            drops: (0, Moment::default()),
            uncounted: false,
        }
    }

    /// Whether it is a socket over IP.
    pub(super) fn is_inet(&self) -> bool {
        self.unix.is_none()
    }

    /// Takes and answers what has come. An error of one datagram, or of an earlier answer that nobody took, is none of
    /// the socket.
    pub(super) fn ready(&mut self, inbox: Option<&mut Inbox>, context: &mut Context<'_>) {
        let Some(inbox) = inbox.filter(|_| self.unix.is_none()) else { return self.take_from_unix(context) };
        if self.tells_errors {
            datagrams::forget_errors(&self.socket.fd);
        }
        for _ in 0..BATCHES {
            match inbox.receive(&self.socket.fd) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => continue,
            }
            // Each datagram is a play where plays are counted; else there is nothing to tell them apart by.
            if matches!(self.origin.behaviour, Behaviour::Discard) && context.plays.is_none() {
                self.discard(inbox, context);
            } else {
                for arrival in inbox.arrivals() {
                    for payload in arrival.datagrams() {
                        self.answer(payload, arrival.from.into(), arrival.to, context);
                    }
                }
            }
            self.flush(context);
            if inbox.is_drained() {
                break;
            }
        }
        self.tell_withheld(context);
        self.uncounted = true;
        if context.now >= self.drops.1.after(SECOND) {
            self.tell_drops(context);
        }
    }

    /// Takes what came and lets it go. What was there at once from one peer is one conversation, so that a flood costs
    /// what its reading costs.
    fn discard(&mut self, inbox: &Inbox, context: &mut Context<'_>) {
        let mut run: Option<(Pair, Exchange)> = None;
        for Arrival { bytes, from, to, .. } in inbox.arrivals() {
            let from = from.into();
            if let Err(withheld) = self.admit(from, bytes, Reflected::No, context) {
                *self.withheld.entry(withheld).or_default() += 1;
                continue;
            }
            let pair = (from, to.filter(|_| self.wildcard));
            self.discard_one(&mut run, pair, bytes.len(), context);
        }
        self.close_run(run, context);
    }

    /// Lets go of what one peer sent at once.
    fn discard_one(
        &mut self,
        run: &mut Option<(Pair, Exchange)>,
        pair: Pair,
        length: usize,
        context: &mut Context<'_>,
    ) {
        if run.as_ref().is_none_or(|(of, _)| *of != pair) {
            self.close_run(run.take(), context);
            *run = Some((pair, self.open(pair.0, pair.1, context)));
        }
        if let Some((_, exchange)) = run {
            exchange.from_client += length as u64;
        }
    }

    fn admit(
        &mut self,
        from: PeerAddress,
        bytes: &[u8],
        ours: Reflected,
        context: &Context<'_>,
    ) -> Result<(), Withheld> {
        // Nobody writes another's name over a Unix socket.
        let PeerAddress::Inet(from) = from else { return Ok(()) };
        if !context.gate.admits(from.ip()) {
            return Err(Withheld::KeptOut);
        }
        self.guard.admit(from, bytes, ours, context.now)
    }

    fn close_run(&mut self, run: Option<(Pair, Exchange)>, context: &mut Context<'_>) {
        if let Some(((from, source), exchange)) = run {
            self.close(from, source, exchange, Closer::Peer, None, context);
        }
    }

    /// Says how many datagrams came that there was no room for.
    pub(super) fn tell_drops(&mut self, context: &mut Context<'_>) {
        self.uncounted = false;
        let Some(count) = datagrams::drops(&self.socket.fd) else { return };
        let (before, _) = std::mem::replace(&mut self.drops, (count, context.now));
        if count != before {
            let error = format!("{}: the kernel dropped datagrams: the queue was full", self.socket.endpoint);
            context.observer.observe(Event::Dropped { count: count.wrapping_sub(before).into(), error });
        }
    }

    fn answer(&mut self, payload: &[u8], from: PeerAddress, to: Option<IpAddr>, context: &mut Context<'_>) {
        let source = to.filter(|_| self.wildcard);
        let ours = match &self.origin.behaviour {
            // Without a budget nothing is held against anybody, and a long transcript is not searched for it.
            Behaviour::Play(script) if self.unix.is_none() && self.guard.is_on() && script.could_say(payload) => {
                Reflected::Yes
            }
            Behaviour::Play(_) | Behaviour::Discard | Behaviour::Site(_) | Behaviour::Exec(_) => Reflected::No,
            Behaviour::Echo => Reflected::IfRepeated,
        };
        if let Err(withheld) = self.admit(from, payload, ours, context) {
            *self.withheld.entry(withheld).or_default() += 1;
            return;
        }
        let pair = (from, source);
        if let Some(programs) = &mut self.programs {
            return programs.take(pair, payload);
        }
        let full = context.plays.is_some_and(|plays| context.tally.opened >= plays);
        if full && !self.peers.contains_key(&pair) {
            return;
        }
        let script = match &self.origin.behaviour {
            Behaviour::Play(script) => Arc::clone(script),
            behaviour => {
                let echo = matches!(behaviour, Behaviour::Echo);
                let mut exchange = self.open(from, source, context);
                exchange.from_client = payload.len() as u64;
                if echo {
                    self.send(payload, pair, payload.len(), &mut exchange, context);
                }
                let by = if echo { Closer::Us } else { Closer::Peer };
                return self.close(from, source, exchange, by, None, context);
            }
        };
        let mut peer = match self.remove(pair) {
            Some(peer) => peer,
            None => {
                let (play, tally) = (script.play(), self.open(from, source, context));
                Peer { play, script, tally, waiting: VecDeque::new(), until: None, armed: None, held: 0 }
            }
        };
        peer.tally.from_client += payload.len() as u64;
        if peer.waiting.is_empty() {
            return self.play(peer, pair, Some(payload), context);
        }
        // Others came before it.
        self.put_off(&mut peer, payload);
        self.keep(pair, peer, context);
    }

    /// Keeps a datagram until its play can hear it.
    fn put_off(&mut self, peer: &mut Peer, payload: &[u8]) {
        let held: usize = peer.waiting.iter().map(|payload| payload.len()).sum();
        if peer.waiting.len() >= limits::WAITING_DATAGRAMS
            || held + payload.len() > limits::WAITING_BYTES
            || self.waiting + payload.len() > limits::WAITING_IN_ALL
        {
            self.crowded += 1;
            return;
        }
        self.waiting += payload.len();
        peer.waiting.push_back(payload.into());
    }

    /// Goes on with a peer's play: with a datagram, or because its time has come.
    fn play(&mut self, mut peer: Peer, pair: Pair, mut payload: Option<&[u8]>, context: &mut Context<'_>) {
        let (from, source) = pair;
        let script = Arc::clone(&peer.script);
        // Over datagrams silence is the only end that there is.
        let may_end = payload.is_none() && peer.waiting.is_empty() && peer.play.may_end(&script);
        loop {
            match self.step(&mut peer, pair, payload.take(), context) {
                Next::StopSending
                | Next::StartTls
                | Next::StopTls
                | Next::Over { .. }
                | Next::Connect { .. }
                | Next::Accept { .. }
                | Next::Listen { .. } => {}
                // Others have their turn before it goes on.
                Next::Flush => {
                    self.answers.send(&self.socket.fd, context.now);
                    peer.until = self.answers.wakes().or(Some(context.now));
                    return self.keep(pair, peer, context);
                }
                Next::Hear { .. } if !peer.waiting.is_empty() => {}
                Next::Hear { .. } if peer.play.is_fresh(&script) && peer.play.may_end(&script) => {
                    return self.close(from, source, peer.tally, Closer::Us, None, context);
                }
                Next::Hear { until } => {
                    peer.until = until;
                    return self.keep(pair, peer, context);
                }
                Next::Pause { until } => {
                    peer.until = Some(until);
                    return self.keep(pair, peer, context);
                }
                Next::End(ending) => {
                    let ending = if may_end { ended_by_silence(ending) } else { ending };
                    return self.over(peer, pair, ending, context);
                }
            }
        }
    }

    /// One step of a peer's play, with a datagram that has just come or with the next of those that wait for it.
    fn step(&mut self, peer: &mut Peer, pair: Pair, payload: Option<&[u8]>, context: &mut Context<'_>) -> Next {
        let queued = if payload.is_none() { peer.waiting.pop_front() } else { None };
        let bytes = payload.or(queued.as_deref());
        let came = bytes.map_or(0, <[u8]>::len);
        let input =
            Input { bytes: bytes.unwrap_or_default(), datagram: bytes.is_some(), ended: false, now: context.now };
        let step = peer.play.step(&peer.script, input, context.scratch, context.output);
        let output = std::mem::take(context.output);
        let mut start = 0;
        for &end in &output.datagrams {
            self.send(&output.bytes[start..end], pair, came, &mut peer.tally, context);
            start = end;
        }
        *context.output = output;
        context.output.clear();
        if let Some(bytes) = bytes {
            match (step.left, queued.is_some()) {
                (true, true) => peer.waiting.push_front(bytes.into()),
                (true, false) => self.put_off(peer, bytes),
                (false, true) => self.waiting -= bytes.len(),
                (false, false) => {}
            }
        }
        step.next
    }

    /// A peer's play is over.
    fn over(&mut self, peer: Peer, pair: Pair, ending: Ending, context: &mut Context<'_>) {
        let number = peer.tally.number;
        let (by, reason) = match ending {
            Ending::Failed(verdict) => {
                let late = verdict.fault.kind() == FaultKind::NothingCame;
                let reason = verdict.headline();
                self.fail(pair, number, verdict.into(), context);
                (if late { Closer::Timeout } else { Closer::Us }, Some(reason))
            }
            Ending::IdleTimeout { waited } => {
                let (reason, line) = (silence(waited), Some(peer.play.line(&peer.script)));
                if let Some(failure) = context.between_exchanges(FaultKind::NothingCame, &reason, line) {
                    self.fail(pair, number, failure, context);
                }
                (Closer::Timeout, Some(reason))
            }
            _ => (Closer::Us, None),
        };
        self.close(pair.0, pair.1, peer.tally, by, reason, context);
        self.begin_again(pair, peer.waiting, context);
    }

    /// What came before a play ended, and was not for it, begins the next one.
    fn begin_again(&mut self, pair: Pair, waiting: VecDeque<Box<[u8]>>, context: &mut Context<'_>) {
        let full = context.plays.is_some_and(|plays| context.tally.opened >= plays);
        let Behaviour::Play(script) = &self.origin.behaviour else { return };
        if waiting.is_empty() || full {
            self.waiting -= waiting.iter().map(|payload| payload.len()).sum::<usize>();
            return;
        }
        let script = Arc::clone(script);
        let mut tally = self.open(pair.0, pair.1, context);
        tally.from_client = waiting.iter().map(|payload| payload.len() as u64).sum();
        let peer = Peer { play: script.play(), script, tally, waiting, until: None, armed: None, held: 0 };
        self.play(peer, pair, None, context);
    }

    /// Queues an answer if the guard lets it out.
    fn send(&mut self, payload: &[u8], pair: Pair, came: usize, exchange: &mut Exchange, context: &Context<'_>) {
        if self.answers.is_full(pair.0) {
            exchange.withheld += 1;
            let why = if pair.0.is_unix() { Withheld::NotRead } else { Withheld::NoRoom };
            *self.withheld.entry(why).or_default() += 1;
            return;
        }
        let let_out = match pair.0.ip() {
            Some(ip) => self.guard.answer(ip, came as u64, payload.len() as u64, context.now),
            None => Ok(()),
        };
        match let_out {
            Ok(()) => {
                self.answers.push(payload, pair);
                exchange.from_server += payload.len() as u64;
            }
            Err(withheld) => {
                exchange.withheld += 1;
                *self.withheld.entry(withheld).or_default() += 1;
            }
        }
    }

    /// Sends what is queued, and sees to the conversations whose answers have left or never will.
    fn flush(&mut self, context: &mut Context<'_>) {
        self.answers.send(&self.socket.fd, context.now);
        self.settle(context);
    }

    fn settle(&mut self, context: &mut Context<'_>) {
        if self.answers.has_losses() {
            for pair in self.answers.losers() {
                let Some(peer) = self.peers.get(&pair) else { continue };
                if let Some(loss) = self.answers.loss(pair, peer.tally.first..u64::MAX)
                    && let Some(peer) = self.remove(pair)
                {
                    self.conclude(pair, peer.tally, Closer::Us, None, Some(loss), context);
                }
            }
        }
        for Draining { pair, exchange, by, reason, end } in self.answers.take_gone() {
            let loss = self.answers.loss(pair, exchange.first..end);
            self.conclude(pair, exchange, by, reason, loss, context);
        }
        self.answers.forget_losses();
    }

    fn keep(&mut self, pair: Pair, mut peer: Peer, context: &mut Context<'_>) {
        if self.peers.len() >= limits::DATAGRAM_PEERS {
            let reason = format!("more than {} datagram peers: the longest idle goes first", limits::DATAGRAM_PEERS);
            self.drop_longest_idle(&reason, context);
        }
        // A time limit that only moves on takes one entry.
        if let Some(until) = peer.until
            && peer.armed.is_none_or(|armed| until < armed)
        {
            self.wakes.push(Reverse((until, pair)));
            peer.armed = Some(until);
        }
        let waiting: usize = peer.waiting.iter().map(|payload| payload.len()).sum();
        peer.held = 2 * size_of::<(Pair, Peer)>() + peer.play.memory() + waiting;
        self.memory += peer.held;
        self.peers.insert(pair, peer);
        if self.wakes.len() > 2 * self.peers.len() + STALE {
            let peers = &self.peers;
            self.wakes.retain(|Reverse((at, pair))| peers.get(pair).is_some_and(|peer| peer.armed == Some(*at)));
        }
    }

    /// Takes the peer whose entry comes first, if its time is that of the entry; else the entry moves to its time.
    fn next_peer(&mut self) -> Option<(Pair, Peer)> {
        let Reverse((at, pair)) = self.wakes.pop()?;
        let peer = self.peers.get_mut(&pair).filter(|peer| peer.armed == Some(at))?;
        peer.armed = peer.until;
        match peer.until {
            Some(until) if until > at => {
                self.wakes.push(Reverse((until, pair)));
                None
            }
            _ => {
                peer.armed = None;
                self.remove(pair).map(|peer| (pair, peer))
            }
        }
    }

    /// Ends the play that has waited longest; whether there was one.
    pub(super) fn drop_longest_idle(&mut self, reason: &str, context: &mut Context<'_>) -> bool {
        while !self.wakes.is_empty() {
            let Some((pair, peer)) = self.next_peer() else { continue };
            self.waiting -= peer.waiting.iter().map(|payload| payload.len()).sum::<usize>();
            let line = Some(peer.play.line(&peer.script));
            context.tell_eviction(line, reason, || self.conversation(pair.0, pair.1, peer.tally.number));
            self.close(pair.0, pair.1, peer.tally, Closer::Timeout, Some(reason.to_owned()), context);
            return true;
        }
        false
    }

    fn remove(&mut self, pair: Pair) -> Option<Peer> {
        let peer = self.peers.remove(&pair)?;
        self.memory -= peer.held;
        Some(peer)
    }

    /// Bytes of memory that open plays and unsent answers take.
    pub(super) fn memory(&self) -> usize {
        self.memory + self.answers.memory()
    }

    /// When a play's time comes, or the word about what was withheld.
    pub(super) fn wakes(&self) -> Option<Moment> {
        let next = self.wakes.peek().map(|Reverse((at, _))| *at);
        let answers = self.answers.wakes();
        let word = self.told.filter(|_| !self.withheld.is_empty() || self.crowded > 0).map(|told| told.after(SECOND));
        let count = self.uncounted.then(|| self.drops.1.after(SECOND));
        [next, word, count, answers].into_iter().flatten().min()
    }

    /// Wakes the plays whose time has come.
    pub(super) fn wake(&mut self, context: &mut Context<'_>) {
        // One that has more to say stands among them again at once.
        for _ in 0..self.wakes.len() {
            if self.wakes.peek().is_none_or(|Reverse((at, _))| *at > context.now) {
                break;
            }
            let Some((pair, peer)) = self.next_peer() else { continue };
            self.play(peer, pair, None, context);
        }
        self.flush(context);
        self.tell_withheld(context);
        if self.uncounted && context.now >= self.drops.1.after(SECOND) {
            self.tell_drops(context);
        }
    }

    /// Ends every open play; how many of them were not where they may end.
    pub(super) fn cut(&mut self, context: &mut Context<'_>) -> u64 {
        let mut count = 0;
        self.flush(context);
        self.answers.give_up();
        self.settle(context);
        self.memory = 0;
        self.waiting = 0;
        for ((from, source), peer) in std::mem::take(&mut self.peers) {
            let ends = peer.play.may_end(&peer.script);
            count += u64::from(!ends);
            let reason = (!ends).then(|| cut_at(Some(peer.play.line(&peer.script))));
            self.close(from, source, peer.tally, Closer::Us, reason, context);
        }
        count
    }

    /// Whether a play has gone on from its beginning and not come to its end.
    pub(super) fn is_busy(&self) -> bool {
        !self.peers.is_empty() || self.is_sending()
    }

    /// Whether answers are on their way.
    pub(super) fn is_sending(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Says once a second what was withheld, and why.
    pub(super) fn tell_withheld(&mut self, context: &mut Context<'_>) {
        if let Some(programs) = &self.programs {
            for (withheld, count) in programs.outlet().take_withheld() {
                *self.withheld.entry(withheld).or_default() += count;
            }
        }
        if self.withheld.is_empty() && self.crowded == 0
            || self.told.is_some_and(|told| context.now < told.after(SECOND))
        {
            return;
        }
        self.told = Some(context.now);
        if self.crowded > 0 {
            let error = format!(
                "{}: datagrams that came while their plays could not hear them: {}",
                self.socket.endpoint,
                limits::waiting()
            );
            context.observer.observe(Event::Dropped { count: std::mem::take(&mut self.crowded), error });
        }
        for (withheld, count) in self.withheld.drain() {
            let error = format!("{}: {}", self.socket.endpoint, withheld.reason());
            context.observer.observe(Event::Dropped { count, error });
        }
    }

    /// A peer's name.
    pub(super) fn name_of(&self, peer: PeerAddress) -> Name {
        match peer {
            PeerAddress::Inet(address) => Name::Inet(address),
            PeerAddress::Unix(number) => self.unix.as_ref().map_or(Name::Unnamed, |unix| unix.name_of(number)),
        }
    }

    fn conversation(&self, from: PeerAddress, source: Option<IpAddr>, number: u64) -> Conversation {
        let server = match (&self.socket.endpoint.name, source) {
            (Name::Inet(address), Some(source)) => Name::Inet(SocketAddr::new(source, address.port())),
            (name, _) => name.clone(),
        };
        let (protocol, client) = (self.socket.endpoint.protocol, self.name_of(from));
        Conversation { number, protocol, server, client, to: None }
    }

    fn open(&self, from: PeerAddress, source: Option<IpAddr>, context: &mut Context<'_>) -> Exchange {
        let number = context.tally.next_number();
        context.observer.observe(Event::Opened(self.conversation(from, source, number)));
        let first = self.answers.next_number();
        Exchange { number, opened: context.now, from_client: 0, from_server: 0, first, withheld: 0 }
    }

    /// A conversation did not go as it should.
    fn fail(&self, (from, source): Pair, number: u64, failure: Failure, context: &mut Context<'_>) {
        context.tell_failure(self.conversation(from, source, number), failure);
    }

    /// A conversation is over, once its answers have left.
    fn close(
        &mut self,
        from: PeerAddress,
        source: Option<IpAddr>,
        exchange: Exchange,
        by: Closer,
        reason: Option<String>,
        context: &mut Context<'_>,
    ) {
        let pair = (from, source);
        if self.answers.are_sent() {
            return self.conclude(pair, exchange, by, reason, None, context);
        }
        let end = self.answers.next_number();
        self.answers.draining.push(Draining { pair, exchange, by, reason, end });
    }

    /// Says that a conversation is over; one that lost an answer is not as written.
    fn conclude(
        &self,
        (from, source): Pair,
        exchange: Exchange,
        by: Closer,
        mut reason: Option<String>,
        loss: Option<Loss>,
        context: &mut Context<'_>,
    ) {
        let lost = match loss {
            Some(loss) => Some((Kind::AnswersLost, loss.words())),
            None if exchange.withheld > 0 && context.is_judged => {
                let why = if from.is_unix() { Withheld::NotRead.reason() } else { "--udp-budget" };
                let words = format!("{} of the answers were held back ({why})", exchange.withheld);
                Some((Kind::AnswersWithheld, words))
            }
            None => None,
        };
        if let Some((kind, words)) = lost {
            self.fail((from, source), exchange.number, Failure::other(kind, words.clone()), context);
            reason.get_or_insert(words);
        }
        context.tell_closed(Closed {
            conversation: self.conversation(from, source, exchange.number),
            by,
            opened: exchange.opened,
            received: exchange.from_client,
            sent: exchange.from_server - loss.map_or(0, |loss| loss.bytes.min(exchange.from_server)),
            unjudged: 0,
            reason,
            ended: None,
        });
    }
}

/// A play that waited where it may end, and to which nothing came, has ended.
fn ended_by_silence(ending: Ending) -> Ending {
    match ending {
        Ending::Failed(verdict) => match verdict.fault {
            Fault::NothingCame { waited } if verdict.received.is_empty() => Ending::IdleTimeout { waited },
            _ => Ending::Failed(verdict),
        },
        other => other,
    }
}
