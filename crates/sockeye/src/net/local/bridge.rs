//! Between a stream socket and what is none: a pipe, a file, a terminal. A thread for each direction, since a file is never
//! ready and always so.

use std::fmt;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::termios::isatty;

use super::super::timespec;
use crate::limits;
use crate::sink;
use crate::sys::terminal::{TypedLine, line_too_long};

/// Bytes moved at once.
const PIECE: usize = 64 * 1024;
/// How often it is looked whether all was written, once the end came.
const LOOK: Duration = Duration::from_millis(100);

/// Why not everything passed.
#[derive(Debug)]
pub(crate) enum Broken {
    Input(io::Error),
    Output(io::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => write!(f, "cannot read: {}", super::super::words(error)),
            Self::Output(error) => write!(f, "cannot write: {}", super::super::words(error)),
        }
    }
}

/// One that stands.
#[derive(Debug)]
pub(super) struct Bridge {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// The end of the pair that is not the conversation's.
    socket: UnixStream,
    /// The conversation's end came, and all before it is written.
    is_written: AtomicBool,
    /// Why not everything passed.
    broken: Mutex<Option<Broken>>,
    /// What is written to is a terminal that a program has.
    is_master: bool,
    /// That terminal, once the program has left it. Many close it shortly before they end, and would be hung up (tty(4)) if it were
    /// closed here too.
    left: OnceLock<OwnedFd>,
}

impl Bridge {
    /// Whether all that was to be written is, or cannot be.
    pub(super) fn is_over(&self) -> bool {
        self.state.is_written.load(Ordering::Acquire)
    }

    /// Why not everything passed, if it did not.
    pub(super) fn leave(self) -> Option<Broken> {
        // A thread that still reads, or waits to write, is to stop.
        let _ = self.state.socket.shutdown(Shutdown::Both);
        self.state.broken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A socket that leads to an input and an output.
pub(super) fn to(input: Option<OwnedFd>, output: Option<OwnedFd>) -> io::Result<(OwnedFd, Bridge)> {
    build(input, output, false)
}

/// A socket that leads to one descriptor, either way as far as that goes.
pub(super) fn over(fd: OwnedFd) -> io::Result<(OwnedFd, Bridge)> {
    let mode = fcntl_getfl(&fd)? & OFlags::RWMODE;
    let is_master = rustix::pty::ptsname(&fd, Vec::new()).is_ok();
    if mode == OFlags::RDONLY {
        return build(Some(fd), None, false);
    }
    if mode == OFlags::WRONLY {
        return build(None, Some(fd), false);
    }
    let input = fd.try_clone()?;
    build(Some(input), Some(fd), is_master)
}

fn build(input: Option<OwnedFd>, output: Option<OwnedFd>, is_master: bool) -> io::Result<(OwnedFd, Bridge)> {
    let (ours, theirs) = super::pair()?;
    let is_written = AtomicBool::new(false);
    let socket = UnixStream::from(theirs);
    let state = Arc::new(State { socket, is_written, broken: Mutex::new(None), is_master, left: OnceLock::new() });
    let bridge = Bridge { state: Arc::clone(&state) };
    let up = Arc::clone(&state);
    let thread = || std::thread::Builder::new().name("bridge".to_owned());
    thread().spawn(move || up.bring(input))?;
    if let Err(error) = thread().spawn(move || state.take(output)) {
        let _ = bridge.leave();
        return Err(error);
    }
    Ok((ours, bridge))
}

impl State {
    fn fail(&self, broken: Broken) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(broken);
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// What the input has is the conversation's, and so is its end.
    fn bring(&self, input: Option<OwnedFd>) {
        match input.map(|input| (self.copy(&input), input)) {
            Some((Err(Errno::IO), input)) if self.is_master => {
                let _ = self.left.set(input);
            }
            Some((Err(error), _)) => return self.fail(Broken::Input(error.into())),
            Some((Ok(()), _)) | None => {}
        }
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Until its end, or until nobody wants to hear it. A terminal that no program has open any more is an error, EIO.
    fn copy(&self, input: &OwnedFd) -> Result<(), Errno> {
        let mut piece = vec![0; PIECE];
        loop {
            if !self.wait(input)? {
                return Ok(());
            }
            let length = match rustix::io::read(input, &mut piece[..]) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(error) => return Err(error),
            };
            let mut bytes = &piece[..length];
            while !bytes.is_empty() {
                match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                    Ok(length) => bytes = &bytes[length..],
                    Err(Errno::INTR) => {}
                    // The conversation is over, which is told by the code that holds it.
                    Err(_) => return Ok(()),
                }
            }
        }
    }

    /// Waits for the input; false where there is no sense in it. A person who types is not waited for once the peer has ended, and
    /// another input that stays silent not for long.
    fn wait(&self, input: &OwnedFd) -> Result<bool, Errno> {
        let is_typed = !self.is_master && isatty(input);
        let (mut has_heard_end, mut quiet) = (false, Duration::ZERO);
        loop {
            let has_ended = self.is_written.load(Ordering::Acquire) && !self.is_master;
            if has_ended && (is_typed || quiet >= limits::INPUT_WAIT) {
                return Ok(false);
            }
            let what = if has_heard_end { PollFlags::empty() } else { PollFlags::RDHUP };
            let mut both = [PollFd::new(input, PollFlags::IN), PollFd::new(&self.socket, what)];
            // No event tells that all was written.
            let time = (has_heard_end && !self.is_master).then(|| timespec(LOOK));
            match poll(&mut both, time.as_ref()) {
                Ok(0) if has_ended => quiet += LOOK,
                Ok(0) | Err(Errno::INTR) => {}
                // Both ends of the conversation are there.
                Ok(_) if both[1].revents().intersects(PollFlags::HUP | PollFlags::ERR) => return Ok(false),
                Ok(_) if !both[0].revents().is_empty() => return Ok(true),
                Ok(_) => has_heard_end = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// What is said goes to the output, and so does its end.
    fn take(&self, output: Option<OwnedFd>) {
        let mut piece = vec![0; PIECE];
        let (mut line, mut has_failed) = (TypedLine::default(), false);
        let (mut writer, output) =
            match output.map(|output| if self.is_master { Err(output) } else { sink::harmless(output) }) {
                Some(Ok(writer)) => (Some(writer), None),
                Some(Err(output)) => (None, Some(output)),
                None => (None, None),
            };
        loop {
            let length = match recv(&self.socket, &mut piece[..], RecvFlags::empty()) {
                Ok((0, _)) => break,
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            let written = match (&mut writer, &output) {
                (Some(writer), _) => writer.write_all(&piece[..length]).and_then(|()| writer.flush()),
                (_, Some(terminal)) if self.is_master => self.type_at(terminal, &mut line, &piece[..length]),
                (_, Some(output)) => sink::write_all(output.as_fd(), &piece[..length]),
                (None, None) => Err(io::Error::other("it is only read")),
            };
            match written {
                Ok(()) => {}
                // The program has ended, and its terminal with it.
                Err(error) if self.is_master && Errno::from_io_error(&error) == Some(Errno::IO) => break,
                Err(error) => {
                    self.fail(Broken::Output(error));
                    has_failed = true;
                    break;
                }
            }
        }
        if let (Some(output), true, false) = (&output, self.is_master, has_failed) {
            let _ = sink::write_all(output.as_fd(), line.end(output, &[]));
        }
        drop((writer, output));
        self.is_written.store(true, Ordering::Release);
    }

    /// Types at the terminal of a program. A line that it would cut waits a while for the program to read bytes instead of lines.
    fn type_at(&self, terminal: &OwnedFd, line: &mut TypedLine, mut bytes: &[u8]) -> io::Result<()> {
        let mut until = None;
        while !bytes.is_empty() {
            let room = line.room(terminal, bytes);
            sink::write_all(terminal.as_fd(), &bytes[..room])?;
            line.add(&bytes[..room]);
            bytes = &bytes[room..];
            if room > 0 {
                until = None;
            } else if Instant::now() >= *until.get_or_insert_with(|| Instant::now() + limits::LONG_LINE_WAIT) {
                return Err(line_too_long());
            } else {
                std::thread::sleep(limits::LONG_LINE_LOOK);
            }
        }
        Ok(())
    }
}
