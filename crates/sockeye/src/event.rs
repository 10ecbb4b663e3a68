//! What happens at the sockets, as values: the library reports, it never prints.
//!
//! ```
//! use sockeye::event::{ClosedBy, Event, Observer};
//!
//! /// Counts the clients that closed first.
//! #[derive(Default)]
//! struct Counting(u64);
//!
//! impl Observer for Counting {
//!     fn observe(&mut self, event: Event) {
//!         if let Event::Closed { by: ClosedBy::Client, .. } = event {
//!             self.0 += 1;
//!         }
//!     }
//! }
//!
//! let mut counting = Counting::default();
//! counting.observe(Event::Notice("nothing of that kind".to_owned()));
//! assert_eq!(counting.0, 0);
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use crate::child::Ended;
pub use crate::endpoint::{Conversation, Endpoint, Name, Protocol};
use crate::failure::Failure;

/// Who, or what, ended a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    /// The client's end of the stream came first.
    Client,
    /// The server closed first.
    Server,
    /// Nothing came in time.
    Timeout,
    /// The connection was reset.
    Reset,
}

impl fmt::Display for ClosedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
        })
    }
}

/// Something that happened, for a log line or a JSON object. One value is one event; texts in it may hold what a peer
/// sent and are not yet made harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A socket is bound and accepts.
    Listening(Endpoint),
    /// A conversation began.
    Opened(Conversation),
    /// A conversation ended.
    Closed {
        /// Which one.
        conversation: Conversation,
        /// Who ended it.
        by: ClosedBy,
        /// Bytes that the client sent and we read or counted.
        from_client: u64,
        /// Bytes that the server sent.
        from_server: u64,
        /// Bytes that came from the peer behind what was to be said.
        unjudged: u64,
        /// From opening to closing.
        lasted: Duration,
        /// Why, where there is more to say than `by`: "line longer than 65536 bytes (--max-line)".
        reason: Option<String>,
        /// How the program ended that spoke, where one did.
        ended: Option<Ended>,
    },
    /// A program that speaks in a conversation wrote a line to its standard error.
    Stderr {
        /// The conversation's number.
        number: u64,
        /// The line, or a piece of a long one.
        line: String,
    },
    /// A play did not go as written, or a socket failed in a way that ended nothing else.
    Failed {
        /// The conversation, where one is concerned.
        conversation: Option<Conversation>,
        /// Why.
        failure: Failure,
    },
    /// Something was left out on purpose, to stay within a bound: datagrams withheld, clients kept waiting.
    Dropped {
        /// How many of it.
        count: u64,
        /// What, and which bound was met.
        error: String,
    },
    /// A site answered requests: lines of its access log with their ends, made harmless.
    Answered {
        /// One for each.
        lines: String,
        /// How many.
        count: u64,
    },
    /// A side of a relayed conversation said something, made harmless: a statement, or a row of digits.
    Said {
        /// The number of the conversation.
        number: u64,
        /// Who.
        side: transcript::Side,
        /// What.
        text: String,
    },
    /// Something a person should know that is no failure: `not on UDP: greeting.talk:4: …`.
    Notice(String),
}

/// Takes events from the threads that hold conversations. It must return at once: a queue that is full drops and counts.
pub trait Observer: Send {
    /// One thing happened.
    fn observe(&mut self, event: Event);
}

impl<F: FnMut(Event) + Send> Observer for F {
    fn observe(&mut self, event: Event) {
        self(event);
    }
}

/// One observer for several threads: each waits for the others while it is told something.
#[derive(Clone)]
pub(crate) struct SharedObserver(Arc<Mutex<Box<dyn Observer>>>);

impl SharedObserver {
    pub(crate) fn new(observer: Box<dyn Observer>) -> Self {
        Self(Arc::new(Mutex::new(observer)))
    }
}

impl Observer for SharedObserver {
    fn observe(&mut self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).observe(event);
    }
}
