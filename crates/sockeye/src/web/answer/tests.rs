use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::read::GzDecoder;

use super::*;
use crate::web::account::{Account, Accounts};
use crate::web::http1::write_head;
use crate::web::options::{Folders, Hidden, Hosts, Packing, Sharing, SiteOptions};
use crate::web::pack::read_part;
use crate::web::root::Root;
use crate::wire::http::request::{Parsed, parse};
use crate::wire::http::version::Version;

/// An answer as a client sees it.
#[derive(Debug)]
struct Seen {
    status: u16,
    head: String,
    content: Vec<u8>,
    keep_alive: bool,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        let begin = format!("{name}: ");
        let mut found = self.head.lines().filter_map(|line| line.strip_prefix(begin.as_str()));
        let value = found.next();
        assert_eq!(found.next(), None, "{name} twice");
        value
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

fn seen(mut response: Response, fields: &FieldList, version: Version) -> Seen {
    let mut head = vec![];
    write_head(&mut response, fields, version, &mut head);
    let head = String::from_utf8(head).unwrap();
    assert!(head.ends_with("\r\n\r\n") && head.matches("\r\n\r\n").count() == 1, "{head:?}");
    let content = match response.body {
        Body::Empty => vec![],
        Body::Bytes(bytes) => bytes,
        Body::File { fd, from, length } => {
            let mut bytes = vec![];
            let read = read_part(&File::from(fd), from, length, &mut bytes).unwrap();
            assert_eq!(read as u64, length);
            bytes
        }
        Body::Made(mut made) => {
            let mut bytes = vec![];
            while made.source.more(&mut bytes).unwrap() {}
            bytes
        }
    };
    let seen = Seen { status: response.status.code(), head, content, keep_alive: response.keep_alive };
    assert_eq!(seen.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(seen.field("Date").unwrap().len(), 29);
    seen
}

fn at(site: &Site, now: SystemTime, message: &str) -> Seen {
    let Parsed::Whole { request, .. } = parse(message.as_bytes()) else { panic!("{message:?}") };
    let mut fields = FieldList::default();
    let Reply::Ready(response) = site.answer(&request, &Now::new(now), &mut fields) else { panic!("{message:?}") };
    seen(response, &fields, request.version)
}

fn ask(site: &Site, line: &str, fields: &str) -> Seen {
    let message = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let seen = at(site, SystemTime::now() + Duration::from_secs(10), &message);
    if let Some(length) = seen.field("Content-Length")
        && !line.starts_with("HEAD ")
    {
        assert_eq!(length, seen.content.len().to_string(), "{line} {fields}");
    }
    if line.starts_with("HEAD ") {
        assert!(seen.content.is_empty());
    }
    seen
}

const TEXT: &str = "0123456789";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("dir/sub")).unwrap();
    fs::create_dir(folder.path().join("site")).unwrap();
    fs::write(folder.path().join("a.txt"), TEXT).unwrap();
    fs::write(folder.path().join(".env"), "secret").unwrap();
    fs::write(folder.path().join("site/index.html"), "<h1>site</h1>").unwrap();
    fs::write(folder.path().join("long.css"), "a{}\n".repeat(1000)).unwrap();
    fs::write(folder.path().join("long.png"), "a{}\n".repeat(1000)).unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    folder
}

fn site_in(folder: &Path, options: SiteOptions) -> Site {
    Site::new(Root::open(folder).unwrap(), options)
}

fn site() -> (tempfile::TempDir, Site) {
    let folder = folder();
    let site = site_in(folder.path(), SiteOptions::default());
    (folder, site)
}

#[test]
fn a_file_is_sent_with_what_is_known_of_it() {
    let (_folder, site) = site();
    let seen = ask(&site, "GET /a.txt", "");
    assert_eq!((seen.status, seen.text(), seen.keep_alive), (200, TEXT, true));
    assert!(seen.head.starts_with("HTTP/1.1 200 OK\r\nDate: "), "{}", seen.head);
    assert_eq!(seen.field("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(seen.field("Accept-Ranges"), Some("bytes"));
    assert!(seen.field("ETag").unwrap().starts_with('"'));
    assert_eq!(seen.field("Connection"), None);
    let head = ask(&site, "HEAD /a.txt", "");
    assert_eq!(head.head, seen.head);
    assert_eq!(ask(&site, "GET /empty", "").status, 200);
    assert_eq!(ask(&site, "GET http://127.0.0.1:8080/a.txt?x", "").text(), TEXT);
}

#[test]
fn what_is_not_there_is_not_found_and_nothing_is_echoed() {
    let (_folder, site) = site();
    for path in
        ["/<script>", "/a.txt/", "/.env", "/%2eenv", "/../.env", "/dir/../x", "/dir/%2fa.txt", "/x", "/dir/.git/"]
    {
        let seen = ask(&site, &format!("GET {path}"), "");
        assert_eq!(seen.status, 404, "{path}");
        assert!(!seen.text().contains("<script"), "{path}");
        assert!(seen.field("Content-Security-Policy").is_some());
        assert_eq!(ask(&site, &format!("HEAD {path}"), "").head, seen.head);
    }
    assert_eq!(ask(&site, "GET /%", "").status, 400);
    assert_eq!(ask(&site, "GET /%00", "").status, 400);
    let shown = site_in(_folder.path(), SiteOptions { hidden: Hidden::Shown, ..SiteOptions::default() });
    assert_eq!(ask(&shown, "GET /.env", "").text(), "secret");
    assert_eq!(ask(&shown, "GET /dir/../a.txt", "").text(), TEXT);
}

#[test]
fn folders_have_a_slash_an_index_or_a_listing() {
    let (folder, site) = site();
    for (path, location) in [
        ("/dir", "/dir/"),
        ("/dir?a=b&c", "/dir/?a=b&c"),
        ("//dir", "/dir/"),
        ("//dir//sub", "/dir/sub/"),
        ("/%64ir", "/dir/"),
        ("/dir?\u{fc}=%0d<>", "/dir/?%C3%BC=%0d<>"),
    ] {
        let seen = ask(&site, &format!("GET {path}"), "");
        assert_eq!((seen.status, seen.field("Location")), (301, Some(location)), "{path}");
    }
    let seen = ask(&site, "GET /site/", "");
    assert_eq!((seen.text(), seen.field("Content-Type")), ("<h1>site</h1>", Some("text/html; charset=utf-8")));
    let seen = ask(&site, "GET /dir/", "");
    assert!(seen.text().contains("<a href=\"sub/\">"), "{seen:?}");
    assert!(
        seen.field("Content-Security-Policy").unwrap().starts_with("default-src 'none'; style-src 'unsafe-inline'")
    );
    let seen = ask(&site, "GET /dir/", "Accept: application/json\r\n");
    assert_eq!(seen.field("Content-Type"), Some("application/json"));
    assert!(seen.text().starts_with("{\"path\":\"/dir/\""), "{seen:?}");
    assert_eq!(seen.field("Vary"), Some("Accept, Accept-Encoding"));
    let packed = ask(&site, "GET /dir/", "Accept-Encoding: gzip\r\n");
    assert!(unpacked(&packed).contains("<a href=\"sub/\">"));
    let kept = site_in(folder.path(), SiteOptions { folders: Folders::Kept, ..SiteOptions::default() });
    assert_eq!((ask(&kept, "GET /dir/", "").status, ask(&kept, "GET /site/", "").status), (404, 200));
}

fn unpacked(seen: &Seen) -> String {
    assert_eq!(seen.field("Content-Encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(seen.content.as_slice()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn ranges_are_parts() {
    let (_folder, site) = site();
    for (range, status, says, text) in [
        ("bytes=0-0", 206, Some("bytes 0-0/10"), "0"),
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=7-", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=-2", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=4-2", 200, None, TEXT),
        ("bytes=10-", 416, Some("bytes */10"), ""),
        ("bytes=-0", 416, Some("bytes */10"), ""),
    ] {
        let seen = ask(&site, "GET /a.txt", &format!("Range: {range}\r\n"));
        let found = (seen.status, seen.field("Content-Range"), seen.text());
        assert_eq!(found, (status, says, text), "{range}");
        assert_eq!(ask(&site, "HEAD /a.txt", &format!("Range: {range}\r\n")).status, 200);
    }
    let tag = ask(&site, "GET /a.txt", "").field("ETag").unwrap().to_owned();
    for (condition, status) in [(tag.as_str(), 206), ("\"x\"", 200), ("W/\"x\"", 200)] {
        let seen = ask(&site, "GET /a.txt", &format!("Range: bytes=1-1\r\nIf-Range: {condition}\r\n"));
        assert_eq!(seen.status, status, "{condition}");
    }
    let seen = ask(&site, "GET /long.css", "Range: bytes=4-5\r\nAccept-Encoding: gzip\r\n");
    assert_eq!((seen.status, seen.text()), (206, "a{"));
    for range in ["bytes=0-", "bytes=3-5", "bytes=-1", "bytes=0-0,2-"] {
        let seen = ask(&site, "GET /empty", &format!("Range: {range}\r\n"));
        assert_eq!((seen.status, seen.field("Content-Length")), (200, Some("0")), "{range}");
    }
}

#[test]
fn several_ranges_are_sent_in_one_answer() {
    let (_folder, site) = site();
    let seen = ask(&site, "GET /a.txt", "Range: bytes=7-,0-1\r\n");
    let boundary = seen.field("Content-Type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, text: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {range}/10\r\n\r\n{text}"
        )
    };
    let expected = format!("{}{}\r\n--{boundary}--\r\n", part("7-9", "789"), part("0-1", "01"));
    assert_eq!((seen.status, seen.text(), seen.field("Content-Range")), (206, expected.as_str(), None));
    // What overlaps is sent once, and one part that is left is no multipart.
    let seen = ask(&site, "GET /a.txt", "Range: bytes=0-4,3-6,90-\r\n");
    assert_eq!((seen.status, seen.field("Content-Range"), seen.text()), (206, Some("bytes 0-6/10"), "0123456"));
    assert_eq!(ask(&site, "HEAD /a.txt", "Range: bytes=0-1,3-4\r\n").status, 200);
    let many = vec!["0-"; 5000].join(",");
    assert_eq!(ask(&site, "GET /a.txt", &format!("Range: bytes={many}\r\n")).text(), TEXT);
}

/// What is asked for in part is judged as what is asked for whole: by the tag of what would be sent.
#[test]
fn a_condition_comes_to_the_same_with_and_without_a_range() {
    let (_folder, site) = site();
    let accepts = "Accept-Encoding: gzip\r\n";
    let plain = ask(&site, "GET /long.css", "").field("ETag").unwrap().to_owned();
    let packed = ask(&site, "GET /long.css", accepts).field("ETag").unwrap().to_owned();
    assert_ne!(plain, packed);
    for (condition, whole, part) in [
        (format!("If-None-Match: {packed}\r\n"), 304, 304),
        (format!("If-None-Match: {plain}\r\n"), 200, 206),
        (format!("If-Match: {packed}\r\n"), 200, 206),
        (format!("If-Match: {plain}\r\n"), 200, 206),
        ("If-Match: \"x\"\r\n".to_owned(), 412, 412),
        ("If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT\r\n".to_owned(), 412, 412),
    ] {
        for (range, status) in [("", whole), ("Range: bytes=0-1\r\n", part), ("Range: bytes=0-1,9-9\r\n", part)] {
            let seen = ask(&site, "GET /long.css", &format!("{accepts}{condition}{range}"));
            assert_eq!(seen.status, status, "{condition}{range}");
            if status == 206 {
                assert_eq!((seen.field("ETag"), seen.field("Content-Encoding")), (Some(plain.as_str()), None));
            }
        }
    }
    // A part of what is packed cannot be had: who has some of it gets all of it.
    let seen = ask(&site, "GET /long.css", &format!("{accepts}Range: bytes=5-\r\nIf-Range: {packed}\r\n"));
    assert_eq!((seen.status, seen.field("ETag")), (200, Some(packed.as_str())));
}

#[test]
fn who_has_it_already_is_told_so() {
    let (_folder, site) = site();
    let first = ask(&site, "GET /a.txt", "");
    let (tag, modified) = (first.field("ETag").unwrap(), first.field("Last-Modified").unwrap());
    for (fields, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: W/{tag}\r\nIf-Modified-Since: x\r\n"), 304),
        (format!("If-Modified-Since: {modified}\r\n"), 304),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        ("If-Match: \"x\"\r\n".to_owned(), 412),
        (format!("If-Match: {tag}\r\nRange: bytes=0-0\r\n"), 206),
        (format!("If-None-Match: {tag}\r\nRange: bytes=0-0\r\n"), 304),
        ("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n".to_owned(), 412),
    ] {
        let seen = ask(&site, "GET /a.txt", &fields);
        assert_eq!(seen.status, status, "{fields}");
        if status == 304 {
            assert_eq!((seen.field("ETag"), seen.field("Content-Length"), seen.content.len()), (Some(tag), None, 0));
        }
    }
}

#[test]
fn text_is_packed_for_who_takes_it() {
    let (folder, site) = site();
    let plain = ask(&site, "GET /long.css", "");
    assert_eq!((plain.field("Content-Encoding"), plain.field("Vary")), (None, Some("Accept-Encoding")));
    let packed = ask(&site, "GET /long.css", "Accept-Encoding: br;q=0.7, gzip;q=0.8\r\n");
    assert_eq!(unpacked(&packed), plain.text());
    assert!(packed.content.len() < 100);
    let tag = packed.field("ETag").unwrap();
    assert!(tag.ends_with("-gz\"") && Some(tag) != plain.field("ETag"));
    assert_eq!((packed.field("Vary"), packed.field("Accept-Ranges")), (Some("Accept-Encoding"), None));
    let both = format!("Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n");
    let again = ask(&site, "GET /long.css", &both);
    assert_eq!((again.status, again.field("Vary")), (304, Some("Accept-Encoding")));
    assert_eq!(ask(&site, "GET /long.css", &format!("If-None-Match: {tag}\r\n")).status, 200);
    let smaller = ask(&site, "GET /long.css", "Accept-Encoding: gzip, deflate, br\r\n");
    assert_eq!(smaller.field("Content-Encoding"), Some("br"));
    let mut text = String::new();
    brotli_decompressor::Decompressor::new(&*smaller.content, 4096).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain.text());
    assert!(smaller.field("ETag").unwrap().ends_with("-br\"") && smaller.content.len() < packed.content.len());
    let head = ask(&site, "HEAD /long.css", "Accept-Encoding: gzip\r\n");
    assert_eq!((head.field("ETag"), head.field("Content-Length")), (Some(tag), None));
    for path in ["/long.png", "/a.txt"] {
        let seen = ask(&site, &format!("GET {path}"), "Accept-Encoding: gzip\r\n");
        assert_eq!((seen.field("Content-Encoding"), seen.field("Vary")), (None, None), "{path}");
    }
    let never = site_in(folder.path(), SiteOptions { packing: Packing::None, ..SiteOptions::default() });
    assert_eq!(ask(&never, "GET /long.css", "Accept-Encoding: gzip\r\n").text(), plain.text());
}

#[test]
fn other_methods_are_told_which_there_are() {
    let (folder, site) = site();
    for method in ["POST", "DELETE", "PUT", "TRACE", "PROPFIND", "get"] {
        let seen = ask(&site, &format!("{method} /a.txt"), "Content-Length: 3\r\n");
        assert_eq!((seen.status, seen.field("Allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
    assert_eq!(ask(&site, "CONNECT localhost:443", "").status, 405);
    for target in ["*", "/a.txt"] {
        let seen = ask(&site, &format!("OPTIONS {target}"), "");
        assert_eq!((seen.status, seen.field("Allow")), (204, Some("GET, HEAD, OPTIONS")));
        assert_eq!(seen.field("Content-Length"), None);
    }
    let storing = site_in(folder.path(), SiteOptions::default().with_upload());
    assert_eq!(ask(&storing, "OPTIONS *", "").field("Allow"), Some("GET, HEAD, OPTIONS, PUT, POST, MKCOL"));
}

#[test]
fn other_origins_read_what_is_shared_and_no_more() {
    let (folder, site) = site();
    let preflight = "Origin: https://x\r\nAccess-Control-Request-Method: PUT\r\n";
    for line in ["GET /a.txt", "OPTIONS /a.txt"] {
        assert_eq!(ask(&site, line, preflight).field("Access-Control-Allow-Origin"), None);
    }
    let accounts = Accounts { readers: Account::new("a", "b").into_iter().collect(), writers: vec![] };
    let shared = SiteOptions { sharing: Sharing::Everyone, accounts, ..SiteOptions::default() }.with_upload();
    let shared = site_in(folder.path(), shared);
    let seen = ask(&shared, "OPTIONS /a.txt", preflight);
    assert_eq!((seen.status, seen.field("Access-Control-Allow-Origin")), (204, Some("*")));
    assert_eq!(seen.field("Access-Control-Allow-Methods"), Some("GET, HEAD, OPTIONS"));
    let seen = ask(&shared, "GET /a.txt", "");
    assert_eq!((seen.status, seen.field("Access-Control-Allow-Origin")), (401, Some("*")));
    assert_eq!(seen.field("WWW-Authenticate"), Some("Basic realm=\"files\", charset=\"UTF-8\""));
    assert_eq!(ask(&shared, "GET /a.txt", "Authorization: Basic YTpi\r\n").status, 200);
    assert_eq!(ask(&shared, "OPTIONS /a.txt", "").status, 401);
}

#[test]
fn an_application_makes_up_pages_but_no_files() {
    let (folder, _) = site();
    let options = SiteOptions { fallback: Some(b"site/index.html".to_vec()), ..SiteOptions::default() };
    let site = site_in(folder.path(), options);
    for (path, status) in
        [("/users/5", 200), ("/users/", 200), ("/missing.js", 404), ("/.env", 404), ("/../x", 200), ("/a.txt", 200)]
    {
        assert_eq!(ask(&site, &format!("GET {path}"), "").status, status, "{path}");
    }
    assert_eq!(ask(&site, "GET /users/5", "").text(), "<h1>site</h1>");
    for (path, accept, status) in [
        ("/users/jane.doe", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 200),
        ("/v1.2", "text/html", 200),
        ("/missing.png", "text/html,*/*", 200),
        ("/missing.png", "image/avif,image/webp,*/*;q=0.8", 404),
        ("/missing.js", "*/*", 404),
        ("/missing.json", "application/json", 404),
        ("/users/jane.doe", "text/html;q=0, */*", 404),
        ("/.env", "text/html", 404),
    ] {
        let seen = ask(&site, &format!("GET {path}"), &format!("Accept: {accept}\r\n"));
        assert_eq!(seen.status, status, "{path} {accept}");
    }
    assert_eq!(ask(&site, "POST /users/5", "").status, 405);
}

#[test]
fn a_name_that_is_not_ours_is_told_so() {
    let (folder, site) = site();
    let now = SystemTime::now();
    let seen = at(&site, now, "GET /a.txt HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!((seen.status, seen.text().contains("evil")), (421, false));
    assert_eq!(at(&site, now, "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 421);
    assert_eq!(at(&site, now, "PUT /x HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 421);
    let any = site_in(folder.path(), SiteOptions { hosts: Hosts::Any, ..SiteOptions::default() });
    assert_eq!(at(&any, now, "GET /a.txt HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 200);
}

#[test]
fn the_connection_stays_where_both_want_it_and_nothing_is_in_the_way() {
    let (_folder, site) = site();
    for (message, keep_alive, says) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", true, None),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", false, Some("close")),
        ("GET / HTTP/1.0\r\n\r\n", false, Some("close")),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, Some("keep-alive")),
        ("GET /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", true, None),
        ("POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", false, Some("close")),
        ("POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", false, Some("close")),
        (
            "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
            false,
            Some("close"),
        ),
        ("GET /x HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\n\r\n", true, None),
    ] {
        let seen = at(&site, SystemTime::now(), message);
        assert_eq!((seen.keep_alive, seen.field("Connection")), (keep_alive, says), "{message:?}");
    }
    let mut fields = FieldList::default();
    let refused = site.refuse(Status::BAD_REQUEST, &Now::new(SystemTime::now()), &mut fields);
    let seen = seen(refused, &fields, Version::Http11);
    assert_eq!((seen.status, seen.keep_alive, seen.field("Connection")), (400, false, Some("close")));
}

#[test]
fn files_of_any_time_are_sent() {
    let (folder, site) = site();
    let file = File::options().write(true).open(folder.path().join("a.txt")).unwrap();
    file.set_modified(UNIX_EPOCH - Duration::from_secs(100)).unwrap();
    assert_eq!(ask(&site, "GET /a.txt", "").field("Last-Modified"), None);
    file.set_modified(SystemTime::now() + Duration::from_secs(100_000)).unwrap();
    let seen = ask(&site, "GET /a.txt", "");
    assert_eq!(seen.field("Last-Modified"), seen.field("Date"));
    assert_eq!(ask(&site, "GET /", "").status, 200);
}

#[test]
fn small_files_go_with_their_head_and_cut_ones_end_the_connection() {
    let (folder, site) = site();
    let message = b"GET /a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let Parsed::Whole { request, .. } = parse(message) else { panic!("not whole") };
    let now = Now::new(SystemTime::now());
    for (left, most, moved, keep_alive) in [(10, 10, 10, true), (10, 9, 0, true), (4, 10, 4, false)] {
        let (mut fields, mut head) = (FieldList::default(), vec![]);
        let Reply::Ready(mut response) = site.answer(&request, &now, &mut fields) else { panic!("no answer") };
        write_head(&mut response, &fields, request.version, &mut head);
        let length = head.len();
        File::options().write(true).open(folder.path().join("a.txt")).unwrap().set_len(left).unwrap();
        response.absorb(&mut head, most);
        assert_eq!(&head[length..], &TEXT.as_bytes()[..moved], "{left} {most}");
        assert_eq!((response.keep_alive, response.body.len() == Some(0)), (keep_alive, moved > 0), "{left} {most}");
    }
}

/// Requests put together at random from what means something somewhere: each is answered, with a head that is one.
#[test]
fn any_request_that_can_be_read_is_answered_properly() {
    let (folder, _) = site();
    let accounts = Accounts { readers: Account::new("a", "b").into_iter().collect(), writers: vec![] };
    let fallback = Some(b"site/index.html".to_vec());
    let sites = [
        SiteOptions::default(),
        SiteOptions { sharing: Sharing::Everyone, hidden: Hidden::Shown, fallback, ..SiteOptions::default() },
        SiteOptions { accounts, folders: Folders::Kept, packing: Packing::None, ..SiteOptions::default() }
            .with_upload(),
    ]
    .map(|options| site_in(folder.path(), options));
    let methods = ["GET", "HEAD", "OPTIONS", "PUT", "POST"];
    let paths =
        ["/", "/dir", "/dir/", "/site/", "/a.txt", "/long.css", "/empty", "/.env", "/../x", "/x", "/%0d%0aX:y", "*"];
    let names = [
        "Range",
        "If-Range",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "If-Unmodified-Since",
        "Accept",
        "Accept-Encoding",
        "Authorization",
        "Connection",
        "Expect",
        "Content-Length",
        "Access-Control-Request-Method",
    ];
    let values = [
        "*",
        "bytes=1-2",
        "bytes=-0",
        "bytes=9-",
        "\"x\"",
        "W/\"x\"",
        "gzip",
        "close",
        "keep-alive",
        "100-continue",
        "3",
        "Basic YTpi",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "application/json",
        "\u{ff}",
        "",
        ",,",
        "0",
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut pick = |count: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % count as u64).unwrap()
    };
    let now = Now::new(SystemTime::now());
    let mut answered = 0;
    for _ in 0..20_000 {
        let (method, path, minor) = (methods[pick(5)], paths[pick(12)], pick(2));
        let mut message = format!("{method} {path} HTTP/1.{minor}\r\nHost: localhost\r\n");
        for _ in 0..pick(5) {
            message.push_str(&format!("{}: {}\r\n", names[pick(names.len())], values[pick(values.len())]));
        }
        message.push_str("\r\n");
        let Parsed::Whole { request, .. } = parse(message.as_bytes()) else { continue };
        let mut head = FieldList::default();
        let response = match sites[pick(3)].answer(&request, &now, &mut head) {
            Reply::Ready(response) => response,
            Reply::Upload(upload) => upload.fail(Status::BAD_REQUEST, &now, &mut head),
        };
        let length = response.body.len();
        let seen = seen(response, &head, request.version);
        let said = seen.field("Content-Length").map(|length| length.parse::<u64>().unwrap());
        assert!(seen.head.lines().skip(1).all(|line| line.is_empty() || line.contains(": ")), "{seen:?}");
        match (method, seen.status) {
            (_, 204 | 304) => assert_eq!((said, length), (None, Some(0)), "{message:?}"),
            ("HEAD", _) => assert_eq!(length, Some(0), "{message:?}"),
            _ => assert_eq!(said, length, "{message:?}"),
        }
        assert_eq!(seen.field("Connection") == Some("close"), !seen.keep_alive, "{message:?}");
        answered += 1;
    }
    assert!(answered > 10_000, "{answered}");
}
