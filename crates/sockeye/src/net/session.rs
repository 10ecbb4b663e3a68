//! What stands between the bytes of a socket and those of a conversation: TLS, WebSocket, or the second inside the first. It
//! has no socket: what came goes in, what is to be sent comes out.

use std::net::IpAddr;
use std::sync::Arc;

use super::tls::{self, Identity, Secrets, TlsClient, TlsError, TlsServer, Trust};
use super::websocket::{Close, Mark, Messages, WebSocket, WsClient, WsServer};
use crate::address::{Address, Scheme};
use crate::fresh::randomness;
use crate::gate::Prefix;
use crate::net::words;
use crate::wire::preface::ProxyVersion;
use transcript::{Bound, MessageKind};

/// What clients of one address are spoken to through.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerLayers {
    /// A header of the PROXY protocol comes first.
    pub(crate) accepts_proxy: bool,
    /// From these alone; from any address, if there are none.
    pub(crate) proxies: Vec<Prefix>,
    pub(crate) tls: Option<TlsServer>,
    pub(crate) websocket: Option<WsServer>,
}

/// What one server is spoken to through.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientLayers {
    /// A header of the PROXY protocol goes first.
    pub(crate) proxy: Option<ProxyVersion>,
    pub(crate) tls: Option<TlsClient>,
    pub(crate) websocket: Option<WsClient>,
}

impl ServerLayers {
    /// As an address asks for them. Without a certificate it has this one.
    ///
    /// # Errors
    /// A file is of no use.
    pub(crate) fn at(
        address: &Address,
        identity: &Identity,
        secrets: Option<Arc<dyn Secrets>>,
        messages: Messages,
    ) -> Result<Self, TlsError> {
        let is_secure = matches!(address.scheme, Some(Scheme::Tls | Scheme::Wss));
        let tls = is_secure.then(|| TlsServer::new(&address.options.tls, identity, secrets)).transpose()?;
        let websocket = WsServer::at(address, messages);
        let (accepts_proxy, proxies) = (address.options.accept_proxy, address.options.proxies.clone());
        Ok(Self { accepts_proxy, proxies, tls, websocket })
    }

    /// Why a client may not say which other client its connection is for, if it may not.
    pub(crate) fn distrusts(&self, client: Option<IpAddr>) -> Option<String> {
        let may_not = |ip: &IpAddr| !self.proxies.is_empty() && !self.proxies.iter().any(|proxy| proxy.contains(*ip));
        let client = client.filter(|_| self.accepts_proxy).filter(may_not)?;
        Some(format!("{client} is none of the proxies that may say whom a connection is for (accept-proxy)"))
    }

    /// Whether the bytes of a socket are those of the conversation.
    pub(crate) fn is_plain(&self) -> bool {
        self.tls.is_none() && self.websocket.is_none()
    }

    /// By what clients know a certificate that was made for this run.
    pub(crate) fn fingerprint(&self) -> Option<&str> {
        self.tls.as_ref()?.fingerprint()
    }

    /// A session with one client, if there is anything in between.
    pub(crate) fn session(&self) -> Option<Result<Session, TlsError>> {
        if !self.is_plain()
            && let Err(error) = has_randomness()
        {
            return Some(Err(error));
        }
        let tls = self.tls.as_ref().map(tls::Session::of_server).transpose();
        Session::over(tls, self.websocket.as_ref().map(WebSocket::of_server))
    }
}

impl ClientLayers {
    /// A session with the server, if there is anything in between.
    pub(crate) fn session(&self) -> Option<Result<Session, TlsError>> {
        if (self.tls.is_some() || self.websocket.is_some())
            && let Err(error) = has_randomness()
        {
            return Some(Err(error));
        }
        let tls = self.tls.as_ref().map(tls::Session::of_client).transpose();
        match self.websocket.as_ref().map(WebSocket::of_client).transpose() {
            Ok(websocket) => Session::over(tls, websocket),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Whether there are random numbers, without which no session begins.
fn has_randomness() -> Result<(), TlsError> {
    randomness()
        .map_err(|error| TlsError::local(format!("the kernel gives no random numbers (getrandom): {}", words(&error))))
}

/// Either side of a session.
#[derive(Debug)]
pub(crate) struct Session {
    tls: Option<tls::Session>,
    websocket: Option<Box<WebSocket>>,
    /// What TLS made of bytes that came, for the layer above.
    between: Vec<u8>,
    /// We said something since the peer did last.
    is_unanswered: bool,
}

impl From<tls::Session> for Session {
    fn from(tls: tls::Session) -> Self {
        Self { tls: Some(tls), websocket: None, between: Vec::new(), is_unanswered: false }
    }
}

impl Session {
    fn over(
        tls: Result<Option<tls::Session>, TlsError>,
        websocket: Option<WebSocket>,
    ) -> Option<Result<Self, TlsError>> {
        let websocket = websocket.map(Box::new);
        match tls {
            Ok(None) if websocket.is_none() => None,
            Ok(tls) => Some(Ok(Self { tls, websocket, between: Vec::new(), is_unanswered: false })),
            Err(error) => Some(Err(error)),
        }
    }

    /// The client's side; the certificate must be for the host.
    pub(crate) fn client(trust: &Trust, host: &str, alpn: &[String]) -> Result<Self, TlsError> {
        has_randomness()?;
        tls::Session::client(trust, host, alpn).map(Self::from)
    }

    /// The server's side.
    pub(crate) fn server(identity: &Identity, alpn: &[String]) -> Result<Self, TlsError> {
        has_randomness()?;
        tls::Session::server(identity, alpn).map(Self::from)
    }

    /// The server's side of one that speaks HTTP inside.
    pub(crate) fn web_server(identity: &Identity) -> Result<Self, TlsError> {
        has_randomness()?;
        tls::Session::web_server(identity).map(Self::from)
    }

    /// The same with WebSocket inside.
    ///
    /// # Errors
    /// As [`Session::websocket`].
    pub(crate) fn with(self, websocket: &WsClient) -> Result<Self, TlsError> {
        Ok(Self { websocket: Some(Box::new(WebSocket::of_client(websocket)?)), ..self })
    }

    /// WebSocket without TLS.
    ///
    /// # Errors
    /// There are no random numbers to hide what is said with.
    pub(crate) fn websocket(websocket: &WsClient) -> Result<Self, TlsError> {
        has_randomness()?;
        let websocket = Some(Box::new(WebSocket::of_client(websocket)?));
        Ok(Self { tls: None, websocket, between: Vec::new(), is_unanswered: false })
    }

    /// One behind whose end clear text may follow.
    pub(crate) fn that_ends(self) -> Self {
        Self { tls: self.tls.map(tls::Session::that_ends), ..self }
    }

    /// Whether it is such a one.
    pub(crate) fn may_end(&self) -> bool {
        self.tls.as_ref().is_some_and(tls::Session::may_end)
    }

    /// What came behind its end.
    pub(crate) fn behind(self) -> Vec<u8> {
        self.tls.map(tls::Session::behind).unwrap_or_default()
    }

    /// The protocol that both agreed to speak inside TLS (RFC 7301).
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.tls.as_ref().and_then(tls::Session::alpn)
    }

    /// Whether messages are inside, whose end has a reason, and of which a stream that just ends is none.
    pub(crate) fn is_websocket(&self) -> bool {
        self.websocket.is_some()
    }

    /// Whether only the handshake of messages is not done.
    pub(crate) fn awaits_websocket(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| websocket.is_handshaking())
            && !self.tls.as_ref().is_some_and(tls::Session::is_handshaking)
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(tls::Session::is_handshaking)
            || self.websocket.as_ref().is_some_and(|websocket| websocket.is_handshaking())
    }

    /// Whether the peer has said that it says no more.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.websocket {
            Some(websocket) => websocket.has_ended(),
            None => self.tls.as_ref().is_some_and(tls::Session::has_ended),
        }
    }

    /// Whether what is said now goes to the peer, as far as the session knows.
    pub(crate) fn is_heard(&self) -> bool {
        self.websocket.as_ref().is_none_or(|websocket| websocket.is_heard())
    }

    /// Why the peer said that, where it said why.
    pub(crate) fn close(&self) -> Option<&Close> {
        self.websocket.as_ref()?.close()
    }

    /// Takes bytes from the socket, and adds what they mean to `clear`.
    ///
    /// # Errors
    /// The peer breaks the protocol or is not to be believed. There may be something to send all the same: an alert, or why.
    pub(crate) fn receive(&mut self, bytes: &[u8], clear: &mut Vec<u8>) -> Result<(), TlsError> {
        let before = clear.len();
        let received = self.unpack(bytes, clear);
        // An empty message is an answer too.
        self.is_unanswered &= clear.len() == before && !self.has_marks();
        received
    }

    /// Whether nothing shows that the peer heard what we said last: neither an answer came nor its end.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.is_unanswered && !self.has_ended()
    }

    fn unpack(&mut self, bytes: &[u8], clear: &mut Vec<u8>) -> Result<(), TlsError> {
        match (&mut self.tls, &mut self.websocket) {
            (Some(tls), None) => tls.receive(bytes, clear),
            (None, Some(websocket)) => websocket.receive(bytes, clear),
            (Some(tls), Some(websocket)) => {
                self.between.clear();
                let received = tls.receive(bytes, &mut self.between);
                websocket.receive(&self.between, clear).and(received)
            }
            (None, None) => {
                clear.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.tls.as_ref().map_or(0, tls::Session::memory)
            + self.websocket.as_ref().map_or(0, |websocket| websocket.memory())
            + self.between.capacity()
    }

    /// Packs bytes, and adds everything that is to be sent to `wire`.
    pub(crate) fn send(&mut self, clear: &[u8], wire: &mut Vec<u8>) {
        self.pack(clear, wire, |websocket, packed| websocket.send(clear, packed));
    }

    /// Bytes that wait for the end of their line, and of which nothing is on the wire yet.
    pub(crate) fn waiting(&self) -> usize {
        self.websocket.as_ref().map_or(0, |websocket| websocket.waiting())
    }

    /// Where messages ended that came, where that is kept.
    pub(crate) fn take_marks(&mut self) -> Vec<Mark> {
        self.websocket.as_mut().map(|websocket| websocket.take_marks()).unwrap_or_default()
    }

    /// Nothing is to be said any more of what came before a close, which is answered.
    pub(crate) fn answer_close(&mut self, wire: &mut Vec<u8>) {
        let mut packed = Vec::new();
        if let Some(websocket) = &mut self.websocket {
            websocket.answer_close(&mut packed);
        }
        if !packed.is_empty() {
            match &mut self.tls {
                Some(tls) => tls.send(&packed, wire),
                None => wire.append(&mut packed),
            }
        }
    }

    /// Whether messages ended since their marks were taken.
    pub(crate) fn has_marks(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| websocket.has_marks())
    }

    /// Whether messages are passed on as what they were.
    pub(crate) fn keeps_messages(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| websocket.keeps_messages())
    }

    /// Packs messages that end at these bounds, and adds everything that is to be sent to `wire`. Without messages, bytes.
    pub(crate) fn send_messages(&mut self, clear: &[u8], bounds: &[Bound], wire: &mut Vec<u8>) {
        self.pack(clear, wire, |websocket, packed| websocket.send_messages(clear, bounds, packed));
    }

    /// The same with the next part of a message, as it came.
    pub(crate) fn send_part(&mut self, part: &[u8], kind: MessageKind, is_last: bool, wire: &mut Vec<u8>) {
        self.pack(part, wire, |websocket, packed| websocket.send_part(part, kind, is_last, packed));
    }

    fn pack(&mut self, clear: &[u8], wire: &mut Vec<u8>, pack: impl FnOnce(&mut WebSocket, &mut Vec<u8>)) {
        self.is_unanswered |= !clear.is_empty();
        match (&mut self.tls, &mut self.websocket) {
            (None, Some(websocket)) => pack(websocket, wire),
            (Some(tls), Some(websocket)) => {
                let mut packed = Vec::new();
                pack(websocket, &mut packed);
                tls.send(&packed, wire);
            }
            (Some(tls), None) => tls.send(clear, wire),
            (None, None) => wire.extend_from_slice(clear),
        }
    }

    /// Packs one message, where those keep their bounds, and adds everything that is to be sent to `wire`.
    pub(crate) fn say_message(&mut self, bytes: &[u8], wire: &mut Vec<u8>) {
        if let Some(websocket) = &mut self.websocket {
            websocket.say_message(bytes);
            self.is_unanswered = true;
            self.send(&[], wire);
        }
    }

    /// What waits for the end of a line waits no more.
    pub(crate) fn finish_line(&mut self, wire: &mut Vec<u8>) {
        if let Some(websocket) = &mut self.websocket {
            websocket.finish_line();
            self.send(&[], wire);
        }
    }

    /// The same by a code of messages, where there are any.
    pub(crate) fn end_as(&mut self, code: u16, wire: &mut Vec<u8>) {
        let mut packed = Vec::new();
        if let Some(websocket) = &mut self.websocket {
            websocket.end_as(code, &mut packed);
        }
        self.end_below(packed, wire);
    }

    fn end_below(&mut self, mut packed: Vec<u8>, wire: &mut Vec<u8>) {
        match &mut self.tls {
            Some(tls) => {
                tls.send(&packed, wire);
                tls.end(wire);
            }
            None => wire.append(&mut packed),
        }
    }

    /// Says that nothing more is said, and why, where that can be said.
    pub(crate) fn end(&mut self, why: Option<&Close>, wire: &mut Vec<u8>) {
        let mut packed = Vec::new();
        if let Some(websocket) = &mut self.websocket {
            websocket.end(why, &mut packed);
        }
        self.end_below(packed, wire);
    }
}
