//! Dates as HTTP writes them (RFC 9110, section 5.6.7). The time of day is an argument everywhere else.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;
use transcript::calendar;

/// The last second that the format can write: the end of the year 9999.
const LAST: u64 = 253_402_300_799;
/// The length of every date.
const LENGTH: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();

/// A second, and how a Date field writes it: written once a second, not once an answer.
#[derive(Debug, Clone)]
pub struct Now {
    seconds: u64,
    nanos: u32,
    date: [u8; LENGTH],
}

impl Now {
    /// The second that this time lies in.
    #[must_use]
    pub fn new(time: SystemTime) -> Self {
        let mut now = Self { seconds: u64::MAX, nanos: 0, date: [0; LENGTH] };
        now.update(time);
        now
    }

    /// Moves on; cheap while the second stays the same.
    pub fn update(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().min(LAST);
        self.nanos = since.subsec_nanos();
        if seconds != self.seconds {
            self.seconds = seconds;
            self.date = date(seconds);
        }
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Nanoseconds on top of them.
    pub(crate) fn nanos(&self) -> u32 {
        self.nanos
    }

    /// What a Date field says.
    #[must_use]
    pub fn date(&self) -> &[u8] {
        &self.date
    }
}

/// Writes a second. One after the year 9999 becomes its end.
pub(crate) fn date(seconds: u64) -> [u8; LENGTH] {
    // The crate panics on times that it cannot write, and files may have any.
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    let mut text = Fixed { bytes: [b' '; LENGTH], filled: 0 };
    let _ = write!(text, "{}", HttpDate::from(time));
    text.bytes
}

/// Reads a date in any of the three forms; nothing if it is none.
pub(crate) fn parse(text: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

struct Fixed {
    bytes: [u8; LENGTH],
    filled: usize,
}

impl std::fmt::Write for Fixed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.get_mut(self.filled..self.filled + text.len()).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.filled += text.len();
        Ok(())
    }
}

/// A second in its parts, in UTC, for logs and JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(crate) year: u64,
    /// From 1.
    pub(crate) month: u64,
    pub(crate) day: u64,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
}

impl Calendar {
    /// What is later is the end of the year 9999.
    pub(crate) fn of(seconds: u64) -> Self {
        let (days, rest) = (seconds.min(LAST) / 86_400, seconds.min(LAST) % 86_400);
        let (year, month, day) = calendar::date(days);
        Self { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
    }

    /// `Nov`
    #[cfg(test)]
    fn month_name(&self) -> &'static str {
        const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        usize::try_from(self.month - 1).ok().and_then(|month| NAMES.get(month).copied()).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_can_be_written() {
        for (seconds, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(date(seconds), text.as_bytes(), "{text}");
            assert_eq!(parse(text.as_bytes()), Some(seconds.min(LAST)));
        }
        assert_eq!(Now::new(UNIX_EPOCH - Duration::from_secs(5)).seconds(), 0);
        let mut now = Now::new(UNIX_EPOCH);
        now.update(UNIX_EPOCH + Duration::from_millis(1999));
        assert_eq!((now.seconds(), now.date()), (1, b"Thu, 01 Jan 1970 00:00:01 GMT".as_slice()));
    }

    #[test]
    fn all_three_forms_are_read() {
        for text in ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
        }
        for text in ["", "x", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT, x", "-1"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_calendar_agrees_with_the_dates() {
        let mut seconds: u64 = 0;
        while seconds < LAST {
            let at = Calendar::of(seconds);
            let text = format!(
                "{:02} {} {:04} {:02}:{:02}:{:02} GMT",
                at.day,
                at.month_name(),
                at.year,
                at.hour,
                at.minute,
                at.second
            );
            assert!(date(seconds).ends_with(text.as_bytes()), "{seconds}: {text}");
            seconds += 86_400 * 29 + 3_661;
        }
    }
}
