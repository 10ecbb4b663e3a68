//! Parts of a file (RFC 9110, section 14).

/// What is sent of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it, with status 200.
    Whole,
    /// These bytes, with status 206.
    Part {
        /// The first of them, counted from 0.
        from: u64,
        /// How many.
        length: u64,
    },
    /// Nothing, with status 416: it is shorter.
    Nothing,
}

/// Reads a Range field. What is malformed, or not about bytes, is ignored; several ranges are answered with the whole, as
/// section 14.2 allows, since hardly anybody asks for them and some do so to hurt.
pub(crate) fn select(value: &[u8], size: u64) -> Selection {
    let Some((unit, range)) = value.split_at_checked(6) else { return Selection::Whole };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Selection::Whole;
    }
    let range = range.trim_ascii();
    let mut parts = range.splitn(2, |&byte| byte == b'-');
    let (first, last) = (parts.next().unwrap_or_default(), parts.next());
    match (number(first), last.map(number)) {
        (Digits::None, Some(Digits::Number(suffix))) => end_of(suffix, size),
        (Digits::Number(first), Some(Digits::None)) => part(first, u64::MAX, size),
        (Digits::Number(first), Some(Digits::Number(last))) if first <= last => part(first, last, size),
        _ => Selection::Whole,
    }
}

fn part(first: u64, last: u64, size: u64) -> Selection {
    if first >= size {
        return Selection::Nothing;
    }
    Selection::Part { from: first, length: last.min(size - 1) - first + 1 }
}

fn end_of(suffix: u64, size: u64) -> Selection {
    match (suffix, size) {
        (0, _) => Selection::Nothing,
        // An empty file has no bytes that Content-Range could name.
        (_, 0) => Selection::Whole,
        _ => Selection::Part { from: size.saturating_sub(suffix), length: suffix.min(size) },
    }
}

enum Digits {
    None,
    /// One that does not fit is larger than every file.
    Number(u64),
    Wrong,
}

fn number(text: &[u8]) -> Digits {
    match text {
        [] => Digits::None,
        digits if digits.iter().all(u8::is_ascii_digit) => Digits::Number(
            digits
                .iter()
                .fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))),
        ),
        _ => Digits::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_cut_to_the_file() {
        let part = |from, length| Selection::Part { from, length };
        for (value, size, selection) in [
            ("bytes=0-0", 10, part(0, 1)),
            ("bytes=0-9", 10, part(0, 10)),
            ("bytes=0-99", 10, part(0, 10)),
            ("bytes=3-", 10, part(3, 7)),
            ("bytes=9-", 10, part(9, 1)),
            ("Bytes= 9-", 10, part(9, 1)),
            ("bytes=-1", 10, part(9, 1)),
            ("bytes=-99", 10, part(0, 10)),
            ("bytes=5-99999999999999999999999999", 10, part(5, 5)),
            ("bytes=-99999999999999999999999999", 10, part(0, 10)),
            ("bytes=0-", u64::MAX, part(0, u64::MAX)),
            ("bytes=10-", 10, Selection::Nothing),
            ("bytes=10-20", 10, Selection::Nothing),
            ("bytes=99999999999999999999999999-", 10, Selection::Nothing),
            ("bytes=-0", 10, Selection::Nothing),
            ("bytes=0-", 0, Selection::Nothing),
            ("bytes=-5", 0, Selection::Whole),
            ("bytes=5-4", 10, Selection::Whole),
            ("bytes=0-1,3-4", 10, Selection::Whole),
            ("bytes=0-1, bytes=3-4", 10, Selection::Whole),
            ("bytes=-", 10, Selection::Whole),
            ("bytes=", 10, Selection::Whole),
            ("bytes=1", 10, Selection::Whole),
            ("bytes=a-b", 10, Selection::Whole),
            ("bytes=--1", 10, Selection::Whole),
            ("bytes=+1-2", 10, Selection::Whole),
            ("bytes=0x1-2", 10, Selection::Whole),
            ("lines=1-2", 10, Selection::Whole),
            ("", 10, Selection::Whole),
        ] {
            assert_eq!(select(value.as_bytes(), size), selection, "{value} of {size}");
        }
    }
}
