//! Durations as transcripts have them, and what was meant by others.

use std::time::Duration;

/// The duration that was meant by `5`, `5 s`, `1.5s`, `1,5s`, `2m`, `for 1s` or `3 seconds`, as a transcript has it.
pub(super) fn nearest_duration(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase().replace(',', ".");
    let text = text.strip_prefix("for ").unwrap_or(&text).trim_start();
    let number = &text[..text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len())];
    let milliseconds = match text[number.len()..].trim() {
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => 1.0,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
        // The shortest that there is.
        "us" | "µs" | "usec" | "microseconds" | "ns" if number.parse::<f64>().is_ok_and(|number| number > 0.0) => {
            return Some("1ms".to_owned());
        }
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hour" | "hours" => 3_600_000.0,
        _ => return None,
    };
    let milliseconds = (number.parse::<f64>().ok()? * milliseconds).round();
    if !(1.0..=1000.0 * 60.0 * 60.0 * 24.0 * 365.0).contains(&milliseconds) {
        return None;
    }
    let whole = milliseconds as u64;
    Some(if whole.is_multiple_of(1000) { format!("{}s", whole / 1000) } else { format!("{whole}ms") })
}

/// `100ms` or `5s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)
        .filter(|&ms| ms <= 1000 * 60 * 60 * 24 * 365)
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_duration_that_was_meant_is_one_that_a_transcript_can_have() {
        for (written, meant) in [
            ("5", Some("5s")),
            ("1,5s", Some("1500ms")),
            ("for 3 seconds", Some("3s")),
            ("2m", Some("120s")),
            ("24h", Some("86400s")),
            ("8760 hours", Some("31536000s")),
            ("8761 hours", None),
            ("10us", Some("1ms")),
            ("0s", None),
            ("soon", None),
        ] {
            assert_eq!(nearest_duration(written).as_deref(), meant, "{written}");
            assert!(meant.is_none_or(|meant| duration(meant).is_some()), "{written}");
        }
    }
}
