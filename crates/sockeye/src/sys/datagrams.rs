//! Many datagrams a system call: recvmmsg(2) and sendmmsg(2), with the local address that each came to (`IP_PKTINFO`,
//! ip(7); `IPV6_RECVPKTINFO`, RFC 3542), so that a server on a wildcard address answers from the one it was asked at.

mod header;
mod inbox;
mod outbox;
mod peers;

use std::os::fd::{AsFd, AsRawFd};

pub(crate) use inbox::{Arrival, Inbox};
pub(crate) use outbox::{Outbox, Refused};
pub(crate) use peers::{PeerAddress, UnixPeers};

use rustix::net::RecvFlags;

use super::option;

/// Messages a call.
const BATCH: usize = 64;
/// Larger than any datagram over IP, so that none is ever cut.
const LARGEST: usize = 65_536;
/// What a socket should hold that is not read at once; the system's bound is `net.core.rmem_max`.
const QUEUE: usize = 4 << 20;
/// Where the count of drops stands in what `SO_MEMINFO` tells, and how many counts there are (linux/sock_diag.h).
const DROPS: usize = 8;
const MEMINFO: usize = 9;

/// Asks the kernel to tell with each datagram which local address it was sent to.
pub(crate) fn tell_destination(fd: impl AsFd, v6: bool) -> Result<(), rustix::io::Errno> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    option::set(fd, level, option, 1)
}

/// Has datagrams that were sent as one with `UDP_SEGMENT` come as one (udp(7), `UDP_GRO`), which [`Inbox`] takes apart
/// again, and room for many. Neither is needed: a system that has no such thing delivers them one by one.
pub(crate) fn take_many(fd: impl AsFd) {
    let _ = option::set(&fd, libc::IPPROTO_UDP, libc::UDP_GRO, 1);
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&fd, QUEUE);
}

/// Room for many answers that clients of a Unix socket have not read: it is the server's, and a client that is connected to it
/// takes of it what it does not read (unix(7)).
pub(crate) fn send_many(fd: impl AsFd) {
    if option::set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, QUEUE as i32).is_err() {
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&fd, QUEUE);
    }
}

/// How many datagrams the kernel dropped because a socket's queue was full, or their checksum wrong (`SO_MEMINFO`). The
/// count wraps around.
pub(crate) fn drops(fd: impl AsFd) -> Option<u32> {
    let mut counts = [0_u32; MEMINFO];
    let mut length = size_of_val(&counts) as libc::socklen_t;
    // SAFETY: the option fills an array of u32 as long as it is told, which lives beyond the call.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            counts.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (result == 0 && length as usize == size_of_val(&counts)).then(|| counts[DROPS])
}

/// Has a socket that is not connected told of errors that came by ICMP, as one that is connected is (ip(7),
/// `IP_RECVERR`).
///
/// # Errors
/// As setsockopt(2).
pub(crate) fn report_errors(fd: impl AsFd, v6: bool, on: bool) -> Result<(), rustix::io::Errno> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) } else { (libc::IPPROTO_IP, libc::IP_RECVERR) };
    option::set(fd, level, option, on.into())
}

/// Forgets errors that came by ICMP: until then poll(2) tells of them.
pub(crate) fn forget_errors(fd: impl AsFd) {
    let flags = RecvFlags::ERRQUEUE | RecvFlags::DONTWAIT;
    while rustix::net::recv(&fd, &mut [0_u8; 1][..], flags).is_ok() {}
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::UdpSocket;

    use rustix::io::Errno;

    use super::*;

    /// Sends, and tells what could not be: how many, of how many bytes, and why.
    fn refused(outbox: &mut Outbox, fd: impl AsFd) -> Vec<(u64, u64, Errno)> {
        let mut refused = Vec::new();
        outbox.send(fd, &mut refused);
        refused
            .iter()
            .map(|refused| {
                let (count, bytes) = refused.among(0..u64::MAX);
                (count, bytes, refused.error)
            })
            .collect()
    }

    #[test]
    fn a_batch_of_datagrams_arrives_whole_and_is_answered() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let server = UdpSocket::bind(host).unwrap();
            let client = UdpSocket::bind(host).unwrap();
            client.connect(server.local_addr().unwrap()).unwrap();
            for length in [0, 1, 1500, 65_507_usize] {
                client.send(&vec![b'x'; length]).unwrap();
            }
            let mut inbox = Inbox::new();
            let mut outbox = Outbox::default();
            let mut lengths = Vec::new();
            while lengths.len() < 4 {
                inbox.receive(&server).unwrap();
                for arrival in inbox.arrivals() {
                    assert_eq!(arrival.from, client.local_addr().unwrap());
                    for datagram in arrival.datagrams() {
                        lengths.push(datagram.len());
                        outbox.push(datagram, arrival.from.into(), Some(server.local_addr().unwrap().ip()));
                    }
                }
            }
            assert_eq!(lengths, [0, 1, 1500, 65_507]);
            assert!(inbox.receive(&server).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
            assert_eq!(refused(&mut outbox, &server), []);
            let mut buffer = vec![0; LARGEST];
            for length in lengths {
                assert_eq!(client.recv(&mut buffer).unwrap(), length);
            }
        }
    }

    #[test]
    fn what_was_sent_as_one_is_taken_apart_again() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        take_many(&server);
        option::set(&client, libc::IPPROTO_UDP, libc::UDP_SEGMENT, 4).unwrap();
        client.send(b"onefour2four3end").unwrap();
        client.send(b"onemoreend").unwrap();
        client.send(b"").unwrap();
        let (mut inbox, mut got) = (Inbox::new(), Vec::new());
        while got.len() < 8 {
            inbox.receive(&server).unwrap();
            let datagrams = inbox.arrivals().flat_map(|arrival| arrival.datagrams());
            got.extend(datagrams.map(|datagram| String::from_utf8_lossy(datagram).into_owned()));
        }
        assert_eq!(got, ["onef", "our2", "four", "3end", "onem", "oree", "nd", ""]);
        assert!(inbox.is_drained());
        assert_eq!(drops(&server), Some(0));
    }

    #[test]
    fn datagrams_of_one_length_to_one_peer_go_as_one_and_arrive_one_by_one() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let server = UdpSocket::bind(host).unwrap();
            let clients = [UdpSocket::bind(host).unwrap(), UdpSocket::bind(host).unwrap()];
            let own = Some(server.local_addr().unwrap().ip());
            let mut outbox = Outbox::default();
            for singly in [false, true] {
                outbox.singly = singly;
                for (client, length) in [(0, 5), (0, 5), (0, 3), (0, 3), (0, 4), (1, 4), (0, 0), (0, 0), (0, 9)] {
                    outbox.push(&[b'x'; 9][..length], clients[client].local_addr().unwrap().into(), own);
                }
                assert_eq!(outbox.entries.len(), if singly { 9 } else { 7 });
                assert_eq!(refused(&mut outbox, &server), []);
                let mut buffer = [0; 64];
                for length in [5, 5, 3, 3, 4, 0, 0, 9] {
                    assert_eq!(clients[0].recv(&mut buffer).unwrap(), length);
                }
                assert_eq!(clients[1].recv(&mut buffer).unwrap(), 4);
            }
            for _ in 0..200 {
                outbox.push(b"much", clients[0].local_addr().unwrap().into(), None);
            }
            outbox.take_apart(1);
            outbox.singly = false;
            assert_eq!(refused(&mut outbox, &server), []);
            let mut buffer = [0; 64];
            for _ in 0..200 {
                assert_eq!(clients[0].recv(&mut buffer).unwrap(), 4);
            }
        }
    }

    #[test]
    fn what_the_kernel_drops_is_counted() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let sent = 100_000;
        for _ in 0..sent {
            client.send(b"much").unwrap();
        }
        let (mut inbox, mut came) = (Inbox::new(), 0);
        while let Ok(()) = inbox.receive(&server) {
            came += inbox.arrivals().count();
        }
        assert!(came < sent, "the queue held all of it");
        assert_eq!(came + drops(&server).unwrap() as usize, sent);
    }

    #[test]
    fn a_datagram_that_cannot_go_does_not_hold_up_the_others() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = client.local_addr().unwrap().into();
        let mut outbox = Outbox::default();
        outbox.push(b"first", to, None);
        outbox.push(&vec![0; LARGEST - 1], to, None);
        outbox.push(b"last", to, None);
        assert_eq!(refused(&mut outbox, &server), [(1, LARGEST as u64 - 1, Errno::MSGSIZE)]);
        let mut buffer = [0; 16];
        assert_eq!(client.recv(&mut buffer).unwrap(), 5);
        assert_eq!(client.recv(&mut buffer).unwrap(), 4);
    }
}
