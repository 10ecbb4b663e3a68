//! What goes into a step of the player, and what comes out.

use std::time::Duration;

use crate::carrier::Bound;
use crate::moment::Moment;
use crate::verdict::Verdict;

/// What has come from the other side and was not consumed yet.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// On a stream every byte since the last one that was consumed; over datagrams the payload of one.
    pub bytes: &'a [u8],
    /// Over datagrams: whether `bytes` is one, even if it is empty. Ignored on a stream.
    pub datagram: bool,
    /// Whether the other side's end of the stream stands behind the bytes.
    pub ended: bool,
    /// The time now.
    pub now: Moment,
}

/// What there is to send.
#[derive(Debug, Default)]
pub struct Output {
    /// The bytes; on a stream one write.
    pub bytes: Vec<u8>,
    /// Over datagrams: where each ends in the bytes.
    pub datagrams: Vec<usize>,
    /// Over a stream of messages: where each ends. What stands behind the last is bytes. Of text, a line feed at its end is that of
    /// its line, and no part of the message.
    pub messages: Vec<Bound>,
}

impl Output {
    /// Forgets what was sent; the memory stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
        self.messages.clear();
    }
}

/// What a step came to.
#[derive(Debug)]
pub struct Step {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// Over datagrams: the one that was given was not taken. While the play pauses, or has much to send, it is to be kept
    /// and given again with the step after that; where the play is over, it is the next one's.
    pub left: bool,
    /// What to do, after sending the output.
    pub next: Next,
}

/// What the play needs next.
#[derive(Debug)]
pub enum Next {
    /// More from the other side, or this moment.
    Hear {
        /// When to step again if nothing comes; `None` is never.
        until: Option<Moment>,
    },
    /// There is much to send: step again when it is sent.
    Flush,
    /// Nothing before this moment.
    Pause {
        /// When to step again.
        until: Moment,
    },
    /// Half-close our direction, then step again.
    StopSending,
    /// Go on with another connection that is open: with the next step comes what came there.
    Over {
        /// Which: the 2 of `C2:`.
        connection: u8,
    },
    /// Open a connection; the next step is about it.
    Connect {
        /// Which.
        connection: u8,
        /// The port, where it is not that of the conversation; the host is the same.
        port: Option<u16>,
    },
    /// Take a connection that the other side opens; the next step is about it. See [`Play::not_connected`](crate::Play::not_connected).
    Accept {
        /// Which.
        connection: u8,
        /// Whether it comes to the port at which [`Next::Listen`] had us listen for it, or to that of the conversation.
        has_port: bool,
        /// When that is too late; `None` is never.
        until: Option<Moment>,
    },
    /// Listen at a port that is free, and tell which: [`Play::listens_at`](crate::Play::listens_at).
    Listen {
        /// The connection that will come there.
        connection: u8,
    },
    /// Shake hands for TLS, then step again with what is said inside it. See [`Play::alpn`](crate::Play::alpn).
    StartTls,
    /// Say that TLS ends (close_notify), wait for the other side to say so, then step again with what is said in clear.
    StopTls,
    /// The play is over.
    End(Ending),
}

/// How a play ended.
#[derive(Debug)]
pub enum Ending {
    /// As written, at its last statement; we close.
    Done,
    /// As written, and the transcript says that we reset.
    DoneByReset,
    /// The connection ends here, and the play goes on: step again, without input, for where.
    GoesOn {
        /// We end it by a reset.
        by_reset: bool,
    },
    /// The other side left where it may.
    Left,
    /// Nothing came for long where nothing was due.
    IdleTimeout {
        /// How long was waited.
        waited: Duration,
    },
    /// A reset came where nothing was due.
    IdleReset,
    /// Not as written.
    Failed(Box<Verdict>),
}

impl Ending {
    /// Whether the conversation went as written, or ended where it may.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}

/// Bytes of output at which a step pauses for them to be sent.
pub const SAID_AHEAD: usize = 64 * 1024;
