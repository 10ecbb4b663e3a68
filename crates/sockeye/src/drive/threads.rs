//! How a loop comes to others that serve with it, and what it needs to know of them.

use std::io;
use std::sync::Arc;
use std::thread;

use transcript::Moment;

use super::poller::{Interest, Poller};
use super::team::{Letter, Team, Together};
use super::token::Token;
use super::{Behaviour, Loop};
use crate::event::{Event, Observer};

/// Where a loop stands among those that serve together.
pub(super) struct Membership {
    pub(super) team: Arc<Team>,
    pub(super) seat: usize,
    /// When this loop last looked what it could close, since all together hold too much.
    pub(super) made_room: Option<Moment>,
}

impl Loop {
    /// Starts the other loops. With fewer of them than asked for all is served too, only slower.
    pub(super) fn gather(&mut self) {
        let threads = self.bounds.threads;
        let team = match Team::new(threads) {
            Ok(team) => Arc::new(team),
            Err(error) => return self.tell_of_fewer(1, &error),
        };
        if let Err(error) = self.poller.add(team.bell(0), Token::Mail, Interest::Read) {
            return self.tell_of_fewer(1, &error);
        }
        let silent: Box<dyn Observer> = Box::new(|_| {});
        let observer = Together::new(std::mem::replace(&mut self.observer, silent));
        self.observer = Box::new(observer.clone());
        self.member = Some(Membership { team: Arc::clone(&team), seat: 0, made_room: None });
        for seat in 1..threads {
            if let Err(error) = self.hire(seat, &team, &observer) {
                return self.tell_of_fewer(seat, &error);
            }
        }
    }

    /// Starts one more loop. All that may fail fails here, before its thread is there.
    fn hire(&mut self, seat: usize, team: &Arc<Team>, observer: &Together) -> io::Result<()> {
        let poller = Poller::new()?;
        poller.add(team.bell(seat), Token::Mail, Interest::Read)?;
        let (epoll, endpoints) = (poller.into_epoll(), self.endpoints.clone());
        let behaviours: Vec<_> = self.behaviours.iter().map(Behaviour::for_another_thread).collect();
        let (bounds, began, observer, team) = (self.bounds.clone(), self.began, observer.clone(), Arc::clone(team));
        let worker = thread::Builder::new().name(format!("serve-{seat}")).spawn(move || {
            let mut own = Self::idle(Poller::over(epoll), bounds, Box::new(observer), began);
            (own.endpoints, own.behaviours) = (endpoints, behaviours);
            own.member = Some(Membership { team: Arc::clone(&team), seat, made_room: None });
            let summary = own.start_storage().and_then(|()| {
                team.join(seat);
                own.run()
            });
            team.leave(seat, summary.is_ok());
            summary
        })?;
        self.workers.push(worker);
        Ok(())
    }

    fn tell_of_fewer(&mut self, threads: usize, error: &io::Error) {
        let asked = self.bounds.threads;
        self.observer.observe(Event::Notice(format!("{threads} instead of {asked} threads (--threads): {error}")));
    }

    /// Whether it is the first, which has the sockets.
    pub(super) fn is_first(&self) -> bool {
        self.member.as_ref().is_none_or(|member| member.seat == 0)
    }

    /// Connections of all loops.
    pub(super) fn live(&self) -> usize {
        self.member.as_ref().map_or(self.connections.len(), |member| member.team.live())
    }

    /// Conversations that have ended in all loops, as far as this one knows.
    pub(super) fn closed(&self) -> u64 {
        let elsewhere = self.member.as_ref().map_or(0, |member| member.team.closed_elsewhere());
        self.tally.closed + elsewhere
    }

    /// Has the other loops tell of their ends where that matters here; whether there is something to look at right now.
    pub(super) fn attend(&self) -> bool {
        let Some(Membership { team, seat: 0, .. }) = &self.member else { return false };
        let waits = self.accept_again.is_some() || self.stopping || self.all_played();
        team.attend(waits || self.bounds.wait_for_client.is_some())
    }

    /// A connection has ended in another loop, or a loop has.
    pub(super) fn hear_of_ends(&mut self) {
        if self.accept_again.is_some() {
            self.accept_again = Some(self.now);
        }
        let has_lost = self.member.as_ref().is_some_and(|member| member.team.has_lost());
        if has_lost && self.broken.is_none() {
            // What it ended with is heard when it is joined.
            self.broken = Some(io::Error::other("a thread of the server has ended"));
        }
    }

    /// Stops every loop; by when all is to be over.
    pub(super) fn begin_grace(&mut self) -> Moment {
        let by = self.now.after(self.bounds.grace);
        self.begin_stopping();
        if let Some(Membership { team, .. }) = &self.member {
            team.write_all(|| Letter::Stop(by));
        }
        by
    }
}
