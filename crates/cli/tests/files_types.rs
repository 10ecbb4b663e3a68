//! `serve --files` and what it says a file is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;

use serde_json::json;
use support::Server;
use support::browser::Browser;
use support::files::Client;
use support::web::gzip;

#[test]
fn a_type_goes_by_the_name_and_where_that_is_not_enough_by_the_content() {
    let folder = tempfile::tempdir().unwrap();
    let stream: Vec<u8> = (0..4000).map(|at| if at % 188 == 0 { 0x47 } else { 0 }).collect();
    let page = b"<!doctype html><meta charset=iso-8859-1><title>\xe9t\xe9</title>";
    let files: [(&str, &[u8], &str); 9] = [
        ("film.ts", &stream, "video/mp2t"),
        ("code.ts", b"const a: number = 1\n", "text/plain; charset=utf-8"),
        ("live.m3u8", b"#EXTM3U\n", "application/vnd.apple.mpegurl"),
        ("old.avi", b"RIFF", "video/x-msvideo"),
        ("letter.odt", b"PK", "application/vnd.oasis.opendocument.text"),
        ("latin.html", page, "text/html"),
        ("plain.html", b"<p>", "text/html; charset=utf-8"),
        ("feed.xml", b"<?xml version='1.0' encoding='koi8-r'?><a/>", "text/xml"),
        ("wide.txt", b"\xff\xfeh\0i\0", "text/plain"),
    ];
    for (name, content, _) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    fs::write(folder.path().join("a.svgz"), gzip(b"<svg xmlns='http://www.w3.org/2000/svg'/>")).unwrap();
    let server = Server::start_at(&["http://127.0.0.1:0"], &["-q", "--files", folder.path().to_str().unwrap()]);
    let mut client = Client::new(&server);
    for (name, content, kind) in files {
        for method in ["GET", "HEAD"] {
            let answer = client.ask(method, &format!("/{name}"), "", b"");
            assert_eq!(answer.field("content-type"), Some(kind), "{name}");
        }
        assert!(client.get(&format!("/{name}"), "").content == content, "{name}");
    }
    let packed = client.get("/a.svgz", "");
    assert_eq!((packed.field("content-type"), packed.field("content-encoding")), (Some("image/svg+xml"), Some("gzip")));
    // A browser reads what the page says of itself.
    let browser = Browser::start();
    browser.open(&format!("http://{}/latin.html", server.address()));
    assert_eq!(
        browser.eval("return [document.title, document.characterSet]"),
        json!(["\u{e9}t\u{e9}", "windows-1252"])
    );
}
