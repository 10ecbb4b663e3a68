//! A channel over datagrams: messages keep their bounds, an empty one is one too, and nothing says that there will be no more.

use std::io;

use rustix::io::Errno;
use transcript::Moment;

use super::super::Context;
use super::super::origin::Closer;
use super::{Channel, ChannelStatus, Datagrams, Line, NO_MEMORY, append};
use crate::event::Event;
use crate::failure::{Failure, Kind};
use crate::limits;
use crate::net::{is_of_connection, words, words_of_sending};

/// This machine could not do something with a socket, or would not.
pub(in crate::engine) fn failure_of_socket(error: &io::Error) -> Failure {
    match Kind::from(error) {
        Kind::NotSent => Failure::other(Kind::NotSent, format!("cannot send: {}", words_of_sending(error))),
        kind => Failure::other(kind, words(error)),
    }
}

impl Channel {
    /// What only datagrams need, over those.
    pub(in crate::engine) fn datagrams(&mut self) -> Option<&mut Datagrams> {
        match &mut self.line {
            Line::Datagrams(datagrams) => Some(datagrams),
            _ => None,
        }
    }

    /// When to send again what the queue of the interface did not take.
    pub(super) fn sends_again(&self) -> Option<Moment> {
        match &self.line {
            Line::Datagrams(datagrams) => datagrams.again,
            Line::OnePeer(peer) => peer.again,
            _ => None,
        }
    }

    /// Sends what the player said; what the system does not take now is kept, each behind its length.
    pub(super) fn send_datagrams(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let output = std::mem::take(context.output);
        let mut status = ChannelStatus::Open;
        let mut start = 0;
        for &end in &output.datagrams {
            let payload = &output.bytes[start..end];
            start = end;
            if self.outbox.is_empty() {
                match self.send_datagram(payload, context) {
                    Ok(true) => continue,
                    Ok(false) => self.write_deadline = Some(context.write_by()),
                    Err(error) => {
                        status = self.datagram_failed(error, context);
                        break;
                    }
                }
            }
            let length = (payload.len() as u32).to_ne_bytes();
            if !(append(&mut self.outbox, &length) && append(&mut self.outbox, payload)) {
                status = self.evict(NO_MEMORY, context);
                break;
            }
        }
        *context.output = output;
        context.output.clear();
        status
    }

    /// Sends what was kept, as far as the system takes it.
    ///
    /// # Errors
    /// As send(2).
    pub(super) fn flush_datagrams(&mut self, context: &Context<'_>) -> Result<(), Errno> {
        let held = std::mem::take(&mut self.outbox);
        let mut rest = &held[..];
        while let Some((length, behind)) = rest.split_first_chunk() {
            let (payload, behind) = behind.split_at(u32::from_ne_bytes(*length) as usize);
            if !self.send_datagram(payload, context)? {
                break;
            }
            rest = behind;
            self.write_deadline = Some(context.write_by());
        }
        self.outbox = rest.to_vec();
        Ok(())
    }

    /// Sends one; false if the system has no room for it.
    fn send_datagram(&mut self, payload: &[u8], context: &Context<'_>) -> Result<bool, Errno> {
        if let Some(datagrams) = self.datagrams() {
            datagrams.again = None;
        }
        loop {
            match self.line.send(payload, false) {
                Ok(length) => {
                    self.sent += length as u64;
                    context.origin.tell_tap(|tap, ours| tap.said(ours, payload));
                    return Ok(true);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                // It empties by itself, unless nothing ever leaves it.
                Err(Errno::NOBUFS) => {
                    if let Some(datagrams) = self.datagrams() {
                        datagrams.again = Some(context.now.after(limits::DATAGRAM_AGAIN));
                    }
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The socket gave an error: no peer hears us, or this machine does not send.
    pub(super) fn datagram_failed(&mut self, error: Errno, context: &mut Context<'_>) -> ChannelStatus {
        let told = io::Error::from(error);
        let failure = match error {
            Errno::OVERFLOW => {
                let most = limits::bytes(limits::READ);
                Failure::other(
                    Kind::AnswersLost,
                    format!("a message came that is larger than {most}, and was not taken"),
                )
            }
            Errno::CONNREFUSED => Failure::other(Kind::Refused, "port closed: nobody listens there"),
            error if is_of_connection(error) => {
                Failure::other(Kind::Unreachable, format!("cannot be reached: {}", words(&told)))
            }
            _ => failure_of_socket(&told),
        };
        self.outbox = Vec::new();
        self.reason = Some(failure.headline().into());
        self.by = Closer::Reset;
        self.tell(failure, context);
        self.gone(context)
    }

    /// Says how many datagrams came from others than the peer.
    pub(super) fn tell_of_strangers(&mut self, context: &mut Context<'_>) {
        let count = self.datagrams().map_or(0, |datagrams| datagrams.peer.ignored());
        if count > 0 {
            let error = "datagrams came from somebody else and were not taken".to_owned();
            context.observer.observe(Event::Dropped { count, error });
        }
    }
}
