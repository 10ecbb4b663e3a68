//! What is answered to a request: which file, how much of it, and whether at all (RFC 9110).

use super::clock::Now;
use super::escape::push_query;
use super::exchange::Exchange;
use super::field_list::FieldList;
use super::head::{Head, ResponseContext, push_number};
use super::refusal;
use super::response::{Body, Response};
use super::site::Site;
use super::upload::{Upload, make_folder};
use crate::limits;
use crate::wire::http::body::Framing;
use crate::wire::http::request::{Method, Request};
use crate::wire::http::status::Status;

/// What becomes of a request.
#[derive(Debug)]
pub enum Reply {
    /// An answer; its fields are in the list.
    Ready(Response),
    /// A file that the client is going to send; there is no answer yet.
    Upload(Box<Upload>),
}

impl Site {
    /// Answers bytes that are no request, or one that did not come in time. The connection ends behind it.
    pub fn refuse(&self, status: Status, now: &Now, head: &mut FieldList) -> Response {
        refusal::write(status, "", &ResponseContext::closing(&self.options), now, head)
    }

    /// Answers a client that speaks HTTP without TLS where TLS is spoken.
    pub(crate) fn refuse_plain(&self, now: &Now, head: &mut FieldList) -> Response {
        let why =
            "This port speaks HTTPS, and what came is plain HTTP: ask for the same address with https:// before it.";
        refusal::write_because(Status::BAD_REQUEST, why, "", &ResponseContext::closing(&self.options), now, head)
    }

    /// Sends a client that asks over plain HTTP to the same place over HTTPS, at this port.
    pub(crate) fn redirect_to_https(
        &self,
        request: &Request<'_>,
        port: u16,
        now: &Now,
        head: &mut FieldList,
    ) -> Response {
        let mut context = self.context(request);
        context.keep_alive &= is_skipped(request);
        // A name that is not ours is sent nowhere, and a client that says none cannot be.
        if !self.options.hosts.accept(request) {
            return refusal::write(Status::MISDIRECTED_REQUEST, self.methods(), &context, now, head);
        }
        if request.host().is_empty() {
            return refusal::write(Status::BAD_REQUEST, self.methods(), &context, now, head);
        }
        let is_read = matches!(request.method, Method::Get | Method::Head);
        let status = if is_read { Status::MOVED_PERMANENTLY } else { Status::PERMANENT_REDIRECT };
        Head::begin(head, status, &context, now)
            .written("Location", |out| {
                let host = request.host();
                out.extend_from_slice(b"https://");
                match host.contains(':') {
                    true => out.extend_from_slice(format!("[{host}]").as_bytes()),
                    false => out.extend_from_slice(host.as_bytes()),
                }
                if port != 443 {
                    out.push(b':');
                    push_number(out, port.into());
                }
                push_query(out, if request.path.starts_with('/') { request.path } else { "/" });
                if let Some(query) = request.query {
                    out.push(b'?');
                    push_query(out, query);
                }
            })
            .field("Cache-Control", b"no-cache")
            .content(Body::Empty)
    }

    /// Answers a request; the fields go into `head`.
    pub fn answer(&self, request: &Request<'_>, now: &Now, head: &mut FieldList) -> Reply {
        self.root.follow(now.seconds());
        let mut context = self.context(request);
        if request.method.writes() && self.options.upload.is_some() && self.admits(request).is_ok() {
            return self.store(request, &context, now, head);
        }
        context.keep_alive &= is_skipped(request);
        Reply::Ready(Exchange::new(self, request, context, now).answer(head))
    }

    /// Whether answering this takes so long that others should not wait for it: a folder may have any number of names, and
    /// a large file takes long to pack.
    pub(crate) fn takes_long(&self, request: &Request<'_>, now: &Now) -> bool {
        self.root.follow(now.seconds());
        Exchange::new(self, request, self.context(request), now).takes_long()
    }

    /// Answers such a request, on whatever thread.
    pub(crate) fn answer_late(&self, request: &Request<'_>, now: &Now, head: &mut FieldList) -> Option<Response> {
        match self.answer(request, now, head) {
            Reply::Ready(response) => Some(response),
            Reply::Upload(_) => None,
        }
    }

    fn store(&self, request: &Request<'_>, context: &ResponseContext, now: &Now, head: &mut FieldList) -> Reply {
        let most = self.options.upload.unwrap_or(0);
        let upload = match request.method {
            Method::Post => Upload::begin_form(&self.root, &self.room, request, most, context),
            Method::Mkcol => {
                let mut context = context.clone();
                context.keep_alive &= is_skipped(request);
                return Reply::Ready(match make_folder(&self.root, request) {
                    Ok(()) => Head::begin(head, Status::CREATED, &context, now).content(Body::Empty),
                    Err(status) => refusal::write(status, self.methods(), &context, now, head),
                });
            }
            _ => Upload::begin(&self.root, &self.room, request, (most, context), now),
        };
        match upload {
            Ok(upload) => Reply::Upload(Box::new(upload)),
            Err(status) => {
                let keep_alive = context.keep_alive && request.framing == Framing::None;
                Reply::Ready(refusal::write(status, "", &ResponseContext { keep_alive, ..context.clone() }, now, head))
            }
        }
    }
}

/// Whether the content of a request, which is not waited for, is read and passed over. Whether it comes at all, or is worth
/// reading, is not known for the others: the connection ends.
fn is_skipped(request: &Request<'_>) -> bool {
    match request.framing {
        Framing::None => true,
        Framing::Length(length) => length <= limits::REQUEST_SKIPPED && request.fields.expect.is_none(),
        Framing::Chunked | Framing::Stream => false,
    }
}

#[cfg(test)]
mod tests;
