//! Addresses as people type them: `[SCHEME://][HOST]:PORT`, `HOST PORT`, a bare `PORT`, `unix:PATH`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

/// How an address is to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// A stream over IP.
    Tcp,
    /// Datagrams over IP.
    Udp,
    /// A stream socket in the file system.
    Unix,
    /// TLS over TCP; not there yet.
    Tls,
    /// HTTP; not there yet.
    Http,
    /// HTTP over TLS; not there yet.
    Https,
    /// WebSocket; not there yet.
    Ws,
    /// QUIC; not there yet.
    Quic,
}

impl Scheme {
    const ALL: [Self; 8] = [Self::Tcp, Self::Udp, Self::Unix, Self::Tls, Self::Http, Self::Https, Self::Ws, Self::Quic];

    /// As it is written before `://`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Quic => "quic",
        }
    }

    fn is_there(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::Unix)
    }
}

/// Which machine, or which interface.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// Left out before the colon: every interface to who listens, the loopback to who connects.
    Every,
    /// A bare port: 127.0.0.1 and ::1.
    Loopback,
    /// A literal address; an IPv6 one may have a scope (RFC 4007).
    Ip(IpAddr, u32),
    /// A name to look up.
    Name(String),
}

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host and a port.
    Inet {
        /// The host.
        host: Host,
        /// The port; 0 lets the system choose.
        port: u16,
    },
    /// A path in the file system.
    Unix(PathBuf),
}

/// An address, as it was typed and not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The scheme, if one was written.
    pub scheme: Option<Scheme>,
    /// Where it leads.
    pub target: Target,
}

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError {
    typed: String,
    what: String,
    help: String,
}

impl AddressError {
    fn new(typed: &str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { typed: typed.to_owned(), what: what.into(), help: help.into() }
    }

    /// A scheme that is known, but cannot be spoken by this version.
    #[must_use]
    pub fn not_yet(scheme: Scheme) -> Self {
        let name = scheme.name();
        Self::new(&format!("{name}://"), "is not there yet", "this version speaks tcp, udp and unix")
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}: {}", self.typed, self.what, self.help)
    }
}

impl std::error::Error for AddressError {}

/// Longest path of a Unix socket, without the zero behind it (unix(7)).
const LONGEST_PATH: usize = 107;

impl Address {
    /// A port of the loopback, over any protocol.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self { scheme: None, target: Target::Inet { host: Host::Loopback, port } }
    }

    /// Reads one address.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead; a scheme that is known but not there yet.
    pub fn parse(typed: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = match typed.split_once("://") {
            Some((scheme, rest)) => (Some(scheme_of(typed, scheme)?), rest),
            None => match typed.strip_prefix("unix:") {
                Some(path) => (Some(Scheme::Unix), path),
                None => (None, typed),
            },
        };
        if let Some(scheme) = scheme.filter(|scheme| !scheme.is_there()) {
            return Err(AddressError::not_yet(scheme));
        }
        if scheme == Some(Scheme::Unix) {
            return Ok(Self { scheme, target: Target::Unix(socket_path(typed, rest)?) });
        }
        let rest = rest.strip_suffix('/').filter(|_| scheme.is_some()).unwrap_or(rest);
        let (host, port) = split_port(typed, rest)?;
        Ok(Self { scheme, target: Target::Inet { host, port } })
    }

    /// Reads the words of a command line: a host without a port and a bare number behind it are one address.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn parse_words<S: AsRef<str>>(words: &[S]) -> Result<Vec<Self>, AddressError> {
        let mut addresses = Vec::new();
        let mut rest = words.iter().map(AsRef::as_ref).peekable();
        while let Some(word) = rest.next() {
            let is_port = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            match rest.peek().filter(|next| is_port(next) && is_bare_host(word)) {
                Some(port) => {
                    let (scheme, host) = word.split_once("://").map_or(("", word), |(scheme, host)| (scheme, host));
                    let host = if host.contains(':') && !host.starts_with('[') {
                        format!("[{host}]")
                    } else {
                        host.to_owned()
                    };
                    let slashes = if scheme.is_empty() { "" } else { "://" };
                    addresses.push(Self::parse(&format!("{scheme}{slashes}{host}:{port}"))?);
                    rest.next();
                }
                None => addresses.push(Self::parse(word)?),
            }
        }
        Ok(addresses)
    }

    /// Whether it names a Unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        matches!(self.target, Target::Unix(_))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.target, self.scheme) {
            (Target::Unix(path), _) => return write!(f, "unix:{}", path.display()),
            (_, Some(scheme)) => write!(f, "{}://", scheme.name())?,
            (_, None) => {}
        }
        let Target::Inet { host, port } = &self.target else { return Ok(()) };
        match host {
            Host::Every => write!(f, ":{port}"),
            Host::Loopback => write!(f, "{port}"),
            Host::Ip(IpAddr::V4(ip), _) => write!(f, "{ip}:{port}"),
            Host::Ip(IpAddr::V6(ip), 0) => write!(f, "[{ip}]:{port}"),
            Host::Ip(IpAddr::V6(ip), scope) => write!(f, "[{ip}%{scope}]:{port}"),
            Host::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}

fn scheme_of(typed: &str, written: &str) -> Result<Scheme, AddressError> {
    let lower = written.to_ascii_lowercase();
    Scheme::ALL.into_iter().find(|scheme| scheme.name() == lower).ok_or_else(|| {
        AddressError::new(typed, format!("has the unknown scheme `{written}`"), "write tcp://, udp:// or unix:PATH")
    })
}

fn socket_path(typed: &str, rest: &str) -> Result<PathBuf, AddressError> {
    // `unix:///run/x` and `unix:/run/x` are the same.
    if rest.is_empty() {
        return Err(AddressError::new(typed, "has no path", "write unix:/path/of/the/socket"));
    }
    if rest.starts_with('@') {
        return Err(AddressError::new(
            typed,
            "is an abstract socket, which is not there yet",
            "write a path in a folder",
        ));
    }
    if rest.len() > LONGEST_PATH {
        let what = format!("has a path of {} bytes", rest.len());
        return Err(AddressError::new(typed, what, format!("a Unix socket's path has at most {LONGEST_PATH}")));
    }
    Ok(PathBuf::from(rest))
}

/// Whether a word names a host and nothing else: the port stands in the next word.
fn is_bare_host(word: &str) -> bool {
    let host = word.split_once("://").map_or(word, |(_, host)| host);
    if word.starts_with("unix:") || host.is_empty() || host.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    !host.contains(':') || host.parse::<Ipv6Addr>().is_ok() || (host.starts_with('[') && host.ends_with(']'))
}

fn split_port(typed: &str, rest: &str) -> Result<(Host, u16), AddressError> {
    if rest.is_empty() {
        return Err(AddressError::new(typed, "is empty", "write HOST:PORT or PORT"));
    }
    if rest.bytes().all(|byte| byte.is_ascii_digit())
        || rest.strip_prefix('-').is_some_and(|r| r.parse::<u64>().is_ok())
    {
        return Ok((Host::Loopback, port_of(typed, rest)?));
    }
    if let Some(bracketed) = rest.strip_prefix('[') {
        let Some((inside, behind)) = bracketed.split_once(']') else {
            return Err(AddressError::new(typed, "opens a bracket and never closes it", "write [::1]:9999"));
        };
        let Some(port) = behind.strip_prefix(':') else {
            return Err(AddressError::new(typed, "has no port", format!("write [{inside}]:9999")));
        };
        let (ip, scope) = match inside.split_once('%') {
            Some((ip, scope)) => (ip, scope_of(typed, scope)?),
            None => (inside, 0),
        };
        let ip: Ipv6Addr = ip.parse().map_err(|_| {
            AddressError::new(
                typed,
                format!("has `{inside}` in brackets"),
                "only IPv6 addresses stand in brackets: [::1]:9999",
            )
        })?;
        return Ok((Host::Ip(IpAddr::V6(ip), scope), port_of(typed, port)?));
    }
    let Some((host, port)) = rest.rsplit_once(':') else {
        return Err(AddressError::new(
            typed,
            "has no port",
            format!("write {rest}:9999, or the port as the next word"),
        ));
    };
    if host.contains(':') {
        let help = match rest.parse::<Ipv6Addr>() {
            Ok(ip) => format!("write [{ip}]:9999"),
            Err(_) => format!("write [{host}]:{port}"),
        };
        return Err(AddressError::new(typed, "looks like an IPv6 address without brackets", help));
    }
    let port = port_of(typed, port)?;
    let host = match host {
        "" => Host::Every,
        "*" => Host::Every,
        _ => match host.parse::<IpAddr>() {
            Ok(ip) => Host::Ip(ip, 0),
            Err(_) if is_name(host) => Host::Name(host.to_owned()),
            Err(_) => {
                let what = format!("has `{host}` for a host");
                return Err(AddressError::new(
                    typed,
                    what,
                    "a host is a name such as localhost, or an address such as 127.0.0.1",
                ));
            }
        },
    };
    Ok((host, port))
}

fn is_name(host: &str) -> bool {
    host.len() <= 253
        && !host.starts_with(['-', '.'])
        && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

fn port_of(typed: &str, port: &str) -> Result<u16, AddressError> {
    port.parse::<u16>().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(|| {
        if port.is_empty() {
            return AddressError::new(typed, "has no port", "write a number from 0 to 65535 behind the colon");
        }
        AddressError::new(typed, format!("has the port `{port}`"), "ports are numbers from 0 to 65535")
    })
}

/// An interface's number or name behind the `%`.
fn scope_of(typed: &str, scope: &str) -> Result<u32, AddressError> {
    let by_name = || std::fs::read_to_string(format!("/sys/class/net/{scope}/ifindex")).ok()?.trim().parse().ok();
    let safe = !scope.is_empty() && !scope.contains('/') && !scope.contains("..");
    scope.parse::<u32>().ok().or_else(|| if safe { by_name() } else { None }).ok_or_else(|| {
        AddressError::new(typed, format!("has the scope `{scope}`"), "no interface of this machine has that name")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(scheme: Option<Scheme>, host: Host, port: u16) -> Address {
        Address { scheme, target: Target::Inet { host, port } }
    }

    fn ip(text: &str) -> Host {
        Host::Ip(text.parse().unwrap(), 0)
    }

    #[test]
    fn every_form_is_read_and_written_back() {
        for (typed, address) in [
            ("9999", inet(None, Host::Loopback, 9999)),
            (":9999", inet(None, Host::Every, 9999)),
            ("127.0.0.1:80", inet(None, ip("127.0.0.1"), 80)),
            ("localhost:0", inet(None, Host::Name("localhost".into()), 0)),
            ("[::1]:9999", inet(None, ip("::1"), 9999)),
            ("[fe80::1%7]:1", inet(None, Host::Ip("fe80::1".parse().unwrap(), 7), 1)),
            ("udp://127.0.0.1:9999", inet(Some(Scheme::Udp), ip("127.0.0.1"), 9999)),
            ("tcp://:9999", inet(Some(Scheme::Tcp), Host::Every, 9999)),
            ("udp://9999", inet(Some(Scheme::Udp), Host::Loopback, 9999)),
            ("unix:/run/x.sock", Address { scheme: Some(Scheme::Unix), target: Target::Unix("/run/x.sock".into()) }),
        ] {
            assert_eq!(Address::parse(typed).as_ref(), Ok(&address), "{typed}");
            assert_eq!(address.to_string(), typed);
        }
        assert_eq!(Address::parse("unix:///run/x").unwrap().to_string(), "unix:/run/x");
    }

    #[test]
    fn a_host_and_a_port_may_be_two_words() {
        let words = |words: &[&str]| -> Vec<String> {
            Address::parse_words(words).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(words(&["127.0.0.1", "9999"]), ["127.0.0.1:9999"]);
        assert_eq!(words(&["localhost", "9999", ":80", "7"]), ["localhost:9999", ":80", "7"]);
        assert_eq!(words(&["::1", "9999"]), ["[::1]:9999"]);
        assert_eq!(words(&["udp://localhost", "53"]), ["udp://localhost:53"]);
        assert_eq!(words(&["9999", "9998"]), ["9999", "9998"]);
    }

    #[test]
    fn a_wrong_address_says_what_to_write() {
        for (typed, says) in [
            ("gopher://x:1", "unknown scheme `gopher`: write tcp://, udp:// or unix:PATH"),
            ("tls://x:1", "`tls://` is not there yet"),
            ("quic://x:1", "`quic://` is not there yet"),
            ("http://x/", "`http://` is not there yet"),
            ("127.0.0.1:70000", "has the port `70000`: ports are numbers from 0 to 65535"),
            ("70000", "has the port `70000`"),
            ("-1", "has the port `-1`"),
            ("x:+1", "has the port `+1`"),
            ("x:http", "has the port `http`"),
            ("localhost", "has no port: write localhost:9999"),
            ("localhost:", "has no port"),
            ("::1:9999", "without brackets: write [::1:9999]:9999"),
            ("::1", "without brackets: write [::1]:9999"),
            ("[::1]", "has no port"),
            ("[::1", "never closes it"),
            ("[localhost]:1", "only IPv6 addresses stand in brackets"),
            ("a b:1", "has `a b` for a host"),
            ("", "is empty"),
            ("unix:", "has no path"),
            ("unix:@x", "abstract"),
        ] {
            let error = Address::parse(typed).unwrap_err().to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
        let long = format!("unix:/{}", "x".repeat(200));
        assert!(Address::parse(&long).unwrap_err().to_string().contains("at most 107"));
    }
}
