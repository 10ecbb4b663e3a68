//! How a loop ends: clients that wait in a backlog are still served, open exchanges have the grace, the rest is cut.

use std::io;
use std::time::Duration;

use transcript::Moment;

use super::channel::{Channel, ChannelStatus};
use super::exec::TERM_WAIT;
use super::threads::Membership;
use super::workers::Message;
use super::{Loop, Summary, Tally};
use crate::event::Event;

/// Connections taken from a backlog when the server is stopped.
const LAST_ACCEPTS: usize = 4096;
/// How long the ends of programs that were killed are waited for.
const HEARD_OF: Duration = Duration::from_millis(500);

impl Loop {
    /// Accepting stops; who stands between two exchanges is closed at once, the others have the grace.
    pub(super) fn begin_stopping(&mut self) {
        // Who closed a connection and opened the next is heard in this order.
        if !self.groups.is_empty() {
            for key in self.channels.keys() {
                self.with_channel(key, Channel::hear_what_came);
            }
            self.hand_on();
        }
        // Who was already in the backlog is not left with a reset.
        for index in 0..self.listeners.len() {
            self.accept(index, LAST_ACCEPTS);
        }
        self.resources.stopping = true;
        self.drop_announced();
        let count = self.acceptor.forget_waiting();
        if count > 0 {
            let error = "clients that waited for room: the server was stopped".to_owned();
            self.resources.observer.observe(Event::Dropped { count, error });
        }
        for key in self.channels.keys() {
            self.with_channel(key, Channel::stop);
            // Each may have read what had come, which is a lot for all of them.
            self.make_room(false);
        }
        self.hand_on();
        self.stop_groups();
        for index in 0..self.datagrams.len() {
            // Datagrams that have come are answered; then the sockets close with the loop.
            self.serve_datagrams(index);
        }
        self.close_listeners();
    }

    /// Closes what accepts, but keeps what open connections need to know of it.
    pub(super) fn close_listeners(&mut self) {
        for listener in &mut self.listeners {
            listener.close();
        }
        self.acceptor.resume();
    }

    /// The grace is over: asks programs to end, once; by when they have to have.
    pub(super) fn hurry_programs(&mut self) -> Option<Moment> {
        let runs_programs = self.origins.iter().any(|origin| origin.behaviour.program().is_some());
        let is_needed = runs_programs && (self.live() > 0 || !self.leftovers.is_empty());
        if !is_needed || std::mem::replace(&mut self.has_hurried, true) {
            return None;
        }
        for key in self.channels.keys() {
            self.with_channel(key, |channel, context| channel.hurry_child(context));
        }
        self.leftovers.hurry(self.resources.now);
        // Those that are killed then are still heard of.
        Some(self.resources.now.after(TERM_WAIT + HEARD_OF))
    }

    /// Ends whatever is still open.
    pub(super) fn end(mut self, at_once: bool) -> io::Result<Summary> {
        let mut cut = 0;
        self.stop_groups();
        self.resources.handoffs.clear();
        for key in self.channels.keys() {
            let mut was_cut = false;
            self.with_channel(key, |channel, context| {
                was_cut = channel.cut(context);
                ChannelStatus::Closed
            });
            cut += u64::from(was_cut);
        }
        for index in 0..self.datagrams.len() {
            self.with_datagrams(index, |server, _, context| {
                cut += server.cut(context);
                server.tell_drops(context);
            });
        }
        self.resources.lines.tell(&mut *self.resources.observer);
        let Tally { opened, joined, closed, failed, from_clients, unshaken } = self.resources.tally;
        let (opened, closed) = (opened - joined, closed.saturating_sub(joined));
        let mut all = Summary {
            opened,
            closed: closed.saturating_sub(cut),
            failed,
            cut,
            from_clients,
            at_once,
            unshaken,
            unvisited: false,
        };
        if let Some(Membership { workers, worker: 0, .. }) = &self.member {
            workers.write_all(|| Message::End { at_once });
        }
        let mut lost = None;
        for thread in self.threads {
            match thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the server panicked"))) {
                Ok(Summary { closed, failed, cut, from_clients, unshaken, .. }) => {
                    all.closed += closed;
                    all.failed += failed;
                    all.cut += cut;
                    all.from_clients += from_clients;
                    all.unshaken += unshaken;
                }
                Err(error) => lost = Some(error),
            }
        }
        lost.or(self.broken).map_or(Ok(all), Err)
    }
}
