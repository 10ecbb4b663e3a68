//! A connected stream of bytes, plain or under TLS, that never blocks by itself: the code that reads or writes waits with a
//! deadline.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustls::ClientConnection;

use super::connect::Connected;
use super::timespec;
use super::tls::TlsError;

/// A connection.
pub(crate) struct Stream {
    carrier: Carrier,
    secure: Option<Secure>,
}

/// What carries a session or plain bytes: a socket, or a session with a proxy over one.
struct Carrier {
    socket: Socket,
    proxy: Option<Secure>,
}

impl Carrier {
    fn wants_write(&self) -> bool {
        self.proxy.as_ref().is_some_and(|proxy| proxy.session.wants_write())
    }
}

impl Read for Carrier {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.proxy {
            Some(proxy) => proxy.read(&mut self.socket, bytes),
            None => self.socket.read(bytes),
        }
    }
}

impl Write for Carrier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.proxy {
            Some(proxy) => proxy.write(&mut self.socket, bytes),
            None => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.proxy {
            Some(proxy) => proxy.send(&mut self.socket),
            None => Ok(()),
        }
    }
}

struct Secure {
    session: Box<ClientConnection>,
    host: String,
    ahead: ReadAhead,
}

/// What was read from the socket and not yet given to the session, which asks for 4 KiB at a time: a record of TLS would cost
/// four or five reads.
#[derive(Default)]
struct ReadAhead {
    bytes: Vec<u8>,
    /// Where what is left begins, and where it ends.
    at: usize,
    end: usize,
}

/// How much is read ahead.
const AHEAD: usize = 64 * 1024;

/// The socket behind what was read ahead of it.
struct Buffered<'a, R>(&'a mut R, &'a mut ReadAhead);

impl<R: Read> Read for Buffered<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Self(socket, ahead) = self;
        if ahead.at == ahead.end {
            ahead.bytes.resize(AHEAD, 0);
            (ahead.at, ahead.end) = (0, 0);
            ahead.end = socket.read(&mut ahead.bytes)?;
        }
        let length = bytes.len().min(ahead.end - ahead.at);
        bytes[..length].copy_from_slice(&ahead.bytes[ahead.at..ahead.at + length]);
        ahead.at += length;
        Ok(length)
    }
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
        Ok(Self { carrier: Carrier { socket: Socket(connected.fd, connected.broken), proxy: None }, secure: None })
    }

    /// Shakes hands: the session stands when this returns.
    ///
    /// # Errors
    /// A [`TlsError`] inside the error where the peer or its certificate is to blame; `TimedOut` at the deadline.
    pub(crate) fn secure(&mut self, session: ClientConnection, host: &str, until: Instant) -> io::Result<()> {
        let mut secure = Secure { session: Box::new(session), host: host.to_owned(), ahead: ReadAhead::default() };
        while secure.session.is_handshaking() || secure.session.wants_write() || self.carrier.wants_write() {
            if secure.session.wants_write() || self.carrier.wants_write() {
                match secure.send(&mut self.carrier).and_then(|()| self.carrier.flush()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.wait(PollFlags::OUT, Some(until))?;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            }
            match secure.receive(&mut self.carrier) {
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

    /// The session that stands is one with a proxy, and carries what follows. There is at most one of those.
    pub(crate) fn enter_tunnel(&mut self) {
        self.carrier.proxy = self.secure.take();
    }

    /// Whether the bytes of the socket are those of the conversation.
    pub(crate) fn is_plain(&self) -> bool {
        self.secure.is_none() && self.carrier.proxy.is_none()
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
        self.wait_or(interest, None, until)
    }

    /// The same, or until a file can be read.
    pub(crate) fn wait_or(&self, interest: PollFlags, file: Option<&File>, until: Option<Instant>) -> io::Result<()> {
        let socket = PollFd::new(&self.carrier.socket.0, interest);
        let both = file.map(|file| [socket.clone(), PollFd::new(file, PollFlags::IN)]);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // What is ready is taken even at the deadline; poll(2) looks once without waiting.
            let found = match both.clone() {
                Some(mut both) => poll(&mut both, left.map(timespec).as_ref()),
                None => poll(&mut [socket.clone()], left.map(timespec).as_ref()),
            };
            match found {
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
        match &mut self.secure {
            Some(secure) => secure.read(&mut self.carrier, bytes),
            None => self.carrier.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.secure {
            Some(secure) => secure.write(&mut self.carrier, bytes),
            None => self.carrier.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(secure) = &mut self.secure {
            secure.send(&mut self.carrier)?;
        }
        self.carrier.flush()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.carrier.socket.0.as_fd()
    }
}

impl Secure {
    /// Reads what is there.
    fn read(&mut self, carrier: &mut (impl Read + Write), bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            self.receive(carrier)?;
            // An answer to what came, such as a new key; if the socket takes none now, the next write carries it.
            let _ = self.send(carrier);
        }
    }

    /// Writes what can be taken: the session keeps what the socket does not take, and a little of that is enough.
    fn write(&mut self, carrier: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        self.send(carrier)?;
        let taken = self.session.writer().write(bytes)?;
        match self.send(carrier) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Takes what the socket has into the session; 0 at the end of the stream.
    fn receive(&mut self, socket: &mut (impl Read + Write)) -> io::Result<usize> {
        let length = self.session.read_tls(&mut Buffered(socket, &mut self.ahead))?;
        if let Err(error) = self.session.process_new_packets() {
            // The peer is told why, if it still listens.
            let _ = self.session.write_tls(socket);
            return Err(TlsError::of(&error, &self.host).into());
        }
        Ok(length)
    }

    fn send(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(socket)?;
        }
        Ok(())
    }
}
