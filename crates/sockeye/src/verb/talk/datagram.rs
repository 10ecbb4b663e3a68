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
use crate::address::Address;
use crate::endpoint::Protocol;
use crate::net::connect::{ConnectOptions, Connected, RetryClock, connect_within};
use crate::net::peer::Peer;

pub(super) use self::receiver::add_line;
pub(super) use self::sender::Speech;

/// Until when is asked again where no program listens: the server may only be starting.
#[derive(Debug, Clone)]
pub struct AskAgain {
    /// Where it is asked.
    pub address: Address,
    /// How to connect there anew, where a socket knows only one that is gone.
    pub connect: ConnectOptions,
    /// How long that goes on.
    pub until: Instant,
}

/// Joins a client's datagram socket to an input and an output, until the input has ended and it has been quiet. Where
/// no program listens, the name's next address is asked the same, and all of them again as long as [`TalkOptions::again`] says.
pub fn talk(connected: &Connected, input: BorrowedFd<'_>, sink: &mut Sink<'_>, options: &TalkOptions) -> Outcome {
    let mut speech = Speech::default();
    let mut outcome = ask_each(connected, &mut speech, input, sink, options);
    let mut clock = RetryClock::until(options.again.as_ref().map(|again| again.until));
    let mut anew = None;
    while let Some(again) = &options.again
        && is_unheard(&outcome, &speech)
        && clock.wait()
    {
        if connected.protocol == Protocol::UnixDgram {
            // Its socket is joined to another one, and not to the path.
            match connect_within(&again.address, connected.protocol, &again.connect, Some(clock.left())) {
                Ok(connected) => anew = Some(connected),
                Err(_) => break,
            }
        }
        let sent = outcome.sent;
        outcome = ask_each(anew.as_ref().unwrap_or(connected), &mut speech, input, sink, options);
        outcome.sent += sent;
    }
    outcome
}

/// Whether nothing listened, and all that was asked can be asked once more.
fn is_unheard(outcome: &Outcome, speech: &Speech) -> bool {
    matches!(outcome.ending, Ending::PortClosed | Ending::Unreachable(_))
        && outcome.received == 0
        && speech.may_be_asked_again()
}

/// Asks one address of a name after the other.
fn ask_each(
    connected: &Connected,
    speech: &mut Speech,
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    options: &TalkOptions,
) -> Outcome {
    let outcome = talk_to(connected, speech, input, sink, options);
    let mut last = (outcome, connected.next());
    while let (outcome, Some(next)) = &last
        && is_unheard(outcome, speech)
    {
        let sent = outcome.sent;
        let outcome = talk_to(next, speech, input, sink, options);
        let outcome = Outcome { sent: outcome.sent + sent, ..outcome };
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
    let activity = Activity::new();
    let receiving = Receiving { peer, activity: &activity, deadline, options };
    let ending = both_ways(&receiving, speech, input, sink, &mut drops);
    options.progress.strangers.fetch_add(peer.ignored(), Ordering::Relaxed);
    drops.count(peer, options);
    if peer.has_end() && matches!(ending, Ending::Reset(_)) {
        options.heard_reset();
    }
    let complete = matches!(ending, Ending::Done | Ending::NoAnswer(_)) || options.direction == Direction::Receive;
    let mut unsent = if complete { Unsent::default() } else { input::left(input) };
    unsent.bytes += speech.in_hand();
    unsent.at_least &= !speech.has_ended();
    let (sent, received) = (options.progress.sent() - sent, options.progress.received() - received);
    let dropped = options.progress.dropped() - dropped;
    Outcome { ending, sent, received, unsent, dropped, first_end: activity.first_end() }
}

fn both_ways(
    receiving: &Receiving<'_>,
    speech: &mut Speech,
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    drops: &mut Drops,
) -> Ending {
    let Receiving { peer, activity, options, .. } = *receiving;
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
