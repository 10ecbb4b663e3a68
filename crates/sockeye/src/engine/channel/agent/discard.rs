//! What comes is read and thrown away (RFC 863).

use super::super::super::Context;
use super::super::{Channel, ChannelStatus};

impl Channel {
    pub(in crate::engine) fn discard(&mut self, context: &Context<'_>) -> ChannelStatus {
        self.rest_until(context);
        ChannelStatus::Open
    }
}
