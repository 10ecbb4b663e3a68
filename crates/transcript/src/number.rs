//! How a number stands in a message: in so many bytes, or in hex digits. As a value it is always decimal digits, so that
//! code that counts with it need not know how it was written.

use std::fmt;

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Number {
    /// So many bytes, the highest first.
    High(u8),
    /// So many bytes, the lowest first.
    Low(u8),
    /// Seven bits a byte, the lowest first; the highest bit of a byte says that another one follows.
    Varint,
    /// The upper and the lower byte in decimal digits, a comma between them: a port as FTP writes it (RFC 959).
    Pair,
    /// Hex digits, so many of them or as many as it takes.
    Hex { digits: Option<u8>, upper: bool },
}

/// Whether some text is decimal digits and nothing else, at least one.
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Most digits that a number in hex has: those of 64 bits.
const MOST_DIGITS: u8 = 16;
/// Most bytes of a varint: 64 bits.
const LONGEST_VARINT: usize = crate::limits::VARINT;

/// The words, for messages.
pub(crate) const WORDS: [&str; 12] =
    ["u8", "u16", "u16le", "u24", "u24le", "u32", "u32le", "u64", "u64le", "varint", "hex", "p1,p2"];

impl Number {
    /// The pattern that is written so.
    pub(crate) fn named(word: &str) -> Option<Self> {
        let in_hex = |word: &str| match word {
            "hex" => Some(false),
            "HEX" => Some(true),
            _ => None,
        };
        if let Some(upper) = in_hex(word) {
            return Some(Self::Hex { digits: None, upper });
        }
        if let Some((count, word)) = word.split_once(' ') {
            let digits = count.parse().ok().filter(|&digits| (1..=MOST_DIGITS).contains(&digits))?;
            return in_hex(word).map(|upper| Self::Hex { digits: Some(digits), upper });
        }
        Some(match word {
            "u8" => Self::High(1),
            "u16" => Self::High(2),
            "u24" => Self::High(3),
            "u32" => Self::High(4),
            "u64" => Self::High(8),
            "u16le" => Self::Low(2),
            "u24le" => Self::Low(3),
            "u32le" => Self::Low(4),
            "u64le" => Self::Low(8),
            "varint" => Self::Varint,
            "p1,p2" => Self::Pair,
            _ => return None,
        })
    }

    /// Whether bytes of a message stand for a number.
    #[cold]
    #[inline(never)]
    pub(crate) fn accepts(self, bytes: &[u8]) -> bool {
        self.read(bytes).is_some()
    }

    /// How many bytes it takes, if it always takes as many.
    pub(crate) fn length(self) -> Option<usize> {
        match self {
            Self::High(bytes) | Self::Low(bytes) => Some(usize::from(bytes)),
            Self::Hex { digits, .. } => digits.map(usize::from),
            Self::Varint | Self::Pair => None,
        }
    }

    /// How many of these bytes it takes, for one whose own bytes tell that; `None` while the last one is missing.
    #[inline(never)]
    pub(crate) fn varint_length(bytes: &[u8]) -> Option<usize> {
        let last = bytes.iter().take(LONGEST_VARINT).position(|byte| byte & 0x80 == 0);
        // Of one that is too long the bytes are taken, and then found wrong.
        last.map(|last| last + 1).or_else(|| (bytes.len() >= LONGEST_VARINT).then_some(LONGEST_VARINT))
    }

    /// The number that bytes of a message stand for. Most messages have none: what looks at patterns stays small.
    #[inline(never)]
    pub(crate) fn read(self, bytes: &[u8]) -> Option<u64> {
        match self {
            Self::High(count) | Self::Low(count) if bytes.len() != usize::from(count) => None,
            Self::High(_) => Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))),
            Self::Low(_) => Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))),
            Self::Varint => {
                let (last, front) = bytes.split_last()?;
                let is_whole = last & 0x80 == 0 && front.iter().all(|byte| byte & 0x80 != 0);
                if !is_whole || bytes.len() > LONGEST_VARINT || bytes.len() == LONGEST_VARINT && *last > 1 {
                    return None;
                }
                Some(bytes.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f)))
            }
            Self::Pair => {
                let (upper, lower) = std::str::from_utf8(bytes).ok()?.split_once(',')?;
                let byte =
                    |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u8>().ok());
                Some(u64::from(byte(upper)??) << 8 | u64::from(byte(lower)??))
            }
            Self::Hex { digits, .. } => {
                let is_right = match digits {
                    Some(digits) => bytes.len() == usize::from(digits),
                    None => !bytes.is_empty(),
                };
                let text = std::str::from_utf8(bytes).ok().filter(|_| is_right)?;
                text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(text, 16).ok()).flatten()
            }
        }
    }

    /// The bytes that a number in decimal digits becomes; `None` if it is no number, or does not fit.
    pub(crate) fn write(self, decimal: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(decimal).ok()?;
        let is_decimal = is_digits(text);
        let mut number: u64 = is_decimal.then(|| text.parse().ok()).flatten()?;
        match self {
            Self::High(count) | Self::Low(count) => {
                let count = usize::from(count);
                let all = number.to_be_bytes();
                let (front, bytes) = all.split_at(all.len() - count);
                if front.iter().any(|byte| *byte != 0) {
                    return None;
                }
                let mut bytes = bytes.to_vec();
                if matches!(self, Self::Low(_)) {
                    bytes.reverse();
                }
                Some(bytes)
            }
            Self::Varint => {
                let mut bytes = Vec::new();
                while number >= 0x80 {
                    bytes.push(number as u8 & 0x7f | 0x80);
                    number >>= 7;
                }
                bytes.push(number as u8);
                Some(bytes)
            }
            Self::Pair => {
                let [upper, lower] = u16::try_from(number).ok()?.to_be_bytes();
                Some(format!("{upper},{lower}").into_bytes())
            }
            Self::Hex { digits, upper } => {
                let width = digits.map_or(1, usize::from);
                let text = if upper { format!("{number:0width$X}") } else { format!("{number:0width$x}") };
                (digits.is_none() || text.len() == width).then(|| text.into_bytes())
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::High(count) => write!(f, "u{}", 8 * u32::from(*count)),
            Self::Low(count) => write!(f, "u{}le", 8 * u32::from(*count)),
            Self::Varint => f.write_str("varint"),
            Self::Pair => f.write_str("p1,p2"),
            Self::Hex { digits, upper } => {
                if let Some(digits) = digits {
                    write!(f, "{digits} ")?;
                }
                f.write_str(if *upper { "HEX" } else { "hex" })
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_was_written_and_has_the_name_that_it_was_given() {
        let most = [("u8", u64::from(u8::MAX)), ("u16", 0xffff), ("u24", 0xff_ffff), ("u32", 0xffff_ffff)];
        let most = most.into_iter().chain([
            ("u64", u64::MAX),
            ("p1,p2", 0xffff),
            ("varint", u64::MAX),
            ("hex", u64::MAX),
            ("16 HEX", u64::MAX),
        ]);
        for (word, most) in most {
            for word in [word.to_owned(), format!("{word}le")] {
                let Some(number) = Number::named(&word) else { continue };
                assert_eq!(number.to_string(), word);
                for value in [0, 1, 9, 127, 128, 255, 256, 300, 65_535, 65_536, 1 << 40, most / 2, most] {
                    let written = number.write(value.to_string().as_bytes());
                    assert_eq!(written.is_some(), value <= most, "{word} {value}");
                    assert_eq!(written.and_then(|bytes| number.read(&bytes)), (value <= most).then_some(value));
                }
            }
        }
    }

    #[test]
    fn the_bytes_are_those_that_protocols_have() {
        let write = |word: &str, text: &str| Number::named(word).unwrap().write(text.as_bytes());
        assert_eq!(write("u16", "258"), Some(vec![1, 2]));
        assert_eq!(write("u16le", "258"), Some(vec![2, 1]));
        assert_eq!(write("u24le", "1"), Some(vec![1, 0, 0]));
        // Protocol Buffers, "Encoding": 150; MQTT 3.1.1, 2.2.3: 321.
        assert_eq!(write("varint", "150"), Some(vec![0x96, 0x01]));
        assert_eq!(write("varint", "321"), Some(vec![0xc1, 0x02]));
        assert_eq!(write("hex", "4096"), Some(b"1000".to_vec()));
        assert_eq!(write("2 hex", "10"), Some(b"0a".to_vec()));
        assert_eq!(write("2 HEX", "10"), Some(b"0A".to_vec()));
        // RFC 959, 4.1.2: 21 * 256 + 7.
        assert_eq!(write("p1,p2", "5383"), Some(b"21,7".to_vec()));
        for (word, text) in [
            ("u8", "256"),
            ("p1,p2", "65536"),
            ("u8", "-1"),
            ("u8", ""),
            ("u8", "x"),
            ("u8", "+5"),
            ("u8", " 5"),
            ("u8", "5 "),
            ("varint", "+5"),
            ("hex", "+5"),
            ("hex", "a"),
            ("p1,p2", "+5"),
            ("2 hex", "256"),
            ("u64", "18446744073709551616"),
        ] {
            assert_eq!(write(word, text), None, "{word} {text}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        let read = |word: &str, bytes: &[u8]| Number::named(word).unwrap().read(bytes);
        assert_eq!(read("hex", b""), None);
        assert_eq!(read("hex", b"+1"), None);
        assert_eq!(read("hex", b"00000000000000001F"), Some(31));
        assert_eq!(read("hex", b"11111111111111111"), None);
        assert_eq!(read("varint", &[0x80]), None);
        assert_eq!(read("varint", &[0xff; 10]), None);
        assert_eq!(read("u16", &[1]), None);
        for wrong in ["", "1", "1,", ",1", "256,1", "1,256", "+1,1", "1, 1", "1,2,3"] {
            assert_eq!(read("p1,p2", wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!((Number::varint_length(&[0x80]), Number::varint_length(&[0x80, 1, 2])), (None, Some(2)));
        assert_eq!(Number::varint_length(&[0xff; 20]), Some(10));
        for word in ["u12", "u8le", "17 hex", "0 hex", "x hex", "int16", "hex 2"] {
            assert_eq!(Number::named(word), None, "{word}");
        }
    }

    #[test]
    fn a_number_is_read_up_to_its_bound_and_takes_as_many_bytes_as_it_has() {
        let number = |word: &str| Number::named(word).unwrap();
        for (word, bytes, read) in [
            ("u16", &[1, 2][..], Some(258)),
            ("u16le", &[1, 2], Some(513)),
            ("u24", &[1, 2, 3], Some(0x01_0203)),
            ("u24le", &[1, 2, 3], Some(0x03_0201)),
            ("u16", &[1, 2, 3], None),
            ("u8", &[], None),
            ("varint", &[], None),
            ("varint", &[0], Some(0)),
            ("varint", &[0x96, 1], Some(150)),
            // A byte that says that another one follows is not the last, and one that does not is.
            ("varint", &[1, 1], None),
            ("varint", &[0x96, 0x81], None),
            ("varint", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Some(u64::MAX)),
            ("varint", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], None),
            ("varint", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], None),
            ("p1,p2", b"21,7", Some(5383)),
            ("p1,p2", b"0,0", Some(0)),
            ("hex", b"fF", Some(255)),
            ("4 hex", b"00ff", Some(255)),
            ("4 hex", b"0ff", None),
            ("4 hex", b"000ff", None),
            ("2 HEX", b"0a", Some(10)),
            ("hex", b"0x1", None),
            ("hex", &[0xff], None),
        ] {
            assert_eq!(number(word).read(bytes), read, "{word} {bytes:?}");
            assert_eq!(number(word).accepts(bytes), read.is_some(), "{word} {bytes:?}");
        }
        for (word, length) in [
            ("u8", Some(1)),
            ("u16", Some(2)),
            ("u24le", Some(3)),
            ("u32", Some(4)),
            ("u64le", Some(8)),
            ("16 hex", Some(16)),
            ("hex", None),
            ("varint", None),
            ("p1,p2", None),
        ] {
            assert_eq!(number(word).length(), length, "{word}");
        }
        for (count, length) in [(0, None), (9, None), (10, Some(10)), (11, Some(10))] {
            assert_eq!(Number::varint_length(&vec![0x80; count]), length, "{count}");
        }
        assert_eq!(Number::varint_length(&[1]), Some(1));
    }
}
