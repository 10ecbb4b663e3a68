//! Numbers of rounds written in another way: `repeat 1,000`, `repeat 1e3`, `repeat three`, `repeat 3 times`.

use crate::number::is_digits;

/// What is said of a loop without a number.
const AS_OFTEN: &str = "`repeat` for as often as it comes";

/// What to write instead of something that is no number of rounds.
pub(super) fn count_meant(written: &str) -> String {
    let lower = written.to_ascii_lowercase();
    if is_digits(&lower) && lower.bytes().any(|byte| byte != b'0') {
        return format!("write {AS_OFTEN}; the largest number is {}", u32::MAX);
    }
    let whole = grouped(&lower).or_else(|| power(&lower)).or_else(|| named(&lower));
    if whole.is_none() && is_range(&lower) {
        return format!("a loop has one number: `repeat 3` goes round just so often, and {AS_OFTEN}");
    }
    match whole.or_else(|| first_number(&lower)).filter(|rounds| *rounds > 0) {
        Some(rounds) => format!("write `repeat {rounds}`, or {AS_OFTEN}"),
        None => "write `repeat`, for as often as it comes, or `repeat 3`".to_owned(),
    }
}

/// `1,000`: signs between the digits of a large number.
fn grouped(text: &str) -> Option<u32> {
    let groups: Vec<&str> = text.split([',', '_', '\'', '.', ' ', '\u{202f}', '\u{a0}']).collect();
    let (first, others) = groups.split_first()?;
    let is_one = !others.is_empty()
        && first.len() <= 3
        && others.iter().all(|group| group.len() == 3)
        && groups.iter().all(|group| is_digits(group));
    if is_one { groups.concat().parse().ok() } else { None }
}

/// `1e3`, `10k`.
fn power(text: &str) -> Option<u32> {
    let (count, zeros) = match text.strip_suffix('k') {
        Some(count) => (count, "3"),
        None => text.split_once('e')?,
    };
    let times = 10_u32.checked_pow(zeros.parse().ok()?)?;
    if is_digits(count) { count.parse::<u32>().ok()?.checked_mul(times) } else { None }
}

/// `three`, `twice`, `five times`.
fn named(text: &str) -> Option<u32> {
    const WORDS: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let word = text.split_ascii_whitespace().next()?;
    let word = match word {
        "once" => "one",
        "twice" => "two",
        "thrice" => "three",
        other => other,
    };
    u32::try_from(WORDS.iter().position(|known| *known == word)? + 1).ok()
}

/// `1-3`, `2..5`, `3+`, `>3`, `-1`, `2.5`: no one number.
fn is_range(text: &str) -> bool {
    let behind =
        text.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_start_matches(|c: char| c.is_ascii_digit());
    text.starts_with(['-', '<', '>', '~']) || behind.starts_with('+') || behind.contains(|c: char| c.is_ascii_digit())
}

/// `3 times`, `3x`, `x3`.
fn first_number(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::count_meant;
    use crate::Transcript;

    #[test]
    fn a_number_in_another_form_is_the_same_number() {
        for (written, number) in [
            ("1,000", 1000),
            ("1_000", 1000),
            ("1 000", 1000),
            ("1.000", 1000),
            ("1'000", 1000),
            ("12,345,678", 12_345_678),
            ("1e3", 1000),
            ("2E6", 2_000_000),
            ("10k", 10_000),
            ("three", 3),
            ("twice", 2),
            ("Twelve times", 12),
            ("once", 1),
            ("3 times", 3),
            ("3x", 3),
            ("x3", 3),
        ] {
            let help = count_meant(written);
            assert!(help.starts_with(&format!("write `repeat {number}`, ")), "{written}: {help}");
            assert!(
                Transcript::parse("x", format!("repeat {number}\nC: a\nend\n").as_bytes(), &[]).is_ok(),
                "{written}"
            );
        }
        for written in ["1-3", "1..3", "2 or 3", "3+", ">3", "-1", "2.5", "1,00", "1,0000", "0x3", "1e99", "1e3e3"] {
            let help = count_meant(written);
            assert!(help.starts_with("a loop has one number: "), "{written}: {help}");
        }
        for written in ["0", "forever", "until C: exit", "k", "e", ","] {
            assert_eq!(count_meant(written), "write `repeat`, for as often as it comes, or `repeat 3`", "{written}");
        }
        assert_eq!(
            count_meant("4294967296"),
            "write `repeat` for as often as it comes; the largest number is 4294967295"
        );
    }
}
