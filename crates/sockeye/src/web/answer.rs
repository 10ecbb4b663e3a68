//! What is answered to a request: which file, how much of it, and whether at all (RFC 9110).

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::body::Framing;
use super::clock::Now;
use super::condition::{self, Validators, Verdict};
use super::head::{Head, Manner, push_number};
use super::kind::{self, MediaType};
use super::listing;
use super::negotiate;
use super::options::{Folders, Hidden, Options, Packing, Sharing};
use super::path::Way;
use super::range::{self, Selection};
use super::request::{Method, Request, Version};
use super::root::{Found, Kind, Root};
use super::status::Status;
use super::upload::Upload;
use crate::limits;

/// What the page of a folder or an error may do in a browser: look as it does, and nothing else.
const POLICY: &[u8] =
    b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

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
}

impl Body {
    /// How many bytes it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an empty file is no `Body::Empty`, and nobody asks")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
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
    root: Root,
    options: Options,
}

/// Answers bytes that are no request, or one that did not come in time. The connection ends behind it.
pub fn refuse(status: Status, now: &Now, head: &mut Vec<u8>) -> Response {
    error(status, "", &Manner::closing(), now, head)
}

impl Site {
    /// A site.
    #[must_use]
    pub fn new(root: Root, options: Options) -> Self {
        Self { root, options }
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Answers a request: writes the head behind what `head` holds.
    pub fn answer(&self, request: &Request<'_>, now: &Now, head: &mut Vec<u8>) -> Reply {
        let mut manner = Manner::of(request, self.options.sharing);
        if request.method == Method::Put && self.options.upload.is_some() && self.admits(request).is_ok() {
            return self.store(request, &manner, now, head);
        }
        // Whether content that nobody waits for comes at all, or is worth reading, is not known: the connection ends.
        let is_skipped = match request.framing {
            Framing::None => true,
            Framing::Length(length) => length <= limits::REQUEST_SKIPPED && request.fields.expect.is_none(),
            Framing::Chunked => false,
        };
        manner.keep_alive &= is_skipped;
        Reply::Ready(Exchange { site: self, request, manner, now }.answer(head))
    }

    /// Whether the request is for us, and from one who may ask.
    fn admits(&self, request: &Request<'_>) -> Result<(), Status> {
        if request.version == Version::Http11
            && !request.fields.expect.as_deref().is_none_or(|value| value.eq_ignore_ascii_case(b"100-continue"))
        {
            return Err(Status::EXPECTATION_FAILED);
        }
        if !self.options.hosts.accept(request) {
            return Err(Status::MISDIRECTED_REQUEST);
        }
        match &self.options.account {
            // A browser asks ahead without saying who it is (Fetch, section 4.8).
            Some(account) if !self.is_preflight(request) && !account.admits(&request.fields.authorization) => {
                Err(Status::UNAUTHORIZED)
            }
            _ => Ok(()),
        }
    }

    fn is_preflight(&self, request: &Request<'_>) -> bool {
        self.options.sharing == Sharing::Everyone
            && request.method == Method::Options
            && request.fields.access_control_request_method.is_some()
    }

    fn store(&self, request: &Request<'_>, manner: &Manner, now: &Now, head: &mut Vec<u8>) -> Reply {
        let most = self.options.upload.unwrap_or(0);
        match Upload::begin(&self.root, request, most, manner, now) {
            Ok(upload) => Reply::Upload(Box::new(upload)),
            Err(status) => {
                let keep_alive = manner.keep_alive && request.framing == Framing::None;
                Reply::Ready(error(status, "", &Manner { keep_alive, ..manner.clone() }, now, head))
            }
        }
    }

    fn methods(&self) -> &'static str {
        if self.options.upload.is_some() { "GET, HEAD, OPTIONS, PUT" } else { "GET, HEAD, OPTIONS" }
    }

    /// The way that a request names, unless it is one that is kept hidden.
    fn way<'r>(&self, request: &Request<'r>) -> Result<Way<'r>, Status> {
        let way = Way::decode(request.path)?;
        if way.is_hidden() && self.options.hidden == Hidden::Kept { Err(Status::NOT_FOUND) } else { Ok(way) }
    }
}

/// A request on its way to an answer.
struct Exchange<'e> {
    site: &'e Site,
    request: &'e Request<'e>,
    manner: Manner,
    now: &'e Now,
}

impl Exchange<'_> {
    fn answer(&self, out: &mut Vec<u8>) -> Response {
        if let Err(status) = self.site.admits(self.request) {
            return self.error(status, out);
        }
        match self.request.method {
            Method::Get | Method::Head => self.read(out).unwrap_or_else(|status| self.error(status, out)),
            Method::Options => self.methods(out),
            Method::Put | Method::Other => self.error(Status::METHOD_NOT_ALLOWED, out),
        }
    }

    /// What may be asked, to whoever asks that (RFC 9110, section 9.3.7) and to browsers that ask ahead.
    fn methods(&self, out: &mut Vec<u8>) -> Response {
        let head = self.begin(Status::NO_CONTENT, out).field("Allow", self.site.methods().as_bytes());
        if !self.site.is_preflight(self.request) {
            return head.end();
        }
        head.field("Access-Control-Allow-Methods", b"GET, HEAD, OPTIONS")
            .field("Access-Control-Allow-Headers", b"*, Authorization")
            .field("Access-Control-Max-Age", b"600")
            .end()
    }

    /// Finds what a GET or HEAD names. Nothing is written where it fails.
    fn read(&self, out: &mut Vec<u8>) -> Result<Response, Status> {
        let way = self.site.way(self.request)?;
        let found = match self.site.root.find(way.bytes()) {
            Ok(found) => found,
            Err(status) => return self.fall_back(&way, status, out),
        };
        match found.meta.kind {
            Kind::File if way.is_folder() => self.fall_back(&way, Status::NOT_FOUND, out),
            Kind::File => Ok(self.file(found, kind::of(way.name()), out)),
            Kind::Folder if !way.is_folder() => Ok(self.redirect(&way, out)),
            Kind::Folder => self.folder(found, &way, out),
        }
    }

    fn folder(&self, found: Found, way: &Way<'_>, out: &mut Vec<u8>) -> Result<Response, Status> {
        let index = listing::join(way.bytes(), b"index.html");
        match self.site.root.find(&index) {
            Ok(index) if index.meta.kind == Kind::File => Ok(self.file(index, kind::of(b"index.html"), out)),
            Ok(_) | Err(Status::NOT_FOUND) if self.site.options.folders == Folders::Listed => {
                self.list(found, way, out)
            }
            Ok(_) => self.fall_back(way, Status::NOT_FOUND, out),
            Err(status) => self.fall_back(way, status, out),
        }
    }

    /// A page that is not there may be one that an application makes up. One with an ending is a file that is missed.
    fn fall_back(&self, way: &Way<'_>, status: Status, out: &mut Vec<u8>) -> Result<Response, Status> {
        match &self.site.options.fallback {
            Some(fallback) if status == Status::NOT_FOUND && !way.name().contains(&b'.') => {
                let found = self.site.root.find(fallback)?;
                let name = fallback.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                if found.meta.kind == Kind::File { Ok(self.file(found, kind::of(name), out)) } else { Err(status) }
            }
            _ => Err(status),
        }
    }

    /// Sends a client to the folder's own path, against which the links in it are right.
    fn redirect(&self, way: &Way<'_>, out: &mut Vec<u8>) -> Response {
        self.begin(Status::MOVED_PERMANENTLY, out)
            .written("Location", |out| {
                way.push_as_folder(out);
                if let Some(query) = self.request.query {
                    out.push(b'?');
                    out.extend_from_slice(query.as_bytes());
                }
            })
            // Folders become files, and browsers remember this for ever.
            .field("Cache-Control", b"no-cache")
            .content(Body::Empty)
    }

    fn file(&self, found: Found, media: MediaType, out: &mut Vec<u8>) -> Response {
        let fields = &self.request.fields;
        let meta = found.meta;
        let varies = self.packs(media, meta.size);
        let packed = if varies && fields.range.is_none() && negotiate::takes_gzip(&fields.accept_encoding) {
            Some(found.fd.try_clone().map(File::from))
        } else {
            None
        };
        let current = Validators::of(&meta, packed.is_some(), self.now.seconds());
        match condition::reading(fields, &current) {
            Verdict::Failed => return self.error(Status::PRECONDITION_FAILED, out),
            Verdict::NotModified => return described(self.begin(Status::NOT_MODIFIED, out), &current, varies).end(),
            Verdict::Proceed => {}
        }
        let described = |status, out| {
            described(self.begin(status, out), &current, varies).field("Content-Type", media.name.as_bytes())
        };
        if let Some(file) = packed {
            let head = |out| described(Status::OK, out).field("Content-Encoding", b"gzip");
            // What HEAD would say takes packing it: a length may be left out (RFC 9110, section 8.6).
            if self.manner.head_only {
                return head(out).end();
            }
            return match file.and_then(|file| gzip_file(&file, meta.size)) {
                Ok(bytes) => head(out).content(Body::Bytes(bytes)),
                Err(_) => self.error(Status::INTERNAL_ERROR, out),
            };
        }
        match self.selection(&current, meta.size) {
            Selection::Whole => described(Status::OK, out).field("Accept-Ranges", b"bytes").content(Body::File {
                fd: found.fd,
                from: 0,
                length: meta.size,
            }),
            Selection::Part { from, length } => described(Status::PARTIAL_CONTENT, out)
                .written("Content-Range", |out| push_range(out, from, length, meta.size))
                .content(Body::File { fd: found.fd, from, length }),
            Selection::Nothing => self.unsatisfiable(meta.size, out),
        }
    }

    fn packs(&self, media: MediaType, size: u64) -> bool {
        self.site.options.packing == Packing::Gzip && media.shrinks && limits::PACKED.contains(&size)
    }

    /// A range means something to GET alone (RFC 9110, section 14.2).
    fn selection(&self, current: &Validators, size: u64) -> Selection {
        match self.request.fields.range.as_deref() {
            Some(range)
                if self.request.method == Method::Get
                    && condition::range_holds(&self.request.fields, current, self.now.seconds()) =>
            {
                range::select(range, size)
            }
            _ => Selection::Whole,
        }
    }

    fn unsatisfiable(&self, size: u64, out: &mut Vec<u8>) -> Response {
        self.begin(Status::RANGE_NOT_SATISFIABLE, out)
            .written("Content-Range", |out| {
                out.extend_from_slice(b"bytes */");
                push_number(out, size);
            })
            .content(Body::Empty)
    }

    fn list(&self, found: Found, way: &Way<'_>, out: &mut Vec<u8>) -> Result<Response, Status> {
        let order = listing::Order::of(self.request.query.unwrap_or_default());
        let listing = listing::Listing::read(&self.site.root, found.fd, way, self.site.options.hidden, order)?;
        let is_json = negotiate::wants_json(&self.request.fields.accept);
        let bytes = if is_json { listing.json() } else { listing.page() };
        let media = if is_json { b"application/json".as_slice() } else { b"text/html; charset=utf-8" };
        let packs = self.packs(MediaType { name: "", shrinks: true }, bytes.len() as u64);
        let packed = (packs && negotiate::takes_gzip(&self.request.fields.accept_encoding)).then(|| gzip(&bytes));
        let head = self
            .begin(Status::OK, out)
            .field("Content-Type", media)
            .field("Content-Security-Policy", POLICY)
            .field("Cache-Control", b"no-cache")
            .field("Vary", b"Accept, Accept-Encoding");
        Ok(match packed {
            Some(packed) => head.field("Content-Encoding", b"gzip").content(Body::Bytes(packed)),
            None => head.content(Body::Bytes(bytes)),
        })
    }

    fn begin<'h>(&self, status: Status, out: &'h mut Vec<u8>) -> Head<'h> {
        Head::begin(out, status, &self.manner, self.now)
    }

    fn error(&self, status: Status, out: &mut Vec<u8>) -> Response {
        error(status, self.site.methods(), &self.manner, self.now, out)
    }
}

/// What tells a client whether it has this already; the same in 200, 206 and 304.
fn described<'h>(head: Head<'h>, current: &Validators, varies: bool) -> Head<'h> {
    let head = head
        .field("ETag", current.tag.bytes())
        .date("Last-Modified", current.modified)
        // Files that somebody works on are asked for again, and answered with 304 where they are as they were.
        .field("Cache-Control", b"no-cache");
    if varies { head.field("Vary", b"Accept-Encoding") } else { head }
}

/// A page that says what is wrong, in words that are ours alone.
pub(crate) fn error(status: Status, methods: &str, manner: &Manner, now: &Now, out: &mut Vec<u8>) -> Response {
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

fn push_range(out: &mut Vec<u8>, from: u64, length: u64, size: u64) {
    out.extend_from_slice(b"bytes ");
    push_number(out, from);
    out.push(b'-');
    push_number(out, from + length - 1);
    out.push(b'/');
    push_number(out, size);
}

/// Reads behind what the buffer holds; fewer bytes where the file ends. The buffer is left longer than that.
fn read_part(file: &File, from: u64, length: u64, into: &mut Vec<u8>) -> io::Result<usize> {
    let begin = into.len();
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    into.resize(begin + length, 0);
    let mut read = 0;
    while read < length {
        match file.read_at(&mut into[begin + read..], from + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn gzip_file(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    let read = read_part(file, 0, size, &mut bytes)?;
    if read as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(gzip(&bytes))
}

/// The fastest level: others wait meanwhile, and it already takes most of what there is to take.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests;
