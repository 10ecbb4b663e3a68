//! What comes to a channel: the socket is ready, bytes, the peer's end, an error.

use std::io;

use rustix::io::Errno;

use super::super::Context;
use super::super::origin::Closer;
use super::super::reactor::poller::Interest;
use super::secure;
use super::{Channel, ChannelStatus, Line, Phase, READS};
use crate::failure::Kind;
use crate::net::{is_of_connection, words};

impl Channel {
    /// The socket is ready.
    pub(in super::super) fn ready(&mut self, broken: bool, context: &mut Context<'_>) -> ChannelStatus {
        if self.phase == Phase::Ending {
            return ChannelStatus::Open;
        }
        let went_on = if !self.outbox.is_empty() {
            self.flush(context)
        } else if self.sends_part() {
            self.go_on(context)
        } else if self.resume {
            self.advance(&[], context)
        } else {
            ChannelStatus::Open
        };
        if went_on == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        if broken && self.agent.holds_child() && self.paused && self.phase == Phase::Open {
            return self.child_loses_peer(context);
        }
        let mut status =
            if !self.is_open() || self.wants() == Interest::Read { self.read(context) } else { ChannelStatus::Open };
        // In a pause nothing is read: what came before the error is heard after it, and then the error.
        let pauses = self.paused && !self.ended;
        if broken && !pauses && status == ChannelStatus::Open && self.wants() != Interest::Read {
            // Nothing is read now, and the kernel would tell of the error without end.
            status = match self.line.take_error() {
                Err(error) => self.socket_failed(error, context),
                // Both directions are shut and no error stands: there is no peer to say anything to. A program that said all that
                // it had to say may go on.
                Ok(()) if self.ended && !self.child_has_shut() => self.reset(context),
                Ok(()) => ChannelStatus::Open,
            };
        }
        status
    }

    /// Hears what the peer said before it was gone, to the last byte; then that it is gone.
    pub(in super::super) fn hear_out(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        loop {
            if !self.is_open() || self.paused || self.ended {
                return self.reset(context);
            }
            let mut buffer = std::mem::take(context.buffer);
            let status = match self.line.recv(&mut buffer[..]) {
                Ok(length) if length > 0 || self.line.has_datagrams() && !self.line.has_ended() => {
                    self.take(&buffer[..length], context)
                }
                Err(Errno::INTR) => ChannelStatus::Open,
                // The error of the socket was taken when we sent: what looks like an end is none.
                Ok(_) | Err(_) => self.reset(context),
            };
            *context.buffer = buffer;
            if status == ChannelStatus::Closed {
                return ChannelStatus::Closed;
            }
        }
    }

    pub(super) fn read(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let is_datagram = match &self.line {
            Line::Connecting(_) => return self.connect_on(context),
            line => line.has_datagrams(),
        };
        for _ in 0..READS {
            if self.is_broken {
                return ChannelStatus::Open;
            }
            // The buffer is lent out of the context while the rest of it is in use.
            let mut buffer = std::mem::take(context.buffer);
            let (status, more) = match self.line.recv(&mut buffer[..]) {
                Ok(0) if !is_datagram || self.line.has_ended() => (self.end(context), false),
                Ok(length) => (self.take(&buffer[..length], context), is_datagram || length == buffer.len()),
                Err(Errno::INTR) => (ChannelStatus::Open, true),
                Err(Errno::AGAIN) => (ChannelStatus::Open, false),
                // The peer said something before, which stands behind the error.
                Err(error) if is_datagram && !self.line.has_no_end() && is_of_connection(error) => {
                    self.is_broken = true;
                    (ChannelStatus::Open, false)
                }
                Err(error) => (self.socket_failed(error, context), false),
            };
            *context.buffer = buffer;
            if status == ChannelStatus::Closed || !more || self.wants() != Interest::Read {
                return status;
            }
        }
        ChannelStatus::Open
    }

    /// Bytes came.
    pub(super) fn take(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        self.received += bytes.len() as u64;
        if let Phase::Draining { .. } = self.phase {
            return self.drain(bytes, context);
        }
        if self.secure.is_some() {
            return self.decrypt(bytes, context);
        }
        if self.line.has_datagrams() {
            return self.hear_message_of_socket(bytes, context);
        }
        self.tell_heard(bytes, context);
        self.advance(bytes, context)
    }

    /// The peer's end came.
    pub(super) fn end(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.ended = true;
        self.first_end.get_or_insert(Closer::Peer);
        self.tell_left_in_inbox(context);
        self.tell_tap(context, |tap, ours| tap.ended(ours.other()));
        match self.phase {
            Phase::Draining { .. } => self.gone(context),
            Phase::Handshaking => self.not_secure(&self.cut_in_handshake(context), context),
            Phase::EndingTls => self.tls_goes_on(&secure::cut(context.origin.peer()), context),
            Phase::Open if self.lacks_close() => {
                self.reason = Some("the stream ended without a close (1006)".into());
                self.reset(context)
            }
            Phase::Connecting | Phase::Open | Phase::Finishing => self.hear_end(context),
            Phase::Ending => ChannelStatus::Open,
        }
    }

    /// The socket gave an error: the connection is no more, or this machine could not do something.
    pub(super) fn socket_failed(&mut self, error: Errno, context: &mut Context<'_>) -> ChannelStatus {
        if self.line.has_datagrams() && (!is_of_connection(error) || self.line.has_no_end()) {
            return self.datagram_failed(error, context);
        }
        if is_of_connection(error) {
            return self.reset(context);
        }
        let error = io::Error::from(error);
        let reason = words(&error);
        self.fail(Kind::from(&error), &reason, context);
        self.reason = Some(reason.into());
        self.gone(context)
    }
}
