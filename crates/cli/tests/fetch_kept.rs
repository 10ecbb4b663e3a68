//! `fetch` of several URLs of one server: over which connections, and that nothing gets into the wrong file.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use support::peers::{Authority, Peer, nginx};
use support::socks::SocksProxy;
use support::web::{answer, bytes, chunked, fetch, fetch_command, gzip, names};
use support::{assert_code, need, run_command, text};

/// What a server does behind an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Stays,
    Ends,
}

type Answer = dyn Fn(usize, &str) -> Option<(Vec<u8>, Then)> + Send + Sync;

/// A server that keeps connections, and remembers by number over which one each request came.
struct Keeping {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Keeping {
    /// The closure sees the number of the request on its connection, from 0, and the first line of the request; none ends
    /// the connection without an answer.
    fn start(answer: impl Fn(usize, &str) -> Option<(Vec<u8>, Then)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Answer> = Arc::new(answer);
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || converse(connection, &stream.unwrap(), &seen, &*answer));
            }
        });
        Self { address, asked }
    }

    fn urls(&self, paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| format!("http://{}/{path}", self.address)).collect()
    }

    /// Which connection each request came over.
    fn connections(&self) -> Vec<usize> {
        self.asked.lock().unwrap().iter().map(|(connection, _)| *connection).collect()
    }
}

fn converse(connection: usize, stream: &TcpStream, seen: &Mutex<Vec<(usize, String)>>, answer: &Answer) {
    let mut reader = BufReader::new(stream);
    for number in 0.. {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        seen.lock().unwrap().push((connection, head.clone()));
        let Some((bytes, then)) = answer(number, head.lines().next().unwrap()) else { return };
        if { stream }.write_all(&bytes).is_err() || then == Then::Ends {
            return;
        }
    }
}

/// A body that tells its path, of a length that tells it too.
fn body(path: &str) -> Vec<u8> {
    [path.as_bytes(), &bytes(path.len() * 1000)].concat()
}

fn path(line: &str) -> &str {
    line.split(' ').nth(1).unwrap().trim_start_matches('/')
}

fn framed(line: &str) -> Vec<u8> {
    let body = body(path(line));
    let length = |length: usize| format!("Content-Length: {length}\r\n");
    match path(line).as_bytes()[0] {
        b'c' => answer("200 OK", "Transfer-Encoding: chunked\r\n", &chunked(&body, 700)),
        b'g' => {
            let packed = gzip(&body);
            answer("200 OK", &format!("Content-Encoding: gzip\r\n{}", length(packed.len())), &packed)
        }
        b'z' => {
            answer("200 OK", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", &chunked(&gzip(&body), 700))
        }
        _ => answer("200 OK", &length(body.len()), &body),
    }
}

#[track_caller]
fn assert_saved(folder: &Path, paths: &[&str]) {
    for path in paths {
        assert!(fs::read(folder.join(path)).unwrap() == body(path), "{path}");
    }
    let mut expected: Vec<&str> = paths.to_vec();
    expected.sort_unstable();
    assert_eq!(names(folder), expected);
}

/// One after another.
#[track_caller]
fn fetch_all(server: &Keeping, paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut command = fetch_command(folder.path());
    let output = run_command(command.args(["--jobs", "1"]).args(server.urls(paths)), b"");
    assert_code(&output, 0);
    assert_saved(folder.path(), paths);
    folder
}

#[test]
fn one_connection_serves_for_many_files_however_they_are_framed() {
    let paths = ["l1", "c22", "l333", "g4444", "z55555", "c666666", "z7", "g", "l"];
    let server = Keeping::start(|_, line| Some((framed(line), Then::Stays)));
    fetch_all(&server, &paths);
    assert_eq!(server.connections(), [0; 9]);
    // Several threads: one each, and no file in the place of another.
    let server = Keeping::start(|_, line| Some((framed(line), Then::Stays)));
    let many: Vec<String> = (0..200).map(|number| format!("{}{number}", ["l", "c", "g", "z"][number % 4])).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let folder = tempfile::tempdir().unwrap();
    let output = run_command(fetch_command(folder.path()).args(["-q", "--jobs", "4"]).args(server.urls(&many)), b"");
    assert_code(&output, 0);
    assert_saved(folder.path(), &many);
    assert!(server.connections().into_iter().max().unwrap() < 4);
}

/// A server may end a connection that it kept at any time, before the next request or because of it.
#[test]
fn a_connection_that_ended_meanwhile_is_replaced_by_another() {
    let paths = ["l1", "c22", "z333", "g4444", "l55555"];
    let server = Keeping::start(|_, line| Some((framed(line), Then::Ends)));
    fetch_all(&server, &paths);
    let server = Keeping::start(|number, line| (number < 2).then(|| (framed(line), Then::Stays)));
    fetch_all(&server, &paths);
    // The third on a connection was not heard, and asked for again on the next.
    assert_eq!(server.connections(), [0, 0, 0, 1, 1, 1, 2]);
    // A first request is not: it is an error like any other.
    let server = Keeping::start(|_, _| None);
    let folder = tempfile::tempdir().unwrap();
    assert_code(&fetch(folder.path(), &[&server.urls(&["x"])[0]]), 18);
    assert_eq!(server.connections(), [0]);
}

/// What a server says unasked is no answer to what is asked next.
#[test]
fn a_connection_on_which_more_came_than_was_promised_is_not_used_again() {
    for kind in ["l", "c", "g", "z"] {
        let smuggled = answer("200 OK", "Content-Length: 4\r\n", b"evil");
        let server = Keeping::start(move |_, line| Some(([framed(line), smuggled.clone()].concat(), Then::Stays)));
        fetch_all(&server, &[&format!("{kind}1"), &format!("{kind}22"), &format!("{kind}333")]);
        assert_eq!(server.connections(), [0, 1, 2], "{kind}");
    }
}

#[test]
fn what_says_that_it_ends_or_changes_something_has_a_connection_of_its_own() {
    let server = Keeping::start(|_, line| {
        let fields = format!("connection: x, Close\r\nContent-Length: {}\r\n", body(path(line)).len());
        Some((answer("200 OK", &fields, &body(path(line))), Then::Stays))
    });
    fetch_all(&server, &["1", "22"]);
    assert_eq!(server.connections(), [0, 1]);
    let server = Keeping::start(|_, line| {
        let message = framed(line);
        Some(([b"HTTP/1.0", &message[8..]].concat(), Then::Stays))
    });
    fetch_all(&server, &["l1", "l22"]);
    assert_eq!(server.connections(), [0, 1]);
    // It would not be known whether a POST was heard.
    let server = Keeping::start(|_, line| Some((framed(line), Then::Stays)));
    let folder = tempfile::tempdir().unwrap();
    let mut command = fetch_command(folder.path());
    let output = run_command(command.args(["--jobs", "1", "-X", "POST"]).args(server.urls(&["l1", "l22"])), b"");
    assert_code(&output, 0);
    assert_eq!(server.connections(), [0, 1]);
    // Another port is another server.
    let other = Keeping::start(|_, line| Some((framed(line), Then::Stays)));
    let folder = tempfile::tempdir().unwrap();
    let urls: Vec<String> = [server.urls(&["l1"]), other.urls(&["l22"]), server.urls(&["l333"])].concat();
    assert_code(&run_command(fetch_command(folder.path()).args(["--jobs", "1"]).args(urls), b""), 0);
    assert_saved(folder.path(), &["l1", "l22", "l333"]);
    assert_eq!((server.connections(), other.connections()), (vec![0, 1, 2, 2], vec![0]));
}

#[test]
fn answers_without_a_body_share_a_connection_too() {
    let heads = |message: &'static str| Keeping::start(move |_, _| Some((message.as_bytes().to_vec(), Then::Stays)));
    let ask = |server: &Keeping| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = fetch_command(folder.path());
        let output = run_command(command.args(["--head", "--jobs", "1"]).args(server.urls(&["a", "b", "c"])), b"");
        assert_code(&output, 0);
        (text(&output.stdout), server.connections())
    };
    for message in ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"] {
        assert_eq!(ask(&heads(message)), (message.repeat(3), vec![0, 0, 0]));
    }
    // A server that is wrong about it: what it sends is not the answer to the next.
    let message = "HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\nHTTP/1.1 404 Evil\r\nContent-Length: 0\r\n\r\n";
    let head = &message[..message.find("HTTP/1.1 404").unwrap()];
    assert_eq!(ask(&heads(message)), (head.repeat(3), vec![0, 1, 2]));
    // A body that only the end of the connection ends.
    let server = Keeping::start(|_, line| Some((answer("200 OK", "", &body(path(line))), Then::Ends)));
    fetch_all(&server, &["l1", "l22"]);
    assert_eq!(server.connections(), [0, 1]);
}

/// Of several on one connection the one that is cut is told, and the next is fetched all the same.
#[test]
fn a_body_that_is_cut_on_a_kept_connection_is_never_saved() {
    for kind in ["l", "c", "g", "z"] {
        let server = Keeping::start(move |_, line| {
            let message = framed(line);
            Some(match path(line).len() {
                3 => (message[..message.len() - 1].to_vec(), Then::Ends),
                _ => (message, Then::Stays),
            })
        });
        let paths = [format!("{kind}1"), format!("{kind}22"), format!("{kind}333")];
        let folder = tempfile::tempdir().unwrap();
        let urls = server.urls(&paths.iter().map(String::as_str).collect::<Vec<_>>());
        let output = run_command(fetch_command(folder.path()).args(["--jobs", "1"]).args(urls), b"");
        assert_code(&output, 18);
        assert!(text(&output.stderr).contains(&format!("/{kind}22: ")), "{}", text(&output.stderr));
        assert_saved(folder.path(), &[&paths[0], &paths[2]]);
        assert_eq!(server.connections(), [0, 0, 1], "{kind}");
    }
}

/// HTTP/2 and TLS by servers that are not ours: one handshake for all, and another when the server wants no more.
#[test]
fn real_servers_are_asked_over_one_secure_connection_until_they_end_it() {
    need("nghttpd");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let www = folder.path().join("www");
    fs::create_dir_all(&www).unwrap();
    let paths: Vec<String> = (0..10).map(|number| format!("l{}", "x".repeat(number * 3))).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    for path in &paths {
        fs::write(www.join(path), body(path)).unwrap();
    }
    let at = |name: &str| folder.path().join(name).display().to_string();
    let nghttpd = Peer::start(|port| {
        let mut command = Command::new("nghttpd");
        command.args(["-a", "127.0.0.1", "-d", &at("www"), &port.to_string(), &at("good.key"), &at("good.pem")]);
        command
    });
    let files =
        format!("ssl_certificate {}; ssl_certificate_key {}; keepalive_requests 3;", at("good.pem"), at("good.key"));
    // nginx takes its own port for HTTP/1.1 in the clear; TLS has a socket of its own.
    let both = |socket: &str| format!("listen unix:{} ssl http2; {files}", at(socket));
    let nginx = nginx(folder.path(), &both("tls"));
    let counted = |port: u16, scheme: &str, more: &[&str]| {
        let proxy = SocksProxy::start(None);
        let out = tempfile::tempdir().unwrap();
        let urls: Vec<String> = paths.iter().map(|path| format!("{scheme}://localhost:{port}/{path}")).collect();
        let mut command = fetch_command(out.path());
        command.args(["--jobs", "1", "--ca", &at("ca.pem"), "--proxy", &format!("socks5h://{}", proxy.address)]);
        let output = run_command(command.args(more).args(urls), b"");
        assert_code(&output, 0);
        assert_saved(out.path(), &paths);
        (proxy.asked().len(), text(&output.stdout))
    };
    let (connections, heads) = counted(nghttpd.port, "https", &[]);
    assert_eq!((connections, heads.matches("HTTP/2 200\r\n").count()), (1, 10), "{heads}");
    // Three requests for each, as nginx was told.
    let (connections, heads) = counted(nginx.port, "http", &[]);
    assert_eq!((connections, heads.matches("HTTP/1.1 200 OK\r\n").count()), (4, 10), "{heads}");
    let out = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--http1.1"]] {
        let urls: Vec<String> = paths.iter().map(|path| format!("https://localhost/{path}")).collect();
        let mut command = fetch_command(out.path());
        command.args(["--force", "--jobs", "1", "--ca", &at("ca.pem"), "--unix", &at("tls")]).args(more);
        assert_code(&run_command(command.args(urls), b""), 0);
        assert_saved(out.path(), &paths);
    }
}

/// The body of a redirect is not wanted; what is short is read, and its connection serves for what it leads to.
#[test]
fn a_redirect_with_a_short_body_keeps_its_connection() {
    let led = |fields: &str, body: &[u8]| answer("302 Found", &format!("Location: /x\r\n{fields}"), body);
    let short = led("Content-Length: 5\r\n", b"moved");
    for (redirect, connections) in [
        (led("Content-Length: 0\r\n", b""), 1),
        (short.clone(), 1),
        (led("Transfer-Encoding: chunked\r\n", &chunked(b"moved", 2)), 1),
        (led("Content-Length: 100000\r\n", &bytes(100_000)), 2),
        (led("Content-Length: 5\r\nConnection: close\r\n", b"moved"), 2),
        // It is not whole, or more came than was said.
        (led("Content-Length: 50\r\n", b"moved"), 2),
        ([short, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec()].concat(), 2),
    ] {
        let server = Keeping::start(move |_, line| {
            let message = if path(line) == "from" { redirect.clone() } else { framed(line) };
            Some((message, Then::Stays))
        });
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&server.urls(&["from"])[0], "-o", "x"]), 0);
        assert_saved(folder.path(), &["x"]);
        assert_eq!(server.connections(), if connections == 1 { [0, 0] } else { [0, 1] });
    }
}
