//! Transcripts played from the client's end, and the accounts of what went wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use support::*;

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A threaded server as everyone writes it first: it sends and expects no line endings.
fn plain_server(greeting: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                stream.write_all(b"Welcome!").unwrap();
                let mut buffer = [0; 1024];
                loop {
                    let length = stream.read(&mut buffer).unwrap();
                    if length == 0 || &buffer[..length] == b"exit" {
                        return;
                    }
                    // In one write: a gap between two of them would end a line.
                    let answer = format!("{greeting}, {}!", text(&buffer[..length]));
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    port
}

#[test]
fn the_greeting_passes_against_serve_over_tcp_udp_and_unix() {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("unix:{}/s", folder.path().display());
    let server = Server::start_at(&["127.0.0.1:0", &path], &[]);
    let greeting = transcript("greeting.talk");
    for address in [server.address(), path] {
        let output = run(&["talk".as_ref(), address.as_ref(), "--play".as_ref(), greeting.as_os_str()], b"");
        assert_code(&output, 0);
    }
    let udp = format!("udp://{}", server.address());
    let greeting = transcript("greeting-udp.talk");
    assert_code(&run(&["talk".as_ref(), udp.as_ref(), "--play".as_ref(), greeting.as_os_str()], b""), 0);
}

#[test]
fn the_greeting_passes_against_a_plain_server_that_sends_no_line_endings() {
    let port = plain_server("Hello").to_string();
    let greeting = transcript("greeting.talk");
    assert_code(&run(&["talk".as_ref(), port.as_ref(), "--play".as_ref(), greeting.as_os_str()], b""), 0);
}

#[test]
fn a_differing_answer_is_exit_1_with_line_both_texts_and_a_caret() {
    let folder = tempfile::tempdir().unwrap();
    let greet = file(&folder, "greet.talk", "gap 100ms\nS: Welcome!\nC: {name=World}\n  S: Hello, {name}!\nC: exit\n");
    let (address, _server) = serve_one(|mut stream| {
        stream.write_all(b"Welcome!\n").unwrap();
        line(&mut stream);
        stream.write_all(b"Hello, Wurld!\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let output = run(&["talk".as_ref(), address.to_string().as_ref(), "--play".as_ref(), greet.as_os_str()], b"");
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines[0], "error: the server said something else", "{stderr}");
    assert!(lines[1].contains("greet.talk:4:13") && lines[1].contains(&format!("-> {address}")), "{stderr}");
    assert!(lines[2].contains("3 | C: {name=World}") && lines[2].ends_with("sent      World"), "{stderr}");
    assert!(lines[3].contains("4 |   S: Hello, {name}!") && lines[3].ends_with("expected  Hello, World!"), "{stderr}");
    assert!(lines[4].ends_with("received  Hello, Wurld!"), "{stderr}");
    let caret = lines[5].find('^').unwrap();
    assert_eq!(&lines[4][caret..=caret], "u", "{stderr}");
    assert!(lines[5].ends_with("^ byte 9 of the line"), "{stderr}");
}

#[test]
fn every_kind_of_failure_has_its_words_and_its_code() {
    let folder = tempfile::tempdir().unwrap();
    // Where something comes, it may take its time on a busy machine.
    let ask = |seconds| file(&folder, "ask.talk", &format!("timeout {seconds}s\nC: hello\nS: hi\nS closes\n"));
    type Answer = Box<dyn FnOnce(std::net::TcpStream) + Send>;
    let answers: Vec<(&str, i32, Answer)> = vec![
        (
            "nothing came from the server within 1 s",
            28,
            Box::new(|mut stream| {
                let _ = stream.read_to_end(&mut Vec::new());
            }),
        ),
        (
            "no line ending yet",
            28,
            Box::new(|mut stream| {
                stream.write_all(b"hi").unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            }),
        ),
        (
            "the server closed early",
            1,
            Box::new(|mut stream| {
                line(&mut stream);
            }),
        ),
        (
            "the server reset the connection",
            56,
            Box::new(|mut stream| {
                line(&mut stream);
                rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
            }),
        ),
        (
            "the server said more than the transcript",
            1,
            Box::new(|mut stream| {
                stream.write_all(b"hi\nand more\n").unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            }),
        ),
        (
            "the server sent a line longer than 65536 bytes",
            1,
            Box::new(|mut stream| {
                let _ = stream.write_all(&vec![b'x'; 100_000]);
                let _ = stream.read_to_end(&mut Vec::new());
            }),
        ),
    ];
    for (words, expected, answer) in answers {
        let (address, server) = serve_one(answer);
        let ask = ask(if expected == 28 { 1 } else { 60 });
        let output = run(&["talk".as_ref(), address.to_string().as_ref(), "--play".as_ref(), ask.as_os_str()], b"");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(words), "{words}: {stderr}");
        assert!(stderr.contains("ask.talk:"), "{stderr}");
        assert_code(&output, expected);
        server.join().unwrap();
    }
}

#[test]
fn at_a_choice_every_branch_is_listed_nearest_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "t.talk", "C: x\neither\n  S: yes\nor\n  S: no way\nend\n");
    let (address, _server) = serve_one(|mut stream| {
        stream.write_all(b"no idea\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let output = run(&["talk".as_ref(), address.to_string().as_ref(), "--play".as_ref(), path.as_os_str()], b"");
    assert_code(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("t.talk:5:9"), "{stderr}");
    let (near, far) = (stderr.find("expected  no way").unwrap(), stderr.find("expected  yes").unwrap());
    assert!(near < far, "{stderr}");
}

#[test]
fn a_value_given_on_the_command_line_wins_and_is_refused_where_it_would_be_misheard() {
    let server = Server::start(&[]);
    let greeting = transcript("greeting.talk");
    let folder = tempfile::tempdir().unwrap();
    let asked = file(&folder, "t.talk", "S: Welcome!\nC: {who}\nS: Hello, {who}!\nC: exit\nS closes\n");
    let play = |path: &PathBuf, set: &str| {
        let address = server.address();
        run(
            &["talk".as_ref(), address.as_ref(), "--play".as_ref(), path.as_os_str(), "--set".as_ref(), set.as_ref()],
            b"",
        )
    };
    assert_code(&play(&asked, "who=Ann"), 0);
    let output = run(&["talk".as_ref(), server.address().as_ref(), "--play".as_ref(), asked.as_os_str()], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("the client must say {who}, but nothing gives it a value"));
    let output = play(&greeting, "name=exit");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("`exit` would be heard as line 9"), "{}", text(&output.stderr));
}

#[test]
fn a_transcript_with_five_mistakes_shows_all_five_before_a_socket_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "five.talk", "gap 100\nS: Welcome {name=\nrepaet\n  C: {name=x}\nend\nend\nC closses\n");
    for arguments in [vec!["check"], vec!["talk", "127.0.0.1:1", "--play"], vec!["serve", "127.0.0.1:0", "--play"]] {
        let mut all: Vec<&std::ffi::OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        all.push(path.as_os_str());
        let output = run(&all, b"");
        assert_code(&output, 2);
        let stderr = text(&output.stderr);
        for place in ["five.talk:1:5", "five.talk:2:12", "five.talk:3:1", "five.talk:6:1", "five.talk:7:1"] {
            assert!(stderr.contains(place), "{place}: {stderr}");
        }
        assert!(stderr.contains("did you mean `repeat`?") && stderr.contains("did you mean `C closes`?"), "{stderr}");
        assert!(stderr.contains('^') && stderr.contains("5 errors"), "{stderr}");
    }
}

#[test]
fn a_transcript_that_cannot_be_played_over_udp_is_left_out_with_a_notice_unless_udp_is_named() {
    let greeting = transcript("greeting.talk");
    let greeting = greeting.to_str().unwrap();
    let server = Server::start_at(&["127.0.0.1:0"], &["--play", greeting]);
    server.log.wait_for("not on UDP: ");
    server.log.wait_for("greeting.talk:4: a server cannot speak first over datagrams");
    let output = run(&["serve", "udp://127.0.0.1:0", "--play", greeting], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("greeting.talk:4:1"));
}

#[test]
fn check_says_from_which_ends_a_file_can_be_played() {
    let folder = tempfile::tempdir().unwrap();
    let one_sided = file(&folder, "one.talk", "C: hello\nS: {banner}\n");
    let differing = file(&folder, "differs.talk", "C: a\nC closes\nS: b\n");
    let output = run(&["check".as_ref(), one_sided.as_os_str()], b"");
    assert_code(&output, 0);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("as client: yes"), "{stdout}");
    assert!(stdout.contains("as server: no:") && stdout.contains("the server must say {banner}"), "{stdout}");
    let output = run(&["check".as_ref(), differing.as_os_str()], b"");
    assert!(matches!(code(&output), 0 | 1), "{}", text(&output.stderr));
    let output = run(&["check", "/nowhere/x.talk"], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("cannot read the transcript /nowhere/x.talk"));
}
