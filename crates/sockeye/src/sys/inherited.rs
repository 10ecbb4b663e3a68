//! Descriptors that our parent process left open for us, and what they are. systemd and others who listen for a program say
//! in the environment how many there are (sd_listen_fds(3)).

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, getpeername, sockopt};

use crate::endpoint::Protocol;

/// The first descriptor of those that are passed to a program (`SD_LISTEN_FDS_START`).
const FIRST: RawFd = 3;

/// What a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// A socket that clients come to.
    Listening(Protocol),
    /// A socket that takes datagrams from anybody.
    Datagrams(Protocol),
    /// One connection.
    Connected(Protocol),
    /// A pipe, a file, a terminal.
    Plain,
}

/// The numbers that we were given as the environment says: the first and the last.
pub(crate) fn given() -> Option<(RawFd, RawFd)> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<i32>().ok();
    let is_for_us = number("LISTEN_PID").is_none_or(|pid| pid == std::process::id() as i32);
    let count = number("LISTEN_FDS").filter(|count| is_for_us && (1..=1024).contains(count))?;
    Some((FIRST, FIRST + count - 1))
}

/// The number of a descriptor that was given a name.
pub(crate) fn named(name: &str) -> Option<RawFd> {
    let (first, last) = given()?;
    let names = std::env::var("LISTEN_FDNAMES").ok()?;
    let found = names.split(':').position(|known| known == name)?;
    Some(first + found as RawFd).filter(|number| *number <= last)
}

/// What a descriptor is that we were given.
///
/// # Errors
/// There is none of this number, or it is none that we were given; a socket that is neither bound nor connected.
pub(crate) fn nature(number: RawFd) -> io::Result<Nature> {
    // SAFETY: the number is only looked at while the descriptor is borrowed; one that is not open is an error.
    let fd = unsafe { borrowed(number) }?;
    look_at(fd)
}

/// What a descriptor is.
///
/// # Errors
/// As [`nature`].
pub(crate) fn look_at(fd: BorrowedFd<'_>) -> io::Result<Nature> {
    let kind = match sockopt::socket_type(fd) {
        Err(Errno::NOTSOCK) => return Ok(Nature::Plain),
        kind => kind?,
    };
    let family = sockopt::socket_domain(fd)?;
    let is_inet = matches!(family, AddressFamily::INET | AddressFamily::INET6);
    let protocol = match (kind, is_inet) {
        (SocketType::STREAM, true) => Protocol::Tcp,
        (SocketType::DGRAM, true) => Protocol::Udp,
        (SocketType::STREAM, false) if family == AddressFamily::UNIX => Protocol::Unix,
        (SocketType::DGRAM, false) if family == AddressFamily::UNIX => Protocol::UnixDgram,
        (SocketType::SEQPACKET, false) if family == AddressFamily::UNIX => Protocol::UnixSeqpacket,
        _ => return Err(io::Error::other("it is a socket of a kind that is not spoken here")),
    };
    let has_peer = getpeername(fd).is_ok_and(|peer| peer.is_some());
    if sockopt::socket_acceptconn(fd)? {
        Ok(Nature::Listening(protocol))
    } else if has_peer {
        Ok(Nature::Connected(protocol))
    } else if kind == SocketType::DGRAM {
        Ok(Nature::Datagrams(protocol))
    } else {
        Err(io::Error::other("it is a socket that neither listens nor is connected"))
    }
}

/// Takes a descriptor over that we were given. Once: it is ours from then on.
///
/// # Errors
/// As [`nature`]; no descriptor is left.
pub(crate) fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: it is used up to the end of this function, in which it is not closed.
    let fd = unsafe { borrowed(number) }?;
    if number <= 2 {
        // The standard library has these three, so that we have a copy.
        return Ok(fcntl_dupfd_cloexec(fd, FIRST)?);
    }
    fcntl_setfd(fd, FdFlags::CLOEXEC)?;
    // SAFETY: no other code in this process has it: whatever we open ourselves is closed on exec, and this one was not, so that it
    // was there when we were started. It is closed on exec from now on, which keeps it from being taken again.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor that was open when we were started and that was not taken yet.
///
/// # Safety
/// It is not closed while the result is in use.
unsafe fn borrowed<'a>(number: RawFd) -> io::Result<BorrowedFd<'a>> {
    let missing = |what: &str| {
        let range = given().map_or(String::new(), |(first, last)| format!("; LISTEN_FDS says {first} to {last}"));
        io::Error::new(io::ErrorKind::NotFound, format!("{what}{range}"))
    };
    if number < 0 {
        return Err(missing("no descriptor has such a number"));
    }
    // SAFETY: a number that is not -1 may be borrowed; calls with one that is not open say so.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    match fcntl_getfd(fd) {
        Ok(flags) if number > 2 && flags.contains(FdFlags::CLOEXEC) => {
            Err(missing("it is not one that was left open for us, or it is in use already"))
        }
        Ok(_) => Ok(fd),
        Err(Errno::BADF) => Err(missing("no open descriptor has this number: whoever starts us leaves it open")),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::{AsFd, AsRawFd, IntoRawFd};

    use super::*;

    /// As it would have been inherited.
    fn left_open(fd: impl Into<OwnedFd>) -> RawFd {
        let fd = fd.into();
        fcntl_setfd(&fd, FdFlags::empty()).unwrap();
        fd.into_raw_fd()
    }

    #[test]
    fn what_was_left_open_is_told_apart_and_taken_once() {
        let listener = left_open(TcpListener::bind("127.0.0.1:0").unwrap());
        assert_eq!(nature(listener).unwrap(), Nature::Listening(Protocol::Tcp));
        let datagrams = left_open(UdpSocket::bind("127.0.0.1:0").unwrap());
        assert_eq!(nature(datagrams).unwrap(), Nature::Datagrams(Protocol::Udp));
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let theirs = left_open(theirs);
        assert_eq!(nature(theirs).unwrap(), Nature::Connected(Protocol::Unix));
        let file = left_open(std::fs::File::open("/dev/null").unwrap());
        assert_eq!(nature(file).unwrap(), Nature::Plain);
        for number in [listener, datagrams, theirs, file] {
            let taken = take(number).unwrap();
            let again = take(number).unwrap_err().to_string();
            assert!(again.starts_with("it is not one that was left open for us, or it is in use already"), "{again}");
            drop(taken);
        }
        drop(ours);
    }

    #[test]
    fn what_is_ours_or_not_there_is_not_taken() {
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(nature(own.as_fd().as_raw_fd()).unwrap_err().to_string().contains("in use already"));
        assert!(nature(1 << 20).unwrap_err().to_string().contains("no open descriptor has this number"));
        assert!(take(-1).is_err());
    }
}
