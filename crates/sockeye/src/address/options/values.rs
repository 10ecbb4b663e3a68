//! Values of an address's options as people write them, and what to write instead of what is none.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Framing;
use crate::gate::Prefix;
use crate::sys::interface;

/// What an option takes, where its value is something else. It shows itself as what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueError {
    /// A text.
    Text { name: &'static str, example: &'static str },
    /// A whole number within bounds.
    Number { name: &'static str, least: u64, most: u64 },
    /// On or off.
    Switch { name: &'static str },
    /// A number of bytes.
    Size { name: &'static str },
    /// Addresses of those whose headers of the PROXY protocol are believed.
    Prefixes,
    /// How a stream holds messages.
    Framing,
    /// A time in whole seconds that the system takes.
    Keepalive,
    /// An address of this machine.
    Source,
    /// A multicast group.
    Group,
    /// A group is to be heard on an interface that this machine does not have.
    NoInterface(String),
    /// The oldest version of TLS.
    Tls,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { name, example } => write!(f, "write {name}={example}"),
            Self::Number { name, least, most } => write!(f, "write {name}=N, a number from {least} to {most}"),
            Self::Switch { name } => write!(f, "write {name}, {name}=on or {name}=off"),
            Self::Size { name } => write!(f, "write {name}=SIZE, such as {name}=64KiB"),
            Self::Prefixes => {
                f.write_str("write accept-proxy, or who may send a header: accept-proxy=10.0.0.0/8,192.0.2.7")
            }
            Self::Framing => f.write_str("write frame=none, frame=line or frame=u16"),
            Self::Keepalive => f.write_str("write keepalive=30s, or keepalive=off"),
            Self::Source => f.write_str("write an address of this machine: bind=192.0.2.7, or bind=192.0.2.7:1024"),
            Self::Group => f.write_str("write a multicast group: join=239.0.0.1, or join=ff02::1%eth0"),
            Self::NoInterface(name) => write!(f, "no interface of this machine is called {name}"),
            Self::Tls => f.write_str("write min=1.2 or min=1.3"),
        }
    }
}

impl std::error::Error for ValueError {}

/// A text that is not empty.
pub(super) fn text(name: &'static str, value: Option<&str>, example: &'static str) -> Result<String, ValueError> {
    let value = value.filter(|value| !value.is_empty());
    value.map(str::to_owned).ok_or(ValueError::Text { name, example })
}

/// A whole number, in decimal digits or in hex behind `0x`.
pub(super) fn number(name: &'static str, value: Option<&str>, least: u64, most: u64) -> Result<u64, ValueError> {
    let read = value.and_then(|value| match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => value.parse().ok(),
    });
    read.filter(|number| (least..=most).contains(number)).ok_or(ValueError::Number { name, least, most })
}

/// On or off; the name alone is on.
pub(super) fn switch(name: &'static str, value: Option<&str>) -> Result<bool, ValueError> {
    match value {
        None | Some("on" | "1" | "yes" | "true") => Ok(true),
        Some("off" | "0" | "no" | "false") => Ok(false),
        Some(_) => Err(ValueError::Switch { name }),
    }
}

/// Bytes, from 1 to 2^30, with a unit or none.
pub(super) fn size(name: &'static str, value: Option<&str>) -> Result<usize, ValueError> {
    let lower = value.unwrap_or_default().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &lower[digits.len()..] {
        "" | "b" => Some(1_usize),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        _ => None,
    };
    let bytes = factor.and_then(|factor| digits.parse::<usize>().ok()?.checked_mul(factor));
    bytes.filter(|bytes| (1..=1 << 30).contains(bytes)).ok_or(ValueError::Size { name })
}

/// How a stream holds messages.
pub(super) fn framing(value: Option<&str>) -> Result<Framing, ValueError> {
    match value {
        Some("none") => Ok(Framing::None),
        Some("line") => Ok(Framing::Line),
        Some("u16") => Ok(Framing::U16),
        _ => Err(ValueError::Framing),
    }
}

/// After how long a quiet peer is asked; zero: never.
pub(super) fn keepalive(value: Option<&str>) -> Result<Duration, ValueError> {
    match value {
        None | Some("on") => Ok(Duration::from_secs(60)),
        Some("off" | "0") => Ok(Duration::ZERO),
        Some(value) => {
            let (digits, factor) = match value.strip_suffix('m') {
                Some(minutes) => (minutes, 60),
                None => (value.strip_suffix('s').unwrap_or(value), 1),
            };
            let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
            // tcp(7): the system takes at most so many.
            seconds
                .filter(|seconds| (1..=32_767).contains(seconds))
                .map(Duration::from_secs)
                .ok_or(ValueError::Keepalive)
        }
    }
}

/// Where a connection comes from; the port 0 is any.
pub(super) fn source(value: &str) -> Result<SocketAddr, ValueError> {
    let ip = value.strip_prefix('[').and_then(|value| value.strip_suffix(']')).unwrap_or(value);
    let read = value.parse::<SocketAddr>().ok().or_else(|| Some(SocketAddr::new(ip.parse().ok()?, 0)));
    read.ok_or(ValueError::Source)
}

/// A multicast group, and the number of the interface that it is heard on; 0 is any.
pub(super) fn group(value: &str) -> Result<(IpAddr, u32), ValueError> {
    let (ip, on) = value.split_once('%').map_or((value, None), |(ip, on)| (ip, Some(on)));
    let ip: IpAddr = ip.trim_matches(['[', ']']).parse().ok().filter(IpAddr::is_multicast).ok_or(ValueError::Group)?;
    let number = match on {
        None => 0,
        Some(on) => {
            on.parse().ok().or_else(|| interface::number(on)).ok_or_else(|| ValueError::NoInterface(on.to_owned()))?
        }
    };
    Ok((ip, number))
}

/// Whose headers of the PROXY protocol are believed.
pub(super) fn prefixes(text: &str) -> Result<Vec<Prefix>, ValueError> {
    text.split(',').map(|prefix| prefix.parse().map_err(|_| ValueError::Prefixes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_says_what_the_option_takes() {
        assert_eq!(text("sni", Some(""), "NAME"), Err(ValueError::Text { name: "sni", example: "NAME" }));
        for value in [None, Some("256"), Some("-1"), Some("0x100")] {
            let error = ValueError::Number { name: "tos", least: 0, most: 255 };
            assert_eq!(number("tos", value, 0, 255), Err(error), "{value:?}");
        }
        assert_eq!(number("tos", Some("0xff"), 0, 255), Ok(255));
        assert_eq!(switch("nodelay", Some("of")), Err(ValueError::Switch { name: "nodelay" }));
        for value in [None, Some("0"), Some("2GiB"), Some("64KB")] {
            assert_eq!(size("sndbuf", value), Err(ValueError::Size { name: "sndbuf" }), "{value:?}");
        }
        assert_eq!(framing(None), Err(ValueError::Framing));
        assert_eq!(keepalive(Some("1h")), Err(ValueError::Keepalive));
        assert_eq!(source("lo"), Err(ValueError::Source));
        assert_eq!(group("192.0.2.1"), Err(ValueError::Group));
        assert_eq!(group("ff02::1%none such"), Err(ValueError::NoInterface("none such".to_owned())));
        assert_eq!(prefixes("10.0.0.0/33"), Err(ValueError::Prefixes));
    }
}
