//! What carries the bytes of a channel: a socket, or in tests a line that splits, delays, cuts and resets.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::endpoint::Protocol;
use crate::net::connecting::{Connecting, Watched};
use crate::net::peer::Peer;
use crate::sys::queue;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use transcript::Moment;

use super::super::outlet::OnePeer;
use super::Interest;

/// One end of a stream or of an exchange of datagrams; it does not block.
#[derive(Debug)]
pub(in crate::engine) enum Line {
    /// One that a program has too may block: each call says that it is not to.
    Socket(OwnedFd),
    /// Each send and each receive is of one datagram.
    Datagrams(Box<Datagrams>),
    /// One of the peers of a socket that serves many: what comes is handed over, and what is said goes out by the server's.
    OnePeer(Box<OnePeer>),
    /// None yet: it is on its way.
    Connecting(Box<Connecting>),
    #[cfg(all(test, feature = "http"))]
    Imaginary(super::imaginary::End),
}

impl Line {
    /// A client that was accepted. An error is one of this machine.
    pub(in crate::engine) fn of_client(fd: OwnedFd, protocol: Protocol) -> (Self, Result<(), Errno>) {
        if !protocol.keeps_bounds() {
            return (Self::Socket(fd), Ok(()));
        }
        let (peer, marked) = Peer::of_client(fd);
        (Self::Datagrams(Box::new(Datagrams::new(peer))), marked)
    }

    /// Whether messages keep their bounds.
    pub(in crate::engine) fn has_datagrams(&self) -> bool {
        matches!(self, Self::Datagrams(_))
    }

    /// Whether no peer has to be told of an end of the stream, since there is none.
    pub(in crate::engine) fn has_no_end(&self) -> bool {
        match self {
            Self::Datagrams(datagrams) => !datagrams.peer.has_end(),
            Self::OnePeer(_) => true,
            _ => false,
        }
    }

    /// Whether the peer's end was read of what keeps the bounds of messages: what looks like an empty one is none.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Datagrams(datagrams) if datagrams.peer.has_ended())
    }

    /// Takes bytes that came, or one datagram; of a stream 0 is the end.
    ///
    /// # Errors
    /// As recv(2).
    pub(super) fn recv(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Socket(fd) => recv(fd, buffer, RecvFlags::DONTWAIT).map(|(_, length)| length),
            Self::Datagrams(datagrams) => datagrams.peer.receive(buffer),
            Self::Connecting(_) | Self::OnePeer(_) => Err(Errno::AGAIN),
            #[cfg(all(test, feature = "http"))]
            Self::Imaginary(end) => end.recv(buffer),
        }
    }

    /// Sends the front of the bytes; how many were taken. With more to come at once, the kernel waits for it to fill a segment.
    ///
    /// # Errors
    /// As send(2).
    pub(super) fn send(&self, bytes: &[u8], has_more: bool) -> Result<usize, Errno> {
        let more = if has_more { SendFlags::MORE } else { SendFlags::empty() };
        match self {
            Self::Socket(fd) => send(fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT | more),
            Self::Datagrams(datagrams) => datagrams.peer.send(bytes),
            Self::Connecting(_) | Self::OnePeer(_) => Err(Errno::AGAIN),
            #[cfg(all(test, feature = "http"))]
            Self::Imaginary(end) => end.send(bytes),
        }
    }

    /// Ends our direction.
    ///
    /// # Errors
    /// As shutdown(2).
    pub(super) fn shut(&self) -> Result<(), Errno> {
        match self {
            Self::Socket(fd) => shutdown(fd, Shutdown::Write),
            Self::Datagrams(datagrams) => datagrams.peer.end(),
            Self::Connecting(_) | Self::OnePeer(_) => Ok(()),
            #[cfg(all(test, feature = "http"))]
            Self::Imaginary(end) => end.shut(),
        }
    }

    /// Has closing it reset the connection (socket(7), `SO_LINGER`).
    pub(in crate::engine) fn reset_on_close(&self) {
        match self {
            Self::Socket(fd) => {
                let _ = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
            }
            Self::Datagrams(_) | Self::Connecting(_) | Self::OnePeer(_) => {}
            #[cfg(all(test, feature = "http"))]
            Self::Imaginary(end) => end.reset_on_close(),
        }
    }

    /// Bytes that a peer's system had not taken when it was reset, behind our end.
    pub(super) fn not_arrived(&self) -> u64 {
        match self {
            Self::Socket(fd) => queue::not_arrived(fd, true),
            _ => 0,
        }
    }

    /// The error that stands, which asking takes away; an error if it cannot be asked for.
    pub(super) fn take_error(&self) -> Result<(), Errno> {
        match self {
            Self::Socket(fd) => sockopt::socket_error(fd).and_then(|error| error),
            Self::Datagrams(datagrams) => sockopt::socket_error(datagrams.peer.socket()).and_then(|error| error),
            Self::Connecting(_) | Self::OnePeer(_) => Ok(()),
            #[cfg(all(test, feature = "http"))]
            Self::Imaginary(end) => end.take_error(),
        }
    }
}

impl Line {
    /// What the kernel is to watch, if there is anything.
    pub(in crate::engine) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Socket(fd) => Some(fd.as_fd()),
            Self::Datagrams(datagrams) => Some(datagrams.peer.socket()),
            Self::Connecting(connecting) => match connecting.watched() {
                Watched::Several(fd) | Watched::Socket(fd) => Some(fd),
                Watched::Nothing => None,
            },
            Self::OnePeer(_) => None,
            #[cfg(all(test, feature = "http"))]
            Self::Imaginary(_) => None,
        }
    }

    /// What it is to be watched for while it is on its way.
    pub(super) fn interest(&self) -> Interest {
        match self {
            Self::Connecting(connecting) => match connecting.watched() {
                Watched::Several(_) => Interest::Read,
                Watched::Socket(_) => Interest::Write,
                Watched::Nothing => Interest::Nothing,
            },
            _ => Interest::Nothing,
        }
    }
}

/// A socket for datagrams, and what only those need.
#[derive(Debug)]
pub(in crate::engine) struct Datagrams {
    pub(super) peer: Peer<OwnedFd>,
    /// When to send again what the queue of the interface did not take.
    pub(super) again: Option<Moment>,
    /// One that came and was not taken.
    pub(in crate::engine) left: Option<Vec<u8>>,
}

impl Datagrams {
    pub(in crate::engine) fn new(peer: Peer<OwnedFd>) -> Self {
        Self { peer, again: None, left: None }
    }
}
