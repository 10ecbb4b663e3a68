//! What nc's command line means, and what is wrong with it. What is wrong first is said, and nothing else.

use std::ffi::CString;
use std::time::Duration;

use sockeye::verb::nc::{Family, NcOptions, NumberError, Proxy, ProxyProtocol, Transport, number, signature_password};

use super::getopt::{Flags, Step};
use crate::flags::NC_FLAGS;

/// Why nothing is run.
pub(super) enum Stop {
    /// Help, or usage.
    Said { words: Vec<u8>, code: u8 },
    /// An error; the program's name stands in front.
    Wrong(Vec<u8>),
}

fn wrong<T>(why: impl Into<Vec<u8>>) -> Result<T, Stop> {
    Err(Stop::Wrong(why.into()))
}

const KNOWN: &str = "46bCDdFhI:i:klM:m:NnO:P:p:q:rSs:T:tUuV:vW:w:X:x:Zz";

const USAGE: &str = "usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]
\t  [-m minttl] [-O length] [-P proxy_username] [-p source_port]
\t  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]
\t  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]
\t  [destination] [port]
";

const VERSION: &str = "OpenBSD netcat (Debian patchlevel 1.219-1)\n";

fn help() -> Stop {
    let flags: String = NC_FLAGS.iter().map(|(flag, what)| format!("\t\t{flag}\t{what}\n")).collect();
    let ports = "\tPort numbers can be individual or ranges: lo-hi [inclusive]\n";
    Stop::Said { words: format!("{VERSION}{USAGE}\tCommand Summary:\n{flags}{ports}").into_bytes(), code: 0 }
}

fn usage(before: Vec<u8>) -> Stop {
    Stop::Said { words: [before, USAGE.into()].concat(), code: 1 }
}

/// What was typed beside what goes into the options as it is.
#[derive(Default)]
struct Typed<'a> {
    proxy: Option<&'a [u8]>,
    proxy_protocol: ProxyProtocol,
    proxy_user: Option<&'a [u8]>,
    udp: bool,
    dccp: bool,
}

/// Reads a command line.
pub(super) fn read(program: &[u8], words: &[Vec<u8>]) -> Result<NcOptions, Stop> {
    let stops_at_word = std::env::var_os("POSIXLY_CORRECT").is_some();
    let mut flags = Flags::new(program, words, KNOWN, stops_at_word);
    let mut options = NcOptions::default();
    let mut typed = Typed::default();
    for step in flags.by_ref() {
        match step {
            Step::Flag(letter, value) => take(&mut options, &mut typed, letter, value)?,
            Step::Wrong(why) => return Err(usage(why)),
        }
    }
    options.transport = match (typed.udp, typed.dccp) {
        (true, _) => Transport::Udp,
        (false, true) => Transport::Dccp,
        (false, false) => Transport::Tcp,
    };
    place(&mut options, &flags.operands)?;
    conflicts(&options, &typed)?;
    if let Some(address) = typed.proxy {
        let (host, port) = proxy_address(address)?;
        let user = typed.proxy_user.map(text);
        options.proxy = Some(Proxy { host, port, protocol: typed.proxy_protocol, user });
    }
    Ok(options)
}

fn take<'a>(options: &mut NcOptions, typed: &mut Typed<'a>, letter: u8, value: &'a [u8]) -> Result<(), Stop> {
    let of = |what: &str, least, most| bounded(what, value, least, most);
    // With these two nc does not show the value.
    let of_ttl = |what: &str| {
        number(value, 0, 255).map(int).map_err(|error| Stop::Wrong(format!("{what} is {error}").into_bytes()))
    };
    match letter {
        b'4' => options.family = Some(Family::V4),
        b'6' => options.family = Some(Family::V6),
        b'U' => options.family = Some(Family::Unix),
        b'b' => options.broadcast = true,
        b'C' => options.crlf = true,
        b'D' => options.debug = true,
        b'd' => options.no_stdin = true,
        b'F' => options.pass_descriptor = true,
        b'h' => return Err(help()),
        b'I' => options.receive_buffer = Some(int(of("TCP receive window", 1, 65536 << 14)?)),
        b'O' => options.send_buffer = Some(int(of("TCP send window", 1, 65536 << 14)?)),
        b'i' => options.interval = seconds(of("interval", 0, i64::from(u32::MAX))?),
        b'k' => options.keep = true,
        b'l' => options.listen = true,
        b'M' => options.ttl = Some(of_ttl("ttl")?),
        b'm' => options.least_ttl = Some(of_ttl("minttl")?),
        b'N' => options.shutdown = true,
        b'n' => options.numeric = true,
        b'P' => typed.proxy_user = Some(value),
        b'p' => options.source_port = Some(text(value)),
        b'q' => {
            let quit = of("quit timer", i64::from(i32::MIN), i64::from(i32::MAX))?;
            options.quit = (quit >= 0).then(|| seconds(quit));
            options.shutdown |= quit >= 0;
        }
        b'r' => options.shuffle = true,
        b'S' => match signature_password() {
            Some(password) => options.signature = Some(password),
            None => return wrong("Unable to read TCP MD5SIG password"),
        },
        b's' => options.source = Some(text(value)),
        b'T' => options.traffic_class = Some(traffic_class(value)?),
        b't' => options.telnet = true,
        b'u' => typed.udp = true,
        b'V' => return wrong("no alternate routing table support available"),
        b'v' => options.verbose = true,
        b'W' => options.receive_limit = u32::try_from(of("receive limit", 1, i64::from(i32::MAX))?).ok(),
        b'w' => options.timeout = Some(seconds(of("timeout", 0, i64::from(i32::MAX / 1000))?)),
        b'X' => {
            typed.proxy_protocol = match value {
                b"4" => ProxyProtocol::Socks4,
                b"5" => ProxyProtocol::Socks5,
                value if value.eq_ignore_ascii_case(b"connect") => ProxyProtocol::Connect,
                _ => return wrong("unsupported proxy protocol"),
            }
        }
        b'x' => typed.proxy = Some(value),
        b'Z' => typed.dccp = true,
        // Every other letter was refused before; this one is `z`.
        _ => options.scan = true,
    }
    Ok(())
}

/// Which words are the host and which are ports. With `-l`, one word is the port, and `-s` and `-p` may say both.
fn place(options: &mut NcOptions, words: &[&[u8]]) -> Result<(), Stop> {
    let is_unix = options.family == Some(Family::Unix);
    let is_unix_datagram = is_unix && options.transport == Transport::Udp && !options.listen;
    match words {
        [] if options.listen => {
            options.host = options.source.clone();
            options.ports = options.source_port.iter().cloned().collect();
        }
        [only] if options.source_port.is_none() && (options.source.is_none() || is_unix_datagram) => {
            if is_unix {
                options.host = Some(text(only));
            } else if options.listen {
                options.ports = vec![text(only)];
            }
        }
        [host, ports @ ..] if !ports.is_empty() => {
            let is_said = options.source_port.is_some() || options.source.is_some();
            if options.listen && (is_said || ports.len() > 1) {
                return Err(usage(Vec::new()));
            }
            options.host = Some(text(host));
            options.ports = ports.iter().map(|port| text(port)).collect();
        }
        _ => return Err(usage(Vec::new())),
    }
    Ok(())
}

fn conflicts(options: &NcOptions, typed: &Typed<'_>) -> Result<(), Stop> {
    let is_unix = options.family == Some(Family::Unix);
    let found = [
        (is_unix && typed.dccp, "cannot use -Z and -U"),
        (is_unix && !options.ports.is_empty(), "cannot use port with -U"),
        (is_unix && options.host.is_none(), "missing socket pathname"),
        (!is_unix && options.ports.is_empty(), "missing port number"),
        (options.listen && options.scan, "cannot use -z and -l"),
        (!options.listen && options.keep, "must use -l with -k"),
        (is_unix && options.pass_descriptor, "cannot use -F and -U"),
        (typed.proxy.is_some() && typed.udp, "no proxy support for UDP mode"),
        (typed.proxy.is_some() && typed.dccp, "no proxy support for DCCP mode"),
        (typed.proxy.is_some() && options.listen, "no proxy support for listen"),
        (typed.proxy.is_some() && is_unix, "no proxy support for unix sockets"),
        (typed.proxy.is_some() && options.source.is_some(), "no proxy support for local source address"),
    ];
    match found.iter().find(|(is_so, _)| *is_so) {
        Some((_, why)) => wrong(*why),
        None => Ok(()),
    }
}

/// `HOST`, `HOST:PORT`, `[HOST]` or `[HOST]:PORT`.
fn proxy_address(address: &[u8]) -> Result<(CString, Option<CString>), Stop> {
    let Some(bracketed) = address.strip_prefix(b"[") else {
        return Ok(match address.iter().rposition(|byte| *byte == b':') {
            Some(colon) => (text(&address[..colon]), Some(text(&address[colon + 1..]))),
            None => (text(address), None),
        });
    };
    let Some(end) = bracketed.iter().position(|byte| *byte == b']') else {
        return wrong("missing closing bracket in proxy");
    };
    let host = text(&bracketed[..end]);
    match &bracketed[end + 1..] {
        [] => Ok((host, None)),
        [b':', port @ ..] => Ok((host, Some(text(port)))),
        _ => wrong("garbage proxy port delimiter"),
    }
}

/// `-T`: a word, a number, or one in hexadecimal as strtol(3) reads it: up to the first byte that is no digit.
fn traffic_class(value: &[u8]) -> Result<i32, Stop> {
    let illegal = || Stop::Wrong([b"illegal tos value ", value].concat());
    if let Some((_, class)) = CLASSES.iter().find(|(word, _)| word.as_bytes() == value) {
        return Ok(*class);
    }
    let Some(digits) = value.strip_prefix(b"0x") else {
        return number(value, 0, 255).map(int).map_err(|_| illegal());
    };
    let mut read = 0_i64;
    for digit in digits.iter().map_while(|byte| char::from(*byte).to_digit(16)) {
        read = read.checked_mul(16).and_then(|read| read.checked_add(i64::from(digit))).ok_or_else(illegal)?;
    }
    // nc keeps the lower half of a long.
    let class = read as i32;
    if (0..=255).contains(&class) { Ok(class) } else { Err(illegal()) }
}

/// IP precedence, type of service (RFC 791, RFC 1349) and DiffServ code points (RFC 2474).
const CLASSES: &[(&str, i32)] = &[
    ("af11", 0x28),
    ("af12", 0x30),
    ("af13", 0x38),
    ("af21", 0x48),
    ("af22", 0x50),
    ("af23", 0x58),
    ("af31", 0x68),
    ("af32", 0x70),
    ("af33", 0x78),
    ("af41", 0x88),
    ("af42", 0x90),
    ("af43", 0x98),
    ("critical", 0xa0),
    ("cs0", 0x00),
    ("cs1", 0x20),
    ("cs2", 0x40),
    ("cs3", 0x60),
    ("cs4", 0x80),
    ("cs5", 0xa0),
    ("cs6", 0xc0),
    ("cs7", 0xe0),
    ("ef", 0xb8),
    ("inetcontrol", 0xc0),
    ("lowcost", 0x02),
    ("lowdelay", 0x10),
    ("netcontrol", 0xe0),
    ("reliability", 0x04),
    ("throughput", 0x08),
];

fn bounded(what: &str, value: &[u8], least: i64, most: i64) -> Result<i64, Stop> {
    number(value, least, most).map_err(|error: NumberError| {
        Stop::Wrong([what.as_bytes(), b" ", error.to_string().as_bytes(), b": ", value].concat())
    })
}

fn int(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or_default())
}

/// A word of a command line has no zero byte in it.
fn text(bytes: &[u8]) -> CString {
    CString::new(bytes).unwrap_or_default()
}
