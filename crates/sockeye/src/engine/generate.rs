//! The loop as a generator of load: it opens connections, begins plays when they are due, and ends.
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use transcript::Moment;

use super::after_play::{Start, Values};
use super::load::{Account, Generator, Job, LATE, Stage};
use crate::endpoint::Endpoint;
use crate::engine::channel::{Agent, ChannelStatus};
use crate::engine::origin::Origin;
use crate::engine::reactor::poller::{Interest, Poller, Ready};
use crate::engine::reactor::token::Token;
use crate::engine::{Behaviour, Bounds, Loop};
use crate::figures::Recorder;
use crate::stop::Stop;

impl Loop {
    /// A loop that plays a job over connections that it opens, from that moment on.
    ///
    /// # Errors
    /// As `epoll_create1(2)` and `epoll_ctl(2)`.
    pub(crate) fn generator(job: Job, recorder: Recorder, stop: Stop, began: Instant) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&stop, Token::Stop, Interest::Read)?;
        let mut own = Self::idle(poller, Bounds::of_client(), Box::new(|_| {}), began);
        let target = &job.targets[0];
        let endpoint = Endpoint { protocol: target.protocol, name: target.peer(), over: None };
        // What is done is up to each agent.
        let behaviour =
            job.pieces.first().map_or(Behaviour::Discard, |piece| Behaviour::Play(Arc::clone(&piece.script)));
        own.origins.push(Origin::target(endpoint, behaviour, job.client.clone()));
        own.stop = Some(stop);
        own.resources.load = Some(Box::new(Generator::new(job, recorder)));
        Ok(own)
    }

    /// Plays until the job is done.
    ///
    /// # Errors
    /// As `epoll_wait(2)`.
    pub(crate) fn generate(mut self) -> io::Result<Account> {
        let mut ready: Vec<Ready> = Vec::with_capacity(1024);
        let mut end_by: Option<Moment> = None;
        loop {
            self.resources.now = self.clock();
            self.set_to_work();
            self.settle_if_done();
            let Some(load) = &mut self.resources.load else { break };
            load.now = self.resources.now;
            load.tick();
            if load.has_no_server() {
                load.is_over = true;
                load.account.gave_up = true;
            }
            if !load.may_begin() || load.now >= load.until {
                end_by = end_by.or(load.job.grace.map(|grace| self.resources.now.after(grace)));
                let is_done = load.is_done();
                if is_done || end_by.is_some_and(|by| self.resources.now >= by) || load.is_stopped {
                    break;
                }
            }
            let next = load.next_wake().into_iter().chain(self.timers.next()).chain(end_by).min();
            let time = next.map(|at| Duration::from_nanos(at.nanos().saturating_sub(self.clock().nanos())));
            self.poller.wait(time, &mut ready)?;
            for event in &ready {
                // Each has a time of its own: what waited for the others is not to be counted as the server's.
                self.resources.now = self.clock();
                match event.token {
                    Token::Channel(key) => {
                        self.with_channel(key, |channel, context| channel.ready(event.broken, context));
                    }
                    Token::Stop => {
                        if self.stop_asked() > 0
                            && let Some(load) = &mut self.resources.load
                        {
                            (load.is_over, load.is_stopped) = (true, true);
                        }
                    }
                    _ => {}
                }
                let is_due = |load: &Generator| load.due().is_some_and(|due| due <= self.resources.now);
                if self.resources.load.as_deref().is_some_and(|load| !load.free.is_empty() && is_due(load)) {
                    self.begin_due();
                }
            }
            self.resources.now = self.clock();
            self.wake_due();
        }
        Ok(self.end_of_load())
    }

    /// Opens connections and begins plays whose time has come.
    fn set_to_work(&mut self) {
        let now = self.resources.now;
        let Some(load) = &mut self.resources.load else { return };
        load.now = now;
        load.take_back_ended();
        while let Some(load) = &mut self.resources.load
            && let Some(slot) = load.woken()
        {
            match load.slots[slot as usize].stage {
                // A play that is due opens it.
                Stage::Closed if load.opens_when_due() => load.set_free(slot),
                Stage::Closed if load.may_open() || load.has_more() => self.open_slot(slot, None),
                Stage::Resting => self.begin_resting(slot),
                _ => {}
            }
        }
        self.begin_due();
    }

    /// Begins the plays of an open loop that are due, as long as there are connections for them.
    fn begin_due(&mut self) {
        let now = self.resources.now;
        while let Some(load) = &mut self.resources.load {
            load.now = now;
            let Some(due) = load.due().filter(|due| *due <= now) else { return };
            let Some(slot) = load.free.pop_front() else { return };
            let place = &mut load.slots[slot as usize];
            place.is_free = false;
            let (since, is_closed) = (place.since, place.stage == Stage::Closed);
            if !is_closed && place.stage != Stage::Resting {
                continue;
            }
            let by = Duration::from_nanos(now.nanos().saturating_sub(due.max(since).nanos()));
            if by > LATE {
                load.record(|recorder| recorder.late(by));
            }
            if is_closed && load.job.request.is_some() {
                continue;
            }
            if is_closed {
                let start = load.next_play(slot as usize);
                self.open_slot(slot, start);
            } else {
                self.begin_resting(slot);
            }
        }
    }

    fn begin_resting(&mut self, slot: u32) {
        let Some(key) = self.resources.load.as_ref().and_then(|load| load.slots[slot as usize].key) else { return };
        self.with_channel(key, |channel, context| channel.begin_play(context));
    }

    /// Opens the connection of a slot, for a play that is due or for whatever is when it stands.
    fn open_slot(&mut self, slot: u32, start: Option<Start>) {
        let now = self.resources.now;
        let Some(load) = &mut self.resources.load else { return };
        let place = &mut load.slots[slot as usize];
        place.since = now;
        if start.is_none() {
            (place.stage, place.piece) = (Stage::Opening, None);
        }
        let agent = match load.job.request.clone() {
            #[cfg(feature = "http")]
            Some(request) => Agent::ask(request),
            _ => Self::play_of_slot(load, slot, start),
        };
        let target = Arc::clone(&load.job.targets[slot as usize % load.job.targets.len()]);
        let key = self.connect_numbered(&target, 0, agent, (u64::from(slot), 0), None);
        if let Some(load) = &mut self.resources.load {
            load.slots[slot as usize].key = key;
        }
    }

    /// What a new connection is for.
    fn play_of_slot(load: &Generator, slot: u32, start: Option<Start>) -> Agent {
        let place = &load.slots[slot as usize];
        let script = match &start {
            Some(Start { script: Some(script), .. }) => Arc::clone(script),
            _ => Arc::clone(&load.job.pieces[place.piece.unwrap_or(0) as usize].script),
        };
        let row = match start.map_or(Values::Without, |start| start.row) {
            Values::Without => None,
            Values::Row(row) => Some(row),
            Values::Numbered => load.numbered_row(slot as usize, None),
        };
        let play = row.map_or_else(|| script.play(), |row| script.play_with(&row));
        Agent::Play(play, script)
    }

    /// When all is played, closes the connections that rest, where their end tells whether the last plays were heard.
    fn settle_if_done(&mut self) {
        let is_done = |load: &Generator| load.is_done() && load.slots.iter().any(|slot| slot.unanswered > 0);
        if self.resources.load.as_deref().is_some_and(is_done) {
            for key in self.channels.keys() {
                self.with_channel(key, |channel, context| channel.await_end(context));
            }
        }
    }

    fn end_of_load(mut self) -> Account {
        for key in self.channels.keys() {
            self.with_channel(key, |channel, context| {
                channel.gone(context);
                ChannelStatus::Closed
            });
        }
        let Some(mut load) = self.resources.load.take() else { return Account::default() };
        load.now = self.clock();
        load.give_up_due();
        load.tick();
        if let Some(recorder) = load.recorder.take() {
            recorder.finish();
        }
        load.account
    }
}
