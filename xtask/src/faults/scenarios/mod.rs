//! Short real conversations, one a scenario: what is started, who is the other end, and what must have arrived.

mod carriers;
mod fetch;
mod files;
mod local;
mod play;
mod relay;
mod serve;
mod talk;
mod texts;

use super::stage::{Running, Stage};
use super::verdict::Outcome;

/// Whether files are what a scenario is about: then SIGKILL comes at each call too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    Written,
    Untouched,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) verb: &'static str,
    pub(crate) files: Files,
    pub(crate) play: fn(&Stage) -> Outcome,
}

const fn scenario(verb: &'static str, name: &'static str, play: fn(&Stage) -> Outcome) -> Scenario {
    Scenario { name, verb, files: Files::Untouched, play }
}

const fn writing(verb: &'static str, name: &'static str, play: fn(&Stage) -> Outcome) -> Scenario {
    Scenario { name, verb, files: Files::Written, play }
}

pub(crate) fn all() -> Vec<Scenario> {
    [talk::ALL, play::ALL, serve::ALL, files::ALL, fetch::ALL, texts::ALL, relay::ALL, local::ALL, carriers::ALL]
        .concat()
}

/// What is wrong with a file that may be absent, old or whole.
fn torn(stage: &Stage, name: &str, old: Option<&[u8]>, is_whole: impl Fn(&[u8]) -> bool) -> Option<String> {
    match std::fs::read(stage.path(name)) {
        Err(_) if old.is_none() => None,
        Err(error) => Some(format!("{name}: the old file is gone: {error}")),
        Ok(found) if Some(&*found) == old || is_whole(&found) => None,
        Ok(found) => Some(format!("{name} is neither old nor whole: {} bytes", found.len())),
    }
}

/// What a run that says 0 has not put into a file.
fn unwritten(stage: &Stage, name: &str, is_whole: impl Fn(&[u8]) -> bool) -> Option<String> {
    match std::fs::read(stage.path(name)) {
        Ok(found) if is_whole(&found) => None,
        Ok(found) => Some(format!("{name} is not whole: {} bytes", found.len())),
        Err(error) => Some(format!("{name}: {error}")),
    }
}

/// Ends a peer of ours that is the program itself.
fn dismiss(mut peer: Running) {
    peer.terminate();
    peer.finish();
}
