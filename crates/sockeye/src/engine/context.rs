//! What a loop lends a channel while it is in hand.

use std::time::Duration;

use transcript::{Moment, Output, Scratch};

#[cfg(feature = "http")]
use super::access::Lines;
use super::bounds::Tally;
use super::origin::Origin;
#[cfg(feature = "http")]
use super::storage::Storing;
#[cfg(feature = "http")]
use super::turn::Turn;
#[cfg(not(feature = "http"))]
use super::web::{Lines, Now, Storing, Turn};
use crate::event::Observer;
use crate::net::tls;
#[cfg(feature = "http")]
use crate::web::clock::Now;

/// What every connection of a loop uses in its turn: there is one of each, whatever the number of connections.
pub(crate) struct Context<'a> {
    pub(super) buffer: Vec<u8>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) output: &'a mut Output,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) tally: &'a mut Tally,
    pub(super) now: Moment,
    pub(super) wait: Option<Duration>,
    pub(super) stopping: bool,
    pub(super) strict: bool,
    pub(super) is_judged: bool,
    pub(super) linger: Duration,
    pub(super) plays: Option<u64>,
    pub(super) identity: &'a tls::Identity,
    pub(super) date: &'a Now,
    /// What is told of answers.
    pub(super) lines: &'a mut Lines,
    /// Where the connection in hand has files stored.
    pub(super) storing: Option<Storing<'a>>,
    /// How much of it may be served now.
    pub(super) turn: Turn,
    /// Where the channel in hand comes from.
    pub(super) origin: &'a Origin,
}

impl Context<'_> {
    /// When a peer that takes nothing from now on has taken too long.
    pub(super) fn write_by(&self) -> Moment {
        self.origin.write_by(self.now)
    }

    /// The peer said something.
    pub(super) fn heard(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.origin.tell_tap(|tap, ours| tap.said(ours.other(), bytes));
        }
    }

    /// We said something.
    pub(super) fn said(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.origin.tell_tap(|tap, ours| tap.said(ours, bytes));
        }
    }
}
