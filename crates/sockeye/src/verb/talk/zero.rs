//! Whether a program listens at a UDP port, as far as that can be known: one that is closed says so (ICMP), one that
//! answers is there, and silence says nothing.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::net::connect::Connected;
use crate::net::peer::Peer;
use crate::net::{is_of_connection, timespec};

/// What is asked: nothing at all, which many servers leave without an answer, and then an empty line.
const QUESTIONS: [&[u8]; 2] = [b"", b"\n"];
/// How long an answer to a question is waited for before the next is sent.
const APART: Duration = Duration::from_millis(500);

/// What came of asking.
#[derive(Debug)]
pub enum Probed {
    /// A peer answered.
    Answered,
    /// No program listens there.
    Closed,
    /// There is no way to that host.
    Unreachable(io::Error),
    /// Nothing came in time.
    Silent,
    /// This machine could not ask.
    Failed(io::Error),
}

/// Asks, again and again until the time is over: a datagram may get lost.
#[must_use]
pub fn probe(connected: &Connected, time: Duration) -> Probed {
    match ask(connected, Instant::now() + time) {
        Ok(true) => Probed::Answered,
        Ok(false) => Probed::Silent,
        Err(Errno::CONNREFUSED) => Probed::Closed,
        Err(error) if is_of_connection(error) => Probed::Unreachable(error.into()),
        Err(error) => Probed::Failed(error.into()),
    }
}

fn ask(connected: &Connected, until: Instant) -> Result<bool, Errno> {
    let peer = Peer::of(connected.fd.as_fd(), connected.protocol, &connected.peer)?;
    let mut buffer = vec![0; 65_536];
    for question in QUESTIONS.into_iter().cycle() {
        match peer.send(question) {
            // A full queue empties by itself.
            Ok(_) | Err(Errno::INTR | Errno::NOBUFS | Errno::AGAIN) => {}
            Err(error) => return Err(error),
        }
        let next = (Instant::now() + APART).min(until);
        loop {
            match peer.receive(&mut buffer) {
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error),
            }
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match poll(&mut [PollFd::from_borrowed_fd(peer.socket(), PollFlags::IN)], Some(&timespec(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        if Instant::now() >= until {
            break;
        }
    }
    Ok(false)
}
