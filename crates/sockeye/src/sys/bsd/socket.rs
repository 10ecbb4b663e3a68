//! Sockets and the calls on them.

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::ptr::null;

use super::last_error;

/// A descriptor that its holder closes, once.
pub(crate) type Fd = c_int;

/// An address of any family, as the kernel takes and gives it.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    pub(super) storage: libc::sockaddr_storage,
    pub(super) length: libc::socklen_t,
}

impl Address {
    pub(super) fn empty() -> Self {
        // SAFETY: a struct of plain numbers, for which all zeros are valid.
        let storage = unsafe { std::mem::zeroed() };
        Self { storage, length: size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    /// Copies one that the C library gave.
    ///
    /// # Safety
    /// `address` points to at least `length` bytes that may be read.
    pub(super) unsafe fn copied(address: *const libc::sockaddr, length: libc::socklen_t) -> Self {
        let mut copy = Self::empty();
        copy.length = length.min(copy.length);
        // SAFETY: the caller vouches for the source; the target has room, for the length was bounded by its size.
        unsafe {
            std::ptr::copy_nonoverlapping(
                address.cast::<u8>(),
                (&raw mut copy.storage).cast::<u8>(),
                copy.length as usize,
            );
        }
        copy
    }

    /// A path, or with `@` in front a name of the abstract namespace (unix(7)).
    pub(crate) fn unix(path: &CStr) -> io::Result<Self> {
        let bytes = path.to_bytes();
        let mut unix = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
        let is_abstract = bytes.first() == Some(&b'@');
        let room = if is_abstract { unix.sun_path.len() } else { unix.sun_path.len() - 1 };
        if bytes.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        if bytes.len() > room {
            return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
        }
        for (to, from) in unix.sun_path.iter_mut().zip(bytes) {
            *to = *from as libc::c_char;
        }
        if is_abstract {
            unix.sun_path[0] = 0;
        }
        // A path ends with its zero byte, a name of the abstract namespace with its last one.
        let used = bytes.len() + usize::from(!is_abstract);
        let length = (size_of::<libc::sa_family_t>() + used) as libc::socklen_t;
        // SAFETY: `length` is at most the size of `unix`, which lives beyond the call.
        Ok(unsafe { Self::copied((&raw const unix).cast(), length) })
    }

    /// Its family, such as `AF_INET`.
    pub(crate) fn family(&self) -> c_int {
        c_int::from(self.storage.ss_family)
    }

    /// The four or sixteen bytes of an IP address.
    pub(crate) fn ip(&self) -> Vec<u8> {
        let start = (&raw const self.storage).cast::<u8>();
        let (offset, count) = match self.family() {
            libc::AF_INET => (4, 4),
            libc::AF_INET6 => (8, 16),
            _ => return Vec::new(),
        };
        // SAFETY: both ranges lie inside a sockaddr_storage of 128 bytes (ip(7), ipv6(7)), all of which is initialised.
        unsafe { std::slice::from_raw_parts(start.add(offset), count) }.to_vec()
    }

    pub(super) fn pointer(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }
}

/// As socket(2).
pub(crate) fn socket(family: c_int, kind: c_int, protocol: c_int) -> io::Result<Fd> {
    // SAFETY: three numbers; no memory of ours.
    checked(unsafe { libc::socket(family, kind, protocol) })
}

/// As bind(2).
pub(crate) fn bind(fd: Fd, address: &Address) -> io::Result<()> {
    // SAFETY: the kernel reads `length` bytes of an address that lives beyond the call.
    done(unsafe { libc::bind(fd, address.pointer(), address.length) })
}

/// As connect(2).
pub(crate) fn connect(fd: Fd, address: &Address) -> io::Result<()> {
    // SAFETY: the kernel reads `length` bytes of an address that lives beyond the call.
    done(unsafe { libc::connect(fd, address.pointer(), address.length) })
}

/// connect(2) without an address.
pub(crate) fn connect_to_nothing(fd: Fd) -> io::Result<()> {
    // SAFETY: of no address, the kernel reads no byte.
    done(unsafe { libc::connect(fd, null(), 0) })
}

/// As listen(2).
pub(crate) fn listen(fd: Fd, backlog: c_int) -> io::Result<()> {
    // SAFETY: two numbers; no memory of ours.
    done(unsafe { libc::listen(fd, backlog) })
}

/// As accept4(2): a connection that never blocks, and who it is from.
pub(crate) fn accept(fd: Fd) -> io::Result<(Fd, Address)> {
    let mut from = Address::empty();
    let pointer = (&raw mut from.storage).cast();
    // SAFETY: the kernel writes at most as many bytes as `length` says, which is the size of the storage.
    let taken = checked(unsafe { libc::accept4(fd, pointer, &raw mut from.length, libc::SOCK_NONBLOCK) })?;
    Ok((taken, from))
}

/// Who sent the next datagram, which stays in the queue.
pub(crate) fn sender_of_next(fd: Fd) -> io::Result<Address> {
    let mut from = Address::empty();
    let mut buffer = [0_u8; 2048];
    let pointer = (&raw mut from.storage).cast();
    // SAFETY: the kernel writes at most the length of the buffer and the size of the storage, both as passed.
    let got = unsafe {
        libc::recvfrom(fd, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_PEEK, pointer, &raw mut from.length)
    };
    if got < 0 { last_error() } else { Ok(from) }
}

/// The address that a socket is bound to.
pub(crate) fn own_address(fd: Fd) -> io::Result<Address> {
    let mut own = Address::empty();
    // SAFETY: the kernel writes at most as many bytes as `length` says, which is the size of the storage.
    done(unsafe { libc::getsockname(fd, (&raw mut own.storage).cast(), &raw mut own.length) })?;
    Ok(own)
}

/// Sets an option whose value is an int.
pub(crate) fn set_option(fd: Fd, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the kernel reads one int, which lives beyond the call.
    done(unsafe {
        libc::setsockopt(fd, level, option, (&raw const value).cast(), size_of::<c_int>() as libc::socklen_t)
    })
}

/// What linux/tcp.h calls `tcp_md5sig`.
#[repr(C)]
struct SignatureKey {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix: u8,
    length: u16,
    interface: c_int,
    key: [u8; libc::TCP_MD5SIG_MAXKEYLEN],
}

/// Signs what goes to any address of this one's family (RFC 2385; tcp(7), `TCP_MD5SIG_EXT`).
pub(crate) fn sign(fd: Fd, address: &Address, password: &[u8]) -> io::Result<()> {
    const PREFIX: u8 = 1;
    let mut key = SignatureKey {
        address: address.storage,
        flags: PREFIX,
        prefix: 0,
        length: 0,
        interface: 0,
        key: [0; libc::TCP_MD5SIG_MAXKEYLEN],
    };
    for (to, from) in key.key.iter_mut().zip(password) {
        *to = *from;
        key.length += 1;
    }
    // SAFETY: the kernel reads one struct of the shape that it defines, which lives beyond the call.
    done(unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_MD5SIG_EXT,
            (&raw const key).cast(),
            size_of::<SignatureKey>() as libc::socklen_t,
        )
    })
}

/// The error of a connection that was being made (socket(7), `SO_ERROR`).
pub(crate) fn error_of(fd: Fd) -> io::Result<c_int> {
    let mut error: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most one int, as `length` says.
    done(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut error).cast(), &raw mut length) })?;
    Ok(error)
}

/// As shutdown(2). That it failed tells nothing: the peer may have gone.
pub(crate) fn shutdown(fd: Fd, how: c_int) {
    // SAFETY: two numbers; no memory of ours.
    let _ = unsafe { libc::shutdown(fd, how) };
}

/// As close(2), for a descriptor that the caller holds and uses no more.
pub(crate) fn close(fd: Fd) {
    // SAFETY: no owned type of Rust holds one of these descriptors.
    let _ = unsafe { libc::close(fd) };
}

/// As read(2).
pub(crate) fn read(fd: Fd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most the length of the buffer.
    let got = unsafe { libc::read(fd, buffer.as_mut_ptr().cast::<c_void>(), buffer.len()) };
    usize::try_from(got).or_else(|_| last_error())
}

/// As write(2).
pub(crate) fn write(fd: Fd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads as many bytes as there are.
    let put = unsafe { libc::write(fd, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
    usize::try_from(put).or_else(|_| last_error())
}

/// As poll(2): milliseconds, or less than 0 for ever.
pub(crate) fn poll(fds: &mut [libc::pollfd], timeout: c_int) -> io::Result<usize> {
    // SAFETY: the kernel reads and writes as many structs as there are.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) };
    usize::try_from(ready).or_else(|_| last_error())
}

/// Waits until one of these comes: `POLLIN`, `POLLOUT`, or an error.
pub(crate) fn wait_for(fd: Fd, events: i16, timeout: c_int) -> io::Result<usize> {
    poll(&mut [libc::pollfd { fd, events, revents: 0 }], timeout)
}

/// Sends a descriptor over a Unix socket, with one byte (unix(7), `SCM_RIGHTS`).
pub(crate) fn pass(over: Fd, fd: Fd) -> io::Result<usize> {
    let byte = 0_u8;
    let mut part = libc::iovec { iov_base: (&raw const byte).cast_mut().cast(), iov_len: 1 };
    // One control message with one int: 16 bytes of head, 4 of the int, 4 of padding; as u64 it is aligned as cmsghdr is.
    let mut control = [0_u64; 3];
    // SAFETY: a struct of plain numbers and pointers, for which all zeros are valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: `control` has room for one message, so that CMSG_FIRSTHDR points into it and CMSG_DATA to its int.
    unsafe {
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_len = libc::CMSG_LEN(size_of::<c_int>() as u32) as _;
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        libc::CMSG_DATA(head).cast::<c_int>().write_unaligned(fd);
    }
    // SAFETY: all that the message points to lives beyond the call; the kernel writes nothing of it.
    let sent = unsafe { libc::sendmsg(over, &raw const message, 0) };
    usize::try_from(sent).or_else(|_| last_error())
}

/// Whether a descriptor is a terminal.
pub(crate) fn is_terminal(fd: Fd) -> bool {
    // SAFETY: a number; no memory of ours.
    unsafe { libc::isatty(fd) == 1 }
}

/// A new folder whose name begins so, open to its owner alone (mkdtemp(3)).
pub(crate) fn make_folder(beginning: &str) -> io::Result<Vec<u8>> {
    let mut template = format!("{beginning}XXXXXX\0").into_bytes();
    // SAFETY: the template ends with six X and a zero byte, and the C library writes over the X alone.
    let made = unsafe { libc::mkdtemp(template.as_mut_ptr().cast()) };
    if made.is_null() {
        return last_error();
    }
    template.pop();
    Ok(template)
}

/// A number that cannot be foreseen, below `bound`.
pub(crate) fn random_below(bound: usize) -> usize {
    let mut bytes = [0_u8; 8];
    // SAFETY: the kernel writes at most eight bytes. If it writes none, the order is the given one, which does no harm.
    let _ = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    (u64::from_ne_bytes(bytes) % bound.max(1) as u64) as usize
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 { last_error() } else { Ok(result) }
}

fn done(result: c_int) -> io::Result<()> {
    checked(result).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_its_zero_byte_and_an_abstract_name_has_none() {
        for (path, length) in [(c"/a", 2 + 3), (c"@a", 2 + 2), (c"@", 2 + 1), (c"a", 2 + 2)] {
            assert_eq!(Address::unix(path).unwrap().length, length, "{path:?}");
        }
    }

    #[test]
    fn a_path_that_is_empty_or_too_long_is_refused() {
        let of = |text: String| {
            let path = std::ffi::CString::new(text).unwrap();
            Address::unix(&path).map(|address| address.length).map_err(|error| error.raw_os_error())
        };
        assert_eq!(of(String::new()), Err(Some(libc::EINVAL)));
        assert_eq!(of("a".repeat(107)), Ok(110));
        assert_eq!(of("a".repeat(108)), Err(Some(libc::ENAMETOOLONG)));
        assert_eq!(of(format!("@{}", "a".repeat(107))), Ok(110));
        assert_eq!(of(format!("@{}", "a".repeat(108))), Err(Some(libc::ENAMETOOLONG)));
    }
}
