//! Plays transcripts over real sockets: who says it, and over what.
//!
//! Verbs stand in [`verb`]: each takes options, returns a value and reports [`event`]s. Nothing here prints. For tests of
//! other programs, [`mock`] is a server or a client in three lines.

pub mod address;
mod drive;
pub mod event;
pub mod failure;
pub mod file;
pub mod folder;
pub mod limits;
pub mod mock;
#[allow(unsafe_code, reason = "socket calls that no safe wrapper has")]
pub mod net;
pub mod record;
pub mod sink;
pub mod stop;
#[allow(unsafe_code, reason = "system calls that no safe wrapper has")]
pub mod sys;
pub mod verb;
pub mod web;
mod wire;
