//! Who hears what passes over a connection. Where a play has several, what comes is told as the play takes it: so a record has
//! everything in the order of the play, and not in that in which it happened to be read.

use std::sync::Arc;

use transcript::Side;

use super::super::Context;
use super::super::origin::Origin;
use super::Channel;
use crate::record::Tap;

/// Who hears one connection of a play that has several.
#[derive(Debug)]
pub(in crate::engine) struct Hearing {
    tap: Arc<dyn Tap>,
    /// How many bytes were told already of those that the play has not taken.
    told: usize,
    /// Of a further connection, what is told when it is there.
    opening: Option<Opening>,
}

/// How a further connection of a play came about.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Opening {
    /// Its number in the transcript.
    pub(in crate::engine) connection: u8,
    pub(in crate::engine) by: Side,
    /// Where it goes, if the other side told a port.
    pub(in crate::engine) port: Option<u16>,
}

impl Hearing {
    /// The taps of plays of this origin; `opening` is none of a play's first connection.
    pub(in crate::engine) fn of(origin: &Origin, opening: Option<Opening>) -> Option<Box<Self>> {
        let tap = origin.client()?.tap.clone()?;
        Some(Box::new(Self { tap, told: 0, opening }))
    }
}

impl Channel {
    /// Tells the taps of it; `act` gets our side with it.
    pub(super) fn tell_tap(&self, context: &Context<'_>, act: impl FnOnce(&dyn Tap, Side)) {
        match &self.hearing {
            Some(hearing) => act(&*hearing.tap, context.origin.side()),
            None => context.origin.tell_tap(act),
        }
    }

    /// A further connection of a play is there.
    pub(super) fn tell_opening(&mut self) {
        let Some(hearing) = &mut self.hearing else { return };
        let Some(Opening { connection, by, port }) = hearing.opening.take() else { return };
        match hearing.tap.connects(connection, by, port) {
            Some(tap) => hearing.tap = tap,
            None => self.hearing = None,
        }
    }

    /// We said something.
    pub(super) fn tell_said(&self, bytes: &[u8], context: &Context<'_>) {
        if !bytes.is_empty() {
            self.tell_tap(context, |tap, ours| tap.said(ours, bytes));
        }
    }

    /// The peer said something, which the play that is over the connection now hears.
    pub(super) fn tell_heard(&self, bytes: &[u8], context: &Context<'_>) {
        if self.hearing.is_none() {
            context.heard(bytes);
        }
    }

    /// The play took the first so many of these bytes.
    pub(super) fn tell_taken(&mut self, bytes: &[u8], taken: usize, context: &Context<'_>) {
        let Some(hearing) = &mut self.hearing else { return };
        let from = hearing.told.min(taken);
        hearing.told -= from;
        self.tell_of_peer(&bytes[from..taken], context);
    }

    /// The play takes no more of these bytes, or something comes that stands behind them.
    pub(super) fn tell_left(&mut self, bytes: &[u8], context: &Context<'_>) {
        let Some(hearing) = &mut self.hearing else { return };
        let from = std::mem::replace(&mut hearing.told, bytes.len()).min(bytes.len());
        self.tell_of_peer(&bytes[from..], context);
    }

    /// The same of all that is kept.
    pub(super) fn tell_left_in_inbox(&mut self, context: &Context<'_>) {
        if self.hearing.is_some() {
            let inbox = std::mem::take(&mut self.inbox);
            self.tell_left(&inbox, context);
            self.inbox = inbox;
        }
    }

    /// The peer said something that is told in any case.
    pub(super) fn tell_of_peer(&self, bytes: &[u8], context: &Context<'_>) {
        if !bytes.is_empty() {
            self.tell_tap(context, |tap, ours| tap.said(ours.other(), bytes));
        }
    }
}
