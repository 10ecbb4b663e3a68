//! What stands behind the `?` of an address: options of its socket and of TLS over it, as the query of a URL.

mod values;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use values::ValueError;

use super::{Address, AddressError, Scheme};
use crate::gate::Prefix;

/// Options of an address. What is not named is as it is without any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AddressOptions {
    /// Whether small messages go at once (`TCP_NODELAY`).
    pub nodelay: Option<bool>,
    /// After how long a quiet peer is asked whether it is still there; zero: never.
    pub keepalive: Option<Duration>,
    /// The address, and perhaps the port, that a connection comes from.
    pub bind: Option<SocketAddr>,
    /// Bytes that wait in the system to be sent (`SO_SNDBUF`).
    pub sndbuf: Option<usize>,
    /// Bytes that wait in the system to be read (`SO_RCVBUF`).
    pub rcvbuf: Option<usize>,
    /// Type of service, or traffic class.
    pub tos: Option<u8>,
    /// Routers that a packet may pass.
    pub ttl: Option<u8>,
    /// Whether datagrams may go to all of a network.
    pub broadcast: Option<bool>,
    /// A multicast group to hear, and the number of the interface that it is heard on.
    pub join: Option<(IpAddr, u32)>,
    /// The only interface that is used.
    pub interface: Option<String>,
    /// A mark for this machine's routes and filters (`SO_MARK`).
    pub mark: Option<u32>,
    /// Whether one connection takes several ways (Multipath TCP).
    pub mptcp: Option<bool>,
    /// Whether a client says first which other client it speaks for, by a header of the PROXY protocol.
    pub accept_proxy: bool,
    /// Addresses that may say so; any, if none are named.
    pub proxies: Vec<Prefix>,
    /// How a stream that is joined to datagrams holds messages.
    pub frame: Option<Framing>,
    /// Options of TLS.
    pub tls: TlsOptions,
    /// What a WebSocket is asked for.
    pub websocket: WebSocketOptions,
}

/// What a WebSocket is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WebSocketOptions {
    /// The path; without one it is `/`.
    pub path: Option<String>,
    /// What of the query is not an option of ours.
    pub query: Option<String>,
    /// Subprotocols that are spoken inside, the most wanted first.
    pub protocols: Vec<String>,
    /// Whether messages are binary, or lines of text; what is usual, if neither is said.
    pub binary: Option<bool>,
}

impl WebSocketOptions {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    /// Path and query, as a request has them.
    #[must_use]
    pub fn target(&self) -> String {
        let query = self.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        format!("{}{query}", self.path())
    }
}

/// How a stream that is joined to datagrams holds messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// It does not: what is read at once is a datagram, and a datagram is its bytes.
    #[default]
    None,
    /// A line is a datagram, without its ending.
    Line,
    /// A datagram stands behind its length, two bytes of which the first is the higher one, as DNS has it over TCP (RFC 1035,
    /// section 4.2.2).
    U16,
}

/// Options of TLS over an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Only who these certificates sign for is believed.
    pub ca: Option<PathBuf>,
    /// Who we are.
    pub cert: Option<PathBuf>,
    /// The key of it.
    pub key: Option<PathBuf>,
    /// Protocols to speak inside, the most wanted first (RFC 7301).
    pub alpn: Vec<String>,
    /// The name that is asked for.
    pub sni: Option<String>,
    /// Nothing older than 1.3.
    pub only_tls13: bool,
    /// The fingerprint of the only certificate that is believed.
    pub pin: Option<String>,
    /// Any server is believed.
    pub insecure: bool,
}

/// Names of options of any socket over IP, of streams, of datagrams, and of TLS.
const IP: [&str; 6] = ["sndbuf", "rcvbuf", "tos", "ttl", "interface", "mark"];
const STREAM: [&str; 5] = ["bind", "nodelay", "keepalive", "mptcp", "accept-proxy"];
const DATAGRAM: [&str; 3] = ["bind", "broadcast", "join"];
const FRAME: [&str; 1] = ["frame"];
const TLS: [&str; 8] = ["ca", "cert", "key", "alpn", "sni", "min", "pin", "insecure"];
const WEBSOCKET: [&str; 2] = ["subprotocol", "binary"];
const BUFFERS: [&str; 2] = ["sndbuf", "rcvbuf"];

/// The options that an address of a scheme knows.
fn known(scheme: Option<Scheme>) -> Vec<&'static str> {
    match scheme {
        Some(Scheme::Tcp) => [&STREAM[..], &IP, &FRAME].concat(),
        Some(Scheme::Http | Scheme::Https) => [&STREAM[..], &IP].concat(),
        Some(Scheme::Ws) => [&WEBSOCKET[..], &STREAM, &IP].concat(),
        Some(Scheme::Wss) => [&WEBSOCKET[..], &TLS, &STREAM, &IP].concat(),
        Some(Scheme::Udp) => [&DATAGRAM[..], &IP, &FRAME].concat(),
        Some(Scheme::Tls | Scheme::Quic) => [&TLS[..], &STREAM, &IP, &FRAME].concat(),
        // Without a scheme it may be either.
        None => [&STREAM[..], &DATAGRAM[1..], &IP, &FRAME].concat(),
        Some(Scheme::Unix | Scheme::UnixDgram | Scheme::UnixSeqpacket) => [&BUFFERS[..], &FRAME].concat(),
        Some(Scheme::Stdio | Scheme::Exec | Scheme::Sh | Scheme::Fd) => vec![],
    }
}

impl AddressOptions {
    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether they are of an address that listens.
    ///
    /// # Errors
    /// One of them is about a connection that we open.
    pub(crate) fn listen(&self, address: &Address) -> Result<(), AddressError> {
        let TlsOptions { sni, pin, insecure, .. } = &self.tls;
        let of_connections = [
            (
                "bind",
                self.bind.is_some(),
                "it is about where a connection comes from; who listens does so at its address",
            ),
            ("sni", sni.is_some(), "it is about whom a connection asks for; who listens is who cert=FILE says"),
            ("pin", pin.is_some(), "it is about whom a connection believes; ca=FILE has clients show a certificate"),
            (
                "insecure",
                *insecure,
                "it is about whom a connection believes; who listens believes any client without ca=FILE",
            ),
        ];
        match of_connections.into_iter().find(|(_, is_given, _)| *is_given) {
            Some((name, _, help)) => {
                Err(AddressError::new(&address.to_string(), format!("listens, and has the option `{name}`"), help))
            }
            None => Ok(()),
        }
    }

    /// Reads what stands behind the `?`.
    pub(super) fn parse(typed: &str, scheme: Option<Scheme>, query: &str) -> Result<Self, AddressError> {
        let mut options = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
            let known = known(scheme);
            let Some(name) = known.iter().copied().find(|known| *known == name) else {
                // A WebSocket's URL has a query of its own.
                if matches!(scheme, Some(Scheme::Ws | Scheme::Wss)) {
                    let query = options.websocket.query.get_or_insert_default();
                    if !query.is_empty() {
                        query.push('&');
                    }
                    query.push_str(pair);
                    continue;
                }
                return Err(unknown(typed, scheme, name, &known));
            };
            if seen.contains(&name) {
                return Err(AddressError::new(
                    typed,
                    format!("has the option `{name}` twice"),
                    "leave one of them out",
                ));
            }
            seen.push(name);
            let value = value.map(decoded).transpose().map_err(|()| {
                AddressError::new(typed, format!("has `{pair}`"), "a % is written %25 in an option's value")
            })?;
            options.set(name, value.as_deref()).map_err(|error| {
                let what = match &value {
                    Some(value) => format!("has `{name}={value}`"),
                    None => format!("has `{name}` without a value"),
                };
                AddressError::new(typed, what, error.to_string())
            })?;
        }
        options.tls.agree(typed)?;
        Ok(options)
    }

    /// Takes one option.
    fn set(&mut self, name: &'static str, value: Option<&str>) -> Result<(), ValueError> {
        let text = |example| values::text(name, value, example);
        let number = |least, most| values::number(name, value, least, most);
        match name {
            "nodelay" => self.nodelay = Some(values::switch(name, value)?),
            "mptcp" => self.mptcp = Some(values::switch(name, value)?),
            "accept-proxy" => match values::switch(name, value) {
                Ok(on) => self.accept_proxy = on,
                Err(_) => (self.accept_proxy, self.proxies) = (true, values::prefixes(value.unwrap_or_default())?),
            },
            "broadcast" => self.broadcast = Some(values::switch(name, value)?),
            "insecure" => self.tls.insecure = values::switch(name, value)?,
            "keepalive" => self.keepalive = Some(values::keepalive(value)?),
            "bind" => self.bind = Some(values::source(&text("192.0.2.7 or bind=192.0.2.7:1024")?)?),
            "sndbuf" => self.sndbuf = Some(values::size(name, value)?),
            "rcvbuf" => self.rcvbuf = Some(values::size(name, value)?),
            "tos" => self.tos = Some(number(0, 255)? as u8),
            "ttl" => self.ttl = Some(number(1, 255)? as u8),
            "mark" => self.mark = Some(number(0, u64::from(u32::MAX))? as u32),
            "join" => self.join = Some(values::group(&text("239.0.0.1 or join=ff02::1%eth0")?)?),
            "interface" => self.interface = Some(text("eth0")?),
            "ca" => self.tls.ca = Some(text("FILE")?.into()),
            "cert" => self.tls.cert = Some(text("FILE")?.into()),
            "key" => self.tls.key = Some(text("FILE")?.into()),
            "sni" => self.tls.sni = Some(text("NAME")?),
            "pin" => self.tls.pin = Some(text("sha256:…")?),
            "frame" => self.frame = Some(values::framing(value)?),
            "binary" => self.websocket.binary = Some(values::switch(name, value)?),
            "subprotocol" => {
                let names = text("chat,superchat")?;
                let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
                if !names.split(',').all(is_name) {
                    return Err(ValueError::Text { name, example: "chat,superchat" });
                }
                self.websocket.protocols = names.split(',').map(str::to_owned).collect();
            }
            "alpn" => self.tls.alpn = text("h2,http/1.1")?.split(',').map(str::to_owned).collect(),
            "min" => {
                self.tls.only_tls13 = match value {
                    Some("1.2") => false,
                    Some("1.3") => true,
                    _ => return Err(ValueError::Tls),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl TlsOptions {
    /// Options that exclude each other, or need another.
    fn agree(&self, typed: &str) -> Result<(), AddressError> {
        let whom = usize::from(self.ca.is_some()) + usize::from(self.pin.is_some()) + usize::from(self.insecure);
        if whom > 1 {
            let help = "say whom to believe once: ca=FILE, pin=sha256:… or insecure";
            return Err(AddressError::new(typed, "has two of the options `ca`, `pin` and `insecure`", help));
        }
        if self.key.is_some() && self.cert.is_none() {
            return Err(AddressError::new(typed, "has the option `key` and no `cert`", "a key needs its cert=FILE"));
        }
        Ok(())
    }
}

fn unknown(typed: &str, scheme: Option<Scheme>, name: &str, known: &[&str]) -> AddressError {
    let of = scheme.map_or("an address without a scheme", Scheme::name);
    let meant = transcript::nearest_word(name, known.iter().copied());
    let meant = meant.map_or_else(String::new, |meant| format!("did you mean {meant}? "));
    let elsewhere = match () {
        () if known.is_empty() => "it has no options".to_owned(),
        () if TLS.contains(&name) => format!("it is about TLS: write tls://; here there are {}", known.join(", ")),
        () => format!("there are {}", known.join(", ")),
    };
    AddressError::new(
        typed,
        format!("has the option `{name}`, which {of} does not know"),
        format!("{meant}{elsewhere}"),
    )
}

fn decoded(value: &str) -> Result<String, ()> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).ok_or(());
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push((high << 4 | low) as u8);
    }
    String::from_utf8(bytes).map_err(drop)
}
