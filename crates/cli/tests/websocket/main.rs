//! WebSocket at every end, against other people's: Python's `websockets` and Chromium, both ways.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod ends;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::browser::Browser;
use support::*;

const ANY: &str = "tcp://127.0.0.1:0";

/// A relay from WebSocket to a listener of ours.
fn from_websocket(more: &[&str]) -> (Server, TcpListener) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    (Server::relay(&["ws://127.0.0.1:0", &server.local_addr().unwrap().to_string()], more), server)
}

/// A client by hand, with which frames can be sent that no library sends.
fn open(server: &Server) -> TcpStream {
    let mut client = server.connect();
    client.write_all(ASKS.as_bytes()).unwrap();
    assert!(head(&mut client).contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    client
}

/// A frame of a client: its first byte and what it holds, under a mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..65_536 => {
            frame.push(0xfe);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0xff);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame of a server: its first byte, and what it holds.
fn hear(client: &mut TcpStream) -> (u8, Vec<u8>) {
    let begun = read(client, 2);
    let length = match begun[1] {
        126 => u64::from(u16::from_be_bytes(read(client, 2).try_into().unwrap())),
        127 => u64::from_be_bytes(read(client, 8).try_into().unwrap()),
        length => u64::from(length),
    };
    (begun[0], read(client, usize::try_from(length).unwrap()))
}

/// A frame of a client: the same, taken out of its mask.
fn hear_client(server: &mut TcpStream) -> (u8, Vec<u8>) {
    let begun = read(server, 2);
    let length = match begun[1] & 0x7f {
        126 => usize::from(u16::from_be_bytes(read(server, 2).try_into().unwrap())),
        length => usize::from(length),
    };
    let mask = read(server, 4);
    let payload = read(server, length);
    (begun[0], payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect())
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// What a frame of a close holds.
fn code(number: u16) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

#[test]
fn what_a_client_says_in_messages_arrives_as_bytes_and_back() {
    let (relay, server) = from_websocket(&["--once"]);
    let mut client = open(&relay);
    let mut accepted = accept(&server);
    // A text in two pieces with a ping in between, and a binary message; the mask is of zeros.
    client.write_all(b"\x01\x82\0\0\0\0he\x89\x81\0\0\0\0!\x80\x83\0\0\0\0llo\x82\x82\0\0\0\0\xff\0").unwrap();
    assert_eq!(read(&mut accepted, 7), b"hello\xff\0");
    assert_eq!(read(&mut client, 3), b"\x8a\x01!");
    accepted.write_all(b"back").unwrap();
    assert_eq!(read(&mut client, 6), b"\x82\x04back");
    client.write_all(b"\x88\x82\0\0\0\0\x03\xe8").unwrap();
    assert_eq!(to_end(&mut accepted), b"");
    accepted.write_all(b"late").unwrap();
    drop(accepted);
    // It answers the close at once, and what comes behind its own close is nothing.
    assert_eq!(read(&mut client, 4), b"\x88\x02\x03\xe8");
    let _ = client.read_to_end(&mut Vec::new());
    drop(client);
    let mut relay = relay;
    relay.wait();
    assert!(relay.log.to_end().iter().any(|line| line.contains("listening on ws://127.0.0.1:")));
}

#[test]
fn an_end_is_a_close_and_a_reset_is_one_on_both_sides() {
    let (relay, server) = from_websocket(&[]);
    let mut client = open(&relay);
    drop(accept(&server));
    assert_eq!(to_end(&mut client), b"\x88\x02\x03\xe8");
    // A stream that ends without a close is broken (code 1006).
    let client = open(&relay);
    let mut accepted = accept(&server);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(accepted.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut client = open(&relay);
    let accepted = accept(&server);
    rustix::net::sockopt::set_socket_linger(&accepted, Some(Duration::ZERO)).unwrap();
    drop(accepted);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn whoever_breaks_the_protocol_is_told_by_which_code_and_the_server_is_reset() {
    for (frame, code) in [
        (&b"\x81\x01x"[..], 1002_u16),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\xf1\x81\0\0\0\0x", 1002),
        (b"\x82\xff\0\0\0\x01\0\0\0\0\0\0\0\0", 1009),
    ] {
        let (relay, server) = from_websocket(&[]);
        let mut client = open(&relay);
        let mut accepted = accept(&server);
        client.write_all(frame).unwrap();
        let heard = read(&mut client, 4);
        assert_eq!((heard[0], u16::from_be_bytes([heard[2], heard[3]])), (0x88, code), "{frame:?}");
        assert_eq!(accepted.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        relay.log.wait_for("WebSocket: ");
    }
}

#[test]
fn a_client_that_asks_for_no_websocket_is_told_so_and_no_server_hears_of_it() {
    let (relay, server) = from_websocket(&[]);
    for (asks, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "426"),
        ("hello\r\n", "400"),
        (&ASKS.replace(": 13", ": 12"), "426"),
    ] {
        let mut client = relay.connect();
        client.write_all(asks.as_bytes()).unwrap();
        let mut heard = Vec::new();
        let _ = client.read_to_end(&mut heard);
        assert!(heard.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{asks}: {}", text(&heard));
    }
    server.set_nonblocking(true).unwrap();
    assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    relay.log.wait_for("WebSocket: the client gets 426 Upgrade Required");
}

#[test]
fn a_server_that_speaks_no_websocket_is_said_in_words() {
    let site = tempfile::tempdir().unwrap();
    let files = Server::start_at(&["http://127.0.0.1:0"], &["--files", site.path().to_str().unwrap()]);
    let greeter = Server::start_at(&[ANY], &[]);
    for (to, words) in [
        (format!("ws://{}/nothing", files.address()), "the server says no: 404"),
        (format!("ws://{}", greeter.address()), "the server does not speak HTTP"),
    ] {
        let mut relay = Server::relay(&[ANY, &to], &["--once", "--json"]);
        let mut client = relay.connect();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        relay.log.wait_for(words);
        assert!(relay.log.wait_for("\"kind\":").contains("no_websocket"));
        assert_eq!(relay.wait(), 22);
        let output = run(&["talk", &to], b"");
        assert_code(&output, 22);
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

/// A program in Python with `websockets`, and the lines that it says.
struct Python {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Python {
    fn start(script: &str, words: &[&str]) -> Option<Self> {
        let mut command = Command::new(packages::python("websockets", "websockets")?);
        command.args(["-u", "-c", script]).args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, said })
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn end(mut self) {
        let code = wait(&mut self.child);
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert_eq!(code, 0, "{rest}");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SERVER: &str = r#"
from websockets.sync.server import serve
import sys

def handle(connection):
    print("path", connection.request.path, connection.subprotocol, flush=True)
    for message in connection:
        if message == "bye":
            connection.close(4001, "enough")
            return
        connection.send(message)
    print("closed", connection.close_code, flush=True)

with serve(handle, "127.0.0.1", 0, subprotocols=["chat"] if "chat" in sys.argv else None) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"#;

/// The server of `websockets`: a relay leads bytes there and back, 3 MB of them, and `talk` lines.
#[test]
fn pythons_server_is_led_to_and_talked_to() {
    let Some(mut python) = Python::start(SERVER, &["chat"]) else { return };
    let port = python.line();
    let to = format!("ws://127.0.0.1:{port}/some/path?a=b&c=d&subprotocol=other,chat");
    let mut relay = Server::relay(&[ANY, &to], &["--once"]);
    let mut client = relay.connect();
    let said: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(31) >> 3) as u8).collect();
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn({
        let said = said.clone();
        move || writer.write_all(&said).unwrap()
    });
    assert!(read(&mut client, said.len()) == said);
    writing.join().unwrap();
    assert_eq!(python.line(), "path /some/path?a=b&c=d chat");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"");
    assert_eq!(python.line(), "closed 1000");
    assert_eq!(relay.wait(), 0, "{:#?}", relay.log.to_end());

    let output = run(&["talk", &to, "--timeout", "60s"], "first\nsecond ü\nlast without an ending".as_bytes());
    assert_code(&output, 0);
    assert_eq!(text(&output.stdout), "first\nsecond ü\nlast without an ending\n");
    assert_eq!([python.line(), python.line()], ["path /some/path?a=b&c=d chat", "closed 1000"]);
    let output = run(&["talk", &format!("ws://127.0.0.1:{port}?subprotocol=chat")], b"one\nbye\n");
    assert_eq!(text(&output.stdout), "one\n", "{}", text(&output.stderr));
    // A close with a code of its own is an end, and is said.
    let mut relay = Server::relay(&[ANY, &format!("ws://127.0.0.1:{port}?binary=off&subprotocol=chat")], &["--once"]);
    let mut client = relay.connect();
    client.write_all(b"a line\nbye\n").unwrap();
    assert_eq!(to_end(&mut client), b"a line\n");
    drop(client);
    assert_eq!(relay.wait(), 18);
    assert!(relay.log.to_end().iter().any(|line| line.contains("the server closed with 4001 \"enough\"")));
}

const CLIENT: &str = r#"
import ssl, sys
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

url, pem = sys.argv[1], sys.argv[2]
context = ssl.create_default_context(cafile=pem) if pem != "-" else None
with connect(url, ssl=context, max_size=None, open_timeout=60) as connection:
    connection.send("Michael\n")
    heard = b""
    while b"Michael" not in heard:
        heard += connection.recv(timeout=60)
    assert heard == b"Welcome!\nHello, Michael!\n" or b"Michael" in heard, heard
    connection.send(b"exit\n")
    try:
        while True:
            connection.recv(timeout=60)
    except ConnectionClosed as error:
        assert error.rcvd.code == 1000, error
try:
    connect(url + "elsewhere", ssl=context)
    raise SystemExit("it opens")
except InvalidStatus as error:
    assert error.response.status_code == 404, error
print("done", flush=True)
"#;

/// A client over TCP that says all and then hears: the answers come, however they do.
#[test]
fn what_a_server_still_says_arrives_behind_the_end_of_its_client() {
    let Some(mut python) = Python::start(SERVER, &[]) else { return };
    let port = python.line();
    let mut relay = Server::relay(&[ANY, &format!("ws://127.0.0.1:{port}")], &["--once"]);
    let mut client = relay.connect();
    client.write_all(&[7; 500_000]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(to_end(&mut client) == [7; 500_000]);
    assert_eq!([python.line(), python.line()], ["path / None", "closed 1000"]);
    assert_eq!(relay.wait(), 0, "{:#?}", relay.log.to_end());
}

const THINKS: &str = r#"
import socket, sys, time
from websockets.sync.server import serve

def handle(connection):
    if connection.request.path == "/greets":
        connection.send(b"hello ")
    for word in connection:
        time.sleep(2)
        connection.send(b"late")
with serve(handle, "127.0.0.1", 0) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"#;

/// Row 19 of the list of faults, for a server that knows no half-close: an answer that is thought about for 2 s is waited for.
#[test]
fn an_answer_that_is_thought_about_arrives_behind_the_end_of_its_client() {
    let Some(mut python) = Python::start(THINKS, &[]) else { return };
    let port = python.line();
    let to = format!("ws://127.0.0.1:{port}");
    // A greeting that was heard before is no answer.
    let relay = Server::relay(&[ANY, &format!("{to}/greets")], &[]);
    let mut client = relay.connect();
    assert_eq!(read(&mut client, 6), b"hello ");
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(to_end(&mut client), b"late");
    for from in [ANY, "tls://127.0.0.1:0"] {
        let relay = Server::relay(&[from, &to], &[]);
        let at = match from {
            ANY => format!("tcp://{}", relay.address()),
            _ => format!("tls://{}?pin={}", relay.address(), relay.log.pin()),
        };
        let output = run(&["talk", &at], b"question");
        assert_eq!(text(&output.stdout), "late", "{from}: {}", text(&output.stderr));
    }
    let output = run(&["relay", "stdio", &to], b"question");
    assert_eq!(text(&output.stdout), "late", "{}", text(&output.stderr));
}

/// A side that is told an end says no more: a server is told its client's once it has been quiet for a second behind that, however
/// long it was quiet before.
#[test]
fn a_server_has_time_for_an_answer_before_it_is_told_the_end_of_its_client() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&[ANY, &format!("ws://{}", server.local_addr().unwrap())], &[]);
    let mut client = relay.connect();
    let mut served = accept(&server);
    let asked = head(&mut served);
    served.write_all(ends::opens(&asked).as_bytes()).unwrap();
    client.write_all(b"question").unwrap();
    assert_eq!(hear_client(&mut served), (BINARY, b"question".to_vec()));
    served.write_all(b"\x82\x06answer").unwrap();
    assert_eq!(read(&mut client, 6), b"answer");
    // A client that thinks for longer than a server is waited for.
    std::thread::sleep(Duration::from_millis(1200));
    let ended = Instant::now();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(hear_client(&mut served).0, CLOSE);
    // A busy machine may be late, and never early.
    assert!(ended.elapsed() >= Duration::from_secs(1), "{:?}", ended.elapsed());
}

/// Bytes that stand in the two ends of a connection on this host and were not read: proc(5) has what was not acknowledged of the
/// one, and what was not read of the other.
fn on_its_way(from: u16, to: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    let queues = |own: u16, other: u16| {
        let (own, other) = (format!(":{own:04X}"), format!(":{other:04X}"));
        let row = rows.iter().find(|row| row[1].ends_with(&own) && row[2].ends_with(&other)).unwrap();
        let (sent, came) = row[4].split_once(':').unwrap();
        [sent, came].map(|count| usize::from_str_radix(count, 16).unwrap())
    };
    queues(from, to)[0] + queues(to, from)[1]
}

/// The same for one that is slow to hear: its time begins once all that was said is on its way to it.
#[test]
fn a_server_that_reads_late_has_the_same_time_for_its_answer() {
    const SAID: usize = 30_000;
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&server, 4096).unwrap();
    let to = server.local_addr().unwrap();
    let relay = Server::relay(&[ANY, &format!("ws://{to}?sndbuf=4096")], &[]);
    let mut client = relay.connect();
    let mut served = accept(&server);
    let asked = head(&mut served);
    served.write_all(ends::opens(&asked).as_bytes()).unwrap();
    client.write_all(&[7; SAID]).unwrap();
    let far = served.peer_addr().unwrap().port();
    until("all that finds room", || on_its_way(far, to.port()) > 0);
    wait_until_idle(relay.child.id());
    let room = on_its_way(far, to.port());
    assert!(room < SAID, "{room}: nothing waits in the relay");
    // It says something, and hears nothing meanwhile.
    served.write_all(b"\x82\x04wait").unwrap();
    assert_eq!(read(&mut client, 4), b"wait");
    client.shutdown(Shutdown::Write).unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    let began = Instant::now();
    let mut heard = 0;
    while heard < SAID {
        heard += hear_client(&mut served).1.len();
    }
    assert_eq!(hear_client(&mut served).0, CLOSE);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

/// What came together with a client's handshake is for a server, and waits until that has opened its own.
#[test]
fn a_message_behind_a_handshake_is_passed_on_behind_another_one() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Server::relay(&["ws://127.0.0.1:0", &format!("ws://{}", server.local_addr().unwrap())], &[]);
    let mut client = relay.connect();
    client.write_all(&[ASKS.as_bytes(), &frame(TEXT, b"hello")].concat()).unwrap();
    let mut served = accept(&server);
    let asked = head(&mut served);
    wait_until_idle(relay.child.id());
    assert_silent(&served);
    served.write_all(ends::opens(&asked).as_bytes()).unwrap();
    assert_eq!(hear_client(&mut served), (TEXT, b"hello".to_vec()));
}

/// The client of `websockets`, over TLS and without.
#[test]
fn pythons_client_is_led_to_the_greeting() {
    let greeter = Server::start_at(&[ANY], &[]);
    let folder = tempfile::tempdir().unwrap();
    let authority = peers::Authority::new(folder.path());
    authority.sign(folder.path(), "server", &["localhost"], (2020, 2100));
    let path = |name: &str| folder.path().join(name).display().to_string();
    let secure = format!("wss://127.0.0.1:0/chat?cert={}&key={}", path("server.pem"), path("server.key"));
    for (from, url, pem) in [
        ("ws://127.0.0.1:0/chat".to_owned(), "ws://127.0.0.1", "-".to_owned()),
        (secure, "wss://localhost", path("ca.pem")),
    ] {
        let relay = Server::relay(&[&from, &greeter.address()], &[]);
        let url = format!("{url}:{}/chat", relay.port());
        let Some(mut python) = Python::start(CLIENT, &[&url, &pem]) else { return };
        assert_eq!(python.line(), "done");
        python.end();
    }
}

/// A page in Chromium talks with a server of lines.
#[test]
fn a_browser_opens_one_and_hears_the_greeting() {
    let greeter = Server::start_at(&[ANY], &[]);
    let relay = Server::relay(&["ws://127.0.0.1:0?binary=off", &greeter.address()], &[]);
    let site = tempfile::tempdir().unwrap();
    std::fs::write(site.path().join("index.html"), "<!doctype html><title>x</title>").unwrap();
    let files = Server::start_at(&["http://127.0.0.1:0"], &["--files", site.path().to_str().unwrap()]);
    let browser = Browser::start();
    browser.open(&format!("http://{}/", files.address()));
    let heard = browser.eval_until_done(&format!(
        "const heard = [], socket = new WebSocket('ws://{}/');
        socket.onmessage = event => {{
            heard.push(event.data);
            if (heard.length == 1) socket.send('Michael');
            if (heard.length == 2) socket.send('exit');
        }};
        socket.onclose = event => done([...heard, event.code, event.wasClean]);",
        relay.address()
    ));
    let heard = heard.as_array().unwrap();
    assert_eq!(heard[..2], ["Welcome!", "Hello, Michael!"], "{heard:?}");
    assert_eq!(heard[heard.len() - 2..], [serde_json::json!(1000), serde_json::json!(true)], "{heard:?}");
}

/// Behind its answer to a close an end says nothing more (RFC 6455, section 5.5.1): what there is to say then was not sent.
#[test]
fn what_is_said_behind_a_close_was_not_sent() {
    let (mut talk, port, log) = listening("ws://127.0.0.1:0", Stdio::piped(), &[]);
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(ASKS.as_bytes()).unwrap();
    head(&mut client);
    let mut stdin = talk.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    assert_eq!(hear(&mut client).1, b"one");
    client.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
    assert_eq!(hear(&mut client).0, 0x88);
    stdin.write_all(b"two\n").unwrap();
    drop(stdin);
    assert_eq!(wait(&mut talk), 56);
    log.wait_for(" bytes of standard input were not sent");
    assert_eq!(to_end(&mut client), b"");

    let (mut relay, server) = from_websocket(&["--once"]);
    let mut client = open(&relay);
    client.write_all(&frame(0x81, b"one")).unwrap();
    let mut server = accept(&server);
    assert_eq!(read(&mut server, 3), b"one");
    client.write_all(&frame(0x88, &1000_u16.to_be_bytes())).unwrap();
    assert_eq!(to_end(&mut server), b"");
    server.write_all(b"two\n").unwrap();
    drop(server);
    relay.log.wait_for("4 bytes did not arrive");
    assert_ne!(relay.wait(), 0);
}
