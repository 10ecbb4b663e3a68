//! The block bootstrap: how long blocks have to be, which are drawn, and what interval comes of it.

use crate::random::SplitMix;

/// How long blocks have to be for a series whose neighbours are alike: Politis and White 2004, with the correction of 2009,
/// for circular blocks.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
pub(super) fn block_length(series: &[f64]) -> usize {
    let series: Vec<f64> = series.iter().copied().filter(|value| value.is_finite()).collect();
    let n = series.len();
    if n < 4 {
        return 1;
    }
    let length = n as f64;
    let mean = series.iter().sum::<f64>() / length;
    let covariance = |lag: usize| {
        let pairs = series.iter().zip(&series[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / length
    };
    let variance = covariance(0);
    if variance <= 0.0 {
        return 1;
    }
    // The lag behind which nothing is left that chance does not explain: some lags in a row are below the bound.
    let in_a_row = 5.max(length.log10().sqrt().ceil() as usize);
    let most = ((length.sqrt().ceil() as usize) + in_a_row).min(n - 1);
    let bound = 2.0 * (length.log10() / length).sqrt();
    let is_small = |lag: usize| lag > most || (covariance(lag) / variance).abs() < bound;
    let last = (0..most).find(|&lag| (1..=in_a_row).all(|k| is_small(lag + k))).unwrap_or(most);
    if last == 0 {
        return 1;
    }
    // Lags count in full up to half of the window, and less and less behind it.
    let window = (2 * last).min(most);
    let weight = |lag: usize| {
        let part = lag as f64 / window as f64;
        if part <= 0.5 { 1.0 } else { 2.0 * (1.0 - part) }
    };
    let (mut spectrum, mut slope) = (variance, 0.0);
    for lag in 1..=window {
        let weighed = weight(lag) * covariance(lag);
        spectrum += 2.0 * weighed;
        slope += 2.0 * lag as f64 * weighed;
    }
    let spread = 4.0 / 3.0 * spectrum * spectrum;
    if spread <= 0.0 {
        return 1;
    }
    let best = (2.0 * slope * slope / spread).cbrt() * length.cbrt();
    // With fewer than three blocks there is nothing to draw.
    (best.ceil() as usize).clamp(1, (n / 3).max(1))
}

/// Draws blocks until there are as many pieces as before, several times over, and says how often each piece was drawn. The
/// last piece has the first behind it, so that each is drawn as often as the others.
pub(super) fn draw(
    pieces: usize,
    block: usize,
    draws: usize,
    seed: u64,
    times: &mut [u32],
    mut each: impl FnMut(&[u32]),
) {
    let mut random = SplitMix::new(seed);
    for _ in 0..draws {
        times.fill(0);
        let mut drawn = 0;
        while drawn < pieces {
            let start = below(pieces, &mut random);
            for k in 0..block.min(pieces - drawn) {
                times[(start + k) % pieces] += 1;
                drawn += 1;
            }
        }
        each(times);
    }
}

/// The interval for a ratio of which so many draws of either side are known; none if there are too few blocks for one.
#[allow(clippy::cast_precision_loss, reason = "small counts")]
pub(super) fn interval(
    new: &[f64],
    old: &[f64],
    ratio: f64,
    pieces: usize,
    block: usize,
    confidence: f64,
) -> Option<(f64, f64)> {
    if !(ratio.is_finite() && ratio > 0.0) {
        return None;
    }
    let blocks = pieces / block.max(1);
    let freedom = blocks.checked_sub(1).filter(|&freedom| freedom > 0)?;
    let mut logs: Vec<f64> =
        new.iter().zip(old).map(|(new, old)| (new / old).ln()).filter(|log| log.is_finite()).collect();
    if logs.len() * 10 < new.len() * 9 || logs.is_empty() {
        return None;
    }
    logs.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let [low, middle, high] = [tail, 0.5, 1.0 - tail].map(|part| quantile(&logs, part));
    // Few blocks know little of how they vary: as much wider as Student's t is, and as what is drawn varies too little.
    let count = blocks as f64;
    let wider = student(freedom) / student(usize::MAX) * (count / (count - 1.0)).sqrt();
    let centre = ratio.ln();
    Some(((centre + (low - middle) * wider).exp(), (centre + (high - middle) * wider).exp()))
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

/// The point of Student's t above which half a percent lies, by degrees of freedom.
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 20] = [
        63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.25, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947, 2.921,
        2.898, 2.878, 2.861, 2.845,
    ];
    match freedom {
        0 => f64::INFINITY,
        1..=20 => TABLE[freedom - 1],
        21..=30 => 2.831,
        31..=60 => 2.75,
        61..=120 => 2.66,
        _ => 2.576,
    }
}

/// A number below a bound, each as often as any other.
#[allow(clippy::cast_possible_truncation, reason = "it is below a usize")]
fn below(bound: usize, random: &mut SplitMix) -> usize {
    ((u128::from(random.next()) * bound as u128) >> 64) as usize
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A series in which each value takes this much from the one before.
    pub(crate) fn series(n: usize, memory: f64, seed: u64) -> Vec<f64> {
        let mut random = SplitMix::new(seed);
        let mut value = 0.0;
        let mut noise = || (0..12).map(|_| random.next() as f64 / u64::MAX as f64).sum::<f64>() - 6.0;
        (0..n + 50)
            .map(|_| {
                value = memory * value + noise() * (1.0 - memory * memory).sqrt();
                value
            })
            .skip(50)
            .collect()
    }

    #[test]
    fn blocks_are_long_where_neighbours_are_alike() {
        let lengths = |memory| (0..20).map(|seed| block_length(&series(200, memory, seed))).collect::<Vec<_>>();
        let mean = |lengths: &[usize]| lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        let (free, alike) = (lengths(0.0), lengths(0.8));
        assert!(mean(&free) < 4.0, "{free:?}");
        assert!(mean(&alike) > 8.0, "{alike:?}");
        assert_eq!((block_length(&[]), block_length(&[1.0; 50]), block_length(&[f64::NAN; 9])), (1, 1, 1));
    }

    /// The intervals hold what they promise, for seconds that remember and seconds that do not. Independent draws would
    /// fail the second by far.
    #[test]
    fn intervals_have_the_true_value_in_them_as_often_as_they_say() {
        for (memory, seconds) in [(0.0, 10), (0.0, 60), (0.6, 60), (0.8, 120)] {
            let mut held = 0;
            for seed in 0..200 {
                let sides: Vec<(Vec<f64>, f64, usize)> = [seed * 2, seed * 2 + 1]
                    .map(|seed| {
                        let rows: Vec<f64> =
                            series(seconds, memory, seed + 1000).iter().map(|z| 1000.0 + 50.0 * z).collect();
                        let block = block_length(&rows);
                        (rows.clone(), rows.iter().sum::<f64>() / seconds as f64, block)
                    })
                    .to_vec();
                let block = sides[0].2.max(sides[1].2);
                let draws: Vec<Vec<f64>> = sides
                    .iter()
                    .enumerate()
                    .map(|(side, (rows, ..))| {
                        let mut means = Vec::new();
                        let mut times = vec![0; seconds];
                        draw(seconds, block, 400, side as u64, &mut times, |times| {
                            let sum: f64 = rows.iter().zip(times).map(|(row, &times)| row * f64::from(times)).sum();
                            means.push(sum / seconds as f64);
                        });
                        means
                    })
                    .collect();
                let ratio = sides[0].1 / sides[1].1;
                let (low, high) = interval(&draws[0], &draws[1], ratio, seconds, block, 0.99).unwrap();
                held += usize::from(low <= 1.0 && high >= 1.0);
            }
            assert!(held >= 188, "memory {memory}, {seconds} seconds: {held} of 200");
        }
    }

    #[test]
    fn one_block_says_nothing_and_two_little() {
        let draws = [0.9, 1.0, 1.1, 1.0];
        assert_eq!(interval(&draws, &draws, 1.0, 3, 2, 0.99), None);
        assert_eq!(interval(&draws, &draws, f64::NAN, 30, 2, 0.99), None);
        let new = [1.01, 1.0, 0.99, 1.0];
        let width = |pieces| {
            let (low, high) = interval(&new, &[1.0; 4], 1.0, pieces, 1, 0.99).unwrap();
            high / low
        };
        assert!(width(2) > width(3) && width(3) > width(300), "{} {} {}", width(2), width(3), width(300));
    }
}
