//! What a packet carries: a part of a TCP connection, a datagram, or a piece of one, and its two ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A part of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) sequence: u32,
    /// What the other side has seen, if it says so.
    pub(super) acknowledged: Option<u32>,
    pub(super) opens: bool,
    pub(super) ends: bool,
    pub(super) resets: bool,
}

/// What carries bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp(Segment),
    Udp,
}

/// What was said in a packet, and its two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) payload: &'a [u8],
    /// Bytes of the payload that were not kept.
    pub(super) missing: usize,
}

/// What stands in a packet of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Datagram<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) protocol: u8,
    /// Which piece of a larger datagram it is, if that was cut in pieces on its way.
    pub(super) piece: Option<Piece>,
    pub(super) bytes: &'a [u8],
    /// How many bytes there were on the wire.
    pub(super) length: usize,
}

/// A piece of a datagram (RFC 791, section 3.2; RFC 8200, section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) datagram: u32,
    pub(super) at: usize,
    pub(super) is_last: bool,
}

/// Whether packets of a link's type can be read.
pub(super) fn is_known(link: u16) -> bool {
    matches!(link, 0 | 1 | 9 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276)
}

fn big(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Opens what the link put around; `None` if there is no IP in it.
pub(super) fn datagram(link: u16, frame: &[u8]) -> Option<Datagram<'_>> {
    let (mut at, mut kind) = match link {
        1 => (14, big(frame, 12)?),
        // The family as the capturing machine counts it, and nothing at all: IP tells its version itself.
        0 | 108 => (4, 0),
        12 | 14 | 101 | 228 | 229 => (0, 0),
        9 if frame.starts_with(&[0xff, 3]) => (4, of_ppp(big(frame, 2)?)?),
        9 => (2, of_ppp(big(frame, 0)?)?),
        // Linux, any interface: two versions.
        113 => (16, big(frame, 14)?),
        276 => (20, big(frame, 0)?),
        _ => return None,
    };
    // As many tags of virtual networks as there are.
    while matches!(kind, 0x8100 | 0x88a8 | 0x9100 | 0x9200) {
        kind = big(frame, at + 2)?;
        at += 4;
    }
    if kind == 0x8864 {
        // PPP over Ethernet.
        kind = of_ppp(big(frame, at + 6)?)?;
        at += 8;
    }
    let packet = frame.get(at..)?;
    match (kind, packet.first()? >> 4) {
        (0 | 0x0800, 4) => version_4(packet),
        (0 | 0x86dd, 6) => version_6(packet),
        _ => None,
    }
}

/// The protocols of PPP that are IP, as Ethernet numbers them.
fn of_ppp(protocol: u16) -> Option<u16> {
    match protocol {
        0x0021 => Some(0x0800),
        0x0057 => Some(0x86dd),
        _ => None,
    }
}

fn version_4(packet: &[u8]) -> Option<Datagram<'_>> {
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?)));
    let head = usize::from(packet[0] & 15) * 4;
    // A machine whose network card cuts packets by itself leaves the length out.
    let length = match usize::from(big(packet, 2)?) {
        0 => packet.len(),
        length => length,
    };
    let length = length.checked_sub(head)?;
    let (flags, datagram) = (big(packet, 6)?, u32::from(big(packet, 4)?));
    let (at, more) = (usize::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
    let piece = (at > 0 || more).then_some(Piece { datagram, at, is_last: !more });
    let protocol = *packet.get(9)?;
    let (from, to) = (address(12)?, address(16)?);
    if head < 20 {
        return None;
    }
    let bytes = packet.get(head..)?;
    let bytes = &bytes[..length.min(bytes.len())];
    Some(Datagram { from, to, protocol, piece, bytes, length })
}

fn version_6(packet: &[u8]) -> Option<Datagram<'_>> {
    let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*packet.get(at..)?.first_chunk::<16>()?)));
    let (from, to) = (address(8)?, address(24)?);
    let end = match usize::from(big(packet, 4)?) {
        0 => packet.len(),
        length => 40 + length,
    };
    let (mut protocol, mut at, mut piece) = (*packet.get(6)?, 40, None);
    // What may stand between, for routers and for the destination (RFC 8200, section 4).
    loop {
        let next = match protocol {
            0 | 43 | 60 | 135 => at + 8 * (1 + usize::from(*packet.get(at + 1)?)),
            // It counts in another unit (RFC 4302).
            51 => at + 4 * (2 + usize::from(*packet.get(at + 1)?)),
            44 => {
                let offset = big(packet, at + 2)?;
                let (begins, more) = (usize::from(offset & !7), offset & 1 != 0);
                let datagram = u32::from_be_bytes(*packet.get(at + 4..)?.first_chunk()?);
                piece = (begins > 0 || more).then_some(Piece { datagram, at: begins, is_last: !more });
                at + 8
            }
            _ => break,
        };
        protocol = *packet.get(at)?;
        at = next;
        if piece.is_some() {
            break;
        }
    }
    let length = end.checked_sub(at)?;
    let bytes = packet.get(at..)?;
    let bytes = &bytes[..length.min(bytes.len())];
    Some(Datagram { from, to, protocol, piece, bytes, length })
}

/// Reads a whole datagram of IP; `None` if it carries neither TCP nor UDP.
pub(super) fn carried<'a>(datagram: &Datagram<'a>) -> Option<Carried<'a>> {
    let (bytes, length) = (datagram.bytes, datagram.length);
    let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let from = SocketAddr::new(datagram.from, big(bytes, 0)?);
    let to = SocketAddr::new(datagram.to, big(bytes, 2)?);
    let (head, length, transport) = match datagram.protocol {
        6 => {
            let flags = *bytes.get(13)?;
            let acknowledged = number(8)?;
            let segment = Segment {
                sequence: number(4)?,
                acknowledged: (flags & 0x10 != 0).then_some(acknowledged),
                opens: flags & 2 != 0,
                ends: flags & 1 != 0,
                resets: flags & 4 != 0,
            };
            let head = usize::from(bytes[12] >> 4) * 4;
            if head < 20 {
                return None;
            }
            (head, length, Transport::Tcp(segment))
        }
        17 => {
            // None at all is written where it does not fit, or is not known yet.
            let said = usize::from(big(bytes, 4)?);
            (8, if said == 0 { length } else { length.min(said) }, Transport::Udp)
        }
        _ => return None,
    };
    let whole = length.checked_sub(head)?;
    // Where not even the header was kept whole, nothing behind it was.
    let payload = bytes.get(head..length.min(bytes.len())).unwrap_or_default();
    Some(Carried { from, to, transport, payload, missing: whole - payload.len() })
}
