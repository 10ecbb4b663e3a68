//! The receiving direction: each datagram is a line of standard output, until it is time to end.

use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::sender::SendOutcome;
use crate::limits;
use crate::net::peer::Peer;
use crate::net::{is_of_connection, timespec};
use crate::sys::datagrams::Inbox;
use crate::verb::talk::stream::of_output;
use crate::verb::talk::unread::Output;
use crate::verb::talk::{Activity, Direction, Ending, Eol, FirstEnd, Role, Sink, TalkOptions};

/// What the kernel dropped, and how much of it is counted already.
pub(super) struct Drops {
    pub(super) counted: u32,
}

impl Drops {
    pub(super) fn count(&mut self, peer: &Peer<BorrowedFd<'_>>, options: &TalkOptions) {
        let now = peer.drops();
        let more = now.wrapping_sub(std::mem::replace(&mut self.counted, now));
        options.progress.dropped.fetch_add(more.into(), Ordering::Relaxed);
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

pub(super) struct Receiving<'a> {
    pub(super) peer: &'a Peer<BorrowedFd<'a>>,
    pub(super) activity: &'a Activity,
    pub(super) deadline: Option<Instant>,
    pub(super) options: &'a TalkOptions,
}

impl Receiving<'_> {
    /// Takes answers until it is time to end.
    pub(super) fn run(
        &self,
        (sink, output): (&mut Sink<'_>, Output<'_>),
        wake: BorrowedFd<'_>,
        up: &Receiver<SendOutcome>,
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
        (wake, up): (BorrowedFd<'_>, &Receiver<SendOutcome>),
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
            self.activity.ended(FirstEnd::Peer);
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
    fn hear_sender(&self, seen: &mut Seen, up: &Receiver<SendOutcome>) -> ControlFlow<Ending> {
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
        let mut bytes = 0;
        let received = peer.receive_many(inbox, |datagram| {
            bytes += datagram.len();
            options.heard_received(datagram);
            add_line(lines, datagram, options.eol);
        });
        // Once for all: each by itself costs more than its copy.
        if bytes > 0 {
            options.progress.received_more(bytes);
        }
        if matches!(received, Ok(1..)) {
            seen.last = Instant::now();
            self.activity.passed();
            // At once: a person who interrupts reads it, too.
            drops.count(peer, options);
        }
        // What came before an error is delivered.
        if options.direction != Direction::Send
            && !lines.is_empty()
            && let Err(error) = sink.write_until(lines, self.deadline)
        {
            return ControlFlow::Break(of_output(error, options));
        }
        match received {
            Ok(count) => seen.answers += count as u64,
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
pub(in crate::verb::talk) fn add_line(lines: &mut Vec<u8>, datagram: &[u8], eol: Eol) {
    lines.extend_from_slice(datagram);
    if eol != Eol::None && !datagram.ends_with(b"\n") {
        lines.push(b'\n');
    }
}
