//! What a loop lends a channel while it is in hand.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use transcript::{Moment, Output, Scratch};

#[cfg(feature = "http")]
use super::access::Lines;
use super::bounds::{Bounds, Tally};
use super::handoff::Handoff;
use super::load::Generator;
use super::origin::Origin;
#[cfg(feature = "http")]
use super::storage::Storing;
#[cfg(feature = "http")]
use super::turn::Turn;
#[cfg(not(feature = "http"))]
use super::web::{Lines, Now, Storing, Turn};
use crate::event::Observer;
use crate::gate::Gate;
use crate::limits;
use crate::net::tls;
#[cfg(feature = "http")]
use crate::web::clock::Now;

/// Room that a vector which is lent keeps between two channels: what one read is under TLS, and more.
const MOST_LENT: usize = 2 * limits::READ;

/// What a loop lends to one channel after the other: there is one of each, whatever the number of channels.
pub(super) struct LoopResources {
    /// Where the kernel puts what comes.
    pub(super) buffer: Vec<u8>,
    /// What came inside a session, and what it has packed; empty between two uses.
    pub(super) clear: Vec<u8>,
    pub(super) wire: Vec<u8>,
    pub(super) scratch: Scratch,
    pub(super) output: Output,
    pub(super) observer: Box<dyn Observer>,
    pub(super) tally: Tally,
    /// Answers that have ended and are to be told of.
    pub(super) lines: Lines,
    /// What the clock on the wall says, for the heads of answers.
    pub(super) date: Now,
    pub(super) now: Moment,
    pub(super) stopping: bool,
    /// Plays that leave a connection for another one.
    pub(super) handoffs: VecDeque<Handoff>,
    /// Where plays are repeated to measure a server.
    pub(super) load: Option<Box<Generator>>,
}

impl LoopResources {
    pub(super) fn new(observer: Box<dyn Observer>) -> Self {
        Self {
            buffer: vec![0; limits::READ],
            clear: Vec::new(),
            wire: Vec::new(),
            scratch: Scratch::new(),
            output: Output::default(),
            observer,
            tally: Tally::default(),
            lines: Lines::default(),
            date: Now::new(SystemTime::now()),
            now: Moment::default(),
            stopping: false,
            handoffs: VecDeque::new(),
            load: None,
        }
    }

    /// For a channel of this origin.
    pub(super) fn context<'a>(
        &'a mut self,
        bounds: &'a Bounds,
        origin: &'a Origin,
        storing: Option<Storing<'a>>,
    ) -> Context<'a> {
        Context {
            buffer: &mut self.buffer,
            clear: &mut self.clear,
            wire: &mut self.wire,
            scratch: &mut self.scratch,
            output: &mut self.output,
            observer: &mut *self.observer,
            tally: &mut self.tally,
            now: self.now,
            wait: bounds.wait,
            stopping: self.stopping,
            strict: bounds.strict,
            is_judged: bounds.is_judged(),
            linger: bounds.linger,
            gate: &bounds.gate,
            grace: bounds.grace,
            plays: bounds.plays,
            identity: &bounds.identity,
            date: &self.date,
            lines: &mut self.lines,
            storing,
            turn: Turn::begin(),
            handoffs: &mut self.handoffs,
            load: self.load.as_deref_mut(),
            origin,
        }
    }
}

/// What a channel in hand has of its loop.
pub(crate) struct Context<'a> {
    pub(super) buffer: &'a mut Vec<u8>,
    pub(super) clear: &'a mut Vec<u8>,
    pub(super) wire: &'a mut Vec<u8>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) output: &'a mut Output,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) tally: &'a mut Tally,
    pub(super) now: Moment,
    pub(super) wait: Option<Duration>,
    pub(super) stopping: bool,
    pub(super) strict: bool,
    pub(super) is_judged: bool,
    pub(super) linger: Duration,
    pub(super) gate: &'a Gate,
    pub(super) grace: Duration,
    pub(super) plays: Option<u64>,
    pub(super) identity: &'a tls::Identity,
    pub(super) date: &'a Now,
    /// What is told of answers.
    pub(super) lines: &'a mut Lines,
    /// Where the connection in hand has files stored.
    pub(super) storing: Option<Storing<'a>>,
    /// Plays that leave a connection for another one.
    pub(super) handoffs: &'a mut VecDeque<Handoff>,
    /// Where plays are repeated to measure a server.
    pub(super) load: Option<&'a mut Generator>,
    /// How much of it may be served now.
    pub(super) turn: Turn,
    /// Where the channel in hand comes from.
    pub(super) origin: &'a Origin,
}

/// Gives a vector back that was lent out of a context. It keeps its room, unless that has become more than is usual: one large
/// message is not to cost its loop memory for ever.
pub(super) fn give_back(place: &mut Vec<u8>, mut lent: Vec<u8>) {
    lent.clear();
    lent.shrink_to(MOST_LENT);
    *place = lent;
}

impl Context<'_> {
    /// When a peer that takes nothing from now on has taken too long.
    pub(super) fn write_by(&self) -> Moment {
        self.origin.write_by(self.now)
    }

    /// The peer said something.
    pub(super) fn heard(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.origin.tell_tap(|tap, ours| tap.said(ours.other(), bytes));
        }
    }

    /// We said something.
    pub(super) fn said(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.origin.tell_tap(|tap, ours| tap.said(ours, bytes));
        }
    }
}
