//! What makes a loop a generator of load: which connection plays what, when, and what is counted. It knows no socket: the loop
//! opens connections when it is told to, and a channel says what became of its play.

mod deal;
mod places;
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nothing is asked over HTTP"))]
mod requests;
mod schedule;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod simulated;
mod slot;
mod wakes;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use transcript::{FaultKind, Input, Moment, Output, Play, Row, Scratch, Script, Step};

pub(crate) use deal::Played;
pub(crate) use places::Places;
pub(crate) use requests::Request;
#[cfg(feature = "http")]
pub(crate) use requests::Room;
pub(crate) use schedule::Schedule;
#[cfg(test)]
pub(crate) use simulated::simulate;
pub(super) use slot::Stage;
use slot::{Meter, Slot};

use super::after_play::{After, Start, Values};
use super::origin::Client;
use crate::endpoint::Conversation;
use crate::failure::{Failure, Kind};
use crate::figures::Recorder;
use crate::net::connecting::Target;

/// How soon a connection is tried again after one that came to nothing, and at most.
const SOON: Duration = Duration::from_millis(5);
const LATER: Duration = Duration::from_millis(500);
/// A start that is later than this, by no fault of the server, is counted.
pub(super) const LATE: Duration = crate::limits::LOAD_LATE;

/// One transcript of those that are played.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) script: Arc<Script>,
    /// How often it is played, beside the others.
    pub(crate) weight: u64,
    /// By line of the transcript: its place among the lines of the figures.
    pub(crate) places: Arc<Places>,
    /// Values of plays, one after the other and from the front again.
    pub(crate) rows: Arc<[Row]>,
    /// Whether a value is the number of the play: the last of the columns.
    pub(crate) numbered: Option<Arc<dyn Numbered>>,
    /// Whether a connection may be kept from play to play.
    pub(crate) keeps: bool,
    /// How much of its turn it has had.
    pub(crate) turn: i64,
}

impl Piece {
    /// How many rows of values its plays take in turn.
    fn count_of_rows(&self) -> usize {
        self.numbered.as_ref().map_or(self.rows.len(), |numbered| numbered.rows())
    }
}

/// Makes the values of a play that has a number in them.
pub(crate) trait Numbered: std::fmt::Debug + Send + Sync {
    /// How many rows of other values there are; none: the number is the only value.
    fn rows(&self) -> usize;

    /// The values of the play with this number, which were looked at for another number; in the memory of an old one.
    fn row(&self, script: &Script, number: u64, row: u32, old: Option<Row>) -> Option<Row>;
}

/// What decides when a play begins.
#[derive(Debug, Clone)]
pub(crate) enum StartPolicy {
    /// The end of the one before on the same connection, and so long after it.
    Closed { think: Duration },
    /// A clock.
    Open(Schedule),
}

/// What one loop is to do.
#[derive(Debug)]
pub(crate) struct Job {
    /// What is asked over HTTP, where no transcripts are played.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) targets: Vec<Arc<Target>>,
    /// How a client's end behaves.
    pub(crate) client: Client,
    pub(crate) connections: usize,
    /// The first of them is opened then, the others one after the other so much later.
    pub(crate) opens: (Duration, Duration),
    pub(crate) start: StartPolicy,
    /// Plays to begin, if they are counted.
    pub(crate) plays: Option<u64>,
    /// No play begins from then on.
    pub(crate) until: Option<Duration>,
    /// How long plays that have begun may go on then.
    pub(crate) grace: Option<Duration>,
    /// The number of the first play, and how far the next one is.
    pub(crate) numbers: (u64, u64),
    /// Plays that come before, of all that threads share.
    pub(crate) skipped: u64,
}

/// What a loop knows of itself in the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// Plays that began, and those that were cut at the end.
    pub(crate) begun: u64,
    pub(crate) cut: u64,
    /// When the last play ended as written.
    pub(crate) last: Duration,
    /// Plays that were due and found every connection busy.
    pub(crate) held: u64,
    pub(crate) held_by: Duration,
    /// Connections that found no port, and no descriptor.
    pub(crate) portless: u64,
    pub(crate) fileless: u64,
    /// Connections that came about, and that were refused.
    pub(crate) connected: u64,
    pub(crate) refused: u64,
    /// Connections that the peer ended between two plays.
    pub(crate) lapsed: u64,
    /// It ended early: nothing but refusals came.
    pub(crate) gave_up: bool,
    /// The first failure, by what exit codes come from.
    pub(crate) first: Option<Kind>,
    /// What was played of all that was given.
    pub(crate) played: Played,
}

/// What makes a loop a generator of load.
pub(crate) struct Generator {
    pub(super) job: Job,
    pub(super) recorder: Option<Recorder>,
    pub(super) slots: Vec<Slot>,
    pub(super) account: Account,
    /// Plays that may still begin.
    pub(super) left: u64,
    pub(super) until: Moment,
    pub(super) number: u64,
    /// Plays that took a row of values.
    rows_taken: u64,
    /// Plays under way.
    pub(super) playing: usize,
    /// Requests that a server closed before, and that are asked again: when they were due.
    pub(super) again: VecDeque<Moment>,
    /// Open loop: who may begin a play, since when.
    pub(super) free: VecDeque<u32>,
    /// When a connection is opened, or a play begins on one that rests.
    pub(super) wakes: BinaryHeap<Reverse<(Moment, u32)>>,
    /// Those whose connection has ended.
    pub(super) ended: Vec<u32>,
    /// Nothing begins any more.
    pub(super) is_over: bool,
    /// Nor is what is under way waited for.
    pub(super) is_stopped: bool,
    pub(super) now: Moment,
}

impl Generator {
    pub(crate) fn new(mut job: Job, recorder: Recorder) -> Self {
        let after = |time: Duration| Moment::default().after(time);
        let mut wakes = BinaryHeap::new();
        let (first, step) = job.opens;
        for slot in 0..job.connections as u32 {
            wakes.push(Reverse((after(first + step * slot), slot)));
        }
        deal::skip(&mut job.pieces, job.skipped);
        Self {
            slots: vec![Slot::default(); job.connections],
            account: Account { played: Played::none_of(&job.pieces), ..Account::default() },
            left: job.plays.unwrap_or(u64::MAX),
            until: job.until.map_or(Moment::from_nanos(u64::MAX), after),
            number: job.numbers.0,
            rows_taken: 0,
            playing: 0,
            free: VecDeque::new(),
            wakes,
            ended: Vec::new(),
            again: VecDeque::new(),
            is_over: false,
            is_stopped: false,
            recorder: Some(recorder),
            now: Moment::default(),
            job,
        }
    }

    pub(super) fn record(&mut self, act: impl FnOnce(&mut Recorder)) {
        if let Some(recorder) = &mut self.recorder {
            act(recorder);
        }
    }

    /// Whether connections are kept from play to play, so that they are opened before plays are due.
    pub(super) fn keeps(&self) -> bool {
        self.job.pieces.iter().all(|piece| piece.keeps)
    }

    /// Whether a connection is opened when a play is due, and not before.
    pub(super) fn opens_when_due(&self) -> bool {
        matches!(self.job.start, StartPolicy::Open(_)) && !self.keeps() && self.job.request.is_none()
    }

    /// A slot may begin a play that is due.
    pub(super) fn set_free(&mut self, slot: u32) {
        if !std::mem::replace(&mut self.slots[slot as usize].is_free, true) {
            self.free.push_back(slot);
        }
    }

    /// Whether one more play may begin.
    pub(super) fn may_begin(&self) -> bool {
        let is_in_time = match &self.job.start {
            StartPolicy::Closed { .. } => self.now < self.until,
            // What was due in time is begun, however late: it is what a server that cannot follow owes.
            StartPolicy::Open(schedule) => schedule.next() < self.until,
        };
        !self.is_over && self.left > 0 && is_in_time
    }

    /// Whether all is played, and no play is under way.
    pub(super) fn is_done(&self) -> bool {
        self.playing == 0 && !self.has_more() && !self.may_begin()
    }

    /// Whether one more connection is opened: for the last plays no more than those that play them.
    pub(super) fn may_open(&self) -> bool {
        let opening = || self.slots.iter().filter(|slot| slot.stage == Stage::Opening).count();
        self.may_begin() && (self.left > self.slots.len() as u64 || self.left > opening() as u64)
    }

    /// Whether something that was begun is to be asked again.
    pub(super) fn has_more(&self) -> bool {
        !self.is_over && !self.again.is_empty()
    }

    /// When the next play is due in an open loop, if one may begin.
    pub(super) fn due(&self) -> Option<Moment> {
        match &self.job.start {
            StartPolicy::Open(schedule) if self.may_begin() => Some(schedule.next()).filter(|due| *due < self.until),
            _ => None,
        }
    }

    /// Has a play begin in a slot, which was due then.
    fn begin(&mut self, slot: usize, due: Moment) -> Start {
        let piece = deal::next(&mut self.job.pieces);
        let number = self.number;
        self.number += self.job.numbers.1;
        self.left -= 1;
        self.playing += 1;
        self.account.begun += 1;
        let chosen = &self.job.pieces[piece];
        // Row by row: one that stood at the turn of a transcript without these names would never be used.
        let own_row = match chosen.count_of_rows() {
            0 => None,
            rows => {
                let (first, step) = self.job.numbers;
                let turn = (first - 1).wrapping_add(step.wrapping_mul(self.rows_taken));
                self.rows_taken += 1;
                Some((turn % rows as u64) as u32)
            }
        };
        let row = match (&chosen.numbered, own_row) {
            (Some(_), _) => Values::Numbered,
            (None, None) => Values::Without,
            (None, Some(row)) => Values::Row(chosen.rows[row as usize].clone()),
        };
        let place = &mut self.slots[slot];
        let script = (place.piece != Some(piece as u32)).then(|| Arc::clone(&chosen.script));
        place.begin(piece as u32, (number, own_row), due, matches!(self.job.start, StartPolicy::Open(_)));
        Start { script, row }
    }

    /// The values of the play that begins in a slot, with its number among them.
    pub(super) fn numbered_row(&self, slot: usize, old: Option<Row>) -> Option<Row> {
        let place = &self.slots[slot];
        let piece = &self.job.pieces[place.piece? as usize];
        piece.numbered.as_ref()?.row(&piece.script, place.number, place.row.unwrap_or(0), old)
    }

    /// A play for a connection that stands ready, if one is due.
    pub(super) fn next_play(&mut self, slot: usize) -> Option<Start> {
        if !self.may_begin() {
            return None;
        }
        let now = self.now;
        match &mut self.job.start {
            StartPolicy::Closed { .. } => Some(self.begin(slot, now)),
            StartPolicy::Open(schedule) => {
                let due = schedule.next();
                if due > now || due >= self.until {
                    return None;
                }
                schedule.advance();
                let held = Duration::from_nanos(now.nanos() - due.nanos());
                if held > LATE {
                    self.account.held += 1;
                    self.account.held_by = self.account.held_by.max(held);
                }
                Some(self.begin(slot, due))
            }
        }
    }

    /// A connection stands, or rests and something happened to it: what is to be done with it?
    pub(super) fn arrives(&mut self, slot: usize, now: Moment, bytes: usize, ended: bool) -> After {
        self.now = now;
        match self.slots[slot].stage {
            Stage::Playing => After::GoOn,
            Stage::Said => self.after_play(slot, bytes, ended),
            Stage::Opening => match self.next_play(slot) {
                Some(start) => After::Begin(start),
                None => self.rest(slot),
            },
            Stage::Resting if ended => {
                self.account.lapsed += 1;
                After::Drop
            }
            Stage::Resting if bytes > 0 => {
                // A play that never began failed.
                self.playing += 1;
                self.slots[slot].stage = Stage::Playing;
                After::Unexpected
            }
            Stage::Resting => After::Rest,
            Stage::Passed | Stage::Failed | Stage::Closed | Stage::Settling => After::GoOn,
        }
    }

    /// Takes a play that is due for a connection that rests.
    pub(super) fn begin_resting(&mut self, slot: usize, now: Moment) -> After {
        self.now = now;
        match self.next_play(slot) {
            Some(start) => After::Begin(start),
            None => self.rest(slot),
        }
    }

    fn rest(&mut self, slot: usize) -> After {
        if !self.may_begin() {
            return if self.settle(slot) { After::Close } else { After::Drop };
        }
        let place = &mut self.slots[slot];
        place.stage = Stage::Resting;
        place.since = self.now;
        match self.job.start {
            StartPolicy::Closed { think } => self.wakes.push(Reverse((self.now.after(think), slot as u32))),
            StartPolicy::Open(_) => self.set_free(slot as u32),
        }
        After::Rest
    }

    /// The connection of a slot is to be closed, for nothing is played over it any more. Whether its end has to be waited for:
    /// where the last words were ours, only that tells whether they were heard.
    pub(super) fn settle(&mut self, slot: usize) -> bool {
        let place = &mut self.slots[slot];
        if place.unanswered == 0 {
            return false;
        }
        place.stage = Stage::Settling;
        self.playing += 1;
        true
    }

    /// The same of one that rests.
    pub(super) fn settle_resting(&mut self, slot: usize) -> bool {
        self.slots[slot].stage == Stage::Resting && self.settle(slot)
    }

    /// A step of a play, of which every exchange is told.
    pub(super) fn step(
        &mut self,
        slot: usize,
        play: &mut Play,
        script: &Script,
        input: Input<'_>,
        resources: (&mut Scratch, &mut Output),
    ) -> Step {
        self.now = input.now;
        let Self { slots, job, recorder, .. } = self;
        let place = &mut slots[slot];
        let places = place.piece.map(|piece| &*job.pieces[piece as usize].places);
        let mut meter = Meter { slot: place, places, recorder: recorder.as_mut() };
        play.step_watched(script, input, resources.0, resources.1, &mut meter)
    }

    /// A play has come to its end as written, and so many bytes stand behind it. `Close` has it counted when the connection has
    /// ended well, too.
    pub(super) fn passed(&mut self, slot: usize, sends: bool, bytes: usize, ended: bool) -> After {
        let place = &mut self.slots[slot];
        place.answered(&self.job.pieces, self.recorder.as_mut());
        let keeps = place.piece.is_some_and(|piece| self.job.pieces[piece as usize].keeps);
        if keeps && sends {
            // What it said last is still on its way.
            place.stage = Stage::Said;
            return After::Rest;
        }
        if !keeps || ended {
            place.stage = Stage::Passed;
            place.over = self.now;
            return After::Close;
        }
        self.after_play(slot, bytes, ended)
    }

    /// A play has come to its end as written, which is that of its connection: what becomes of that is known.
    pub(super) fn passed_with_connection(&mut self, slot: usize, now: Moment) {
        self.now = now;
        let _ = self.passed(slot, false, 0, true);
    }

    /// A play is over whose connection stays.
    fn after_play(&mut self, slot: usize, bytes: usize, ended: bool) -> After {
        if ended {
            self.slots[slot].stage = Stage::Passed;
            self.slots[slot].over = self.now;
            return After::Close;
        }
        if bytes > 0 {
            return After::Unexpected;
        }
        self.count(slot, self.now);
        let thinks = matches!(self.job.start, StartPolicy::Closed { think } if !think.is_zero());
        if thinks {
            return self.rest(slot);
        }
        match self.next_play(slot) {
            Some(start) => After::Begin(start),
            None => self.rest(slot),
        }
    }

    /// A play went well, and was over then.
    fn count(&mut self, slot: usize, over: Moment) {
        self.playing -= 1;
        let place = &mut self.slots[slot];
        (place.backoff, place.is_proven, place.stage) = (Duration::ZERO, true, Stage::Resting);
        let lasted = Duration::from_nanos(over.nanos().saturating_sub(place.began.nanos()));
        self.account.last = Duration::from_nanos(over.nanos());
        self.ended_play(slot);
        self.record(|recorder| recorder.play(lasted));
    }

    /// What was played over a connection was played to an end.
    fn ended_play(&mut self, slot: usize) {
        let place = &self.slots[slot];
        if let Some(piece) = place.piece {
            self.account.played.ended(piece as usize, place.row);
        }
    }

    /// Bytes of a connection so far.
    pub(super) fn bytes(&mut self, slot: usize, sent: u64, received: u64) {
        let place = &mut self.slots[slot];
        let new = (sent - place.sent, received - place.received);
        (place.sent, place.received) = (sent, received);
        self.record(|recorder| recorder.bytes(new.0, new.1));
    }

    /// A connection stands.
    pub(super) fn connected(&mut self, slot: usize, now: Moment) {
        self.account.connected += 1;
        let lasted = Duration::from_nanos(now.nanos().saturating_sub(self.slots[slot].since.nanos()));
        self.record(|recorder| recorder.connect(lasted));
    }

    /// A handshake begins.
    pub(super) fn handshake_begins(&mut self, slot: usize, now: Moment) {
        self.slots[slot].since = now;
    }

    /// It came about.
    pub(super) fn handshake_stands(&mut self, slot: usize, now: Moment) {
        let lasted = Duration::from_nanos(now.nanos().saturating_sub(self.slots[slot].since.nanos()));
        self.record(|recorder| recorder.handshake(lasted));
    }

    /// A play failed, or its connection came to nothing. Once for each play.
    pub(super) fn failed(&mut self, slot: usize, failure: &Failure, conversation: impl Fn() -> Conversation) {
        let kind = failure.kind();
        if matches!(kind, Kind::Fault(FaultKind::Reset) | Kind::Refused | Kind::Unreachable) {
            self.lose_unanswered(slot, kind, failure, &conversation);
        }
        let place = &mut self.slots[slot];
        match place.stage {
            // Requests are counted by the agent that asked.
            _ if self.job.request.is_some() && place.stage != Stage::Opening => return,
            Stage::Failed | Stage::Closed | Stage::Resting | Stage::Settling => return,
            // It was for no play yet: as many fail as would have been played.
            Stage::Opening => {
                self.playing += 1;
                self.left = self.left.saturating_sub(1);
                place.number = self.number;
                self.number += self.job.numbers.1;
                self.account.begun += 1;
            }
            Stage::Playing | Stage::Said | Stage::Passed => self.ended_play(slot),
        }
        let place = &mut self.slots[slot];
        place.stage = Stage::Failed;
        place.abandon();
        self.playing -= 1;
        self.account.first.get_or_insert(kind);
        let line = match failure {
            Failure::Play { verdict, .. } => Some(verdict.place.line),
            Failure::Other { line, .. } => *line,
        };
        let (piece, number) = (place.piece, place.number);
        let place = line.and_then(|line| self.job.pieces.get(piece? as usize)?.places.of(line));
        let account = || failure.of(Some(&Conversation { number, ..conversation() }));
        self.record(|recorder| recorder.failure(place, kind.name(), account));
    }

    /// A connection broke over which plays had gone well, and nothing shows that the last of them were heard. Over datagrams that
    /// is told of the last one alone: a port may have been open for those before.
    fn lose_unanswered(&mut self, slot: usize, kind: Kind, failure: &Failure, conversation: &dyn Fn() -> Conversation) {
        let place = &mut self.slots[slot];
        let mut count = std::mem::take(&mut place.unanswered);
        if self.job.targets[0].protocol.keeps_bounds() {
            count = count.min(1);
        }
        // The play at hand is counted for itself.
        if matches!(place.stage, Stage::Said | Stage::Passed) {
            count = count.saturating_sub(1);
        }
        if count == 0 {
            return;
        }
        self.account.first.get_or_insert(kind);
        let number = place.number;
        let account = || failure.of(Some(&Conversation { number, ..conversation() }));
        self.record(|recorder| recorder.failure_of_played(count, kind.name(), account));
    }

    /// Nothing answered: whether that is to be counted against the server.
    pub(super) fn not_connected(&mut self, slot: usize, kind: Kind, is_portless: bool) -> bool {
        // A play that was due has failed, whichever end is to blame.
        let own = (is_portless || kind == Kind::NoResources) && self.slots[slot].stage == Stage::Opening;
        if is_portless {
            self.account.portless += 1;
        } else if kind == Kind::NoResources {
            self.account.fileless += 1;
        } else if kind == Kind::Refused {
            self.account.refused += 1;
        }
        !own
    }

    /// The connection of a slot has ended.
    pub(super) fn gone(&mut self, slot: usize, sent: u64, received: u64) {
        self.bytes(slot, sent, received);
        if self.slots[slot].stage == Stage::Passed {
            self.count(slot, self.slots[slot].over);
        }
        let place = &mut self.slots[slot];
        let is_played = matches!(place.stage, Stage::Playing | Stage::Said);
        if place.stage == Stage::Settling {
            self.playing -= 1;
        }
        place.unanswered = 0;
        if is_played {
            // It was cut.
            self.playing -= 1;
            self.account.cut += 1;
        }
        // A server that says something may be asked again at once, whatever it said.
        if received == 0 && !place.is_proven {
            place.backoff = (place.backoff * 2).clamp(SOON, LATER);
        }
        (place.stage, place.key, place.sent, place.received, place.is_proven) = (Stage::Closed, None, 0, 0, false);
        self.ended.push(slot as u32);
    }
}
