//! What a client is sent, and what it should make of it.

pub(super) struct Reply {
    pub(super) name: &'static str,
    pub(super) section: &'static str,
    pub(super) bytes: &'static [u8],
    pub(super) outcome: Outcome,
}

/// What should come of it.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    /// This is saved.
    Saved(&'static [u8]),
    /// The client fails.
    Fails,
    /// Either of them, and nothing else is saved.
    SavedOrFails(&'static [u8]),
}

use Outcome::{Fails, Saved, SavedOrFails};

const fn good(name: &'static str, section: &'static str, bytes: &'static [u8], body: &'static [u8]) -> Reply {
    Reply { name, section, bytes, outcome: Saved(body) }
}

const fn either(name: &'static str, section: &'static str, bytes: &'static [u8], body: &'static [u8]) -> Reply {
    Reply { name, section, bytes, outcome: SavedOrFails(body) }
}

const fn bad(name: &'static str, section: &'static str, bytes: &'static [u8]) -> Reply {
    Reply { name, section, bytes, outcome: Fails }
}

pub(super) const REPLIES: &[Reply] = &[
    good("a length", "9112 6.2", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    good(
        "chunks",
        "9112 7.1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\n\r\n",
        b"hi",
    ),
    good(
        "chunks with a trailer",
        "9112 7.1.2",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n",
        b"hi",
    ),
    either(
        "chunks and a length",
        "9112 6.3",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"hi",
    ),
    good("the end of the connection", "9112 6.3", b"HTTP/1.1 200 OK\r\n\r\nhi", b"hi"),
    good("HTTP/1.0", "9112 6.3", b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi"),
    good("no reason", "9112 4", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    good(
        "an interim answer",
        "9110 15.2",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"hi",
    ),
    good("a folded field", "9112 5.2", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    good("a value of other bytes", "9110 5.5", b"HTTP/1.1 200 OK\r\nX: \xfc\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    good("one length twice", "9112 6.3", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    good("204", "9112 6.3", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    good("more than the length", "9112 6.3", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhijk", b"hi"),
    good(
        "identity",
        "9110 8.4",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
        b"hi",
    ),
    bad("fewer than the length", "9112 8", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"),
    bad("no last chunk", "9112 8", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"),
    bad("a chunk that is cut", "9112 8", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi"),
    bad(
        "a chunk without a size",
        "9112 7.1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhi\r\n0\r\n\r\n",
    ),
    bad(
        "a chunk that is longer than it says",
        "9112 7.1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
    ),
    bad("two lengths", "9112 6.3", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi"),
    bad("a length that is no number", "9112 6.3", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhi"),
    bad("a length below zero", "9112 6.3", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi"),
    bad(
        "a packed body that is cut",
        "9110 8.4",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    ),
    bad(
        "a packed body that is none",
        "9110 8.4",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",
    ),
    bad("no answer", "9112 8", b""),
    bad("half a head", "9112 8", b"HTTP/1.1 200 OK\r\nContent-Le"),
    bad("something else", "9112 4", b"220 mail.example ESMTP\r\n"),
    bad("404", "9110 15.5.5", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    bad("500", "9110 15.6.1", b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
    bad(
        "a redirect to itself",
        "9110 15.4",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    ),
];
