//! Clients come in, and go to the loop with the fewest; the next wait where there is no room.

use std::ops::ControlFlow;
use std::os::fd::OwnedFd;

use super::acceptor::{AcceptedClient, NextClient, NotAdmitted, next_client};
use super::at_rest::Admission;
use super::channel::ConnectionInfo;
use super::groups::Early;
use super::reactor::poller::Interest;
use super::reactor::token::Token;
use super::threads::Membership;
use super::workers::Message;
use super::{Behaviour, Loop};
use crate::event::{Conversation, Event, Name};
use crate::gate::{Gate, Pass};

impl Loop {
    /// Takes those who wait at a listener, so many at most.
    pub(super) fn accept(&mut self, index: usize, most: usize) {
        let mut to_wake = 0_u64;
        self.take_clients(index, most, &mut to_wake);
        if let Some(Membership { workers, .. }) = &self.member {
            // Once for all that a loop got.
            (0..self.bounds.threads)
                .filter(|worker| to_wake >> worker & 1 == 1)
                .for_each(|worker| workers.wake(worker));
        }
    }

    fn take_clients(&mut self, index: usize, most: usize, to_wake: &mut u64) {
        for _ in 0..most {
            if self.all_played() {
                // A client that comes now is refused, as after the end.
                self.close_listeners();
                return;
            }
            match self.room_for_one(index) {
                ControlFlow::Continue(true) => {}
                // Those that rested made way: how much room there is now is looked at anew.
                ControlFlow::Continue(false) => continue,
                ControlFlow::Break(()) => return,
            }
            let flags = self.origins[index].behaviour.socket_flags();
            let observer = &mut self.resources.observer;
            match next_client(&self.listeners[index], index, flags, |event| observer.observe(event)) {
                NextClient::Client(AcceptedClient { fd, client, server, .. }) => {
                    if let Some(why) = self.origins[index].distrusts(client.ip()) {
                        let error = format!("{}: {why}", self.origins[index].endpoint);
                        self.resources.observer.observe(Event::Dropped { count: 1, error });
                    } else if self.origins[index].accepts_proxy() {
                        self.await_header(fd, client, server, index);
                    } else if self.let_in(fd, client, server, index, to_wake) {
                        return;
                    }
                }
                NextClient::None => return,
                NextClient::Shortage(why) => {
                    if self.make_way(index) == Admission::HasRoom {
                        continue;
                    }
                    return self.pause_accepting(why);
                }
                NextClient::Failing(why) => return self.pause_accepting(why.to_owned()),
                NextClient::Broken(error) => {
                    self.broken = Some(error);
                    return;
                }
            }
        }
    }

    /// Lets a client in, if it may; whether it is the last that there is to be.
    pub(super) fn let_in(
        &mut self,
        fd: OwnedFd,
        client: Name,
        server: Option<Box<Name>>,
        index: usize,
        to_wake: &mut u64,
    ) -> bool {
        let Some((AcceptedClient { fd, client, server, .. }, pass)) =
            self.admit(AcceptedClient { fd, client, server, listener: index })
        else {
            return false;
        };
        let spans = self.spans(index);
        // The one before may have begun a play that waits for this one already.
        self.hand_on();
        if spans && !self.is_awaited(index, &client) {
            self.hear_plays_of(index, &client);
        }
        if self.is_awaited(index, &client) {
            self.go_on_in(Early { fd, client, server, listener: index, pass });
            return false;
        }
        let plays = self.bounds.plays;
        if plays.is_some_and(|plays| self.resources.tally.begun() >= plays) {
            self.came_early(Early { fd, client, server, listener: index, pass });
            return false;
        }
        let last = !spans && plays.is_some_and(|plays| self.resources.tally.begun() + 1 >= plays);
        if last {
            // Before it is greeted: a client that is greeted last knows that no other will be.
            self.close_listeners();
        }
        *to_wake |= 1 << self.open(fd, client, server, index, pass);
        last
    }

    /// Why there is no room for any client more, in words for those that wait.
    pub(super) fn lacks_room(&self, behaviour: &Behaviour) -> Option<String> {
        let bound = self.bounds.connections;
        if self.live() + self.announced.len() >= bound {
            return Some(format!(
                "{bound} connections are open, as many as the limit of open files allows \
                (ulimit -n, less 64); new clients wait"
            ));
        }
        behaviour.is_full()
    }

    /// Lets a client in if the rules say so and there is room for it.
    fn admit(&mut self, client: AcceptedClient) -> Option<(AcceptedClient, Option<Box<Pass>>)> {
        let (live, address) = (self.live(), client.client.ip());
        let endpoint = &self.origins[client.listener].endpoint;
        match self.acceptor.admit(client, address, &self.bounds.gate, live, endpoint) {
            Ok(admitted) => return Some(admitted),
            Err(NotAdmitted::Waits(words)) => self.tell_full(words),
            Err(NotAdmitted::Refused(error)) => {
                self.resources.observer.observe(Event::Dropped { count: 1, error });
            }
        }
        None
    }

    /// Says once a second that clients wait.
    pub(super) fn tell_full(&mut self, why: String) {
        if self.acceptor.tells_full(self.resources.now) {
            self.resources.observer.observe(Event::Notice(why));
        }
    }

    /// Those who wait for room of their address come in when one has left.
    pub(super) fn admit_waiting(&mut self) {
        if self.resources.stopping {
            return;
        }
        for _ in 0..self.acceptor.looks(&self.bounds.gate) {
            if self.all_played() || self.live() >= self.bounds.gate.bound(self.bounds.connections) {
                self.acceptor.look_again();
                break;
            }
            let Some((client, pass)) = self.acceptor.next_waiting(&self.bounds.gate) else { continue };
            let AcceptedClient { fd, client, server, listener } = client;
            let worker = self.open(fd, client, server, listener, pass);
            if let Some(Membership { workers, .. }) = &self.member {
                workers.wake(worker);
            }
        }
    }

    /// Whether the next client of a listener may come in: at once, or perhaps now that others have made way. Where there is no
    /// room at all, or no client waits for it, it breaks.
    fn room_for_one(&mut self, index: usize) -> ControlFlow<(), bool> {
        let why = if let Some(most) = self.bounds.gate.is_full(self.live()) {
            Gate::words_of_full(most)
        } else if let Some(why) = self.announced.is_full() {
            self.pause_accepting(why);
            return ControlFlow::Break(());
        } else if let Some(why) = self.lacks_room(&self.origins[index].behaviour) {
            why
        } else {
            return ControlFlow::Continue(true);
        };
        match self.make_way(index) {
            Admission::HasRoom => return ControlFlow::Continue(false),
            Admission::NoClientWaits => {}
            Admission::IsFull => self.pause_accepting(why),
        }
        ControlFlow::Break(())
    }

    /// Opens a conversation and gives it to the loop with the fewest connections: the index of that worker.
    fn open(
        &mut self,
        fd: OwnedFd,
        client: Name,
        server: Option<Box<Name>>,
        listener: usize,
        pass: Option<Box<Pass>>,
    ) -> usize {
        let number = self.resources.tally.next_number();
        let endpoint = &self.origins[listener].endpoint;
        self.resources.observer.observe(Event::Opened(Conversation {
            number,
            protocol: endpoint.protocol,
            server: server.as_deref().unwrap_or(&endpoint.name).clone(),
            client: client.clone(),
            to: None,
        }));
        let permit = self.origins[listener].behaviour.take_permit();
        let info = ConnectionInfo { number, peer: client, local: server, origin: listener, permit, pass };
        let spans = self.spans(listener);
        if let Some(Membership { workers, .. }) = &self.member {
            // Connections of one play are all of one loop, which is the one that accepts.
            let worker = if spans { 0 } else { workers.freest() };
            workers.add(worker);
            if worker > 0 {
                workers.write(worker, Message::Client(fd, info));
                return worker;
            }
        }
        self.take_in(fd, info);
        0
    }

    /// Rests from accepting: those who wait stay in the backlog, those inside are served.
    fn pause_accepting(&mut self, why: String) {
        if self.acceptor.pause(self.resources.now) {
            self.watch_listeners(Interest::Nothing);
        }
        self.tell_full(why);
    }

    pub(super) fn resume_accepting(&mut self) {
        let is_full = self.live() >= self.bounds.connections
            && (0..self.listeners.len()).all(|index| self.make_way(index) == Admission::IsFull);
        if is_full || self.resources.stopping {
            self.acceptor.pause(self.resources.now);
        } else if self.acceptor.resume() {
            self.watch_listeners(Interest::Read);
        }
    }

    fn watch_listeners(&self, interest: Interest) {
        for (index, socket) in self.listeners.iter().enumerate() {
            let _ = self.poller.change(&socket.fd, Token::Listener(index as u32), interest);
        }
    }
}
