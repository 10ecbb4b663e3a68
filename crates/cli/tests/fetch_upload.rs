//! What `fetch` sends while it comes (`-T -`): its end is not known before, and it does not come twice.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use support::peers::{Authority, nginx};
use support::web::{Web, answer, bytes, fetch, fetch_command, ok};
use support::{Log, assert_code, need, resident, run_command, signal, text, until, wait};

/// `fetch -T -` whose standard input stays open.
struct Upload {
    child: Child,
    stdin: Option<ChildStdin>,
    log: Log,
}

impl Upload {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = fetch_command(folder);
        command.args(["-T", "-", "-o", "x"]).args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Log::default();
        log.follow(child.stderr.take().unwrap());
        Self { stdin: child.stdin.take(), child, log }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Its code and what it said, while standard input is as open as it was.
    fn end(&mut self) -> (i32, String) {
        (wait(&mut self.child), self.log.to_end().join("\n"))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything up to an end that the test knows.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut came = Vec::new();
    let mut piece = [0; 65536];
    while !came.ends_with(end) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(length) => came.extend_from_slice(&piece[..length]),
        }
    }
    came
}

/// One that sees the head, and does the rest by itself.
fn at_head(serve: impl Fn(usize, &str, &mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/up", listener.local_addr().unwrap());
    // It ends with the process.
    std::thread::spawn(move || {
        for number in 0.. {
            let Ok((mut stream, _)) = listener.accept() else { return };
            stream.set_read_timeout(Some(support::LONG)).unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
                head.push(byte[0]);
            }
            serve(number, &text(&head), &mut stream);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            while stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {}
        }
    });
    url
}

fn say(stream: &mut TcpStream, message: &[u8]) {
    let _ = stream.write_all(message);
}

fn body_of(request: &str) -> String {
    let mut rest = request.split_once("\r\n\r\n").unwrap().1;
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
}

#[test]
fn standard_input_is_put_in_chunks_as_by_curl() {
    need("curl");
    let web = Web::saying(ok(b"x"));
    let folder = tempfile::tempdir().unwrap();
    let input = b"line\n".repeat(20_000);
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "--noproxy", "*", "-T", "-", &web.url("/up")]);
    assert!(run_command(&mut curl, &input).status.success());
    for more in [&[][..], &["-X", "POST"], &["-H", "Expect:"], &["-H", "Content-Type: text/csv"]] {
        let mut command = fetch_command(folder.path());
        command.args([&web.url("/up"), "-T", "-", "-o", "x"]).args(more);
        assert_code(&run_command(&mut command, &input), 0);
    }
    let requests = web.requests();
    let fields = |request: &String| {
        let head = request.split_once("\r\n\r\n").unwrap().0.to_ascii_lowercase();
        let mut lines: Vec<String> = head.lines().skip(1).map(str::to_owned).collect();
        lines.retain(|line| !["user-agent", "accept-encoding"].iter().any(|name| line.starts_with(name)));
        lines.sort();
        lines
    };
    assert_eq!(fields(&requests[0]), fields(&requests[1]), "curl and fetch");
    assert!(requests[1].starts_with("PUT /up ") && requests[2].starts_with("POST /up "), "{requests:?}");
    assert!(!fields(&requests[3]).iter().any(|line| line.starts_with("expect")));
    assert!(fields(&requests[4]).contains(&"content-type: text/csv".to_owned()));
    for request in &requests {
        assert_eq!(body_of(request).as_bytes(), input);
    }
    // The same for nothing at all.
    let mut command = fetch_command(folder.path());
    command.args([&web.url("/up"), "-T", "-", "-o", "x"]);
    assert_code(&run_command(&mut command, b""), 0);
    assert_eq!(body_of(web.requests().last().unwrap()), "");
}

#[test]
fn a_file_is_put_with_its_length_under_its_name_and_can_be_sent_again() {
    let web = Web::start(|request, stream| {
        let message = if request.contains("/moved") {
            answer("308 Permanent Redirect", "Location: /there\r\nContent-Length: 0\r\n", b"")
        } else {
            ok(b"x")
        };
        let _ = stream.write_all(&message);
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.txt");
    for length in [5, 200_000] {
        let content = "y".repeat(length);
        fs::write(&path, format!("first line\n{content}")).unwrap();
        assert_code(&fetch(folder.path(), &[&web.url("/in/?q=1"), "-T", "a b.txt", "-o", "x"]), 0);
        let request = web.requests().pop().unwrap();
        assert!(request.starts_with("PUT /in/a%20b.txt?q=1 HTTP/1.1\r\n"), "{}", &request[..60]);
        assert!(request.contains(&format!("Content-Length: {}\r\n", length + 11)) && request.ends_with(&content));
        // Standard input is a file too, from where it stands.
        let mut input = File::open(&path).unwrap();
        input.read_exact(&mut [0; 11]).unwrap();
        let mut command = fetch_command(folder.path());
        command.args([&web.url("/moved"), "-T", "-", "-o", "x"]).stdin(input);
        assert_code(&command.output().unwrap(), 0);
        let request = web.requests().pop().unwrap();
        assert!(request.starts_with("PUT /there ") && request.ends_with(&format!("\r\n\r\n{content}")));
    }
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-T", "missing", "-o", "x"]), 26);
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-T", ".", "-o", "x"]), 26);
    assert_code(&fetch(folder.path(), &[&web.url("/a"), &web.url("/b"), "-T", "-"]), 2);
}

#[test]
fn a_server_that_does_not_want_it_says_so_before_any_of_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    for status in ["401 Unauthorized", "413 Content Too Large", "403 Forbidden"] {
        let url = at_head(move |_, head, stream| {
            assert!(head.to_ascii_lowercase().contains("expect: 100-continue\r\n"), "{head}");
            say(stream, &answer(status, "Content-Length: 2\r\n", b"no"));
            assert_eq!(read_until(stream, b"end"), b"", "nothing is sent");
        });
        let mut upload = Upload::start(folder.path(), &[&url]);
        let (code, said) = upload.end();
        assert_eq!(code, 22, "{said}");
        assert!(said.contains(status), "{said}");
    }
    // It leads elsewhere, or does not know of expectations: nothing was lost.
    let url = at_head(|number, head, stream| match number {
        0 => say(stream, &answer("307 x", "Location: /there\r\nContent-Length: 0\r\n", b"")),
        1 => say(stream, &answer("417 Expectation Failed", "Content-Length: 0\r\n", b"")),
        _ => {
            assert!(head.starts_with("PUT /there ") && !head.to_ascii_lowercase().contains("expect"), "{head}");
            assert_eq!(read_until(stream, b"0\r\n\r\n"), b"4\r\nbody\r\n0\r\n\r\n");
            say(stream, &ok(b"stored"));
        }
    });
    let mut upload = Upload::start(folder.path(), &[&url]);
    upload.say(b"body");
    upload.stdin = None;
    assert_eq!(upload.end(), (0, "saved x, 6 bytes".to_owned()));
    // It says that it goes on.
    let url = at_head(|_, _, stream| {
        say(stream, b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(read_until(stream, b"0\r\n\r\n"), b"4\r\nbody\r\n0\r\n\r\n");
        say(stream, &ok(b"stored"));
    });
    let mut upload = Upload::start(folder.path(), &[&url]);
    upload.say(b"body");
    upload.stdin = None;
    assert_eq!(upload.end().0, 0);
}

#[test]
fn what_was_sent_is_not_sent_a_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let after_body = |message: Vec<u8>| {
        at_head(move |_, _, stream| {
            read_until(stream, b"0\r\n\r\n");
            say(stream, &message);
        })
    };
    for (message, more, expected) in [
        (
            answer("307 Temporary Redirect", "Location: /there\r\n", b""),
            &[][..],
            "redirects with 307 Temporary Redirect",
        ),
        (answer("308 Permanent Redirect", "Location: http://localhost:1/\r\n", b""), &[], "redirects with 308"),
        (
            answer("401 Unauthorized", "WWW-Authenticate: Digest realm=r, nonce=n\r\nContent-Length: 0\r\n", b""),
            &["--user", "a:b"],
            "answers 401 Unauthorized",
        ),
        (answer("503 Service Unavailable", "Content-Length: 0\r\n", b""), &["--retry", "3"], "503 Service Unavailable"),
        (vec![], &["--retry", "3"], "the answer ended before it began"),
    ] {
        let url = after_body(message);
        let mut upload = Upload::start(folder.path(), &[&[url.as_str(), "-H", "Expect:"], more].concat());
        upload.say(b"body");
        upload.stdin = None;
        let (code, said) = upload.end();
        assert!([26, 22, 18].contains(&code), "{code} {said}");
        assert!(said.contains(expected) && said.contains("standard input cannot be read a second time"), "{said}");
    }
    // 303 asks for another thing.
    let web = Web::start(|request, stream| {
        let message = if request.starts_with("GET /there ") {
            ok(b"done")
        } else {
            answer("303 See Other", "Location: /there\r\nContent-Length: 0\r\n", b"")
        };
        let _ = stream.write_all(&message);
    });
    let mut upload = Upload::start(folder.path(), &[&web.url("/"), "-X", "POST"]);
    upload.say(b"body");
    upload.stdin = None;
    assert_eq!(upload.end().0, 0);
    // No server was there: it was not touched.
    let closed = support::Closed::tcp();
    let port = closed.address.port();
    let mut upload = Upload::start(folder.path(), &[&format!("127.0.0.1:{port}"), "--retry", "50"]);
    upload.log.wait_for("again in");
    drop(closed);
    let web = Web::start_at(&format!("127.0.0.1:{port}"), |_, stream| drop(stream.write_all(&ok(b"x"))));
    upload.say(b"body");
    upload.stdin = None;
    assert_eq!(upload.end().0, 0);
    assert_eq!(body_of(&web.requests()[0]), "body");
}

#[test]
fn an_answer_that_comes_early_ends_it_while_input_is_open() {
    let folder = tempfile::tempdir().unwrap();
    for (message, expected) in [
        (answer("413 Content Too Large", "Content-Length: 3\r\n", b"no!"), 22),
        (answer("413 Content Too Large", "Connection: close\r\n", b"no!"), 22),
        // The answer is kept, and what was not sent is said.
        (answer("200 OK", "Content-Length: 3\r\n", b"yes"), 55),
        (answer("200 OK", "Transfer-Encoding: chunked\r\n", b"3\r\nyes\r\n0\r\n\r\n"), 55),
        (answer("200 OK", "Connection: close\r\n", b"yes"), 55),
        (answer("204 No Content", "", b""), 55),
    ] {
        let url = at_head(move |_, _, stream| {
            read_until(stream, b"5\r\nfirst\r\n");
            say(stream, &message);
        });
        let mut upload = Upload::start(folder.path(), &[&url, "-H", "Expect:"]);
        upload.say(b"first");
        let (code, said) = upload.end();
        assert_eq!(code, expected, "{said}");
        if code == 55 {
            assert!(
                said.contains("before all of the upload was sent") && said.contains("; 5 bytes of the upload"),
                "{said}"
            );
        }
    }
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"yes");
    // A connection of which the half of a request is left serves for nothing else.
    let url = at_head(|number, head, stream| match number {
        0 => {
            read_until(stream, b"5\r\nfirst\r\n");
            say(stream, &answer("303 See Other", "Location: /there\r\nContent-Length: 0\r\n", b""));
            assert!(!text(&read_until(stream, b"\r\n\r\n")).contains("GET"), "it is asked on the same connection");
        }
        _ => {
            assert!(head.starts_with("GET /there "), "{head}");
            say(stream, &ok(b"done"));
        }
    });
    let mut upload = Upload::start(folder.path(), &[&url, "-H", "Expect:", "-X", "POST"]);
    upload.say(b"first");
    assert_eq!(upload.end().0, 0);
}

/// That all went well may be said before all was heard: the rest is sent all the same, as by curl.
#[test]
fn an_upload_goes_on_behind_an_answer_that_comes_early() {
    need("curl");
    let folder = tempfile::tempdir().unwrap();
    let content = bytes(3_000_000);
    fs::write(folder.path().join("file"), &content).unwrap();
    for message in [
        answer("200 OK", "Content-Length: 3\r\n", b"yes"),
        answer("200 OK", "Connection: close\r\nContent-Length: 3\r\n", b"yes"),
        answer("200 OK", "Transfer-Encoding: chunked\r\n", b"3\r\nyes\r\n0\r\n\r\n"),
        answer("201 Created", "Content-Length: 0\r\n", b""),
        answer("204 No Content", "", b""),
    ] {
        let (told, heard) = std::sync::mpsc::channel();
        let has_length = text(&message).contains("Content-Length: 3\r\n\r\n") && !text(&message).contains("close");
        let url = at_head(move |_, _, stream| {
            say(stream, &message);
            let mut came = vec![0; 3_000_000];
            told.send(stream.read_exact(&mut came).map(|()| came)).unwrap();
        });
        assert_code(&fetch(folder.path(), &[&url, "-T", "file", "-o", "x"]), 0);
        assert!(heard.recv().unwrap().unwrap() == content);
        // In the other cases curl 7.88 may leave bytes behind, and says nothing.
        if !has_length {
            continue;
        }
        let mut curl = std::process::Command::new("curl");
        curl.args(["-sS", "--noproxy", "*", "-H", "Expect:", "-T"]).arg(folder.path().join("file")).arg(&url);
        assert_code(&run_command(&mut curl, b""), 0);
        assert!(heard.recv().unwrap().unwrap() == content);
    }
    // The same for what comes from a pipe, however late.
    let (answered, has_answered) = std::sync::mpsc::channel();
    let url = at_head(move |_, _, stream| {
        say(stream, &answer("200 OK", "Content-Length: 3\r\n", b"yes"));
        answered.send(()).unwrap();
        assert_eq!(read_until(stream, b"0\r\n\r\n"), b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n");
    });
    let mut upload = Upload::start(folder.path(), &[&url, "-H", "Expect:"]);
    upload.say(b"first");
    has_answered.recv().unwrap();
    upload.say(b"second");
    upload.stdin = None;
    assert_eq!(upload.end().0, 0);
}

/// However it breaks, how far it came is said.
#[test]
fn an_upload_that_breaks_says_how_much_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join("file")).unwrap().set_len(100_000_000).unwrap();
    let reset = |stream: &mut TcpStream| {
        read_exactly(stream, 100_000);
        rustix::net::sockopt::set_socket_linger(&*stream, Some(std::time::Duration::ZERO)).unwrap();
    };
    // Unread bytes at the close are a reset.
    let resetting = broken_by(move |stream| reset(stream));
    let early = broken_by(move |stream| {
        say(stream, &answer("200 OK", "Content-Length: 3\r\n", b"yes"));
        reset(stream);
    });
    let deaf = broken_by(|stream| {
        let _ = stream.read(&mut []);
        std::thread::park();
    });
    for (url, more, expected) in [
        (&resetting, &[][..], 56),
        (&early, &[], 55),
        (&deaf, &["--idle-timeout", "500ms"], 28),
        (&deaf, &["--timeout", "500ms"], 28),
    ] {
        let output = fetch(folder.path(), &[&[url.as_str(), "-T", "file", "-o", "x"], more].concat());
        assert_code(&output, expected);
        let said = text(&output.stderr);
        let sent = said.split(" of 100000000 bytes of the upload were sent").next().unwrap();
        let sent: u64 = sent.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{said}"));
        assert!((100_000..100_000_000).contains(&sent), "{said}");
    }
    // A user who interrupts it is told the same.
    let mut command = fetch_command(folder.path());
    command.args([&deaf, "-T", "-", "-o", "x", "-H", "Expect:"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let log = Log::default();
    log.follow(child.stderr.take().unwrap());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&[b'x'; 100_000]).unwrap();
    until("it is read", || rustix::io::ioctl_fionread(&stdin).is_ok_and(|unread| unread == 0));
    signal(child.id(), "INT");
    assert_eq!(wait(&mut child), 130);
    assert!(log.to_end().join("\n").contains("interrupted; "), "{:?}", log.all());
    assert!(log.all().join("\n").contains(" bytes of the upload sent, 0 bytes"), "{:?}", log.all());
}

/// A server whose every connection is served like this once its head has come, and then closed.
fn broken_by(serve: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/up", listener.local_addr().unwrap());
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let serve = std::sync::Arc::clone(&serve);
            std::thread::spawn(move || {
                let mut byte = [0];
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
                    head.push(byte[0]);
                }
                serve(&mut stream);
            });
        }
    });
    url
}

fn read_exactly(stream: &mut TcpStream, length: usize) {
    stream.read_exact(&mut vec![0; length]).unwrap();
}

#[test]
fn input_that_breaks_ends_it_and_the_server_sees_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, end) = std::sync::mpsc::channel();
    let url = at_head(move |_, _, stream| ended.send(read_until(stream, b"0\r\n\r\n")).unwrap());
    // A socket that is reset in the middle is standard input.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let input = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut source, _) = listener.accept().unwrap();
    let mut command = fetch_command(folder.path());
    command.args([&url, "-T", "-", "-o", "x", "-H", "Expect:"]).stdin(OwnedFd::from(input)).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(command);
    source.write_all(b"first").unwrap();
    rustix::net::sockopt::set_socket_linger(&source, Some(std::time::Duration::ZERO)).unwrap();
    drop(source);
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 26);
    assert!(text(&output.stderr).contains("cannot read standard input: Connection reset"), "{}", text(&output.stderr));
    assert!(!end.recv().unwrap().ends_with(b"0\r\n\r\n"));
    let mut command = fetch_command(folder.path());
    command.args([&url, "-T", "-", "-o", "x"]).stdin(File::open("/").unwrap());
    let output = command.output().unwrap();
    assert_code(&output, 26);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec \"$0\" fetch -T - \"$1\" -o x <&-", support::BINARY, &url]).current_dir(folder.path());
    let closed = command.output().unwrap();
    assert_code(&closed, 26);
    assert!(text(&closed.stderr).contains("cannot read standard input: it is closed"), "{}", text(&closed.stderr));
    assert!(text(&output.stderr).contains("cannot read standard input"), "{}", text(&output.stderr));
}

#[test]
fn a_server_that_takes_nothing_makes_input_wait_and_memory_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let (seen, see) = std::sync::mpsc::channel();
    let url = at_head(move |_, _, stream| {
        seen.send(()).unwrap();
        let _ = stream.peek(&mut [0]);
        std::thread::park();
    });
    let mut upload = Upload::start(folder.path(), &[&url, "-H", "Expect:"]);
    see.recv().unwrap();
    // Everything that fits anywhere.
    let stdin = upload.stdin.take().unwrap();
    rustix::io::ioctl_fionbio(&stdin, true).unwrap();
    let piece = vec![b'x'; 65536];
    let mut given = 0_u64;
    let mut quiet = 0;
    until("the pipe is full", || {
        match rustix::io::write(&stdin, &piece) {
            Ok(length) => (given, quiet) = (given + length as u64, 0),
            Err(_) => quiet += 1,
        }
        quiet > 200
    });
    assert!(given < 64 << 20, "{given} bytes went somewhere");
    assert!(resident(upload.child.id()) < 16 * 1024, "{} KiB", resident(upload.child.id()));
    signal(upload.child.id(), "INT");
    let (code, said) = upload.end();
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("interrupted"), "{said}");
}

#[test]
fn over_http_2_it_goes_as_the_window_opens_and_a_refusal_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("www")).unwrap();
    Authority::new(here).sign(here, "server", &["localhost"], (2020, 2120));
    let server = "listen unix:HERE/tls ssl http2; ssl_certificate HERE/server.pem; ssl_certificate_key HERE/server.key;\n\
        client_max_body_size 100m; location / { dav_methods PUT; }\n\
        location /small { client_max_body_size 1k; dav_methods PUT; }";
    let _peer = nginx(here, &server.replace("HERE", &here.display().to_string()));
    let socket = here.join("tls").display().to_string();
    let way = ["--ca", "ca.pem", "--unix", &socket];
    let input = bytes(20 << 20);
    for version in [&[][..], &["--http1.1"]] {
        let mut command = fetch_command(here);
        command.args(["https://localhost/stored", "-T", "-", "-o", "x"]).args(way).args(version);
        let output = run_command(&mut command, &input);
        assert_code(&output, 0);
        let expected = if version.is_empty() { "HTTP/2 20" } else { "HTTP/1.1 20" };
        assert!(text(&output.stdout).starts_with(expected), "{}", text(&output.stdout));
        assert!(fs::read(here.join("www/stored")).unwrap() == input);
        let small = ["https://localhost/small", "-H", "Expect:"];
        let mut upload = Upload::start(here, &[&small[..], &way, version].concat());
        upload.say(&input[..30_000]);
        let (code, said) = upload.end();
        assert_eq!(code, 22, "{said}");
        assert!(said.contains("413"), "{said}");
    }
}
