//! `serve --files` and the letter of HTTP: what is refused, with which words, and what is let through.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use support::files::Client;
use support::http2::frame;
use support::{Server, assert_code, need, read, run_command, text, to_end};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "content").unwrap();
    folder
}

fn serve(address: &str, folder: &tempfile::TempDir, arguments: &[&str]) -> Server {
    Server::start_at(&[address], &[&["-q", "--files", folder.path().to_str().unwrap()], arguments].concat())
}

fn begin_http2(server: &Server) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
    stream
}

/// The frames until the answer to a PING: everything that the server had to say to what came before.
fn frames(stream: &mut TcpStream) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let mut all = Vec::new();
    // The first may be answered before what came with it is.
    let mut pings = 2;
    stream.write_all(&frame(PING, 0, 0, b"12345678")).unwrap();
    loop {
        let (kind, flags, number, payload) = next_frame(stream);
        if kind == PING {
            pings -= 1;
            if pings == 0 {
                return all;
            }
            stream.write_all(&frame(PING, 0, 0, b"12345678")).unwrap();
            continue;
        }
        all.push((kind, flags, number, payload));
    }
}

fn next_frame(stream: &mut TcpStream) -> (u8, u8, u32, Vec<u8>) {
    let head = read(stream, 9);
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    (head[3], head[4], u32::from_be_bytes(head[5..9].try_into().unwrap()), read(stream, length))
}

/// Every way in which a small upload is refused: the answer comes, the content is passed over, and nothing resets the
/// stream behind the answer, which some clients take it away for.
#[test]
fn a_small_upload_that_is_refused_over_http_2_is_not_reset() {
    let folder = folder();
    let closed = serve("http://127.0.0.1:0", &folder, &[]);
    let open = serve("http://127.0.0.1:0", &folder, &["--upload", "--max-upload", "10"]);
    for (server, method, path) in [
        (&closed, b"\x83".as_slice(), b"\x04\x05/file".as_slice()),
        (&closed, b"\x42\x03PUT", b"\x04\x05/file"),
        (&open, b"\x42\x03PUT", b"\x04\x06/.file"),
        (&open, b"\x42\x03PUT", b"\x04\x08/new.bin"),
    ] {
        for (before, after) in [(0, 5000), (5000, 0), (100, 15_000)] {
            let mut stream = begin_http2(server);
            let head = [method, b"\x86", path, b"\x41\x09localhost"].concat();
            stream.write_all(&frame(HEADERS, 4, 1, &head)).unwrap();
            if before > 0 {
                stream.write_all(&frame(DATA, 0, 1, &vec![b'x'; before])).unwrap();
            }
            let mut all = frames(&mut stream);
            stream.write_all(&frame(DATA, 1, 1, &vec![b'x'; after])).unwrap();
            all.extend(frames(&mut stream));
            let kinds: Vec<u8> = all.iter().map(|frame| frame.0).collect();
            assert!(kinds.contains(&HEADERS) && !kinds.contains(&RST_STREAM), "{kinds:?}");
            assert!(
                all.iter().any(|(_, flags, number, _)| *number == 1 && flags & 1 == 1),
                "the answer ends: {kinds:?}"
            );
        }
    }
    need("curl");
    let url = format!("http://{}/file", closed.address());
    let mut curl = Command::new("curl");
    let file = folder.path().join("file");
    curl.args(["-sS", "--noproxy", "*", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code}"]);
    let output = run_command(curl.args(["-T", file.to_str().unwrap(), &url]), b"");
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "405");
}

/// Content that does not end is not passed over for ever.
#[test]
fn a_large_upload_that_is_refused_over_http_2_is_cut_in_time() {
    let folder = folder();
    let server = serve("http://127.0.0.1:0", &folder, &[]);
    let mut stream = begin_http2(&server);
    stream.write_all(&frame(HEADERS, 4, 1, b"\x83\x86\x04\x05/file\x41\x09localhost")).unwrap();
    for _ in 0..10 {
        stream.write_all(&frame(DATA, 0, 1, &vec![b'x'; 16_000])).unwrap();
    }
    let kinds: Vec<u8> = frames(&mut stream).into_iter().map(|frame| frame.0).collect();
    assert!(kinds.contains(&HEADERS) && !kinds.contains(&RST_STREAM), "there is time to see the answer: {kinds:?}");
    let reset = loop {
        let (kind, _, number, payload) = next_frame(&mut stream);
        if kind == RST_STREAM {
            break (number, payload);
        }
    };
    assert_eq!(reset, (1, vec![0; 4]), "NO_ERROR (RFC 9113, section 8.1)");
}

/// The status, however large what is refused is: with its length or without, at once or in its midst, under TLS and not.
#[test]
fn curl_sees_why_an_upload_is_refused_over_http_2() {
    need("curl");
    let folder = folder();
    let what = tempfile::tempdir().unwrap();
    let files = [100_000, 1_000_000, 10_000_000, 30_000_000].map(|size| {
        let path = what.path().join(size.to_string());
        fs::File::create(&path).unwrap().set_len(size).unwrap();
        path
    });
    fs::write(what.path().join("account"), "me:secret\n").unwrap();
    fs::set_permissions(what.path().join("account"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let account = format!("@{}", what.path().join("account").display());
    let closed = serve("http://127.0.0.1:0", &folder, &[]);
    let open = serve("http://127.0.0.1:0", &folder, &["--upload", "--max-upload", "50000"]);
    let locked = serve("https://127.0.0.1:0", &folder, &["--upload", "--write-auth", &account]);
    let url = |server: &Server, path: &str| format!("http://{}{path}", server.address());
    for (url, more, status) in [
        (url(&closed, "/file"), &["-T"][..], "405"),
        (url(&open, "/.hidden"), &["-T"], "403"),
        (url(&open, "/none/new"), &["-H", "Content-Length:", "-T"], "409"),
        (url(&open, "/new"), &["-T"], "413"),
        (url(&open, "/new"), &["-H", "Content-Length:", "-T"], "413"),
        (url(&open, "/"), &["-X", "POST", "-T"], "409"),
        (format!("https://127.0.0.1:{}/new", locked.ports[0]), &["-T"], "401"),
    ] {
        for file in &files {
            let mut curl = Command::new("curl");
            curl.args(["-sSk", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"]);
            curl.arg(if url.starts_with("https") { "--http2" } else { "--http2-prior-knowledge" });
            let output = run_command(curl.args(more).arg(file).arg(&url), b"");
            assert_code(&output, 0);
            assert_eq!(text(&output.stdout), format!("{status} 2"), "{url} {more:?} {}", file.display());
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is stored");
}

#[test]
fn a_request_over_http_2_is_for_one_host() {
    let folder = folder();
    let server = serve("http://127.0.0.1:0", &folder, &["--host", "box.example"]);
    // `host` is the 38th of the static table.
    let host = |value: &str| [b"\x0f\x17", &[u8::try_from(value.len()).unwrap()][..], value.as_bytes()].concat();
    for (fields, is_served) in [
        (host("localhost"), true),
        (host("LOCALHOST:80"), true),
        (vec![], true),
        (host("box.example"), false),
        (host("localhost:81"), false),
        (host(""), false),
        ([host("localhost"), host("localhost")].concat(), false),
    ] {
        let mut stream = begin_http2(&server);
        let head = [b"\x82\x86\x04\x05/file\x41\x09localhost".as_slice(), &fields].concat();
        stream.write_all(&frame(HEADERS, 5, 1, &head)).unwrap();
        let all = frames(&mut stream);
        let status = all.iter().find(|frame| frame.0 == HEADERS).map(|frame| frame.3[0]);
        // 200 and 400 are the 8th and the 12th.
        assert_eq!(status, Some(if is_served { 0x88 } else { 0x8c }), "{}", text(&fields));
    }
}

#[test]
fn later_versions_unknown_codings_and_names_of_this_network_are_answered_as_they_should() {
    let folder = folder();
    let server = serve("http://127.0.0.1:0", &folder, &[]);
    let status = |request: &str| {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        text(&to_end(&mut stream)).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for (version, expected) in [("1.1", "200"), ("1.2", "200"), ("1.9", "200"), ("2.0", "505"), ("0.9", "505")] {
        assert_eq!(status(&format!("GET /file HTTP/{version}\r\nHost: localhost\r\n\r\n")), expected, "{version}");
    }
    for (coding, expected) in [("gzip, chunked", "501"), ("x, deflate, chunked", "501"), ("chunked, gzip", "400")] {
        let head = format!("PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        assert_eq!(status(&head), expected, "{coding}");
    }
    let mut client = Client::new(&server);
    for (host, expected) in [
        ("web", 200),
        ("web:8080", 200),
        ("my_service.", 200),
        ("box.local", 200),
        ("app.localhost:3000", 200),
        ("host.docker.internal", 200),
        ("10.0.0.7", 200),
        ("web.example", 421),
        ("local.example.com", 421),
        ("evil-localhost.com", 421),
    ] {
        assert_eq!(client.get("/file", &format!("Host: {host}\r\n")).status, expected, "{host}");
    }
    let own = text(&run_command(Command::new("uname").arg("-n"), b"").stdout);
    assert_eq!(client.get("/file", &format!("Host: {}\r\n", own.trim())).status, 200, "{own}");
}

#[test]
fn plain_http_where_tls_is_spoken_is_told_so() {
    let folder = folder();
    let server = serve("https://127.0.0.1:0", &folder, &[]);
    for request in ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST "] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let said = text(&to_end(&mut stream));
        assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("https://"), "{said}");
    }
    // What is no HTTP either hears nothing that it could not read.
    let mut stream = server.connect();
    stream.write_all(b"\0\0\0\0\0\0\0\0").unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"));
}

#[test]
fn the_certificate_of_a_run_says_whose_it_is_and_for_how_long() {
    need("openssl");
    let folder = folder();
    let server = serve("https://127.0.0.1:0", &folder, &[]);
    let mut shown = Command::new("sh");
    shown.arg("-euc").arg(format!(
        "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509 -noout -text -checkend 0",
        server.address()
    ));
    let output = run_command(&mut shown, b"");
    assert_code(&output, 0);
    let shown = text(&output.stdout);
    for words in ["O = sockeye", "DNS:localhost", "DNS:*.localhost", "IP Address:127.0.0.1", "TLS Web Server Auth"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let mut later = Command::new("sh");
    later.arg("-euc").arg(format!(
        "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509 -noout -checkend {}",
        server.address(),
        397 * 24 * 60 * 60
    ));
    assert_code(&run_command(&mut later, b""), 1);
}
