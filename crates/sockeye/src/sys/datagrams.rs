//! Many datagrams a system call: recvmmsg(2) and sendmmsg(2), with the local address that each came to (`IP_PKTINFO`,
//! ip(7); `IPV6_RECVPKTINFO`, RFC 3542), so that a server on a wildcard address answers from the one it was asked at.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

/// Messages a call.
const BATCH: usize = 64;
/// Larger than any datagram over IP, so that none is ever cut.
const LARGEST: usize = 65_536;
/// The longest datagrams that are sent as one: on most ways they fit into a frame. And how many (`UDP_MAX_SEGMENTS`).
const SEGMENT: usize = 1400;
const SEGMENTS: usize = 64;
/// Room for a packet-info control message of either family and for a segment's size, with their headers and alignment.
const CONTROL: usize = 80;
/// What a socket should hold that is not read at once; the system's bound is `net.core.rmem_max`.
const QUEUE: usize = 4 << 20;
/// Where the count of drops stands in what `SO_MEMINFO` tells, and how many counts there are (linux/sock_diag.h).
const DROPS: usize = 8;
const MEMINFO: usize = 9;

/// A buffer that control messages may be read from and written to.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// What came at once from one peer: one datagram, or several that the kernel left together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) bytes: &'a [u8],
    /// How long each datagram is; the last may be shorter.
    segment: usize,
    pub(crate) from: SocketAddr,
    /// The local address that it was sent to, where the kernel told.
    pub(crate) to: Option<IpAddr>,
}

impl<'a> Arrival<'a> {
    /// Each datagram by itself, in the order of sending.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, segment) = (self.bytes, self.segment);
        // One that is empty is one all the same.
        (0..bytes.len().max(1))
            .step_by(segment.max(1))
            .map(move |start| &bytes[start..bytes.len().min(start + segment)])
    }
}

/// Asks the kernel to tell with each datagram which local address it was sent to.
pub(crate) fn tell_destination(fd: impl AsFd, v6: bool) -> Result<(), rustix::io::Errno> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    set(fd, level, option, true)
}

/// Has datagrams that were sent as one with `UDP_SEGMENT` come as one (udp(7), `UDP_GRO`), which [`Inbox`] takes apart
/// again, and room for many. Neither is needed: a system that has no such thing delivers them one by one.
pub(crate) fn take_many(fd: impl AsFd) {
    let _ = set(&fd, libc::IPPROTO_UDP, libc::UDP_GRO, true);
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&fd, QUEUE);
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
    set(fd, level, option, on)
}

fn set(fd: impl AsFd, level: libc::c_int, option: libc::c_int, on: bool) -> Result<(), rustix::io::Errno> {
    let on = libc::c_int::from(on);
    // SAFETY: the options that come here take an int, which lives beyond the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(rustix::io::Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(rustix::io::Errno::IO));
    }
    Ok(())
}

/// Takes datagrams from a socket, many at a time.
pub(crate) struct Inbox {
    payloads: Vec<u8>,
    names: [RawName; BATCH],
    controls: [Control; BATCH],
    received: Vec<Received>,
    drained: bool,
}

/// Large enough for both families; smaller than a sockaddr_storage, of which a batch takes pages.
type RawName = libc::sockaddr_in6;

#[derive(Clone, Copy)]
struct Received {
    /// Where it stands among the payloads.
    start: usize,
    length: usize,
    /// As of [`Arrival`].
    segment: usize,
    from: SocketAddr,
    to: Option<IpAddr>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("received", &self.received.len()).finish_non_exhaustive()
    }
}

fn no_name() -> RawName {
    // SAFETY: a sockaddr_in6 is plain integers, for which all zeroes are valid (family AF_UNSPEC).
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn no_header() -> libc::mmsghdr {
    // SAFETY: an mmsghdr is integers and pointers, for which all zeroes are valid.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            payloads: vec![0; BATCH * LARGEST],
            names: [no_name(); BATCH],
            controls: [Control([0; CONTROL]); BATCH],
            received: Vec::with_capacity(BATCH),
            drained: true,
        }
    }

    /// Takes what has come, at most a batch, without waiting. None there is `WouldBlock`.
    pub(crate) fn receive(&mut self, fd: impl AsFd) -> io::Result<()> {
        self.received.clear();
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: LARGEST }; BATCH];
        let mut headers = [no_header(); BATCH];
        let chunks = self.payloads.chunks_exact_mut(LARGEST);
        for ((index, header), chunk) in headers.iter_mut().enumerate().zip(chunks) {
            vectors[index].iov_base = chunk.as_mut_ptr().cast();
            header.msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            header.msg_hdr.msg_namelen = size_of::<RawName>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
        }
        // SAFETY: every header points to a name, a vector and a control buffer that live beyond the call and are as
        // long as it says; the kernel writes inside them only.
        let count = unsafe {
            libc::recvmmsg(
                fd.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        self.drained = count < BATCH;
        for (index, header) in headers.iter().enumerate().take(count) {
            let Some(from) = address_of(&self.names[index]) else { continue };
            let length = (header.msg_len as usize).min(LARGEST);
            let Controls { to, segment } = controls(&header.msg_hdr);
            let segment = segment.filter(|&segment| segment > 0).unwrap_or(length);
            self.received.push(Received { start: index * LARGEST, length, segment, from, to });
        }
        Ok(())
    }

    /// Whether nothing more stood there when datagrams were taken last.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained
    }

    /// What was received last.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        self.received.iter().map(|&Received { start, length, segment, from, to }| {
            let bytes = &self.payloads[start..start + length];
            Arrival { bytes, segment, from, to }
        })
    }
}

/// Datagrams to be sent, gathered for few calls. Those of one length to one peer go as one, and the kernel takes them
/// apart (udp(7), `UDP_SEGMENT`).
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    payloads: Vec<u8>,
    entries: Vec<Entry>,
    /// The system once refused several as one.
    singly: bool,
}

/// One datagram, or several that are sent as one.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    end: usize,
    /// How long each is; the last may be shorter, and ends the entry.
    segment: usize,
    to: SocketAddr,
    from: Option<IpAddr>,
}

impl Entry {
    fn count(&self) -> usize {
        (self.end - self.start).div_ceil(self.segment.max(1)).max(1)
    }

    fn takes(&self, length: usize, to: SocketAddr, from: Option<IpAddr>) -> bool {
        let so_far = self.end - self.start;
        self.segment >= length
            && length > 0
            && self.segment <= SEGMENT
            && so_far.is_multiple_of(self.segment)
            && so_far < SEGMENTS * self.segment
            && so_far + length <= LARGEST - 100
            && (self.to, self.from) == (to, from)
    }
}

impl Outbox {
    /// Adds one datagram; `from` is the local address to send it from, where that matters.
    pub(crate) fn push(&mut self, payload: &[u8], to: SocketAddr, from: Option<IpAddr>) {
        let (start, segment) = (self.payloads.len(), payload.len());
        self.payloads.extend_from_slice(payload);
        let end = self.payloads.len();
        match self.entries.last_mut() {
            Some(last) if !self.singly && last.takes(segment, to, from) => last.end = end,
            _ => self.entries.push(Entry { start, end, segment, to, from }),
        }
    }

    /// Sends all, and returns how many the kernel would not take, with the last reason. It never waits.
    pub(crate) fn send(&mut self, fd: impl AsFd) -> (usize, Option<io::Error>) {
        let (mut refused, mut reason) = (0, None);
        let mut next = 0;
        while next < self.entries.len() {
            let end = (next + BATCH).min(self.entries.len());
            match self.send_some(&fd, next, end) {
                Ok(count) => next += count.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The way out knows no segments (no checksums in hardware, or a smaller MTU): each goes by itself.
                Err(error) if self.entries[next].count() > 1 && error.kind() != io::ErrorKind::WouldBlock => {
                    self.singly = true;
                    self.take_apart(next);
                }
                Err(error) => {
                    // The error is about the first of them; the others may still go.
                    refused += self.entries[next].count();
                    reason = Some(error);
                    next += 1;
                }
            }
        }
        self.payloads.clear();
        self.entries.clear();
        (refused, reason)
    }

    fn take_apart(&mut self, index: usize) {
        let whole = self.entries[index];
        let starts = (whole.start..whole.end).step_by(whole.segment);
        let single = |start| Entry { start, end: (start + whole.segment).min(whole.end), ..whole };
        self.entries.splice(index..=index, starts.map(single));
    }

    fn send_some(&mut self, fd: impl AsFd, start: usize, end: usize) -> io::Result<usize> {
        let count = end - start;
        let mut names = [no_name(); BATCH];
        let mut controls = [Control([0; CONTROL]); BATCH];
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut headers = [no_header(); BATCH];
        for (index, entry) in self.entries[start..end].iter().enumerate() {
            let payload = &mut self.payloads[entry.start..entry.end];
            vectors[index] = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() };
            let header = &mut headers[index].msg_hdr;
            header.msg_namelen = write_address(entry.to, &mut names[index]);
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
            let mut length = entry.from.map_or(0, |from| write_source(&mut controls[index], from));
            if entry.count() > 1 {
                let segment = u16::try_from(entry.segment).unwrap_or(u16::MAX);
                length = write_control(&mut controls[index], length, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
            }
            if length > 0 {
                header.msg_control = controls[index].0.as_mut_ptr().cast();
                header.msg_controllen = length;
            }
        }
        // SAFETY: every header points to a name, a vector, a payload and a control buffer that live beyond the call and
        // are as long as it says; the kernel only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                fd.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// The inet address in a name that the kernel wrote.
fn address_of(name: &RawName) -> Option<SocketAddr> {
    match i32::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the name, which is larger and aligned alike, holds a sockaddr_in.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(address, u16::from_be(name.sin_port))))
        }
        libc::AF_INET6 => {
            let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(SocketAddr::V6(SocketAddrV6::new(address, port, 0, name.sin6_scope_id)))
        }
        _ => None,
    }
}

/// Writes an inet address as the kernel reads it, and returns its length.
fn write_address(address: SocketAddr, into: &mut RawName) -> libc::socklen_t {
    match address {
        SocketAddr::V4(address) => {
            // SAFETY: a sockaddr_in6 is large enough and aligned for a sockaddr_in.
            let name = unsafe { &mut *(&raw mut *into).cast::<libc::sockaddr_in>() };
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_port = address.port().to_be();
            name.sin_addr.s_addr = address.ip().to_bits().to_be();
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(address) => {
            let name = into;
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_port = address.port().to_be();
            name.sin6_addr.s6_addr = address.ip().octets();
            name.sin6_scope_id = address.scope_id();
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// What the control messages of a header tell.
#[derive(Default)]
struct Controls {
    /// The local address that it was sent to.
    to: Option<IpAddr>,
    /// How long each datagram is, where several came as one.
    segment: Option<usize>,
}

fn controls(header: &libc::msghdr) -> Controls {
    let mut told = Controls::default();
    // SAFETY: the header is one that recvmmsg filled in, and its control buffer is alive.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header inside the buffer.
        let (level, kind) = unsafe { ((*control).cmsg_level, (*control).cmsg_type) };
        // SAFETY: as above; the data follow the header.
        let data = unsafe { libc::CMSG_DATA(control) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: this kind of message holds an in_pktinfo; it may stand unaligned.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                told.to = Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: this kind of message holds an in6_pktinfo; it may stand unaligned.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                told.to = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                // SAFETY: this kind of message holds an int; it may stand unaligned.
                let segment = unsafe { data.cast::<libc::c_int>().read_unaligned() };
                told.segment = usize::try_from(segment).ok();
            }
            _ => {}
        }
        // SAFETY: the header and the message before are valid, see above.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    told
}

/// Writes the local address to send from as the first control message, and returns the length of all.
fn write_source(into: &mut Control, from: IpAddr) -> usize {
    match from {
        IpAddr::V4(address) => {
            let source = libc::in_addr { s_addr: address.to_bits().to_be() };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } };
            write_control(into, 0, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(address) => {
            let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: address.octets() }, ipi6_ifindex: 0 };
            write_control(into, 0, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

/// Writes a control message at an offset, and returns where the next one stands.
fn write_control<T>(into: &mut Control, at: usize, level: libc::c_int, kind: libc::c_int, value: T) -> usize {
    // SAFETY: these two only compute lengths.
    let (whole, space) = unsafe { (libc::CMSG_LEN(size_of::<T>() as u32), libc::CMSG_SPACE(size_of::<T>() as u32)) };
    let buffer = &mut into.0[at..at + space as usize];
    let header = buffer.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: the slice has room for the header and the value, and its beginning is aligned: the buffer is, and each
    // message before takes a multiple of it. CMSG_DATA only adds the header's length.
    unsafe {
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = whole as usize;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
    }
    at + space as usize
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

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
                        outbox.push(datagram, arrival.from, Some(server.local_addr().unwrap().ip()));
                    }
                }
            }
            assert_eq!(lengths, [0, 1, 1500, 65_507]);
            assert!(inbox.receive(&server).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
            assert!(matches!(outbox.send(&server), (0, None)));
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
        set_segment(&client, 4);
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
                    outbox.push(&[b'x'; 9][..length], clients[client].local_addr().unwrap(), own);
                }
                assert_eq!(outbox.entries.len(), if singly { 9 } else { 7 });
                assert!(matches!(outbox.send(&server), (0, None)));
                let mut buffer = [0; 64];
                for length in [5, 5, 3, 3, 4, 0, 0, 9] {
                    assert_eq!(clients[0].recv(&mut buffer).unwrap(), length);
                }
                assert_eq!(clients[1].recv(&mut buffer).unwrap(), 4);
            }
            for _ in 0..200 {
                outbox.push(b"much", clients[0].local_addr().unwrap(), None);
            }
            outbox.take_apart(1);
            outbox.singly = false;
            assert!(matches!(outbox.send(&server), (0, None)));
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

    fn set_segment(socket: &UdpSocket, length: libc::c_int) {
        // SAFETY: the option takes an int, which lives beyond the call.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_UDP,
                libc::UDP_SEGMENT,
                (&raw const length).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0);
    }

    #[test]
    fn a_datagram_that_cannot_go_does_not_hold_up_the_others() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = client.local_addr().unwrap();
        let mut outbox = Outbox::default();
        outbox.push(b"first", to, None);
        outbox.push(&vec![0; LARGEST - 1], to, None);
        outbox.push(b"last", to, None);
        let (refused, reason) = outbox.send(&server);
        assert_eq!((refused, reason.and_then(|error| error.raw_os_error())), (1, Some(libc::EMSGSIZE)));
        let mut buffer = [0; 16];
        assert_eq!(client.recv(&mut buffer).unwrap(), 5);
        assert_eq!(client.recv(&mut buffer).unwrap(), 4);
    }
}
