//! Where channels come from: a socket that listens, or a target that we connect to. What differs between the two ends of a
//! connection stands here, and nowhere else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use transcript::{Moment, Side};

use super::Behaviour;
use crate::address::Address;
use crate::event::{ClosedBy, Endpoint};
use crate::limits;
use crate::net::connect::ConnectOptions;
use crate::net::session::Session;
use crate::net::tls::{Identity, TlsError, TlsServer, Trust};
use crate::record::Tap;

/// What all channels of one origin have in common.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The server's end, which is ours where we listen.
    pub(super) endpoint: Endpoint,
    pub(super) behaviour: Behaviour,
    pub(super) ours: Ours,
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
pub(super) enum Ours {
    /// We accepted; who we are, where connections are secure from their first byte.
    Server(Option<TlsServer>),
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
    /// Whether the connection is secure from its first byte.
    pub(crate) begins: Begins,
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

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// In clear, whatever a transcript asks for later.
    Plain,
    /// With a handshake of TLS.
    Secure,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Origin {
    /// A socket that listens, and what its clients get.
    pub(super) fn listener(endpoint: Endpoint, behaviour: Behaviour, tls: Option<TlsServer>) -> Self {
        Self { endpoint, behaviour, ours: Ours::Server(tls) }
    }

    /// A server that we connect to, and what is done there.
    pub(super) fn target(endpoint: Endpoint, behaviour: Behaviour, client: Client) -> Self {
        Self { endpoint, behaviour, ours: Ours::Client(Box::new(client)) }
    }

    /// The same for another thread.
    pub(super) fn for_another_thread(&self) -> Self {
        Self { behaviour: self.behaviour.for_another_thread(), ..self.clone() }
    }

    /// Whether we connected.
    pub(super) fn is_client(&self) -> bool {
        self.client().is_some()
    }

    pub(super) fn client(&self) -> Option<&Client> {
        match &self.ours {
            Ours::Server(_) => None,
            Ours::Client(client) => Some(client),
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

    /// Tells whoever hears what passes; `act` gets our side with it.
    pub(super) fn tell_tap(&self, act: impl FnOnce(&dyn Tap, Side)) {
        if let Ours::Client(client) = &self.ours
            && let Some(tap) = &client.tap
        {
            act(&**tap, Side::Client);
        }
    }

    /// Our side of a session, with which a connection begins or that a transcript asks for.
    pub(super) fn session(&self, identity: &Identity, alpn: &[String]) -> Result<Session, TlsError> {
        match &self.ours {
            Ours::Server(Some(tls)) => Session::of_server(tls),
            Ours::Server(None) => Session::server(identity, alpn),
            Ours::Client(client) => Session::client(&client.trust, &client.host, alpn),
        }
    }

    /// Whether a connection is secure from its first byte.
    pub(super) fn begins_secure(&self) -> bool {
        match &self.ours {
            Ours::Server(tls) => tls.is_some(),
            Ours::Client(client) => client.begins == Begins::Secure,
        }
    }

    /// How errors of TLS call the peer.
    pub(super) fn tls_peer(&self) -> &str {
        self.client().map_or("the client", |client| &client.host)
    }
}
