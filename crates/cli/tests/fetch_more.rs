//! `fetch` for those who come from other tools: bodies, credentials, cookies, parts of files, and the way there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;

use support::web::{Web, answer, bytes, fetch, fetch_command, names, ok};
use support::{assert_code, code, run_command, text};

/// What was sent when asked like this.
#[track_caller]
fn asked(web: &Web, folder: &std::path::Path, arguments: &[&str]) -> String {
    let url = web.url("/x");
    assert_code(&fetch(folder, &[&[url.as_str(), "-o", "/dev/null"], arguments].concat()), 0);
    web.requests().pop().unwrap()
}

#[test]
fn json_is_sent_as_json_and_checked_first() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b""));
    fs::write(folder.path().join("data"), "[1,\n2]").unwrap();
    for (data, sent) in [("{\"a\": [1]}", "{\"a\": [1]}"), ("@data", "[1,\n2]")] {
        let request = asked(&web, folder.path(), &["--data-json", data]);
        assert!(request.starts_with("POST /x ") && request.ends_with(&format!("\r\n\r\n{sent}")), "{request}");
        assert!(request.contains("\r\nContent-Type: application/json\r\n"), "{request}");
        assert!(request.contains(&format!("\r\nContent-Length: {}\r\n", sent.len())), "{request}");
    }
    let request = asked(&web, folder.path(), &["--data-json", "1", "-X", "PATCH", "-H", "Content-Type: a/b"]);
    assert!(request.starts_with("PATCH /x ") && request.contains("\r\nContent-Type: a/b\r\n"), "{request}");
    let before = web.requests().len();
    for (arguments, expected) in [
        (&["--data-json", "{a: 1}"][..], 2),
        (&["--data-json", "@none"], 26),
        (&["--data-json", "1", "--data", "1"], 2),
        (&["--data-json", "1", "--form", "a=b"], 2),
        (&["--data-json", "1", "--head"], 2),
    ] {
        let output = fetch(folder.path(), &[&[web.url("/x").as_str(), "-o", "y"], arguments].concat());
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(web.requests().len(), before, "nobody was asked");
}

#[test]
fn a_form_has_values_and_files_and_ends_as_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::saying(ok(b""));
    // Larger than what is read at once, and text so that the helper shows it as it came.
    let long = "0123456789abcdef\r\n".repeat(20_000);
    fs::write(folder.path().join("a\"b.txt"), &long).unwrap();
    fs::write(folder.path().join("t.csv"), "1;2").unwrap();
    let form = ["--form", "who=Ann & Bob", "--form", "file=@a\"b.txt", "--form", "t=@t.csv;type=text/csv"];
    let request = asked(&web, folder.path(), &form);
    assert!(request.starts_with("POST /x HTTP/1.1\r\n"), "{}", &request[..100]);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    let boundary = head.split("Content-Type: multipart/form-data; boundary=").nth(1).unwrap().lines().next().unwrap();
    let part = |more: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name={more}\r\n\r\n{value}\r\n")
    };
    let expected = [
        part("\"who\"", "Ann & Bob"),
        part("\"file\"; filename=\"a%22b.txt\"\r\nContent-Type: application/octet-stream", &long),
        part("\"t\"; filename=\"t.csv\"\r\nContent-Type: text/csv", "1;2"),
        format!("--{boundary}--\r\n"),
    ];
    assert!(body == expected.concat(), "{}", &body[..300]);
    // The form goes with a redirect that keeps the method.
    let moved = Web::start(|request, stream| {
        let message = match request.contains(" /x ") {
            true => answer("307 There", "Location: /to\r\nContent-Length: 0\r\n", b""),
            false => ok(b"x"),
        };
        stream.write_all(&message).unwrap();
    });
    asked(&moved, folder.path(), &form);
    let both: Vec<usize> =
        moved.requests().iter().map(|request| request.split_once("\r\n\r\n").unwrap().1.len()).collect();
    assert_eq!(both, [body.len(), body.len()]);
    for (form, expected) in [("no-equals", 2), ("a=@none", 26), ("a=@t.csv;type=", 2), ("a=@t.csv;type=x\r\ny", 2)] {
        let output = fetch(folder.path(), &[&web.url("/x"), "-o", "y", "--form", form]);
        assert_eq!(code(&output), expected, "{form}: {}", text(&output.stderr));
    }
}

/// What is sent is read while it is sent: one that shrinks meanwhile ends the fetch, and is not made up.
#[test]
fn a_file_that_shrinks_while_it_is_sent_is_told() {
    use std::io::Read;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    fs::write(&path, bytes(30_000_000)).unwrap();
    let (address, server) = support::serve_one(move |mut stream| {
        support::read(&mut stream, 1000);
        fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let output = fetch(folder.path(), &[&format!("http://{address}/x"), "--data", "@large", "-o", "x"]);
    assert_code(&output, 26);
    assert!(text(&output.stderr).contains("cannot read large: it has become shorter"), "{}", text(&output.stderr));
    server.join().unwrap();
    assert_eq!(names(folder.path()), ["large"]);
    let web = Web::saying(ok(b""));
    let mut command = fetch_command(folder.path());
    command.args([&web.url("/"), "-o", "/dev/null", "--data-json", "@-"]);
    assert_code(&run_command(&mut command, b"[]"), 0);
    assert!(web.requests().pop().unwrap().ends_with("\r\n\r\n[]"));
}

/// Redirects `/from` to another origin, and says what it says elsewhere.
fn leading_to(url: String, fields: &'static str) -> Web {
    Web::start(move |request, stream| {
        let message = match request.contains(" /from") {
            true => answer("302 Found", &format!("Location: {url}\r\n{fields}Content-Length: 0\r\n"), b""),
            false => ok(b"x"),
        };
        stream.write_all(&message).unwrap();
    })
}

#[test]
fn who_asks_may_be_said_by_a_token_or_a_file_and_is_never_told_to_another() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, mode: u32| {
        fs::write(folder.path().join(name), text).unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("token", "t0ken\n", 0o600);
    write(".netrc", "machine 127.0.0.1 login me password secret\ndefault login you password x\n", 0o600);
    write("open", "machine 127.0.0.1 login me password secret\n", 0o644);
    write("wrong", "machine 127.0.0.1 login me passwort secret\n", 0o600);
    let other = Web::saying(ok(b"x"));
    let web = leading_to(other.url("/x").replace("127.0.0.1", "localhost"), "");
    let (bearer, basic) = ("\r\nAuthorization: Bearer t0ken\r\n", "\r\nAuthorization: Basic bWU6c2VjcmV0\r\n");
    for (arguments, sent) in [
        (&["--bearer", "t0ken"][..], bearer),
        (&["--bearer", "@token"], bearer),
        (&["--netrc"], basic),
        (&["--netrc-file", ".netrc"], basic),
        (&["--netrc", "--bearer", "t0ken"], bearer),
        (&["--user", "me:secret"], basic),
    ] {
        let mut command = fetch_command(folder.path());
        command.env("HOME", folder.path()).args([&web.url("/from"), "-o", "/dev/null", "-v"]).args(arguments);
        let output = run_command(&mut command, b"");
        assert_code(&output, 0);
        let request = web.requests().pop().unwrap();
        assert!(request.contains(sent), "{arguments:?}: {request}");
        let led = other.requests().pop().unwrap().to_ascii_lowercase();
        assert!(!led.contains("authorization"), "{arguments:?}: {led}");
        let said = text(&output.stderr);
        assert!(said.contains("without authorization"), "{said}");
        command.args(["--json"]);
        let both = said + &text(&run_command(&mut command, b"").stderr);
        for secret in ["t0ken", "secret", "bWU6"] {
            assert!(!both.contains(secret), "{both}");
        }
    }
    // The URL's own are nearer than a file's, and a file is not looked at unless asked.
    let url = web.url("/x").replace("//", "//you:too@");
    let mut command = fetch_command(folder.path());
    command.env("HOME", folder.path()).args([&url, "-o", "/dev/null", "--netrc"]);
    assert_code(&run_command(&mut command, b""), 0);
    assert!(web.requests().pop().unwrap().contains("\r\nAuthorization: Basic eW91OnRvbw==\r\n"));
    assert_code(
        &run_command(
            fetch_command(folder.path()).env("HOME", folder.path()).args([&web.url("/x"), "-o", "/dev/null"]),
            b"",
        ),
        0,
    );
    assert!(!web.requests().pop().unwrap().contains("Authorization"));
    for (arguments, expected, says) in [
        (&["--netrc-file", "open"][..], 26, "open: everybody may read these passwords: chmod o-r"),
        (&["--netrc-file", "none"], 26, "cannot read none: "),
        (&["--netrc-file", "wrong"], 26, "wrong: line 1: neither machine"),
        (&["--bearer", "t0 ken"], 2, "a bearer token has letters"),
        (&["--bearer", "@none"], 26, "cannot read none: "),
        (&["--bearer", "x", "--user", "a:b"], 2, "cannot be used with"),
    ] {
        let output = fetch(folder.path(), &[&[web.url("/x").as_str(), "-o", "y"], arguments].concat());
        assert_code(&output, expected);
        let said = text(&output.stderr);
        assert!(said.contains(says) && !said.contains("secret") && !said.contains("t0 ken"), "{said}");
    }
}

#[test]
fn cookies_of_a_redirect_go_back_to_who_set_them_and_ours_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let other = Web::saying(ok(b"x"));
    let sets = "Set-Cookie: s=1; Path=/\r\nSet-Cookie: deep=2; Path=/deep\r\nSet-Cookie: old=3; Max-Age=0\r\n\
        Set-Cookie: safe=4; Secure; Path=/\r\n";
    let web = leading_to("/to".to_owned(), sets);
    assert_code(&fetch(folder.path(), &[&web.url("/from"), "-o", "x", "--cookie", "a=b; c=d", "--cookie", "e=f"]), 0);
    let requests = web.requests();
    assert!(requests[0].contains("\r\nCookie: a=b; c=d; e=f\r\n"), "{}", requests[0]);
    assert!(requests[1].contains("\r\nCookie: a=b; c=d; e=f; s=1\r\n"), "{}", requests[1]);
    // The same host on another port: its own cookies go there, ours do not (RFC 6265, section 8.5).
    let web = leading_to(other.url("/x"), sets);
    let output = fetch(folder.path(), &[&web.url("/from"), "-o", "x", "--cookie", "a=b", "-v"]);
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("without cookie"), "{}", text(&output.stderr));
    assert!(other.requests().pop().unwrap().contains("\r\nCookie: s=1\r\n"));
    // Another host.
    let web = leading_to(other.url("/x").replace("127.0.0.1", "localhost"), sets);
    assert_code(&fetch(folder.path(), &[&web.url("/from"), "-o", "x", "--cookie", "a=b"]), 0);
    assert!(!other.requests().pop().unwrap().contains("Cookie"));
    for cookie in ["secret", "secret=a\nb"] {
        let output = fetch(folder.path(), &[&web.url("/x"), "-o", "y", "--cookie", cookie]);
        assert_code(&output, 2);
        assert!(!text(&output.stderr).contains("secret"), "{}", text(&output.stderr));
    }
}
