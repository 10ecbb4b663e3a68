//! Chance that can be repeated: seeded for each connection and direction.

use std::time::Duration;

use super::{Delay, Shape};
use crate::random::SplitMix;

#[derive(Debug, Clone)]
pub(super) struct Random(SplitMix);

impl Random {
    /// That of one direction of one connection.
    pub(super) fn of(seed: u64, connection: u64, direction: u64) -> Self {
        let seed = seed ^ connection.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ direction.rotate_left(48);
        let mut random = Self(SplitMix::new(seed));
        // Numbers that are near each other are so no more.
        random.next();
        random.next();
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// From 0 up to, and without, 1.
    pub(super) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        // Nothing is drawn where nothing is left to chance: adding one fault leaves the others as they were.
        match share {
            ..=0.0 => false,
            1.0.. => true,
            _ => self.part() < share,
        }
    }

    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        least + (self.next() % (most - least + 1) as u64) as usize
    }

    /// How many come before the next one that is hit, of which this share is.
    pub(super) fn gap(&mut self, share: f64) -> u64 {
        if share <= 0.0 {
            return u64::MAX;
        }
        if share >= 1.0 {
            return 0;
        }
        let gap = (1.0 - self.part()).ln() / (1.0 - share).ln();
        gap.min(1e18) as u64
    }

    pub(super) fn delay(&mut self, delay: &Delay) -> Duration {
        let differs = match delay.shape {
            _ if delay.spread.is_zero() => 0.0,
            Shape::Even => self.part().mul_add(2.0, -1.0),
            // Twelve even ones come to a normal one.
            Shape::Normal => (0..12).map(|_| self.part()).sum::<f64>() - 6.0,
        };
        let seconds = delay.spread.as_secs_f64().mul_add(differs, delay.mean.as_secs_f64());
        Duration::from_secs_f64(seconds.max(0.0))
    }
}
