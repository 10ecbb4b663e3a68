//! One of the connections that there are at once: what is played over it, and since when.

use std::time::Duration;

use transcript::{Moment, Watch};

use super::{Piece, Places};
use crate::engine::reactor::token::Key;
use crate::figures::Recorder;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::engine) enum Stage {
    /// There is no connection.
    #[default]
    Closed,
    /// One is on its way, for whatever play is due when it stands.
    Opening,
    /// It stands, and nothing is played.
    Resting,
    Playing,
    /// All was said and heard, and something of it is still to be sent.
    Said,
    /// It is over as written, and the connection is closed.
    Passed,
    /// It failed, and the connection is closed.
    Failed,
    /// Its plays are counted, and the connection is closed: how that ends tells whether the last of them were heard.
    Settling,
}

#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Slot {
    pub(in crate::engine) key: Option<Key>,
    pub(in crate::engine) stage: Stage,
    /// The transcript that is played, or was played last over this connection.
    pub(in crate::engine) piece: Option<u32>,
    pub(in crate::engine) number: u64,
    /// Which of the rows of values its play has.
    pub(in crate::engine) row: Option<u32>,
    /// When the play began, or was due.
    pub(in crate::engine) began: Moment,
    /// When it was over.
    pub(in crate::engine) over: Moment,
    /// Since when it connects, shakes hands or rests.
    pub(in crate::engine) since: Moment,
    pub(in crate::engine) backoff: Duration,
    /// What was counted of its bytes.
    pub(in crate::engine) sent: u64,
    pub(in crate::engine) received: u64,
    /// The exchange under way: the first line of ours, when the last one was said, and when the last answer had come.
    asked: Option<(usize, Moment)>,
    answer: Option<Moment>,
    /// The first exchange counts from when the play was due.
    is_due: bool,
    /// It stands among those that may begin a play.
    pub(in crate::engine) is_free: bool,
    /// A play went well over this connection.
    pub(in crate::engine) is_proven: bool,
    /// How much later than that it was asked.
    late: Duration,
    /// Plays over this connection that went well, and behind whose last words the peer has said nothing yet.
    pub(in crate::engine) unanswered: u64,
}

impl Slot {
    pub(in crate::engine) fn begin(
        &mut self,
        piece: u32,
        (number, row): (u64, Option<u32>),
        due: Moment,
        is_open: bool,
    ) {
        (self.piece, self.number, self.row, self.began) = (Some(piece), number, row, due);
        (self.stage, self.is_due) = (Stage::Playing, is_open);
        self.abandon();
    }

    /// What was not answered whole is no exchange.
    pub(in crate::engine) fn abandon(&mut self) {
        (self.asked, self.answer, self.late) = (None, None, Duration::ZERO);
    }

    /// What was answered last is an exchange.
    pub(in crate::engine) fn answered(&mut self, pieces: &[Piece], recorder: Option<&mut Recorder>) {
        if let Some(piece) = self.piece {
            let places = Some(&*pieces[piece as usize].places);
            Meter { slot: self, places, recorder }.finish();
        }
        if self.asked.is_some() {
            self.unanswered += 1;
        }
        self.abandon();
    }
}

/// Is told of the lines of a play, and records its exchanges.
pub(in crate::engine) struct Meter<'a> {
    pub(in crate::engine) slot: &'a mut Slot,
    pub(in crate::engine) places: Option<&'a Places>,
    pub(in crate::engine) recorder: Option<&'a mut Recorder>,
}

impl Meter<'_> {
    /// The other side has said all of its run: how long that was is known when we speak again.
    #[inline]
    fn finish(&mut self) {
        if let (Some((line, asked)), Some(answered)) = (self.slot.asked, self.slot.answer.take()) {
            self.slot.asked = None;
            let late = std::mem::take(&mut self.slot.late);
            let latency = Duration::from_nanos(answered.nanos().saturating_sub(asked.nanos())) + late;
            if let Some(recorder) = &mut self.recorder
                && let Some(place) = self.places.and_then(|places| places.of(line))
            {
                recorder.exchange(place, latency);
            }
        }
    }
}

impl Watch for Meter<'_> {
    #[inline]
    fn said(&mut self, line: usize, now: Moment) {
        self.finish();
        if std::mem::take(&mut self.slot.is_due) {
            self.slot.late = Duration::from_nanos(now.nanos().saturating_sub(self.slot.began.nanos()));
        }
        // Of a run of ours the name is that of its first line, and the moment that of its last.
        self.slot.asked = Some((self.slot.asked.map_or(line, |(first, _)| first), now));
    }

    #[inline]
    fn heard(&mut self, _: usize, now: Moment) {
        self.slot.unanswered = 0;
        if self.slot.asked.is_some() {
            self.slot.answer = Some(now);
        }
    }
}
