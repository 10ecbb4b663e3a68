//! TCP and UDP sockets, asked of the kernel (sock_diag(7)): what ss(8) shows comes from there too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink;

use super::netlink::{attributes, dump, number};
use crate::endpoint::Protocol;

// linux/sock_diag.h, linux/inet_diag.h, linux/in.h, linux/socket.h.
const BY_FAMILY: u16 = 20;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
const TCP: u8 = 6;
const UDP: u8 = 17;
const INFO: u16 = 2;
/// What an `inet_diag_msg` has before its attributes.
const FIXED: usize = 72;
/// The timer of a connection in TIME_WAIT.
const TIME_WAIT: u8 = 3;

/// A TCP or UDP socket as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InetSocket {
    pub(crate) protocol: Protocol,
    /// A number of net/tcp_states.h: 1 established, 6 time-wait, 7 closed, 10 listening.
    pub(crate) state: u8,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// Of a listener, connections that wait to be accepted; else bytes that wait to be read.
    pub(crate) receive_queue: u32,
    /// Of a listener, how many may wait; else bytes that the peer has not acknowledged.
    pub(crate) send_queue: u32,
    pub(crate) uid: u32,
    /// 0 if no process has it any more.
    pub(crate) inode: u64,
    /// How long TIME_WAIT still lasts.
    pub(crate) time_wait: Option<Duration>,
    pub(crate) info: Option<TcpInfo>,
}

/// What the kernel measures of a connection (tcp(7), `TCP_INFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time.
    pub round_trip: Duration,
    /// Segments that were sent again, in all.
    pub retransmits: u32,
}

/// Every socket of a protocol, IPv4 and IPv6. A machine without IPv6 has none of those.
///
/// # Errors
/// The kernel does not answer such questions.
pub(crate) fn sockets(protocol: Protocol) -> Result<Vec<InetSocket>, Errno> {
    let mut found = Vec::new();
    for family in [IPV4, IPV6] {
        let asked = dump(Some(netlink::SOCK_DIAG), BY_FAMILY, &question(family, protocol), |_, body| {
            found.extend(socket(body, protocol));
        });
        match asked {
            Err(Errno::NOENT | Errno::OPNOTSUPP) if family == IPV6 => {}
            asked => asked?,
        }
    }
    Ok(found)
}

/// `inet_diag_req_v2`: every socket in any state, those of TCP with `TCP_INFO`.
fn question(family: u8, protocol: Protocol) -> Vec<u8> {
    let (number, show) = if protocol == Protocol::Udp { (UDP, 0) } else { (TCP, 1 << (INFO - 1)) };
    let mut question = vec![family, number, show, 0];
    question.extend(u32::MAX.to_ne_bytes());
    // Ports, addresses, interface and cookie: any.
    question.extend([0; 48]);
    question
}

fn socket(body: &[u8], protocol: Protocol) -> Option<InetSocket> {
    let &[family, state, timer, ..] = body else { return None };
    let interface = number(body, 40)?;
    let expires = u64::from(number(body, 52)?);
    let info = attributes(body.get(FIXED..)?).find(|(attribute, _)| *attribute == INFO);
    Some(InetSocket {
        protocol,
        state,
        local: address(family, body, 4, 8, interface)?,
        peer: address(family, body, 6, 24, interface)?,
        receive_queue: number(body, 56)?,
        send_queue: number(body, 60)?,
        uid: number(body, 64)?,
        inode: u64::from(number(body, 68)?),
        time_wait: (timer == TIME_WAIT).then(|| Duration::from_millis(expires)),
        info: info.and_then(|(_, info)| tcp_info(info)),
    })
}

/// A port and an address at these places, both in network byte order.
fn address(family: u8, body: &[u8], port: usize, ip: usize, interface: u32) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(body.get(port..port + 2)?.try_into().ok()?);
    if family == IPV4 {
        let ip: [u8; 4] = body.get(ip..ip + 4)?.try_into().ok()?;
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port));
    }
    let ip: [u8; 16] = body.get(ip..ip + 16)?.try_into().ok()?;
    let ip = Ipv6Addr::from(ip);
    let scope = if ip.is_unicast_link_local() { interface } else { 0 };
    Some(SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope)))
}

/// Of `struct tcp_info` (linux/tcp.h): `tcpi_rtt` in microseconds, `tcpi_total_retrans`.
fn tcp_info(info: &[u8]) -> Option<TcpInfo> {
    let round_trip = Duration::from_micros(u64::from(number(info, 68)?));
    Some(TcpInfo { round_trip, retransmits: number(info, 100)? })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;

    use super::*;

    fn inode(fd: impl AsFd) -> u64 {
        rustix::fs::fstat(fd).unwrap().st_ino
    }

    fn find(protocol: Protocol, inode: u64) -> InetSocket {
        let found: Vec<_> = sockets(protocol).unwrap().into_iter().filter(|socket| socket.inode == inode).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    #[test]
    fn a_listener_and_both_ends_of_a_connection_are_found_as_they_are() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(at).unwrap();
            let address = listener.local_addr().unwrap();
            let client = TcpStream::connect(address).unwrap();
            let listens = find(Protocol::Tcp, inode(&listener));
            assert_eq!((listens.state, listens.local, listens.receive_queue), (10, address, 1));
            assert!(listens.send_queue > 1, "{listens:?}");
            let (server, _) = listener.accept().unwrap();
            let (ours, theirs) = (find(Protocol::Tcp, inode(&client)), find(Protocol::Tcp, inode(&server)));
            assert_eq!((ours.state, ours.local, ours.peer), (1, client.local_addr().unwrap(), address));
            assert_eq!((theirs.local, theirs.peer), (ours.peer, ours.local));
            let info = ours.info.unwrap();
            assert!(info.round_trip < Duration::from_secs(60) && info.retransmits < 1000, "{info:?}");
        }
    }

    #[test]
    fn who_closes_first_keeps_the_connection_in_time_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let name = client.local_addr().unwrap();
        drop(client);
        // The end of the stream is read before this end closes, so the client was first.
        assert_eq!(std::io::Read::read(&mut &server, &mut [0; 8]).unwrap(), 0);
        drop(server);
        let waiting = |socket: &InetSocket| socket.local == name && socket.state == 6;
        let found = loop {
            // The last acknowledgement is the kernel's to send.
            if let Some(found) = sockets(Protocol::Tcp).unwrap().into_iter().find(waiting) {
                break found;
            }
        };
        assert_eq!(found.inode, 0);
        assert!(found.time_wait.is_some_and(|left| left <= Duration::from_secs(60)), "{found:?}");
    }

    #[test]
    fn datagram_sockets_are_connected_or_not() {
        let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("[::1]:0").unwrap());
        let name = a.local_addr().unwrap();
        a.connect(name).unwrap();
        let (a, b) = (find(Protocol::Udp, inode(&a)), find(Protocol::Udp, inode(&b)));
        assert_eq!((a.state, a.local, a.peer, a.info), (1, name, name, None));
        assert_eq!((b.state, b.peer.port()), (7, 0));
    }
}
