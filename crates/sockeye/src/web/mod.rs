//! A static site as values: a request goes in, and the status, the fields and the content of an answer come out, whatever the
//! version of HTTP that they came in and go out by. Public is
//! how a site is to behave; a server of `crate::verb::serve` answers by it.
//!
//! Nothing here knows a socket or waits for one. Files are opened here, through one `root`, because what may be opened
//! is the heart of the matter; sending them is for the code that holds the connection.
//!
//! The way of a request: `request::parse` or `request::Request::of_values`, then `site::Site::answer`, then
//! `http1::write_head` or the frames of HTTP/2, then `log::Entry`.
//!
//! ```
//! use std::io::{Read, Write};
//! use sockeye::address::Address;
//! use sockeye::stop;
//! use sockeye::verb::serve::{AccessLog, Files, Plain, Role, ServeOptions, Server};
//! use sockeye::web::options::{Folders, SiteOptions};
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("hello.txt"), "Hello!")?;
//! let site = SiteOptions { folders: Folders::Kept, ..SiteOptions::default() };
//! let files = Files { folder: folder.path().to_owned(), site, log: AccessLog::None, plain: Plain::Served };
//! let addresses = vec![Address::parse("http://127.0.0.1:0")?];
//! let server = Server::bind(&ServeOptions { addresses, role: Role::Files(Box::new(files)), ..ServeOptions::default() })?;
//!
//! let port = server.ports()[0];
//! let (stopper, stop) = stop::channel()?;
//! let serving = std::thread::spawn(move || server.run(stop, None, Box::new(|_| {})));
//! let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
//! stream.write_all(b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHello!"));
//! stopper.stop();
//! serving.join().expect("it does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(unreachable_pub, reason = "`pub` is what the rest of the crate uses of a module here")]

pub mod account;
#[cfg(test)]
pub(crate) mod allocations;
pub(crate) mod answer;
mod archive;
mod charset;
pub(crate) mod clock;
mod condition;
mod errno;
mod escape;
mod exchange;
pub mod extra;
pub(crate) mod field_list;
mod form;
mod glob;
mod head;
pub(crate) mod http1;
mod json;
mod kind;
pub(crate) mod listing;
pub(crate) mod log;
pub(crate) mod made;
mod negotiate;
pub mod options;
mod pack;
pub(crate) mod path;
mod range;
mod refusal;
pub(crate) mod response;
mod room;
pub(crate) mod root;
pub(crate) mod site;
pub(crate) mod upload;
