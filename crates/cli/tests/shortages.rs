//! What the kernel does not give: threads, limits, a watch on a connection. It is an error in words, and never a panic.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::process::Output;
use std::time::Duration;

use support::{BINARY, Server, assert_code, code, need, run_command, text, to_end, write};

/// `strace` that makes one call fail; -D leaves the program our child, so that signals reach it.
fn failing(injection: &str) -> Vec<String> {
    need("strace");
    let call = injection.split(':').next().unwrap();
    let words = ["strace", "-D", "-f", "-qqq", "-o", "/dev/null", "-e"];
    let mut words: Vec<String> = words.map(str::to_owned).into();
    words.extend([format!("trace={call}"), "-e".to_owned(), format!("inject={injection}")]);
    words
}

fn run(injection: &str, arguments: &[&str], input: &[u8]) -> Output {
    let words = failing(injection);
    let mut command = std::process::Command::new(&words[0]);
    run_command(command.args(&words[1..]).arg(BINARY).args(arguments), input)
}

#[test]
fn a_thread_that_cannot_be_started_is_an_error_and_no_panic() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It hears all there is and closes; a client without a thread may have left by a reset.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"hello\n");
            let _ = stream.shutdown(Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = format!("udp://{}", datagrams.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.talk");
    std::fs::write(&file, "S: hello\nC: bye\n").unwrap();
    let file = file.to_str().unwrap();
    let verbs: [&[&str]; 6] = [
        &["talk", &address],
        &["talk", &udp, "--timeout", "100ms"],
        &["talk", &address, "--play", file, "--timeout", "1s"],
        &["check", file],
        &["fetch", "http://localhost:1/a", "http://localhost:1/b", "--connect-timeout", "1s"],
        &["serve", "tcp://127.0.0.1:0", "--once", "--wait", "100ms"],
    ];
    let mut told = 0;
    for arguments in verbs {
        for nth in 1..=4 {
            let output = run(&format!("clone3:error=EAGAIN:when={nth}"), arguments, b"bye\n");
            let words = text(&output.stderr);
            assert!(![-1, 101, 134].contains(&code(&output)), "{arguments:?} {nth}: {words}");
            assert!(!words.contains("panicked"), "{arguments:?} {nth}: {words}");
            told += usize::from(words.contains("no thread can be started for it: Resource temporarily unavailable"));
        }
    }
    assert!(told >= 2, "talk has no thread that reads: {told}");
}

#[test]
fn a_log_without_its_thread_says_that_it_shows_nothing() {
    for (flag, says) in [("-v", "warning: no events are shown"), ("--json", "\"event\":\"warning\"")] {
        let words = failing("clone3:error=EAGAIN:when=1");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let server = Server::start_with(&words, &["tcp://127.0.0.1:0"], &[flag]);
        server.log.wait_for(says);
        drop(server.welcomed());
    }
}

#[test]
fn a_limit_of_open_files_that_is_hidden_ends_nothing() {
    for errno in ["EPERM", "ENOSYS"] {
        // The first look is Rust's, and the stack's.
        for nth in 2..=6 {
            let output = run(&format!("prlimit64:error={errno}:when={nth}"), &["--version"], b"");
            assert_code(&output, 0);
        }
    }
}

#[test]
fn a_judged_conversation_that_breaks_is_not_done() {
    for injection in
        ["recvfrom:error=ECONNRESET:when=1", "recvfrom:error=ETIMEDOUT:when=2", "epoll_ctl:error=ENOMEM:when=3"]
    {
        for role in ["--discard", "--echo"] {
            let words = failing(injection);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut server = Server::start_with(&words, &["tcp://127.0.0.1:0"], &[role, "--once"]);
            let mut client = server.connect();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let _ = client.write_all(&[b'x'; 1000]);
            let _ = client.shutdown(Shutdown::Write);
            let _ = std::io::copy(&mut client, &mut std::io::sink());
            assert_eq!(server.wait(), 1, "{injection} {role}: {:?}", server.log.all());
        }
    }
    for role in ["--discard", "--echo"] {
        let mut server = Server::start_with(&[], &["tcp://127.0.0.1:0"], &[role, "--once"]);
        let mut client = server.connect();
        client.write_all(b"x").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        to_end(&mut client);
        assert_eq!(server.wait(), 0, "{role}");
    }
}

/// What this machine cannot do is not told as something that the client did.
#[test]
fn a_play_that_the_kernel_has_no_room_for_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "two.talk", "C: a\nS: b\nC: c\nS: d\nS closes\n");
    // The first two are a look at the pipes of its signals.
    let words = failing("sendto:error=ENOBUFS:when=3+");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut server = Server::start_with(&words, &["tcp://127.0.0.1:0"], &["--play", &path, "--once"]);
    let mut client = server.connect();
    client.write_all(b"a\nc\n").unwrap();
    assert_eq!(to_end(&mut client), b"");
    assert_eq!(server.wait(), 1, "{:#?}", server.log.all());
    let log = server.log.to_end();
    assert!(log.iter().any(|line| line.contains("No buffer space available")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("reset")), "{log:#?}");
}

#[test]
fn a_signal_reaches_a_server_whatever_kind_its_pipe_is_taken_for() {
    for errno in ["EAGAIN", "ENOTSOCK", "EINTR"] {
        for nth in 1..=3 {
            let injection = format!("sendto:error={errno}:when={nth}");
            let words = failing(&injection);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut server = Server::start_with(&words, &["udp://127.0.0.1:0"], &["--echo"]);
            server.signal("TERM");
            // Where the fault is the handler's own call, it is the second signal that comes through.
            let first = std::time::Instant::now();
            while server.child.try_wait().unwrap().is_none() && first.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(20));
                server.signal("TERM");
            }
            assert!(matches!(server.wait(), 0 | 130), "{injection}");
        }
    }
}

/// That is this machine's fault, and not that of an address.
#[test]
fn too_few_descriptors_to_begin_are_told_as_that_by_every_verb() {
    for (verb, descriptors) in [
        ("serve 127.0.0.1:0 --echo --no-sandbox", 4),
        ("serve 127.0.0.1:0 --echo --no-sandbox", 6),
        ("relay 127.0.0.1:0 127.0.0.1:9 --no-sandbox", 4),
        ("relay 127.0.0.1:0 127.0.0.1:9 --no-sandbox", 6),
        ("talk --listen 127.0.0.1:0 --no-sandbox", 5),
    ] {
        let script = format!("ulimit -n {descriptors}; exec timeout 60 \"$0\" {verb}");
        let output = run_command(std::process::Command::new("sh").args(["-c", &script, BINARY]), b"");
        assert_code(&output, 27);
        assert!(text(&output.stderr).contains("Too many open files"), "{verb}: {}", text(&output.stderr));
    }
}
