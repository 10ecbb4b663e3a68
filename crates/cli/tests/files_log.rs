//! The access log of `serve --files`: what was sent and how long it took, told when it has ended, and at little cost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use support::files::Client;
use support::{Server, read, until};

const LARGE: usize = 64 << 20;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    File::create(folder.path().join("large")).unwrap().set_len(LARGE as u64).unwrap();
    fs::write(folder.path().join("small"), "small").unwrap();
    folder
}

fn serve(scheme: &str, folder: &Path, log: &Path, arguments: &[&str]) -> Server {
    let shared = ["--files", folder.to_str().unwrap(), "-q", "--access-log", log.to_str().unwrap()];
    Server::start_at(&[&format!("{scheme}://127.0.0.1:0")], &[&shared, arguments].concat())
}

#[test]
fn a_log_that_is_called_off_is_no_file_of_that_name() {
    let folder = folder();
    for word in ["off", "none"] {
        let mut command = support::command(&[]);
        command.args(["serve", "http://127.0.0.1:0", "--files", ".", "--access-log", word]).current_dir(folder.path());
        let output = support::run_command(&mut command, b"");
        support::assert_code(&output, 2);
        assert!(support::text(&output.stderr).contains("-q writes no log"), "{output:?}");
        assert!(!folder.path().join(word).exists());
    }
}

fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
}

fn lines(log: &Path) -> Vec<String> {
    fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The bytes that a line in the combined format tells.
fn sent(line: &str) -> usize {
    line.split(' ').nth(9).unwrap().parse().unwrap_or(0)
}

#[test]
fn an_answer_is_told_of_when_it_has_ended_and_a_cut_one_with_what_was_sent() {
    let folder = folder();
    let log = folder.path().join("log");
    let server = serve("http", folder.path(), &log, &[]);
    let mut slow = server.connect();
    ask(&mut slow, "/large");
    read(&mut slow, 1000);
    // What others ask meanwhile is told of before.
    Client::new(&server).get("/small", "");
    until("a line", || lines(&log).len() == 1);
    assert!(lines(&log)[0].contains("\"GET /small HTTP/1.1\" 200 5 "), "{:?}", lines(&log));
    let mut rest = vec![0; 1 << 20];
    let mut got = 1000;
    while got < LARGE {
        got += slow.read(&mut rest).unwrap();
    }
    until("another line", || lines(&log).len() == 2);
    assert!(lines(&log)[1].contains(&format!("\"GET /large HTTP/1.1\" 200 {LARGE} ")), "{:?}", lines(&log));
    // One that leaves in the middle.
    let mut leaves = server.connect();
    ask(&mut leaves, "/large");
    read(&mut leaves, 100_000);
    drop(leaves);
    until("the line of what was cut", || lines(&log).len() == 3);
    let cut = sent(&lines(&log)[2]);
    assert!((99_000..LARGE).contains(&cut), "{cut}");
    // And one that the server cuts.
    let mut stays = server.connect();
    ask(&mut stays, "/large");
    read(&mut stays, 100_000);
    let mut server = server;
    server.signal("INT");
    server.signal("INT");
    server.wait();
    let last = lines(&log);
    assert_eq!(last.len(), 4);
    assert!((99_000..LARGE).contains(&sent(&last[3])), "{last:?}");
}

#[test]
fn seconds_are_those_that_the_answer_took() {
    let folder = folder();
    let log = folder.path().join("log");
    let server = serve("http", folder.path(), &log, &["--json"]);
    let mut slow = server.connect();
    ask(&mut slow, "/large");
    read(&mut slow, 1);
    let began = std::time::Instant::now();
    // Something else happens meanwhile, for a while.
    let mut other = Client::new(&server);
    for _ in 0..500 {
        other.get("/small", "");
    }
    let passed = began.elapsed().as_secs_f64();
    let mut rest = Vec::new();
    slow.shutdown(std::net::Shutdown::Write).unwrap();
    slow.read_to_end(&mut rest).unwrap();
    let line = || lines(&log).into_iter().find(|line| line.contains("/large"));
    until("its line", || line().is_some());
    let told: serde_json::Value = serde_json::from_str(&line().unwrap()).unwrap();
    assert!(told["seconds"].as_f64().unwrap() >= passed, "{told}, {passed}");
    assert_eq!(told["sent"], LARGE);
}

#[test]
fn every_answer_has_its_line_however_many_come_at_once_and_none_is_lost_at_the_end() {
    let folder = folder();
    for (scheme, log) in [("http", "one"), ("https", "two")] {
        let log = folder.path().join(log);
        let mut server = serve(scheme, folder.path(), &log, &[]);
        if scheme == "http" {
            let mut stream = server.connect();
            stream.write_all("GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3000).as_bytes()).unwrap();
            let mut got = Vec::new();
            let mut piece = vec![0; 1 << 16];
            while got.windows(5).filter(|five| five == b"small").count() < 3000 {
                let length = stream.read(&mut piece).unwrap();
                got.extend_from_slice(&piece[..length]);
            }
            server.signal("TERM");
            assert_eq!(server.wait(), 0);
            assert_eq!(lines(&log).iter().filter(|line| line.contains(" 200 5 ")).count(), 3000);
        } else {
            support::need("curl");
            for version in ["--http1.1", "--http2"] {
                let url = format!("https://{}/large", server.address());
                let mut curl = std::process::Command::new("curl");
                curl.args(["-sSk", "--noproxy", "*", version, "-o", "/dev/null", &url]);
                support::assert_code(&support::run_command(&mut curl, b""), 0);
            }
            server.signal("TERM");
            assert_eq!(server.wait(), 0);
            assert_eq!(lines(&log).iter().filter(|line| sent(line) == LARGE).count(), 2, "{:?}", lines(&log));
        }
    }
}

/// A pipe that is open and not read: neither clients nor the end wait for it.
#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let _reader = File::options().read(true).write(true).open(&pipe).unwrap();
    let mut server = serve("http", folder.path(), &pipe, &[]);
    let mut client = Client::new(&server);
    for _ in 0..3000 {
        assert_eq!(client.get("/small", "User-Agent: some words\r\n").text(), "small");
    }
    server.signal("TERM");
    assert_eq!(server.wait(), 0);
}
