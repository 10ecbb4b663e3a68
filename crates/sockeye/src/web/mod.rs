//! A static site over HTTP/1.1, as values: bytes of a request go in, the head and the body of an answer come out.
//!
//! Nothing here knows a socket or waits for one. Files are opened here, through one [`root`], because what may be opened
//! is the heart of the matter; sending them is for whoever holds the connection.
//!
//! The way of a request: [`request::parse`], then [`answer::Site::answer`], then [`log::combined`].

pub mod answer;
pub mod body;
pub mod clock;
mod condition;
mod escape;
mod exchange;
pub mod fields;
mod head;
mod kind;
pub mod listing;
pub mod log;
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
