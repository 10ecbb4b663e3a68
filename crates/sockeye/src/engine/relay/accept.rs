//! Clients come in, and go to the loop with the fewest pairs.

use std::time::Duration;

use rustix::net::SocketFlags;

use super::super::accept::{ACCEPTS, Accepted, ERRORS, PAUSE, accept};
use super::Loop;
use super::capture::Wire;
use super::leg::Leg;
use super::pair::{Client, Pair, Stage};
use super::poll::{End, Who};
use super::shared::Message;
use super::way::Way;
use crate::event::{ClosedBy, Conversation, Event};
use crate::faults::{Chain, Faults, Fortune, Lane};
use crate::limits;
use crate::net::tls::Session;
use transcript::Side;

impl Loop {
    /// Takes those who wait at a listener.
    pub(super) fn accept(&mut self, index: usize) {
        let mut errors = 0;
        for _ in 0..ACCEPTS {
            if self.stop_by.is_some() {
                return;
            }
            if self.all_came() {
                self.close_listeners();
                self.shared.is_attentive.store(true, std::sync::atomic::Ordering::SeqCst);
                return;
            }
            let most = self.shared.options.pairs;
            if self.shared.live() >= most {
                let why = format!(
                    "{most} connections are open, as many as the limit of open files allows (ulimit -n, less 64, two \
                    for each); new clients wait"
                );
                self.pause_accepting(why);
                return;
            }
            let listener = &self.listeners[index];
            match accept(&listener.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Accepted::One { fd, client, server } => {
                    errors = 0;
                    let endpoint = &listener.socket.endpoint;
                    let server = server.map_or_else(|| endpoint.name.clone(), |server| *server);
                    let (number, protocol) = (self.shared.next_number(), endpoint.protocol);
                    let conversation = Conversation { number, protocol, server, client, to: None };
                    let client = Client { fd, conversation, listener: index };
                    let seat = self.shared.freest();
                    self.shared.add(seat);
                    if seat == self.seat {
                        self.take_in(client);
                    } else {
                        self.shared.write(seat, Message::Client(Box::new(client)));
                    }
                }
                Accepted::None => return,
                Accepted::GoOn => errors += 1,
                Accepted::Odd(event) => {
                    errors += 1;
                    self.shared.observe(event);
                }
                Accepted::Pause(why) => {
                    self.pause_accepting(why);
                    return;
                }
                Accepted::Die(error) => {
                    self.broken = Some(error);
                    return;
                }
            }
            if errors >= ERRORS {
                self.pause_accepting("accept failed again and again; new clients wait".to_owned());
                return;
            }
        }
    }

    /// A client is this loop's.
    pub(super) fn take_in(&mut self, client: Client) {
        let Client { fd, conversation, listener } = client;
        let network = &self.shared.options.network;
        let number = conversation.number;
        let fortune = if network.is_good() { Fortune::Good } else { network.fortune(number) };
        let live = self.shared.options.live.as_ref().map(|live| live.look().0).unwrap_or_default();
        let weather = |faults: &Faults, side| {
            let fixed = Some(*faults).filter(|faults| fortune == Fortune::Bad && !faults.is_none());
            if fixed.is_none() && live.is_empty() {
                return None;
            }
            let lane = Lane { seed: network.seed, connection: number, side };
            let chain = Chain::new(lane, fixed, &live, self.now);
            (!chain.is_empty()).then(|| Box::new(chain))
        };
        let up = Way::new(Side::Client, weather(&network.up, Side::Client));
        let down = Way::new(Side::Server, weather(&network.down, Side::Server));
        let mut near = Leg::new(fd, conversation.protocol);
        if let Some(capture) = &self.shared.options.capture {
            let (client, server) = (&conversation.client, &conversation.server);
            near.wire_tap = Some(Wire::between(capture, End::Near, client, server, number));
        }
        let taps = self.taps_of(&conversation);
        let mut pair = Pair::new(near, conversation, (up, down), Stage::Greeting, self.now);
        pair.taps = taps;
        let key = self.pairs.insert(Box::new(pair));
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let mut begun = self.poll.add_end(pair.near.fd(), key, End::Near);
        if fortune == Fortune::Refused {
            pair.refuse("refused on purpose (--refuse)");
            self.conclude(key, false);
            return;
        }
        if let Some(tls) = self.tls.get(listener).and_then(Option::as_ref) {
            pair.deadline = Some(self.now.after(limits::HANDSHAKE_WAIT));
            match Session::of_server(tls) {
                Ok(session) => begun = begun.and_then(|()| pair.near.secure(session)),
                Err(error) => {
                    pair.give_up(ClosedBy::Server, format!("TLS: {error}"));
                    self.conclude(key, false);
                    return;
                }
            }
            if begun.is_ok() {
                self.arm(key);
                return;
            }
        }
        match begun {
            Ok(()) => self.connect(key),
            Err(error) => {
                pair.refuse(&crate::net::words(&std::io::Error::from(error)));
                self.conclude(key, false);
            }
        }
    }

    /// Rests from accepting: those who wait stay in the backlog, those inside go on.
    fn pause_accepting(&mut self, why: String) {
        for (index, listener) in self.listeners.iter().enumerate() {
            let _ = self.poll.watch(&listener.socket.fd, Who::Listener(index as u32), false);
        }
        self.is_paused = true;
        self.accept_again = Some(self.now.after(PAUSE));
        if self.told_full.is_none_or(|told| self.now >= told.after(Duration::from_secs(1))) {
            self.told_full = Some(self.now);
            self.shared.observe(Event::Notice(why));
        }
    }

    pub(super) fn resume_accepting(&mut self) {
        if self.stop_by.is_some() {
            self.accept_again = None;
            return;
        }
        if self.shared.live() >= self.shared.options.pairs {
            self.accept_again = Some(self.now.after(PAUSE));
            return;
        }
        (self.accept_again, self.is_paused) = (None, false);
        for (index, listener) in self.listeners.iter().enumerate() {
            let _ = self.poll.watch(&listener.socket.fd, Who::Listener(index as u32), true);
        }
    }
}
