//! The files that tcpdump and Wireshark write, read packet by packet: pcap (draft-ietf-opsawg-pcap) and pcapng
//! (draft-ietf-opsawg-pcapng). It knows nothing of what is in a packet.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use crate::wire::pcapng::{
    self, BYTE_ORDER, INTERFACE, OLDER_PACKET, PACKET, SECRETS, SIMPLE_PACKET, TIME_OFFSET, TIME_RESOLUTION,
    TLS_KEY_LOG,
};

/// A packet of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// The number of the link's type, as in <https://www.tcpdump.org/linktypes.html>.
    pub(super) link: u16,
    /// When it was captured, since 1970; simple packet blocks do not tell.
    pub(super) time: Duration,
    pub(super) bytes: &'a [u8],
    /// How long it was on the wire: more than that may not have been kept.
    pub(super) length: usize,
}

/// What stands in a file.
#[derive(Debug)]
pub(super) enum Item<'a> {
    Packet(Packet<'a>),
    /// Lines of a TLS key log.
    KeyLog(&'a [u8]),
}

/// Why a file cannot be read as a capture.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoCapture {
    /// It does not begin as one.
    OtherFormat,
    /// It is a capture that was packed with gzip.
    Packed,
    /// What it says of itself cannot be.
    Broken {
        /// Where, in bytes from the beginning.
        at: u64,
    },
    /// It cannot be read.
    Unreadable(io::Error),
}

impl fmt::Display for NoCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherFormat => f.write_str("it is no capture as tcpdump and Wireshark write them (.pcap, .pcapng)"),
            Self::Packed => f.write_str("it is packed: unpack it with gunzip first"),
            Self::Broken { at } => write!(f, "the capture is broken at byte {at}"),
            Self::Unreadable(error) => f.write_str(&crate::net::words(error)),
        }
    }
}

impl std::error::Error for NoCapture {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for NoCapture {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Whether a file begins as a capture does; a packed one counts too, so that this can be said of it.
#[must_use]
pub fn is_capture(head: &[u8]) -> bool {
    match head.first_chunk::<4>() {
        Some([0x1f, 0x8b, ..]) => true,
        Some(magic) => *magic == SECTION || Classic::of(*magic).is_some(),
        None => false,
    }
}

/// The type of a section's block, which is the same in both orders.
const SECTION: [u8; 4] = pcapng::SECTION.to_be_bytes();
/// Bytes of a packet: no interface has longer ones, so a number that says so is none.
const LONGEST_PACKET: usize = 16 * 1024 * 1024;
/// Bytes of a block: the longest packet, and what is said of it.
const LONGEST_BLOCK: usize = LONGEST_PACKET + 1024 * 1024;
/// Interfaces of a section.
const MOST_INTERFACES: usize = 65_536;

/// In which order the bytes of a number stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self == Self::Big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn size(self, bytes: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.u32(bytes, at)?).ok()
    }
}

/// The packets of a file, one after another. One block is held at a time.
#[derive(Debug)]
pub(super) struct Packets<R> {
    source: R,
    format: Format,
    /// Where the next block begins.
    at: u64,
    block: Vec<u8>,
    is_cut: bool,
}

#[derive(Debug)]
enum Format {
    Classic(Classic),
    Blocks { order: Order, interfaces: Vec<Interface> },
}

/// The older format.
#[derive(Debug, Clone, Copy)]
struct Classic {
    order: Order,
    is_nanoseconds: bool,
    /// Bytes before each packet.
    head: usize,
    link: u16,
}

impl Classic {
    fn of(magic: [u8; 4]) -> Option<Self> {
        let (order, is_nanoseconds, head) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, false, 16),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, false, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, true, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, true, 16),
            // Kuznetsov's, which says more of each packet.
            [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, false, 24),
            [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, false, 24),
            _ => return None,
        };
        Some(Self { order, is_nanoseconds, head, link: 0 })
    }
}

/// What an interface says of its packets.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u16,
    /// Bytes of a packet that are kept, at most.
    snap: usize,
    /// Units of time in a second.
    units: u64,
    /// Seconds that are added to each time.
    offset: i64,
}

impl Interface {
    fn time(self, stamp: u64) -> Duration {
        let rest = u128::from(stamp % self.units) * 1_000_000_000 / u128::from(self.units);
        let seconds = (stamp / self.units).saturating_add_signed(self.offset);
        Duration::new(seconds, u32::try_from(rest).unwrap_or(0))
    }
}

impl<R: Read> Packets<R> {
    /// Reads how the file begins.
    pub(super) fn open(mut source: R) -> Result<Self, NoCapture> {
        let mut magic = [0; 4];
        if fill(&mut source, &mut magic)? < magic.len() {
            return Err(NoCapture::OtherFormat);
        }
        let (format, at) = match Classic::of(magic) {
            Some(mut classic) => {
                let mut rest = [0; 20];
                if fill(&mut source, &mut rest)? < rest.len() {
                    return Err(NoCapture::Broken { at: 0 });
                }
                // The upper half tells of a checksum behind each frame, which the length of what is in it leaves out.
                classic.link = classic.order.u32(&rest, 16).unwrap_or(0) as u16;
                (Format::Classic(classic), 24)
            }
            None if magic == SECTION => {
                let mut packets = Self {
                    source,
                    format: Format::Blocks { order: Order::Little, interfaces: vec![] },
                    at: 0,
                    block: vec![],
                    is_cut: false,
                };
                return match packets.block(magic)? {
                    Some(_) => Ok(packets),
                    None => Err(NoCapture::Broken { at: 0 }),
                };
            }
            None if magic.starts_with(&[0x1f, 0x8b]) => return Err(NoCapture::Packed),
            None => return Err(NoCapture::OtherFormat),
        };
        Ok(Self { source, format, at, block: vec![], is_cut: false })
    }

    /// Whether the file ends in the middle of a packet.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What comes next; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Item<'_>>, NoCapture> {
        if let Format::Classic(classic) = &self.format {
            let classic = *classic;
            return self.classic(classic);
        }
        let (at, kind) = loop {
            let mut kind = [0; 4];
            let got = fill(&mut self.source, &mut kind)?;
            if got < kind.len() {
                self.is_cut |= got > 0;
                return Ok(None);
            }
            let at = self.at;
            let Some(kind) = self.block(kind)? else { return Ok(None) };
            let Format::Blocks { order, interfaces } = &mut self.format else { return Ok(None) };
            match kind {
                INTERFACE if interfaces.len() < MOST_INTERFACES => {
                    interfaces.push(interface(&self.block, *order).ok_or(NoCapture::Broken { at })?);
                }
                INTERFACE => return Err(NoCapture::Broken { at }),
                OLDER_PACKET | SIMPLE_PACKET | PACKET => break (at, kind),
                SECRETS if order.u32(&self.block, 0) == Some(TLS_KEY_LOG) => break (at, kind),
                _ => {}
            }
        };
        let Format::Blocks { order, interfaces } = &self.format else { return Ok(None) };
        let (order, body) = (*order, &self.block[..]);
        let item = match kind {
            SECRETS => key_log(body, order).map(Item::KeyLog),
            SIMPLE_PACKET => simple(body, order, interfaces).map(Item::Packet),
            _ => packet(body, kind, order, interfaces).map(Item::Packet),
        };
        item.map(Some).ok_or(NoCapture::Broken { at })
    }

    fn classic(&mut self, classic: Classic) -> Result<Option<Item<'_>>, NoCapture> {
        let (order, mut head) = (classic.order, [0; 24]);
        let head = &mut head[..classic.head];
        let got = fill(&mut self.source, head)?;
        if got < head.len() {
            self.is_cut |= got > 0;
            return Ok(None);
        }
        let numbers = (order.u32(head, 0), order.u32(head, 4), order.size(head, 8), order.size(head, 12));
        let (Some(seconds), Some(part), Some(captured), Some(length)) = numbers else { return Ok(None) };
        if captured > LONGEST_PACKET {
            return Err(NoCapture::Broken { at: self.at });
        }
        self.block.resize(captured, 0);
        if fill(&mut self.source, &mut self.block)? < captured {
            self.is_cut = true;
            return Ok(None);
        }
        self.at += (classic.head + captured) as u64;
        let nanos = if classic.is_nanoseconds { u64::from(part) } else { u64::from(part) * 1000 };
        let time = Duration::from_secs(u64::from(seconds)) + Duration::from_nanos(nanos);
        let length = length.max(captured);
        Ok(Some(Item::Packet(Packet { link: classic.link, time, bytes: &self.block, length })))
    }

    /// Reads a block whose type is known, so that what is in it can be read; `None` if the file ends before it does.
    fn block(&mut self, kind: [u8; 4]) -> Result<Option<u32>, NoCapture> {
        let broken = NoCapture::Broken { at: self.at };
        let Format::Blocks { order, interfaces } = &mut self.format else { return Ok(None) };
        let mut head = [0; 8];
        let wanted = if kind == SECTION { 8 } else { 4 };
        if fill(&mut self.source, &mut head[..wanted])? < wanted {
            self.is_cut = true;
            return Ok(None);
        }
        if kind == SECTION {
            let written = |order: Order| order.u32(&head, 4) == Some(BYTE_ORDER);
            let Some(found) = [Order::Big, Order::Little].into_iter().find(|&order| written(order)) else {
                return Err(broken);
            };
            *order = found;
            interfaces.clear();
        }
        let order = *order;
        let (Some(number), Some(length)) = (order.u32(&kind, 0), order.size(&head, 0)) else { return Err(broken) };
        // What was read of it, and the length again behind it.
        let Some(rest) = length.next_multiple_of(4).checked_sub(kind.len() + wanted) else { return Err(broken) };
        if length > LONGEST_BLOCK || rest < 4 {
            return Err(broken);
        }
        self.block.resize(rest, 0);
        if fill(&mut self.source, &mut self.block)? < rest {
            self.is_cut = true;
            return Ok(None);
        }
        if order.size(&self.block, rest - 4) != Some(length) {
            return Err(broken);
        }
        self.block.truncate(rest - 4);
        self.at += length.next_multiple_of(4) as u64;
        Ok(Some(number))
    }
}

/// Reads until the buffer is full, and tells how much came before the end.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match source.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn interface(body: &[u8], order: Order) -> Option<Interface> {
    let snap = order.size(body, 4)?;
    let snap = if snap == 0 { usize::MAX } else { snap };
    let mut interface = Interface { link: order.u16(body, 0)?, snap, units: 1_000_000, offset: 0 };
    let mut at = 8;
    while let (Some(option @ 1..), Some(length)) = (order.u16(body, at), order.u16(body, at + 2)) {
        let value = body.get(at + 4..).and_then(|rest| rest.get(..usize::from(length)));
        match (option, value) {
            (TIME_RESOLUTION, Some([resolution])) => {
                let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
                interface.units = base.checked_pow(u32::from(resolution & 0x7f)).unwrap_or(1_000_000);
            }
            (TIME_OFFSET, Some(bytes)) => {
                let bytes: Option<[u8; 8]> = bytes.try_into().ok();
                interface.offset = bytes.map_or(0, |bytes| {
                    if order == Order::Big { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) }
                });
            }
            _ => {}
        }
        at += 4 + usize::from(length).next_multiple_of(4);
    }
    Some(interface)
}

fn key_log(body: &[u8], order: Order) -> Option<&[u8]> {
    body.get(8..)?.get(..order.size(body, 4)?)
}

/// A packet that says nothing of itself but its length.
fn simple<'a>(body: &'a [u8], order: Order, interfaces: &[Interface]) -> Option<Packet<'a>> {
    let (length, interface) = (order.size(body, 0)?, interfaces.first()?);
    let captured = length.min(interface.snap).min(body.len() - 4);
    Some(Packet { link: interface.link, time: Duration::ZERO, bytes: &body[4..4 + captured], length })
}

fn packet<'a>(body: &'a [u8], kind: u32, order: Order, interfaces: &[Interface]) -> Option<Packet<'a>> {
    let index = if kind == PACKET { order.size(body, 0)? } else { usize::from(order.u16(body, 0)?) };
    let interface = interfaces.get(index)?;
    let stamp = u64::from(order.u32(body, 4)?) << 32 | u64::from(order.u32(body, 8)?);
    let (captured, length) = (order.size(body, 12)?, order.size(body, 16)?);
    let bytes = body.get(20..)?.get(..captured)?;
    Some(Packet { link: interface.link, time: interface.time(stamp), bytes, length: length.max(captured) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its link, its time in nanoseconds, its bytes, and how long it was.
    type Read = (u16, u128, Vec<u8>, usize);

    fn read(file: &[u8]) -> (Vec<Read>, Vec<u8>, bool) {
        let mut packets = Packets::open(file).unwrap();
        let (mut all, mut secrets) = (vec![], vec![]);
        while let Some(item) = packets.next().unwrap() {
            match item {
                Item::Packet(packet) => {
                    all.push((packet.link, packet.time.as_nanos(), packet.bytes.to_vec(), packet.length));
                }
                Item::KeyLog(lines) => secrets.extend_from_slice(lines),
            }
        }
        (all, secrets, packets.is_cut())
    }

    fn number(order: Order, value: u32) -> [u8; 4] {
        if order == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn short(order: Order, value: u16) -> [u8; 2] {
        if order == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    #[test]
    fn both_orders_and_both_units_of_the_older_format_are_read() {
        for (magic, order, nanos) in [
            (0xa1b2_c3d4_u32, Order::Big, 7000),
            (0xa1b2_c3d4, Order::Little, 7000),
            (0xa1b2_3c4d, Order::Big, 7),
            (0xa1b2_3c4d, Order::Little, 7),
            (0xa1b2_cd34, Order::Little, 7000),
            (0xa1b2_cd34, Order::Big, 7000),
        ] {
            let mut file = number(order, magic).to_vec();
            file.extend([0; 12]);
            file.extend(number(order, 65_535));
            // With a checksum of four bytes behind each frame.
            file.extend(number(order, 0x4400_0071));
            for value in [3, 7, 2, 9] {
                file.extend(number(order, value));
            }
            if magic == 0xa1b2_cd34 {
                file.extend([0; 8]);
            }
            file.extend(b"ab");
            assert_eq!(read(&file), (vec![(113, 3_000_000_000 + nanos, b"ab".to_vec(), 9)], vec![], false));
            for cut in 25..file.len() {
                assert_eq!(read(&file[..cut]), (vec![], vec![], true), "{cut}");
            }
        }
    }

    fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = number(order, body.len() as u32 + 12);
        [&number(order, kind)[..], &length, &body, &length].concat()
    }

    fn section(order: Order) -> Vec<u8> {
        let body = [&number(order, 0x1a2b_3c4d)[..], &short(order, 1), &short(order, 0), &[0xff; 8]].concat();
        block(order, 0x0a0d_0d0a, &body)
    }

    fn interface_block(order: Order, link: u16, snap: u32, options: &[u8]) -> Vec<u8> {
        block(order, 1, &[&short(order, link)[..], &[0; 2], &number(order, snap), options].concat())
    }

    #[test]
    fn sections_interfaces_and_each_kind_of_packet_are_read_in_both_orders() {
        let mut file = vec![];
        for order in [Order::Little, Order::Big] {
            file.extend(section(order));
            file.extend(interface_block(order, 1, 3, &[]));
            // Times in units of 1/1024 seconds, ten seconds later.
            let offset: [u8; 8] = if order == Order::Big { 10_i64.to_be_bytes() } else { 10_i64.to_le_bytes() };
            let options =
                [&short(order, 9)[..], &short(order, 1), &[0x8a, 0, 0, 0], &short(order, 14), &short(order, 8)];
            let options = [&options.concat()[..], &offset, &[0; 4]].concat();
            file.extend(interface_block(order, 276, 0, &options));
            // Of no interest: a comment of one's own.
            file.extend(block(order, 0x0bad, b"whatever"));
            let enhanced = [1, 0, 2048 + 512, 3, 5].map(|value| number(order, value)).concat();
            file.extend(block(order, 6, &[&enhanced[..], b"abc"].concat()));
            file.extend(block(order, 3, &[&number(order, 5)[..], b"abc"].concat()));
            let older =
                [&short(order, 0)[..], &[0; 2], &[0, 5, 4, 4].map(|value| number(order, value)).concat()].concat();
            file.extend(block(order, 2, &[&older[..], b"wxyz"].concat()));
            file.extend(block(order, 10, &[&number(order, TLS_KEY_LOG)[..], &number(order, 5), b"X 1 2"].concat()));
            file.extend(block(order, 10, &[&number(order, 0x5747_4b4c)[..], &number(order, 2), b"no"].concat()));
        }
        let each =
            [(276, 12_500_000_000, b"abc".to_vec(), 5), (1, 0, b"abc".to_vec(), 5), (1, 5000, b"wxyz".to_vec(), 4)];
        assert_eq!(read(&file), ([each.clone(), each].concat(), b"X 1 2X 1 2".to_vec(), false));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_gives_what_is_before() {
        let order = Order::Little;
        let mut file = [section(order), interface_block(order, 1, 0, &[])].concat();
        let begins = file.len();
        let mut ends = vec![];
        for text in [b"one", b"two"] {
            let head = [0, 0, 9, 3, 3].map(|value| number(order, value)).concat();
            file.extend(block(order, 6, &[&head[..], text].concat()));
            ends.push(file.len());
        }
        for cut in begins..=file.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            let (packets, _, is_cut) = read(&file[..cut]);
            assert_eq!((packets.len(), is_cut), (whole, cut != begins && !ends.contains(&cut)), "{cut}");
        }
    }

    #[test]
    fn what_is_no_capture_is_told_from_one_that_is_broken() {
        let broken = |file: &[u8]| match Packets::open(file).map(|mut packets| {
            loop {
                match packets.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(error) => return Some(error),
                }
            }
        }) {
            Ok(None) => "fine".to_owned(),
            Ok(Some(error)) | Err(error) => error.to_string(),
        };
        assert!(broken(b"").contains("no capture"));
        assert!(broken(b"GET / HTTP/1.1").contains("no capture"));
        assert!(broken(&[0x1f, 0x8b, 8, 0]).contains("gunzip"));
        let (order, good) = (Order::Big, section(Order::Big));
        assert_eq!(broken(&good), "fine");
        // A packet of an interface that is not there, a length that cannot be, two lengths that differ.
        assert_eq!(broken(&[&good[..], &block(order, 6, &[0; 20])].concat()), "the capture is broken at byte 28");
        assert_eq!(broken(&[&good[..], &[0, 0, 0, 1, 0, 0, 0, 8]].concat()), "the capture is broken at byte 28");
        assert_eq!(broken(&[&good[..], &[0, 0, 0, 1, 0xff, 0, 0, 8]].concat()), "the capture is broken at byte 28");
        let mut other = interface_block(order, 1, 0, &[]);
        *other.last_mut().unwrap() ^= 4;
        assert_eq!(broken(&[&good[..], &other].concat()), "the capture is broken at byte 28");
    }
}
