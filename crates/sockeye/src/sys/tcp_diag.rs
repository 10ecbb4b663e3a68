//! Whether a program still has the other end of a TCP connection within this machine (sock_diag(7)). A peer that has
//! ended may still read: that is a half-close. From far away the two look the same until something is sent.

use std::net::{IpAddr, SocketAddr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with, sockopt,
};

/// What is known about the program at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// It has its socket open, and may read what is sent to it.
    There,
    /// It has closed its socket.
    Gone,
}

/// Who has the socket whose own address is `peer` and whose other end is `ours`. `None` if it is not in this network
/// namespace, or the kernel does not answer such questions.
pub(crate) fn holder(peer: SocketAddr, ours: SocketAddr) -> Option<Holder> {
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG)).ok()?;
    // The kernel answers within the call; this only keeps a surprise from becoming a hang.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(std::time::Duration::from_secs(1))).ok()?;
    send(&socket, &question(peer, ours)?, SendFlags::empty()).ok()?;
    let mut answer = [0; 1024];
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty()).ok()?;
    judge(answer.get(..length)?)
}

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h: ports and addresses in the network's byte order, all else in
// the machine's.
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
const HEAD: usize = 16;
const STATE: usize = HEAD + 1;
const INODE: usize = HEAD + 68;
/// FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSING: it has sent its end (net/tcp_states.h).
const ENDED: [u8; 5] = [4, 5, 6, 7, 11];

/// `nlmsghdr` and `inet_diag_req_v2` for one socket.
fn question(peer: SocketAddr, ours: SocketAddr) -> Option<Vec<u8>> {
    const LENGTH: u32 = 72;
    let address = |ip: IpAddr| {
        let mut bytes = [0; 16];
        match ip {
            IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes.copy_from_slice(&ip.octets()),
        }
        bytes
    };
    let family = match (peer, ours) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => AddressFamily::INET,
        (SocketAddr::V6(_), SocketAddr::V6(_)) => AddressFamily::INET6,
        _ => return None,
    };
    let mut question = Vec::with_capacity(LENGTH as usize);
    question.extend(LENGTH.to_ne_bytes());
    question.extend(BY_FAMILY.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    // Number of the question and of who asks: one question, one asker.
    question.extend([0; 8]);
    // The family, TCP, and nothing beyond the usual.
    question.extend([u8::try_from(family.as_raw()).ok()?, 6, 0, 0]);
    question.extend(u32::MAX.to_ne_bytes());
    question.extend(peer.port().to_be_bytes());
    question.extend(ours.port().to_be_bytes());
    question.extend(address(peer.ip()));
    question.extend(address(ours.ip()));
    // Any interface, any cookie.
    question.extend([0; 4]);
    question.extend([0xff; 8]);
    Some(question)
}

fn judge(answer: &[u8]) -> Option<Holder> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    if kind != BY_FAMILY {
        return None;
    }
    let state = *answer.get(STATE)?;
    let inode = u32::from_ne_bytes(answer.get(INODE..INODE + 4)?.try_into().ok()?);
    // One that waits to be accepted belongs to no process either, and has not ended.
    Some(if inode == 0 && ENDED.contains(&state) { Holder::Gone } else { Holder::There })
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_half_close_is_told_from_a_close() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(host).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            assert_eq!(holder(peer, ours), Some(Holder::There), "nobody has accepted it yet");
            let (server, _) = listener.accept().unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            assert_eq!(holder(peer, ours), Some(Holder::There));
            drop(server);
            assert_eq!(holder(peer, ours), Some(Holder::Gone));
        }
    }

    #[test]
    fn of_a_connection_that_is_not_here_nothing_is_known() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(holder(SocketAddr::from(([127, 0, 0, 9], 9)), held), None);
        assert_eq!(holder("[::1]:9".parse().unwrap(), held), None);
    }
}
