//! What comes goes back (RFC 862).

use super::super::super::Context;
use super::super::super::context::give_back;
use super::super::{Channel, ChannelStatus};
use crate::net::websocket::Mark;

impl Channel {
    pub(in crate::engine) fn echo(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        self.rest_until(context);
        // It begins with nothing, which is no message.
        if bytes.is_empty() { ChannelStatus::Open } else { self.send_said(bytes, context) }
    }

    /// The same with messages, each as what it was.
    pub(in crate::engine) fn echo_messages(
        &mut self,
        bytes: &[u8],
        marks: &[Mark],
        context: &mut Context<'_>,
    ) -> ChannelStatus {
        self.rest_until(context);
        let Some(session) = &mut self.secure else { return ChannelStatus::Open };
        let (mut wire, mut rest) = (std::mem::take(context.wire), bytes);
        let mut before = marks.last().map_or(0, |last| last.end) - bytes.len() as u64;
        for mark in marks {
            let message;
            (message, rest) = rest.split_at(usize::try_from(mark.end - before).unwrap_or_default());
            before = mark.end;
            session.send_part(message, mark.kind, true, &mut wire);
        }
        let status = self.write(&wire, context);
        give_back(context.wire, wire);
        status
    }
}
