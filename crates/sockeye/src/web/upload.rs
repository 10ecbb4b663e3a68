//! Storing a file by PUT (RFC 9110, section 9.3.4): written without a name in its folder, synced, and renamed over its
//! target once it is whole. Until then, and where anything goes wrong, the target is as it was.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::fstat;
use rustix::io::Errno;

use super::answer::{Body, Response};
use super::body::{Decoder, Framing};
use super::clock::Now;
use super::condition::{self, Tag, Verdict};
use super::head::{Head, Manner};
use super::path::Way;
use super::refusal;
use super::request::{Request, Version};
use super::root::{Kind, Meta, Root, look_in};
use super::status::Status;
use crate::file::{AtomicFile, Existing, FileError, Step};

/// A file that is coming.
#[derive(Debug)]
pub struct Upload {
    file: AtomicFile,
    found: Found,
    decoder: Decoder,
    received: u64,
    most: u64,
    manner: Manner,
    waits: Waits,
}

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
    manner: Manner,
}

/// What a file is once it is stored, as far as can be told.
pub(crate) type Stored = Result<Option<Meta>, FileError>;

impl Upload {
    /// What to send before the content comes to a client that waits for it.
    pub const CONTINUE: &'static [u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

    /// Looks at what the request would store, and makes a file without a name for it.
    pub(crate) fn begin(
        root: &Root,
        request: &Request<'_>,
        most: u64,
        manner: &Manner,
        now: &Now,
    ) -> Result<Self, Status> {
        let way = storable(request, most)?;
        let folder = root.folder(way.parent()).map_err(status)?;
        let existing = match look_in(&folder, way.name()).map_err(status)? {
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
        let target = OsStr::from_bytes(way.name()).into();
        let then = if found == Found::NothingOrFail { Existing::Kept } else { Existing::Replaced };
        let permissions = existing.map(|meta| Permissions::from_mode(meta.mode));
        let file = AtomicFile::begin_in(File::from(folder), target, then, permissions);
        let file = file.map_err(|error| status_of(&error))?;
        let expects = request.version == Version::Http11 && request.fields.expect.is_some();
        Ok(Self {
            file,
            found,
            decoder: Decoder::new(request.framing),
            received: 0,
            most,
            manner: manner.clone(),
            waits: if expects { Waits::ForContinue } else { Waits::No },
        })
    }

    /// Whether [`Upload::CONTINUE`] has to be sent first. It need not where content has come already.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.waits == Waits::ForContinue
    }

    /// Bytes of the file that have come.
    #[must_use]
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
            self.file.append(piece.data).map_err(|error| status_of(&error.source))?;
        }
        Ok(Taken { used: piece.used, is_whole: piece.is_last })
    }

    /// Gives the whole file its name and writes the head of the answer. This waits for the disk.
    pub fn finish(self, now: &Now, head: &mut Vec<u8>) -> Response {
        let (file, receipt) = self.seal();
        receipt.answer(store(file), now, head)
    }

    /// What is to be stored, and what answers once it is.
    pub(crate) fn seal(self) -> (AtomicFile, Receipt) {
        (self.file, Receipt { found: self.found, manner: self.manner })
    }

    /// Answers an upload that went wrong; the file is as it was. The connection ends, since the rest may still come.
    pub fn fail(self, status: Status, now: &Now, head: &mut Vec<u8>) -> Response {
        refusal::write(status, "", &Manner { keep_alive: false, ..self.manner.clone() }, now, head)
    }
}

impl Receipt {
    /// Answers an upload whose file is stored, or could not be.
    pub(crate) fn answer(self, stored: Stored, now: &Now, head: &mut Vec<u8>) -> Response {
        match stored {
            // Somebody else was faster.
            Err(FileError { step: Step::Rename, source, .. })
                if self.found == Found::NothingOrFail && source.kind() == io::ErrorKind::AlreadyExists =>
            {
                refusal::write(Status::PRECONDITION_FAILED, "", &self.manner, now, head)
            }
            Err(error) => refusal::write(status_of(&error.source), "", &self.manner, now, head),
            Ok(meta) => {
                let done = if self.found == Found::File { Status::NO_CONTENT } else { Status::CREATED };
                let head = Head::begin(head, done, &self.manner, now);
                let head = match meta {
                    Some(meta) => head.field("ETag", Tag::of(&meta, None).bytes()),
                    None => head,
                };
                if done.has_content() { head.content(Body::Empty) } else { head.end() }
            }
        }
    }
}

/// Has a file stored and gives it its name. This waits for the disk.
pub(crate) fn store(file: AtomicFile) -> Stored {
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

/// The way that a request would store something at, if that can be.
fn storable<'r>(request: &Request<'r>, most: u64) -> Result<Way<'r>, Status> {
    let way = Way::decode(request.path)?;
    if way.climbs() {
        return Err(Status::NOT_FOUND);
    }
    // Shown or not: a file that configures something is not for others to change.
    if way.is_hidden() {
        return Err(Status::FORBIDDEN);
    }
    if way.is_folder() {
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
        _ => Ok(way),
    }
}

fn status(error: Errno) -> Status {
    match error {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => Status::FORBIDDEN,
        Errno::NOSPC | Errno::DQUOT => Status::INSUFFICIENT_STORAGE,
        Errno::FBIG => Status::CONTENT_TOO_LARGE,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Status::UNAVAILABLE,
        // There is no such folder, or none where one would have to be.
        Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::XDEV | Errno::LOOP | Errno::NAMETOOLONG | Errno::EXIST => {
            Status::CONFLICT
        }
        _ => Status::INTERNAL_ERROR,
    }
}

fn status_of(error: &io::Error) -> Status {
    error.raw_os_error().map_or(Status::INTERNAL_ERROR, |code| status(Errno::from_raw_os_error(code)))
}

#[cfg(test)]
mod tests;
