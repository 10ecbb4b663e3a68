//! The sending direction: each line of standard input is a datagram.

use std::borrow::Cow;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::limits;
use crate::net::peer::Peer;
use crate::net::{is_of_connection, message, timespec};
use crate::verb::talk::{Activity, Direction, Ending, Eol, FirstEnd, Role, TalkOptions, input};

/// Larger than any datagram over IP, so that none is cut.
const LARGEST: usize = 65_536;
/// Most bytes of questions that are kept to be asked of a name's next address.
const KEPT: usize = 256 * 1024;

/// How soon a queue that does not tell of room is tried again.
const SOON: Duration = Duration::from_millis(2);
/// How often is looked what has become of a peer that has ended.
const LOOK: Duration = Duration::from_millis(500);

/// How sending ended.
pub(super) enum SendOutcome {
    Ended,
    /// Standard input had nothing at all.
    Empty,
    Failed(Ending),
    /// The peer is gone, and standard input had nothing more.
    Idle,
}

/// What comes from standard input, over however many peers it is said to.
#[derive(Debug, Default)]
pub(in crate::verb::talk) struct Speech {
    /// What was asked before a peer answered, and how many bytes that are.
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
    pub(super) fn in_hand(&self) -> u64 {
        (self.held.len() - self.said) as u64
    }

    /// Whether standard input was read to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether all that was asked is kept, to be asked of another address.
    pub(super) fn may_be_asked_again(&self) -> bool {
        self.asked_bytes <= KEPT
    }

    fn rest(&self) -> &[u8] {
        &self.held[self.said..]
    }
}

pub(super) struct Sending<'a> {
    pub(super) peer: &'a Peer<BorrowedFd<'a>>,
    pub(super) input: BorrowedFd<'a>,
    /// Closed at its other end when no caller waits for us any more.
    pub(super) stop: OwnedFd,
    pub(super) activity: &'a Activity,
    pub(super) options: &'a TalkOptions,
}

/// Sends each line as a datagram.
pub(super) fn send_lines(sending: &Sending<'_>, speech: &mut Speech, report: &Sender<SendOutcome>) {
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
            // It was heard and counted when it was said first.
            self.send_by(speech.lines, datagram, |datagram| self.peer.send(datagram))?;
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

    /// Says the line of so many bytes that stands first in hand, and keeps it until a peer has answered.
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
        let may_ask_another = speech.may_be_asked_again() && !self.peer.has_answered();
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
        let heard = |datagram: &[u8]| self.options.send_heard(datagram, |datagram| self.peer.send(datagram));
        let length = self.send_by(line, datagram, heard)?;
        self.options.progress.sent_more(length);
        Ok(())
    }

    /// Sends a datagram by a call that may have to be made again.
    fn send_by(
        &self,
        line: u64,
        datagram: &[u8],
        send: impl Fn(&[u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Ending> {
        let since = Instant::now();
        loop {
            match send(datagram) {
                Ok(length) => {
                    self.activity.passed();
                    return Ok(length);
                }
                Err(Errno::INTR) => {}
                Err(error @ Errno::CONNREFUSED) if self.peer.waits_for_room() => {
                    return Err(Ending::Unreachable(error.into()));
                }
                Err(Errno::CONNREFUSED) => return Err(Ending::PortClosed),
                Err(error @ (Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN)) if self.peer.has_end() => {
                    return Err(Ending::Reset(error.into()));
                }
                // A peer that reads nothing for now keeps us waiting, over Unix sockets.
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
        // The peer's end may follow ours at once, and they are to be known in this order.
        self.options.heard_end(true);
        self.activity.ended(FirstEnd::Us);
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
                // The person who types sees that it is over.
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

    /// Waits until the peer's queue has room, or no caller waits for us any more.
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
