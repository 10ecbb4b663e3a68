//! The control API of a relay: proxies and their toxics over HTTP, as toxiproxy has them, so that its clients can be used.
//! One thread serves it; each proxy has its own.

mod api;
mod client;
mod proxies;
mod refusal;
mod toxic;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::{RelayError, RelayOptions, Summary, capture};
use crate::address::{Address, AddressError, Scheme};
use crate::endpoint::{Name, Protocol};
use crate::event::{Event, Observer};
use crate::limits;
use crate::net::listen::{self, Bound, Request, Socket};
use crate::net::timespec;
use crate::stop::{self, Stop};
use client::Client;
use proxies::{Proxies, Ready};

/// The name of the relay that was asked for on the command line.
const FIRST: &str = "relay";

/// A control API that is bound, and perhaps a relay that is one of its proxies.
pub struct Control {
    sockets: Vec<Socket>,
    ports: Vec<u16>,
    is_local: bool,
    options: RelayOptions,
    first: Option<Ready>,
    numbers: Arc<AtomicU64>,
    capture: Option<Arc<super::Capture>>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Control {
    /// Binds it. Where the options lead somewhere, that relay is the first proxy; what else they say holds for all of them.
    ///
    /// # Errors
    /// An address that cannot be bound, or a relay that cannot be.
    pub fn bind(address: &Address, options: &RelayOptions) -> Result<Self, RelayError> {
        if let Some(other) = address.scheme.filter(|scheme| !matches!(scheme, Scheme::Tcp | Scheme::Http)) {
            return Err(RelayError::Address(AddressError::not_yet(other)));
        }
        let numbers = Arc::default();
        let capture = options.capture.as_ref().map(capture).transpose()?;
        let first = match options.to.is_empty() {
            true => None,
            false => Some(Ready::bind(options, vec![], &numbers, capture.as_ref())?),
        };
        let request = Request { address: address.clone(), protocols: vec![Protocol::Tcp] };
        let Bound { sockets, ports, .. } = listen::bind(&[request], options.family).map_err(RelayError::Listen)?;
        let is_local = sockets.iter().all(|socket| match &socket.endpoint.name {
            Name::Inet(address) => address.ip().to_canonical().is_loopback(),
            Name::Path(_) | Name::Unnamed | Name::Local(_) => true,
        });
        let ports = first.iter().flat_map(|first| first.ports()).chain(&ports).copied().collect();
        Ok(Self { sockets, ports, is_local, options: options.clone(), first, numbers, capture })
    }

    /// The ports: that of the relay, if there is one with a port, and that of the API.
    #[must_use]
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Serves until stopped; then every proxy ends as a relay does. Each tells its own observer.
    ///
    /// # Errors
    /// The loop itself failed.
    pub fn run(self, stop: Stop, observers: Box<dyn Fn() -> Box<dyn Observer> + Send>) -> Result<Summary, RelayError> {
        let Self { sockets, is_local, options, first, numbers, capture, .. } = self;
        let mut observer = observers();
        for socket in &sockets {
            let name = &socket.endpoint.name;
            observer.observe(Event::Notice(format!("control API on http://{name}")));
            if !is_local {
                let why = format!("whoever reaches http://{name} can open ports here and lead them anywhere");
                observer.observe(Event::Notice(why));
            }
        }
        let (ender, ended) = stop::channel().map_err(RelayError::Io)?;
        let mut proxies = Proxies::new(options.clone(), capture, numbers, observers, ender);
        if let Some(first) = first {
            proxies.adopt(FIRST, &options, first)?;
        }
        let serving =
            Serving { sockets, is_local, clients: vec![], proxies, rests_until: None, stop: Some(stop), ended };
        serving.run()
    }
}

struct Serving {
    sockets: Vec<Socket>,
    is_local: bool,
    clients: Vec<Client>,
    proxies: Proxies,
    /// Until when no client is accepted, because this machine is out of something.
    rests_until: Option<Instant>,
    /// None once every stopper was dropped.
    stop: Option<Stop>,
    /// Told when a relay has ended.
    ended: Stop,
}

impl Serving {
    fn run(mut self) -> Result<Summary, RelayError> {
        let mut asked = 0;
        loop {
            let ready = self.wait().map_err(RelayError::Io)?;
            let now = Instant::now();
            let again = match self.stop.as_ref().map(Stop::asked) {
                Some(Some(again)) => again,
                Some(None) => {
                    self.stop = None;
                    0
                }
                None => 0,
            };
            if again > 0 {
                asked += again;
                (0..again.min(2)).for_each(|_| self.proxies.begin_to_stop());
                self.sockets.iter_mut().for_each(Socket::close);
                self.sockets.clear();
                self.clients.clear();
            }
            self.ended.asked();
            let all_have_ended = self.proxies.have_ended();
            if asked > 0 {
                if all_have_ended {
                    if let Some(error) = self.proxies.broken.take() {
                        return Err(error);
                    }
                    let summary = self.proxies.summary;
                    return Ok(Summary { at_once: summary.at_once || asked > 1, ..summary });
                }
                continue;
            }
            for (client, _) in self.clients.iter_mut().zip(ready.clients).filter(|(_, is_ready)| *is_ready) {
                client.turn(now, &mut self.proxies);
            }
            for client in self.clients.iter_mut().filter(|client| client.deadline() <= now) {
                client.time_out();
            }
            self.clients.retain(|client| !client.is_gone());
            if ready.listeners {
                self.accept(now);
            }
        }
    }

    /// Waits for something to do: whether clients are to be accepted, and which clients are ready.
    fn wait(&mut self) -> io::Result<Events> {
        let now = Instant::now();
        let rests = self.rests_until.take_if(|until| *until > now);
        self.rests_until = rests;
        let accepts = if rests.is_some() { PollFlags::empty() } else { PollFlags::IN };
        let ends = [&self.ended].into_iter().chain(&self.stop).map(|end| (end.as_fd(), PollFlags::IN));
        let listeners = self.sockets.iter().map(|socket| (socket.fd.as_fd(), accepts));
        let clients = self.clients.iter().map(|client| (client.as_fd(), client.interest()));
        let watched: Vec<(BorrowedFd<'_>, PollFlags)> = listeners.chain(clients).chain(ends).collect();
        let mut polled: Vec<PollFd<'_>> =
            watched.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let deadlines = self.clients.iter().map(Client::deadline).chain(rests).min();
        let time = deadlines.map(|at| timespec(at.saturating_duration_since(now)));
        match poll(&mut polled, time.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Events { listeners: false, clients: vec![false; self.clients.len()] }),
            Err(error) => return Err(error.into()),
        }
        let is_ready: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
        let (listeners, others) = is_ready.split_at(self.sockets.len());
        Ok(Events { listeners: listeners.contains(&true), clients: others[..self.clients.len()].to_vec() })
    }

    fn accept(&mut self, now: Instant) {
        for socket in &self.sockets {
            match rustix::net::accept_with(&socket.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(fd) => {
                    if self.clients.len() >= limits::CONTROL_CLIENTS {
                        // The client that asked nothing for the longest time makes room.
                        let oldest = (0..self.clients.len()).min_by_key(|&index| self.clients[index].since());
                        oldest.map(|index| self.clients.swap_remove(index));
                    }
                    self.clients.push(Client::new(fd, self.is_local, now));
                }
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    self.rests_until = Some(now + limits::ACCEPT_PAUSE);
                }
                Err(_) => {}
            }
        }
    }
}

/// What there is to do.
struct Events {
    listeners: bool,
    clients: Vec<bool>,
}
