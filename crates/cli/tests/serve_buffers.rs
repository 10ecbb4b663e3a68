//! What clients leave half said is bounded in all, and who ended a conversation is told as it was.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::peers::Authority;
use support::*;

fn file(folder: &Path, text: &str) -> String {
    let path = folder.join("mock.talk");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Without a gap a line waits for its end.
const GREET: &str = "S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\n";

const WHY: &str = "all buffers together reached their bound";

/// Clients that each leave so many bytes unsaid to their end; those that the server closed may not take all.
fn unfinished(server: &Server, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let mut client = server.connect();
        let _ = client.write_all(bytes);
        client
    };
    (0..count).map(connect).collect()
}

#[test]
fn many_unfinished_lines_are_bounded_and_the_longest_waiting_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), GREET);
    let arguments = ["--play", &path, "--max-memory", "4MiB"];
    let server = Server::start_with(&["prlimit", "--nofile=8192:8192"], &["tcp://127.0.0.1:0"], &arguments);
    let before = server.resident();
    let mut clients = unfinished(&server, 399, &[b'x'; 65_000]);
    server.log.wait_for(WHY);
    // The threads take them in no order among each other.
    wait_until_idle(server.child.id());
    let mut last = unfinished(&server, 1, &[b'x'; 65_000]).remove(0);
    assert!(server.log.wait_for("4096 KiB (--max-memory)").contains("the conversation that waited longest goes first"));
    let mut fresh = server.welcomed();
    fresh.write_all(b"Ann\n").unwrap();
    assert_eq!(line(&mut fresh), "Hello, Ann!\n");
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 3 * 4096, "{grown} KiB");
    // The last one is still there: its line can be ended. The first is gone.
    last.write_all(b"\n").unwrap();
    assert_eq!(read(&mut last, 9), b"Welcome!\n");
    assert_eq!(line(&mut last).len(), "Hello, !\n".len() + 65_000);
    let mut first = Vec::new();
    let _ = clients[0].read_to_end(&mut first);
    assert!(first.len() <= 9);
}

/// A client that goes on begins to wait again, even if it leaves something unfinished again.
#[test]
fn a_client_that_went_on_is_not_the_one_that_waited_longest() {
    const HALF: &[u8] = &[b'y'; 10_000];
    let folder = tempfile::tempdir().unwrap();
    let long = text(&HALF.repeat(2));
    let path = file(folder.path(), &format!("S: Welcome!\nrepeat\n  C: {long}\n  S: ok\nend\n"));
    let arguments = ["--play", &path, "--max-memory", "4MiB"];
    let server = Server::start_with(&["prlimit", "--nofile=8192:8192"], &["tcp://127.0.0.1:0"], &arguments);
    let waits = || {
        let mut client = server.welcomed();
        let _ = client.write_all(long.as_bytes());
        wait_until_idle(server.child.id());
        client
    };
    let mut first = waits();
    // They are many more than have to go.
    let others: Vec<TcpStream> = (0..100).map(|_| waits()).collect();
    first.write_all(&[b"\n", HALF].concat()).unwrap();
    assert_eq!(line(&mut first), "ok\n");
    let mut more = Vec::new();
    while !server.log.all().iter().any(|line| line.contains(WHY)) {
        more.push(waits());
    }
    first.write_all(&[HALF, b"\n"].concat()).unwrap();
    assert_eq!(line(&mut first), "ok\n");
    drop((others, more));
}

/// Under a limit of the system's the bound is a part of what that leaves; nothing aborts.
#[test]
fn under_a_limit_of_memory_nothing_that_clients_hold_back_ends_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let others = tempfile::tempdir().unwrap();
    let lines = file(others.path(), GREET);
    let raw = file(folder.path(), "C: go\nS: ok\nC raw: {x:1000000 bytes}\nS: thanks\nC: bye\nS closes\n");
    for (limit, arguments, bytes) in [
        ("--as=200000000", vec!["--play", &lines], vec![b'x'; 65_000]),
        ("--as=200000000", vec!["--play", &raw], [b"go\n".to_vec(), vec![b'y'; 900_000]].concat()),
        ("--data=100000000", vec!["--play", &lines], vec![b'x'; 65_000]),
        ("--as=400000000", vec!["--play", &lines, "--threads", "8"], vec![b'x'; 65_000]),
    ] {
        let wrapper = ["prlimit", limit, "--nofile=8192:8192"];
        let mut server = Server::start_with(&wrapper, &["tcp://127.0.0.1:0"], &arguments);
        let count = 300_000_000 / bytes.len();
        let _clients = unfinished(&server, count, &bytes);
        server.log.wait_for(WHY);
        let mut fresh = server.connect();
        fresh.write_all(if bytes[0] == b'x' { b"Ann\n" } else { b"go\n" }).unwrap();
        assert!(!line(&mut fresh).is_empty());
        assert!(server.child.try_wait().unwrap().is_none());
    }
}

/// What TLS keeps of its own is in the bound: unfinished lines inside, and handshakes that are not finished either.
#[test]
fn under_a_limit_of_memory_no_client_that_speaks_tls_ends_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), &format!("starttls\n{GREET}"));
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let at = |name: &str| folder.path().join(name).display().to_string();
    let arguments = ["--play", &path, "--cert", &at("good.pem"), "--key", &at("good.key")];
    let wrapper = ["prlimit", "--as=200000000", "--nofile=8192:8192"];
    let mut server = Server::start_with(&wrapper, &["tcp://127.0.0.1:0"], &arguments);
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(at("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(trusted).with_no_client_auth());
    let connect = || {
        let session = ClientConnection::new(Arc::clone(&config), "localhost".try_into().unwrap()).unwrap();
        let mut client = StreamOwned::new(session, server.connect());
        assert_eq!(read(&mut client, 9), b"Welcome!\n");
        client
    };
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let mut client = connect();
        let _ = client.write_all(&[b'x'; 60_000]);
        clients.push(client);
    }
    server.log.wait_for(WHY);
    // The beginning of a ClientHello that says that it is long (RFC 8446, section 4).
    let hello = [&[22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 16_000]].concat();
    let begun = unfinished(&server, 2000, &hello);
    let mut fresh = connect();
    fresh.write_all(b"Ann\n").unwrap();
    assert_eq!(line(&mut fresh), "Hello, Ann!\n");
    assert!(server.child.try_wait().unwrap().is_none());
    drop((clients, begun, fresh));
    assert_eq!(server.stop().0, 0);
}

/// A server that is stopped reads what has come to all of them, and makes room meanwhile.
#[test]
fn under_a_limit_of_memory_a_server_can_be_stopped_while_many_ask() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large"), vec![0; 100_000]).unwrap();
    let wrapper = ["prlimit", "--as=200000000", "--nofile=8192:8192"];
    let arguments = ["--files", folder.path().to_str().unwrap(), "-q"];
    let mut server = Server::start_with(&wrapper, &["http://127.0.0.1:0"], &arguments);
    // A hundred requests over HTTP/2, of which no answer is taken.
    let mut asks = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &http2::frame(4, 0, 0, &[0, 4, 0, 0, 0, 0])].concat();
    for number in 0..100 {
        asks.extend(http2::frame(1, 5, 2 * number + 1, b"\x82\x86\x04\x06/large\x41\x09localhost"));
    }
    // They are gone before all of it is read, and so is the server.
    for _ in 0..2000 {
        server.connect().write_all(&asks).unwrap();
    }
    server.signal("TERM");
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
}

/// A field that stands in no table of HTTP/2's.
fn field(first: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let rest = value.len().checked_sub(127).map(|rest| [(rest & 127 | 128) as u8, (rest >> 7) as u8]);
    let length = rest.map_or(vec![value.len() as u8], |rest| [&[127][..], &rest].concat());
    [&[first, name.len() as u8], name.as_bytes(), &length, value].concat()
}

/// What HTTP/2 keeps for a client is many times what it said: heads that do not end, names that it may refer to later,
/// uploads that wait for their turn.
#[test]
fn what_clients_of_http2_leave_half_said_is_bounded_too() {
    const ASKS: &[u8] = b"\x82\x86\x04\x06/small\x41\x09localhost";
    const PUTS: &[u8] = b"\x42\x03PUT\x86\x04\x04/new\x41\x09localhost";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small"), "small").unwrap();
    let long = || (0..15).flat_map(|number| field(0, &format!("x-{number}"), &[b'v'; 1000]));
    let fields = |count: usize| (0..count).flat_map(|number| field(0, &format!("x{number:04x}"), b""));
    let half = |fields: Vec<u8>| http2::frame(1, 0, 1, &[ASKS, &fields].concat());
    let asks = |number: u32, fields: Vec<u8>| http2::frame(1, 5, 2 * number + 1, &[ASKS, &fields].concat());
    let named = |number: u32, more: Vec<u8>| [field(0x40, &format!("n{number}"), b"v"), more].concat();
    let puts = |number: u32| {
        let head = http2::frame(1, 4, 2 * number + 1, &[PUTS, &long().collect::<Vec<_>>()].concat());
        [head, http2::frame(0, 0, 2 * number + 1, &[0; 10_000])].concat()
    };
    for (what, clients, said) in [
        ("few fields of a head", 1000, half(fields(180).collect())),
        ("many fields of a head", 120, half(fields(1700).collect())),
        ("one field again and again", 250, half([field(0x40, "a", b"v"), vec![0xbe; 1700]].concat())),
        ("a long string of a head", 500, half([&b"\0\x01a\x7f\xff\xff\x01"[..], &[b'v'; 16_000]].concat())),
        (
            "a head of several frames",
            150,
            [half(long().collect()), http2::frame(9, 0, 1, &long().collect::<Vec<_>>())].concat(),
        ),
        ("a frame that is not whole", 700, http2::frame(0x55, 0, 0, &[0; 16_000])[..15_000].to_vec()),
        (
            "names with long requests",
            30,
            (0..110).flat_map(|number| asks(number, named(number, long().collect()))).collect(),
        ),
        (
            "names between other frames",
            40,
            (0..110)
                .flat_map(|number| {
                    [asks(number, named(number, vec![])), http2::frame(0x55, 0, 0, &[0; 16_000])].concat()
                })
                .collect(),
        ),
        ("uploads that wait", 60, (0..60).flat_map(puts).collect()),
    ] {
        let arguments = ["--files", folder.path().to_str().unwrap(), "--upload", "--max-memory", "8MiB"];
        let server = Server::start_with(&["prlimit", "--nofile=8192:8192"], &["http://127.0.0.1:0"], &arguments);
        let before = server.resident();
        let said = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &http2::frame(4, 0, 0, &[]), &said].concat();
        let clients = unfinished(&server, clients, &said);
        server.log.wait_for(WHY);
        let mut fresh = server.connect();
        fresh.write_all(b"GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        assert!(to_end(&mut fresh).ends_with(b"small"), "{what}");
        let grown = server.resident().saturating_sub(before);
        assert!(grown < 24 * 1024, "{what}: {grown} KiB");
        drop((clients, fresh));
        assert_eq!(server.stop().0, 0);
    }
}

/// The head of an upload is kept until all of its content is there.
#[test]
fn heads_of_uploads_that_do_not_end_are_bounded_too() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--files", folder.path().to_str().unwrap(), "--upload", "--max-memory", "4MiB"];
    let server = Server::start_with(&["prlimit", "--nofile=8192:8192"], &["http://127.0.0.1:0"], &arguments);
    let fields: String = (0..60).map(|number| format!("x-{number}: {}\r\n", "v".repeat(1000))).collect();
    let head = format!("PUT /new HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n{fields}\r\n");
    let clients = unfinished(&server, 150, &[head.as_bytes(), b"half"].concat());
    server.log.wait_for(WHY);
    // The last one is still there.
    let mut last = &clients[149];
    last.write_all(b" a file").unwrap();
    assert!(support::head(&mut last).starts_with("HTTP/1.1 201 "));
}

#[test]
fn open_plays_over_datagrams_with_what_they_captured_are_bounded_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "C: {x}\nS: ok\nC: {y}\nS: {x}{y}\n");
    let server = Server::start_at(&["udp://127.0.0.1:0"], &["--play", &path, "--max-memory", "4MiB"]);
    let clients: Vec<_> = (0..400).map(|_| server.datagrams()).collect();
    for client in &clients {
        client.send(&[b'x'; 30_000]).unwrap();
        assert_eq!(client.recv(&mut [0; 8]).unwrap(), 2);
    }
    server.log.wait_for(WHY);
    let last = clients.last().unwrap();
    last.send(b"y").unwrap();
    assert_eq!(last.recv(&mut [0; 65_536]).unwrap(), 30_001);
}

/// A play that was not played to its end is none that went as written, over whatever it was.
#[test]
fn one_that_had_to_go_counts_alike_over_streams_and_datagrams() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "C: {x}\nS: ok\nC: {y}\nS: {x}{y}\n");
    let arguments = ["--play", &path, "--max-memory", "4MiB"];
    let [over_stream, over_datagrams] = ["tcp", "udp"].map(|scheme| {
        let address = format!("{scheme}://127.0.0.1:0");
        let server = Server::start_with(&["prlimit", "--nofile=8192:8192"], &[&address], &arguments);
        let (mut streams, mut sockets) = (vec![], vec![]);
        for _ in 0..400 {
            if scheme == "udp" {
                let client = server.datagrams();
                client.send(&[b'x'; 30_000]).unwrap();
                assert_eq!(client.recv(&mut [0; 8]).unwrap(), 2);
                sockets.push(client);
            } else {
                let mut client = server.connect();
                let _ = client.write_all(&[&[b'x'; 30_000][..], b"\n"].concat());
                streams.push(client);
            }
        }
        server.log.wait_for(WHY);
        // The clients are there until the end: none of them ends its play.
        let stopped = server.stop();
        drop((streams, sockets));
        stopped
    });
    for (status, log) in [over_stream, over_datagrams] {
        let summary = log.last().unwrap();
        let failed: usize = summary.split(", ").find_map(|part| part.strip_suffix(" not")).unwrap().parse().unwrap();
        assert!(failed > 0, "{summary}");
        assert_eq!(status, 0, "{summary}");
    }
}

#[test]
fn where_plays_are_judged_one_that_had_to_go_is_a_failed_play() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), GREET);
    let arguments = ["--play", &path, "--max-memory", "4MiB", "--strict"];
    let server = Server::start_with(&["prlimit", "--nofile=8192:8192"], &["tcp://127.0.0.1:0"], &arguments);
    let clients = unfinished(&server, 100, &[b'x'; 65_000]);
    server.log.wait_for(WHY);
    drop(clients);
    assert_eq!(server.stop().0, 1);
}

const ASK: &str = "S: hi\nrepeat\n  C: {x}\n  S: {x}!\nend\nC: exit\nS closes\n";

/// The side that sent the first end that was read or sent closed it.
#[test]
fn who_closed_first_is_told_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), ASK);
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path]);
    let closed = |number: usize| server.log.wait_for(&format!("closed #{number} "));
    // Its end finishes the line, and is there before ours.
    let mut client = server.connect();
    client.write_all(b"exit").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"hi\n");
    assert!(closed(1).contains(" by client"), "{}", closed(1));
    // Ours is sent at `exit`, before anything else came.
    let mut client = server.connect();
    client.write_all(b"exit\n").unwrap();
    assert_eq!(to_end(&mut client), b"hi\n");
    drop(client);
    assert!(closed(2).contains(" by server"), "{}", closed(2));
    // It leaves between two rounds, and it fails and leaves.
    let mut client = server.connect();
    // What is left unread would make a reset of it.
    client.read_exact(&mut [0; 3]).unwrap();
    drop(client);
    assert!(closed(3).contains(" by client"), "{}", closed(3));
    // Ours stands in the middle of the file.
    let path = file(folder.path(), "S: hi\nS stops sending\nC: bye\nC closes\n");
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path]);
    let mut client = server.connect();
    assert_eq!(to_end(&mut client), b"hi\n");
    client.write_all(b"bye\n").unwrap();
    drop(client);
    let line = server.log.wait_for("closed #1 ");
    assert!(line.contains(" by server"), "{line}");
    // Over echo and discard too.
    for role in ["--echo", "--discard"] {
        let server = Server::start_at(&["tcp://127.0.0.1:0"], &[role]);
        let mut client = server.connect();
        client.write_all(b"x").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        to_end(&mut client);
        let line = server.log.wait_for("closed #1 ");
        assert!(line.contains(" by client"), "{line}");
    }
}

fn reset(client: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
}

/// What came before a reset is heard to its last byte, whatever our own sending met in between; then the reset is told.
#[test]
fn what_came_before_a_reset_is_heard_and_then_the_reset() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(900);
    // More than is read at once, less than the kernel holds.
    let lines = 90;
    let text = format!("repeat {lines}\n  C: {long}\n  S: ok\nend\nC: last\nC resets\n");
    let path = file(folder.path(), &text);
    for _ in 0..10 {
        let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--once"]);
        let mut client = server.connect();
        // Nothing is read before the reset is there.
        server.signal("STOP");
        let said = [format!("{long}\n").repeat(lines).as_bytes(), b"last\n"].concat();
        client.write_all(&said).unwrap();
        reset(client);
        server.signal("CONT");
        assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
        let line = server.log.wait_for("closed #1 ");
        assert!(line.contains(&format!(" by reset, {} bytes from the client", said.len())), "{line}");
    }
    // In a pause of ours.
    let path = file(folder.path(), "C: a\nS: b\nS waits 300ms\nC: c\nC resets\n");
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--once"]);
    let mut client = server.connect();
    client.write_all(b"a\n").unwrap();
    assert_eq!(line(&mut client), "b\n");
    client.write_all(b"c\n").unwrap();
    reset(client);
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
}

/// A Unix socket holds more than is read of it in one turn.
#[test]
fn all_that_came_before_a_reset_is_heard_however_much_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "S: hi\nC raw: {x:300000 bytes}\nC resets\n");
    let socket = folder.path().join("socket");
    let mut server = Server::start_at(&[&format!("unix:{}", socket.display())], &["--play", &path, "--once"]);
    let mut client = UnixStream::connect(&socket).unwrap();
    rustix::net::sockopt::set_socket_send_buffer_size(&client, 1 << 20).unwrap();
    until("the greeting", || rustix::io::ioctl_fionread(&client).is_ok_and(|unread| unread == 3));
    server.signal("STOP");
    for _ in 0..10 {
        client.write_all(&[b'x'; 30_000]).unwrap();
    }
    // What it has not read makes its end a reset.
    drop(client);
    server.signal("CONT");
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
    server.log.wait_for(" by reset, 300000 bytes from the client");
}

/// An answer that a reset kept from arriving was not given.
#[test]
fn a_reset_before_all_was_sent_is_a_failed_play() {
    let folder = tempfile::tempdir().unwrap();
    let answer = format!("S: {}\n", "y".repeat(999)).repeat(10_000);
    let path = file(folder.path(), &format!("C: go\n{answer}S closes\n"));
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--once"]);
    let mut client = server.connect();
    client.write_all(b"go\n").unwrap();
    assert_eq!(read(&mut client, 1), b"y");
    reset(client);
    assert_eq!(server.wait(), 1);
    server.log.wait_for("by reset");
}
