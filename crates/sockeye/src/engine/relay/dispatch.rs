//! What the loop does with one pair: it has its turn when a socket of it is ready or its time has come, is armed for what it
//! waits for next, and is concluded when it is over.

use super::super::held::longest_first;
use super::super::reactor::token::Key;
use super::RelayLoop;
use super::direction::Tools;
use super::lingering::LingeringPair;
use super::pair::{PairStatus, Stage};
use super::poll::{End, Readiness};
use super::summary::Outcome;
use crate::event::{ClosedBy, Event};
use crate::net::words;

impl RelayLoop {
    /// Faults have changed: every pair has the new ones before the change returns.
    pub(super) fn change_faults(&mut self) {
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

    pub(super) fn ready(&mut self, key: Key, end: End, ready: &Readiness) {
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
                pair.give_up(ClosedBy::Reset, why.to_owned());
                self.conclude(key, false);
                return;
            }
        }
        self.advance(key);
    }

    /// Moves what a pair can move, and sees to what comes of it.
    pub(super) fn advance(&mut self, key: Key) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if matches!(pair.stage, Stage::Greeting) {
            return self.go_on_greeting(key);
        }
        let mut tools = Tools { buffer: &mut self.buffer, pipes: &mut self.pipes, now: self.now };
        let shared = &self.shared;
        let status = pair.advance(&mut tools, &mut |event| shared.observe(event));
        self.see_to(key, status);
    }

    /// Whom a proxy stands for is heard first, then the handshake; then the server is asked.
    pub(super) fn go_on_greeting(&mut self, key: Key) {
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

    pub(super) fn see_to(&mut self, key: Key, status: PairStatus) {
        if status != PairStatus::Closed {
            self.weigh(key);
        }
        match status {
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

    /// Counts what waits in a pair, and makes room where all pairs have too much.
    fn weigh(&mut self, key: Key) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        pair.held.count(pair.memory(), self.now, &mut self.memory);
        if self.memory > self.shared.options.memory {
            self.free_memory();
        }
    }

    /// Ends the pairs that have waited longest, until an eighth is free.
    fn free_memory(&mut self) {
        let most = self.shared.options.memory;
        let mut waiting = longest_first(self.pairs.iter().map(|(key, pair)| (key, pair.held)));
        let why = "the buffers of all connections together reached their bound: the one that waited longest goes first";
        let mut count = 0;
        while self.memory > most - most / 8
            && let Some((_, key)) = waiting.next()
        {
            if let Some(pair) = self.pairs.get_mut(key) {
                pair.evict(why);
                count += 1;
            }
            self.conclude(key, false);
        }
        if count > 0 {
            self.shared.observe(Event::Dropped { count, error: why.to_owned() });
        }
    }

    /// Sees to it that a pair is woken for its deadline, and looked at for its idle time.
    pub(super) fn arm(&mut self, key: Key) {
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

    pub(super) fn wake_due(&mut self) {
        if self.acceptor.resumes().is_some_and(|at| at <= self.now) {
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
        if self.timers.len() > self.pairs.len() + self.shared.live() + super::super::STALE {
            let mut timers = std::mem::take(&mut self.timers);
            timers.keep(|key| self.pairs.contains(key) || self.has_flow(key));
            self.timers = timers;
        }
    }

    pub(super) fn tell_opened(&mut self, key: Key) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if !std::mem::replace(&mut pair.was_told, true) {
            self.shared.observe(Event::Opened(pair.conversation.clone()));
        }
    }

    /// Says once that a capture is not whole.
    pub(super) fn tell_capture(&self) {
        let failure = self.shared.options.capture.as_ref().and_then(|capture| capture.take_failure());
        if let Some(error) = failure {
            self.shared.tell_unwritten("the capture", &words(&error));
        }
    }

    /// A pair is over: its sockets are closed, and it is told.
    pub(super) fn conclude(&mut self, key: Key, is_cut: bool) {
        self.tell_opened(key);
        let Some(mut pair) = self.pairs.remove(key) else { return };
        self.memory -= pair.held.bytes;
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
        // An observer that is told of it finds it closed.
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
    pub(super) fn is_over(&mut self, event: Event, outcome: &Outcome) {
        self.shared.observe(event);
        self.shared.remove(self.worker, outcome);
        self.acceptor.hurry(self.now);
    }
}
