//! Who may come in, and what is given up, for the other verbs that listen: `relay` and `talk --listen`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Stdio;

use support::{LONG, Server, assert_code, connect_from, line, listening, run, text, to_end, wait};

const ONE: [u8; 4] = [127, 1, 2, 3];
const TWO: [u8; 4] = [127, 2, 0, 1];

fn is_echoed(stream: &mut TcpStream, word: &str) -> bool {
    let mut heard = vec![0; word.len()];
    stream.write_all(word.as_bytes()).is_ok() && stream.read_exact(&mut heard).is_ok() && heard == word.as_bytes()
}

/// An echo behind a relay.
fn relayed(arguments: &[&str]) -> (Server, Server) {
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--echo"]);
    let relay = Server::relay(&["tcp://127.0.0.1:0", &format!("127.0.0.1:{}", server.port())], arguments);
    (server, relay)
}

#[test]
fn a_relay_keeps_out_who_is_not_allowed_or_denied() {
    let (_server, relay) =
        relayed(&["--allow", "127.1.0.0/16", "--allow", "::ffff:127.2.0.1", "--deny", "127.1.9.0/24"]);
    assert!(
        is_echoed(&mut connect_from(ONE, relay.port()), "one")
            && is_echoed(&mut connect_from(TWO, relay.port()), "two")
    );
    for (address, name) in [([127, 2, 0, 2], "127.2.0.2"), ([127, 1, 9, 1], "127.1.9.1")] {
        assert!(!is_echoed(&mut connect_from(address, relay.port()), "no"));
        relay.log.wait_for(&format!(": {name} may not come in (--allow, --deny)"));
    }
    // No other client was connected to the server.
    let (code, log) = relay.stop();
    assert_eq!(code, 0);
    assert!(log.last().unwrap().starts_with("2 connections, "), "{log:#?}");
}

#[test]
fn a_relay_of_datagrams_has_the_same_rules() {
    let server = Server::start_at(&["udp://127.0.0.1:0"], &["--echo"]);
    let to = format!("udp://127.0.0.1:{}", server.port());
    let relay = Server::relay(&["udp://127.0.0.1:0", &to], &["--deny", "127.3.0.0/16", "--max-conns-per-address", "1"]);
    let peer = |address: &str| {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.connect(("127.0.0.1", relay.port())).unwrap();
        socket
    };
    let (stranger, one, second) = (peer("127.3.0.1"), peer("127.1.0.1"), peer("127.1.0.1"));
    stranger.send(b"x").unwrap();
    relay.log.wait_for("datagrams from addresses that may not come in (--allow, --deny)");
    one.send(b"one").unwrap();
    assert_eq!(one.recv(&mut [0; 9]).unwrap(), 3);
    second.send(b"second").unwrap();
    one.send(b"more").unwrap();
    assert_eq!(one.recv(&mut [0; 9]).unwrap(), 4);
    relay.log.wait_for("datagrams of new clients, refused: 1 connections, as many as may be of one address");
    support::assert_no_datagram(&stranger);
    support::assert_no_datagram(&second);
}

#[test]
fn a_relay_has_room_for_so_many_and_the_others_wait_or_are_refused() {
    let (_server, relay) = relayed(&["--max-conns", "2"]);
    let mut inside: Vec<TcpStream> = (0..2).map(|_| connect_from(ONE, relay.port())).collect();
    assert!(inside.iter_mut().all(|stream| is_echoed(stream, "in")));
    let mut waiting = connect_from(TWO, relay.port());
    waiting.write_all(b"wait").unwrap();
    relay.log.wait_for("2 connections, as many as may be (--max-conns); new clients wait");
    support::assert_silent(&waiting);
    inside.pop();
    let mut heard = [0; 4];
    waiting.read_exact(&mut heard).unwrap();

    let (_server, relay) = relayed(&["--max-conns-per-address", "1"]);
    let mut inside = connect_from(ONE, relay.port());
    assert!(is_echoed(&mut inside, "in"));
    let mut waiting = connect_from(ONE, relay.port());
    waiting.write_all(b"wait").unwrap();
    relay.log.wait_for("127.1.2.3 has 1 connections, as many as may be of one address (--max-conns-per-address)");
    assert!(is_echoed(&mut connect_from(TWO, relay.port()), "other"));
    support::assert_silent(&waiting);
    drop(inside);
    waiting.read_exact(&mut heard).unwrap();

    for flag in ["--max-conns", "--max-conns-per-address"] {
        let (_server, relay) = relayed(&[flag, "1", "--when-full", "refuse"]);
        let mut inside = connect_from(ONE, relay.port());
        assert!(is_echoed(&mut inside, "in"));
        assert!(!is_echoed(&mut connect_from(ONE, relay.port()), "no"));
        relay.log.wait_for("127.1.2.3 refused: 1 connections, as many as may be");
        assert!(is_echoed(&mut inside, "still"));
    }
}

#[test]
fn a_relay_reads_its_rules_again_and_throws_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("allowed");
    std::fs::write(&path, "127.1.0.0/16 # one\n").unwrap();
    let (_server, relay) = relayed(&["--allow", &format!("@{}", path.display())]);
    let mut inside = connect_from(ONE, relay.port());
    assert!(is_echoed(&mut inside, "in"));
    std::fs::write(&path, "127.2.0.0/16\n").unwrap();
    relay.signal("HUP");
    relay.log.wait_for("read again who may come in: 1 allowed, 0 denied");
    assert!(!is_echoed(&mut connect_from(ONE, relay.port()), "no"));
    assert!(is_echoed(&mut connect_from(TWO, relay.port()), "new") && is_echoed(&mut inside, "still"));
    std::fs::write(&path, "nonsense\n").unwrap();
    relay.signal("HUP");
    relay.log.wait_for("not read again, the old rules stay: ");
    assert!(is_echoed(&mut connect_from(TWO, relay.port()), "new"));
    drop(inside);
    assert_eq!(relay.stop().0, 0);
}

#[test]
fn a_relay_of_unix_sockets_counts_clients_and_knows_no_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--echo"]);
    let path = folder.path().join("socket");
    let to = format!("127.0.0.1:{}", server.port());
    let relay = Server::relay(
        &[&format!("unix:{}", path.display()), &to],
        &["--allow", "10.0.0.0/8", "--max-conns", "1", "-v"],
    );
    let mut inside = std::os::unix::net::UnixStream::connect(&path).unwrap();
    inside.write_all(b"in\n").unwrap();
    assert_eq!(line(&mut inside), "in\n");
    let mut waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();
    waiting.write_all(b"next\n").unwrap();
    relay.log.wait_for("1 connections, as many as may be (--max-conns); new clients wait");
    drop(inside);
    assert_eq!(line(&mut waiting), "next\n");
    drop(waiting);
    // In its sandbox it may remove its file.
    assert_eq!(relay.stop().0, 0);
    assert!(!path.exists());
}

/// Row 71 of the faults: what is held can be seen from outside, and what is needed still works.
#[test]
fn a_relay_gives_up_what_it_does_not_need() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("said-%n.talk");
    let (server, relay) = relayed(&["-v", "--threads", "2", "--record", record.to_str().unwrap()]);
    let said = relay.log.wait_for("sandbox: ");
    assert!(said.contains("no new privileges"), "{said}");
    if said.contains("Landlock") {
        assert!(said.contains(&format!("writes {}; ", folder.path().display())), "{said}");
    }
    for word in ["one\n", "two\n"] {
        let mut client = connect_from(ONE, relay.port());
        assert!(is_echoed(&mut client, word));
    }
    relay.log.wait_for_count("closed #", 2);
    for thread in std::fs::read_dir(format!("/proc/{}/task", relay.child.id())).unwrap() {
        let thread = thread.unwrap().path();
        let name = std::fs::read_to_string(thread.join("comm")).unwrap();
        if name.starts_with("relay") || name.starts_with("sockeye") {
            let status = std::fs::read_to_string(thread.join("status")).unwrap();
            assert!(status.contains("NoNewPrivs:\t1"), "{name}: {status}");
        }
    }
    assert_eq!(relay.stop().0, 0);
    assert!(folder.path().join("said-2.talk").exists());
    // A server whose socket has a name and no file.
    let name = format!("@sockeye-test-{}", std::process::id());
    let behind = Server::start_at(&[&format!("unix:{name}")], &["--echo"]);
    let relay = Server::relay(&["tcp://127.0.0.1:0", &format!("unix:{name}")], &["-v"]);
    assert!(is_echoed(&mut connect_from(ONE, relay.port()), "abstract"));
    drop((behind, server));
    let (_server, relay) = relayed(&["-v", "--no-sandbox"]);
    relay.log.wait_for("no sandbox (--no-sandbox)");
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.child.id())).unwrap();
    assert!(status.contains("NoNewPrivs:\t0"), "{status}");
}

/// Row 70 of the faults.
#[test]
fn root_is_given_up_by_every_verb_that_listens() {
    if !rustix::process::geteuid().is_root() {
        for arguments in [&["relay", "tcp://127.0.0.1:0", "127.0.0.1:1"][..], &["talk", "--listen", "127.0.0.1:0"]] {
            let output = run(&[arguments, &["--user", "1:1"]].concat(), b"");
            assert_code(&output, 2);
            assert!(text(&output.stderr).contains("only root may become another user"), "{}", text(&output.stderr));
        }
        return;
    }
    let (_server, relay) = relayed(&["-v", "--user", "64198:64197"]);
    let (mut talk, port, log) = listening("127.0.0.1:0", Stdio::null(), &["-v", "--user", "64198:64197"]);
    for (log, pid) in [(&relay.log, relay.child.id()), (&log, talk.id())] {
        log.wait_for("became 64198:64197 (user 64198, group 64197), and there is no way back");
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            assert!(status.contains("Uid:\t64198\t64198\t64198\t64198"), "{status}");
            assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        }
    }
    assert!(is_echoed(&mut connect_from(ONE, relay.port()), "relayed"));
    connect_from(ONE, port).write_all(b"heard").unwrap();
    assert_eq!(to_end(talk.stdout.as_mut().unwrap()), b"heard");
    assert_eq!(wait(&mut talk), 0);
}

#[test]
fn a_listener_of_talk_passes_over_who_may_not_come_in() {
    let (mut talk, port, log) = listening("127.0.0.1:0", Stdio::null(), &["--deny", "127.1.0.0/16"]);
    let mut denied = connect_from(ONE, port);
    assert_eq!(denied.read(&mut [0]).unwrap_or(0), 0);
    log.wait_for(": 127.1.2.3 may not come in (--allow, --deny)");
    connect_from(TWO, port).write_all(b"heard").unwrap();
    assert_eq!(to_end(talk.stdout.as_mut().unwrap()), b"heard");
    assert_eq!(wait(&mut talk), 0);
    // Over IPv6, and for one client after another.
    let (mut talk, port, log) = listening("tcp://[::1]:0", Stdio::null(), &["--keep", "--allow", "::/64"]);
    for word in [&b"one"[..], b"two"] {
        TcpStream::connect(("::1", port)).unwrap().write_all(word).unwrap();
        let mut heard = [0; 3];
        talk.stdout.as_mut().unwrap().read_exact(&mut heard).unwrap();
        assert_eq!(heard, word);
    }
    log.wait_for("closed #2");
    support::signal(talk.id(), "INT");
    assert_eq!(wait(&mut talk), 130);
}

#[test]
fn a_listener_of_talk_takes_no_datagram_of_who_may_not_come_in() {
    let (mut talk, port, log) = listening("udp://127.0.0.1:0", Stdio::null(), &["--allow", "127.2.0.1", "--recv-only"]);
    UdpSocket::bind("127.1.2.3:0").unwrap().send_to(b"no\n", ("127.0.0.1", port)).unwrap();
    log.wait_for(": 127.1.2.3 may not come in (--allow, --deny)");
    UdpSocket::bind("127.2.0.1:0").unwrap().send_to(b"yes\n", ("127.0.0.1", port)).unwrap();
    assert_eq!(line(talk.stdout.as_mut().unwrap()), "yes\n");
    support::signal(talk.id(), "INT");
    assert_eq!(wait(&mut talk), 130);
}

/// Row 71 of the faults.
#[test]
fn a_listener_of_talk_gives_up_what_it_does_not_need() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("said.talk");
    let (mut talk, port, log) = listening("127.0.0.1:0", Stdio::null(), &["-v", "--record", record.to_str().unwrap()]);
    assert!(log.wait_for("sandbox: ").contains("no new privileges"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", talk.id())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    connect_from(ONE, port).write_all(b"heard\n").unwrap();
    assert_eq!(to_end(talk.stdout.as_mut().unwrap()), b"heard\n");
    assert_eq!(wait(&mut talk), 0);
    assert!(std::fs::read_to_string(&record).unwrap().contains("C: heard"));
    let path = folder.path().join("socket");
    let address = format!("unix:{}", path.display());
    let (mut talk, _, _log) = listening(&address, Stdio::null(), &["-v"]);
    std::os::unix::net::UnixStream::connect(&path).unwrap().write_all(b"by a file\n").unwrap();
    assert_eq!(to_end(talk.stdout.as_mut().unwrap()), b"by a file\n");
    assert_eq!(wait(&mut talk), 0);
    assert!(!path.exists());
}

#[test]
fn rules_without_a_listener_and_rules_that_are_none_are_refused() {
    for (arguments, code) in [
        (&["talk", "127.0.0.1:1", "--deny", "::1"][..], 2),
        (&["talk", "127.0.0.1:1", "--user", "nobody"], 2),
        (&["talk", "127.0.0.1:1", "--no-sandbox"], 2),
        (&["talk", "--listen", "127.0.0.1:0", "--allow", "10.0.0.0/33"], 2),
        (&["relay", "tcp://127.0.0.1:0", "127.0.0.1:1", "--deny", "localhost"], 2),
        (&["relay", "tcp://127.0.0.1:0", "127.0.0.1:1", "--allow", "@/no/such/file"], 26),
        (&["relay", "tcp://127.0.0.1:0", "127.0.0.1:1", "--user", "no-such-user"], 2),
    ] {
        assert_code(&run(arguments, b""), code);
    }
}
