//! Storing a file by PUT (RFC 9110, section 9.3.4): written without a name in its folder, synced, and renamed over its
//! target once it is whole. Until then, and where anything goes wrong, the target is as it was.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, fstat, fsync, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::answer::{Body, Response, error};
use super::body::{Decoder, Framing};
use super::clock::Now;
use super::condition::{self, Tag, Verdict};
use super::head::{Head, Manner};
use super::path::Way;
use super::request::{Request, Version};
use super::root::{Kind, Meta, Root, look_in};
use super::status::Status;

/// How many names are tried for the temporary file.
const TRIES: u32 = 16;

/// A file that is coming.
#[derive(Debug)]
pub struct Upload {
    file: File,
    folder: OwnedFd,
    name: Vec<u8>,
    /// The temporary name, where it has one.
    leftover: Option<Vec<u8>>,
    existing: Existing,
    decoder: Decoder,
    received: u64,
    most: u64,
    manner: Manner,
    waits: Waits,
}

/// What stands at the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
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
        if condition::writing(&request.fields, existing.as_ref(), now.seconds()) == Verdict::Failed {
            return Err(Status::PRECONDITION_FAILED);
        }
        let (file, leftover) = unnamed(&folder).map_err(status)?;
        let expects = request.version == Version::Http11 && request.fields.expect.is_some();
        let mut upload = Self {
            file,
            folder,
            name: way.name().to_vec(),
            leftover,
            existing: Existing::Nothing,
            decoder: Decoder::new(request.framing),
            received: 0,
            most,
            manner: manner.clone(),
            waits: if expects { Waits::ForContinue } else { Waits::No },
        };
        match existing {
            Some(meta) => {
                fchmod(&upload.file, Mode::from_raw_mode(meta.mode)).map_err(status)?;
                upload.existing = Existing::File;
            }
            None if condition::is_any(&request.fields.if_none_match) => upload.existing = Existing::NothingOrFail,
            None => {}
        }
        Ok(upload)
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
            self.file.write_all(piece.data).map_err(|error| status_of(&error))?;
        }
        Ok(Taken { used: piece.used, is_whole: piece.is_last })
    }

    /// Gives the whole file its name and writes the head of the answer. This waits for the disk.
    pub fn finish(mut self, now: &Now, head: &mut Vec<u8>) -> Response {
        match self.name_it() {
            Err(failed) => error(failed, "", &self.manner, now, head),
            Ok(meta) => {
                let done = if self.existing == Existing::File { Status::NO_CONTENT } else { Status::CREATED };
                let head = Head::begin(head, done, &self.manner, now);
                let head = match meta {
                    Some(meta) => head.field("ETag", Tag::of(&meta, false).bytes()),
                    None => head,
                };
                if done.has_content() { head.content(Body::Empty) } else { head.end() }
            }
        }
    }

    /// Answers an upload that went wrong; the file is as it was. The connection ends, since the rest may still come.
    pub fn fail(self, status: Status, now: &Now, head: &mut Vec<u8>) -> Response {
        error(status, "", &Manner { keep_alive: false, ..self.manner.clone() }, now, head)
    }

    fn name_it(&mut self) -> Result<Option<Meta>, Status> {
        // A disk that is full may say so only now.
        fsync(&self.file).map_err(status)?;
        let meta = fstat(&self.file).ok().and_then(|stat| Meta::of(&stat));
        if self.existing == Existing::NothingOrFail {
            self.link(&self.name).map_err(|error| match error {
                Errno::EXIST => Status::PRECONDITION_FAILED,
                error => status(error),
            })?;
        } else {
            self.rename().map_err(status)?;
        }
        // Some file systems cannot sync a folder; the file has its name all the same.
        let _ = fsync(&self.folder);
        Ok(meta)
    }

    /// A link cannot replace a file, a rename can: it gets a temporary name first.
    fn rename(&mut self) -> Result<(), Errno> {
        let temporary = match self.leftover.take() {
            Some(name) => name,
            None => another_name(|name| self.link(name))?.1,
        };
        let renamed = renameat(&self.folder, temporary.as_slice(), &self.folder, self.name.as_slice());
        if renamed.is_err() {
            self.leftover = Some(temporary);
        }
        renamed
    }

    fn link(&self, name: &[u8]) -> Result<(), Errno> {
        match &self.leftover {
            Some(temporary) => linkat(&self.folder, temporary.as_slice(), &self.folder, name, AtFlags::empty()),
            None => {
                let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(CWD, path, &self.folder, name, AtFlags::SYMLINK_FOLLOW)
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(name) = self.leftover.take() {
            let _ = unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

/// The way that a request would store something at, if that can be.
fn storable<'r>(request: &Request<'r>, most: u64) -> Result<Way<'r>, Status> {
    let way = Way::decode(request.path)?;
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

/// A file in the folder that has no name (O_TMPFILE, open(2)), or a temporary one where the file system needs it.
fn unnamed(folder: &OwnedFd) -> Result<(File, Option<Vec<u8>>), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o666);
    match openat(folder, ".", flags | OFlags::TMPFILE, mode) {
        Ok(fd) if std::path::Path::new("/proc/self/fd").exists() => return Ok((File::from(fd), None)),
        // The second is what kernels say that take it for opening the folder itself (open(2), BUGS).
        Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    // O_EXCL: nobody else's file, nor a link laid there, is ever written to.
    let (fd, name) = another_name(|name| openat(folder, name, flags | OFlags::CREATE | OFlags::EXCL, mode))?;
    Ok((File::from(fd), Some(name)))
}

/// Tries names until one is free. They begin with a dot, so that nobody is served half a file.
fn another_name<T>(take: impl Fn(&[u8]) -> Result<T, Errno>) -> Result<(T, Vec<u8>), Errno> {
    let mut tried = 0;
    loop {
        let name = format!(".sockeye.{:016x}", RandomState::new().hash_one(tried)).into_bytes();
        match take(&name) {
            Ok(taken) => return Ok((taken, name)),
            Err(Errno::EXIST) if tried < TRIES => tried += 1,
            Err(error) => return Err(error),
        }
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
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::time::SystemTime;

    use super::super::answer::{Reply, Site};
    use super::super::options::{Account, Hidden, Options};
    use super::super::request::{Parsed, parse};
    use super::*;

    fn site(folder: &Path, options: Options) -> Site {
        Site::new(Root::open(folder).unwrap(), options)
    }

    fn small() -> Options {
        Options { upload: Some(10), ..Options::default() }
    }

    /// Plays one request with its content and tells the status and the head.
    fn put(site: &Site, message: &str) -> (u16, String, bool) {
        let Parsed::Whole { request, length } = parse(message.as_bytes()) else { panic!("{message:?}") };
        let (now, mut head) = (Now::new(SystemTime::now()), vec![]);
        let response = match site.answer(&request, &now, &mut head) {
            Reply::Ready(response) => response,
            Reply::Upload(mut upload) => {
                let mut rest = &message.as_bytes()[length..];
                loop {
                    match upload.take(&rest[..rest.len().min(3)]) {
                        Ok(Taken { is_whole: true, .. }) => break upload.finish(&now, &mut head),
                        Ok(Taken { used: 0, .. }) if rest.len() > 3 => {
                            let taken = upload.take(rest).unwrap();
                            rest = &rest[taken.used..];
                        }
                        Ok(Taken { used: 0, .. }) => panic!("{message:?} is not whole"),
                        Ok(taken) => rest = &rest[taken.used..],
                        Err(status) => break upload.fail(status, &now, &mut head),
                    }
                }
            }
        };
        (response.status.code(), String::from_utf8(head).unwrap(), response.keep_alive)
    }

    fn sized(path: &str, fields: &str, content: &str) -> String {
        format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{fields}\r\n{content}", content.len())
    }

    #[test]
    fn a_file_is_stored_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path(), small());
        fs::create_dir(folder.path().join("a")).unwrap();
        let (status, head, keep_alive) = put(&site, &sized("/a/x%20y", "", "one"));
        assert_eq!((status, keep_alive), (201, true));
        assert!(head.contains("Content-Length: 0\r\n") && head.contains("ETag: \""), "{head}");
        let path = folder.path().join("a/x y");
        assert_eq!(fs::read(&path).unwrap(), b"one");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let chunked =
            "PUT /a/x%20y HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n0\r\n\r\n";
        let (status, head, _) = put(&site, chunked);
        assert_eq!(status, 204);
        assert!(!head.contains("Content-Length"), "{head}");
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(put(&site, &sized("/empty", "", "")).0, 201);
        assert_eq!(fs::read(folder.path().join("empty")).unwrap(), b"");
    }

    #[test]
    fn what_may_not_be_stored_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir_all(root.join("folder")).unwrap();
        fs::create_dir(place.path().join("outside")).unwrap();
        fs::write(place.path().join("canary"), "canary").unwrap();
        fs::write(root.join(".hidden"), "old").unwrap();
        symlink("../canary", root.join("link")).unwrap();
        symlink("../outside", root.join("way")).unwrap();
        let site = site(&root, Options { hidden: Hidden::Shown, ..small() });
        let before = names(place.path());
        for (path, fields, status) in [
            ("/.hidden", "", 403),
            ("/.new", "", 403),
            ("/%2enew", "", 403),
            ("/../canary", "", 404),
            ("/..%2fcanary", "", 404),
            ("/link", "", 409),
            ("/way/x", "", 409),
            ("/folder", "", 409),
            ("/folder/", "", 409),
            ("/", "", 409),
            ("/missing/x", "", 409),
            ("/x", "Content-Range: bytes 0-1/9\r\n", 400),
            ("/x", "Content-Encoding: gzip\r\n", 415),
            ("/x", "If-Match: *\r\n", 412),
            ("/x", "Expect: more\r\n", 417),
        ] {
            let (found, _, _) = put(&site, &sized(path, fields, "new"));
            assert_eq!(found, status, "{path} {fields}");
        }
        assert_eq!(put(&site, &sized(&format!("/{}", "x".repeat(256)), "", "new")).0, 409);
        assert_eq!(put(&site, &sized("/x", "", "12345678901")).0, 413);
        let chunked =
            "PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n";
        assert_eq!(put(&site, chunked), (413, put(&site, chunked).1, false));
        let odd = "PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
        assert_eq!(put(&site, odd).0, 400);
        assert_eq!(names(place.path()), before);
        assert_eq!(fs::read(place.path().join("canary")).unwrap(), b"canary");
        assert_eq!(fs::read(root.join(".hidden")).unwrap(), b"old");
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut all = vec![];
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            all.push(path.display().to_string());
            if path.is_dir() && !path.is_symlink() {
                all.extend(names(&path));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn storing_is_for_those_who_may_and_where_it_is_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let closed = site(folder.path(), Options::default());
        let (status, head, keep_alive) = put(&closed, &sized("/x", "", "new"));
        assert_eq!((status, keep_alive), (405, true));
        assert!(head.contains("Allow: GET, HEAD, OPTIONS\r\n"), "{head}");
        let account = Account::new("a", "b");
        let kept = site(folder.path(), Options { account, ..small() });
        assert_eq!(put(&kept, &sized("/x", "", "new")).0, 401);
        assert_eq!(put(&kept, &sized("/x", "Authorization: Basic YTpi\r\n", "new")).0, 201);
        assert_eq!(
            put(&kept, &sized("/x", "Authorization: Basic YTpi\r\n", "new").replace("localhost", "evil")).0,
            421
        );
    }

    #[test]
    fn nothing_is_overwritten_by_who_wants_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let site = site(folder.path(), small());
        let message = sized("/x", "If-None-Match: *\r\nExpect: 100-continue\r\n", "new");
        let Parsed::Whole { request, length } = parse(message.as_bytes()) else { panic!("not whole") };
        let (now, mut head) = (Now::new(SystemTime::now()), vec![]);
        let Reply::Upload(mut upload) = site.answer(&request, &now, &mut head) else { panic!("no upload") };
        assert!(upload.is_awaited() && head.is_empty());
        assert!(upload.take(&message.as_bytes()[length..]).unwrap().is_whole);
        assert_eq!(upload.received(), 3);
        // Somebody else was faster.
        fs::write(folder.path().join("x"), "other").unwrap();
        assert_eq!(upload.finish(&now, &mut head).status, Status::PRECONDITION_FAILED);
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"other");
        assert_eq!(put(&site, &sized("/y", "If-None-Match: *\r\n", "new")).0, 201);
        assert_eq!(put(&site, &sized("/y", "If-None-Match: *\r\n", "new")).0, 412);
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn an_upload_that_ends_early_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), "old").unwrap();
        let site = site(folder.path(), small());
        let message = sized("/x", "", "new");
        let Parsed::Whole { request, .. } = parse(message.as_bytes()) else { panic!("not whole") };
        let Reply::Upload(mut upload) = site.answer(&request, &Now::new(SystemTime::now()), &mut vec![]) else {
            panic!("no upload")
        };
        assert!(!upload.take(b"ne").unwrap().is_whole);
        drop(upload);
        assert_eq!(fs::read(folder.path().join("x")).unwrap(), b"old");
        assert_eq!(names(folder.path()).len(), 1);
    }
}
