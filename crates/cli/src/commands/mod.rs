//! One file a verb: from what was typed to what it means, and from what came of it to an exit code.

pub(crate) mod addrs;
mod bar;
pub(crate) mod check;
mod connection;
mod data;
pub(crate) mod fetch;
mod file;
mod gate;
mod hex;
pub(crate) mod import;
pub(crate) mod load;
pub(crate) mod nc;
mod play;
mod play_once;
pub(crate) mod ports;
pub(crate) mod relay;
mod report;
pub(crate) mod runs;
mod sandbox;
pub(crate) mod serve;
mod serving;
mod signals;
mod table;
pub(crate) mod talk;
mod taps;
mod update;
