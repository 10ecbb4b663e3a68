//! Options of sockets that no library sets (setsockopt(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// Sets one whose value is an int.
///
/// # Errors
/// As setsockopt(2).
pub(crate) fn set(fd: impl AsFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the options that come here take an int, which lives beyond the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

/// Sends and takes packets through this interface only (socket(7), `SO_BINDTODEVICE`).
///
/// # Errors
/// There is no such interface, or it is not allowed.
pub(crate) fn bind_to_interface(fd: impl AsFd, name: &str) -> Result<(), Errno> {
    // SAFETY: the kernel reads as many bytes as the name has, and the name lives beyond the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            libc::socklen_t::try_from(name.len()).map_err(|_| Errno::INVAL)?,
        )
    };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

/// Has a connected datagram socket hear everybody again. The kernel forgets with the peer which interface it was bound to, so it is
/// bound to that again.
///
/// # Errors
/// As connect(2), and setsockopt(2) for the interface.
pub(crate) fn disconnect(fd: impl AsFd) -> Result<(), Errno> {
    let interface = get(&fd, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX).unwrap_or(0);
    rustix::net::connect_unspec(&fd)?;
    if interface == 0 { Ok(()) } else { set(&fd, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, interface) }
}

/// Asks for one whose value is an int.
fn get(fd: impl AsFd, level: libc::c_int, option: libc::c_int) -> Result<libc::c_int, Errno> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the options that come here give an int, and the kernel writes no more than the length says.
    let result =
        unsafe { libc::getsockopt(fd.as_fd().as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut length) };
    if result < 0 { Err(last_error()) } else { Ok(value) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_socket_that_is_disconnected_stays_with_its_interface() {
        let [socket, peer] = [(), ()].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        socket.connect(peer.local_addr().unwrap()).unwrap();
        disconnect(&socket).unwrap();
        let interface = || get(&socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX).unwrap();
        assert_eq!(interface(), 0);
        bind_to_interface(&socket, "lo").unwrap();
        let lo = interface();
        assert!(lo > 0);
        socket.connect(peer.local_addr().unwrap()).unwrap();
        disconnect(&socket).unwrap();
        assert_eq!(interface(), lo);
        assert!(socket.peer_addr().is_err());
    }
}
