//! The other end of a client's datagrams. A server may answer from another port than the one that was asked, as TFTP
//! does (RFC 1350, section 4): the first answer of the host that was asked says who the peer is from then on.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendFlags, Shutdown, SocketAddrUnix, bind, connect, getpeername, getsockname, recvfrom, send, sendto,
    shutdown, sockopt,
};

use super::message::{self, Received};
use crate::endpoint::{Name, Protocol};
use crate::sys::datagrams::{self, Inbox};
use crate::sys::{option, queue};

/// A datagram socket and its peer. Threads may send and receive at the same time.
#[derive(Debug)]
pub(crate) struct Peer<F> {
    socket: F,
    state: Mutex<State>,
    ignored: AtomicU64,
    drops_before: u32,
    /// It spoke first.
    has_spoken: bool,
    others: Mutex<Others>,
    has_end: bool,
    ended: AtomicBool,
    /// Where a client of a Unix socket that listens is; none if it has no name.
    client: Option<SocketAddrUnix>,
}

/// Who sent a datagram to a socket that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sender {
    Inet(SocketAddr),
    /// One without a name cannot be answered.
    Unix(Option<SocketAddrUnix>),
}

impl Sender {
    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Inet(address) => Name::Inet(*address),
            Self::Unix(address) => address.as_ref().map_or(Name::Unnamed, message::name),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// No peer has answered: questions go there.
    Asked(SocketAddr),
    /// Many are asked at once, and everybody is heard.
    Many(SocketAddr),
    /// The peer has answered: no other peer is heard any more.
    Answered(SocketAddr),
    /// The socket is connected to it, and was from the beginning or almost: what others sent before may still come.
    Known(SocketAddr),
    /// A Unix socket that is connected to it: no other peer is ever heard.
    Only,
    /// A Unix socket that listens, and the client that it heard first. Where it is connected to it, no other peer gets through.
    Client { is_connected: bool },
}

/// Datagrams of others that came before the peer was known, and what may be kept of them.
#[derive(Debug, Default)]
struct Others {
    queues: bool,
    queue: VecDeque<(Sender, Vec<u8>)>,
}

/// Most datagrams of others that are kept for a later conversation.
const MOST_QUEUED: usize = 1024;
/// Messages of a Unix socket that are taken at once.
const MANY: usize = 64;

impl<F: AsFd> Peer<F> {
    /// The peer of a socket that is connected to where the question goes.
    ///
    /// # Errors
    /// As getsockname(2); it is no datagram socket over IP.
    pub(crate) fn new(socket: F, asked: &Name) -> Result<Self, Errno> {
        let Name::Inet(address) = *asked else { return Err(Errno::AFNOSUPPORT) };
        if address.ip().is_multicast() || sockopt::socket_broadcast(&socket)? {
            // The kernel lets everybody through that sends to the port; one that was chosen stays.
            // To a group of IPv6 it never was connected, and keeps its port.
            if getpeername(&socket).is_ok() {
                option::disconnect(&socket)?;
            }
            return Ok(Self::at(socket, State::Many(address)));
        }
        let local = getsockname(&socket)?;
        // While it is connected the kernel lets nothing through but what comes from the port that was asked.
        let open = option::disconnect(&socket).and_then(|()| match bind(&socket, &local) {
            // It has a port of its own already, and keeps it.
            Err(Errno::INVAL) => Ok(()),
            bound => bound,
        });
        forget_errors(&socket);
        let state = match open.and_then(|()| datagrams::report_errors(&socket, address.is_ipv6(), true)) {
            Ok(()) => State::Asked(address),
            Err(_) => {
                connect(&socket, &address)?;
                State::Known(address)
            }
        };
        Ok(Self::at(socket, state))
    }

    /// The peer of a connected socket whose messages keep their bounds.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn of(socket: F, protocol: Protocol, peer: &Name) -> Result<Self, Errno> {
        match protocol {
            Protocol::Udp => Self::new(socket, peer),
            Protocol::UnixSeqpacket => Self::with_end(socket),
            _ => Ok(Self::at(socket, State::Only)),
        }
    }

    /// The peer of a Unix socket that can say that it has ended.
    ///
    /// # Errors
    /// As setsockopt(2).
    pub(crate) fn with_end(socket: F) -> Result<Self, Errno> {
        message::mark_messages(&socket)?;
        Ok(Self { has_end: true, ..Self::at(socket, State::Only) })
    }

    /// The same of a client that came in, which has to be told of if that cannot be.
    pub(crate) fn of_client(socket: F) -> (Self, Result<(), Errno>) {
        let marked = message::mark_messages(&socket);
        (Self { has_end: true, ..Self::at(socket, State::Only) }, marked)
    }

    fn at(socket: F, state: State) -> Self {
        let (others, ignored, ended) = (Mutex::default(), AtomicU64::new(0), AtomicBool::new(false));
        let state = Mutex::new(state);
        let (has_spoken, has_end) = (false, false);
        Self { socket, state, ignored, drops_before: 0, has_spoken, others, has_end, ended, client: None }
    }

    /// The peer of a Unix socket that was connected to it before it came to us.
    pub(crate) fn connected(socket: F) -> Self {
        Self::at(socket, State::Only)
    }

    /// The client of a Unix socket that listens. One that keeps what others send for later does not keep them away.
    pub(crate) fn of_listener(socket: F, client: Option<SocketAddrUnix>, queues: bool) -> Self {
        let is_connected = !queues && client.as_ref().is_some_and(|client| connect(&socket, client).is_ok());
        let others = Mutex::new(Others { queues, queue: VecDeque::new() });
        Self { others, client, has_spoken: true, ..Self::at(socket, State::Client { is_connected }) }
    }

    /// Whether it can say that nothing more comes.
    pub(crate) fn has_end(&self) -> bool {
        self.has_end
    }

    /// Says that we send nothing more, where that can be said.
    ///
    /// # Errors
    /// As shutdown(2).
    pub(crate) fn end(&self) -> Result<(), Errno> {
        if self.has_end { shutdown(&self.socket, Shutdown::Write) } else { Ok(()) }
    }

    /// Whether a full queue of the peer's keeps the sender waiting, and loses nothing.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.is_unix()
    }

    /// Whether poll(2) tells that the peer has room.
    pub(crate) fn tells_of_room(&self) -> bool {
        !matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Client { is_connected: false })
    }

    /// Whether both directions are over.
    pub(crate) fn is_gone(&self) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::empty())];
        let over = PollFlags::HUP | PollFlags::ERR;
        poll(&mut polled, Some(&Timespec::default())).is_ok() && polled[0].revents().intersects(over)
    }

    /// The error that stands, which asking takes away.
    pub(crate) fn error(&self) -> Option<Errno> {
        sockopt::socket_error(&self.socket).unwrap_or(Ok(())).err()
    }

    /// Bytes that the peer has not read, where that can be known.
    pub(crate) fn unread(&self) -> Option<u64> {
        queue::unsent(&self.socket).ok()
    }

    /// Whether the peer has said that nothing more comes.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn is_unix(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*state, State::Only | State::Client { .. })
    }

    /// One message of a Unix socket. At the end it has none, and says that it has ended.
    fn receive_only(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (received, from) = match message::receive(&self.socket, buffer, self.has_end) {
            // A peer of datagrams talks to another peer for now, and can still be told.
            Err(Errno::CONNRESET) if !self.has_end => return Err(Errno::AGAIN),
            received => received?,
        };
        if matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Client { .. }) {
            let from = Sender::Unix(message::sender(from));
            if !matches!(&from, Sender::Unix(from) if *from == self.client) {
                let length = if let Received::Message(length) = received { length } else { 0 };
                self.pass_over(from, &buffer[..length]);
                return Err(Errno::INTR);
            }
        }
        match received {
            Received::Message(length) => Ok(length),
            // It is not whole: what it says would be another thing.
            Received::TooLarge(_) => Err(Errno::OVERFLOW),
            Received::End => {
                self.ended.store(true, Ordering::Relaxed);
                Ok(0)
            }
        }
    }

    /// The peer that a socket is connected to, and no other. The socket's drops before this count are not the peer's.
    /// What others had sent before is kept where it will be wanted.
    pub(crate) fn known(socket: F, peer: SocketAddr, drops_before: u32, queues: bool) -> Self {
        let others = Mutex::new(Others { queues, queue: VecDeque::new() });
        Self { drops_before, has_spoken: true, others, ..Self::at(socket, State::Known(peer)) }
    }

    /// What others had sent, in the order in which it came.
    pub(crate) fn into_queued(self) -> VecDeque<(Sender, Vec<u8>)> {
        self.others.into_inner().unwrap_or_else(PoisonError::into_inner).queue
    }

    /// Whether the peer spoke first, before the conversation was opened.
    pub(crate) fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    /// Whether a peer has answered.
    pub(crate) fn has_answered(&self) -> bool {
        !matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Asked(_))
    }

    /// A datagram of another sender.
    fn pass_over(&self, from: Sender, datagram: &[u8]) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.queues && others.queue.len() < MOST_QUEUED {
            others.queue.push_back((from, datagram.to_vec()));
        } else {
            self.ignored.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many datagrams had been dropped before the conversation.
    pub(crate) fn drops_before(&self) -> u32 {
        self.drops_before
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Datagrams of others that were not taken.
    pub(crate) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// As sendto(2); that no program listens there is told by a later call.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state {
            State::Asked(address) | State::Many(address) | State::Answered(address) => {
                sendto(&self.socket, bytes, SendFlags::NOSIGNAL, &address)
            }
            State::Known(_) => send(&self.socket, bytes, SendFlags::NOSIGNAL),
            State::Client { is_connected: false } => match &self.client {
                Some(client) => sendto(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT, client),
                None => Err(Errno::DESTADDRREQ),
            },
            // A sender that waits for room waits for other events too.
            State::Only | State::Client { is_connected: true } => {
                match send(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                    Err(Errno::CONNRESET) if !self.has_end => Err(Errno::INTR),
                    sent => sent,
                }
            }
        }
    }

    /// Receives one datagram of the peer, without waiting.
    ///
    /// # Errors
    /// As recvfrom(2); `EAGAIN` also if what was there came from another peer.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if self.is_unix() {
            return self.receive_only(buffer);
        }
        let (_, length, from) = recvfrom(&self.socket, buffer, RecvFlags::DONTWAIT)?;
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        if from.is_some_and(|from| self.knows(from)) {
            return Ok(length);
        }
        self.ignored.fetch_add(1, Ordering::Relaxed);
        Err(Errno::AGAIN)
    }

    /// From now on many datagrams are received at a time, and [`Self::receive`] must not be used.
    pub(crate) fn take_many(&self) {
        if !self.is_unix() {
            datagrams::take_many(&self.socket);
        }
    }

    /// Receives datagrams of the peer, without waiting; `each` hears them. Returns how many were taken.
    ///
    /// # Errors
    /// As recvmmsg(2).
    pub(crate) fn receive_many(&self, inbox: &mut Inbox, mut each: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut taken = 0;
        if self.is_unix() {
            let mut buffer = vec![0; message::LARGEST];
            while taken < MANY {
                match self.receive_only(&mut buffer) {
                    Ok(_) if self.has_ended() => break,
                    Ok(length) => each(&buffer[..length]),
                    Err(Errno::INTR) => continue,
                    Err(Errno::AGAIN) if taken > 0 => break,
                    Err(error) => return Err(error.into()),
                }
                taken += 1;
            }
            return Ok(taken);
        }
        inbox.receive(&self.socket)?;
        for arrival in inbox.arrivals() {
            if self.knows(arrival.from) {
                for datagram in arrival.datagrams() {
                    each(datagram);
                    taken += 1;
                }
            } else {
                arrival.datagrams().for_each(|datagram| self.pass_over(Sender::Inet(arrival.from), datagram));
            }
        }
        Ok(taken)
    }

    /// Whether a datagram is the peer's. The first answer says who the peer is.
    fn knows(&self, from: SocketAddr) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Many(_) | State::Only | State::Client { .. } => true,
            State::Known(address) | State::Answered(address) => same(from, address),
            State::Asked(address) if from.ip() == address.ip() => {
                // The kernel keeps the others away from now on, and tells of a port that closes.
                *state = State::Answered(from);
                let _ = connect(&self.socket, &from);
                let _ = datagrams::report_errors(&self.socket, from.is_ipv6(), false);
                true
            }
            State::Asked(_) => false,
        }
    }

    /// How many datagrams the kernel has dropped so far, for there was no room. The count wraps around.
    pub(crate) fn drops(&self) -> u32 {
        datagrams::drops(&self.socket).unwrap_or(0)
    }
}

/// What became of questions before is no answer to the next ones.
fn forget_errors(socket: impl AsFd) {
    let socket = socket.as_fd();
    while recvfrom(socket, &mut [0_u8; 1][..], RecvFlags::ERRQUEUE | RecvFlags::DONTWAIT).is_ok() {}
    let _ = sockopt::socket_error(socket);
}

/// Whether two addresses are one; the flow label of IPv6 tells no peers apart (RFC 6437).
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip() == b.ip() && a.port() == b.port()
}
