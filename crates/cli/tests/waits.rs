//! What comes while a play pauses is heard afterwards, over every carrier and from either end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::UdpSocket;

use support::*;

const ONCE: &str = "C: a\nS: x\nS waits 300ms\nC: b\nS: y\n";
const LOOP: &str = "repeat\n  C: {n=1}\n  S: one {n}\n  S waits 200ms\n  S: two {n}\n  C: .\n  S: done {n}\nend\n";
const TWICE: &str = "C: a\nS waits 200ms\nS: x\nS waits 200ms\nC: b\nC: c\nS: y\n";

fn file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("waits.talk");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn hear(socket: &UdpSocket) -> String {
    let mut buffer = [0; 1000];
    let length = socket.recv(&mut buffer).unwrap();
    text(&buffer[..length])
}

/// Sends all of these before it listens, and hears all of those.
fn at_once(socket: &UdpSocket, said: &[&str], heard: &[&str]) {
    said.iter().for_each(|said| assert_eq!(socket.send(said.as_bytes()).unwrap(), said.len()));
    let came: Vec<String> = heard.iter().map(|_| hear(socket)).collect();
    assert_eq!(came, heard);
}

#[test]
fn datagrams_that_come_while_the_server_waits_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    for (script, said, heard) in [
        (ONCE, &["a", "b"][..], &["x", "y"][..]),
        (TWICE, &["a", "b", "c"], &["x", "y"]),
        (LOOP, &["1", ".", "2", ".", "3", "."], &["one 1", "two 1", "done 1", "one 2", "two 2", "done 2", "one 3"]),
    ] {
        let path = file(&folder, script);
        let server = Server::start_at(&["udp://127.0.0.1:0"], &["--play", &path]);
        // Several peers pause at the same time, and each keeps its own.
        let clients = [server.datagrams(), server.datagrams(), server.datagrams()];
        for client in &clients {
            said.iter().for_each(|said| assert_eq!(client.send(said.as_bytes()).unwrap(), said.len()));
        }
        clients.iter().for_each(|client| at_once(client, &[], heard));
        let (code, log) = server.stop();
        assert!(code == 0 && !log.iter().any(|line| line.contains("error")), "{log:#?}");
    }
}

#[test]
fn whatever_is_waited_for_hears_what_came_before() {
    let folder = tempfile::tempdir().unwrap();
    for (script, said, heard) in [
        ("C raw: a\nS raw: x\nS waits 200ms\nC raw: b\nS raw: y\n", &["a", "b"][..], &["x", "y"][..]),
        ("C hex: 61\nS hex: 78\nS waits 200ms\nC hex: 62\nS hex: 79\n", &["a", "b"], &["x", "y"]),
        ("eol crlf\nC: a\nS: x\nS waits 200ms\nC: b\nS: y\n", &["a\r\n", "b\r\n"], &["x", "y"]),
        (
            "together\nC: a\nC: b\nend\nS waits 200ms\nS: x\ntogether\nC: c\nC: d\nend\nS: y\n",
            &["a\nb", "c\nd"],
            &["x", "y"],
        ),
        ("C: a\nS waits 200ms\nS: x\neither\nC: b\nS: y\nor\nC: c\nS: z\nend\n", &["a", "c"], &["x", "z"]),
        ("C: a\nS waits 200ms\nS: x\nin any order\nC: b\nC: c\nend\nS: z\n", &["a", "c", "b"], &["x", "z"]),
        (
            "at any time\nC: ping\nS: pong\nend\nC: a\nS waits 200ms\nS: x\nC: b\nS: y\n",
            &["a", "ping", "b"],
            &["x", "pong", "y"],
        ),
        ("C: a\nS waits 200ms\nS: x\nmaybe\nC: m\nend\nC: b\nS: y\n", &["a", "b"], &["x", "y"]),
        ("C: {k=a|b}\nS waits 200ms\nchoose {k}\nis a\nS: x\nelse\nS: w\nend\nC: b\nS: y\n", &["a", "b"], &["x", "y"]),
    ] {
        let path = file(&folder, script);
        let mut server = Server::start_at(&["udp://127.0.0.1:0"], &["--play", &path, "--once"]);
        let client = server.datagrams();
        said.iter().for_each(|said| assert_eq!(client.send(said.as_bytes()).unwrap(), said.len()));
        let came: Vec<String> = heard.iter().map(|_| hear(&client).trim_end().to_owned()).collect();
        assert_eq!(came, heard, "{script}");
        assert_eq!(server.wait(), 0, "{script}{:#?}", server.log.all());
    }
}

#[test]
fn a_datagram_behind_the_last_line_begins_the_next_conversation() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "C: a\nS: x\nS waits 200ms\nS: y\n");
    let mut server = Server::start_at(&["udp://127.0.0.1:0"], &["--times", "3", "--play", &path]);
    let client = server.datagrams();
    at_once(&client, &["a", "a", "a"], &["x", "y", "x", "y", "x", "y"]);
    assert_eq!(server.wait(), 0);
}

#[test]
fn what_waits_is_bounded_and_what_found_no_room_is_told() {
    let folder = tempfile::tempdir().unwrap();
    with_enough_time(|times| {
        let pause = 500 * times;
        let text = format!("C: a\nS: x\nS waits {pause}ms\nrepeat\n  C: {{n=1}}\n  S: {{n}}!\nend\n");
        let path = file(&folder, &text);
        let server = Server::start_at(&["udp://127.0.0.1:0"], &["--play", &path]);
        let client = server.datagrams();
        at_once(&client, &["a"], &["x"]);
        let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let answers: Vec<String> = (0..64).map(|n| format!("{n}!")).collect();
        at_once(&client, &many, &answers.iter().map(String::as_str).collect::<Vec<_>>());
        // All of them must have come within the pause.
        let (_, log) = server.stop();
        let words = "datagrams that came while their plays could not hear them: 64 datagrams, 128 KiB";
        if log.iter().any(|line| line.contains(words)) { Ok(()) } else { Err(format!("{log:#?}")) }
    });
}

#[test]
fn talk_hears_what_came_while_it_waited() {
    let folder = tempfile::tempdir().unwrap();
    // The peer is a plain socket: it says both at once.
    let path = file(&folder, "C: a\nS: x\nC waits 300ms\nS: y\nC: b\nC waits 100ms\nS: z\n");
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(LONG)).unwrap();
    let address = format!("udp://{}", peer.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let mut buffer = [0; 100];
        let (_, from) = peer.recv_from(&mut buffer).unwrap();
        ["x", "y", "z"].iter().for_each(|said| assert_eq!(peer.send_to(said.as_bytes(), from).unwrap(), 1));
        let (length, _) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"b");
    });
    assert_code(&run(&["talk", &address, "--play", &path], b""), 0);
    answering.join().unwrap();
}

#[test]
fn both_ends_agree_on_a_file_with_pauses_over_either_carrier() {
    let folder = tempfile::tempdir().unwrap();
    for script in [ONCE, TWICE, LOOP, "C: a\nC waits 100ms\nC: b\nS: x\nS: y\nC waits 100ms\nS: z\nC: c\n"] {
        let path = file(&folder, script);
        let output = run(&["check", &path], b"");
        assert_code(&output, 0);
        assert!(text(&output.stdout).contains("over UDP: yes"), "{}", text(&output.stdout));
        for scheme in ["tcp", "udp"] {
            let mut server = Server::start_at(&[&format!("{scheme}://127.0.0.1:0")], &["--once", "--play", &path]);
            let address = format!("{scheme}://127.0.0.1:{}", server.port());
            assert_code(&run(&["talk", &address, "--play", &path], b""), 0);
            if scheme == "tcp" || !script.contains("repeat") {
                assert_eq!(server.wait(), 0, "{script}");
            }
        }
    }
}

#[test]
fn over_a_stream_what_comes_while_the_server_waits_is_heard_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, ONCE);
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--once", "--play", &path]);
    let mut client = server.connect();
    client.write_all(b"a\nb\n").unwrap();
    assert_eq!(text(&to_end(&mut client)), "x\ny\n");
    drop(client);
    assert_eq!(server.wait(), 0);
}
