//! Datagrams joined to standard input and output: a line in is a datagram out, a datagram in is a line out.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::stream::of_output;
use super::unread::Output;
use super::{Activity, Direction, Ending, Eol, Outcome, Role, Sink, TalkOptions, Unsent, input};
use crate::limits;
use crate::net::connect::Connected;
use crate::net::message;
use crate::net::peer::Peer;
use crate::net::{is_of_connection, timespec};
use crate::sys::datagrams::Inbox;

/// Larger than any datagram over IP, so that none is cut.
const LARGEST: usize = 65_536;
/// Most bytes of questions that are kept to be asked of a name's next address.
const KEPT: usize = 256 * 1024;

/// How soon a queue that does not tell of room is tried again.
const SOON: Duration = Duration::from_millis(2);
/// How often is looked what has become of a peer that has ended.
const LOOK: Duration = Duration::from_millis(500);

/// How sending ended.
enum SendOutcome {
    Ended,
    /// Standard input had nothing at all.
    Empty,
    Failed(Ending),
    /// The peer is gone, and standard input had nothing more.
    Idle,
}

/// What comes from standard input, over however many peers it is said to.
#[derive(Debug, Default)]
pub(super) struct Speech {
    /// What was asked while nobody had answered, and how many bytes that are.
    asked: Vec<Vec<u8>>,
    asked_bytes: usize,
    /// What was read last, and how much of it was said.
    held: Vec<u8>,
    said: usize,
    lines: u64,
    ended: bool,
}

impl Speech {
    /// How much was read and is still to be said.
    fn in_hand(&self) -> u64 {
        (self.held.len() - self.said) as u64
    }

    fn rest(&self) -> &[u8] {
        &self.held[self.said..]
    }
}

/// Joins a client's datagram socket to an input and an output, until the input has ended and it has been quiet. Where
/// nobody listens, the name's next address is asked the same.
pub fn talk(connected: &Connected, input: BorrowedFd<'_>, sink: &mut Sink<'_>, options: &TalkOptions) -> Outcome {
    let mut speech = Speech::default();
    let outcome = talk_to(connected, &mut speech, input, sink, options);
    let mut last = (outcome, connected.next());
    while let (outcome, Some(next)) = &last
        && matches!(outcome.ending, Ending::PortClosed | Ending::Unreachable(_))
        && outcome.received == 0
        && speech.asked_bytes <= KEPT
    {
        let sent = outcome.sent;
        let outcome = talk_to(next, &mut speech, input, sink, options);
        // The same bytes are counted once.
        let outcome = Outcome { sent: outcome.sent.max(sent), ..outcome };
        let after = next.next();
        last = (outcome, after);
    }
    last.0
}

fn talk_to(
    connected: &Connected,
    speech: &mut Speech,
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    options: &TalkOptions,
) -> Outcome {
    match Peer::of(connected.fd.as_fd(), connected.protocol, &connected.peer) {
        Ok(peer) => talk_with(&peer, speech, input, sink, options),
        Err(error) => {
            let ending = Ending::Failed("cannot use the socket", error.into());
            Outcome { ending, sent: 0, received: 0, unsent: input::left(input), dropped: 0, first_end: None }
        }
    }
}

/// The same with a peer that is known.
pub(super) fn talk_with(
    peer: &Peer<BorrowedFd<'_>>,
    speech: &mut Speech,
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    options: &TalkOptions,
) -> Outcome {
    let (sent, received) = (options.progress.sent(), options.progress.received());
    let deadline = options.timeout.map(|time| Instant::now() + time);
    peer.take_many();
    let dropped = options.progress.dropped();
    let mut drops = Drops { counted: peer.drops_before() };
    let ending = both_ways(peer, speech, input, sink, deadline, &mut drops, options);
    options.progress.strangers.fetch_add(peer.ignored(), Ordering::Relaxed);
    drops.count(peer, options);
    if peer.has_end() && matches!(ending, Ending::Reset(_)) {
        options.heard_reset();
    }
    let complete = matches!(ending, Ending::Done | Ending::NoAnswer(_)) || options.direction == Direction::Receive;
    let mut unsent = if complete { Unsent::default() } else { input::left(input) };
    unsent.bytes += speech.in_hand();
    let (sent, received) = (options.progress.sent() - sent, options.progress.received() - received);
    let dropped = options.progress.dropped() - dropped;
    Outcome { ending, sent, received, unsent, dropped, first_end: None }
}

fn both_ways(
    peer: &Peer<BorrowedFd<'_>>,
    speech: &mut Speech,
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    deadline: Option<Instant>,
    drops: &mut Drops,
    options: &TalkOptions,
) -> Ending {
    let activity = &Activity::new();
    let receiving = Receiving { peer, activity, deadline, options };
    let output = Output::new(sink, input, options);
    // The sender tells of its end through the channel and by one pipe, on which the receiver waits; by the other it hears
    // that it is over.
    let pipes = pipe_with(PipeFlags::CLOEXEC).and_then(|pair| Ok((pair, pipe_with(PipeFlags::CLOEXEC)?)));
    let ((wake, waker), (stop, stopper)) = match pipes {
        Ok(pipes) => pipes,
        Err(error) => return Ending::Failed("cannot make a pipe", error.into()),
    };
    let (report, up) = channel();
    if options.direction == Direction::Receive {
        let _ = report.send(SendOutcome::Empty);
        drop(waker);
        return receiving.run((sink, output), wake.as_fd(), &up, drops);
    }
    std::thread::scope(|scope| {
        let started = input::beside(scope, move || {
            let sending = Sending { peer, input, stop, activity, options };
            send_lines(&sending, speech, &report);
            // Closing its write end wakes the receiver.
            drop(waker);
        });
        if let Err(error) = started {
            return Ending::Failed("cannot read standard input", error);
        }
        let ending = receiving.run((sink, output), wake.as_fd(), &up, drops);
        drop(stopper);
        ending
    })
}

/// What the kernel dropped, and how much of it is counted already.
struct Drops {
    counted: u32,
}

impl Drops {
    fn count(&mut self, peer: &Peer<BorrowedFd<'_>>, options: &TalkOptions) {
        let now = peer.drops();
        let more = now.wrapping_sub(std::mem::replace(&mut self.counted, now));
        options.progress.dropped.fetch_add(more.into(), Ordering::Relaxed);
    }
}

struct Sending<'a> {
    peer: &'a Peer<BorrowedFd<'a>>,
    input: BorrowedFd<'a>,
    /// Closed at its other end when nobody waits for us any more.
    stop: OwnedFd,
    activity: &'a Activity,
    options: &'a TalkOptions,
}

/// Sends each line as a datagram.
fn send_lines(sending: &Sending<'_>, speech: &mut Speech, report: &Sender<SendOutcome>) {
    let up = match sending.lines(speech) {
        Ok(()) if !speech.ended && sending.peer.has_end() => SendOutcome::Idle,
        Ok(()) => sending.end(speech.lines == 0),
        Err(ending) => SendOutcome::Failed(ending),
    };
    let _ = report.send(up);
}

impl Sending<'_> {
    fn lines(&self, speech: &mut Speech) -> Result<(), Ending> {
        for datagram in &speech.asked {
            self.send(datagram, speech.lines)?;
        }
        let mut buffer = vec![0; LARGEST];
        loop {
            while let Some(found) = memchr::memchr(b'\n', speech.rest()) {
                self.say(found, 1, speech)?;
            }
            speech.held.drain(..std::mem::take(&mut speech.said));
            // A line that fits into no datagram is not waited for.
            if speech.held.len() > self.largest() {
                return Err(Ending::TooLarge { line: speech.lines + 1, length: speech.held.len() });
            }
            if speech.ended {
                if !speech.held.is_empty() {
                    self.say(speech.held.len(), 0, speech)?;
                }
                return Ok(());
            }
            if !self.wait_for_input()? {
                return Ok(());
            }
            match rustix::io::read(self.input, &mut buffer[..]) {
                Ok(0) => speech.ended = true,
                Ok(length) => speech.held.extend_from_slice(&buffer[..length]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(Ending::InputFailed(error.into())),
            }
        }
    }

    /// Says the line of so many bytes that stands first in hand, and keeps it as long as nobody has answered.
    fn say(&self, length: usize, ending: usize, speech: &mut Speech) -> Result<(), Ending> {
        let line = &speech.rest()[..length];
        let line = if ending > 0 { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        let ours: &[u8] = match self.options.eol {
            Eol::AsTyped | Eol::None => b"",
            Eol::Lf => b"\n",
            Eol::CrLf => b"\r\n",
        };
        let datagram = if ours.is_empty() { Cow::Borrowed(line) } else { Cow::Owned([line, ours].concat()) };
        self.send(&datagram, speech.lines + 1)?;
        let may_ask_another = speech.asked_bytes <= KEPT && !self.peer.has_answered();
        let to_resend = may_ask_another.then(|| datagram.into_owned());
        speech.said += length + ending;
        speech.lines += 1;
        match to_resend {
            Some(datagram) => {
                speech.asked_bytes += datagram.len();
                speech.asked.push(datagram);
            }
            None => speech.asked.clear(),
        }
        Ok(())
    }

    fn send(&self, datagram: &[u8], line: u64) -> Result<(), Ending> {
        let since = Instant::now();
        loop {
            match self.options.send_heard(datagram, |datagram| self.peer.send(datagram)) {
                Ok(length) => {
                    self.activity.passed();
                    self.options.progress.sent_more(length);
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(error @ Errno::CONNREFUSED) if self.peer.waits_for_room() => {
                    return Err(Ending::Unreachable(error.into()));
                }
                Err(Errno::CONNREFUSED) => return Err(Ending::PortClosed),
                Err(error @ (Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN)) if self.peer.has_end() => {
                    return Err(Ending::Reset(error.into()));
                }
                // Whoever reads nothing for now keeps us waiting, over Unix sockets.
                Err(Errno::AGAIN) if self.peer.waits_for_room() => self.wait_for_room()?,
                Err(Errno::DESTADDRREQ) if self.peer.waits_for_room() => {
                    return Err(Ending::SendFailed(std::io::Error::other(message::NAMELESS)));
                }
                Err(Errno::MSGSIZE) => return Err(Ending::TooLarge { line, length: datagram.len() }),
                // The interface's queue is full: it empties by itself, unless nothing ever leaves it.
                Err(error @ (Errno::NOBUFS | Errno::AGAIN)) => {
                    let mut stop = [PollFd::new(&self.stop, PollFlags::IN)];
                    let stopped =
                        poll(&mut stop, Some(&timespec(Duration::from_millis(1)))).is_ok_and(|ready| ready > 0);
                    if stopped || since.elapsed() >= limits::QUEUE_WAIT {
                        return Err(Ending::SendFailed(error.into()));
                    }
                }
                Err(error) if is_of_connection(error) => return Err(Ending::Unreachable(error.into())),
                Err(error) => return Err(Ending::SendFailed(error.into())),
            }
        }
    }
}

impl Sending<'_> {
    /// The longest line that may fit.
    fn largest(&self) -> usize {
        if self.peer.waits_for_room() { message::LARGEST } else { LARGEST }
    }

    /// Standard input has ended. With it our direction does, where that can be said; except where nothing was ever to be
    /// said by a listener, as over a stream.
    fn end(&self, is_empty: bool) -> SendOutcome {
        let up = if is_empty { SendOutcome::Empty } else { SendOutcome::Ended };
        let only_takes = is_empty && self.options.role != Role::Client && self.options.direction == Direction::Both;
        if !self.peer.has_end() || only_takes && !input::is_file(self.input) && !self.is_typed() {
            return up;
        }
        // The peer's end may follow ours at once, and the tap is to hear them in this order.
        self.options.heard_end(true);
        match self.peer.end() {
            Ok(()) => up,
            Err(error) if is_of_connection(error) => SendOutcome::Failed(Ending::Reset(error.into())),
            Err(error) => SendOutcome::Failed(Ending::Failed("cannot end our direction", error.into())),
        }
    }

    /// Whether someone types it.
    fn is_typed(&self) -> bool {
        self.options.is_typed(self.input)
    }

    /// Waits until there is input; false if nothing will come of waiting longer. A peer that has ended may still read, and is
    /// waited for as long as it may; one that is gone is not.
    fn wait_for_input(&self) -> Result<bool, Ending> {
        let socket = self.peer.socket();
        let (mut has_ended, mut gone) = (false, None);
        loop {
            let ends = PollFd::from_borrowed_fd(socket, PollFlags::RDHUP);
            let mut polled = [PollFd::new(&self.input, PollFlags::IN), PollFd::new(&self.stop, PollFlags::IN), ends];
            // An end would be told again and again.
            let watched = if self.peer.has_end() && !has_ended { &mut polled[..] } else { &mut polled[..2] };
            let time = match has_ended {
                // Whoever types sees that it is over.
                true if self.is_typed() => Some(Duration::ZERO),
                true => Some(LOOK),
                false => None,
            };
            match poll(watched, time.map(timespec).as_ref()) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Ending::Failed("cannot wait for standard input", error.into())),
            }
            if !polled[1].revents().is_empty() {
                return Ok(false);
            }
            if !polled[0].revents().is_empty() {
                return Ok(true);
            }
            has_ended |= !polled[2].revents().is_empty();
            if !has_ended {
                continue;
            }
            if time == Some(Duration::ZERO) {
                return Ok(false);
            }
            let is_gone = self.peer.is_gone();
            if is_gone || self.options.role != Role::Client {
                gone.get_or_insert_with(Instant::now);
            }
            let patience = match self.options.role {
                // The next client gets what comes now.
                Role::Keeping if is_gone => Duration::ZERO,
                _ => limits::INPUT_WAIT,
            };
            if gone.is_some_and(|since| since.elapsed() >= patience) {
                return Ok(false);
            }
        }
    }

    /// Waits until the peer's queue has room, or nobody waits for us any more.
    fn wait_for_room(&self) -> Result<(), Ending> {
        let socket = self.peer.socket();
        let (wanted, time) = match self.peer.tells_of_room() {
            true => (PollFlags::OUT, None),
            false => (PollFlags::empty(), Some(timespec(SOON))),
        };
        let mut polled = [PollFd::from_borrowed_fd(socket, wanted), PollFd::new(&self.stop, PollFlags::IN)];
        match poll(&mut polled, time.as_ref()) {
            Ok(_) if !polled[1].revents().is_empty() => Err(Ending::SendFailed(Errno::AGAIN.into())),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(Ending::Failed("cannot wait for the socket", error.into())),
        }
    }
}

/// What the receiving direction has seen.
struct Seen {
    answers: u64,
    input_ended: bool,
    /// Nothing says that a peer has ended. A listener without input only takes, and goes on doing so: where it keeps
    /// listening, what comes later opens another conversation.
    only_takes: bool,
    /// A peer that can say that it has ended did.
    has_ended: bool,
    /// The sending direction was silent for too long.
    is_idle: bool,
    broken: Option<Ending>,
    /// When something came last.
    last: Instant,
}

impl Seen {
    fn of(peer: &Peer<BorrowedFd<'_>>) -> Self {
        Self {
            answers: u64::from(peer.has_spoken()),
            input_ended: false,
            only_takes: false,
            has_ended: false,
            is_idle: false,
            broken: None,
            last: Instant::now(),
        }
    }
}

struct Receiving<'a> {
    peer: &'a Peer<BorrowedFd<'a>>,
    activity: &'a Activity,
    deadline: Option<Instant>,
    options: &'a TalkOptions,
}

impl Receiving<'_> {
    /// Takes answers until it is time to end.
    fn run(
        &self,
        (sink, output): (&mut Sink<'_>, Output<'_>),
        wake: BorrowedFd<'_>,
        up: &std::sync::mpsc::Receiver<SendOutcome>,
        drops: &mut Drops,
    ) -> Ending {
        let mut inbox = Inbox::new();
        let mut lines = Vec::new();
        let mut seen = Seen::of(self.peer);
        loop {
            let turn = self.turn(&mut seen, (sink, &output), (wake, up), (&mut inbox, &mut lines), drops);
            if let ControlFlow::Break(ending) = turn {
                return ending;
            }
        }
    }

    /// Waits for one thing, and sees to it.
    fn turn(
        &self,
        seen: &mut Seen,
        (sink, output): (&mut Sink<'_>, &Output<'_>),
        (wake, up): (BorrowedFd<'_>, &std::sync::mpsc::Receiver<SendOutcome>),
        (inbox, lines): (&mut Inbox, &mut Vec<u8>),
        drops: &mut Drops,
    ) -> ControlFlow<Ending> {
        let Self { peer, options, .. } = *self;
        let Some(from_sender) = self.wait(seen, output, wake)? else { return ControlFlow::Continue(()) };
        if from_sender {
            self.hear_sender(seen, up)?;
        }
        if seen.has_ended && seen.input_ended {
            return ControlFlow::Break(self.over(seen.broken.take(), seen.is_idle));
        }
        if seen.has_ended {
            return ControlFlow::Continue(());
        }
        self.receive(seen, sink, (inbox, lines), drops)?;
        if peer.has_ended() {
            seen.has_ended = true;
            options.heard_end(false);
            if seen.input_ended {
                return ControlFlow::Break(self.over(seen.broken.take(), seen.is_idle));
            }
        }
        // What is sent is done; a port that is known to be closed was told just now.
        if seen.input_ended && options.direction == Direction::Send && !peer.has_end() {
            return ControlFlow::Break(Ending::Done);
        }
        ControlFlow::Continue(())
    }

    /// Waits: whether the sender has something to tell, or none where there is nothing to do yet.
    fn wait(&self, seen: &mut Seen, output: &Output<'_>, wake: BorrowedFd<'_>) -> ControlFlow<Ending, Option<bool>> {
        let Self { peer, options, .. } = *self;
        let patience = if seen.answers > 0 { options.quiet } else { options.first_answer };
        let quiet_at = match (peer.has_end(), options.direction) {
            (true, Direction::Send) => seen.input_ended.then(|| seen.last + limits::SENT_LINGER),
            (true, _) => None,
            (false, _) => (seen.input_ended && !seen.only_takes).then(|| seen.last + patience),
        };
        let idle_at = options.idle.map(|idle| self.activity.last() + idle);
        let until = [quiet_at, idle_at, self.deadline].into_iter().flatten().min();
        let time = until.map(|at| timespec(at.saturating_duration_since(Instant::now())));
        let reader = output.polled().filter(|_| seen.only_takes || output.only_reads());
        let socket = peer.socket();
        let mut polled = Vec::with_capacity(3);
        polled.extend((!seen.input_ended).then(|| PollFd::new(&wake, PollFlags::IN)));
        // An end would be told again and again.
        polled.extend((!seen.has_ended).then(|| PollFd::new(&socket, PollFlags::IN)));
        polled.extend(reader.clone());
        match poll(&mut polled, time.as_ref()) {
            Err(Errno::INTR) => return ControlFlow::Continue(None),
            Err(error) => return ControlFlow::Break(Ending::Failed("cannot wait for the socket", error.into())),
            Ok(0) => {
                return match self.due(quiet_at) {
                    Some(Due::Ended(ending)) => ControlFlow::Break(ending),
                    // Some of it is still to be read.
                    Some(Due::Quiet) if peer.has_end() && !peer.is_gone() && peer.unread() > Some(0) => {
                        seen.last = Instant::now();
                        ControlFlow::Continue(None)
                    }
                    Some(Due::Quiet) if seen.answers > 0 || peer.has_end() => ControlFlow::Break(Ending::Done),
                    Some(Due::Quiet) => ControlFlow::Break(Ending::NoAnswer(patience)),
                    None => ControlFlow::Continue(None),
                };
            }
            Ok(_) => {}
        }
        if reader.is_some() && polled.last().is_some_and(|reader| !reader.revents().is_empty()) {
            return ControlFlow::Break(Ending::OutputFailed(Errno::PIPE.into()));
        }
        ControlFlow::Continue(Some(!seen.input_ended && !polled[0].revents().is_empty()))
    }

    /// The sending direction is over.
    fn hear_sender(&self, seen: &mut Seen, up: &std::sync::mpsc::Receiver<SendOutcome>) -> ControlFlow<Ending> {
        match up.recv() {
            // What the peer said before is still to be heard.
            Ok(SendOutcome::Failed(ending @ Ending::Reset(_))) => seen.broken = Some(ending),
            Ok(SendOutcome::Failed(ending)) => return ControlFlow::Break(ending),
            Ok(SendOutcome::Idle) => seen.is_idle = true,
            Ok(SendOutcome::Empty) if self.options.role == Role::Listener => {
                seen.only_takes = self.options.direction != Direction::Send;
            }
            Ok(SendOutcome::Ended | SendOutcome::Empty) | Err(_) => {}
        }
        seen.input_ended = true;
        seen.last = seen.last.max(Instant::now());
        ControlFlow::Continue(())
    }

    /// Takes the datagrams that are there.
    fn receive(
        &self,
        seen: &mut Seen,
        sink: &mut Sink<'_>,
        (inbox, lines): (&mut Inbox, &mut Vec<u8>),
        drops: &mut Drops,
    ) -> ControlFlow<Ending> {
        let Self { peer, options, .. } = *self;
        lines.clear();
        let received = peer.receive_many(inbox, |datagram| {
            self.activity.passed();
            options.progress.received_more(datagram.len());
            options.heard_received(datagram);
            add_line(lines, datagram, options.eol);
        });
        match received {
            Ok(0) => {}
            Ok(count) => {
                seen.answers += count as u64;
                seen.last = Instant::now();
                // At once: whoever interrupts reads it, too.
                drops.count(peer, options);
                if options.direction != Direction::Send
                    && let Err(error) = sink.write_until(lines, self.deadline)
                {
                    return ControlFlow::Break(of_output(error, options));
                }
            }
            // What the peer had said before stands behind the error.
            Err(error) if peer.has_end() && Errno::from_io_error(&error) == Some(Errno::CONNRESET) => {
                seen.broken = Some(Ending::Reset(error));
            }
            Err(error) => {
                if let Some(ending) = of_receiving(error) {
                    return ControlFlow::Break(ending);
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Both sides have ended. What the peer has not read yet it may still read; if it goes without that, it is a reset.
    fn over(&self, broken: Option<Ending>, is_idle: bool) -> Ending {
        loop {
            if let Some(error) = self.peer.error() {
                return Ending::Reset(error.into());
            }
            if self.peer.is_gone() || self.peer.unread().is_none_or(|bytes| bytes == 0) {
                break;
            }
            if let Some(Due::Ended(ending)) = self.due(None) {
                return ending;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        match broken {
            Some(ending) => ending,
            None if is_idle => Ending::PeerEnded,
            None => Ending::Done,
        }
    }

    /// What has run out, if anything has.
    fn due(&self, quiet_at: Option<Instant>) -> Option<Due> {
        let (now, options) = (Instant::now(), self.options);
        if self.deadline.is_some_and(|at| now >= at) {
            return Some(Due::Ended(Ending::TimedOut(options.timeout.unwrap_or_default())));
        }
        if let Some(idle) = options.idle
            && now >= self.activity.last() + idle
        {
            return Some(Due::Ended(Ending::Idle(idle)));
        }
        quiet_at.is_some_and(|at| now >= at).then_some(Due::Quiet)
    }
}

/// What a conversation waited for in vain.
enum Due {
    /// A limit ends it.
    Ended(Ending),
    /// The peer says no more.
    Quiet,
}

/// What an error of receiving ends.
fn of_receiving(error: std::io::Error) -> Option<Ending> {
    match Errno::from_io_error(&error) {
        Some(Errno::INTR | Errno::AGAIN) => None,
        Some(Errno::OVERFLOW) => Some(Ending::TooLargeToTake),
        Some(Errno::CONNRESET) => Some(Ending::Reset(error)),
        Some(Errno::CONNREFUSED) => Some(Ending::PortClosed),
        Some(told) if is_of_connection(told) => Some(Ending::Unreachable(error)),
        _ => Some(Ending::Failed("cannot receive", error)),
    }
}

/// Adds a datagram as a line: with an ending, unless it has one or was asked for as it came.
pub(super) fn add_line(lines: &mut Vec<u8>, datagram: &[u8], eol: Eol) {
    lines.extend_from_slice(datagram);
    if eol != Eol::None && !datagram.ends_with(b"\n") {
        lines.push(b'\n');
    }
}
