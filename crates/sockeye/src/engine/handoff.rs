//! A play on its way from one of its connections to another.

use std::sync::Arc;

use transcript::{Next, Play, Script};

use crate::event::Conversation;

/// A play that leaves a connection, and what it asks for.
#[derive(Debug)]
pub(super) struct Handoff {
    pub(super) group: u64,
    /// The conversation that it leaves, if that is the play's first.
    pub(super) first: Option<Conversation>,
    pub(super) continuation: Continuation,
}

/// What becomes of a play behind a connection.
#[derive(Debug)]
pub(super) enum Continuation {
    /// It goes on, and says where.
    Continues(DetachedPlay),
    /// It asked for this.
    Requests(DetachedPlay, Next),
    /// It is over.
    Over,
}

/// A play without a connection in hand.
#[derive(Debug)]
pub(super) struct DetachedPlay {
    pub(super) play: Play,
    pub(super) script: Arc<Script>,
}
