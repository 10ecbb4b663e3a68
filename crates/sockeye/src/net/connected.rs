//! A connected socket, and what is known of how it came about. Over datagrams connecting only chooses the peer, and is done here.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect as connect_to, getpeername, getsockname, socket_with,
};

use super::attempt::{Attempt, ConnectError, ConnectOptions, Outcome};
use super::local::{Guest, LocalEndReport, Opened};
use super::message;
use super::secured::{SecureError, Secured};
#[cfg(feature = "http")]
use super::session::Session;
use super::tls::Trust;
#[cfg(feature = "http")]
use super::websocket::{Messages, WsClient};
use super::{is_exhausted, words_at};
use crate::address::{Address, AddressOptions};
use crate::endpoint::{Name, Protocol};
use crate::sys::option;

/// A connected socket.
#[derive(Debug)]
pub struct Connected {
    /// Blocking; Nagle's algorithm is off. Over datagrams to a group of IPv6 it is bound and not connected.
    pub fd: OwnedFd,
    /// The transport.
    pub protocol: Protocol,
    /// Our end.
    pub local: Name,
    /// The other end.
    pub peer: Name,
    /// Every address that was tried.
    pub attempts: Vec<Attempt>,
    /// How long looking up the name took.
    pub lookup: Duration,
    /// What was asked for, where a proxy leads there: then the other end is the proxy.
    pub via: Option<String>,
    /// The session of TLS over it, once there is one.
    pub(crate) secure: Option<Secured>,
    /// The peer had reset it by the time we looked. The kernel tells that only once: what came before can still be read,
    /// and what follows looks like an end.
    pub(crate) broken: Option<Errno>,
    /// Who stands behind the other end and has to be waited for: a program, or a bridge to what is no socket.
    pub(crate) guest: Option<Box<Guest>>,
    /// Over datagrams: the name's other addresses, which are tried when no program listens at this one.
    pub(crate) others: Vec<SocketAddr>,
}

impl Connected {
    /// Begins TLS as the client: what is sent and received from here goes through a session with a server that must be this
    /// host.
    ///
    /// # Errors
    /// The two do not agree, the certificate is not to be believed, or it is not done in time.
    pub fn secure(&mut self, trust: &Trust, host: &str, until: Instant) -> Result<(), SecureError> {
        self.secure = Some(Secured::client(self.fd.as_fd(), trust, host, until)?);
        Ok(())
    }

    /// Begins a WebSocket as the client, over TLS with a server that must be a host, if there is to be any: a line that is sent
    /// is a text message, and one that comes a line.
    ///
    /// # Errors
    /// As [`Connected::secure`]; the server does not speak it.
    #[cfg(feature = "http")]
    pub fn begin_websocket(
        &mut self,
        address: &Address,
        secure: Option<(&Trust, &str)>,
        until: Instant,
    ) -> Result<(), SecureError> {
        let Some(client) = WsClient::at(address, Messages::WholeLines) else { return Ok(()) };
        let session = match secure {
            Some((trust, host)) => Session::client(trust, host, &[])?.with(&client)?,
            None => Session::websocket(&client)?,
        };
        self.secure = Some(Secured::over(self.fd.as_fd(), session, &address.tls_host(), until)?);
        Ok(())
    }

    /// Whether what is sent and received goes through TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure.is_some()
    }

    /// Over datagrams: the same for the name's next address, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<Self> {
        Self::at_next(self.attempts.clone(), self.lookup, &self.others)
    }

    /// The first of the addresses that are left, behind these attempts.
    pub(crate) fn at_next(mut attempts: Vec<Attempt>, lookup: Duration, others: &[SocketAddr]) -> Option<Self> {
        let next = connect_datagrams(others, &AddressOptions::default(), &ConnectOptions::default()).ok()?;
        attempts.extend(next.attempts);
        Some(Self { lookup, attempts, ..next })
    }
}

impl Connected {
    /// Over a Unix socket, which is bound to a path.
    pub(super) fn over_path(fd: OwnedFd, protocol: Protocol, peer: Name) -> Self {
        let (local, lookup) = (message::own_name(&fd), Duration::ZERO);
        Self {
            fd,
            protocol,
            local,
            peer,
            attempts: vec![],
            lookup,
            via: None,
            secure: None,
            broken: None,
            guest: None,
            others: vec![],
        }
    }

    /// Over what has no address.
    pub(super) fn over_local(opened: Opened) -> Self {
        let Opened { fd, protocol, local, peer, guest } = opened;
        Self { local, guest, ..Self::over_path(fd, protocol, peer) }
    }

    /// The conversation is over: what became of a program that was the other end, or of what was written and read there. It
    /// has the grace to end by itself.
    #[must_use]
    pub fn finish(self, grace: Duration) -> Option<LocalEndReport> {
        let Self { fd, guest, .. } = self;
        drop(fd);
        guest.map(|guest| guest.finish(grace))
    }

    /// What ends a program that is the other end, from a thread that cannot wait.
    #[must_use]
    pub fn killer(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        let killer = self.guest.as_ref()?.killer()?;
        Some(Box::new(move || killer.kill()))
    }
}

pub(super) fn connected(fd: OwnedFd, protocol: Protocol, peer: SocketAddr) -> Result<Connected, Errno> {
    let local = getsockname(&fd).map_or(Name::Unnamed, name);
    // One that was reset by now has no peer any more, as far as the kernel is concerned.
    let peer = getpeername(&fd).ok().flatten().map_or(Name::Inet(peer), name);
    let (attempts, lookup, via) = (vec![], Duration::ZERO, None);
    Ok(Connected {
        fd,
        protocol,
        local,
        peer,
        attempts,
        lookup,
        via,
        secure: None,
        broken: None,
        guest: None,
        others: vec![],
    })
}

fn name(address: rustix::net::SocketAddrAny) -> Name {
    SocketAddr::try_from(address).map_or(Name::Unnamed, Name::Inet)
}

/// Over datagrams connecting only chooses the peer: the first address that this machine has a way to.
pub(super) fn connect_datagrams(
    addresses: &[SocketAddr],
    of_address: &AddressOptions,
    options: &ConnectOptions,
) -> Result<Connected, UnreachableError> {
    let ConnectOptions { source, datagrams, .. } = options;
    let mut attempts = Vec::new();
    for (index, &candidate) in addresses.iter().enumerate() {
        let family = if candidate.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = || {
            let fd = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
            source.as_ref().map_or(Ok(()), |source| source.take(&fd, &candidate))?;
            super::options::apply(&fd, of_address, Protocol::Udp, candidate.is_ipv4())?;
            super::options::take_source(&fd, of_address, &candidate)?;
            datagrams.set(&fd, &candidate)?;
            Ok(fd)
        };
        let joined = socket().and_then(|fd| {
            connect_to(&fd, &candidate)?;
            connected(fd, Protocol::Udp, candidate)
        });
        let tried = match joined {
            Ok(joined) if candidate.is_ipv6() && candidate.ip().is_multicast() => to_group(joined, socket),
            joined => joined,
        };
        match tried {
            Ok(connected) => {
                attempts.push(Attempt { outcome: Outcome::Won, ..Attempt::new(candidate) });
                // What was asked for holds for this socket; another would not have it.
                let is_usual = source.is_none() && datagrams.is_usual();
                let others = if is_usual { addresses[index + 1..].to_vec() } else { vec![] };
                return Ok(Connected { attempts, others, ..connected });
            }
            Err(error) if is_exhausted(&error.into()) => {
                return Err(UnreachableError::Local(error.into()));
            }
            Err(error) => {
                let mut why = words_at(&error.into(), &candidate);
                if error == Errno::ACCESS {
                    // connect(2): a socket must be told that it may send to all.
                    why.push_str(
                        "; a route may prohibit it, and to a broadcast address datagrams go with --broadcast alone",
                    );
                }
                attempts.push(Attempt { outcome: Outcome::Failed(why), ..Attempt::new(candidate) });
            }
        }
    }
    Err(UnreachableError::Refused(attempts))
}

/// The same to a group of IPv6, by a socket that was never connected: one that was takes nothing but what comes from the
/// group, also after it was told to forget that, and answers come from hosts. What the connected one knows of its ends holds.
fn to_group(joined: Connected, socket: impl FnOnce() -> Result<OwnedFd, Errno>) -> Result<Connected, Errno> {
    // It gives its port back first.
    drop(joined.fd);
    let fd = socket()?;
    let own = |fd: &OwnedFd| getsockname(fd).and_then(SocketAddr::try_from);
    let own_address = own(&fd)?;
    if own_address.port() == 0 {
        let _ = option::set(&fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 0);
        bind(&fd, &own_address)?;
    }
    let port = own(&fd)?.port();
    let local = match joined.local {
        Name::Inet(address) => Name::Inet(with_port(address, port)),
        other => other,
    };
    Ok(Connected { fd, local, ..joined })
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Why no datagram can go to any of several addresses.
#[derive(Debug)]
pub(super) enum UnreachableError {
    Local(io::Error),
    Refused(Vec<Attempt>),
}

impl UnreachableError {
    /// As the caller that asked for an address is told.
    pub(super) fn at(self, address: &Address) -> ConnectError {
        let address = address.to_string();
        match self {
            Self::Local(error) => ConnectError::Local { address, error },
            Self::Refused(attempts) => ConnectError::Refused { address, attempts },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_go_to_the_first_address_there_is_a_way_to() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let live = server.local_addr().unwrap();
        let nowhere = SocketAddr::from(([255, 255, 255, 255], 9));
        let connected =
            connect_datagrams(&[nowhere, live], &AddressOptions::default(), &ConnectOptions::default()).unwrap();
        assert_eq!(connected.peer, Name::Inet(live));
        assert_eq!(connected.attempts.len(), 2);
        std::net::UdpSocket::from(connected.fd).send(b"x").unwrap();
        assert_eq!(server.recv(&mut [0; 8]).unwrap(), 1);
    }
}
