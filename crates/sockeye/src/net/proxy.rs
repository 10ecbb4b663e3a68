//! Proxies: how one is written, and the way through one over a socket that is connected to it. Not a byte is taken off the
//! socket that is not the proxy's own: what the destination says at once stays there for the next read.
//!
//! ```
//! use sockeye::net::proxy::Proxy;
//!
//! let proxy = Proxy::parse("socks5h://me:p%40ss@proxy.example")?;
//! // What is shown of it has no password.
//! assert_eq!(proxy.to_string(), "socks5h://proxy.example:1080");
//! assert!(Proxy::parse("gopher://proxy.example").is_err());
//! # Ok::<(), sockeye::net::proxy::ProxyError>(())
//! ```

mod error;
mod tunnel;
mod written;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::timed::Timed;
pub(crate) use crate::wire::socks::Destination;
use crate::wire::socks::{Next, Socks, Version};
pub use error::ProxyError;
pub use written::{Kind, Proxy, Secret};

/// Has a proxy make the rest of the way, over a socket that is connected to it. Blocking or not, the socket stays as it is.
///
/// # Errors
/// What the proxy says, that it says nothing, or that it does not speak its protocol.
pub(crate) fn through(
    socket: impl AsFd,
    proxy: &Proxy,
    destination: Destination,
    until: Instant,
) -> Result<(), ProxyError> {
    let timed = Timed { socket: socket.as_fd(), until };
    let version = match &proxy.kind {
        Kind::Http { login } | Kind::Https { login } => {
            return tunnel::ask(&timed, &place(&destination), login.as_ref());
        }
        Kind::Socks4 { user, .. } => Version::Four { user: user.clone() },
        Kind::Socks5 { login, .. } => Version::Five { login: login.as_ref().map(Secret::texts).transpose()? },
    };
    let mut socks = Socks::new(destination, version)?;
    let mut came = Vec::new();
    loop {
        match socks.next(&mut came)? {
            Next::Send(bytes) => timed.send(&bytes)?,
            Next::Wait(missing) => {
                let before = came.len();
                came.resize(before + missing, 0);
                let length = receive(&timed, &mut came[before..], RecvFlags::empty())?;
                came.truncate(before + length);
            }
            Next::Done => return Ok(()),
        }
    }
}

/// Host and port as HTTP writes them.
fn place(destination: &Destination) -> String {
    match destination {
        Destination::Name(name, port) => format!("{name}:{port}"),
        // A scope is of this machine alone.
        Destination::Address(SocketAddr::V6(address)) => format!("[{}]:{}", address.ip(), address.port()),
        Destination::Address(address) => address.to_string(),
    }
}

/// Receives what is there, at least one byte.
fn receive(timed: &Timed<'_>, into: &mut [u8], flags: RecvFlags) -> Result<usize, ProxyError> {
    match timed.receive(into, flags)? {
        0 => Err(ProxyError::Cut),
        length => Ok(length),
    }
}

/// Whether something waits to be read, or the connection is over.
pub(crate) fn has_spoken(socket: impl AsFd) -> std::io::Result<bool> {
    match recv(socket, &mut [0_u8; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, length)) => Ok(length > 0),
        Err(Errno::AGAIN | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
