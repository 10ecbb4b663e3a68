//! `serve --files` under attacks that only HTTP/2 has (rows 6 and 60 of the faults, in its words): each ends its own
//! connection, and nobody else notices.
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
