//! `fetch` from servers that are slow, or not there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use support::web::{Web, answer, fetch, fetch_command, names};
use support::{assert_code, run_command, text};

#[test]
fn whoever_does_not_answer_in_time_is_left() {
    let (end, ended) = channel::<()>();
    let ended = Mutex::new(ended);
    let web = Web::start(move |request, stream| {
        if request.contains("/half") {
            stream.write_all(&answer("200 OK", "Content-Length: 10\r\n", b"half")).unwrap();
        }
        let _ = ended.lock().unwrap().recv();
    });
    let folder = tempfile::tempdir().unwrap();
    for (path, says) in [("/none", "not done within 0.2 s (--timeout)"), ("/half", "after 4 bytes of the body")] {
        let begun = Instant::now();
        let output = fetch(folder.path(), &[&web.url(path), "--timeout", "200ms"]);
        assert_code(&output, 28);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
        assert!(begun.elapsed() < support::LONG);
        assert!(names(folder.path()).is_empty());
    }
    drop(end);
    refused(folder.path());
}

/// A head must be whole in time, however often a byte comes; a body may be slow as long as something comes.
#[test]
fn a_slow_drip_ends_a_head_and_not_a_body() {
    let folder = tempfile::tempdir().unwrap();
    let drip = |stream: &mut TcpStream, bytes: &[u8]| {
        for byte in bytes {
            std::thread::sleep(Duration::from_millis(100));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
    };
    let web = Web::start(move |request, stream| {
        let (head, body) = match request.split(' ').nth(1).unwrap() {
            "/chunked" => ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "9\r\ntrickling"),
            "/open" => ("HTTP/1.1 200 OK\r\n\r\n", "trickling"),
            _ => ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "trickling"),
        };
        if request.contains(" /head ") {
            return drip(stream, &[head.as_bytes(), body.as_bytes()].concat());
        }
        stream.write_all(head.as_bytes()).unwrap();
        drip(stream, body.as_bytes());
        if request.contains(" /chunked ") {
            // Only bytes of the body count as coming: framing without end would be no body.
            let _ = stream.write_all(b"\r\n0\r\n\r\n");
        }
    });
    let output = fetch(folder.path(), &[&web.url("/head"), "-o", "x", "--idle-timeout", "500ms"]);
    assert_code(&output, 28);
    assert!(text(&output.stderr).contains("no answer within 0.5 s (--idle-timeout)"), "{}", text(&output.stderr));
    for path in ["/length", "/chunked", "/open"] {
        let output = fetch(folder.path(), &[&web.url(path), "-o", "y", "--max-time", "650ms"]);
        assert_code(&output, 28);
        assert!(
            text(&output.stderr).contains("not done within 0.65 s (--timeout), after "),
            "{}",
            text(&output.stderr)
        );
        assert!(names(folder.path()).is_empty());
        // Longer in all than between two bytes.
        let began = Instant::now();
        assert_code(&fetch(folder.path(), &[&web.url(path), "-o", "x", "--idle-timeout", "700ms"]), 0);
        assert!(began.elapsed() > Duration::from_millis(700), "it was not slow");
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"trickling");
        fs::remove_file(folder.path().join("x")).unwrap();
    }
}

fn refused(folder: &Path) {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, expected, says) in [
        (format!("http://{closed}/"), 7, "Connection refused"),
        ("http://no-such-name.invalid/".to_owned(), 6, "cannot connect to http://no-such-name.invalid:80"),
        ("ftp://x/".to_owned(), 2, "only http and https are fetched"),
    ] {
        let output = run_command(fetch_command(folder).arg(&url), b"");
        assert_code(&output, expected);
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    assert!(names(folder).is_empty());
}
