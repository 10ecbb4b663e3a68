//! How a rehearsal is to end, for the tests of this crate.
#![allow(unreachable_pub, reason = "a module that several test programs share")]

use transcript::Ending;
use transcript::rehearse::Rehearsal;

/// Both sides played to their end; where one did not, its account is the reason.
#[track_caller]
pub fn assert_went_as_written(rehearsal: &Rehearsal) {
    for ending in [&rehearsal.client, &rehearsal.server] {
        if let Ending::Failed(verdict) = ending {
            panic!("{}", verdict.render(""));
        }
    }
}
