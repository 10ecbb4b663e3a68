//! Questions to a name server: the answer has the id of its question, which is new each time.

use super::Names;

/// Digits of so many bytes are of the head of a question to a name server, behind the length over a stream.
const HEAD_DIGITS: usize = 14 * 3 - 1;

/// A question to a name server and its answer, as their lines are written with a hole, and how many lines they take.
pub(super) fn asked(lines: &[&str], names: &mut Names) -> Option<(String, usize)> {
    let (ours, more_ours, count) = message(lines, "C hex: ")?;
    let (theirs, more_theirs, others) = message(&lines[count..], "S hex: ")?;
    let (ours, theirs) = dns(&ours, &theirs, names)?;
    let lines = [&[ours.as_str()], more_ours, &[theirs.as_str()], more_theirs].concat();
    Some((lines.iter().map(|line| format!("{line}\n")).collect(), count + others))
}

/// The digits of a message in hex that stands first, the lines that it goes on in, and how many lines those are in all. In a stream a
/// byte 0x0a ends a line of a record, wherever it stands: what is cut in its head is joined again.
fn message<'a>(lines: &'a [&'a str], head: &str) -> Option<(String, &'a [&'a str], usize)> {
    let mut digits = lines.first()?.strip_prefix(head)?.to_owned();
    let ends = |line: &str| line.ends_with("0a");
    let goes_on = |at: usize| ends(lines[at - 1]) && lines.get(at).is_some_and(|line| line.starts_with(head));
    let joined = (1..).take_while(|&at| goes_on(at)).count() + 1;
    let mut taken = 1;
    while taken < joined && digits.len() < HEAD_DIGITS {
        digits.push(' ');
        digits += lines[taken].strip_prefix(head)?;
        taken += 1;
    }
    Some((format!("{head}{digits}"), &lines[taken..joined], joined))
}

/// A question to a name server and its answer, which has the same id: two bytes, behind the length over a stream.
fn dns(ours: &str, theirs: &str, names: &mut Names) -> Option<(String, String)> {
    let (ours, theirs) = (ours.strip_prefix("C hex: ")?, theirs.strip_prefix("S hex: ")?);
    let bytes = |digits: &str| -> Option<Vec<u8>> {
        digits.split(' ').take(16).map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
    };
    let (question, answer) = (bytes(ours)?, bytes(theirs)?);
    let at = [0, 2].into_iter().find(|&at| {
        let (Some(question), Some(answer)) = (question.get(at..at + 12), answer.get(at..at + 12)) else { return false };
        // One question, and nothing but perhaps what EDNS adds (RFC 1035, section 4.1.1; RFC 6891).
        let asks = question[2] & 0xf8 == 0 && question[4..10] == [0, 1, 0, 0, 0, 0] && question[10] == 0;
        asks && question[..2] == answer[..2] && answer[2] & 0xf8 == 0x80 && answer[4..6] == [0, 1]
    })?;
    let name = names.fresh("id");
    let put = |digits: &str, hole: &str| {
        let (head, rest) = digits.split_at(at * 3);
        format!("{head}{hole}{}", &rest[5..])
    };
    let id: String = question[at..at + 2].iter().map(|byte| format!("{byte:02x}")).collect();
    let ours = put(ours, &format!("{{{name}:2 bytes={id}}}"));
    Some((format!("C hex: {ours}"), format!("S hex: {}", put(theirs, &format!("{{{name}}}")))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: [u8; 19] = [0xbe, 0xef, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
    const ANSWER: [u8; 19] = [0xbe, 0xef, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];

    fn is_asked(question: &[u8], answer: &[u8]) -> bool {
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let (ours, theirs) = (format!("C hex: {}", digits(question)), format!("S hex: {}", digits(answer)));
        dns(&ours, &theirs, &mut Names::default()).is_some()
    }

    fn with(mut bytes: [u8; 19], at: usize, byte: u8) -> [u8; 19] {
        bytes[at] = byte;
        bytes
    }

    /// RFC 1035, section 4.1.1.
    #[test]
    fn a_question_asks_one_thing_and_its_answer_has_the_same_id() {
        assert!(is_asked(&QUESTION, &ANSWER));
        for (at, byte, expected) in [
            // Recursion and truncation say nothing against it; another operation, or an answer, is no question.
            (2, 0x00, true),
            (2, 0x07, true),
            (2, 0x08, false),
            (2, 0x28, false),
            (2, 0x81, false),
            (3, 0x20, true),
            (4, 1, false),
            (5, 0, false),
            (5, 2, false),
            (6, 1, false),
            (7, 1, false),
            (8, 1, false),
            (9, 1, false),
            (10, 1, false),
            // EDNS.
            (11, 1, true),
            (12, 9, true),
        ] {
            assert_eq!(is_asked(&with(QUESTION, at, byte), &ANSWER), expected, "byte {at} of the question is {byte}");
        }
        for (at, byte, expected) in [
            (0, 0xbf, false),
            (1, 0xee, false),
            (2, 0x80, true),
            (2, 0x87, true),
            (2, 0x01, false),
            (2, 0x88, false),
            (3, 0, true),
            (4, 1, false),
            (5, 0, false),
            (5, 2, false),
            (7, 9, true),
            (11, 3, true),
        ] {
            assert_eq!(is_asked(&QUESTION, &with(ANSWER, at, byte)), expected, "byte {at} of the answer is {byte}");
        }
        assert!(is_asked(&QUESTION[..12], &ANSWER[..12]));
        assert!(!is_asked(&QUESTION[..11], &ANSWER) && !is_asked(&QUESTION, &ANSWER[..11]));
    }
}
