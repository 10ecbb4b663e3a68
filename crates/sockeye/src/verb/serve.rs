//! `serve`: binds, listens, and plays the server's side for every client.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use transcript::{Carrier, Options as Playing, Refused, Script, Side, Transcript};

use crate::address::{Address, AddressError, Scheme};
use crate::drive::{Bounds, Loop};
use crate::event::{Endpoint, Event, Observer, Protocol};
use crate::limits;
use crate::net::Family;
use crate::net::listen::{self, Bound, ListenError, Request};
use crate::stop::Stop;
use crate::sys::files;

pub use crate::drive::{Behaviour, Budget, Summary};

/// What a server says to its clients.
#[derive(Debug, Clone)]
pub enum Role {
    /// The greeting that is compiled in.
    Greeting,
    /// A transcript's S side.
    Transcript(Box<Transcript>),
    /// What comes goes back.
    Echo,
    /// What comes is thrown away.
    Discard,
}

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where; empty is port 9999 of the loopback.
    pub addresses: Vec<Address>,
    /// What to do with clients.
    pub role: Role,
    /// Only this address family.
    pub family: Option<Family>,
    /// Values for names of the transcript.
    pub values: std::collections::BTreeMap<String, Vec<u8>>,
    /// How long open exchanges get when the server is stopped.
    pub grace: Duration,
    /// How long to wait for the other side; over the transcript's own.
    pub timeout: Option<Duration>,
    /// Longest line, in bytes.
    pub longest_line: usize,
    /// What bounds answers over UDP.
    pub budget: Budget,
}

impl Options {
    /// The greeting at the default address with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            addresses: vec![],
            role: Role::Greeting,
            family: None,
            values: Default::default(),
            grace: limits::GRACE,
            timeout: None,
            longest_line: limits::LINE,
            budget: Budget::On,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a server does not start, or ends.
#[derive(Debug)]
pub enum ServeError {
    /// The transcript cannot be played as asked.
    Refused(Refused),
    /// A scheme that `serve` cannot do.
    Address(AddressError),
    /// A socket cannot be bound.
    Listen(ListenError),
    /// The loop itself failed.
    Io(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Address(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::Io(error) => write!(f, "cannot serve: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

/// A server whose sockets are bound.
#[derive(Debug)]
pub struct Server {
    sockets: Vec<(listen::Socket, Behaviour)>,
    ports: Vec<u16>,
    notices: Vec<String>,
    bounds: Bounds,
}

/// The port of the greeting.
pub const DEFAULT_PORT: u16 = 9999;

const GREETING: &[u8] = include_bytes!("../../../../transcripts/greeting.talk");
const GREETING_UDP: &[u8] = include_bytes!("../../../../transcripts/greeting-udp.talk");

impl Server {
    /// Makes the transcript ready and binds every socket, or none.
    ///
    /// # Errors
    /// A transcript that cannot be played over a protocol that was asked for, an address that cannot be bound.
    pub fn bind(options: &Options) -> Result<Self, ServeError> {
        let mut notices = Vec::new();
        let roles = Roles::prepare(options)?;
        let default = [Address::loopback(DEFAULT_PORT)];
        let addresses = if options.addresses.is_empty() { &default[..] } else { &options.addresses };
        let mut requests = Vec::new();
        for address in addresses {
            requests.push(Request { address: address.clone(), protocols: roles.protocols(address, &mut notices)? });
        }
        let Bound { sockets, ports, notices: more } =
            listen::bind(&requests, options.family).map_err(ServeError::Listen)?;
        notices.extend(more);
        let sockets = sockets
            .into_iter()
            .map(|socket| {
                let behaviour = roles.of(socket.endpoint.protocol);
                (socket, behaviour)
            })
            .collect();
        let wait = options.timeout.unwrap_or(limits::SERVE_WAIT);
        let connections = limits::connections(files::open_files());
        let bounds = Bounds { grace: options.grace, wait: Some(wait), connections, budget: options.budget };
        Ok(Self { sockets, ports, notices, bounds })
    }

    /// The sockets, in the order in which they were bound.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.sockets.iter().map(|(socket, _)| &socket.endpoint)
    }

    /// One port for each address that has one, in the order of the addresses.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Serves until stopped. The observer is told of every socket and every conversation.
    ///
    /// # Errors
    /// The loop itself failed: no descriptor for epoll, or a listener that broke.
    pub fn run(self, stop: Stop, mut observer: Box<dyn Observer>) -> Result<Summary, ServeError> {
        for notice in self.notices {
            observer.observe(Event::Notice(notice));
        }
        Loop::new(self.sockets, self.bounds, stop, observer).and_then(Loop::run).map_err(ServeError::Io)
    }
}

/// What is played over which carrier, or why it is not.
struct Roles {
    stream: Result<Behaviour, Refused>,
    datagram: Result<Behaviour, Refused>,
}

impl Roles {
    fn prepare(options: &Options) -> Result<Self, ServeError> {
        let fixed = match &options.role {
            Role::Echo => Some(Behaviour::Echo),
            Role::Discard => Some(Behaviour::Discard),
            Role::Greeting | Role::Transcript(_) => None,
        };
        if let Some(behaviour) = fixed {
            return Ok(Self { stream: Ok(behaviour.clone()), datagram: Ok(behaviour) });
        }
        let (over_stream, over_datagrams) = match &options.role {
            Role::Transcript(transcript) => ((**transcript).clone(), (**transcript).clone()),
            _ => {
                let parse = |name, text| Transcript::parse(name, text, &[]).map_err(ServeError::Refused);
                (parse("greeting.talk", GREETING)?, parse("greeting-udp.talk", GREETING_UDP)?)
            }
        };
        let script = |transcript: &Transcript, carrier| {
            let mut playing = Playing::new(Side::Server, carrier);
            playing.values.clone_from(&options.values);
            playing.longest_line = options.longest_line;
            playing.wait = Some(limits::SERVE_WAIT);
            playing.wait_override = options.timeout;
            Script::prepare(transcript, &playing).map(|script| Behaviour::Play(Arc::new(script)))
        };
        let stream = script(&over_stream, Carrier::Stream);
        let datagram = script(&over_datagrams, Carrier::Datagram);
        if let (Err(refused), Err(_)) = (&stream, &datagram) {
            return Err(ServeError::Refused(refused.clone()));
        }
        Ok(Self { stream, datagram })
    }

    /// The protocols to listen on: the one that the scheme names, else every one that the transcript allows.
    fn protocols(&self, address: &Address, notices: &mut Vec<String>) -> Result<Vec<Protocol>, ServeError> {
        let named = match address.scheme {
            Some(Scheme::Tcp) => Some(Protocol::Tcp),
            Some(Scheme::Udp) => Some(Protocol::Udp),
            Some(Scheme::Unix) => Some(Protocol::Unix),
            Some(other) => return Err(ServeError::Address(AddressError::not_yet(other))),
            None if address.is_unix() => Some(Protocol::Unix),
            None => None,
        };
        let refusal = |protocol| match protocol {
            Protocol::Udp => self.datagram.as_ref().err(),
            Protocol::Tcp | Protocol::Unix => self.stream.as_ref().err(),
        };
        if let Some(protocol) = named {
            return match refusal(protocol) {
                Some(refused) => Err(ServeError::Refused(refused.clone())),
                None => Ok(vec![protocol]),
            };
        }
        let mut protocols = Vec::new();
        for (protocol, name) in [(Protocol::Tcp, "TCP"), (Protocol::Udp, "UDP")] {
            match refusal(protocol) {
                None => protocols.push(protocol),
                Some(refused) => {
                    let why = refused.findings.first().map_or_else(String::new, |finding| {
                        format!("{}:{}: {}", refused.source.name(), finding.line, finding.message)
                    });
                    let notice = format!("not on {name}: {why}");
                    if !notices.contains(&notice) {
                        notices.push(notice);
                    }
                }
            }
        }
        Ok(protocols)
    }

    fn of(&self, protocol: Protocol) -> Behaviour {
        let behaviour = match protocol {
            Protocol::Udp => &self.datagram,
            Protocol::Tcp | Protocol::Unix => &self.stream,
        };
        // Only protocols that can be played are ever bound.
        behaviour.clone().unwrap_or(Behaviour::Discard)
    }
}
