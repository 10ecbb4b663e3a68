//! Messages that keep their bounds: `unix-dgram:`, `unix-seqpacket:` and `udp://`, joined by `relay` to each other and to streams.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept as accept_of, bind, connect,
    listen, recv, send, socket_with, sockopt,
};
use support::*;

/// Room for any message here.
const ROOM: usize = 300_000;

/// One end that sends and receives whole messages.
enum End {
    Udp(UdpSocket),
    Dgram(UnixDatagram),
    Packets(OwnedFd),
}

impl End {
    fn say(&self, message: &[u8]) {
        match self {
            Self::Udp(socket) => drop(socket.send(message).unwrap()),
            Self::Dgram(socket) => drop(socket.send(message).unwrap()),
            Self::Packets(socket) => drop(send(socket, message, SendFlags::NOSIGNAL).unwrap()),
        }
    }

    fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; ROOM];
        let length = match self {
            Self::Udp(socket) => socket.recv(&mut buffer).unwrap(),
            Self::Dgram(socket) => socket.recv(&mut buffer).unwrap(),
            Self::Packets(socket) => recv(socket, &mut buffer[..], RecvFlags::empty()).unwrap().1,
        };
        buffer.truncate(length);
        buffer
    }
}

impl End {
    /// What waits or comes within a moment; nothing, if nothing does.
    fn hears_soon(&self) -> Vec<u8> {
        let mut fds = [PollFd::new(self, PollFlags::IN)];
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 })).unwrap() {
            0 => Vec::new(),
            _ => self.hear(),
        }
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Dgram(socket) => socket.as_fd(),
            Self::Packets(socket) => socket.as_fd(),
        }
    }
}

fn packets() -> OwnedFd {
    let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(LONG)).unwrap();
    fd
}

fn dgram(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

/// A server of messages, where a relay leads. Who comes first is its only client.
struct Messages {
    address: String,
    end: End,
}

impl Messages {
    fn new(scheme: &str, folder: &Path) -> Self {
        let path = folder.join(format!("{scheme}-server"));
        let shown = path.display();
        match scheme {
            "udp" => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.set_read_timeout(Some(LONG)).unwrap();
                Self { address: format!("udp://{}", socket.local_addr().unwrap()), end: End::Udp(socket) }
            }
            "unix-dgram" => Self { address: format!("unix-dgram:{shown}"), end: End::Dgram(dgram(&path)) },
            _ => {
                let fd = packets();
                bind(&fd, &SocketAddrUnix::new(&path).unwrap()).unwrap();
                listen(&fd, 8).unwrap();
                Self { address: format!("unix-seqpacket:{shown}"), end: End::Packets(fd) }
            }
        }
    }

    /// Its first client, with the first message, if it has one already.
    fn accept(self) -> (End, Option<Vec<u8>>) {
        let mut buffer = vec![0; ROOM];
        let (end, length) = match self.end {
            End::Udp(socket) => {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                socket.connect(from).unwrap();
                (End::Udp(socket), length)
            }
            End::Dgram(socket) => {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                socket.connect_addr(&from).unwrap();
                (End::Dgram(socket), length)
            }
            End::Packets(listener) => {
                let fd = accept_of(&listener).unwrap();
                sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(LONG)).unwrap();
                return (End::Packets(fd), None);
            }
        };
        buffer.truncate(length);
        (end, Some(buffer))
    }
}

/// Where a relay of messages listens, and a client of it.
fn front(scheme: &str, folder: &Path) -> String {
    match scheme {
        "udp" => "udp://127.0.0.1:0".to_owned(),
        _ => format!("{scheme}:{}", folder.join("front").display()),
    }
}

fn client(relay: &Server, scheme: &str, folder: &Path, name: &str) -> End {
    let path = folder.join("front");
    match scheme {
        "udp" => End::Udp(relay.datagrams()),
        "unix-dgram" => {
            let socket = dgram(&folder.join(name));
            socket.connect(path).unwrap();
            End::Dgram(socket)
        }
        _ => {
            let fd = packets();
            connect(&fd, &SocketAddrUnix::new(&path).unwrap()).unwrap();
            End::Packets(fd)
        }
    }
}

const SCHEMES: [&str; 3] = ["udp", "unix-dgram", "unix-seqpacket"];

#[test]
fn every_kind_of_messages_reaches_every_other_and_keeps_its_bounds() {
    for from in SCHEMES {
        for to in SCHEMES {
            let folder = tempfile::tempdir().unwrap();
            let server = Messages::new(to, folder.path());
            let relay = Server::relay(&[&front(from, folder.path()), &server.address], &[]);
            let client = client(&relay, from, folder.path(), "client");
            let messages = [&b"one"[..], b"two", b"", b"line\nline\n", &[0; 60_000], b"last"];
            client.say(messages[0]);
            let (server, first) = server.accept();
            assert_eq!(first.unwrap_or_else(|| server.hear()), b"one", "{from} to {to}");
            server.say(b"an answer");
            assert_eq!(client.hear(), b"an answer", "{from} to {to}");
            for message in &messages[1..] {
                client.say(message);
                assert!(server.hear() == *message, "{from} to {to}: {}", message.len());
                // Read again by a peer that takes an empty message for an end.
                if !(message.is_empty() && matches!(client, End::Packets(_))) {
                    server.say(message);
                    assert!(client.hear() == *message, "{from} to {to}: {}", message.len());
                }
            }
            // Each byte is counted once. The empty message is no end of a flow, but one for a peer of packets that hears it.
            drop((client, server));
            let (_, said) = relay.stop();
            let closed = said.iter().find(|line| line.starts_with("closed #1")).unwrap();
            let counts = "60020 bytes from the client, 60026 from the server";
            assert!(closed.contains(counts), "{from} to {to}: {closed}");
        }
    }
}

/// A socket that is connected to one of ours and keeps bounds, to be handed over.
fn given(kind: &str) -> (End, OwnedFd) {
    match kind {
        "udp" => {
            let [ours, theirs] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
            ours.connect(theirs.local_addr().unwrap()).unwrap();
            theirs.connect(ours.local_addr().unwrap()).unwrap();
            ours.set_read_timeout(Some(LONG)).unwrap();
            (End::Udp(ours), theirs.into())
        }
        "unix-dgram" => {
            let (ours, theirs) = UnixDatagram::pair().unwrap();
            ours.set_read_timeout(Some(LONG)).unwrap();
            (End::Dgram(ours), theirs.into())
        }
        _ => {
            let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
            let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
            sockopt::set_socket_timeout(&ours, sockopt::Timeout::Recv, Some(LONG)).unwrap();
            (End::Packets(ours), theirs)
        }
    }
}

/// A connected socket that a relay was started with is a server, too: one that has one client.
#[test]
fn a_socket_that_was_given_is_a_server_of_every_kind_of_messages() {
    for from in SCHEMES {
        for kind in SCHEMES {
            let folder = tempfile::tempdir().unwrap();
            let (server, handed) = given(kind);
            // Its standard input is the socket, which bash(1) hands on by a number.
            let wrapper = ["bash", "-c", "exec 5<&0 </dev/null; exec \"$0\" \"$@\""];
            let relay = Server::start_over(handed, "relay", &wrapper, &[&front(from, folder.path()), "fd:5"], &[]);
            let client = client(&relay, from, folder.path(), "client");
            for message in [&b"one"[..], b"", &[0; 60_000], b"", b"last"] {
                client.say(message);
                assert!(server.hear() == message, "{from} to {kind}: {}", message.len());
                server.say(message);
                assert!(client.hear() == message, "{from} to {kind}: {}", message.len());
            }
        }
    }
}

#[test]
fn each_peer_of_a_datagram_socket_has_a_stream_of_its_own_and_its_answers() {
    for from in SCHEMES {
        for kind in ["tcp", "exec"] {
            let folder = tempfile::tempdir().unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let echo = std::thread::spawn({
                let listener = listener.try_clone().unwrap();
                move || {
                    for _ in 0..3 {
                        let mut stream = listener.accept().unwrap().0;
                        std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
                    }
                }
            });
            let to = if kind == "tcp" { listener.local_addr().unwrap().to_string() } else { "exec:cat".to_owned() };
            let relay = Server::relay(&[&front(from, folder.path()), &to], &[]);
            let clients = ["a", "b", "c"].map(|name| client(&relay, from, folder.path(), name));
            for (number, client) in clients.iter().enumerate() {
                client.say(format!("I am {number}").as_bytes());
            }
            for (number, client) in clients.iter().enumerate() {
                assert_eq!(client.hear(), format!("I am {number}").as_bytes(), "{from} to {kind}");
            }
            relay.log.wait_for("opened #3");
            if kind == "tcp" {
                echo.join().unwrap();
            }
        }
    }
}

#[test]
fn a_stream_holds_messages_as_its_framing_says() {
    for to in SCHEMES {
        for (frame, stream, messages, answer) in [
            (
                "u16",
                &b"\0\x03one\0\x03two\0\x04l\ni\n"[..],
                vec![&b"one"[..], b"two", b"l\ni\n"],
                &b"\0\x03ans\0\x02er"[..],
            ),
            ("line", b"one\ntwo\r\n\nlast", vec![b"one", b"two", b"", b"last"], b"ans\ner\n"),
            ("none", b"all of it", vec![b"all of it"], b"anser"),
        ] {
            // Either address may say it.
            for place in 0..2 {
                let folder = tempfile::tempdir().unwrap();
                let server = Messages::new(to, folder.path());
                let mut addresses = ["tcp://127.0.0.1:0".to_owned(), server.address.clone()];
                addresses[place].push_str(&format!("?frame={frame}"));
                let relay = Server::relay(&[&addresses[0], &addresses[1]], &[]);
                let mut client = relay.connect();
                client.write_all(stream).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                let (server, first) = server.accept();
                let mut heard = vec![first.unwrap_or_else(|| server.hear())];
                while heard.len() < messages.len() {
                    heard.push(server.hear());
                }
                assert_eq!(heard, messages, "{frame} to {to}");
                server.say(b"ans");
                server.say(b"er");
                drop(server);
                assert_eq!(to_end(&mut client), answer, "{frame} to {to}");
            }
        }
    }
}

#[test]
fn messages_of_a_websocket_keep_their_bounds_against_datagrams() {
    let folder = tempfile::tempdir().unwrap();
    let server = Messages::new("udp", folder.path());
    let inner = Server::relay(&["ws://127.0.0.1:0", &server.address], &[]);
    let outer = Server::relay(&["udp://127.0.0.1:0", &format!("ws://{}", inner.address())], &[]);
    let client = outer.datagrams();
    let sizes = [3, 0, 1, 1000, 65_507, 7];
    for (number, size) in sizes.into_iter().enumerate() {
        client.send(&vec![number as u8; size]).unwrap();
        // Two at once, so that they could run together.
        if number == 0 {
            client.send(b"behind it").unwrap();
        }
    }
    let (server, first) = server.accept();
    assert_eq!(first.unwrap(), [0; 3]);
    assert_eq!(server.hear(), b"behind it");
    for (number, size) in sizes.into_iter().enumerate().skip(1) {
        assert!(server.hear() == vec![number as u8; size], "{size}");
    }
    server.say(b"one");
    server.say(b"two");
    let mut buffer = [0; 16];
    for answer in [b"one", b"two"] {
        assert_eq!(client.recv(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], answer);
    }
}

#[test]
fn what_is_too_large_is_told_and_not_cut() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    let to = format!("udp://{}?frame=u16", server.local_addr().unwrap());
    let mut relay = Server::relay(&["tcp://127.0.0.1:0", &to], &["--once"]);
    let mut client = relay.connect();
    let mut stream = vec![0xff, 0xff];
    stream.extend_from_slice(&[7; 65_535]);
    stream.extend_from_slice(b"\0\x04last");
    client.write_all(&stream).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(server.recv(&mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"last");
    relay.log.wait_for("1 message did not arrive: a message of 65535 bytes is larger than udp takes at once");
    assert_eq!(relay.wait(), 18);
    // A message that ended too early.
    let mut relay = Server::relay(&["tcp://127.0.0.1:0", &to], &["--once"]);
    let mut client = relay.connect();
    client.write_all(b"\0\x09half").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    relay.log.wait_for("the stream ended inside a message, of which 6 bytes had come");
    assert_eq!(relay.wait(), 18);
    // More than a Unix socket takes from a sender.
    let folder = tempfile::tempdir().unwrap();
    let packets = Messages::new("unix-seqpacket", folder.path());
    let mut relay =
        Server::relay(&["tcp://127.0.0.1:0?frame=line", &format!("{}?sndbuf=4096", packets.address)], &["--once"]);
    let mut client = relay.connect();
    client.write_all(&[b'x'; 100_000]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (server, _) = packets.accept();
    drop(server);
    relay.log.wait_for("a message of 100000 bytes is larger than unix-seqpacket takes at once");
    assert_eq!(relay.wait(), 18);
}

#[test]
fn who_has_no_name_is_heard_and_its_answers_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let front = folder.path().join("front");
    let mut relay = Server::relay(&[&format!("unix-dgram:{}", front.display()), "exec:tr a-z A-Z"], &["--times", "1"]);
    let client = UnixDatagram::unbound().unwrap();
    client.send_to(b"hello", &front).unwrap();
    relay.log.wait_for("opened #1");
    // What a program says when its input has ended cannot reach anybody.
    relay.signal("TERM");
    relay.log.wait_for("answers could not be sent: their client has no name to be answered at");
    assert_eq!(relay.wait(), 18, "{:#?}", relay.log.all());
}

#[test]
fn a_peer_that_dies_is_told_and_one_that_returns_is_found() {
    for to in ["unix-dgram", "udp"] {
        let folder = tempfile::tempdir().unwrap();
        let server = Messages::new(to, folder.path());
        let address = server.address.clone();
        let relay = Server::relay(&[&format!("unix-dgram:{}", folder.path().join("front").display()), &address], &[]);
        let client = client(&relay, "unix-dgram", folder.path(), "client");
        client.say(b"one");
        let (end, first) = server.accept();
        assert_eq!(first.unwrap(), b"one");
        drop(end);
        if to == "unix-dgram" {
            std::fs::remove_file(folder.path().join("unix-dgram-server")).unwrap();
        }
        // An answer by ICMP comes to the one before.
        until("it is told", || {
            client.say(b"lost");
            relay.log.all().iter().any(|line| line.contains("the server does not listen: port or path closed"))
        });
        let again = match to {
            "udp" => End::Udp(UdpSocket::bind(address.strip_prefix("udp://").unwrap()).unwrap()),
            _ => End::Dgram(dgram(&folder.path().join("unix-dgram-server"))),
        };
        // A datagram that stands behind one that was refused is lost with its flow: a client asks again.
        until("the message behind", || {
            client.say(b"again");
            again.hears_soon() == b"again"
        });
    }
    // No server there from the beginning.
    let folder = tempfile::tempdir().unwrap();
    let to = format!("unix-dgram:{}", folder.path().join("nobody").display());
    let mut relay = Server::relay(&["tcp://127.0.0.1:0", &to], &["--once"]);
    assert_eq!(to_end_or_reset(&mut relay.connect()), b"");
    relay.log.wait_for("No such file or directory");
    assert_eq!(relay.wait(), 7);
}

fn to_end_or_reset(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

#[test]
fn a_silent_peer_ends_its_stream_and_an_end_of_the_stream_ends_the_flow() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let relay = Server::relay(&["udp://127.0.0.1:0", &to], &["--idle-timeout", "600ms"]);
    let client = relay.datagrams();
    client.send(b"one").unwrap();
    let mut stream = accept(&listener);
    assert_eq!(to_end_or_reset(&mut stream), b"one");
    relay.log.wait_for("closed #1");
    let relay = Server::relay(&["udp://127.0.0.1:0", &to], &[]);
    let client = relay.datagrams();
    for number in 1..4 {
        client.send(b"hello").unwrap();
        let mut stream = accept(&listener);
        assert_eq!(read(&mut stream, 5), b"hello");
        stream.write_all(b"bye").unwrap();
        drop(stream);
        let mut buffer = [0; 8];
        assert_eq!(client.recv(&mut buffer).unwrap(), 3);
        relay.log.wait_for(&format!("closed #{number}"));
    }
}

#[test]
fn a_slow_stream_holds_unix_datagrams_up_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let front = folder.path().join("front");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("{}?frame=u16", listener.local_addr().unwrap());
    let relay = Server::relay(&[&format!("unix-dgram:{}", front.display()), &to], &[]);
    let sender = std::thread::spawn(move || {
        let client = UnixDatagram::unbound().unwrap();
        for number in 0..4000_u32 {
            let mut message = [0; 5000];
            message[..4].copy_from_slice(&number.to_be_bytes());
            client.send_to(&message, &front).unwrap();
        }
    });
    let mut stream = accept(&listener);
    // It is full by then: 20 MB are more than all queues hold.
    until("something to wait in the socket", || stream.peek(&mut [0; 60_000]).unwrap() == 60_000);
    for number in 0..4000_u32 {
        let message = read(&mut stream, 5002);
        assert_eq!(message[..2], 5000_u16.to_be_bytes());
        assert_eq!(message[2..6], number.to_be_bytes());
    }
    sender.join().unwrap();
    drop(relay);
}

#[test]
fn socket_files_are_made_refused_and_removed_as_those_of_streams() {
    for scheme in ["unix-dgram", "unix-seqpacket"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("front");
        let address = format!("{scheme}:{}", path.display());
        // One that was left by a process that died.
        drop(Messages::new(scheme, folder.path()));
        std::fs::rename(folder.path().join(format!("{scheme}-server")), &path).unwrap();
        let relay = Server::relay(&[&address, "exec:cat"], &[]);
        let output = run(&["relay", &address, "exec:cat"], b"");
        assert_code(&output, 3);
        assert!(text(&output.stderr).contains("the path is in use by"), "{}", text(&output.stderr));
        let (code, _) = relay.stop();
        assert_eq!(code, 0);
        assert!(!path.exists());
        // What is no socket stays.
        std::fs::write(&path, "precious").unwrap();
        assert_code(&run(&["relay", &address, "exec:cat"], b""), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
    // An abstract name has no file.
    let name = format!("@sockeye-test-{}", std::process::id());
    let _relay = Server::relay(&[&format!("unix-seqpacket:{name}"), "exec:cat"], &[]);
    let fd = packets();
    connect(&fd, &SocketAddrUnix::new_abstract_name(&name.as_bytes()[1..]).unwrap()).unwrap();
    let client = End::Packets(fd);
    client.say(b"hello");
    assert_eq!(client.hear(), b"hello");
}

#[test]
fn a_client_of_packets_that_closes_leaves_nothing_open() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let relay = Server::relay(&[&front("unix-seqpacket", folder.path()), &to], &[]);
    let client = client(&relay, "unix-seqpacket", folder.path(), "client");
    client.say(b"the last word");
    drop(client);
    let mut stream = accept(&listener);
    assert_eq!(read(&mut stream, 13), b"the last word");
    assert_eq!(to_end(&mut stream), b"");
    // The server never closes by itself.
    relay.log.wait_for("closed #1");
}

#[test]
fn sigterm_lets_flows_have_their_answers() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Server::relay(&[&front("unix-dgram", folder.path()), "sh:cat; echo the end"], &[]);
    let clients: Vec<End> =
        (0..20).map(|number| client(&relay, "unix-dgram", folder.path(), &format!("c{number}"))).collect();
    for client in &clients {
        client.say(b"hello\n");
        assert_eq!(client.hear(), b"hello\n");
    }
    let (code, log) = relay.stop();
    assert_eq!(code, 0);
    assert!(log.last().unwrap().contains("20 connections, 20 ended by themselves"), "{log:#?}");
    for client in &clients {
        assert_eq!(client.hear(), b"the end\n");
    }
}

#[test]
fn a_record_a_capture_and_what_is_shown_have_each_message() {
    need("tshark");
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.talk");
    let pcap = folder.path().join("relay.pcapng");
    let server = Messages::new("udp", folder.path());
    let arguments = ["--show", "--record", record.to_str().unwrap(), "--pcap", pcap.to_str().unwrap(), "--times", "1"];
    let mut relay = Server::relay(&[&front("unix-seqpacket", folder.path()), &server.address], &arguments);
    let client = client(&relay, "unix-seqpacket", folder.path(), "client");
    client.say(b"question one");
    let (server, _) = server.accept();
    client.say(b"question two");
    server.hear();
    server.say(b"answer");
    client.hear();
    drop(client);
    assert_eq!(relay.wait(), 0, "{:#?}", relay.log.all());
    relay.log.wait_for("#1 C raw: question one");
    relay.log.wait_for("#1 S raw: answer");
    let text = std::fs::read_to_string(&record).unwrap();
    assert!(text.contains("C: question one\nC: question two\nS: answer\n"), "{text}");
    let fields = ["-r", pcap.to_str().unwrap(), "-T", "fields", "-e", "data.data"];
    let output = Command::new("tshark").args(fields).output().unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines = support::text(&output.stdout);
    // On either side of the relay.
    for message in [&b"question one"[..], b"question two", b"answer"] {
        assert_eq!(lines.lines().filter(|line| *line == hex(message)).count(), 2, "{lines}");
    }
    // A record of a stream has the stream's bytes.
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = format!("udp://{}?frame=line", server.local_addr().unwrap());
    let record = folder.path().join("stream.talk");
    let mut relay = Server::relay(&["tcp://127.0.0.1:0", &to], &["--once", "--record", record.to_str().unwrap()]);
    let mut client = relay.connect();
    client.write_all(b"a line\n").unwrap();
    let mut buffer = [0; 64];
    let (_, from) = server.recv_from(&mut buffer).unwrap();
    server.send_to(b"its answer", from).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"its answer\n");
    assert_eq!(relay.wait(), 0);
    let text = std::fs::read_to_string(&record).unwrap();
    assert!(text.contains("C: a line\nS: its answer\n"), "{text}");
}

#[test]
fn a_bad_network_is_one_of_messages_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Messages::new("unix-dgram", folder.path());
    let faults = ["--duplicate", "up:100%", "--times", "1"];
    let mut relay = Server::relay(&["tcp://127.0.0.1:0?frame=line", &server.address], &faults);
    let mut client = relay.connect();
    client.write_all(b"twice\nand this\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (server, first) = server.accept();
    let heard = [first.unwrap(), server.hear(), server.hear(), server.hear()];
    assert_eq!(heard, [&b"twice"[..], b"twice", b"and this", b"and this"]);
    assert_eq!(relay.wait(), 0, "{:#?}", relay.log.all());
    // What is lost on purpose is told, and no failure.
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut relay = Server::relay(
        &["udp://127.0.0.1:0", &echo.local_addr().unwrap().to_string()],
        &["--drop", "100%", "--times", "1"],
    );
    let client = relay.datagrams();
    client.send(b"lost").unwrap();
    drop(accept(&echo));
    relay.log.wait_for("1 datagrams were lost on purpose (--drop)");
    assert_eq!(relay.wait(), 0, "{:#?}", relay.log.all());
}

/// A question for the address of a name, as DNS has it.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

/// Row 23 of the list of faults, for messages that are late: a stream's or a Unix socket's sender waits for a slow end, and
/// none is lost.
#[test]
fn what_is_late_waits_for_a_slow_end_and_none_of_it_is_lost() {
    const PIECE: usize = 50_000;
    // More than may be under way.
    const PIECES: usize = 200;
    for (from, more) in [("tcp", &["--delay", "1ms"][..]), ("unix-seqpacket", &["--delay", "1ms"]), ("tcp", &[])] {
        let folder = tempfile::tempdir().unwrap();
        let server = Messages::new("unix-seqpacket", folder.path());
        let at = if from == "tcp" { "tcp://127.0.0.1:0".to_owned() } else { front(from, folder.path()) };
        let relay = Server::relay(&[&at, &server.address], more);
        let saying = if from == "tcp" {
            let mut stream = relay.connect();
            std::thread::spawn(move || {
                for number in 0..PIECES {
                    stream.write_all(&[number as u8; PIECE]).unwrap();
                }
            })
        } else {
            let client = client(&relay, from, folder.path(), "client");
            std::thread::spawn(move || (0..PIECES).for_each(|number| client.say(&[number as u8; PIECE])))
        };
        let (server, _) = server.accept();
        // Nothing is read until all that can be is under way.
        wait_until_idle(relay.child.id());
        let mut heard = Vec::new();
        loop {
            match server.hear() {
                message if message.is_empty() => break,
                message => heard.extend(message),
            }
        }
        saying.join().unwrap();
        assert_eq!(heard.len(), PIECES * PIECE, "{from} {more:?}");
        assert!(heard.chunks(PIECE).enumerate().all(|(number, piece)| piece == [number as u8; PIECE]));
    }
}

/// What is late by then is not what the handshake of a slow server waits for.
#[test]
fn messages_that_are_late_wait_for_a_handshake() {
    for scheme in ["tls", "ws"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = format!("{scheme}://{}", listener.local_addr().unwrap());
        let relay = Server::relay(&["udp://127.0.0.1:0", &to], &["--delay", "1ms", "--grace", "10ms"]);
        let client = relay.datagrams();
        client.send(b"one").unwrap();
        let _silent = listener.accept().unwrap().0;
        client.send(b"two").unwrap();
        wait_until_idle(relay.child.id());
        let (code, log) = relay.stop();
        assert_eq!(code, 0, "{scheme}: {log:#?}");
    }
}

#[test]
fn dns_goes_over_tcp_for_who_asks_by_datagrams_and_the_other_way() {
    need("dnsmasq");
    let server = support::peers::Peer::start(|port| {
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=root"]);
        command.args(["--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--address=/a.test/192.0.2.7"]);
        command.arg(format!("--port={port}"));
        command
    });
    let tcp = format!("tcp://127.0.0.1:{}?frame=u16", server.port);
    let relay = Server::relay(&["udp://127.0.0.1:0", &tcp], &[]);
    let client = relay.datagrams();
    let mut buffer = [0; 512];
    for id in 1..4 {
        client.send(&question(id, "a.test")).unwrap();
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..2], id.to_be_bytes());
        assert!(buffer[..length].ends_with(&[192, 0, 2, 7]), "{:?}", &buffer[..length]);
    }
    let udp = format!("udp://127.0.0.1:{}", server.port);
    let relay = Server::relay(&["tcp://127.0.0.1:0?frame=u16", &udp], &[]);
    let mut client = relay.connect();
    for id in 1..4_u16 {
        let question = question(id, "a.test");
        client.write_all(&(question.len() as u16).to_be_bytes()).unwrap();
        client.write_all(&question).unwrap();
        let length = u16::from_be_bytes(read(&mut client, 2).try_into().unwrap());
        let answer = read(&mut client, length.into());
        assert!(answer[..2] == id.to_be_bytes() && answer.ends_with(&[192, 0, 2, 7]), "{answer:?}");
    }
}

#[test]
fn senders_of_logs_and_notices_are_heard() {
    for program in ["logger", "systemd-notify", "socat"] {
        need(program);
    }
    let folder = tempfile::tempdir().unwrap();
    let front = folder.path().join("front");
    let from = format!("unix-dgram:{}", front.display());
    let listener = UnixListener::bind(folder.path().join("to")).unwrap();
    let to = format!("unix:{}?frame=line", folder.path().join("to").display());
    let relay = Server::relay(&[&from, &to], &[]);
    let says = |command: &mut Command| {
        assert!(command.stdin(Stdio::null()).status().unwrap().success());
    };
    says(Command::new("logger").args(["--socket", front.to_str().unwrap(), "--tag", "test", "a line of a log"]));
    let mut stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(LONG)).unwrap();
    let heard = line(&mut stream);
    assert!(heard.starts_with("<13>") && heard.contains("test: a line of a log"), "{heard}");
    says(Command::new("systemd-notify").args(["--ready", "--status=fine"]).env("NOTIFY_SOCKET", &front));
    // All who have no name are one.
    assert!(line(&mut stream).contains("READY=1"));
    assert!(line(&mut stream).contains("STATUS=fine"));
    drop(relay);
    // socat's datagrams and packets, which are answered.
    let relay = Server::relay(&[&from, "exec:tr a-z A-Z"], &[]);
    let own = folder.path().join("own");
    let to = format!("UNIX-SENDTO:{},bind={}", front.display(), own.display());
    let output = run_command(Command::new("socat").args(["-t", "1", "-", &to]), b"");
    assert_code(&output, 0);
    drop(relay);
    let path = folder.path().join("packets");
    let _relay = Server::relay(&[&format!("unix-seqpacket:{}", path.display()), "exec:sed -u s/a/b/"], &[]);
    let to = format!("UNIX-CONNECT:{},type=5", path.display());
    let output = run_command(Command::new("socat").args(["-t", "10", "-", &to]), b"a cat\n");
    assert_eq!(text(&output.stdout), "b cat\n");
}

#[test]
fn socat_is_a_server_of_datagrams_and_of_packets() {
    need("socat");
    let folder = tempfile::tempdir().unwrap();
    for (listens, scheme, ending) in [
        ("UNIX-RECVFROM:{},fork", "unix-dgram", ""),
        ("UNIX-LISTEN:{},type=5,fork", "unix-seqpacket", ""),
        ("UNIX-LISTEN:{},fork", "unix", "?frame=line"),
    ] {
        let path = folder.path().join(format!("{scheme}-socat"));
        let mut server = Command::new("socat")
            .args([&listens.replace("{}", path.to_str().unwrap()), "EXEC:cat"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // One for datagrams takes them as soon as it is there.
        until("the socket of socat", || if listens.contains("LISTEN") { listens_at(&path) } else { path.exists() });
        let relay = Server::relay(&["udp://127.0.0.1:0", &format!("{scheme}:{}{ending}", path.display())], &[]);
        let client = relay.datagrams();
        let mut buffer = [0; 64];
        client.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        until("an answer", || {
            client.send(b"a message").unwrap();
            client.recv(&mut buffer).is_ok()
        });
        let heard = &buffer[..9];
        assert_eq!(heard, b"a message", "{scheme}");
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

/// The commands of docs/ends.md that relay streams and datagrams: each starts and listens.
#[test]
fn the_commands_of_the_page_are_understood() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ends.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for block in page.split("```sh\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            let command = line.split("  #").next().unwrap().trim();
            let words: Vec<String> =
                command.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
            assert_eq!(words[0], "sockeye", "{command}");
            if words[1] != "relay" {
                continue;
            }
            let ours: Vec<String> = words[2..]
                .iter()
                .map(|word| {
                    let word = word.replace("127.0.0.1:7053", "127.0.0.1:0").replace("//:7000", "//127.0.0.1:0");
                    let word = word
                        .replace("6514?frame", "127.0.0.1:0?frame")
                        .replace("log.example:127.0.0.1:0", "127.0.0.1:1");
                    word.replace("/run/", &format!("{}/", folder.path().display()))
                })
                .collect();
            let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
            count += 1;
            Server::relay(&ours, &[]).log.wait_for("listening on ");
        }
    }
    assert_eq!(count, 4);
}
