//! A stream joined to standard input and output. The directions run on threads of their own, so that neither can hold
//! up the other; half-close is kept apart from close, and what did not arrive is counted.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::pipe::{PipeFlags, pipe_with};

use super::connection::Connection;
use super::sending::{SendOutcome, Sending};
use super::spliced::{self, Failed};
use super::unread::Output;
use super::{Direction, Ending, Outcome, Sink, TalkOptions, Unsent, input};
use crate::limits;
use crate::net::connect::Connected;
use crate::net::secured::Secured;
use crate::net::{is_of_connection, timespec};

/// How often it is asked whether all that was sent has arrived, when no reader takes the answers. No event tells.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes a read takes at once.
const BUFFER: usize = 256 * 1024;

/// Joins a connected stream to an input and an output until both directions have ended.
pub fn talk(connected: &Connected, input: BorrowedFd<'_>, sink: &mut Sink<'_>, options: &TalkOptions) -> Outcome {
    talk_over(&connected.fd, (connected.secure.as_ref(), connected.broken), input, sink, options)
}

/// The same over a socket, which may be broken already.
pub(super) fn talk_over(
    socket: &OwnedFd,
    (secure, broken): (Option<&Secured>, Option<Errno>),
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    options: &TalkOptions,
) -> Outcome {
    let (sent_before, received_before) = (options.progress.sent(), options.progress.received());
    let connection = Connection::new(socket.as_fd(), secure, broken);
    let times = Times { connection: &connection, deadline: options.timeout.map(|time| Instant::now() + time), options };
    let (ending, unsent) = both_ways(&connection, input, sink, &times, options);
    if matches!(ending, Ending::NoClose) {
        // To a transcript it is no end, for messages end with a word.
        options.heard_reset();
    }
    if matches!(ending, Ending::Done | Ending::PeerEnded) && !connection.has_ended() {
        // We close without having been told that standard input ended.
        options.heard_end(true);
    }
    Outcome {
        ending,
        sent: options.progress.sent() - sent_before,
        received: options.progress.received() - received_before,
        unsent,
        dropped: 0,
        first_end: connection.first_end(),
    }
}

/// When a conversation ends whatever comes.
#[derive(Clone, Copy)]
struct Times<'a> {
    connection: &'a Connection<'a>,
    deadline: Option<Instant>,
    options: &'a TalkOptions,
}

impl Times<'_> {
    fn next(&self) -> Option<Instant> {
        let idle = self.options.idle.map(|time| self.connection.last() + time);
        self.deadline.into_iter().chain(idle).min()
    }

    /// How it ends, if the time has come.
    fn over(&self) -> Option<Ending> {
        let now = Instant::now();
        if self.deadline.is_some_and(|at| now >= at) {
            return Some(Ending::TimedOut(self.options.timeout.unwrap_or_default()));
        }
        let idle = self.options.idle?;
        (now >= self.connection.last() + idle).then_some(Ending::Idle(idle))
    }
}

fn both_ways(
    connection: &Connection<'_>,
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    times: &Times<'_>,
    options: &TalkOptions,
) -> (Ending, Unsent) {
    let failed = |what, error: io::Error| (Ending::Failed(what, error), Unsent::default());
    if let Err(error) = rustix::io::ioctl_fionbio(connection, true) {
        return failed("cannot use the socket", error.into());
    }
    let output = Output::new(sink, input, options);
    if options.direction == Direction::Receive {
        let ending = receive(connection, sink, Watched::new(None, output), times, options);
        return conclude(ending, connection, input, Some(SendOutcome::Empty), times);
    }
    // One pipe is closed when receiving is over, the other when sending is and receiving need not go on.
    let pipes = pipe_with(PipeFlags::CLOEXEC).and_then(|pair| Ok((pair, pipe_with(PipeFlags::CLOEXEC)?)));
    let ((wake, waker), (stop, stopper)) = match pipes {
        Ok(pipes) => pipes,
        Err(error) => return failed("cannot make a pipe", error.into()),
    };
    thread::scope(|scope| {
        let (report, up) = sync_channel(1);
        // The thread ends when standard input does, when the connection breaks, or when it is called off.
        let started = input::beside(scope, move || {
            let up = Sending { connection, input, wake: wake.as_fd(), options }.run();
            let goes_on = !matches!(up, SendOutcome::Failed(..)) && options.direction == Direction::Both;
            let stopper = goes_on.then_some(stopper);
            let _ = report.send((up, stopper));
        });
        if let Err(error) = started {
            return failed("cannot read standard input", error);
        }
        let ending = receive(connection, sink, Watched::new(Some(stop.as_fd()), output), times, options);
        finish_sending(ending, connection, input, &up, waker, times)
    })
}

/// What may end the receiving direction beside the socket.
struct Watched<'a> {
    /// Readable when sending is over, and receiving need not go on.
    stop: Option<BorrowedFd<'a>>,
    output: Output<'a>,
    /// Whether the output has lost its reader.
    is_unread: bool,
}

impl<'a> Watched<'a> {
    fn new(stop: Option<BorrowedFd<'a>>, output: Output<'a>) -> Self {
        Self { stop, output, is_unread: false }
    }
}

/// The receiving direction, to its end.
fn receive(
    connection: &Connection<'_>,
    sink: &mut Sink<'_>,
    mut watched: Watched<'_>,
    times: &Times<'_>,
    options: &TalkOptions,
) -> Ending {
    let mut spliced = splicer(connection, sink, options);
    let mut buffer = Vec::new();
    // When only sending: our end was sent, and since when all of it has arrived.
    let mut lingering: Option<Option<Instant>> = None;
    loop {
        let taken = match spliced.as_mut().map(|spliced| spliced.receive(&options.progress)) {
            Some(Some(taken)) => taken,
            Some(None) => {
                spliced = None;
                continue;
            }
            None => take(connection, sink, &mut buffer, times.deadline, options),
        };
        let taken = match taken {
            Ok(length) => connection.told(Ok(length)),
            Err(Failed::Output(error)) => return of_output(error, options),
            Err(Failed::Socket(error)) => connection.told(Err(error)),
            Err(Failed::Cut) if connection.peer_ended() => return cut(connection),
            // The other direction got the error of a reset, and what is read then looks like an end.
            Err(Failed::Cut) => return reset(connection, options),
            Err(Failed::Tls(error)) => return Ending::Insecure(error),
        };
        match taken {
            Ok(0) if connection.peer_ended() => {
                connection.watch_peer();
                options.heard_end(false);
                return Ending::Done;
            }
            Ok(0) => return reset(connection, options),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                if let Some(ending) = wait_for_more(connection, &mut watched, &mut lingering, times, options) {
                    return ending;
                }
                if let Some(Err(error)) = spliced.as_mut().map(|spliced| spliced.wait_for_room(times.deadline)) {
                    return of_output(error, options);
                }
            }
            Err(error) if is_of_connection(error) => return reset(connection, options),
            // Splicing may fail where copying works; it has moved nothing.
            Err(_) if spliced.is_some() => spliced = None,
            Err(error) => return Ending::Failed("cannot receive", error.into()),
        }
        if lingering.as_mut().is_some_and(|acknowledged| has_lingered(connection, acknowledged)) {
            return Ending::Done;
        }
        if let Some(ending) = times.over() {
            return ending;
        }
    }
}

/// Waits until something comes; returns how the receiving ends if it ends before.
fn wait_for_more(
    connection: &Connection<'_>,
    watched: &mut Watched<'_>,
    lingering: &mut Option<Option<Instant>>,
    times: &Times<'_>,
    options: &TalkOptions,
) -> Option<Ending> {
    match wait(connection, watched, *lingering, times) {
        Ok(Waited::Ready) => None,
        Ok(Waited::Unread) => Some(Ending::OutputFailed(Errno::PIPE.into())),
        Ok(Waited::Stopped) if options.direction == Direction::Send => {
            (*lingering, watched.stop) = (Some(None), None);
            None
        }
        Ok(Waited::Stopped) => Some(Ending::Done),
        Err(error) => Some(Ending::Failed("cannot wait for the socket", error.into())),
    }
}

/// What moves bytes without a look at them, where no other code has to see them.
fn splicer<'a, 'c: 'a, 's: 'a>(
    connection: &Connection<'c>,
    sink: &Sink<'s>,
    options: &TalkOptions,
) -> Option<spliced::Receiver<'a>> {
    match sink {
        Sink::Descriptor(output)
            if options.tap.is_none() && connection.secure().is_none() && options.direction != Direction::Send =>
        {
            spliced::Receiver::new(connection.socket(), *output)
        }
        _ => None,
    }
}

/// Whether the peer had its time for an answer since all that was sent has arrived.
fn has_lingered(connection: &Connection<'_>, acknowledged: &mut Option<Instant>) -> bool {
    if acknowledged.is_none() && matches!(connection.unacknowledged(), Ok(0)) {
        *acknowledged = Some(Instant::now());
    }
    acknowledged.is_some_and(|since| since.elapsed() >= limits::SENT_LINGER)
}

/// The peer's direction ended, and it had not said so. It may read on: an end is no close.
fn cut(connection: &Connection<'_>) -> Ending {
    connection.watch_peer();
    if connection.secure().is_some_and(Secured::is_websocket) { Ending::NoClose } else { Ending::Cut }
}

fn reset(connection: &Connection<'_>, options: &TalkOptions) -> Ending {
    options.heard_reset();
    Ending::Reset(connection.ask_broken().unwrap_or(Errno::CONNRESET).into())
}

enum Waited {
    Ready,
    /// Sending is over, and receiving need not go on.
    Stopped,
    /// No reader takes what comes, and nothing is left to be sent.
    Unread,
}

/// Waits until the socket has something, sending is over, no reader takes what comes, or it may be time.
fn wait(
    connection: &Connection<'_>,
    watched: &mut Watched<'_>,
    lingering: Option<Option<Instant>>,
    times: &Times<'_>,
) -> Result<Waited, Errno> {
    let linger = lingering.map(|since| match since {
        Some(since) => since + limits::SENT_LINGER,
        // No event tells of an acknowledgement.
        None => Instant::now() + Duration::from_millis(5),
    });
    // As long as something is sent, it is to arrive, though no reader takes the answers.
    if watched.is_unread && (watched.output.only_reads() || is_all_sent(connection)) {
        return Ok(Waited::Unread);
    }
    let look = watched.is_unread.then(|| Instant::now() + LOOK);
    let until = times.next().into_iter().chain(linger).chain(look).min();
    let time = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
    let mut polled = vec![PollFd::new(connection, PollFlags::IN)];
    polled.extend(watched.stop.map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN)));
    let stop = polled.len() - 1;
    // It would tell again and again.
    polled.extend(watched.output.polled().filter(|_| !watched.is_unread));
    match poll(&mut polled, time.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Waited::Ready),
        Err(error) => return Err(error),
    }
    watched.is_unread |= polled[stop + 1..].iter().any(|output| !output.revents().is_empty());
    let stopped = watched.stop.is_some() && !polled[stop].revents().is_empty();
    Ok(if stopped { Waited::Stopped } else { Waited::Ready })
}

/// Whether our end was sent, and all before it has arrived.
fn is_all_sent(connection: &Connection<'_>) -> bool {
    connection.has_ended() && matches!(connection.unacknowledged(), Ok(0))
}

/// An output that takes nothing until the time is over is no broken one.
pub(super) fn of_output(error: io::Error, options: &TalkOptions) -> Ending {
    match options.timeout {
        Some(time) if error.kind() == io::ErrorKind::TimedOut => Ending::TimedOut(time),
        _ => Ending::OutputFailed(error),
    }
}

/// Copies what is there; 0 is the end of the stream.
fn take(
    connection: &Connection<'_>,
    sink: &mut Sink<'_>,
    buffer: &mut Vec<u8>,
    deadline: Option<Instant>,
    options: &TalkOptions,
) -> Result<usize, Failed> {
    let length = match connection.secure() {
        Some(secure) => secure.receive(connection.socket(), buffer)?,
        None => {
            buffer.resize(BUFFER, 0);
            recv(connection.socket(), &mut buffer[..], RecvFlags::empty()).map_err(Failed::Socket)?.1
        }
    };
    if length > 0 {
        options.progress.received_more(length);
        options.heard_received(&buffer[..length]);
        if options.direction != Direction::Send {
            sink.write_until(&buffer[..length], deadline).map_err(Failed::Output)?;
        }
    }
    Ok(length)
}

/// The receiving direction has ended: lets the other one finish.
fn finish_sending(
    ending: Ending,
    connection: &Connection<'_>,
    input: BorrowedFd<'_>,
    up: &Receiver<(SendOutcome, Option<OwnedFd>)>,
    waker: OwnedFd,
    times: &Times<'_>,
) -> (Ending, Unsent) {
    let mut ending = ending;
    if !ending.is_end() {
        // The rest has no reader: what waits in a write returns at once.
        connection.call_off();
    }
    // Closing its write end wakes the other thread for good.
    drop(waker);
    let up = loop {
        let time = times.next().map(|at| at.saturating_duration_since(Instant::now()));
        // A while that never ends is not to be told from a long one.
        match up.recv_timeout(time.unwrap_or(Duration::from_secs(3600))) {
            Ok((up, _)) => break Some(up),
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) => {
                if connection.is_over() {
                    break up.recv().ok().map(|(up, _)| up);
                }
                if let Some(over) = times.over() {
                    ending = over;
                    connection.call_off();
                }
            }
        }
    };
    conclude(ending, connection, input, up, times)
}

/// Both directions are over: what became of it all, and what did not arrive.
fn conclude(
    ending: Ending,
    connection: &Connection<'_>,
    input: BorrowedFd<'_>,
    up: Option<SendOutcome>,
    times: &Times<'_>,
) -> (Ending, Unsent) {
    let mut unsent = match &up {
        Some(SendOutcome::Broken { .. } | SendOutcome::Idle | SendOutcome::Failed(..)) | None => input::left(input),
        Some(SendOutcome::Ended | SendOutcome::Empty | SendOutcome::InputFailed(_)) => Unsent::default(),
    };
    if let Some(SendOutcome::Broken { in_hand }) = &up {
        unsent.bytes += *in_hand as u64;
    }
    let may_come = ending.is_end() && matches!(up, Some(SendOutcome::Ended | SendOutcome::Empty | SendOutcome::Idle));
    let is_only_sent = may_come && times.options.direction == Direction::Send && connection.has_ended();
    let missing = if may_come { connection.settle(|| times.next()) } else { connection.unacknowledged() };
    let ending = match (ending, up) {
        (ending, Some(SendOutcome::Failed(what, error))) if ending.is_end() => Ending::Failed(what, error.into()),
        (ending, Some(SendOutcome::InputFailed(error))) if ending.is_end() => Ending::InputFailed(error),
        (Ending::Done, Some(SendOutcome::Broken { .. })) => {
            Ending::Reset(connection.ask_broken().unwrap_or(Errno::CONNRESET).into())
        }
        (ending, None) if ending.is_end() => Ending::Failed("cannot send", Errno::CANCELED.into()),
        (Ending::Done, Some(SendOutcome::Idle)) => Ending::PeerEnded,
        (Ending::Done, Some(SendOutcome::Ended | SendOutcome::Empty)) => Ending::Done,
        (other, _) => other,
    };
    // What TLS and WebSocket add is none of the user's.
    unsent.in_queue = connection.missing_input(*missing.as_ref().unwrap_or(&0));
    unsent.bytes += unsent.in_queue;
    let ending = match (ending, missing) {
        // It is not known whether all arrived.
        (Ending::Done | Ending::PeerEnded, Err(error)) => Ending::Failed("cannot ask what arrived", error),
        // A reset that came behind the end took some of our bytes with it.
        (Ending::Done | Ending::PeerEnded, Ok(missing)) if missing > 0 => match connection.broken() {
            Some(error) => Ending::Reset(error.into()),
            None => times.over().unwrap_or(Ending::PeerEnded),
        },
        (Ending::Done, Ok(_)) => match connection.broken() {
            Some(error) => Ending::Reset(error.into()),
            None => Ending::Done,
        },
        // Where nothing is to come, nothing is missing.
        (Ending::Cut | Ending::NoClose, Ok(0)) if is_only_sent && connection.broken().is_none() => Ending::Done,
        (other, _) => other,
    };
    (ending, unsent)
}
