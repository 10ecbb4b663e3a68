//! Without the features `figures` and `http` nothing is asked over HTTP to measure a server.

use super::super::super::Context;
use super::super::{Channel, ChannelStatus};

/// None.
#[derive(Debug)]
pub(in crate::engine) enum Ask {}

impl Ask {
    pub(super) fn unanswered(&self) -> usize {
        match *self {}
    }

    pub(super) fn memory(&self) -> usize {
        match *self {}
    }
}

impl Channel {
    pub(super) fn ask_on(&mut self, _: &[u8], _: &mut Context<'_>) -> ChannelStatus {
        ChannelStatus::Open
    }

    pub(in crate::engine) fn answer_is_overdue(&mut self, _: &mut Context<'_>) -> ChannelStatus {
        ChannelStatus::Open
    }

    pub(super) fn answer_is_reset(&mut self, _: &mut Context<'_>) -> ChannelStatus {
        ChannelStatus::Open
    }
}
