//! How a WebSocket begins (RFC 6455, section 4): a request of HTTP/1.1 and its answer, as bytes come.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::super::tls::{self, TlsError};
use super::Messages;
use crate::address::{Address, Host, Target};
use crate::limits;
use crate::wire::http::fields::members;
use crate::wire::http::request::{Method, Parsed, Request, Version, parse};
use crate::wire::http::status::Status;
use crate::wire::http::{Head, end_of_head};

/// What the answer to a key is made with.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How a server is asked.
#[derive(Debug, Clone)]
pub(crate) struct WsClient {
    /// Path and query.
    target: String,
    /// What the Host field says.
    authority: String,
    /// Subprotocols that we speak, the most wanted first.
    protocols: Vec<String>,
    pub(super) messages: Messages,
}

/// How clients are answered.
#[derive(Debug, Clone)]
pub(crate) struct WsServer {
    /// The only path there is; any, if it is that of the root.
    path: String,
    protocols: Vec<String>,
    pub(super) messages: Messages,
}

impl WsClient {
    /// As an address asks for it, if it is one of a WebSocket; what it leaves open is as it is given.
    pub(crate) fn at(address: &Address, messages: Messages) -> Option<Self> {
        address.is_websocket().then(|| Self::new(address, messages))
    }

    pub(super) fn new(address: &Address, messages: Messages) -> Self {
        let options = &address.options.websocket;
        let authority = match &address.target {
            Target::Inet { host, port } => {
                let host = match host {
                    Host::Every | Host::Loopback => "localhost".to_owned(),
                    Host::Ip(std::net::IpAddr::V6(ip), _) => format!("[{ip}]"),
                    Host::Ip(ip, _) => ip.to_string(),
                    Host::Name(name) => name.clone(),
                };
                if Some(*port) == address.scheme.and_then(crate::address::Scheme::usual_port) {
                    host
                } else {
                    format!("{host}:{port}")
                }
            }
            _ => "localhost".to_owned(),
        };
        Self {
            target: options.target(),
            authority,
            protocols: options.protocols.clone(),
            messages: messages_of(options.binary, messages),
        }
    }
}

impl WsServer {
    /// As an address asks for it, if it is one of a WebSocket.
    pub(crate) fn at(address: &Address, messages: Messages) -> Option<Self> {
        address.is_websocket().then(|| Self::new(address, messages))
    }

    pub(super) fn new(address: &Address, messages: Messages) -> Self {
        let options = &address.options.websocket;
        Self {
            path: options.path().to_owned(),
            protocols: options.protocols.clone(),
            messages: messages_of(options.binary, messages),
        }
    }
}

/// Why an answer opens no WebSocket (RFC 6455, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
enum AnswerError {
    /// The server answers with another status than 101.
    Refused {
        status: u16,
        reason: String,
        /// Where it is to be looked for; may be empty.
        location: String,
    },
    /// What it goes over to is no WebSocket.
    OtherUpgrade,
    /// Its answer is to another key than ours.
    OtherKey,
    /// It uses an extension, and none is offered.
    Extension,
    /// It speaks none of these subprotocols, which were offered.
    NoSubprotocol(Vec<String>),
    /// It speaks this one, which was not offered.
    OtherSubprotocol(String),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, reason, location } => {
                write!(f, "the server says no: {status} {reason}")?;
                if location.is_empty() { Ok(()) } else { write!(f, ", and names {location}") }
            }
            Self::OtherUpgrade => f.write_str("the server goes over to something else than WebSocket"),
            Self::OtherKey => f.write_str("the server's answer is to another request (Sec-WebSocket-Accept)"),
            Self::Extension => f.write_str("the server uses an extension that was not offered"),
            Self::NoSubprotocol(offered) => write!(f, "the server speaks no {}", offered.join(", ")),
            Self::OtherSubprotocol(chosen) => write!(f, "the server speaks {chosen}, which was not offered"),
        }
    }
}

impl std::error::Error for AnswerError {}

/// A client that waits for its answer.
pub(super) struct ClientHandshake {
    expected: String,
    protocols: Vec<String>,
    came: Vec<u8>,
}

impl ClientHandshake {
    /// The request, and what is to be made of its answer.
    pub(super) fn begin(client: &WsClient) -> (Self, Vec<u8>) {
        let key = STANDARD.encode(tls::random_bytes::<16>());
        let WsClient { target, authority, protocols, .. } = client;
        let mut request = format!(
            "GET {target} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        );
        if !protocols.is_empty() {
            request.push_str(&format!("Sec-WebSocket-Protocol: {}\r\n", protocols.join(", ")));
        }
        request.push_str("\r\n");
        let asking = Self { expected: accept(key.as_bytes()), protocols: protocols.clone(), came: Vec::new() };
        (asking, request.into_bytes())
    }

    /// Takes bytes; what came behind the answer, once that is a yes.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, TlsError> {
        let seen = self.came.len();
        self.came.extend_from_slice(bytes);
        let Some(end) = end_of_head(&self.came, seen) else {
            if !self.came.starts_with(&b"HTTP/"[..self.came.len().min(5)]) {
                return Err(TlsError::websocket(
                    "the server does not speak HTTP, with which WebSocket begins".to_owned(),
                ));
            }
            if self.came.len() > limits::HEAD {
                return Err(TlsError::websocket("the head of the server's answer does not end".to_owned()));
            }
            return Ok(None);
        };
        let rest = self.came.split_off(end);
        let head = Head::parse(&self.came).map_err(|error| TlsError::websocket(error.to_string()))?;
        // What is only a word on the way is no answer yet (RFC 9110, section 15.2).
        if matches!(head.status, 100 | 102..=199) {
            self.came.clear();
            return self.hear(&rest);
        }
        self.judge(&head).map_err(|error| TlsError::websocket(error.to_string()))?;
        Ok(Some(rest))
    }

    fn judge(&self, head: &Head) -> Result<(), AnswerError> {
        let text = |name| head.first(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
        let has = |name, word: &str| text(name).split(',').any(|member| member.trim().eq_ignore_ascii_case(word));
        if head.status != 101 {
            let (status, reason) = (head.status, head.reason.clone());
            return Err(AnswerError::Refused { status, reason, location: text("location") });
        }
        if !has("upgrade", "websocket") || !has("connection", "upgrade") {
            return Err(AnswerError::OtherUpgrade);
        }
        if text("sec-websocket-accept") != self.expected {
            return Err(AnswerError::OtherKey);
        }
        if !text("sec-websocket-extensions").is_empty() {
            return Err(AnswerError::Extension);
        }
        let chosen = text("sec-websocket-protocol");
        match (chosen.is_empty(), self.protocols.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => Err(AnswerError::NoSubprotocol(self.protocols.clone())),
            (false, _) if self.protocols.contains(&chosen) => Ok(()),
            (false, _) => Err(AnswerError::OtherSubprotocol(chosen)),
        }
    }
}

/// A server that waits for a request.
pub(super) struct Judging {
    path: String,
    protocols: Vec<String>,
    came: Vec<u8>,
}

impl Judging {
    pub(super) fn new(server: &WsServer) -> Self {
        Self { path: server.path.clone(), protocols: server.protocols.clone(), came: Vec::new() }
    }

    /// Takes bytes, and adds the answer to what is sent; what came behind a request that is one.
    pub(super) fn hear(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<Vec<u8>>, TlsError> {
        self.came.extend_from_slice(bytes);
        let (answer, length) = match parse(&self.came) {
            Parsed::Partial => return Ok(None),
            Parsed::Bad(status) => (Err((status, "its request is malformed".to_owned())), 0),
            Parsed::Whole { request, length } => (self.answer(&request), length),
        };
        match answer {
            Ok(answer) => {
                out.extend_from_slice(answer.as_bytes());
                Ok(Some(self.came.split_off(length)))
            }
            Err((status, why)) => {
                let content = format!("This is a WebSocket: {why}.\n");
                let upgrade = if status == Status::UPGRADE_REQUIRED {
                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                } else {
                    ""
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\n{upgrade}Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}",
                    content.len()
                );
                out.extend_from_slice(answer.as_bytes());
                Err(TlsError::websocket(format!("the client gets {status}: {why}")))
            }
        }
    }

    fn answer(&self, request: &Request<'_>) -> Result<String, (Status, String)> {
        let fields = &request.fields;
        let has = |value, word: &str| members(value).any(|member| member.eq_ignore_ascii_case(word.as_bytes()));
        let refuse = |status, why: &str| Err((status, why.to_owned()));
        if request.method != Method::Get || request.version != Version::Http11 {
            return refuse(Status::METHOD_NOT_ALLOWED, "it begins with GET over HTTP/1.1");
        }
        if self.path != "/" && request.path != self.path {
            return refuse(Status::NOT_FOUND, "it stands at another path");
        }
        if !has(&fields.upgrade, "websocket") || !has(&fields.connection, "upgrade") {
            return refuse(Status::UPGRADE_REQUIRED, "the request does not ask for one");
        }
        if fields.sec_websocket_version.as_deref() != Some(b"13") {
            return refuse(Status::UPGRADE_REQUIRED, "it speaks version 13");
        }
        let key = fields.sec_websocket_key.as_deref().unwrap_or_default();
        if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
            return refuse(Status::BAD_REQUEST, "the request has no key of 16 bytes");
        }
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
            accept(key)
        );
        if !self.protocols.is_empty() {
            let offered: Vec<_> = members(&fields.sec_websocket_protocol).collect();
            let Some(chosen) = self.protocols.iter().find(|ours| offered.contains(&ours.as_bytes())) else {
                return Err((Status::BAD_REQUEST, format!("it speaks {}", self.protocols.join(", "))));
            };
            answer.push_str(&format!("Sec-WebSocket-Protocol: {chosen}\r\n"));
        }
        answer.push_str("\r\n");
        Ok(answer)
    }
}

/// What an address says of messages, else the default.
fn messages_of(binary: Option<bool>, default: Messages) -> Messages {
    match binary {
        Some(false) if default == Messages::Bounded => Messages::BoundedText,
        _ if default == Messages::Bounded => default,
        None => default,
        Some(true) => Messages::Bytes,
        Some(false) if matches!(default, Messages::Bytes | Messages::Kept) => Messages::Lines,
        Some(false) => default,
    }
}

fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(MAGIC).finalize())
}
