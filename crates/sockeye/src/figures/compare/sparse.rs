//! Seconds as a bootstrap needs them: only the steps of the histograms that occur, so that many sums are quick.

use super::super::{Histogram, Row};

/// Pieces of a run, each of the same number of seconds.
pub(super) struct Seconds {
    /// The steps that occur anywhere, as seconds: the middle, and the upper end.
    steps: Vec<(f64, f64)>,
    /// For each piece, which step occurs how often.
    pieces: Vec<Vec<(usize, u64)>>,
    /// Seconds in each piece.
    length: usize,
}

/// The sum of some of them.
pub(super) struct Sum<'a> {
    steps: &'a [(f64, f64)],
    counts: Vec<u64>,
    total: u64,
    seconds: f64,
}

impl Seconds {
    /// At most so many pieces; a rest that does not fill one is left out.
    pub(super) fn of(rows: &[Row], most: usize) -> Self {
        let length = rows.len().div_ceil(most).max(1);
        let histograms: Vec<Histogram> = rows
            .chunks_exact(length)
            .map(|rows| {
                let mut sum = Histogram::new();
                rows.iter().for_each(|row| sum.merge(&row.latency()));
                sum
            })
            .collect();
        let mut all = Histogram::new();
        histograms.iter().for_each(|histogram| all.merge(histogram));
        let known: Vec<_> = all.buckets().collect();
        let place = |low| known.binary_search_by_key(&low, |step| step.low).unwrap_or_default();
        let piece = |histogram: &Histogram| histogram.buckets().map(|step| (place(step.low), step.count)).collect();
        let pieces = histograms.iter().map(piece).collect();
        let step = |step: &super::super::Bucket| {
            let (low, high) = (step.low.as_secs_f64(), step.high.as_secs_f64());
            (f64::midpoint(low, high), high)
        };
        Self { steps: known.iter().map(step).collect(), pieces, length }
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Exchanges in each piece.
    pub(super) fn rates(&self) -> Vec<f64> {
        self.each(|sum| sum.rate())
    }

    /// The mean latency in each piece.
    pub(super) fn means(&self) -> Vec<f64> {
        self.each(|sum| sum.mean())
    }

    fn each(&self, of: impl Fn(&Sum<'_>) -> f64) -> Vec<f64> {
        let one = |index| {
            let mut times = vec![0; self.len()];
            times[index] = 1;
            of(&self.sum(&times))
        };
        (0..self.len()).map(one).collect()
    }

    /// Each piece so many times.
    pub(super) fn sum(&self, times: &[u32]) -> Sum<'_> {
        let mut counts = vec![0; self.steps.len()];
        let mut pieces = 0;
        for (piece, &times) in self.pieces.iter().zip(times).filter(|(_, times)| **times > 0) {
            pieces += times;
            for &(step, count) in piece {
                counts[step] = u64::saturating_add(counts[step], count.saturating_mul(times.into()));
            }
        }
        let total = counts.iter().copied().fold(0, u64::saturating_add);
        #[allow(clippy::cast_precision_loss, reason = "there are at most a few hundred")]
        let seconds = f64::from(pieces) * self.length as f64;
        Sum { steps: &self.steps, counts, total, seconds }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of more than fifteen digits do not occur")]
impl Sum<'_> {
    pub(super) fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.total as f64 / self.seconds } else { 0.0 }
    }

    pub(super) fn mean(&self) -> f64 {
        let sum: f64 = self.steps.iter().zip(&self.counts).map(|((middle, _), &count)| middle * count as f64).sum();
        if self.total > 0 { sum / self.total as f64 } else { f64::NAN }
    }

    /// As [`Histogram::quantile`] has it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a count")]
    pub(super) fn quantile(&self, part: f64) -> f64 {
        let wanted = ((part * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for ((_, high), &count) in self.steps.iter().zip(&self.counts) {
            seen = u64::saturating_add(seen, count);
            if seen >= wanted {
                return *high;
            }
        }
        f64::NAN
    }
}
