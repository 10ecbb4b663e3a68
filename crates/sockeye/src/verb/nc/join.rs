//! Joins a socket to standard input and output: one poll(2) over both ends and both directions.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::options::Transport;
use super::{Fatal, Nc};
use crate::sys::bsd::socket::{self, Fd};

/// What each direction may hold.
const BUFFER: usize = 16 * 1024;
/// Not polled any more.
const GONE: Fd = -1;

const STDIN: usize = 0;
const NET_OUT: usize = 1;
const NET_IN: usize = 2;
const STDOUT: usize = 3;

/// How a conversation was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The socket is open.
    Open,
    /// The socket was closed, and `-q` waited.
    Closed,
    /// `-q` has passed: the program ends.
    Quit,
}

impl Left {
    /// Closes the socket unless that was done.
    pub(super) fn close(self, fd: Fd) {
        if self == Self::Open {
            socket::close(fd);
        }
    }
}

/// One direction's bytes on their way.
struct Buffer {
    bytes: Box<[u8; BUFFER]>,
    length: usize,
}

/// What came of one read or write.
#[derive(PartialEq, Eq)]
enum IoOutcome {
    Some,
    End,
    /// Nothing now: the call would have to wait, or was interrupted.
    Later,
    Failed,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: Box::new([0; BUFFER]), length: 0 }
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn is_full(&self) -> bool {
        self.length == BUFFER
    }

    fn held(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn fill(&mut self, fd: Fd) -> IoOutcome {
        match socket::read(fd, &mut self.bytes[self.length..]) {
            Ok(0) => IoOutcome::End,
            Ok(count) => {
                self.length += count;
                IoOutcome::Some
            }
            Err(error) => IoOutcome::unless_later(&error),
        }
    }

    /// Writes what is there, or if lines are treated one by one, the first of them.
    fn drain(&mut self, fd: Fd, lines: Lines) -> Result<IoOutcome, Fatal> {
        let end = if lines.are_apart() { self.held().iter().position(|byte| *byte == b'\n') } else { None };
        let adds_return = lines.crlf && end.is_some_and(|end| end == 0 || self.bytes[end - 1] != b'\r');
        let wanted = match end {
            Some(end) if adds_return => end,
            Some(end) => end + 1,
            None => self.length,
        };
        let mut gone = 0;
        if wanted > 0 {
            gone = match socket::write(fd, &self.bytes[..wanted]) {
                Ok(0) => return Ok(IoOutcome::End),
                Ok(count) => count,
                Err(error) => return Ok(IoOutcome::unless_later(&error)),
            };
        }
        let is_whole = gone == wanted && end.is_some();
        if is_whole && adds_return {
            write_all(fd, b"\r\n")
                .map_err(|failed| Fatal::at(format!("write failed ({}/2)", failed.count), &failed.error))?;
            gone += 1;
        }
        if is_whole && !lines.interval.is_zero() {
            sleep(lines.interval);
        }
        self.bytes.copy_within(gone..self.length, 0);
        self.length -= gone;
        Ok(IoOutcome::Some)
    }
}

impl IoOutcome {
    fn unless_later(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Self::Later,
            _ => Self::Failed,
        }
    }
}

/// What happens between lines.
#[derive(Clone, Copy, Default)]
struct Lines {
    crlf: bool,
    interval: Duration,
}

impl Lines {
    fn are_apart(self) -> bool {
        self.crlf || !self.interval.is_zero()
    }
}

impl Nc<'_> {
    /// Carries bytes both ways until one of nc's reasons to end. The order of the steps is what scripts know it by.
    pub(super) fn join(&mut self, net: Fd) -> Result<Left, Fatal> {
        let options = self.options;
        let entry = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let stdin = if options.no_stdin { GONE } else { 0 };
        let mut fds = [entry(stdin, libc::POLLIN), entry(net, 0), entry(net, libc::POLLIN), entry(1, 0)];
        let (mut to_net, mut to_stdout) = (Buffer::new(), Buffer::new());
        let lines = Lines { crlf: options.crlf, interval: options.interval };
        let mut left = Left::Open;
        let mut end: Option<Instant> = None;
        loop {
            let nothing_held = to_net.is_empty() && to_stdout.is_empty();
            let both_inputs_gone = fds[STDIN].fd == GONE && fds[NET_IN].fd == GONE && nothing_held;
            let both_outputs_gone = fds[NET_OUT].fd == GONE && fds[STDOUT].fd == GONE;
            let client_gone = options.listen && fds[NET_IN].fd == GONE && nothing_held;
            if both_inputs_gone || both_outputs_gone || client_gone {
                let Some(quit) = options.quit.filter(|quit| !quit.is_zero()) else { return Ok(left) };
                left.close(net);
                left = Left::Closed;
                for entry in fds.iter_mut().filter(|entry| entry.fd == net) {
                    entry.fd = GONE;
                }
                end = Some(Instant::now() + quit);
            }

            match wait(&mut fds, options.poll_timeout(), end)? {
                Waited::Ready => {}
                Waited::TimedOut => return Ok(left),
                Waited::Quit => return Ok(Left::Quit),
            }
            self.drop_what_hung_up(&mut fds);

            if fds[STDIN].revents & libc::POLLIN != 0 && !to_net.is_full() {
                read_stdin(&mut fds, &mut to_net);
            }
            if fds[NET_OUT].revents & libc::POLLOUT != 0 && !to_net.is_empty() {
                write_out(&mut fds, (NET_OUT, STDIN), &mut to_net, lines)?;
            }
            if fds[NET_IN].revents & libc::POLLIN != 0 && !to_stdout.is_full() {
                self.receive(&mut fds, &mut to_stdout);
            }
            if fds[STDOUT].revents & libc::POLLOUT != 0 && !to_stdout.is_empty() {
                write_out(&mut fds, (STDOUT, NET_IN), &mut to_stdout, Lines::default())?;
            }

            if fds[STDIN].fd == GONE && to_net.is_empty() {
                self.stop_sending(&mut fds, to_stdout.is_empty());
            }
            if fds[NET_IN].fd == GONE && to_stdout.is_empty() {
                fds[STDOUT].fd = GONE;
            }
        }
    }

    /// All of standard input has left.
    fn stop_sending(&mut self, fds: &mut [libc::pollfd; 4], all_written: bool) {
        let options = self.options;
        if fds[NET_OUT].fd != GONE && options.shutdown {
            socket::shutdown(fds[NET_OUT].fd, libc::SHUT_WR);
        }
        fds[NET_OUT].fd = GONE;
        let is_asked_to_quit = (options.listen || options.transport == Transport::Udp) && options.quit.is_some();
        if is_asked_to_quit && fds[NET_IN].fd != GONE && all_written {
            socket::shutdown(fds[NET_IN].fd, libc::SHUT_RD);
            fds[NET_IN].fd = GONE;
            self.keeps_listening = false;
        }
    }

    fn receive(&mut self, fds: &mut [libc::pollfd; 4], to_stdout: &mut Buffer) {
        match to_stdout.fill(fds[NET_IN].fd) {
            IoOutcome::Failed => fds[NET_IN].fd = GONE,
            IoOutcome::End => {
                socket::shutdown(fds[NET_IN].fd, libc::SHUT_RD);
                fds[NET_IN].fd = GONE;
            }
            IoOutcome::Some | IoOutcome::Later => {}
        }
        if let Some(most) = self.options.receive_limit {
            self.received = self.received.saturating_add(1);
            if self.received >= most {
                if fds[NET_IN].fd != GONE {
                    socket::shutdown(fds[NET_IN].fd, libc::SHUT_RD);
                }
                fds[NET_IN].fd = GONE;
                fds[STDIN].fd = GONE;
            }
        }
        if !to_stdout.is_empty() {
            fds[STDOUT].events = libc::POLLOUT;
        }
        if to_stdout.is_full() {
            fds[NET_IN].events = 0;
        }
        if self.options.telnet {
            self.decline(fds[NET_IN].fd, to_stdout.held());
        }
    }

    /// What the last poll said of ends that are no more.
    fn drop_what_hung_up(&self, fds: &mut [libc::pollfd; 4]) {
        for entry in fds.iter_mut() {
            if entry.revents & (libc::POLLERR | libc::POLLNVAL) != 0 {
                entry.fd = GONE;
            }
        }
        // What was sent before can still be read.
        for input in [STDIN, NET_IN] {
            let entry = &mut fds[input];
            let has_hung_up = entry.revents & (libc::POLLHUP | libc::POLLIN) == libc::POLLHUP;
            if entry.events & libc::POLLIN != 0 && has_hung_up {
                entry.fd = GONE;
            }
        }
        if fds[NET_OUT].revents & libc::POLLHUP != 0 {
            if self.options.shutdown {
                socket::shutdown(fds[NET_OUT].fd, libc::SHUT_WR);
            }
            fds[NET_OUT].fd = GONE;
        }
        if fds[STDOUT].revents & libc::POLLHUP != 0 {
            fds[STDOUT].fd = GONE;
        }
        if fds[NET_OUT].fd == GONE {
            fds[STDIN].fd = GONE;
        }
        if fds[STDOUT].fd == GONE {
            if fds[NET_IN].fd != GONE {
                socket::shutdown(fds[NET_IN].fd, libc::SHUT_RD);
            }
            fds[NET_IN].fd = GONE;
        }
    }
}

fn read_stdin(fds: &mut [libc::pollfd; 4], to_net: &mut Buffer) {
    if matches!(to_net.fill(fds[STDIN].fd), IoOutcome::End | IoOutcome::Failed) {
        fds[STDIN].fd = GONE;
    }
    if !to_net.is_empty() {
        fds[NET_OUT].events = libc::POLLOUT;
    }
    if to_net.is_full() {
        fds[STDIN].events = 0;
    }
}

/// Writes what is held to one end, and lets the other one be read again where there is room.
fn write_out(
    fds: &mut [libc::pollfd; 4],
    (to, from): (usize, usize),
    held: &mut Buffer,
    lines: Lines,
) -> Result<(), Fatal> {
    if held.drain(fds[to].fd, lines)? == IoOutcome::Failed {
        fds[to].fd = GONE;
    }
    if held.is_empty() {
        fds[to].events = 0;
    }
    if !held.is_full() {
        fds[from].events = libc::POLLIN;
    }
    Ok(())
}

enum Waited {
    Ready,
    TimedOut,
    Quit,
}

/// Waits for any of them, for `-w`, or for the end of `-q`.
fn wait(fds: &mut [libc::pollfd; 4], timeout: i32, end: Option<Instant>) -> Result<Waited, Fatal> {
    let until_end = end.map(|end| {
        let left = end.saturating_duration_since(Instant::now());
        // Rounded up, so that it is not asked again for less than a millisecond.
        i32::try_from(left.as_millis().saturating_add(1)).unwrap_or(i32::MAX)
    });
    let quits_first = until_end.is_some_and(|end| timeout < 0 || end < timeout);
    let timeout = if quits_first { until_end.unwrap_or(timeout) } else { timeout };
    match socket::poll(fds, timeout) {
        Ok(0) if quits_first => Ok(Waited::Quit),
        Ok(0) => Ok(Waited::TimedOut),
        Ok(_) => Ok(Waited::Ready),
        Err(error) => Err(Fatal::at("polling error", &error)),
    }
}

/// How far a transfer that had to be whole went.
pub(super) struct Failed {
    pub(super) count: usize,
    pub(super) error: io::Error,
}

/// Writes all of it, waiting where the socket takes no more.
pub(super) fn write_all(fd: Fd, bytes: &[u8]) -> Result<(), Failed> {
    whole(fd, bytes.len(), libc::POLLOUT, |done| socket::write(fd, &bytes[done..]))
}

/// Reads as much as there is room for.
pub(super) fn read_exact(fd: Fd, into: &mut [u8]) -> Result<(), Failed> {
    whole(fd, into.len(), libc::POLLIN, |done| socket::read(fd, &mut into[done..]))
}

fn whole(fd: Fd, wanted: usize, events: i16, mut some: impl FnMut(usize) -> io::Result<usize>) -> Result<(), Failed> {
    let mut count = 0;
    while count < wanted {
        match some(count) {
            Ok(0) => return Err(Failed { count, error: io::Error::from_raw_os_error(libc::EPIPE) }),
            Ok(more) => count += more,
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    let _ = socket::wait_for(fd, events, -1);
                }
                // nc says 0 here, however much had gone before.
                _ => return Err(Failed { count: 0, error }),
            },
        }
    }
    Ok(())
}
