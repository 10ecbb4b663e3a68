//! `relay`: joins every client of one address to a connection to another, and passes on what either says.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{Shutdown, TcpListener, TcpStream};
//! use sockeye::address::Address;
//! use sockeye::stop;
//! use sockeye::verb::relay::{Relay, RelayOptions};
//!
//! let server = TcpListener::bind("127.0.0.1:0")?;
//! let to = Address::parse(&server.local_addr()?.to_string())?;
//! let options = RelayOptions { plays: Some(1), ..RelayOptions::new(Address::parse("tcp://127.0.0.1:0")?, vec![to]) };
//! let relay = Relay::bind(&options)?;
//! let port = relay.ports()[0];
//! let (_stopper, stop) = stop::channel()?;
//! let relaying = std::thread::spawn(move || relay.run(stop, Box::new(|_| {})));
//!
//! let mut client = TcpStream::connect(("127.0.0.1", port))?;
//! client.write_all(b"hello")?;
//! client.shutdown(Shutdown::Write)?;
//! let (mut accepted, _) = server.accept()?;
//! let mut heard = String::new();
//! accepted.read_to_string(&mut heard)?;
//! assert_eq!(heard, "hello");
//! drop(accepted);
//! let summary = relaying.join().expect("it does not panic")?;
//! assert_eq!((summary.opened, summary.lost), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "http")]
mod control;
mod lookup;

use std::fmt;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::address::{self, Address, AddressError, Framing, Scheme};
use crate::endpoint::{Endpoint, Name, Protocol};
use crate::engine::relay::{self, Bell, Capture, Live, Named, RelayListener, Target, TargetAddress, Targets};
use crate::event::{Event, Observer, SharedObserver};
use crate::faults::BadNetwork;
use crate::gate::Gate;
use crate::limits;
use crate::net::Family;
use crate::net::connect::{ConnectError, ConnectOptions, is_looked_up, look_up_all};
use crate::net::listen::{self, Bound, ListenError, Request};
use crate::net::local::LocalEnd;
use crate::net::session::{ClientLayers, ServerLayers};
use crate::net::tls::{Identity, Secrets, TlsClient, TlsError};
use crate::net::websocket::{Messages, WsClient};
use crate::stop::Stop;
use crate::sys::files::open_files;
use crate::sys::memory;
use lookup::{Lookups, NamedServer};

pub use crate::engine::relay::{Balance, Listen, PairFailure, Summary, TapOptions};
pub use crate::net::local::LocalError;
pub use crate::wire::preface::ProxyVersion;
#[cfg(feature = "http")]
pub use control::Control;

/// Most threads of one relay.
const MOST_THREADS: usize = limits::THREADS;

/// Where packets are written.
#[derive(Debug, Clone)]
pub enum CaptureFile {
    /// A file that is made; what it held is gone.
    Path(PathBuf),
    /// What is open already, as standard output is.
    Open(Arc<File>),
}

/// How to relay.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// Where to listen.
    pub from: Address,
    /// Where it leads: one server or several.
    pub to: Vec<Address>,
    /// How the next of several is chosen.
    pub balance: Balance,
    /// Only this address family.
    pub family: Option<Family>,
    /// Connections in all; then the relay ends.
    pub plays: Option<u64>,
    /// How long connections get when the relay is stopped.
    pub grace: Duration,
    /// How long connecting to a server may take.
    pub connect_timeout: Duration,
    /// How often the names of servers are looked up again; `None`: only when no server answers where they led.
    pub resolve_every: Option<Duration>,
    /// How long a connection may be silent; `None` is without end, and over datagrams a minute.
    pub idle: Option<Duration>,
    /// Threads that relay, at most 64.
    pub threads: usize,
    /// Who hears what is said.
    pub hearers: TapOptions,
    /// Where what passes the sockets is written as packets, with the secrets of TLS in it.
    pub capture: Option<CaptureFile>,
    /// Who may come in, and how many.
    pub gate: Gate,
    /// What the network between the two does.
    pub network: BadNetwork,
    /// A header of the PROXY protocol tells each server which client its connection is for.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Who the relay is to clients over TLS, where the address names no certificate.
    pub identity: Identity,
}

impl RelayOptions {
    /// From one address to others, with the default bounds.
    #[must_use]
    pub fn new(from: Address, to: Vec<Address>) -> Self {
        Self {
            from,
            to,
            balance: Balance::default(),
            family: None,
            plays: None,
            grace: limits::GRACE,
            connect_timeout: limits::CONNECT_WAIT,
            resolve_every: Some(limits::LOOK_UP_AGAIN),
            idle: None,
            threads: 1,
            hearers: TapOptions::default(),
            capture: None,
            gate: Gate::default(),
            network: BadNetwork::default(),
            proxy_protocol: None,
            identity: Identity::throw_away(),
        }
    }
}

/// Why a relay does not start, or ends.
#[derive(Debug)]
#[non_exhaustive]
pub enum RelayError {
    /// A scheme that cannot be relayed.
    Address(AddressError),
    /// There is no server to lead to.
    NoServer,
    /// It would lead to itself.
    Itself {
        /// Where it listens.
        endpoint: Endpoint,
        /// Where it would lead.
        to: Address,
    },
    /// A program or a descriptor is of no use.
    Local {
        /// As it was typed.
        address: Address,
        /// Why.
        error: LocalError,
    },
    /// A socket cannot be bound.
    Listen(ListenError),
    /// A server's name leads nowhere.
    Connect(ConnectError),
    /// A certificate is of no use.
    Tls(TlsError),
    /// The file of packets cannot be begun.
    Capture {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The loop itself failed.
    Io(io::Error),
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::NoServer => f.write_str("there is no server to relay to: write relay FROM TO"),
            Self::Itself { endpoint, to } => {
                write!(f, "{endpoint} would relay to itself: {to} is where it listens; name another server")
            }
            Self::Local { address, error } => write!(f, "{address}: {error}"),
            Self::Listen(error) => error.fmt(f),
            Self::Connect(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Capture { path, error } => {
                write!(f, "cannot write {}: {}", path.display(), crate::net::words(error))
            }
            Self::Io(error) => write!(f, "cannot relay: {}", crate::net::words(error)),
        }
    }
}

impl std::error::Error for RelayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(error) => Some(error),
            Self::Listen(error) => Some(error),
            Self::Connect(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Io(error) | Self::Capture { error, .. } => Some(error),
            Self::Local { error: LocalError::Program(error), .. } => Some(error),
            Self::Local { error: LocalError::Descriptor(error), .. } => Some(error),
            Self::NoServer | Self::Itself { .. } => None,
        }
    }
}

/// What a relay has from the caller that runs several of them, and changes them while they run.
#[derive(Debug, Default)]
struct Steering {
    live: Option<Arc<Live>>,
    numbers: Option<Arc<AtomicU64>>,
    capture: Option<Arc<Capture>>,
    /// What a name that leads nowhere yet is: looked up until it does.
    unknown_names: UnknownNames,
}

/// What a server's name is that leads nowhere when the relay begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum UnknownNames {
    #[default]
    Refused,
    /// It may lead somewhere later.
    Awaited,
}

/// A relay whose sockets are bound.
#[derive(Debug)]
pub struct Relay {
    listeners: Vec<RelayListener>,
    ports: Vec<u16>,
    notices: Vec<String>,
    targets: Targets,
    options: relay::RelaySettings,
    is_single: bool,
    /// How names of servers are looked up again, and how often.
    resolving: (ConnectOptions, Option<Duration>),
}

impl Relay {
    /// Finds the servers and binds every socket, or none.
    ///
    /// # Errors
    /// A scheme that cannot be relayed, a name that leads nowhere, an address that cannot be bound.
    pub fn bind(options: &RelayOptions) -> Result<Self, RelayError> {
        let capture = options.capture.as_ref().map(capture).transpose()?;
        Self::bind_steered(options, Steering { capture, ..Steering::default() })
    }

    fn bind_steered(options: &RelayOptions, steering: Steering) -> Result<Self, RelayError> {
        let Steering { capture, .. } = &steering;
        if options.to.is_empty() {
            return Err(RelayError::NoServer);
        }
        let protocol = protocol(&options.from)?;
        let framing = framing(options)?;
        let bounds = if framing.is_some() { Messages::Bounded } else { Messages::Kept };
        let secrets = || capture.clone().map(|capture| capture as Arc<dyn Secrets>);
        let is_standard = |address: &&Address| address.target == address::Target::Standard;
        if [&options.from].into_iter().chain(&options.to).filter(is_standard).count() > 1 {
            return Err(RelayError::Address(AddressError::both_standard()));
        }
        let mut notices = Vec::new();
        let targets = targets(options, bounds, &secrets, steering.unknown_names, &mut notices)?;
        let mut address = options.from.clone();
        address.options.frame = None;
        let request = Request { address, protocols: vec![protocol] };
        let Bound { mut sockets, ports, notices: more } =
            listen::bind(&[request], options.family).map_err(RelayError::Listen)?;
        notices.extend(more);
        let layers = ServerLayers::at(&options.from, &options.identity, secrets(), bounds).map_err(RelayError::Tls)?;
        if let Some(fingerprint) = layers.fingerprint() {
            notices.push(format!("TLS with a certificate made for this run: --pin {fingerprint}"));
        }
        let idle = options.idle.unwrap_or(limits::FLOW_IDLE);
        if framing.is_some() && protocol.has_no_end() {
            for socket in sockets.iter_mut().filter(|socket| !socket.has_one_client()) {
                socket.split_by_peer(idle).map_err(RelayError::Listen)?;
            }
        }
        let mut is_single = targets.iter().any(|target| target.local().is_some_and(LocalEnd::is_single));
        let mut listeners = Vec::new();
        for mut socket in sockets {
            is_single |= socket.has_one_client();
            socket.endpoint.over = options.from.scheme.filter(|scheme| scheme.has_handshake()).map(Scheme::name);
            if let Some(target) = targets.iter().find(|target| leads_to(target, &socket.endpoint)) {
                let to = target.address.clone();
                return Err(RelayError::Itself { endpoint: socket.endpoint.clone(), to });
            }
            listeners.push(RelayListener { socket, layers: layers.clone() });
        }
        let has_programs = targets.iter().any(|target| target.local().is_some());
        Ok(Self {
            listeners,
            ports,
            notices,
            targets: Targets::new(targets, options.balance),
            options: settings(options, steering, (protocol, framing), has_programs, is_single),
            is_single,
            resolving: (resolving(options), options.resolve_every),
        })
    }

    /// The sockets, in the order in which they were bound.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.listeners.iter().map(|listener| &listener.socket.endpoint)
    }

    /// The port that it listens on, if it has one.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Whether there is one conversation and no other, since an end has no second one: then the exit code is about it.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.is_single
    }

    /// Relays until stopped, or until the last of a number of connections has ended.
    ///
    /// # Errors
    /// The loop itself failed: no descriptor for epoll, or a listener that broke.
    pub fn run(self, stop: Stop, mut observer: Box<dyn Observer>) -> Result<Summary, RelayError> {
        for notice in self.notices {
            observer.observe(Event::Notice(notice));
        }
        let named = |target: &Target| match &target.place {
            TargetAddress::Named(named) => {
                let (address, protocol, named) = (target.address.clone(), target.protocol, Arc::clone(named));
                Some(NamedServer { address, protocol, named })
            }
            _ => None,
        };
        let servers: Vec<NamedServer> = self.targets.all.iter().filter_map(named).collect();
        let Some(bell) = servers.first().map(|server| server.named.bell()) else {
            return relay::run(self.listeners, self.targets, self.options, stop, observer).map_err(RelayError::Io);
        };
        let observer = SharedObserver::new(observer);
        let mut notices = observer.clone();
        let (resolving, every) = self.resolving;
        let following = Lookups {
            servers,
            own: self.listeners.iter().map(|listener| listener.socket.endpoint.clone()).collect(),
            every,
            resolve: Box::new(move |address| look_up_all(address, &resolving)),
            tell: Box::new(move |words| notices.observe(Event::Notice(words))),
            bell,
        }
        .begin()
        .map_err(RelayError::Io)?;
        let ran = relay::run(self.listeners, self.targets, self.options, stop, Box::new(observer));
        drop(following);
        ran.map_err(RelayError::Io)
    }
}

/// What carries an address.
fn protocol(address: &Address) -> Result<Protocol, RelayError> {
    listen::protocol_of(address).map_err(RelayError::Address)
}

/// How streams hold messages, where an end is no stream; none where bytes are relayed, or datagrams over IP alone.
fn framing(options: &RelayOptions) -> Result<Option<Framing>, RelayError> {
    let all: Vec<&Address> = [&options.from].into_iter().chain(&options.to).collect();
    let protocols = all.iter().map(|address| protocol(address)).collect::<Result<Vec<_>, _>>()?;
    let has_messages = protocols.iter().any(|protocol| protocol.keeps_bounds());
    let has_stream = all.iter().zip(&protocols).any(|(address, protocol)| {
        !protocol.keeps_bounds() && !matches!(address.scheme, Some(Scheme::Ws | Scheme::Wss))
    });
    let mut framing = None;
    for address in all {
        let Some(frame) = address.options.frame else { continue };
        let refuse = |help| Err(RelayError::Address(AddressError::no_framing_here(address, help)));
        if !has_messages || !has_stream {
            return refuse("it says how a stream holds messages, where one end is a stream and the other datagrams");
        }
        if framing.replace(frame).is_some_and(|other| other != frame) {
            return refuse("another address has it with another value: say it once");
        }
    }
    // A socket with one peer is no socket that many send to, and one that we were given is none of which each client has its own.
    let is_udp = protocols.iter().all(|protocol| *protocol == Protocol::Udp)
        && !listen::has_one_client(&options.from)
        && !options.to.iter().any(Address::is_local);
    Ok((has_messages && !is_udp).then(|| framing.unwrap_or_default()))
}

/// The servers, in their order.
fn targets(
    options: &RelayOptions,
    bounds: Messages,
    secrets: &dyn Fn() -> Option<Arc<dyn Secrets>>,
    unknown: UnknownNames,
    notices: &mut Vec<String>,
) -> Result<Vec<Target>, RelayError> {
    let (mut targets, bell) = (Vec::new(), Arc::default());
    for to in &options.to {
        let target = target(to, bounds, options, secrets(), (unknown, &bell))?;
        notices.extend(target.local().and_then(LocalEnd::notice));
        targets.push(target);
        if to.options.tls.insecure {
            notices.push(format!("INSECURE: whoever answers at {to} is believed (insecure)"));
        }
    }
    Ok(targets)
}

/// What the loops of a relay are told.
fn settings(
    options: &RelayOptions,
    steering: Steering,
    (protocol, framing): (Protocol, Option<Framing>),
    has_programs: bool,
    is_single: bool,
) -> relay::RelaySettings {
    // Datagrams are relayed by one, and so is what changes on the way.
    let threads = match (protocol, &steering.live) {
        (Protocol::Udp, _) if framing.is_none() => 1,
        (_, Some(_)) => 1,
        _ => options.threads.clamp(1, MOST_THREADS),
    };
    relay::RelaySettings {
        threads,
        memory: usize::try_from(limits::memory(memory::available())).unwrap_or(usize::MAX) / threads,
        // The end that has one conversation had it then.
        plays: if is_single { Some(1) } else { options.plays },
        grace: options.grace,
        connect_timeout: options.connect_timeout,
        idle: options.idle,
        datagram_idle: options.idle.unwrap_or(limits::FLOW_IDLE),
        messages: framing,
        hearers: options.hearers.clone(),
        capture: steering.capture,
        live: steering.live,
        numbers: steering.numbers,
        // Each takes a socket on either side, and a program more.
        pairs: match has_programs {
            true => (limits::connections(open_files()) / 4).clamp(1, limits::PROGRAMS),
            false => (limits::connections(open_files()) / 2).max(1),
        },
        gate: options.gate.clone(),
        network: options.network,
    }
}

fn target(
    address: &Address,
    bounds: Messages,
    options: &RelayOptions,
    secrets: Option<Arc<dyn Secrets>>,
    (unknown, bell): (UnknownNames, &Arc<Bell>),
) -> Result<Target, RelayError> {
    if address.options.accept_proxy {
        let help = "it is for FROM, where clients come in; --proxy-protocol is for TO";
        return Err(RelayError::Address(AddressError::no_proxy_here(address, help)));
    }
    let protocol = protocol(address)?;
    let tls = match address.scheme {
        Some(Scheme::Tls | Scheme::Wss) => {
            Some(TlsClient::new(&address.options.tls, &address.tls_host(), secrets).map_err(RelayError::Tls)?)
        }
        _ => None,
    };
    let websocket = WsClient::at(address, bounds);
    let local = LocalEnd::of_address(address)
        .and_then(|end| match end {
            Some(end) if end.is_listening() => {
                let error = io::Error::other("it is no connection: it listens, or takes datagrams, and stands as FROM");
                Err(LocalError::Descriptor(error))
            }
            end => Ok(end),
        })
        .map_err(|error| RelayError::Local { address: address.clone(), error })?;
    let place = match (local, &address.target) {
        (Some(end), _) => TargetAddress::Local(Arc::new(end)),
        (None, address::Target::Unix(path)) => TargetAddress::Path(path.clone()),
        (None, _) => match (look_up_all(address, &resolving(options)), unknown) {
            (Ok(addresses), _) if is_looked_up(address) => TargetAddress::Named(Arc::new(Named::new(addresses, bell))),
            (Ok(addresses), _) => TargetAddress::Inet(addresses.into()),
            (Err(ConnectError::NotFound { .. } | ConnectError::TimedOut { .. }), UnknownNames::Awaited) => {
                TargetAddress::Named(Arc::new(Named::new(vec![], bell)))
            }
            (Err(error), _) => return Err(RelayError::Connect(error)),
        },
    };
    Ok(Target::new(address.clone(), protocol, place, ClientLayers { proxy: options.proxy_protocol, tls, websocket }))
}

/// How names of servers are looked up.
fn resolving(options: &RelayOptions) -> ConnectOptions {
    let (family, timeout) = (options.family, options.connect_timeout);
    ConnectOptions { family, timeout, ..ConnectOptions::default() }
}

fn capture(file: &CaptureFile) -> Result<Arc<Capture>, RelayError> {
    let (begun, path) = match file {
        CaptureFile::Path(path) => (Capture::create(path), path.clone()),
        CaptureFile::Open(file) => (file.try_clone().and_then(Capture::over), "the open file".into()),
    };
    begun.map(Arc::new).map_err(|error| RelayError::Capture { path, error })
}

/// Whether a server is the relay itself.
fn leads_to(target: &Target, endpoint: &Endpoint) -> bool {
    if target.protocol != endpoint.protocol {
        return false;
    }
    match (&target.place, &endpoint.name) {
        (TargetAddress::Path(path), Name::Path(own)) => {
            let same = |a: &std::path::Path, b: &std::path::Path| {
                a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
            };
            same(path, own)
        }
        (TargetAddress::Inet(addresses), _) => lead_to(addresses, endpoint),
        (TargetAddress::Named(named), _) => lead_to(&named.addresses(), endpoint),
        _ => false,
    }
}

/// Whether one of these addresses is a socket of ours.
fn lead_to(addresses: &[SocketAddr], own: &Endpoint) -> bool {
    matches!(&own.name, Name::Inet(own) if addresses.iter().any(|address| is_own(*address, *own)))
}

/// Whether a connection to an address arrives at a socket of ours.
fn is_own(address: SocketAddr, own: SocketAddr) -> bool {
    if address.port() != own.port() || address.is_ipv4() != own.is_ipv4() {
        return false;
    }
    // To connect to every address is to connect to the loopback (ip(7)).
    let ip = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => IpAddr::from([127, 0, 0, 1]),
        ip if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    // What can be bound is an address of this machine.
    ip == own.ip() || own.ip().is_unspecified() && UdpSocket::bind((ip, 0)).is_ok()
}
