//! Points in time as RFC 3339 writes them, in UTC and to the microsecond.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

/// A point in time, in UTC: `2026-11-28T15:31:15.000250Z`.
#[must_use]
pub fn written(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (year, month, day) = date(seconds / DAY);
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
    if year < 1970 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = day_of(year, month, day);
    if date(days) != (year, month, day) {
        return None;
    }
    let since = Duration::from_secs(days * DAY + hour * 3600 + minute * 60 + second);
    Some(UNIX_EPOCH + since + Duration::from_micros(number(20, 26)?))
}

/// The year, month and day of a day since 1970. Years are counted from March, so that the odd day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The day since 1970 of a date; of one that does not exist, some other.
fn day_of(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).saturating_sub(719_469)
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
