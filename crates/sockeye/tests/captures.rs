//! Captures that are made here, byte by byte, against what is known to have been said in them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::net::SocketAddr;

use sockeye::capture::{Conversation, End, Stream, StreamId, Survey, conversation, survey};
use transcript::{Carrier, Side};

/// xorshift64 (Marsaglia): the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A packet of IP with TCP in it.
#[derive(Clone, Debug)]
struct Packet {
    from_client: bool,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    bytes: Vec<u8>,
}

struct Wire {
    client: SocketAddr,
    server: SocketAddr,
    packets: Vec<Packet>,
    numbers: [u32; 2],
}

impl Wire {
    /// A connection whose numbers go past their end soon.
    fn open(client: &str, server: &str, random: &mut Random) -> Self {
        let numbers = [0, 1].map(|_| u32::MAX - random.below(3000) as u32);
        let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
        let mut wire = Self { client, server, packets: vec![], numbers };
        wire.push(true, SYN, b"");
        wire.push(false, SYN | ACK, b"");
        wire.push(true, ACK, b"");
        wire
    }

    fn push(&mut self, from_client: bool, flags: u8, bytes: &[u8]) {
        let (ours, theirs) = if from_client { (0, 1) } else { (1, 0) };
        let acknowledged = if flags & ACK == 0 { 0 } else { self.numbers[theirs] };
        let sequence = self.numbers[ours];
        self.packets.push(Packet { from_client, sequence, acknowledged, flags, bytes: bytes.to_vec() });
        let more = bytes.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.numbers[ours] = sequence.wrapping_add(more);
    }

    fn close(&mut self) {
        self.push(true, FIN | ACK, b"");
        self.push(false, FIN | ACK, b"");
        self.push(true, ACK, b"");
    }

    fn ip(&self, packet: &Packet) -> Vec<u8> {
        let (from, to) = if packet.from_client { (self.client, self.server) } else { (self.server, self.client) };
        let mut tcp = vec![];
        tcp.extend(from.port().to_be_bytes());
        tcp.extend(to.port().to_be_bytes());
        tcp.extend(packet.sequence.to_be_bytes());
        tcp.extend(packet.acknowledged.to_be_bytes());
        tcp.extend([0x50, packet.flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(&packet.bytes);
        ip(from, to, 6, &tcp)
    }
}

fn ip(from: SocketAddr, to: SocketAddr, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut ip = vec![];
    match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            ip.extend([0x45, 0]);
            ip.extend((20 + body.len() as u16).to_be_bytes());
            ip.extend([0, 7, 0, 0, 64, protocol, 0, 0]);
            ip.extend(from.ip().octets());
            ip.extend(to.ip().octets());
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            ip.extend([0x60, 0, 0, 0]);
            // With a header of options before it.
            ip.extend((8 + body.len() as u16).to_be_bytes());
            ip.extend([60, 64]);
            ip.extend(from.ip().octets());
            ip.extend(to.ip().octets());
            ip.extend([protocol, 0, 1, 4, 0, 0, 0, 0]);
        }
        _ => panic!("of one family"),
    }
    ip.extend(body);
    ip
}

fn udp(from: &str, to: &str, body: &[u8]) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let mut udp = vec![];
    udp.extend(from.port().to_be_bytes());
    udp.extend(to.port().to_be_bytes());
    udp.extend((8 + body.len() as u16).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(body);
    ip(from, to, 17, &udp)
}

/// A pcap file of packets on a link of a type.
fn file(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    file_cut(link, packets, usize::MAX)
}

/// The same with packets of which only the first bytes were kept.
fn file_cut(link: u32, packets: &[Vec<u8>], snap: usize) -> Vec<u8> {
    let mut file = vec![];
    for number in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link] {
        file.extend(number.to_le_bytes());
    }
    for (at, packet) in packets.iter().enumerate() {
        let kept = &packet[..packet.len().min(snap)];
        for number in [at as u32, 0, kept.len() as u32, packet.len() as u32] {
            file.extend(number.to_le_bytes());
        }
        file.extend(kept);
    }
    file
}

const RAW: u32 = 101;

fn stream(survey: &Survey, id: &str) -> Stream {
    survey.streams.iter().find(|stream| stream.id.to_string() == id).unwrap().clone()
}

fn read(file: &[u8], id: &str) -> Conversation {
    let survey = survey(file).unwrap();
    conversation(file, &survey, &stream(&survey, id)).unwrap()
}

/// What is said, turn by turn.
type Turns = Vec<(Side, Vec<u8>)>;

fn dialogue(random: &mut Random) -> Turns {
    (0..1 + random.below(8))
        .map(|at| {
            let side = if at % 2 == 0 { Side::Client } else { Side::Server };
            let mut text = String::new();
            for line in 0..1 + random.below(40) {
                let _ = writeln!(text, "{at} {line} {}", "x".repeat(random.below(60)));
            }
            (side, text.into_bytes())
        })
        .collect()
}

/// A connection in which this is said, in segments of all lengths.
fn wire_of(turns: &Turns, random: &mut Random) -> Wire {
    let mut wire = Wire::open("10.0.0.1:40000", "10.0.0.2:7", random);
    for (side, bytes) in turns {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (now, more) = rest.split_at((1 + random.below(200)).min(rest.len()));
            wire.push(*side == Side::Client, ACK, now);
            rest = more;
        }
    }
    wire.close();
    wire
}

fn expected(turns: &Turns) -> String {
    let mut text = "transcript 1\nat tcp://10.0.0.2:7\neol lf\n".to_owned();
    for (side, bytes) in turns {
        for line in std::str::from_utf8(bytes).unwrap().lines() {
            let payload = transcript::show(line.as_bytes());
            let _ = writeln!(text, "{}: {payload}", if *side == Side::Client { "C" } else { "S" });
        }
    }
    text + "C closes\n"
}

fn packets(wire: &Wire) -> Vec<Vec<u8>> {
    wire.packets.iter().map(|packet| wire.ip(packet)).collect()
}

#[test]
fn what_was_said_comes_back_however_packets_were_repeated_and_mixed_up() {
    let mut random = Random(0x5eed);
    for round in 0..300 {
        let turns = dialogue(&mut random);
        let mut wire = wire_of(&turns, &mut random);
        // Some twice, some in larger pieces that overlap others, and all in another order.
        for _ in 0..random.below(20) {
            let mut again = wire.packets[random.below(wire.packets.len())].clone();
            let behind = wire.packets.iter().find(|packet| {
                packet.from_client == again.from_client
                    && packet.sequence == again.sequence.wrapping_add(again.bytes.len() as u32)
                    && packet.flags == ACK
                    // Nobody says what answers something before that has come.
                    && packet.acknowledged == again.acknowledged
            });
            if let Some(behind) = behind.filter(|_| again.flags == ACK && !again.bytes.is_empty()) {
                again.bytes.extend(behind.bytes.clone());
                let cut = random.below(again.bytes.len());
                again.bytes.drain(..cut);
                again.sequence = again.sequence.wrapping_add(cut as u32);
            }
            let at = random.below(wire.packets.len());
            wire.packets.insert(at, again);
        }
        let reach = [0, 3, wire.packets.len()][round % 3];
        for at in 0..wire.packets.len() {
            let other = (at + random.below(reach + 1)).min(wire.packets.len() - 1);
            wire.packets.swap(at, other);
        }
        let file = file(RAW, &packets(&wire));
        let found = survey(&file[..]).unwrap();
        assert_eq!(found.streams.len(), 1, "round {round}");
        let got = conversation(&file[..], &found, &found.streams[0]).unwrap();
        assert_eq!(got.transcript(), expected(&turns), "round {round}");
        assert!(got.notes.is_empty() && !got.is_cut, "round {round}: {:?}", got.notes);
        let said = |side| turns.iter().filter(|turn| turn.0 == side).map(|turn| turn.1.len() as u64).sum::<u64>();
        assert_eq!(found.streams[0].from_client, said(Side::Client), "round {round}");
        assert_eq!(found.streams[0].from_server, said(Side::Server), "round {round}");
    }
}

#[test]
fn what_a_capture_lacks_is_counted_and_told_where_it_lacks() {
    let mut random = Random(0xd20b);
    for round in 0..300 {
        let turns = dialogue(&mut random);
        let mut wire = wire_of(&turns, &mut random);
        let mut lost = 0;
        for _ in 0..1 + random.below(3) {
            let data: Vec<usize> = (0..wire.packets.len()).filter(|&at| !wire.packets[at].bytes.is_empty()).collect();
            if let Some(&at) = data.get(random.below(data.len())) {
                lost += wire.packets.remove(at).bytes.len();
            }
        }
        let got = read(&file(RAW, &packets(&wire)), "0");
        let text = got.transcript();
        let all: usize = turns.iter().map(|turn| turn.1.len()).sum();
        let kept = got.said(Side::Client).len() + got.said(Side::Server).len();
        assert_eq!(kept + lost, all, "round {round}");
        assert!(got.is_cut && got.notes[0].starts_with(&format!("{lost} byte")), "round {round}: {:?}", got.notes);
        let told: usize =
            text.lines().filter_map(|line| line.strip_prefix("# ")?.split(' ').next()?.parse::<usize>().ok()).sum();
        assert_eq!(told, lost, "round {round}: {text}");
        assert!(text.ends_with("C closes\n"), "round {round}: {text}");
    }
}

/// As `tcpdump dst port 7` writes it: what the other end said is known to have been there, for it was acknowledged.
#[test]
fn a_capture_of_one_direction_is_no_whole_one() {
    let mut random = Random(0x1d1);
    for round in 0..100 {
        let turns = dialogue(&mut random);
        let wire = wire_of(&turns, &mut random);
        let said = |side| turns.iter().filter(|turn| turn.0 == side).map(|turn| turn.1.len()).sum::<usize>();
        for (kept, left_out) in [(Side::Client, Side::Server), (Side::Server, Side::Client)] {
            for has_beginning in [true, false] {
                let mut one = Wire { packets: wire.packets.clone(), ..wire };
                one.packets.drain(..if has_beginning { 0 } else { 3 });
                one.packets.retain(|packet| packet.from_client == (kept == Side::Client));
                let got = read(&file(RAW, &packets(&one)), "0");
                // Whose the lower port is, is the server.
                assert_eq!((got.said(kept).len(), got.said(left_out).len()), (said(kept), 0), "round {round}");
                assert!(got.notes[0].starts_with(&format!("no packet of the {left_out} is in the capture")));
                if has_beginning {
                    let missing = said(left_out);
                    assert_eq!(got.is_cut, missing > 0, "round {round}, {kept} alone: {:?}", got.notes);
                    // An end has a number as a byte has one, and cannot be told from it.
                    let told =
                        |count| got.notes.iter().any(|note| note.starts_with(&format!("{count} bytes are missing")));
                    assert!(missing == 0 || told(missing) || told(missing + 1), "round {round}: {:?}", got.notes);
                }
            }
        }
    }
}

#[test]
fn a_capture_that_is_cut_anywhere_gives_what_came_before() {
    let mut random = Random(0xc07);
    let turns = vec![(Side::Client, b"hello there\n".to_vec()), (Side::Server, b"who is there\n".to_vec())];
    let file = file(RAW, &packets(&wire_of(&turns, &mut random)));
    for cut in 0..file.len() {
        let part = &file[..cut];
        let Ok(found) = survey(part) else {
            assert!(cut < 24, "{cut}");
            continue;
        };
        for stream in &found.streams {
            let got = conversation(part, &found, stream).unwrap();
            for (side, bytes) in &turns {
                assert!(bytes.starts_with(&got.said(*side)), "{cut}");
            }
            let _ = got.transcript();
        }
        assert!(matches!(found.end, End::Whole | End::Cut), "{cut}");
    }
}

#[test]
fn nothing_in_a_capture_makes_the_reader_fail_in_another_way_than_by_saying_so() {
    let mut random = Random(0xf022);
    let rounds = std::env::var("SOCKEYE_FUZZ").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4000);
    let turns = dialogue(&mut random);
    let wire = wire_of(&turns, &mut random);
    let mut all = packets(&wire);
    all.push(udp("[::1]:9", "[::1]:53", b"what"));
    all.push(udp("10.0.0.1:9", "10.0.0.3:53", b"what"));
    let links = [0, 1, 9, 12, 101, 108, 113, 228, 229, 276, 147];
    let section: Vec<u8> = [
        &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..],
        &[0xff; 8],
        &[28, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 101, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0],
        &[3, 0, 0, 0, 20, 0, 0, 0, 4, 0, 0, 0, 0x45, 0, 0, 0, 20, 0, 0, 0],
        &[10, 0, 0, 0, 24, 0, 0, 0, 0x4b, 0x53, 0x4c, 0x54, 4, 0, 0, 0, b'a', b'b', b'c', b'd', 24, 0, 0, 0],
    ]
    .concat();
    for _ in 0..rounds {
        let mut bytes = match random.below(3) {
            0 => [section.clone(), section.clone()].concat(),
            _ => {
                let begins = random.below(all.len());
                let ends = (begins + random.below(12)).min(all.len());
                let frames: Vec<Vec<u8>> = all[begins..ends]
                    .iter()
                    .map(|packet| {
                        let head: &[&[u8]] = &[&[], &[0, 0, 0, 2], &[0; 12], &[0xff, 3, 0, 0x21], &[0; 18]];
                        [head[random.below(head.len())], packet].concat()
                    })
                    .collect();
                file(links[random.below(links.len())], &frames)
            }
        };
        for _ in 0..random.below(12) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = [0, 1, 0x45, 0x60, 0x7f, 0x80, 0xff][random.below(7)],
                2 => bytes[at] ^= 1 << random.below(8),
                _ => {
                    let piece = bytes[at..(at + random.below(64)).min(bytes.len())].to_vec();
                    let to = random.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        let Ok(found) = survey(&bytes[..]) else { continue };
        for stream in found.streams.iter().take(4) {
            if let Ok(got) = conversation(&bytes[..], &found, stream) {
                drop(got.transcript());
            }
        }
    }
}

#[test]
fn each_kind_of_link_is_opened() {
    let mut random = Random(7);
    let turns = vec![(Side::Client, b"ping\n".to_vec()), (Side::Server, b"pong\n".to_vec())];
    for (client, server) in [("10.0.0.1:40000", "10.0.0.2:7"), ("[fe80::1]:40000", "[fe80::2]:7")] {
        let mut wire = Wire::open(client, server, &mut random);
        for (side, bytes) in &turns {
            wire.push(*side == Side::Client, ACK, bytes);
        }
        wire.close();
        let is_4 = wire.client.is_ipv4();
        let kind: [u8; 2] = if is_4 { [8, 0] } else { [0x86, 0xdd] };
        let ppp: [u8; 2] = if is_4 { [0, 0x21] } else { [0, 0x57] };
        let family: [u8; 4] = if is_4 { [2, 0, 0, 0] } else { [0, 0, 0, 10] };
        let tag = [0x81, 0, 0, 5];
        let heads: Vec<(u32, Vec<u8>)> = vec![
            (1, [&[0; 12][..], &kind].concat()),
            (1, [&[0; 12][..], &tag, &kind].concat()),
            (1, [&[0; 12][..], &[0x88, 0xa8, 0, 1], &tag, &kind].concat()),
            (1, [&[0; 12][..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 99], &ppp].concat()),
            (113, [&[0; 14][..], &kind].concat()),
            (113, [&[0; 14][..], &tag, &kind].concat()),
            (276, [&kind[..], &[0; 18]].concat()),
            (101, vec![]),
            (12, vec![]),
            (if is_4 { 228 } else { 229 }, vec![]),
            (0, family.to_vec()),
            (108, family.to_vec()),
            (9, [&[0xff, 3][..], &ppp].concat()),
            (9, ppp.to_vec()),
        ];
        for (link, head) in heads {
            // Frames are filled up to their least length; what stands behind IP is no part of it.
            let frames: Vec<Vec<u8>> =
                packets(&wire).iter().map(|packet| [&head[..], packet, &[0xee; 7]].concat()).collect();
            let text = read(&file(link, &frames), "0").transcript();
            assert!(text.ends_with("eol lf\nC: ping\nS: pong\nC closes\n"), "{link} {head:02x?}: {text}");
        }
        let found = survey(&file(147, &packets(&wire))[..]).unwrap();
        assert!(found.streams.is_empty() && found.unknown_links.contains(&147));
    }
}

#[test]
fn streams_are_numbered_as_wireshark_numbers_them() {
    let mut random = Random(11);
    let mut frames = vec![];
    for (client, said) in
        [("10.0.0.1:40000", &b"one\n"[..]), ("10.0.0.1:40001", b"two\n"), ("10.0.0.1:40000", b"three\n")]
    {
        let mut wire = Wire::open(client, "10.0.0.2:7", &mut random);
        wire.push(true, ACK, said);
        wire.close();
        frames.extend(packets(&wire));
        frames.push(udp(client, "10.0.0.2:53", said));
    }
    let file = file(RAW, &frames);
    let found = survey(&file[..]).unwrap();
    let ids: Vec<String> = found.streams.iter().map(|stream| stream.id.to_string()).collect();
    // The ports of the first are used again, by another connection; datagrams between two ports are one conversation.
    assert_eq!(ids, ["0", "udp:0", "1", "udp:1", "2"]);
    let said = |id: &str| text_of(&read(&file, id).said(Side::Client));
    assert_eq!(["0", "1", "2", "udp:0", "udp:1"].map(said), ["one\n", "two\n", "three\n", "one\nthree\n", "two\n"]);
    let missing = StreamId { protocol: sockeye::capture::Protocol::Tcp, number: 3 };
    assert!(found.stream(missing).is_none());
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_connection_that_was_there_before_is_read_from_where_it_is_seen() {
    let mut random = Random(13);
    let mut wire = Wire::open("10.0.0.1:40000", "10.0.0.2:7", &mut random);
    wire.push(true, ACK, b"before\n");
    let before = wire.packets.len();
    // A probe whether the client is still there, with a byte that it had before.
    let probe = Packet {
        from_client: false,
        sequence: wire.numbers[1].wrapping_sub(1),
        acknowledged: wire.numbers[0],
        flags: ACK,
        bytes: vec![],
    };
    wire.packets.push(probe);
    wire.push(false, ACK, b"hello\n");
    wire.push(true, ACK, b"again\n");
    wire.close();
    let file = file(RAW, &packets(&wire)[before..]);
    let got = read(&file, "0");
    let text = got.transcript();
    assert!(text.ends_with("S: hello\nC: again\nC closes\n"), "{text}");
    assert!(got.notes[0].contains("before the capture began") && got.notes[0].contains("--client"), "{:?}", got.notes);
    assert!(!got.is_cut);
}

#[test]
fn a_reset_is_one_only_where_the_side_had_not_closed() {
    let mut random = Random(17);
    let of = |random: &mut Random, ends: &[(bool, u8, &[u8])]| {
        let mut wire = Wire::open("10.0.0.1:40000", "10.0.0.2:7", random);
        wire.push(true, ACK, b"a\n");
        for (from_client, flags, bytes) in ends {
            wire.push(*from_client, *flags, bytes);
        }
        let got = read(&file(RAW, &packets(&wire)), "0");
        (got.transcript().split_once("C: a\n").unwrap().1.to_owned(), got.notes)
    };
    assert_eq!(of(&mut random, &[(true, RST | ACK, b"")]).0, "C resets\n");
    assert_eq!(of(&mut random, &[(false, RST | ACK, b"")]).0, "S resets\n");
    assert_eq!(of(&mut random, &[(false, FIN | ACK, b""), (true, RST | ACK, b"")]).0, "S stops sending\nC resets\n");
    // It closed, and what came then found nobody.
    let late = of(&mut random, &[(true, FIN | ACK, b""), (false, ACK, b"late\n"), (true, RST, b"")]);
    assert_eq!(late.0, "C stops sending\nS: late\n");
    let (text, notes) = of(&mut random, &[(true, RST | ACK, b""), (false, ACK, b"late\n")]);
    assert_eq!((text.as_str(), notes.len()), ("C resets\n", 1), "{notes:?}");
}

#[test]
fn datagrams_keep_their_bounds_and_pieces_of_them_are_put_together() {
    let long = vec![b'x'; 3000];
    let whole = udp("10.0.0.1:9", "10.0.0.2:53", &long);
    let piece = |at: usize, end: usize, more: bool| {
        let body = &whole[20..];
        let end = end.min(body.len());
        let mut packet = whole[..20].to_vec();
        packet.extend(&body[at..end]);
        let length = packet.len() as u16;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[6..8].copy_from_slice(&((at / 8) as u16 | if more { 0x2000 } else { 0 }).to_be_bytes());
        packet
    };
    let pieces = [piece(0, 1400, true), piece(1400, 2800, true), piece(2800, 9000, false)];
    let answer = udp("10.0.0.2:53", "10.0.0.1:9", b"");
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let frames: Vec<Vec<u8>> =
            order.iter().map(|&at| pieces[at].clone()).chain([pieces[1].clone(), answer.clone()]).collect();
        // The piece that came twice is one of a datagram that never is whole.
        let got = read(&file(RAW, &frames), "udp:0");
        assert_eq!((got.carrier, got.said(Side::Client)), (Carrier::Datagram, long.clone()));
        assert!(got.transcript().ends_with("S:\n"), "{}", got.transcript());
    }
    let frames = [pieces[0].clone(), pieces[2].clone(), udp("10.0.0.1:9", "10.0.0.2:53", b"short")];
    let got = read(&file(RAW, &frames), "udp:0");
    assert!(got.is_cut && got.notes[0].contains("pieces"), "{:?}", got.notes);
    assert_eq!(got.said(Side::Client), b"short");
}

#[test]
fn packets_that_were_not_kept_whole_are_told() {
    let mut random = Random(19);
    let mut wire = Wire::open("10.0.0.1:40000", "10.0.0.2:7", &mut random);
    wire.push(true, ACK, &[b"0123456789".as_slice(); 10].concat());
    wire.push(false, ACK, b"ok\n");
    wire.close();
    let file = file_cut(RAW, &packets(&wire), 60);
    let got = read(&file, "0");
    assert!(
        got.is_cut && got.notes[0].contains("80 bytes are missing") && got.notes[0].contains("-s 0"),
        "{:?}",
        got.notes
    );
    let text = got.transcript();
    assert!(
        text.ends_with("C raw: 01234567890123456789\n# 80 bytes of the client are missing here\nS: ok\nC closes\n"),
        "{text}"
    );
}

#[test]
fn a_conversation_that_no_transcript_can_hold_is_refused_and_not_held() {
    let mut random = Random(23);
    let mut wire = Wire::open("10.0.0.1:40000", "10.0.0.2:7", &mut random);
    let piece = vec![b'x'; 60_000];
    for _ in 0..1200 {
        wire.push(true, ACK, &piece);
    }
    let file = file(RAW, &packets(&wire));
    let found = survey(&file[..]).unwrap();
    assert_eq!(found.streams[0].from_client, 72_000_000);
    let refused = conversation(&file[..], &found, &found.streams[0]).unwrap_err();
    assert_eq!(refused.to_string(), "stream 0 has more than 16 MiB, and a transcript has no more");
}
