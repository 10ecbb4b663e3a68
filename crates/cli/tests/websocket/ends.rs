//! Transcripts, programs and loads over WebSocket, at either end.

use std::io::{Read, Write};
use std::process::Stdio;

use base64::Engine as _;
use sha1::{Digest, Sha1};

use super::{ASKS, BINARY, CLOSE, PING, PONG, Python, TEXT, code, frame, hear, open};
use crate::support::*;

const WS: &str = "ws://127.0.0.1:0";

/// Lines, bytes and both together, whatever lines end with elsewhere.
const MIXED: &str = "eol crlf\nS: Welcome!\nC: {name=Ann}\nS: Hello, {name}!\nS hex: ff 00\nS raw: two\nC hex: 0a 0b\nC: last\n\
    together\n  S: a\n  S: b\nend\nS closes\n";

fn written(folder: &tempfile::TempDir, content: &str) -> String {
    write(folder.path(), "it.talk", content)
}

#[test]
fn a_line_of_a_transcript_is_a_text_message_and_all_else_is_a_binary_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, MIXED);
    let mut server = Server::start_at(&[WS], &["--play", &file, "--once"]);
    let mut client = open(&server);
    assert_eq!(hear(&mut client), (TEXT, b"Welcome!".to_vec()));
    // A line in pieces, with a ping in between.
    for (first, payload) in [(0x01, &b"Mi"[..]), (PING, b"?"), (0x80, b"a")] {
        client.write_all(&frame(first, payload)).unwrap();
    }
    assert_eq!(hear(&mut client), (PONG, b"?".to_vec()));
    assert_eq!(hear(&mut client), (TEXT, b"Hello, Mia!".to_vec()));
    assert_eq!(hear(&mut client), (BINARY, b"\xff\0".to_vec()));
    assert_eq!(hear(&mut client), (BINARY, b"two".to_vec()));
    // Bytes are a stream; a line may bring its own ending.
    for (first, payload) in [(BINARY, &b"\x0a"[..]), (BINARY, b"\x0b"), (TEXT, b"last\r\n")] {
        client.write_all(&frame(first, payload)).unwrap();
    }
    assert_eq!(hear(&mut client), (TEXT, b"a\nb".to_vec()));
    assert_eq!(hear(&mut client), (CLOSE, code(1000)));
    client.write_all(&frame(CLOSE, &code(1000))).unwrap();
    assert_eq!(to_end(&mut client), b"");
    assert_eq!(server.wait(), 0, "{:#?}", server.log.to_end());
}

#[test]
fn both_ends_of_a_transcript_agree_over_it_with_tls_and_without() {
    let folder = tempfile::tempdir().unwrap();
    for content in [MIXED, "eol none\nC: {a=x}\nS: {a}{a}\n", "gap 50ms\nC: hi\nS: ho\nC closes\n", "S: only\n"] {
        let file = written(&folder, content);
        for scheme in ["ws", "wss"] {
            let mut server = Server::start_at(&[&format!("{scheme}://127.0.0.1:0/it")], &["--play", &file, "--once"]);
            let mut talk = vec![
                "talk".to_owned(),
                format!("{scheme}://{}/it", server.address()),
                "--play".to_owned(),
                file.clone(),
            ];
            if scheme == "wss" {
                talk.extend(["--pin".to_owned(), server.log.pin()]);
            }
            let output = run(&talk, b"");
            assert_code(&output, 0);
            assert_eq!(server.wait(), 0, "{content}: {:#?}", server.log.to_end());
        }
    }
    // The file may name the address itself, and `check` tries it there.
    let file = written(&folder, "at ws://127.0.0.1:7\nC: hi\nS: ho\n");
    let output = run(&["check", &file], b"");
    assert_code(&output, 0);
    assert!(text(&output.stdout).contains("they agree"), "{}", text(&output.stdout));
}

#[test]
fn what_has_no_meaning_over_it_is_refused_before_a_socket_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    for (content, words) in [
        ("C: a\nC stops sending\nS: b\n", "ends in both directions at once"),
        ("C: a\nS: b\nstarttls\nC: c\n", "starttls"),
    ] {
        let file = written(&folder, content);
        for words_of in [vec!["serve", WS, "--play", &file], vec!["talk", "ws://127.0.0.1:1", "--play", &file]] {
            let output = run(&words_of, b"");
            assert_code(&output, 2);
            assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
        }
    }
    let output = run(&["serve", WS, "--files", folder.path().to_str().unwrap()], b"");
    assert_code(&output, 2);
}

#[test]
fn whoever_asks_wrongly_gets_a_status_and_the_next_one_a_conversation() {
    let server = Server::start_at(&["ws://127.0.0.1:0/chat?subprotocol=talk"], &[]);
    let asks = ASKS.replace("GET / ", "GET /chat ").replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: x, talk\r\n\r\n");
    for (from, to, status) in [
        ("GET", "POST", "405"),
        ("HTTP/1.1", "HTTP/1.0", "405"),
        ("/chat", "/other", "404"),
        ("Host: localhost\r\n", "", "400"),
        ("Upgrade: websocket\r\n", "", "426"),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\n", "426"),
        ("Connection: Upgrade\r\n", "Connection: keep-alive\r\n", "426"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", "426"),
        ("Sec-WebSocket-Version: 13\r\n", "", "426"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", "400"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "400"),
        ("x, talk", "x, y", "400"),
    ] {
        assert!(asks.contains(from), "{from}");
        let mut client = server.connect();
        client.write_all(asks.replace(from, to).as_bytes()).unwrap();
        let heard = text(&to_end(&mut client));
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{from} {to}: {heard}");
        assert_eq!(heard.contains("\r\nSec-WebSocket-Version: 13\r\n"), status == "426", "{heard}");
    }
    let mut client = server.connect();
    // A head that does not end.
    let _ = client.write_all(&[&asks.as_bytes()[..40], &[b'a'; 100_000]].concat());
    let mut heard = Vec::new();
    let _ = client.read_to_end(&mut heard);
    assert!(heard.is_empty() || heard.starts_with(b"HTTP/1.1 4"), "{}", text(&heard));
    let mut client = server.connect();
    // The first message may come with the request.
    client.write_all(&[asks.as_bytes(), &frame(TEXT, b"Ann")].concat()).unwrap();
    assert!(head(&mut client).contains("\r\nSec-WebSocket-Protocol: talk\r\n"));
    assert_eq!(hear(&mut client).1, b"Welcome!");
    assert_eq!(hear(&mut client).1, b"Hello, Ann!");
    server.log.wait_for("WebSocket: the client gets 404");
}

#[test]
fn an_end_has_a_code_and_an_end_without_one_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, "C: a\nS: b\nC: c\nS closes\n");
    let server = Server::start_at(&[WS], &["--play", &file]);
    // What came is not what was to come.
    let mut client = open(&server);
    client.write_all(&frame(TEXT, b"wrong")).unwrap();
    assert_eq!(hear(&mut client), (CLOSE, code(1008)));
    // A close early, with a code of its own.
    let mut client = open(&server);
    client.write_all(&[frame(TEXT, b"a"), frame(CLOSE, b"\x0f\xa1enough")].concat()).unwrap();
    assert_eq!(hear(&mut client), (TEXT, b"b".to_vec()));
    assert_eq!(hear(&mut client), (CLOSE, b"\x0f\xa1enough".to_vec()));
    server.log.wait_for("the client closed it with 4001 \"enough\"");
    // No close at all.
    drop(open(&server));
    server.log.wait_for("by reset");
    // A server that is stopped goes away.
    let mut idle = Server::start_at(&[WS], &[]);
    let mut client = open(&idle);
    assert_eq!(hear(&mut client).1, b"Welcome!");
    idle.signal("TERM");
    assert_eq!(hear(&mut client), (CLOSE, code(1001)));
    client.write_all(&frame(CLOSE, &code(1001))).unwrap();
    assert_eq!(to_end(&mut client), b"");
    assert_eq!(idle.wait(), 0);
}

/// What a server answers a key with (RFC 6455, section 4.2.2).
fn accept_of(key: &str) -> String {
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// How a server by hand opens one for a client that asked so.
pub(super) fn opens(asked: &str) -> String {
    let key = asked.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap().trim();
    let accept = accept_of(key);
    format!("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
}

/// A server by hand that does what it is told once it is asked.
fn by_hand(answers: Vec<Vec<u8>>) -> (u16, std::thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        for answer in answers {
            let mut client = accept(&listener);
            let head = opens(&head(&mut client));
            client.write_all(&[head.as_bytes(), &answer].concat()).unwrap();
            let _ = client.shutdown(std::net::Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        }
    });
    (port, serving)
}

#[test]
fn a_client_that_plays_takes_no_broken_end_for_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, "S: hi\nS closes\n");
    let cases: [(&[u8], i32, &str); 7] = [
        (b"\x81\x02hi\x88\x02\x03\xe8", 0, ""),
        (b"\x81\x02hi\x88\x02\x0f\xa1", 0, ""),
        (b"\x81\x02hi\x88\x02\x03\xf3", 56, "the server closed it with 1011"),
        (b"\x81\x02hi", 56, "reset"),
        (b"\x81\x02ho\x88\x02\x03\xe8", 1, "differs"),
        (b"\x88\x02\x03\xe8", 1, "closed"),
        (b"\x81\x82\0\0\0\0hi\x88\x02\x03\xe8", 56, "WebSocket: the peer breaks the protocol"),
    ];
    let (port, serving) = by_hand(cases.iter().map(|(answer, ..)| answer.to_vec()).collect());
    for (answer, exit, words) in cases {
        let output = run(&["talk", &format!("ws://127.0.0.1:{port}"), "--play", &file], b"");
        let said = text(&output.stderr);
        assert_eq!(super::support::code(&output), exit, "{answer:02x?}: {said}");
        assert!(words == "differs" || said.contains(words), "{answer:02x?}: {said}");
    }
    serving.join().unwrap();
    // Where there is none at all.
    let greeter = Server::start(&[]);
    let output = run(&["talk", &format!("ws://127.0.0.1:{}", greeter.port()), "--play", &file], b"");
    assert_code(&output, 22);
}

/// Without a Close frame something may be missing, wherever the end stands; that is no reset.
#[test]
fn a_connection_that_ends_without_a_close_is_cut_short_and_not_reset() {
    let cases: [(&[u8], &str); 4] = [(b"", ""), (b"\x81\x02hi", "hi\n"), (b"\x81\x05hi", ""), (b"\x01\x02hi", "")];
    let (port, serving) = by_hand(cases.iter().map(|(answer, _)| answer.to_vec()).collect());
    for (answer, heard) in cases {
        let output = run(&["talk", &format!("ws://127.0.0.1:{port}"), "--recv-only"], b"");
        assert_code(&output, 56);
        let told = text(&output.stderr);
        assert!(told.contains("(no Close frame, 1006)") && !told.contains("reset"), "{answer:02x?}: {told}");
        assert_eq!(text(&output.stdout), heard, "{answer:02x?}");
    }
    serving.join().unwrap();
    let (mut listener, port, log) = listening("ws://127.0.0.1:0", Stdio::null(), &[]);
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(&[ASKS.as_bytes(), &frame(TEXT, b"hi")].concat()).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(wait(&mut listener), 56);
    let told = log.to_end().join("\n");
    assert!(told.contains("(no Close frame, 1006)") && !told.contains("was reset"), "{told}");
}

/// What the peer still reads is sent, and counted.
#[test]
fn a_peer_that_ends_without_a_close_may_read_on() {
    let input = format!("{:x<999}\n", "").repeat(3000);
    for (more, exit) in [(&[][..], 56), (&["--send-only"], 0), (&["--eol", "crlf"], 56)] {
        let (address, serving) = serve_one(|mut client| {
            let head = opens(&head(&mut client));
            client.write_all(head.as_bytes()).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut lines = 0;
            while let (TEXT, line) = super::hear_client(&mut client) {
                assert_eq!(line.len(), 999);
                lines += 1;
            }
            lines
        });
        let output = run(&[&["talk", &format!("ws://{address}")], more].concat(), input.as_bytes());
        assert_code(&output, exit);
        assert_eq!(serving.join().unwrap(), 3000, "{}", text(&output.stderr));
        let told = text(&output.stderr);
        assert_eq!(
            told.contains("(no Close frame, 1006)") && told.contains("bytes sent, 0 received"),
            exit != 0,
            "{told}"
        );
        assert!(!told.contains("not sent"), "{told}");
    }
}

#[test]
fn a_load_is_made_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, "C: {n=x}\nS: {n}\n");
    let server = Server::start_at(&[WS], &["--echo"]);
    let saved = folder.path().join("run.json").display().to_string();
    let to = format!("ws://{}", server.address());
    let output = run(&["load", &to, "--play", &file, "--plays", "200", "--connections", "5", "--save", &saved], b"");
    assert_code(&output, 0);
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(saved).unwrap()).unwrap();
    assert_eq!((&saved["plays"], &saved["failures"]), (&serde_json::json!(200), &serde_json::json!(0)));
}

#[test]
fn a_program_hears_lines_and_says_messages() {
    let server = Server::start_at(&[WS], &["--exec", "sh -c 'while read line; do echo \"<$line>\"; done; printf end'"]);
    let mut client = open(&server);
    client.write_all(&[frame(TEXT, b"one"), frame(TEXT, b"two")].concat()).unwrap();
    assert_eq!(hear(&mut client), (TEXT, b"<one>".to_vec()));
    assert_eq!(hear(&mut client), (TEXT, b"<two>".to_vec()));
    client.write_all(&frame(CLOSE, &code(1000))).unwrap();
    // What it says behind the end of what it hears goes before the answer.
    assert_eq!(hear(&mut client), (TEXT, b"end".to_vec()));
    assert_eq!(hear(&mut client), (CLOSE, code(1000)));
}

#[test]
fn messages_may_all_be_bytes_of_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, "eol crlf\nC: HELO\nS: 250 ok\nS raw: >\n");
    let server = Server::start_at(&["ws://127.0.0.1:0?binary"], &["--play", &file]);
    let mut client = open(&server);
    client.write_all(&[frame(BINARY, b"HE"), frame(BINARY, b"LO\r"), frame(BINARY, b"\n")].concat()).unwrap();
    assert_eq!(hear(&mut client), (BINARY, b"250 ok\r\n>".to_vec()));
    let output = run(&["talk", &format!("ws://{}?binary", server.address()), "--play", &file], b"");
    assert_code(&output, 0);
}

#[test]
fn talk_listens_for_one() {
    for scheme in ["ws", "wss"] {
        let (mut listening, port, log) = listening(&format!("{scheme}://127.0.0.1:0"), Stdio::piped(), &[]);
        listening.stdin.take().unwrap().write_all(b"from there\n").unwrap();
        let mut words =
            vec!["talk".to_owned(), format!("{scheme}://127.0.0.1:{port}"), "--timeout".to_owned(), "60s".to_owned()];
        if scheme == "wss" {
            words.extend(["--pin".to_owned(), log.pin()]);
        }
        let output = run(&words, b"from here\n");
        assert_code(&output, 0);
        assert_eq!(text(&output.stdout), "from there\n");
        let mut heard = String::new();
        listening.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
        assert_eq!((heard.as_str(), wait(&mut listening)), ("from here\n", 0), "{:#?}", log.to_end());
    }
}

/// What is recorded between two of them is played against either end.
#[test]
fn a_record_of_messages_is_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, MIXED);
    let server = Server::start_at(&[WS], &["--play", &file]);
    let record = folder.path().join("record.talk").display().to_string();
    let mut relay = Server::relay(&[WS, &format!("ws://{}", server.address())], &["--once", "--record", &record]);
    assert_code(&run(&["talk", &format!("ws://{}", relay.address()), "--play", &file], b""), 0);
    assert_eq!(relay.wait(), 0, "{:#?}", relay.log.to_end());
    let recorded = std::fs::read_to_string(&record).unwrap();
    assert!(recorded.contains("\nC: Ann\nS: Hello, Ann!\n"), "{recorded}");
    assert_code(&run(&["talk", &format!("ws://{}", server.address()), "--play", &record], b""), 0);
    let again = Server::start_at(&[WS], &["--play", &record]);
    assert_code(&run(&["talk", &format!("ws://{}", again.address()), "--play", &record], b""), 0);
}

const CLIENT: &str = r#"
import ssl, sys
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed

url, pem = sys.argv[1], sys.argv[2]
context = ssl.create_default_context(cafile=pem) if pem != "-" else None
with connect(url, ssl=context, open_timeout=60) as connection:
    assert connection.recv(timeout=60) == "Welcome!"
    connection.send(["Mi", "a"])
    assert connection.ping().wait(timeout=60)
    assert [connection.recv(timeout=60) for _ in range(3)] == ["Hello, Mia!", b"\xff\x00", b"two"]
    connection.send(b"\x0a\x0b")
    connection.send("last")
    assert connection.recv(timeout=60) == "a\nb"
    try:
        connection.recv(timeout=60)
        raise SystemExit("it goes on")
    except ConnectionClosed as error:
        assert (error.rcvd.code, error.sent.code) == (1000, 1000), error
print("done", flush=True)
"#;

#[test]
fn pythons_client_hears_a_transcript() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, MIXED);
    let authority = peers::Authority::new(folder.path());
    authority.sign(folder.path(), "server", &["localhost"], (2020, 2100));
    let path = |name: &str| folder.path().join(name).display().to_string();
    let secure = format!("wss://127.0.0.1:0?cert={}&key={}", path("server.pem"), path("server.key"));
    for (at, url, pem) in
        [(WS.to_owned(), "ws://127.0.0.1", "-".to_owned()), (secure, "wss://localhost", path("ca.pem"))]
    {
        let mut server = Server::start_at(&[&at], &["--play", &file, "--once"]);
        let url = format!("{url}:{}/", server.port());
        let Some(mut python) = Python::start(CLIENT, &[&url, &pem]) else { return };
        assert_eq!(python.line(), "done");
        python.end();
        assert_eq!(server.wait(), 0, "{:#?}", server.log.to_end());
    }
}

const SERVER: &str = r#"
from websockets.sync.server import serve

def handle(connection):
    for message in connection:
        connection.send(message if isinstance(message, bytes) else message.upper())
        if message == "bye":
            connection.close(1000)

with serve(handle, "127.0.0.1", 0) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"#;

#[test]
fn a_transcript_is_played_to_pythons_server() {
    let Some(mut python) = Python::start(SERVER, &[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, "C: über\nS: ÜBER\nC hex: 00 ff 0a\nS hex: 00 ff 0a\nC: bye\nS: BYE\nS closes\n");
    let to = format!("ws://127.0.0.1:{}/path", python.line());
    assert_code(&run(&["talk", &to, "--play", &file], b""), 0);
    let output = run(&["load", &to, "--play", &file, "--plays", "20"], b"");
    assert_code(&output, 0);
    // A relay keeps text what it was: of bytes it would not be made upper case.
    let relay = Server::relay(&[WS, &to], &[]);
    assert_code(&run(&["talk", &format!("ws://{}", relay.address()), "--play", &file], b""), 0);
}
