//! Datagrams joined to standard input and output: a line in is a datagram out, a datagram in is a line out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::peer::Peer;
use super::stream::of_output;
use super::{Ending, Eol, Options, Outcome, Sink, Unsent, input};
use crate::net::connect::{Connected, timespec};
use crate::sys::datagrams::Inbox;

/// Larger than any datagram over IP, so that none is cut.
const LARGEST: usize = 65_536;

/// How sending ended.
enum Up {
    Ended,
    Failed(Ending),
}

/// Joins a client's datagram socket to an input and an output, until the input has ended and it has been quiet.
pub fn talk(connected: &Connected, input: BorrowedFd<'_>, sink: &mut Sink<'_>, options: &Options) -> Outcome {
    match Peer::new(connected) {
        Ok(peer) => talk_with(peer, input, sink, options),
        Err(error) => {
            let ending = Ending::SendFailed(error.into());
            Outcome { ending, sent: 0, received: 0, unsent: input::left(input), dropped: 0, first_end: None }
        }
    }
}

/// The same with a peer that is known.
pub(super) fn talk_with(peer: Peer<'_>, input: BorrowedFd<'_>, sink: &mut Sink<'_>, options: &Options) -> Outcome {
    let (sent, received) = (options.progress.sent(), options.progress.received());
    let deadline = options.timeout.map(|time| Instant::now() + time);
    peer.take_many();
    let dropped = options.progress.dropped();
    let mut drops = Drops { counted: peer.drops_before() };
    let (ending, unsent) = match pipe_with(PipeFlags::CLOEXEC) {
        Ok((wake, waker)) => std::thread::scope(|scope| {
            let peer = &peer;
            let (report, up) = channel();
            let quit = waker.as_fd();
            // The sender tells of its end through the channel and by the pipe, on which the receiver waits.
            let (stop, stopper) = match pipe_with(PipeFlags::CLOEXEC) {
                Ok(pipe) => pipe,
                Err(error) => return (Ending::SendFailed(error.into()), Unsent::default()),
            };
            if let Err(error) = input::beside(scope, move || send_lines(peer, input, stop, &report, quit, options)) {
                return (Ending::InputFailed(error), Unsent::default());
            }
            let ending = receive(peer, sink, wake.as_fd(), &up, deadline, &mut drops, options);
            drop(stopper);
            options.progress.strangers.fetch_add(peer.ignored(), Ordering::Relaxed);
            drops.count(peer, options);
            let complete = matches!(ending, Ending::Done | Ending::NoAnswer(_));
            let unsent = if complete { Unsent::default() } else { input::left(input) };
            (ending, unsent)
        }),
        Err(error) => (Ending::SendFailed(error.into()), Unsent::default()),
    };
    let (sent, received) = (options.progress.sent() - sent, options.progress.received() - received);
    let dropped = options.progress.dropped() - dropped;
    Outcome { ending, sent, received, unsent, dropped, first_end: None }
}

/// What the kernel dropped, and how much of it is counted already.
struct Drops {
    counted: u32,
}

impl Drops {
    fn count(&mut self, peer: &Peer<'_>, options: &Options) {
        let now = peer.drops();
        let more = now.wrapping_sub(std::mem::replace(&mut self.counted, now));
        options.progress.dropped.fetch_add(more.into(), Ordering::Relaxed);
    }
}

/// Sends each line as a datagram.
fn send_lines(
    peer: &Peer<'_>,
    input: BorrowedFd<'_>,
    stop: OwnedFd,
    report: &Sender<Up>,
    quit: BorrowedFd<'_>,
    options: &Options,
) {
    let up = match lines(peer, input, &stop, options) {
        Ok(()) => Up::Ended,
        Err(ending) => Up::Failed(ending),
    };
    let _ = report.send(up);
    let _ = rustix::io::write(quit, &[0]);
}

fn lines(peer: &Peer<'_>, input: BorrowedFd<'_>, stop: &OwnedFd, options: &Options) -> Result<(), Ending> {
    let mut held = Vec::new();
    let mut buffer = vec![0; LARGEST];
    let mut number = 0;
    loop {
        let mut polled = [PollFd::new(&input, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut polled, None) {
            Ok(_) if !polled[1].revents().is_empty() => return Ok(()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(Ending::InputFailed(error.into())),
        }
        let length = match rustix::io::read(input, &mut buffer[..]) {
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Err(error) => return Err(Ending::InputFailed(error.into())),
        };
        held.extend_from_slice(&buffer[..length]);
        let mut start = 0;
        while let Some(found) = memchr::memchr(b'\n', &held[start..]) {
            let line = &held[start..start + found];
            number += 1;
            send_line(peer, line.strip_suffix(b"\r").unwrap_or(line), number, options)?;
            start += found + 1;
        }
        held.drain(..start);
        // A line that fits into no datagram is not waited for.
        if held.len() > LARGEST {
            return Err(Ending::TooLarge { line: number + 1, length: held.len() });
        }
        if length == 0 {
            if !held.is_empty() {
                send_line(peer, &held, number + 1, options)?;
            }
            return Ok(());
        }
    }
}

fn send_line(peer: &Peer<'_>, line: &[u8], number: u64, options: &Options) -> Result<(), Ending> {
    let ending: &[u8] = match options.eol {
        Eol::AsTyped | Eol::None => b"",
        Eol::Lf => b"\n",
        Eol::CrLf => b"\r\n",
    };
    let with_ending;
    let datagram = if ending.is_empty() {
        line
    } else {
        with_ending = [line, ending].concat();
        &with_ending
    };
    loop {
        match options.send_heard(datagram, |datagram| peer.send(datagram)) {
            Ok(length) => {
                options.progress.sent_more(length);
                return Ok(());
            }
            Err(Errno::INTR) => {}
            Err(Errno::CONNREFUSED) => return Err(Ending::PortClosed),
            Err(Errno::MSGSIZE) => return Err(Ending::TooLarge { line: number, length: datagram.len() }),
            // The interface's queue is full: it empties by itself.
            Err(Errno::NOBUFS | Errno::AGAIN) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(Ending::SendFailed(error.into())),
        }
    }
}

/// Takes answers until it is time to end.
fn receive(
    peer: &Peer<'_>,
    sink: &mut Sink<'_>,
    wake: BorrowedFd<'_>,
    up: &std::sync::mpsc::Receiver<Up>,
    deadline: Option<Instant>,
    drops: &mut Drops,
    options: &Options,
) -> Ending {
    let mut inbox = Inbox::new();
    let mut lines = Vec::new();
    let socket = peer.socket();
    let mut answers = 0_u64;
    let mut input_ended = false;
    let mut last = Instant::now();
    loop {
        let patience = if answers > 0 { options.quiet } else { options.first_answer };
        let quiet_at = input_ended.then(|| last + patience);
        let until = match (quiet_at, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let time = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
        let mut polled = [PollFd::new(&socket, PollFlags::IN), PollFd::new(&wake, PollFlags::IN)];
        let watched = if input_ended { &mut polled[..1] } else { &mut polled[..] };
        match poll(watched, time.as_ref()) {
            Err(Errno::INTR) => continue,
            Err(error) => return Ending::SendFailed(error.into()),
            Ok(0) if deadline.is_some_and(|at| Instant::now() >= at) => {
                return Ending::TimedOut(options.timeout.unwrap_or_default());
            }
            Ok(0) => return if answers > 0 { Ending::Done } else { Ending::NoAnswer(patience) },
            Ok(_) => {}
        }
        if !polled[1].revents().is_empty() && !input_ended {
            match up.recv() {
                Ok(Up::Ended) | Err(_) => {
                    input_ended = true;
                    last = last.max(Instant::now());
                }
                Ok(Up::Failed(ending)) => return ending,
            }
        }
        lines.clear();
        let received = peer.receive_many(&mut inbox, |datagram| {
            options.progress.received_more(datagram.len());
            options.heard_received(datagram);
            add_line(&mut lines, datagram, options.eol);
        });
        match received {
            Ok(0) => {}
            Ok(count) => {
                answers += count as u64;
                last = Instant::now();
                // At once: whoever interrupts reads it, too.
                drops.count(peer, options);
                if let Err(error) = sink.write_until(&lines, deadline) {
                    return of_output(error, options);
                }
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INTR | Errno::AGAIN) => {}
                Some(Errno::CONNREFUSED) => return Ending::PortClosed,
                _ => return Ending::SendFailed(error),
            },
        }
    }
}

/// Adds a datagram as a line: with an ending, unless it has one or was asked for as it came.
pub(super) fn add_line(lines: &mut Vec<u8>, datagram: &[u8], eol: Eol) {
    lines.extend_from_slice(datagram);
    if eol != Eol::None && !datagram.ends_with(b"\n") {
        lines.push(b'\n');
    }
}
