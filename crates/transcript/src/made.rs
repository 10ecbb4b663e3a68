//! Values that are new in each play: random ones, and the time. What they are made of goes in as an argument; nothing here
//! reads a clock, and nothing is random.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::calendar;
use crate::moment::Moment;

/// Where new values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fresh {
    /// What random values are drawn from: the same seed gives the same ones, in the same order.
    pub seed: u64,
    /// What time it is.
    pub clock: Clock,
}

/// What time it is, as time since 1970 began in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Always this.
    Still(Duration),
    /// This at the first [`Moment`], and then it goes on.
    Running(Duration),
}

impl Default for Clock {
    fn default() -> Self {
        Self::Still(Duration::ZERO)
    }
}

impl Clock {
    fn at(self, now: Moment) -> Duration {
        match self {
            Self::Still(time) => time,
            Self::Running(began) => began.saturating_add(Duration::from_nanos(now.nanos())),
        }
    }
}

/// What a `let` makes anew for whoever says it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// So many characters of a kind, or bytes.
    Random(Kind, u16),
    /// A UUID of version 4 (RFC 9562).
    Uuid,
    Time(Format),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Hex,
    Digits,
    Letters,
    Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `2026-11-28T15:31:20Z`.
    Rfc3339,
    /// `Sat, 28 Nov 2026 15:31:20 GMT` (RFC 9110).
    Http,
    /// Seconds since 1970.
    Unix,
}

/// Most characters of a random value.
pub(crate) const MOST_RANDOM: u16 = crate::limits::RANDOM;

impl Made {
    /// Whether it is drawn from the seed.
    pub(crate) fn is_random(self) -> bool {
        !matches!(self, Self::Time(_))
    }

    /// Whether it may hold a line ending.
    pub(crate) fn may_break_lines(self) -> bool {
        matches!(self, Self::Random(Kind::Bytes, _))
    }

    /// The expression that every such value matches; none for bytes, of which the number is told.
    pub(crate) fn expression(self) -> Result<String, usize> {
        Ok(match self {
            Self::Random(Kind::Hex, count) => format!("[0-9a-fA-F]{{{count}}}"),
            Self::Random(Kind::Digits, count) => format!("[0-9]{{{count}}}"),
            Self::Random(Kind::Letters, count) => format!("[A-Za-z]{{{count}}}"),
            Self::Random(Kind::Bytes, count) => return Err(usize::from(count)),
            Self::Uuid => "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".to_owned(),
            Self::Time(Format::Rfc3339) => {
                r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
                    .to_owned()
            }
            Self::Time(Format::Http) => {
                "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT".to_owned()
            }
            Self::Time(Format::Unix) => "[0-9]+".to_owned(),
        })
    }

    /// A new value.
    pub(crate) fn make(self, fresh: &Fresh, drawn: &AtomicU64, now: Moment) -> Vec<u8> {
        let random = || Random::new(fresh.seed, drawn.fetch_add(1, Ordering::Relaxed));
        match self {
            Self::Random(kind, count) => {
                let mut random = random();
                (0..count).map(|_| random.character(kind)).collect()
            }
            Self::Uuid => {
                let mut random = random();
                let mut digits: Vec<u8> = (0..32).map(|_| random.character(Kind::Hex)).collect();
                // The version, and the variant.
                digits[12] = b'4';
                digits[16] = b"89ab"[(random.next() & 3) as usize];
                for at in [20, 16, 12, 8] {
                    digits.insert(at, b'-');
                }
                digits
            }
            Self::Time(format) => format.write(fresh.clock.at(now)).into_bytes(),
        }
    }
}

/// Numbers that depend on nothing but a seed and a place in a row: SplitMix64.
struct Random(u64);

impl Random {
    fn new(seed: u64, place: u64) -> Self {
        // Rows of neighbours have nothing in common.
        let begin = Self(seed ^ Self(place).next()).next();
        Self(begin)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn character(&mut self, kind: Kind) -> u8 {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let among: &[u8] = match kind {
            Kind::Hex => b"0123456789abcdef",
            Kind::Digits => b"0123456789",
            Kind::Letters => LETTERS,
            Kind::Bytes => return (self.next() >> 56) as u8,
        };
        among[(self.next() % among.len() as u64) as usize]
    }
}

impl Format {
    fn write(self, time: Duration) -> String {
        let seconds = time.as_secs();
        let (hours, minutes, rest) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let (year, month, day) = calendar::date(seconds / 86_400);
        match self {
            Self::Unix => seconds.to_string(),
            Self::Rfc3339 => format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{rest:02}Z"),
            Self::Http => {
                const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
                const MONTHS: [&str; 12] =
                    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
                let weekday = DAYS[(seconds / 86_400 % 7) as usize];
                let month = MONTHS[(month as usize - 1) % 12];
                format!("{weekday}, {day:02} {month} {year:04} {hours:02}:{minutes:02}:{rest:02} GMT")
            }
        }
    }
}

/// A time as `--at` has it: `2026-11-28T15:31:20Z`, or seconds since 1970.
///
/// # Errors
/// What a time looks like, as a sentence.
pub fn time(written: &str) -> Result<Duration, NoTime> {
    if !written.is_empty() && written.len() < 12 && written.bytes().all(|byte| byte.is_ascii_digit()) {
        return written.parse().map(Duration::from_secs).map_err(|_| NoTime);
    }
    let part = |from: usize, to: usize| -> Option<u64> {
        let text = written.get(from..to)?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let signs = |at: usize, sign: &str| written.get(at..at + 1).is_some_and(|there| sign.contains(there));
    let shaped = signs(4, "-") && signs(7, "-") && (written.len() == 10 || signs(10, "Tt "));
    let clock = if written.len() == 10 {
        Some((0, 0, 0))
    } else if written.len() == 20 && signs(13, ":") && signs(16, ":") && signs(19, "Zz") {
        part(11, 13).zip(part(14, 16)).zip(part(17, 19)).map(|((hours, minutes), seconds)| (hours, minutes, seconds))
    } else {
        None
    };
    let day = part(0, 4).zip(part(5, 7)).zip(part(8, 10)).map(|((year, month), day)| (year, month, day));
    let days = day.and_then(|(year, month, day)| calendar::days_to(year, month, day));
    let (Some((hours, minutes, seconds)), Some(days)) = (clock.filter(|_| shaped), days) else { return Err(NoTime) };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(NoTime);
    }
    Ok(Duration::from_secs(days * 86_400 + hours * 3600 + minutes * 60 + seconds))
}

/// A text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTime;

impl fmt::Display for NoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time is written 2026-11-28T15:31:20Z, 2026-11-28, or in seconds since 1970")
    }
}

impl std::error::Error for NoTime {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::pattern::Regex;

    #[test]
    fn times_are_written_as_their_standards_print_them_and_read_again() {
        for (seconds, rfc3339, http) in [
            (0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            // RFC 9110, section 5.6.7.
            (784_111_777, "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "2000-02-29T00:00:00Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_772_323_199, "2026-02-28T23:59:59Z", "Sat, 28 Feb 2026 23:59:59 GMT"),
            (1_772_323_200, "2026-03-01T00:00:00Z", "Sun, 01 Mar 2026 00:00:00 GMT"),
            (4_102_444_799, "2099-12-31T23:59:59Z", "Thu, 31 Dec 2099 23:59:59 GMT"),
        ] {
            let at = Duration::from_secs(seconds);
            assert_eq!(Format::Rfc3339.write(at), rfc3339);
            assert_eq!(Format::Http.write(at), http);
            assert_eq!(Format::Unix.write(at), seconds.to_string());
            assert_eq!(time(rfc3339), Ok(at));
            assert_eq!(time(&seconds.to_string()), Ok(at));
        }
        assert_eq!(time("2026-03-01"), Ok(Duration::from_secs(1_772_323_200)));
        for wrong in [
            "",
            "now",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "1969-12-31",
            "2026-03-01T24:00:00Z",
            "2026-03-01T00:00:00",
            "2026-03-01T00:00:00+01:00",
            "2026/03/01",
            "99999999999999",
            "2026-03-01T00:00:0éZ",
            "-1",
        ] {
            assert_eq!(time(wrong), Err(NoTime), "{wrong}");
        }
    }

    /// Who keeps a seed has the same values again tomorrow: the numbers are those that SplitMix64 has everywhere.
    #[test]
    fn the_numbers_of_a_seed_are_those_of_split_mix_64() {
        for (seed, numbers) in [
            (0, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]),
            (1_234_567, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]),
        ] {
            let mut random = Random(seed);
            assert_eq!([(); 3].map(|()| random.next()), numbers, "{seed}");
        }
    }

    #[test]
    fn what_is_made_fits_its_own_expression_and_one_seed_gives_it_again() {
        let all = [
            Made::Random(Kind::Hex, 16),
            Made::Random(Kind::Digits, 6),
            Made::Random(Kind::Letters, 12),
            Made::Uuid,
            Made::Time(Format::Rfc3339),
            Made::Time(Format::Http),
            Made::Time(Format::Unix),
        ];
        for made in all {
            let regex = Regex::new(&made.expression().unwrap()).unwrap();
            let fresh = Fresh { seed: 7, clock: Clock::Running(Duration::from_secs(1_000_000_000)) };
            let draw = |seed: u64, count: usize| -> Vec<Vec<u8>> {
                let drawn = AtomicU64::new(0);
                (0..count).map(|_| made.make(&Fresh { seed, ..fresh }, &drawn, Moment::default())).collect()
            };
            let (some, again, others) = (draw(7, 100), draw(7, 100), draw(8, 100));
            assert!(some.iter().all(|value| regex.matches(value)), "{made:?}");
            assert_eq!(some, again);
            if made.is_random() {
                assert_ne!(some, others);
                assert_ne!(some[0], some[1]);
            }
        }
        let drawn = AtomicU64::new(0);
        assert_eq!(Made::Random(Kind::Bytes, 9).make(&Fresh::default(), &drawn, Moment::default()).len(), 9);
        let later = Clock::Running(Duration::from_secs(5)).at(Moment::from_nanos(2_000_000_000));
        assert_eq!(
            (later, Clock::Still(Duration::ZERO).at(Moment::from_nanos(1))),
            (Duration::from_secs(7), Duration::ZERO)
        );
    }
}
