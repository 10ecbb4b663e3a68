//! A datagram socket that serves: a play for each peer, which costs nothing while it stands at its beginning.

mod account;
mod plays;
mod unix;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use transcript::{Moment, Play, Script};

use super::account::cut_at;
use super::answers::{Answers, Draining, Exchange, Pair};
use super::guard::{Guard, Reflected, Withheld};
use super::origin::{Closer, Origin};
use super::programs::Programs;
use super::{Behaviour, Context};
use crate::event::{Name, Protocol};
use crate::net::listen::Socket;
use crate::net::session::ServerLayers;
use crate::sys::datagrams::{self, Arrival, Inbox, PeerAddress};
use unix::Unix;

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

    /// Takes and answers what has come. An error of one datagram, or of an earlier answer that was not taken, is none of
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
            if self.origin.behaviour.discards() && context.plays.is_none() {
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
        // Over a Unix socket the kernel writes the sender's name: it cannot be another's.
        let PeerAddress::Inet(from) = from else { return Ok(()) };
        if !context.gate.admits(from.ip()) {
            return Err(Withheld::Denied);
        }
        self.guard.admit(from, bytes, ours, context.now)
    }

    fn close_run(&mut self, run: Option<(Pair, Exchange)>, context: &mut Context<'_>) {
        if let Some(((from, source), exchange)) = run {
            self.close(from, source, exchange, Closer::Peer, None, context);
        }
    }

    fn answer(&mut self, payload: &[u8], from: PeerAddress, to: Option<IpAddr>, context: &mut Context<'_>) {
        let source = to.filter(|_| self.wildcard);
        // Without a budget nothing is held against any client, and a long transcript is not searched for it.
        let searches = self.unix.is_none() && self.guard.is_on();
        let ours = self.origin.behaviour.reflects(payload, searches);
        if let Err(withheld) = self.admit(from, payload, ours, context) {
            *self.withheld.entry(withheld).or_default() += 1;
            return;
        }
        let pair = (from, source);
        if let Some(programs) = &mut self.programs {
            return programs.take(pair, payload);
        }
        if self.all_opened(context) && !self.peers.contains_key(&pair) {
            return;
        }
        let script = match self.origin.behaviour.script() {
            Some(script) => Arc::clone(script),
            None => {
                let echo = self.origin.behaviour.echoes();
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

    /// A peer's name.
    pub(super) fn name_of(&self, peer: PeerAddress) -> Name {
        match peer {
            PeerAddress::Inet(address) => Name::Inet(address),
            PeerAddress::Unix(number) => self.unix.as_ref().map_or(Name::Unnamed, |unix| unix.name_of(number)),
        }
    }
}
