//! `fetch` when things go wrong: nothing but a whole file ever gets the name, and what went wrong is said. Each test names
//! its row of the faults.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use support::web::{Web, answer, bytes, chunked, fetch, gzip, names, ok};
use support::{BINARY, assert_code, in_namespace, need, run_command, text};

/// A fetch that must fail leaves an old file as it was, makes no new one, and nothing beside it.
#[track_caller]
fn assert_nothing_saved(web: &Web, expected: i32, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old"), "old").unwrap();
    for arguments in [&["-o", "old"][..], &["-o", "new"], &[]] {
        let output = fetch(folder.path(), &[&[web.url("/page").as_str()], arguments].concat());
        assert_code(&output, expected);
        assert!(text(&output.stderr).contains(says), "{says}: {}", text(&output.stderr));
        assert_eq!(fs::read(folder.path().join("old")).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["old"]);
    }
}

/// Rows 36 and 37: every kind of body, cut at every tenth.
#[test]
fn a_body_that_is_cut_is_never_saved() {
    let body = bytes(4000);
    let packed = gzip(&body);
    let with_length =
        |fields: &str, body: &[u8]| (format!("{fields}Content-Length: {}\r\n", body.len()), body.to_vec());
    for (fields, body) in [
        with_length("", &body),
        with_length("Content-Encoding: gzip\r\n", &packed),
        ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(&body, 900)),
        ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n".to_owned(), chunked(&packed, 900)),
        // Without a length and chunks only the packing tells.
        ("Content-Encoding: gzip\r\n".to_owned(), packed.clone()),
    ] {
        for tenth in 0..10 {
            let cut = (body.len() * tenth / 10).max(usize::from(fields.ends_with("gzip\r\n")));
            assert_nothing_saved(&Web::saying(answer("200 OK", &fields, &body[..cut])), 18, "the answer ended before");
        }
        // The last chunk is cut off, the last byte is.
        for cut in [body.len() - 5, body.len() - 1] {
            assert_nothing_saved(&Web::saying(answer("200 OK", &fields, &body[..cut])), 18, "the answer ended before");
        }
        let whole = Web::saying(answer("200 OK", &fields, &body));
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&whole.url("/x")]), 0);
    }
}

/// Row 36: the connection ends in the head, before it, or by a reset in the body.
#[test]
fn an_answer_that_ends_in_its_head_or_by_a_reset_is_told() {
    assert_nothing_saved(&Web::saying(""), 18, "ended before it began");
    assert_nothing_saved(&Web::saying("HTTP/1.1 200 OK\r\nContent-"), 18, "before the end of its head");
    for fields in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let (taken, go) = channel::<()>();
        let go = Mutex::new(go);
        drop(taken);
        let web = Web::start(move |_, stream| {
            stream.write_all(&answer("200 OK", fields, b"5\r\nhello\r\n")).unwrap();
            let _ = go.lock().unwrap().recv();
            wait_until_taken(stream);
            let linger = rustix::net::sockopt::set_socket_linger(&*stream, Some(std::time::Duration::ZERO));
            linger.unwrap();
            // Closing with linger zero is a reset; the server's own end of it is a copy that closes with it.
            *stream = TcpStream::connect(stream.local_addr().unwrap()).unwrap();
        });
        assert_nothing_saved(&web, 56, "Connection reset by peer");
    }
}

/// Waits until the other end has acknowledged what was sent.
fn wait_until_taken(stream: &TcpStream) {
    use std::os::fd::AsRawFd;
    let _ = stream.as_raw_fd();
    while unsent(stream) > 0 {
        std::thread::yield_now();
    }
}

/// Bytes in the send queue (SIOCOUTQ, tcp(7)).
fn unsent(stream: &TcpStream) -> u64 {
    let local = stream.local_addr().unwrap().port();
    let peer = stream.peer_addr().unwrap().port();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let ports = [format!(":{local:04X} "), format!(":{peer:04X} ")];
    let line = table.lines().find(|line| ports.iter().all(|port| line.contains(port.as_str())));
    let queue = line.and_then(|line| line.split_whitespace().nth(4)).and_then(|queues| queues.split(':').next());
    queue.map_or(0, |queue| u64::from_str_radix(queue, 16).unwrap())
}

/// Row 38: SIGKILL at every system call of a small fetch.
#[test]
fn a_killed_fetch_leaves_the_old_file_or_the_whole_new_one() {
    need("strace");
    // More than comes with the head, so that all ways of taking a body are gone.
    let body = bytes(100_000);
    let web = Web::saying(ok(&body));
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("x");
    let trace = |inject: &str, existing: bool| -> Output {
        let _ = fs::remove_file(&target);
        if existing {
            fs::write(&target, "old").unwrap();
        }
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-o",
            "/dev/stderr",
            "-e",
            inject,
            BINARY,
            "fetch",
            "-q",
            &web.url("/x"),
            "-o",
            "x",
        ]);
        run_command(command.current_dir(&folder), b"")
    };
    let whole = trace("trace=all", true);
    assert_code(&whole, 0);
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for line in text(&whole.stderr).lines().filter(|line| line.contains('(') && !line.contains("resumed>")) {
        let name = line.split('(').next().unwrap().split_whitespace().next_back().unwrap();
        *calls.entry(name.to_owned()).or_default() += 1;
    }
    for needed in ["connect", "splice", "fsync", "linkat", "renameat"] {
        assert!(calls.contains_key(needed), "no {needed} in {calls:?}");
    }
    let mut new = 0;
    // Before the file is begun nothing can happen to it: of the calls that start a process, one each is enough.
    let starting = ["openat", "newfstatat", "mmap", "mprotect", "brk", "pread64", "rt_sigaction", "access", "munmap"];
    for (name, count) in &calls {
        let count = if starting.contains(&name.as_str()) { 1 } else { *count };
        for at in 1..=count {
            for existing in [false, true] {
                if existing && at % 2 == 0 && count > 8 {
                    continue;
                }
                trace(&format!("inject={name}:signal=KILL:when={at}"), existing);
                match fs::read(&target) {
                    Ok(found) if found == body => new += 1,
                    Ok(found) => assert!(existing && found == b"old", "{name} {at}: {} bytes", found.len()),
                    Err(_) => assert!(!existing, "{name} {at}: the old file is gone"),
                }
            }
        }
    }
    assert!(new > 0, "no kill came after the file had its name");
}

/// Row 40: a full disk, a failing one, one that cannot be written.
#[test]
fn a_disk_that_takes_no_more_is_told_and_the_old_file_stays() {
    need("strace");
    let output = in_namespace(
        r#"folder=$(mktemp -d); mount -t tmpfs -o size=64k tmpfs $folder; cd $folder; printf old >x
        python3 - "$1" <<'EOF'
import socket, subprocess, sys, threading, os
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    while True:
        peer, _ = listener.accept()
        peer.recv(4096)
        try:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(200000))
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096): pass
        except OSError: pass
threading.Thread(target=serve, daemon=True).start()
url = "http://127.0.0.1:%d/" % listener.getsockname()[1]
for target in ["x", "new"]:
    done = subprocess.run([sys.argv[1], "fetch", url, "-o", target], capture_output=True, text=True)
    print(target, done.returncode, done.stderr.strip(), sorted(os.listdir(".")), open("x").read())
EOF
        "#,
    );
    let stdout = text(&output.stdout);
    for target in ["x", "new"] {
        assert!(stdout.contains(&format!("{target} 23 ")), "{stdout}{}", text(&output.stderr));
    }
    assert_eq!(stdout.matches("cannot write the body: No space left on device ['x'] old").count(), 2, "{stdout}");
    let web = Web::saying(ok(&bytes(5000)));
    let large = Web::saying(ok(&bytes(500_000)));
    let chunks = Web::saying(answer("200 OK", "Transfer-Encoding: chunked\r\n", &chunked(&bytes(5000), 1000)));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "old").unwrap();
    for (url, inject, says) in [
        (large.url("/"), "splice:error=ENOSPC:when=2", "cannot write the body: No space left on device"),
        (web.url("/"), "fsync:error=EIO:when=1", "cannot store x: Input/output error"),
        (web.url("/"), "fsync:error=EDQUOT:when=1", "cannot store x: Disk quota exceeded"),
        (web.url("/"), "renameat:error=EROFS:when=1", "cannot give x its name: Read-only file system"),
        (chunks.url("/"), "write:error=EDQUOT:when=2", "Disk quota exceeded"),
    ] {
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("inject={inject}"),
            BINARY,
            "fetch",
            &url,
            "-o",
            "x",
        ]);
        let output = run_command(command.current_dir(&folder), b"");
        assert_code(&output, 23);
        assert!(text(&output.stderr).contains(says), "{inject}: {}", text(&output.stderr));
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"old", "{inject}");
        assert_eq!(names(folder.path()), ["x"], "{inject}");
    }
}

/// Row 24: the head cannot be shown, or the body not be given to standard output.
#[test]
fn a_standard_output_that_takes_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(&bytes(200_000)));
    for (redirect, arguments) in [(">/dev/full", "-o x"), (">&-", "-o x"), (">/dev/full", "-o -"), (">&-", "-o -")] {
        let script = format!("\"$1\" fetch \"$2\" {arguments} {redirect}");
        let output =
            Command::new("bash").args(["-c", &script, "bash", BINARY, &web.url("/")]).current_dir(&folder).output();
        let output = output.unwrap();
        assert_code(&output, 23);
        assert!(text(&output.stderr).contains("cannot write"), "{script}: {}", text(&output.stderr));
        assert!(names(folder.path()).is_empty());
    }
    // A pipe whose reader is gone: one that is only about to go could hold all of it.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output =
        Command::new(BINARY).args(["fetch", &web.url("/"), "-o", "-"]).stdout(writer).stderr(Stdio::piped()).output();
    let output = output.unwrap();
    assert_code(&output, 23);
    assert!(text(&output.stderr).contains("cannot write"), "{}", text(&output.stderr));
}

/// Row 42: the server has no say in the name.
#[test]
fn no_server_chooses_the_name_of_a_file() {
    for evil in ["../evil", "/tmp/evil", ".bashrc", "-rf", "a\tb", "CON", &"x".repeat(300)] {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let disposition = format!("Content-Disposition: attachment; filename=\"{evil}\"\r\nContent-Length: 1\r\n");
        let location = format!("Location: /x/{evil}\r\nContent-Length: 0\r\n");
        let web = Web::start(move |request, stream| {
            let message = match request.starts_with("GET /start ") {
                true => answer("302 Found", &location, b""),
                false => answer("200 OK", &disposition, b"x"),
            };
            stream.write_all(&message).unwrap();
        });
        assert_code(&fetch(&inner, &[&web.url("/start")]), 0);
        assert_eq!((names(&inner), names(folder.path())), (vec!["start".to_owned()], vec!["inner".to_owned()]));
    }
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b"x"));
    for (path, name) in
        [("/..%2f..%2fx", "_._.._x"), ("/%2e%2e", "index.html"), ("/.bashrc", "_bashrc"), ("/a%1b%5b2J", "a_[2J")]
    {
        assert_code(&fetch(folder.path(), &[&web.url(path)]), 0);
        assert_eq!(names(folder.path()), [name], "{path}");
        fs::remove_file(folder.path().join(name)).unwrap();
    }
}

/// Row 43: credentials stay with the scheme, host and port that they were given for.
#[test]
fn credentials_go_to_no_other_origin() {
    let folder = tempfile::tempdir().unwrap();
    let other = Web::saying(ok(b"x"));
    let (port, here) = (other.address.port(), Mutex::new(None::<u16>));
    let web = Web::start(move |request, stream| {
        let own = stream.local_addr().unwrap().port();
        here.lock().unwrap().get_or_insert(own);
        let to = match request.split(' ').nth(1).unwrap() {
            "/port" => format!("http://127.0.0.1:{port}/"),
            "/host" => format!("http://localhost:{own}/end"),
            "/with" => format!("http://evil:word@127.0.0.1:{port}/"),
            "/same" => "/end".to_owned(),
            "/back" => format!("http://localhost:{own}/again"),
            "/again" => format!("http://127.0.0.1:{own}/end"),
            _ => return stream.write_all(&ok(b"x")).unwrap(),
        };
        stream.write_all(&answer("302 Found", &format!("Location: {to}\r\nContent-Length: 0\r\n"), b"")).unwrap();
    });
    let secrets = ["authorization", "cookie", "x-api-key"];
    let ask = |path: &str| {
        let url = format!("http://me:secret@{}{path}", web.address);
        let own = ["-H", "Cookie: a", "-H", "X-Api-Key: b", "-H", "Accept-Language: de"];
        let output = fetch(folder.path(), &[&[url.as_str(), "-o", "x", "-v"], &own[..]].concat());
        assert_code(&output, 0);
        assert!(!text(&output.stderr).contains("secret"), "{}", text(&output.stderr));
        let last = if ["/port", "/with"].contains(&path) { other.requests() } else { web.requests() }.pop().unwrap();
        let seen = last.to_ascii_lowercase();
        assert!(seen.contains("accept-language: de"), "{seen}");
        secrets.map(|secret| seen.contains(secret))
    };
    assert_eq!(ask("/same"), [true; 3]);
    for path in ["/port", "/host", "/with", "/back"] {
        assert_eq!(ask(path), [false; 3], "{path}");
    }
    // -u takes the place of what the URL says, and is dropped in the same way.
    let output = fetch(folder.path(), &[&web.url("/port"), "-u", "you:too", "-o", "x", "-v"]);
    assert!(text(&output.stderr).contains(", without authorization"), "{}", text(&output.stderr));
    assert!(!other.requests().pop().unwrap().to_ascii_lowercase().contains("authorization"));
}

/// Row 44: redirects to where we do not go, and in circles.
#[test]
fn redirects_lead_nowhere_but_to_http() {
    for location in
        ["file:///etc/passwd", "unix:/run/x", "gopher://x/", "data:,x", "http://", "http://[::1/", "ftp://x/"]
    {
        let web = Web::saying(answer("302 Found", &format!("Location: {location}\r\nContent-Length: 0\r\n"), b""));
        assert_nothing_saved(&web, 47, "the server redirects to where we do not go");
    }
    let web = Web::saying(answer("302 Found", "Location: /round\r\nContent-Length: 0\r\n", b""));
    assert_nothing_saved(&web, 47, "more than 10 redirects");
}

/// Row 45: the bound counts what is written, however it is packed.
#[test]
fn a_bomb_is_stopped_at_the_bound() {
    let bomb = gzip(&gzip(&vec![0; 20_000_000]));
    let web = Web::saying(answer(
        "200 OK",
        &format!("Content-Encoding: gzip, gzip\r\nContent-Length: {}\r\n", bomb.len()),
        &bomb,
    ));
    let plain = Web::saying(ok(&bytes(2_000_000)));
    let chunks = Web::saying(answer("200 OK", "Transfer-Encoding: chunked\r\n", &chunked(&bytes(2_000_000), 9000)));
    let many = "Content-Encoding: gzip,gzip,gzip,gzip,gzip,gzip\r\nContent-Length: 1\r\n";
    let folder = tempfile::tempdir().unwrap();
    for web in [&web, &plain, &chunks] {
        let output = fetch(folder.path(), &[&web.url("/x"), "--max-size", "1MB".trim_end_matches('B')]);
        assert_code(&output, 23);
        assert!(text(&output.stderr).contains("larger than 1048576 bytes (--max-size)"), "{}", text(&output.stderr));
        assert!(names(folder.path()).is_empty());
    }
    assert_code(&fetch(folder.path(), &[&plain.url("/x"), "--max-size", "2000000"]), 0);
    assert_nothing_saved(&Web::saying(answer("200 OK", many, b"x")), 56, "more than 5 content codings");
    let folder = tempfile::tempdir().unwrap();
    let corrupt = Web::saying(answer("200 OK", "Content-Encoding: gzip\r\nContent-Length: 5\r\n", b"hello"));
    let output = fetch(folder.path(), &[&corrupt.url("/x")]);
    assert!(text(&output.stderr).contains("gzip"), "{}", text(&output.stderr));
    assert!(!output.status.success() && names(folder.path()).is_empty());
}

/// Row 46: a head without end, interim answers without end, a flood of fields.
#[test]
fn an_endless_head_is_stopped() {
    for (first, piece) in [
        ("HTTP/1.1 200 OK\r\n", "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"),
        ("HTTP/1.1 200 OK\r\nX: ", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"),
    ] {
        let web = Web::start(move |_, stream| {
            stream.write_all(first.as_bytes()).unwrap();
            while stream.write_all(piece.as_bytes()).is_ok() {}
        });
        assert_nothing_saved(&web, 56, "the answer's head is longer than 256 KiB");
    }
    let many = "X: y\r\n".repeat(10_000);
    assert_nothing_saved(&Web::saying(answer("200 OK", &many, b"")), 56, "more than 4096 header fields");
    assert_nothing_saved(&Web::saying("HTTP/1.1 101 Switching Protocols\r\n\r\n"), 56, "changes the protocol");
}

/// Row 47: answers that two readers would take differently.
#[test]
fn an_answer_whose_length_is_in_doubt_is_refused() {
    for (fields, says) in [
        ("Content-Length: 5\r\nContent-Length: 3\r\n", "two different Content-Lengths"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "both a Content-Length and a Transfer-Encoding"),
        ("Content-Length: 18446744073709551616\r\n", "which is no length"),
        ("Content-Length: -5\r\n", "which is no length"),
        ("Transfer-Encoding: gzip\r\n", "only `chunked` is known"),
    ] {
        assert_nothing_saved(&Web::saying(answer("200 OK", fields, b"hello")), 56, says);
    }
    assert_nothing_saved(&Web::saying("<h1>hello</h1>\r\n\r\n"), 56, "it does not begin with `HTTP/`");
    assert_nothing_saved(&Web::saying("220 mail.example ESMTP\r\n"), 56, "it does not begin with `HTTP/`");
    let chunk = |body: &'static str| Web::saying(answer("200 OK", "Transfer-Encoding: chunked\r\n", body.as_bytes()));
    for body in
        ["zz\r\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "fffffffffffffffff\r\nx", "-1\r\nx\r\n0\r\n\r\n"]
    {
        assert_nothing_saved(&chunk(body), 56, "the answer breaks the protocol");
    }
}

/// Row 48: more than was promised.
#[test]
fn what_comes_behind_the_end_is_not_written_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let packed = gzip(b"hello");
    let long = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", packed.len());
    for (message, name) in [
        (answer("200 OK", "Content-Length: 5\r\n", b"hello, and more"), "plain"),
        (answer("200 OK", &long, &[&packed, b", and more".as_slice()].concat()), "packed"),
    ] {
        let output = fetch(folder.path(), &[&Web::saying(message).url(&format!("/{name}"))]);
        assert_code(&output, 0);
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"hello");
        assert!(text(&output.stderr).contains("10 bytes came behind the promised end"), "{}", text(&output.stderr));
    }
}

/// Of many files the folder is synced once, behind the last; if that fails, nothing says that all is well.
#[test]
fn the_folder_of_many_files_is_synced_once() {
    need("strace");
    let web = Web::saying(ok(b"whole"));
    let urls: Vec<String> = (0..20).map(|number| web.url(&format!("/{number}"))).collect();
    // Calls are counted for each thread.
    let traced = |inject: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-y",
            "-o",
            "trace",
            "-e",
            "trace=fsync",
            "-e",
            inject,
            BINARY,
            "fetch",
            "-q",
            "--jobs",
            "1",
        ]);
        let output = run_command(command.args(&urls).current_dir(&folder), b"");
        let own = format!("<{}>", folder.path().canonicalize().unwrap().display());
        let trace = fs::read_to_string(folder.path().join("trace")).unwrap();
        for number in 0..urls.len() {
            assert_eq!(fs::read(folder.path().join(number.to_string())).unwrap(), b"whole");
        }
        (output, trace.matches("fsync(").count(), trace.matches(&own).count())
    };
    let (output, all, of_folder) = traced("inject=fsync:retval=0:when=1000");
    assert_code(&output, 0);
    assert_eq!((all, of_folder), (urls.len() + 1, 1));
    let (output, ..) = traced(&format!("inject=fsync:error=EIO:when={}", urls.len() + 1));
    assert_code(&output, 23);
    let said = text(&output.stderr);
    assert!(said.contains("is written, but a power failure may lose it"), "{said}");
}
