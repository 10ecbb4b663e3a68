//! The functions of `let`: lengths, digests and encodings.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Mac, SimpleHmac};
use md5::Md5;
use md5::digest::core_api::BlockSizeUser;
use md5::digest::{Digest, Output};
use sha1::Sha1;
use sha2::Sha256;

use crate::number::Number;

/// A function that a `let` applies to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    /// The number of bytes, in decimal.
    Length,
    Md5,
    Sha1,
    Sha256,
    HmacMd5,
    HmacSha1,
    HmacSha256,
    /// RFC 4648, section 4, with padding and without line breaks.
    Base64,
    Unbase64,
    /// Pairs of hex digits become bytes.
    Unhex,
    /// Bytes become pairs of hex digits.
    Hex,
    /// Of whole numbers in decimal, with spaces between them.
    Sum,
    /// The first of them without the others.
    Difference,
    /// CRC-32 of Ethernet, gzip and PNG, in decimal as all checksums are.
    Crc32,
    /// CRC-16 of Modbus.
    Crc16,
    /// All bytes added up, and of that the last eight bits.
    Sum8,
    /// All bytes in an exclusive or.
    Xor8,
    /// A number as it stands in a message. It has no word: a pattern says it.
    Write(Number),
    /// The other way round.
    Read(Number),
}

/// Every function with the word that names it.
const NAMES: [(&str, Function); 17] = [
    ("length", Function::Length),
    ("md5", Function::Md5),
    ("sha1", Function::Sha1),
    ("sha256", Function::Sha256),
    ("hmac-md5", Function::HmacMd5),
    ("hmac-sha1", Function::HmacSha1),
    ("hmac-sha256", Function::HmacSha256),
    ("base64", Function::Base64),
    ("unbase64", Function::Unbase64),
    ("unhex", Function::Unhex),
    ("hex", Function::Hex),
    ("sum", Function::Sum),
    ("difference", Function::Difference),
    ("crc32", Function::Crc32),
    ("crc16", Function::Crc16),
    ("sum8", Function::Sum8),
    ("xor8", Function::Xor8),
];

impl Function {
    /// The function that a word names.
    pub(crate) fn named(word: &str) -> Option<Self> {
        NAMES.iter().find(|(name, _)| *name == word).map(|(_, function)| *function)
    }

    /// The words, for suggestions.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// Whether what it gives looks like any other digest, so that it counts nothing.
    pub(crate) fn is_digest(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1 | Self::Sha256 | Self::HmacMd5 | Self::HmacSha1 | Self::HmacSha256)
    }

    /// Whether what it is given can be told from what it gives.
    pub(crate) fn can_be_told_back(self) -> bool {
        match self {
            Self::Base64
            | Self::Unbase64
            | Self::Unhex
            | Self::Hex
            | Self::Sum
            | Self::Difference
            | Self::Write(_)
            | Self::Read(_) => true,
            Self::Length
            | Self::Md5
            | Self::Sha1
            | Self::Sha256
            | Self::HmacMd5
            | Self::HmacSha1
            | Self::HmacSha256
            | Self::Crc32
            | Self::Crc16
            | Self::Sum8
            | Self::Xor8 => false,
        }
    }

    /// Whether the name of a key follows it.
    pub(crate) fn takes_key(self) -> bool {
        matches!(self, Self::HmacMd5 | Self::HmacSha1 | Self::HmacSha256)
    }

    /// Whether its name is no word of a language: `length` and `hex` may be said, `md5` hardly.
    pub(crate) fn is_coined(self) -> bool {
        self == Self::Unhex || self.to_string().contains(|c: char| c.is_ascii_digit())
    }

    /// Applies it.
    ///
    /// # Errors
    /// What the value is not, for those that read an encoding or numbers; or that the result is too large a number.
    pub(crate) fn apply(self, key: &[u8], value: &[u8]) -> Result<Vec<u8>, NotEncoded> {
        let not_encoded = NotEncoded { function: self, is_result: false };
        Ok(match self {
            Self::Length => value.len().to_string().into_bytes(),
            Self::Md5 => hex(&Md5::digest(value)),
            Self::Sha1 => hex(&Sha1::digest(value)),
            Self::Sha256 => hex(&Sha256::digest(value)),
            Self::HmacMd5 => hex(&hmac::<Md5>(key, value)),
            Self::HmacSha1 => hex(&hmac::<Sha1>(key, value)),
            Self::HmacSha256 => hex(&hmac::<Sha256>(key, value)),
            Self::Base64 => STANDARD.encode(value).into_bytes(),
            Self::Unbase64 => STANDARD.decode(value).map_err(|_| not_encoded)?,
            Self::Unhex => unhex(value).ok_or(not_encoded)?,
            Self::Hex => hex(value),
            Self::Sum | Self::Difference => {
                let numbers = numbers(value).ok_or(not_encoded)?;
                let (first, others) = numbers.split_first().ok_or(not_encoded)?;
                let result = others.iter().try_fold(*first, |all, next| match self {
                    Self::Sum => all.checked_add(*next),
                    _ => all.checked_sub(*next),
                });
                let result = result.filter(|result| fits(*result));
                result.ok_or(NotEncoded { is_result: true, ..not_encoded })?.to_string().into_bytes()
            }
            Self::Crc32 => crc(value, u32::MAX, 0xedb8_8320, u32::MAX).to_string().into_bytes(),
            Self::Crc16 => crc(value, 0xffff, 0xa001, 0).to_string().into_bytes(),
            Self::Sum8 => value.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).to_string().into_bytes(),
            Self::Xor8 => value.iter().fold(0_u8, |all, byte| all ^ byte).to_string().into_bytes(),
            Self::Write(number) => number.write(value).ok_or(not_encoded)?,
            Self::Read(number) => number.read(value).ok_or(not_encoded)?.to_string().into_bytes(),
        })
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Write(number) | Self::Read(number) = self {
            return number.fmt(f);
        }
        f.write_str(NAMES.iter().find(|(_, function)| function == self).map_or("", |(name, _)| name))
    }
}

/// A value is not what `unbase64`, `unhex` or a sum reads, or no number can be made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotEncoded {
    pub(crate) function: Function,
    /// What it was given is right, and the result has more than 64 bits.
    is_result: bool,
}

impl NotEncoded {
    /// Whether what the function was given is right, and its result a number of more than 64 bits.
    pub(crate) fn is_result(self) -> bool {
        self.is_result
    }
}

impl fmt::Display for NotEncoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            _ if self.is_result => write!(f, "the {} is a number of more than 64 bits", self.function),
            Function::Unhex => f.write_str("the value is not pairs of hex digits"),
            Function::Sum | Function::Difference => {
                f.write_str("the value is not whole numbers with spaces between them, of at most 64 bits")
            }
            Function::Write(number) | Function::Read(number) => {
                write!(f, "the value is no number that fits into {number}")
            }
            _ => f.write_str("the value is not base64 (RFC 4648)"),
        }
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whole numbers with spaces between them: those of 64 bits, with a sign or without.
fn numbers(text: &[u8]) -> Option<Vec<i128>> {
    let number = |number: &str| number.parse().ok().filter(|number| fits(*number));
    std::str::from_utf8(text).ok()?.split_ascii_whitespace().map(number).collect()
}

/// Whether a number has 64 bits at most: as `i64`, or as `u64`, which a `{n:u64}` hears.
fn fits(number: i128) -> bool {
    i64::try_from(number).is_ok() || u64::try_from(number).is_ok()
}

/// A checksum whose lowest bit comes first: where it begins, its polynomial, and what is turned over at the end.
fn crc(bytes: &[u8], begin: u32, polynomial: u32, turned: u32) -> u32 {
    let byte = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ polynomial } else { sum >> 1 })
    };
    bytes.iter().fold(begin, byte) ^ turned
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some((value(pair[0])? * 16 + value(pair[1])?) as u8)).collect()
}

/// RFC 2104; a key may be of any length.
fn hmac<D: Digest + BlockSizeUser>(key: &[u8], value: &[u8]) -> Output<D> {
    let mac = SimpleHmac::<D>::new_from_slice(key).map(|mac| mac.chain_update(value).finalize().into_bytes());
    mac.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(function: &str, key: &[u8], value: &[u8]) -> String {
        String::from_utf8(Function::named(function).unwrap().apply(key, value).unwrap()).unwrap()
    }

    #[test]
    fn the_digests_give_what_their_standards_print() {
        // RFC 1321, A.5; FIPS 180-4 by RFC 3174 and RFC 6234.
        assert_eq!(apply("md5", b"", b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(apply("md5", b"", b"message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(apply("md5", b"", &b"1234567890".repeat(8)), "57edf4a22be3c955ac49da2e2107b67a");
        assert_eq!(apply("sha1", b"", b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(apply("sha1", b"", b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(apply("sha256", b"", b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            apply("sha256", b"", b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
        let million = vec![b'a'; 1_000_000];
        assert_eq!(apply("sha1", b"", &million), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
        assert_eq!(apply("sha256", b"", &million), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }

    #[test]
    fn the_keyed_digests_give_what_their_standards_print() {
        // RFC 2202, test cases 2 and 6; RFC 4231, test case 2; RFC 2195, section 2 (CRAM-MD5).
        let question = b"what do ya want for nothing?";
        assert_eq!(apply("hmac-md5", b"Jefe", question), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(apply("hmac-sha1", b"Jefe", question), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            apply("hmac-sha256", b"Jefe", question),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let large = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(apply("hmac-md5", &[0xaa; 80], large), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
        assert_eq!(apply("hmac-sha1", &[0xaa; 80], large), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        assert_eq!(apply("hmac-md5", b"tanstaaftanstaaf", challenge), "b913a602c7eda7a495b4e6e7334d3890");
    }

    #[test]
    fn base64_goes_both_ways_and_refuses_the_rest() {
        // RFC 4648, section 10.
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(apply("base64", b"", plain.as_bytes()), encoded);
            assert_eq!(apply("unbase64", b"", encoded.as_bytes()), plain);
        }
        for wrong in ["Zg", "Zg=", "Z===", "Zm9v====", "Zm\n9", "Zg==Zg=="] {
            assert!(Function::Unbase64.apply(b"", wrong.as_bytes()).is_err(), "{wrong}");
        }
        let all: Vec<u8> = (0..=255).collect();
        let encoded = Function::Base64.apply(b"", &all).unwrap();
        assert_eq!(Function::Unbase64.apply(b"", &encoded), Ok(all));
    }

    #[test]
    fn numbers_and_checksums_are_decimal() {
        // The check values of the catalogue of CRCs for `123456789`; NMEA 0183 and the remote protocol of gdb.
        assert_eq!(apply("crc32", b"", b"123456789"), 0xcbf4_3926_u32.to_string());
        assert_eq!(apply("crc16", b"", b"123456789"), 0x4b37.to_string());
        assert_eq!(apply("xor8", b"", b"GPGLL,5300.97914,N,00259.98174,E,125926,A"), 0x28.to_string());
        assert_eq!(apply("sum8", b"", b"OK"), 0x9a.to_string());
        assert_eq!((apply("crc32", b"", b""), apply("sum8", b"", b"")), ("0".to_owned(), "0".to_owned()));
        assert_eq!(apply("sum", b"", b"5 4 -20"), "-11");
        assert_eq!(apply("difference", b"", b"5 4  -1"), "2");
        assert_eq!(apply("sum", b"", b"7"), "7");
        assert_eq!(apply("hex", b"", b"\x00\xffz"), "00ff7a");
        for wrong in ["", "x", "1 x", "1,2"] {
            assert!(Function::Sum.apply(b"", wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_and_their_sums_have_64_bits_with_a_sign_or_without() {
        assert_eq!(apply("sum", b"", b"9223372036854775807 1"), "9223372036854775808");
        assert_eq!(apply("sum", b"", b"18446744073709551614 1"), "18446744073709551615");
        assert_eq!(apply("sum", b"", b"18446744073709551615 1 -1"), "18446744073709551615");
        assert_eq!(apply("difference", b"", b"18446744073709551615 9223372036854775808"), "9223372036854775807");
        assert_eq!(apply("difference", b"", b"0 9223372036854775808"), "-9223372036854775808");
        for wrong in
            ["18446744073709551616", "18446744073709551615 1", "-9223372036854775809", "-9223372036854775808 -1"]
        {
            assert!(Function::Sum.apply(b"", wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Function::Difference.apply(b"", b"-1 9223372036854775808").is_err());
    }

    #[test]
    fn hex_digits_become_bytes() {
        assert_eq!(unhex(b"00fF7a"), Some(vec![0, 255, 0x7a]));
        assert_eq!(unhex(b"0"), None);
        assert_eq!(unhex(b"0g"), None);
    }
}
