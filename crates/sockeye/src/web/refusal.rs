//! What a client is shown that gets nothing else.

use super::answer::{Body, Response};
use super::clock::Now;
use super::head::{Head, Manner};
use super::status::Status;

/// What the page of a folder or an error may do in a browser: look as it does, and nothing else.
pub(crate) const POLICY: &[u8] =
    b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page that says what is wrong, in words that are ours alone.
pub(crate) fn write(status: Status, methods: &str, manner: &Manner, now: &Now, out: &mut Vec<u8>) -> Response {
    let head = Head::begin(out, status, manner, now);
    let head = match status {
        Status::METHOD_NOT_ALLOWED => head.field("Allow", methods.as_bytes()),
        Status::UNAUTHORIZED => head.field("WWW-Authenticate", b"Basic realm=\"files\", charset=\"UTF-8\""),
        Status::UNAVAILABLE => head.field("Retry-After", b"1"),
        _ => head,
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{status}</title>\
         <body style=\"font-family:system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em\">\
         <h1>{status}</h1><p>{}</p></body></html>\n",
        explanation(status)
    );
    head.field("Content-Type", b"text/html; charset=utf-8")
        .field("Content-Security-Policy", POLICY)
        .content(Body::Bytes(page.into_bytes()))
}

fn explanation(status: Status) -> &'static str {
    match status {
        Status::BAD_REQUEST => "What came is no request of HTTP/1.1 that can be read in one way only.",
        Status::UNAUTHORIZED => "This site is for those who know its user and password.",
        Status::FORBIDDEN => "It is there, and may not be read or written.",
        Status::NOT_FOUND => "There is nothing here under this name.",
        Status::METHOD_NOT_ALLOWED => "Files are read here.",
        Status::REQUEST_TIMEOUT => "The request did not come in time.",
        Status::CONFLICT => "A file can be stored under a new name or in the place of a file, in a folder that exists.",
        Status::PRECONDITION_FAILED => "The file is not as the request said it is.",
        Status::CONTENT_TOO_LARGE => "The file is larger than may be stored here.",
        Status::MISDIRECTED_REQUEST => "This server does not go by the name that was asked for.",
        Status::UNAVAILABLE => "The server has too many files open. Try again.",
        Status::INSUFFICIENT_STORAGE => "There is no room left.",
        _ => "The request cannot be answered.",
    }
}
