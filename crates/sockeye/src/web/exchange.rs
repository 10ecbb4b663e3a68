//! One GET, HEAD or OPTIONS on its way to an answer.

use std::fs::File;
use std::sync::Arc;

use super::archive::{Form, Walk};
use super::clock::Now;
use super::condition::{self, Validators, Verdict};
use super::escape::{push_encoded, push_query};
use super::field_list::FieldList;
use super::head::{Head, ResponseContext, push_number};
use super::kind::{self, MediaType};
use super::listing;
use super::made::{Held, Made, Multipart, Piece};
use super::negotiate;
use super::options::{Archives, Folders, Packing, Siblings};
use super::pack::Coding;
use super::path::RequestPath;
use super::range::{self, Range, Selection};
use super::refusal::{self, POLICY};
use super::response::{Body, Response};
use super::root::{Found, Kind, Meta};
use super::site::Site;
use crate::file::random;
use crate::limits;
use crate::wire::http::request::{Method, Request};
use crate::wire::http::status::Status;

/// Bytes that are sent piece by piece.
const MUCH: usize = 256 * 1024;

/// A request on its way to an answer.
pub(crate) struct Exchange<'e> {
    site: &'e Site,
    request: &'e Request<'e>,
    context: ResponseContext,
    now: &'e Now,
}

impl<'e> Exchange<'e> {
    pub(crate) fn new(site: &'e Site, request: &'e Request<'e>, context: ResponseContext, now: &'e Now) -> Self {
        Self { site, request, context, now }
    }

    pub(crate) fn answer(&self, out: &mut FieldList) -> Response {
        if let Err(status) = self.site.admits(self.request) {
            return self.error(status, out);
        }
        match self.request.method {
            Method::Get | Method::Head => self.read(out).unwrap_or_else(|status| self.error(status, out)),
            Method::Options => self.methods(out),
            Method::Put | Method::Post | Method::Mkcol | Method::Other => self.error(Status::METHOD_NOT_ALLOWED, out),
        }
    }

    /// Whether it takes long to answer. Only what may is looked at: the usual file costs nothing more for this.
    pub(crate) fn takes_long(&self) -> bool {
        if self.request.method != Method::Get {
            return false;
        }
        let may_pack = self.request.fields.accept_encoding.is_some() && self.request.fields.range.is_none();
        if !self.request.path.ends_with('/') && !may_pack {
            return false;
        }
        let Ok(path) = self.site.path(self.request) else { return false };
        if self.site.admits(self.request).is_err() {
            return false;
        }
        if path.is_folder() {
            let index = self.site.root.look(&listing::join(path.bytes(), b"index.html"));
            return index.is_err() && self.site.options.folders == Folders::Listed;
        }
        let media = kind::of(path.name());
        media.shrinks
            && negotiate::coding(&self.request.fields.accept_encoding).is_some()
            && self
                .site
                .root
                .look(path.bytes())
                .is_ok_and(|meta| meta.size > limits::PACKED_AT_ONCE && self.packs(media, meta.size))
    }

    /// What may be asked, to a client that asks that (RFC 9110, section 9.3.7) and to browsers that ask ahead.
    fn methods(&self, out: &mut FieldList) -> Response {
        let head = self.begin(Status::NO_CONTENT, out).field("Allow", self.site.methods().as_bytes());
        if !self.site.is_preflight(self.request) {
            return head.end();
        }
        head.field("Access-Control-Allow-Methods", b"GET, HEAD, OPTIONS")
            .field("Access-Control-Allow-Headers", b"*, Authorization")
            .field("Access-Control-Max-Age", b"600")
            .end()
    }

    /// Finds what a GET or HEAD names.
    fn read(&self, out: &mut FieldList) -> Result<Response, Status> {
        let path = self.site.path(self.request)?;
        let found = match self.site.root.find(path.bytes()) {
            Ok(found) => found,
            Err(status) => return self.fall_back(&path, status, out),
        };
        match found.meta.kind {
            Kind::File if path.is_folder() => self.fall_back(&path, Status::NOT_FOUND, out),
            Kind::File => Ok(self.file(found, path.bytes(), out)),
            Kind::Folder if self.site.options.only.is_some() => Err(Status::NOT_FOUND),
            Kind::Folder if !path.is_folder() => Ok(self.redirect(&path, out)),
            Kind::Folder => self.folder(found, &path, out),
        }
    }

    fn folder(&self, found: Found, path: &RequestPath<'_>, out: &mut FieldList) -> Result<Response, Status> {
        if self.site.options.archives == Archives::Sent
            && let Some(form) = Form::of(self.request.query.unwrap_or_default())
        {
            return self.archive(found, path, form, out);
        }
        let page = listing::join(path.bytes(), b"index.html");
        match self.site.root.find(&page) {
            Ok(index) if index.meta.kind == Kind::File => Ok(self.file(index, &page, out)),
            Ok(_) | Err(Status::NOT_FOUND) if self.site.options.folders == Folders::Listed => {
                self.list(found, path, out)
            }
            Ok(_) => self.fall_back(path, Status::NOT_FOUND, out),
            Err(status) => self.fall_back(path, status, out),
        }
    }

    /// Sends a folder whole.
    fn archive(
        &self,
        found: Found,
        path: &RequestPath<'_>,
        form: Form,
        out: &mut FieldList,
    ) -> Result<Response, Status> {
        let name = if path.bytes().is_empty() { b"files" } else { path.name() };
        let walk = Walk::begin(Arc::clone(&self.site.root), self.site.options.hidden, found, path.bytes(), name)?;
        Ok(self
            .begin(Status::OK, out)
            .field("Content-Type", form.media())
            .written("Content-Disposition", |out| {
                // Some programs read the first of them alone.
                let is_safe = |byte: u8| byte.is_ascii_graphic() && !b"\"\\%".contains(&byte) || byte == b' ';
                out.extend_from_slice(b"attachment; filename=\"");
                out.extend(name.iter().map(|&byte| if is_safe(byte) { byte } else { b'_' }));
                out.extend_from_slice(format!(".{}\"; filename*=UTF-8''", form.ending()).as_bytes());
                push_encoded(out, name);
                out.push(b'.');
                out.extend_from_slice(form.ending().as_bytes());
            })
            .field("Cache-Control", ASKED_AGAIN.as_bytes())
            .content(Body::Made(Made::of_any_length(form.of_folder(walk)))))
    }

    /// Whether a page is asked for: a name with a dot (`/@jane.doe`, `/v1.2`) may be one or a file that is missed, and a
    /// browser says which of them it wants.
    fn may_be_a_page(&self, path: &RequestPath<'_>) -> bool {
        !path.name().contains(&b'.') || negotiate::wants_page(&self.request.fields.accept)
    }

    /// A page that is not there may be one that an application makes up.
    fn fall_back(&self, path: &RequestPath<'_>, status: Status, out: &mut FieldList) -> Result<Response, Status> {
        match &self.site.options.fallback {
            Some(fallback) if status == Status::NOT_FOUND && self.may_be_a_page(path) => {
                let found = self.site.root.find(fallback)?;
                if found.meta.kind == Kind::File { Ok(self.file(found, fallback, out)) } else { Err(status) }
            }
            _ => Err(status),
        }
    }

    /// Sends a client to the folder's own path, against which the links in it are right.
    fn redirect(&self, path: &RequestPath<'_>, out: &mut FieldList) -> Response {
        self.begin(Status::MOVED_PERMANENTLY, out)
            .written("Location", |out| {
                path.push_as_folder(out);
                if let Some(query) = self.request.query {
                    out.push(b'?');
                    push_query(out, query);
                }
            })
            // Folders become files, and browsers remember this for ever.
            .field("Cache-Control", b"no-cache")
            .content(Body::Empty)
    }

    /// Sends a file that stands at this way.
    fn file(&self, found: Found, path: &[u8], out: &mut FieldList) -> Response {
        let fields = &self.request.fields;
        let (meta, file) = (found.meta, File::from(found.fd));
        let media = kind::of(name_of(path)).seen_in(&file, meta.size);
        let packs = self.packs(media, meta.size);
        let sibling = self.sibling(path, &meta);
        let varies = packs || sibling.varies;
        let coding = if packs { negotiate::coding(&fields.accept_encoding) } else { None };
        let sibling = sibling.found;
        let current = match &sibling {
            Some((coding, found)) => Validators::of(&found.meta, Some(*coding), self.now),
            None => Validators::of(&meta, coding, self.now),
        };
        let caching = self.site.options.caching.iter().find_map(|rule| rule.about(path)).unwrap_or(ASKED_AGAIN);
        let described = |head, current: &Validators| described(head, current, caching, varies);
        // What is asked for in part is judged as if it were asked for whole (RFC 9110, section 13.2.2).
        match condition::reading(fields, &current) {
            Verdict::Failed => return self.error(Status::PRECONDITION_FAILED, out),
            Verdict::NotModified => return described(self.begin(Status::NOT_MODIFIED, out), &current).end(),
            Verdict::Proceed => {}
        }
        // Parts are those of the file as it is.
        let plain = Validators::of(&meta, None, self.now);
        let selection = self.selection(&plain, meta.size);
        let is_whole = selection == Selection::Whole;
        let described = |status, out, current| described(self.begin(status, out), current);
        if let Some((coding, Found { fd, meta })) = sibling.filter(|_| is_whole) {
            return typed(described(Status::OK, out, &current), media)
                .field("Content-Encoding", coding.name())
                .content(Body::File { fd, from: 0, length: meta.size });
        }
        if let Some(coding) = coding.filter(|_| is_whole) {
            let head =
                |out| typed(described(Status::OK, out, &current), media).field("Content-Encoding", coding.name());
            // What HEAD would say takes packing it: a length may be left out (RFC 9110, section 8.6).
            if self.context.head_only {
                return head(out).end();
            }
            return match coding.pack_file(&file, meta.size) {
                Ok(bytes) => head(out).content(Body::Bytes(bytes)),
                Err(_) => self.error(Status::INTERNAL_ERROR, out),
            };
        }
        match selection {
            Selection::Whole => typed(described(Status::OK, out, &plain), media)
                .field("Accept-Ranges", b"bytes")
                .content(Body::File { fd: file.into(), from: 0, length: meta.size }),
            Selection::Part(range) => typed(described(Status::PARTIAL_CONTENT, out, &plain), media)
                .written("Content-Range", |out| push_range(out, range, meta.size))
                .content(Body::File { fd: file.into(), from: range.from, length: range.length }),
            Selection::Parts(ranges) => {
                multipart(described(Status::PARTIAL_CONTENT, out, &plain), file, &ranges, media, meta.size)
            }
            Selection::Nothing => self.unsatisfiable(meta.size, out),
        }
    }

    /// What lies packed beside a file and is newer than it, as the client likes it best.
    fn sibling(&self, path: &[u8], meta: &Meta) -> Sibling {
        if self.site.options.siblings == Siblings::None {
            return Sibling::default();
        }
        let mut sibling = Sibling::default();
        let liked = negotiate::codings(&self.request.fields.accept_encoding);
        for (coding, ending) in [(Coding::Brotli, b".br"), (Coding::Gzip, b".gz")] {
            let at = [path, ending].concat();
            // Whether there is any decides what others are told who take none.
            let Ok(beside) = self.site.root.look(&at) else { continue };
            if beside.kind != Kind::File || beside.modified < meta.modified {
                continue;
            }
            sibling.varies = true;
            let place = |coding| liked.iter().position(|&liked| liked == Some(coding));
            let is_better = match (place(coding), &sibling.found) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(place_of_this), Some((other, _))) => place(*other).is_some_and(|other| place_of_this < other),
            };
            if is_better
                && let Ok(found) = self.site.root.find(&at)
                && found.meta.kind == Kind::File
            {
                sibling.found = Some((coding, found));
            }
        }
        sibling
    }

    fn packs(&self, media: MediaType, size: u64) -> bool {
        self.site.options.packing == Packing::Text && media.shrinks && limits::PACKED.contains(&size)
    }

    /// A range means something to GET alone (RFC 9110, section 14.2).
    fn selection(&self, current: &Validators, size: u64) -> Selection {
        match self.request.fields.range.as_deref() {
            Some(range)
                if self.request.method == Method::Get && condition::range_holds(&self.request.fields, current) =>
            {
                range::select(range, size)
            }
            _ => Selection::Whole,
        }
    }

    fn unsatisfiable(&self, size: u64, out: &mut FieldList) -> Response {
        self.begin(Status::RANGE_NOT_SATISFIABLE, out)
            .written("Content-Range", |out| {
                out.extend_from_slice(b"bytes */");
                push_number(out, size);
            })
            .content(Body::Empty)
    }

    fn list(&self, found: Found, path: &RequestPath<'_>, out: &mut FieldList) -> Result<Response, Status> {
        let view = listing::View::of(self.request.query.unwrap_or_default());
        let offers = listing::Offers {
            archives: self.site.options.archives == Archives::Sent,
            upload: self.site.options.upload.is_some(),
        };
        let listing = listing::Listing::read(&self.site.root, found.fd, path, self.site.options.hidden, view)?;
        let listing = listing.offering(offers);
        let is_json = negotiate::wants_json(&self.request.fields.accept);
        // A script that stores files runs by this alone.
        let nonce = (offers.upload && !is_json).then(|| format!("{:016x}{:016x}", random(), random()));
        let bytes = if is_json { listing.json() } else { listing.page(nonce.as_deref()) };
        let media = if is_json { b"application/json".as_slice() } else { b"text/html; charset=utf-8" };
        let packs = self.packs(kind::of(b"a.html"), bytes.len() as u64);
        let coding = if packs { negotiate::coding(&self.request.fields.accept_encoding) } else { None };
        let head = self
            .begin(Status::OK, out)
            .field("Content-Type", media)
            .written("Content-Security-Policy", |out| {
                out.extend_from_slice(POLICY);
                if let Some(nonce) = &nonce {
                    out.extend_from_slice(format!("; script-src 'nonce-{nonce}'; connect-src 'self'").as_bytes());
                }
            })
            .field("Cache-Control", b"no-cache")
            .field("Vary", b"Accept, Accept-Encoding");
        Ok(match coding {
            Some(coding) => head.field("Content-Encoding", coding.name()).content(Body::Bytes(coding.pack(&bytes))),
            // So much is not put into a buffer once more.
            None if bytes.len() > MUCH => {
                let length = bytes.len() as u64;
                head.content(Body::Made(Made::of_length(Held::new(bytes), length)))
            }
            None => head.content(Body::Bytes(bytes)),
        })
    }

    /// The server's own page, for what is not there.
    fn not_found(&self, out: &mut FieldList) -> Option<Response> {
        let path = self.site.options.not_found.as_deref()?;
        let Found { fd, meta } = self.site.root.find(path).ok().filter(|found| found.meta.kind == Kind::File)?;
        let file = File::from(fd);
        let media = kind::of(name_of(path)).seen_in(&file, meta.size);
        let head = typed(self.begin(Status::NOT_FOUND, out), media).field("Cache-Control", ASKED_AGAIN.as_bytes());
        Some(head.content(Body::File { fd: file.into(), from: 0, length: meta.size }))
    }

    fn begin<'h>(&self, status: Status, out: &'h mut FieldList) -> Head<'h> {
        Head::begin(out, status, &self.context, self.now)
    }

    fn error(&self, status: Status, out: &mut FieldList) -> Response {
        if status == Status::NOT_FOUND
            && let Some(page) = self.not_found(out)
        {
            return page;
        }
        refusal::write(status, self.site.methods(), &self.context, self.now, out)
    }
}

/// Files that are being worked on are asked for again, and answered with 304 where they are as they were.
const ASKED_AGAIN: &str = "no-cache";

/// See [`Exchange::sibling`].
#[derive(Default)]
struct Sibling {
    found: Option<(Coding, Found)>,
    /// There is one, for this client or another.
    varies: bool,
}

/// The last name of a way.
fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// What tells a client whether it has this already; the same in 200, 206 and 304.
fn described<'h>(head: Head<'h>, current: &Validators, caching: &str, varies: bool) -> Head<'h> {
    let head = head.field("ETag", current.tag.bytes());
    let head = match current.modified {
        Some(modified) => head.date("Last-Modified", modified),
        None => head,
    };
    let head = head.field("Cache-Control", caching.as_bytes());
    if varies { head.field("Vary", b"Accept-Encoding") } else { head }
}

fn typed(head: Head<'_>, media: MediaType) -> Head<'_> {
    let head = head.written("Content-Type", |out| media.push(out));
    if media.is_gzip { head.field("Content-Encoding", b"gzip") } else { head }
}

fn push_range(out: &mut Vec<u8>, range: Range, size: u64) {
    out.extend_from_slice(b"bytes ");
    push_number(out, range.from);
    out.push(b'-');
    push_number(out, range.from + range.length - 1);
    out.push(b'/');
    push_number(out, size);
}

/// Several parts of a file as one body (RFC 9110, section 14.6).
fn multipart(head: Head<'_>, file: File, ranges: &[Range], media: MediaType, size: u64) -> Response {
    let boundary = format!("{:016x}{:016x}", random(), random());
    let (pieces, length) = parts(ranges, &boundary, media, size);
    head.written("Content-Type", |out| {
        out.extend_from_slice(b"multipart/byteranges; boundary=");
        out.extend_from_slice(boundary.as_bytes());
    })
    .content(Body::Made(Made::of_length(Multipart::new(file, pieces), length)))
}

/// The parts with what tells them apart, and the length of all of it.
fn parts(ranges: &[Range], boundary: &str, media: MediaType, size: u64) -> (Vec<Piece>, u64) {
    let (mut parts, mut length) = (Vec::with_capacity(ranges.len() * 2 + 1), 0);
    for &range in ranges {
        let mut text = format!("\r\n--{boundary}\r\nContent-Type: ").into_bytes();
        media.push(&mut text);
        text.extend_from_slice(b"\r\nContent-Range: ");
        push_range(&mut text, range, size);
        text.extend_from_slice(b"\r\n\r\n");
        length += text.len() as u64 + range.length;
        parts.push(Piece::Text(text));
        parts.push(Piece::File { from: range.from, length: range.length });
    }
    let end = format!("\r\n--{boundary}--\r\n").into_bytes();
    length += end.len() as u64;
    parts.push(Piece::Text(end));
    (parts, length)
}
