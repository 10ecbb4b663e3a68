//! `fetch` that goes on: with parts as servers really send them, after failures, and within the time that it has.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::web::{Served, Web, answer, bytes, fetch, names, ok};
use support::{BINARY, assert_code, text};

const TAG: &str = "ETag: \"a\"\r\n";

fn first_of(request: &str) -> Option<usize> {
    let range = request.lines().find_map(|line| line.strip_prefix("Range: bytes="))?;
    range.split('-').next().unwrap().parse().ok()
}

/// Leaves half of a body, then goes on with a server that answers with this what is asked from a byte.
fn gone_on_with(body: &[u8], with_length: bool, part: impl Fn(&[u8], usize) -> Vec<u8> + Send + Sync + 'static) {
    let (all, calls) = (body.to_vec(), AtomicUsize::new(0));
    let web = Web::start(move |request, stream: &mut TcpStream| {
        let message = match (calls.fetch_add(1, Ordering::SeqCst), first_of(request)) {
            (0, _) if with_length => {
                answer("200 OK", &format!("{TAG}Content-Length: {}\r\n", all.len()), &all[..all.len() / 2])
            }
            (0, _) => {
                let half = &all[..all.len() / 2];
                let chunk = [format!("{:x}\r\n", half.len()).as_bytes(), half, b"\r\n"].concat();
                answer("200 OK", &format!("{TAG}Transfer-Encoding: chunked\r\n"), &chunk)
            }
            (_, Some(first)) => part(&all, first),
            (_, None) => answer("200 OK", &format!("{TAG}Content-Length: {}\r\n", all.len()), &all),
        };
        stream.write_all(&message).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--resume"]), 18);
    let output = fetch(folder.path(), &[&web.url("/x"), "--resume"]);
    assert_code(&output, 0);
    assert!(fs::read(folder.path().join("x")).unwrap() == body, "{:?}", web.requests());
    assert_eq!(names(folder.path()), ["x"]);
}

fn part(fields: &str, body: &[u8]) -> Vec<u8> {
    answer("206 Partial Content", &format!("{TAG}{fields}Content-Length: {}\r\n", body.len()), body)
}

#[test]
fn parts_are_joined_however_servers_cut_and_name_them() {
    let body = bytes(10_000);
    for with_length in [true, false] {
        // The whole's length is not said.
        gone_on_with(&body, with_length, |all, first| match all.get(first..) {
            Some(rest @ [_, ..]) => part(&format!("Content-Range: bytes {first}-{}/*\r\n", all.len() - 1), rest),
            _ => answer(
                "416 Range Not Satisfiable",
                &format!("Content-Range: bytes */{}\r\nContent-Length: 0\r\n", all.len()),
                b"",
            ),
        });
        // Less than was asked for, with and without the whole's length.
        for total in [true, false] {
            gone_on_with(&body, with_length, move |all, first| {
                if first >= all.len() {
                    let field = format!("Content-Range: bytes */{}\r\nContent-Length: 0\r\n", all.len());
                    return answer("416 Range Not Satisfiable", &field, b"");
                }
                let last = (first + 1999).min(all.len() - 1);
                let of = if total { all.len().to_string() } else { "*".to_owned() };
                part(&format!("Content-Range: bytes {first}-{last}/{of}\r\n"), &all[first..=last])
            });
        }
        // From the beginning, or from before what was asked for.
        for back in [usize::MAX, 100] {
            gone_on_with(&body, with_length, move |all, first| {
                let first = first.saturating_sub(back);
                part(&format!("Content-Range: bytes {first}-{}/{}\r\n", all.len() - 1, all.len()), &all[first..])
            });
        }
    }
}

#[test]
fn a_server_that_gives_nothing_more_ends_it() {
    let body = bytes(1000);
    let calls = AtomicUsize::new(0);
    let web = Web::start(move |request, stream| {
        let message = match (calls.fetch_add(1, Ordering::SeqCst), first_of(request)) {
            (0, _) | (_, None) => answer("200 OK", &format!("{TAG}Content-Length: 1000\r\n"), &body[..500]),
            // Another range than the one asked for.
            (_, Some(_)) => part("Content-Range: bytes 600-999/1000\r\n", &body[600..]),
        };
        stream.write_all(&message).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--resume"]), 18);
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--resume"]), 56);
    assert_eq!(names(folder.path()), ["x.part", "x.part.json"]);
}

#[test]
fn a_file_that_is_finished_is_left_as_it_is() {
    let served = Served { body: bytes(5000), fields: format!("{TAG}Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n") };
    let body = served.body.clone();
    let web = Web::start(move |request, stream| stream.write_all(&served.answer(request)).unwrap());
    let whole = body.clone();
    let without_ranges = Web::start(move |_, stream| stream.write_all(&ok(&whole)).unwrap());
    for server in [&web, &without_ranges] {
        for name in [&[][..], &["-o", "x"], &["--force"]] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("x"), &body).unwrap();
            let output = fetch(folder.path(), &[&[server.url("/x").as_str(), "--resume"], name].concat());
            assert_code(&output, 0);
            assert!(text(&output.stderr).contains("all of it is there already"), "{}", text(&output.stderr));
            assert_eq!(names(folder.path()), ["x"]);
        }
    }
    // Another length is another file: it is in the way, unless it may be replaced.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), &body[..100]).unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--resume"]), 23);
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--resume", "-o", "x"]), 0);
    assert!(fs::read(folder.path().join("x")).unwrap() == body);
}

#[test]
fn where_ranges_are_promised_and_ignored_the_whole_is_taken() {
    let body = bytes(5_000_000);
    let all = body.clone();
    let web = Web::start(move |_, stream| {
        let fields = format!("{TAG}Accept-Ranges: bytes\r\nContent-Length: {}\r\n", all.len());
        // A client that has enough hangs up.
        let _ = stream.write_all(&answer("200 OK", &fields, &all));
    });
    let folder = tempfile::tempdir().unwrap();
    for parts in ["2", "4"] {
        assert_code(&fetch(folder.path(), &[&web.url("/x"), "--parts", parts, "-o", "x"]), 0);
        assert!(fs::read(folder.path().join("x")).unwrap() == body);
    }
}

#[test]
fn what_is_cut_or_reset_is_asked_for_again_and_saved_once() {
    let body = bytes(50_000);
    for (more, is_saved) in [
        (&["--retry", "2"][..], true),
        (&["--retry", "2", "--resume"], true),
        (&["--retry", "2", "-o", "-"], false),
        (&["--retry", "2", "--retry-all", "-o", "-"], false),
    ] {
        let (all, calls) = (body.clone(), AtomicUsize::new(0));
        let web = Web::start(move |request, stream| {
            let first = first_of(request).unwrap_or(0);
            let cut = if calls.fetch_add(1, Ordering::SeqCst) == 0 { 20_000 } else { all.len() };
            let message = match first {
                0 => answer("200 OK", &format!("{TAG}Content-Length: {}\r\n", all.len()), &all[..cut]),
                _ => part(&format!("Content-Range: bytes {first}-{}/{}\r\n", all.len() - 1, all.len()), &all[first..]),
            };
            stream.write_all(&message).unwrap();
        });
        let folder = tempfile::tempdir().unwrap();
        let output = fetch(folder.path(), &[&[web.url("/x").as_str()], more].concat());
        // What was read cannot be taken back.
        assert_code(&output, if is_saved { 0 } else { 18 });
        if is_saved {
            assert!(fs::read(folder.path().join("x")).unwrap() == body, "{more:?}");
        } else {
            assert_eq!(output.stdout, &body[..20_000]);
        }
    }
}

#[test]
fn retry_all_asks_again_whatever_it_was() {
    for (more, status, expected, times) in [
        (&["--retry", "1"][..], "404 Not Found", 22, 1),
        (&["--retry", "1", "--retry-all"], "404 Not Found", 0, 2),
        (&["--retry", "1", "--data", "x"], "503 x", 22, 1),
        (&["--retry", "1", "--retry-all-errors", "--data", "x"], "503 x", 0, 2),
    ] {
        let calls = AtomicUsize::new(0);
        let status = status.to_owned();
        let web = Web::start(move |_, stream| {
            let is_first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            let message = if is_first { answer(&status, "Content-Length: 0\r\n", b"") } else { ok(b"x") };
            stream.write_all(&message).unwrap();
        });
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&[web.url("/x").as_str()], more].concat()), expected);
        assert_eq!(web.requests().len(), times, "{more:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let output = fetch(folder.path(), &["http://name.invalid/x", "--retry", "1"]);
    assert_code(&output, 6);
    assert!(text(&output.stderr).contains("again in"), "{}", text(&output.stderr));
}

#[test]
fn standard_output_has_many_names() {
    let web = Web::saying(ok(b"body"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let output = fetch(folder.path(), &[&web.url("/"), "-o", name]);
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout), "body", "{name}");
        assert!(text(&output.stderr).starts_with("HTTP/1.1 200 OK\r\n"), "{name}");
    }
}

fn fifo(folder: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
}

#[test]
fn a_pipe_without_a_reader_ends_in_time_and_one_with_a_reader_gets_all() {
    let body = bytes(300_000);
    let web = Web::saying(ok(&body));
    let folder = tempfile::tempdir().unwrap();
    fifo(folder.path());
    let output = fetch(folder.path(), &[&web.url("/"), "-o", "fifo", "--timeout", "200ms"]);
    assert_code(&output, 28);
    assert!(text(&output.stderr).contains("the pipe fifo has no reader in time"), "{}", text(&output.stderr));
    assert!(web.requests().is_empty());
    let path = folder.path().join("fifo");
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        fs::File::open(path).unwrap().read_to_end(&mut all).unwrap();
        all
    });
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "fifo", "--timeout", "60s"]), 0);
    assert!(reader.join().unwrap() == body);
}

#[test]
fn no_time_at_all_is_no_limit() {
    let web = Web::saying(ok(b"x"));
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--timeout", "--max-time", "--connect-timeout", "--idle-timeout"] {
        for zero in ["0", "0s", "0.0"] {
            assert_code(&fetch(folder.path(), &[&web.url("/"), flag, zero, "-o", "x"]), 0);
        }
    }
    let web = Web::start(|_, stream| drop(stream.read(&mut [0])));
    let output = fetch(folder.path(), &[&web.url("/"), "--timeout", "1.9999s", "-o", "x"]);
    assert_code(&output, 28);
    assert!(text(&output.stderr).contains("within 2 s (--timeout)"), "{}", text(&output.stderr));
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let (asked, go) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let (tell, wait) = (std::sync::Mutex::new(asked.0), std::sync::Mutex::new(go.1));
    let web = Web::start(move |_, stream| {
        tell.lock().unwrap().send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        stream.write_all(&ok(b"late")).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let script = format!("trap '' INT; exec {BINARY} fetch {} -o x", web.url("/"));
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(script)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    asked.1.recv().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    go.0.send(()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"late");
}
