//! How to serve: what is done with clients, where, and within which bounds. Values alone: no file is read here and no socket opened.

use std::fmt;
#[cfg(feature = "http")]
use std::path::PathBuf;
use std::time::Duration;

use transcript::Fresh;
use transcript::record::Secret;

use crate::address::Address;
use crate::child::Program;
#[cfg(feature = "http")]
use crate::engine::AccessLog;
use crate::engine::{Budget, Errors, Terminal};
use crate::folder::LoadedTranscript;
use crate::fresh::fresh;
use crate::gate::Gate;
use crate::limits;
use crate::net::Family;
use crate::net::tls::Identity;
use crate::stop::Stop;
#[cfg(feature = "http")]
use crate::web;

/// The port of the greeting.
pub const DEFAULT_PORT: u16 = 9999;

/// What a server says to its clients.
#[derive(Debug, Clone)]
pub enum Role {
    /// The greeting that is compiled in.
    Greeting,
    /// The S sides of transcripts, each at its own address.
    Transcripts(Vec<LoadedTranscript>),
    /// What comes goes back.
    Echo,
    /// What comes is thrown away.
    Discard,
    /// A folder, to browsers and others who speak HTTP.
    #[cfg(feature = "http")]
    Files(Box<Files>),
    /// A program for each.
    Exec(Box<Running>),
}

/// A program for each client.
#[derive(Debug, Clone)]
pub struct Running {
    /// Which.
    pub program: Program,
    /// Whether each has a terminal of its own.
    pub terminal: Terminal,
    /// What becomes of what it writes to standard error.
    pub errors: Errors,
    /// How many at once; more clients wait.
    pub most: usize,
}

#[cfg(feature = "http")]
/// A folder that is served over HTTP.
#[derive(Debug, Clone)]
pub struct Files {
    /// The folder. Nothing outside it is ever served.
    pub folder: PathBuf,
    /// What is done beyond sending files.
    pub site: web::options::SiteOptions,
    /// What is told of each answer.
    pub log: AccessLog,
    /// Whether who comes over http:// is sent to the https:// address.
    pub plain: Plain,
}

#[cfg(feature = "http")]
/// What is done with clients that come over plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// They are served.
    Served,
    /// They are sent to the address of https://.
    Redirected,
}

/// Where a client may leave so that its play is as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyClose {
    /// Between two rounds of a loop too, though statements follow it: a server that just serves asks for no more.
    Allowed,
    /// Only where nothing follows: each play is to come to its end. A reset and a silence are failed plays too.
    Refused,
}

/// Reads transcripts once more.
pub type Read = Box<dyn FnMut() -> Result<Vec<LoadedTranscript>, Box<dyn std::error::Error + Send + Sync>> + Send>;

/// How a running server comes to newer transcripts.
pub struct Reloading {
    /// Asked when it is time to read them again.
    pub asked: Stop,
    /// The same transcripts, as many and in the same order, as they are now; or why they cannot be read.
    pub read: Read,
}

impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").finish_non_exhaustive()
    }
}

/// How to serve.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where; empty is what the transcripts say with `at`, and port 9999 of the loopback for one that says nothing. Several
    /// transcripts take as many addresses, in their order.
    pub addresses: Vec<Address>,
    /// What to do with clients.
    pub role: Role,
    /// Only this address family.
    pub family: Option<Family>,
    /// Values for names of the transcript.
    pub values: std::collections::BTreeMap<String, Vec<u8>>,
    /// Values that no account of a failed play shows.
    pub secrets: Vec<Secret>,
    /// Where values come from that are new in each play.
    pub fresh: Fresh,
    /// How long open exchanges get when the server is stopped.
    pub grace: Duration,
    /// How long a conversation that is over, but whose client has not closed, may keep a stopped server from ending.
    pub linger: Duration,
    /// How long to wait for the other side; over the transcript's own.
    pub timeout: Option<Duration>,
    /// Longest line, in bytes.
    pub longest_line: usize,
    /// Bytes that all buffers together may take; `None` is a quarter of what the process may have.
    pub memory: Option<u64>,
    /// Threads that serve connections, at most [`MOST_THREADS`](super::MOST_THREADS). Datagrams are served by the first.
    pub threads: usize,
    /// What bounds answers over UDP.
    pub budget: Budget,
    /// Who may come in, and how many.
    pub gate: Gate,
    /// Conversations in all; then the server ends by itself. `None` is without end.
    pub plays: Option<u64>,
    /// How long the next client may stay away while none is there; then the server ends. `None` is without end.
    pub wait: Option<Duration>,
    /// Where a client may leave.
    pub early_close: EarlyClose,
    /// Whether a reset or an idle time limit between two exchanges is a failed play, wherever clients may leave.
    pub strict: bool,
    /// Who the server is where a transcript goes over to TLS.
    pub identity: Identity,
}

impl ServeOptions {
    /// The greeting at the default address with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            addresses: vec![],
            role: Role::Greeting,
            family: None,
            values: Default::default(),
            secrets: vec![],
            fresh: fresh(None, None),
            grace: limits::GRACE,
            linger: limits::DRAIN_WAIT,
            timeout: None,
            longest_line: limits::LINE,
            memory: None,
            threads: 1,
            budget: Budget::On,
            gate: Gate::default(),
            plays: None,
            wait: None,
            early_close: EarlyClose::Allowed,
            strict: false,
            identity: Identity::throw_away(),
        }
    }
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self::new()
    }
}
