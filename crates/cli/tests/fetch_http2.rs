//! `fetch` from a server of HTTP/2 whose every frame the test chooses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use support::http2::frame;
use support::peers::Authority;
use support::web::{fetch, names};
use support::{assert_code, code, text, with_enough_time};

type Stream = StreamOwned<ServerConnection, std::net::TcpStream>;

// Kinds of frames and their flags (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const UNKNOWN: u8 = 99;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The head of an answer with the status 200 and perhaps a length (RFC 7541, sections 6.1 and 6.2.2).
fn head(length: Option<usize>) -> Vec<u8> {
    let mut block = vec![0x88];
    if let Some(length) = length {
        let digits = length.to_string();
        block.extend([0x0f, 0x0d, u8::try_from(digits.len()).unwrap()]);
        block.extend(digits.as_bytes());
    }
    frame(HEADERS, END_HEADERS, 1, &block)
}

/// One that answers the first stream of each connection with these frames; its URL.
struct Http2 {
    url: String,
    ca: String,
}

impl Http2 {
    fn start(folder: &Path, answer: impl Fn(&mut Stream) + Send + Sync + 'static) -> Self {
        Self::start_speaking(folder, &["h2"], answer)
    }

    fn start_speaking(folder: &Path, protocols: &[&str], answer: impl Fn(&mut Stream) + Send + Sync + 'static) -> Self {
        Authority::new(folder).sign(folder, "server", &["localhost"], (2020, 2120));
        let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/page", listener.local_addr().unwrap().port());
        // It ends with the process.
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let mut stream = Stream::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
                while stream.conn.is_handshaking() {
                    if stream.conn.complete_io(&mut stream.sock).is_err() {
                        break;
                    }
                }
                let is_asked = match stream.conn.alpn_protocol() {
                    Some(b"http/1.1") => stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0),
                    _ => until_asked(&mut stream).is_some(),
                };
                if is_asked {
                    answer(&mut stream);
                    // What is still under way to us is no reason for a reset.
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            }
        });
        Self { url, ca: folder.join("ca.pem").display().to_string() }
    }

    fn saying(folder: &Path, frames: &[Vec<u8>]) -> Self {
        let frames = frames.concat();
        Self::start(folder, move |stream| drop(stream.write_all(&frames)))
    }

    fn fetch(&self, folder: &Path, arguments: &[&str]) -> std::process::Output {
        fetch(folder, &[&[self.url.as_str(), "--ca", &self.ca], arguments].concat())
    }
}

/// Greets, and reads until the head of a request has come.
fn until_asked(stream: &mut Stream) -> Option<()> {
    stream.write_all(&[frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat()).ok()?;
    stream.read_exact(&mut [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()]).ok()?;
    loop {
        let mut beginning = [0; 9];
        stream.read_exact(&mut beginning).ok()?;
        let [a, b, c, kind, ..] = beginning;
        stream.read_exact(&mut vec![0; u32::from_be_bytes([0, a, b, c]) as usize]).ok()?;
        if kind == HEADERS {
            return Some(());
        }
    }
}

/// That nothing went wrong is what a server says that has answered before it heard the whole request (RFC 9113, section
/// 8.1), and says nothing of an answer without its end.
#[test]
fn a_stream_that_is_ended_without_its_end_is_cut_whatever_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let reset = frame(RESET, 0, 1, &0_u32.to_be_bytes());
    // No stream is served, and nothing is wrong.
    let leaving = frame(GOAWAY, 0, 0, &[0; 8]);
    let some = || frame(DATA, 0, 1, &[b'x'; 100]);
    for (length, of) in [(Some(1000), " of 1000"), (None, "")] {
        for ending in [&reset, &leaving] {
            for more in [&[][..], &["--resume"], &["-o", "-"]] {
                let server = Http2::saying(folder.path(), &[head(length), some(), ending.clone()]);
                let output = server.fetch(out.path(), more);
                assert_code(&output, 18);
                let says = format!("the answer ended before its end: 100 bytes of the body came{of}");
                assert!(text(&output.stderr).contains(&says), "{}", text(&output.stderr));
                assert!(names(out.path()).is_empty());
            }
        }
    }
    let server = Http2::saying(folder.path(), &[head(Some(1000)), frame(DATA, END_STREAM, 1, &[b'x'; 100])]);
    assert!(matches!(code(&server.fetch(out.path(), &[])), 18 | 56));
    assert!(names(out.path()).is_empty());
}

/// The other way round: what came with its end is whole and kept, though the server wants no more of the request; and what was
/// not sent is said.
#[test]
fn an_answer_that_is_whole_before_the_request_is_counts() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    // More than fits into the window that is never opened.
    fs::write(out.path().join("request"), vec![b'r'; 1_000_000]).unwrap();
    let whole = [head(Some(100)), frame(DATA, END_STREAM, 1, &[b'x'; 100]), frame(RESET, 0, 1, &0_u32.to_be_bytes())];
    // Behind it may stand fields: `a: b`.
    let trailer = frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\0\x01a\x01b");
    let with_trailer = [head(None), frame(DATA, 0, 1, &[b'x'; 100]), trailer];
    for (frames, more, expected) in [(&whole, &["--data", "@request"][..], 55), (&with_trailer, &[], 0)] {
        let server = Http2::saying(folder.path(), frames);
        let output = server.fetch(out.path(), &[more, &["-o", "page"]].concat());
        assert_code(&output, expected);
        let says = " of 1000000 bytes of the upload were sent";
        assert_eq!(text(&output.stderr).contains(says), expected == 55, "{}", text(&output.stderr));
        assert_eq!(fs::read(out.path().join("page")).unwrap(), [b'x'; 100]);
    }
}

/// Frames that carry nothing are no bytes of a body.
#[test]
fn frames_without_end_and_without_a_body_end_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    for nothing in [frame(DATA, 0, 1, &[]), frame(PRIORITY, 0, 1, &[0; 5]), frame(UNKNOWN, 0, 1, &[0; 1000])] {
        let server = Http2::start(folder.path(), move |stream| {
            let many = nothing.repeat(100);
            let mut going_on = stream.write_all(&head(Some(1000)));
            while going_on.is_ok() {
                going_on = stream.write_all(&many);
            }
        });
        for flag in ["--idle-timeout", "--timeout"] {
            with_enough_time(|times| {
                let output = server.fetch(out.path(), &[flag, &format!("{}ms", 300 * times)]);
                assert!(names(out.path()).is_empty());
                // h2 may find that this is an attack before the time is over.
                assert!(matches!(code(&output), 28 | 56), "{}", text(&output.stderr));
                let said = text(&output.stderr);
                if said.contains(flag) || code(&output) == 56 { Ok(()) } else { Err(said) }
            });
        }
    }
}

/// One that answers its connections in this order, and the last one for ever; how many there were.
fn in_turn(folder: &Path, answers: Vec<Vec<Vec<u8>>>) -> (Http2, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let server = Http2::start(folder, move |stream| {
        let turn = seen.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        drop(stream.write_all(&answers[turn].concat()));
    });
    (server, count)
}

fn reset(code: u32) -> Vec<u8> {
    frame(RESET, 0, 1, &code.to_be_bytes())
}

fn goaway(last: u32, code: u32, said: &[u8]) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[&last.to_be_bytes(), &code.to_be_bytes(), said].concat())
}

#[test]
fn what_a_server_says_it_has_not_begun_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let whole = vec![head(Some(5)), frame(DATA, END_STREAM, 1, b"hello")];
    for refusal in [reset(7), goaway(0, 0, b""), goaway(0, 0, b"draining"), goaway(0, 7, b"")] {
        for more in [&[][..], &["--data", "x"], &["-X", "PUT", "--data", "y"]] {
            for times in [1, 2] {
                let mut answers = vec![vec![refusal.clone()]; times];
                answers.push(whole.clone());
                let (server, count) = in_turn(folder.path(), answers);
                assert_code(&server.fetch(out.path(), &[more, &["-o", "page"]].concat()), 0);
                assert_eq!(fs::read(out.path().join("page")).unwrap(), b"hello");
                assert_eq!(count.load(Ordering::SeqCst), times + 1);
            }
        }
        // Not for ever.
        let (server, count) = in_turn(folder.path(), vec![vec![refusal.clone()]]);
        let output = server.fetch(out.path(), &["-o", "page"]);
        assert_code(&output, 56);
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }
}

/// How a server leaves that has no word for it.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    /// With an end that TLS does not know of.
    ByAnEnd,
    ByAReset,
}

/// One that answers, and is gone at once unless its answer is whole.
fn in_turn_and_gone(
    folder: &Path,
    protocols: &[&str],
    answers: Vec<Vec<Vec<u8>>>,
    leaves: Leaves,
) -> (Http2, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let server = Http2::start_speaking(folder, protocols, move |stream| {
        let turn = seen.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let http1 = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".as_slice();
        let is_http1 = stream.conn.alpn_protocol() == Some(b"http/1.1");
        let is_whole = is_http1 || answers[turn].len() > 1;
        drop(stream.write_all(if is_http1 { http1.to_vec() } else { answers[turn].concat() }.as_slice()));
        if !is_whole {
            if matches!(leaves, Leaves::ByAReset) {
                rustix::net::sockopt::set_socket_linger(&stream.sock, Some(std::time::Duration::ZERO)).unwrap();
            }
            drop(stream.sock.shutdown(std::net::Shutdown::Both));
        }
    });
    (server, count)
}

/// How a server leaves says less than what it said before.
#[test]
fn what_a_server_said_counts_however_it_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let whole = vec![head(Some(5)), frame(DATA, END_STREAM, 1, b"hello")];
    for leaves in [Leaves::ByAnEnd, Leaves::ByAReset] {
        for refusal in [goaway(0, 0, b""), goaway(0, 0, b"bye"), reset(7), goaway(0, 7, b"")] {
            for more in [&[][..], &["--data", "x"]] {
                let answers = vec![vec![refusal.clone()], whole.clone()];
                let (server, count) = in_turn_and_gone(folder.path(), &["h2"], answers, leaves);
                let output = server.fetch(out.path(), &[more, &["-o", "page"]].concat());
                assert_eq!(code(&output), 0, "{leaves:?} {refusal:?} {more:?}: {}", text(&output.stderr));
                assert_eq!(fs::read(out.path().join("page")).unwrap(), b"hello");
                assert_eq!(count.load(Ordering::SeqCst), 2);
            }
        }
        for refusal in [goaway(0, 13, b""), reset(13)] {
            let answers = vec![vec![refusal.clone()]];
            let (server, _) = in_turn_and_gone(folder.path(), &["h2", "http/1.1"], answers, leaves);
            let output = server.fetch(out.path(), &["-o", "page"]);
            assert_eq!(code(&output), 0, "{leaves:?} {refusal:?}: {}", text(&output.stderr));
            assert!(text(&output.stdout).starts_with("HTTP/1.1 200 OK\r\n"));
        }
        for (ending, says) in [
            (goaway(0, 11, b"too_many_pings"), "(GOAWAY, saying b\"too_many_pings\"): ENHANCE_YOUR_CALM"),
            (goaway(1, 11, b"calm"), "(GOAWAY, saying b\"calm\"): ENHANCE_YOUR_CALM"),
            (goaway(0, 12, b""), "leaves the connection (GOAWAY): INADEQUATE_SECURITY"),
            (reset(2), "gives up the answer (RST_STREAM): INTERNAL_ERROR"),
        ] {
            let (server, count) = in_turn_and_gone(folder.path(), &["h2"], vec![vec![ending]], leaves);
            let output = server.fetch(out.path(), &["-o", "page"]);
            assert_eq!(code(&output), 56, "{leaves:?} {says}: {}", text(&output.stderr));
            assert!(text(&output.stderr).contains(says), "{leaves:?} {says}: {}", text(&output.stderr));
            assert_eq!(count.load(Ordering::SeqCst), 1, "{says}");
        }
    }
}

#[test]
fn a_stream_that_may_have_been_heard_is_asked_once_and_the_reason_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    for (ending, says) in [
        (reset(1), "gives up the answer (RST_STREAM): PROTOCOL_ERROR"),
        (reset(2), "gives up the answer (RST_STREAM): INTERNAL_ERROR"),
        (reset(8), "gives up the answer (RST_STREAM): CANCEL"),
        (reset(11), "gives up the answer (RST_STREAM): ENHANCE_YOUR_CALM"),
        (reset(0x1234), "gives up the answer (RST_STREAM): the unknown code 0x1234"),
        (goaway(0, 11, b"too_many_pings"), "(GOAWAY, saying b\"too_many_pings\"): ENHANCE_YOUR_CALM"),
        (goaway(0, 2, b"\x1b[31mred\r\n"), "(GOAWAY, saying b\"\\x1b[31mred\\r\\n\"): INTERNAL_ERROR"),
        (goaway(0, 12, b""), "leaves the connection (GOAWAY): INADEQUATE_SECURITY"),
    ] {
        let (server, count) = in_turn(folder.path(), vec![vec![ending]]);
        let output = server.fetch(out.path(), &["--data", "x", "-o", "page"]);
        assert_code(&output, 56);
        assert!(text(&output.stderr).contains(says), "{says}: {}", text(&output.stderr));
        assert_eq!(count.load(Ordering::SeqCst), 1, "{says}");
    }
    // In the midst of the body it is too late for another try.
    let some = || frame(DATA, 0, 1, &[b'x'; 100]);
    let (server, count) = in_turn(folder.path(), vec![vec![head(Some(1000)), some(), reset(7)]]);
    let output = server.fetch(out.path(), &["-o", "page"]);
    assert_code(&output, 56);
    let says = "REFUSED_STREAM after 100 bytes of the body";
    assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

/// Servers ask for it where they want a client's certificate or a protocol that binds the connection.
#[test]
fn where_http_1_1_is_required_it_is_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    for refusal in [reset(13), goaway(0, 13, b"")] {
        for more in [&[][..], &["--data", "x"]] {
            let server = Http2::start_speaking(folder.path(), &["h2", "http/1.1"], {
                let refusal = refusal.clone();
                move |stream| {
                    if stream.conn.alpn_protocol() == Some(b"h2") {
                        return drop(stream.write_all(&refusal));
                    }
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
                }
            });
            let output = server.fetch(out.path(), &[more, &["-o", "page"]].concat());
            assert_code(&output, 0);
            assert_eq!(fs::read(out.path().join("page")).unwrap(), b"hello");
            assert!(text(&output.stdout).starts_with("HTTP/1.1 200 OK\r\n"));
        }
    }
    // One that never gets what it wants.
    let (server, _) = in_turn(folder.path(), vec![vec![reset(13)]]);
    let output = server.fetch(out.path(), &["-o", "page", "--timeout", "30s"]);
    assert!(code(&output) != 0, "{}", text(&output.stderr));
}
