//! What every loop that accepts clients has in common: which errors of accept(2) are about one client and which about all, when
//! accepting rests, and clients that wait for room of their address.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, SocketFlags, acceptfrom_with, getsockname};
use transcript::Moment;

use crate::event::{Endpoint, Event, Name};
use crate::gate::{Denied, Gate, Pass, WhenFull, who};
use crate::limits;
use crate::net::listen::Socket;
use crate::net::message;
use crate::net::per_peer::Next;

/// Connections taken from one listener before the others have their turn.
pub(super) const ACCEPTS: usize = 64;
/// Errors in a row after which accepting rests: an error that stays must not keep the loop busy.
const ERRORS: usize = 8;

/// A client that was accepted, and may come in or not.
#[derive(Debug)]
pub(super) struct AcceptedClient {
    pub(super) fd: OwnedFd,
    pub(super) client: Name,
    /// Our end's address, where the listener's says only "every one".
    pub(super) server: Option<Box<Name>>,
    pub(super) listener: usize,
}

/// What a listener has next.
pub(super) enum NextClient {
    Client(AcceptedClient),
    /// No client waits.
    None,
    /// The system is out of something, and this is what to say of it; clients wait in the backlog meanwhile.
    Shortage(String),
    /// Accepting failed too often in a row, with this to be said.
    Failing(&'static str),
    /// The listener itself is broken.
    Broken(io::Error),
}

/// Takes the next client of a listener. Errors that are about one client alone are passed over; those that should not be are told.
pub(super) fn next_client(
    socket: &Socket,
    listener: usize,
    flags: SocketFlags,
    mut observe: impl FnMut(Event),
) -> NextClient {
    for _ in 0..ERRORS {
        match accept(socket, flags) {
            AcceptOutcome::One { fd, client, server } => {
                return NextClient::Client(AcceptedClient { fd, client, server, listener });
            }
            AcceptOutcome::None => return NextClient::None,
            AcceptOutcome::Failed(AcceptError::OfClient) => {}
            AcceptOutcome::Failed(AcceptError::Odd(error)) => {
                let error = format!("{}: a client could not be accepted: {error}", socket.endpoint);
                observe(Event::Dropped { count: 1, error });
            }
            AcceptOutcome::Lost(event) => observe(event),
            AcceptOutcome::Failed(AcceptError::Shortage(why)) => {
                return NextClient::Shortage(format!("{why}; new clients wait"));
            }
            AcceptOutcome::Failed(AcceptError::OfListener(error)) => {
                let why = format!("{}: accept: {error}; those inside may finish", socket.endpoint);
                return NextClient::Broken(io::Error::new(io::Error::from(error).kind(), why));
            }
        }
    }
    NextClient::Failing("accept failed again and again; new clients wait")
}

/// What one call came to.
enum AcceptOutcome {
    One {
        fd: OwnedFd,
        client: Name,
        server: Option<Box<Name>>,
    },
    /// No client waits.
    None,
    /// Datagrams of a client that no socket could be made for.
    Lost(Event),
    Failed(AcceptError),
}

fn accept(socket: &Socket, flags: SocketFlags) -> AcceptOutcome {
    if socket.has_one_client() {
        return match socket.take_client() {
            Some((fd, client, server)) => {
                // It blocks until now, and without an error that would be known by now it may be told not to.
                let _ = rustix::io::ioctl_fionbio(&fd, flags.contains(SocketFlags::NONBLOCK));
                AcceptOutcome::One { fd, client, server: (server != Name::Unnamed).then(|| Box::new(server)) }
            }
            None => AcceptOutcome::None,
        };
    }
    if socket.is_split() {
        return match socket.next_peer() {
            Some(Next::Client(fd, client, server)) => {
                let _ = rustix::io::ioctl_fionbio(&fd, flags.contains(SocketFlags::NONBLOCK));
                AcceptOutcome::One { fd, client, server: server.map(Box::new) }
            }
            Some(Next::Lost(count, error)) => AcceptOutcome::Lost(Event::Dropped { count, error }),
            None => AcceptOutcome::None,
        };
    }
    match accept_stream(&socket.fd, flags) {
        Ok(Some((fd, client))) => {
            let server = match &socket.endpoint.name {
                Name::Inet(address) if address.ip().is_unspecified() => own_name(&fd),
                _ => None,
            };
            AcceptOutcome::One { fd, client, server }
        }
        Ok(None) => AcceptOutcome::None,
        Err(error) => AcceptOutcome::Failed(error),
    }
}

/// Takes the next connection of a listening socket, and its client's name, if there is one.
///
/// # Errors
/// As accept(2), sorted by what they are about.
pub(super) fn accept_stream(fd: impl AsFd, flags: SocketFlags) -> Result<Option<(OwnedFd, Name)>, AcceptError> {
    match acceptfrom_with(fd, flags) {
        Ok((fd, peer)) => {
            let client = peer.map_or(Name::Unnamed, |peer| match SocketAddr::try_from(peer.clone()) {
                Ok(peer) => Name::Inet(unmapped(peer)),
                Err(_) => SocketAddrUnix::try_from(peer).map_or(Name::Unnamed, |peer| message::name(&peer)),
            });
            Ok(Some((fd, client)))
        }
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(AcceptError::from(error)),
    }
}

/// Our end's address of a connection, if it has one.
pub(super) fn own_name(fd: &OwnedFd) -> Option<Box<Name>> {
    let address = getsockname(fd).ok().and_then(|name| SocketAddr::try_from(name).ok())?;
    Some(Box::new(Name::Inet(unmapped(address))))
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// What an error of accept(2) is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AcceptError {
    /// One client, which is gone, or which a rule refused: the next one may do better.
    OfClient,
    /// One client, as far as we know; it should not be, and is told.
    Odd(Errno),
    /// The system is out of this; the client waits in the backlog meanwhile.
    Shortage(&'static str),
    /// The listener itself is broken.
    OfListener(Errno),
}

/// Linux passes errors of the network below on; they are about one client only, and so may be any other that we do not know. Only
/// what says that our own socket or our own call is wrong ends a listener.
impl From<Errno> for AcceptError {
    fn from(error: Errno) -> Self {
        match error {
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
            | Errno::TIMEDOUT => Self::OfClient,
            Errno::MFILE => Self::Shortage("this process has no open file left (ulimit -n)"),
            Errno::NFILE => Self::Shortage("the system has no open file left"),
            Errno::NOBUFS | Errno::NOMEM => Self::Shortage("the system has no memory for sockets left"),
            Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => Self::OfListener(error),
            other => Self::Odd(other),
        }
    }
}

/// Why a client does not come in now.
pub(super) enum NotAdmitted {
    /// It waits for room of its address, with this to be said.
    Waits(String),
    /// It is refused, for this reason.
    Refused(String),
}

/// What the loop that accepts remembers between two clients.
#[derive(Debug, Default)]
pub(super) struct Acceptor {
    /// When it is looked again whether clients can be accepted; only while they cannot.
    resumes: Option<Moment>,
    told_full: Option<Moment>,
    /// Clients that wait for others of their address to leave; and how many had left at the last look.
    waiting: VecDeque<AcceptedClient>,
    left: u64,
}

impl Acceptor {
    /// When accepting is tried again, if it rests.
    pub(super) fn resumes(&self) -> Option<Moment> {
        self.resumes
    }

    /// Rests from accepting: clients wait in the backlog. Whether it did not rest before.
    pub(super) fn pause(&mut self, now: Moment) -> bool {
        self.resumes.replace(now.after(limits::ACCEPT_PAUSE)).is_none()
    }

    /// Accepts again, or never any more; whether it rested.
    pub(super) fn resume(&mut self) -> bool {
        self.resumes.take().is_some()
    }

    /// There may be room by now: if accepting rests, it is tried with the next look.
    pub(super) fn hurry(&mut self, now: Moment) {
        if let Some(at) = &mut self.resumes {
            *at = now;
        }
    }

    /// Whether it is now to be said that clients wait, which is said once a second.
    pub(super) fn tells_full(&mut self, now: Moment) -> bool {
        let is_due = self.told_full.is_none_or(|told| now >= told.after(Duration::from_secs(1)));
        if is_due {
            self.told_full = Some(now);
        }
        is_due
    }

    /// Lets a client in if the rules say so and there is room for it. It is judged by this address, if by any.
    pub(super) fn admit(
        &mut self,
        client: AcceptedClient,
        address: Option<IpAddr>,
        gate: &Gate,
        inside: usize,
        endpoint: &Endpoint,
    ) -> Result<(AcceptedClient, Option<Box<Pass>>), NotAdmitted> {
        match gate.judge(address, inside) {
            Ok(pass) => Ok((client, pass)),
            Err(Denied::FullOfAddress(_))
                if gate.when_full == WhenFull::Wait && self.waiting.len() < limits::WAITING_CLIENTS =>
            {
                self.waiting.push_back(client);
                Err(NotAdmitted::Waits(gate.words_of_waiting(address)))
            }
            Err(why) => Err(NotAdmitted::Refused(format!("{endpoint}: {} {why}", who(address)))),
        }
    }

    /// Whether clients wait for room of their address.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many of them may come in now, each in turn: if another client has left since the last look, any of them.
    pub(super) fn looks(&mut self, gate: &Gate) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        let left = gate.left();
        let is_same = left == std::mem::replace(&mut self.left, left);
        if is_same { 0 } else { self.waiting.len() }
    }

    /// The next of them, if there is room of its address; else it waits on, behind the others.
    pub(super) fn next_waiting(&mut self, gate: &Gate) -> Option<(AcceptedClient, Option<Box<Pass>>)> {
        let client = self.waiting.pop_front()?;
        match gate.enter_from(client.client.ip()) {
            Ok(pass) => Some((client, pass)),
            Err(_) => {
                self.waiting.push_back(client);
                None
            }
        }
    }

    /// There is no room for any of them; the next client that leaves makes some.
    pub(super) fn look_again(&mut self) {
        self.left = self.left.wrapping_sub(1);
    }

    /// None of them comes in any more: how many there were.
    pub(super) fn forget_waiting(&mut self) -> u64 {
        std::mem::take(&mut self.waiting).len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_about_one_client_end_no_listener() {
        for error in [Errno::CONNABORTED, Errno::PROTO, Errno::HOSTUNREACH, Errno::PERM, Errno::INTR] {
            assert_eq!(AcceptError::from(error), AcceptError::OfClient);
        }
        for error in [Errno::ACCESS, Errno::IO, Errno::CONNRESET] {
            assert_eq!(AcceptError::from(error), AcceptError::Odd(error));
        }
        for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(matches!(AcceptError::from(error), AcceptError::Shortage(_)), "{error}");
        }
        for error in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert_eq!(AcceptError::from(error), AcceptError::OfListener(error));
        }
    }

    #[test]
    fn accepting_that_rests_is_tried_when_its_time_comes_or_a_client_leaves() {
        let mut acceptor = Acceptor::default();
        let now = Moment::default();
        acceptor.hurry(now);
        assert_eq!(acceptor.resumes(), None, "it does not rest");
        assert!(acceptor.pause(now));
        assert!(!acceptor.pause(now), "it rests already");
        assert_eq!(acceptor.resumes(), Some(now.after(limits::ACCEPT_PAUSE)));
        acceptor.hurry(now);
        assert_eq!(acceptor.resumes(), Some(now));
        assert!(acceptor.resume());
        assert!(!acceptor.resume());
    }

    #[test]
    fn that_clients_wait_is_said_once_a_second() {
        let mut acceptor = Acceptor::default();
        let at = |millis| Moment::default().after(Duration::from_millis(millis));
        let told = [0, 1, 999, 1000, 1001, 2000].map(|millis| acceptor.tells_full(at(millis)));
        assert_eq!(told, [true, false, false, true, false, true]);
    }
}
