//! `serve --play` as a mock: how many plays, which of them failed, several files, and files that change while it runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};

use support::*;

const GREET: &str = "S: Welcome!\nrepeat\n  C: {name=Ann}\n  S: Hello, {name}!\nend\nC: exit\nS closes\n";

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn serve(text: &str, arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "mock.talk", text);
    let mut all = vec!["--play", path.to_str().unwrap()];
    all.extend_from_slice(arguments);
    (Server::start_at(&["tcp://127.0.0.1:0"], &all), folder)
}

fn to(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

#[test]
fn once_ends_with_the_first_play_and_tells_how_it_went() {
    let (mut server, _folder) = serve(GREET, &["--once"]);
    let mut client = server.connect();
    client.write_all(b"Ann\nexit\n").unwrap();
    assert_eq!(to_end(&mut client), b"Welcome!\nHello, Ann!\n");
    drop(client);
    assert_eq!(server.wait(), 0);
    server.log.wait_for("1 conversation, 1 as written");

    let (mut server, _folder) = serve("S: hi\nC: right\nS closes\n", &["--once"]);
    let mut client = server.connect();
    client.write_all(b"wrong\n").unwrap();
    assert_eq!(to_end(&mut client), b"hi\n");
    drop(client);
    assert_eq!(server.wait(), 1);
    server.log.wait_for("the client said something else");
    server.log.wait_for("1 conversation, 0 as written, 1 not");
}

#[test]
fn whoever_comes_after_the_last_play_finds_nobody() {
    let (server, _folder) = serve(GREET, &["--times", "2"]);
    let clients = [server.welcomed(), server.welcomed()];
    // The second was greeted, so the port is closed by now.
    assert_eq!(
        TcpStream::connect(("127.0.0.1", server.port())).unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    for mut client in clients {
        client.write_all(b"exit\n").unwrap();
        assert_eq!(to_end(&mut client), b"");
    }
    let mut server = server;
    assert_eq!(server.wait(), 0);
    server.log.wait_for("2 conversations, 2 as written");
}

#[test]
fn a_play_that_fails_leaves_the_others_alone() {
    let (server, _folder) = serve("S: hi\nC: right\nS: yes\nC: again\nS closes\n", &["--times", "2"]);
    let mut good = server.connect();
    let mut bad = server.connect();
    bad.write_all(b"wrong\n").unwrap();
    assert_eq!(to_end(&mut bad), b"hi\n");
    drop(bad);
    good.write_all(b"right\nagain\n").unwrap();
    assert_eq!(to_end(&mut good), b"hi\nyes\n");
    drop(good);
    let mut server = server;
    assert_eq!(server.wait(), 1);
    server.log.wait_for("2 conversations, 1 as written, 1 not");
}

#[test]
fn a_reset_between_two_exchanges_is_a_failure_where_plays_are_judged_unless_it_is_allowed() {
    let allowed = &["--once", "--allow-early-close"][..];
    let strict = &["--once", "--allow-early-close", "--strict"][..];
    for (strict, expected) in [(&["--once"][..], 1), (&["--once", "--strict"], 1), (allowed, 0), (strict, 1)] {
        let (mut server, _folder) = serve(GREET, strict);
        let client = server.welcomed();
        rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(server.wait(), expected, "{strict:?}: {:#?}", server.log.all());
    }
}

#[test]
fn a_server_that_is_stopped_exits_0_unless_its_plays_are_judged() {
    for (arguments, expected) in [(&[][..], 0), (&["--strict"], 1)] {
        let (server, _folder) = serve("S: hi\nC: right\n", arguments);
        let mut client = server.connect();
        client.write_all(b"wrong\n").unwrap();
        assert_eq!(to_end(&mut client), b"hi\n");
        drop(client);
        server.log.wait_for("closed #1");
        let (code, _) = server.stop();
        assert_eq!(code, expected);
    }
}

#[test]
fn once_counts_a_datagram_conversation_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "ask.talk", "C: ping\nS: pong\nC: pang\nS: peng\n");
    let mut server = Server::start_at(&["udp://127.0.0.1:0"], &["--once", "--play", path.to_str().unwrap()]);
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other.connect(("127.0.0.1", server.port())).unwrap();
    let client = server.datagrams();
    let mut buffer = [0; 100];
    client.send(b"ping").unwrap();
    assert_eq!(client.recv(&mut buffer).unwrap(), 4);
    // Another peer would be a second play.
    other.send(b"ping").unwrap();
    client.send(b"pang").unwrap();
    assert_eq!(client.recv(&mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"peng");
    assert_eq!(server.wait(), 0);
    other.set_nonblocking(true).unwrap();
    assert!(other.recv(&mut buffer).is_err());
}

#[test]
fn several_transcripts_stand_at_their_own_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let first = file(folder.path(), "first.talk", "at tcp://127.0.0.1:0\nS: one\nS closes\n");
    let second = file(folder.path(), "second.talk", "at tcp://127.0.0.1:0\nS: two\nS closes\n");
    let play = ["--play", first.to_str().unwrap(), "--play", second.to_str().unwrap()];
    for addresses in [&[][..], &["tcp://127.0.0.1:0", "tcp://127.0.0.1:0"]] {
        let server = Server::start_at(addresses, &play);
        assert_eq!(server.ports.len(), 2);
        assert_eq!(to_end(&mut to(server.ports[0])), b"one\n");
        assert_eq!(to_end(&mut to(server.ports[1])), b"two\n");
    }
    let output = run(&["serve", "tcp://127.0.0.1:0", play[0], play[1], play[2], play[3]], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("2 transcripts and 1 addresses"), "{}", text(&output.stderr));
}

#[test]
fn an_address_in_a_file_that_is_none_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "bad.talk", "transcript 1\nat localhost\nS: one\n");
    let output = run(&["serve", "--play", path.to_str().unwrap()], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("bad.talk:2:4"), "{}", text(&output.stderr));
}

#[test]
fn hanging_up_reads_the_transcript_again_and_open_conversations_go_on_with_the_old_one() {
    let (server, folder) = serve("S: old\nrepeat\n  C: {x=a}\n  S: old {x}\nend\nC: exit\nS closes\n", &[]);
    let mut client = server.connect();
    assert_eq!(line(&mut client), "old\n");
    file(folder.path(), "mock.talk", "S: new\nS closes\n");
    server.signal("HUP");
    server.log.wait_for("read again: ");
    client.write_all(b"a\n").unwrap();
    assert_eq!(line(&mut client), "old a\n");
    assert_eq!(to_end(&mut server.connect()), b"new\n");

    file(folder.path(), "mock.talk", "S: {broken\nSS: x\n");
    server.signal("HUP");
    server.log.wait_for("not read again, the old one stays: ");
    assert_eq!(to_end(&mut server.connect()), b"new\n");
    client.write_all(b"b\nexit\n").unwrap();
    assert_eq!(to_end(&mut client), b"old b\n");
    assert_eq!(server.stop().0, 0);
}

#[test]
fn a_signal_at_the_moment_when_the_ports_are_known_ends_nothing() {
    for _ in 0..8 {
        let (server, _folder) = serve("S: hello\nS closes\n", &[]);
        server.signal("HUP");
        server.log.wait_for("read again: ");
        assert_eq!(to_end(&mut server.connect()), b"hello\n");
        assert_eq!(server.stop().0, 0);
    }
}

#[test]
fn a_watched_transcript_is_read_again_when_an_editor_has_replaced_it() {
    let (server, folder) = serve("S: old\nS closes\n", &["--watch"]);
    assert_eq!(to_end(&mut server.connect()), b"old\n");
    let new = file(folder.path(), "mock.talk.new", "S: new\nS closes\n");
    std::fs::rename(new, folder.path().join("mock.talk")).unwrap();
    server.log.wait_for("read again: ");
    assert_eq!(to_end(&mut server.connect()), b"new\n");
    file(folder.path(), "mock.talk", "S: newer\nS closes\n");
    server.log.wait_for_count("read again: ", 2);
    assert_eq!(to_end(&mut server.connect()), b"newer\n");
}

#[test]
fn a_file_is_served_whole_and_heard_whole() {
    let folder = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..3_000_000_u32).map(|index| (index * 7 % 253) as u8).collect();
    std::fs::write(folder.path().join("body.bin"), &body).unwrap();
    let path = file(folder.path(), "file.talk", "C: get\nS file: body.bin\nC file: body.bin\nS: thanks\nS closes\n");
    let play = path.to_str().unwrap();
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--once", "--play", play]);
    let output = run(&["talk", &server.address(), "--play", play], b"");
    assert_code(&output, 0);
    assert_eq!(server.wait(), 0);

    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", play]);
    let mut client = server.connect();
    client.write_all(b"get\n").unwrap();
    assert_eq!(read(&mut client, body.len()), body);
    let mut wrong = body.clone();
    wrong[2_000_000] ^= 1;
    // It closes as soon as it differs; what it does not read any more is no error of ours.
    let _ = client.write_all(&wrong);
    let _ = client.shutdown(Shutdown::Write);
    server.log.wait_for("byte 2000001 of body.bin");
}

#[test]
fn a_file_outside_the_folder_is_refused_before_a_socket_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
    for (name, words) in
        [("link", "leads out of the transcript's folder"), ("../x", "is not below"), ("missing", "No such file")]
    {
        let path = file(folder.path(), "file.talk", &format!("C: get\nS file: {name}\n"));
        let output = run(&["serve", "tcp://127.0.0.1:0", "--play", path.to_str().unwrap()], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(words), "{name}: {}", text(&output.stderr));
    }
}
