use super::*;

fn whole(head: &str) -> Request<'_> {
    match parse(head.as_bytes()) {
        Parsed::Whole { request, length } => {
            assert_eq!(length, head.len(), "{head:?}");
            request
        }
        other => panic!("{head:?}: {other:?}"),
    }
}

fn refusal(head: &[u8]) -> Option<u16> {
    match parse(head) {
        Parsed::Bad(status) => Some(status.code()),
        Parsed::Whole { .. } | Parsed::Partial => None,
    }
}

#[test]
fn a_plain_request_is_read_and_what_follows_is_left() {
    let head = "\r\n\r\nGET /a%20b/?q=1?2 HTTP/1.1\r\nHost: localhost:8080\r\nRange: bytes=0-\r\n\r\nGET /next";
    let Parsed::Whole { request, length } = parse(head.as_bytes()) else { panic!("not whole") };
    assert_eq!(&head[length..], "GET /next");
    assert_eq!((request.method, request.method_text, request.target), (Method::Get, "GET", "/a%20b/?q=1?2"));
    assert_eq!((request.path, request.query, request.host()), ("/a%20b/", Some("q=1?2"), "localhost"));
    assert_eq!(request.fields.range.as_deref(), Some(b"bytes=0-".as_slice()));
    assert_eq!((request.framing, request.is_persistent()), (Framing::None, true));
}

#[test]
fn every_beginning_of_a_head_is_partial() {
    let head = "\r\nPUT /x HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 4\r\n\r\n";
    for end in 0..head.len() {
        assert!(matches!(parse(&head.as_bytes()[..end]), Parsed::Partial), "{:?}", &head[..end]);
    }
    let request = whole(head);
    assert_eq!((request.method, request.framing, request.host()), (Method::Put, Framing::Length(4), "::1"));
}

#[test]
fn targets_are_taken_apart() {
    for (line, authority, path, query) in [
        ("GET / ", Some("h"), "/", None),
        ("GET //x ", Some("h"), "//x", None),
        ("GET /?", Some("h"), "/", Some("")),
        ("GET http://Other:1/x?y ", Some("Other:1"), "/x", Some("y")),
        ("GET HTTP://other ", Some("other"), "/", None),
        ("GET https://other?y ", Some("other"), "/", Some("y")),
        ("GET /\u{fc}", Some("h"), "/\u{fc}", None),
        ("OPTIONS * ", Some("h"), "*", None),
        ("CONNECT other:443 ", Some("other:443"), "*", None),
    ] {
        let head = format!("{} HTTP/1.1\r\nHost: h\r\n\r\n", line.trim_end());
        let request = whole(&head);
        assert_eq!((request.authority, request.path, request.query), (authority, path, query), "{line}");
    }
    for target in ["*", "x", "ftp://h/", "http:///", "http://", "http://a@b/", "/#x", "h:80", "http:/x", "?x"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(refusal(head.as_bytes()), Some(400), "{target}");
    }
}

#[test]
fn connections_stay_open_as_both_versions_say() {
    for (version, fields, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = format!("GET / HTTP/{version}\r\nHost: h\r\n{fields}\r\n");
        assert_eq!(whole(&head).is_persistent(), stays, "{head:?}");
    }
    assert_eq!(whole("GET / HTTP/1.0\r\n\r\n").authority, None);
}

/// Row 59 of the faults: each of these is one request to some servers and another, or two, to others.
#[test]
fn heads_that_two_readers_could_take_differently_are_refused() {
    for fields in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 1_0",
        "Content-Length:",
        "Content-Length: \"5\"",
        "Content-Length: 99999999999999999999",
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "Content\u{b}-Length: 5",
        "Content-Length: 5\u{b}",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;x=y",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding:\u{c}chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: y\r\n folded",
        "X: y\r\n\tfolded",
        "X: y\nContent-Length: 5",
        "X: y\rContent-Length: 5",
        "X: y\r\r\nContent-Length: 5",
        "X: y\n\rContent-Length: 5",
        "X: a\0b",
        "X: a\u{7f}b",
        "X\0: a",
        "X y: a",
        "X(y): a",
        ": a",
        "nothing",
        "Host: h",
        "Host: other",
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        assert_eq!(refusal(head.as_bytes()), Some(400), "{head:?}");
    }
    for host in ["", "Host:\r\n", "Host: a b\r\n", "Host: a,b\r\n", "Host: a/b\r\n", "Host: a@b\r\n", "Host: a:b\r\n"] {
        let head = format!("GET / HTTP/1.1\r\n{host}\r\n");
        assert_eq!(refusal(head.as_bytes()), Some(400), "{head:?}");
    }
    assert_eq!(refusal(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Some(400));
    assert_eq!(refusal(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n"), Some(400));
    assert_eq!(whole("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n").framing, Framing::Chunked);
}

#[test]
fn first_lines_that_are_none_are_refused_before_more_comes() {
    for (line, status) in [
        ("GET / HTTP/2.0\r\n", 505),
        ("GET / HTTP/0.9\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("GET /\r\n", 400),
        ("GET / http/1.1\r\n", 400),
        ("GET / HTTP/1.1 \r\n", 400),
        ("GET / HTTP/11\r\n", 400),
        ("GET / HTTP/1.1\n", 400),
        ("\n", 400),
        (" GET / HTTP/1.1\r\n", 400),
        ("\u{16}\u{3}\u{1}", 400),
        ("GE(T / HTTP/1.1\r\n", 400),
        ("AMETHODTHATISFARLONGERTHANMETHODSEVERARE", 400),
    ] {
        assert_eq!(refusal(line.as_bytes()), Some(status), "{line:?}");
    }
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / x HTTP/1.1",
        "GET HTTP/1.1",
        "GET /\u{1} HTTP/1.1",
    ] {
        let head = format!("{line}\r\nHost: h\r\n\r\n");
        assert_eq!(refusal(head.as_bytes()), Some(400), "{line:?}");
    }
}

/// Row 60 of the faults.
#[test]
fn what_is_too_much_is_named_by_its_status() {
    let target = |length| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(length - 1));
    assert_eq!(refusal(target(limits::REQUEST_TARGET).as_bytes()), None);
    assert_eq!(refusal(target(limits::REQUEST_TARGET + 1).as_bytes()), Some(414));
    assert_eq!(refusal(format!("GET /{}", "x".repeat(9000)).as_bytes()), Some(414));
    let many = |count| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(refusal(many(limits::REQUEST_FIELDS).as_bytes()), None);
    assert_eq!(refusal(many(limits::REQUEST_FIELDS + 1).as_bytes()), Some(431));
    let endless = format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(limits::REQUEST_FIELDS + 1));
    assert_eq!(refusal(endless.as_bytes()), Some(431));
    let long = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}", "y".repeat(limits::REQUEST_HEAD));
    assert_eq!(refusal(long.as_bytes()), Some(431));
    assert_eq!(refusal(format!("{long}\r\n\r\n").as_bytes()), Some(431));
    // A buffer of just that size, full, would otherwise wait for ever.
    assert_eq!(refusal(&long.as_bytes()[..limits::REQUEST_HEAD]), Some(431));
    let exact = format!("{}\r\n\r\n", &long[..limits::REQUEST_HEAD - 4]);
    assert_eq!((exact.len(), refusal(exact.as_bytes())), (limits::REQUEST_HEAD, None));
    assert_eq!(refusal("\r\n".repeat(limits::REQUEST_HEAD).as_bytes()), Some(431));
}

#[test]
fn nothing_that_comes_makes_it_panic() {
    let head = b"GET http://h:1/a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
    for at in 0..head.len() {
        for byte in 0..=255 {
            let mut other = head.to_vec();
            other[at] = byte;
            let _ = parse(&other);
            let _ = parse(&other[at..]);
        }
    }
}

#[test]
fn a_later_version_of_http_1_is_the_one_we_know() {
    for minor in ["1.2", "1.5", "1.9"] {
        let text = format!("PUT /a?b HTTP/{minor}\r\nHost: h\r\nContent-Length: 5\r\nRange: x\r\n\r\n");
        let request = whole(&text);
        assert_eq!((request.version, request.method_text, request.path), (Version::Http11, "PUT", "/a"));
        assert_eq!((request.framing, request.authority), (Framing::Length(5), Some("h")));
        assert!(request.fields.range.is_some() && request.is_persistent());
        for wrong in [
            format!("GET / HTTP/{minor}\r\n\r\n"),
            format!("GET /\u{1} HTTP/{minor}\r\nHost: h\r\n\r\n"),
            format!("GET  / HTTP/{minor}\r\nHost: h\r\n\r\n"),
            format!("GET / HTTP/{minor}\r\nHost: h\r\nX : y\r\n\r\n"),
            format!("GET / HTTP/{minor}\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        ] {
            assert_eq!(refusal(wrong.as_bytes()), Some(400), "{wrong:?}");
        }
    }
    for version in ["HTTP/2.1", "HTTP/3.0", "HTTP/0.9"] {
        assert_eq!(refusal(format!("GET / {version}\r\nHost: h\r\n\r\n").as_bytes()), Some(505), "{version}");
    }
}

#[test]
fn a_coding_under_the_chunks_that_is_not_known_is_told_so() {
    for (coding, status) in [
        ("gzip, chunked", 501),
        ("deflate,Chunked", 501),
        ("x-new, br, chunked", 501),
        ("gzip, chunked, chunked", 400),
        ("chunked, gzip", 400),
        ("gzip;q=1, chunked", 400),
        (", chunked", 400),
        ("gzip", 400),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {coding}\r\n\r\n");
        assert_eq!(refusal(head.as_bytes()), Some(status), "{coding}");
        let both = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: {coding}\r\n\r\n");
        assert_eq!(refusal(both.as_bytes()), Some(400), "{coding}");
        let old = format!("POST / HTTP/1.0\r\nTransfer-Encoding: {coding}\r\n\r\n");
        assert_eq!(refusal(old.as_bytes()), Some(400), "{coding}");
    }
}

/// What came over HTTP/2 means what the same would mean over HTTP/1.1, and is refused where that would be.
#[test]
fn values_are_read_as_text_would_be() {
    let long = format!("/{}", "x".repeat(limits::REQUEST_TARGET));
    for (method, target, authority, fields) in [
        ("GET", "/a%20b?c=d", Some("localhost:81"), &[("range", "bytes=0-1"), ("accept", "a"), ("accept", "b")][..]),
        ("OPTIONS", "*", Some("[::1]:8443"), &[]),
        ("PATCH", "/", Some("box.internal"), &[("x", "y")]),
        ("GET", "/", None, &[("host", "localhost")]),
        ("GET", "/", None, &[]),
        ("GET", "/", None, &[("host", "a"), ("host", "a")]),
        ("GET", "*", Some("localhost"), &[]),
        ("GET", "/#x", Some("localhost"), &[]),
        ("GET", "/", Some("a b"), &[]),
        ("GET", "/", Some("me@localhost"), &[]),
        ("GET", &long, Some("localhost"), &[]),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ", "/", Some("localhost"), &[]),
        ("PUT", "/", Some("localhost"), &[("content-length", "5")]),
        ("PUT", "/", Some("localhost"), &[("content-length", "5"), ("content-length", "5")]),
        ("PUT", "/", Some("localhost"), &[("content-length", "-5")]),
    ] {
        let values = Values { method, target, authority, has_content: method == "PUT" };
        let found = Request::of_values(values, fields.iter().map(|&(name, value)| (name, value.as_bytes())));
        let host = authority.map_or_else(String::new, |authority| format!("host: {authority}\r\n"));
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let text = format!("{method} {target} HTTP/1.1\r\n{host}{lines}\r\n");
        match (parse(text.as_bytes()), found) {
            (Parsed::Whole { request, .. }, Ok(found)) => {
                assert_eq!(found.version, Version::Http2);
                let host = found.fields.host.clone().or(request.fields.host.clone());
                let same =
                    Request { version: Version::Http11, fields: Fields { host, ..found.fields.clone() }, ..found };
                assert_eq!(format!("{same:?}"), format!("{request:?}"));
            }
            (Parsed::Bad(expected), Err(status)) => assert_eq!(status, expected, "{text}"),
            (parsed, found) => panic!("{text}: {parsed:?} {found:?}"),
        }
    }
    let read = |authority, host: &'static str, has_content| {
        let values = Values { method: "PUT", target: "/", authority: Some(authority), has_content };
        Request::of_values(values, [("host", host.as_bytes())].into_iter()).map(|request| request.framing)
    };
    assert_eq!(read("localhost", "LOCALHOST:443", true), Ok(Framing::Stream));
    assert_eq!(read("localhost", "localhost", false), Ok(Framing::None));
    assert_eq!(read("localhost", "other", true), Err(Status::BAD_REQUEST));
    let many = vec![("x", &b"y"[..]); limits::REQUEST_FIELDS + 1];
    let values = Values { method: "GET", target: "/", authority: Some("localhost"), has_content: false };
    assert_eq!(Request::of_values(values, many.into_iter()).map(drop), Err(Status::FIELDS_TOO_LARGE));
}
