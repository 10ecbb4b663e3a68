//! `fetch` takes what servers send beside the standard, as far as it is plain what it means: where RFCs say that a
//! reader must be liberal, and where curl is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};

use support::peers::Authority;
use support::web::{Web, answer, bytes, fetch, fetch_command, gzip};
use support::{assert_code, run_command, text};

/// What is saved of an answer.
#[track_caller]
fn saved(message: impl Into<Vec<u8>>) -> Vec<u8> {
    let web = Web::saying(message);
    let folder = tempfile::tempdir().unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x"]), 0);
    fs::read(folder.path().join("x")).unwrap()
}

#[test]
fn odd_and_folded_lines_spoil_no_answer() {
    for fields in [
        "X: one\r\n two\r\n\tthree\r\n",
        "no colon\r\n",
        "Server : x\r\n",
        ": empty\r\n",
        "a b c: d\r\n",
        "X: \0nul\r\n",
        "X: \u{7f}\x01\r\n",
        " folded behind the first line\r\n",
        "<html><body>\r\n",
        "X: caf\u{e9}\r\n",
    ] {
        for framing in [
            "Content-Length: 5\r\n",
            "Content-Length:\r\n 5\r\n",
            "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        ] {
            assert_eq!(saved(answer("200 OK", &format!("{fields}{framing}"), b"hello")), b"hello", "{fields:?}");
        }
    }
    for line in ["HTTP/1.1 200", "HTTP/1.1  200  OK", "HTTP/1.5 200 OK", "HTTP/1.1 200 Gr\u{fc}\u{df}e"] {
        assert_eq!(saved(format!("{line}\r\nContent-Length: 5\r\n\r\nhello")), b"hello", "{line}");
        assert_eq!(saved(format!("{line}\n\nhello")), b"hello", "{line}");
    }
    // The head is printed as it came, odd lines too.
    let web = Web::saying("HTTP/1.1 200 OK\r\nodd\r\nX: a\r\n  b\r\nContent-Length: 1\r\n\r\nx");
    let folder = tempfile::tempdir().unwrap();
    let output = fetch(folder.path(), &[&web.url("/"), "-o", "x"]);
    assert_eq!(text(&output.stdout), "HTTP/1.1 200 OK\r\nodd\r\nX: a\r\n  b\r\nContent-Length: 1\r\n\r\n");
}

#[test]
fn a_line_that_hides_where_the_body_ends_is_refused() {
    for fields in [
        "Content-Length : 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: y\rContent-Length: 5\r\n",
        " Transfer-Encoding: chunked\r\n",
        "x Content-Length: 3\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\0\r\n",
    ] {
        let web = Web::saying(answer("200 OK", fields, b"hello"));
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x"]), 56);
        assert!(!folder.path().join("x").exists(), "{fields:?}");
    }
}

#[test]
fn chunk_extensions_have_no_bound_that_signers_meet() {
    let body = bytes(1_000_000);
    let fields = "Transfer-Encoding: chunked\r\n";
    let signed = |size: usize, extension: &str, end: &str| {
        let mut message = answer("200 OK", fields, b"");
        for chunk in body.chunks(size) {
            message.extend(format!("{:X}{extension}{end}", chunk.len()).bytes());
            message.extend(chunk);
            message.extend(end.bytes());
        }
        message.extend(format!("0{extension}{end}{end}").bytes());
        message
    };
    let signature = format!(";chunk-signature={}", "a".repeat(64));
    for (size, extension, end) in [
        (500, signature.as_str(), "\r\n"),
        (8192, &signature, "\r\n"),
        (100_000, &format!(";a={}", "b".repeat(20_000)), "\r\n"),
        (10_000, " ; x = \"y;z\"", "\r\n"),
        (10_000, "  ", "\r\n"),
        (10_000, "", "\n"),
    ] {
        assert!(saved(signed(size, extension, end)) == body, "{size} {extension:.30}");
    }
    let message =
        [answer("200 OK", fields, b"5\r\nhello\r\n0\r\n"), b"X-Checksum: 1\r\nodd\r\n more\r\n\r\n".to_vec()].concat();
    assert_eq!(saved(message), b"hello");
    for broken in ["5\r\nhello!\r\n0\r\n\r\n", "g\r\n", "\r\n5\r\nhello", "-5\r\nhello", "fffffffffffffffff\r\nx"] {
        let web = Web::saying(answer("200 OK", fields, broken.as_bytes()));
        let folder = tempfile::tempdir().unwrap();
        let output = fetch(folder.path(), &[&web.url("/"), "-o", "x"]);
        assert_code(&output, 56);
        assert!(text(&output.stderr).contains("breaks the protocol"), "{}", text(&output.stderr));
    }
}

#[test]
fn the_answer_to_head_may_say_anything_about_a_body() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: five\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "",
    ] {
        for status in ["200 OK", "204 No Content"] {
            let web = Web::saying(answer(status, fields, b""));
            let folder = tempfile::tempdir().unwrap();
            let output = fetch(folder.path(), &[&web.url("/"), "--head"]);
            assert_code(&output, 0);
            assert!(text(&output.stdout).contains(fields), "{fields}");
        }
        for status in ["204 No Content", "304 Not Modified"] {
            let web = Web::saying(answer(status, fields, b""));
            let folder = tempfile::tempdir().unwrap();
            assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x"]), 0);
        }
    }
}

#[test]
fn interim_answers_are_passed_over() {
    let final_one = answer("200 OK", "Content-Length: 5\r\n", b"hello");
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100\r\n\r\n",
        "HTTP/1.0 100 x\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 102 Processing\r\nodd\r\n\r\n",
    ] {
        assert_eq!(saved([interim.as_bytes(), &final_one].concat()), b"hello", "{interim}");
    }
}

/// A proxy that adds to its 2xx what no tunnel has.
#[test]
fn what_a_proxy_says_about_a_body_of_its_tunnel_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    Authority::new(folder.path()).sign(folder.path(), "server", &["localhost"], (2020, 2120));
    let served = support::peers::s_server(folder.path(), "server", &[]);
    fs::write(folder.path().join("page"), "hello").unwrap();
    let port = served.port;
    for fields in
        ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 1\r\nTransfer-Encoding: gzip\r\n"]
    {
        let proxy = Web::start(move |request, stream| {
            assert!(request.starts_with("CONNECT localhost:"), "{request}");
            let mut server = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(format!("HTTP/1.0 200 Connection established\r\n{fields}\r\n").as_bytes()).unwrap();
            let (mut from, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
            let there = std::thread::spawn(move || {
                drop(std::io::copy(&mut from, &mut to));
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = server.read(&mut piece) {
                if stream.write_all(&piece[..length]).is_err() {
                    break;
                }
            }
            let _ = stream.shutdown(std::net::Shutdown::Both);
            let _ = there.join();
        });
        let out = tempfile::tempdir().unwrap();
        let url = format!("https://localhost:{port}/page");
        let ca = folder.path().join("ca.pem");
        let mut command = fetch_command(out.path());
        command.args([&url, "-o", "x", "--proxy", &format!("http://{}", proxy.address), "--ca"]).arg(ca);
        assert_code(&run_command(&mut command, b""), 0);
        assert_eq!(fs::read(out.path().join("x")).unwrap(), b"hello", "{fields}");
    }
}

#[test]
fn packed_bodies_are_read_in_all_their_forms() {
    let deflated = |zlib: bool| {
        let level = flate2::Compression::default();
        if zlib {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(b"hello").unwrap();
            return encoder.finish().unwrap();
        }
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(b"hello").unwrap();
        encoder.finish().unwrap()
    };
    // One frame that holds `hello` as it is, between two that hold nothing (RFC 8878).
    let skipped = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"???"].concat();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 0x29, 0, 0][..], b"hello"].concat();
    for (coding, packed) in [
        ("deflate", deflated(true)),
        ("deflate", deflated(false)),
        ("gzip", [gzip(b"hel"), gzip(b""), gzip(b"lo")].concat()),
        ("x-gzip", gzip(b"hello")),
        ("zstd", [skipped.clone(), frame.clone(), skipped.clone()].concat()),
        ("zstd", frame),
    ] {
        let fields = format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n", packed.len());
        assert_eq!(saved(answer("200 OK", &fields, &packed)), b"hello", "{coding}");
    }
}
