//! What `fetch` sends: lengths of nothing, passwords from files, cookies, and to which hosts without a proxy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use support::web::{Web, answer, fetch, fetch_command, ok};
use support::{assert_code, run_command, text};

#[test]
fn methods_that_are_about_a_body_say_that_there_is_none() {
    for (arguments, expected) in [
        (&["--data", ""][..], true),
        (&["-X", "POST"], true),
        (&["-X", "PUT"], true),
        (&["-X", "PATCH"], true),
        (&["-X", "DELETE", "--data", ""], true),
        (&["--data", "@/dev/null"], true),
        (&["-X", "DELETE"], false),
        (&["-X", "OPTIONS"], false),
        (&[], false),
        (&["--head"], false),
    ] {
        let web = Web::saying(ok(b"x"));
        let folder = tempfile::tempdir().unwrap();
        let output = if arguments == ["--head"] { arguments.to_vec() } else { [arguments, &["-o", "x"]].concat() };
        assert_code(&fetch(folder.path(), &[&[web.url("/").as_str()], output.as_slice()].concat()), 0);
        let request = web.requests().pop().unwrap().to_ascii_lowercase();
        assert_eq!(request.matches("content-length: 0\r\n").count(), usize::from(expected), "{arguments:?}: {request}");
        assert!(!request.contains("transfer-encoding"), "{request}");
    }
    // After a redirect that makes a GET of it there is nothing to be long.
    let web = Web::start(|request, stream| {
        let there = answer("302 Found", "Location: /there\r\nContent-Length: 0\r\n", b"");
        stream
            .write_all(if request.starts_with("POST") {
                &there
            } else {
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            })
            .unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/"), "--data", "", "-o", "x"]), 0);
    assert!(!web.requests()[1].to_ascii_lowercase().contains("content-length"), "{:?}", web.requests());
}

#[test]
fn a_user_in_the_url_gets_their_own_password_of_netrc() {
    let web = Web::saying(ok(b"x"));
    let folder = tempfile::tempdir().unwrap();
    let netrc = folder.path().join("netrc");
    let text = "machine 127.0.0.1 login ann password s1\r\nmacdef init\r\nmachine 127.0.0.1 login no password no\r\n\r\n\
        machine 127.0.0.1 port 80 login bob password \"s\\t2\"\r\n";
    fs::write(&netrc, text).unwrap();
    fs::set_permissions(&netrc, fs::Permissions::from_mode(0o600)).unwrap();
    let port = web.address.port();
    for (user, expected) in [
        ("", "YW5uOnMx"),
        ("ann@", "YW5uOnMx"),
        ("bob@", "Ym9iOnMJMg=="),
        ("bob:own@", "Ym9iOm93bg=="),
        ("eve@", "ZXZlOg=="),
    ] {
        let url = format!("http://{user}127.0.0.1:{port}/");
        assert_code(&fetch(folder.path(), &[&url, "--netrc-file", "netrc", "-o", "x"]), 0);
        let request = web.requests().pop().unwrap();
        assert!(request.contains(&format!("Authorization: Basic {expected}\r\n")), "{user}: {request}");
    }
}

#[test]
fn bytes_of_other_entries_spoil_no_netrc() {
    let web = Web::saying(ok(b"x"));
    let folder = tempfile::tempdir().unwrap();
    let netrc = folder.path().join("netrc");
    let ours = "machine 127.0.0.1 login ann password s1\n";
    for (before, expected) in [
        (&b"machine a login b password \xfc\n"[..], 0),
        (b"# caf\xe9\n", 0),
        (b"machine 127.0.0.1 login ann password \xfc\n", 26),
    ] {
        fs::write(&netrc, [before, ours.as_bytes()].concat()).unwrap();
        fs::set_permissions(&netrc, fs::Permissions::from_mode(0o600)).unwrap();
        let output = fetch(folder.path(), &[&web.url("/"), "--netrc-file", "netrc", "-o", "x"]);
        assert_code(&output, expected);
        assert_eq!(expected == 26, text(&output.stderr).contains("the entry for 127.0.0.1 is not UTF-8"));
    }
    assert!(web.requests().pop().unwrap().contains("Authorization: Basic YW5uOnMx\r\n"));
}

/// "Nothing has changed" is an answer only to who asked whether something has.
#[test]
fn a_304_that_was_not_asked_for_says_nothing_of_a_file_that_is_not_there() {
    let web = Web::saying("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n");
    let folder = tempfile::tempdir().unwrap();
    for more in [&["--etag", "tag"][..], &["--etag", "tag", "-o", "y"], &["--if-newer", "-o", "z"]] {
        let output = fetch(folder.path(), &[&[web.url("/x").as_str()], more].concat());
        assert_code(&output, 56);
        assert!(text(&output.stderr).contains("was not asked for that"), "{more:?}: {}", text(&output.stderr));
    }
    for more in [&[][..], &["-H", "If-None-Match: \"a\""], &["-H", "if-modified-since: x"], &["--head"]] {
        assert_code(&fetch(folder.path(), &[&[web.url("/x").as_str()], more].concat()), 0);
    }
}

#[test]
fn names_below_localhost_lead_to_this_machine() {
    let web = Web::saying(ok(b"x"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["app.localhost", "a.b.localhost", "APP.LocalHost."] {
        let url = format!("http://{name}:{}/x", web.address.port());
        assert_code(&fetch(folder.path(), &[&url, "-o", "x"]), 0);
    }
}

#[test]
fn no_proxy_is_read_as_curl_reads_it() {
    let web = Web::saying(ok(b"direct"));
    let proxy = Web::saying(ok(b"proxied"));
    let folder = tempfile::tempdir().unwrap();
    let port = web.address.port();
    for (list, host, expected) in [
        ("*", "127.0.0.1", "direct"),
        ("a b , 127.0.0.0/8", "127.0.0.1", "direct"),
        ("[::1] 127.0.0.1", "127.0.0.1", "direct"),
        ("10.0.0.0/8", "127.0.0.1", "proxied"),
        (".example.", "a.example", "direct"),
        ("example", "a.example.", "direct"),
        ("xample", "a.example", "proxied"),
        ("", "127.0.0.1", "proxied"),
    ] {
        let url = format!("http://{host}:{port}/");
        let mut command = fetch_command(folder.path());
        command.args([&url, "-o", "x", "--resolve", &format!("{host}:{port}:127.0.0.1")]);
        command.env("http_proxy", proxy.address.to_string()).env("no_proxy", list);
        assert_code(&run_command(&mut command, b""), 0);
        assert_eq!(fs::read_to_string(folder.path().join("x")).unwrap(), expected, "`{list}` {host}");
    }
}

#[test]
fn a_cookie_with_a_domain_reaches_siblings_and_no_public_suffix() {
    for (domain, to, expected) in [
        ("example.org", "b.example.org", true),
        (".example.org", "example.org", true),
        ("org", "other.org", false),
        ("co.uk", "b.co.uk", false),
        ("github.io", "b.github.io", false),
    ] {
        let from = match domain.trim_start_matches('.') {
            "example.org" | "org" => "a.example.org",
            "co.uk" => "a.co.uk",
            _ => "a.github.io",
        };
        let redirect = format!("http://{to}:PORT/there");
        let domain = domain.to_owned();
        let web = Web::start(move |request, stream| {
            let port = stream.local_addr().unwrap().port().to_string();
            let location = redirect.replace("PORT", &port);
            let fields = format!("Location: {location}\r\nSet-Cookie: n=1; Domain={domain}\r\nContent-Length: 0\r\n");
            let message = if request.starts_with("GET /there") { ok(b"x") } else { answer("302 Found", &fields, b"") };
            stream.write_all(&message).unwrap();
        });
        let port = web.address.port();
        let folder = tempfile::tempdir().unwrap();
        let resolve = [from, to].map(|host| format!("{host}:{port}:127.0.0.1"));
        let url = format!("http://{from}:{port}/");
        let arguments = [&url, "-o", "x", "--resolve", &resolve[0], "--resolve", &resolve[1]];
        assert_code(&fetch(folder.path(), &arguments), 0);
        let request = web.requests().pop().unwrap();
        assert_eq!(request.contains("Cookie: n=1\r\n"), expected, "{from} to {to}: {request}");
    }
}
