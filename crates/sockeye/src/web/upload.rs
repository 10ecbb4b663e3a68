//! Storing a file by PUT (RFC 9110, section 9.3.4): written without a name in its folder, synced, and renamed over its
//! target once it is whole. Until then, and where anything goes wrong, the target is as it was.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustix::fs::{Mode, fstat, mkdirat};
use rustix::io::Errno;

use super::clock::Now;
use super::condition::{self, Tag, Verdict};
use super::errno::{status, status_of};
use super::field_list::FieldList;
use super::form::Form;
use super::head::{Head, ResponseContext};
use super::path::RequestPath;
use super::refusal;
use super::response::{Body, Response};
use super::room::{Placed, Room};
use super::root::{Kind, Meta, Root, look_in};
use crate::file::{AtomicFile, Existing, FileError, Leftover, Step};
use crate::limits;
use crate::wire::http::body::{Decoder, Framing};
use crate::wire::http::request::{Request, Version};
use crate::wire::http::status::Status;

/// A file that is coming.
#[derive(Debug)]
pub struct Upload {
    into: Into,
    found: Found,
    decoder: Decoder,
    received: u64,
    most: u64,
    context: ResponseContext,
    waits: Waits,
}

/// Where the content goes.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "an upload is in a box of its own")]
enum Into {
    /// One file.
    File(Placed),
    /// Those of a browser's form, which is then led back to the folder.
    Form(Form, Vec<u8>),
}

/// What is to be stored, which waits for the disk.
#[derive(Debug)]
pub(crate) struct Sealed(Vec<Placed>);

/// What stands at the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing, as far as is known.
    Nothing,
    /// Nothing, or else the client wants nothing done (If-None-Match: *).
    NothingOrFail,
    /// A file.
    File,
}

/// Whether the client waits before it sends its content (RFC 9110, section 10.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    No,
    ForContinue,
}

/// What became of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many are done with; none, and the file is not whole: more have to come first.
    pub used: usize,
    /// Whether the file is whole.
    pub is_whole: bool,
}

/// What an upload leaves when its file is being stored: the answer to it.
#[derive(Debug)]
pub(crate) struct Receipt {
    found: Found,
    context: ResponseContext,
    /// Where a browser goes that sent a form, or why its form is none.
    back: Option<Result<Vec<u8>, Status>>,
}

/// What a file is once it is stored, as far as can be told.
pub(crate) type Stored = Result<Option<Meta>, FileError>;

impl Upload {
    /// What to send before the content comes to a client that waits for it.
    pub const CONTINUE: &'static [u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

    /// Looks at what the request would store, and makes a file without a name for it.
    pub(crate) fn begin(
        root: &Root,
        room: &Room,
        request: &Request<'_>,
        (most, context): (u64, &ResponseContext),
        now: &Now,
    ) -> Result<Self, Status> {
        let path = storable(request, most)?;
        let folder = root.folder(path.parent()).map_err(status)?;
        let existing = match look_in(&folder, path.name()).map_err(status)? {
            None => None,
            // Over a link, a pipe or a folder nothing is stored: what it leads to is for its owner to say.
            Some(stat) => match Meta::of(&stat) {
                Some(meta) if meta.kind == Kind::File => Some(meta),
                _ => return Err(Status::CONFLICT),
            },
        };
        if condition::writing(&request.fields, existing.as_ref(), now) == Verdict::Failed {
            return Err(Status::PRECONDITION_FAILED);
        }
        let found = match existing {
            Some(_) => Found::File,
            None if condition::is_any(&request.fields.if_none_match) => Found::NothingOrFail,
            None => Found::Nothing,
        };
        let target = OsStr::from_bytes(path.name()).into();
        let then = if found == Found::NothingOrFail { Existing::Kept } else { Existing::Replaced };
        let permissions = existing.map(|meta| Permissions::from_mode(meta.mode));
        let place = room.place()?;
        let file = AtomicFile::begin_in(Arc::new(File::from(folder)), target, then, permissions);
        let file = file.map_err(|error| status_of(&error))?;
        Ok(Self::of(Into::File(place.of(file)), found, most, request, context))
    }

    /// The same for a form that a page of ours sent, or a program: another site's page may not.
    pub(crate) fn begin_form(
        root: &Root,
        room: &Room,
        request: &Request<'_>,
        most: u64,
        context: &ResponseContext,
    ) -> Result<Self, Status> {
        let path = changeable(request)?;
        if !is_own(request) {
            return Err(Status::FORBIDDEN);
        }
        let folder = root.folder(path.bytes()).map_err(status)?;
        let form = Form::begin(folder, room, &request.fields.content_type, most)?;
        let mut back = vec![];
        path.push_as_folder(&mut back);
        // How much of it is content shows as it comes; what stands around it is bounded by that.
        let all = most.saturating_mul(limits::FORM_FILES as u64).saturating_add(limits::FORM_AROUND);
        Ok(Self::of(Into::Form(form, back), Found::NothingOrFail, all, request, context))
    }

    fn of(into: Into, found: Found, most: u64, request: &Request<'_>, context: &ResponseContext) -> Self {
        let expects = request.version == Version::Http11 && request.fields.expect.is_some();
        let waits = if expects { Waits::ForContinue } else { Waits::No };
        let decoder = Decoder::new(request.framing);
        Self { into, found, decoder, received: 0, most, context: context.clone(), waits }
    }

    /// Whether [`Upload::CONTINUE`] has to be sent first. It need not where content has come already.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.waits == Waits::ForContinue
    }

    /// Bytes of the file that have come.
    #[cfg(test)]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes what came behind the head. Call it again with what it did not use.
    ///
    /// # Errors
    /// 400: it is malformed. 413: it is too much. 507: there is no room. The upload is then to be given to
    /// [`Upload::fail`].
    pub fn take(&mut self, bytes: &[u8]) -> Result<Taken, Status> {
        let piece = self.decoder.take(bytes)?;
        if !piece.data.is_empty() {
            self.received += piece.data.len() as u64;
            if self.received > self.most {
                return Err(Status::CONTENT_TOO_LARGE);
            }
            match &mut self.into {
                Into::File(placed) => placed.file.append(piece.data).map_err(|error| status_of(&error.source))?,
                Into::Form(form, _) => form.take(piece.data)?,
            }
        }
        Ok(Taken { used: piece.used, is_whole: piece.is_last })
    }

    /// What no more follows, of content whose end its own framing does not tell.
    ///
    /// # Errors
    /// 400: it is shorter than it was said to be.
    pub(crate) fn end(&self) -> Result<(), Status> {
        self.decoder.end()
    }

    /// Gives the whole file its name and answers. This waits for the disk.
    #[cfg(test)]
    pub fn finish(self, now: &Now, head: &mut FieldList) -> Response {
        let (files, receipt) = self.seal();
        receipt.answer(store(files), now, head)
    }

    /// What is to be stored, and what answers once it is.
    pub(crate) fn seal(self) -> (Sealed, Receipt) {
        let (found, context) = (self.found, self.context);
        match self.into {
            Into::File(file) => (Sealed(vec![file]), Receipt { found, context, back: None }),
            Into::Form(form, back) => {
                let (files, back) = match form.seal() {
                    Ok(files) => (files, Ok(back)),
                    Err(status) => (vec![], Err(status)),
                };
                (Sealed(files), Receipt { found, context, back: Some(back) })
            }
        }
    }

    /// Answers an upload that went wrong; the file is as it was. The connection ends, since the rest may still come.
    pub fn fail(self, status: Status, now: &Now, head: &mut FieldList) -> Response {
        refusal::write(status, "", &ResponseContext { keep_alive: false, ..self.context.clone() }, now, head)
    }
}

impl Receipt {
    /// Answers an upload whose file is stored, or could not be.
    pub(crate) fn answer(self, stored: Stored, now: &Now, head: &mut FieldList) -> Response {
        let stored = match (self.back, stored) {
            (Some(Err(status)), _) => return refusal::write(status, "", &self.context, now, head),
            (Some(Ok(back)), Ok(_)) => {
                let head = Head::begin(head, Status::SEE_OTHER, &self.context, now).field("Location", &back);
                return head.content(Body::Empty);
            }
            (Some(Ok(_)), Err(FileError { step: Step::Rename, source, .. }))
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                return refusal::write(Status::CONFLICT, "", &self.context, now, head);
            }
            (_, stored) => stored,
        };
        match stored {
            // Another writer was faster.
            Err(FileError { step: Step::Rename, source, .. })
                if self.found == Found::NothingOrFail && source.kind() == io::ErrorKind::AlreadyExists =>
            {
                refusal::write(Status::PRECONDITION_FAILED, "", &self.context, now, head)
            }
            Err(error) => refusal::write(status_of(&error.source), "", &self.context, now, head),
            Ok(meta) => {
                let done = if self.found == Found::File { Status::NO_CONTENT } else { Status::CREATED };
                let head = Head::begin(head, done, &self.context, now);
                let head = match meta {
                    Some(meta) => head.field("ETag", Tag::of(&meta, None).bytes()),
                    None => head,
                };
                if done.has_content() { head.content(Body::Empty) } else { head.end() }
            }
        }
    }
}

impl Sealed {
    /// Where the temporary names of its files are known.
    pub(crate) fn leftovers(&self) -> impl Iterator<Item = Leftover> {
        self.0.iter().map(|placed| placed.file.leftover())
    }
}

/// Has files stored and gives them their names; what is told is of the last. This waits for the disk.
pub(crate) fn store(files: Sealed) -> Stored {
    let mut stored = Ok(None);
    for placed in files.0 {
        stored = Ok(store_one(placed)?);
    }
    stored
}

fn store_one(placed: Placed) -> Stored {
    let Placed { file, .. } = placed;
    file.store()?;
    let handle = file.as_fd().try_clone_to_owned().ok();
    match file.give_name() {
        // It has its name all the same.
        Ok(()) | Err(FileError { step: Step::SyncFolder, .. }) => {}
        Err(error) => return Err(error),
    }
    // Getting its name was the last change of its state.
    Ok(handle.and_then(|file| fstat(file).ok()).and_then(|stat| Meta::of(&stat)))
}

/// Makes a folder (RFC 4918, section 9.3).
pub(crate) fn make_folder(root: &Root, request: &Request<'_>) -> Result<(), Status> {
    if request.framing != Framing::None {
        return Err(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    let path = changeable(request)?;
    if !is_own(request) {
        return Err(Status::FORBIDDEN);
    }
    if path.bytes().is_empty() {
        return Err(Status::METHOD_NOT_ALLOWED);
    }
    let folder = root.folder(path.parent()).map_err(status)?;
    mkdirat(&folder, path.name(), Mode::from_raw_mode(0o777)).map_err(|error| match error {
        // Something stands there.
        Errno::EXIST => Status::METHOD_NOT_ALLOWED,
        error => status(error),
    })
}

/// Whether a request comes from a page of this site, or from none: browsers send forms of other sites without asking, with
/// the password that they know for this one.
fn is_own(request: &Request<'_>) -> bool {
    let fields = &request.fields;
    if let Some(site) = fields.sec_fetch_site.as_deref() {
        return matches!(site, b"same-origin" | b"none");
    }
    let Some(origin) = fields.origin.as_deref() else { return true };
    let host = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    host.is_some_and(|host| request.authority.is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(host)))
}

/// The place that a request names, if others may change anything there.
fn changeable<'r>(request: &Request<'r>) -> Result<RequestPath<'r>, Status> {
    let path = RequestPath::decode(request.path)?;
    if path.climbs() {
        return Err(Status::NOT_FOUND);
    }
    // Shown or not: a file that configures something is not for others to change.
    if path.is_hidden() {
        return Err(Status::FORBIDDEN);
    }
    Ok(path)
}

/// The way that a request would store something at, if that can be.
fn storable<'r>(request: &Request<'r>, most: u64) -> Result<RequestPath<'r>, Status> {
    let path = changeable(request)?;
    if path.is_folder() {
        return Err(Status::CONFLICT);
    }
    // A part of a file would replace the whole (RFC 9110, section 14.5).
    if request.fields.content_range.is_some() {
        return Err(Status::BAD_REQUEST);
    }
    if request.fields.content_encoding.as_deref().is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
        return Err(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    match request.framing {
        Framing::Length(length) if length > most => Err(Status::CONTENT_TOO_LARGE),
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests;
