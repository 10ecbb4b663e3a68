//! When plays are due in an open loop: a clock decides, whatever the server does.

use std::time::Duration;

use transcript::Moment;

use crate::figures::Arrivals;
use crate::random::SplitMix;

/// The plays of one lane of several, which all together have the rate. Each lane is a thread of a machine.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Plays a second of all lanes.
    rate: f64,
    /// When it begins: connections are opened before.
    lead: Duration,
    /// How long the rate grows, in seconds.
    ramp: f64,
    lane: u64,
    lanes: u64,
    arrivals: Arrivals,
    random: SplitMix,
    /// Plays that were due.
    count: u64,
    /// How many plays of all lanes are due by then, on average.
    due: f64,
}

impl Schedule {
    pub(crate) fn new(rate: f64, ramp: Duration, (lane, lanes): (u64, u64), arrivals: Arrivals, seed: u64) -> Self {
        // Lanes that begin at neighbouring numbers would be alike.
        let random = SplitMix::new(seed ^ SplitMix::new(lane).next());
        let mut schedule = Self {
            rate,
            lead: Duration::ZERO,
            ramp: ramp.as_secs_f64(),
            lane,
            lanes,
            arrivals,
            random,
            count: 0,
            due: 0.0,
        };
        if arrivals == Arrivals::Poisson {
            schedule.due = schedule.pause();
        }
        schedule
    }

    /// The same, so much later.
    pub(crate) fn after(self, lead: Duration) -> Self {
        Self { lead, ..self }
    }

    /// When the next play is due.
    pub(crate) fn next(&self) -> Moment {
        let due = match self.arrivals {
            #[allow(clippy::cast_precision_loss, reason = "a run has fewer plays than 2^52")]
            Arrivals::Constant => (self.lane + self.count * self.lanes) as f64,
            Arrivals::Poisson => self.due,
        };
        let seconds = Duration::try_from_secs_f64(self.when(due)).unwrap_or(Duration::MAX);
        Moment::default().after(self.lead.saturating_add(seconds))
    }

    /// The next one is another.
    pub(crate) fn advance(&mut self) {
        self.count += 1;
        if self.arrivals == Arrivals::Poisson {
            self.due += self.pause();
        }
    }

    /// What lies between two plays of this lane, counted in plays of all lanes: independent of all before.
    #[allow(
        clippy::cast_precision_loss,
        reason = "53 bits are what a fraction holds, and no machine has so many threads"
    )]
    fn pause(&mut self) -> f64 {
        // Above 0, and at most 1.
        let fraction = ((self.random.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -fraction.ln() * self.lanes as f64
    }

    /// When so many plays are due, in seconds: while the rate grows from nothing, plays are as the square of time.
    fn when(&self, plays: f64) -> f64 {
        let grown = self.rate * self.ramp / 2.0;
        if plays < grown { (2.0 * self.ramp * plays / self.rate).sqrt() } else { plays / self.rate + self.ramp / 2.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(schedule: &mut Schedule, count: usize) -> Vec<f64> {
        let mut next = || {
            let at = schedule.next();
            schedule.advance();
            Duration::from_nanos(at.nanos()).as_secs_f64()
        };
        (0..count).map(|_| next()).collect()
    }

    fn lanes(arrivals: Arrivals, ramp: Duration, count: usize) -> Vec<f64> {
        let mut all: Vec<f64> = (0..4)
            .flat_map(|lane| seconds(&mut Schedule::new(1000.0, ramp, (lane, 4), arrivals, 7), count / 4))
            .collect();
        all.sort_by(f64::total_cmp);
        all
    }

    #[test]
    fn constant_arrivals_of_all_lanes_together_are_evenly_spread() {
        let all = lanes(Arrivals::Constant, Duration::ZERO, 4000);
        assert_eq!((all[0], all[1000]), (0.0, 1.0));
        assert!(all.windows(2).all(|two| (two[1] - two[0] - 0.001).abs() < 1e-8));
    }

    #[test]
    fn a_rate_that_grows_has_half_as_many_plays_until_it_is_there() {
        let all = lanes(Arrivals::Constant, Duration::from_secs(2), 4000);
        let until = |time: f64| all.iter().filter(|&&at| at < time).count();
        assert_eq!([until(1.0), until(2.0), until(3.0)], [250, 1000, 2000]);
    }

    /// Kolmogorov and Smirnov: the largest distance between the distribution of the pauses and the exponential one. For so many
    /// pauses, 1.95 over the root of their number is passed by one in a thousand; the seed is fixed, so it is always the same.
    #[test]
    fn pauses_between_poisson_arrivals_are_exponential_in_a_lane_and_in_all_together() {
        let one = seconds(&mut Schedule::new(1000.0, Duration::ZERO, (0, 1), Arrivals::Poisson, 42), 20_000);
        for all in [one, lanes(Arrivals::Poisson, Duration::ZERO, 20_000)[..18_000].to_vec()] {
            let mut pauses: Vec<f64> = all.windows(2).map(|two| two[1] - two[0]).collect();
            pauses.sort_by(f64::total_cmp);
            let count = pauses.len() as f64;
            let distance = pauses.iter().enumerate().map(|(index, pause)| {
                let expected = 1.0 - (-pause * 1000.0).exp();
                (expected - index as f64 / count).abs().max((expected - (index + 1) as f64 / count).abs())
            });
            let distance = distance.fold(0.0, f64::max);
            assert!(distance < 1.95 / count.sqrt(), "{distance}");
            let mean = pauses.iter().sum::<f64>() / count;
            assert!((mean - 0.001).abs() < 0.000_03, "{mean}");
            // Neighbours do not know of each other.
            let unsorted: Vec<f64> = all.windows(2).map(|two| two[1] - two[0] - mean).collect();
            let (alike, spread) = (
                unsorted.windows(2).map(|two| two[0] * two[1]).sum::<f64>(),
                unsorted.iter().map(|pause| pause * pause).sum::<f64>(),
            );
            assert!((alike / spread).abs() < 4.0 / count.sqrt());
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_moments_and_another_one_others() {
        let with = |seed| seconds(&mut Schedule::new(10.0, Duration::ZERO, (0, 1), Arrivals::Poisson, seed), 100);
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }
}
