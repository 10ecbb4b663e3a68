//! A connection whose play is over another one: what comes over it stays where it is, in the kernel, until the play is back.

use std::sync::Arc;

use transcript::{Next, Play, Script};

use super::super::super::Context;
use super::super::super::handoff::{Continuation, DetachedPlay, Handoff};
use super::super::{Channel, ChannelStatus};
use super::Agent;

impl Channel {
    /// The play leaves this connection.
    pub(super) fn hand_over(&mut self, next: Option<Next>, context: &mut Context<'_>) {
        let Agent::Play(play, script) = std::mem::replace(&mut self.agent, Agent::Parked) else { return };
        (self.deadline, self.paused) = (None, true);
        let detached = DetachedPlay { play, script };
        let continuation = match next {
            Some(next) => Continuation::Requests(detached, next),
            None => Continuation::Continues(detached),
        };
        let is_first = self.group == self.number;
        let first = is_first.then(|| self.conversation(context.origin));
        context.handoffs.push_back(Handoff { group: self.group, first, continuation });
    }

    /// It comes back.
    pub(in crate::engine) fn go_on_with(
        &mut self,
        play: Play,
        script: Arc<Script>,
        context: &mut Context<'_>,
    ) -> ChannelStatus {
        self.agent = Agent::Play(play, script);
        self.paused = false;
        self.advance(&[], context)
    }

    /// The play is over, whichever of its connections it was over.
    pub(in crate::engine) fn end_with_its_play(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if self.is_open() { self.finish(context) } else { ChannelStatus::Open }
    }
}
