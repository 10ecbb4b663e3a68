//! What is answered to a request: which file, how much of it, and whether at all (RFC 9110).

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::account::Access;
use super::body::Framing;
use super::clock::Now;
use super::escape::push_query;
use super::exchange::Exchange;
use super::head::{Head, ResponseContext, push_number};
use super::made::{End, Made};
use super::options::{Hidden, Sharing, SiteOptions};
use super::pack::read_part;
use super::path::RequestPath;
use super::refusal;
use super::request::{Method, Parsed, Request, Version, parse};
use super::room::Room;
use super::root::{Links, Root};
use super::status::Status;
use super::upload::{Upload, make_folder};
use crate::limits;

/// An answer whose head stands in the buffer that was given.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: Status,
    /// What is sent behind the head.
    pub body: Body,
    /// Whether another request may follow, once the content of this one has been passed over.
    pub keep_alive: bool,
}

/// Content that has a head.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A part of a file. Where the file turns out to be shorter, the connection has to end: nothing is made up.
    File {
        /// The file, open for reading.
        fd: OwnedFd,
        /// The first byte that is sent.
        from: u64,
        /// How many are sent.
        length: u64,
    },
    /// What is made while it is sent.
    Made(Made),
}

impl Body {
    /// How many bytes it has, as far as that is known.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an empty file is no `Body::Empty`, and nobody asks")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } | Self::Made(Made { end: End::Length(length), .. }) => *length,
            Self::Made(_) => u64::MAX,
        }
    }
}

impl Response {
    /// Moves a body of up to `most` bytes behind the head, so that one write sends both. A file that has become shorter
    /// meanwhile ends the connection behind what it still had.
    pub fn absorb(&mut self, head: &mut Vec<u8>, most: u64) {
        if self.body.len() > most {
            return;
        }
        match std::mem::replace(&mut self.body, Body::Empty) {
            Body::Empty => {}
            Body::Bytes(bytes) => head.extend_from_slice(&bytes),
            Body::File { fd, from, length } => {
                let begin = head.len();
                let read = read_part(&File::from(fd), from, length, head).unwrap_or(0);
                head.truncate(begin + read);
                self.keep_alive &= read as u64 == length;
            }
            Body::Made(mut made) => {
                let begin = head.len();
                let is_made = loop {
                    match made.source.more(head) {
                        Ok(true) => {}
                        Ok(false) => break true,
                        Err(_) => break false,
                    }
                };
                self.keep_alive &= is_made && made.end == End::Length((head.len() - begin) as u64);
            }
        }
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Reply {
    /// An answer; its head is written.
    Ready(Response),
    /// A file that the client is going to send; nothing is written yet.
    Upload(Box<Upload>),
}

/// A folder as a site.
#[derive(Debug)]
pub struct Site {
    pub(super) root: Arc<Root>,
    pub(super) options: SiteOptions,
    /// For what is being stored.
    room: Room,
}

impl Site {
    /// A site.
    #[must_use]
    pub fn new(root: Root, options: SiteOptions) -> Self {
        // Whoever names one file means it, wherever it lies.
        let links = if options.only.is_some() { Links::Anywhere } else { options.links };
        Self { root: Arc::new(root.with_links(links)), options, room: Room::default() }
    }

    /// Answers bytes that are no request, or one that did not come in time. The connection ends behind it.
    pub fn refuse(&self, status: Status, now: &Now, head: &mut Vec<u8>) -> Response {
        refusal::write(status, "", &ResponseContext::closing(&self.options), now, head)
    }

    /// Answers a client that speaks HTTP without TLS where TLS is spoken.
    pub(crate) fn refuse_plain(&self, now: &Now, head: &mut Vec<u8>) -> Response {
        let why =
            "This port speaks HTTPS, and what came is plain HTTP: ask for the same address with https:// before it.";
        refusal::write_because(Status::BAD_REQUEST, why, "", &ResponseContext::closing(&self.options), now, head)
    }

    /// Sends whoever asks over plain HTTP to the same place over HTTPS, at this port.
    pub(crate) fn redirect_to_https(
        &self,
        request: &Request<'_>,
        port: u16,
        now: &Now,
        head: &mut Vec<u8>,
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

    fn context(&self, request: &Request<'_>) -> ResponseContext {
        ResponseContext::of(request, &self.options)
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &SiteOptions {
        &self.options
    }

    /// Answers a request: writes the head behind what `head` holds.
    pub fn answer(&self, request: &Request<'_>, now: &Now, head: &mut Vec<u8>) -> Reply {
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

    /// Answers such a request from its head, on whatever thread.
    pub(crate) fn answer_late(&self, head: &[u8], version: Version, now: &Now, out: &mut Vec<u8>) -> Option<Response> {
        let Parsed::Whole { mut request, .. } = parse(head) else { return None };
        if version == Version::Http2 {
            request.version = version;
        }
        match self.answer(&request, now, out) {
            Reply::Ready(response) => Some(response),
            Reply::Upload(_) => None,
        }
    }

    /// Whether the request is for us, and from one who may ask.
    pub(super) fn admits(&self, request: &Request<'_>) -> Result<(), Status> {
        if request.version == Version::Http11
            && !request.fields.expect.as_deref().is_none_or(|value| value.eq_ignore_ascii_case(b"100-continue"))
        {
            return Err(Status::EXPECTATION_FAILED);
        }
        if !self.options.hosts.accept(request) {
            return Err(Status::MISDIRECTED_REQUEST);
        }
        let access = if request.method.writes() { Access::Write } else { Access::Read };
        // A browser asks ahead without saying who it is (Fetch, section 4.8).
        if self.options.accounts.admit(access, &request.fields.authorization) || self.is_preflight(request) {
            return Ok(());
        }
        Err(Status::UNAUTHORIZED)
    }

    pub(super) fn is_preflight(&self, request: &Request<'_>) -> bool {
        self.options.sharing == Sharing::Everyone
            && request.method == Method::Options
            && request.fields.access_control_request_method.is_some()
    }

    fn store(&self, request: &Request<'_>, context: &ResponseContext, now: &Now, head: &mut Vec<u8>) -> Reply {
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

    pub(super) fn methods(&self) -> &'static str {
        if self.options.upload.is_some() { "GET, HEAD, OPTIONS, PUT, POST, MKCOL" } else { "GET, HEAD, OPTIONS" }
    }

    /// The way that a request names, unless it is one that is kept hidden.
    pub(super) fn path<'r>(&self, request: &Request<'r>) -> Result<RequestPath<'r>, Status> {
        let path = RequestPath::decode(request.path)?;
        if let Some(only) = &self.options.only {
            let is_it = path.bytes().is_empty() || path.bytes() == only && !path.is_folder();
            return if is_it { Ok(RequestPath::of_file(only)) } else { Err(Status::NOT_FOUND) };
        }
        if path.is_kept() && self.options.hidden == Hidden::Kept { Err(Status::NOT_FOUND) } else { Ok(path) }
    }
}

/// Whether the content of a request, which nobody waits for, is read and passed over. Whether it comes at all, or is worth
/// reading, is not known for the others: the connection ends.
fn is_skipped(request: &Request<'_>) -> bool {
    match request.framing {
        Framing::None => true,
        Framing::Length(length) => length <= limits::REQUEST_SKIPPED && request.fields.expect.is_none(),
        Framing::Chunked => false,
    }
}

#[cfg(test)]
mod tests;
