//! A socket that a client can come to.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::ListenError;
use crate::endpoint::{Endpoint, Name};
use crate::net::local::Guest;
use crate::net::path::OwnFile;
use crate::net::per_peer::{Next, PerPeer, Undelivered};

/// A bound socket: nonblocking, closed on exec; streams listen.
#[derive(Debug)]
pub struct Socket {
    /// The protocol and the name that the system gave it.
    pub endpoint: Endpoint,
    /// Which of the requests it serves, from 0.
    pub request: usize,
    /// The only client that there is, where no other client can come: a program, standard input and output, a connection that we
    /// were given. The socket is then something that is always ready.
    client: Option<Box<OneClient>>,
    /// Where each peer of a datagram socket comes as a client of its own: the socket is then what is ready when one comes.
    per_peer: Option<Box<PerPeer>>,
    /// The file of a Unix socket. It goes before the socket does, while no other process can have a socket of the same number.
    pub(super) file: Option<OwnFile>,
    /// The socket.
    pub fd: OwnedFd,
}

/// A client that is there already.
#[derive(Debug)]
pub(super) struct OneClient {
    pub(super) fd: Mutex<Option<OwnedFd>>,
    pub(super) peer: Name,
    pub(super) local: Name,
    pub(super) guest: Mutex<Option<Box<Guest>>>,
}

impl Socket {
    /// One to which any number can come.
    pub(super) fn new(endpoint: Endpoint, fd: OwnedFd) -> Self {
        Self { endpoint, request: 0, client: None, per_peer: None, file: None, fd }
    }

    /// The same at a path.
    pub(super) fn at_path(self, file: Option<OwnFile>) -> Self {
        Self { file, ..self }
    }

    /// One whose only client is there already; `ready` is always ready.
    pub(super) fn of_client(endpoint: Endpoint, ready: OwnedFd, client: OneClient) -> Self {
        Self { client: Some(Box::new(client)), ..Self::new(endpoint, ready) }
    }

    /// Stops listening: the port and the file are free again. The name is kept.
    ///
    /// The descriptor becomes an unbound socket that no peer can reach.
    pub fn close(&mut self) {
        self.file = None;
        if let Some(per_peer) = &self.per_peer {
            per_peer.close();
        }
        if let Ok(unbound) = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None) {
            self.fd = unbound;
        }
    }

    /// Whether there is one client, and never another.
    #[must_use]
    pub fn has_one_client(&self) -> bool {
        self.client.is_some()
    }

    /// The client that is there already, once: its socket, its name and ours.
    pub(crate) fn take_client(&self) -> Option<(OwnedFd, Name, Name)> {
        let client = self.client.as_ref()?;
        let fd = client.fd.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((fd, client.peer.clone(), client.local.clone()))
    }

    /// Has each peer of a datagram socket come as a client of its own, that is over when it is silent for so long.
    pub(crate) fn split_by_peer(&mut self, idle: Duration) -> Result<(), ListenError> {
        let endpoint = self.endpoint.clone();
        let refuse = |error: Errno| ListenError::Other { endpoint: endpoint.clone(), error: error.into() };
        let bound = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(refuse)?;
        let (per_peer, ready) = PerPeer::begin(bound, endpoint.clone(), idle).map_err(refuse)?;
        (self.per_peer, self.fd) = (Some(Box::new(per_peer)), ready);
        Ok(())
    }

    /// Begins to hear them, with the rights that this thread has now.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        self.per_peer.as_mut().map_or(Ok(()), |per_peer| per_peer.start())
    }

    /// Whether each peer of a datagram socket comes as a client of its own.
    pub(crate) fn is_split(&self) -> bool {
        self.per_peer.is_some()
    }

    /// The next of them, or what was lost of what they said or were to hear.
    pub(crate) fn next_peer(&self) -> Option<Next> {
        self.per_peer.as_ref()?.next()
    }

    /// All of them are over: what was said to them goes out, and what did not is told.
    pub(crate) fn finish(&mut self) -> Undelivered {
        self.per_peer.as_mut().map(|per_peer| per_peer.finish()).unwrap_or_default()
    }

    /// Who stands behind that client and has to be waited for, once.
    pub(crate) fn take_guest(&self) -> Option<Box<Guest>> {
        self.client.as_ref()?.guest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
