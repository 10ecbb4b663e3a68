//! `sockeye load URL`: pages asked for over HTTP/1.1, with status and length of each answer checked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use support::load::*;
use support::peers::{Peer, nginx};
use support::*;

#[test]
fn a_page_is_asked_for_and_the_status_and_length_of_each_answer_are_checked() {
    let folder = Folder::new();
    let ok = |_: usize, _: &str| b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    let chunked = |_: usize, _: &str| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n".to_vec()
    };
    let closing = |number: usize, _: &str| match number % 3 {
        2 => b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".to_vec(),
        _ => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    };
    let to_end = |_: usize, _: &str| b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end".to_vec();
    for (url, more) in [
        (web(ok), &[][..]),
        (web(ok), &["--pipeline", "16"]),
        (web(ok), &["--rate", "1000"]),
        (web(ok), &["--reconnect"]),
        (web(chunked), &["--pipeline", "3"]),
        (web(closing), &[]),
        (web(closing), &["--pipeline", "8"]),
        (web(to_end), &[]),
    ] {
        let arguments = [&url as &str, "--plays", "200", "--connections", "4"];
        let (output, figures) = folder.load(&[&arguments[..], more].concat());
        assert_code(&output, 0);
        let counts = ["plays", "exchanges", "failures"].map(|name| count(&figures, name));
        assert_eq!(counts, [200, 200, 0], "{more:?} {}", both(&output));
    }
}

#[test]
fn answers_over_http_that_are_wrong_are_failures_of_their_kind() {
    let folder = Folder::new();
    let missing = |_: usize, _: &str| b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n".to_vec();
    let cut = |_: usize, _: &str| b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut".to_vec();
    let garbage = |_: usize, _: &str| b"220 mail.example ready\r\n\r\n".to_vec();
    let nothing = |_: usize, _: &str| vec![];
    let more = |_: usize, _: &str| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello".to_vec();
    for (url, kind, says) in [
        (web(missing), "differs", "the server answered `HTTP/1.1 404 Not Found`"),
        (web(cut), "closed_early", "in the middle of an answer"),
        (web(garbage), "differs", "no answer of HTTP/1.1"),
        (web(nothing), "closed_early", "without an answer"),
        (web(more), "unexpected_data", "was not asked for"),
    ] {
        let (output, figures) = folder.load(&[&url, "--plays", "20", "--connections", "2"]);
        assert_code(&output, 1);
        assert!(count(&figures, "failures") > 0, "{}", both(&output));
        let told = both(&output);
        assert!(told.contains(&format!("failed at GET /page: {kind};")) && told.contains(says), "{kind}: {told}");
    }
    // What is asked for decides.
    let (output, _) = folder.load(&[&web(missing), "--plays", "20", "--status", "404"]);
    assert_code(&output, 0);
}

#[test]
fn a_request_is_sent_as_it_was_asked_for() {
    let folder = Folder::new();
    let heard = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&heard);
    let url = web(move |_, head| {
        head.clone_into(&mut told.lock().unwrap());
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    let arguments = [&url as &str, "--plays", "1", "-X", "DELETE", "-H", "X-Own: yes", "-H", "Accept:"];
    assert_code(&folder.load(&arguments).0, 0);
    let heard = heard.lock().unwrap();
    assert!(heard.starts_with("DELETE /page HTTP/1.1\r\n") && heard.contains("\r\nX-Own: yes\r\n"), "{heard}");
    assert!(!heard.contains("Accept"), "{heard}");
}

#[test]
fn nginx_that_closes_connections_after_some_requests_makes_no_failures() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("www")).unwrap();
    folder.file("www/page.txt", "hello\n");
    let log = folder.path("log");
    let server = format!(
        "access_log {}; keepalive_requests 7; keepalive_timeout 1; location /none {{ return 204; }} \
         location /moved {{ return 302 /page.txt; }} location /old {{ return 304; }} location /missing {{ return 404; }}",
        log.display()
    );
    let nginx = nginx(folder.0.path(), &server);
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", nginx.port);
    let page = url("/page.txt");
    for (target, more) in [
        (page.clone(), &[][..]),
        (page.clone(), &["--pipeline", "3"]),
        (page.clone(), &["--pipeline", "16"]),
        (page.clone(), &["--pipeline", "7", "--threads", "2"]),
        (page.clone(), &["-X", "HEAD"]),
        (page.clone(), &["-X", "HEAD", "--pipeline", "9"]),
        (page.clone(), &["--reconnect"]),
        (page.clone(), &["--rate", "2000", "--arrivals", "poisson"]),
        (page, &["-H", "Connection: close"]),
        (url("/old"), &["--status", "304", "--pipeline", "5"]),
        (url("/none"), &["--pipeline", "5", "--status", "204"]),
        (url("/moved"), &["--pipeline", "5"]),
        (url("/missing"), &["--pipeline", "5", "--status", "404"]),
    ] {
        let arguments = [&target as &str, "--plays", "300", "--connections", "4"];
        let (output, figures) = folder.load(&[&arguments[..], more].concat());
        assert_eq!((code(&output), &target, more), (0, &target, more), "{}", both(&output));
        assert_eq!(
            ["plays", "exchanges", "failures"].map(|name| count(&figures, name)),
            [300, 300, 0],
            "{target} {more:?}"
        );
    }
    // All of them came: nginx counted, too.
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.lines().count() >= 13 * 300, "{}", log.lines().count());
    // Between two requests the server may close, as it is idle too long: that is no failure.
    let arguments = [&url("/page.txt") as &str, "--plays", "4", "--connections", "2", "--think", "1500ms"];
    let (output, figures) = folder.load(&arguments);
    assert_code(&output, 0);
    assert_eq!(["exchanges", "failures"].map(|name| count(&figures, name)), [4, 0], "{}", both(&output));
}

#[test]
fn servers_of_python_are_read_in_each_way_that_they_answer() {
    need("python3");
    let folder = Folder::new();
    let script = "
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        body = b'hello, ' * 100
        self.send_response(200)
        if self.path == '/chunked':
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            for at in range(0, len(body), 33):
                piece = body[at:at + 33]
                self.wfile.write(b'%x\\r\\n%s\\r\\n' % (len(piece), piece))
            self.wfile.write(b'0\\r\\nTrailer: yes\\r\\n\\r\\n')
        elif self.path == '/end':
            self.send_header('Connection', 'close')
            self.end_headers()
            self.wfile.write(body)
        else:
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)
    def do_POST(self):
        length = int(self.headers['Content-Length'])
        self.send_response_only(100)
        self.end_headers()
        body = self.rfile.read(length)
        self.send_response(201)
        self.send_header('Content-Length', str(length))
        self.end_headers()
        self.wfile.write(body)
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128
Handler.protocol_version = sys.argv[1]
server = Server(('127.0.0.1', 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"
    .replace("\\\\", "\\");
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let mut command = Command::new("python3");
        let mut child = command.args(["-c", &script, version]).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let mut failed = Vec::new();
        for (path, more) in [
            ("/length", &[][..]),
            ("/chunked", &[]),
            ("/end", &[]),
            ("/length", &["--pipeline", "4"]),
            ("/chunked", &["--pipeline", "4"]),
            ("/length", &["--data", "k=v", "--status", "201"]),
            ("/length", &["--data", "k=v", "--status", "201", "--pipeline", "4"]),
        ] {
            if version == "HTTP/1.0" && path == "/chunked" {
                continue;
            }
            let url = format!("http://127.0.0.1:{}{path}", port.trim());
            let arguments = [&url as &str, "--plays", "60", "--connections", "3"];
            let (output, figures) = folder.load(&[&arguments[..], more].concat());
            if code(&output) != 0 || count(&figures, "exchanges") != 60 {
                failed.push(format!("{version} {path} {more:?}: {}", both(&output)));
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        assert!(failed.is_empty(), "{}", failed.concat());
    }
}

#[test]
fn answers_that_only_tell_that_one_is_coming_are_read_over_however_they_are_cut() {
    let folder = Folder::new();
    let early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let whole: Vec<u8> = [&early[..], b"HTTP/1.1 100 Continue\r\n\r\n", ok].concat();
    let all = move |number: usize, _: &str| if number.is_multiple_of(2) { whole.clone() } else { ok.to_vec() };
    // A byte at a time, so that no read ends where an answer does.
    let slow = serve_each(move |stream, _| {
        stream.set_nodelay(true).unwrap();
        answer_lines(&stream, |line| {
            if line.is_empty() {
                for byte in [&early[..], ok].concat() {
                    (&stream).write_all(&[byte]).unwrap();
                }
            }
            Some(String::new())
        });
    })
    .0;
    let switching =
        web(|_, _| b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec());
    for (url, more) in [
        (web(all.clone()), &[][..]),
        (web(all), &["--pipeline", "6"]),
        (format!("http://{slow}/"), &[]),
        (format!("http://{slow}/"), &["--pipeline", "6"]),
    ] {
        let arguments = [&url as &str, "--plays", "60", "--connections", "3"];
        let (output, figures) = folder.load(&[&arguments[..], more].concat());
        assert_code(&output, 0);
        assert_eq!(["exchanges", "failures"].map(|name| count(&figures, name)), [60, 0], "{more:?}");
    }
    // Another protocol is no answer that is still to come.
    let (output, _) = folder.load(&[&switching, "--plays", "3", "--connections", "1", "--timeout", "5s"]);
    assert_code(&output, 1);
    assert!(both(&output).contains("`HTTP/1.1 101 Switching Protocols`"), "{}", both(&output));
}

#[test]
fn a_server_that_speaks_another_protocol_is_told_at_once() {
    let folder = Folder::new();
    let says = |first: &'static [u8]| {
        let (address, _) = serve_each(move |mut stream, _| {
            let _ = stream.write_all(first);
            while std::io::Read::read(&mut stream, &mut [0; 1000]).is_ok_and(|length| length > 0) {}
        });
        format!("http://{address}/")
    };
    // With no end of a head, there is nothing to wait for: the test would last for minutes.
    for (url, kind, words) in [
        (says(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80"), "differs", "it is HTTP/2, and load asks over HTTP/1.1 alone"),
        (says(b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01"), "differs", "it is HTTP/2"),
        (says(b"220 mail.example ready\r\n"), "differs", "it does not begin with HTTP/1.1 and a status"),
        (says(b"HTTP/2 200\r\n"), "differs", "it does not begin with HTTP/1.1 and a status"),
        (says(b"H"), "nothing_came", "an answer began, and no more of it came for 0.4 s"),
        (
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"),
            "nothing_came",
            "an answer began, and no more of it came",
        ),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha"), "nothing_came", "an answer began"),
    ] {
        let timeout = if kind == "differs" { "1h" } else { "400ms" };
        let (output, figures) = folder.load(&[&url, "--plays", "6", "--connections", "2", "--timeout", timeout]);
        assert_code(&output, if kind == "differs" { 1 } else { 28 });
        assert_eq!((count(&figures, "failures"), &figures["errors"][0]["kind"]), (6, &kind.into()));
        assert!(both(&output).contains(words), "{words}: {}", both(&output));
    }
    need("nghttpd");
    let server = Peer::start(|port| {
        let mut command = Command::new("nghttpd");
        command.args(["--no-tls", "-d", "/", &port.to_string()]);
        command
    });
    let url = format!("http://127.0.0.1:{}/", server.port);
    let output = run(&["load", &url, "--plays", "6", "--connections", "2"], b"");
    assert_code(&output, 1);
    assert!(both(&output).contains("it is HTTP/2, and load asks over HTTP/1.1 alone"), "{}", both(&output));
    for flag in ["--http2", "--h2", "--http3"] {
        let output = run(&["load", "http://127.0.0.1:1/", flag], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("`sockeye load` asks over HTTP/1.1 alone"), "{}", both(&output));
    }
}
