//! What a generator of load has a connection do next. Channels know it in every build, with a generator or without.

use std::sync::Arc;

use transcript::{Row, Script};

/// What a play begins with.
pub(super) struct Start {
    /// None: it is the script that was played before.
    pub(super) script: Option<Arc<Script>>,
    pub(super) row: Values,
}

/// The values of a play that differ from play to play.
#[cfg_attr(not(feature = "figures"), allow(dead_code, reason = "no generator begins plays"))]
pub(super) enum Values {
    /// It has none.
    Without,
    Row(Row),
    /// The number of the play is among them: the generator makes them, in the memory of those of the play before.
    Numbered,
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
