//! Addresses as people type them: `[SCHEME://][HOST]:PORT`, `HOST PORT`, a bare `PORT`, `unix:PATH`.
//!
//! ```
//! use sockeye::address::{Address, Scheme};
//!
//! let address = Address::parse("udp://127.0.0.1:7000")?;
//! assert_eq!(address.scheme, Some(Scheme::Udp));
//! assert_eq!(Address::parse("9999")?, Address::loopback(9999));
//! assert!(Address::parse("localhost:99999").is_err());
//! # Ok::<(), sockeye::address::AddressError>(())
//! ```

mod parse;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use transcript::{Diagnostic, Refused, Transcript};

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
    /// HTTP, to `serve --files`.
    Http,
    /// HTTP over TLS, likewise.
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

    /// The port that may be left out.
    fn usual_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            _ => None,
        }
    }

    fn is_there(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::Unix | Self::Http | Self::Https)
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
        let help = match scheme {
            Scheme::Http | Scheme::Https => {
                "this version speaks tcp, udp and unix; `sockeye fetch` fetches a page, and a transcript that speaks HTTP \
                is played over tcp://"
            }
            _ => "this version speaks tcp, udp and unix",
        };
        Self::new(&format!("{name}://"), "is not there yet", help)
    }

    /// HTTP where there is nothing to serve over it.
    pub(crate) fn without_files(scheme: Scheme) -> Self {
        Self::new(
            &format!("{}://", scheme.name()),
            "has nothing to serve",
            "name a folder with --files DIR; a transcript or another role stands at tcp://",
        )
    }

    /// A scheme that files are not served over.
    pub(crate) fn not_with_files(scheme: Scheme) -> Self {
        Self::new(&format!("{}://", scheme.name()), "is nothing to serve files over", "write http:// or https://")
    }
}

/// The address that a transcript names with `at`.
///
/// # Errors
/// It is no address that sockeye can use; the place is the transcript's.
pub fn named_by(transcript: &Transcript) -> Result<Option<Address>, Refused> {
    let Some(at) = &transcript.settings().at else { return Ok(None) };
    let words: Vec<&str> = at.address.split_whitespace().collect();
    let refuse = |message: String, help: &str| Refused {
        source: Arc::clone(transcript.source()),
        findings: vec![Diagnostic::error(at.place, message).help(help)],
    };
    match Address::parse_words(&words) {
        Ok(mut addresses) if addresses.len() == 1 => Ok(addresses.pop()),
        Ok(_) => Err(refuse("`at` names one address".to_owned(), "give each address a transcript of its own")),
        Err(error) => Err(refuse(format!("`{}` {}", error.typed, error.what), &error.help)),
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}: {}", self.typed, self.what, self.help)
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// A port of the loopback, over any protocol.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self { scheme: None, target: Target::Inet { host: Host::Loopback, port } }
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
            // Two slashes of the path's own would be taken for those of the scheme.
            (Target::Unix(path), _) => {
                let slashes = if path.as_os_str().as_encoded_bytes().starts_with(b"//") { "//" } else { "" };
                return write!(f, "unix:{slashes}{}", path.display());
            }
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
        for (typed, written) in [
            ("unix:///run/x", "unix:/run/x"),
            ("UNIX:x", "unix:x"),
            ("unix://x", "unix:x"),
            ("unix:////x", "unix:////x"),
            ("unix:/a://b", "unix:/a://b"),
            ("unix:./@x", "unix:./@x"),
            ("UDP://[0::1]:1", "udp://[::1]:1"),
            ("tcp://localhost:1/", "tcp://localhost:1"),
            ("*:1", ":1"),
            ("http://localhost/", "http://localhost:80"),
            ("https://[::1]", "https://[::1]:443"),
            ("http://8080", "http://8080"),
        ] {
            let address = Address::parse(typed).unwrap();
            assert_eq!(address.to_string(), written, "{typed}");
            assert_eq!(Address::parse(written), Ok(address));
        }
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
            ("gopher://x:1", "unknown scheme `gopher`: there are tcp, udp, unix, http, https; not yet tls, ws, quic"),
            ("tpc://x:1", "unknown scheme `tpc`: did you mean tcp? there are"),
            ("tcp4://x:1", "did you mean tcp?"),
            ("unx://x", "did you mean unix?"),
            ("://x:1", "unknown scheme ``"),
            ("tls://x:1", "`tls://` is not there yet"),
            ("quic://x:1", "`quic://` is not there yet"),
            ("ws://x/", "`ws://` is not there yet"),
            ("udp:9999", "has the scheme `udp` where the host stands: write udp://:9999 or udp://HOST:9999"),
            ("a:localhost:1", "has more than one colon: write [SCHEME://]HOST:PORT"),
            ("tcp:localhost:1", "write tcp://localhost:1"),
            ("TCP4-LISTEN:9000,reuseaddr,fork", "write tcp://:9000"),
            ("UDP-SENDTO:localhost:53", "write udp://localhost:53"),
            ("unix-connect:/run/x", "write unix:/run/x"),
            ("openssl:localhost:443", "begins with `starttls`"),
            ("/run/x.sock", "a Unix socket is unix:/run/x.sock"),
            ("./x.sock", "a Unix socket is unix:./x.sock"),
            ("127.0.0.1:70000", "has the port `70000`: ports are numbers from 0 to 65535"),
            ("70000", "`70000` is not a port: ports are numbers from 0 to 65535"),
            ("-1", "is not a port"),
            ("x:+1", "has the port `+1`"),
            ("x:http", "has the port `http`: ports are written as numbers: http is 80"),
            ("x:nonsense", "has the port `nonsense`: ports are numbers from 0 to 65535"),
            ("1234:80", "has the number `1234` for a host"),
            ("localhost", "has no port: write localhost:9999"),
            ("localhost:", "has no port"),
            ("::1:9999", "without brackets: write [::1]:9999"),
            ("udp://::1:9999", "without brackets: write udp://[::1]:9999"),
            ("::1", "without brackets: write [::1]:9999"),
            ("fe80::1", "without brackets: write [fe80::1]:9999"),
            ("[::1]", "has no port"),
            ("[::1", "never closes it"),
            ("[::1%no-such-interface]:1", "no interface of this machine has that name"),
            ("[localhost]:1", "only IPv6 addresses stand in brackets"),
            ("a b:1", "has `a b` for a host"),
            ("user@x:1", "has `user@x` for a host"),
            ("", "is empty"),
            ("unix:", "has no path"),
            ("unix:@x", "abstract socket, which is not there yet: write a path in a folder, or unix:./@x"),
        ] {
            let error = Address::parse(typed).unwrap_err().to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
        let long = format!("unix:/{}", "x".repeat(200));
        assert!(Address::parse(&long).unwrap_err().to_string().contains("at most 107"));
    }
}
