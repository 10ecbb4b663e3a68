//! A play that is repeated to measure a server: what is done when one is over, and while none is played.

use std::sync::Arc;

use transcript::{Ending, FaultKind, Script};

use super::super::super::Context;
use super::super::super::after_play::{After, Start, Values};
use super::super::{Channel, ChannelStatus};
use super::Agent;
use crate::failure::Kind;

impl Channel {
    /// Something happened to a connection over which plays are repeated: it stands, bytes came, or a play is due. None: a play
    /// goes on, or begins.
    pub(in crate::engine) fn play_again(&mut self, bytes: usize, context: &mut Context<'_>) -> Option<ChannelStatus> {
        let has_datagrams = self.line.has_datagrams();
        let load = context.load.as_mut()?;
        // Of a datagram that comes late, or twice, no peer is guilty.
        let bytes = if has_datagrams { 0 } else { bytes + self.inbox.len() };
        let after = load.arrives(self.number as usize, context.now, bytes, self.ended);
        self.do_after(after, context)
    }

    /// A play is due for a connection that rests.
    #[cfg(feature = "figures")]
    pub(in crate::engine) fn begin_play(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if matches!(self.agent, Agent::Ask(_)) {
            return self.advance(&[], context);
        }
        let Some(load) = &mut context.load else { return ChannelStatus::Open };
        let after = load.begin_resting(self.number as usize, context.now);
        match self.do_after(after, context) {
            Some(status) => status,
            None => self.advance(&[], context),
        }
    }

    /// Nothing is played any more over a connection that rests.
    #[cfg(feature = "figures")]
    pub(in crate::engine) fn await_end(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let settles = context.load.as_mut().is_some_and(|load| load.settle_resting(self.number as usize));
        if !settles {
            return ChannelStatus::Open;
        }
        self.finish(context)
    }

    /// A play is over as written, and so many bytes stand behind it. None: another one begins at once.
    pub(super) fn play_passed(
        &mut self,
        ending: Ending,
        behind: usize,
        context: &mut Context<'_>,
    ) -> Option<ChannelStatus> {
        let load = context.load.as_mut()?;
        let slot = self.number as usize;
        load.bytes(slot, self.sent, self.received);
        match load.passed(slot, !self.outbox.is_empty(), behind, self.ended) {
            After::Close => {
                self.unjudged += behind as u64;
                Some(self.over(ending, context))
            }
            After::Rest if !self.outbox.is_empty() => {
                self.give_way(context);
                Some(ChannelStatus::Open)
            }
            after => self.do_after(after, context),
        }
    }

    fn do_after(&mut self, after: After, context: &mut Context<'_>) -> Option<ChannelStatus> {
        match after {
            After::GoOn => None,
            After::Begin(start) => {
                self.begin_again(start, context);
                None
            }
            After::Rest => {
                self.deadline = None;
                Some(ChannelStatus::Open)
            }
            After::Close => Some(self.finish(context)),
            After::Drop => Some(self.gone(context)),
            After::Unexpected => {
                let reason = "the server said something behind the end of the play, so that its next answers cannot be told apart; \
                              write down all that it says, or play over a connection each (--reconnect)";
                self.fail(Kind::Fault(FaultKind::UnexpectedData), reason, context);
                Some(self.finish(context))
            }
        }
    }

    /// In the memory of the play before.
    fn begin_again(&mut self, Start { script, row }: Start, context: &Context<'_>) {
        let Agent::Play(play, own) = &mut self.agent else { return };
        let row = match row {
            Values::Without => None,
            Values::Row(row) => Some(row),
            Values::Numbered => {
                context.load.as_ref().and_then(|load| load.numbered_row(self.number as usize, play.take_row()))
            }
        };
        if let Some(script) = script {
            *own = script;
        }
        play.begin_again(own, row.as_ref());
    }

    /// The script that it plays, if it is another one.
    pub(super) fn another(&self, script: &Script) -> Option<Arc<Script>> {
        match &self.agent {
            Agent::Play(_, own) if !std::ptr::eq(Arc::as_ptr(own), script) => Some(Arc::clone(own)),
            _ => None,
        }
    }
}
