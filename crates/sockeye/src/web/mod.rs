//! A static site over HTTP/1.1, as values: bytes of a request go in, the head and the body of an answer come out.
//!
//! Nothing here knows a socket or waits for one. Files are opened here, through one [`root`], because what may be opened
//! is the heart of the matter; sending them is for whoever holds the connection.
//!
//! The way of a request: [`request::parse`], then [`answer::Site::answer`], then [`log::combined`].
//!
//! ```
//! use sockeye::web::{answer::{Reply, Site}, clock::Now, options::Options, request::{Parsed, parse}, root::Root};
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("hello.txt"), "Hello!")?;
//! let site = Site::new(Root::open(folder.path())?, Options::default());
//! let now = Now::new(std::time::SystemTime::now());
//!
//! let came = b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
//! let mut out = Vec::new();
//! match parse(came) {
//!     Parsed::Whole { request, .. } => match site.answer(&request, &now, &mut out) {
//!         Reply::Ready(mut response) => response.absorb(&mut out, 16 * 1024),
//!         Reply::Upload(_) => unreachable!("storing is off"),
//!     },
//!     Parsed::Partial | Parsed::Bad(_) => unreachable!("it is whole"),
//! }
//! assert!(out.starts_with(b"HTTP/1.1 200 OK\r\n") && out.ends_with(b"\r\n\r\nHello!"));
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod account;
pub mod answer;
mod archive;
pub mod body;
mod charset;
pub mod clock;
mod condition;
mod escape;
mod exchange;
pub mod extra;
pub mod fields;
mod form;
mod glob;
mod head;
mod kind;
pub mod listing;
pub mod log;
pub mod made;
mod negotiate;
pub mod options;
mod pack;
pub mod path;
mod range;
mod refusal;
pub mod request;
pub mod root;
pub mod status;
pub mod upload;
