//! Plays transcripts over real sockets: who says it, and over what.
//!
//! Verbs stand in [`verb`]: each takes options, returns a value and reports [`event`]s. Nothing here prints. For tests of
//! other programs, [`mock`] is a server or a client in three lines.
//!
//! ```
//! use std::io::Read;
//! use sockeye::mock::Mock;
//!
//! let server = Mock::start("S: Welcome!\nS closes\n");
//! let mut heard = String::new();
//! std::net::TcpStream::connect(server.address())?.read_to_string(&mut heard)?;
//! assert_eq!(heard, "Welcome!\n");
//! server.finish();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Features
//! All are on unless `default-features = false` turns them off.
//! - `tls`: `starttls` in transcripts, `tls://`, and certificates. Without it a transcript that says `starttls` is refused.
//! - `http`: [`verb::fetch`], folders that [`verb::serve`] serves, WebSocket, and the control API of [`verb::relay`]; it needs
//!   `tls`.
//! - `figures`: [`verb::load`], and [`figures`], which keep, merge and compare what was measured.
//!
//! A mock that plays transcripts in clear needs none of them.

#![cfg_attr(
    not(feature = "http"),
    allow(
        dead_code,
        unreachable_code,
        reason = "what only HTTP needs stays where the rest of it is, and of what stands for it there is no value"
    )
)]

pub mod address;
pub mod capture;
pub mod check;
pub mod child;
mod endpoint;
mod engine;
pub mod event;
pub mod failure;
pub mod faults;
#[cfg(feature = "figures")]
pub mod figures;
pub mod file;
pub mod folder;
pub mod fresh;
pub mod gate;
pub mod limits;
pub mod mock;
pub mod net;
mod random;
pub mod record;
pub mod sandbox;
pub mod sink;
pub mod stop;
#[allow(unsafe_code, reason = "system calls that no safe wrapper has")]
mod sys;
pub mod user;
pub mod verb;
pub mod watch;
#[cfg(feature = "http")]
pub mod web;
mod wire;
mod words;

/// The examples of the README, as tests.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
struct Readme;
