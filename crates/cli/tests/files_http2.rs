//! `serve --files` under attacks that only HTTP/2 has (rows 6 and 60 of the faults, in its words): each ends its own
//! connection, and no other client notices.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::http2::frame;
use support::{Server, files_of, resident, stuff, until};

/// `GET /large`, packed.
const ASKED: &[u8] = b"\x82\x86\x04\x06/large\x41\x09localhost";
/// As many as one connection may hold open.
const FILES: usize = sockeye::limits::STREAM_FILES;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

fn begin(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    // A window of nothing: no answer is taken.
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    stream.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat()).unwrap();
    stream
}

/// Whether the server ended the connection for this reason (RFC 9113, section 7).
fn is_sent_away(stream: &mut TcpStream, reason: u8) -> bool {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let mut rest = said.as_slice();
    while let [a, b, c, kind, _, s @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *kind == GOAWAY {
            return s[4 + 4..4 + 8] == [0, 0, 0, reason];
        }
        rest = &s[4 + length..];
    }
    false
}

fn is_served(server: &Server) {
    let mut stream = server.connect();
    stream.write_all(b"HEAD /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    // The name as browsers know it, byte for byte.
    assert!(said.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{said}");
}

#[test]
fn floods_end_their_own_connection_and_cost_nobody_else() {
    const ENHANCE_YOUR_CALM: u8 = 11;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), vec![0; 1 << 20]).unwrap();
    let server = Server::start_at(&["http://127.0.0.1:0"], &["--files", folder.path().to_str().unwrap(), "-q"]);
    is_served(&server);
    let (before, files) = (resident(server.child.id()), files_of(server.child.id()));
    // Requests that are taken back at once (CVE-2023-44487).
    let mut stream = begin(&server);
    for number in 0..20_000 {
        let id = 2 * number + 1;
        let both = [frame(HEADERS, 5, id, ASKED), frame(RST_STREAM, 0, id, &[0, 0, 0, 8])].concat();
        if stream.write_all(&both).is_err() {
            break;
        }
    }
    assert!(is_sent_away(&mut stream, ENHANCE_YOUR_CALM));
    is_served(&server);
    // A head that never ends (CVE-2024-24549 and its kin), in large pieces and in empty ones.
    for piece in [b"\x40\x03abc\x05bbbbb".repeat(500), vec![]] {
        let mut stream = begin(&server);
        stream.write_all(&frame(HEADERS, 1, 1, ASKED)).unwrap();
        while stream.write_all(&frame(CONTINUATION, 0, 1, &piece)).is_ok() {}
        let _ = is_sent_away(&mut stream, ENHANCE_YOUR_CALM);
        is_served(&server);
    }
    // As many answers at once as it takes, of which none is taken, and one more than that.
    let mut stuck = begin(&server);
    for number in 0..200 {
        stuck.write_all(&frame(HEADERS, 5, 2 * number + 1, ASKED)).unwrap();
    }
    // Nor are answers to these.
    let mut deaf = begin(&server);
    stuff(&mut deaf, &frame(PING, 0, 0, b"12345678"), &server);
    is_served(&server);
    until("its answers have begun", || files_of(server.child.id()) >= files + FILES);
    // Connections that were sent away may still be drained.
    let open = files_of(server.child.id());
    assert!(open < files + FILES + 10, "{files}, then {open}");
    let after = resident(server.child.id());
    assert!(after < before + 8 * 1024, "{before} KiB, then {after} KiB");
    drop((stuck, deaf));
    until("every file is closed", || files_of(server.child.id()) <= files);
}

/// Reads frames up to the answer to a PING; how many heads of answers came.
fn heads_before_pong(stream: &mut TcpStream) -> usize {
    let mut heads = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).unwrap();
        match (head[3], head[4]) {
            (HEADERS, _) => heads += 1,
            (PING, 1) => return heads,
            _ => {}
        }
    }
}

/// Under few open files a client of HTTP/2 that takes nothing leaves the others theirs, and all its answers come in the end.
#[test]
fn one_client_that_asks_for_much_does_not_hold_all_files() {
    for (limit, clients, most) in [(64, 1, 9), (64, 6, 6 + 8), (256, 3, 3 + 32)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("large"), vec![0; 1 << 20]).unwrap();
        let (nofile, path) = (format!("--nofile={limit}:{limit}"), folder.path().to_str().unwrap());
        let server = Server::start_with(&["prlimit", &nofile], &["http://127.0.0.1:0"], &["--files", path, "-q"]);
        is_served(&server);
        let mut stuck: Vec<TcpStream> = (0..clients).map(|_| begin(&server)).collect();
        let mut held = 0;
        for stream in &mut stuck {
            let asks: Vec<u8> = (0..60).flat_map(|number| frame(HEADERS, 5, 2 * number + 1, ASKED)).collect();
            let ping = frame(PING, 0, 0, b"12345678");
            stream.write_all(&[&asks, &ping[..]].concat()).unwrap();
            // The answer to a PING goes first. Each has one file at least.
            let mut heads = heads_before_pong(stream);
            stream.write_all(&ping).unwrap();
            heads += heads_before_pong(stream);
            assert!(heads >= 1, "{limit}");
            held += heads;
        }
        assert!(held <= most, "{limit}: {held} for {clients}");
        // A client that does not read over HTTP/1 has a file too, and so has the next client.
        let deaf: Vec<TcpStream> = (0..8)
            .map(|_| {
                let mut client = server.connect();
                client.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
                let mut said = [0; 15];
                client.read_exact(&mut said).unwrap();
                assert_eq!(&said, b"HTTP/1.1 200 OK");
                client
            })
            .collect();
        is_served(&server);
        drop(deaf);
        // A window that opens lets all of them come, one after another.
        let mut first = stuck.swap_remove(0);
        drop(stuck);
        let window = |stream| frame(8, 0, stream, &0x3fff_0000_u32.to_be_bytes());
        let windows: Vec<u8> = (0..60).flat_map(|number| window(2 * number + 1)).collect();
        first.write_all(&[window(0), frame(SETTINGS, 0, 0, &[0, 4, 0x10, 0, 0, 0]), windows].concat()).unwrap();
        let mut came = 0;
        while came < 60 << 20 {
            let mut head = [0; 9];
            first.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            first.read_exact(&mut vec![0; length]).unwrap();
            came += if head[3] == 0 { length } else { 0 };
            assert!(![RST_STREAM, GOAWAY].contains(&head[3]));
        }
    }
}
