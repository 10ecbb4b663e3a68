//! A histogram of times: HdrHistogram, in nanoseconds, with three significant digits.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

/// Times, counted. Each is kept to one part in a thousand, however long it is, so that histograms of many threads and
/// machines add up without loss.
///
/// ```
/// use std::time::Duration;
/// use sockeye::figures::Histogram;
///
/// let mut here = Histogram::new();
/// let mut there = Histogram::new();
/// (1..=99).for_each(|n| here.record(Duration::from_millis(n)));
/// there.record(Duration::from_secs(1));
/// here.merge(&there);
/// assert_eq!(here.count(), 100);
/// assert!(here.quantile(0.5).abs_diff(Duration::from_millis(50)) < Duration::from_micros(50));
/// assert_eq!(Histogram::decode(&here.encode())?, here);
/// # Ok::<(), sockeye::figures::HistogramError>(())
/// ```
#[derive(Clone)]
pub struct Histogram(Hdr<u64>);

/// One step of a histogram: how many times were between two bounds, both within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The shortest time that counts here.
    pub low: Duration,
    /// The longest.
    pub high: Duration,
    /// How many there were.
    pub count: u64,
}

/// What a histogram resolves without growing: a minute and a bit. Memory that no time falls into is never touched.
const HIGH: u64 = 1 << 36;
/// Longer times count as this, 52 days.
const LONGEST: u64 = 1 << 52;
const DIGITS: u8 = 3;

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty one.
    ///
    /// # Panics
    /// Never: the bounds are constants that the format allows.
    #[must_use]
    pub fn new() -> Self {
        let mut histogram = Hdr::new_with_bounds(1, HIGH, DIGITS).expect("the bounds are allowed");
        histogram.auto(true);
        Self(histogram)
    }

    /// Counts a time. It costs a few nanoseconds, and takes memory only for one that is longer than a minute and than all
    /// before it.
    #[inline]
    pub fn record(&mut self, time: Duration) {
        self.record_many(time, 1);
    }

    /// Counts the same time several times.
    #[inline]
    pub fn record_many(&mut self, time: Duration, count: u64) {
        let nanos = nanos(time);
        // It grows, so that there is nothing to fail.
        let _ = self.0.record_n(nanos, count);
    }

    /// Adds what another one has counted. Nothing is lost by it: both have the same steps.
    pub fn merge(&mut self, other: &Self) {
        // It grows, so that there is nothing to fail.
        let _ = self.0.add(&other.0);
    }

    /// Takes away what another one has counted, all of which was added before.
    pub(super) fn take_away(&mut self, other: &Self) {
        // What was added can be taken away.
        let _ = self.0.subtract(&other.0);
    }

    /// How many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time within which this part of all lies: 0.99 is the 99th percentile. Zero, if nothing was counted.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(part))
    }

    /// The longest; zero, if nothing was counted.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(if self.is_empty() { 0 } else { self.0.max() })
    }

    /// The shortest; zero, if nothing was counted.
    #[must_use]
    pub fn min(&self) -> Duration {
        Duration::from_nanos(if self.is_empty() { 0 } else { self.0.min() })
    }

    /// The mean; zero, if nothing was counted.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.0.mean() / 1e9)
    }

    /// The part of all that is within a time.
    #[must_use]
    pub fn within(&self, time: Duration) -> f64 {
        self.0.quantile_below(nanos(time))
    }

    /// Every step into which something falls, from short to long.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.0.iter_recorded().map(|step| {
            let value = step.value_iterated_to();
            Bucket {
                low: Duration::from_nanos(self.0.lowest_equivalent(value)),
                high: Duration::from_nanos(self.0.highest_equivalent(value)),
                count: step.count_at_value(),
            }
        })
    }

    /// As text that other tools of HdrHistogram read: its format V2, compressed, in base64.
    ///
    /// # Panics
    /// Never: what is written is in memory.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).expect("memory takes what is written");
        BASE64.encode(bytes)
    }

    /// Reads what [`Histogram::encode`] wrote, or another tool with the same unit and precision.
    ///
    /// # Errors
    /// It is no histogram, is damaged, or has another precision. Whatever stands there, it takes little memory.
    pub fn decode(text: &str) -> Result<Self, HistogramError> {
        let compressed = BASE64.decode(text.trim()).map_err(|_| HistogramError::Damaged)?;
        let bytes = inflate(&compressed)?;
        let [cookie, payload, offset, digits] = [0, 4, 8, 12].map(|at| word(&bytes, at));
        let [low, high] = [16, 24].map(|at| u64::from(word(&bytes, at)) << 32 | u64::from(word(&bytes, at + 4)));
        if cookie != V2 || offset != 0 || payload as usize != bytes.len() - HEAD {
            return Err(HistogramError::Damaged);
        }
        if digits != u32::from(DIGITS) || low != 1 || high > LONGEST * 2 {
            return Err(HistogramError::OtherPrecision);
        }
        let mut histogram: Hdr<u64> =
            Deserializer::new().deserialize(&mut &bytes[..]).map_err(|_| HistogramError::Damaged)?;
        histogram.auto(true);
        Ok(Self(histogram))
    }
}

#[inline]
pub(super) fn nanos(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into()).min(LONGEST)
}

/// What V2 begins with, compressed and not.
const V2_COMPRESSED: u32 = 0x1c84_9314;
const V2: u32 = 0x1c84_9313;
/// Bytes before its counts.
const HEAD: usize = 40;
/// More than any histogram of this precision takes: nine bytes for each count.
const MOST: u64 = 1 << 20;

/// The library makes room for as much as the head says: what is larger than a histogram can be is refused before.
fn inflate(bytes: &[u8]) -> Result<Vec<u8>, HistogramError> {
    if bytes.len() < 8 || word(bytes, 0) != V2_COMPRESSED || word(bytes, 4) as usize != bytes.len() - 8 {
        return Err(HistogramError::Damaged);
    }
    let mut inflated = Vec::new();
    let read = ZlibDecoder::new(&bytes[8..]).take(MOST).read_to_end(&mut inflated);
    match read {
        Ok(HEAD..) if (inflated.len() as u64) < MOST => Ok(inflated),
        _ => Err(HistogramError::Damaged),
    }
}

/// A number, as the network writes it; zero behind the end.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.count() == other.count() && self.buckets().eq(other.buckets())
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({} times, {:?} to {:?})", self.count(), self.min(), self.max())
    }
}

/// Why text is no histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistogramError {
    /// It is not in the format, or not whole.
    Damaged,
    /// It is one of another unit or number of digits, which could not be added exactly.
    OtherPrecision,
}

impl fmt::Display for HistogramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "it is not HdrHistogram's V2 in base64, or damaged",
            Self::OtherPrecision => "it does not count nanoseconds with three digits, and cannot be added exactly",
        })
    }
}

impl std::error::Error for HistogramError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(nanos: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        nanos.iter().for_each(|&nanos| histogram.record(Duration::from_nanos(nanos)));
        histogram
    }

    /// Times of every size, from nothing to days.
    fn times() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec((0_u32..53, any::<u64>()).prop_map(|(bits, any)| any & ((1 << bits) - 1)), 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]

        #[test]
        fn eight_shards_together_are_the_histogram_of_all_values(times in times()) {
            let mut merged = Histogram::new();
            for shard in 0..8 {
                let part: Vec<u64> = times.iter().copied().skip(shard).step_by(8).collect();
                merged.merge(&of(&part));
            }
            let all = of(&times);
            prop_assert_eq!(&merged, &all);
            prop_assert_eq!([0.5, 0.99, 1.0].map(|q| merged.quantile(q)), [0.5, 0.99, 1.0].map(|q| all.quantile(q)));
            prop_assert_eq!((merged.max(), merged.min(), merged.mean()), (all.max(), all.min(), all.mean()));
        }

        #[test]
        fn what_is_written_is_read_as_it_was(times in times()) {
            let histogram = of(&times);
            let text = histogram.encode();
            let read = Histogram::decode(&text).unwrap();
            prop_assert_eq!(&read, &histogram);
            prop_assert_eq!((read.max(), read.min()), (histogram.max(), histogram.min()));
            prop_assert_eq!(read.encode(), text);
        }

        #[test]
        fn no_time_is_off_by_more_than_one_part_in_a_thousand(nanos in 0..=LONGEST) {
            let histogram = of(&[nanos]);
            let kept = u64::try_from(histogram.quantile(0.5).as_nanos()).unwrap();
            prop_assert!(kept.abs_diff(nanos) * 1000 <= nanos, "{} as {}", nanos, kept);
        }

        #[test]
        fn damage_is_refused_or_read_and_takes_nothing_down(
            times in times(), at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = BASE64.decode(of(&times).encode()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Histogram::decode(&BASE64.encode(&bytes));
            prop_assert!(Histogram::decode(&BASE64.encode(&bytes[..at])).is_err());
        }
    }

    /// A head that asks for gigabytes, in few bytes.
    #[test]
    fn a_histogram_that_would_take_much_memory_is_refused() {
        let with = |at: usize, value: u32, tail: usize| {
            let mut head = [V2, 0, 0, 3, 0, 1, 0, 1 << 30, 0x3ff0_0000, 0].map(u32::to_be_bytes).concat();
            head[4..8].copy_from_slice(&u32::try_from(tail).unwrap().to_be_bytes());
            head[at..at + 4].copy_from_slice(&value.to_be_bytes());
            head.resize(HEAD + tail, 0);
            let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            std::io::Write::write_all(&mut packed, &head).unwrap();
            let packed = packed.finish().unwrap();
            let length = u32::try_from(packed.len()).unwrap();
            let all = [&V2_COMPRESSED.to_be_bytes()[..], &length.to_be_bytes(), &packed].concat();
            Histogram::decode(&BASE64.encode(all))
        };
        assert_eq!(with(12, 3, 0), Ok(Histogram::new()));
        assert_eq!(with(4, u32::MAX, 0), Err(HistogramError::Damaged));
        assert_eq!(with(12, 5, 0), Err(HistogramError::OtherPrecision));
        assert_eq!(with(24, u32::MAX, 0), Err(HistogramError::OtherPrecision));
        assert_eq!(with(12, 3, 1 << 22), Err(HistogramError::Damaged));
        for text in ["", "HISTFAAA", "not base64!", "AAAA"] {
            assert_eq!(Histogram::decode(text), Err(HistogramError::Damaged), "{text}");
        }
    }

    /// What HdrHistogram's own implementation in Python (hdrhistogram 0.10.8) wrote of the squares of 1 to 1000, in microseconds,
    /// and three times five seconds, and the percentiles that it gave.
    #[test]
    fn what_another_implementation_wrote_is_read() {
        let text = "HISTFAAAAdZ4nJWPMWgTURyH8/8u13iEI9ZQisRSpIqUUkRESpFSRIqIiIiIgziIOIiISBEHB4cqDiJSMjiIdOgQRBydRMTB\
        qZQO4uTYwcHFxd2Xd8m99+7du9R8fL/f7//IkBx62m3Xavtqg080aFHu74/lP9nDTovtaXoH+J6yntBNeDdGr8GXOjt1Xsas\
        1VmL2Iz4GrEb8QFewQb98Rm2YQs+Cp+Eb8KW8EP4KewKv4W/wnvhCc+E58ILYV3oCq+FN8KGsCn09FfeCte4rrjBTcUtbnNH\
        cZd73OcBqzzkEY/VvaRY5ozmLCvKc5rziguKi4pLisuKK4qrihVmmVPMa/sczzmhOZlzSrOgXWBRu8hp7ZJynqkB01rDYW2W\
        M3rNaIcczc04lpsxm5sxxyRtxUTuMG0mHYc55GCeRpdOnpkdqzvqH5qeyjP1aDndcnSzVdjj1ut4ITPdNG3TLqy25zBNu0zQ\
        JKGhdNN0cYdoesvuprN87eW3vcKkJTstpLuMxWW3vVLiPdCouBuVXZ7u8q/M0BVOv+3l7tBLOUnlS+KtJHiZdNdoE/VrowFS\
        svzLv6te/594T69x4Kpa1R1XvoXv0IpHvhpHvRRX+V2W5Ve4zfp1ZOwfS8NnUA==";
        let read = Histogram::decode(text).unwrap();
        let mut squares: Vec<u64> = (1..=1000).map(|n| n * n * 1000).collect();
        squares.extend([5_000_000_000; 3]);
        assert_eq!(read, of(&squares));
        let nanos = [read.quantile(0.5), read.quantile(0.99), read.max()].map(|time| time.as_nanos());
        assert_eq!((read.count(), nanos), (1003, [252_051_455, 986_185_727, 5_003_804_671]));
    }

    #[test]
    fn an_empty_one_has_zeros_and_no_bucket() {
        let empty = Histogram::new();
        assert_eq!([empty.quantile(0.99), empty.max(), empty.min(), empty.mean()], [Duration::ZERO; 4]);
        assert_eq!((empty.buckets().count(), empty.is_empty()), (0, true));
    }
}
