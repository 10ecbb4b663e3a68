//! Numbers as people read them: three digits, and the unit that leaves few zeros.

use std::time::Duration;

pub(crate) use sockeye::limits::count;

/// `850 ns`, `41.2 µs`, `1.23 ms`, `2.05 s`; nothing is `0`.
pub(crate) fn time(time: Duration) -> String {
    if time.is_zero() {
        return "0".to_owned();
    }
    let seconds = time.as_secs_f64();
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")];
    // What rounds up to a thousand is one of the next unit.
    let (size, unit) = units.into_iter().find(|(size, _)| seconds / size >= 0.9995).unwrap_or((1e-9, "ns"));
    format!("{} {unit}", digits(seconds / size))
}

/// A rate a second: whole from a hundred up, three digits below.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are positive, and fit")]
pub(crate) fn rate(rate: f64) -> String {
    if rate >= 99.95 { count(rate.round() as u64) } else { digits(rate) }
}

/// `12 bytes`, `3.40 MiB`.
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(number: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| number >> bits > 0) {
        Some((bits, unit)) => format!("{} {unit}", digits(number as f64 / (1_u64 << bits) as f64)),
        None if number == 1 => "1 byte".to_owned(),
        None => format!("{number} bytes"),
    }
}

/// By how much something is more (`+4.2 %`) or less (`-12 %`) than it was.
pub(crate) fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    let sign = if percent < 0.0 { '-' } else { '+' };
    format!("{sign}{} %", digits(percent.abs()))
}

/// `98 %`.
pub(crate) fn percent(part: f64) -> String {
    format!("{} %", digits(part * 100.0))
}

/// A span of a run: `9.98 s`, `3 min 20 s`.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs() {
        0..120 => self::time(time),
        seconds @ 120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Three digits, and no zeros behind the point of what is whole.
fn digits(number: f64) -> String {
    let places = match number {
        99.95.. => 0,
        9.995.. => 1,
        _ => 2,
    };
    let text = format!("{number:.places$}");
    if text.contains('.') && text.bytes().all(|byte| matches!(byte, b'0' | b'.')) { "0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_a_unit() {
        let of = |nanos| time(Duration::from_nanos(nanos));
        assert_eq!([of(0), of(7), of(850), of(999)], ["0", "7.00 ns", "850 ns", "999 ns"]);
        assert_eq!([of(41_234), of(999_700), of(1_234_000)], ["41.2 µs", "1.00 ms", "1.23 ms"]);
        assert_eq!([of(2_050_000_000), of(123_456_000_000)], ["2.05 s", "123 s"]);
        assert_eq!(span(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(span(Duration::from_secs(7_320)), "2 h 2 min");
    }

    #[test]
    fn counts_rates_and_parts_are_short() {
        assert_eq!([count(0), count(999), count(1_000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([rate(0.0), rate(3.456), rate(99.96), rate(123_456.7)], ["0", "3.46", "100", "123,457"]);
        assert_eq!([bytes(1), bytes(900), bytes(3 << 19)], ["1 byte", "900 bytes", "1.50 MiB"]);
        assert_eq!([change(1.042), change(0.5), change(1.0)], ["+4.20 %", "-50.0 %", "+0 %"]);
        assert_eq!(percent(0.981), "98.1 %");
    }
}
