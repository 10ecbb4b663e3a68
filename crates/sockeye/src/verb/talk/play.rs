//! `talk --play`: the client's side of a transcript over one connection.

use std::sync::Arc;

use transcript::{Row, Script};

use crate::engine::client::{self, Client, Connection, InitialLayers, Outcome, Over, Reconnect};
use crate::event::{Name, Protocol};
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::net::connect::Connected;
use crate::net::connecting::Target;
use crate::net::tls::Trust;
use crate::record::Tap;

/// What came of a play.
#[derive(Debug)]
pub struct Played {
    /// Why it did not go as written, if it did not.
    pub failure: Option<Failure>,
    /// The transport.
    pub protocol: Protocol,
    /// Our end.
    pub local: Name,
    /// The other end.
    pub peer: Name,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Bytes that came after the last statement, which nothing judged.
    pub unjudged: u64,
    /// Over datagrams: those that came from others than the peer, and were not taken.
    pub strangers: u64,
    /// How a program failed that was the other end.
    pub ended: Option<Failure>,
    /// Whether no program heard a word of it: over datagrams nothing listens there, over TLS or a WebSocket the handshake was
    /// broken off. The server may only be starting, and all of it can be said once more.
    pub is_unheard: bool,
    /// Over datagrams, where nothing listens at this address: the same for the name's next one.
    pub next: Option<Connected>,
}

/// What goes with a play.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// Who hears all that passes; inside TLS, what it means.
    pub tap: Option<Arc<dyn Tap>>,
    /// Whose certificates are believed.
    pub trust: &'a Trust,
    /// The name that a certificate must be for.
    pub host: &'a str,
    /// How the connection begins.
    pub begins: InitialLayers,
    /// How further connections are opened, if the transcript has any.
    pub reconnect: Reconnect,
    /// The values of this play, where they differ from play to play.
    pub row: Option<&'a Row>,
}

/// Plays a script over a connection that the loop of the play opens itself; why it did not go as written, or did not come about.
pub(crate) fn play_at(target: Target, script: &Arc<Script>, trust: &Trust, host: &str) -> Option<Failure> {
    let write_wait = script.wait().unwrap_or(limits::WRITE_WAIT);
    let (tap, begins, reconnect) = (None, InitialLayers::at(&target.address), Reconnect::default());
    let client = Client { trust: trust.clone(), host: host.to_owned(), write_wait, tap, begins, reconnect };
    client::play(Over::Target(Arc::new(target)), Arc::clone(script), None, client).failure
}

/// Plays a script over a connected socket. What went wrong, if anything did, is in what comes back.
#[must_use]
pub fn play(connected: Connected, script: &Arc<Script>, setting: &Setting<'_>) -> Played {
    let Connected { fd, protocol, local, peer, attempts, lookup, broken, others, guest, .. } = connected;
    let client = Client {
        trust: setting.trust.clone(),
        host: setting.host.to_owned(),
        write_wait: script.wait().unwrap_or(limits::WRITE_WAIT),
        tap: setting.tap.clone(),
        begins: setting.begins.clone(),
        reconnect: setting.reconnect.clone(),
    };
    let (own, other) = (local.clone(), peer.clone());
    let connection = Connection { fd, protocol, local, peer, is_broken: broken.is_some() };
    let Outcome { failure, sent, received, unjudged, strangers, is_unshaken, .. } =
        client::play(Over::Connection(connection), Arc::clone(script), setting.row, client);
    // Its socket is closed by now.
    let ended = guest.and_then(|guest| Failure::of_left(&guest.finish(limits::GRACE)));
    let is_elsewhere = |failure: &Failure| matches!(failure.kind(), Kind::Refused | Kind::Unreachable);
    let is_elsewhere = received == 0 && failure.as_ref().is_some_and(is_elsewhere);
    let next = if is_elsewhere { Connected::at_next(attempts, lookup, &others) } else { None };
    let is_unheard = is_elsewhere && protocol.keeps_bounds() || is_unshaken;
    Played { failure, protocol, local: own, peer: other, sent, received, unjudged, strangers, ended, is_unheard, next }
}
