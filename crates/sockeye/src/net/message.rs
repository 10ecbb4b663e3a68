//! Sockets whose messages keep their bounds, one message at a time: connected datagram sockets, and unix(7)'s SEQPACKET.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType,
    bind, recvmsg, socket_with,
};

use crate::endpoint::{Name, Protocol};
use crate::sys::option;

/// Room for one message.
pub(crate) const LARGEST: usize = crate::limits::SOCKET_MESSAGE;

/// What a socket held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// A message of so many bytes; none are a message too.
    Message(usize),
    /// One that did not fit, and how long it was.
    TooLarge(usize),
    /// The peer sends nothing more.
    End,
}

/// Has the system mark each message that is received from here on, so that an empty one is told from the end.
///
/// # Errors
/// As setsockopt(2).
pub(crate) fn mark_messages(fd: impl AsFd) -> Result<(), Errno> {
    option::set(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMP, 1)
}

/// Receives one message, without waiting; and from which peer, where the socket is not connected.
///
/// # Errors
/// As recvmsg(2).
pub(crate) fn receive(
    fd: impl AsFd,
    buffer: &mut [u8],
    has_end: bool,
) -> Result<(Received, Option<SocketAddrAny>), Errno> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let got = recvmsg(fd, &mut [IoSliceMut::new(buffer)], &mut RecvAncillaryBuffer::default(), flags)?;
    let received = match got.bytes {
        // A message has a mark, for which there was no room here; an end has none.
        0 if has_end && !got.flags.contains(ReturnFlags::CTRUNC) => Received::End,
        length if length > buffer.len() => Received::TooLarge(length),
        length => Received::Message(length),
    };
    Ok((received, got.address))
}

/// A Unix socket for messages of a client. One for datagrams has a name of its own, which the system chooses and that
/// need not be removed: without a name it could not be answered.
///
/// # Errors
/// As socket(2) and bind(2).
pub(crate) fn client(protocol: Protocol, flags: SocketFlags) -> Result<OwnedFd, Errno> {
    let fd = socket_with(AddressFamily::UNIX, kind(protocol), flags, None)?;
    if protocol == Protocol::UnixDgram {
        bind(&fd, &SocketAddrUnix::new_unnamed())?;
    }
    Ok(fd)
}

/// The kind of socket that a Unix protocol has.
pub(crate) fn kind(protocol: Protocol) -> SocketType {
    match protocol {
        Protocol::Udp | Protocol::UnixDgram => SocketType::DGRAM,
        Protocol::UnixSeqpacket => SocketType::SEQPACKET,
        Protocol::Tcp | Protocol::Unix => SocketType::STREAM,
    }
}

/// The name of a Unix socket's end.
pub(crate) fn name(address: &SocketAddrUnix) -> Name {
    match (address.abstract_name(), address.path_bytes()) {
        (Some(name), _) if !name.is_empty() => {
            let shown = [b"@", name].concat();
            Name::Path(Arc::from(Path::new(std::ffi::OsStr::from_bytes(&shown))))
        }
        (_, Some(path)) if !path.is_empty() => Name::Path(Arc::from(Path::new(std::ffi::OsStr::from_bytes(path)))),
        _ => Name::Unnamed,
    }
}

/// Where the sender of a message can be answered; none if it has no name.
pub(crate) fn sender(from: Option<SocketAddrAny>) -> Option<SocketAddrUnix> {
    let from = from.and_then(|from| SocketAddrUnix::try_from(from).ok());
    from.filter(|from| name(from) != Name::Unnamed)
}

/// The name of our end of a Unix socket.
pub(crate) fn own_name(fd: impl AsFd) -> Name {
    let own = rustix::net::getsockname(fd).ok().and_then(|name| SocketAddrUnix::try_from(name).ok());
    own.map_or(Name::Unnamed, |own| name(&own))
}

/// What to say of a client's end that has no name.
pub(crate) const UNNAMED: &str = "their client has no name to be answered at (bind it to a path or an abstract name)";

/// The same of the client at hand.
pub(crate) const NAMELESS: &str = "the client has no name to be answered at (bind it to a path or an abstract name)";

#[cfg(test)]
mod tests {
    use rustix::net::{SendFlags, send, socketpair};

    use super::*;

    #[test]
    fn an_empty_message_is_none_of_the_end() {
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        mark_messages(&b).unwrap();
        for message in [&b"one"[..], b"", b"larger", b""] {
            send(&a, message, SendFlags::empty()).unwrap();
        }
        drop(a);
        let mut buffer = [0; 4];
        let mut next = || receive(&b, &mut buffer, true).unwrap().0;
        let all = [next(), next(), next(), next(), next(), next()];
        let empty = Received::Message(0);
        assert_eq!(all, [Received::Message(3), empty, Received::TooLarge(6), empty, Received::End, Received::End]);
    }

    #[test]
    fn a_client_for_datagrams_has_a_name_that_the_system_chose() {
        let fd = client(Protocol::UnixDgram, SocketFlags::CLOEXEC).unwrap();
        assert!(own_name(&fd).to_string().starts_with('@'));
        let fd = client(Protocol::UnixSeqpacket, SocketFlags::CLOEXEC).unwrap();
        assert_eq!(own_name(&fd), Name::Unnamed);
    }
}
