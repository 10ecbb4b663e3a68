//! `fetch`: what is asked, what is shown, and what is saved under which name.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use support::web::{Web, answer, bytes, chunked, fetch, fetch_command, gzip, names, ok};
use support::{
    BINARY, LONG, Log, assert_code, code, need, read, run_command, serve_one, signal, text, wait, wait_until_idle,
};

#[test]
fn the_head_is_printed_as_it_came_and_the_body_saved_under_the_name_of_the_url() {
    let folder = tempfile::tempdir().unwrap();
    let head = "HTTP/1.1 200 All right\r\nx-B: 1\r\nContent-LENGTH:5\r\nX-a:  two  \r\nx-b: 3\r\n\r\n";
    let web = Web::saying(format!("{head}hello"));
    let output = fetch(folder.path(), &[&web.url("/a/page.html?q=1")]);
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), head);
    assert_eq!(text(&output.stderr), "saved page.html, 5 bytes\n");
    assert_eq!(fs::read(folder.path().join("page.html")).unwrap(), b"hello");
    let request = &web.requests()[0];
    assert!(request.starts_with("GET /a/page.html?q=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nHost: {}\r\n", web.address)), "{request}");
    assert!(request.contains("\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"), "{request}");
    assert!(fetch(folder.path(), &[&web.url("/")]).status.success());
    // The port alone is one of the loopback.
    let output = fetch(folder.path(), &["-q", &format!("{}/other", web.address.port())]);
    assert_code(&output, 0);
    assert!(output.stderr.is_empty());
    assert_eq!(names(folder.path()), ["index.html", "other", "page.html"]);
}

#[test]
fn an_address_of_ipv6_is_written_in_brackets_and_a_family_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::start_at("[::1]:0", |_, stream| stream.write_all(&ok(b"six")).unwrap());
    let port = web.address.port();
    let named = format!("http://localhost:{port}/x");
    let elsewhere = format!("http://far.example:{port}/x");
    let resolve = format!("far.example:{port}:::1");
    for (arguments, host) in [
        (&[web.url("/x").as_str()][..], format!("[::1]:{port}")),
        (&[&web.url("/x"), "-6"], format!("[::1]:{port}")),
        (&[&named, "-6"], format!("localhost:{port}")),
        // Without being told, whichever address of the name answers.
        (&[&named], format!("localhost:{port}")),
        (&[&elsewhere, "--resolve", &resolve], format!("far.example:{port}")),
    ] {
        assert_code(&fetch(folder.path(), &[arguments, &["-o", "x"]].concat()), 0);
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"six");
        let request = web.requests().pop().unwrap();
        assert!(request.contains(&format!("\r\nHost: {host}\r\n")), "{request}");
    }
    let before = web.requests().len();
    let output = fetch(folder.path(), &[&named, "-4", "-o", "y"]);
    assert_code(&output, 7);
    assert!(text(&output.stderr).contains("127.0.0.1"), "{}", text(&output.stderr));
    assert_ne!(code(&fetch(folder.path(), &[&web.url("/x"), "-4", "-o", "y"])), 0);
    assert_eq!((web.requests().len(), names(folder.path())), (before, vec!["x".to_owned()]));
}

#[test]
fn a_name_that_we_chose_overwrites_nothing_and_minus_o_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b"new"));
    fs::write(folder.path().join("x"), "old").unwrap();
    let output = fetch(folder.path(), &[&web.url("/x")]);
    assert_code(&output, 23);
    assert!(text(&output.stderr).contains("x: it is there already; -o x replaces it"), "{}", text(&output.stderr));
    assert!(web.requests().is_empty(), "nobody was asked");
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"old");
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "-o", "x"]), 0);
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"new");
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "-o", "no/such/folder"]), 23);
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "-o", "/dev/null"]), 0);
    assert_eq!(names(folder.path()), ["x"]);
}

#[test]
fn the_body_may_go_to_standard_output_and_the_head_then_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(300_000);
    for message in [
        ok(&body),
        answer("200 OK", "Transfer-Encoding: chunked\r\n", &chunked(&body, 7000)),
        answer("200 OK", "Connection: close\r\n", &body),
    ] {
        let web = Web::saying(message);
        let output = fetch(folder.path(), &[&web.url("/x"), "-o", "-"]);
        assert_code(&output, 0);
        assert!(output.stdout == body);
        assert!(text(&output.stderr).starts_with("HTTP/1.1 200 OK\r\n"), "{}", text(&output.stderr));
        assert!(fetch(folder.path(), &[&web.url("/x"), "-qo", "-"]).stderr.is_empty());
        // A file opened for appending takes nothing by splice(2).
        let script = "printf before >x; \"$1\" fetch -q \"$2\" -o - >>x; wc -c <x; rm x";
        let output =
            Command::new("bash").args(["-c", script, "bash", BINARY, &web.url("/x")]).current_dir(&folder).output();
        assert_eq!(text(&output.unwrap().stdout), "300006\n");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn packed_bodies_are_unpacked_unless_asked_for_raw_or_packed_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let body = bytes(50_000);
    let packed = gzip(&body);
    let web = Web::start(move |request, stream| {
        let fields = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", packed.len());
        let message = if request.starts_with("GET /twice") {
            let twice = gzip(&packed);
            answer("200 OK", &format!("Content-Encoding: gzip, gzip\r\nContent-Length: {}\r\n", twice.len()), &twice)
        } else if request.starts_with("GET /odd") {
            answer("200 OK", "Content-Encoding: rot13\r\nContent-Length: 1\r\n", b"x")
        } else {
            answer("200 OK", &fields, &packed)
        };
        stream.write_all(&message).unwrap();
    });
    for path in ["/x", "/twice"] {
        assert_code(&fetch(folder.path(), &[&web.url(path)]), 0);
        assert!(fs::read(folder.path().join(&path[1..])).unwrap() == body);
    }
    let packed = gzip(&body);
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "--raw-body", "-o", "raw"]), 0);
    assert!(fs::read(folder.path().join("raw")).unwrap() == packed);
    assert_code(&fetch(folder.path(), &[&web.url("/x.tar.gz")]), 0);
    assert!(fs::read(folder.path().join("x.tar.gz")).unwrap() == packed);
    let output = fetch(folder.path(), &[&web.url("/odd")]);
    assert_code(&output, 56);
    assert!(text(&output.stderr).contains("unknown Content-Encoding `rot13`; --raw-body"), "{}", text(&output.stderr));
    assert_code(&fetch(folder.path(), &[&web.url("/odd"), "--raw-body"]), 0);
}

#[test]
fn what_is_sent_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b""));
    fs::write(folder.path().join("data"), "from a file").unwrap();
    fs::write(folder.path().join("who"), "me:secret\n").unwrap();
    fs::set_permissions(folder.path().join("who"), fs::Permissions::from_mode(0o600)).unwrap();
    let ask = |arguments: &[&str]| {
        let url = web.url("/x");
        assert_code(&fetch(folder.path(), &[&[url.as_str(), "-o", "/dev/null"], arguments].concat()), 0);
        web.requests().pop().unwrap()
    };
    let request = ask(&["--data", "a=b"]);
    assert!(request.starts_with("POST /x ") && request.ends_with("\r\n\r\na=b"), "{request}");
    assert!(request.contains("Content-Type: application/x-www-form-urlencoded\r\n"), "{request}");
    let request = ask(&["--data", "@data", "-X", "PUT", "-H", "content-type: text/plain", "-H", "User-Agent:"]);
    assert!(request.starts_with("PUT /x ") && request.ends_with("\r\n\r\nfrom a file"), "{request}");
    assert!(request.contains("Content-Type: text/plain\r\n") && !request.contains("User-Agent"), "{request}");
    for arguments in [&["-u", "me:secret"][..], &["-u", "@who"]] {
        assert!(ask(arguments).contains("\r\nAuthorization: Basic bWU6c2VjcmV0\r\n"));
    }
    let output =
        run_command(fetch_command(folder.path()).args(["-o", "/dev/null", "--data", "@-", &web.url("/")]), b"in");
    assert_code(&output, 0);
    assert!(web.requests().pop().unwrap().ends_with("\r\n\r\nin"));
    for (arguments, expected) in [
        (&["-H", "a b: c"][..], 2),
        (&["-H", "no colon"], 2),
        (&["-H", "Content-Length: 3"], 2),
        (&["-X", "A B"], 2),
        (&["-u", "no-colon"], 2),
        (&["--data", "@no-such-file"], 26),
        (&["--ca", "no-such-file"], 26),
        (&["--ca", "data"], 26),
        (&["--max-size", "many"], 2),
    ] {
        let url = web.url("/x");
        let output = fetch(folder.path(), &[&[url.as_str(), "-o", "y"], arguments].concat());
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(names(folder.path()), ["data", "who"]);
}

/// A server that answers and hangs up before it has read what is sent to it.
#[test]
fn an_answer_that_comes_before_the_request_is_whole_counts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), bytes(20_000_000)).unwrap();
    let (address, server) = serve_one(|mut stream| {
        read(&mut stream, 1000);
        stream.write_all(&answer("413 Too Large", "Content-Length: 3\r\n", b"big")).unwrap();
    });
    let output = fetch(folder.path(), &[&format!("http://{address}/x"), "--data", "@large", "-o", "x"]);
    assert_code(&output, 22);
    assert!(text(&output.stdout).starts_with("HTTP/1.1 413 Too Large"), "{}", text(&output.stderr));
    server.join().unwrap();
}

#[test]
fn errors_show_their_head_and_save_nothing_unless_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(answer("404 Not Found", "Content-Length: 4\r\n", b"gone"));
    fs::write(folder.path().join("x"), "old").unwrap();
    let output = fetch(folder.path(), &[&web.url("/x"), "-o", "x"]);
    assert_code(&output, 22);
    assert!(text(&output.stdout).starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert!(text(&output.stderr).contains("/x: 404 Not Found; nothing saved"), "{}", text(&output.stderr));
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"old");
    assert_code(&fetch(folder.path(), &[&web.url("/x"), "-o", "x", "--save-errors"]), 22);
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"gone");
}

#[test]
fn an_answer_without_a_body_saves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for status in ["204 No Content", "304 Not Modified"] {
        let web = Web::saying(answer(status, "", b""));
        let output = fetch(folder.path(), &[&web.url("/x")]);
        assert_code(&output, 0);
        assert!(text(&output.stdout).starts_with(&format!("HTTP/1.1 {status}")));
    }
    let web = Web::saying(answer("200 OK", "Content-Length: 1000\r\n", b""));
    let output = fetch(folder.path(), &[&web.url("/x"), "--head"]);
    assert_code(&output, 0);
    assert!(web.requests()[0].starts_with("HEAD /x "), "{:?}", web.requests());
    assert!(names(folder.path()).is_empty());
    // An interim answer is not the answer, and an empty body is a body.
    let web = Web::saying("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let output = fetch(folder.path(), &[&web.url("/x")]);
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"");
}

#[test]
fn redirects_are_followed_and_only_the_last_head_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::start(|request, stream| {
        let path = request.split(' ').nth(1).unwrap();
        let number: u32 = path.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let message = match number {
            0 => ok(b"there"),
            left => answer("302 Found", &format!("Location: a?{}\r\nContent-Length: 3\r\n", left - 1), b"moved"),
        };
        stream.write_all(&message).unwrap();
    });
    let output = fetch(folder.path(), &[&web.url("/start?10"), "-v"]);
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    assert!(text(&output.stderr).contains(&format!("302: on to http://{}/a?0\n", web.address)));
    assert_eq!(fs::read(folder.path().join("start")).unwrap(), b"there", "the name is that of the URL typed");
    let output = fetch(folder.path(), &[&web.url("/more?11"), "-v"]);
    assert_code(&output, 47);
    assert!(text(&output.stderr).contains("more than 10 redirects"), "{}", text(&output.stderr));
    let output = fetch(folder.path(), &[&web.url("/one?1"), "--no-follow"]);
    assert_code(&output, 0);
    assert!(text(&output.stdout).starts_with("HTTP/1.1 302 Found\r\n"));
    assert_eq!(names(folder.path()), ["one", "start"]);
}

#[test]
fn a_redirect_keeps_or_changes_the_method_as_everybody_does() {
    let folder = tempfile::tempdir().unwrap();
    for (status, expected) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
        let web = Web::start(move |request, stream| {
            let message = match request.contains(" /from ") {
                true => answer(&format!("{status} There"), "Location: /to\r\nContent-Length: 0\r\n", b""),
                false => ok(b"x"),
            };
            stream.write_all(&message).unwrap();
        });
        assert_code(&fetch(folder.path(), &[&web.url("/from"), "--data", "body", "-o", "x"]), 0);
        let last = web.requests().pop().unwrap();
        assert!(last.starts_with(&format!("{expected} /to ")), "{status}: {last}");
        assert_eq!(last.ends_with("\r\n\r\nbody"), expected == "POST", "{last}");
        assert_eq!(last.contains("Content-Type"), expected == "POST", "{last}");
    }
}

#[test]
fn results_can_be_read_by_programs_and_times_by_people() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b"hello"));
    let output = fetch(folder.path(), &[&web.url("/x"), "--json"]);
    assert_code(&output, 0);
    let event: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((event["event"].as_str(), event["status"].as_u64()), (Some("fetched"), Some(200)));
    assert_eq!((event["file"].as_str(), event["written"].as_u64()), (Some("x"), Some(5)));
    assert_eq!(event["fields"][0][0].as_str(), Some("Content-Length"));
    assert!(event["seconds"]["total"].as_f64().unwrap() > 0.0);
    let output = fetch(folder.path(), &[&web.url("/x"), "--json"]);
    let event: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((event["event"].as_str(), event["exit"].as_u64()), (Some("failed"), Some(23)));
    let output = fetch(folder.path(), &[&web.url("/y"), "--time"]);
    let rows: Vec<String> = text(&output.stderr).lines().map(str::to_owned).collect();
    let heads: Vec<&str> = rows[1..].iter().map(|row| row.split("  ").next().unwrap()).collect();
    assert_eq!(heads, ["name", "connect", "first byte", "total"], "{rows:?}");
}

#[test]
fn ctrl_c_leaves_nothing_behind_and_says_how_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    for (name, expected) in [("INT", 130), ("TERM", 143)] {
        let (sent, halfway) = channel();
        let (release, released) = channel::<()>();
        let (sent, released) = (Mutex::new(sent), Mutex::new(released));
        let web = Web::start(move |_, stream| {
            stream.write_all(&answer("200 OK", "Content-Length: 10\r\n", b"four")).unwrap();
            sent.lock().unwrap().send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        });
        let mut child = fetch_command(folder.path())
            .arg(web.url("/x"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        halfway.recv_timeout(LONG).unwrap();
        // The head is printed before the body is taken.
        let mut head = [0; 8];
        child.stdout.as_mut().unwrap().read_exact(&mut head).unwrap();
        wait_until_idle(child.id());
        signal(child.id(), name);
        log.wait_for("interrupted; 4 bytes of 10 of the body received, nothing saved");
        assert_eq!(wait(&mut child), expected);
        drop(release);
        assert!(names(folder.path()).is_empty());
    }
}

/// A bar while something comes, for known and unknown sizes; nothing of the peer's is obeyed.
#[test]
fn a_terminal_shows_a_bar_and_a_harmless_head() {
    need("python3");
    let folder = tempfile::tempdir().unwrap();
    for fields in ["Content-Length: 65536\r\n", ""] {
        let (go, went) = channel::<()>();
        let went = Mutex::new(went);
        let web = Web::start(move |_, stream| {
            let fields = format!("X: \u{9b}2J\u{202e}\r\n{fields}");
            stream.write_all(&answer("200 OK", &fields, &[b'x'; 32768])).unwrap();
            let _ = went.lock().unwrap().recv();
            stream.write_all(&[b'x'; 32768]).unwrap();
        });
        let script = "
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], 'fetch', sys.argv[2], '-o', 'x'])
out = b''
told = False
try:
    while True:
        more = os.read(fd, 4096)
        if not more: break
        out += more
        if not told and b'32.00 KiB' in out:
            told = True
            print('half', flush=True)
except OSError: pass
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(out)
sys.exit(os.waitstatus_to_exitcode(status))
";
        let mut child = Command::new("python3")
            .args(["-c", script, BINARY, &web.url("/x")])
            .current_dir(&folder)
            .env("TERM", "xterm")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::default();
        log.follow(child.stdout.take().unwrap());
        log.wait_for("half");
        go.send(()).unwrap();
        assert_eq!(wait(&mut child), 0);
        log.wait_for("saved x, 65536 bytes");
        let shown = log.to_end().join("\n");
        assert!(shown.contains("{0xc29b}2J{0xe280ae}"), "{shown:?}");
        assert_eq!(shown.contains("50%"), !fields.is_empty(), "{shown:?}");
    }
}
