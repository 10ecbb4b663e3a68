//! A play on its way from one of its connections to another.

use std::sync::Arc;

use transcript::{Next, Play, Script};

use crate::event::Conversation;

/// A play that leaves a connection, and what it asks for.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) group: u64,
    /// The conversation that it leaves, if that is the play's first.
    pub(super) first: Option<Conversation>,
    pub(super) going: Going,
}

/// What becomes of a play behind a connection.
#[derive(Debug)]
pub(super) enum Going {
    /// It goes on, and says where.
    On(Standing),
    /// It asked for this.
    Asks(Standing, Next),
    /// It is over.
    Over,
}

/// A play without a connection in hand.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) play: Play,
    pub(super) script: Arc<Script>,
}
