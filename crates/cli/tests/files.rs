//! `serve --files` with real clients: what a browser, curl, wget and our own fetch get of a folder.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use support::peers::Authority;
use support::web::bytes;
use support::{Server, assert_code, need, read, run, run_command, text, to_end, until};

/// A folder with files of several sizes.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    put("empty.txt", b"");
    put("one.txt", b"1");
    put("small.bin", &bytes(32 * 1024 - 1));
    put("border.bin", &bytes(32 * 1024));
    put("large.bin", &bytes(5_000_000));
    put("page.html", "<p>a page, and enough of it to be packed</p>\n".repeat(200).as_bytes());
    put(".secret", b"hidden");
    fs::create_dir_all(folder.path().join("sub/index")).unwrap();
    put("sub/index.html", b"the index\n");
    put("sub/a name.txt", b"blank\n");
    folder
}

fn serve(folder: &Path, arguments: &[&str]) -> Server {
    serve_at("http://127.0.0.1:0", folder, arguments)
}

fn serve_at(address: &str, folder: &Path, arguments: &[&str]) -> Server {
    Server::start_at(&[address], &[&["--files", folder.to_str().unwrap()], arguments].concat())
}

fn curl(arguments: &[&str]) -> Vec<u8> {
    need("curl");
    let output =
        run_command(Command::new("curl").args(["-sS", "--noproxy", "*", "--max-time", "60"]).args(arguments), b"");
    assert_code(&output, 0);
    output.stdout
}

/// The status and the version that curl saw.
fn seen(arguments: &[&str]) -> String {
    text(&curl(&[&["-o", "/dev/null", "-w", "%{http_code} %{http_version}"], arguments].concat()))
}

/// The head of an answer.
fn head(arguments: &[&str]) -> String {
    text(&curl(&[&["-o", "/dev/null", "-D", "-"], arguments].concat())).to_ascii_lowercase()
}

/// Says a request by hand and hears everything until the server closes.
fn said(server: &Server, request: &str) -> String {
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).unwrap();
    text(&to_end(&mut stream))
}

#[test]
fn every_client_gets_every_byte() {
    let folder = folder();
    let server = serve(folder.path(), &[]);
    server.log.wait_for("listening on http://127.0.0.1:");
    let target = tempfile::tempdir().unwrap();
    for name in ["empty.txt", "one.txt", "small.bin", "border.bin", "large.bin", "page.html", "sub/a%20name.txt"] {
        let url = format!("http://{}/{name}", server.address());
        let expected = fs::read(folder.path().join(name.replace("%20", " "))).unwrap();
        assert!(curl(&[&url]) == expected, "curl: {name}");
        assert!(curl(&["--compressed", &url]) == expected, "curl --compressed: {name}");
        assert!(curl(&["--http2-prior-knowledge", &url]) == expected, "HTTP/2: {name}");
        assert!(head(&["-I", &url]).contains(&format!("content-length: {}\r\n", expected.len())), "{name}");
        need("wget");
        let output = run_command(Command::new("wget").args(["-q", "--no-proxy", "-O", "-", &url]), b"");
        assert_code(&output, 0);
        assert!(output.stdout == expected, "wget: {name}");
        let place = target.path().join("body");
        let output = run(&["fetch", "-q", &url, "-o", place.to_str().unwrap(), "--force"], b"");
        assert_code(&output, 0);
        assert!(fs::read(&place).unwrap() == expected, "fetch: {name}");
    }
    for coding in ["gzip", "br"] {
        let asked = format!("Accept-Encoding: {coding}");
        let packed = head(&["-H", &asked, &format!("http://{}/page.html", server.address())]);
        assert!(packed.contains(&format!("content-encoding: {coding}\r\n")), "{packed}");
    }
}

/// Row 55 of the faults says what must not come; this is what should: a tree as it is, and nothing twice.
#[test]
fn wget_mirrors_a_tree() {
    let folder = folder();
    fs::create_dir(folder.path().join("ü & <dir>")).unwrap();
    fs::write(folder.path().join("ü & <dir>/x?y#z.txt"), "odd").unwrap();
    let server = serve(folder.path(), &[]);
    let target = tempfile::tempdir().unwrap();
    need("wget");
    let url = format!("http://{}/", server.address());
    let mut mirror = Command::new("wget");
    mirror
        .args(["-q", "-r", "-np", "-nH", "--no-proxy", "--restrict-file-names=nocontrol", &url])
        .current_dir(target.path());
    assert_code(&run_command(&mut mirror, b""), 0);
    for name in ["large.bin", "empty.txt", "sub/index.html", "ü & <dir>/x?y#z.txt"] {
        let (here, there) = (fs::read(target.path().join(name)), fs::read(folder.path().join(name)));
        assert!(here.unwrap() == there.unwrap(), "{name}");
    }
    let names: Vec<_> = fs::read_dir(target.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 9, "the listing, and what is in it: {names:?}");
}

#[test]
fn parts_and_conditions_are_what_the_client_asked_for() {
    let folder = folder();
    let server = serve(folder.path(), &["-q"]);
    let url = format!("http://{}/large.bin", server.address());
    let whole = fs::read(folder.path().join("large.bin")).unwrap();
    for (range, from, to) in [
        ("0-0", 0, 1),
        ("5-99", 5, 100),
        ("4999999-", 4_999_999, 5_000_000),
        ("-7", 4_999_993, 5_000_000),
        ("100-9999999", 100, 5_000_000),
    ] {
        assert!(curl(&["-r", range, &url]) == whole[from..to], "{range}");
        let head = head(&["-r", range, &url]);
        assert!(head.starts_with("http/1.1 206 "), "{head}");
        assert!(head.contains(&format!("content-range: bytes {from}-{}/5000000\r\n", to - 1)), "{head}");
    }
    assert!(head(&["-r", "5000000-", &url]).contains("content-range: bytes */5000000"));
    let first = head(&[&url]);
    let field = |name: &str| first.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let (tag, date) = (field("etag:"), field("last-modified:"));
    assert_eq!(seen(&["-H", &format!("If-None-Match: {tag}"), &url]), "304 1.1");
    assert_eq!(seen(&["-H", "If-None-Match: \"other\"", &url]), "200 1.1");
    assert_eq!(seen(&["-z", &date, &url]), "304 1.1");
    assert_eq!(seen(&["-H", &format!("If-Match: {tag}"), &url]), "200 1.1");
    assert_eq!(seen(&["-H", "If-Match: \"other\"", &url]), "412 1.1");
    assert_eq!(seen(&["-r", "0-4", "-H", &format!("If-Range: {tag}"), &url]), "206 1.1");
    assert_eq!(seen(&["-r", "0-4", "-H", "If-Range: \"other\"", &url]), "200 1.1");
    // A download that was cut goes on.
    let part = folder.path().join("begun");
    fs::write(&part, &whole[..1_000_000]).unwrap();
    curl(&["-C", "-", "-o", part.to_str().unwrap(), &url]);
    assert!(fs::read(&part).unwrap() == whole);
}

#[test]
fn folders_are_shown_with_their_index_or_as_a_page() {
    let folder = folder();
    let server = serve(folder.path(), &["-q"]);
    let url = |path: &str| format!("http://{}{path}", server.address());
    assert_eq!(text(&curl(&[&url("/sub/")])), "the index\n");
    let moved = head(&[&url("/sub?x=1")]);
    assert!(moved.starts_with("http/1.1 301 ") && moved.contains("location: /sub/?x=1\r\n"), "{moved}");
    let page = text(&curl(&[&url("/")]));
    assert!(page.contains("href=\"sub/\"") && page.contains("large.bin") && !page.contains(".secret"), "{page}");
    let json = text(&curl(&["-H", "Accept: application/json", &url("/")]));
    assert!(json.contains("\"large.bin\"") && json.contains("5000000"), "{json}");
    assert_eq!(seen(&[&url("/nothing")]), "404 1.1");
    assert_eq!(seen(&["-X", "POST", "-d", "x", &url("/one.txt")]), "405 1.1");
    assert_eq!(seen(&["-T", folder.path().join("one.txt").to_str().unwrap(), &url("/new.txt")]), "405 1.1");
    assert!(!folder.path().join("new.txt").exists());
    let shy = serve(folder.path(), &["-q", "--no-listing", "--no-compression"]);
    assert_eq!(seen(&[&format!("http://{}/", shy.address())]), "404 1.1");
    assert!(!head(&["--compressed", &format!("http://{}/page.html", shy.address())]).contains("gzip"));
}

#[test]
fn a_connection_stays_for_the_next_request_and_takes_several_at_once() {
    let folder = folder();
    let mut server = serve(folder.path(), &[]);
    let url = |name: &str| format!("http://{}/{name}", server.address());
    curl(&[&url("one.txt"), &url("large.bin"), &url("empty.txt")]);
    server.log.wait_for_count("\"GET /", 3);
    server.log.wait_for("closed #1 ");
    assert!(!server.log.all().iter().any(|line| line.starts_with("opened #2")));
    let get = |name: &str, field: &str| format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
    let requests = [get("one.txt", ""), get("large.bin", ""), get("one.txt", "Connection: close\r\n")].concat();
    let mut stream = server.connect();
    stream.write_all(requests.as_bytes()).unwrap();
    let all = to_end(&mut stream);
    assert_eq!(all.windows(15).filter(|window| *window == b"HTTP/1.1 200 OK").count(), 3);
    assert!(all.len() > 5_000_000 && all.ends_with(b"\r\n\r\n1"));
    // HTTP/1.0 closes behind its answer, and so does a client that ends first; it gets all of it.
    assert!(said(&server, "GET /one.txt HTTP/1.0\r\n\r\n").ends_with("\r\n\r\n1"));
    let mut stream = server.connect();
    stream.write_all(get("large.bin", "").as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(to_end(&mut stream).len() > 5_000_000);
    // One that is idle is closed when the server ends; it is not waited for.
    let _idle = server.connect();
    server.signal("TERM");
    assert_eq!(server.wait(), 0);
}

#[test]
fn files_are_stored_whole_where_that_is_allowed() {
    let folder = folder();
    let server = serve(folder.path(), &["-q", "--upload", "--max-upload", "6MB".trim_end_matches('B')]);
    let large = folder.path().join("large.bin");
    let put = |extra: &[&str], name: &str| {
        let url = format!("http://{}/{name}", server.address());
        seen(&[&["-T", large.to_str().unwrap()], extra, &[&url]].concat())
    };
    for (extra, name) in [
        (&[][..], "sub/a.bin"),
        (&["-H", "Transfer-Encoding: chunked"], "sub/b.bin"),
        (&["--http2-prior-knowledge"], "sub/c.bin"),
        (&["-H", "Expect:"], "sub/d.bin"),
    ] {
        assert_eq!(put(extra, name).split(' ').next().unwrap(), "201", "{name}");
        assert!(fs::read(folder.path().join(name)).unwrap() == fs::read(&large).unwrap(), "{name}");
    }
    assert_eq!(put(&[], "sub/a.bin"), "204 1.1");
    fs::write(&large, bytes(7_000_000)).unwrap();
    assert_eq!(put(&[], "sub/e.bin"), "413 1.1");
    assert_eq!(put(&["-H", "Transfer-Encoding: chunked"], "sub/e.bin"), "413 1.1");
    assert_eq!(put(&[], "nowhere/e.bin").split(' ').next().unwrap().len(), 3);
    assert_eq!(put(&["--path-as-is"], "../e.bin").chars().next(), Some('4'));
    assert_eq!(put(&[], ".hidden").chars().next(), Some('4'));
    let mut left: Vec<_> =
        fs::read_dir(folder.path().join("sub")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a name.txt", "a.bin", "b.bin", "c.bin", "d.bin", "index", "index.html"]);
    // One that is cut leaves nothing.
    let mut stream = server.connect();
    stream.write_all(b"PUT /sub/cut.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    to_end(&mut stream);
    assert!(!folder.path().join("sub/cut.bin").exists());
}

#[test]
fn whoever_may_come_in_comes_in() {
    let folder = folder();
    let secret = folder.path().join("account");
    fs::write(&secret, "anna:open sesame\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let file = format!("@{}", secret.display());
    for account in ["anna:open sesame", &file] {
        let server = serve(folder.path(), &["--basic-auth", account]);
        let url = format!("http://{}/one.txt", server.address());
        assert_eq!(seen(&[&url]), "401 1.1");
        assert!(head(&[&url]).contains("www-authenticate: basic"));
        assert_eq!(seen(&["-u", "anna:wrong", &url]), "401 1.1");
        assert_eq!(text(&curl(&["-u", "anna:open sesame", &url])), "1");
        server.log.wait_for(" - anna [");
        assert!(!server.log.all().iter().any(|line| line.contains("sesame") || line.contains("YW5uYT")));
    }
    // Row 69 of the faults: a secret that everybody may read is none.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let output =
        run(&["serve", "http://127.0.0.1:0", "--files", folder.path().to_str().unwrap(), "--basic-auth", &file], b"");
    assert_code(&output, 26);
    assert!(text(&output.stderr).contains("chmod o-r"), "{}", text(&output.stderr));
}

#[test]
fn what_is_off_by_default_is_there_when_asked_for() {
    let folder = folder();
    let server = serve(folder.path(), &["-q", "--hidden", "--cors", "--spa", "page.html", "--host", "box.lan"]);
    let url = |path: &str| format!("http://{}{path}", server.address());
    assert_eq!(text(&curl(&[&url("/.secret")])), "hidden");
    assert!(head(&[&url("/one.txt")]).contains("access-control-allow-origin: *"));
    assert!(text(&curl(&[&url("/made/up/page")])).contains("a page"));
    assert_eq!(seen(&[&url("/missing.js")]), "404 1.1");
    assert_eq!(seen(&["-H", "Host: box.lan", &url("/one.txt")]), "200 1.1");
    // Row 73 of the faults: another name that leads here is not ours.
    assert_eq!(seen(&["-H", "Host: evil.example", &url("/one.txt")]), "421 1.1");
    let open = serve(folder.path(), &["-q", "--host", "*"]);
    assert_eq!(seen(&["-H", "Host: evil.example", &format!("http://{}/one.txt", open.address())]), "200 1.1");
    assert_eq!(seen(&[&format!("http://{}/.secret", open.address())]), "404 1.1");
}

#[test]
fn the_access_log_is_one_line_a_request_whatever_a_client_sends() {
    let folder = folder();
    let log = folder.path().join("access.log");
    let mut server = serve(folder.path(), &["--access-log", log.to_str().unwrap()]);
    curl(&["-A", "agent \"quoted\" \u{9b}31m", "-e", "http://from/", &format!("http://{}/one.txt", server.address())]);
    curl(&["--path-as-is", &format!("http://{}/%0d%0a\"x", server.address())]);
    server.signal("TERM");
    assert_eq!(server.wait(), 0);
    let lines = fs::read_to_string(&log).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(
        lines.starts_with("127.0.0.1 - - [")
            && lines.contains("] \"GET /one.txt HTTP/1.1\" 200 1 \"http://from/\" \"agent"),
        "{lines}"
    );
    assert!(!lines.contains(char::is_control) || lines.lines().all(|line| !line.contains(char::is_control)), "{lines}");
    assert!(!server.log.to_end().iter().any(|line| line.contains("GET /")));
    let json = serve(folder.path(), &["--json"]);
    curl(&[&format!("http://{}/one.txt", json.address())]);
    let line = json.log.wait_for("\"answered\"");
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (object["status"].as_u64(), object["target"].as_str(), object["sent"].as_u64()),
        (Some(200), Some("/one.txt"), Some(1))
    );
}

#[test]
fn tls_and_unix_sockets_carry_the_same_files() {
    let folder = folder();
    let place = tempfile::tempdir().unwrap();
    let whole = fs::read(folder.path().join("large.bin")).unwrap();
    let authority = Authority::new(place.path());
    authority.sign(place.path(), "site", &["localhost"], (2024, 2099));
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let server = serve_at("https://127.0.0.1:0", folder.path(), &["--cert", &at("site.pem"), "--key", &at("site.key")]);
    let url = format!("https://localhost:{}/large.bin", server.port());
    let trust =
        ["--cacert", &at("ca.pem"), "--resolve", &format!("localhost:{}:127.0.0.1", server.port())].map(str::to_owned);
    let trust: Vec<&str> = trust.iter().map(String::as_str).collect();
    for (version, seen_as) in [("--http2", "200 2"), ("--http1.1", "200 1.1")] {
        assert_eq!(seen(&[&trust[..], &[version, &url]].concat()), seen_as);
        assert!(curl(&[&trust[..], &[version, &url]].concat()) == whole, "{version}");
    }
    let output = run(&["fetch", "-q", "-o", "-", "--ca", &at("ca.pem"), &url], b"");
    assert_code(&output, 0);
    assert!(output.stdout == whole);
    server.log.wait_for("\"GET /large.bin HTTP/2.0\" 200 5000000");
    // Row 67 of the faults: a client that does not speak TLS is told so and gone, and is not waited for.
    let mut silent = server.connect();
    silent.write_all(b"\x16\x03\x01").unwrap();
    let mut garbage = server.connect();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    to_end(&mut garbage);
    server.log.wait_for(": TLS: ");
    assert_eq!(seen(&[&trust[..], &[&url]].concat()), "200 2");
    // One that is made for the run is known by its fingerprint.
    let made = serve_at("https://127.0.0.1:0", folder.path(), &[]);
    let pin = made.log.pin();
    let url = format!("https://{}/one.txt", made.address());
    assert_eq!(seen(&["-k", &url]), "200 2");
    let another = format!("sha256:{}", "00".repeat(32));
    for (pin, code) in [(&pin, 0), (&another, 60)] {
        assert_code(&run(&["fetch", "-q", "-o", "-", "--pin", pin, &url], b""), code);
    }
    let socket = at("site.sock");
    let unix = Server::start_at(
        &[&format!("unix:{socket}"), "http://127.0.0.1:0"],
        &["--files", folder.path().to_str().unwrap()],
    );
    assert!(curl(&["--unix-socket", &socket, "http://localhost/large.bin"]) == whole);
    unix.log.wait_for("- - - [");
}

#[test]
fn a_folder_that_cannot_be_served_is_refused_before_a_socket_is_opened() {
    let output = run(&["serve", "http://127.0.0.1:0", "--files", "/nowhere/at/all"], b"");
    assert_code(&output, 26);
    assert!(text(&output.stderr).contains("cannot serve the folder /nowhere/at/all"), "{}", text(&output.stderr));
    let output = run(&["serve", "http://127.0.0.1:0"], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("`http://` has nothing to serve: name a folder with --files DIR"));
    let output = run(&["serve", "udp://127.0.0.1:0", "--files", "."], b"");
    assert_code(&output, 2);
    // What other servers of files would have taken for it.
    let output = run(&["serve", "http://127.0.0.1:0", "/usr"], b"");
    assert_code(&output, 2);
    assert!(text(&output.stderr).contains("--files /usr serves it over HTTP"), "{}", text(&output.stderr));
}

#[test]
fn what_may_not_be_meant_is_said_where_others_can_reach_it() {
    let folder = folder();
    let notes = |address: &str, arguments: &[&str]| {
        let (code, log) = serve_at(address, folder.path(), arguments).stop();
        assert_eq!(code, 0);
        log
    };
    let says = |log: &[String], words: &str| log.iter().any(|line| line.contains(words));
    let auth = ["--basic-auth", "anna:open sesame"];
    assert!(says(&notes("http://0.0.0.0:0", &auth), "password of --basic-auth can be read on its way"));
    assert!(!says(&notes("https://0.0.0.0:0", &auth), "on its way"));
    assert!(!says(&notes("http://127.0.0.1:0", &auth), "on its way"));
    assert!(says(&notes("http://0.0.0.0:0", &["--upload"]), "everybody who reaches this machine may store files"));
    assert!(!says(&notes("http://127.0.0.1:0", &["--upload"]), "may store files"));
    assert!(says(&notes("http://127.0.0.1:0", &["--spa", "app.html"]), "--spa: there is no file "));
    assert!(!says(&notes("http://127.0.0.1:0", &["--spa", "/page.html"]), "--spa"));
}

#[test]
fn a_folder_that_is_built_anew_is_served_anew() {
    let place = tempfile::tempdir().unwrap();
    let site = place.path().join("site");
    let build = |text: &str| {
        fs::create_dir(&site).unwrap();
        fs::write(site.join("page.txt"), text).unwrap();
    };
    build("old");
    let server = serve(&site, &["-q"]);
    let url = format!("http://{}/page.txt", server.address());
    assert_eq!(text(&curl(&[&url])), "old");
    fs::remove_dir_all(&site).unwrap();
    assert_eq!(seen(&[&url]), "404 1.1");
    build("new");
    until("the new page", || text(&curl(&[&url])) == "new");
}

#[test]
fn a_large_file_that_is_being_sent_gets_the_grace_and_what_is_cut_is_said() {
    let folder = folder();
    fs::File::create(folder.path().join("huge.bin")).unwrap().set_len(1 << 30).unwrap();
    let mut server = serve(folder.path(), &["--grace", "300ms"]);
    let mut stream = server.connect();
    stream.write_all(b"GET /huge.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    read(&mut stream, 1000);
    server.signal("TERM");
    assert_eq!(server.wait(), 0);
    server.log.wait_for("1 cut after a grace of 0.3 s");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 1 << 30);
}
