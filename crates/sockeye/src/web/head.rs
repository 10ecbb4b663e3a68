//! The head of an answer, written behind whatever a buffer holds already. It is made of bytes alone: no formatting, no
//! strings, since small files are mostly head.

use std::sync::Arc;

use super::answer::{Body, Response};
use super::clock::{self, Now};
use super::extra::Extra;
use super::made::End;
use super::options::{Sharing, SiteOptions};
use super::request::{Method, Request, Version};
use super::status::Status;

/// What every answer to one request has in common.
#[derive(Debug, Clone)]
pub(crate) struct ResponseContext {
    pub(crate) keep_alive: bool,
    /// A client of HTTP/1.0 has to be told that the connection stays.
    pub(crate) is_old: bool,
    pub(crate) sharing: Sharing,
    /// HEAD: all of the head, and nothing behind it.
    pub(crate) head_only: bool,
    /// Fields that whoever serves has added.
    pub(crate) extra: Option<Arc<Extra>>,
}

impl ResponseContext {
    pub(crate) fn of(request: &Request<'_>, options: &SiteOptions) -> Self {
        Self {
            keep_alive: request.is_persistent(),
            is_old: request.version == Version::Http10,
            sharing: options.sharing,
            head_only: request.method == Method::Head,
            extra: options.extra.clone(),
        }
    }

    /// For bytes that were no request.
    pub(crate) fn closing(options: &SiteOptions) -> Self {
        let extra = options.extra.clone();
        Self { keep_alive: false, is_old: false, sharing: Sharing::SameOrigin, head_only: false, extra }
    }
}

/// A head being written.
pub(crate) struct Head<'h> {
    out: &'h mut Vec<u8>,
    status: Status,
    context: ResponseContext,
}

impl<'h> Head<'h> {
    /// Writes what every head begins with.
    pub(crate) fn begin(out: &'h mut Vec<u8>, status: Status, context: &ResponseContext, now: &Now) -> Self {
        out.extend_from_slice(b"HTTP/1.1 ");
        push_number(out, u64::from(status.code()));
        out.push(b' ');
        out.extend_from_slice(status.reason().as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(now.date());
        out.extend_from_slice(b"\r\n");
        let replaced = |name| context.extra.as_ref().is_some_and(|extra| extra.replaces(name));
        // Without it, browsers guess that text is a page and run what is in it.
        if !replaced("X-Content-Type-SiteOptions") {
            out.extend_from_slice(b"X-Content-Type-SiteOptions: nosniff\r\n");
        }
        match (context.keep_alive, context.is_old) {
            (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
            (true, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            (true, false) => {}
        }
        if let Some(extra) = &context.extra {
            out.extend_from_slice(extra.lines());
        }
        if context.sharing == Sharing::Everyone && !replaced("Access-Control-Allow-Origin") {
            out.extend_from_slice(b"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: *\r\n");
        }
        Self { out, status, context: context.clone() }
    }

    /// A field. Its value must be ours, or encoded: a line end in it would begin another field.
    pub(crate) fn field(self, name: &str, value: &[u8]) -> Self {
        debug_assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)));
        if self.context.extra.as_ref().is_some_and(|extra| extra.replaces(name)) {
            return self;
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// A field whose value is written in place.
    pub(crate) fn written(self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        write(self.out);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn date(self, name: &str, seconds: u64) -> Self {
        self.field(name, &clock::date(seconds))
    }

    /// Ends a head that is all there is: of 204 and 304, which have no content.
    pub(crate) fn end(self) -> Response {
        self.out.extend_from_slice(b"\r\n");
        Response { status: self.status, body: Body::Empty, keep_alive: self.context.keep_alive }
    }

    /// Ends a head before its content, which a HEAD is not sent.
    pub(crate) fn content(self, mut body: Body) -> Response {
        if let Body::Made(made) = &mut body
            && !matches!(made.end, End::Length(_))
        {
            made.end = if self.context.is_old { End::Close } else { End::Chunked };
            let (is_old, head_only) = (self.context.is_old, self.context.head_only);
            let head = if is_old { self } else { self.field("Transfer-Encoding", b"chunked") };
            let response = head.end();
            let body = if head_only { Body::Empty } else { body };
            return Response { body, keep_alive: response.keep_alive && !is_old, ..response };
        }
        let (length, head_only) = (body.len(), self.context.head_only);
        let response = self.written("Content-Length", |out| push_number(out, length)).end();
        if head_only { response } else { Response { body, ..response } }
    }
}

/// Writes a number in decimal digits.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
