//! From a connection in clear to one under TLS, by what a protocol says before (STARTTLS).

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::net::{RecvFlags, recv};
use transcript::Side;

use crate::net::connect::Connected;
use crate::net::secured::SecureError;
use crate::net::timed::{Timed, TimedError};
use crate::net::tls::Trust;
use crate::net::words;
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
    /// It said something before it was asked, which may be an attacker's.
    OutOfTurn,
    /// Bytes came in clear behind its yes, which may be an attacker's; how many.
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

impl UpgradeError {
    /// Whether it may be otherwise in a moment: the connection broke, or nothing came, and nothing was refused.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Cut | Self::TimedOut | Self::Socket(_) => true,
            Self::Secure(error) => error.may_pass(),
            Self::Refused(_) | Self::NotOffered | Self::Strange(_) | Self::OutOfTurn | Self::ClearBytes(_) => false,
        }
    }
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

impl From<TimedError> for UpgradeError {
    fn from(error: TimedError) -> Self {
        match error {
            TimedError::TimedOut => Self::TimedOut,
            TimedError::Socket(error) => Self::Socket(error.into()),
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
    let clear = Clear { timed: Timed { socket: connected.fd.as_fd(), until }, tap };
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
    timed: Timed<'a>,
    tap: Option<&'a Arc<dyn Tap>>,
}

impl Clear<'_> {
    fn send(&self, bytes: &[u8]) -> Result<(), UpgradeError> {
        if let Some(tap) = self.tap {
            tap.said(Side::Client, bytes);
        }
        Ok(self.timed.send(bytes)?)
    }

    fn receive(&self, came: &mut Vec<u8>) -> Result<(), UpgradeError> {
        let mut piece = [0; 4096];
        let length = self.timed.receive(&mut piece, RecvFlags::empty())?;
        if length == 0 {
            return Err(UpgradeError::Cut);
        }
        if let Some(tap) = self.tap {
            tap.said(Side::Server, &piece[..length]);
        }
        came.extend_from_slice(&piece[..length]);
        Ok(())
    }

    /// How many bytes came in clear that are not waited for.
    fn waiting(&self) -> usize {
        let mut piece = [0; 4096];
        recv(self.timed.socket, &mut piece[..], RecvFlags::DONTWAIT | RecvFlags::PEEK).map_or(0, |(_, length)| length)
    }
}
