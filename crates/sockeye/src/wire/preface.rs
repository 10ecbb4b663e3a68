//! The header of the PROXY protocol, as haproxy's specification has it: who a connection really comes from, said by a proxy
//! before anything else. Version 1 is a line of text, version 2 is binary.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What stands before the addresses of version 2.
const HEAD: usize = 16;
/// Longest line of version 1, with its end.
const LINE: usize = 107;
/// Longest header that is taken: addresses, and what a proxy says beside them.
pub(crate) const LONGEST: usize = 4096;

/// Which version is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The client's end, and the one that it connected to; none where the proxy speaks for itself, or does not know.
    pub(crate) addresses: Option<(SocketAddr, SocketAddr)>,
    /// How many bytes the header took.
    pub(crate) length: usize,
}

/// Why a connection has no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// It begins with something else.
    Missing,
    /// A line of version 1 that does not end in time.
    LongLine,
    /// A line of version 1 that is not made like one.
    Line(String),
    /// What version 2 begins with names another version, or a command that is not known.
    Command { version: u8, command: u8 },
    /// A header of version 2 that is longer than is taken; its bytes.
    TooLong(usize),
    /// A header of version 2 that is too short for its addresses.
    Addresses,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it does not begin with a header of the PROXY protocol"),
            Self::LongLine => write!(f, "its line is longer than {LINE} bytes"),
            Self::Line(line) => write!(f, "its line is malformed: {line}"),
            Self::Command { version, command } => {
                write!(f, "it has version {version} and command {command}, and there are 2, and 0 or 1")
            }
            Self::TooLong(length) => write!(f, "its header of {length} bytes is longer than {LONGEST}"),
            Self::Addresses => f.write_str("its addresses are cut short"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// Looks for a header at the beginning of some bytes; none where more have to come.
///
/// # Errors
/// It is none.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Ends>, HeaderError> {
    let begins = |with: &[u8]| bytes.len() >= with.len() && bytes.starts_with(with);
    let may_begin = |with: &[u8]| with.starts_with(&bytes[..bytes.len().min(with.len())]);
    match () {
        () if begins(SIGNATURE) => read_binary(bytes),
        () if begins(b"PROXY ") => read_text(bytes),
        () if may_begin(SIGNATURE) || may_begin(b"PROXY ") => Ok(None),
        () => Err(HeaderError::Missing),
    }
}

fn read_text(bytes: &[u8]) -> Result<Option<Ends>, HeaderError> {
    let window = &bytes[..bytes.len().min(LINE)];
    let Some(end) = memchr::memmem::find(window, b"\r\n") else {
        return if window.len() < LINE { Ok(None) } else { Err(HeaderError::LongLine) };
    };
    let wrong = || HeaderError::Line(String::from_utf8_lossy(&window[..end]).into_owned());
    let line = std::str::from_utf8(&window[..end]).map_err(|_| wrong())?;
    let words: Vec<&str> = line.split(' ').collect();
    let length = end + 2;
    if words[1] == "UNKNOWN" {
        return Ok(Some(Ends { addresses: None, length }));
    }
    let [_, family, from, to, from_port, to_port] = words[..] else { return Err(wrong()) };
    let ip = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    };
    let port = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse::<u16>().ok().filter(|_| is_plain)
    };
    let end = |text, port_text| Some(SocketAddr::new(ip(text)?, port(port_text)?));
    let (Some(from), Some(to)) = (end(from, from_port), end(to, to_port)) else { return Err(wrong()) };
    Ok(Some(Ends { addresses: Some((from, to)), length }))
}

fn read_binary(bytes: &[u8]) -> Result<Option<Ends>, HeaderError> {
    let Some(head) = bytes.get(SIGNATURE.len()..HEAD) else { return Ok(None) };
    let (version, command) = (head[0] >> 4, head[0] & 15);
    if version != 2 || command > 1 {
        return Err(HeaderError::Command { version, command });
    }
    let length = HEAD + usize::from(u16::from_be_bytes([head[2], head[3]]));
    if length > LONGEST {
        return Err(HeaderError::TooLong(length));
    }
    let Some(block) = bytes.get(HEAD..length) else { return Ok(None) };
    let addresses = match (command, head[1]) {
        (1, 0x11) => Some(pair(block, |bytes| IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap_or_default()), 4)?),
        (1, 0x21) => Some(pair(block, |bytes| IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default()), 16)?),
        // The proxy speaks for itself, or of what is no connection over IP: who connected is who it is.
        _ => None,
    };
    Ok(Some(Ends { addresses, length }))
}

/// Two addresses of so many bytes each, and then two ports. What stands behind them is of no use here.
fn pair(block: &[u8], ip: impl Fn(&[u8]) -> IpAddr, size: usize) -> Result<(SocketAddr, SocketAddr), HeaderError> {
    let Some(ends) = block.get(..2 * size + 4) else { return Err(HeaderError::Addresses) };
    let port = |at: usize| u16::from_be_bytes([ends[at], ends[at + 1]]);
    let from = SocketAddr::new(ip(&ends[..size]), port(2 * size));
    Ok((from, SocketAddr::new(ip(&ends[size..2 * size]), port(2 * size + 2))))
}

/// A header that says which client connected to which server; `None` is not known, or no connection over IP.
pub(crate) fn write(version: ProxyVersion, ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    // Both of one family: IPv4 is written as IPv6 beside it.
    let ends = ends.map(|(from, to)| match (from.ip().to_canonical(), to.ip().to_canonical()) {
        (IpAddr::V4(a), IpAddr::V6(b)) => (IpAddr::V6(a.to_ipv6_mapped()), IpAddr::V6(b), from.port(), to.port()),
        (IpAddr::V6(a), IpAddr::V4(b)) => (IpAddr::V6(a), IpAddr::V6(b.to_ipv6_mapped()), from.port(), to.port()),
        (a, b) => (a, b, from.port(), to.port()),
    });
    match (version, ends) {
        (ProxyVersion::V1, None) => b"PROXY UNKNOWN\r\n".to_vec(),
        (ProxyVersion::V1, Some((from, to, from_port, to_port))) => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
        }
        (ProxyVersion::V2, ends) => {
            let mut block = Vec::new();
            let mut family = 0x00;
            if let Some((from, to, from_port, to_port)) = ends {
                family = if from.is_ipv4() { 0x11 } else { 0x21 };
                for ip in [from, to] {
                    match ip {
                        IpAddr::V4(ip) => block.extend(ip.octets()),
                        IpAddr::V6(ip) => block.extend(ip.octets()),
                    }
                }
                block.extend(from_port.to_be_bytes());
                block.extend(to_port.to_be_bytes());
            }
            let mut header = [&SIGNATURE[..], &[0x21, family]].concat();
            header.extend((block.len() as u16).to_be_bytes());
            header.append(&mut block);
            header
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(from: &str, to: &str) -> Option<(SocketAddr, SocketAddr)> {
        Some((from.parse().unwrap(), to.parse().unwrap()))
    }

    fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let mut header = [&SIGNATURE[..], &[command, family]].concat();
        header.extend((block.len() as u16).to_be_bytes());
        header.extend(block);
        header
    }

    #[test]
    fn what_is_written_is_read_however_it_is_cut() {
        for (version, from, to) in [
            (ProxyVersion::V1, "192.0.2.1:56324", "192.0.2.2:443"),
            (ProxyVersion::V2, "192.0.2.1:56324", "192.0.2.2:443"),
            (ProxyVersion::V1, "[2001:db8::1]:0", "[::1]:65535"),
            (ProxyVersion::V2, "[2001:db8::1]:0", "[::1]:65535"),
        ] {
            let mut bytes = write(version, ends(from, to));
            let length = bytes.len();
            for cut in 0..length {
                assert_eq!(read(&bytes[..cut]), Ok(None), "{version:?} {from} at {cut}");
            }
            bytes.extend(b"GET /");
            assert_eq!(read(&bytes), Ok(Some(Ends { addresses: ends(from, to), length })));
        }
        assert_eq!(
            write(ProxyVersion::V1, ends("192.0.2.1:1", "192.0.2.2:2")),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
        );
        let mixed = write(ProxyVersion::V1, ends("192.0.2.1:1", "[::1]:2"));
        assert_eq!(String::from_utf8(mixed).unwrap(), "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n");
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let bytes = write(version, None);
            assert_eq!(read(&bytes), Ok(Some(Ends { addresses: None, length: bytes.len() })));
        }
    }

    #[test]
    fn what_is_not_known_or_of_no_use_is_passed_over() {
        let unknown = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\nrest";
        assert_eq!(read(unknown), Ok(Some(Ends { addresses: None, length: unknown.len() - 4 })));
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
        // TLVs stand behind the addresses.
        let more = [&four[..], b"\x04\0\x03abc\x20\0\x01x"].concat();
        for (bytes, known) in [
            (binary(0x21, 0x11, &four), true),
            (binary(0x21, 0x11, &more), true),
            (binary(0x20, 0x11, &four), false),
            (binary(0x20, 0x00, b""), false),
            (binary(0x21, 0x00, b"anything"), false),
            (binary(0x21, 0x31, &[0; 216]), false),
            (binary(0x21, 0x12, &four), false),
        ] {
            let addresses = known.then(|| ends("192.0.2.1:1", "192.0.2.2:2")).flatten();
            assert_eq!(read(&bytes), Ok(Some(Ends { addresses, length: bytes.len() })), "{bytes:?}");
        }
    }

    #[test]
    fn garbage_is_refused_as_soon_as_it_is_some() {
        let long = format!("PROXY TCP4 {}", "1".repeat(200));
        let line = |line: &str| HeaderError::Line(line.to_owned());
        for (bytes, error) in [
            (&b"GET / HTTP/1.1\r\n"[..], HeaderError::Missing),
            (b"\x16\x03\x01", HeaderError::Missing),
            (b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", HeaderError::Missing),
            (long.as_bytes(), HeaderError::LongLine),
            (b"PROXY \xff\r\n", line("PROXY \u{fffd}")),
            (&binary(0x11, 0x11, &[0; 12]), HeaderError::Command { version: 1, command: 1 }),
            (&binary(0x22, 0x11, &[0; 12]), HeaderError::Command { version: 2, command: 2 }),
            (&binary(0x21, 0x11, &[0; 11]), HeaderError::Addresses),
            (&binary(0x21, 0x21, &[0; 35]), HeaderError::Addresses),
            (&binary(0x21, 0x00, &[0; 5000]), HeaderError::TooLong(5016)),
        ] {
            assert_eq!(read(bytes), Err(error), "{:?}", String::from_utf8_lossy(bytes));
        }
        for text in [
            "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536",
            "PROXY TCP4 ::1 ::2 1 2",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2",
            "PROXY ",
        ] {
            assert_eq!(read(format!("{text}\r\n").as_bytes()), Err(line(text)));
        }
    }
}
