//! The parts of a message header as the kernel reads and writes them: names and control messages.

use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for a packet-info control message of either family and for a segment's size, with their headers and alignment.
pub(super) const CONTROL: usize = 80;

/// A buffer that control messages may be read from and written to.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL]);

/// Large enough for both families; smaller than a sockaddr_storage, of which a batch takes pages.
pub(super) type RawName = libc::sockaddr_in6;

pub(super) fn no_name() -> RawName {
    // SAFETY: a sockaddr_in6 is plain integers, for which all zeroes are valid (family AF_UNSPEC).
    unsafe { MaybeUninit::zeroed().assume_init() }
}

pub(super) fn no_header() -> libc::mmsghdr {
    // SAFETY: an mmsghdr is integers and pointers, for which all zeroes are valid.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// The inet address in a name that the kernel wrote.
pub(super) fn address_of(name: &RawName) -> Option<SocketAddr> {
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
pub(super) fn write_address(address: SocketAddr, into: &mut RawName) -> libc::socklen_t {
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
pub(super) struct Controls {
    /// The local address to answer from: where it was sent to, or ours where it was sent to many.
    pub(super) to: Option<IpAddr>,
    /// How long each datagram is, where several came as one.
    pub(super) segment: Option<usize>,
}

pub(super) fn controls(header: &libc::msghdr) -> Controls {
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
                // Not the address in the header: a question to everybody cannot be answered from there.
                let own = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr));
                told.to = Some(IpAddr::V4(own)).filter(|own| !own.is_unspecified());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: this kind of message holds an in6_pktinfo; it may stand unaligned.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                // No answer comes from a group's address: then the system chooses.
                told.to = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr))).filter(|own| !own.is_multicast());
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
pub(super) fn write_source(into: &mut Control, from: IpAddr) -> usize {
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
pub(super) fn write_control<T>(
    into: &mut Control,
    at: usize,
    level: libc::c_int,
    kind: libc::c_int,
    value: T,
) -> usize {
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
