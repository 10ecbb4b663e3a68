//! One file a verb: from what was typed to what it means, and from what came of it to an exit code.

pub(crate) mod check;
mod data;
pub(crate) mod fetch;
mod file;
pub(crate) mod import;
mod play;
mod report;
pub(crate) mod serve;
mod signals;
pub(crate) mod talk;
mod update;
