//! What the kernel told in one turn of a loop, and whether the loop is over after it.

use std::ops::ControlFlow;

use super::acceptor::ACCEPTS;
use super::datagram::DatagramServer;
use super::reactor::poller::Ready;
use super::reactor::token::Token;
#[cfg(feature = "http")]
use super::storage::Storage;
#[cfg(not(feature = "http"))]
use super::web::Storage;
use super::workers::Message;
use super::{Channel, Loop};
use crate::stop::Stop;

/// The loop ends here.
pub(super) struct LoopEnd {
    /// No client inside is waited for any more.
    pub(super) at_once: bool,
}

impl Loop {
    /// Sees to one thing that the kernel told, and makes room if it needs to be made.
    pub(super) fn handle(&mut self, event: &Ready) -> ControlFlow<LoopEnd> {
        let mut was_woken = false;
        match event.token {
            Token::Channel(key) => {
                let held = self.memory;
                self.with_channel(key, |channel, context| channel.ready(event.broken, context));
                if self.memory <= held {
                    return ControlFlow::Continue(());
                }
            }
            Token::Child(key, part) => {
                self.with_channel(key, |channel, context| channel.part_ready(part, context));
            }
            // What was told in the same breath as the signal finds the sockets closed.
            Token::Listener(_) | Token::Datagrams(_) | Token::Announced(_) if self.resources.stopping => {}
            Token::Datagrams(index) => self.serve_datagrams(index as usize),
            // Once as many have come as there are to be, the socket is closed.
            Token::Listener(_) if self.all_played() => {}
            Token::Listener(index) => self.accept(index as usize, ACCEPTS),
            Token::Announced(number) => self.hear_header(number),
            Token::Stop => self.hear_stop()?,
            Token::Reload => self.load_again(),
            Token::Stored => self.hear_storage(),
            Token::Port(number) => self.accept_at_port(number),
            Token::Mail => was_woken = self.read_mail()?,
        }
        self.make_room(was_woken);
        ControlFlow::Continue(())
    }

    /// Asked once, those inside may finish; asked again, they are cut.
    fn hear_stop(&mut self) -> ControlFlow<LoopEnd> {
        match self.stop_asked() {
            // The last stopper was dropped, which asks for nothing.
            0 => {}
            1 if !self.resources.stopping => self.end_by = Some(self.begin_grace()),
            _ => return ControlFlow::Break(LoopEnd { at_once: true }),
        }
        ControlFlow::Continue(())
    }

    /// How often the loop was asked to stop since the last look.
    pub(super) fn stop_asked(&self) -> usize {
        self.stop.as_ref().map_or(0, |stop| self.asked(stop))
    }

    /// How often something was asked for since the last look. Where all who could ask are gone, it is watched no more.
    pub(super) fn asked(&self, stop: &Stop) -> usize {
        stop.asked().unwrap_or_else(|| {
            let _ = self.poller.forget(stop);
            0
        })
    }

    /// Files are stored, or answers that took long are there.
    fn hear_storage(&mut self) {
        for (waiter, done) in self.storage.as_ref().map(Storage::done).unwrap_or_default() {
            self.with_channel(waiter.key, |channel: &mut Channel, context| channel.done(waiter.number, done, context));
        }
    }

    /// Reads what the other loops said; whether they only want room made.
    fn read_mail(&mut self) -> ControlFlow<LoopEnd, bool> {
        let messages = self.member.as_ref().map(|member| member.workers.messages(member.worker)).unwrap_or_default();
        let wants_room = messages.is_empty();
        for message in messages {
            match message {
                Message::Client(fd, info) => self.take_in(fd, info),
                Message::Origins(origins) => self.origins = origins,
                Message::MakeWay => drop(self.close_resting()),
                Message::Stop(by) => {
                    self.end_by = Some(by);
                    self.begin_stopping();
                }
                Message::End { at_once } => return ControlFlow::Break(LoopEnd { at_once }),
            }
        }
        if self.is_first() {
            self.hear_of_ends();
        }
        ControlFlow::Continue(wants_room)
    }

    /// Whether as many conversations were played as there were to be, and nothing is left of them.
    pub(super) fn has_ended(&self) -> bool {
        self.all_played() && self.closed() >= self.resources.tally.opened && self.leftovers.is_empty()
    }

    /// Whether the loop was stopped, and those inside are gone or their time is over.
    pub(super) fn has_stopped(&mut self) -> bool {
        let is_sending = || self.datagrams.iter().any(DatagramServer::is_sending);
        let is_busy = self.live() > 0 || is_sending() || !self.leftovers.is_empty();
        if !self.resources.stopping || is_busy && self.end_by.is_none_or(|at| self.resources.now < at) {
            return false;
        }
        match self.hurry_programs() {
            Some(by) => {
                self.end_by = Some(by);
                false
            }
            None => true,
        }
    }
}
