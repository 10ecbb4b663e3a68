//! What a load must reach to be a success.

use std::fmt;
use std::time::Duration;

use crate::figures::{Counts, Run};

/// What must be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Thresholds {
    /// The longest that 99 of 100 exchanges may take.
    pub p99: Option<Duration>,
    /// Failures that are allowed.
    pub errors: Option<Allowed>,
    /// Exchanges a second.
    pub rate: Option<f64>,
}

/// How many plays may fail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowed {
    /// So many.
    Count(u64),
    /// Such a part of all.
    Part(f64),
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Part(part) => write!(f, "{} %", part * 100.0),
        }
    }
}

/// One thing that was not reached: a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedThreshold(pub String);

impl fmt::Display for MissedThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether at least one play ended as written.
fn has_a_success(counts: Counts) -> bool {
    counts.plays > counts.failures
}

impl Thresholds {
    /// What a run did not reach. Without a play that ended as written nothing was reached, whatever was asked for.
    #[must_use]
    pub fn missed(&self, run: &Run) -> Vec<MissedThreshold> {
        let counts = run.measured.counts;
        let mut missed = Vec::new();
        let mut miss = |sentence: String| missed.push(MissedThreshold(sentence));
        if !has_a_success(counts) {
            miss(match counts.failures {
                0 => "no play was finished".to_owned(),
                failures => format!("no play was finished as written: {failures} failed"),
            });
        }
        // A shard has its part of the plays, and may have none of some transcript.
        if let never @ [_, ..] = &run.never_played[..]
            && has_a_success(counts)
            && run.begun.shard.is_none()
        {
            let plays = if counts.plays == 1 { "1 play".to_owned() } else { format!("{} plays", counts.plays) };
            let files = never.join(", ");
            miss(format!("{plays} came to an end, and none of {files}: give --plays, --duration or its weight more"));
        }
        let is_too_many = match self.errors {
            None => counts.failures > 0,
            Some(Allowed::Count(most)) => counts.failures > most,
            #[allow(clippy::cast_precision_loss, reason = "a part of so many plays is not exact anyway")]
            Some(Allowed::Part(most)) => counts.failures as f64 > most * counts.plays as f64,
        };
        if is_too_many && has_a_success(counts) {
            let allowed = self.errors.map_or(String::new(), |most| format!(", and {most} are allowed (--max-errors)"));
            miss(format!("{} of {} plays failed{allowed}", counts.failures, counts.plays));
        }
        let p99 = run.measured.latency.quantile(0.99);
        if let Some(most) = self.p99
            && (run.measured.latency.is_empty() || p99 > most)
        {
            miss(match run.measured.latency.is_empty() {
                true => "there is no p99: no exchange was finished (--max-p99)".to_owned(),
                false => {
                    let [is, most] = [p99, most].map(|time| format!("{:.3} ms", time.as_secs_f64() * 1e3));
                    format!("p99 is {is}, and at most {most} is allowed (--max-p99)")
                }
            });
        }
        if let Some(least) = self.rate
            && run.rate() < least
        {
            miss(format!("{:.1} exchanges a second, and at least {least} are asked for (--min-rate)", run.rate()));
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Begun, collect};

    /// A run of a second with so many exchanges of a millisecond, and so many failures.
    fn run(exchanges: u32, failures: u32) -> Run {
        let (collector, mut recorders) = collect(&["a.talk:1".to_owned()], 1);
        let mut recorder = recorders.remove(0);
        for _ in 0..exchanges {
            recorder.exchange(0, Duration::from_millis(1));
            recorder.short_play();
        }
        for _ in 0..failures {
            recorder.failure(Some(0), "differs", String::new);
        }
        recorder.finish();
        Begun::now("load").ended(Duration::from_secs(1), collector.finish())
    }

    fn missed(gates: Thresholds, run: &Run) -> Vec<String> {
        gates.missed(run).into_iter().map(|missed| missed.0).collect()
    }

    #[test]
    fn a_gate_is_reached_at_its_bound_and_missed_behind_it() {
        let errors = |errors| Thresholds { errors: Some(errors), ..Thresholds::default() };
        let some = run(90, 10);
        for (gates, is_reached) in [
            (Thresholds::default(), false),
            (errors(Allowed::Count(10)), true),
            (errors(Allowed::Count(9)), false),
            (errors(Allowed::Count(0)), false),
            (errors(Allowed::Part(0.1)), true),
            (errors(Allowed::Part(0.0999)), false),
            (errors(Allowed::Part(0.0)), false),
            (errors(Allowed::Part(1.0)), true),
            (Thresholds { rate: Some(90.0), ..errors(Allowed::Part(1.0)) }, true),
            (Thresholds { rate: Some(90.001), ..errors(Allowed::Part(1.0)) }, false),
            (Thresholds { p99: Some(some.measured.latency.max()), ..errors(Allowed::Part(1.0)) }, true),
            (Thresholds { p99: Some(Duration::from_micros(999)), ..errors(Allowed::Part(1.0)) }, false),
        ] {
            assert_eq!(missed(gates, &some).is_empty(), is_reached, "{gates:?} {:?}", missed(gates, &some));
        }
        assert_eq!(missed(Thresholds::default(), &run(1, 0)), Vec::<String>::new());
    }

    #[test]
    fn without_an_exchange_no_gate_about_exchanges_is_reached() {
        let gates = Thresholds { p99: Some(Duration::MAX), errors: Some(Allowed::Part(1.0)), rate: Some(1e-9) };
        for (failures, why) in [(0, "no play was finished"), (7, "no play was finished as written: 7 failed")] {
            let told = missed(gates, &run(0, failures));
            assert_eq!(told[0], why);
            assert!(told[1].contains("there is no p99") && told[2].starts_with("0.0 exchanges a second"), "{told:?}");
        }
    }

    #[test]
    fn every_gate_that_is_missed_is_told() {
        let gates = Thresholds { p99: Some(Duration::ZERO), errors: None, rate: Some(1e6) };
        let told = missed(gates, &run(99, 1));
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(told[0], "1 of 100 plays failed");
    }
}
