//! What comes goes back (RFC 862).

use super::super::super::Context;
use super::super::{Channel, ChannelStatus};

impl Channel {
    pub(in crate::engine) fn echo(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        self.rest_until(context);
        self.send_said(bytes, context)
    }
}
