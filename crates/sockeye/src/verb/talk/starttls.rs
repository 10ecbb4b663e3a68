//! From a connection in clear to one under TLS, by what a protocol says before (STARTTLS).

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use transcript::Side;

use crate::net::connect::Connected;
use crate::net::secured::SecureError;
use crate::net::tls::Trust;
use crate::net::{timespec, words};
use crate::record::Tap;
use crate::sys::hostname::hostname;
use crate::wire::starttls::{Dialogue, Next, Refusal, Upgrade};

/// Most bytes of an answer in clear.
const LONGEST: usize = 64 * 1024;

/// Why a conversation does not go over to TLS.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The server does not do it; what it says.
    Refused(String),
    /// The server does not offer it.
    NotOffered,
    /// It says something that is not of this protocol.
    Strange(String),
    /// It said something before it was asked, which may be somebody else's.
    OutOfTurn,
    /// Bytes came in clear behind its yes, which may be somebody else's; how many.
    ClearBytes(usize),
    /// It ended the connection.
    Cut,
    /// It was not done in time.
    TimedOut,
    /// The connection broke.
    Socket(io::Error),
    /// The handshake failed.
    Secure(SecureError),
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(said) => write!(f, "the server does not begin TLS: it says {said}"),
            Self::NotOffered => f.write_str("the server does not offer STARTTLS, or somebody on the way took it out"),
            Self::Strange(said) => write!(f, "the server does not speak this protocol: it says {said}"),
            Self::OutOfTurn => {
                f.write_str("the server spoke before it was asked, in clear: somebody may have put it in")
            }
            Self::ClearBytes(count) => {
                write!(f, "{count} bytes came in clear behind the server's yes to TLS: somebody may have put them in")
            }
            Self::Cut => f.write_str("the server ended the connection before TLS began"),
            Self::TimedOut => f.write_str("TLS did not begin in time (--connect-timeout)"),
            Self::Socket(error) => write!(f, "the connection broke before TLS began: {}", words(error)),
            Self::Secure(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UpgradeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket(error) => Some(error),
            Self::Secure(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Refusal> for UpgradeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Refused(said) => Self::Refused(said),
            Refusal::NotOffered => Self::NotOffered,
            Refusal::Strange(said) => Self::Strange(said),
            Refusal::OutOfTurn => Self::OutOfTurn,
        }
    }
}

/// Says what a protocol has to be said, and begins TLS with a server that must be this host. A tap hears what is said in
/// clear.
///
/// # Errors
/// The server does not do it, does something else, or is not to be believed.
pub fn upgrade(
    connected: &mut Connected,
    protocol: Upgrade,
    (trust, host): (&Trust, &str),
    until: Instant,
    tap: Option<&Arc<dyn Tap>>,
) -> Result<(), UpgradeError> {
    let clear = Clear { socket: connected.fd.as_fd(), until, tap };
    let mut dialogue = Dialogue::new(protocol, host, &own_name());
    let mut came = Vec::new();
    loop {
        match dialogue.next(&mut came)? {
            Next::Send(bytes) => clear.send(&bytes)?,
            Next::Wait if came.len() > LONGEST => {
                return Err(UpgradeError::Strange(format!("more than {} KiB at once", LONGEST / 1024)));
            }
            Next::Wait => clear.receive(&mut came)?,
            Next::Secure => break,
        }
    }
    let more = clear.waiting();
    if !came.is_empty() || more > 0 {
        return Err(UpgradeError::ClearBytes(came.len() + more));
    }
    if let Some(tap) = tap {
        tap.secured();
    }
    connected.secure(trust, host, until).map_err(|error| match error {
        SecureError::TimedOut => UpgradeError::TimedOut,
        error => UpgradeError::Secure(error),
    })
}

/// What we are called: a name with a dot, or an address that stands for none (RFC 5321, section 4.1.4).
fn own_name() -> String {
    hostname().filter(|name| name.contains('.')).unwrap_or_else(|| "localhost".to_owned())
}

struct Clear<'a> {
    socket: BorrowedFd<'a>,
    until: Instant,
    tap: Option<&'a Arc<dyn Tap>>,
}

impl Clear<'_> {
    fn send(&self, bytes: &[u8]) -> Result<(), UpgradeError> {
        if let Some(tap) = self.tap {
            tap.said(Side::Client, bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match send(self.socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(length) => rest = &rest[length..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(error) => return Err(UpgradeError::Socket(error.into())),
            }
        }
        Ok(())
    }

    fn receive(&self, came: &mut Vec<u8>) -> Result<(), UpgradeError> {
        let mut piece = [0; 4096];
        loop {
            match recv(self.socket, &mut piece[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err(UpgradeError::Cut),
                Ok((_, length)) => {
                    if let Some(tap) = self.tap {
                        tap.said(Side::Server, &piece[..length]);
                    }
                    came.extend_from_slice(&piece[..length]);
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN)?,
                Err(error) => return Err(UpgradeError::Socket(error.into())),
            }
        }
    }

    /// How many bytes came in clear that nobody waits for.
    fn waiting(&self) -> usize {
        let mut piece = [0; 4096];
        recv(self.socket, &mut piece[..], RecvFlags::DONTWAIT | RecvFlags::PEEK).map_or(0, |(_, length)| length)
    }

    fn wait(&self, interest: PollFlags) -> Result<(), UpgradeError> {
        let left = self.until.saturating_duration_since(Instant::now());
        match poll(&mut [PollFd::from_borrowed_fd(self.socket, interest)], Some(&timespec(left))) {
            Ok(0) if left.is_zero() => Err(UpgradeError::TimedOut),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(UpgradeError::Socket(error.into())),
        }
    }
}
