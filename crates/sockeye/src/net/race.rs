//! Racing a name's addresses: the first that answers wins (Happy Eyeballs, RFC 8305). It knows addresses and no names.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect as connect_to, getsockname, socket_with, sockopt};

use super::attempt::{Attempt, ConnectError, ConnectOptions, Outcome, Source};
use super::connected::{Connected, connected};
use super::{alive, is_exhausted, timespec, words_at};
use crate::address::{Address, AddressOptions};
use crate::endpoint::Protocol;

/// How long an attempt is alone before the next one begins (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Alternates the families, beginning with the resolver's first choice (RFC 8305, section 4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    first.reverse();
    second.reverse();
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    loop {
        match (first.pop(), second.pop()) {
            (None, None) => return mixed,
            (a, b) => mixed.extend(a.into_iter().chain(b)),
        }
    }
}

/// One attempt that is under way.
struct Running {
    fd: OwnedFd,
    index: usize,
}

/// A race that goes on as far as it can whenever it is asked to, and never waits.
pub(super) struct Race {
    waiting: std::vec::IntoIter<SocketAddr>,
    attempts: Vec<(Attempt, Instant)>,
    running: Vec<Running>,
    begin_next_at: Instant,
    deadline: Instant,
}

impl Race {
    /// Between addresses that alternate their families.
    pub(super) fn new(addresses: Vec<SocketAddr>, deadline: Instant) -> Self {
        let waiting = interleave(addresses).into_iter();
        Self { waiting, attempts: Vec::new(), running: Vec::new(), begin_next_at: Instant::now(), deadline }
    }

    /// When there is something to do though no attempt has an answer.
    pub(super) fn wakes(&self) -> Instant {
        if self.waiting.len() > 0 { self.begin_next_at.min(self.deadline) } else { self.deadline }
    }

    /// The sockets that are on their way; one is settled when it can be written to.
    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.running.iter().map(|running| running.fd.as_fd())
    }

    /// Goes on; what came of it, once that is known. `begun` hears of each new socket.
    pub(super) fn advance(
        &mut self,
        address: &Address,
        options: &ConnectOptions,
        mut begun: impl FnMut(BorrowedFd<'_>) -> io::Result<()>,
    ) -> Option<Result<Connected, ConnectError>> {
        if let Err(error) = self.settle() {
            return Some(match error {
                RaceResult::Won(index, fd, broken) => self.won(address, fd, index, broken),
                RaceResult::Local(error) => Err(local(address, error.into())),
            });
        }
        loop {
            let now = Instant::now();
            if now >= self.deadline {
                for (attempt, since) in &mut self.attempts {
                    if attempt.outcome == Outcome::Lost {
                        (attempt.outcome, attempt.took) = (Outcome::Unanswered, now - *since);
                    }
                }
                let (address, attempts) = (address.to_string(), self.attempts());
                return Some(Err(ConnectError::TimedOut {
                    address,
                    after: options.timeout,
                    attempts,
                    waited_for: None,
                }));
            }
            if !self.running.is_empty() && now < self.begin_next_at {
                return None;
            }
            let Some(next) = self.waiting.next() else {
                if self.running.is_empty() {
                    let attempts = self.attempts();
                    return Some(Err(ConnectError::Refused { address: address.to_string(), attempts }));
                }
                return None;
            };
            self.begin_next_at = now + STAGGER;
            let index = self.attempts.len();
            // Until something else is known it has lost.
            self.attempts.push((Attempt::new(next), now));
            match begin(next, options.source.as_ref(), &address.options) {
                Ok((fd, true)) => return Some(self.won(address, fd, index, None)),
                Ok((fd, false)) => {
                    if let Err(error) = begun(fd.as_fd()) {
                        return Some(Err(local(address, error)));
                    }
                    self.running.push(Running { fd, index });
                }
                Err(error) if is_exhausted(&error.into()) => return Some(Err(local(address, error.into()))),
                Err(error) => {
                    let attempt = &mut self.attempts[index].0;
                    attempt.outcome = Outcome::Failed(words_at(&error.into(), &next));
                    attempt.is_without_port = error == Errno::ADDRNOTAVAIL;
                    self.begin_next_at = now;
                }
            }
        }
    }

    /// Looks which attempts have an answer; the first that stands ends it.
    fn settle(&mut self) -> Result<(), RaceResult> {
        let ready = wait(&self.running, Duration::ZERO).map_err(RaceResult::Local)?;
        let mut settled: Vec<Running> = ready.into_iter().rev().map(|position| self.running.remove(position)).collect();
        // Of two that stand at the same time the earlier is preferred.
        settled.reverse();
        for Running { fd, index } in settled {
            let error = match sockopt::socket_error(&fd) {
                Ok(Ok(())) if is_self_connection(&fd, &self.attempts[index].0.address) => Errno::CONNREFUSED,
                Ok(Ok(())) => return Err(RaceResult::Won(index, fd, None)),
                // It stood, and what the peer said before the reset waits to be read (RFC 9293, section 3.10.7.4).
                Ok(Err(error @ (Errno::CONNRESET | Errno::PIPE))) => {
                    return Err(RaceResult::Won(index, fd, Some(error)));
                }
                Ok(Err(error)) | Err(error) => error,
            };
            let (attempt, since) = &mut self.attempts[index];
            (attempt.outcome, attempt.took) =
                (Outcome::Failed(words_at(&error.into(), &attempt.address)), since.elapsed());
            // A refusal is an answer: the next one begins at once.
            self.begin_next_at = Instant::now();
        }
        Ok(())
    }

    fn attempts(&mut self) -> Vec<Attempt> {
        std::mem::take(&mut self.attempts).into_iter().map(|(attempt, _)| attempt).collect()
    }

    fn won(
        &mut self,
        address: &Address,
        fd: OwnedFd,
        index: usize,
        broken: Option<Errno>,
    ) -> Result<Connected, ConnectError> {
        let (attempt, since) = &mut self.attempts[index];
        (attempt.outcome, attempt.took) = (Outcome::Won, since.elapsed());
        let peer = attempt.address;
        // The losers are closed now, and not when the winner has ended.
        self.running.clear();
        connected(fd, Protocol::Tcp, peer)
            .map(|connected| Connected { attempts: self.attempts(), broken, ..connected })
            .map_err(|error| local(address, error.into()))
    }
}

/// What ends the looking.
enum RaceResult {
    Won(usize, OwnedFd, Option<Errno>),
    Local(Errno),
}

/// The same for a thread that has nothing else to do: waits for what comes of it.
pub(super) fn race(
    address: &Address,
    addresses: &[SocketAddr],
    began: Instant,
    options: &ConnectOptions,
) -> Result<Connected, ConnectError> {
    let mut race = Race::new(addresses.to_vec(), began + options.timeout);
    loop {
        if let Some(outcome) = race.advance(address, options, |_| Ok(())) {
            return outcome;
        }
        let time = race.wakes().saturating_duration_since(Instant::now());
        wait(&race.running, time).map_err(|error| local(address, error.into()))?;
    }
}

/// Begins a connection; true if it stands already.
///
/// # Errors
/// As connect(2).
pub(crate) fn begin(
    address: SocketAddr,
    source: Option<&Source>,
    options: &AddressOptions,
) -> Result<(OwnedFd, bool), Errno> {
    begin_after(address, source, options, |fd| alive::keep_alive(fd))
}

/// The same for code that asks for probes of its own accord, later.
///
/// # Errors
/// As connect(2).
pub(crate) fn begin_without_probes(
    address: SocketAddr,
    source: Option<&Source>,
    options: &AddressOptions,
) -> Result<(OwnedFd, bool), Errno> {
    begin_after(address, source, options, |_| Ok(()))
}

fn begin_after(
    address: SocketAddr,
    source: Option<&Source>,
    options: &AddressOptions,
    prepare: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>,
) -> Result<(OwnedFd, bool), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family, SocketType::STREAM, flags, super::options::protocol(options))?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    prepare(fd.as_fd())?;
    super::options::apply(&fd, options, Protocol::Tcp, address.is_ipv4())?;
    super::options::take_source(&fd, options, &address)?;
    if let Some(source) = source {
        source.take(&fd, &address)?;
    }
    match connect_to(&fd, &address) {
        Ok(()) if is_self_connection(&fd, &address) => Err(Errno::CONNREFUSED),
        Ok(()) => Ok((fd, true)),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok((fd, false)),
        Err(error) => Err(error),
    }
}

/// A connection to a free port of our own number range may meet itself (simultaneous open, RFC 9293, section 3.5).
/// It is reset, not closed: in TIME_WAIT it would keep the server that is missing from binding its port.
pub(crate) fn is_self_connection(fd: impl AsFd, peer: &SocketAddr) -> bool {
    let local = getsockname(&fd).ok().and_then(|local| SocketAddr::try_from(local).ok());
    let met = local.is_some_and(|local| {
        // To every address means to the loopback (ip(7)).
        local.port() == peer.port() && (local.ip() == peer.ip() || peer.ip().is_unspecified())
    });
    if met {
        let _ = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
    }
    met
}

/// The positions of those that have an answer.
fn wait(running: &[Running], time: Duration) -> Result<Vec<usize>, Errno> {
    let mut polled: Vec<PollFd<'_>> = running.iter().map(|attempt| PollFd::new(&attempt.fd, PollFlags::OUT)).collect();
    let time = timespec(time);
    match poll(&mut polled, Some(&time)) {
        Ok(_) => Ok((0..polled.len()).filter(|&position| !polled[position].revents().is_empty()).collect()),
        Err(Errno::INTR) => Ok(vec![]),
        Err(error) => Err(error),
    }
}

fn local(address: &Address, error: io::Error) -> ConnectError {
    ConnectError::Local { address: address.to_string(), error }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::endpoint::Name;

    fn within(timeout: Duration) -> ConnectOptions {
        ConnectOptions { timeout, ..ConnectOptions::default() }
    }

    /// A listener whose backlog is full lets further connections hang.
    fn full_backlog() -> (OwnedFd, SocketAddr, Vec<(OwnedFd, bool)>) {
        let dead = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&dead, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&dead, 0).unwrap();
        let address = SocketAddr::try_from(getsockname(&dead).unwrap()).unwrap();
        let fill = (0..2).map(|_| begin(address, None, &AddressOptions::default()).unwrap()).collect();
        (dead, address, fill)
    }

    #[test]
    fn a_dead_first_address_costs_a_quarter_of_a_second_and_not_more() {
        let (_dead, dead_address, _fill) = full_backlog();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [dead_address, live.local_addr().unwrap()];
        let began = Instant::now();
        let address = Address::parse("both:1").unwrap();
        let connected = race(&address, &addresses, began, &within(Duration::from_secs(10))).unwrap();
        assert_eq!(connected.attempts[0].outcome, Outcome::Lost);
        assert_eq!(connected.peer, Name::Inet(addresses[1]));
        assert!(began.elapsed() >= STAGGER);
        let error = race(&address, &addresses[..1], Instant::now(), &within(Duration::from_millis(50))).unwrap_err();
        assert!(
            matches!(&error, ConnectError::TimedOut { attempts, .. } if attempts[0].outcome == Outcome::Unanswered)
        );
    }

    #[test]
    fn an_attempt_that_fails_at_once_does_not_cost_the_wait_for_the_next() {
        let (_dead, dead_address, _fill) = full_backlog();
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        // TCP has no way to every machine of a network at once: the system says so without sending anything.
        let nowhere = SocketAddr::from(([255, 255, 255, 255], 9));
        let addresses = [dead_address, nowhere, nowhere, nowhere, live.local_addr().unwrap()];
        let address = Address::parse("five:1").unwrap();
        let took = || {
            let began = Instant::now();
            let connected = race(&address, &addresses, began, &within(Duration::from_secs(10))).unwrap();
            assert!(matches!(connected.attempts[1].outcome, Outcome::Failed(_)));
            began.elapsed()
        };
        // Once is enough: a machine that is busy makes it slower, and nothing makes it faster.
        assert!((0..20).any(|_| took() < 2 * STAGGER));
    }

    #[test]
    fn a_connection_that_meets_itself_is_none_and_leaves_the_port_free() {
        let fd = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&fd, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let own = SocketAddr::try_from(getsockname(&fd).unwrap()).unwrap();
        connect_to(&fd, &own).unwrap();
        assert!(is_self_connection(&fd, &own));
        drop(fd);
        let again = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&again, &own).unwrap();
    }

    #[test]
    fn the_families_alternate() {
        let all = ["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1"].map(|text| text.parse().unwrap());
        let mixed: Vec<String> = interleave(all.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(mixed, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    }
}
