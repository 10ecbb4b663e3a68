//! What a generator of load has a connection do next. Channels know it in every build, with a generator or without.

use std::sync::Arc;

use transcript::{Row, Script};

/// What a play begins with.
pub(super) struct Start {
    /// None: it is the script that was played before.
    pub(super) script: Option<Arc<Script>>,
    pub(super) row: Option<Row>,
}

/// What is done after a play, or where a connection rests.
#[cfg_attr(not(feature = "figures"), allow(dead_code, reason = "no generator says what is to be done"))]
pub(super) enum After {
    /// A play begins on this connection.
    Begin(Start),
    /// Nothing yet.
    Rest,
    /// The connection is closed as the play says.
    Close,
    /// The connection is of no more use.
    Drop,
    /// What came is no part of a play.
    Unexpected,
    /// What is under way goes on.
    GoOn,
}
