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

mod options;
mod parse;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use transcript::{Carrier, Diagnostic, Refused, Transcript};

pub use options::{AddressOptions, Framing, TlsOptions, WebSocketOptions};
pub(crate) use parse::scope_number;

use crate::child::Terminal;
use crate::endpoint::Protocol;

/// How an address is to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// A stream over IP.
    Tcp,
    /// Datagrams over IP.
    Udp,
    /// A stream socket in the file system, or of an abstract name.
    Unix,
    /// Datagrams over a Unix socket.
    UnixDgram,
    /// A Unix socket whose messages keep their bounds.
    UnixSeqpacket,
    /// TLS over TCP, from the first byte.
    Tls,
    /// HTTP, to `serve --files`.
    Http,
    /// HTTP over TLS, likewise.
    Https,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// Standard input and output.
    Stdio,
    /// A program on pipes, without a shell.
    Exec,
    /// A shell's line on pipes.
    Sh,
    /// A descriptor that we were started with.
    Fd,
    /// QUIC; not there yet.
    Quic,
}

impl Scheme {
    const ALL: [Self; 15] = [
        Self::Tcp,
        Self::Udp,
        Self::Unix,
        Self::Http,
        Self::Https,
        Self::Tls,
        Self::UnixDgram,
        Self::UnixSeqpacket,
        Self::Stdio,
        Self::Exec,
        Self::Sh,
        Self::Fd,
        Self::Ws,
        Self::Wss,
        Self::Quic,
    ];
    /// Whether any verb speaks it.
    fn is_there(self) -> bool {
        self != Self::Quic
    }

    /// Whether a connection begins with a handshake of its own: TLS, a WebSocket, or one inside the other.
    #[must_use]
    pub fn has_handshake(self) -> bool {
        matches!(self, Self::Tls | Self::Ws | Self::Wss)
    }

    /// As it is written before `://` or `:`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixDgram => "unix-dgram",
            Self::UnixSeqpacket => "unix-seqpacket",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Stdio => "stdio",
            Self::Exec => "exec",
            Self::Sh => "sh",
            Self::Fd => "fd",
            Self::Quic => "quic",
        }
    }

    /// With what stands between it and the rest.
    fn written(self) -> String {
        format!("{}:{}", self.name(), if self.has_no_host() { "" } else { "//" })
    }

    /// The port that may be left out.
    pub(crate) fn usual_port(self) -> Option<u16> {
        match self {
            Self::Http | Self::Ws => Some(80),
            Self::Https | Self::Wss => Some(443),
            _ => None,
        }
    }

    /// Whether no host stands behind it, so that `//` is left out.
    fn has_no_host(self) -> bool {
        matches!(
            self,
            Self::Unix | Self::UnixDgram | Self::UnixSeqpacket | Self::Stdio | Self::Exec | Self::Sh | Self::Fd
        )
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
    /// A path in the file system; one that begins with `@` is an abstract name (unix(7)).
    Unix(PathBuf),
    /// Standard input and output.
    Standard,
    /// A program and its arguments, or a shell's line; and whether it has a terminal.
    Command(String, Terminal),
    /// The number of a descriptor.
    Descriptor(i32),
}

/// An address, as it was typed and not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The scheme, if one was written.
    pub scheme: Option<Scheme>,
    /// Where it leads.
    pub target: Target,
    /// What stands behind a `?`.
    pub options: Box<AddressOptions>,
}

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError {
    typed: String,
    what: String,
    help: String,
}

impl Address {
    /// Whether messages are spoken there.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        matches!(self.scheme, Some(Scheme::Ws | Scheme::Wss))
    }

    /// The transport under what is spoken there, TLS and WebSocket included; without a scheme a stream. None where it is no
    /// socket of ours (a program, standard streams, a descriptor), and for a scheme that no verb speaks.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        match self.scheme {
            Some(Scheme::Udp) => Some(Protocol::Udp),
            Some(Scheme::UnixDgram) => Some(Protocol::UnixDgram),
            Some(Scheme::UnixSeqpacket) => Some(Protocol::UnixSeqpacket),
            _ if self.is_unix() => Some(Protocol::Unix),
            _ if self.is_local() => None,
            None | Some(Scheme::Tcp | Scheme::Tls | Scheme::Http | Scheme::Https | Scheme::Ws | Scheme::Wss) => {
                Some(Protocol::Tcp)
            }
            Some(Scheme::Unix | Scheme::Stdio | Scheme::Exec | Scheme::Sh | Scheme::Fd | Scheme::Quic) => None,
        }
    }

    /// What carries a transcript over a protocol there. Of a WebSocket whose messages are to be binary they are a stream.
    #[must_use]
    pub fn carrier(&self, protocol: Protocol) -> Carrier {
        match protocol {
            _ if self.is_websocket() && self.options.websocket.binary != Some(true) => Carrier::Messages,
            _ => protocol.carrier(),
        }
    }
}

impl AddressError {
    fn new(typed: &str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { typed: typed.to_owned(), what: what.into(), help: help.into() }
    }

    /// What is wrong and what to write, where the address is only a part of what is shown.
    #[cfg(feature = "http")]
    pub(crate) fn without_address(&self) -> String {
        format!("{}: {}", self.what, self.help)
    }

    /// A scheme that is known, but cannot be spoken by this version, or by this verb.
    #[must_use]
    pub fn not_yet(scheme: Scheme) -> Self {
        let help = match scheme {
            Scheme::Http | Scheme::Https => {
                "this verb speaks tcp, tls, udp, unix, ws and wss; `sockeye fetch` fetches a page, and a transcript that speaks HTTP \
                is played over tcp://"
            }
            _ => "this verb speaks tcp, tls, udp, unix, ws and wss",
        };
        Self::new(&scheme.written(), "is not there yet", help)
    }

    /// A scheme that means nothing to what was asked for; what to do instead.
    #[must_use]
    pub fn not_here(scheme: Scheme, help: &str) -> Self {
        Self::new(&scheme.written(), "means nothing here", help)
    }

    /// Ports that are no list of them.
    #[must_use]
    pub fn no_ports(typed: &str) -> Self {
        Self::new(typed, "is no list of ports", "write numbers from 1 to 65535, such as 20-30,80")
    }

    /// An address with one client, and others beside it.
    pub(crate) fn not_alone(typed: &str) -> Self {
        Self::new(typed, "has one client, and others are asked for", "name it alone: all ends with that client")
    }

    /// Standard input and output at both ends of a relay.
    pub(crate) fn both_standard() -> Self {
        let help = "there is one standard input and one standard output: name something else as one of them";
        Self::new("stdio", "stands at both ends", help)
    }

    /// An option of who listens, where we connect, or of a verb that does not know it.
    pub(crate) fn no_proxy_here(address: &Address, help: &str) -> Self {
        Self::new(&address.to_string(), "has the option `accept-proxy`", help)
    }

    /// How a stream holds messages, where no stream is joined to any.
    pub(crate) fn no_framing_here(address: &Address, help: &str) -> Self {
        Self::new(&address.to_string(), "has the option `frame`", help)
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
    let refuse = |message: String, help: &str| Refused {
        source: Arc::clone(transcript.source()),
        findings: vec![Diagnostic::error(at.place, message).help(help)],
    };
    if let Some((message, help)) = pages(at.address.trim()) {
        return Err(refuse(message, &help));
    }
    // The words of a command are its own, and no file may run it: the user who plays a transcript may not have read it.
    if let Ok(address) = Address::parse(at.address.trim())
        && address.is_local()
    {
        let help = "name the program on the command line: sockeye talk exec:COMMAND --play FILE";
        return match address.target {
            Target::Command(..) => Err(refuse("a transcript runs no program".to_owned(), help)),
            _ => Ok(Some(address)),
        };
    }
    let words: Vec<&str> = at.address.split_whitespace().collect();
    match Address::parse_words(&words) {
        Ok(mut addresses) if addresses.len() == 1 => Ok(addresses.pop()),
        Ok(_) => Err(refuse("`at` names one address".to_owned(), "give each address a transcript of its own")),
        Err(error) => Err(refuse(format!("`{}` {}", error.typed, error.what), &error.help)),
    }
}

/// Why a transcript is played at no address of pages, and where the same is: HTTP is what it says, line by line.
fn pages(written: &str) -> Option<(String, String)> {
    let (scheme, behind) = written.split_once("://")?;
    let (scheme, transport) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (Scheme::Http, "tcp"),
        "https" => (Scheme::Https, "tls"),
        _ => return None,
    };
    let host = behind.split(['/', '?', '#']).next().unwrap_or_default().trim_end_matches(':');
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let usual = scheme.usual_port().filter(|_| parse::has_no_port(host));
    let port = usual.map_or_else(String::new, |port| format!(":{port}"));
    let message = format!("a transcript is not played at {}://", scheme.name());
    let help = format!(
        "write `at {transport}://{host}{port}`, with the lines of HTTP in the transcript; `sockeye fetch` fetches a page"
    );
    Some((message, help))
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
        Self::new(None, Target::Inet { host: Host::Loopback, port })
    }

    /// One without options.
    #[must_use]
    pub fn new(scheme: Option<Scheme>, target: Target) -> Self {
        Self { scheme, target, options: Box::default() }
    }

    /// Whether it names a Unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        matches!(self.target, Target::Unix(_))
    }

    /// Whether it leads to something of this process, and not to a socket that has a name: a program, standard input and
    /// output, a descriptor.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.target, Target::Standard | Target::Command(..) | Target::Descriptor(_))
    }

    /// The name that a certificate must be for: `sni` among the options, else the host as it was typed.
    #[must_use]
    pub fn tls_host(&self) -> String {
        match (&self.options.tls.sni, &self.target) {
            (Some(name), _) => name.clone(),
            (None, Target::Inet { host: Host::Name(name), .. }) => name.clone(),
            (None, Target::Inet { host: Host::Ip(ip, _), .. }) => ip.to_string(),
            (None, _) => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.target, self.scheme) {
            // Two slashes of the path's own would be taken for those of the scheme.
            (Target::Unix(path), scheme) => {
                let slashes = if path.as_os_str().as_encoded_bytes().starts_with(b"//") { "//" } else { "" };
                return write!(f, "{}:{slashes}{}", scheme.unwrap_or(Scheme::Unix).name(), path.display());
            }
            (Target::Standard, _) => return f.write_str("stdio"),
            (Target::Command(command, terminal), scheme) => {
                let pty = if *terminal == Terminal::Own { "+pty" } else { "" };
                return write!(f, "{}{pty}:{command}", scheme.unwrap_or(Scheme::Exec).name());
            }
            (Target::Descriptor(number), _) => return write!(f, "fd:{number}"),
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
        }?;
        f.write_str(self.options.websocket.path.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(scheme: Option<Scheme>, host: Host, port: u16) -> Address {
        Address::new(scheme, Target::Inet { host, port })
    }

    fn command(scheme: Scheme, line: &str, terminal: Terminal) -> Address {
        Address::new(Some(scheme), Target::Command(line.into(), terminal))
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
            ("unix:/run/x.sock", Address::new(Some(Scheme::Unix), Target::Unix("/run/x.sock".into()))),
            ("unix:@x", Address::new(Some(Scheme::Unix), Target::Unix("@x".into()))),
            ("unix-dgram:/x", Address::new(Some(Scheme::UnixDgram), Target::Unix("/x".into()))),
            ("unix-seqpacket:@x", Address::new(Some(Scheme::UnixSeqpacket), Target::Unix("@x".into()))),
            ("stdio", Address::new(Some(Scheme::Stdio), Target::Standard)),
            ("fd:3", Address::new(Some(Scheme::Fd), Target::Descriptor(3))),
            ("exec:a 'b c'?d://e", command(Scheme::Exec, "a 'b c'?d://e", Terminal::None)),
            ("exec+pty:vi x", command(Scheme::Exec, "vi x", Terminal::Own)),
            ("sh:a | b", command(Scheme::Sh, "a | b", Terminal::None)),
            ("sh+pty:a", command(Scheme::Sh, "a", Terminal::Own)),
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
    fn options_stand_in_a_query() {
        let read = |typed: &str| *Address::parse(typed).unwrap().options;
        let tcp = read("tcp://localhost:1?nodelay=off&sndbuf=64KiB&bind=[::1]:7&keepalive=30s&tos=0x10&ttl=3&mptcp");
        assert_eq!((tcp.nodelay, tcp.sndbuf, tcp.mptcp), (Some(false), Some(65536), Some(true)));
        assert_eq!((tcp.bind, tcp.keepalive), ("[::1]:7".parse().ok(), Some(std::time::Duration::from_secs(30))));
        assert_eq!((tcp.tos, tcp.ttl), (Some(16), Some(3)));
        let udp = read("udp://239.0.0.1:1?join=239.0.0.1&broadcast&interface=lo");
        assert_eq!((udp.join, udp.broadcast), (Some(("239.0.0.1".parse().unwrap(), 0)), Some(true)));
        let tls = read("tls://localhost:1?ca=a%20b.pem&alpn=h2,http/1.1&sni=x.example&min=1.3").tls;
        assert_eq!((tls.ca, tls.sni), (Some("a b.pem".into()), Some("x.example".to_owned())));
        assert_eq!((tls.alpn, tls.only_tls13), (vec!["h2".to_owned(), "http/1.1".to_owned()], true));
        assert!(read("1?nodelay").nodelay == Some(true) && read("tcp://localhost:1?").is_empty());
        assert_eq!(Address::parse("unix:/a%3fb").unwrap().target, Target::Unix("/a?b".into()));
        assert_eq!(read("unix:@x?rcvbuf=1k").rcvbuf, Some(1024));
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

    /// Addresses that are none, and what is said of each.
    const WRONG: &[(&str, &str)] = &[
        ("gopher://x:1", "unknown scheme `gopher`: there are tcp, udp, unix, http, https, tls, unix-dgram"),
        ("tpc://x:1", "unknown scheme `tpc`: did you mean tcp? there are"),
        ("tcp4://x:1", "did you mean tcp?"),
        ("unx://x", "did you mean unix?"),
        ("://x:1", "unknown scheme ``"),
        ("quic://x:1", "`quic://` is not there yet"),
        ("udp:9999", "has the scheme `udp` where the host stands: write udp://:9999 or udp://HOST:9999"),
        ("a:localhost:1", "has more than one colon: write [SCHEME://]HOST:PORT"),
        ("tcp:localhost:1", "write tcp://localhost:1"),
        ("TCP4-LISTEN:9000,reuseaddr,fork", "write tcp://:9000"),
        ("UDP-SENDTO:localhost:53", "write udp://localhost:53"),
        ("unix-connect:/run/x", "write unix:/run/x"),
        ("openssl:localhost:443", "write tls://localhost:443"),
        ("-", "standard input and output are stdio"),
        ("7001,7002", "names several ports: an address has one"),
        ("localhost:7001-7003", "has the port `7001-7003`: an address has one port"),
        ("a:1,b:2", "has more than one colon: write each address as a word of its own"),
        ("SYSTEM:cat", "write sh:cat"),
        ("FILE:/tmp/x", "a file is a program that reads it: exec:'cat /tmp/x'"),
        ("ABSTRACT-LISTEN:x", "write unix:@x"),
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
        ("unix:@", "has no name"),
        ("exec:", "has no command: write exec:'cat -n'"),
        ("exec+pty: ", "has no command"),
        ("sh+tty:x", "has `+tty`: write sh+pty:x"),
        ("unix+pty:x", "has `+pty`, which only exec and sh know"),
        ("fd:-1", "has no number"),
        ("fd:no-such-name", "has no number"),
        ("stdio:x", "has `x` behind it"),
        ("tcp://x:1?nodely", "has the option `nodely`, which tcp does not know: did you mean nodelay? there are"),
        ("tcp://x:1?ca=f", "which tcp does not know: it is about TLS: write tls://"),
        ("udp://x:1?nodelay", "has the option `nodelay`, which udp does not know: there are"),
        ("tcp://x:1?sndbuf=lots", "has `sndbuf=lots`: write sndbuf=SIZE, such as sndbuf=64KiB"),
        ("tcp://x:1?ttl=0", "has `ttl=0`: write ttl=N, a number from 1 to 255"),
        ("tcp://x:1?ttl", "has `ttl` without a value"),
        ("tcp://x:1?nodelay=maybe", "write nodelay, nodelay=on or nodelay=off"),
        ("tcp://x:1?nodelay&nodelay", "has the option `nodelay` twice"),
        ("udp://x:1?join=10.0.0.1", "write a multicast group"),
        ("unix:/x?ttl=1", "has the option `ttl`, which unix does not know"),
    ];

    #[test]
    fn a_wrong_address_says_what_to_write() {
        for &(typed, says) in WRONG {
            let error = Address::parse(typed).unwrap_err().to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
        for (typed, says) in [
            ("tls://x:1?key=k", "a key needs its cert=FILE"),
            ("tls://x:1?insecure&pin=sha256:00", "has two of the options"),
            ("tls://x:1?min=1.1", "write min=1.2 or min=1.3"),
            ("quic://x:1", "`quic://` is not there yet"),
            ("gopher://x:1", "not yet here"),
        ] {
            let error = Address::parse(typed).unwrap_err().to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
        let long = format!("unix:/{}", "x".repeat(200));
        assert!(Address::parse(&long).unwrap_err().to_string().contains("at most 107"));
    }
}
