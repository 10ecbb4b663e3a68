//! Counting while a run goes on: one addition for each time. Steps are those of HdrHistogram, so that a histogram of it is
//! exact; what a histogram knows beside them is worked out when it is made.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::{Histogram, nanos};

/// Of each step, how many times there were.
#[derive(Debug)]
pub(super) struct Tally {
    /// Up to a minute and a bit. Memory that no time falls into is never touched.
    near: Box<[u64]>,
    /// Longer ones, by nanoseconds.
    far: BTreeMap<u64, u64>,
}

/// With three digits a step is a 1024th to a 2048th of its times.
const HALF: u32 = 10;
/// Below 2 to this power, in nanoseconds, steps have their place.
const NEAR: u32 = 36;

impl Default for Tally {
    fn default() -> Self {
        let steps = ((NEAR - HALF + 1) as usize) << HALF;
        Self { near: vec![0; steps].into(), far: BTreeMap::new() }
    }
}

/// The step of a time. Every power of two above 1024 is divided into 1024 steps.
#[inline]
fn step(nanos: u64) -> usize {
    let power = (u64::BITS - 1 - HALF) - (nanos | ((2 << HALF) - 1)).leading_zeros();
    ((power as usize) << HALF) + (nanos >> power) as usize
}

/// The shortest time of a step.
fn shortest(step: usize) -> u64 {
    let power = (step >> HALF).saturating_sub(1);
    ((step - (power << HALF)) as u64) << power
}

impl Tally {
    #[inline]
    pub(super) fn record(&mut self, time: Duration) {
        let nanos = nanos(time);
        match self.near.get_mut(step(nanos)) {
            Some(count) => *count += 1,
            None => self.record_far(nanos),
        }
    }

    #[cold]
    fn record_far(&mut self, nanos: u64) {
        *self.far.entry(nanos).or_default() += 1;
    }

    /// Adds all of it to a histogram, and forgets it. Its memory stays.
    pub(super) fn drain_into(&mut self, histogram: &mut Histogram) {
        for (step, count) in self.near.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            histogram.record_many(Duration::from_nanos(shortest(step)), std::mem::take(count));
        }
        for (nanos, count) in std::mem::take(&mut self.far) {
            histogram.record_many(Duration::from_nanos(nanos), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_that_is_made_of_it_is_the_one_that_counted_itself() {
        let edges = (0..52).flat_map(|power| [-1, 0, 1].map(|by| (1_u64 << power).saturating_add_signed(by)));
        let many = (0..20_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (12 + n % 50));
        let (mut tally, mut direct) = (Tally::default(), Histogram::new());
        for time in edges.chain(many).map(Duration::from_nanos).chain([Duration::ZERO, Duration::MAX]) {
            tally.record(time);
            direct.record(time);
        }
        let mut made = Histogram::new();
        tally.drain_into(&mut made);
        assert_eq!(made, direct);
        assert_eq!([made.min(), made.max(), made.mean()], [direct.min(), direct.max(), direct.mean()]);
        assert_eq!(made.encode(), direct.encode());
        // And then it is empty.
        let mut again = Histogram::new();
        tally.drain_into(&mut again);
        assert!(again.is_empty());
    }

    #[test]
    fn every_step_begins_where_the_one_before_ends() {
        assert!((0..27_648).all(|number| step(shortest(number)) == number));
        assert!((1..26_000).all(|number| step(shortest(number) - 1) == number - 1));
    }
}
