//! What stands behind a flag: times, sizes, names and values as people write them.

use std::net::SocketAddr;
use std::time::Duration;

use sockeye::net::connect::Source;
use sockeye::net::datagrams::{Group, GroupError};
use sockeye::net::proxy::Proxy;
use sockeye::net::tls::Trust;
use sockeye::verb::serve::Budget;

/// A year: no run waits longer, and no clock overflows.
const LONGEST: Duration = Duration::from_secs(31_536_000);

/// `5`, `5s`, `500ms`, `200µs`, `1.5s`, `2m`, `1h`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    // Two letters that look alike are written for micro.
    let units = [
        ("us", 1e-6),
        ("\u{b5}s", 1e-6),
        ("\u{3bc}s", 1e-6),
        ("ms", 0.001),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("", 1.0),
    ];
    let wrong = || "write a number and a unit: 500ms, 5s, 2m".to_owned();
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, factor)))
        .ok_or_else(wrong)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    let seconds: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds * factor)
        .ok()
        .filter(|time| *time <= LONGEST)
        .ok_or_else(|| "at most a year".to_owned())
}

/// A time after which something ends; 0 is none, as curl has it.
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    duration(text).map(|time| if time.is_zero() { LONGEST } else { time })
}

/// A time in which something is done: none at all is a slip.
pub(super) fn lasting(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| {
        if time.is_zero() { Err("nothing is done in no time: write 10s".to_owned()) } else { Ok(time) }
    })
}

/// `65536`, `64KiB`, `64k`, `1MiB`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let (number, shift) = number_and_unit(text)
        .filter(|(_, shift)| *shift <= 20)
        .ok_or_else(|| "write bytes or a unit: 65536, 64KiB, 1MiB".to_owned())?;
    bytes(number, shift)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| (1..=1 << 30).contains(bytes))
        .ok_or_else(|| "a size is from 1 byte to 1024 MiB".to_owned())
}

/// A size that may be larger than memory: `2GiB`.
pub(super) fn large_size(text: &str) -> Result<u64, String> {
    let (number, shift) =
        number_and_unit(text).ok_or_else(|| "write bytes or a unit: 65536, 64KiB, 2GiB".to_owned())?;
    bytes(number, shift).ok_or_else(|| "write a number of bytes: 2GiB".to_owned())
}

/// `65536`, `64KiB`, `1G`: any number of bytes, and none.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let (number, shift) =
        number_and_unit(text).ok_or_else(|| "write bytes or a unit: 65536, 64KiB, 1GiB".to_owned())?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    bytes(number, shift).filter(|_| is_number).ok_or_else(|| "write a number of bytes".to_owned())
}

/// What stands before a unit of bytes, and the power of two that the unit is.
fn number_and_unit(text: &str) -> Option<(&str, u32)> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[number.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return None,
    };
    Some((number, shift))
}

fn bytes(number: &str, shift: u32) -> Option<u64> {
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `5%`, `0.5%`, or a bare number of percents; the part that it is.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let parsed = number.parse::<f64>().ok().filter(|percent| is_number && *percent <= 1e6);
    parsed.map(|percent| percent / 100.0).ok_or_else(|| "write a part in percent, such as 5%".to_owned())
}

/// A SHA-256 in 64 digits, small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sha256Hex(pub(crate) String);

/// `HEX`, or `sha256:HEX`, in letters of either size.
pub(super) fn sha256(text: &str) -> Result<Sha256Hex, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        Ok(Sha256Hex(digits))
    } else {
        Err("a SHA-256 has 64 digits in hex, as sha256sum shows it".to_owned())
    }
}

pub(super) fn pin(text: &str) -> Result<Trust, String> {
    Trust::pinned(text).map_err(|error| error.to_string())
}

/// An address of this machine, a port, or both.
pub(super) fn own_end(text: &str) -> Result<Source, String> {
    let wrong = || {
        "write an address or a port of this machine, or both: 192.0.2.1, :4000, 192.0.2.1:4000, [::1]:4000".to_owned()
    };
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse() {
        return Ok(Source::Address(ip));
    }
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Ok(Source::Port(Some(both.ip()), both.port()));
    }
    text.strip_prefix(':').unwrap_or(text).parse().map(|port| Source::Port(None, port)).map_err(|_| wrong())
}

/// The longest name that the kernel has room for has 15 bytes (IFNAMSIZ).
pub(super) fn interface(text: &str) -> Result<String, String> {
    if (1..16).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("write the name of an interface: eth0".to_owned())
    }
}

pub(super) fn group(text: &str) -> Result<Group, GroupError> {
    text.parse()
}

pub(super) fn proxy(text: &str) -> Result<Proxy, String> {
    match Proxy::parse(text) {
        Ok(proxy) if proxy.is_secure() => Err("talk speaks to no proxy under TLS; `sockeye fetch` does".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}

pub(super) fn name_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write NAME=VALUE".to_owned())?;
    if is_name(name) { Ok((name.to_owned(), value.to_owned())) } else { Err(format!("`{name}` cannot be a name")) }
}

/// Whether a word can be the name of a hole.
pub(crate) fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        && word != "_"
}

/// `NAME=VALUE`, or a name whose value stands in the environment, where other users cannot read it.
pub(super) fn secret(text: &str) -> Result<(String, String), String> {
    if text.contains('=') {
        return name_value(text);
    }
    if !is_name(text) {
        return Err(format!("`{text}` cannot be a name"));
    }
    match std::env::var(text) {
        Ok(value) => Ok((text.to_owned(), value)),
        Err(_) => Err(format!("write {text}=VALUE, or set the environment variable {text}")),
    }
}

pub(super) fn budget(text: &str) -> Result<Budget, String> {
    if text == "off" {
        return Ok(Budget::Off);
    }
    let wrong = || "write `off` or a network such as 10.0.0.0/8".to_owned();
    let (network, bits) = text.split_once('/').ok_or_else(wrong)?;
    let network: std::net::IpAddr = network.parse().map_err(|_| wrong())?;
    let most = if network.is_ipv4() { 32 } else { 128 };
    let bits: u8 = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
    Ok(Budget::Except(network, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_as_people_write_them() {
        for (text, millis) in [
            ("5", 5000),
            ("5s", 5000),
            ("500ms", 500),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("2000us", 2),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        // As sockeye itself writes the times of a load.
        for text in ["414us", "414\u{b5}s", "414\u{3bc}s", "0.414ms"] {
            assert_eq!(duration(text), Ok(Duration::from_micros(414)), "{text}");
        }
        for (text, of_limit) in
            [("0", Ok(LONGEST)), ("0s", Ok(LONGEST)), ("0us", Ok(LONGEST)), ("1ms", Ok(Duration::from_millis(1)))]
        {
            assert_eq!(limit(text), of_limit, "{text}");
            assert_eq!(lasting(text).is_ok(), text == "1ms", "{text}");
        }
        for text in ["", "s", "5x", "-1", "1e9", "nan", "99999999999"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!((limit("0"), limit("0ms"), limit("2")), (Ok(LONGEST), Ok(LONGEST), Ok(Duration::from_secs(2))));
        assert!(limit("-1").is_err() && limit("none").is_err());
        for (text, bytes) in [("1", 1), ("64KiB", 65536), ("64k", 65536), ("1MiB", 1 << 20)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["0", "", "k", "5x", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
