//! What passes the sockets of a relay, written as packets: a file that network analysers open, with the secrets of TLS on both
//! sides in it. The kernel tells of no packets, so they are made from what was read and written, each acknowledged at once.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::pcapng::{self, ACK, FIN, PSH, RST, SYN, Segment};
use super::poll::End;
use crate::endpoint::Name;
use crate::net::tls::Secrets;

/// Bytes of one packet at most, so that its length can be written.
const LONGEST: usize = 32 * 1024;

/// Most bytes of a datagram over IPv4 (RFC 768, RFC 791).
const MOST_OF_DATAGRAM: usize = 65_507;

/// A capture file.
#[derive(Debug)]
pub(crate) struct Capture(Mutex<State>);

#[derive(Debug)]
struct State {
    file: File,
    /// Bytes of whole blocks in it.
    whole: u64,
    /// Another program opened it: what is in it is not ours to take back.
    is_given: bool,
    failed: Option<io::Error>,
    is_over: bool,
}

impl Capture {
    /// Begins a file; what it held is gone.
    ///
    /// # Errors
    /// As open(2) and write(2).
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Self::begin(File::create(path)?, false)
    }

    /// The same in what is open already.
    ///
    /// # Errors
    /// As write(2).
    pub(crate) fn over(file: File) -> io::Result<Self> {
        Self::begin(file, true)
    }

    fn begin(mut file: File, is_given: bool) -> io::Result<Self> {
        let head = pcapng::head(&["clients", "servers"]);
        file.write_all(&head)?;
        Ok(Self(Mutex::new(State { file, whole: head.len() as u64, is_given, failed: None, is_over: false })))
    }

    /// Why it is not whole, told once.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.state().failed.take()
    }

    /// One datagram from one address to another.
    pub(super) fn datagram(&self, end: End, from: &Name, to: &Name, bytes: &[u8]) {
        if let (Name::Inet(from), Name::Inet(to)) = (from, to) {
            let mut out = Vec::new();
            pcapng::packet(end as u32, now(), &pcapng::datagram(*from, *to, bytes), &mut out);
            self.write(&out);
        }
    }

    fn write(&self, blocks: &[u8]) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        match state.file.write_all(blocks) {
            Ok(()) => state.whole += blocks.len() as u64,
            Err(error) => {
                // What is there stays whole blocks. A pipe has no length; there, too, the reader has what it read.
                if !state.is_given {
                    let _ = state.file.set_len(state.whole);
                }
                (state.failed, state.is_over) = (Some(error), true);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets for Capture {
    fn tell(&self, label: &str, random: &[u8], secret: &[u8]) {
        let mut line = format!("{label} ");
        for (bytes, behind) in [(random, ' '), (secret, '\n')] {
            for byte in bytes {
                let _ = write!(line, "{byte:02x}");
            }
            line.push(behind);
        }
        let mut out = Vec::new();
        pcapng::secrets(&line, &mut out);
        self.write(&out);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// One socket's part of a capture.
#[derive(Debug)]
pub(super) struct SocketCapture {
    capture: Arc<Capture>,
    end: End,
    ours: Half,
    peer: Half,
    /// It was reset.
    is_over: bool,
    /// What passes are datagrams, which have no connection around them.
    has_datagrams: bool,
}

#[derive(Debug, Clone, Copy)]
struct Half {
    address: SocketAddr,
    /// The number of the next byte.
    sequence: u32,
    has_ended: bool,
}

/// The addresses that packets have. A Unix socket has none: it gets one that tells connections apart.
fn address(name: &Name, number: u64, is_client: bool) -> SocketAddr {
    match name {
        Name::Inet(address) => *address,
        _ if is_client => SocketAddr::from(([127, 0, 0, 1], 1024 + (number % 64_000) as u16)),
        _ => SocketAddr::from(([127, 0, 0, 2], 1)),
    }
}

impl SocketCapture {
    /// A connection between two names, of which the first connected.
    pub(super) fn between(capture: &Arc<Capture>, end: End, client: &Name, server: &Name, number: u64) -> Box<Self> {
        let (client, server) = (address(client, number, true), address(server, number, false));
        let (ours, peer) = if end == End::Near { (server, client) } else { (client, server) };
        Box::new(Self::new(Arc::clone(capture), end, ours, peer, number))
    }

    /// The same of an exchange of messages, each of which is written as a datagram.
    pub(super) fn of_messages(
        capture: &Arc<Capture>,
        end: End,
        client: &Name,
        server: &Name,
        number: u64,
    ) -> Box<Self> {
        let (client, server) = (address(client, number, true), address(server, number, false));
        let (ours, peer) = if end == End::Near { (server, client) } else { (client, server) };
        let half = |address| Half { address, sequence: 0, has_ended: false };
        let (capture, ours, peer) = (Arc::clone(capture), half(ours), half(peer));
        Box::new(Self { capture, end, ours, peer, is_over: false, has_datagrams: true })
    }

    /// A connection that stands: its first packets are made.
    fn new(capture: Arc<Capture>, end: End, ours: SocketAddr, peer: SocketAddr, number: u64) -> Self {
        let half = |address, sequence| Half { address, sequence, has_ended: false };
        let begins = (number as u32).wrapping_mul(0x9e37_79b1);
        let (ours, peer) = (half(ours, begins), half(peer, !begins));
        let mut wire = Self { capture, end, ours, peer, is_over: false, has_datagrams: false };
        let mut out = Vec::new();
        // Who connected begins.
        let we_begin = end == End::Far;
        wire.push(we_begin, SYN, &[], &mut out);
        wire.push(!we_begin, SYN | ACK, &[], &mut out);
        wire.push(we_begin, ACK, &[], &mut out);
        wire.capture.write(&out);
        wire
    }

    fn push(&mut self, is_ours: bool, flags: u8, bytes: &[u8], out: &mut Vec<u8>) {
        let (from, to) = if is_ours { (&mut self.ours, &self.peer) } else { (&mut self.peer, &self.ours) };
        let acknowledged = if flags & ACK == 0 { 0 } else { to.sequence };
        let (sequence, to) = (from.sequence, to.address);
        let segment = Segment { from: from.address, to, sequence, acknowledged, flags, bytes };
        pcapng::packet(self.end as u32, now(), &segment.packet(), out);
        from.sequence = sequence.wrapping_add(bytes.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
    }

    fn passed(&mut self, is_ours: bool, bytes: &[u8]) {
        if self.has_datagrams {
            let (from, to) = if is_ours { (&self.ours, &self.peer) } else { (&self.peer, &self.ours) };
            // Longer ones than a packet can say are those of Unix sockets.
            let shown = &bytes[..bytes.len().min(MOST_OF_DATAGRAM)];
            self.capture.datagram(self.end, &Name::Inet(from.address), &Name::Inet(to.address), shown);
            return;
        }
        let mut out = Vec::with_capacity(bytes.len() + 256);
        for piece in bytes.chunks(LONGEST) {
            self.push(is_ours, PSH | ACK, piece, &mut out);
            self.push(!is_ours, ACK, &[], &mut out);
        }
        self.capture.write(&out);
    }

    fn ends(&mut self, is_ours: bool, flags: u8) {
        let half = if is_ours { &mut self.ours } else { &mut self.peer };
        let had_ended = std::mem::replace(&mut half.has_ended, true);
        if self.is_over || self.has_datagrams || had_ended && flags & FIN != 0 {
            return;
        }
        self.is_over = flags & RST != 0;
        let mut out = Vec::new();
        self.push(is_ours, flags, &[], &mut out);
        if flags & FIN != 0 {
            self.push(!is_ours, ACK, &[], &mut out);
        }
        self.capture.write(&out);
    }

    pub(super) fn received(&mut self, bytes: &[u8]) {
        self.passed(false, bytes);
    }

    pub(super) fn sent(&mut self, bytes: &[u8]) {
        self.passed(true, bytes);
    }

    pub(super) fn peer_ended(&mut self) {
        self.ends(false, FIN | ACK);
    }

    pub(super) fn ended(&mut self) {
        self.ends(true, FIN | ACK);
    }

    pub(super) fn peer_reset(&mut self) {
        self.ends(false, RST | ACK);
    }

    pub(super) fn reset(&mut self) {
        self.ends(true, RST | ACK);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 4711);
    const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 80);

    fn names() -> (Name, Name) {
        (Name::Inet(CLIENT.into()), Name::Inet(SERVER.into()))
    }

    /// Packets of a file: the interface, and what is behind the header of IPv4.
    fn packets(file: &mut File) -> Vec<(u32, Vec<u8>)> {
        let mut all = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut all).unwrap();
        let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (mut rest, mut found) = (&all[..], Vec::new());
        while !rest.is_empty() {
            let (block, behind) = rest.split_at(number(rest, 4) as usize);
            if number(block, 0) == 6 {
                let length = number(block, 20) as usize;
                found.push((number(block, 8), block[28 + 20..28 + length].to_vec()));
            }
            rest = behind;
        }
        found
    }

    /// The segments of a file: who sends, with which flags, and what.
    fn segments(file: &mut File) -> Vec<(u16, u8, String)> {
        let port = |tcp: &[u8]| u16::from_be_bytes([tcp[0], tcp[1]]);
        let bytes = |tcp: &[u8]| String::from_utf8_lossy(&tcp[usize::from(tcp[12] >> 4) * 4..]).into_owned();
        packets(file).iter().map(|(_, tcp)| (port(tcp), tcp[13], bytes(tcp))).collect()
    }

    fn captured(end: End, act: impl FnOnce(&mut SocketCapture)) -> Vec<(u16, u8, String)> {
        let mut file = tempfile::tempfile().unwrap();
        let capture = Arc::new(Capture::over(file.try_clone().unwrap()).unwrap());
        let (client, server) = names();
        act(&mut SocketCapture::between(&capture, end, &client, &server, 1));
        segments(&mut file)
    }

    fn told(rows: &[(u16, u8, &str)]) -> Vec<(u16, u8, String)> {
        rows.iter().map(|(port, flags, bytes)| (*port, *flags, (*bytes).to_owned())).collect()
    }

    #[test]
    fn what_passes_and_each_end_is_acknowledged_by_the_other_side() {
        let (client, server) = (CLIENT.1, SERVER.1);
        let begins = [(client, SYN, ""), (server, SYN | ACK, ""), (client, ACK, "")];
        let passes = [
            (client, PSH | ACK, "ping"),
            (server, ACK, ""),
            (server, PSH | ACK, "pong"),
            (client, ACK, ""),
            (client, FIN | ACK, ""),
            (server, ACK, ""),
            (server, FIN | ACK, ""),
            (client, ACK, ""),
        ];
        let expected = told(&[&begins[..], &passes[..]].concat());
        // The socket of the client, on which we are the server, and that of the server, on which we are the client.
        let near = captured(End::Near, |socket| {
            socket.received(b"ping");
            socket.sent(b"pong");
            socket.peer_ended();
            socket.ended();
            // An end is one, however often it is said.
            socket.ended();
        });
        assert_eq!(near, expected);
        let far = captured(End::Far, |socket| {
            socket.sent(b"ping");
            socket.received(b"pong");
            socket.ended();
            socket.peer_ended();
        });
        assert_eq!(far, expected);
    }

    #[test]
    fn nobody_acknowledges_a_reset_and_nothing_ends_behind_it() {
        let (client, server) = (CLIENT.1, SERVER.1);
        let by_peer = captured(End::Near, |socket| {
            socket.peer_reset();
            socket.ended();
        });
        assert_eq!(by_peer[3..], told(&[(client, RST | ACK, "")]));
        let by_us = captured(End::Near, |socket| {
            socket.ended();
            socket.reset();
            socket.peer_ended();
        });
        let ends = [(server, FIN | ACK, ""), (client, ACK, ""), (server, RST | ACK, "")];
        assert_eq!(by_us[3..], told(&ends));
    }

    #[test]
    fn messages_are_datagrams_without_a_connection_around_them() {
        let mut file = tempfile::tempfile().unwrap();
        let capture = Arc::new(Capture::over(file.try_clone().unwrap()).unwrap());
        let (client, server) = names();
        let mut socket = SocketCapture::of_messages(&capture, End::Far, &client, &server, 1);
        socket.sent(b"ping");
        socket.received(b"pong");
        socket.peer_ended();
        socket.reset();
        let sent = [&CLIENT.1.to_be_bytes()[..], &SERVER.1.to_be_bytes(), &[0, 12]].concat();
        let came = [&SERVER.1.to_be_bytes()[..], &CLIENT.1.to_be_bytes(), &[0, 12]].concat();
        let found = packets(&mut file);
        let found: Vec<_> = found.iter().map(|(interface, udp)| (*interface, &udp[..6], &udp[8..])).collect();
        assert_eq!(found, [(1, &sent[..], &b"ping"[..]), (1, &came[..], &b"pong"[..])]);
    }

    #[test]
    fn a_file_that_takes_no_more_is_told_of_once_and_gets_nothing_more() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let capture = Capture::over(File::from(std::os::fd::OwnedFd::from(writer))).unwrap();
        assert!(capture.take_failure().is_none());
        reader.read_exact(&mut [0; 28]).unwrap();
        drop(reader);
        let (client, server) = names();
        capture.datagram(End::Near, &client, &server, b"lost");
        assert_eq!(capture.take_failure().map(|error| error.kind()), Some(io::ErrorKind::BrokenPipe));
        // What comes later is not tried.
        capture.datagram(End::Near, &client, &server, b"lost");
        assert!(capture.take_failure().is_none());
    }

    #[test]
    fn secrets_are_lines_of_a_key_log() {
        let mut file = tempfile::tempfile().unwrap();
        let capture = Capture::over(file.try_clone().unwrap()).unwrap();
        capture.tell("CLIENT_RANDOM", &[0x01, 0xff], &[0xab]);
        let mut all = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut all).unwrap();
        let line = b"CLIENT_RANDOM 01ff ab\n";
        assert!(all.windows(line.len()).any(|window| window == line));
        assert!(packets(&mut file).is_empty());
    }

    #[test]
    fn connections_of_a_unix_socket_have_ports_that_tell_them_apart() {
        let port = |number| address(&Name::Unnamed, number, true).port();
        assert_eq!((port(1), port(2), port(5000), port(63_999)), (1025, 1026, 6024, 65_023));
        assert_ne!(address(&Name::Unnamed, 1, false), address(&Name::Unnamed, 1, true));
    }
}
