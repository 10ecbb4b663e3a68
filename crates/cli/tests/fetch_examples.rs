//! The examples of docs/fetch.md, run as they stand there, and what the page says that TLS does not do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use support::peers::{Authority, s_server};
use support::web::{Web, answer, fetch, fetch_command};
use support::{BINARY, assert_code, need, run_command, text};

fn examples() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fetch.md")).unwrap();
    page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

fn shop() -> Web {
    Web::start(|request, stream| {
        let modified = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"a\"\r\n";
        let path = request.split([' ', '?']).nth(1).unwrap();
        let has = |field: &str| request.contains(field);
        let (status, fields, body) = match path {
            "/report.pdf" if has("If-Modified-Since: Sun, 06 Nov 1994") => ("304 Not Modified", modified, ""),
            "/report.pdf" => ("200 OK", modified, "report"),
            "/download" => ("200 OK", "Content-Disposition: attachment; filename=\"seven.txt\"\r\n", "seven"),
            "/login" => ("200 OK", "Set-Cookie: sid=1; Path=/\r\n", "welcome"),
            "/account" if has("Cookie: sid=1\r\n") => ("200 OK", "", "account"),
            "/secret" if has("Authorization: Digest ") => ("200 OK", "", "secret"),
            "/secret" => ("401 Unauthorized", "WWW-Authenticate: Digest realm=r, nonce=n, qop=auth\r\n", ""),
            "/account" => ("403 Forbidden", "", ""),
            "/items" => ("201 Created", "Content-Type: application/json\r\n", "{\"id\":1}"),
            "/" if !has("Host: example.test\r\n") => ("404 Not Found", "", ""),
            _ => ("200 OK", "", "x"),
        };
        let length =
            if status.starts_with("304") { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let _ = stream.write_all(&answer(status, &format!("{fields}{length}"), body.as_bytes()));
    })
}

#[test]
fn the_examples_of_the_page_do_what_they_say() {
    for program in ["sh", "seq", "gzip", "python3"] {
        need(program);
    }
    let web = shop();
    let folder = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(BINARY, programs.path().join("sockeye")).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let plain = fetch_command(folder.path());
    let mut command = Command::new("sh");
    for (name, _) in plain.get_envs().filter(|(_, value)| value.is_none()) {
        command.env_remove(name);
    }
    command.args(["-euxc", &examples()]).current_dir(folder.path()).env("PATH", path);
    command.env("URL", web.url(""));
    let output = run_command(&mut command, b"");
    assert_code(&output, 0);
    let there = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    for (name, content) in [
        ("downloads/report.pdf", "report"),
        ("downloads/seven.txt", "seven"),
        ("tagged/report.pdf", "report"),
        ("1.txt", "x"),
        ("2.txt", "x"),
        ("list/three", "x"),
        ("list/four", "x"),
        ("welcome", "welcome"),
        ("account", "account"),
        ("secret", "secret"),
        ("page", "x"),
    ] {
        assert_eq!(there(name), content, "{name}");
    }
    assert!(there("asked").contains("GET /search?page=2 HTTP/1.1") && there("item.json").contains("\"id\": 1"));
    let requests = web.requests();
    let asked = |begin: &str| requests.iter().filter(|request| request.starts_with(begin)).count();
    assert_eq!(asked("GET /report.pdf "), 3, "{requests:?}");
    assert_eq!(asked("GET /search?page=2&q=a+b "), 1, "{requests:?}");
    assert_eq!(asked("GET /search"), 1, "what was only shown was not asked");
    assert_eq!((asked("PUT /files/welcome "), asked("PUT /files/numbers.gz ")), (1, 1));
    assert!(requests.iter().any(|request| request.ends_with("user=me&word=a%26b+c")), "{requests:?}");
    assert!(!requests.iter().any(|request| request.contains("Authorization: Basic")));
}

#[test]
fn servers_with_old_tls_only_are_told_as_the_page_says() {
    need("openssl");
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    Authority::new(here).sign(here, "ecdsa", &["localhost"], (2020, 2120));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=localhost"]);
    command
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "rsa.key", "-out", "rsa.pem"])
        .current_dir(here);
    assert!(run_command(&mut command, b"").status.success());
    fs::write(here.join("page"), "x").unwrap();
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    for (certificate, more, expected) in [
        ("ecdsa", &["-tls1"][..], 35),
        ("ecdsa", &["-tls1_1"], 35),
        ("ecdsa", &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"], 35),
        ("rsa", &["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA:@SECLEVEL=0"], 35),
        ("rsa", &["-tls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"], 35),
        ("rsa", &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"], 35),
        ("rsa", &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], 0),
        ("ecdsa", &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], 0),
        ("ecdsa", &["-tls1_3"], 0),
    ] {
        let more = if more.contains(&"-cipher") { more.to_vec() } else { [more, &weak].concat() };
        let peer = s_server(here, certificate, &more);
        let url = format!("https://localhost:{}/page", peer.port);
        let output = fetch(here, &["-4", &url, "--insecure", "-o", "got"]);
        assert_eq!(support::code(&output), expected, "{more:?}: {}", text(&output.stderr));
    }
}
