//! What the kernel knows of a TCP connection whose bytes did not pass us (tcp(7), `TCP_INFO`).

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Where the peer's end stands among the states of linux/tcp_states.h.
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;
/// Has a read tell what is left to read (linux/tcp.h).
const TCP_INQ: i32 = 36;

/// What has passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    /// Bytes that came in order, no matter who reads them, and the end of the stream as one more.
    came: u64,
    /// Bytes that were sent.
    pub(crate) sent: u64,
    /// The peer's end of the stream has come.
    has_ended: bool,
    /// There is no connection any more.
    pub(crate) is_closed: bool,
    /// For how long nothing has come and nothing was sent.
    pub(crate) quiet: Duration,
}

impl Passed {
    /// Bytes that came.
    pub(crate) fn came(&self) -> u64 {
        self.came.saturating_sub(u64::from(self.has_ended))
    }
}

/// Asks the kernel; `None` for other sockets.
pub(crate) fn passed(fd: impl AsFd) -> Option<Passed> {
    // SAFETY: a struct of plain numbers, for which all zeros are valid.
    let mut info: Info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<Info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to a struct that lives beyond the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    // Kernels before 4.19 do not count what was sent.
    (result == 0 && length as usize >= size_of::<Info>()).then(|| Passed {
        came: info.bytes_received,
        sent: info.bytes_sent.saturating_sub(info.bytes_retrans),
        has_ended: matches!(info.state, CLOSE_WAIT | LAST_ACK | CLOSING),
        is_closed: info.state == CLOSE,
        quiet: Duration::from_millis(info.last_data_sent.min(info.last_data_recv).into()),
    })
}

/// Asks the kernel of a connection that no thread reads any more.
///
/// A reset leaves no state that tells whether an end of the stream came before it, and a read tells of an end in either case.
/// What the kernel says of bytes that are left to read (`TCP_INQ`) does tell: an end counts for one. So what is unread is thrown away
/// first.
pub(crate) fn passed_at_end(fd: impl AsFd) -> Option<Passed> {
    let passed = passed(&fd)?;
    let has_ended = passed.has_ended || passed.is_closed && end_is_left(&fd);
    Some(Passed { has_ended, ..passed })
}

/// Whether the end of the stream stands in the queue, read or not. Bytes before it are thrown away.
fn end_is_left(fd: impl AsFd) -> bool {
    let (fd, yes) = (fd.as_fd().as_raw_fd(), 1_i32);
    // SAFETY: the option is an integer, which outlives the call.
    let result = unsafe {
        libc::setsockopt(fd, libc::SOL_TCP, TCP_INQ, (&raw const yes).cast(), size_of::<i32>() as libc::socklen_t)
    };
    // Kernels before 4.18 do not know it.
    if result != 0 {
        return false;
    }
    let mut buffer = [0_u8; 4096];
    let mut errors = 0;
    // An error of the socket is told once.
    while errors < 2 {
        let mut control = [0_u64; 8];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: a struct of plain numbers and pointers, for which all zeros are valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: every pointer of the message leads to memory of the given length, which outlives the call.
        match unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_DONTWAIT) } {
            0 => return left(&message) > 0,
            -1 => errors += 1,
            _ => {}
        }
    }
    false
}

/// What the kernel says is left to read (tcp(7), `TCP_INQ`).
fn left(message: &libc::msghdr) -> i32 {
    // SAFETY: the message came from the kernel, which filled its control part and said how much of it.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: null, or a header inside the control part.
    while let Some(one) = unsafe { header.as_ref() } {
        if (one.cmsg_level, one.cmsg_type) == (libc::SOL_TCP, TCP_INQ) {
            // SAFETY: this kind of control message is one integer.
            return unsafe { libc::CMSG_DATA(header).cast::<i32>().read_unaligned() };
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    0
}

/// The beginning of `tcp_info` (linux/tcp.h), which only ever grew.
#[repr(C)]
struct Info {
    state: u8,
    _small: [u8; 7],
    _counts: [u32; 9],
    last_data_sent: u32,
    _last_ack_sent: u32,
    last_data_recv: u32,
    _more_counts: [u32; 12],
    _rates: [u64; 2],
    _bytes_acked: u64,
    bytes_received: u64,
    _segments: [u32; 6],
    _delivery_rate: u64,
    _times: [u64; 3],
    _delivered: [u32; 2],
    bytes_sent: u64,
    bytes_retrans: u64,
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn bytes_are_counted_that_nobody_here_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let counts = |server: &TcpStream| passed(server).map(|passed| (passed.came(), passed.sent)).unwrap();
        assert_eq!(counts(&server), (0, 0));
        client.write_all(b"0123456789").unwrap();
        server.write_all(b"abc").unwrap();
        client.read_exact(&mut [0; 3]).unwrap();
        server.peek(&mut [0]).unwrap();
        assert_eq!(counts(&server), (10, 3));
        client.shutdown(Shutdown::Write).unwrap();
        server.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(counts(&server), (10, 3));
        server.shutdown(Shutdown::Write).unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
        while !passed(&server).unwrap().is_closed {
            std::thread::yield_now();
        }
        assert_eq!(passed_at_end(&server).map(|passed| (passed.came(), passed.sent)), Some((10, 3)));
    }

    /// Closes with a reset, and waits until it has come.
    fn reset(client: TcpStream, server: &TcpStream) {
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop(client);
        while !passed(server).unwrap().is_closed {
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_end_before_a_reset_is_told_from_a_byte() {
        for (bytes, ends) in [(0, false), (0, true), (5, false), (5, true), (100_000, false), (100_000, true)] {
            // How much of it is read before the reset, and what then asks for the error.
            for (reads, asks) in [(0, false), (0, true), (3, false), (3, true), (100_000, true)] {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (mut server, _) = listener.accept().unwrap();
                client.write_all(&vec![b'x'; bytes]).unwrap();
                if ends {
                    client.shutdown(Shutdown::Write).unwrap();
                }
                while passed(&server).unwrap().came() < bytes as u64 {
                    std::thread::yield_now();
                }
                server.read_exact(&mut vec![0; reads.min(bytes)]).unwrap();
                reset(client, &server);
                if asks {
                    let _ = server.read(&mut [0]);
                    let _ = server.take_error();
                }
                assert_eq!(passed_at_end(&server).unwrap().came(), bytes as u64, "{bytes} {ends} {reads} {asks}");
            }
        }
    }

    #[test]
    fn other_sockets_have_no_such_counts() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(passed(&one).is_none());
    }
}
