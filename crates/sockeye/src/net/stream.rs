//! A connected stream of bytes, plain or under TLS, that never blocks by itself: whoever reads or writes waits with a
//! deadline.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustls::ClientConnection;

use super::connect::{Connected, timespec};
use super::tls::TlsError;

/// A connection.
pub(crate) struct Stream {
    socket: Socket,
    secure: Option<Secure>,
}

struct Secure {
    session: Box<ClientConnection>,
    host: String,
}

/// The socket as the standard library's traits see it, and why it was broken from the beginning.
struct Socket(OwnedFd, Option<Errno>);

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match again(|| rustix::io::read(&self.0, &mut *bytes))? {
            // What looks like an end is none: the reset was told when it connected.
            0 if !bytes.is_empty() => self.1.map_or(Ok(0), |error| Err(error.into())),
            length => Ok(length),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        again(|| rustix::net::send(&self.0, bytes, rustix::net::SendFlags::NOSIGNAL))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn again(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

impl Stream {
    /// Over a connected socket.
    pub(crate) fn plain(connected: Connected) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&connected.fd, true)?;
        Ok(Self { socket: Socket(connected.fd, connected.broken), secure: None })
    }

    /// Shakes hands: the session stands when this returns.
    ///
    /// # Errors
    /// A [`TlsError`] inside the error where the peer or its certificate is to blame; `TimedOut` at the deadline.
    pub(crate) fn secure(&mut self, session: ClientConnection, host: &str, until: Instant) -> io::Result<()> {
        let mut secure = Secure { session: Box::new(session), host: host.to_owned() };
        while secure.session.is_handshaking() || secure.session.wants_write() {
            if secure.session.wants_write() {
                match secure.session.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.wait(PollFlags::OUT, Some(until))?;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            }
            match secure.receive(&mut self.socket) {
                Ok(0) => return Err(TlsError::cut(host).into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN, Some(until))?;
                }
                Err(error) => return Err(error),
            }
        }
        self.secure = Some(secure);
        Ok(())
    }

    /// Whether the bytes of the socket are those of the conversation.
    pub(crate) fn is_plain(&self) -> bool {
        self.secure.is_none()
    }

    /// Whether both ends have agreed on HTTP/2 (ALPN, RFC 7301).
    pub(crate) fn speaks_http2(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| secure.session.alpn_protocol() == Some(b"h2"))
    }

    /// Waits until the socket is ready.
    ///
    /// # Errors
    /// `TimedOut` at the deadline.
    pub(crate) fn wait(&self, interest: PollFlags, until: Option<Instant>) -> io::Result<()> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // What is ready is taken even at the deadline; poll(2) looks once without waiting.
            match poll(&mut [PollFd::new(&self.socket.0, interest)], left.map(timespec).as_ref()) {
                Ok(0) if left == Some(Duration::ZERO) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for Stream {
    /// Reads what is there. Under TLS an end without close_notify is `UnexpectedEof` (RFC 8446, section 6.1).
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(secure) = &mut self.secure else { return self.socket.read(bytes) };
        loop {
            match secure.session.reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            secure.receive(&mut self.socket)?;
            // An answer to what came, such as a new key; if the socket takes none now, the next write carries it.
            let _ = secure.send(&mut self.socket);
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(secure) = &mut self.secure else { return self.socket.write(bytes) };
        // The session keeps what the socket does not take; a little of that is enough.
        secure.send(&mut self.socket)?;
        let taken = secure.session.writer().write(bytes)?;
        match secure.send(&mut self.socket) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.secure {
            Some(secure) => secure.send(&mut self.socket),
            None => Ok(()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.0.as_fd()
    }
}

impl Secure {
    /// Takes what the socket has into the session; 0 at the end of the stream.
    fn receive(&mut self, socket: &mut Socket) -> io::Result<usize> {
        let length = self.session.read_tls(socket)?;
        if let Err(error) = self.session.process_new_packets() {
            // The peer is told why, if it still listens.
            let _ = self.session.write_tls(socket);
            return Err(TlsError::of(&error, &self.host).into());
        }
        Ok(length)
    }

    fn send(&mut self, socket: &mut Socket) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(socket)?;
        }
        Ok(())
    }
}
