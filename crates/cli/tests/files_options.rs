//! `serve --files` and what people ask of it beyond sending files: fields of their own, pages of their own, accounts, one
//! file, packed files beside files, and the way from http to https.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::files::Client;
use support::web::gzip;
use support::{Server, assert_code, need, run, run_command, text};

fn serve(folder: &tempfile::TempDir, flags: &[&str]) -> Server {
    Server::start_at(&["http://127.0.0.1:0"], &[&["-q", "--files", folder.path().to_str().unwrap()], flags].concat())
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn curl(arguments: &[&str]) -> String {
    need("curl");
    let output = run_command(Command::new("curl").args(["-sS", "--noproxy", "*"]).args(arguments), b"");
    assert_code(&output, 0);
    text(&output.stdout)
}

#[test]
fn fields_are_added_to_every_answer_over_both_versions() {
    let folder = folder(&[("a.txt", "a")]);
    let flags =
        ["--header", "X-Robots-Tag: noindex", "--header", "Cache-Control: no-store", "--header", "Vary: Origin"];
    let server = serve(&folder, &flags);
    let mut client = Client::new(&server);
    for (method, path, fields, status) in [
        ("GET", "/a.txt", "", 200),
        ("HEAD", "/a.txt", "", 200),
        ("GET", "/a.txt", "Range: bytes=0-0\r\n", 206),
        ("GET", "/a.txt", "Range: bytes=9-\r\n", 416),
        ("GET", "/a.txt", "If-None-Match: *\r\n", 304),
        ("GET", "/", "", 200),
        ("GET", "/nothing", "", 404),
        ("GET", "/a.txt", "Host: evil.example\r\n", 421),
        ("OPTIONS", "/", "", 204),
        ("DELETE", "/a.txt", "", 405),
        ("GET", "/a b", "", 400),
    ] {
        let answer = client.ask(method, path, fields, b"");
        assert_eq!((answer.status, answer.field("x-robots-tag")), (status, Some("noindex")), "{method} {path}");
        assert_eq!(answer.head.matches("Cache-Control: ").count(), 1, "{}", answer.head);
        assert!(answer.head.contains("Cache-Control: no-store\r\n") && answer.head.contains("Vary: Origin\r\n"));
    }
    let head = curl(&["--http2-prior-knowledge", "-D", "-", &format!("http://{}/a.txt", server.address())]);
    assert!(head.starts_with("HTTP/2 200") && head.contains("\r\nx-robots-tag: noindex\r\n"), "{head}");
}

#[test]
fn a_field_that_cannot_be_sent_is_refused_with_what_to_write() {
    for (flag, value, why) in [
        ("--header", "X-A", "'NAME: VALUE'"),
        ("--header", "X A: b", "'NAME: VALUE'"),
        ("--header", "X: a\r\nY: b", "no line ends"),
        ("--header", "Content-Length: 5", "worked out for each"),
        ("--header", "transfer-encoding: chunked", "worked out for each"),
        ("--cache-control", "*.js:", "'[PATTERN:] VALUE'"),
        ("--basic-auth", "nobody", "USER:PASSWORD"),
    ] {
        let output = run(&["serve", "http://127.0.0.1:0", "--files", ".", flag, value], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
}

#[test]
fn how_long_a_file_may_be_kept_is_said_by_pattern() {
    let folder =
        folder(&[("assets/app.js", "1"), ("app.js", "1"), ("index.html", "1"), ("a.css", "1"), ("sub/x", "1")]);
    let server = serve(
        &folder,
        &[
            "--cache-control",
            "/assets/**: max-age=31536000, immutable",
            "--cache-control",
            "*.js: max-age=60",
            "--cache-control",
            "*.html: no-store",
        ],
    );
    let mut client = Client::new(&server);
    for (path, value) in [
        ("/assets/app.js", "max-age=31536000, immutable"),
        ("/app.js", "max-age=60"),
        ("/", "no-store"),
        ("/index.html", "no-store"),
        ("/a.css", "no-cache"),
        ("/sub/", "no-cache"),
    ] {
        assert_eq!(client.get(path, "").field("cache-control"), Some(value), "{path}");
    }
    let part = client.get("/app.js", "Range: bytes=0-0\r\n");
    assert_eq!((part.status, part.field("cache-control")), (206, Some("max-age=60")));
}

#[test]
fn a_page_of_ones_own_says_that_nothing_is_there() {
    let folder = folder(&[("404.html", "<h1>Lost?</h1>"), ("a.txt", "a"), (".secret", "s")]);
    let server = serve(&folder, &["--not-found", "/404.html"]);
    let mut client = Client::new(&server);
    for path in ["/nothing", "/deep/er/", "/.secret", "/a.txt/"] {
        let answer = client.get(path, "");
        assert_eq!((answer.status, answer.text().as_str()), (404, "<h1>Lost?</h1>"), "{path}");
        assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.field("content-security-policy"), None);
    }
    let head = client.ask("HEAD", "/nothing", "", b"");
    assert_eq!((head.status, head.field("content-length")), (404, Some("14")));
    // A range is one of what was asked for, which is not there.
    assert_eq!(client.get("/nothing", "Range: bytes=0-3\r\n").text(), "<h1>Lost?</h1>");
    assert_eq!(client.get("/404.html", "").status, 200);
    fs::remove_file(folder.path().join("404.html")).unwrap();
    assert!(client.get("/nothing", "").text().contains("There is nothing here"));
}

#[test]
fn one_file_is_served_and_nothing_beside_it() {
    let folder = folder(&[("report.pdf", "%PDF"), ("other.txt", "no"), ("sub/x.txt", "no"), ("far/away.txt", "far")]);
    symlink(folder.path().join("far/away.txt"), folder.path().join("sub/link.txt")).unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let server = Server::start_at(&["http://127.0.0.1:0"], &["-q", "--files", &at("report.pdf")]);
    let mut client = Client::new(&server);
    for path in ["/", "/report.pdf", "/./report.pdf", "/?x=1"] {
        let answer = client.get(path, "");
        assert_eq!((answer.status, answer.text().as_str()), (200, "%PDF"), "{path}");
        assert_eq!(answer.field("content-type"), Some("application/pdf"), "{path}");
    }
    assert_eq!(client.get("/", "Range: bytes=1-\r\n").text(), "PDF");
    for path in ["/other.txt", "/sub/x.txt", "/sub/", "/report.pdf/", "/report.pdf/..%2fother.txt", "/../other.txt"] {
        assert_eq!(client.get(path, "").status, 404, "{path}");
    }
    // Replaced as builds replace it, it is the new one; gone, it is not there.
    fs::write(at("new"), "%PDF2").unwrap();
    fs::rename(at("new"), at("report.pdf")).unwrap();
    assert_eq!(client.get("/", "").text(), "%PDF2");
    fs::remove_file(at("report.pdf")).unwrap();
    assert_eq!(client.get("/", "").status, 404);
    fs::create_dir(at("report.pdf")).unwrap();
    assert_eq!(client.get("/", "").status, 404);
    // A link that leads away is meant; a name alone is one in the folder where we are.
    let server = Server::start_at(&["http://127.0.0.1:0"], &["-q", "--files", &at("sub/link.txt")]);
    assert_eq!(Client::new(&server).get("/", "").text(), "far");
    for flag in ["--upload", "--archive"] {
        let output = run(&["serve", "http://127.0.0.1:0", "--files", &at("other.txt"), flag], b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("is one file"), "{}", text(&output.stderr));
    }
}

fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(pair))
}

#[test]
fn several_accounts_read_and_some_write() {
    let folder = folder(&[("a.txt", "a"), ("secret/accounts", "ann:1\n\nbob:2:3\n")]);
    let accounts = folder.path().join("secret/accounts");
    fs::set_permissions(&accounts, Permissions::from_mode(0o600)).unwrap();
    let file = format!("@{}", accounts.display());
    let server = Server::start_at(
        &["http://127.0.0.1:0"],
        &[
            "--files",
            folder.path().to_str().unwrap(),
            "--upload",
            "--basic-auth",
            &file,
            "--basic-auth",
            "cid:4",
            "--write-auth",
            "dan:5",
        ],
    );
    let mut client = Client::new(&server);
    for (pair, reads, writes) in
        [("ann:1", 200, 401), ("bob:2:3", 200, 401), ("cid:4", 200, 401), ("dan:5", 200, 201), ("ann:2", 401, 401)]
    {
        assert_eq!(client.get("/a.txt", &basic(pair)).status, reads, "{pair}");
        assert_eq!(client.ask("PUT", "/new.txt", &basic(pair), b"new").status, writes, "{pair}");
    }
    assert_eq!(client.get("/a.txt", "").status, 401);
    // The log says who it was.
    for user in ["ann", "bob", "cid", "dan"] {
        server.log.wait_for(&format!("- {user} ["));
    }
}

#[test]
fn everybody_reads_where_only_writing_is_kept() {
    let folder = folder(&[("a.txt", "a")]);
    let server = serve(&folder, &["--upload", "--write-auth", "dan:5"]);
    let mut client = Client::new(&server);
    assert_eq!(client.get("/a.txt", "").status, 200);
    let refused = client.ask("PUT", "/a.txt", "", b"b");
    assert_eq!(refused.status, 401);
    assert!(refused.field("www-authenticate").is_some());
    assert_eq!(client.ask("PUT", "/a.txt", &basic("dan:6"), b"b").status, 401);
    assert_eq!(client.get("/a.txt", "").text(), "a");
    assert_eq!(client.ask("PUT", "/a.txt", &basic("dan:5"), b"b").status, 204);
}

#[test]
fn what_lies_packed_beside_a_file_is_sent_to_who_takes_it_so() {
    let folder = folder(&[("app.js", "plain"), ("old.js", "plain"), ("only.js.gz", "x"), ("b.js", "plain")]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("app.js.gz"), gzip(b"plain")).unwrap();
    fs::write(at("app.js.br"), b"\x0b\x02\x80plain\x03").unwrap();
    fs::write(at("b.js.gz"), gzip(b"plain")).unwrap();
    fs::write(at("old.js.gz"), gzip(b"older")).unwrap();
    let ago = SystemTime::now() - Duration::from_secs(100);
    for name in ["app.js", "app.js.gz", "app.js.br", "b.js", "b.js.gz", "old.js.gz"] {
        fs::File::open(at(name)).unwrap().set_modified(ago).unwrap();
    }
    fs::create_dir(at("old.js.br")).unwrap();
    let server = serve(&folder, &["--precompressed"]);
    let mut client = Client::new(&server);
    for (path, takes, coding, varies) in [
        ("/app.js", "", None, true),
        ("/app.js", "br, gzip", Some("br"), true),
        ("/app.js", "gzip, deflate", Some("gzip"), true),
        ("/app.js", "br;q=0.5, gzip", Some("gzip"), true),
        ("/app.js", "br;q=0, gzip;q=0", None, true),
        ("/app.js", "identity, gzip;q=0.5", None, true),
        ("/app.js", "*", Some("gzip"), true),
        ("/b.js", "br, gzip", Some("gzip"), true),
        ("/b.js", "br", None, true),
        // It is older than the file, and the other is none.
        ("/old.js", "br, gzip", None, false),
        ("/only.js", "gzip", None, false),
    ] {
        let fields = format!("Accept-Encoding: {takes}\r\n");
        let answer = client.get(path, &fields);
        assert_eq!(answer.field("content-encoding"), coding, "{path} {takes}");
        assert_eq!(answer.field("vary").is_some(), varies, "{path} {takes}");
        assert!(answer.status == 404 || answer.field("content-type") == Some("text/javascript; charset=utf-8"));
        let head = client.ask("HEAD", path, &fields, b"");
        assert_eq!(head.field("content-encoding"), coding);
        assert_eq!(head.field("content-length"), answer.field("content-length"), "{path} {takes}");
    }
    let packed = client.get("/app.js", "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.content, gzip(b"plain"));
    // Each form has a tag of its own, by which it is known again and by no other.
    let tag = |answer: &support::files::Answer| answer.field("etag").unwrap().to_owned();
    let plain = client.get("/app.js", "");
    let brotli = client.get("/app.js", "Accept-Encoding: br\r\n");
    let tags = [tag(&packed), tag(&plain), tag(&brotli)];
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    for (takes, own) in [("gzip", &tags[0]), ("identity", &tags[1]), ("br", &tags[2])] {
        for known in &tags {
            let fields = format!("Accept-Encoding: {takes}\r\nIf-None-Match: {known}\r\n");
            let answer = client.get("/app.js", &fields);
            assert_eq!(answer.status, if known == own { 304 } else { 200 }, "{takes} {known}");
            assert_eq!(answer.field("vary"), Some("Accept-Encoding"));
        }
    }
    // A part is one of the file as it is, and never joined to another form.
    let part = client.get("/app.js", "Accept-Encoding: gzip\r\nRange: bytes=1-2\r\n");
    assert_eq!((part.status, part.text().as_str(), part.field("content-encoding")), (206, "la", None));
    let other = format!("Accept-Encoding: gzip\r\nRange: bytes=1-2\r\nIf-Range: {}\r\n", tags[0]);
    assert_eq!(client.get("/app.js", &other).status, 200);
    // Without the flag they are files like others.
    let server = serve(&folder, &[]);
    assert_eq!(Client::new(&server).get("/app.js", "Accept-Encoding: gzip\r\n").field("content-encoding"), None);
}

#[test]
fn who_comes_over_http_is_sent_to_https() {
    let folder = folder(&[("a.txt", "a")]);
    let server = Server::start_at(
        &["http://127.0.0.1:0", "https://127.0.0.1:0"],
        &["--files", folder.path().to_str().unwrap(), "--https-redirect"],
    );
    let secure = server.log.wait_for("listening on https://").rsplit(':').next().unwrap().trim().to_owned();
    let mut client = Client::new(&server);
    for (method, target, host, status, location) in [
        ("GET", "/a.txt?x=1", "localhost", 301, format!("https://localhost:{secure}/a.txt?x=1")),
        ("HEAD", "/", "localhost:80", 301, format!("https://localhost:{secure}/")),
        ("GET", "//evil.example/%2e", "[::1]:8080", 301, format!("https://[::1]:{secure}//evil.example/%2e")),
        ("PUT", "/a.txt", "web", 308, format!("https://web:{secure}/a.txt")),
        ("GET", "http://localhost/a", "localhost", 301, format!("https://localhost:{secure}/a")),
    ] {
        let answer = client.ask(method, target, &format!("Host: {host}\r\n"), b"");
        assert_eq!((answer.status, answer.field("location")), (status, Some(location.as_str())), "{method} {target}");
    }
    let refused = client.get("/a.txt", "Host: evil.example\r\n");
    assert_eq!((refused.status, refused.field("location")), (421, None));
    let url = format!("http://{}/a.txt", server.address());
    assert_eq!(curl(&["-k", "-L", &url]), "a");
    assert_eq!(curl(&["-k", "-L", "--http2-prior-knowledge", &url]), "a");
    for addresses in [&["http://127.0.0.1:0"][..], &["https://127.0.0.1:0"]] {
        let all = [&["serve"], addresses, &["--files", ".", "--https-redirect"]].concat();
        let output = run(&all, b"");
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains("serve both"), "{}", text(&output.stderr));
    }
}
