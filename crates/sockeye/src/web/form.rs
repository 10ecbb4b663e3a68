//! A form of a browser's that stores files (RFC 7578), read piece by piece: each file goes to the disk as it comes. A form
//! stores new files alone; a client that wants one replaced uses PUT.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use memchr::memmem;
use rustix::fs::{Mode, mkdirat};

use super::errno::{status, status_of};
use super::room::{Placed, Room};
use super::root::look_in;
use crate::file::{AtomicFile, Existing};
use crate::limits;
use crate::wire::http::fields::Value;
use crate::wire::http::status::Status;

/// Longest head of a part.
const HEAD: usize = 8 * 1024;
/// Longest name of a file or folder.
const NAME: usize = 255;

/// A form that is coming.
#[derive(Debug)]
pub(crate) struct Form {
    folder: Arc<File>,
    room: Room,
    /// What stands between two parts.
    delimiter: Vec<u8>,
    /// What came and is not looked at yet.
    held: Vec<u8>,
    stage: Stage,
    files: Vec<Placed>,
    /// The largest file that is stored.
    most: u64,
}

#[derive(Debug)]
enum Stage {
    /// What stands before the first delimiter, or is of no use.
    Skipped,
    /// Behind a delimiter.
    Between,
    Head,
    /// The last file is being written, and has so many bytes.
    File(u64),
    /// The name of a folder that is to be made.
    Folder(Vec<u8>),
    Over,
}

/// What a part is.
enum FormPart {
    File(Vec<u8>),
    Folder,
    Other,
}

impl Form {
    /// Begins with an open folder, in which files are stored.
    pub(crate) fn begin(folder: OwnedFd, room: &Room, content_type: &Value<'_>, most: u64) -> Result<Self, Status> {
        let boundary = boundary(content_type.as_deref().unwrap_or_default()).ok_or(Status::UNSUPPORTED_MEDIA_TYPE)?;
        let delimiter = [b"\r\n--", boundary].concat();
        // The first delimiter may stand at the very beginning.
        let (folder, room) = (Arc::new(File::from(folder)), room.clone());
        Ok(Self { folder, room, delimiter, held: b"\r\n".to_vec(), stage: Stage::Skipped, files: vec![], most })
    }

    /// Takes some of it.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), Status> {
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut rest = &held[..];
        while let Some(used) = self.step(rest)? {
            rest = &rest[used..];
        }
        self.held = rest.to_vec();
        Ok(())
    }

    /// The files, once all of it has come.
    pub(crate) fn seal(self) -> Result<Vec<Placed>, Status> {
        if matches!(self.stage, Stage::Over) { Ok(self.files) } else { Err(Status::BAD_REQUEST) }
    }

    /// How many bytes are done with; nothing if more have to come.
    fn step(&mut self, rest: &[u8]) -> Result<Option<usize>, Status> {
        match &self.stage {
            Stage::Over => Ok((!rest.is_empty()).then_some(rest.len())),
            Stage::Between => match rest {
                [b'\r', b'\n', ..] => {
                    // A part without any field has an empty line at once.
                    self.stage = Stage::Head;
                    Ok(Some(0))
                }
                [b'-', b'-', ..] => {
                    self.stage = Stage::Over;
                    Ok(Some(2))
                }
                [_, _, ..] => Err(Status::BAD_REQUEST),
                _ => Ok(None),
            },
            Stage::Head => match memmem::find(rest, b"\r\n\r\n") {
                Some(end) if end <= HEAD => {
                    let part = part(&rest[..end])?;
                    self.begin_part(part)?;
                    // The line end before a delimiter belongs to it, where nothing stands before it, too.
                    Ok(Some(end + 2))
                }
                None if rest.len() <= HEAD => Ok(None),
                _ => Err(Status::BAD_REQUEST),
            },
            Stage::Skipped | Stage::File(_) | Stage::Folder(_) => self.content(rest),
        }
    }

    /// Content, up to the next delimiter.
    fn content(&mut self, rest: &[u8]) -> Result<Option<usize>, Status> {
        let found = memmem::find(rest, &self.delimiter);
        let end = found.unwrap_or_else(|| rest.len().saturating_sub(self.delimiter.len() - 1));
        self.keep(&rest[..end])?;
        match found {
            Some(_) => {
                self.end_part()?;
                self.stage = Stage::Between;
                Ok(Some(end + self.delimiter.len()))
            }
            None => Ok((end > 0).then_some(end)),
        }
    }

    fn begin_part(&mut self, part: FormPart) -> Result<(), Status> {
        self.stage = match part {
            FormPart::Other => Stage::Skipped,
            FormPart::Folder => Stage::Folder(vec![]),
            FormPart::File(name) => {
                self.check_name(&name)?;
                if self.files.len() == limits::FORM_FILES {
                    return Err(Status::CONTENT_TOO_LARGE);
                }
                let (place, target) = (self.room.place()?, OsStr::from_bytes(&name).into());
                let file = AtomicFile::begin_in(Arc::clone(&self.folder), target, Existing::Kept, None);
                self.files.push(place.of(file.map_err(|error| status_of(&error))?));
                Stage::File(0)
            }
        };
        Ok(())
    }

    /// Whether something new may stand under this name.
    fn check_name(&self, name: &[u8]) -> Result<(), Status> {
        if name.is_empty() || name.len() > NAME || name.iter().any(|byte| b"/\0".contains(byte)) {
            return Err(Status::BAD_REQUEST);
        }
        if name.starts_with(b".") {
            return Err(Status::FORBIDDEN);
        }
        match look_in(&self.folder, name).map_err(status)? {
            Some(_) => Err(Status::CONFLICT),
            None => Ok(()),
        }
    }

    /// The line end before the content is the first of it.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), Status> {
        match &mut self.stage {
            Stage::File(length) => {
                let skipped = usize::try_from(2_u64.saturating_sub(*length)).unwrap_or(0).min(bytes.len());
                *length += bytes.len() as u64;
                if *length > self.most.saturating_add(2) {
                    return Err(Status::CONTENT_TOO_LARGE);
                }
                let Some(placed) = self.files.last_mut() else { return Ok(()) };
                placed.file.append(&bytes[skipped..]).map_err(|error| status_of(&error.source))
            }
            Stage::Folder(name) => {
                name.extend_from_slice(bytes);
                if name.len() > NAME + 2 { Err(Status::BAD_REQUEST) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn end_part(&mut self) -> Result<(), Status> {
        let Stage::Folder(name) = &self.stage else { return Ok(()) };
        let name = name.get(2..).unwrap_or_default().trim_ascii();
        self.check_name(name)?;
        mkdirat(&self.folder, name, Mode::from_raw_mode(0o777)).map_err(status)
    }
}

/// The boundary in a Content-Type (RFC 2046, section 5.1.1).
fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let mut parts = content_type.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    if !parts.next()?.eq_ignore_ascii_case(b"multipart/form-data") {
        return None;
    }
    let value = parts.find_map(|part| {
        let (name, value) = part.split_at_checked(9)?;
        name.eq_ignore_ascii_case(b"boundary=").then_some(value)
    })?;
    let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    (1..=70).contains(&bare.len()).then_some(bare)
}

/// What the head of a part says that it is.
fn part(head: &[u8]) -> Result<FormPart, Status> {
    let field = b"content-disposition:";
    let lines = || memmem::find_iter(head, b"\r\n").map(|at| &head[at + 2..]);
    let line = lines().find(|line| line.get(..field.len()).is_some_and(|name| name.eq_ignore_ascii_case(field)));
    let line = line.ok_or(Status::BAD_REQUEST)?;
    let line = &line[..memmem::find(line, b"\r\n").unwrap_or(line.len())];
    if let Some(name) = parameter(line, b"filename") {
        // Some browsers send the whole path.
        let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default().to_vec();
        // Nothing was chosen.
        return Ok(if name.is_empty() { FormPart::Other } else { FormPart::File(name) });
    }
    // A file whose name cannot be read (`filename*=`, or without quotes) must not be taken for stored.
    let bare: Vec<u8> = line.iter().filter(|byte| !b" \t".contains(byte)).map(u8::to_ascii_lowercase).collect();
    if memmem::find(&bare, b";filename").is_some() {
        return Err(Status::BAD_REQUEST);
    }
    Ok(if parameter(line, b"name").is_some_and(|name| name == b"folder") { FormPart::Folder } else { FormPart::Other })
}

/// A quoted parameter. Browsers write a quote as `%22` and line ends as `%0D%0A`, others put a backslash before it.
fn parameter(line: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let begin = [b";", name, b"=\""].concat();
    let bare: Vec<u8> = line.iter().copied().filter(|&byte| byte != b' ' && byte != b'\t').collect();
    // Blanks stand in values, too: only whether it is there is looked up without them.
    memmem::find(&bare, &begin)?;
    let mut at = 0;
    let from = loop {
        let found = at + memmem::find(&line[at..], &begin[1..])?;
        let before = line[..found].trim_ascii_end();
        if before.ends_with(b";") {
            break found + begin.len() - 1;
        }
        at = found + 1;
    };
    let mut value = vec![];
    let mut rest = &line[from..];
    loop {
        match rest {
            [b'"', ..] => return Some(value),
            [b'\\', byte @ (b'"' | b'\\'), behind @ ..] => {
                value.push(*byte);
                rest = behind;
            }
            [b'%', b'2', b'2', behind @ ..] => {
                value.push(b'"');
                rest = behind;
            }
            [byte, behind @ ..] => {
                value.push(*byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fs;

    use super::*;

    fn send(folder: &std::path::Path, body: &[u8], step: usize) -> Result<(), Status> {
        let open = rustix::fs::open(folder, rustix::fs::OFlags::RDONLY, Mode::empty()).unwrap();
        let kind = Some(Cow::Borrowed(b"multipart/form-data; charset=utf-8; boundary=\"XX\"".as_slice()));
        let mut form = Form::begin(open, &Room::default(), &kind, 10).unwrap();
        for piece in body.chunks(step) {
            form.take(piece)?;
        }
        for placed in form.seal()? {
            placed.file.commit().unwrap();
        }
        Ok(())
    }

    fn part_of(disposition: &str, content: &str) -> String {
        format!("--XX\r\nContent-Type: x/y\r\ncontent-disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
    }

    #[test]
    fn files_and_folders_are_made_however_the_form_is_cut() {
        let body = [
            "preamble\r\n".to_owned(),
            part_of("name=\"file\"; filename=\"a b.txt\"", "one\r\n--X"),
            part_of("name=\"file\"; filename=\"\"", ""),
            part_of("name=\"file\"; filename=\"empty\"", ""),
            part_of("name=\"x\"", "ignored"),
            part_of("filename=\"dir/q%22\\\"\\\\ü\"; name=\"file\"", "\r\n\r\n"),
            part_of("name=\"folder\"", " new "),
            "--XX--\r\nepilogue".to_owned(),
        ]
        .concat();
        for step in [1, 2, 3, 7, 50, 10_000] {
            let folder = tempfile::tempdir().unwrap();
            send(folder.path(), body.as_bytes(), step).unwrap();
            let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(
                (read("a b.txt").as_str(), read("empty").as_str(), read("q\"\"\\ü").as_str()),
                ("one\r\n--X", "", "\r\n\r\n")
            );
            assert!(folder.path().join("new").is_dir());
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        }
    }

    #[test]
    fn what_may_not_be_stored_leaves_nothing() {
        let file = |name: &str, content: &str| part_of(&format!("name=\"f\"; filename=\"{name}\""), content);
        let end = "--XX--\r\n";
        let many: String = (0..=limits::FORM_FILES).map(|at| file(&at.to_string(), "")).collect();
        let head = format!("--XX\r\nX: {}", "y".repeat(10_000));
        for (body, status) in [
            (file(".ssh", "x") + end, Status::FORBIDDEN),
            (file("..", "x") + end, Status::FORBIDDEN),
            (file("there", "x") + end, Status::CONFLICT),
            (file("new", "x") + &file("there", "x") + end, Status::CONFLICT),
            (file("link", "x") + end, Status::CONFLICT),
            (file("new", "12345678901") + end, Status::CONTENT_TOO_LARGE),
            (file(&"n".repeat(256), "x") + end, Status::BAD_REQUEST),
            (file("a\0b", "x") + end, Status::BAD_REQUEST),
            (file("new", "x"), Status::BAD_REQUEST),
            ("--XX\r\n\r\n\r\n--XX--".to_owned(), Status::BAD_REQUEST),
            ("--XXYY\r\n".to_owned(), Status::BAD_REQUEST),
            (String::new(), Status::BAD_REQUEST),
            (many + end, Status::CONTENT_TOO_LARGE),
            (head, Status::BAD_REQUEST),
            (part_of("name=\"folder\"", "../up") + end, Status::BAD_REQUEST),
            (part_of("name=\"f\"; filename*=UTF-8''new", "x") + end, Status::BAD_REQUEST),
            (part_of("name=\"f\"; FileName=new", "x") + end, Status::BAD_REQUEST),
            (part_of("name=\"f\";\tfilename = \"new\"", "x") + end, Status::BAD_REQUEST),
            (part_of("name=\"folder\"", "there") + end, Status::CONFLICT),
        ] {
            for step in [1, 10_000] {
                let folder = tempfile::tempdir().unwrap();
                fs::write(folder.path().join("there"), "old").unwrap();
                std::os::unix::fs::symlink("/nowhere", folder.path().join("link")).unwrap();
                assert_eq!(send(folder.path(), body.as_bytes(), step), Err(status), "{body:?}");
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "{body:?}");
            }
        }
    }

    #[test]
    fn only_a_form_of_files_is_one() {
        for (kind, found) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;BOUNDARY=\"a b\"", Some("a b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("application/x-www-form-urlencoded", None),
            ("multipart/mixed; boundary=a", None),
            ("", None),
        ] {
            assert_eq!(boundary(kind.as_bytes()), found.map(str::as_bytes), "{kind}");
        }
    }
}
