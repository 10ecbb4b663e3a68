//! The socket of a stream as both directions see it. What the kernel tells once, such as the error of a reset, is kept
//! here: whichever direction it was told to, both know. It also knows which end was first, and what has not arrived.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, Shutdown, getpeername, getsockname, send, shutdown, sockopt};

use super::{Activity, FirstEnd};
use crate::net::alive;
use crate::net::secured::Secured;
use crate::net::{is_of_connection, timespec};
use crate::sys::{queue, tcp_diag};

/// Quiet before the system asks a peer that has ended whether it is still there.
const PROBE: Duration = Duration::from_secs(10);

/// A connected stream.
#[derive(Debug)]
pub(super) struct Connection<'a> {
    socket: BorrowedFd<'a>,
    secure: Option<&'a Secured>,
    is_tcp: bool,
    activity: Activity,
    /// When the peer's end was read.
    peer_ended: OnceLock<Instant>,
    /// Our end was sent.
    end_sent: AtomicBool,
    /// The system has our end, in either way: it takes a number of the sequence as a byte does.
    has_fin: AtomicBool,
    /// Both directions are to stop.
    over: AtomicBool,
    broken: OnceLock<Errno>,
    /// Whether a reset takes nothing with it any more but our end under TLS, which is not needed.
    is_all_done: AtomicBool,
}

/// What has become of a peer that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// It may still read.
    MayRead,
    /// It has closed, and had everything that was sent.
    Gone,
    /// It reset the connection.
    Reset,
}

impl<'a> Connection<'a> {
    /// A socket that does not block; the error, if it broke when it was made.
    pub(super) fn new(socket: BorrowedFd<'a>, secure: Option<&'a Secured>, broken: Option<Errno>) -> Self {
        let is_tcp = getsockname(socket)
            .is_ok_and(|name| matches!(name.address_family(), AddressFamily::INET | AddressFamily::INET6));
        let made = Self {
            socket,
            secure,
            is_tcp,
            activity: Activity::new(),
            peer_ended: OnceLock::new(),
            end_sent: AtomicBool::new(false),
            has_fin: AtomicBool::new(false),
            over: AtomicBool::new(false),
            broken: OnceLock::new(),
            is_all_done: AtomicBool::new(false),
        };
        if let Some(error) = broken {
            made.note(error);
        }
        made
    }

    pub(super) fn socket(&self) -> BorrowedFd<'a> {
        self.socket
    }

    /// The session of TLS, if there is one.
    pub(super) fn secure(&self) -> Option<&'a Secured> {
        self.secure
    }

    /// Sends the front of some bytes.
    ///
    /// # Errors
    /// As send(2).
    pub(super) fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self.secure {
            Some(secure) => secure.send(self.socket, bytes),
            None => send(self.socket, bytes, SendFlags::NOSIGNAL),
        }
    }

    /// Sends our end under TLS, which is said (RFC 8446, section 6.1).
    fn say_end(&self, secure: &Secured) -> Result<(), Errno> {
        // A peer that has ended and has everything may be gone: what meets it then is answered by a reset.
        let is_all_done = self.has_peer_ended() && matches!(self.unacknowledged(), Ok(0));
        self.is_all_done.store(is_all_done, Ordering::Release);
        secure.end();
        loop {
            match secure.flush(self.socket) {
                Err(Errno::AGAIN) if !self.is_over() => {
                    let mut socket = [PollFd::from_borrowed_fd(self.socket, PollFlags::OUT)];
                    match poll(&mut socket, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(error) if is_of_connection(error) => {
                    self.note(error);
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    }

    /// Something passed.
    pub(super) fn passed(&self) {
        self.activity.passed();
    }

    /// When something passed last.
    pub(super) fn last(&self) -> Instant {
        self.activity.last()
    }

    /// Since when nothing has passed, the peer's end included.
    pub(super) fn quiet_since(&self) -> Instant {
        self.last().max(self.peer_ended.get().copied().unwrap_or(self.activity.began))
    }

    /// What a call on the socket came to. An error of the connection is kept.
    pub(super) fn told(&self, result: Result<usize, Errno>) -> Result<usize, Errno> {
        match result {
            Ok(length) if length > 0 => self.passed(),
            Err(error) if is_of_connection(error) => self.note(error),
            _ => {}
        }
        result
    }

    fn note(&self, error: Errno) {
        if !self.is_all_done.load(Ordering::Acquire) {
            let _ = self.broken.set(error);
        }
    }

    /// Why the connection broke, if it has, as far as it was told.
    pub(super) fn broken(&self) -> Option<Errno> {
        self.broken.get().copied()
    }

    /// The same, asked of the kernel too.
    pub(super) fn ask_broken(&self) -> Option<Errno> {
        if let Ok(Err(error)) = sockopt::socket_error(self.socket) {
            self.note(error);
        }
        self.broken()
    }

    /// The stream ended; false if that was no end but a reset whose error the other direction got.
    pub(super) fn peer_ended(&self) -> bool {
        // While our end is open only a connection that is no more hangs up.
        if self.is_tcp && !self.end_sent.load(Ordering::Acquire) && self.hung_up() {
            self.ask_broken();
            // The other direction may be about to keep what it got.
            self.note(Errno::CONNRESET);
        }
        if self.broken().is_some() {
            return false;
        }
        self.activity.ended(FirstEnd::Peer);
        let _ = self.peer_ended.set(Instant::now());
        true
    }

    /// Whether the peer's end was read.
    pub(super) fn has_peer_ended(&self) -> bool {
        self.peer_ended.get().is_some()
    }

    /// Which end was sent or read first.
    pub(super) fn first_end(&self) -> Option<FirstEnd> {
        self.activity.first_end()
    }

    /// Ends our direction.
    ///
    /// # Errors
    /// As shutdown(2); none if the connection was already broken, which others tell.
    pub(super) fn end(&self) -> Result<(), Errno> {
        if self.broken().is_some() {
            return Ok(());
        }
        self.activity.ended(FirstEnd::Us);
        if let Some(secure) = self.secure {
            self.say_end(secure)?;
        }
        self.end_sent.store(true, Ordering::Release);
        match self.shut(Shutdown::Write) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.end_sent.store(false, Ordering::Release);
                if self.ask_broken().is_some() || (error == Errno::NOTCONN && self.hung_up()) {
                    self.note(Errno::CONNRESET);
                    return Ok(());
                }
                Err(error)
            }
        }
    }

    /// Whether our end was sent.
    pub(super) fn has_ended(&self) -> bool {
        self.end_sent.load(Ordering::Acquire)
    }

    /// Both directions are to stop: what waits on the socket returns at once.
    pub(super) fn call_off(&self) {
        self.over.store(true, Ordering::Release);
        let _ = self.shut(Shutdown::Both);
    }

    /// Shuts our direction, or both. A connection that was reset takes no end any more.
    fn shut(&self, how: Shutdown) -> Result<(), Errno> {
        shutdown(self.socket, how)?;
        self.has_fin.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether both directions are to stop.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether poll(2) says without being asked that nothing more goes either way.
    pub(super) fn hung_up(&self) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(self.socket, PollFlags::empty())];
        poll(&mut polled, Some(&timespec(Duration::ZERO))).is_ok_and(|ready| ready > 0)
    }

    /// Has the system ask a peer that has ended now and then: one that is gone answers with a reset, at the latest when
    /// its system has forgotten the connection.
    pub(super) fn watch_peer(&self) {
        if self.is_tcp {
            let _ = alive::probe_after(self.socket, PROBE, PROBE);
        }
    }

    /// What has become of a peer that has ended.
    pub(super) fn peer(&self) -> Peer {
        if self.hung_up() {
            // Nothing was under way: the answer to a probe, or the close of a Unix socket.
            let was_quiet = self.quiet_since().elapsed() >= PROBE.mul_f32(0.9) || !self.is_tcp;
            let acknowledged = matches!(self.unacknowledged(), Ok(0));
            let error = sockopt::socket_error(self.socket).unwrap_or(Ok(())).err();
            return match error.or(self.broken()) {
                Some(error) if !(was_quiet && acknowledged && self.is_tcp) => {
                    self.note(error);
                    Peer::Reset
                }
                None if self.is_tcp && !was_quiet => {
                    self.note(Errno::CONNRESET);
                    Peer::Reset
                }
                _ => Peer::Gone,
            };
        }
        match self.names().and_then(|(ours, peer)| tcp_diag::holder(peer, ours)) {
            Some(tcp_diag::Holder::Gone) => Peer::Gone,
            Some(tcp_diag::Holder::There) | None => Peer::MayRead,
        }
    }

    fn names(&self) -> Option<(SocketAddr, SocketAddr)> {
        if !self.is_tcp {
            return None;
        }
        let ours = SocketAddr::try_from(getsockname(self.socket).ok()?).ok()?;
        let peer = SocketAddr::try_from(getpeername(self.socket).ok()??).ok()?;
        Some((ours, peer))
    }

    /// Bytes that the peer's system has not taken. What was written to a Unix socket is there already.
    ///
    /// # Errors
    /// As ioctl(2).
    pub(super) fn unacknowledged(&self) -> io::Result<u64> {
        if !self.is_tcp || self.is_all_done.load(Ordering::Acquire) {
            return Ok(0);
        }
        let has_fin = self.has_fin.load(Ordering::Acquire);
        let bytes = queue::unsent(self.socket)?;
        // Our end comes last: as long as anything is missing, it is.
        Ok(bytes.saturating_sub(u64::from(has_fin)))
    }

    /// How many bytes of the input have not arrived, where so many are missing of what was made of them.
    pub(super) fn missing_input(&self, unacknowledged: u64) -> u64 {
        self.secure.map_or(unacknowledged, |secure| secure.missing(unacknowledged))
    }

    /// Waits until the peer's system has taken everything, until the connection breaks, or until a time. Returns what is
    /// missing. A system that takes nothing for now keeps its connection, one that is gone breaks it.
    ///
    /// # Errors
    /// As ioctl(2).
    pub(super) fn settle(&self, until: impl Fn() -> Option<Instant>) -> io::Result<u64> {
        let mut pause = Duration::from_micros(50);
        loop {
            let missing = self.unacknowledged()?;
            if self.ask_broken().is_some() || missing == 0 || until().is_some_and(|at| Instant::now() >= at) {
                return Ok(missing);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl AsFd for Connection<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket
    }
}
