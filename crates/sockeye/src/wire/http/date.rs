//! Dates in heads, in all the forms that are found there (RFC 6265, section 5.1.1, reads those of RFC 9110 too).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The moment that a date names, if it is one.
pub(crate) fn http_date(text: &[u8]) -> Option<SystemTime> {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let is_delimiter = |c: char| !(c.is_ascii_alphanumeric() || c == ':' || !c.is_ascii());
    for word in text.split(is_delimiter).filter(|word| !word.is_empty()) {
        if time.is_none() && word.contains(':') {
            time = Some(clock(word)?);
        } else if let (None, Some(number)) = (day, digits(word, 1, 2)) {
            day = Some(number);
        } else if let (None, Some(index)) = (month, MONTHS.iter().position(|name| word.starts_with(name))) {
            month = Some(index as u64 + 1);
        } else if let (None, Some(number)) = (year, digits(word, 2, 4)) {
            year = Some(match number {
                0..=69 => number + 2000,
                70..=99 => number + 1900,
                _ => number,
            });
        }
    }
    let (day, month, year) = (day?, month?, year?);
    if !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    UNIX_EPOCH.checked_add(Duration::from_secs(days(year, month, day) * 86_400 + time?))
}

fn clock(word: &str) -> Option<u64> {
    let mut parts = word.split(':').map(|part| digits(part, 1, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    // A leap second is the next one here.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

fn digits(word: &str, least: usize, most: usize) -> Option<u64> {
    let is_number = (least..=most).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| is_number)
}

/// Days since 1970 in the Gregorian calendar; a year here begins in March, so that its last day is the leap day.
pub(crate) fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let since_march = (month + 9) % 12;
    let of_year = (153 * since_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_date_are_read_and_others_are_none() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "6 nov 1994 8:49:37",
        ] {
            assert_eq!(http_date(text.as_bytes()), Some(UNIX_EPOCH + Duration::from_secs(784_111_777)), "{text}");
        }
        let second =
            |text: &str| http_date(text.as_bytes()).map(|date| date.duration_since(UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(second("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(second("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(second("Fri, 01 Mar 2024 00:00:00 GMT"), Some(1_709_251_200));
        for text in [
            "",
            "0",
            "-1",
            "soon",
            "Sun, 06 Nov 1994",
            "06 Nov 1994 24:00:00",
            "32 Nov 1994 00:00:00",
            "06 Nov 1600 00:00:00",
        ] {
            assert_eq!(http_date(text.as_bytes()), None, "{text}");
        }
    }
}
