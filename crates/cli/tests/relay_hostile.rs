//! `relay` under bad treatment: servers that die, floods, too few files, an end while hundreds are inside, and random writes and
//! closes either way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::peers::Authority;
use support::*;

const ANY: &str = "tcp://127.0.0.1:0";

/// Numbers by a seed, so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What one end does in a round: pieces of these lengths, and whether it says its end before it has heard the other's.
#[derive(Clone)]
struct Part {
    pieces: Vec<usize>,
    ends_first: bool,
}

impl Part {
    fn new(chance: &mut Chance) -> Self {
        let count = chance.below(6) as usize;
        let most = [1, 100, 5_000, 200_000][chance.below(4) as usize];
        Self { pieces: (0..count).map(|_| 1 + chance.below(most) as usize).collect(), ends_first: chance.below(2) == 0 }
    }

    fn length(&self) -> usize {
        self.pieces.iter().sum()
    }
}

/// Plays one end; what it heard. Both directions at once where it does not wait for the other's end.
fn play(stream: impl Stream + 'static, part: &Part, salt: u8) -> Vec<u8> {
    let mut writer = stream.twin();
    let pieces = part.pieces.clone();
    let say = move || {
        let mut at = 0_usize;
        for length in pieces {
            let piece: Vec<u8> = (at..at + length).map(|at| (at / 3) as u8 ^ salt).collect();
            writer.write_all(&piece).unwrap();
            at += length;
        }
        writer
    };
    let mut reader = stream;
    if part.ends_first {
        let saying = std::thread::spawn(move || say().stop_sending());
        let heard = to_end(&mut reader);
        saying.join().unwrap();
        return heard;
    }
    let saying = std::thread::spawn(say);
    let heard = to_end(&mut reader);
    drop(saying.join().unwrap());
    heard
}

fn said(part: &Part, salt: u8) -> Vec<u8> {
    (0..part.length()).map(|at| (at / 3) as u8 ^ salt).collect()
}

fn rounds<S: Stream + 'static>(count: u64, connect: impl Fn() -> S, accept: impl Fn() -> TcpStream) {
    let mut chance = Chance(17);
    for round in 0..count {
        let (mut client, server) = (Part::new(&mut chance), Part::new(&mut chance));
        // Two who wait for each other's end wait for ever.
        client.ends_first |= !server.ends_first;
        let (near, far) = (connect(), accept());
        let part = server.clone();
        let at_server = std::thread::spawn(move || play(far, &part, 2));
        let heard = play(near, &client, 1);
        assert!(heard == said(&server, 2), "round {round}: the client heard {} of {}", heard.len(), server.length());
        let heard = at_server.join().unwrap();
        assert!(heard == said(&client, 1), "round {round}: the server heard {} of {}", heard.len(), client.length());
    }
}

/// How many rounds; more are asked for by hand.
fn count() -> u64 {
    std::env::var("SOCKEYE_ROUNDS").ok().and_then(|count| count.parse().ok()).unwrap_or(150)
}

#[test]
fn random_writes_both_ways_and_random_ends_lose_nothing() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let relay = Server::relay(&[ANY, &to], &[]);
    rounds(count(), || relay.connect(), || server.accept().unwrap().0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let _relay = Server::relay(&[&format!("unix:{}", path.display()), &to], &["--slice", "1..5000", "--seed", "1"]);
    let connect = || {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    };
    rounds(count() / 5, connect, || server.accept().unwrap().0);
}

/// Every one of many pairs, told that it lives.
fn all_live(pairs: &mut [(TcpStream, TcpStream)]) {
    for (client, accepted) in pairs {
        client.write_all(b"alive").unwrap();
        assert_eq!(read(accepted, 5), b"alive");
    }
}

fn pairs(relay: &Server, server: &TcpListener, count: usize) -> Vec<(TcpStream, TcpStream)> {
    (0..count).map(|_| (relay.connect(), server.accept().unwrap().0)).collect()
}

#[test]
fn out_of_files_with_five_hundred_pairs_open_nobody_inside_is_harmed() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    // 500 pairs, and 64 for other things.
    let relay = Server::start_verb("relay", &["prlimit", "--nofile=1064:1064"], &[ANY, &to], &["--threads", "2"]);
    let mut inside = pairs(&relay, &server, 500);
    // A flood of those who have to wait.
    let mut waiting: Vec<TcpStream> = (0..200).map(|_| relay.connect()).collect();
    relay.log.wait_for("500 connections are open");
    all_live(&mut inside);
    drop(inside);
    for client in &mut waiting {
        client.write_all(b"now").unwrap();
    }
    for _ in 0..200 {
        assert_eq!(read(&mut server.accept().unwrap().0, 3), b"now");
    }
}

#[test]
fn five_hundred_pairs_are_drained_by_a_signal_and_those_that_stay_are_counted() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let mut relay = Server::relay(&[ANY, &to], &["--grace", "60s"]);
    let mut inside = pairs(&relay, &server, 500);
    relay.begin_to_stop("TERM");
    all_live(&mut inside);
    drop(inside);
    assert_eq!(relay.wait(), 0);
    let mut relay = Server::relay(&[ANY, &to], &["--grace", "50ms"]);
    let inside = pairs(&relay, &server, 500);
    relay.signal("TERM");
    assert_eq!(relay.wait(), 0);
    drop(inside);
    assert!(relay.log.to_end().last().unwrap().contains(", 500 cut "));
}

#[test]
fn a_server_that_dies_and_comes_back_is_found_again() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let relay = Server::relay(&[ANY, &address], &[]);
    for _ in 0..3 {
        let mut inside = pairs(&relay, &server, 10);
        all_live(&mut inside);
        drop(inside);
    }
    drop(server);
    // No server is there: each client is told so.
    let mut client = relay.connect();
    assert!(client.read(&mut [0; 1]).is_err());
    relay.log.wait_for("cannot connect to");
    let server = TcpListener::bind(&address).unwrap();
    all_live(&mut pairs(&relay, &server, 10));
}

#[test]
fn a_full_disk_ends_records_and_captures_and_not_the_relay() {
    let script = r#"
        mount -t tmpfs -o size=64k none /mnt
        "$1" serve tcp://127.0.0.1:7001 --echo -q >/dev/null 2>&1 & one=$!
        "$1" relay 127.0.0.1:7002 127.0.0.1:7001 --record /mnt/%n.talk --pcap /mnt/all.pcapng --port-file /tmp/port-$$ 2>/mnt/../tmp/log-$$ & two=$!
        until [ -e /tmp/port-$$ ]; do sleep 0.05; done
        head -c 1000000 /dev/urandom >/tmp/in-$$
        for round in 1 2 3; do "$1" talk --retry 10s 127.0.0.1:7002 </tmp/in-$$ | cmp - /tmp/in-$$ && echo whole; done
        kill -TERM $two; wait $two && echo ended
        cat /tmp/log-$$
        rm -f /mnt/* /tmp/port-$$
        "$1" relay 127.0.0.1:7003 127.0.0.1:7001 --pcap /mnt/once.pcapng --once --port-file /tmp/port-$$ 2>/dev/null & three=$!
        until [ -e /tmp/port-$$ ]; do sleep 0.05; done
        "$1" talk --retry 10s 127.0.0.1:7003 </tmp/in-$$ | cmp - /tmp/in-$$ && echo whole
        wait $three || echo "the capture: $?"
        kill -9 $one; rm -f /tmp/port-$$ /tmp/in-$$ /tmp/log-$$
    "#;
    let output = in_namespace(script);
    let said = text(&output.stdout);
    assert_eq!(said.lines().filter(|line| *line == "whole").count(), 4, "{said}{}", text(&output.stderr));
    assert!(said.contains("ended") && said.contains("the capture: 23\n"), "{said}");
    for what in ["the record of #", "the capture is not whole"] {
        assert!(said.contains(what) && said.contains("the relay goes on"), "{said}");
    }
}

#[test]
fn a_hundred_clients_at_once_have_a_hundred_programs_and_leave_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate");
    let gate = UnixListener::bind(&path).unwrap();
    let relay = Server::relay(&[ANY, &format!("sh:nc -U '{}' </dev/null >/dev/null; cat", path.display())], &[]);
    let mut clients: Vec<TcpStream> = (0..100).map(|_| relay.connect()).collect();
    // All of them run now.
    let held: Vec<UnixStream> = (0..100).map(|_| gate.accept().unwrap().0).collect();
    drop(held);
    for client in &mut clients {
        client.write_all(b"said").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let _ = to_end(client);
    }
    drop(clients);
    let children = format!("/proc/{0}/task/{0}/children", relay.child.id());
    until("the end of all programs", || std::fs::read_to_string(Path::new(&children)).unwrap().is_empty());
    until("their descriptors", || files_of(relay.child.id()) < 40);
}

/// A relay in whose system calls strace(1) makes this error.
fn failing(inject: &str, to: &str) -> Server {
    need("strace");
    let inject = format!("inject={inject}");
    let strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", &inject];
    Server::start_verb("relay", &strace, &[ANY, to], &["--threads", "1"])
}

#[test]
fn what_fails_on_our_side_of_a_connection_is_no_end_for_either_peer() {
    for inject in [
        "sendto:error=ENOBUFS:when=1+",
        "sendto:error=EACCES:when=2+",
        "recvfrom:error=ENOMEM:when=1+",
        "recvfrom:error=EIO:when=3+",
        "splice:error=EIO:when=2+",
    ] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = failing(inject, &server.local_addr().unwrap().to_string());
        let mut client = relay.connect();
        let mut said = client.try_clone().unwrap();
        let saying = std::thread::spawn(move || {
            said.write_all(&vec![b'x'; 3_000_000]).and_then(|()| said.shutdown(Shutdown::Write))
        });
        let mut served = server.accept().unwrap().0;
        served.set_read_timeout(Some(LONG)).unwrap();
        let heard = served.read_to_end(&mut Vec::new());
        assert!(heard.is_err(), "{inject}: the server found an end: {heard:?}");
        let heard = client.read_to_end(&mut Vec::new());
        // A reset is told once: to a write if that is first. Behind an end it would be a broken pipe there.
        let said = saying.join().unwrap();
        let is_reset = heard.is_err() || said.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
        assert!(is_reset, "{inject}: the client found an end: {heard:?}, {said:?}");
        let closed = relay.log.wait_for("closed #1");
        assert!(closed.contains("is gone: "), "{inject}: {closed}");
    }
}

/// The end of TLS is the last thing that is said, and finds no room just when all the rest is done.
#[test]
fn an_end_of_tls_that_finds_no_room_goes_as_soon_as_there_is_some() {
    need("strace");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "server", &["localhost"], (2020, 2100));
    let at = |name: &str| folder.path().join(name).display().to_string();
    let from = format!("tls://127.0.0.1:0?cert={}&key={}", at("server.pem"), at("server.key"));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let calls = at("calls");
    // Two trials of what the system can, the handshake, the answer, and then the end.
    let inject = "inject=sendto:error=EAGAIN:when=5";
    let strace = ["strace", "-D", "-f", "-qq", "-o", &calls, "-e", "signal=none", "-e", "trace=sendto", "-e", inject];
    let to = server.local_addr().unwrap().to_string();
    let relay = Server::start_verb("relay", &strace, &[&from, &to], &["--threads", "1"]);
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(at("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(trusted).with_no_client_auth());
    let session = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut client = StreamOwned::new(session, relay.connect());
    client.conn.complete_io(&mut client.sock).unwrap();
    let mut served = accept(&server);
    // It says its end, and leaves its socket as it is.
    client.conn.send_close_notify();
    client.conn.write_tls(&mut client.sock).unwrap();
    assert_eq!(to_end(&mut served), b"");
    served.write_all(b"answer").unwrap();
    drop(served);
    assert_eq!(read(&mut client, 6), b"answer");
    let mut refused = String::new();
    until("what finds no room", || {
        let calls = std::fs::read_to_string(&calls).unwrap();
        refused = calls.lines().find(|line| line.contains("EAGAIN")).unwrap_or_default().to_owned();
        !refused.is_empty()
    });
    // Two bytes, encrypted (RFC 8446, sections 5.2 and 6.1).
    assert!(refused.contains(", 24, MSG_NOSIGNAL"), "that was no end: {refused}");
    wait_until_idle(relay.child.id());
    // Whatever comes now has the relay look again.
    client.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"");
    let closed = relay.log.wait_for("closed #1");
    assert!(closed.contains("6 from the server") && !closed.contains("did not"), "{closed}");
}

#[test]
fn a_loop_that_breaks_tells_nobody_an_end() {
    for error in ["EBADF", "EFAULT", "EINVAL"] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = failing(&format!("epoll_pwait:error={error}:when=30"), &server.local_addr().unwrap().to_string());
        let mut client = relay.connect();
        let mut served = server.accept().unwrap().0;
        let serving = std::thread::spawn(move || {
            let mut byte = [0];
            while served.read_exact(&mut byte).and_then(|()| served.write_all(&byte)).is_ok() {}
        });
        // It breaks while something stands unread, or while neither side says anything.
        let ended = (0..100_000).find_map(|_| client.write_all(b"?").and_then(|()| client.read_exact(&mut [0])).err());
        let ended = ended.expect("the relay breaks").kind();
        assert!(
            matches!(ended, std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe),
            "{error}: {ended:?}"
        );
        serving.join().unwrap();
    }
}

/// What waits in all pairs together has a bound, whatever it waits for: the one that waited longest goes first, and the others go on.
#[test]
fn no_number_of_clients_takes_more_memory_than_the_relay_may_have() {
    let sink = Server::start_at(&[ANY], &["--discard"]);
    let to = sink.address();
    // A frame of 15 MiB of which the last byte never comes.
    let unfinished = [&[0x82, 0xff, 0, 0, 0, 0, 0, 0xf0, 0, 0, 0, 0, 0, 0][..], &vec![b'k'; (15 << 20) - 1]].concat();
    for (from, more, begin, much) in [
        ("tcp://127.0.0.1:0", &["--delay", "up:3600s"][..], "", vec![b'k'; 16 << 20]),
        ("ws://127.0.0.1:0", &[], ASKS, unfinished),
    ] {
        let more = [more, &["-v"]].concat();
        let mut relay = Server::start_verb("relay", &["prlimit", "--as=671088640"], &[from, &to], &more);
        let much = Arc::new(much);
        for _ in 0..60 {
            let mut client = relay.connect();
            client.write_all(begin.as_bytes()).unwrap();
            if !begin.is_empty() {
                head(&mut client);
            }
            let much = Arc::clone(&much);
            std::thread::spawn(move || {
                // A client that had to go cannot say the rest; the others stay.
                let _ = client.write_all(&much);
                let _ = client.read(&mut [0]);
            });
        }
        relay.log.wait_for("the buffers of all connections together reached their bound");
        // A client of now is let in, and the relay was not ended.
        relay.log.wait_for_count("opened #", 60);
        let mut client = relay.connect();
        client.write_all(begin.as_bytes()).unwrap();
        relay.log.wait_for("opened #61");
        assert!(relay.child.try_wait().unwrap().is_none(), "{from}");
    }
}
