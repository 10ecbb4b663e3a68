//! What a peer can make a play cost: each construct of the language, and a peer that says what costs most there. A test counts
//! what it takes, and a benchmark tells the figures that stand in the reference.
#![allow(unreachable_pub, dead_code, reason = "a module that a test and a benchmark share")]

mod constructs;

use std::collections::VecDeque;
use std::sync::Arc;

pub use constructs::CONSTRUCTS;
use transcript::{
    Carrier, Ending, File, Files, Input, Moment, Next, Output, Play, PlayOptions, Scratch, Script, Side, Transcript,
};

/// A construct, the row that it has in the table, and what a peer says to it.
pub struct Construct {
    pub name: &'static str,
    /// The file. Its server is spoken to.
    pub text: &'static str,
    pub carrier: Carrier,
    pub law: Law,
    /// What is said in so many bytes, or about as many: over which connection, and what, a stream or a datagram each.
    pub says: fn(usize) -> Vec<(u8, Vec<u8>)>,
}

/// How what it costs grows with what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// Each byte costs the same.
    Linear,
    /// Each line costs as much as a value is long that the peer made longer.
    AsLongAsTheValue,
}

/// How what is said comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coming {
    /// As much at once as can.
    Whole,
    /// The last few bytes one by one but for the very last, or the last few datagrams. What was before them has come, and is
    /// not measured.
    LastOnes,
}

/// Bytes that come one by one.
pub const LAST: usize = 128;
/// The same of datagrams.
const LAST_DATAGRAMS: usize = 16;

/// A play to which a peer speaks.
pub struct Spoken<'s> {
    script: &'s Script,
    play: Play,
    scratch: Scratch,
    output: Output,
    streams: VecDeque<(u8, Vec<u8>)>,
    /// What has come, and how much of it was taken: by connection.
    open: [Open; 10],
    /// The connection that the play is at.
    at: usize,
    now: Moment,
    is_over: bool,
}

#[derive(Default)]
struct Open {
    said: Vec<u8>,
    came: usize,
    taken: usize,
}

impl Construct {
    pub fn script(&self) -> Script {
        let transcript =
            Transcript::parse("hostile.talk", self.text.as_bytes(), &[]).unwrap_or_else(|refused| panic!("{refused}"));
        let mut options = PlayOptions::new(Side::Server, self.carrier);
        options.files = Some(Arc::new(Letters));
        Script::prepare(&transcript, &options).unwrap_or_else(|refused| panic!("{}: {refused}", self.name))
    }

    /// A play to which so much will be said, and how many bytes that are. What is not measured has been said.
    pub fn begin<'s>(&self, script: &'s Script, size: usize, coming: Coming) -> (Spoken<'s>, usize) {
        let streams: VecDeque<_> = (self.says)(size).into();
        let play = script.play();
        let mut spoken = Spoken {
            script,
            play,
            scratch: Scratch::new(),
            output: Output::default(),
            streams,
            open: Default::default(),
            at: 1,
            now: Moment::default(),
            is_over: false,
        };
        // What we say first, and what is asked for once.
        spoken.step();
        if coming == Coming::LastOnes && self.carrier == Carrier::Stream {
            // The one that ends it would have all of it looked at.
            for (_, said) in &mut spoken.streams {
                said.pop();
            }
        }
        let all: usize = spoken.streams.iter().map(|(_, said)| said.len()).sum();
        if coming == Coming::Whole {
            return (spoken, all);
        }
        let before = if self.carrier == Carrier::Stream {
            spoken.connect(1);
            let open = &mut spoken.open[1];
            open.came = open.said.len().saturating_sub(LAST);
            open.came
        } else {
            let count = spoken.streams.len().saturating_sub(LAST_DATAGRAMS);
            (0..count).map(|_| spoken.datagram()).sum()
        };
        spoken.step();
        (spoken, all - before)
    }

    /// Whether there is something that may come bit by bit.
    pub fn has_last_ones(&self) -> bool {
        let pieces = (self.says)(4096).len();
        if self.carrier == Carrier::Stream { pieces == 1 } else { pieces > LAST_DATAGRAMS }
    }
}

impl Spoken<'_> {
    /// The rest of it comes.
    #[inline(never)]
    pub fn go_on(&mut self, carrier: Carrier, coming: Coming) {
        if carrier != Carrier::Stream {
            while !self.is_over && !self.streams.is_empty() {
                self.datagram();
            }
            return;
        }
        if coming == Coming::Whole {
            self.connect(1);
        }
        // Over which connection it goes on is the play's matter.
        while !self.is_over {
            let open = &mut self.open[self.at];
            if open.came == open.said.len() {
                break;
            }
            open.came = if coming == Coming::Whole { open.said.len() } else { open.came + 1 };
            self.step();
        }
    }

    /// The next stream of a connection begins; whether there is one.
    fn connect(&mut self, connection: u8) -> bool {
        let found = self.streams.iter().position(|(over, _)| *over == connection);
        let Some((_, said)) = found.and_then(|index| self.streams.remove(index)) else { return false };
        self.open[usize::from(connection)] = Open { said, ..Open::default() };
        true
    }

    /// A datagram comes: how long it is.
    fn datagram(&mut self) -> usize {
        let Some((_, said)) = self.streams.pop_front() else { return 0 };
        let length = said.len();
        self.open[1] = Open { came: length, said, taken: 0 };
        self.step_with(true);
        length
    }

    fn step(&mut self) {
        self.step_with(false);
    }

    /// Steps until more is awaited, or the play is over.
    fn step_with(&mut self, mut datagram: bool) {
        while !self.is_over {
            let open = &self.open[self.at];
            let input = Input { bytes: &open.said[open.taken..open.came], datagram, ended: false, now: self.now };
            let step = self.play.step(self.script, input, &mut self.scratch, &mut self.output);
            self.open[self.at].taken += step.consumed;
            datagram = datagram && step.left;
            self.output.clear();
            match step.next {
                Next::End(Ending::GoesOn { .. }) => self.open[self.at] = Open::default(),
                Next::End(ending) => {
                    if let Ending::Failed(verdict) = ending {
                        assert!(verdict.render("").starts_with("error: "));
                    }
                    self.is_over = true;
                }
                Next::Hear { until } => {
                    // Quiet for as long as makes an unfinished line one.
                    let is_gap = until.filter(|until| *until < self.now.after(std::time::Duration::from_secs(1)));
                    match is_gap {
                        Some(until) => self.now = until,
                        None => return,
                    }
                }
                Next::Pause { until } => self.now = until,
                Next::Over { connection } => self.at = connection.into(),
                Next::Accept { connection, .. } | Next::Connect { connection, .. } => {
                    self.at = connection.into();
                    self.is_over = !self.connect(connection);
                }
                Next::Listen { .. } => self.play.listens_at(self.script, 50_000, &mut self.scratch),
                Next::Flush | Next::StopSending | Next::StartTls | Next::StopTls => {}
            }
        }
    }
}

/// Files that hold nothing but the letter x.
#[derive(Debug)]
pub struct Letters;

impl Files for Letters {
    fn open(&self, _: &str) -> std::io::Result<Arc<dyn File>> {
        Ok(Arc::new(Self))
    }
}

impl File for Letters {
    fn len(&self) -> u64 {
        1 << 30
    }

    fn read_at(&self, _: u64, into: &mut [u8]) -> std::io::Result<usize> {
        into.fill(b'x');
        Ok(into.len())
    }
}
