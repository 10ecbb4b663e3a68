//! The plays of a datagram server's peers: each goes on with a datagram or when its time has come, keeps what it cannot hear yet,
//! and stands in the table of peers meanwhile.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use transcript::{Ending, Fault, FaultKind, Input, Next};

use super::super::Context;
use super::super::account::silence;
use super::super::answers::Pair;
use super::super::origin::Closer;
use super::{DatagramServer, Peer};
use crate::limits;

/// Entries of peers that are gone that may stand among the wakes.
const STALE: usize = 4096;

impl DatagramServer {
    /// Keeps a datagram until its play can hear it.
    pub(super) fn put_off(&mut self, peer: &mut Peer, payload: &[u8]) {
        if peer.waiting.len() >= limits::WAITING_DATAGRAMS
            || bytes_of(&peer.waiting) + payload.len() > limits::WAITING_BYTES
            || self.waiting + payload.len() > limits::WAITING_IN_ALL
        {
            self.crowded += 1;
            return;
        }
        self.waiting += payload.len();
        peer.waiting.push_back(payload.into());
    }

    /// Goes on with a peer's play: with a datagram, or because its time has come.
    pub(super) fn play(&mut self, mut peer: Peer, pair: Pair, mut payload: Option<&[u8]>, context: &mut Context<'_>) {
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
    pub(super) fn step(
        &mut self,
        peer: &mut Peer,
        pair: Pair,
        payload: Option<&[u8]>,
        context: &mut Context<'_>,
    ) -> Next {
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
    pub(super) fn over(&mut self, peer: Peer, pair: Pair, ending: Ending, context: &mut Context<'_>) {
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
        let mut tally = peer.tally;
        if !self.all_opened(context) {
            // It counts for the next one.
            tally.from_client -= bytes_of(&peer.waiting) as u64;
        }
        self.close(pair.0, pair.1, tally, by, reason, context);
        self.begin_again(pair, peer.waiting, context);
    }

    /// Whether no further play is to begin.
    pub(super) fn all_opened(&self, context: &Context<'_>) -> bool {
        context.plays.is_some_and(|plays| context.tally.opened >= plays)
    }

    /// What came before a play ended, and was not for it, begins the next one.
    pub(super) fn begin_again(&mut self, pair: Pair, waiting: VecDeque<Box<[u8]>>, context: &mut Context<'_>) {
        let Some(script) = self.origin.behaviour.script() else { return };
        if waiting.is_empty() || self.all_opened(context) {
            self.waiting -= bytes_of(&waiting);
            return;
        }
        let script = Arc::clone(script);
        let mut tally = self.open(pair.0, pair.1, context);
        tally.from_client = bytes_of(&waiting) as u64;
        let peer = Peer { play: script.play(), script, tally, waiting, until: None, armed: None, held: 0 };
        self.play(peer, pair, None, context);
    }

    pub(super) fn keep(&mut self, pair: Pair, mut peer: Peer, context: &mut Context<'_>) {
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
        peer.held = 2 * size_of::<(Pair, Peer)>() + peer.play.memory() + bytes_of(&peer.waiting);
        self.memory += peer.held;
        self.peers.insert(pair, peer);
        if self.wakes.len() > 2 * self.peers.len() + STALE {
            let peers = &self.peers;
            self.wakes.retain(|Reverse((at, pair))| peers.get(pair).is_some_and(|peer| peer.armed == Some(*at)));
        }
    }

    /// Takes the peer whose entry comes first, if its time is that of the entry; else the entry moves to its time.
    pub(super) fn next_peer(&mut self) -> Option<(Pair, Peer)> {
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
    pub(in super::super) fn drop_longest_idle(&mut self, reason: &str, context: &mut Context<'_>) -> bool {
        while !self.wakes.is_empty() {
            let Some((pair, peer)) = self.next_peer() else { continue };
            self.waiting -= bytes_of(&peer.waiting);
            let line = Some(peer.play.line(&peer.script));
            context.tell_eviction(line, reason, || self.conversation(pair.0, pair.1, peer.tally.number));
            self.close(pair.0, pair.1, peer.tally, Closer::Timeout, Some(reason.to_owned()), context);
            return true;
        }
        false
    }

    pub(super) fn remove(&mut self, pair: Pair) -> Option<Peer> {
        let peer = self.peers.remove(&pair)?;
        self.memory -= peer.held;
        Some(peer)
    }
}

/// Bytes of datagrams that wait to be heard.
fn bytes_of(waiting: &VecDeque<Box<[u8]>>) -> usize {
    waiting.iter().map(|payload| payload.len()).sum()
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
