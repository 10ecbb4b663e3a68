//! The head of an answer while it is made. It is made of bytes alone: no formatting, no strings, since small files are mostly
//! head.

use std::sync::Arc;

use super::clock::{self, Now};
use super::extra::Extra;
use super::field_list::FieldList;
use super::options::{Sharing, SiteOptions};
use super::response::{Body, Extent, Response};
use crate::wire::http::request::{Method, Request};
use crate::wire::http::status::Status;

/// What every answer to one request has in common.
#[derive(Debug, Clone)]
pub(crate) struct ResponseContext {
    pub(crate) keep_alive: bool,
    pub(crate) sharing: Sharing,
    /// HEAD: all of the head, and nothing behind it.
    pub(crate) head_only: bool,
    /// Fields that the server's options have added.
    pub(crate) extra: Option<Arc<Extra>>,
}

impl ResponseContext {
    pub(crate) fn of(request: &Request<'_>, options: &SiteOptions) -> Self {
        Self {
            keep_alive: request.is_persistent(),
            sharing: options.sharing,
            head_only: request.method == Method::Head,
            extra: options.extra.clone(),
        }
    }

    /// For bytes that were no request.
    pub(crate) fn closing(options: &SiteOptions) -> Self {
        let extra = options.extra.clone();
        Self { keep_alive: false, sharing: Sharing::SameOrigin, head_only: false, extra }
    }
}

/// A head being made.
pub(crate) struct Head<'h> {
    fields: &'h mut FieldList,
    status: Status,
    context: ResponseContext,
}

impl<'h> Head<'h> {
    /// Begins with what every head has.
    pub(crate) fn begin(fields: &'h mut FieldList, status: Status, context: &ResponseContext, now: &Now) -> Self {
        fields.clear();
        fields.add("Date", now.date());
        let replaced = |name| context.extra.as_ref().is_some_and(|extra| extra.replaces(name));
        // Without it, browsers guess that text is a page and run what is in it.
        if !replaced("X-Content-Type-Options") {
            fields.add("X-Content-Type-Options", b"nosniff");
        }
        if let Some(extra) = &context.extra {
            fields.append(extra.fields());
        }
        if context.sharing == Sharing::Everyone && !replaced("Access-Control-Allow-Origin") {
            fields.add("Access-Control-Allow-Origin", b"*");
            fields.add("Access-Control-Expose-Headers", b"*");
        }
        Self { fields, status, context: context.clone() }
    }

    /// A field. Its value must be ours, or encoded: a line end in it would begin another field.
    pub(crate) fn field(self, name: &str, value: &[u8]) -> Self {
        if self.context.extra.as_ref().is_some_and(|extra| extra.replaces(name)) {
            return self;
        }
        self.fields.add(name, value);
        self
    }

    /// A field whose value is written in place.
    pub(crate) fn written(self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.fields.write(name, write);
        self
    }

    pub(crate) fn date(self, name: &str, seconds: u64) -> Self {
        self.field(name, &clock::date(seconds))
    }

    /// Ends a head that is all there is: of 204 and 304, which have no content.
    pub(crate) fn end(self) -> Response {
        self.before(Extent::Known, Body::Empty)
    }

    /// Ends a head before its content, which a HEAD is not sent.
    pub(crate) fn content(self, body: Body) -> Response {
        let (length, head_only) = (body.len(), self.context.head_only);
        let (extent, head) = match length {
            Some(length) => (Extent::Known, self.written("Content-Length", |out| push_number(out, length))),
            None => (Extent::Open, self),
        };
        head.before(extent, if head_only { Body::Empty } else { body })
    }

    fn before(self, extent: Extent, body: Body) -> Response {
        Response { status: self.status, extent, body, keep_alive: self.context.keep_alive }
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
