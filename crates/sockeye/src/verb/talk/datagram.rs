//! Datagrams joined to standard input and output: a line in is a datagram out, a datagram in is a line out.

mod receiver;
mod sender;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Instant;

use rustix::pipe::{PipeFlags, pipe_with};

use self::receiver::{Drops, Receiving};
use self::sender::{SendOutcome, Sending, send_lines};
use super::unread::Output;
use super::{Activity, Direction, Ending, Outcome, Sink, TalkOptions, Unsent, input};
use crate::net::connect::Connected;
use crate::net::peer::Peer;

pub(super) use self::receiver::add_line;
pub(super) use self::sender::Speech;

/// Joins a client's datagram socket to an input and an output, until the input has ended and it has been quiet. Where
/// no program listens, the name's next address is asked the same.
pub fn talk(connected: &Connected, input: BorrowedFd<'_>, sink: &mut Sink<'_>, options: &TalkOptions) -> Outcome {
    let mut speech = Speech::default();
    let outcome = talk_to(connected, &mut speech, input, sink, options);
    let mut last = (outcome, connected.next());
    while let (outcome, Some(next)) = &last
        && matches!(outcome.ending, Ending::PortClosed | Ending::Unreachable(_))
        && outcome.received == 0
        && speech.may_be_asked_again()
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
