//! Blocks of a capture file (draft-ietf-opsawg-pcapng), and packets as they would have been on a wire. It opens no file.

use std::net::{IpAddr, SocketAddr};

use crate::wire::pcapng::{
    BYTE_ORDER, END_OF_OPTIONS, INTERFACE, NAME, PACKET, SECRETS, SECTION, TIME_RESOLUTION, TLS_KEY_LOG,
};

/// Packets begin with their IP header.
const LINKTYPE_RAW: u32 = 101;

/// A block of a type, with its length before and behind it.
fn block(kind: u32, body: &[u8], out: &mut Vec<u8>) {
    let padded = body.len().next_multiple_of(4);
    let length = (padded + 12) as u32;
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(body);
    out.resize(out.len() + padded - body.len(), 0);
    out.extend_from_slice(&length.to_le_bytes());
}

/// The head of a file, with an interface for each name.
pub(super) fn head(interfaces: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut section = Vec::new();
    section.extend_from_slice(&BYTE_ORDER.to_le_bytes());
    section.extend_from_slice(&[1, 0, 0, 0]);
    section.extend_from_slice(&u64::MAX.to_le_bytes());
    block(SECTION, &section, &mut out);
    for name in interfaces {
        let mut body = LINKTYPE_RAW.to_le_bytes().to_vec();
        body.extend_from_slice(&0_u32.to_le_bytes());
        let mut option = |code: u16, value: &[u8]| {
            body.extend_from_slice(&code.to_le_bytes());
            body.extend_from_slice(&(value.len() as u16).to_le_bytes());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        };
        option(NAME, name.as_bytes());
        // Times are in nanoseconds.
        option(TIME_RESOLUTION, &[9]);
        option(END_OF_OPTIONS, &[]);
        block(INTERFACE, &body, &mut out);
    }
    out
}

/// A packet.
pub(super) fn packet(interface: u32, nanoseconds: u64, bytes: &[u8], out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(bytes.len() + 20);
    let length = bytes.len() as u32;
    for number in [interface, (nanoseconds >> 32) as u32, nanoseconds as u32, length, length] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    body.extend_from_slice(bytes);
    block(PACKET, &body, out);
}

/// Lines of a TLS key log, so that what follows can be read.
pub(super) fn secrets(lines: &str, out: &mut Vec<u8>) {
    let mut body = TLS_KEY_LOG.to_le_bytes().to_vec();
    body.extend_from_slice(&(lines.len() as u32).to_le_bytes());
    body.extend_from_slice(lines.as_bytes());
    block(SECRETS, &body, out);
}

/// Flags of a segment (RFC 9293, section 3.1).
pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const PSH: u8 = 8;
pub(super) const ACK: u8 = 16;

/// A segment of TCP, with all its headers.
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
    pub(super) bytes: &'a [u8],
}

impl Segment<'_> {
    pub(super) fn packet(&self) -> Vec<u8> {
        // The largest segment, and a window that is 128 times as large as its number says.
        let options: &[u8] = if self.flags & SYN == 0 { &[] } else { &[2, 4, 0xff, 0xd7, 1, 3, 3, 7] };
        let mut tcp = Vec::with_capacity(28 + self.bytes.len());
        tcp.extend_from_slice(&self.from.port().to_be_bytes());
        tcp.extend_from_slice(&self.to.port().to_be_bytes());
        tcp.extend_from_slice(&self.sequence.to_be_bytes());
        tcp.extend_from_slice(&self.acknowledged.to_be_bytes());
        tcp.push(((20 + options.len()) as u8 / 4) << 4);
        tcp.push(self.flags);
        // Window, checksum, urgent pointer.
        tcp.extend_from_slice(&[0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend_from_slice(options);
        tcp.extend_from_slice(self.bytes);
        let sum = checksum(self.from.ip(), self.to.ip(), 6, &tcp);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        with_ip(self.from.ip(), self.to.ip(), 6, &tcp)
    }
}

/// A datagram of UDP, with all its headers.
pub(super) fn datagram(from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut udp = Vec::with_capacity(8 + bytes.len());
    udp.extend_from_slice(&from.port().to_be_bytes());
    udp.extend_from_slice(&to.port().to_be_bytes());
    udp.extend_from_slice(&((8 + bytes.len()) as u16).to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(bytes);
    let sum = match checksum(from.ip(), to.ip(), 17, &udp) {
        // Nothing at all would be no checksum (RFC 768).
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    with_ip(from.ip(), to.ip(), 17, &udp)
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The Internet checksum (RFC 1071).
fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u64;
    for part in parts {
        let mut pairs = part.chunks_exact(2);
        sum += pairs.by_ref().map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u64>();
        sum += pairs.remainder().first().map_or(0, |last| u64::from(*last) << 8);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn checksum(from: IpAddr, to: IpAddr, protocol: u8, bytes: &[u8]) -> u16 {
    let length = (bytes.len() as u32).to_be_bytes();
    sum(&[&octets(from), &octets(to), &[0, protocol], &length, bytes])
}

fn with_ip(from: IpAddr, to: IpAddr, protocol: u8, bytes: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(40 + bytes.len());
    if from.is_ipv4() {
        packet.extend_from_slice(&[0x45, 0]);
        packet.extend_from_slice(&((20 + bytes.len()) as u16).to_be_bytes());
        // May not be fragmented; lives for 64 routers.
        packet.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
        packet.extend_from_slice(&octets(from));
        packet.extend_from_slice(&octets(to));
        let sum = sum(&[&packet]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet.extend_from_slice(&[0x60, 0, 0, 0]);
        packet.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        packet.extend_from_slice(&[protocol, 64]);
        packet.extend_from_slice(&octets(from));
        packet.extend_from_slice(&octets(to));
    }
    packet.extend_from_slice(bytes);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_over_all_that_it_is_about_comes_to_nothing() {
        for (from, to) in [("10.0.0.1:7", "10.0.0.2:8"), ("[::1]:7", "[::2]:8")] {
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            let segment = Segment { from, to, sequence: 1, acknowledged: 2, flags: PSH | ACK, bytes: b"odd" };
            let head = if from.is_ipv4() { 20 } else { 40 };
            let packet = segment.packet();
            assert_eq!(checksum(from.ip(), to.ip(), 6, &packet[head..]), 0);
            assert!(from.is_ipv6() || sum(&[&packet[..20]]) == 0);
            let packet = datagram(from, to, b"seven..");
            assert_eq!(checksum(from.ip(), to.ip(), 17, &packet[head..]), 0);
        }
    }

    #[test]
    fn a_block_is_as_long_as_it_says_at_both_ends() {
        let mut out = Vec::new();
        packet(1, 1 << 40, b"12345", &mut out);
        assert_eq!(out.len(), 40);
        assert_eq!((&out[4..8], &out[36..40]), (&40_u32.to_le_bytes()[..], &40_u32.to_le_bytes()[..]));
    }
}
