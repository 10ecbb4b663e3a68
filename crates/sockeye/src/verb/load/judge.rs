//! What a load must reach to be a success.

use std::fmt;
use std::time::Duration;

use crate::figures::{Counts, Run};

/// What must be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Gates {
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
pub struct Missed(pub String);

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether at least one play ended as written.
fn has_a_success(counts: Counts) -> bool {
    counts.plays > counts.failures
}

impl Gates {
    /// What a run did not reach. Without a play that ended as written nothing was reached, whatever was asked for.
    #[must_use]
    pub fn missed(&self, run: &Run) -> Vec<Missed> {
        let counts = run.measured.counts;
        let mut missed = Vec::new();
        let mut miss = |sentence: String| missed.push(Missed(sentence));
        if !has_a_success(counts) {
            miss(match counts.failures {
                0 => "no play was finished".to_owned(),
                failures => format!("no play was finished as written: {failures} failed"),
            });
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
