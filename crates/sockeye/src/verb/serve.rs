//! `serve`: binds, listens, and plays the server's side for every client.
//!
//! ```
//! use std::io::Read;
//! use sockeye::address::Address;
//! use sockeye::stop;
//! use sockeye::verb::serve::{LoadedTranscript, Role, ServeOptions, Server};
//! use transcript::Transcript;
//!
//! let transcript = Transcript::parse("hi.talk", b"S: Welcome!\nS closes\n", &[])?;
//! let options = ServeOptions {
//!     addresses: vec![Address::parse("tcp://127.0.0.1:0")?],
//!     role: Role::Transcripts(vec![LoadedTranscript { transcript, files: None }]),
//!     plays: Some(1),
//!     ..ServeOptions::default()
//! };
//! let server = Server::bind(&options)?;
//! let port = server.ports()[0];
//! let (_stopper, stop) = stop::channel()?;
//! let serving = std::thread::spawn(move || server.run(stop, None, Box::new(|_| {})));
//!
//! let mut heard = String::new();
//! std::net::TcpStream::connect(("127.0.0.1", port))?.read_to_string(&mut heard)?;
//! assert_eq!(heard, "Welcome!\n");
//! let summary = serving.join().expect("it does not panic")?;
//! assert_eq!((summary.opened, summary.failed), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "http")]
mod files;

use std::fmt;
use std::io;
#[cfg(feature = "http")]
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use transcript::record::Secret;
use transcript::{Carrier, Files as Attachments, Fresh, PlayOptions, Refused, Script, Side, Transcript};

use crate::address::{self, Address, AddressError, Scheme};
use crate::child::Program;
use crate::engine::{Behaviour, Bounds, Exec, Listening, Loaded, Loop, Reload};
use crate::event::{Endpoint, Event, Observer, Protocol};
use crate::failure::Failure;
use crate::fresh::fresh;
use crate::gate::Gate;
use crate::limits;
use crate::net::Family;
use crate::net::listen::{self, Bound, ListenError, Request};
use crate::net::session::ServerLayers;
use crate::net::tls::{Identity, TlsError};
use crate::net::websocket::Messages;
use crate::stop::Stop;
use crate::sys::{files::open_files, memory};

#[cfg(feature = "http")]
pub use crate::engine::AccessLog;
pub use crate::engine::{Budget, Errors, Summary, Terminal};
pub use crate::folder::LoadedTranscript;
#[cfg(feature = "http")]
pub use files::{Files, Plain};

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
    /// Threads that serve connections, at most [`MOST_THREADS`]. Datagrams are served by the first.
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

/// Why a server does not start, or ends.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The transcript cannot be played as asked.
    Refused(Refused),
    /// A scheme that `serve` cannot do.
    Address(AddressError),
    /// As many addresses as transcripts are needed, or none.
    Count {
        /// Addresses that were given.
        addresses: usize,
        /// Transcripts that were given.
        transcripts: usize,
    },
    /// A socket cannot be bound.
    Listen(ListenError),
    /// The folder cannot be served.
    #[cfg(feature = "http")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Clients are to be sent from http:// to https://, and one of them is not served.
    #[cfg(feature = "http")]
    NoWayToHttps,
    /// There is no certificate to be had.
    Tls(TlsError),
    /// The loop itself failed.
    Io(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Address(error) => error.fmt(f),
            Self::Count { addresses, transcripts } => write!(
                f,
                "{transcripts} transcripts and {addresses} addresses: give each its address in the same order, or write \
                 `at` into the files and give none"
            ),
            Self::Listen(error) => error.fmt(f),
            #[cfg(feature = "http")]
            Self::Folder { path, error } => {
                write!(f, "cannot serve the folder {}: {}", path.display(), crate::net::words(error))
            }
            #[cfg(feature = "http")]
            Self::NoWayToHttps => f.write_str(
                "to send clients from http:// to https://, serve both: serve http://:80 https://:443 --files DIR \
                 --https-redirect",
            ),
            Self::Tls(error) => error.fmt(f),
            Self::Io(error) => write!(f, "cannot serve: {error}", error = crate::net::words(&error)),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Address(error) => Some(error),
            Self::Listen(error) => Some(error),
            Self::Tls(error) => Some(error),
            #[cfg(feature = "http")]
            Self::Folder { error, .. } => Some(error),
            #[cfg(feature = "http")]
            Self::NoWayToHttps => None,
            Self::Io(error) => Some(error),
            Self::Count { .. } => None,
        }
    }
}

/// A server whose sockets are bound.
#[derive(Debug)]
pub struct Server {
    sockets: Vec<Listening>,
    ports: Vec<u16>,
    notices: Vec<String>,
    bounds: Bounds,
    options: ServeOptions,
    /// Of each socket the address, by its number, and what carries its conversations.
    places: Vec<(usize, Carrier)>,
}

/// Most threads of one server.
pub const MOST_THREADS: usize = 64;

/// The port of the greeting.
pub const DEFAULT_PORT: u16 = 9999;

const GREETING: &[u8] = include_bytes!("../../transcripts/greeting.talk");
const GREETING_UDP: &[u8] = include_bytes!("../../transcripts/greeting-udp.talk");

impl Server {
    /// Makes the transcripts ready and binds every socket, or none.
    ///
    /// # Errors
    /// A transcript that cannot be played over a protocol that was asked for, an address that cannot be bound.
    pub fn bind(options: &ServeOptions) -> Result<Self, ServeError> {
        let mut notices = Vec::new();
        let mut requests = Vec::new();
        let mut roles = Vec::new();
        for (address, role) in assign(options)? {
            requests.push(Request { protocols: role.protocols(&address, &mut notices)?, address });
            roles.push(role);
        }
        let mut layers = Vec::new();
        for request in &requests {
            let made = ServerLayers::at(&request.address, &options.identity, None, messages(&options.role));
            layers.push(made.map_err(ServeError::Tls)?);
        }
        let Bound { sockets, ports, notices: more } =
            listen::bind(&requests, options.family).map_err(ServeError::Listen)?;
        notices.extend(more);
        let sockets = sockets
            .into_iter()
            .map(|mut socket| {
                socket.endpoint.over = roles[socket.request].over.map(Scheme::name);
                let address = &requests[socket.request].address;
                let behaviour = roles[socket.request].of(address.carrier(socket.endpoint.protocol));
                let layers = layers[socket.request].clone();
                if !layers.is_plain() {
                    socket.endpoint.over = address.scheme.map(Scheme::name);
                }
                Listening { socket, behaviour, layers }
            })
            .collect::<Vec<_>>();
        let is_single = sockets.iter().any(|listening| listening.socket.has_one_client());
        if is_single && sockets.len() > 1 {
            let endpoint = sockets.iter().find(|listening| listening.socket.has_one_client());
            let name = endpoint.map_or_else(String::new, |listening| listening.socket.endpoint.to_string());
            return Err(ServeError::Address(AddressError::not_alone(&name)));
        }
        let bounds = Bounds {
            grace: options.grace,
            linger: options.linger,
            wait: match options.role {
                // Somebody thinks, or a program works: only who asks for a limit has one.
                Role::Exec(_) => options.timeout,
                _ => Some(options.timeout.unwrap_or(limits::SERVE_WAIT)),
            },
            connections: match options.role {
                Role::Exec(_) => limits::connections(open_files()) / limits::FILES_OF_PROGRAM,
                _ => limits::connections(open_files()),
            },
            threads: options.threads.clamp(1, MOST_THREADS),
            memory: options.memory.unwrap_or_else(|| limits::memory(memory::available())),
            budget: options.budget,
            gate: options.gate.clone(),
            plays: if is_single { Some(1) } else { options.plays },
            wait_for_client: options.wait,
            strict: options.strict,
            to_the_end: options.early_close == EarlyClose::Refused,
            identity: options.identity.clone(),
        };
        #[cfg(feature = "http")]
        if let Role::Files(files) = &options.role {
            if files.plain == Plain::Redirected {
                files::lead_to_https(&sockets)?;
            }
            notices.extend(files.notices(&sockets));
        }
        if roles.iter().any(Roles::has_tls) || layers.iter().any(|layers| layers.fingerprint().is_some()) {
            notices.extend(fingerprint(&options.identity)?);
        }
        let places = sockets.iter().map(|Listening { socket, .. }| {
            let carrier = requests[socket.request].address.carrier(socket.endpoint.protocol);
            (socket.request, carrier)
        });
        let places = places.collect();
        Ok(Self { sockets, ports, notices, bounds, options: options.clone(), places })
    }

    /// The sockets, in the order in which they were bound.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.sockets.iter().map(|listening| &listening.socket.endpoint)
    }

    /// One port for each address that has one, in the order of the addresses.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Serves until stopped, or until the last of a number of plays has ended. The observer is told of every socket and
    /// every conversation.
    ///
    /// # Errors
    /// The loop itself failed: no descriptor for epoll, or a listener that broke.
    pub fn run(
        self,
        stop: Stop,
        reloading: Option<Reloading>,
        mut observer: Box<dyn Observer>,
    ) -> Result<Summary, ServeError> {
        for notice in self.notices {
            observer.observe(Event::Notice(notice));
        }
        let reload = reloading.map(|Reloading { asked, mut read }| {
            let (mut options, places) = (self.options, self.places);
            let load = Box::new(move || {
                options.role = Role::Transcripts(read().map_err(|error| error.to_string())?);
                behaviours(&options, &places)
            });
            Reload { asked, load }
        });
        let guest = self.sockets.iter().find_map(|listening| listening.socket.take_guest());
        let Some(guest) = guest else {
            return Loop::new(self.sockets, self.bounds, stop, reload, observer)
                .and_then(Loop::run)
                .map_err(ServeError::Io);
        };
        let observer = Arc::new(Mutex::new(observer));
        let tell = Arc::clone(&observer);
        let tell = move |event| tell.lock().unwrap_or_else(PoisonError::into_inner).observe(event);
        let grace = self.bounds.grace;
        let mut summary = Loop::new(self.sockets, self.bounds, stop, reload, Box::new(tell))
            .and_then(Loop::run)
            .map_err(ServeError::Io)?;
        let left = guest.finish(if summary.at_once { Duration::ZERO } else { grace });
        if let Some(failure) = Failure::of_left(&left) {
            summary.failed += 1;
            let event = Event::Failed { conversation: None, failure };
            observer.lock().unwrap_or_else(PoisonError::into_inner).observe(event);
        }
        Ok(summary)
    }
}

/// How clients know a certificate that was made for this run.
fn fingerprint(identity: &Identity) -> Result<Option<String>, ServeError> {
    if !identity.is_made() {
        return Ok(None);
    }
    let fingerprint = identity.fingerprint().map_err(ServeError::Tls)?;
    Ok(Some(format!("TLS with a certificate made for this run: --pin {fingerprint}")))
}

/// How messages are turned into what is played or done with them.
fn messages(role: &Role) -> Messages {
    match role {
        Role::Echo => Messages::Kept,
        Role::Exec(_) => Messages::WholeLines,
        _ => Messages::Lines,
    }
}

/// New behaviours for sockets that are bound already: each by its request and what carries it.
fn behaviours(options: &ServeOptions, places: &[(usize, Carrier)]) -> Result<Loaded, String> {
    let Role::Transcripts(transcripts) = &options.role else { return Err("there is no transcript".to_owned()) };
    let roles: Result<Vec<Roles>, ServeError> =
        transcripts.iter().map(|loaded| Roles::of_transcript(loaded, options)).collect();
    let roles = roles.map_err(|error| error.to_string())?;
    let mut behaviours = Vec::new();
    for &(request, carrier) in places {
        // One transcript may stand at several addresses.
        let Some(role) = roles.get(request).or(roles.first()) else { continue };
        if let Some(refused) = role.refusal(carrier) {
            let over = match carrier {
                Carrier::Stream => "a stream",
                Carrier::Datagram => "datagrams",
                Carrier::Packet => "packets",
                Carrier::Messages => "WebSocket",
            };
            return Err(format!("it cannot be played over {over}: {refused}"));
        }
        behaviours.push(role.of(carrier));
    }
    let names: Vec<&str> = transcripts.iter().map(|loaded| loaded.transcript.source().name()).collect();
    Ok((behaviours, format!("read again: {}", names.join(", "))))
}

/// Which role is played at which address.
fn assign(options: &ServeOptions) -> Result<Vec<(Address, Roles)>, ServeError> {
    let default = || Address::loopback(DEFAULT_PORT);
    let transcripts = match &options.role {
        Role::Transcripts(transcripts) => &transcripts[..],
        #[cfg(feature = "http")]
        Role::Files(files) => return files::assign(files, options),
        Role::Greeting | Role::Echo | Role::Discard | Role::Exec(_) => &[],
    };
    if transcripts.len() > 1 && !options.addresses.is_empty() && options.addresses.len() != transcripts.len() {
        return Err(ServeError::Count { addresses: options.addresses.len(), transcripts: transcripts.len() });
    }
    let mut assigned = Vec::new();
    for (index, loaded) in transcripts.iter().enumerate() {
        let role = Roles::of_transcript(loaded, options)?;
        if transcripts.len() == 1 && !options.addresses.is_empty() {
            assigned.extend(options.addresses.iter().map(|address| (address.clone(), role.clone())));
            break;
        }
        let address = match options.addresses.get(index) {
            Some(address) => address.clone(),
            None => address::named_by(&loaded.transcript).map_err(ServeError::Refused)?.unwrap_or_else(default),
        };
        assigned.push((address, role));
    }
    if transcripts.is_empty() {
        let role = Roles::without_file(options)?;
        let addresses = if options.addresses.is_empty() { vec![default()] } else { options.addresses.clone() };
        assigned.extend(addresses.into_iter().map(|address| (address, role.clone())));
    }
    Ok(assigned)
}

/// What is played over which carrier, or why it is not.
#[derive(Debug, Clone)]
struct Roles {
    stream: Result<Behaviour, Refused>,
    datagram: Result<Behaviour, Refused>,
    packet: Result<Behaviour, Refused>,
    /// Over WebSocket, where an address asks for it.
    messages: Option<Result<Behaviour, Refused>>,
    /// What is spoken over streams, where that has a scheme of its own.
    over: Option<Scheme>,
}

impl Roles {
    /// A role that needs no file.
    fn without_file(options: &ServeOptions) -> Result<Self, ServeError> {
        let fixed = |behaviour: Behaviour| Self {
            stream: Ok(behaviour.clone()),
            datagram: Ok(behaviour.clone()),
            packet: Ok(behaviour),
            messages: None,
            over: None,
        };
        match &options.role {
            Role::Echo => Ok(fixed(Behaviour::Echo)),
            Role::Discard => Ok(fixed(Behaviour::Discard)),
            Role::Exec(running) => {
                let Running { program, terminal, errors, most } = &**running;
                Ok(fixed(Behaviour::Exec(Arc::new(Exec::new(program.clone(), *terminal, *errors, *most)))))
            }
            _ => {
                let parse = |name, text| Transcript::parse(name, text, &[]).map_err(ServeError::Refused);
                let (stream, datagram) = (parse("greeting.talk", GREETING)?, parse("greeting-udp.talk", GREETING_UDP)?);
                Self::prepare(&stream, &datagram, None, options)
            }
        }
    }

    fn of_transcript(loaded: &LoadedTranscript, options: &ServeOptions) -> Result<Self, ServeError> {
        Self::prepare(&loaded.transcript, &loaded.transcript, loaded.files.as_ref(), options)
    }

    /// A transcript over streams, and one, mostly the same, over datagrams.
    fn prepare(
        stream: &Transcript,
        datagram: &Transcript,
        files: Option<&Arc<dyn Attachments>>,
        options: &ServeOptions,
    ) -> Result<Self, ServeError> {
        let script = |transcript: &Transcript, carrier| {
            let mut playing = PlayOptions::new(Side::Server, carrier);
            playing.values.clone_from(&options.values);
            playing.secrets.clone_from(&options.secrets);
            playing.fresh = options.fresh;
            playing.longest_line = options.longest_line;
            playing.wait = Some(limits::SERVE_WAIT);
            playing.wait_override = options.timeout;
            playing.may_leave = options.early_close == EarlyClose::Allowed;
            playing.files = files.cloned();
            Script::prepare(transcript, &playing).map(|script| Behaviour::Play(Arc::new(script)))
        };
        let transcript = stream;
        let packet = script(transcript, Carrier::Packet);
        let stream = script(transcript, Carrier::Stream);
        let datagram = script(datagram, Carrier::Datagram);
        let is_websocket = options.addresses.iter().any(Address::is_websocket)
            || matches!(address::named_by(transcript), Ok(Some(address)) if address.is_websocket());
        let messages = is_websocket.then(|| script(transcript, Carrier::Messages));
        if let (Err(refused), Err(_), None | Some(Err(_))) = (&stream, &datagram, &messages) {
            return Err(ServeError::Refused(refused.clone()));
        }
        Ok(Self { stream, datagram, packet, messages, over: None })
    }

    fn has_tls(&self) -> bool {
        match &self.stream {
            Ok(Behaviour::Play(script)) => script.has_tls(),
            Ok(Behaviour::Site(website)) => website.is_secure(),
            _ => false,
        }
    }

    fn runs_programs(&self) -> bool {
        matches!(self.stream, Ok(Behaviour::Exec(_)))
    }

    /// What is played over a carrier.
    fn carried(&self, carrier: Carrier) -> &Result<Behaviour, Refused> {
        match (carrier, &self.messages) {
            (Carrier::Datagram, _) => &self.datagram,
            (Carrier::Packet, _) => &self.packet,
            (Carrier::Messages, Some(messages)) => messages,
            (Carrier::Stream | Carrier::Messages, _) => &self.stream,
        }
    }

    /// Why it cannot be played over one.
    fn refusal(&self, carrier: Carrier) -> Option<&Refused> {
        self.carried(carrier).as_ref().err()
    }

    /// The protocols to listen on: the one that the scheme names, else every one that the transcript allows.
    fn protocols(&self, address: &Address, notices: &mut Vec<String>) -> Result<Vec<Protocol>, ServeError> {
        let named = match address.scheme {
            Some(scheme @ (Scheme::Tls | Scheme::Ws | Scheme::Wss)) if self.has_tls() => {
                let help = "the transcript begins TLS itself, with `starttls`: write tcp://";
                return Err(ServeError::Address(AddressError::not_here(scheme, help)));
            }
            // Datagrams have no beginning that a header could stand before.
            None if address.options.accept_proxy => Some(Protocol::Tcp),
            Some(scheme @ (Scheme::Ws | Scheme::Wss)) if self.over.is_some() => {
                let help = "files are served over http:// or https://";
                return Err(ServeError::Address(AddressError::not_here(scheme, help)));
            }
            Some(Scheme::Ws | Scheme::Wss) if cfg!(feature = "http") => Some(Protocol::Tcp),
            Some(Scheme::Tls) => Some(Protocol::Tcp),
            _ if address.is_local() => Some(listen::protocol_of_local(address)),
            Some(scheme @ (Scheme::UnixDgram | Scheme::UnixSeqpacket)) if self.over.is_some() => {
                let help = "files are served over streams: write unix:PATH";
                return Err(ServeError::Address(AddressError::not_here(scheme, help)));
            }
            Some(Scheme::UnixDgram) => Some(Protocol::UnixDgram),
            Some(Scheme::UnixSeqpacket) => Some(Protocol::UnixSeqpacket),
            _ if address.is_unix() => Some(Protocol::Unix),
            _ if self.over.is_some() => Some(Protocol::Tcp),
            Some(scheme @ (Scheme::Http | Scheme::Https)) => {
                return Err(ServeError::Address(AddressError::without_files(scheme)));
            }
            Some(Scheme::Tcp) => Some(Protocol::Tcp),
            None if self.runs_programs() => Some(Protocol::Tcp),
            Some(Scheme::Udp) => Some(Protocol::Udp),
            Some(Scheme::Unix) => Some(Protocol::Unix),
            Some(other) => return Err(ServeError::Address(AddressError::not_yet(other))),
            None => None,
        };
        if let Some(protocol) = named {
            return match self.refusal(address.carrier(protocol)) {
                Some(refused) => Err(ServeError::Refused(refused.clone())),
                None => Ok(vec![protocol]),
            };
        }
        let mut protocols = Vec::new();
        for (protocol, name) in [(Protocol::Tcp, "TCP"), (Protocol::Udp, "UDP")] {
            match self.refusal(address.carrier(protocol)) {
                None => protocols.push(protocol),
                Some(refused) => {
                    let why = refused.findings.first().map_or_else(String::new, |finding| {
                        let (name, line) = refused.source.locate(finding.line);
                        format!("{name}:{line}: {}", finding.message)
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

    fn of(&self, carrier: Carrier) -> Behaviour {
        // Only what can be played is ever bound.
        self.carried(carrier).clone().unwrap_or(Behaviour::Discard)
    }
}
