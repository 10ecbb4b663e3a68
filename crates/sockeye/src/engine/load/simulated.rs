//! A load in imaginary time, without a socket: the generator as it is, and a server of which only the moments of its answers are
//! known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use transcript::{Carrier, Input, Moment, Next, Output, Play, PlayOptions, Scratch, Script, Side, Transcript};

use super::{Account, After, Generator, Job, Piece, Places, Stage, StartPolicy};
use crate::address::Address;
use crate::endpoint::Protocol;
use crate::engine::client::{Client, InitialLayers};
use crate::figures::{Measured, collect};
use crate::net::connect::ConnectOptions;
use crate::net::connecting::Target;
use crate::net::tls::Trust;

/// Plays `C: ping` and `S: pong` so long over so many connections. `answers` says when the answer comes to what was said then.
pub(crate) fn simulate(
    start: StartPolicy,
    connections: usize,
    duration: Duration,
    answers: impl Fn(Moment) -> Moment,
) -> (Measured, Account) {
    let transcript = Transcript::parse("ping.talk", b"C: ping\nS: pong\n", &[]).unwrap();
    let script = Arc::new(Script::prepare(&transcript, &PlayOptions::new(Side::Client, Carrier::Stream)).unwrap());
    let (collector, mut recorders) = collect(&["ping.talk:1".to_owned()], 1);
    let job = job(start, connections, duration, &script);
    let mut simulation = Simulation {
        load: Generator::new(job, recorders.remove(0)),
        plays: (0..connections).map(|_| script.play()).collect(),
        script,
        answers,
        coming: BinaryHeap::new(),
        resources: (Scratch::new(), Output::default()),
    };
    simulation.run();
    let Simulation { mut load, .. } = simulation;
    load.tick();
    load.recorder.take().unwrap().finish();
    (collector.finish(), load.account)
}

fn job(start: StartPolicy, connections: usize, duration: Duration, script: &Arc<Script>) -> Job {
    let address = Address::parse("127.0.0.1:9").unwrap();
    Job {
        request: None,
        pieces: vec![Piece {
            script: Arc::clone(script),
            weight: 1,
            places: Arc::new(Places::new(vec![(1, 0)])),
            rows: Arc::new([]),
            numbered: None,
            keeps: true,
            turn: 0,
        }],
        targets: vec![Arc::new(Target::new(address, Protocol::Tcp, ConnectOptions::default()))],
        client: Client {
            trust: Trust::system(),
            host: String::new(),
            write_wait: Duration::MAX,
            tap: None,
            begins: InitialLayers::default(),
            reconnect: Default::default(),
        },
        connections,
        opens: (Duration::ZERO, Duration::ZERO),
        start,
        plays: None,
        until: Some(duration),
        grace: None,
        numbers: (1, 1),
        skipped: 0,
    }
}

struct Simulation<A> {
    load: Generator,
    script: Arc<Script>,
    plays: Vec<Play>,
    answers: A,
    /// When which slot has its answer.
    coming: BinaryHeap<Reverse<(Moment, usize)>>,
    resources: (Scratch, Output),
}

impl<A: Fn(Moment) -> Moment> Simulation<A> {
    fn run(&mut self) {
        for slot in 0..self.plays.len() {
            self.load.slots[slot].stage = Stage::Opening;
            let after = self.load.arrives(slot, Moment::default(), 0, false);
            self.go_on(slot, after, Moment::default());
        }
        loop {
            let due = self.load.due().filter(|_| !self.load.free.is_empty());
            let answer = self.coming.peek().map(|Reverse((at, _))| *at);
            let Some(now) = due.into_iter().chain(answer).min() else { return };
            self.load.now = now;
            self.load.tick();
            if answer == Some(now) {
                let Some(Reverse((_, slot))) = self.coming.pop() else { return };
                assert!(self.step(slot, b"pong\n", now), "the answer ends the play");
                let after = self.load.passed(slot, false, 0, false);
                self.go_on(slot, after, now);
            } else if let Some(slot) = self.load.free.pop_front() {
                self.load.slots[slot as usize].is_free = false;
                let after = self.load.begin_resting(slot as usize, now);
                self.go_on(slot as usize, after, now);
            }
        }
    }

    fn go_on(&mut self, slot: usize, after: After, now: Moment) {
        if let After::Begin(_) = after {
            self.plays[slot].begin_again(&self.script, None);
            assert!(!self.step(slot, b"", now), "an answer is waited for");
            self.coming.push(Reverse(((self.answers)(now), slot)));
        }
    }

    /// Whether the play is over.
    fn step(&mut self, slot: usize, bytes: &[u8], now: Moment) -> bool {
        let input = Input { bytes, datagram: false, ended: false, now };
        self.resources.1.clear();
        let (scratch, output) = &mut self.resources;
        let step = self.load.step(slot, &mut self.plays[slot], &self.script, input, (scratch, output));
        matches!(step.next, Next::End(_))
    }
}
