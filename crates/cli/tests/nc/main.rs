//! `sockeye nc` beside Debian's nc: the same command line, the same peer, and then the same exit code, output and system
//! calls. Each test runs in a network of its own, so that ports are free and no other client connects.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod ends;
mod generated;
mod listed;
mod peer;
mod side_by_side;
mod words;
