//! What nc is asked to do.

use std::ffi::{CString, c_int};
use std::fmt;
use std::time::Duration;

/// Which addresses are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `-4`
    V4,
    /// `-6`
    V6,
    /// `-U`
    Unix,
}

impl Family {
    pub(super) fn number(self) -> c_int {
        match self {
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
            Self::Unix => libc::AF_UNIX,
        }
    }
}

/// What carries the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP, or a stream of a Unix socket
    #[default]
    Tcp,
    /// `-u`: UDP, or datagrams of a Unix socket
    Udp,
    /// `-Z`
    Dccp,
}

/// linux/net.h; the C library's crate has it for other systems.
const SOCK_DCCP: c_int = 6;

impl Transport {
    /// The kind of socket, and its protocol.
    pub(super) fn numbers(self) -> (c_int, c_int) {
        match self {
            Self::Tcp => (libc::SOCK_STREAM, libc::IPPROTO_TCP),
            Self::Udp => (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
            Self::Dccp => (SOCK_DCCP, libc::IPPROTO_DCCP),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Dccp => "dccp",
        }
    }
}

/// What is spoken with a proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// `-X 4`
    Socks4,
    /// `-X 5`
    #[default]
    Socks5,
    /// `-X connect`
    Connect,
}

/// `-x`: where the proxy is, and how to speak with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its host.
    pub host: CString,
    /// Its port or service; the protocol's own if `None`.
    pub port: Option<CString>,
    /// What it speaks.
    pub protocol: ProxyProtocol,
    /// `-P`: the user to be, if it asks.
    pub user: Option<CString>,
}

/// Everything that can be asked for. One field an option, named for what it does.
#[derive(Debug, Clone, Default)]
pub struct NcOptions {
    /// `-4`, `-6`, `-U`
    pub family: Option<Family>,
    /// `-u`, `-Z`
    pub transport: Transport,
    /// Where to, or where to listen.
    pub host: Option<CString>,
    /// Ports, ranges and services.
    pub ports: Vec<CString>,
    /// `-b`
    pub broadcast: bool,
    /// `-C`
    pub crlf: bool,
    /// `-D`
    pub debug: bool,
    /// `-d`
    pub no_stdin: bool,
    /// `-F`
    pub pass_descriptor: bool,
    /// `-I`
    pub receive_buffer: Option<c_int>,
    /// `-O`
    pub send_buffer: Option<c_int>,
    /// `-i`
    pub interval: Duration,
    /// `-k`
    pub keep: bool,
    /// `-l`
    pub listen: bool,
    /// `-M`
    pub ttl: Option<c_int>,
    /// `-m`
    pub least_ttl: Option<c_int>,
    /// `-N`, which `-q` implies
    pub shutdown: bool,
    /// `-n`
    pub numeric: bool,
    /// `-p`
    pub source_port: Option<CString>,
    /// `-q`, from 0 up
    pub quit: Option<Duration>,
    /// `-r`
    pub shuffle: bool,
    /// `-S`: the password that signs
    pub signature: Option<Vec<u8>>,
    /// `-s`
    pub source: Option<CString>,
    /// `-T`
    pub traffic_class: Option<c_int>,
    /// `-t`
    pub telnet: bool,
    /// `-v`
    pub verbose: bool,
    /// `-W`
    pub receive_limit: Option<u32>,
    /// `-w`
    pub timeout: Option<Duration>,
    /// `-x`, with `-X` and `-P`
    pub proxy: Option<Proxy>,
    /// `-z`
    pub scan: bool,
}

impl NcOptions {
    /// `-w` as poll(2) takes it.
    pub(super) fn poll_timeout(&self) -> c_int {
        self.timeout.map_or(-1, |time| c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX))
    }
}

/// Why a text is no number in its bounds (strtonum(3bsd)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NumberError {
    /// It is no number.
    Invalid,
    /// It is below the bound.
    TooSmall,
    /// It is above the bound.
    TooLarge,
}

/// As nc says it.
impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::TooSmall => "too small",
            Self::TooLarge => "too large",
        })
    }
}

impl std::error::Error for NumberError {}

/// Reads a decimal number; blanks and a sign may stand before it, and nothing behind it.
///
/// # Errors
/// It is none, or out of bounds.
pub fn number(text: &[u8], least: i64, most: i64) -> Result<i64, NumberError> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let text = &text[text.iter().take_while(|byte| is_blank(byte)).count()..];
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NumberError::Invalid);
    }
    // Beyond what an i64 holds, every bound has been passed.
    let value =
        digits.iter().fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let value = if is_negative { -value } else { value };
    match value {
        value if value < least => Err(NumberError::TooSmall),
        value if value > most => Err(NumberError::TooLarge),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_strtonum_reads_them() {
        let read = |text: &str| number(text.as_bytes(), 1, 99);
        for (text, expected) in [
            ("5", Ok(5)),
            (" \t5", Ok(5)),
            ("+5", Ok(5)),
            ("007", Ok(7)),
            ("0", Err(NumberError::TooSmall)),
            ("-5", Err(NumberError::TooSmall)),
            ("100", Err(NumberError::TooLarge)),
            ("99999999999999999999999", Err(NumberError::TooLarge)),
            ("-99999999999999999999999", Err(NumberError::TooSmall)),
            ("", Err(NumberError::Invalid)),
            ("5 ", Err(NumberError::Invalid)),
            ("5x", Err(NumberError::Invalid)),
            ("0x5", Err(NumberError::Invalid)),
            ("- 5", Err(NumberError::Invalid)),
            ("+", Err(NumberError::Invalid)),
        ] {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}
