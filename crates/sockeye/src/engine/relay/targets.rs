//! Where a relay leads: one server or several, which of them is next, and which are passed over because they do not answer.

use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use transcript::Moment;

use super::names::{Addresses, Named};
use crate::address::Address;
use crate::endpoint::{Conversation, Name, Protocol};
use crate::limits;
use crate::net::local::{Guest, LocalEnd};
use crate::net::session::{ClientLayers, Session};
use crate::net::tls::TlsError;
use crate::net::{message, options, path, race};

/// How the next server is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Balance {
    /// Each in its turn.
    #[default]
    RoundRobin,
    /// The one with the fewest connections.
    Least,
}

/// Where one server is.
#[derive(Debug, Clone)]
pub(crate) enum TargetAddress {
    Inet(Arc<[SocketAddr]>),
    /// By a name, which may lead elsewhere later, or nowhere yet.
    Named(Arc<Named>),
    Path(PathBuf),
    /// A program for each client; standard input and output, or a descriptor, for one.
    Local(Arc<LocalEnd>),
}

/// A connection that is on its way, or stands already.
#[derive(Debug)]
pub(super) struct PendingConnection {
    pub(super) fd: OwnedFd,
    pub(super) stands: bool,
    /// Who stands behind it and has to be waited for.
    pub(super) guest: Option<Box<Guest>>,
}

impl TargetAddress {
    /// The addresses as they are now; none of a path.
    fn addresses(&self) -> Addresses {
        match self {
            Self::Inet(addresses) => Addresses::of(addresses),
            Self::Named(named) => Addresses::of(&named.addresses()),
            Self::Path(_) | Self::Local(_) => Addresses::none_needed(),
        }
    }
}

/// One server.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) protocol: Protocol,
    pub(crate) place: TargetAddress,
    pub(crate) layers: ClientLayers,
    live: AtomicUsize,
    /// Failures since it last answered, and until when it is passed over, in nanoseconds.
    failures: AtomicUsize,
    rests_until: AtomicU64,
}

impl Target {
    pub(crate) fn new(address: Address, protocol: Protocol, place: TargetAddress, layers: ClientLayers) -> Self {
        let (live, failures, rests_until) = Default::default();
        Self { address, protocol, place, layers, live, failures, rests_until }
    }

    /// The end without an address that it is, if it is one.
    pub(crate) fn local(&self) -> Option<&LocalEnd> {
        match &self.place {
            TargetAddress::Local(end) => Some(end),
            _ => None,
        }
    }

    /// Its addresses, for one attempt to connect: they may be others in the next.
    pub(super) fn addresses(&self) -> Addresses {
        self.place.addresses()
    }

    /// How often its addresses have changed.
    pub(super) fn version(&self) -> u64 {
        if let TargetAddress::Named(named) = &self.place { named.version() } else { 0 }
    }

    /// The name of one of its addresses.
    pub(super) fn name(&self, addresses: &Addresses, index: usize) -> Name {
        match &self.place {
            TargetAddress::Path(path) => Name::Path(path.as_path().into()),
            TargetAddress::Local(end) => end.name(),
            TargetAddress::Inet(_) | TargetAddress::Named(_) => addresses.get(index).map_or(Name::Unnamed, Name::Inet),
        }
    }

    /// Begins to connect to one of its addresses.
    ///
    /// # Errors
    /// As connect(2), and as posix_spawn(3).
    pub(super) fn begin(
        &self,
        addresses: &Addresses,
        index: usize,
        conversation: &Conversation,
    ) -> Result<PendingConnection, Errno> {
        let standing = |(fd, stands)| PendingConnection { fd, stands, guest: None };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let options = &self.address.options;
        let (fd, connected) = match &self.place {
            TargetAddress::Local(end) => {
                // One that has had its conversation is busy for good.
                let opened = end.open(Some(conversation));
                let opened = opened.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::BUSY))?;
                rustix::io::ioctl_fionbio(&opened.fd, true)?;
                return Ok(PendingConnection { fd: opened.fd, stands: true, guest: opened.guest });
            }
            TargetAddress::Path(name) => {
                let fd = message::client(self.protocol, flags)?;
                options::apply(&fd, options, self.protocol, true)?;
                let connected = connect(&fd, &path::address(name)?);
                (fd, connected)
            }
            TargetAddress::Inet(_) | TargetAddress::Named(_) => {
                let address = addresses.get(index).ok_or(Errno::ADDRNOTAVAIL)?;
                if self.protocol == Protocol::Tcp {
                    return race::begin_without_probes(address, None, options).map(standing);
                }
                let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                let fd = socket_with(family, SocketType::DGRAM, flags, None)?;
                options::apply(&fd, options, self.protocol, address.is_ipv4())?;
                options::take_source(&fd, options, &address)?;
                let connected = connect(&fd, &address);
                (fd, connected)
            }
        };
        match connected {
            Ok(()) => Ok(standing((fd, true))),
            Err(Errno::INPROGRESS | Errno::INTR) => Ok(standing((fd, false))),
            Err(error) => Err(error),
        }
    }

    /// Whether a connection to one of its addresses is one to itself.
    pub(super) fn meets_itself(&self, address: Option<SocketAddr>, fd: BorrowedFd<'_>) -> bool {
        self.protocol == Protocol::Tcp && address.is_some_and(|address| race::is_self_connection(fd, &address))
    }

    /// Whether its connections are still to be probed: an address may say how, or that they are not.
    pub(super) fn probes_later(&self) -> bool {
        self.protocol == Protocol::Tcp && self.address.options.keepalive.is_none()
    }

    /// A session over a connection to it, if it speaks TLS or WebSocket.
    pub(super) fn session(&self) -> Option<Result<Session, TlsError>> {
        self.layers.session()
    }

    pub(super) fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.rests_until.store(0, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, now: Moment) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(8);
        let rest = (limits::SERVER_REST * 2_u32.pow(failures as u32)).min(limits::LONGEST_SERVER_REST);
        self.rests_until.store(now.after(rest).nanos(), Ordering::Relaxed);
        if let TargetAddress::Named(named) = &self.place {
            named.failed();
        }
    }

    pub(super) fn joined(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All servers of a relay.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) all: Vec<Target>,
    balance: Balance,
    turn: AtomicUsize,
}

impl Targets {
    pub(crate) fn new(all: Vec<Target>, balance: Balance) -> Self {
        Self { all, balance, turn: AtomicUsize::new(0) }
    }

    /// The servers in the order in which they are tried: those that rest come last, the one that rests the shortest first.
    pub(super) fn order(&self, now: Moment) -> Vec<usize> {
        if self.all.len() == 1 {
            return vec![0];
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.all.len();
        let mut order: Vec<usize> = (0..count).map(|index| (turn + index) % count).collect();
        order.sort_by_key(|&index| {
            let target = &self.all[index];
            let rests = target.rests_until.load(Ordering::Relaxed);
            let rests = if rests > now.nanos() { rests } else { 0 };
            let live = match self.balance {
                Balance::RoundRobin => 0,
                Balance::Least => target.live.load(Ordering::Relaxed),
            };
            (rests, live)
        });
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(balance: Balance) -> Targets {
        let target = |port: u16| {
            let place = TargetAddress::Inet([([127, 0, 0, 1], port).into()].into());
            Target::new(Address::loopback(port), Protocol::Tcp, place, ClientLayers::default())
        };
        Targets::new((1..=3).map(target).collect(), balance)
    }

    #[test]
    fn each_has_its_turn_and_one_that_failed_rests() {
        let all = targets(Balance::RoundRobin);
        let now = Moment::from_nanos(1);
        let first = |now| all.order(now)[0];
        assert_eq!([first(now), first(now), first(now), first(now)], [0, 1, 2, 0]);
        all.all[1].failed(now);
        assert_eq!([first(now), first(now), first(now)], [2, 2, 0]);
        assert_eq!(all.order(now).last(), Some(&1));
        assert!(
            all.order(now.after(limits::SERVER_REST)).len() == 3
                && (0..3).any(|_| first(now.after(limits::SERVER_REST)) == 1)
        );
        all.all[1].failed(now);
        assert!((0..3).all(|_| first(now.after(limits::SERVER_REST)) != 1));
        all.all[1].answered();
        assert!((0..3).any(|_| first(now) == 1));
    }

    #[test]
    fn the_one_with_the_fewest_is_next() {
        let all = targets(Balance::Least);
        let now = Moment::from_nanos(1);
        all.all[0].joined();
        all.all[0].joined();
        all.all[1].joined();
        assert!((0..3).all(|_| all.order(now)[0] == 2));
        all.all[0].left();
        all.all[0].left();
        all.all[2].joined();
        assert!((0..3).all(|_| all.order(now)[0] == 0));
    }
}
