//! Parts of a file (RFC 9110, section 14).

use crate::limits;

/// What is sent of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it, with status 200.
    Whole,
    /// These bytes, with status 206.
    Part(Range),
    /// Several parts, none of which overlaps another, with status 206.
    Parts(Vec<Range>),
    /// Nothing, with status 416: it is shorter.
    Nothing,
}

/// Some of its bytes, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first of them, counted from 0.
    pub(crate) from: u64,
    /// How many.
    pub(crate) length: u64,
}

/// Reads a Range field. What is malformed, or not about bytes, is ignored, and so is one with more ranges than anybody
/// needs. An empty file has no part: clients that ask for parts of everything get it whole.
pub(crate) fn select(value: &[u8], size: u64) -> Selection {
    let Some((unit, set)) = value.split_at_checked(6) else { return Selection::Whole };
    if !unit.eq_ignore_ascii_case(b"bytes=") || size == 0 {
        return Selection::Whole;
    }
    let mut ranges: Vec<Range> = Vec::new();
    let mut count = 0;
    for spec in set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty()) {
        count += 1;
        match one(spec, size) {
            One::Malformed => return Selection::Whole,
            _ if count > limits::RANGES => return Selection::Whole,
            One::Outside => {}
            One::Inside(range) => ranges.push(range),
        }
    }
    join_overlapping(&mut ranges);
    match ranges.as_slice() {
        [] if count == 0 => Selection::Whole,
        [] => Selection::Nothing,
        [one] => Selection::Part(*one),
        _ => Selection::Parts(ranges),
    }
}

/// Ranges that overlap are asked for by who wants to hurt: sent once, all of them together are no more than the file.
/// Others stay in the order in which they were asked for (RFC 9110, section 15.3.7.2).
fn join_overlapping(ranges: &mut Vec<Range>) {
    let mut sorted = ranges.clone();
    sorted.sort_by_key(|range| range.from);
    let overlap = |one: &Range, next: &Range| next.from < one.from + one.length;
    if !sorted.windows(2).any(|two| overlap(&two[0], &two[1])) {
        return;
    }
    ranges.clear();
    for next in sorted {
        match ranges.last_mut() {
            Some(last) if overlap(last, &next) => {
                last.length = last.length.max(next.from - last.from + next.length);
            }
            _ => ranges.push(next),
        }
    }
}

enum One {
    Malformed,
    Outside,
    Inside(Range),
}

fn one(spec: &[u8], size: u64) -> One {
    let mut parts = spec.splitn(2, |&byte| byte == b'-');
    let (first, last) = (parts.next().unwrap_or_default(), parts.next());
    match (number(first), last.map(number)) {
        (Digits::None, Some(Digits::Number(0))) => One::Outside,
        (Digits::None, Some(Digits::Number(suffix))) => {
            One::Inside(Range { from: size.saturating_sub(suffix), length: suffix.min(size) })
        }
        (Digits::Number(first), Some(Digits::None)) => part(first, u64::MAX, size),
        (Digits::Number(first), Some(Digits::Number(last))) if first <= last => part(first, last, size),
        _ => One::Malformed,
    }
}

fn part(first: u64, last: u64, size: u64) -> One {
    if first >= size {
        return One::Outside;
    }
    One::Inside(Range { from: first, length: last.min(size - 1) - first + 1 })
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
        let part = |from, length| Selection::Part(Range { from, length });
        let parts = |parts: &[(u64, u64)]| {
            Selection::Parts(parts.iter().map(|&(from, length)| Range { from, length }).collect())
        };
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
            ("bytes=0-", 0, Selection::Whole),
            ("bytes=5-", 0, Selection::Whole),
            ("bytes=-0", 0, Selection::Whole),
            ("bytes=0-0,-1", 0, Selection::Whole),
            ("bytes=-5", 0, Selection::Whole),
            ("bytes=5-4", 10, Selection::Whole),
            ("bytes=0-1,3-4", 10, parts(&[(0, 2), (3, 2)])),
            ("bytes=0-1,2-3", 10, parts(&[(0, 2), (2, 2)])),
            ("bytes=8-, 0-1 ,,-0", 10, parts(&[(8, 2), (0, 2)])),
            ("bytes=0-0,-1", 10, parts(&[(0, 1), (9, 1)])),
            ("bytes=0-1,20-30", 10, part(0, 2)),
            ("bytes=10-,-0", 10, Selection::Nothing),
            ("bytes=0-5,3-8", 10, part(0, 9)),
            ("bytes=0-,0-,0-", 10, part(0, 10)),
            ("bytes=8-9,0-3,2-5", 10, parts(&[(0, 6), (8, 2)])),
            ("bytes=0-,1-2,-1", u64::MAX, part(0, u64::MAX)),
            ("bytes=0-1,x", 10, Selection::Whole),
            ("bytes=0-1,4-3", 10, Selection::Whole),
            ("bytes=,", 10, Selection::Whole),
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

    #[test]
    fn as_many_ranges_as_clients_need_and_no_more() {
        let many = |count: usize| {
            let ranges: Vec<String> = (0..count).map(|at| format!("{}-{}", at * 2, at * 2)).collect();
            select(format!("bytes={}", ranges.join(",")).as_bytes(), u64::MAX)
        };
        assert!(matches!(many(limits::RANGES), Selection::Parts(parts) if parts.len() == limits::RANGES));
        assert_eq!(many(limits::RANGES + 1), Selection::Whole);
    }
}
