//! Dates of the Gregorian calendar, by the days since 1970 began. Years are counted from March here, so that a leap day is the
//! last of its year.
//!
//! ```
//! use transcript::calendar::{date, days_to};
//!
//! assert_eq!(date(0), (1970, 1, 1));
//! assert_eq!(days_to(2026, 11, 28), Some(20_785));
//! assert_eq!(date(20_785), (2026, 11, 28));
//! assert_eq!(days_to(2026, 2, 29), None); // there is no such day
//! ```

/// The year, month and day of so many days since 1970 began.
#[must_use]
pub fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The days from the beginning of 1970 to a date; `None` if there is no such date, or if it is before.
#[must_use]
pub fn days_to(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let year_from_march = year - u64::from(month <= 2);
    let (era, of_era) = (year_from_march / 400, year_from_march % 400);
    let of_year = (153 * from_march + 2) / 5 + day;
    let days = (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(719_469)?;
    (date(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_a_date_and_every_date_its_day() {
        // Until the end of 9999.
        for day in 0..2_932_897 {
            let (year, month, of_month) = date(day);
            assert_eq!(days_to(year, month, of_month), Some(day), "{year}-{month}-{of_month}");
        }
        assert_eq!(date(2_932_896), (9999, 12, 31));
    }

    #[test]
    fn what_is_no_date_has_no_day() {
        for (year, month, day) in [
            (2026, 2, 29),
            (2026, 13, 1),
            (2026, 0, 1),
            (2026, 4, 31),
            (2026, 1, 0),
            (2026, 1, 32),
            (1969, 12, 31),
            (0, 1, 1),
            (10_000, 1, 1),
            (u64::MAX, 1, 1),
            (2026, u64::MAX, 1),
            (2026, 1, u64::MAX),
        ] {
            assert_eq!(days_to(year, month, day), None, "{year}-{month}-{day}");
        }
    }
}
