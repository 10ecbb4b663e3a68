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

/// Keeps what the client says until the server is heard: what is said again, to another address or later, is told once to
/// the record.
#[derive(Debug)]
pub(super) struct UntilHeard {
    tap: Arc<dyn Tap>,
    /// None: the server was heard.
    said: Mutex<Option<Vec<Vec<u8>>>>,
}

impl UntilHeard {
    pub(super) fn new(tap: Arc<dyn Tap>) -> Arc<Self> {
        Arc::new(Self { tap, said: Mutex::new(Some(Vec::new())) })
    }

    /// No program was there: it will be said again.
    pub(super) fn forget(&self) {
        if let Some(said) = &mut *self.held() {
            said.clear();
        }
    }

    /// What was said is passed on, and from now on at once.
    pub(super) fn release(&self) {
        let said = self.held().take();
        said.into_iter().flatten().for_each(|bytes| self.tap.said(Side::Client, &bytes));
    }

    fn held(&self) -> MutexGuard<'_, Option<Vec<Vec<u8>>>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Also where the play ends before: what was said last is in the record.
impl Drop for UntilHeard {
    fn drop(&mut self) {
        self.release();
    }
}

impl Tap for UntilHeard {
    fn said(&self, side: Side, bytes: &[u8]) {
        match &mut *self.held() {
            Some(said) if side == Side::Client => return said.push(bytes.to_vec()),
            _ => {}
        }
        self.release();
        self.tap.said(side, bytes);
    }

    fn ended(&self, side: Side) {
        self.release();
        self.tap.ended(side);
    }

    fn secured(&self) {
        self.release();
        self.tap.secured();
    }

    fn unsecured(&self) {
        self.release();
        self.tap.unsecured();
    }

    fn reset(&self, side: Side) {
        self.release();
        self.tap.reset(side);
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
