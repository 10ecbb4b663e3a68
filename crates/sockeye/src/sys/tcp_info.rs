//! What the kernel knows of a TCP connection whose bytes did not pass us (tcp(7), `TCP_INFO`).

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Where the peer's end stands among the states of linux/tcp_states.h.
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// What has passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    /// Bytes that came in order, whoever reads them, and the end of the stream as one more.
    came: u64,
    /// Bytes that were sent.
    pub(crate) sent: u64,
    /// The peer's end of the stream has come.
    pub(crate) has_ended: bool,
    /// There is no connection any more.
    pub(crate) is_closed: bool,
    /// For how long nothing has come and nothing was sent.
    pub(crate) quiet: Duration,
}

impl Passed {
    /// Bytes that came; whether the end is among what the kernel counted is known of the connection.
    pub(crate) fn came(&self, has_ended: bool) -> u64 {
        self.came.saturating_sub(u64::from(has_ended || self.has_ended))
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
        let counts = |server: &TcpStream| passed(server).map(|passed| (passed.came(false), passed.sent)).unwrap();
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
        assert_eq!(passed(&server).map(|passed| (passed.came(true), passed.sent)), Some((10, 3)));
    }

    #[test]
    fn other_sockets_have_no_such_counts() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(passed(&one).is_none());
    }
}
