//! Standard input on its way to a stream: to its end, or until the peer is known to take nothing more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::connection::{Connection, Peer};
use super::input::Endings;
use super::spliced;
use super::{Direction, OurEnd, Role, TalkOptions, input};
use crate::limits;
use crate::net::{is_of_connection, timespec};

/// Bytes a read takes at once.
const BUFFER: usize = 256 * 1024;
/// How often is looked what has become of a peer that has ended.
const LOOK: Duration = Duration::from_millis(500);

/// How the sending direction ended.
#[derive(Debug)]
pub(super) enum SendOutcome {
    /// Standard input ended, and our end was sent.
    Ended,
    /// Standard input had nothing from the beginning: our end stays open until the peer's comes.
    Empty,
    /// The peer is gone, and standard input had nothing more.
    Idle,
    /// The connection took no more of what we had in hand.
    Broken { in_hand: usize },
    /// Standard input could not be read.
    InputFailed(io::Error),
    /// This machine could not do something.
    Failed(&'static str, Errno),
}

pub(super) struct Sending<'a> {
    pub(super) connection: &'a Connection<'a>,
    pub(super) input: BorrowedFd<'a>,
    /// Closed at its other end when receiving is over.
    pub(super) wake: BorrowedFd<'a>,
    pub(super) options: &'a TalkOptions,
}

enum Waited {
    Input,
    /// Nothing will come of waiting longer.
    Over(SendOutcome),
}

impl Sending<'_> {
    pub(super) fn run(&self) -> SendOutcome {
        let mut endings = Endings::new(self.options.eol);
        let as_it_is = endings.is_verbatim() && self.options.tap.is_none() && self.connection.secure().is_none();
        let mut spliced = as_it_is.then(|| spliced::Sender::new(self.input)).flatten();
        let (mut buffer, mut rewritten) = (Vec::new(), Vec::new());
        let mut empty = true;
        loop {
            if let Waited::Over(up) = self.wait_for_input() {
                return up;
            }
            match spliced.map(|spliced| self.connection.told(spliced.send(self.connection.socket()))) {
                Some(Ok(0)) => return self.end(empty),
                Some(Ok(length)) => {
                    empty = false;
                    self.options.progress.sent_more(length);
                    continue;
                }
                Some(Err(Errno::INTR)) => continue,
                Some(Err(Errno::AGAIN)) => match self.wait_for_room(0) {
                    Ok(()) => continue,
                    Err(up) => return up,
                },
                Some(Err(error)) if is_of_connection(error) => return SendOutcome::Broken { in_hand: 0 },
                // Whose error it is, copying tells.
                Some(Err(_)) => spliced = None,
                None => {}
            }
            buffer.resize(BUFFER, 0);
            let length = match rustix::io::read(self.input, &mut buffer[..]) {
                Ok(length) => length,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                // A closed terminal reads as an error; it is an end like any other.
                Err(Errno::IO) if rustix::termios::isatty(self.input) => 0,
                Err(error) => {
                    return match self.connection.end() {
                        Ok(()) => SendOutcome::InputFailed(error.into()),
                        Err(error) => SendOutcome::Failed("cannot end our direction", error),
                    };
                }
            };
            let bytes = if endings.is_verbatim() {
                &buffer[..length]
            } else {
                rewritten.clear();
                endings.rewrite(&buffer[..length], length == 0, &mut rewritten);
                &rewritten[..]
            };
            if let Err(up) = self.send_all(bytes) {
                return up;
            }
            if length == 0 {
                return self.end(empty);
            }
            empty = false;
        }
    }

    /// Standard input has ended. With it our direction does, except where nothing was ever to be said: a listener whose
    /// input is /dev/null, as under systemd, cron or nohup, only takes, and a sender that hears our end might stop.
    fn end(&self, empty: bool) -> SendOutcome {
        let only_takes = empty && self.options.role != Role::Client && self.options.direction == Direction::Both;
        if only_takes && !self.is_file() && !self.is_typed() {
            return SendOutcome::Empty;
        }
        if let Some(secure) = self.connection.secure() {
            secure.finish_line(self.connection.socket());
        }
        if self.options.our_end == OurEnd::WhenQuiet && self.options.direction == Direction::Both {
            self.wait_for_quiet();
        }
        // The peer's end may follow ours at once, and the tap is to hear them in this order.
        self.options.heard_end(true);
        match self.connection.end() {
            Ok(()) => SendOutcome::Ended,
            Err(error) => SendOutcome::Failed("cannot end our direction", error),
        }
    }

    /// Waits until nothing has come for a while, all that was sent has arrived, or receiving is over.
    fn wait_for_quiet(&self) {
        let (since, before) = (Instant::now(), self.options.progress.received());
        loop {
            let has_answer = self.options.progress.received() > before;
            let patience = if has_answer { self.options.quiet } else { self.options.first_answer };
            let until = self.connection.last().max(since) + patience;
            let is_on_its_way = self.connection.unacknowledged().is_ok_and(|bytes| bytes > 0);
            let left = match until.saturating_duration_since(Instant::now()) {
                left if left.is_zero() && is_on_its_way => LOOK,
                left if left.is_zero() => return,
                left => left.min(LOOK),
            };
            let mut wake = [PollFd::from_borrowed_fd(self.wake, PollFlags::IN)];
            match poll(&mut wake, Some(&timespec(left))) {
                Ok(0) | Err(Errno::INTR) if !self.connection.is_over() => {}
                _ => return,
            }
        }
    }

    /// Whether someone types it.
    fn is_typed(&self) -> bool {
        self.options.is_typed(self.input)
    }

    /// An empty file was meant to be sent.
    fn is_file(&self) -> bool {
        input::is_file(self.input)
    }

    /// Waits until there is input. A peer that has ended may still read, and is waited for as long as it may; one that is
    /// gone is not: what comes now could not be sent.
    fn wait_for_input(&self) -> Waited {
        let mut gone = None;
        loop {
            if self.connection.is_over() {
                return Waited::Over(SendOutcome::Broken { in_hand: 0 });
            }
            let peer_ended = self.connection.has_peer_ended();
            let terminal = peer_ended && self.is_typed();
            let socket = self.connection.as_fd();
            let other = if peer_ended {
                PollFd::from_borrowed_fd(socket, PollFlags::empty())
            } else {
                PollFd::from_borrowed_fd(self.wake, PollFlags::IN)
            };
            let mut polled = [PollFd::from_borrowed_fd(self.input, PollFlags::IN), other];
            // A socket that is closed would be told again and again.
            let watched = if gone.is_some() { &mut polled[..1] } else { &mut polled[..] };
            let time = match (terminal, peer_ended) {
                // The person who types sees that it is over.
                (true, _) => Some(Duration::ZERO),
                (_, true) => Some(LOOK),
                _ => None,
            };
            match poll(watched, time.map(timespec).as_ref()) {
                Err(Errno::INTR) => continue,
                Err(error) => return Waited::Over(SendOutcome::Failed("cannot wait for standard input", error)),
                Ok(0) if terminal => return Waited::Over(SendOutcome::Idle),
                Ok(_) => {}
            }
            if !polled[0].revents().is_empty() {
                return Waited::Input;
            }
            if !peer_ended {
                continue;
            }
            let peer = self.connection.peer();
            if peer == Peer::Reset {
                return Waited::Over(SendOutcome::Broken { in_hand: 0 });
            }
            if peer == Peer::Gone {
                gone.get_or_insert_with(Instant::now);
            }
            let patience = match self.options.role {
                // The next client gets what comes now.
                Role::Keeping if gone.is_some() => Duration::ZERO,
                _ => limits::INPUT_WAIT,
            };
            // A client that has ended has asked all that it will, and may wait for our end.
            let since = match self.options.role {
                Role::Client => gone,
                Role::Listener | Role::Keeping => Some(gone.unwrap_or_else(|| self.connection.quiet_since())),
            };
            if since.is_some_and(|since| since.elapsed() >= patience) {
                return Waited::Over(SendOutcome::Idle);
            }
        }
    }

    /// Sends everything.
    fn send_all(&self, mut bytes: &[u8]) -> Result<(), SendOutcome> {
        while !bytes.is_empty() {
            let sent = self.options.send_heard(bytes, |bytes| self.connection.send(bytes));
            match self.connection.told(sent) {
                Ok(length) => {
                    self.options.progress.sent_more(length);
                    bytes = &bytes[length..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait_for_room(bytes.len())?,
                Err(error) if is_of_connection(error) => return Err(SendOutcome::Broken { in_hand: bytes.len() }),
                Err(error) => return Err(SendOutcome::Failed("cannot send", error)),
            }
        }
        Ok(())
    }

    /// Waits until the socket takes more. A peer that reads nothing for now keeps us waiting; one that is gone does not.
    fn wait_for_room(&self, in_hand: usize) -> Result<(), SendOutcome> {
        loop {
            if self.connection.is_over() {
                return Err(SendOutcome::Broken { in_hand });
            }
            let socket = self.connection.as_fd();
            match poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::OUT)], None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(SendOutcome::Failed("cannot wait for the socket", error)),
            }
        }
    }
}
