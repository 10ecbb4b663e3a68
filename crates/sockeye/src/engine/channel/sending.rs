//! How what a channel says leaves it: what the socket does not take waits, and goes when there is room.

use rustix::io::Errno;

use super::super::Context;
use super::super::context::give_back;
use super::{Channel, ChannelStatus, Line, NO_MEMORY, Phase, append};
use crate::net::is_of_connection;

impl Channel {
    /// Sends what the agent said.
    pub(super) fn send_output(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if !context.output.datagrams.is_empty() {
            return self.send_datagrams(context);
        }
        if context.output.bytes.is_empty() && context.output.messages.is_empty() {
            return ChannelStatus::Open;
        }
        let output = std::mem::take(&mut context.output.bytes);
        let status = match &mut self.secure {
            Some(session) => {
                let mut wire = std::mem::take(context.wire);
                match &context.output.messages[..] {
                    [] => session.send(&output, &mut wire),
                    bounds => session.send_messages(&output, bounds, &mut wire),
                }
                let status = self.write(&wire, context);
                give_back(context.wire, wire);
                self.tell_said(&output, context);
                status
            }
            None => self.write(&output, context),
        };
        context.output.bytes = output;
        context.output.clear();
        status
    }

    /// Sends bytes; what the socket does not take is kept for when it does.
    pub(super) fn write(&mut self, mut bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        if self.outbox.is_empty() {
            match self.push(&mut bytes, context) {
                Ok(()) if bytes.is_empty() => return ChannelStatus::Open,
                Ok(()) => self.write_deadline = Some(context.write_by()),
                Err(error) => return self.write_failed(error, context),
            }
        }
        if !append(&mut self.outbox, bytes) {
            return self.evict(NO_MEMORY, context);
        }
        ChannelStatus::Open
    }

    /// Sends the front of the bytes, as much as the socket takes.
    pub(super) fn push(&mut self, bytes: &mut &[u8], context: &Context<'_>) -> Result<(), Errno> {
        if self.is_broken {
            *bytes = &[];
        }
        // A head without its file would be a segment of its own.
        let has_more = self.secure.is_none() && self.sends_file();
        while !bytes.is_empty() {
            match self.line.send(bytes, has_more) {
                Ok(length) => {
                    self.sent += length as u64;
                    if self.secure.is_none() {
                        self.tell_said(&bytes[..length], context);
                    }
                    *bytes = &bytes[length..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The peer is gone; whatever it said before may still wait to be read, but no peer hears an answer.
    pub(super) fn write_failed(&mut self, error: Errno, context: &mut Context<'_>) -> ChannelStatus {
        self.outbox = Vec::new();
        let may_hear = is_of_connection(error) && !self.line.has_no_end();
        if may_hear && self.agent.hears_out() && self.is_open() {
            (self.is_broken, self.write_deadline) = (true, None);
            return ChannelStatus::Open;
        }
        self.socket_failed(error, context)
    }

    /// The socket takes bytes again.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if matches!(self.line, Line::OnePeer(_)) {
            return self.answer_again(context);
        }
        let sent = if self.line.has_datagrams() { self.flush_datagrams(context) } else { self.flush_bytes(context) };
        if let Err(error) = sent {
            return self.write_failed(error, context);
        }
        if !self.outbox.is_empty() {
            return ChannelStatus::Open;
        }
        self.write_deadline = None;
        if self.phase == Phase::Finishing {
            return self.finish(context);
        }
        if std::mem::take(&mut self.half_close) {
            self.shut(context);
        }
        self.hear_all_sent(context)
    }

    /// Sends what was kept, as much as the socket takes.
    pub(super) fn flush_bytes(&mut self, context: &Context<'_>) -> Result<(), Errno> {
        let held = std::mem::take(&mut self.outbox);
        let mut bytes = &held[..];
        self.push(&mut bytes, context)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() < held.len() {
            self.write_deadline = Some(context.write_by());
        }
        let sent = held.len() - bytes.len();
        self.outbox = held;
        self.outbox.drain(..sent);
        self.outbox.shrink_to(self.outbox.len());
        Ok(())
    }
}
