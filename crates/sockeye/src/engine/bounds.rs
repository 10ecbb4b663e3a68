//! What a loop is told to do, within which bounds, and what came of it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use transcript::{Carrier, Refused};

use super::behaviour::Behaviour;
use super::guard::Budget;
use crate::gate::Gate;
use crate::net::listen::Socket;
use crate::net::session::ServerLayers;
use crate::net::tls;
use crate::stop::Stop;

/// A bound socket, and what is done with its clients.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) socket: Socket,
    pub(crate) behaviour: Behaviour,
    /// What its clients are spoken to through.
    pub(crate) layers: ServerLayers,
}

/// What bounds a loop.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// How long open exchanges get when the server is stopped.
    pub(crate) grace: Duration,
    /// How long conversations that are over are drained when the server is stopped.
    pub(crate) linger: Duration,
    /// How long a client without a play may be quiet; plays know their own.
    pub(crate) wait: Option<Duration>,
    /// Bytes that all buffers together may take.
    pub(crate) memory: u64,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Loops, each a thread.
    pub(crate) threads: usize,
    pub(crate) budget: Budget,
    /// Who may come in.
    pub(crate) gate: Gate,
    /// Conversations in all; then the loop ends.
    pub(crate) plays: Option<u64>,
    /// How long the next client may stay away while none is there; then the loop ends.
    pub(crate) wait_for_client: Option<Duration>,
    /// Whether a reset or an idle time limit between two exchanges is a failed play.
    pub(crate) strict: bool,
    /// Whether each play is to come to its end, so that where a client leaves matters.
    pub(crate) to_the_end: bool,
    /// Who the server is where a transcript goes over to TLS.
    pub(crate) identity: tls::Identity,
}

impl Bounds {
    /// What bounds a loop whose channels we open.
    pub(super) fn of_client() -> Self {
        Self {
            grace: Duration::ZERO,
            linger: Duration::ZERO,
            wait: None,
            // What a play holds is bounded by its script.
            memory: u64::MAX / 2,
            connections: 1,
            threads: 1,
            budget: Budget::On,
            gate: Gate::default(),
            plays: None,
            wait_for_client: None,
            strict: false,
            to_the_end: false,
            identity: tls::Identity::throw_away(),
        }
    }

    /// Whether it matters how each play went: to an exit code, or to a test.
    pub(super) fn is_judged(&self) -> bool {
        self.strict || self.plays.is_some() || self.to_the_end
    }
}

/// New behaviours, one for each socket in their order, and what to say about them.
pub(crate) type Loaded = (Vec<Behaviour>, String);

/// How a loop comes to other behaviours while it runs.
pub(crate) struct Reload {
    /// Asked when it is time.
    pub(crate) asked: Stop,
    /// The new behaviours, or why the old ones stay.
    pub(crate) load: Box<dyn FnMut() -> Result<Loaded, ReloadError> + Send>,
}

/// Why the old behaviours stay.
#[derive(Debug)]
pub(crate) enum ReloadError {
    /// What they are read from cannot be read.
    Read(Box<dyn Error + Send + Sync>),
    /// What was read is no transcript.
    NoTranscript,
    /// A transcript cannot be played with the options that the server has.
    Role(Box<dyn Error + Send + Sync>),
    /// One cannot be played over a socket that is bound.
    Carrier {
        /// What carries it there.
        carrier: Carrier,
        /// Why it cannot be played over that.
        refused: Refused,
    },
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) | Self::Role(error) => error.fmt(f),
            Self::NoTranscript => f.write_str("there is no transcript"),
            Self::Carrier { carrier, refused } => {
                let over = match carrier {
                    Carrier::Stream => "a stream",
                    Carrier::Datagram => "datagrams",
                    Carrier::Packet => "packets",
                    Carrier::Messages => "WebSocket",
                };
                write!(f, "it cannot be played over {over}: {refused}")
            }
        }
    }
}

impl Error for ReloadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(error) | Self::Role(error) => Some(&**error),
            Self::NoTranscript => None,
            Self::Carrier { refused, .. } => Some(refused),
        }
    }
}

/// What came of a loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Conversations that were opened; further connections of a play count with its first.
    pub opened: u64,
    /// Conversations that ended by themselves.
    pub closed: u64,
    /// Plays that did not go as written.
    pub failed: u64,
    /// Conversations that were cut when the server was stopped.
    pub cut: u64,
    /// Bytes that came in the conversations that are over.
    pub from_clients: u64,
    /// Handshakes with which a connection was to begin, and that the peer broke off without a word.
    pub unshaken: u64,
    /// The second signal came: nothing was waited for.
    pub at_once: bool,
    /// The next client stayed away for too long.
    pub unvisited: bool,
}

/// Counts of one loop.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(super) opened: u64,
    /// Those of them that are further connections of a play.
    pub(super) joined: u64,
    pub(super) closed: u64,
    pub(super) failed: u64,
    pub(super) from_clients: u64,
    pub(super) unshaken: u64,
}

impl Tally {
    /// The number of a conversation that opens now.
    pub(super) fn next_number(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }

    /// The number of a further connection of a play.
    pub(super) fn next_of_a_play(&mut self) -> u64 {
        self.joined += 1;
        self.next_number()
    }

    /// Plays that were begun.
    pub(super) fn begun(&self) -> u64 {
        self.opened - self.joined
    }

    /// A conversation closes now, in which so many bytes came.
    pub(super) fn close(&mut self, from_client: u64) {
        self.closed += 1;
        self.from_clients += from_client;
    }
}
