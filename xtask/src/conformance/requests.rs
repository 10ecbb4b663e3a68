//! What a server is sent, and what it should make of it (RFC 9110 and 9112). The field of cases is that of h1spec.

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) section: &'static str,
    /// As they are sent, one after another.
    pub(super) pieces: &'static [&'static [u8]],
    pub(super) expect: Expect,
}

#[derive(Clone, Copy)]
pub(super) enum Expect {
    /// So many answers, all of them 2xx.
    Good(usize),
    /// Content is understood, and not wanted: 404 and 405 will do.
    NotStored,
    /// One answer, with one of these.
    Refused(&'static [u16]),
    /// The same, or the end of the connection.
    RefusedOrCut(&'static [u16]),
}

use Expect::{Good, NotStored, Refused, RefusedOrCut};

const BAD: Expect = Refused(&[400]);

const fn case(name: &'static str, section: &'static str, pieces: &'static [&'static [u8]], expect: Expect) -> Case {
    Case { name, section, pieces, expect }
}

pub(super) const REQUESTS: &[Case] = &[
    case("a request", "9112 3", &[b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], Good(1)),
    case("a method in two pieces", "9112 2.2", &[b"G", b"ET / HTTP/1.1\r\nHost: a\r\n\r\n"], Good(1)),
    case("a target in two pieces", "9112 2.2", &[b"GET ", b"/a.txt HTTP/1.1\r\nHost: a\r\n\r\n"], Good(1)),
    case("a version in two pieces", "9112 2.2", &[b"GET /a.txt HT", b"TP/1.1\r\nHost: a\r\n\r\n"], Good(1)),
    case("a line end in two pieces", "9112 2.2", &[b"GET / HTTP/1.1\r", b"\nHost: a\r\n\r\n"], Good(1)),
    case("a field in two pieces", "9112 2.2", &[b"GET / HTTP/1.1\r\nHo", b"st: a\r\n\r\n"], Good(1)),
    case("an end in two pieces", "9112 2.2", &[b"GET / HTTP/1.1\r\nHost: a\r\n\r", b"\n"], Good(1)),
    case("empty lines before it", "9112 2.2", &[b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"], Good(1)),
    case(
        "two requests at once",
        "9112 9.3.2",
        &[b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n"],
        Good(2),
    ),
    case("the whole URL as target", "9112 3.2.2", &[b"GET http://a/a.txt HTTP/1.1\r\nHost: a\r\n\r\n"], Good(1)),
    case("a field without a value", "9110 5.5", &[b"GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n"], Good(1)),
    case("blanks around a value", "9112 5.1", &[b"GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n"], Good(1)),
    case(
        "every character of a name",
        "9110 5.6.2",
        &[b"GET / HTTP/1.1\r\nHost: a\r\nX!#$%&'*+-.^_`|~9: 1\r\n\r\n"],
        Good(1),
    ),
    case("bytes above 0x7f in a value", "9110 5.5", &[b"GET / HTTP/1.1\r\nHost: a\r\nX: \xfc\r\n\r\n"], Good(1)),
    case("HTTP/1.0 without Host", "9112 3.2", &[b"GET / HTTP/1.0\r\n\r\n"], Good(1)),
    case("a later minor version", "9110 2.5", &[b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"], Good(1)),
    case(
        "content of a length",
        "9112 6.2",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"],
        NotStored,
    ),
    case(
        "content in chunks",
        "9112 7.1",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n"],
        NotStored,
    ),
    case("a field without a colon", "9112 5", &[b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"], BAD),
    case("a field without a name", "9112 5", &[b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"], BAD),
    case("a blank before the colon", "9112 5.1", &[b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"], BAD),
    case("a bracket in a name", "9110 5.6.2", &[b"GET / HTTP/1.1\r\nHost: a\r\nX[: 1\r\n\r\n"], BAD),
    case("a quote in a name", "9110 5.6.2", &[b"GET / HTTP/1.1\r\nHost: a\r\nX\": 1\r\n\r\n"], BAD),
    case("a control character in a name", "9110 5.6.2", &[b"GET / HTTP/1.1\r\nHost: a\r\nX\x07: 1\r\n\r\n"], BAD),
    case("NUL in a value", "9110 5.5", &[b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"], BAD),
    case("a control character in a value", "9110 5.5", &[b"GET / HTTP/1.1\r\nHost: a\r\nX: \x07\r\n\r\n"], BAD),
    case("CR alone in a value", "9110 5.5", &[b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"], BAD),
    case("a folded field", "9112 5.2", &[b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"], BAD),
    case("no Host", "9112 3.2", &[b"GET / HTTP/1.1\r\n\r\n"], BAD),
    case("two Hosts", "9112 3.2", &[b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"], BAD),
    case("a Host that is none", "9112 3.2", &[b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"], BAD),
    case("a blank before the first line", "9112 3", &[b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"], BAD),
    case("no target", "9112 3", &[b"GET HTTP/1.1\r\nHost: a\r\n\r\n"], BAD),
    case("a blank in the target", "9112 3.2", &[b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"], BAD),
    case("a control character in the target", "9112 3.2", &[b"GET /\x07 HTTP/1.1\r\nHost: a\r\n\r\n"], BAD),
    case("a version that is none", "9112 2.3", &[b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n"], BAD),
    case("a major version nobody knows", "9110 15.6.6", &[b"GET / HTTP/9.9\r\nHost: a\r\n\r\n"], Refused(&[400, 505])),
    case("LF alone", "9112 2.2", &[b"GET / HTTP/1.1\nHost: a\n\n"], Refused(&[400, 200])),
    case("a length below zero", "9112 6.3", &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"], BAD),
    case("a length with a sign", "9112 6.3", &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na"], BAD),
    case(
        "a length that is no number",
        "9112 6.3",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n"],
        BAD,
    ),
    case("an empty length", "9112 6.3", &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"], BAD),
    case(
        "a length of 65 bits",
        "9112 6.3",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 36893488147419103232\r\n\r\n"],
        Refused(&[400, 413]),
    ),
    case(
        "two lengths",
        "9112 6.3",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na"],
        BAD,
    ),
    case(
        "a length and chunks",
        "9112 6.3",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        BAD,
    ),
    case(
        "a coding nobody knows",
        "9112 6.1",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n"],
        Refused(&[400, 501]),
    ),
    case(
        "chunks before another coding",
        "9112 6.3",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n"],
        Refused(&[400, 501]),
    ),
    case(
        "chunks in HTTP/1.0",
        "9112 6.1",
        &[b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        BAD,
    ),
    case(
        "an expectation nobody knows",
        "9110 10.1.1",
        &[b"GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n"],
        Refused(&[417, 200]),
    ),
    case("another protocol", "9112 3", &[b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"], RefusedOrCut(&[400])),
    case("a head that ends early", "9112 8", &[b"GET / HTTP/1.1\r\nHost: a\r\n"], RefusedOrCut(&[400, 408])),
];
