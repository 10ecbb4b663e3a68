//! `serve udp://… --exec`: a program for each peer. A datagram is a message to it, a message of its own is a datagram, and
//! silence is the only end that there is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::UdpSocket;

use support::{LONG, Server, assert_code, files_of, in_namespace, need, text, until};

fn serve(arguments: &[&str]) -> Server {
    Server::start_at(&["udp://127.0.0.1:0"], arguments)
}

fn peer_from(address: &str, server: &Server) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.connect(("127.0.0.1", server.port())).unwrap();
    socket
}

fn peer(server: &Server) -> UdpSocket {
    peer_from("127.0.0.1", server)
}

fn hear(peer: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 65_536];
    let length = peer.recv(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

fn ask(peer: &UdpSocket, bytes: &[u8]) -> Vec<u8> {
    peer.send(bytes).unwrap();
    hear(peer)
}

#[test]
fn each_peer_has_a_program_and_datagrams_keep_their_bounds_both_ways() {
    let server = serve(&["--exec", "cat"]);
    let (one, two) = (peer(&server), peer(&server));
    for length in [1, 1400, 60_000] {
        assert_eq!(ask(&one, &vec![b'1'; length]), vec![b'1'; length]);
        assert_eq!(ask(&two, &vec![b'2'; length]), vec![b'2'; length]);
    }
    // Several at once stay several.
    for word in ["a", "bc", "def"] {
        one.send(word.as_bytes()).unwrap();
    }
    assert_eq!([hear(&one), hear(&one), hear(&one)], [&b"a"[..], b"bc", b"def"]);
    server.log.wait_for("opened #2");
    let said = server.log.all();
    assert_eq!(said.iter().filter(|line| line.starts_with("opened #")).count(), 2);
    assert!(!said.iter().any(|line| line.contains("did not read")), "{said:#?}");
    // A shell reads byte by byte, and loses none.
    let server = serve(&["--shell", "while read -r word; do echo \"[$word]\"; done"]);
    let other = peer(&server);
    for word in ["a\n", "bc\n", "def\n"] {
        other.send(word.as_bytes()).unwrap();
    }
    assert_eq!([hear(&other), hear(&other), hear(&other)], [&b"[a]\n"[..], b"[bc]\n", b"[def]\n"]);
    // What it says in pieces comes in pieces.
    let server = serve(&["--shell", "read -r name; echo \"Hello, $name\"; echo again"]);
    let peer = peer(&server);
    assert_eq!(ask(&peer, b"Ann\n"), b"Hello, Ann\n");
    assert_eq!(hear(&peer), b"again\n");
    assert!(server.log.wait_for("closed #1").ends_with(", its program exited with 0"));
}

#[test]
fn its_environment_says_who_the_peer_is() {
    for (address, from) in [("udp://127.0.0.1:0", "127.0.0.1"), ("udp://0.0.0.0:0", "127.0.0.1")] {
        let server = Server::start_at(&[address], &["--exec", "env"]);
        let peer = peer(&server);
        let mut said = text(&ask(&peer, b"x"));
        while !said.contains("SOCAT_PEERPORT=") {
            said.push_str(&text(&hear(&peer)));
        }
        let (port, own) = (peer.local_addr().unwrap().port(), server.port());
        for entry in [
            "SOCKEYE_PROTO=udp".to_owned(),
            "PROTO=UDP".to_owned(),
            "NCAT_PROTO=UDP".to_owned(),
            format!("UDPREMOTEIP={from}"),
            format!("UDPREMOTEPORT={port}"),
            // The one that was asked, though the socket has every one.
            "UDPLOCALIP=127.0.0.1".to_owned(),
            format!("UDPLOCALPORT={own}"),
            format!("SOCAT_PEERPORT={port}"),
        ] {
            assert!(said.lines().any(|line| line == entry), "{entry} in\n{said}");
        }
    }
}

/// Its input ends then, it may say its last, and the next datagram has a new one.
#[test]
fn silence_is_the_end_of_what_it_hears() {
    let server = serve(&["--timeout", "3s", "--shell", "wc -c; echo oops >&2; exit 3"]);
    let peer = peer(&server);
    peer.send(b"hello").unwrap();
    assert_eq!(ask(&peer, b"you"), b"8\n");
    let closed = server.log.wait_for("closed #1");
    assert!(closed.contains(" by timeout, 8 bytes from the client, 2 from the server, "), "{closed}");
    assert!(closed.ends_with(", its program exited with 3: nothing came for 3 s (--timeout)"), "{closed}");
    server.log.wait_for("#1: oops");
    assert_eq!(ask(&peer, b"once more"), b"9\n");
    server.log.wait_for("closed #2");
}

/// What comes keeps a conversation, not what is said: the owner of a forged address is not answered for ever.
#[test]
fn a_program_that_talks_on_to_a_silent_peer_is_ended() {
    let server = serve(&[
        "--timeout",
        "300ms",
        "--grace",
        "100ms",
        "--shell",
        "trap '' TERM; while sleep 0.02; do echo more; done",
    ]);
    let peer = peer(&server);
    assert_eq!(ask(&peer, b"x"), b"more\n");
    assert!(server.log.wait_for("closed #1").contains(" by timeout, "));
}

/// Row 10 of the faults.
#[test]
fn beyond_max_children_peers_wait_and_all_are_served() {
    let server = serve(&["--max-children", "3", "--timeout", "100ms", "--exec", "cat"]);
    let peers: Vec<UdpSocket> = (0..30).map(|_| peer(&server)).collect();
    for (index, peer) in peers.iter().enumerate() {
        peer.send(format!("{index}").as_bytes()).unwrap();
        peer.send(b"second").unwrap();
    }
    server.log.wait_for("3 programs run, as many as may (--max-children); new clients wait");
    for (index, peer) in peers.iter().enumerate() {
        assert_eq!(text(&hear(peer)), format!("{index}"));
        assert_eq!(hear(peer), b"second");
    }
    let (code, log) = server.stop();
    assert_eq!(code, 0);
    assert!(log.last().unwrap().starts_with("30 conversations, "), "{log:#?}");
}

/// Nothing else happens that would have the server look again: its program says nothing before it has heard all three.
#[test]
fn all_that_a_peer_said_while_it_waited_comes_to_its_program_at_once_and_in_order() {
    let all_three = "read -r a; read -r b; read -r c; echo \"$a $b $c\"";
    let server = serve(&["--max-children", "1", "--shell", all_three]);
    let (first, second) = (peer(&server), peer(&server));
    for (peer, word) in [(&first, "1\n"), (&first, "2\n"), (&second, "a\n"), (&second, "b\n"), (&second, "c\n")] {
        peer.send(word.as_bytes()).unwrap();
    }
    server.log.wait_for("new clients wait");
    first.send(b"3\n").unwrap();
    assert_eq!([hear(&first), hear(&second)], [&b"1 2 3\n"[..], b"a b c\n"]);
}

/// A second peer beside the only one that may come has no program, though that one's still runs.
#[test]
fn with_once_nobody_but_the_first_peer_has_a_program() {
    let until_end = "while read -r word && [ \"$word\" != end ]; do echo \"$word\"; done";
    let mut server = serve(&["--once", "--shell", until_end]);
    let (first, late) = (peer(&server), peer(&server));
    assert_eq!(ask(&first, b"one\n"), b"one\n");
    late.send(b"late\n").unwrap();
    // What came behind it is answered, so that it was looked at.
    assert_eq!(ask(&first, b"two\n"), b"two\n");
    first.send(b"end\n").unwrap();
    assert_eq!(server.wait(), 0);
    let log = server.log.to_end();
    assert_eq!(log.iter().filter(|line| line.starts_with("opened #")).count(), 1, "{log:#?}");
}

#[test]
fn a_program_that_ends_at_once_says_all_and_leaves_nothing() {
    let server = serve(&["-v", "--exec", "echo goodbye"]);
    let peer = peer(&server);
    assert_eq!(ask(&peer, &[b'x'; 60_000]), b"goodbye\n");
    server.log.wait_for("closed #1");
    let before = files_of(server.child.id());
    for number in 2..=200 {
        // What was never read takes nothing away.
        assert_eq!(ask(&peer, &[b'x'; 60_000]), b"goodbye\n");
        server.log.wait_for(&format!("closed #{number} "));
    }
    until("rest", || files_of(server.child.id()) == before);
}

/// Row 11 of the faults.
#[test]
fn a_program_that_does_not_end_is_ended_with_the_server() {
    let mut server = serve(&["--grace", "200ms", "--shell", "trap '' TERM; echo $$; sleep 1000; sleep 1000"]);
    let pid = text(&ask(&peer(&server), b"x"));
    server.signal("TERM");
    assert_eq!(server.wait(), 0);
    assert!(server.log.wait_for("closed #1").contains("its program was ended by SIGKILL"));
    until("its end", || !std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
}

#[test]
fn what_does_not_fit_into_a_datagram_is_told() {
    let mut server = serve(&["--once", "--exec", "dd if=/dev/zero bs=65520 count=1 status=none"]);
    peer(&server).send(b"x").unwrap();
    assert_eq!(server.wait(), 1);
    server.log.wait_for("an answer of 65520 bytes could not be sent: ");
}

#[test]
fn one_conversation_is_judged_by_its_program() {
    for (line, code) in [("echo ok", 0), ("echo ok; exit 4", 1)] {
        let mut server = serve(&["--once", "--shell", line]);
        assert_eq!(ask(&peer(&server), b"x"), b"ok\n");
        assert_eq!(server.wait(), code);
    }
}

#[test]
fn with_pty_a_peer_has_a_terminal() {
    let server = serve(&["--pty", "--shell", "tty; exec cat"]);
    let peer = peer(&server);
    let said = text(&ask(&peer, b"hello\n"));
    assert!(said.contains("/dev/pts/") || said.contains("hello"), "{said}");
}

#[test]
fn who_may_not_come_in_has_no_program() {
    let server =
        serve(&["--deny", "127.3.0.0/16", "--max-conns-per-address", "1", "--when-full", "refuse", "--exec", "cat"]);
    let stranger = peer_from("127.3.0.1", &server);
    stranger.send(b"x").unwrap();
    server.log.wait_for("datagrams from addresses that may not come in (--allow, --deny)");
    assert_eq!(ask(&peer(&server), b"one"), b"one");
    let second = peer(&server);
    second.send(b"two").unwrap();
    server.log.wait_for("127.0.0.1 refused: 1 connections, as many as may be of one address (--max-conns-per-address)");
    assert_eq!(ask(&peer_from("127.4.0.1", &server), b"three"), b"three");
    support::assert_no_datagram(&stranger);
    support::assert_no_datagram(&second);
}

/// A source address is only a claim: off the loopback a program does not multiply what comes.
#[test]
fn off_the_loopback_answers_have_a_budget() {
    need("python3");
    let client = r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(30)
s.bind(('10.9.0.1', 0))
s.sendto(b'x', ('10.9.0.1', 24100))
got = 0
while True:
    data = s.recv(65536)
    if data == b'': break
    got += 1
    s.settimeout(2)
    if got == 8: break
try:
    while s.recv(65536): got += 1
except TimeoutError: pass
print(got)
"#;
    let script = format!(
        "ip addr add 10.9.0.1/24 dev lo; cd \"$(mktemp -d)\"\n\
        \"$1\" serve udp://10.9.0.1:24100 --shell 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo many bytes; done' \
        --port-file ports 2>log & server=$!\n\
        until [ -e ports ]; do sleep 0.01; done\n\
        python3 - <<'END' || {{ cat log; exit 1; }}\n{client}\nEND\nkill $server; wait $server; cat log >&2"
    );
    let output = in_namespace(&script);
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "8\n", "{}", text(&output.stderr));
    let told = text(&output.stderr);
    assert!(
        told.contains("dropped 4: udp://10.9.0.1:24100: off the loopback at most 3 bytes go out for each byte in"),
        "{told}"
    );
    // Where nothing is judged that is no failure of the conversation.
    assert!(!told.contains("held back"), "{told}");
}
