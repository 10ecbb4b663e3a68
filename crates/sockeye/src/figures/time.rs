//! Points in time as RFC 3339 writes them, in UTC and to the microsecond.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use transcript::calendar;

const DAY: u64 = 86_400;

/// A point in time, in UTC: `2026-11-28T15:31:15.000250Z`.
#[must_use]
pub fn written(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (year, month, day) = calendar::date(seconds / DAY);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Reads a point in time as RFC 3339 writes it in UTC, with a fraction of a second or without.
#[must_use]
pub fn point_in_time(text: &str) -> Option<SystemTime> {
    let whole = text.strip_suffix('Z')?;
    let (seconds, fraction) = whole.split_once('.').unwrap_or((whole, ""));
    read(&format!("{seconds}.{:0<6}Z", fraction.get(..6).unwrap_or(fraction)))
}

/// Reads what [`written`] wrote.
pub(super) fn read(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00.000000Z";
    let fits = |(&byte, &shape): (&u8, &u8)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    if bytes.len() != shape.len() || !bytes.iter().zip(shape).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let days = calendar::days_to(year, month, day)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let since = Duration::from_secs(days * DAY + hour * 3600 + minute * 60 + second);
    Some(UNIX_EPOCH + since + Duration::from_micros(number(20, 26)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_read_as_it_was_written() {
        for day in (0..2_932_896).step_by(17).chain([0, 58, 59, 789, 11_016, 11_017]) {
            let time = UNIX_EPOCH + Duration::from_secs(day * DAY + 12_345) + Duration::from_micros(678);
            assert_eq!(read(&written(time)), Some(time), "{}", written(time));
        }
        // date -u -d @1795879875
        assert_eq!(written(UNIX_EPOCH + Duration::from_secs(1_795_879_875)), "2026-11-28T15:31:15.000000Z");
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "2026-11-28",
            "2026-13-01T00:00:00.000000Z",
            "2026-02-29T00:00:00.000000Z",
            "2026-11-28T24:00:00.000000Z",
            "2026-00-10T00:00:00.000000Z",
            "1969-12-31T00:00:00.000000Z",
            "2026-11-28T15:31:15.00000éZ",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
