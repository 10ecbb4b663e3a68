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

mod assign;
mod error;
#[cfg(feature = "http")]
mod files;
mod options;
mod roles;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use transcript::Carrier;

use crate::address::{AddressError, Scheme};
use crate::engine::{Bounds, Listening, Loop, Reload, ReloadError};
use crate::event::{Endpoint, Event, Observer};
use crate::failure::Failure;
use crate::limits;
use crate::net::listen::{self, Bound, Request, Socket};
use crate::net::session::ServerLayers;
use crate::net::tls::Identity;
use crate::net::websocket::Messages;
use crate::stop::Stop;
use crate::sys::{files::open_files, memory};
use assign::{assign, behaviours};
use roles::Roles;

#[cfg(feature = "http")]
pub use crate::engine::AccessLog;
pub use crate::engine::{Budget, Errors, Summary, Terminal};
pub use crate::folder::LoadedTranscript;
pub use error::ServeError;
pub use options::{DEFAULT_PORT, EarlyClose, Read, Reloading, Role, Running, ServeOptions};
#[cfg(feature = "http")]
pub use options::{Files, Plain};

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
pub const MOST_THREADS: usize = crate::limits::THREADS;

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
        let carrier = |socket: &Socket| requests[socket.request].address.carrier(socket.endpoint.protocol);
        let places = sockets.iter().map(|socket| (socket.request, carrier(socket))).collect();
        let sockets = sockets
            .into_iter()
            .map(|socket| {
                let (role, layers) = (&roles[socket.request], &layers[socket.request]);
                listening(socket, &requests, role, layers)
            })
            .collect::<Vec<_>>();
        let has_one_client = has_one_client(&sockets)?;
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
        let bounds = bounds(options, has_one_client);
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
                options.role = Role::Transcripts(read().map_err(ReloadError::Read)?);
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

/// A socket, what is done with its clients, and what they are spoken to through.
fn listening(mut socket: Socket, requests: &[Request], role: &Roles, layers: &ServerLayers) -> Listening {
    let address = &requests[socket.request].address;
    socket.endpoint.over = role.over.map(Scheme::name);
    if !layers.is_plain() {
        socket.endpoint.over = address.scheme.map(Scheme::name);
    }
    let behaviour = role.of(address.carrier(socket.endpoint.protocol));
    Listening { socket, behaviour, layers: layers.clone() }
}

/// Whether there is one client and never another, such as standard input: such a socket stands alone.
fn has_one_client(sockets: &[Listening]) -> Result<bool, ServeError> {
    let single = sockets.iter().find(|listening| listening.socket.has_one_client());
    match single {
        Some(listening) if sockets.len() > 1 => {
            Err(ServeError::Address(AddressError::not_alone(&listening.socket.endpoint.to_string())))
        }
        single => Ok(single.is_some()),
    }
}

/// Within which the engine serves.
fn bounds(options: &ServeOptions, has_one_client: bool) -> Bounds {
    let runs_programs = matches!(options.role, Role::Exec(_));
    let connections = limits::connections(open_files());
    Bounds {
        grace: options.grace,
        linger: options.linger,
        // A person thinks, or a program works: there is a limit only if one is asked for.
        wait: options.timeout.or((!runs_programs).then_some(limits::SERVE_WAIT)),
        connections: if runs_programs { connections / limits::FILES_OF_PROGRAM } else { connections },
        threads: options.threads.clamp(1, MOST_THREADS),
        memory: options.memory.unwrap_or_else(|| limits::memory(memory::available())),
        budget: options.budget,
        gate: options.gate.clone(),
        plays: if has_one_client { Some(1) } else { options.plays },
        wait_for_client: options.wait,
        strict: options.strict,
        to_the_end: options.early_close == EarlyClose::Refused,
        identity: options.identity.clone(),
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
