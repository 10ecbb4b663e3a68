//! A stream joined to standard input and output. The directions run on threads of their own, so that neither can hold
//! up the other; half-close is kept apart from close, and what did not arrive is counted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use rustix::pipe::{PipeFlags, pipe_with};

use super::input::{self, Endings};
use super::spliced::{self, Failed};
use super::{Ending, Options, Outcome, Sink, Unsent};
use crate::net::connect::timespec;
use crate::sys::queue;

/// Bytes a read takes at once.
const BUFFER: usize = 256 * 1024;
/// How long a peer that has ended may take nothing before we stop sending to it.
const STUCK: Duration = Duration::from_secs(10);
/// How long a peer that has ended, but may still listen, waits for a pipe that has nothing at the moment.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the peer's system may take to acknowledge the last bytes once its program has ended.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);

/// How the sending direction ended.
#[derive(Debug)]
enum Up {
    /// Standard input ended, and our end was shut.
    Ended,
    /// The peer ended, and standard input had nothing more.
    Idle,
    /// The peer took no more of what we had in hand.
    Broken { in_hand: usize },
    /// Standard input could not be read.
    InputFailed(io::Error),
}

/// Joins a connected stream to an input and an output until both directions have ended.
pub fn talk(socket: &OwnedFd, input: BorrowedFd<'_>, sink: &mut Sink<'_>, options: &Options) -> Outcome {
    let deadline = options.timeout.map(|time| Instant::now() + time);
    let (sent_before, received_before) = (options.progress.sent(), options.progress.received());
    let made = rustix::io::ioctl_fionbio(socket, true).and_then(|()| pipe_with(PipeFlags::CLOEXEC));
    let (wake, waker) = match made {
        Ok(pipe) => pipe,
        Err(error) => {
            let unsent = Unsent::default();
            return Outcome { ending: Ending::Reset(error.into()), sent: 0, received: 0, unsent, dropped: 0 };
        }
    };
    let (ending, unsent) = std::thread::scope(|scope| {
        let (report, up) = sync_channel(1);
        let socket = socket.as_fd();
        // The thread ends when standard input does, when the socket breaks, or when it is woken.
        let started = input::beside(scope, move || {
            let result = send_input(socket, input, wake.as_fd(), options);
            let _ = report.send(result);
        });
        if let Err(error) = started {
            return (Ending::InputFailed(error), Unsent::default());
        }
        let ending = receive(socket, sink, deadline, options);
        conclude(ending, socket, input, &up, waker, deadline, options)
    });
    if let Ending::PeerEnded = ending {
        // We close without having been told that standard input ended.
        options.heard_end(true);
    }
    Outcome {
        ending,
        sent: options.progress.sent() - sent_before,
        received: options.progress.received() - received_before,
        unsent,
        dropped: 0,
    }
}

/// The receiving direction, to its end.
fn receive(socket: BorrowedFd<'_>, sink: &mut Sink<'_>, deadline: Option<Instant>, options: &Options) -> Ending {
    let mut spliced = match sink {
        Sink::Descriptor(output) if options.tap.is_none() => spliced::Receiver::new(socket, *output),
        _ => None,
    };
    let mut buffer = Vec::new();
    loop {
        let taken = match spliced.as_mut().map(|spliced| spliced.receive(&options.progress)) {
            Some(Some(taken)) => taken,
            Some(None) => {
                spliced = None;
                continue;
            }
            None => take(socket, sink, &mut buffer, deadline, options),
        };
        match taken {
            Ok(0) => {
                options.heard_end(false);
                return Ending::Done;
            }
            Ok(_) => {}
            Err(Failed::Output(error)) => return of_output(error, options),
            Err(Failed::Socket(Errno::INTR)) => {}
            Err(Failed::Socket(Errno::AGAIN)) => {
                let time = deadline.map(|at| timespec(at.saturating_duration_since(Instant::now())));
                let mut polled = [PollFd::new(&socket, PollFlags::IN)];
                match poll(&mut polled, time.as_ref()) {
                    Ok(0) => return Ending::TimedOut(options.timeout.unwrap_or_default()),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Ending::Reset(error.into()),
                }
                if let Some(Err(error)) = spliced.as_ref().map(|spliced| spliced.wait_for_room(deadline)) {
                    return of_output(error, options);
                }
            }
            Err(Failed::Socket(error)) => {
                if error == Errno::CONNRESET {
                    options.heard_reset();
                }
                return Ending::Reset(error.into());
            }
        }
        if deadline.is_some_and(|at| Instant::now() >= at) {
            return Ending::TimedOut(options.timeout.unwrap_or_default());
        }
    }
}

/// An output that takes nothing until the time is over is no broken one.
pub(super) fn of_output(error: io::Error, options: &Options) -> Ending {
    match options.timeout {
        Some(time) if error.kind() == io::ErrorKind::TimedOut => Ending::TimedOut(time),
        _ => Ending::OutputFailed(error),
    }
}

/// Copies what is there; 0 is the end of the stream.
fn take(
    socket: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    buffer: &mut Vec<u8>,
    deadline: Option<Instant>,
    options: &Options,
) -> Result<usize, Failed> {
    buffer.resize(BUFFER, 0);
    let (_, length) = recv(socket, &mut buffer[..], RecvFlags::empty()).map_err(Failed::Socket)?;
    if length > 0 {
        options.progress.received_more(length);
        options.heard_received(&buffer[..length]);
        sink.write_until(&buffer[..length], deadline).map_err(Failed::Output)?;
    }
    Ok(length)
}

/// The sending direction, to its end or until it is woken.
fn send_input(socket: BorrowedFd<'_>, input: BorrowedFd<'_>, wake: BorrowedFd<'_>, options: &Options) -> Up {
    let mut endings = Endings::new(options.eol);
    let as_it_is = endings.is_verbatim() && options.tap.is_none();
    let mut spliced = as_it_is.then(|| spliced::Sender::new(input)).flatten();
    let (mut buffer, mut rewritten) = (Vec::new(), Vec::new());
    let mut peer_ended = false;
    // Whoever types sees that it is over; a producer does not.
    let patience = if rustix::termios::isatty(input) { Duration::ZERO } else { PATIENCE };
    loop {
        match readable(input, wake, peer_ended.then_some(patience)) {
            Readable::Yes => {}
            Readable::Woken => {
                peer_ended = true;
                continue;
            }
            Readable::No => return Up::Idle,
        }
        match spliced.map(|spliced| spliced.send(socket)) {
            Some(Ok(0)) => return end_input(socket, options),
            Some(Ok(length)) => {
                options.progress.sent_more(length);
                continue;
            }
            Some(Err(Errno::INTR)) => continue,
            Some(Err(Errno::AGAIN)) => {
                if !has_room(socket, wake, &mut peer_ended) {
                    return Up::Broken { in_hand: 0 };
                }
                continue;
            }
            // Whose error it is, copying tells.
            Some(Err(_)) => spliced = None,
            None => {}
        }
        buffer.resize(BUFFER, 0);
        let length = match rustix::io::read(input, &mut buffer[..]) {
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => continue,
            // A closed terminal reads as an error; it is an end like any other.
            Err(Errno::IO) if rustix::termios::isatty(input) => 0,
            Err(error) => {
                let _ = shutdown(socket, Shutdown::Write);
                return Up::InputFailed(error.into());
            }
        };
        let bytes = if endings.is_verbatim() {
            &buffer[..length]
        } else {
            rewritten.clear();
            endings.rewrite(&buffer[..length], length == 0, &mut rewritten);
            &rewritten[..]
        };
        if let Err(in_hand) = send_all(socket, bytes, wake, &mut peer_ended, options) {
            return Up::Broken { in_hand };
        }
        if length == 0 {
            return end_input(socket, options);
        }
    }
}

/// Standard input has ended, and so does our direction.
fn end_input(socket: BorrowedFd<'_>, options: &Options) -> Up {
    // The peer's end may follow ours at once, and the tap is to hear them in this order.
    options.heard_end(true);
    let _ = shutdown(socket, Shutdown::Write);
    Up::Ended
}

enum Readable {
    Yes,
    Woken,
    No,
}

/// Waits until the input can be read or the waker says that the peer has ended; then only for so long.
fn readable(input: BorrowedFd<'_>, wake: BorrowedFd<'_>, patience: Option<Duration>) -> Readable {
    let mut polled = [PollFd::new(&input, PollFlags::IN), PollFd::new(&wake, PollFlags::IN)];
    let watched = if patience.is_some() { &mut polled[..1] } else { &mut polled[..] };
    let time = patience.map(timespec);
    match poll(watched, time.as_ref()) {
        Err(Errno::INTR) => return Readable::Woken,
        Err(_) | Ok(0) => return Readable::No,
        Ok(_) => {}
    }
    if !polled[0].revents().is_empty() { Readable::Yes } else { Readable::Woken }
}

/// Sends everything, or says how much stayed in hand.
fn send_all(
    socket: BorrowedFd<'_>,
    mut bytes: &[u8],
    wake: BorrowedFd<'_>,
    peer_ended: &mut bool,
    options: &Options,
) -> Result<(), usize> {
    while !bytes.is_empty() {
        match options.send_heard(bytes, |bytes| send(socket, bytes, SendFlags::NOSIGNAL)) {
            Ok(length) => {
                options.progress.sent_more(length);
                bytes = &bytes[length..];
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if has_room(socket, wake, peer_ended) => {}
            Err(_) => return Err(bytes.len()),
        }
    }
    Ok(())
}

/// Waits until the socket takes more. A peer that has ended is not waited for without end.
fn has_room(socket: BorrowedFd<'_>, wake: BorrowedFd<'_>, peer_ended: &mut bool) -> bool {
    loop {
        let mut polled = [PollFd::new(&socket, PollFlags::OUT), PollFd::new(&wake, PollFlags::IN)];
        let ended = *peer_ended;
        let watched = if ended { &mut polled[..1] } else { &mut polled[..] };
        let time = ended.then(|| timespec(STUCK));
        match poll(watched, time.as_ref()) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return false,
        }
        *peer_ended |= !polled[1].revents().is_empty();
        if !polled[0].revents().is_empty() {
            return true;
        }
    }
}

/// The receiving direction has ended: lets the other one finish, and counts what did not arrive.
fn conclude(
    ending: Ending,
    socket: BorrowedFd<'_>,
    input: BorrowedFd<'_>,
    up: &Receiver<Up>,
    waker: OwnedFd,
    deadline: Option<Instant>,
    options: &Options,
) -> (Ending, Unsent) {
    if !matches!(ending, Ending::Done) {
        // Nobody will hear the rest: what waits in a write returns at once.
        let _ = shutdown(socket, Shutdown::Both);
    }
    // Closing its write end wakes the other thread for good.
    drop(waker);
    let up = loop {
        let time = deadline.map_or(STUCK, |at| at.saturating_duration_since(Instant::now()));
        match up.recv_timeout(time) {
            Ok(up) => break Some(up),
            Err(RecvTimeoutError::Timeout) if deadline.is_none() => {}
            Err(_) => {
                let _ = shutdown(socket, Shutdown::Both);
                break up.recv().ok();
            }
        }
    };
    let timed_out = deadline.is_some_and(|at| Instant::now() >= at);
    let mut unsent = Unsent::default();
    let mut unread = |in_hand: usize| {
        unsent = input::left(input);
        unsent.bytes += in_hand as u64;
    };
    let ending = match (ending, up) {
        (Ending::Done, Some(Up::InputFailed(error))) => Ending::InputFailed(error),
        (Ending::Done, Some(Up::Ended)) => Ending::Done,
        (Ending::Done, Some(Up::Idle)) => Ending::PeerEnded,
        (Ending::Done, Some(Up::Broken { in_hand })) => {
            unread(in_hand);
            if timed_out { Ending::TimedOut(options.timeout.unwrap_or_default()) } else { Ending::PeerEnded }
        }
        (Ending::Done, None) => Ending::PeerEnded,
        (other, Some(Up::Broken { in_hand })) => {
            unread(in_hand);
            other
        }
        (other, Some(Up::Idle)) => {
            unread(0);
            other
        }
        (other, _) => other,
    };
    let complete = matches!(ending, Ending::Done | Ending::PeerEnded) && unsent.bytes == 0;
    unsent.bytes += unacknowledged(socket, if complete { ACKNOWLEDGE } else { Duration::ZERO });
    let ending = match ending {
        // A reset that came behind the end took some of our bytes with it.
        Ending::Done if unsent.bytes > 0 => match sockopt::socket_error(socket) {
            Ok(Err(error)) => Ending::Reset(error.into()),
            _ => Ending::PeerEnded,
        },
        other => other,
    };
    (ending, unsent)
}

/// Bytes that the peer's system has not taken; it gets a moment for the last ones.
fn unacknowledged(socket: BorrowedFd<'_>, time: Duration) -> u64 {
    let until = Instant::now() + time;
    let mut pause = Duration::from_micros(50);
    loop {
        match queue::unsent(socket) {
            Ok(bytes) if bytes > 0 && Instant::now() < until => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Ok(bytes) => return bytes,
            Err(_) => return 0,
        }
    }
}
