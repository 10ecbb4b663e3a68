//! A listening socket: what becomes of errors of accept(2), and when accepting pauses.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, getsockname};

use crate::event::Name;
use crate::net::listen::Socket;

/// Connections taken from one listener before the others have their turn.
pub(super) const ACCEPTS: usize = 64;
/// Errors in a row after which accepting rests: an error that stays must not keep the loop busy.
pub(super) const ERRORS: usize = 8;

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: Socket,
    /// Not watched now: there is no room for another connection.
    pub(super) paused: bool,
}

/// What accepting came to.
pub(super) enum Accepted {
    One {
        fd: OwnedFd,
        client: Name,
        server: Option<Box<Name>>,
    },
    /// Nobody waits.
    None,
    /// This client is gone, or a rule refused it: the next one may do better.
    GoOn,
    /// An error that should not be: it is told, and the next client is tried.
    Odd(Errno),
    /// The system is out of something; the client waits in the backlog meanwhile.
    Pause(Errno),
    /// The listener itself is broken.
    Die(Errno),
}

impl Listener {
    pub(super) fn accept(&self) -> Accepted {
        match acceptfrom_with(&self.socket.fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((fd, peer)) => {
                let client = peer
                    .and_then(|peer| SocketAddr::try_from(peer).ok())
                    .map_or(Name::Unnamed, |peer| Name::Inet(unmapped(peer)));
                let server = self.own_name(&fd);
                Accepted::One { fd, client, server }
            }
            Err(error) => sort(error),
        }
    }

    /// Our end's address, where the listener's says only "every one".
    fn own_name(&self, fd: &OwnedFd) -> Option<Box<Name>> {
        match &self.socket.endpoint.name {
            Name::Inet(address) if address.ip().is_unspecified() => getsockname(fd)
                .ok()
                .and_then(|name| SocketAddr::try_from(name).ok())
                .map(|name| Box::new(Name::Inet(unmapped(name)))),
            _ => None,
        }
    }
}

/// Sorts the errors of accept(2). Those of the network below are passed on by Linux and are about one client only, and
/// so may be any other that we do not know. Only what says that our own socket or our own call is wrong ends a listener.
fn sort(error: Errno) -> Accepted {
    match error {
        Errno::AGAIN => Accepted::None,
        Errno::INTR
        | Errno::CONNABORTED
        | Errno::PROTO
        | Errno::PERM
        | Errno::NETDOWN
        | Errno::NOPROTOOPT
        | Errno::HOSTDOWN
        | Errno::NONET
        | Errno::HOSTUNREACH
        | Errno::OPNOTSUPP
        | Errno::NETUNREACH
        | Errno::TIMEDOUT => Accepted::GoOn,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Accepted::Pause(error),
        Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => Accepted::Die(error),
        other => Accepted::Odd(other),
    }
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What to call the shortage in a message.
pub(super) fn shortage(error: Errno) -> &'static str {
    match error {
        Errno::MFILE => "this process has no open file left (ulimit -n)",
        Errno::NFILE => "the system has no open file left",
        _ => "the system has no memory for sockets left",
    }
}
