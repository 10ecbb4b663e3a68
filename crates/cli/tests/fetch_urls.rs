//! URLs that browsers and curl take, on the command line and in a redirect: what the server is asked for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::Write;

use support::web::{Web, answer, fetch, ok};
use support::{assert_code, text};

fn asked(request: &str) -> &str {
    request.lines().next().unwrap().strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap()
}

#[test]
fn what_is_typed_is_asked_for_as_a_browser_would() {
    let web = Web::saying(ok(b"x"));
    let port = web.address.port();
    let folder = tempfile::tempdir().unwrap();
    for (typed, expected) in [
        (format!("http://127.0.0.1:{port}/?a[0]=1|2^3"), "/?a[0]=1|2^3"),
        (format!("http://127.0.0.1:{port}/a#b#c"), "/a"),
        (format!("127.1:{port}/a/../b/./c"), "/b/c"),
        (format!("HTTP://127.0.0.1:{port}/%zz?%"), "/%zz?%"),
        (format!(" http:\\\\127.0.0.1:{port}\\a b\n"), "/a%20b"),
        (format!("http://127.0.0.1:{port}?q='\"<>"), "/?q=%27%22%3C%3E"),
        (format!("http://127.0.0.1:{port}/{{a,b}}/[1-3]"), "/%7Ba,b%7D/[1-3]"),
        (format!("http://2130706433:{port}/ü?ü"), "/%C3%BC?%C3%BC"),
    ] {
        assert_code(&fetch(folder.path(), &[&typed, "-o", "x"]), 0);
        assert_eq!(asked(web.requests().last().unwrap()), expected, "{typed}");
    }
    // Bytes of a user name that are no UTF-8 reach the server: u:\xff and \xfc:.
    for (typed, expected) in [("u:%FF", "dTr/"), ("%fc", "/Do="), ("a%40b:c", "YUBiOmM=")] {
        assert_code(&fetch(folder.path(), &[&format!("http://{typed}@127.0.0.1:{port}/"), "-o", "x"]), 0);
        let request = web.requests().pop().unwrap();
        assert!(request.contains(&format!("Authorization: Basic {expected}\r\n")), "{typed}: {request}");
    }
}

#[test]
fn a_name_beyond_ascii_is_looked_up_as_dns_has_it() {
    let web = Web::saying(ok(b"x"));
    let port = web.address.port();
    let folder = tempfile::tempdir().unwrap();
    for (typed, host) in [
        ("bücher.example", "xn--bcher-kva.example"),
        ("日本語.example", "xn--wgv71a119e.example"),
        ("ＦＯＯ。example", "foo.example"),
        ("%62%C3%BCcher.example", "xn--bcher-kva.example"),
    ] {
        let resolve = format!("{host}:{port}:127.0.0.1");
        assert_code(&fetch(folder.path(), &[&format!("http://{typed}:{port}/"), "--resolve", &resolve, "-o", "x"]), 0);
        let request = web.requests().pop().unwrap();
        assert!(request.contains(&format!("Host: {host}:{port}\r\n")), "{typed}: {request}");
    }
}

#[test]
fn a_redirect_is_followed_to_where_a_browser_goes() {
    for (location, expected) in [
        (b"/\xfc".as_slice(), "/%FC"),
        (b"/\xc3\xbc?\xff#\xff", "/%C3%BC?%FF"),
        (b"?a[b]=|^#c#d", "/dir/from?a[b]=|^"),
        (b"../x/./y", "/x/y"),
        (b"/..//a/../b", "//b"),
        (b"\\x\\y", "/x/y"),
        (b"  x y\t", "/dir/x%20y"),
        (b"http:z", "/dir/z"),
        (b"#only", "/dir/from"),
    ] {
        let location = location.to_vec();
        let web = Web::start(move |request, stream| {
            let is_first = request.starts_with("GET /dir/from HTTP") && !request.contains("X-Seen");
            let field =
                [b"Location: ", location.as_slice(), b"\r\nSet-Cookie: seen=1; Path=/\r\nContent-Length: 0\r\n"]
                    .concat();
            let redirect = [b"HTTP/1.1 302 Found\r\n", field.as_slice(), b"\r\n"].concat();
            let is_again = request.contains("Cookie: seen=1");
            let all = if is_first && !is_again { redirect } else { ok(b"there") };
            stream.write_all(&all).unwrap();
        });
        let folder = tempfile::tempdir().unwrap();
        let output = fetch(folder.path(), &[&web.url("/dir/from"), "-o", "x"]);
        assert_code(&output, 0);
        assert_eq!(asked(web.requests().last().unwrap()), expected);
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"there");
    }
}

#[test]
fn an_empty_location_leads_nowhere_and_the_answer_counts() {
    for fields in ["Location:\r\n", "Location: \t\r\n", ""] {
        let web = Web::saying(answer("302 Found", &format!("{fields}Content-Length: 4\r\n"), b"here"));
        let folder = tempfile::tempdir().unwrap();
        assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x"]), 0);
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"here");
        assert_eq!(web.requests().len(), 1);
    }
    let to = Web::saying(ok(b"there"));
    let web = Web::saying(answer(
        "302 Found",
        &format!("Location:\r\nLocation: {}\r\nContent-Length: 0\r\n", to.url("/")),
        b"",
    ));
    let folder = tempfile::tempdir().unwrap();
    assert_code(&fetch(folder.path(), &[&web.url("/"), "-o", "x"]), 0);
    assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"there");
}

#[test]
fn what_leads_where_we_do_not_go_is_said() {
    for location in ["ftp://x/", "mailto:a@b", "http://[::1/", "http://x:99999/", "http://a b/", "localhost:80/x", "//"]
    {
        let web = Web::saying(answer("302 Found", &format!("Location: {location}\r\nContent-Length: 0\r\n"), b""));
        let folder = tempfile::tempdir().unwrap();
        let output = fetch(folder.path(), &[&web.url("/"), "-o", "x"]);
        assert_code(&output, 47);
        assert!(text(&output.stderr).contains("where we do not go"), "{location}: {}", text(&output.stderr));
    }
}
