//! Several that hear one conversation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sockeye::record::Tap;
use transcript::Side;

/// Several taps as one.
#[derive(Debug)]
struct Tee(Vec<Arc<dyn Tap>>);

/// All of them as one; none if there is no listener.
pub(super) fn tee(mut taps: Vec<Arc<dyn Tap>>) -> Option<Arc<dyn Tap>> {
    match taps.len() {
        0 | 1 => taps.pop(),
        _ => Some(Arc::new(Tee(taps))),
    }
}

/// Keeps what is told of a conversation as long as it may be begun again: what is said again, to another address or later, is
/// told once to the record.
#[derive(Debug)]
pub(super) struct Held {
    tap: Arc<dyn Tap>,
    until: Until,
    /// None: it is passed on at once.
    acts: Mutex<Option<Vec<Act>>>,
}

/// How long that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Until the server says something.
    ServerSpeaks,
    /// Until TLS or a WebSocket has begun.
    Secured,
    /// Until it is dropped.
    Dropped,
}

/// Something that is told of a conversation.
#[derive(Debug)]
enum Act {
    Said(Side, Vec<u8>),
    Ended(Side),
    Reset(Side),
    Secured,
}

impl Held {
    /// One before a tap, where there is a reason to hold anything back; and who is to be told in its place.
    pub(super) fn before(tap: Option<Arc<dyn Tap>>, until: Option<Until>) -> (Option<Arc<Self>>, Option<Arc<dyn Tap>>) {
        let (Some(tap), Some(until)) = (&tap, until) else { return (None, tap) };
        let held = Arc::new(Self { tap: Arc::clone(tap), until, acts: Mutex::new(Some(Vec::new())) });
        (Some(Arc::clone(&held)), Some(held))
    }

    /// It is begun again: none of it counts.
    pub(super) fn forget(&self) {
        if let Some(acts) = &mut *self.acts() {
            acts.clear();
        }
    }

    /// What was kept is passed on, and from now on at once.
    fn release(&self) {
        let acts = self.acts().take();
        acts.into_iter().flatten().for_each(|act| self.pass_on(&act));
    }

    fn hear(&self, act: Act) {
        let is_over = match self.until {
            Until::ServerSpeaks => matches!(act, Act::Said(Side::Server, _)),
            Until::Secured => matches!(act, Act::Secured),
            Until::Dropped => false,
        };
        match &mut *self.acts() {
            Some(acts) if !is_over => return acts.push(act),
            _ => {}
        }
        self.release();
        self.pass_on(&act);
    }

    fn pass_on(&self, act: &Act) {
        match act {
            Act::Said(side, bytes) => self.tap.said(*side, bytes),
            Act::Ended(side) => self.tap.ended(*side),
            Act::Reset(side) => self.tap.reset(*side),
            Act::Secured => self.tap.secured(),
        }
    }

    fn acts(&self) -> MutexGuard<'_, Option<Vec<Act>>> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Also where it ends before: what was told last is in the record.
impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

impl Tap for Held {
    fn said(&self, side: Side, bytes: &[u8]) {
        // Nothing is copied once it is passed on.
        if self.acts().is_none() {
            return self.tap.said(side, bytes);
        }
        self.hear(Act::Said(side, bytes.to_vec()));
    }

    fn ended(&self, side: Side) {
        self.hear(Act::Ended(side));
    }

    fn reset(&self, side: Side) {
        self.hear(Act::Reset(side));
    }

    fn secured(&self) {
        self.hear(Act::Secured);
    }

    fn unsecured(&self) {
        self.release();
        self.tap.unsecured();
    }

    fn connects(&self, number: u8, side: Side, port: Option<u16>) -> Option<Arc<dyn Tap>> {
        self.release();
        self.tap.connects(number, side, port)
    }
}

impl Tap for Tee {
    fn said(&self, side: Side, bytes: &[u8]) {
        self.0.iter().for_each(|tap| tap.said(side, bytes));
    }

    fn ended(&self, side: Side) {
        self.0.iter().for_each(|tap| tap.ended(side));
    }

    fn secured(&self) {
        self.0.iter().for_each(|tap| tap.secured());
    }

    fn unsecured(&self) {
        self.0.iter().for_each(|tap| tap.unsecured());
    }

    fn reset(&self, side: Side) {
        self.0.iter().for_each(|tap| tap.reset(side));
    }

    fn connects(&self, number: u8, side: Side, port: Option<u16>) -> Option<Arc<dyn Tap>> {
        tee(self.0.iter().filter_map(|tap| tap.connects(number, side, port)).collect())
    }
}
