//! Bytes between a socket and standard input or output that never pass through our memory: splice(2), sendfile(2).
//! What it cannot do it leaves untouched, for the code that copies.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::fs::{FileType, fstat, sendfile};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::Progress;
use crate::net::secured::Unreceived;
use crate::net::tls::TlsError;
use crate::sink::Sink;

/// Bytes moved at once, and what a pipe should hold: the system's usual bound.
const MOST: usize = 1 << 20;
/// Bytes that are read at once where they cannot be moved.
const READ: usize = 1 << 16;

/// Why nothing was received.
#[derive(Debug)]
pub(super) enum Failed {
    /// The socket says so; `EAGAIN` also if the output has no room.
    Socket(Errno),
    Output(io::Error),
    /// The end came without being said, under TLS or inside a WebSocket.
    Cut,
    /// What came breaks TLS.
    Tls(TlsError),
}

impl From<Unreceived> for Failed {
    fn from(why: Unreceived) -> Self {
        match why {
            Unreceived::Socket(error) => Self::Socket(error),
            Unreceived::Cut => Self::Cut,
            Unreceived::Tls(error) => Self::Tls(error),
        }
    }
}

/// From a socket to a descriptor.
#[derive(Debug)]
pub(super) struct Receiver<'a> {
    socket: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
    /// What lies between them if the output is no pipe: its end to read from, and its end to write to.
    between: Option<(OwnedFd, OwnedFd)>,
    /// It was waited for since something was moved.
    has_waited: bool,
}

impl<'a> Receiver<'a> {
    /// `None` if the output is of a kind that bytes are copied to.
    pub(super) fn new(socket: BorrowedFd<'a>, output: BorrowedFd<'a>) -> Option<Self> {
        let between = match kind(output)? {
            FileType::Fifo => {
                let _ = fcntl_setpipe_size(output, MOST);
                None
            }
            FileType::RegularFile | FileType::CharacterDevice if !rustix::termios::isatty(output) => {
                let pipe = pipe_with(PipeFlags::CLOEXEC).ok()?;
                let _ = fcntl_setpipe_size(&pipe.1, MOST);
                Some(pipe)
            }
            _ => return None,
        };
        Some(Self { socket, output, between, has_waited: false })
    }

    /// Moves what is there; 0 is the end of the stream. `None` if this pair cannot: nothing was lost, copy from now on.
    pub(super) fn receive(&mut self, progress: &Progress) -> Option<Result<usize, Failed>> {
        let has_waited = std::mem::take(&mut self.has_waited);
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let to = self.between.as_ref().map_or(self.output, |(_, to)| to.as_fd());
        match splice(self.socket, None, to, None, MOST, flags) {
            // Most often nothing is there, and the caller waits.
            Err(Errno::AGAIN) if !has_waited => Some(Err(Failed::Socket(Errno::AGAIN))),
            Ok(0) | Err(Errno::AGAIN) => Some(self.read_on(progress)),
            Ok(length) => {
                progress.received_more(length);
                Some(self.pass_on(length).map(|()| length))
            }
            Err(Errno::INVAL) => None,
            // A pipe without a reader says so though nothing came that it should take: the code that copies sees what came first.
            Err(Errno::PIPE) if self.between.is_none() => None,
            Err(error) => Some(Err(Failed::Socket(error))),
        }
    }

    /// Nothing could be moved: there is nothing, the stream has ended, the output has no room, or an urgent byte stands next, which
    /// only reading goes past (tcp(7)).
    fn read_on(&self, progress: &Progress) -> Result<usize, Failed> {
        let peeked =
            recv(self.socket, &mut [0; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT).map_err(Failed::Socket)?.1;
        if peeked == 0 {
            return Ok(0);
        }
        if self.room(Some(Instant::now())).is_err() {
            return Err(Failed::Socket(Errno::AGAIN));
        }
        let mut piece = vec![0; READ];
        let length = recv(self.socket, &mut piece[..], RecvFlags::DONTWAIT).map_err(Failed::Socket)?.1;
        progress.received_more(length);
        Sink::Descriptor(self.output).write_all(&piece[..length]).map_err(Failed::Output)?;
        Ok(length)
    }

    /// Waits until an output that is a pipe has room, or until this time.
    pub(super) fn wait_for_room(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.has_waited = true;
        self.room(until)
    }

    fn room(&self, until: Option<Instant>) -> io::Result<()> {
        if self.between.is_none() { crate::sink::wait_for_room(self.output, until) } else { Ok(()) }
    }

    fn pass_on(&self, mut inside: usize) -> Result<(), Failed> {
        let Some((from, _)) = &self.between else { return Ok(()) };
        while inside > 0 {
            match splice(from, None, self.output, None, inside, SpliceFlags::MOVE) {
                Ok(length) => inside -= length,
                Err(Errno::INTR) => {}
                // A file opened for appending, and many a device, takes bytes by write(2) only.
                Err(Errno::INVAL | Errno::AGAIN) => return self.copy_on(from, inside),
                Err(error) => return Err(Failed::Output(error.into())),
            }
        }
        Ok(())
    }

    fn copy_on(&self, from: &OwnedFd, mut inside: usize) -> Result<(), Failed> {
        let mut piece = vec![0; inside.min(MOST)];
        while inside > 0 {
            let most = inside.min(piece.len());
            let length = rustix::io::read(from, &mut piece[..most]).map_err(|error| Failed::Output(error.into()))?;
            Sink::Descriptor(self.output).write_all(&piece[..length]).map_err(Failed::Output)?;
            inside -= length;
        }
        Ok(())
    }
}

/// From a descriptor to a socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    input: BorrowedFd<'a>,
    is_pipe: bool,
}

impl<'a> Sender<'a> {
    /// `None` if the input is of a kind that bytes are copied from.
    pub(super) fn new(input: BorrowedFd<'a>) -> Option<Self> {
        let is_pipe = match kind(input)? {
            FileType::Fifo => true,
            FileType::RegularFile => false,
            _ => return None,
        };
        if is_pipe {
            let _ = fcntl_setpipe_size(input, MOST);
        }
        Some(Self { input, is_pipe })
    }

    /// Moves what is there, as much as the socket takes; 0 is the end of the input.
    ///
    /// # Errors
    /// `EAGAIN` if the socket has no room. After any other, copying tells whose error it is.
    pub(super) fn send(self, socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        if self.is_pipe {
            return splice(self.input, None, socket, None, MOST, SpliceFlags::MOVE | SpliceFlags::NONBLOCK);
        }
        sendfile(socket, self.input, None, MOST)
    }
}

/// What sort of file it is.
pub(super) fn kind(fd: BorrowedFd<'_>) -> Option<FileType> {
    fstat(fd).ok().map(|found| FileType::from_raw_mode(found.st_mode))
}
