//! `fetch` from a server of HTTP/2 whose every frame the test chooses.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

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
        Authority::new(folder).sign(folder, "server", &["localhost"], (2020, 2120));
        let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/page", listener.local_addr().unwrap().port());
        // It ends with the process.
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let mut stream = Stream::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
                if until_asked(&mut stream).is_some() {
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

/// The other way round: what came with its end is whole, though the server wants no more of the request.
#[test]
fn an_answer_that_is_whole_before_the_request_is_counts() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    // More than fits into the window that nobody opens.
    fs::write(out.path().join("request"), vec![b'r'; 1_000_000]).unwrap();
    let whole = [head(Some(100)), frame(DATA, END_STREAM, 1, &[b'x'; 100]), frame(RESET, 0, 1, &0_u32.to_be_bytes())];
    // Behind it may stand fields: `a: b`.
    let trailer = frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\0\x01a\x01b");
    let with_trailer = [head(None), frame(DATA, 0, 1, &[b'x'; 100]), trailer];
    for (frames, more) in [(&whole, &["--data", "@request"][..]), (&with_trailer, &[])] {
        let server = Http2::saying(folder.path(), frames);
        assert_code(&server.fetch(out.path(), &[more, &["-o", "page"]].concat()), 0);
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
