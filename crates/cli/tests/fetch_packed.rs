//! `fetch` of what is packed already: what is saved is what the server has, whether it packs once more on the way, says that
//! the file's own packing is a coding, or does both.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;

use support::peers::nginx;
use support::web::{Web, answer, bytes, fetch, gzip, ok};
use support::{assert_code, text};

const TEXT: &[u8] = b"one line of a text that is packed\n";

fn long() -> Vec<u8> {
    [TEXT.repeat(500), bytes(30_000)].concat()
}

/// Needs no library: blocks as they are (RFC 8878, section 3.1.1).
fn zstd(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x48];
    let mut chunks = body.chunks(60_000).peekable();
    while let Some(chunk) = chunks.next() {
        let last = u32::from(chunks.peek().is_none());
        let header = u32::try_from(chunk.len()).unwrap() << 3 | last;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(chunk);
    }
    frame
}

/// The same for Brotli (RFC 7932, section 9.2): a window of 16 bits, uncompressed blocks, an empty last one.
fn brotli(body: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0, 1);
    for chunk in body.chunks(60_000) {
        bits.put(0, 1);
        bits.put(0, 2);
        bits.put(u32::try_from(chunk.len() - 1).unwrap(), 16);
        bits.put(1, 1);
        bits.align();
        bits.bytes.extend(chunk);
    }
    bits.put(0b11, 2);
    bits.align();
    bits.bytes
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for at in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= u8::from(value >> at & 1 == 1) << (self.used % 8);
            self.used += 1;
        }
    }

    fn align(&mut self) {
        self.used = 0;
    }
}

fn pack(coding: &str, body: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => gzip(body),
        "br" => brotli(body),
        _ => zstd(body),
    }
}

#[test]
fn nginx_that_packs_on_the_fly_gives_the_file_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let www = folder.path().join("www");
    fs::create_dir_all(&www).unwrap();
    let files = ["x.tar.gz", "x.TGZ", "x.br", "x.zst", "x.zip", "x%20y.gz"];
    for name in files {
        fs::write(www.join(name.replace("%20", " ")), gzip(&long())).unwrap();
    }
    fs::write(www.join("plain"), long()).unwrap();
    let config =
        "default_type text/plain; types { } gzip on; gzip_types text/plain; gzip_min_length 1; gzip_proxied any;
        location /old/ { rewrite ^/old/(.*)$ /$1 redirect; }
        location = /named { add_header Content-Disposition 'attachment; filename=\"x.tar.gz\"'; alias WWW/x.tar.gz; }";
    let server = nginx(folder.path(), &config.replace("WWW", &www.display().to_string()));
    let out = tempfile::tempdir().unwrap();
    let get = |path: &str, more: &[&str]| {
        let url = format!("http://127.0.0.1:{}{path}", server.port);
        let output = fetch(out.path(), &[&[url.as_str(), "-o", "saved"], more].concat());
        assert_code(&output, 0);
        (text(&output.stdout), fs::read(out.path().join("saved")).unwrap())
    };
    for name in files {
        for path in [format!("/{name}"), format!("/old/{name}"), format!("/{name}?a=b.txt")] {
            let (head, saved) = get(&path, &[]);
            assert!(saved == gzip(&long()), "{path}: {head}");
            assert!(!head.contains("Content-Encoding"), "no coding is offered for {path}: {head}");
            // A client that asks for one all the same gets the same file.
            let (head, saved) = get(&path, &["-H", "Accept-Encoding: gzip"]);
            assert!(saved == gzip(&long()), "{path}: {head}");
            assert!(head.contains("Content-Encoding: gzip"), "{path}: {head}");
        }
    }
    // Its name comes with the answer only.
    let (head, saved) = get("/named", &[]);
    assert!(saved == gzip(&long()) && head.contains("Content-Encoding: gzip"), "{head}");
    assert!(get("/plain", &[]).1 == long());
}

#[test]
fn exactly_the_layer_that_was_added_comes_off_by_what_the_bytes_are() {
    for (ending, own) in [("gz", "gzip"), ("tgz", "gzip"), ("svgz", "gzip"), ("br", "br"), ("zst", "zstd")] {
        let file = pack(own, &long());
        for on_the_way in ["gzip", "br", "zstd"] {
            for (field, sent) in [
                // The file's own, said to be a coding.
                (own.to_owned(), file.clone()),
                // Packed once more; the file's own is not spoken of, or is.
                (on_the_way.to_owned(), pack(on_the_way, &file)),
                (format!("{own}, {on_the_way}"), pack(on_the_way, &file)),
            ] {
                let field = format!("Content-Encoding: {field}\r\nContent-Length: {}\r\n", sent.len());
                let web = Web::saying(answer("200 OK", &field, &sent));
                let folder = tempfile::tempdir().unwrap();
                let name = format!("x.{ending}");
                let url = web.url(&format!("/{name}"));
                for arguments in [vec![url.as_str()], vec![&url, "-o", "other"], vec![&url, "-o", "-"]] {
                    let output = fetch(folder.path(), &arguments);
                    assert_code(&output, 0);
                    let saved = match *arguments.last().unwrap() {
                        "other" => fs::read(folder.path().join("other")).unwrap(),
                        "-" => output.stdout,
                        _ => fs::read(folder.path().join(&name)).unwrap(),
                    };
                    assert!(saved == file, "{ending} {field} {arguments:?}: {} of {}", saved.len(), file.len());
                }
                assert!(web.requests().iter().all(|request| request.contains("Accept-Encoding: identity\r\n")));
            }
        }
    }
}

#[test]
fn the_name_in_the_answer_and_the_type_tell_it_too() {
    let file = gzip(&long());
    for (field, path) in [
        ("Content-Disposition: attachment; filename=\"x.tar.gz\"\r\n", "/download"),
        ("Content-Disposition: attachment; filename*=UTF-8''x.tgz\r\n", "/download"),
        ("Content-Type: application/x-gzip\r\n", "/download"),
        ("Content-Type: application/gzip; x=y\r\n", "/download?x=1"),
        ("", "/x.gz/"),
    ] {
        for (sent, expected) in [(file.clone(), &file), (gzip(&file), &file)] {
            let fields = format!("{field}Content-Encoding: gzip\r\nContent-Length: {}\r\n", sent.len());
            let web = Web::saying(answer("200 OK", &fields, &sent));
            let folder = tempfile::tempdir().unwrap();
            assert_code(&fetch(folder.path(), &[&web.url(path), "-o", "saved"]), 0);
            let saved = fs::read(folder.path().join("saved")).unwrap();
            let expected =
                if field.is_empty() { if sent == file { long() } else { file.clone() } } else { expected.clone() };
            assert!(saved == expected, "{field} {path}");
        }
    }
}

#[test]
fn what_is_cut_or_comes_in_drops_is_judged_the_same() {
    let file = gzip(&long());
    let twice = gzip(&file);
    let fields = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", twice.len());
    for cut in [1, 20, 1000, twice.len() - 1] {
        let web = Web::saying(answer("200 OK", &fields, &twice[..cut]));
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&web.url("/x.gz")]), 18);
        assert!(!folder.path().join("x.gz").exists());
    }
    let drops = twice.clone();
    let web = Web::start(move |_, stream| {
        stream.write_all(&answer("200 OK", &fields, b"")).unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in &drops[..300] {
            stream.write_all(&[*byte]).unwrap();
        }
        stream.write_all(&drops[300..]).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/x.gz")]), 0);
    assert!(fs::read(folder.path().join("x.gz")).unwrap() == file);
}

#[test]
fn what_is_no_coding_is_said_and_kept() {
    for word in ["none", "utf-8", "UTF8", "binary", "aws-chunked", "8bit", "iso-8859-1", "text/plain", "identity, none"]
    {
        let fields = format!("Content-Encoding: {word}\r\nContent-Length: {}\r\n", TEXT.len());
        let web = Web::saying(answer("200 OK", &fields, TEXT));
        let folder = tempfile::tempdir().unwrap();
        let output = fetch(folder.path(), &[&web.url("/x")]);
        assert_code(&output, 0);
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), TEXT, "{word}");
        let said = text(&output.stderr);
        assert!(said.contains("is no coding"), "{word}: {said}");
    }
    // What S3 keeps beside a coding.
    let packed = gzip(TEXT);
    for word in ["aws-chunked,gzip", "gzip, aws-chunked"] {
        let fields = format!("Content-Encoding: {word}\r\nContent-Length: {}\r\n", packed.len());
        let web = Web::saying(answer("200 OK", &fields, &packed));
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&web.url("/x")]), 0);
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), TEXT, "{word}");
    }
    for word in ["compress", "rot13", "dcb"] {
        let web = Web::saying(answer("200 OK", &format!("Content-Encoding: {word}\r\nContent-Length: 1\r\n"), b"x"));
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&web.url("/x")]), 56);
        assert_code(&fetch(folder.path(), &[&web.url("/x"), "--raw-body"]), 0);
    }
    assert_code(&fetch(tempfile::tempdir().unwrap().path(), &[&Web::saying(ok(TEXT)).url("/x")]), 0);
}
