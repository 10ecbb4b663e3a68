//! Several that hear one conversation.

use std::sync::Arc;

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
