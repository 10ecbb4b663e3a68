//! What came of a pair, and of all pairs of a relay: counts, and what went wrong.

use crate::failure::Kind;

/// What went wrong with a pair, for an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairFailure {
    /// There is no server, or what stands between failed: TLS, a WebSocket.
    Kind(Kind),
    /// It was reset.
    Reset,
    /// Not everything arrived.
    CutShort,
}

/// What came of one pair.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) from_client: u64,
    pub(super) from_server: u64,
    pub(super) lost: u64,
    pub(super) failure: Option<PairFailure>,
    pub(super) is_cut: bool,
}

/// What came of all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Clients that came.
    pub opened: u64,
    /// Pairs that ended by themselves.
    pub closed: u64,
    /// Of all pairs, those with which something went wrong.
    pub failed: u64,
    /// Pairs that the end of the relay cut.
    pub cut: u64,
    /// Bytes that came from clients.
    pub from_clients: u64,
    /// Bytes that came from servers.
    pub from_servers: u64,
    /// Bytes of both that the other side did not take.
    pub lost: u64,
    /// The first thing that went wrong.
    pub failure: Option<PairFailure>,
    /// Whether it was asked twice to end.
    pub at_once: bool,
    /// Whether a record or a capture is not whole: its file could not be written.
    pub is_unwritten: bool,
}

impl Summary {
    /// Adds what came of another relay.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { opened, closed, failed, cut, from_clients, from_servers, lost, failure, at_once, is_unwritten } =
            other;
        self.opened += opened;
        self.closed += closed;
        self.failed += failed;
        self.cut += cut;
        self.from_clients += from_clients;
        self.from_servers += from_servers;
        self.lost += lost;
        self.failure = self.failure.or(failure);
        self.at_once |= at_once;
        self.is_unwritten |= is_unwritten;
    }
}
