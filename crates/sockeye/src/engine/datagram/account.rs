//! What a datagram server tells: conversations that are opened and closed, and once a second what was withheld or dropped.

use std::net::{IpAddr, SocketAddr};

use super::super::Context;
use super::super::account::Closed;
use super::super::answers::{Draining, Exchange, Loss, Pair};
use super::super::guard::Withheld;
use super::super::origin::Closer;
use super::{DatagramServer, SECOND};
use crate::event::{Conversation, Event, Name};
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::sys::datagrams::{self, PeerAddress};

impl DatagramServer {
    pub(super) fn conversation(&self, from: PeerAddress, source: Option<IpAddr>, number: u64) -> Conversation {
        let server = match (&self.socket.endpoint.name, source) {
            (Name::Inet(address), Some(source)) => Name::Inet(SocketAddr::new(source, address.port())),
            (name, _) => name.clone(),
        };
        let (protocol, client) = (self.socket.endpoint.protocol, self.name_of(from));
        Conversation { number, protocol, server, client, to: None }
    }

    pub(super) fn open(&self, from: PeerAddress, source: Option<IpAddr>, context: &mut Context<'_>) -> Exchange {
        let number = context.tally.next_number();
        context.observer.observe(Event::Opened(self.conversation(from, source, number)));
        let first = self.answers.next_number();
        Exchange { number, opened: context.now, from_client: 0, from_server: 0, first, withheld: 0 }
    }

    /// A conversation did not go as it should.
    pub(super) fn fail(&self, (from, source): Pair, number: u64, failure: Failure, context: &mut Context<'_>) {
        context.tell_failure(self.conversation(from, source, number), failure);
    }

    /// A conversation is over, once its answers have left.
    pub(super) fn close(
        &mut self,
        from: PeerAddress,
        source: Option<IpAddr>,
        exchange: Exchange,
        by: Closer,
        reason: Option<String>,
        context: &mut Context<'_>,
    ) {
        let pair = (from, source);
        if self.answers.are_sent() {
            return self.conclude(pair, exchange, by, reason, None, context);
        }
        let end = self.answers.next_number();
        self.answers.draining.push(Draining { pair, exchange, by, reason, end });
    }

    /// Says that a conversation is over; one that lost an answer is not as written.
    pub(super) fn conclude(
        &self,
        (from, source): Pair,
        exchange: Exchange,
        by: Closer,
        mut reason: Option<String>,
        loss: Option<Loss>,
        context: &mut Context<'_>,
    ) {
        let lost = match loss {
            Some(loss) => Some((Kind::AnswersLost, loss.words())),
            None if exchange.withheld > 0 && context.is_judged => {
                let why = if from.is_unix() { Withheld::NotRead.reason() } else { "--udp-budget" };
                let words = format!("{} of the answers were held back ({why})", exchange.withheld);
                Some((Kind::AnswersWithheld, words))
            }
            None => None,
        };
        if let Some((kind, words)) = lost {
            self.fail((from, source), exchange.number, Failure::other(kind, words.clone()), context);
            reason.get_or_insert(words);
        }
        context.tell_closed(Closed {
            conversation: self.conversation(from, source, exchange.number),
            by,
            opened: exchange.opened,
            received: exchange.from_client,
            sent: exchange.from_server - loss.map_or(0, |loss| loss.bytes.min(exchange.from_server)),
            unjudged: 0,
            reason,
            ended: None,
        });
    }

    /// Says how many datagrams came that there was no room for.
    pub(in super::super) fn tell_drops(&mut self, context: &mut Context<'_>) {
        self.uncounted = false;
        let Some(count) = datagrams::drops(&self.socket.fd) else { return };
        let (before, _) = std::mem::replace(&mut self.drops, (count, context.now));
        if count != before {
            let error = format!("{}: the kernel dropped datagrams: the queue was full", self.socket.endpoint);
            context.observer.observe(Event::Dropped { count: count.wrapping_sub(before).into(), error });
        }
    }

    /// Says once a second what was withheld, and why.
    pub(in super::super) fn tell_withheld(&mut self, context: &mut Context<'_>) {
        if let Some(programs) = &self.programs {
            for (withheld, count) in programs.outlet().take_withheld() {
                *self.withheld.entry(withheld).or_default() += count;
            }
        }
        if self.withheld.is_empty() && self.crowded == 0
            || self.told.is_some_and(|told| context.now < told.after(SECOND))
        {
            return;
        }
        self.told = Some(context.now);
        if self.crowded > 0 {
            let error = format!(
                "{}: datagrams that came while their plays could not hear them: {}",
                self.socket.endpoint,
                limits::waiting()
            );
            context.observer.observe(Event::Dropped { count: std::mem::take(&mut self.crowded), error });
        }
        for (withheld, count) in self.withheld.drain() {
            let error = format!("{}: {}", self.socket.endpoint, withheld.reason());
            context.observer.observe(Event::Dropped { count, error });
        }
    }
}
