//! Where channels come from: a socket that listens, or a target that we connect to. What differs between the two ends of a
//! connection stands here, and nowhere else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use transcript::{Moment, Side};

use super::Behaviour;
use crate::address::{Address, Scheme};
use crate::event::{ClosedBy, Endpoint};
use crate::limits;
use crate::net::connect::ConnectOptions;
use crate::net::session::{ServerLayers, Session};
use crate::net::tls::{Identity, TlsError, Trust};
use crate::net::websocket::{Messages, WsClient};
use crate::record::Tap;

/// What all channels of one origin have in common.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The server's end, which is ours where we listen.
    pub(super) endpoint: Endpoint,
    pub(super) behaviour: Behaviour,
    pub(super) our_role: OurRole,
}

/// Who, or what, ended a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closer {
    Us,
    Peer,
    Timeout,
    Reset,
}

/// Which end is ours.
#[derive(Debug, Clone)]
pub(super) enum OurRole {
    /// We accepted; what clients are spoken to through.
    Server(Box<ServerLayers>),
    /// We connected.
    Client(Box<Client>),
}

/// What a client's end needs beyond a server's.
#[derive(Clone)]
pub(crate) struct Client {
    /// Whose certificates are believed where a transcript goes over to TLS.
    pub(crate) trust: Trust,
    /// Whom a certificate must be for.
    pub(crate) host: String,
    /// How long the server may take nothing of what is sent.
    pub(crate) write_wait: Duration,
    /// Who hears all that passes; inside TLS, what it means.
    pub(crate) tap: Option<Arc<dyn Tap>>,
    /// What the server is spoken to through, from the first byte.
    pub(crate) begins: InitialLayers,
    /// How a play's further connections are opened.
    pub(crate) reconnect: Reconnect,
}

/// How a play's first connection was opened: so are those that it opens later, to the same host.
#[derive(Debug, Clone, Default)]
pub struct Reconnect {
    /// What was asked for; none: where the first connection leads is all that is known.
    pub address: Option<Address>,
    /// How.
    pub options: ConnectOptions,
    /// For how long it is tried again where it is refused.
    pub retry: Option<Duration>,
}

/// How a connection begins: in clear, whatever a transcript asks for later; with a handshake of TLS; as a WebSocket.
#[derive(Debug, Clone, Default)]
pub struct InitialLayers {
    is_secure: bool,
    websocket: Option<WsClient>,
}

impl InitialLayers {
    /// In clear, or with a handshake of TLS.
    #[cfg(all(feature = "figures", feature = "http"))]
    pub(crate) fn new(is_secure: bool) -> Self {
        Self { is_secure, websocket: None }
    }

    /// As an address asks for it.
    #[must_use]
    pub fn at(address: &Address) -> Self {
        let is_secure = matches!(address.scheme, Some(Scheme::Tls | Scheme::Wss));
        Self { is_secure, websocket: WsClient::at(address, Messages::Lines) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Origin {
    /// A socket that listens, and what its clients get.
    pub(super) fn listener(endpoint: Endpoint, behaviour: Behaviour, layers: ServerLayers) -> Self {
        Self { endpoint, behaviour, our_role: OurRole::Server(Box::new(layers)) }
    }

    /// A server that we connect to, and what is done there.
    pub(super) fn target(endpoint: Endpoint, behaviour: Behaviour, client: Client) -> Self {
        Self { endpoint, behaviour, our_role: OurRole::Client(Box::new(client)) }
    }

    /// The same for another thread.
    pub(super) fn for_another_thread(&self) -> Self {
        Self { behaviour: self.behaviour.for_another_thread(), ..self.clone() }
    }

    /// Whether its clients say first whom they are for.
    pub(super) fn accepts_proxy(&self) -> bool {
        matches!(&self.our_role, OurRole::Server(layers) if layers.accepts_proxy)
    }

    /// Why a client may not say whom it is for, if it may not.
    pub(super) fn distrusts(&self, client: Option<std::net::IpAddr>) -> Option<String> {
        if let OurRole::Server(layers) = &self.our_role { layers.distrusts(client) } else { None }
    }

    /// Whether we connected.
    pub(super) fn is_client(&self) -> bool {
        self.client().is_some()
    }

    pub(super) fn client(&self) -> Option<&Client> {
        match &self.our_role {
            OurRole::Server(_) => None,
            OurRole::Client(client) => Some(client),
        }
    }

    /// Our side.
    pub(super) fn side(&self) -> Side {
        if self.is_client() { Side::Client } else { Side::Server }
    }

    /// How messages call the peer.
    pub(super) fn peer(&self) -> &'static str {
        if self.is_client() { "the server" } else { "the client" }
    }

    /// Who it was, in the words of events.
    pub(super) fn closed_by(&self, closer: Closer) -> ClosedBy {
        match (closer, self.side()) {
            (Closer::Timeout, _) => ClosedBy::Timeout,
            (Closer::Reset, _) => ClosedBy::Reset,
            (Closer::Us, Side::Client) | (Closer::Peer, Side::Server) => ClosedBy::Client,
            (Closer::Us, Side::Server) | (Closer::Peer, Side::Client) => ClosedBy::Server,
        }
    }

    /// How long the peer may take nothing of what is sent.
    pub(super) fn write_wait(&self) -> Duration {
        self.client().map_or(limits::WRITE_WAIT, |client| client.write_wait)
    }

    /// When a peer that takes nothing from now on has taken too long.
    pub(super) fn write_by(&self, now: Moment) -> Moment {
        now.after(self.write_wait())
    }

    /// How long what still comes is read once we have closed. A server reads on for longer: a client that learns of an error
    /// only after it has sent all of a large request is to see the answer, and not a reset.
    pub(super) fn drain_wait(&self) -> Duration {
        if self.is_client() { limits::TALK_DRAIN } else { limits::DRAIN_WAIT }
    }

    /// Tells the taps what passes; `act` gets our side with it.
    pub(super) fn tell_tap(&self, act: impl FnOnce(&dyn Tap, Side)) {
        if let OurRole::Client(client) = &self.our_role
            && let Some(tap) = &client.tap
        {
            act(&**tap, Side::Client);
        }
    }

    /// Our side of a session that a transcript asks for.
    pub(super) fn session(&self, identity: &Identity, alpn: &[String]) -> Result<Session, TlsError> {
        match &self.our_role {
            OurRole::Server(_) => Session::server(identity, alpn),
            OurRole::Client(client) => Session::client(&client.trust, &client.host, alpn),
        }
    }

    /// Our side of the session with which a connection begins, if it does.
    pub(super) fn first_session(&self) -> Option<Result<Session, TlsError>> {
        match &self.our_role {
            OurRole::Server(layers) => layers.session(),
            OurRole::Client(client) => match (client.begins.is_secure, &client.begins.websocket) {
                (true, websocket) => {
                    let session = Session::client(&client.trust, &client.host, &[]);
                    Some(session.and_then(|session| match websocket {
                        Some(websocket) => session.with(websocket),
                        None => Ok(session),
                    }))
                }
                (false, websocket) => websocket.as_ref().map(Session::websocket),
            },
        }
    }

    /// Whether something stands between a connection and its conversation from the first byte.
    pub(super) fn begins_secure(&self) -> bool {
        match &self.our_role {
            OurRole::Server(layers) => !layers.is_plain(),
            OurRole::Client(client) => client.begins.is_secure || client.begins.websocket.is_some(),
        }
    }

    /// How errors of TLS call the peer.
    pub(super) fn tls_peer(&self) -> &str {
        self.client().map_or("the client", |client| &client.host)
    }
}
