//! `fetch` from servers that are slow, or not there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::web::{Web, answer, fetch, fetch_command, names};
use support::{assert_code, code, run_command, text, with_enough_time};

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
    for (path, says) in [("/none", "not done within {} s (--timeout)"), ("/half", "after 4 bytes of the body")] {
        with_enough_time(|times| {
            let begun = Instant::now();
            let output = fetch(folder.path(), &[&web.url(path), "--timeout", &format!("{}ms", 200 * times)]);
            assert_code(&output, 28);
            assert!(begun.elapsed() < support::LONG);
            assert!(names(folder.path()).is_empty());
            said(&output, &says.replace("{}", &seconds(200 * times)))
        });
    }
    drop(end);
    refused(folder.path());
}

/// As messages have it.
fn seconds(milliseconds: u32) -> String {
    (f64::from(milliseconds) / 1000.0).to_string()
}

fn said(output: &Output, words: &str) -> Result<(), String> {
    let said = text(&output.stderr);
    if said.contains(words) { Ok(()) } else { Err(format!("no `{words}` in: {said}")) }
}

/// A head must be whole in time, however often a byte comes; a body may be slow as long as something comes.
#[test]
fn a_slow_drip_ends_a_head_and_not_a_body() {
    let folder = tempfile::tempdir().unwrap();
    let pause = Arc::new(AtomicU32::new(0));
    let milliseconds = Arc::clone(&pause);
    let drip = move |stream: &mut TcpStream, bytes: &[u8]| {
        for byte in bytes {
            std::thread::sleep(Duration::from_millis(milliseconds.load(Ordering::Relaxed).into()));
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
    let ask = |path: &str, more: &[&str]| fetch(folder.path(), &[&[web.url(path).as_str(), "-o", "x"], more].concat());
    with_enough_time(|times| {
        pause.store(100 * times, Ordering::Relaxed);
        let output = ask("/head", &["--idle-timeout", &format!("{}ms", 500 * times)]);
        assert_code(&output, 28);
        said(&output, &format!("no answer within {} s (--idle-timeout)", seconds(500 * times)))
    });
    for path in ["/length", "/chunked", "/open"] {
        with_enough_time(|times| {
            pause.store(100 * times, Ordering::Relaxed);
            let output = ask(path, &["--max-time", &format!("{}ms", 650 * times)]);
            assert_code(&output, 28);
            assert!(names(folder.path()).is_empty());
            said(&output, &format!("not done within {} s (--timeout), after ", seconds(650 * times)))?;
            // Longer in all than between two bytes.
            let began = Instant::now();
            let output = ask(path, &["--idle-timeout", &format!("{}ms", 700 * times)]);
            if code(&output) != 0 {
                return Err(text(&output.stderr));
            }
            assert!(began.elapsed() > Duration::from_millis((700 * times).into()), "it was not slow");
            assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"trickling");
            fs::remove_file(folder.path().join("x")).unwrap();
            Ok(())
        });
    }
}

/// The time for everything holds also where there is always something to do, or another party is waited for.
#[test]
fn the_time_for_everything_ends_what_never_waits_for_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::start(|request, stream| {
        let head = if request.contains(" /length ") { "Content-Length: 1000000000000\r\n" } else { "" };
        let mut going_on = stream.write_all(&answer("200 OK", head, b""));
        while going_on.is_ok() {
            going_on = stream.write_all(&[b'x'; 65536]);
        }
    });
    for path in ["/length", "/open"] {
        with_enough_time(|times| {
            let time = format!("{}ms", 300 * times);
            let says = format!("not done within {} s (--timeout), after ", seconds(300 * times));
            // What it writes is not read.
            let (reader, writer) = std::io::pipe().unwrap();
            let mut command = fetch_command(folder.path());
            command.args([&web.url(path), "-q", "-o", "-", "--timeout", &time]).stdout(writer).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            drop(command);
            assert_eq!(support::wait(&mut child), 28);
            said(&child.wait_with_output().unwrap(), &says)?;
            drop(reader);
            let output = fetch(folder.path(), &[&web.url(path), "-o", "/dev/null", "--timeout", &time]);
            assert_code(&output, 28);
            said(&output, &says)
        });
    }
}

fn refused(folder: &Path) {
    let nobody = support::Closed::tcp();
    let closed = nobody.address;
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
