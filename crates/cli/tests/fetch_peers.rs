//! `fetch` against servers and proxies from Debian, byte for byte beside curl.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::process::{Command, Output};

use support::peers::{Authority, Peer, nginx, s_server};
use support::web::{bytes, fetch, fetch_command, names};
use support::{assert_code, need, run_command, serve_one, text, to_end};

/// What curl gets, unpacked and redirected as we do.
fn curl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    need("curl");
    let mut command = Command::new("curl");
    command.args(["-sSfL", "--compressed", "--noproxy", "*"]).args(arguments).current_dir(folder);
    let output = run_command(&mut command, b"");
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    output.stdout
}

#[test]
fn nginx_gives_the_same_bytes_as_to_curl() {
    let folder = tempfile::tempdir().unwrap();
    let www = folder.path().join("www");
    fs::create_dir_all(www.join("listed")).unwrap();
    fs::write(www.join("index.html"), "<h1>hello</h1>\n".repeat(1000)).unwrap();
    fs::write(www.join("large"), bytes(40_000_000)).unwrap();
    for number in 0..300 {
        fs::write(www.join(format!("listed/file {number} ü")), "x").unwrap();
    }
    let server = nginx(
        folder.path(),
        "location /old { return 301 /index.html; }
        location /away { return 302 http://127.0.0.1:PORT/large; }
        location /packed/ { alias WWW/; gzip on; gzip_types *; gzip_min_length 1; }
        location /listed/ { autoindex on; }
        location /refused { return 403; }
        location /cut { return 444; }"
            .replace("WWW", &www.display().to_string())
            .as_str(),
    );
    let out = tempfile::tempdir().unwrap();
    for path in ["/", "/index.html", "/large", "/old", "/away", "/packed/index.html", "/packed/large", "/listed/"] {
        let url = format!("http://127.0.0.1:{}{path}", server.port);
        let output = fetch(out.path(), &[&url, "-o", "body"]);
        assert_code(&output, 0);
        assert!(fs::read(out.path().join("body")).unwrap() == curl(out.path(), &[&url]), "{path}");
        let head = text(&output.stdout);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nServer: nginx/") && head.ends_with("\r\n\r\n"), "{head}");
        assert_eq!(head.matches("HTTP/1.1").count(), 1, "only the last head: {head}");
        assert_eq!(head.contains("Content-Encoding: gzip\r\n"), path.starts_with("/packed/"), "{head}");
        assert_eq!(head.contains("Transfer-Encoding: chunked\r\n"), path.starts_with("/packed/") || path == "/listed/");
    }
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);
    let head = text(&fetch(out.path(), &[&url("/large"), "--head"]).stdout);
    assert!(head.contains("Content-Length: 40000000\r\n"), "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let output = fetch(out.path(), &[&url("/large"), "-H", &format!("If-None-Match: {tag}"), "-o", "body"]);
    assert_code(&output, 0);
    assert!(text(&output.stdout).starts_with("HTTP/1.1 304 Not Modified\r\n"));
    assert_code(&fetch(out.path(), &[&url("/refused"), "-o", "body"]), 22);
    assert_code(&fetch(out.path(), &[&url("/cut"), "-o", "body"]), 18);
    let raw = fetch(out.path(), &[&url("/packed/index.html"), "--raw-body", "-o", "raw.gz"]);
    assert_code(&raw, 0);
    let output = Command::new("gzip").arg("-dc").arg(out.path().join("raw.gz")).output().unwrap();
    assert_eq!(output.stdout, fs::read(www.join("index.html")).unwrap());
}

#[test]
fn pythons_server_gives_the_same_bytes_as_to_curl() {
    need("python3");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("a b.txt"), bytes(100_000)).unwrap();
    let server = Peer::start(|port| {
        let mut command = Command::new("python3");
        command.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]).current_dir(&folder);
        command
    });
    let out = tempfile::tempdir().unwrap();
    for path in ["/", "/a%20b.txt", "/sub"] {
        let url = format!("http://127.0.0.1:{}{path}", server.port);
        assert_code(&fetch(out.path(), &[&url, "-o", "body"]), 0);
        assert!(fs::read(out.path().join("body")).unwrap() == curl(out.path(), &[&url]), "{path}");
    }
    let output = fetch(out.path(), &[&format!("127.0.0.1:{}/a b.txt", server.port)]);
    assert_code(&output, 0);
    assert_eq!(names(out.path()), ["a b.txt", "body"]);
}

#[test]
fn openssls_server_is_believed_only_with_a_good_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost", "127.0.0.1"], (2020, 2120));
    authority.sign(folder.path(), "other", &["other.example"], (2020, 2120));
    authority.sign(folder.path(), "expired", &["localhost"], (2020, 2021));
    authority.sign(folder.path(), "early", &["localhost"], (2119, 2120));
    fs::write(folder.path().join("page"), bytes(300_000)).unwrap();
    fs::write(folder.path().join("garbage.pem"), "no certificate").unwrap();
    let out = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem").display().to_string();
    let ask = |port: u16, host: &str, with: &[&str]| {
        fetch(out.path(), &[&[format!("https://{host}:{port}/page").as_str(), "-o", "body"], with].concat())
    };
    for version in ["-tls1_3", "-tls1_2"] {
        let server = s_server(folder.path(), "good", &[version]);
        for host in ["localhost", "127.0.0.1"] {
            assert_code(&ask(server.port, host, &["--ca", &ca]), 0);
            let url = format!("https://{host}:{}/page", server.port);
            let curls = curl(out.path(), &["--cacert", &ca, &url]);
            assert!(fs::read(out.path().join("body")).unwrap() == curls && curls == bytes(300_000), "{version} {host}");
        }
        // The same file as the system's.
        let mut command = fetch_command(out.path());
        command.args([&format!("https://localhost:{}/page", server.port), "-o", "body"]).env("SSL_CERT_FILE", &ca);
        assert_code(&run_command(command.env_remove("SSL_CERT_DIR"), b""), 0);
        let output = ask(server.port, "localhost", &[]);
        assert_code(&output, 60);
        assert!(text(&output.stderr).contains("is signed by nobody who is trusted"), "{}", text(&output.stderr));
    }
    fs::write(out.path().join("body"), "old").unwrap();
    for (certificate, says) in
        [("other", "is for another name: other.example\n"), ("expired", "has expired"), ("early", "is not valid yet")]
    {
        let server = s_server(folder.path(), certificate, &[]);
        let output = ask(server.port, "localhost", &["--ca", &ca]);
        assert_code(&output, 60);
        assert!(text(&output.stderr).contains(says), "{certificate}: {}", text(&output.stderr));
    }
    let server = s_server(folder.path(), "good", &["-cipher", "AES128-SHA", "-tls1_2"]);
    let output = ask(server.port, "localhost", &["--ca", &ca]);
    assert_code(&output, 35);
    let (plain, speaker) = serve_one(|mut stream| {
        stream.write_all(b"220 hello\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        to_end(&mut stream)
    });
    let output = ask(plain.port(), "127.0.0.1", &["--ca", &ca]);
    assert_code(&output, 35);
    assert!(text(&output.stderr).contains("127.0.0.1 does not speak TLS"), "{}", text(&output.stderr));
    speaker.join().unwrap();
    assert_eq!(fs::read(out.path().join("body")).unwrap(), b"old");
    assert_eq!(names(out.path()), ["body"]);
}

/// Row 36: TLS that is cut without close_notify, where only that tells the end from an attack; and row 44 over TLS.
#[test]
fn tls_that_is_cut_and_a_redirect_out_of_it_are_refused() {
    need("python3");
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let script = "
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('good.pem', 'good.key')
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    try:
        raw, _ = listener.accept()
        peer = context.wrap_socket(raw, server_side=True)
        path = peer.recv(4096).split()[1]
        if path == b'/out':
            peer.sendall(b'HTTP/1.1 302 Found\\r\\nLocation: http://localhost/\\r\\nContent-Length: 0\\r\\n\\r\\n')
            peer.unwrap()
        elif path == b'/cut':
            peer.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\nhalf of it')
            socket.socket(fileno=peer.detach()).shutdown(socket.SHUT_RDWR)
        elif path == b'/whole':
            peer.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\nall of it')
            peer.unwrap()
        elif path == b'/length':
            peer.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\nall of it')
            socket.socket(fileno=peer.detach()).close()
    except OSError: pass
";
    let server = Peer::start(|port| {
        let mut command = Command::new("python3");
        command.args(["-c", script, &port.to_string()]).current_dir(&folder);
        command
    });
    let out = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem").display().to_string();
    fs::write(out.path().join("x"), "old").unwrap();
    let ask = |path: &str| -> Output {
        fetch(out.path(), &[&format!("https://localhost:{}{path}", server.port), "-o", "x", "--ca", &ca])
    };
    let output = ask("/cut");
    assert_code(&output, 18);
    assert!(text(&output.stderr).contains("before TLS said that it ends (close_notify)"), "{}", text(&output.stderr));
    let output = ask("/out");
    assert_code(&output, 47);
    assert!(text(&output.stderr).contains("is not secure, and this connection was"), "{}", text(&output.stderr));
    assert_eq!(fs::read(out.path().join("x")).unwrap(), b"old");
    for path in ["/whole", "/length"] {
        assert_code(&ask(path), 0);
        assert_eq!(fs::read(out.path().join("x")).unwrap(), b"all of it");
    }
}

/// A server that lets in only clients that its authority signed for; the keys of a session; and trust in any server.
#[test]
fn openssls_server_asks_who_we_are_and_insecure_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    authority.sign(folder.path(), "me", &["me"], (2020, 2120));
    authority.sign(folder.path(), "expired", &["localhost"], (2020, 2021));
    fs::write(folder.path().join("page"), bytes(300_000)).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (ca, cert, key) = (path("ca.pem"), path("me.pem"), path("me.key"));
    let out = tempfile::tempdir().unwrap();
    // Only TLS 1.3 has a word of its own for it (RFC 8446, 6.2).
    for (version, says) in
        [("-tls1_3", "localhost asks for a certificate: --cert"), ("-tls1_2", "localhost refused: HandshakeFailure")]
    {
        let server =
            s_server(folder.path(), "good", &[version, "-Verify", "2", "-verify_return_error", "-CAfile", "ca.pem"]);
        let url = format!("https://localhost:{}/page", server.port);
        let output = fetch(out.path(), &[&url, "-o", "x", "--ca", &ca, "--cert", &cert, "--key", &key]);
        assert_code(&output, 0);
        assert!(fs::read(out.path().join("x")).unwrap() == bytes(300_000));
        let output = fetch(out.path(), &[&url, "-o", "y", "--ca", &ca]);
        assert_code(&output, 35);
        assert!(text(&output.stderr).contains(says), "{version}: {}", text(&output.stderr));
    }
    let wrong = fetch(out.path(), &["https://localhost:1/", "-o", "y", "--cert", &cert, "--key", &path("good.key")]);
    assert_code(&wrong, 26);
    assert!(text(&wrong.stderr).contains("me.pem: it cannot be used with the key"), "{}", text(&wrong.stderr));
    let server = s_server(folder.path(), "expired", &[]);
    let url = format!("https://127.0.0.1:{}/page", server.port);
    for more in [&[][..], &["-q"], &["--json"]] {
        let arguments = [&[url.as_str(), "-o", "x", "--insecure"], more].concat();
        let mut command = fetch_command(out.path());
        let output = run_command(command.args(&arguments).env("SSLKEYLOGFILE", out.path().join("keys")), b"");
        assert_code(&output, 0);
        assert!(
            text(&output.stderr).contains("--insecure: whoever is on the way may read"),
            "{}",
            text(&output.stderr)
        );
        let keys = fs::read_to_string(out.path().join("keys")).unwrap();
        assert!(keys.contains("CLIENT_TRAFFIC_SECRET_0 "), "{keys}");
    }
    assert_code(&fetch(out.path(), &[&url, "-o", "y"]), 60);
    assert_eq!(names(out.path()), ["keys", "x"]);
    // TLS through SOCKS, and curl through the same.
    let server = s_server(folder.path(), "good", &[]);
    let proxy = support::socks::SocksProxy::start(None);
    let at = format!("socks5h://{}", proxy.address);
    let url = format!("https://localhost:{}/page", server.port);
    assert_code(&fetch(out.path(), &[&url, "-o", "x", "--ca", &ca, "--proxy", &at]), 0);
    assert!(fs::read(out.path().join("x")).unwrap() == bytes(300_000));
    let output = Command::new("curl").args(["-sSf", "--cacert", &ca, "--proxy", &at, &url]).output().unwrap();
    assert!(output.stdout == bytes(300_000), "{}", text(&output.stderr));
    assert_eq!(proxy.asked(), [format!("name localhost:{}", server.port), format!("name localhost:{}", server.port)]);
}

/// What SSLKEYLOGFILE gets is what the server logs for itself, in the form that Wireshark reads; that it is written is said.
#[test]
fn the_keys_of_sessions_are_those_that_the_server_has() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    fs::write(folder.path().join("page"), "hello").unwrap();
    let ca = folder.path().join("ca.pem").display().to_string();
    for (version, label) in [("-tls1_3", "SERVER_TRAFFIC_SECRET_0 "), ("-tls1_2", "CLIENT_RANDOM ")] {
        let server = s_server(folder.path(), "good", &[version, "-keylogfile", &format!("server{version}")]);
        let out = tempfile::tempdir().unwrap();
        let url = format!("https://localhost:{}/page", server.port);
        let ask = |keys: &str| {
            let mut command = fetch_command(out.path());
            command.args([&url, "-o", "x", "-q", "--time", "--ca", &ca]).env("SSLKEYLOGFILE", keys);
            let output = run_command(&mut command, b"");
            assert_code(&output, 0);
            text(&output.stderr)
        };
        let said = ask("keys");
        assert!(said.contains("warning: SSLKEYLOGFILE: whoever reads keys can read what is fetched"), "{said}");
        let heads: Vec<&str> = said.lines().skip(1).map(|row| row.split("  ").next().unwrap()).collect();
        assert_eq!(heads, ["name", "connect", "TLS", "first byte", "total"], "{said}");
        let (ours, theirs) = (out.path().join("keys"), folder.path().join(format!("server{version}")));
        assert_eq!(fs::metadata(&ours).unwrap().permissions().mode() & 0o777, 0o600);
        let (ours, theirs) = (fs::read_to_string(ours).unwrap(), fs::read_to_string(theirs).unwrap());
        assert!(ours.contains(label), "{ours}");
        for line in ours.lines() {
            assert!(theirs.lines().any(|other| other.eq_ignore_ascii_case(line)), "{line} is not in {theirs}");
        }
        assert!(ask("none/keys").contains("warning: SSLKEYLOGFILE: cannot write none/keys: No such file"));
        assert!(!ask("").contains("SSLKEYLOGFILE"));
        let output = fetch(out.path(), &[&url, "-o", "x", "--json", "--ca", &ca]);
        let event: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        for name in ["name", "connect", "tls", "first_byte", "total"] {
            assert!(event["seconds"][name].as_f64().is_some_and(|seconds| seconds >= 0.0), "{event}");
        }
    }
}

/// nginx knows ranges: parts and what is gone on with, in the clear and under TLS.
#[test]
fn nginx_gives_parts_that_make_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let www = folder.path().join("www");
    fs::create_dir_all(&www).unwrap();
    let body = bytes(10_000_001);
    fs::write(www.join("large"), &body).unwrap();
    let secure = "listen unix:HERE/tls ssl; ssl_certificate HERE/good.pem; ssl_certificate_key HERE/good.key;";
    let server = nginx(folder.path(), &secure.replace("HERE", &folder.path().display().to_string()));
    let url = format!("http://127.0.0.1:{}/large", server.port);
    let (socket, ca) = (folder.path().join("tls"), folder.path().join("ca.pem"));
    let tls = ["https://localhost/large", "--unix", socket.to_str().unwrap(), "--ca", ca.to_str().unwrap()];
    let out = tempfile::tempdir().unwrap();
    for ask in [&[url.as_str()][..], &tls] {
        for more in [&["--parts", "3"][..], &["--range", "5-"], &["--resume"]] {
            let output = fetch(out.path(), &[ask, more, &["-o", "x"]].concat());
            assert_code(&output, 0);
            let skipped = if more[0] == "--range" { 5 } else { 0 };
            assert!(fs::read(out.path().join("x")).unwrap() == body[skipped..], "{more:?}");
        }
        // Cut by what the disk may take, as by a quota; the signal is ignored so that write(2) tells.
        let mut command = Command::new("bash");
        let script = "trap '' XFSZ; ulimit -f 3000; exec \"$0\" fetch -q -o y --resume \"$@\"";
        command.args(["-c", script, support::BINARY]).args(ask).current_dir(&out).env_remove("http_proxy");
        assert_code(&run_command(&mut command, b""), 23);
        let there = fs::metadata(out.path().join("y.part")).unwrap().len();
        assert_eq!(there, 3000 * 1024);
        let output = fetch(out.path(), &[ask, &["-o", "y", "--resume"]].concat());
        assert_code(&output, 0);
        assert!(text(&output.stderr).contains(&format!("{there} of them before")), "{}", text(&output.stderr));
        assert!(fs::read(out.path().join("y")).unwrap() == body);
        assert_eq!(names(out.path()), ["x", "y"]);
        fs::remove_file(out.path().join("y")).unwrap();
    }
}

/// Carries bytes between us and a Unix socket, and back only so many of them; then it hangs or ends.
fn carrying(socket: &Path, most: usize, hangs: bool) -> std::net::SocketAddr {
    use std::io::Read;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = socket.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut server = std::os::unix::net::UnixStream::connect(&socket).unwrap();
            let (mut from, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
            let until_gone = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let mut left = most;
            let mut piece = [0; 4096];
            while left > 0
                && let Ok(length) = server.read(&mut piece)
                && length > 0
            {
                let length = length.min(left);
                left -= length;
                let _ = stream.write_all(&piece[..length]);
            }
            if !hangs {
                let _ = stream.shutdown(Shutdown::Write);
            }
            // A peer that closes before all was read may have the system reset the connection, and lose what was sent.
            let _ = until_gone.join();
        }
    });
    address
}

#[test]
fn nginx_speaks_http_2_and_the_same_comes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    authority.sign(folder.path(), "good", &["localhost"], (2020, 2120));
    let www = folder.path().join("www");
    fs::create_dir_all(&www).unwrap();
    let body = bytes(10_000_001);
    fs::write(www.join("large"), &body).unwrap();
    fs::write(www.join("page.txt"), "hello\n".repeat(10_000)).unwrap();
    fs::write(www.join("empty"), "").unwrap();
    let behind = support::web::Web::saying(support::web::ok(b"taken"));
    let server = "listen unix:HERE/tls ssl http2; ssl_certificate HERE/good.pem; ssl_certificate_key HERE/good.key;
        client_max_body_size 0;
        location = /page.txt { gzip on; gzip_types *; }
        location /old { return 301 /large; }
        location /host { return 200 $http_host$host; }
        location /small { client_max_body_size 1k; proxy_pass http://BEHIND; }
        location /missing { return 404; }
        location /behind { proxy_pass http://BEHIND; proxy_set_header Cookie $http_cookie; }";
    let server = server.replace("HERE", &folder.path().display().to_string());
    let _server = nginx(folder.path(), &server.replace("BEHIND", &behind.address.to_string()));
    let (socket, ca) = (folder.path().join("tls"), folder.path().join("ca.pem"));
    let (unix, ca) = (socket.to_str().unwrap(), ca.to_str().unwrap());
    let out = tempfile::tempdir().unwrap();
    let ask = |path: &str, more: &[&str]| {
        let url = format!("https://localhost{path}");
        fetch(out.path(), &[&[url.as_str(), "-o", "x", "--unix", unix, "--ca", ca], more].concat())
    };
    let saved = || fs::read(out.path().join("x")).unwrap();
    for path in ["/large", "/old", "/page.txt", "/empty"] {
        let output = ask(path, &[]);
        assert_code(&output, 0);
        let head = text(&output.stdout);
        assert!(head.starts_with("HTTP/2 200\r\nserver: nginx/") && head.ends_with("\r\n\r\n"), "{head}");
        assert_eq!(head.contains("content-encoding: gzip\r\n"), path == "/page.txt", "{head}");
        let curls =
            curl(out.path(), &["--http2", "--unix-socket", unix, "--cacert", ca, &format!("https://localhost{path}")]);
        assert!(saved() == curls, "{path}");
    }
    let old = ask("/large", &["--http1.1"]);
    assert_code(&old, 0);
    assert!(text(&old.stdout).starts_with("HTTP/1.1 200 OK\r\nServer: nginx/"));
    for more in [&["--parts", "3"][..], &["--resume"], &["--limit-rate", "30m"]] {
        assert_code(&ask("/large", more), 0);
        assert!(saved() == body, "{more:?}");
    }
    assert_code(&ask("/large", &["--range", "5-9"]), 0);
    assert_eq!(saved(), &body[5..10]);
    assert_code(&ask("/host", &["-H", "Host: other.example"]), 0);
    assert_eq!(text(&saved()), "other.exampleother.example");
    let output = ask("/missing", &["--json"]);
    assert_code(&output, 22);
    assert!(text(&output.stderr).contains("\"version\":\"HTTP/2\""), "{}", text(&output.stderr));
    assert!(text(&ask("/large", &["--head"]).stdout).contains("content-length: 10000001\r\n"));
    // What is sent, larger than any window.
    fs::write(out.path().join("upload"), "0123456789abcde\n".repeat(200_000)).unwrap();
    assert_code(&ask("/behind", &["--data", "@upload", "--cookie", "a=b", "--user", "me:secret"]), 0);
    assert_eq!(saved(), b"taken");
    let request = behind.requests().pop().unwrap();
    assert!(request.starts_with("POST /behind HTTP/1.0\r\n") && request.contains("Content-Length: 3200000\r\n"));
    assert!(request.contains("Cookie: a=b\r\n") && request.contains("authorization: Basic bWU6c2VjcmV0\r\n"));
    assert!(request.ends_with(&("\r\n\r\n".to_owned() + &"0123456789abcde\n".repeat(200_000))));
    let output = ask("/small", &["--data", "@upload"]);
    assert_code(&output, 22);
    assert!(text(&output.stdout).starts_with("HTTP/2 413\r\n"), "{}", text(&output.stderr));
    // What is sent cannot be read to its end.
    need("strace");
    let url = "https://localhost/behind";
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=pread64:error=EIO:when=30", support::BINARY, "fetch"]);
    command.args([url, "-o", "x", "--unix", unix, "--ca", ca, "--data", "@upload"]).current_dir(&out);
    let output = run_command(&mut command, b"");
    assert_code(&output, 26);
    assert!(text(&output.stderr).contains("cannot read upload: Input/output error"), "{}", text(&output.stderr));
    // What is cut, and what hangs, at some places of the handshake, the head and the body.
    fs::write(out.path().join("x"), "old").unwrap();
    for (most, hangs, expected) in
        [(0, false, 35), (3_000, false, 18), (100_000, false, 18), (9_999_000, false, 18), (100_000, true, 28)]
    {
        let url = format!("https://localhost:{}/large", carrying(&socket, most, hangs).port());
        let time = if hangs { "1s" } else { "60s" };
        let output = fetch(out.path(), &[&url, "-o", "x", "--ca", ca, "--idle-timeout", time]);
        assert_code(&output, expected);
        assert_eq!(saved(), b"old", "{most}");
    }
    assert_eq!(names(out.path()), ["upload", "x"]);
}

/// A form is byte for byte curl's, but for the boundary that each makes up.
#[test]
fn a_form_is_the_one_that_curl_sends() {
    let folder = tempfile::tempdir().unwrap();
    let web = support::web::Web::saying(support::web::ok(b""));
    fs::write(folder.path().join("t \"ü\".csv"), "1;2\r\n").unwrap();
    let fields = ["who=Ann & Bob", "empty=", "t=@t \"ü\".csv;type=text/csv"];
    let url = web.url("/x");
    let flags = |name: &'static str| fields.iter().flat_map(move |&field| [name, field]);
    let ours: Vec<&str> = [url.as_str(), "-o", "/dev/null"].into_iter().chain(flags("--form")).collect();
    assert_code(&fetch(folder.path(), &ours), 0);
    // curl takes quotes in a name of a file for its own.
    let quoted = "t=@\"t \\\"ü\\\".csv\";type=text/csv";
    curl(folder.path(), &["-F", fields[0], "-F", fields[1], "-F", quoted, &url]);
    let sent: Vec<String> = web.requests().iter().map(|request| without_boundary(request)).collect();
    assert_eq!(sent[0], sent[1]);
    assert!(
        sent[0].contains("BOUNDARY\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--"),
        "{}",
        sent[0]
    );
}

/// The body of a form.
fn without_boundary(request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let boundary = head.split("boundary=").nth(1).unwrap().lines().next().unwrap();
    body.replace(boundary, "BOUNDARY")
}
