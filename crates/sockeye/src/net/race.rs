//! Racing a name's addresses: the first that answers wins (Happy Eyeballs, RFC 8305). It knows addresses and no names.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, connect as connect_to, getpeername, getsockname, socket_with, sockopt,
};

use super::attempt::{Attempt, ConnectError, ConnectOptions, Outcome, Source};
use super::connected::{Connected, connected};
use super::{alive, is_exhausted, timespec, words_at};
use crate::address::Address;
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

pub(super) fn race(
    address: &Address,
    addresses: &[SocketAddr],
    began: Instant,
    options: &ConnectOptions,
) -> Result<Connected, ConnectError> {
    let timeout = options.timeout;
    let deadline = began + timeout;
    let mut attempts: Vec<(Attempt, Instant)> = Vec::new();
    let mut running: Vec<Running> = Vec::new();
    let mut waiting = addresses.iter().copied();
    let mut begin_next_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= deadline {
            for (attempt, since) in &mut attempts {
                if attempt.outcome == Outcome::Lost {
                    (attempt.outcome, attempt.took) = (Outcome::Unanswered, now - *since);
                }
            }
            let attempts = attempts.into_iter().map(|(attempt, _)| attempt).collect();
            let address = address.to_string();
            return Err(ConnectError::TimedOut { address, after: timeout, attempts, waited_for: None });
        }
        if (running.is_empty() || now >= begin_next_at)
            && let Some(next) = waiting.next()
        {
            begin_next_at = now + STAGGER;
            let index = attempts.len();
            // Until something else is known it has lost.
            attempts.push((Attempt { address: next, outcome: Outcome::Lost, took: Duration::ZERO }, now));
            match begin(next, options.source.as_ref()) {
                Ok((fd, true)) => return won(address, fd, index, attempts, None),
                Ok((fd, false)) => running.push(Running { fd, index }),
                Err(error) if is_exhausted(&error.into()) => return Err(local(address, error)),
                Err(error) => {
                    attempts[index].0.outcome = Outcome::Failed(words_at(&error.into(), &next));
                    begin_next_at = now;
                }
            }
            continue;
        }
        if running.is_empty() {
            let attempts = attempts.into_iter().map(|(attempt, _)| attempt).collect();
            return Err(ConnectError::Refused { address: address.to_string(), attempts });
        }
        let until = if waiting.len() > 0 { begin_next_at.min(deadline) } else { deadline };
        let ready = wait(&running, until.saturating_duration_since(now)).map_err(|error| local(address, error))?;
        let mut settled: Vec<Running> = ready.into_iter().rev().map(|position| running.remove(position)).collect();
        // Of two that stand at the same time the earlier is preferred.
        settled.reverse();
        for Running { fd, index } in settled {
            let error = match sockopt::socket_error(&fd) {
                Ok(Ok(())) if is_self_connection(&fd) => Errno::CONNREFUSED,
                Ok(Ok(())) => return won(address, fd, index, attempts, None),
                // It stood, and what the peer said before the reset waits to be read (RFC 9293, section 3.10.7.4).
                Ok(Err(error @ (Errno::CONNRESET | Errno::PIPE))) => {
                    return won(address, fd, index, attempts, Some(error));
                }
                Ok(Err(error)) | Err(error) => error,
            };
            let (attempt, since) = &mut attempts[index];
            (attempt.outcome, attempt.took) =
                (Outcome::Failed(words_at(&error.into(), &attempt.address)), since.elapsed());
            // A refusal is an answer: the next one begins at once.
            begin_next_at = Instant::now();
        }
    }
}

/// Begins a connection; true if it stands already.
fn begin(address: SocketAddr, source: Option<&Source>) -> Result<(OwnedFd, bool), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    alive::keep_alive(&fd)?;
    if let Some(source) = source {
        source.take(&fd, &address)?;
    }
    match connect_to(&fd, &address) {
        Ok(()) if is_self_connection(&fd) => Err(Errno::CONNREFUSED),
        Ok(()) => Ok((fd, true)),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok((fd, false)),
        Err(error) => Err(error),
    }
}

/// A connection to a free port of our own number range may meet itself (simultaneous open, RFC 9293, section 3.5).
/// It is reset, not closed: in TIME_WAIT it would keep the server that is missing from binding its port.
fn is_self_connection(fd: &OwnedFd) -> bool {
    let met =
        match (getsockname(fd).map(SocketAddr::try_from), getpeername(fd).map(|peer| peer.map(SocketAddr::try_from))) {
            (Ok(Ok(local)), Ok(Some(Ok(peer)))) => local == peer,
            _ => false,
        };
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

fn local(address: &Address, error: Errno) -> ConnectError {
    ConnectError::Local { address: address.to_string(), error: error.into() }
}

fn won(
    address: &Address,
    fd: OwnedFd,
    index: usize,
    mut attempts: Vec<(Attempt, Instant)>,
    broken: Option<Errno>,
) -> Result<Connected, ConnectError> {
    let (attempt, since) = &mut attempts[index];
    (attempt.outcome, attempt.took) = (Outcome::Won, since.elapsed());
    let peer = attempt.address;
    let attempts = attempts.into_iter().map(|(attempt, _)| attempt).collect();
    connected(fd, Protocol::Tcp, peer)
        .map(|connected| Connected { attempts, broken, ..connected })
        .map_err(|error| local(address, error))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::endpoint::Name;

    fn within(timeout: Duration) -> ConnectOptions {
        ConnectOptions { family: None, timeout, source: None }
    }

    /// A listener whose backlog is full lets further connections hang.
    fn full_backlog() -> (OwnedFd, SocketAddr, Vec<(OwnedFd, bool)>) {
        let dead = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&dead, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&dead, 0).unwrap();
        let address = SocketAddr::try_from(getsockname(&dead).unwrap()).unwrap();
        let fill = (0..2).map(|_| begin(address, None).unwrap()).collect();
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
        assert!(is_self_connection(&fd));
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
