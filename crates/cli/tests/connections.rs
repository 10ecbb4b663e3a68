//! Plays of several connections over real sockets: reconnects, a second client at once, ports that one side tells the other;
//! with clients and servers that know nothing of transcripts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Output;

use support::socks::SocksProxy;
use support::*;

const GREYLIST: &str = "eol crlf\nS: 220 {_=hi}\nC: HELO {me=client}\nS: 450 {id=abc}\nS closes\nC waits 20ms\nC connects\n\
                        S: 220 {_=hi}\nC: HELO {me}\nS: 250 {id}\nC: QUIT\nS closes\n";
const IDLE: &str = "S: * OK {id=7}\nC: a IDLE\nS: +\nC2 connects\nS2: * OK\nC2: b APPEND\nS2: b OK\nS: * {id} EXISTS\nC: DONE\n\
                    S: a OK\nC2: LOGOUT\nS2 closes\nC: LOGOUT\nS closes\n";

fn written(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mock.talk");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn says(client: &mut TcpStream, words: &str) {
    client.write_all(words.as_bytes()).unwrap();
}

#[test]
fn both_ends_play_every_kind_of_play_with_several_connections() {
    for text in [
        GREYLIST,
        IDLE,
        "repeat 3\n  C: {n=1|2|3}\n  S: {n}\n  C closes\n  C connects\nend\nS: end\n",
        "C: a\nS: b\nC resets\nC connects\nC: c\nS resets\nC connects\nC: d\nS: e\nS closes\n",
        "C: PASV\nS: 227 ({port:p1,p2})\nC2 connects to {port}\nC: RETR\nS2: data\nS2 closes\nS: 226\nC: QUIT\nS closes\n",
        "C: PORT {port}\nS: 200\nC: LIST\nS: 150\nS2 connects to {port}\nS2: data\nS2 closes\nS: 226\nC closes\n",
        "C: REDIRECT\nS: to {port}\nS closes\nC connects to {port}\nC: hello\nS: there\nS closes\n",
        "C2 connects\nC3 connects\nC3: c\nS2: b\nC: a\nS3: to c\nS: to a\n",
        "C: STARTTLS\nS: go\nstarttls\nC2 connects\nC2: STARTTLS\nS2: go\nstarttls\nC: a\nS2: b\nC2 closes\nS: c\nS closes\n",
    ] {
        let (_folder, path) = written(text);
        for threads in ["1", "3"] {
            let arguments = ["--play", &path, "--once", "--threads", threads];
            let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &arguments);
            let mut talk = vec!["talk".to_owned(), server.address(), "--play".into(), path.clone()];
            if text.contains("starttls") {
                talk.extend(["--pin".into(), server.log.pin()]);
            }
            assert_code(&run(&talk, b""), 0);
            assert_eq!(server.wait(), 0, "{text}\n{:#?}", server.log.all());
            server.log.wait_for("1 conversation, 1 as written");
        }
        assert_code(&run(&["check", &path], b""), 0);
    }
}

#[test]
fn plays_that_wait_for_a_connection_are_bounded_in_all_and_the_longest_waiting_goes_first() {
    let (_folder, path) = written("C: {x=abc}\nS: ok\nC closes\nC connects\nC: more\nS: {x}\nS closes\n");
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--max-memory", "4MiB", "--threads", "1"]);
    let before = server.resident();
    for host in 0..200_u8 {
        let mut client = connect_from([127, 0, 1, host], server.port());
        says(&mut client, &format!("{}\n", "x".repeat(60_000)));
        assert_eq!(line(&mut client), "ok\n");
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(to_end(&mut client), b"");
    }
    server.log.wait_for("all buffers together reached their bound");
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 3 * 4096, "{grown} KiB");
    // The last one is still waited for. The first is not: a client that comes from there begins a new play.
    let mut last = connect_from([127, 0, 1, 199], server.port());
    says(&mut last, "more\n");
    assert_eq!(to_end(&mut last).len(), 60_001);
    let mut first = connect_from([127, 0, 1, 0], server.port());
    says(&mut first, "more\n");
    assert_eq!(line(&mut first), "ok\n");
}

#[test]
fn the_next_client_from_the_same_host_goes_on_and_any_other_begins_anew() {
    let (_folder, path) = written(GREYLIST);
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path]);
    let mut first = server.connect();
    assert_eq!(line(&mut first), "220 hi\r\n");
    // While it is inside, a client that comes begins a new play.
    let mut other = server.connect();
    assert_eq!(line(&mut other), "220 hi\r\n");
    says(&mut first, "HELO one\r\n");
    assert_eq!(to_end(&mut first), b"450 abc\r\n");
    drop(first);
    // From another host no client goes on with it.
    let mut stranger = connect_from([127, 0, 0, 2], server.port());
    assert_eq!(line(&mut stranger), "220 hi\r\n");
    says(&mut stranger, "HELO stranger\r\n");
    assert_eq!(line(&mut stranger), "450 abc\r\n");
    let mut again = server.connect();
    assert_eq!(line(&mut again), "220 hi\r\n");
    says(&mut again, "HELO one\r\n");
    assert_eq!(line(&mut again), "250 abc\r\n");
    says(&mut again, "QUIT\r\n");
    assert_eq!(to_end(&mut again), b"");
    // And the other one has its own.
    says(&mut other, "HELO two\r\n");
    assert_eq!(to_end(&mut other), b"450 abc\r\n");
    let mut again = server.connect();
    line(&mut again);
    says(&mut again, "HELO one\r\n");
    to_end(&mut again);
    server.log.wait_for("the client said something else");
}

#[test]
fn a_play_whose_next_connection_does_not_come_is_a_failed_one() {
    for (text, first) in [(GREYLIST, "HELO x\r\n"), (IDLE, "a IDLE\n")] {
        let (_folder, path) = written(text);
        let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--once", "--timeout", "3s"]);
        let mut client = server.connect();
        line(&mut client);
        says(&mut client, first);
        assert_eq!(server.wait(), 1);
        server.log.wait_for("the client opened no connection within 3");
        server.log.wait_for("1 conversation, 0 as written, 1 not");
    }
    // Stopped before: where plays are judged, it is not as written.
    for (arguments, code) in [(&["--times", "2"][..], 1), (&[], 0)] {
        let (_folder, path) = written(GREYLIST);
        let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &[&["--play", path.as_str()], arguments].concat());
        let mut client = server.connect();
        line(&mut client);
        says(&mut client, "HELO x\r\n");
        to_end(&mut client);
        drop(client);
        server.log.wait_for("closed #1");
        server.signal("TERM");
        assert_eq!(server.wait(), code, "{:#?}", server.log.all());
    }
    // The client tells of a server that takes no second one.
    let (_folder, path) = written(GREYLIST);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        says(&mut client, "220 hi\r\n");
        line(&mut client);
        drop(listener);
        says(&mut client, "450 a\r\n");
    });
    let output = run(&["talk", &address, "--play", &path], b"");
    serving.join().unwrap();
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("Connection refused"), "{}", text(&output.stderr));
}

#[test]
fn a_port_to_listen_at_is_refused_in_words_where_there_is_no_tcp() {
    let (folder, path) =
        written("C: PASV\nS: 227 {port}\nC2 connects to {port}\nS2: data\nS2 closes\nS: 226\nS closes\n");
    let socket = folder.path().join("socket");
    let mut server = Server::start_at(&[&format!("unix:{}", socket.display())], &["--play", &path, "--once"]);
    let mut client = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    client.write_all(b"PASV\n").unwrap();
    assert_eq!(to_end(&mut client), b"");
    drop(client);
    assert_eq!(server.wait(), 1);
    server.log.wait_for("a port to listen at needs TCP, and this conversation is over something else");
    server.log.wait_for("1 conversation, 0 as written, 1 not");
}

#[test]
fn a_client_that_comes_early_waits_for_its_play() {
    // Both connections of a pool at once, and the second before the play asks for it.
    let (_folder, path) = written("C: a\nS: to a\nC2 connects\nC2: b\nS2: to b\n");
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--once"]);
    let mut first = server.connect();
    server.log.wait_for("opened #1");
    let before = files_of(server.child.id());
    let mut second = server.connect();
    says(&mut second, "b\n");
    // It is inside before the play is.
    until("the second is let in", || files_of(server.child.id()) > before);
    says(&mut first, "a\n");
    assert_eq!((line(&mut first), line(&mut second)), ("to a\n".into(), "to b\n".into()));
    assert_eq!((to_end(&mut first), to_end(&mut second)), (vec![], vec![]));
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
}

#[test]
fn the_second_connection_is_closed_with_the_play_and_a_failure_in_one_ends_both() {
    let (_folder, path) = written(IDLE);
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--once"]);
    let mut first = server.connect();
    line(&mut first);
    says(&mut first, "a IDLE\n");
    line(&mut first);
    let mut second = server.connect();
    assert_eq!(line(&mut second), "* OK\n");
    says(&mut second, "b DELETE\n");
    assert_eq!((to_end(&mut second), to_end(&mut first)), (vec![], vec![]));
    assert_eq!(server.wait(), 1);
    server.log.wait_for("the client said something else");
    // So does a client that resets the one on which nothing is awaited.
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--once"]);
    let mut first = server.connect();
    line(&mut first);
    says(&mut first, "a IDLE\n");
    line(&mut first);
    let mut second = server.connect();
    line(&mut second);
    rustix::net::sockopt::set_socket_linger(&first, Some(std::time::Duration::ZERO)).unwrap();
    drop(first);
    says(&mut second, "b APPEND\n");
    assert_eq!(line(&mut second), "b OK\n");
    assert_eq!(server.wait(), 1);
}

#[test]
fn a_port_is_for_the_host_that_was_told_of_it() {
    let (_folder, path) = written("C: PASV\nS: {port}\nC2 connects to {port}\nS2: secret\nS2 closes\nS: 226\n");
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--once"]);
    let mut client = server.connect();
    says(&mut client, "PASV\n");
    let port: u16 = line(&mut client).trim().parse().unwrap();
    let address: std::net::SocketAddr = ([127, 0, 0, 1], port).into();
    assert_eq!(to_end(&mut connect_from([127, 0, 0, 3], port)), b"");
    server.log.wait_for("connected to a port that is for another host");
    assert_eq!(to_end(&mut TcpStream::connect(address).unwrap()), b"secret\n");
    assert_eq!(to_end(&mut client), b"226\n");
    assert_eq!(server.wait(), 0);
    // It is listened at no more.
    assert!(TcpStream::connect(address).is_err());
}

/// A record of a play at a server of its own, without the line that names its address; and the server's log.
#[track_caller]
fn recorded(path: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.talk").display().to_string();
    let mut server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", path, "--once"]);
    let mut talk =
        vec!["talk".to_owned(), server.address(), "--play".into(), path.into(), "--record".into(), record.clone()];
    talk.extend(more.iter().map(|&word| word.to_owned()));
    if std::fs::read_to_string(path).unwrap().contains("starttls") {
        talk.extend(["--pin".into(), server.log.pin()]);
    }
    assert_code(&run(&talk, b""), 0);
    assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
    let text = std::fs::read_to_string(record).unwrap();
    let at = format!("at {}\n", server.address());
    assert!(text.contains(&at), "{text}");
    text.replace(&at, "")
}

/// Both laws: a record plays from both ends and gives the same again, and recording that gives it again.
#[test]
fn a_record_of_several_connections_is_one_transcript_that_plays_again() {
    for (text, expected) in [
        (
            GREYLIST,
            "eol crlf\nS: 220 hi\nC: HELO client\nS: 450 abc\nS closes\nC connects\nS: 220 hi\nC: HELO client\n\
             S: 250 abc\nC: QUIT\nS closes\n",
        ),
        (
            IDLE,
            "eol lf\nS: * OK 7\nC: a IDLE\nS: +\nC2 connects\nS2: * OK\nC2: b APPEND\nS2: b OK\nS: * 7 EXISTS\nC: DONE\n\
             S: a OK\nC2: LOGOUT\nS2 closes\nC: LOGOUT\nS closes\n",
        ),
        (
            "repeat 3\n  C: {n=1|2|3}\n  S: {n}\n  C closes\n  C connects\nend\nS: end\nS closes\n",
            "eol lf\nC: 1\nS: 1\nC closes\nC connects\nC: 2\nS: 2\nC closes\nC connects\nC: 3\nS: 3\nC closes\nC connects\n\
             S: end\nS closes\n",
        ),
        (
            "C: a\nS: b\nC resets\nC connects\nC: c\nS resets\nC connects\nC: d\nS: e\nS closes\n",
            "eol lf\nC: a\nS: b\nC resets\nC connects\nC: c\nS resets\nC connects\nC: d\nS: e\nS closes\n",
        ),
        (
            "eol lf\nC: PASV\nS: 227 ({port:p1,p2})\nC2 connects to {port}\nC: RETR\nS: 150\nS2: data\nS2 closes\nS: 226\nC: EPSV\n\
             S: 229 {other}\nC2 connects to {other}\nC2: more\nC2 closes\nS: 226\nC: QUIT\nS closes\n",
            "eol lf\nC: PASV\nS: 227 ({port:p1,p2})\nC2 connects to {port}\nC: RETR\nS: 150\nS2: data\nS2 closes\nS: 226\nC: EPSV\n\
             S: 229 {port2}\nC2 connects to {port2}\nC2: more\nC2 closes\nS: 226\nC: QUIT\nS closes\n",
        ),
        (
            "C: PORT {port}\nS: 200\nC: LIST\nS: 150\nS2 connects to {port}\nS2: data\nS2 closes\nS: 226\nC closes\n",
            "eol lf\nC: PORT {port}\nS: 200\nC: LIST\nS: 150\nS2 connects to {port}\nS2: data\nS2 closes\nS: 226\nC closes\n",
        ),
        (
            "C: REDIRECT\nS: to {port}\nS closes\nC connects to {port}\nC: hello\nS: there\nS closes\n",
            "eol lf\nC: REDIRECT\nS: to {port}\nS closes\nC connects to {port}\nC: hello\nS: there\nS closes\n",
        ),
        (
            "C2 connects\nC3 connects\nC3: c\nS2: b\nC: a\nS3: to c\nS: to a\nS3 closes\nC2 stops sending\nS2: d\nS2 closes\nS closes\n",
            "eol lf\nC2 connects\nC3 connects\nC3: c\nS2: b\nC: a\nS3: to c\nS: to a\nS3 closes\nC2 stops sending\nS2: d\nS2 closes\n\
             S closes\n",
        ),
        (
            "C: STARTTLS\nS: go\nstarttls\nC2 connects\nC2: STARTTLS\nS2: go\nstarttls\nC: a\nS2: b\nC2 closes\nS: c\nS closes\n",
            "eol lf\nC: STARTTLS\nS: go\nstarttls\nC2 connects\nC2: STARTTLS\nS2: go\nstarttls\nC: a\nS2: b\nC2 closes\nS: c\nS closes\n",
        ),
        (
            "starttls\nC: a\nS: b\nstoptls\nC: c\nC2 connects\nstarttls\nC2: d\nS2: e\nS2 closes\nS: f\nS closes\nC connects\nS: g\nS closes\n",
            "eol lf\nstarttls\nC: a\nS: b\nstoptls\nC: c\nC2 connects\nstarttls\nC2: d\nS2: e\nS2 closes\nS: f\nS closes\nC connects\nS: g\nS closes\n",
        ),
        // What the server says over one after the other comes together, and stands as it was said.
        (
            "C2 connects\nC: go\nS: a\nS2: b\nS: c\nS2: d\nS2 raw: e\nS: f\nS2 raw: g{0x0a}\nS closes\nS2 closes\n",
            "eol lf\nC2 connects\nC: go\nS: a\nS2: b\nS: c\nS2: d\nS2 raw: e\nS: f\nS2: g\nS closes\nS2 closes\n",
        ),
    ] {
        let (_folder, path) = written(text);
        let first = recorded(&path, &[]);
        assert_eq!(first, format!("transcript 1\n{expected}"));
        let (_folder, path) = written(&first);
        assert_code(&run(&["check", &path], b""), 0);
        assert_eq!(recorded(&path, &[]), first);
    }
}

#[test]
fn a_record_of_a_play_that_fails_has_what_came_over_each_of_its_connections() {
    let (folder, path) = written("C: a\nS: b\nC2 connects\nC2: c\nS2: d\nC2 closes\nS: e\nS closes\n");
    let record = folder.path().join("record.talk").display().to_string();
    let (address, serving) = tells_two("x\nunfinished");
    let output = run(&["talk", &address.to_string(), "--play", &path, "--record", &record, "--hex"], b"");
    serving.join().unwrap();
    assert_code(&output, 1);
    let expected = "C: a\nS: b\nC2 connects\nC2: c\nS2: x\nS2 raw: unfinished\nC2 closes\nC closes\n";
    let came = std::fs::read_to_string(&record).unwrap();
    assert_eq!(came, format!("transcript 1\nat {address}\neol lf\n{expected}"));
    assert_code(&run(&["check", &record], b""), 0);
    // The dump beside it says which connection it is.
    let said = text(&output.stderr);
    for line in [
        "2= C connects\n",
        "2> 00000000  63 0a ",
        "2< 00000000  78 0a 75 6e ",
        "2> 00000002  end\n",
        "> 00000002  end\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // A record that goes down a pipe has its port as well.
    let (_folder, path) = written(TOLD);
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path]);
    let output = run(&["talk", &server.address(), "--play", &path, "--record", "-"], b"");
    assert_code(&output, 0);
    let expected = "C: PASV\nS: {port}\nC2 connects to {port}\nS2: data\nS2 closes\nS: 226\nS closes\n";
    assert_eq!(text(&output.stdout), format!("transcript 1\nat {}\neol lf\n{expected}", server.address()));
}

/// A server that answers as [`TWO`] has it, and says this over the second connection; it ends with where the two came from.
fn tells_two(over_second: &'static str) -> (SocketAddr, std::thread::JoinHandle<Vec<SocketAddr>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let mut first = accept(&listener);
        line(&mut first);
        says(&mut first, "b\n");
        let mut second = accept(&listener);
        line(&mut second);
        says(&mut second, over_second);
        let from = [&first, &second].map(|stream| stream.peer_addr().unwrap());
        assert_eq!((to_end(&mut second), to_end(&mut first)), (vec![], vec![]));
        from.to_vec()
    });
    (address, serving)
}

#[test]
fn load_refuses_in_words_what_opens_connections_of_its_own() {
    let (_folder, path) = written(GREYLIST);
    let output = run(&["load", "127.0.0.1:1", "--play", &path, "--plays", "1"], b"");
    assert_code(&output, 2);
    let said = text(&output.stderr);
    assert!(said.contains("`load` measures one connection a play"), "{said}");
}

/// What a client said before it opened the next connection is heard before that one is taken for a new play.
#[test]
fn a_connection_that_comes_with_what_was_said_before_it_is_of_the_same_play() {
    let (_folder, path) = written("C: a\nC2 connects\nC2: b\nS2: c\nC3 connects\nC3: d\nS: done\nS closes\n");
    for threads in ["1", "3"] {
        let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--threads", threads]);
        for _ in 0..20 {
            assert_code(&run(&["talk", &server.address(), "--play", &path], b""), 0);
        }
        let (_, log) = server.stop();
        assert!(log.last().unwrap().starts_with("20 conversations, 20 as written"), "{log:#?}");
    }
    assert_code(&run(&["check", &path], b""), 0);
}

const TWO: &str = "C: a\nS: b\nC2 connects\nC2: c\nS2: d\nC2 closes\nC closes\n";

/// Plays the client of two connections at `host`; what came of it, and where the two came from.
fn two_at(host: &str, query: &str, more: &[&str]) -> (Output, Vec<SocketAddr>, u16) {
    let (_folder, path) = written(TWO);
    let (server, serving) = tells_two("d\n");
    let port = server.port();
    let address = format!("tcp://{host}:{port}{query}");
    let output = run(&[&["talk", &address, "--play", &path], more].concat(), b"");
    (output, serving.join().unwrap(), port)
}

#[test]
fn further_connections_come_from_where_the_first_comes_from() {
    for (query, more, from) in [
        ("", &["--source", "127.0.0.7"][..], "127.0.0.7"),
        ("?bind=127.0.0.9:0", &[], "127.0.0.9"),
        ("", &["--source", "127.0.0.8", "--retry", "9s"], "127.0.0.8"),
    ] {
        let (output, both, _) = two_at("127.0.0.1", query, more);
        assert_code(&output, 0);
        assert!(both.iter().all(|address| address.ip().to_string() == from), "{both:?}");
    }
}

#[test]
fn further_connections_go_through_the_proxy_to_the_same_name() {
    for (scheme, host, more, asked) in [
        ("socks5h", "mail.example", &[][..], "name mail.example"),
        ("socks5", "localhost", &["-4"], "address 127.0.0.1"),
    ] {
        let proxy = SocksProxy::start(None);
        let at = format!("{scheme}://{}", proxy.address);
        let (output, _, port) = two_at(host, "", &[&["--proxy", &at], more].concat());
        assert_code(&output, 0);
        assert_eq!(proxy.asked(), vec![format!("{asked}:{port}"); 2]);
    }
}

const TOLD: &str = "C: PASV\nS: {port}\nC2 connects to {port}\nS2: data\nS2 closes\nS: 226\nS closes\n";

/// A server that tells a port, and goes on with what comes there.
fn tells(port: u16, data: impl FnOnce() -> TcpListener + Send + 'static) -> (SocketAddr, std::thread::JoinHandle<()>) {
    serve_one(move |mut client| {
        line(&mut client);
        says(&mut client, &format!("{port}\n"));
        let listener = data();
        let mut second = accept(&listener);
        says(&mut second, "data\n");
        drop(second);
        says(&mut client, "226\n");
    })
}

/// How often the thread that connects has waited.
fn waits_to_connect(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let own =
        tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "connect\n"));
    let status = own.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    let counts = status.filter_map(|status| {
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().to_owned();
        count.parse::<u64>().ok()
    });
    counts.sum()
}

#[test]
fn a_further_connection_is_tried_again_until_somebody_listens() {
    let (_folder, path) = written(TOLD);
    let proxy = SocksProxy::start(None);
    let through = format!("socks5://{}", proxy.address);
    for more in [&[][..], &["--proxy", &through]] {
        let late = Closed::tcp();
        let (now, listens) = std::sync::mpsc::channel();
        let (address, serving) = tells(late.address.port(), move || {
            listens.recv().unwrap();
            late.listen()
        });
        let address = address.to_string();
        let talk = Talk::start(&[&["--play", &path, "--retry", "60s", &address], more].concat());
        // Refused, it pauses and asks again.
        until("it has tried several times", || waits_to_connect(talk.child.id()) > 6);
        now.send(()).unwrap();
        assert_eq!(talk.finish().0, 0);
        serving.join().unwrap();
    }
    // Without it, the first refusal is the end.
    let closed = Closed::tcp();
    let port = closed.address.port();
    let (address, serving) = serve_one(move |mut client| {
        line(&mut client);
        says(&mut client, &format!("{port}\n"));
        assert_eq!(to_end(&mut client), b"");
    });
    let output = run(&["talk", &address.to_string(), "--play", &path], b"");
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("Connection refused"), "{}", text(&output.stderr));
    serving.join().unwrap();
}

#[test]
fn a_further_connection_that_nobody_answers_is_given_up_in_time() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with};
    // A listener whose backlog is full lets further connections hang.
    let socket = || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    let full = socket();
    bind(&full, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&full, 0).unwrap();
    let dead = SocketAddr::try_from(getsockname(&full).unwrap()).unwrap();
    let _fill: Vec<_> = (0..2)
        .map(|_| {
            let fd = socket();
            let _ = connect(&fd, &dead);
            fd
        })
        .collect();
    let (_folder, path) = written(TOLD);
    for more in [&[][..], &["--retry", "1ms"]] {
        let (address, serving) = serve_one(move |mut client| {
            line(&mut client);
            says(&mut client, &format!("{}\n", dead.port()));
            assert_eq!(to_end(&mut client), b"");
        });
        let address = address.to_string();
        let output = run(&[&["talk", &address, "--play", &path, "--connect-timeout", "200ms"], more].concat(), b"");
        assert_ne!(code(&output), 0);
        let said = text(&output.stderr);
        assert!(said.contains("no connection within 0.") && said.contains("(--connect-timeout)"), "{said}");
        serving.join().unwrap();
    }
}

/// What a client does that says `words` first over a connection of its own.
fn client(server: &Server, words: &str, answer: &str) -> TcpStream {
    let mut client = server.connect();
    says(&mut client, words);
    assert_eq!(line(&mut client), answer);
    client
}

const THREE: &str = "C: a\nS: b\nC2 connects\nC2: c\nS2: d\nC3 connects\nC3: e\nS3: f\nC2 closes\nS: g\nS closes\n";

#[test]
fn a_failure_for_programs_names_the_connection_and_the_line() {
    let (_folder, path) = written(THREE);
    let start = |more: &[&str]| {
        Server::start_at(&["tcp://127.0.0.1:0"], &[&["--json", "--play", path.as_str()], more].concat())
    };
    let failed = |server: &Server| {
        let line = server.log.wait_for("\"event\":\"failed\"");
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        ["conn", "line", "kind", "expected", "received"].map(|field| told[field].to_string().replace('"', "")).join(" ")
    };
    // The second one never comes: the first is what there is.
    let mut server = start(&["--once", "--timeout", "3s"]);
    let first = client(&server, "a\n", "b\n");
    assert_eq!(failed(&server), "1 3 nothing_came null null");
    assert_eq!(server.wait(), 1);
    drop(first);
    // The third one's words come over the second.
    let mut server = start(&["--once"]);
    let _first = client(&server, "a\n", "b\n");
    let mut second = server.connect();
    says(&mut second, "e\n");
    assert_eq!(failed(&server), "2 4 differs c e");
    assert_eq!((to_end(&mut second), server.wait()), (vec![], 1));
    // The third one is reset where it should speak.
    let mut server = start(&["--once"]);
    let _first = client(&server, "a\n", "b\n");
    let _second = client(&server, "c\n", "d\n");
    let third = server.connect();
    server.log.wait_for("\"conn\":3");
    rustix::net::sockopt::set_socket_linger(&third, Some(std::time::Duration::ZERO)).unwrap();
    drop(third);
    assert_eq!(failed(&server), "3 7 reset e null");
    assert_eq!(server.wait(), 1);
    // One more than there are comes: it is dropped, and the play is as written.
    let mut server = start(&["--once"]);
    let mut first = client(&server, "a\n", "b\n");
    let second = client(&server, "c\n", "d\n");
    let _third = client(&server, "e\n", "f\n");
    let _fourth = server.connect();
    drop(second);
    assert_eq!(to_end(&mut first), b"g\n");
    assert_eq!(server.wait(), 0);
    server.log.wait_for("1 conversation, 1 as written");
}

#[test]
fn a_strict_server_goes_on_after_a_connection_that_did_not_come() {
    let (_folder, path) = written(THREE);
    let server = Server::start_at(&["tcp://127.0.0.1:0"], &["--play", &path, "--strict", "--timeout", "3s"]);
    let mut first = client(&server, "a\n", "b\n");
    assert_eq!(to_end(&mut first), b"");
    assert_code(&run(&["talk", &server.address(), "--play", &path], b""), 0);
    let (code, log) = server.stop();
    assert_eq!(code, 1);
    assert_eq!(log.last().unwrap(), "2 conversations, 1 as written, 1 not");
}

#[test]
fn several_connections_go_over_unix_sockets_and_inside_tls_from_the_first_byte() {
    for text in [GREYLIST, IDLE] {
        let (folder, path) = written(text);
        let socket = format!("unix:{}", folder.path().join("s").display());
        for (address, is_secure) in [(socket.as_str(), false), ("tls://127.0.0.1:0", true)] {
            let record = folder.path().join("record.talk").display().to_string();
            let mut server = Server::start_at(&[address], &["--play", &path, "--once"]);
            let at = match is_secure {
                true => format!("tls://{}?pin={}", server.address(), server.log.pin()),
                false => address.to_owned(),
            };
            assert_code(&run(&["talk", &at, "--play", &path, "--record", &record], b""), 0);
            assert_eq!(server.wait(), 0, "{:#?}", server.log.all());
            // TLS is said of each connection: a record says what the file with `tls://` leaves to the address.
            let record = std::fs::read_to_string(record).unwrap();
            let begins = record.matches("starttls\n").count();
            assert_eq!(begins, if is_secure { 2 } else { 0 }, "{record}");
        }
    }
}
