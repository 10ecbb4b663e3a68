//! The same over a Unix socket: its peers have names and no addresses, nothing is lost on the way, and a client that does not read holds
//! up no other client.

use std::collections::HashSet;
use std::sync::Arc;

use rustix::io::Errno;

use super::super::Context;
use super::DatagramServer;
use crate::event::{Event, Name};
use crate::limits;
use crate::net::message::{self, LARGEST, Received};
use crate::sys::datagrams::{PeerAddress, UnixPeers};

/// Messages taken from one socket before the others have their turn.
const TURN: usize = 256;

/// What only a Unix socket needs.
#[derive(Debug)]
pub(super) struct Unix {
    peers: Arc<UnixPeers>,
    buffer: Vec<u8>,
}

impl Default for Unix {
    fn default() -> Self {
        Self { peers: Arc::default(), buffer: vec![0; LARGEST] }
    }
}

impl Unix {
    /// Where its peers are.
    pub(super) fn peers(&self) -> Arc<UnixPeers> {
        Arc::clone(&self.peers)
    }

    pub(super) fn name_of(&self, number: u32) -> Name {
        self.peers.address(number).map_or(Name::Unnamed, |address| message::name(&address))
    }
}

impl DatagramServer {
    /// Where the peers of a Unix socket are.
    pub(in super::super) fn unix_peers(&self) -> Option<Arc<UnixPeers>> {
        self.unix.as_ref().map(|unix| unix.peers())
    }

    /// Takes and answers what has come.
    pub(super) fn take_from_unix(&mut self, context: &mut Context<'_>) {
        let Some(mut unix) = self.unix.take() else { return };
        let mut buffer = std::mem::take(&mut unix.buffer);
        let peers = unix.peers();
        self.unix = Some(unix);
        let (mut run, mut too_large) = (None, 0_u64);
        for _ in 0..TURN {
            let (length, from) = match message::receive(&self.socket.fd, &mut buffer, false) {
                Ok((Received::Message(length), from)) => (length, from),
                Ok((Received::TooLarge(_) | Received::End, _)) => {
                    too_large += 1;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            let from = peers.number(message::sender(from));
            if self.origin.behaviour.discards() && context.plays.is_none() {
                self.discard_one(&mut run, (from, None), length, context);
            } else {
                self.answer(&buffer[..length], from, None, context);
                // A peer's queue is short: what it is told goes out before the next is taken.
                if !self.answers.are_stuck() {
                    self.flush(context);
                }
            }
        }
        self.close_run(run, context);
        self.flush(context);
        if let Some(unix) = &mut self.unix {
            unix.buffer = buffer;
        }
        if too_large > 0 {
            let most = limits::bytes(LARGEST);
            let error = format!("{}: messages larger than {most} are not taken", self.socket.endpoint);
            context.observer.observe(Event::Dropped { count: too_large, error });
        }
        if peers.are_many() {
            self.forget_peers(&peers);
        }
        self.tell_withheld(context);
    }

    /// Keeps the names of those only who have a play or a program, or to whom something is on its way.
    fn forget_peers(&self, peers: &UnixPeers) {
        let mut of_use: HashSet<PeerAddress> = self.peers.keys().map(|pair| pair.0).collect();
        of_use.extend(self.answers.peers());
        if let Some(programs) = &self.programs {
            of_use.extend(programs.peers());
        }
        peers.retain(|peer| of_use.contains(&peer));
    }
}
