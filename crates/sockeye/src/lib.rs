//! Plays transcripts over real sockets: who says it, and over what.

pub mod address;
pub mod event;
pub mod limits;
pub mod net;
pub mod sys;
pub mod verb;
