//! A play over a connection that we opened: a loop of its own, that ends with it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use transcript::{Row, Script};

use super::channel::{Agent, Channel, ConnectionInfo, Datagrams, Hearing, Line, failure_of_socket};
pub(crate) use super::origin::Client;
use super::origin::Origin;
pub use super::origin::{InitialLayers, Reconnect};
use super::reactor::poller::Poller;
use super::{Behaviour, Bounds, FIRST, Loop};
use crate::event::{Endpoint, Event, Name, Protocol};
use crate::failure::Failure;
use crate::net::connecting::Target;
use crate::net::peer::Peer;

/// A connected socket, and what is known of it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) fd: OwnedFd,
    pub(crate) protocol: Protocol,
    pub(crate) local: Name,
    pub(crate) peer: Name,
    /// The peer had reset it by the time we looked; what came before can still be read.
    pub(crate) is_broken: bool,
}

/// What came of a play.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Why it did not go as written.
    pub(crate) failure: Option<Failure>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Bytes that came behind the end of what was to be said.
    pub(crate) unjudged: u64,
    /// Over datagrams: those that came from others than the peer.
    pub(crate) strangers: u64,
    /// Connections that are over.
    closed: u64,
    /// The server broke off the handshake with which the first was to begin, or left it unanswered.
    pub(crate) is_unshaken: bool,
}

impl Outcome {
    /// Something happened on one of the play's connections.
    fn learn(&mut self, event: Event) {
        match event {
            // What follows from the first is no news.
            Event::Failed { failure, .. } => self.failure = self.failure.take().or(Some(failure)),
            Event::Closed { from_client, from_server, unjudged, .. } => {
                // A play may have several connections.
                self.closed += 1;
                self.sent += from_client;
                self.received += from_server;
                self.unjudged += unjudged;
            }
            Event::Dropped { count, .. } => self.strangers += count,
            _ => {}
        }
    }
}

/// Over what a play is.
#[derive(Debug)]
pub(crate) enum Over {
    /// A connection that stands.
    Connection(Connection),
    /// One that is still to be made.
    Target(Arc<Target>),
}

/// Plays a script over a connection. What went wrong, if anything did, is in what comes of it.
pub(crate) fn play(over: Over, script: Arc<Script>, row: Option<&Row>, client: Client) -> Outcome {
    try_to_play(over, script, row, client)
        .unwrap_or_else(|error| Outcome { failure: Some(failure_of_socket(&error)), ..Outcome::default() })
}

/// The same.
///
/// # Errors
/// As epoll_create1(2), ioctl(2), getsockname(2) and epoll_wait(2).
fn try_to_play(over: Over, script: Arc<Script>, row: Option<&Row>, client: Client) -> io::Result<Outcome> {
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let told = Arc::clone(&outcome);
    let observer = Box::new(move |event| {
        told.lock().unwrap_or_else(PoisonError::into_inner).learn(event);
    });
    let bounds = Bounds { plays: Some(1), ..Bounds::of_client() };
    let mut own = Loop::idle(Poller::new()?, bounds, observer, Instant::now());
    let (protocol, name) = match &over {
        Over::Connection(connection) => (connection.protocol, connection.peer.clone()),
        Over::Target(target) => (target.protocol, target.peer()),
    };
    let endpoint = Endpoint { protocol, name, over: None };
    let play = row.map_or_else(|| script.play(), |row| script.play_with(row));
    let agent = Agent::Play(play, Arc::clone(&script));
    let spans = script.spans();
    let behaviour = Behaviour::Play(script);
    own.origins.push(Origin::target(endpoint, behaviour, client));
    match over {
        Over::Target(target) => {
            let number = own.resources.tally.next_number();
            let group = if spans { number } else { 0 };
            let hearing = Hearing::of(&own.origins[0], None).filter(|_| spans);
            let key = own.connect_numbered(&target, 0, agent, (number, group), hearing);
            if let Some(key) = key.filter(|_| spans) {
                own.begin_group_of(key, number);
            }
        }
        Over::Connection(Connection { fd, protocol, local, peer, is_broken }) => {
            let line = line_of(fd, protocol, &peer)?;
            let number = own.resources.tally.next_number();
            let info =
                ConnectionInfo { number, peer, local: Some(Box::new(local)), origin: 0, permit: None, pass: None };
            let mut channel = Channel::new(line, info, agent, own.resources.now);
            channel.is_broken = is_broken;
            if spans {
                (channel.group, channel.hearing) = (number, Hearing::of(&own.origins[0], None));
                own.begin_group(number, 0, channel.conversation(&own.origins[0]));
            }
            let key = own.adopt(channel);
            own.join_group(number, FIRST, key);
        }
    }
    let unshaken = own.run()?.unshaken;
    let outcome = std::mem::take(&mut *outcome.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Outcome { is_unshaken: unshaken > 0 && outcome.closed == 1, ..outcome })
}

/// What carries a connection that stands.
fn line_of(fd: OwnedFd, protocol: Protocol, peer: &Name) -> io::Result<Line> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(match protocol {
        Protocol::Udp | Protocol::UnixDgram | Protocol::UnixSeqpacket => {
            Line::Datagrams(Box::new(Datagrams::new(Peer::of(fd, protocol, peer)?)))
        }
        Protocol::Tcp | Protocol::Unix => Line::Socket(fd),
    })
}
