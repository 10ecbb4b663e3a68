//! `relay`: what either side says arrives at the other, whole, with its end, whatever the order of ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::net::sockopt;
use support::calls::WakeUps;
use support::peers::Peer;
use support::*;

const ANY: &str = "tcp://127.0.0.1:0";

/// A server of one kind, where a relay leads.
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, String),
}

impl Listening {
    fn new(kind: &str, folder: &std::path::Path) -> Self {
        match kind {
            "tcp" => Self::Tcp(TcpListener::bind("127.0.0.1:0").unwrap()),
            _ => {
                let path = folder.join("server").display().to_string();
                Self::Unix(UnixListener::bind(&path).unwrap(), format!("unix:{path}"))
            }
        }
    }

    fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().unwrap().to_string(),
            Self::Unix(_, address) => address.clone(),
        }
    }

    fn accept(&self) -> Box<dyn Stream> {
        match self {
            Self::Tcp(listener) => {
                let stream = listener.accept().unwrap().0;
                stream.set_read_timeout(Some(LONG)).unwrap();
                Box::new(stream)
            }
            Self::Unix(listener, _) => {
                let stream = listener.accept().unwrap().0;
                stream.set_read_timeout(Some(LONG)).unwrap();
                Box::new(stream)
            }
        }
    }
}

fn client(relay: &Server, kind: &str, path: &std::path::Path) -> Box<dyn Stream> {
    match kind {
        "tcp" => Box::new(relay.connect()),
        _ => {
            let stream = UnixStream::connect(path).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            Box::new(stream)
        }
    }
}

fn bytes(seed: u8, count: usize) -> Vec<u8> {
    (0..count).map(|at| (at.wrapping_mul(31) >> 3) as u8 ^ seed).collect()
}

/// Who does what, each to its own end: `s`ays, `h`alf-closes, reads to the `e`nd, `c`loses, `w`aits until the other has read.
const ORDERS: [(&str, &str); 12] = [
    ("she", "esc"),
    ("esc", "she"),
    ("sheh", "shec"),
    ("shec", "shec"),
    ("sc", "e"),
    ("e", "sc"),
    ("hec", "sc"),
    ("sc", "hec"),
    ("c", "e"),
    ("e", "c"),
    ("she", "hesc"),
    ("hesc", "she"),
];

/// Plays one end; what was read.
fn play(stream: Box<dyn Stream>, acts: &str, said: &[u8]) -> Option<Vec<u8>> {
    let mut stream = stream;
    let mut read = None;
    let mut is_shut = false;
    for act in acts.chars() {
        match act {
            // Who half-closed cannot say more: it says nothing then.
            's' if !is_shut => stream.write_all(said).unwrap(),
            'h' if !is_shut => {
                stream.stop_sending();
                is_shut = true;
            }
            'e' => read = Some(to_end(&mut stream)),
            _ => {}
        }
    }
    read
}

fn says(acts: &str, said: &[u8]) -> Vec<u8> {
    let says = acts.find('s').is_some_and(|at| acts.find('h').is_none_or(|half| at < half));
    if says { said.to_vec() } else { vec![] }
}

fn all_orders(relay: &Server, near: &str, path: &std::path::Path, server: &Listening, name: &str) {
    orders(relay, near, path, server, name, &ORDERS, &[1, 300_000]);
}

fn orders(
    relay: &Server,
    near: &str,
    path: &std::path::Path,
    server: &Listening,
    name: &str,
    all: &[(&str, &str)],
    lengths: &[usize],
) {
    for &length in lengths {
        for &(ours, theirs) in all {
            let (up, down) = (bytes(1, length), bytes(2, length));
            let stream = client(relay, near, path);
            let (at_client, at_server) = std::thread::scope(|scope| {
                let at_server = scope.spawn(|| play(server.accept(), theirs, &down));
                (play(stream, ours, &up), at_server.join().unwrap())
            });
            let case = format!("{name}: client {ours}, server {theirs}, {length} bytes");
            if let Some(read) = at_server {
                assert!(read == says(ours, &up), "{case}: the server read {} bytes", read.len());
            }
            if let Some(read) = at_client {
                assert!(read == says(theirs, &down), "{case}: the client read {} bytes", read.len());
            }
        }
    }
}

/// Row 19 of the list of faults, among them: all of it arrives through a relay.
#[test]
fn all_orders_of_ends_lose_nothing_between_all_kinds_of_streams() {
    for near in ["tcp", "unix"] {
        for far in ["tcp", "unix"] {
            for more in [&[][..], &["--delay", "1ms"], &["--record"]] {
                let folder = tempfile::tempdir().unwrap();
                let server = Listening::new(far, folder.path());
                let path = folder.path().join("relay");
                let from = if near == "tcp" { ANY.to_owned() } else { format!("unix:{}", path.display()) };
                let record = folder.path().join("%n.talk").display().to_string();
                let more: Vec<&str> = match more {
                    ["--record"] => vec!["--record", &record],
                    more => more.to_vec(),
                };
                let relay = Server::relay(&[&from, &server.address()], &more);
                all_orders(&relay, near, &path, &server, &format!("{near} to {far} {more:?}"));
            }
        }
    }
}

#[test]
fn all_orders_of_ends_lose_nothing_through_tls() {
    let server = Listening::new("tcp", std::path::Path::new(""));
    let inner = Server::relay(&["tls://127.0.0.1:0", &server.address()], &[]);
    let pin = inner.log.pin();
    let outer = Server::relay(&[ANY, &format!("tls://{}?pin={pin}", inner.address())], &[]);
    all_orders(&outer, "tcp", std::path::Path::new(""), &server, "tcp to tls to tcp");
}

/// Both ends of each kind, one behind the other: what goes into the first over TCP comes out of the second over TCP.
#[test]
fn all_orders_of_ends_lose_nothing_through_every_other_kind_of_end() {
    for kind in ["packets", "program", "packets of a program", "slow packets"] {
        let folder = tempfile::tempdir().unwrap();
        let server = Listening::new("tcp", folder.path());
        let between = format!("unix-seqpacket:{}", folder.path().join("s").display());
        let (to, more) = match kind {
            "program" => (format!("exec:{BINARY} -q relay stdio tcp://{}", server.address()), &[][..]),
            "packets of a program" => (format!("exec:{BINARY} -q relay stdio {between}"), &[][..]),
            "slow packets" => (between.clone(), &["--delay", "1ms"][..]),
            _ => (between.clone(), &[][..]),
        };
        let _inner = (kind != "program").then(|| Server::relay(&[&between, &server.address()], more));
        let outer = Server::relay(&[ANY, &to], &[]);
        all_orders(&outer, "tcp", folder.path(), &server, kind);
    }
}

/// A WebSocket has no half-close: who has said its end hears what the other side said before it knew of that.
#[test]
fn orders_of_ends_that_a_websocket_can_tell_lose_nothing() {
    let answers_an_end = |acts: &str| acts.find('e') < acts.find('s') && acts.contains('e') && acts.contains('s');
    let told = |(ours, theirs): &&(&str, &str)| !answers_an_end(ours) && !answers_an_end(theirs);
    let all: Vec<(&str, &str)> = ORDERS.iter().filter(told).copied().collect();
    assert!(all.len() >= 8, "{all:?}");
    // An end without an answer is told late: what waits for that waits at the same time.
    std::thread::scope(|scope| {
        for (scheme, length) in [("ws", 1), ("ws", 300_000), ("wss", 1), ("wss", 300_000)] {
            let all = &all;
            scope.spawn(move || {
                let nowhere = std::path::Path::new("");
                let server = Listening::new("tcp", nowhere);
                let inner = Server::relay(&[&format!("{scheme}://127.0.0.1:0"), &server.address()], &[]);
                let pin = if scheme == "wss" { format!("?pin={}", inner.log.pin()) } else { String::new() };
                let outer = Server::relay(&[ANY, &format!("{scheme}://{}{pin}", inner.address())], &[]);
                orders(&outer, "tcp", nowhere, &server, scheme, all, &[length]);
            });
        }
    });
}

#[test]
fn an_answer_that_comes_long_after_the_clients_end_arrives_whole() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&[ANY, &server.local_addr().unwrap().to_string()], &[]);
    let mut client = relay.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut accepted = server.accept().unwrap().0;
    assert_eq!(to_end(&mut accepted), b"question");
    // The server is slow.
    std::thread::sleep(Duration::from_secs(2));
    accepted.write_all(b"answer").unwrap();
    drop(accepted);
    assert_eq!(to_end(&mut client), b"answer");
    relay.log.wait_for("by client, 8 bytes from the client, 6 from the server");
}

/// Row 21 of the list of faults: a reset is passed on as one, and what was said before it arrives first.
#[test]
fn a_reset_of_either_side_is_passed_on_as_one_behind_what_was_said() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&[ANY, &server.local_addr().unwrap().to_string()], &[]);
    for length in [0, 5, 1_000_000] {
        for by_client in [true, false] {
            let client = relay.connect();
            let accepted = server.accept().unwrap().0;
            accepted.set_read_timeout(Some(LONG)).unwrap();
            let (mut one, mut other) = if by_client { (client, accepted) } else { (accepted, client) };
            let said = bytes(3, length);
            one.write_all(&said).unwrap();
            let mut heard = Vec::new();
            // What the kernel has not sent would go with the reset, and that is no fault of the relay.
            if length > 0 {
                heard = read(&mut other, length);
            }
            one.write_all(b"last").unwrap();
            let mut count: libc::c_int = 1;
            until("all is sent", || {
                // SAFETY: the request writes one int, which lives beyond the call.
                #[allow(unsafe_code, reason = "no wrapper has this request")]
                let result =
                    unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&one), libc::TIOCOUTQ, &raw mut count) };
                result == 0 && count == 0
            });
            sockopt::set_socket_linger(&one, Some(Duration::ZERO)).unwrap();
            drop(one);
            let ended = other.read_to_end(&mut heard);
            let case = format!("{length} bytes, by the client: {by_client}, {} heard", heard.len());
            let error = ended.map_err(|error| error.kind());
            assert_eq!(error, Err(ErrorKind::ConnectionReset), "{case}: {:#?}", relay.log.all());
            assert!(heard == [&said[..], b"last"].concat(), "{} of {length} bytes", heard.len());
            let who = if by_client { "client" } else { "server" };
            relay.log.wait_for(&format!(": the {who} reset the connection"));
        }
    }
}

/// Row 21 of the list of faults, for what stands between: neither TLS nor WebSocket makes an end of a reset.
#[test]
fn a_reset_is_passed_on_through_tls_and_websocket() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    for scheme in ["tls", "ws", "wss"] {
        let inner = Server::relay(&[&format!("{scheme}://127.0.0.1:0"), &to], &[]);
        let pin = if scheme == "ws" { String::new() } else { format!("?pin={}", inner.log.pin()) };
        let outer = Server::relay(&[ANY, &format!("{scheme}://{}{pin}", inner.address())], &[]);
        for by_client in [true, false] {
            let client = outer.connect();
            let served = accept(&server);
            served.set_read_timeout(Some(LONG)).unwrap();
            let (mut one, mut other) = if by_client { (client, served) } else { (served, client) };
            one.write_all(b"said before").unwrap();
            assert_eq!(read(&mut other, 11), b"said before");
            sockopt::set_socket_linger(&one, Some(Duration::ZERO)).unwrap();
            drop(one);
            let ended = other.read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(ended, Err(ErrorKind::ConnectionReset), "{scheme}, by the client: {by_client}");
        }
    }
}

/// Row 21 of the list of faults, behind an end: that side has no reader any more, and that it is gone is noticed all the same.
#[test]
fn whoever_is_gone_behind_its_end_is_a_reset_for_a_peer_that_says_nothing() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&[ANY, &server.local_addr().unwrap().to_string()], &[]);
    for (number, by_client) in [(1, true), (2, false)] {
        let (client, served) = (relay.connect(), accept(&server));
        let (mut one, mut other) = if by_client { (client, served) } else { (served, client) };
        one.write_all(b"last").unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(to_end(&mut other), b"last");
        sockopt::set_socket_linger(&one, Some(Duration::ZERO)).unwrap();
        drop(one);
        // Behind an end a reset is no more than an error of the socket.
        until("the reset", || other.take_error().unwrap().is_some());
        let closed = relay.log.wait_for(&format!("closed #{number}"));
        let who = if by_client { "client" } else { "server" };
        assert!(closed.contains(&format!(": the {who} reset the connection")), "{closed}");
    }
}

/// A client with room for little.
fn connected_with_little_room(relay: &Server) -> TcpStream {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
    rustix::net::connect(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], relay.port()))).unwrap();
    let client = TcpStream::from(socket);
    client.set_read_timeout(Some(LONG)).unwrap();
    client
}

/// The same behind its own end.
fn ended_with_little_room(relay: &Server) -> TcpStream {
    let client = connected_with_little_room(relay);
    client.shutdown(Shutdown::Write).unwrap();
    client
}

/// Both have said all, and what one of them said is still on its way: that is no end yet, and may not arrive after all.
#[test]
fn a_connection_is_over_once_the_last_that_was_said_is_taken() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&[ANY, &server.local_addr().unwrap().to_string()], &[]);
    let said = bytes(4, 300_000);
    for (number, reads) in [(1, true), (3, false)] {
        let mut client = ended_with_little_room(&relay);
        let mut served = accept(&server);
        assert_eq!(to_end(&mut served), b"");
        served.write_all(&said).unwrap();
        drop(served);
        wait_until_idle(relay.child.id());
        // One behind it is over before.
        drop((relay.connect(), accept(&server)));
        relay.log.wait_for(&format!("closed #{}", number + 1));
        let closed = format!("closed #{number}");
        let lines = relay.log.all();
        assert!(lines.iter().all(|line| !line.starts_with(&closed)), "{lines:#?}");
        if reads {
            assert!(to_end(&mut client) == said);
            let closed = relay.log.wait_for(&closed);
            assert!(
                closed.contains(", 300000 from the server, ") && !closed.contains(" bytes did not arrive"),
                "{closed}"
            );
            assert!(!closed.contains(" bytes were not taken"), "{closed}");
        } else {
            sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            drop(client);
            let closed = relay.log.wait_for(&closed);
            assert!(closed.contains(": the client reset the connection; "), "{closed}");
            assert!(closed.ends_with(" bytes did not arrive"), "{closed}");
        }
    }
}

/// How many bytes a line about an end says of something.
fn told(line: &str, what: &str) -> usize {
    let (before, _) = line.split_once(what).unwrap_or_else(|| panic!("{what}: {line}"));
    before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// What was passed on to a side stands in the system for long, and is lost with it if that side resets.
#[test]
fn what_the_system_of_a_peer_that_resets_had_not_taken_did_not_arrive() {
    let said = bytes(5, 3_000_000);
    // What a peer with little room takes unread.
    let most = 200_000;
    for (who, reads, more) in [
        ("client", 0, &[][..]),
        ("client", 64_000, &[]),
        ("server", 0, &[]),
        ("server", 64_000, &[]),
        ("client", 64_000, &["--record"]),
        ("server", 0, &["--record"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("%n.talk").display().to_string();
        let arguments = more.iter().flat_map(|flag| [*flag, record.as_str()]);
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        sockopt::set_socket_recv_buffer_size(&server, 4096).unwrap();
        let arguments: Vec<&str> = arguments.chain(["--once"]).collect();
        let mut relay = Server::relay(&[ANY, &server.local_addr().unwrap().to_string()], &arguments);
        let client = connected_with_little_room(&relay);
        let served = accept(&server);
        let (sayer, mut gone) = if who == "client" { (served, client) } else { (client, served) };
        let mut speaker = sayer.try_clone().unwrap();
        let (begun, words) = (std::sync::mpsc::channel(), said.clone());
        let speaking = std::thread::spawn(move || {
            let _ = begun.0.send(());
            let _ = speaker.write_all(&words);
        });
        begun.1.recv().unwrap();
        gone.read_exact(&mut vec![0; reads.max(1)]).unwrap();
        wait_until_idle(relay.child.id());
        sockopt::set_socket_linger(&gone, Some(Duration::ZERO)).unwrap();
        drop(gone);
        let closed = relay.log.wait_for("closed #1");
        assert!(closed.contains(&format!(": the {who} reset the connection; ")), "{closed}");
        let came = told(&closed, if who == "client" { " from the server, " } else { " bytes from the client, " });
        let lost = told(&closed, " bytes did not arrive");
        assert!(lost <= came - reads.max(1) && came <= lost + reads + most, "{who} {reads} {more:?}: {closed}");
        assert_eq!(relay.wait(), 56);
        let summary = relay.log.all().pop().unwrap();
        assert_eq!(told(&summary, " bytes did not arrive"), lost, "{summary}");
        drop(sayer);
        speaking.join().unwrap();
    }
}

/// What stands in the queue of a Unix socket has arrived: it is read whenever its owner likes, no matter which end has closed since.
#[test]
fn a_unix_peer_that_reads_late_keeps_no_connection_open() {
    for (near, far) in [("unix", "tcp"), ("tcp", "unix")] {
        let folder = tempfile::tempdir().unwrap();
        let server = Listening::new(far, folder.path());
        let path = folder.path().join("relay");
        let from = if near == "tcp" { ANY.to_owned() } else { format!("unix:{}", path.display()) };
        let relay = Server::relay(&[&from, &server.address()], &[]);
        let (client, served) = (client(&relay, near, &path), server.accept());
        let (mut late, mut other) = if near == "unix" { (client, served) } else { (served, client) };
        late.stop_sending();
        assert_eq!(to_end(&mut other), b"");
        other.write_all(b"last").unwrap();
        drop(other);
        let closed = relay.log.wait_for("closed #1");
        assert!(!closed.contains("not taken"), "{closed}");
        assert_eq!(to_end(&mut late), b"last");
    }
}

/// Whether the kernel will ask after the peer of the socket at this port: a keepalive timer stands in proc(5)'s table.
fn is_probed(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.len() > 5 && fields[1].ends_with(&format!(":{port:04X}")) && fields[5].starts_with("02:")
    })
}

#[test]
fn a_server_that_is_quiet_is_probed_unless_its_address_says_no() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let probed = Server::relay(&[ANY, &format!("tcp://127.0.0.1:{port}")], &[]);
    let unprobed = Server::relay(&[ANY, &format!("tcp://127.0.0.1:{port}?keepalive=0")], &[]);
    let _unprobed_client = unprobed.connect();
    let unprobed_server = server.accept().unwrap().0;
    let mut client = probed.connect();
    let mut served = server.accept().unwrap().0;
    until("a keepalive timer", || is_probed(served.peer_addr().unwrap().port()));
    assert!(!is_probed(unprobed_server.peer_addr().unwrap().port()));
    // A caller that asks for probes late loses nothing by it.
    client.write_all(b"still there\n").unwrap();
    let mut heard = [0; 12];
    served.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still there\n");
}

#[test]
fn a_server_that_refuses_has_the_client_reset_and_is_tried_again() {
    let closed = Closed::tcp();
    let address = closed.address.to_string();
    let relay = Server::relay(&[ANY, &address], &[]);
    let mut client = relay.connect();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    relay.log.wait_for(&format!("cannot connect to {address}: {address}: Connection refused"));
    let server = closed.listen();
    let mut client = relay.connect();
    server.accept().unwrap().0.write_all(b"back").unwrap();
    assert_eq!(to_end(&mut client), b"back");
}

#[test]
fn of_several_servers_each_has_its_turn_and_a_dead_one_is_passed_over() {
    let dead = Closed::tcp();
    let servers = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let addresses = servers.each_ref().map(|server| server.local_addr().unwrap().to_string());
    let relay = Server::relay(&[ANY, &addresses[0], &dead.address.to_string(), &addresses[1]], &[]);
    let mut counts = [0; 2];
    std::thread::scope(|scope| {
        for (server, name) in servers.iter().zip([b"0", b"1"]) {
            scope.spawn(move || {
                while let Ok((mut stream, _)) = server.accept() {
                    stream.write_all(name).unwrap();
                    if stream.peek(&mut [0]).is_ok_and(|count| count > 0) {
                        return;
                    }
                }
            });
        }
        for _ in 0..20 {
            let heard = read(&mut relay.connect(), 1);
            counts[usize::from(heard == b"1")] += 1;
        }
        for server in &servers {
            TcpStream::connect(server.local_addr().unwrap()).unwrap().write_all(b"end").unwrap();
        }
    });
    assert!(counts[0] >= 6 && counts[1] >= 6, "{counts:?}");
}

#[test]
fn many_clients_at_once_are_each_told_what_is_theirs() {
    for threads in ["1", "3"] {
        let echo = Server::start_at(&[ANY], &["--echo"]);
        let relay = Server::relay(&[ANY, &echo.address()], &["--threads", threads]);
        std::thread::scope(|scope| {
            for seed in 0..8 {
                let relay = &relay;
                scope.spawn(move || {
                    for round in 0..20_u8 {
                        let said = bytes(seed * 20 + round, 1 + usize::from(round) * 7919);
                        let mut client = relay.connect();
                        let mut writer = client.try_clone().unwrap();
                        std::thread::scope(|scope| {
                            scope.spawn(|| {
                                writer.write_all(&said).unwrap();
                                writer.shutdown(Shutdown::Write).unwrap();
                            });
                            assert!(to_end(&mut client) == said);
                        });
                    }
                });
            }
        });
        let (code, log) = relay.stop();
        assert_eq!(code, 0, "{log:#?}");
        assert!(log.last().unwrap().starts_with("160 connections, 160 ended by themselves"), "{log:#?}");
    }
}

#[test]
fn much_goes_through_whole_both_ways_and_a_slow_sink_costs_no_memory() {
    const MUCH: usize = 64 << 20;
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&[ANY, &server.local_addr().unwrap().to_string()], &["--threads", "1"]);
    let mut client = relay.connect();
    let mut accepted = server.accept().unwrap().0;
    let before = relay.resident();
    let piece = bytes(9, 1 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..MUCH >> 20 {
                client.write_all(&piece).unwrap();
            }
            client.shutdown(Shutdown::Write).unwrap();
        });
        // Row 23 of the list of faults. Nothing is read until the relay rests: it holds what it holds, and reads no more.
        wait_until_idle(relay.child.id());
        let held = relay.resident().saturating_sub(before);
        assert!(held < 2048, "{held} KiB for one slow sink");
        let mut heard = vec![0; 1 << 20];
        for _ in 0..MUCH >> 20 {
            accepted.read_exact(&mut heard).unwrap();
            assert!(heard == piece);
        }
        assert_eq!(accepted.read(&mut heard).unwrap(), 0);
    });
}

/// The kernel moves what is much, through a pipe that the next pair gets: one that rests has its two sockets.
#[test]
fn whoever_said_much_and_rests_keeps_no_more_open_than_others() {
    const MUCH: usize = 8 << 20;
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&[ANY, &server.local_addr().unwrap().to_string()], &["--threads", "1"]);
    let mut pairs: Vec<_> = (0..8).map(|_| (relay.connect(), accept(&server))).collect();
    relay.log.wait_for_count("opened #", pairs.len());
    wait_until_idle(relay.child.id());
    let before = files_of(relay.child.id());
    for (client, served) in &mut pairs {
        std::thread::scope(|scope| {
            scope.spawn(|| served.write_all(&vec![7; MUCH]).unwrap());
            // Nothing is read until there is much to be read at once.
            wait_until_idle(relay.child.id());
            read(client, MUCH);
        });
    }
    wait_until_idle(relay.child.id());
    let kept = files_of(relay.child.id()) - before;
    assert!((2..=4).contains(&kept), "{kept} more than before, of {} pairs", pairs.len());
}

#[test]
fn datagrams_find_their_way_and_the_answers_theirs() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    let to = format!("udp://{}", server.local_addr().unwrap());
    let relay = Server::relay(&["udp://127.0.0.1:0", &to], &[]);
    let clients = [relay.datagrams(), relay.datagrams(), relay.datagrams()];
    for round in 0..50_u8 {
        for (number, client) in clients.iter().enumerate() {
            let said = [round, number as u8].repeat(1 + usize::from(round) * 17);
            client.send(&said).unwrap();
            let mut heard = [0; 4096];
            let (length, from) = server.recv_from(&mut heard).unwrap();
            assert_eq!(heard[..length], said);
            server.send_to(&heard[..length / 2], from).unwrap();
            let length = client.recv(&mut heard).unwrap();
            assert_eq!(heard[..length], said[..said.len() / 2]);
        }
    }
    // An empty datagram and the longest are datagrams too.
    for length in [0, 65_507] {
        clients[0].send(&bytes(1, length)).unwrap();
        let mut heard = vec![0; 70_000];
        let (got, from) = server.recv_from(&mut heard).unwrap();
        assert_eq!(got, length);
        server.send_to(&heard[..length], from).unwrap();
        assert_eq!(clients[0].recv(&mut heard).unwrap(), length);
    }
    relay.log.wait_for_count("opened #", 3);
    let (code, log) = relay.stop();
    assert_eq!(code, 0);
    assert!(log.last().unwrap().starts_with("3 connections, 3 ended by themselves"), "{log:#?}");
}

#[test]
fn a_flow_that_is_silent_is_forgotten_and_a_port_that_is_closed_is_said() {
    let closed = Closed::udp();
    let relay =
        Server::relay(&["udp://127.0.0.1:0", &format!("udp://{}", closed.address)], &["--idle-timeout", "300ms"]);
    relay.datagrams().send(b"x").unwrap();
    relay.log.wait_for(&format!("nobody listens at udp://{}", closed.address));
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = format!("udp://{}", server.local_addr().unwrap());
    let relay = Server::relay(&["udp://127.0.0.1:0", &to], &["--idle-timeout", "100ms"]);
    relay.datagrams().send(b"x").unwrap();
    relay.log.wait_for("by timeout, 1 bytes from the client, 0 from the server");
}

/// Many flows that have made room for others leave their times behind, which are forgotten together: not those of a client that is
/// still there.
#[test]
fn a_flow_is_forgotten_in_its_time_though_thousands_came_and_went() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = format!("udp://{}", server.local_addr().unwrap());
    // Room for few: no lot of those below drives out clients that speak in each.
    let relay = Server::start_verb(
        "relay",
        &["prlimit", "--nofile=104:104"],
        &["udp://127.0.0.1:0", &to],
        &["--idle-timeout", "2s", "--threads", "1"],
    );
    let stays = relay.datagrams();
    for _ in 0..450 {
        // It has said something since each of the others did, and is never the one that was silent for longest.
        stays.send(b"x").unwrap();
        for _ in 0..10 {
            relay.datagrams().send(b"x").unwrap();
        }
        wait_until_idle(relay.child.id());
    }
    let from = format!("<- {}, ", stays.local_addr().unwrap());
    let opened = relay.log.wait_for(&from);
    let number = opened.split(' ').nth(1).unwrap();
    relay.log.wait_for(&format!("closed {number} "));
}

/// What the relay counts as open would keep it from ending, here for as long as the grace is.
fn assert_ends_at_once(mut relay: Server) {
    relay.signal("INT");
    assert_eq!(relay.wait(), 0, "{:#?}", relay.log.all());
}

#[test]
fn a_flow_without_a_way_to_its_server_is_told_and_keeps_nothing_open() {
    // No socket may send to a broadcast address without having asked for that.
    let relay = Server::relay(&["udp://127.0.0.1:0", "udp://255.255.255.255:9"], &["--grace", "1000s", "--json"]);
    let client = relay.datagrams();
    for count in 1..=3 {
        client.send(b"x").unwrap();
        relay.log.wait_for_count("cannot send to 255.255.255.255:9", count);
    }
    assert_ends_at_once(relay);
}

#[test]
fn a_flow_that_cannot_be_watched_is_told_and_keeps_nothing_open() {
    need("strace");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = format!("udp://{}", server.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace").display().to_string();
    let start = |more: &[&str]| {
        let wrapper = ["strace", "-D", "-f", "-qq", "-o", &trace, "-e", "trace=epoll_ctl"];
        let wrapper = [&wrapper[..], more].concat();
        Server::start_verb("relay", &wrapper, &["udp://127.0.0.1:0", &to], &["--grace", "1000s", "--json"])
    };
    // How often it is called until the relay listens.
    let relay = start(&[]);
    relay.log.wait_for("listening");
    assert_ends_at_once(relay);
    let calls = std::fs::read_to_string(&trace).unwrap();
    let calls: Vec<&str> = calls.lines().filter(|line| line.contains("epoll_ctl(")).collect();
    let before = calls.iter().rposition(|line| line.contains("EPOLL_CTL_ADD")).unwrap() + 1;
    let relay = start(&["-e", &format!("inject=epoll_ctl:error=ENOSPC:when={}+", before + 1)]);
    let client = relay.datagrams();
    for count in 1..=3 {
        client.send(b"x").unwrap();
        relay.log.wait_for_count("\"event\":\"closed\"", count);
        relay.log.wait_for_count("\"event\":\"failed\"", count);
    }
    assert_ends_at_once(relay);
}

/// Row 72 of the list of faults: a relay to itself is refused.
#[test]
fn a_relay_to_itself_is_found_and_refused() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).unwrap();
    let shown = folder.path().display().to_string();
    for (from, to) in [
        ("127.0.0.1:PORT", "127.0.0.1:PORT"),
        (":PORT", "localhost:PORT"),
        (":PORT", "PORT"),
        ("PORT", "[::1]:PORT"),
        ("127.0.0.1:PORT", "localhost:PORT"),
        (":PORT", "[::ffff:127.0.0.1]:PORT"),
        ("0.0.0.0:PORT", "127.0.0.2:PORT"),
        ("127.0.0.1:PORT", "127.0.0.1:1 127.0.0.1:PORT"),
        ("tls://127.0.0.1:PORT", "127.0.0.1:PORT"),
        ("PORT", "ws://127.0.0.1:PORT"),
        ("udp://127.0.0.1:PORT", "udp://127.0.0.1:PORT"),
        ("udp://:PORT", "udp://localhost:PORT"),
        ("udp://127.0.0.1:PORT", "udp://[::ffff:127.0.0.1]:PORT"),
        ("unix:FOLDER/s", "unix:FOLDER/link/s"),
        ("unix:FOLDER/s", "unix:FOLDER/link/link/s"),
        ("unix-dgram:FOLDER/s", "unix-dgram:FOLDER/link/s"),
        ("unix-seqpacket:FOLDER/s", "unix-seqpacket:FOLDER/link/s"),
        ("unix:@sockeye-PORT", "unix:@sockeye-PORT"),
    ] {
        let port = free().to_string();
        let filled = |address: &str| address.replace("PORT", &port).replace("FOLDER", &shown);
        let addresses: Vec<String> = [from].into_iter().chain(to.split(' ')).map(filled).collect();
        let mut arguments = vec!["relay".to_owned()];
        arguments.extend(addresses);
        let output = run(&arguments, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("would relay to itself"), "{}", text(&output.stderr));
    }
}

#[test]
fn what_cannot_be_relayed_is_said_before_anything_is_bound() {
    for (arguments, code, says) in [
        (&["relay"][..], 2, "write relay FROM TO"),
        (&["relay", "0"], 2, "there is no server to relay to"),
        (&["relay", "stdio", "stdio"], 2, "stands at both ends"),
        (&["relay", "-", "1"], 2, "standard input and output are stdio"),
        (&["relay", "127.0.0.1:0?bind=127.0.0.1", "1"], 2, "listens, and has the option `bind`"),
        (&["relay", "tls://127.0.0.1:0?insecure", "1"], 2, "listens, and has the option `insecure`"),
        (&["relay", "wss://127.0.0.1:0?pin=sha256:00", "1"], 2, "listens, and has the option `pin`"),
        (&["relay", "tls://127.0.0.1:0?sni=x", "1"], 2, "listens, and has the option `sni`"),
        (&["relay", "0", "1", "--share", "10%"], 2, "--share: it says what faults are about, and there is none"),
        (&["relay", "0", "1", "--up"], 2, "--up: it says what faults are about, and there is none"),
        (&["relay", "0", "1", "--delay", "20"], 2, "20 of what? write 20ms or 20s"),
        (&["relay", "0", "1", "--delay", "20ms±5"], 2, "5 of what? write 5ms or 5s"),
        (&["relay", "0", "1", "--rate", "0"], 2, "--stall-after 0 does that"),
        (&["relay", "0", "1", "--corrupt", "150%"], 2, "a share from 0 to 1, or a percentage"),
        (&["relay", "0", "1", "--record", "/no/such/folder/x"], 23, "--record: /no/such/folder is no folder"),
        (&["relay", "0", "tcp://127.0.0.1:1?nodely"], 2, "did you mean nodelay?"),
        (&["relay", "0", "gopher://x:1"], 2, "unknown scheme `gopher`"),
        (&["relay", "0", "quic://x:1"], 2, "`quic://` is not there yet"),
        (&["relay", "0?frame=line", "127.0.0.1:1"], 2, "where one end is a stream and the other datagrams"),
        (
            &["relay", "udp://127.0.0.1:0?frame=u16", "unix-dgram:x"],
            2,
            "where one end is a stream and the other datagrams",
        ),
        (&["relay", "0?frame=u16", "udp://127.0.0.1:1?frame=line"], 2, "another address has it with another value"),
        (&["relay", "0?frame=u32", "udp://127.0.0.1:1"], 2, "write frame=none, frame=line or frame=u16"),
        (
            &["relay", "0", "udp://127.0.0.1:1", "--cut-after", "1"],
            2,
            "--cut-after is about a stream, and udp://127.0.0.1:1",
        ),
        (&["relay", "unix-dgram:x?nodelay", "0"], 2, "which unix-dgram does not know"),
        (&["relay", "0", "127.0.0.1:0"], 2, "port 0"),
        (&["relay", "0", "no-such-name.invalid:1"], 6, "name was not found"),
        (&["relay", "tls://127.0.0.1:0?cert=/no/such/file", "1"], 26, "No such file"),
        (&["relay", "0", "1", "--drop", "1%"], 2, "--drop is about datagrams"),
        (&["relay", "udp://127.0.0.1:0", "udp://127.0.0.1:1", "--slice", "1"], 2, "--slice is about a stream"),
        (&["relay", "0", "1", "--delay", "soon"], 2, "20ms"),
    ] {
        let output = run(arguments, b"");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
        assert_eq!(support::code(&output), code, "{arguments:?}: {stderr}");
    }
}

#[test]
fn an_end_by_a_signal_waits_for_those_inside_and_says_who_was_cut() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    for threads in ["1", "2"] {
        let mut relay = Server::relay(&[ANY, &to], &["--grace", "60s", "--threads", threads]);
        let mut clients: Vec<_> = (0..50).map(|_| (relay.connect(), server.accept().unwrap().0)).collect();
        relay.begin_to_stop("TERM");
        assert!(TcpStream::connect(("127.0.0.1", relay.port())).is_err());
        for (client, accepted) in &mut clients {
            client.write_all(b"still here").unwrap();
            assert_eq!(read(accepted, 10), b"still here");
        }
        drop(clients);
        assert_eq!(relay.wait(), 0);
        let mut relay = Server::relay(&[ANY, &to], &["--grace", "50ms", "--threads", threads]);
        let clients: Vec<_> = (0..50).map(|_| (relay.connect(), server.accept().unwrap().0)).collect();
        relay.log.wait_for_count("opened #", 50);
        relay.signal("TERM");
        for (mut client, mut accepted) in clients {
            assert_eq!((to_end(&mut client), to_end(&mut accepted)), (vec![], vec![]));
        }
        assert_eq!(relay.wait(), 0);
        let log = relay.log.to_end();
        assert!(log.last().unwrap().contains(", 50 cut "), "{log:#?}");
    }
}

/// Row 35 of the list speaks of files; this is about open ones: those inside live, the others wait.
#[test]
fn out_of_files_those_inside_live_and_the_others_wait() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let relay = Server::start_verb("relay", &["prlimit", "--nofile=164:164"], &[ANY, &to], &["--threads", "1"]);
    let mut pairs: Vec<_> = (0..50).map(|_| (relay.connect(), server.accept().unwrap().0)).collect();
    let mut waiting = relay.connect();
    relay.log.wait_for("50 connections are open");
    for (client, accepted) in &mut pairs {
        client.write_all(b"alive").unwrap();
        assert_eq!(read(accepted, 5), b"alive");
    }
    pairs.pop();
    waiting.write_all(b"me").unwrap();
    assert_eq!(read(&mut server.accept().unwrap().0, 2), b"me");
}

#[test]
fn a_relay_whose_clients_wait_for_room_rests() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let few = ["prlimit", "--nofile=164:164"];
    let (relay, mut wake_ups) = WakeUps::of_verb("relay", &few, &[ANY, &to], &["--threads", "1"]);
    let mut pairs: Vec<_> = (0..50).map(|_| (relay.connect(), accept(&server))).collect();
    let mut waiting = relay.connect();
    relay.log.wait_for("50 connections are open");
    let (rounds, some) = (5, 5);
    wake_ups.begin();
    for _ in 0..rounds {
        for (client, served) in pairs.iter_mut().take(some) {
            client.write_all(b"alive").unwrap();
            assert_eq!(read(served, 5), b"alive");
        }
        // It looks whether there is room, and then it rests again.
        wake_ups.wait_for_one();
    }
    wake_ups.assert_few(rounds * some);
    pairs.pop();
    waiting.write_all(b"me").unwrap();
    assert_eq!(read(&mut accept(&server), 2), b"me");
}

#[test]
fn whoever_leaves_in_a_handshake_is_told_with_what_it_was_of() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    for (scheme, layer) in [("tls", "TLS"), ("ws", "WebSocket")] {
        let relay = Server::relay(&[&format!("{scheme}://127.0.0.1:0"), &to], &[]);
        drop(relay.connect());
        let closed = relay.log.wait_for("closed #1");
        let why = format!(": the client closed the connection in the handshake of {layer}");
        assert!(closed.ends_with(&why), "{closed}");
    }
}

#[test]
fn once_says_by_its_exit_code_whether_every_byte_arrived() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let mut relay = Server::relay(&[ANY, &to], &["--once"]);
    let mut client = relay.connect();
    client.write_all(b"all").unwrap();
    drop(client);
    assert_eq!(to_end(&mut server.accept().unwrap().0), b"all");
    assert_eq!(relay.wait(), 0);
    // A reset is 56, no server 7.
    let mut relay = Server::relay(&[ANY, &to], &["--once"]);
    let client = relay.connect();
    let accepted = server.accept().unwrap().0;
    sockopt::set_socket_linger(&accepted, Some(Duration::ZERO)).unwrap();
    drop(accepted);
    assert_eq!(relay.wait(), 56);
    drop(client);
    let closed = Closed::tcp();
    let mut relay = Server::relay(&[ANY, &closed.address.to_string()], &["--once"]);
    let _client = relay.connect();
    assert_eq!(relay.wait(), 7);
}

#[test]
fn tls_is_begun_and_ended_for_real_peers() {
    let folder = tempfile::tempdir().unwrap();
    let authority = support::peers::Authority::new(folder.path());
    authority.sign(folder.path(), "server", &["localhost", "127.0.0.1"], (2020, 2100));
    let ca = folder.path().join("ca.pem").display().to_string();
    // Begun: s_server with -rev answers each line the other way round.
    need("openssl");
    let peer = Peer::start(|port| {
        let mut command = Command::new("openssl");
        let at = format!("127.0.0.1:{port}");
        command.args(["s_server", "-quiet", "-rev", "-accept", &at, "-cert", "server.pem", "-key", "server.key"]);
        command.current_dir(folder.path());
        command
    });
    let relay = Server::relay(&[ANY, &format!("tls://localhost:{}?ca={ca}", peer.port)], &["-4"]);
    let mut client = relay.connect();
    client.write_all(b"hello\n").unwrap();
    assert_eq!(line(&mut client), "olleh\n");
    // One that is not believed is no server at all.
    let relay = Server::relay(&[ANY, &format!("tls://localhost:{}", peer.port)], &["-4", "--once"]);
    let mut client = relay.connect();
    assert!(client.read(&mut [0]).is_err());
    relay.log.wait_for("TLS: ");
    // Ended: s_client talks to an echo.
    let echo = Server::start_at(&[ANY], &["--echo"]);
    let cert = folder.path().join("server.pem").display().to_string();
    let key = folder.path().join("server.key").display().to_string();
    let relay =
        Server::relay(&[&format!("tls://127.0.0.1:0?cert={cert}&key={key}&min=1.3&alpn=x"), &echo.address()], &[]);
    for (version, works) in [("-tls1_3", true), ("-tls1_2", false)] {
        let mut command = Command::new("openssl");
        let address = relay.address();
        command.args([
            "s_client",
            "-quiet",
            "-connect",
            &address,
            "-CAfile",
            &ca,
            "-verify_return_error",
            "-alpn",
            "x",
        ]);
        command.arg(version).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = Ended(command.spawn().unwrap());
        let _ = client.0.stdin.as_mut().unwrap().write_all(b"hello\n");
        let mut heard = [0; 6];
        let heard = client.0.stdout.as_mut().unwrap().read_exact(&mut heard).map(|()| heard);
        assert_eq!(heard.is_ok_and(|heard| &heard == b"hello\n"), works, "{version}");
    }
    relay.log.wait_for("TLS: ");
}

/// Bytes pass unchanged between two sockets, until an end of either is shut by other code.
fn join(one: &TcpStream, other: &TcpStream) {
    for (from, to) in [(one, other), (other, one)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

/// A stream that ends without an end of TLS may have been cut short, and it is said by which side.
#[test]
fn whoever_cuts_its_tls_is_named() {
    need("openssl");
    let folder = tempfile::tempdir().unwrap();
    let authority = support::peers::Authority::new(folder.path());
    authority.sign(folder.path(), "server", &["localhost"], (2020, 2100));
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let middle = between.local_addr().unwrap();
    // A client's way to the relay ends, and the client itself still hears.
    let echo = Server::start_at(&[ANY], &["--echo"]);
    let mut relay = Server::relay(&["tls://127.0.0.1:0", &echo.address()], &["--once"]);
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect", &middle.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = Ended(command.spawn().unwrap());
    let way = relay.connect();
    join(&between.accept().unwrap().0, &way);
    client.0.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
    client.0.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    way.shutdown(Shutdown::Write).unwrap();
    relay.log.wait_for(": the client did not end TLS before its stream ended");
    assert_eq!(relay.wait(), 18);
    // So does a server's way back.
    let server = Peer::start(|port| {
        let mut command = Command::new("openssl");
        let at = format!("127.0.0.1:{port}");
        command.args(["s_server", "-quiet", "-rev", "-accept", &at, "-cert", "server.pem", "-key", "server.key"]);
        command.current_dir(folder.path());
        command
    });
    let ca = folder.path().join("ca.pem").display().to_string();
    let to = format!("tls://localhost:{}?ca={ca}", middle.port());
    let mut relay = Server::relay(&[ANY, &to], &["-4", "--once"]);
    let mut client = relay.connect();
    let way = between.accept().unwrap().0;
    join(&way, &TcpStream::connect(("127.0.0.1", server.port)).unwrap());
    client.write_all(b"hello\n").unwrap();
    assert_eq!(line(&mut client), "olleh\n");
    way.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"");
    drop(client);
    relay.log.wait_for(": the server did not end TLS before its stream ended");
    assert_eq!(relay.wait(), 18);
}

#[test]
fn nc_and_socat_talk_through_it() {
    let relay_to = |to: &str| Server::relay(&[ANY, to], &[]);
    need("socat");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo");
    let socat = Command::new("socat")
        .args([&format!("UNIX-LISTEN:{},fork", path.display()), "EXEC:cat"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut socat = Ended(socat);
    until("socat listens", || listens_at(&path));
    let relay = relay_to(&format!("unix:{}", path.display()));
    need("nc");
    let mut nc = Command::new("nc");
    let output = run_command(nc.args(["-N", "127.0.0.1", &relay.port().to_string()]), &bytes(4, 500_000));
    assert!(output.stdout == bytes(4, 500_000), "{} bytes", output.stdout.len());
    // An abstract name, with our own talk.
    let abstract_name = format!("unix:@sockeye-test-{}", std::process::id());
    let inner = Server::relay(&[&abstract_name, &relay.address()], &[]);
    let outer = relay_to(&abstract_name);
    let output = run(&["talk", &outer.address()], b"through three\n");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "through three\n");
    inner.log.wait_for("by client");
    socat.0.kill().unwrap();
}

/// A process that ends with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn redis_is_asked_through_tls() {
    need("redis-server");
    let folder = tempfile::tempdir().unwrap();
    let redis = Peer::start(|port| {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]);
        command.current_dir(folder.path());
        command
    });
    let relay = Server::relay(&["tls://127.0.0.1:0", &format!("127.0.0.1:{}", redis.port)], &[]);
    let pin = relay.log.pin();
    let outer = Server::relay(&[ANY, &format!("tls://{}?pin={pin}", relay.address())], &[]);
    let output = Command::new("redis-cli")
        .args(["-p", &outer.port().to_string(), "eval", "return string.rep('x', 100000)", "0"])
        .output()
        .unwrap();
    assert_eq!(output.stdout.len(), 100_001, "{}", text(&output.stderr));
}

/// The relay goes on, and where one exit code is about all connections it says so.
#[test]
fn a_record_or_a_capture_that_is_not_whole_is_no_success() {
    let small = tempfile::tempdir().unwrap();
    let path = |name: &str| small.path().join(name).display().to_string();
    let full = |name: &str| {
        std::os::unix::fs::symlink("/dev/full", small.path().join(name)).unwrap();
        path(name)
    };
    let (record, second, udp) = (full("record.talk"), full("two-2.talk"), full("udp.talk"));
    drop(second);
    for (flags, connections, code, says) in [
        (vec!["--record", &record, "--once"], 1, 23, "the record of #1 is not whole"),
        (vec!["--record", &path("two.talk"), "--times", "2"], 2, 23, "the record of #2 is not whole"),
        (vec!["--record", &path("fine.talk"), "--times", "2"], 2, 0, ""),
    ] {
        let mut relay = Server::relay(&[ANY, "exec:cat"], &flags);
        for _ in 0..connections {
            let mut client = relay.connect();
            client.write_all(b"said").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(to_end(&mut client), b"said");
        }
        assert_eq!(relay.wait(), code, "{flags:?}: {:#?}", relay.log.all());
        let lines = relay.log.all();
        assert!(lines.iter().any(|line| line.contains(says)), "{lines:#?}");
        let is_told = lines.last().unwrap().contains("what was to be recorded is not whole");
        assert_eq!(is_told, code != 0, "{lines:#?}");
    }
    // Peers of datagrams have records as well. What else went wrong comes first.
    let echo = Server::start_at(&["udp://127.0.0.1:0"], &["--echo"]);
    let to = format!("udp://{}", echo.address());
    let mut relay =
        Server::relay(&["udp://127.0.0.1:0", &to], &["--record", &udp, "--once", "--idle-timeout", "200ms"]);
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.send_to(b"said", ("127.0.0.1", relay.port())).unwrap();
    assert_eq!(relay.wait(), 23, "{:#?}", relay.log.all());
    let mut relay = Server::relay(&[ANY, "sh:exit 3"], &["--record", &record, "--once"]);
    drop(relay.connect());
    assert_eq!(relay.wait(), 1, "{:#?}", relay.log.all());
}
