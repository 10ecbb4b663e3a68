//! A target's path as the name of a file: percent-decoded exactly once, and refused where it names anything but what is
//! below the root. What is then opened is settled by the kernel; this settles what is asked for.

use std::borrow::Cow;

use super::escape::push_encoded;
use crate::wire::http::status::Status;

/// The path from the root to a file or folder: no empty segment, no `.` or `..`, no NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath<'a> {
    bytes: Cow<'a, [u8]>,
    is_folder: bool,
    /// The path would have led out of the root by its `..`, which removing them stops at.
    climbs: bool,
}

impl<'a> RequestPath<'a> {
    /// Decodes a path, and removes its dot segments (RFC 3986, sections 5.2.4 and 6.2.2.3).
    ///
    /// # Errors
    /// 400: it is no path, or holds a NUL or a `%` that encodes nothing. 404: no file under the root has such a name.
    pub fn decode(path: &'a str) -> Result<Self, Status> {
        let path = path.as_bytes();
        let Some(rest) = path.strip_prefix(b"/") else { return Err(Status::BAD_REQUEST) };
        match is_plain(rest) {
            true => Ok(Self::from_plain(rest)),
            false => Self::from_encoded(rest),
        }
    }

    fn from_plain(path: &'a [u8]) -> Self {
        let (path, is_folder) = match path.strip_suffix(b"/") {
            Some(folder) => (folder, true),
            None => (path, path.is_empty()),
        };
        Self { bytes: Cow::Borrowed(path), is_folder, climbs: false }
    }

    /// The way of a file whose name is known.
    pub(crate) fn of_file(name: &[u8]) -> Self {
        Self { bytes: Cow::Owned(name.to_vec()), is_folder: false, climbs: false }
    }

    /// Empty segments are left out, as the kernel would. An encoded slash is part of a segment (RFC 3986, section 2.2),
    /// and no file has one in its name: taking it for a separator is how checks in front of us are passed by.
    fn from_encoded(path: &[u8]) -> Result<Self, Status> {
        let mut bytes: Vec<u8> = Vec::with_capacity(path.len());
        let (mut ends_with_dots, mut climbs) = (false, false);
        for segment in path.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty()) {
            let end = bytes.len();
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            let begin = bytes.len();
            push_decoded(&mut bytes, segment)?;
            let segment = &bytes[begin..];
            if segment.contains(&0) {
                return Err(Status::BAD_REQUEST);
            }
            if segment.contains(&b'/') {
                return Err(Status::NOT_FOUND);
            }
            ends_with_dots = matches!(segment, b"." | b"..");
            match segment {
                b"." => bytes.truncate(end),
                b".." => {
                    climbs |= end == 0;
                    bytes.truncate(bytes[..end].iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                }
                _ => {}
            }
        }
        let is_folder = ends_with_dots || path.ends_with(b"/") || bytes.is_empty();
        Ok(Self { bytes: Cow::Owned(bytes), is_folder, climbs })
    }

    /// Whether the path tried to lead out of the root. A reader of that is given what browsers would ask for; nothing is
    /// stored by it.
    pub(crate) fn climbs(&self) -> bool {
        self.climbs
    }

    /// The bytes of the way, without a slash at either end; empty for the root.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the path ended with a slash.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The names on the way; none for the root.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty())
    }

    /// Whether a name on the way begins with a dot.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        has_dot(&self.bytes)
    }

    /// The same, but for what is there to be found by everybody (RFC 8615): certificates are signed for who shows a file
    /// there.
    pub(crate) fn is_kept(&self) -> bool {
        match self.bytes.strip_prefix(WELL_KNOWN) {
            Some([]) => false,
            Some([b'/', rest @ ..]) => has_dot(rest),
            _ => self.is_hidden(),
        }
    }

    /// The last name; empty for the root.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.bytes.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }

    /// The way of the folder that holds it.
    pub(crate) fn parent(&self) -> &[u8] {
        let name = self.name().len();
        self.bytes[..self.bytes.len() - name].strip_suffix(b"/").unwrap_or_default()
    }

    /// Writes it as the path of a folder, encoded again: it begins with one slash, so that no browser takes it for another
    /// host, and holds no byte that could end a field.
    pub(crate) fn push_as_folder(&self, out: &mut Vec<u8>) {
        out.push(b'/');
        for segment in self.segments() {
            push_encoded(out, segment);
            out.push(b'/');
        }
    }
}

const WELL_KNOWN: &[u8] = b".well-known";

fn has_dot(path: &[u8]) -> bool {
    path.first() == Some(&b'.') || memchr::memmem::find(path, b"/.").is_some()
}

/// Whether the path says what it means, as nearly all do.
fn is_plain(path: &[u8]) -> bool {
    memchr::memchr2(b'%', 0, path).is_none()
        && !path.starts_with(b"/")
        && memchr::memmem::find(path, b"//").is_none()
        && !has_dot(path)
}

fn push_decoded(out: &mut Vec<u8>, mut text: &[u8]) -> Result<(), Status> {
    while let Some(at) = memchr::memchr(b'%', text) {
        out.extend_from_slice(&text[..at]);
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let [high, low, ..] = text[at + 1..] else { return Err(Status::BAD_REQUEST) };
        let (Some(high), Some(low)) = (digit(high), digit(low)) else { return Err(Status::BAD_REQUEST) };
        out.push(high << 4 | low);
        text = &text[at + 3..];
    }
    out.extend_from_slice(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once() {
        for (target, path, is_folder) in [
            ("/", "", true),
            ("/a", "a", false),
            ("/a/b/", "a/b", true),
            ("//", "", true),
            ("//a//b//", "a/b", true),
            ("/%61%2562", "a%62", false),
            ("/a+b;c=d%20e", "a+b;c=d e", false),
            ("/a%5Cb\\c", "a\\b\\c", false),
            ("/%c3%BC", "ü", false),
            ("/...", "...", false),
        ] {
            let found = RequestPath::decode(target).unwrap();
            assert_eq!((found.bytes(), found.is_folder()), (path.as_bytes(), is_folder), "{target}");
        }
        assert_eq!(RequestPath::decode("/%ff").unwrap().bytes(), b"\xff");
    }

    #[test]
    fn what_is_no_way_down_is_refused() {
        for (path, status) in [
            ("", 400),
            ("*", 400),
            ("a", 400),
            ("/%", 400),
            ("/%4", 400),
            ("/%4g", 400),
            ("/%+4", 400),
            ("/a%00b", 400),
            ("/a%2fb", 404),
            ("/..%2F..%2Fx", 404),
        ] {
            assert_eq!(RequestPath::decode(path).map_err(Status::code), Err(status), "{path}");
        }
    }

    /// RFC 3986, section 5.2.4, and what clients that do not do it themselves ask for.
    #[test]
    fn dot_segments_are_removed() {
        for (target, path, is_folder, climbs) in [
            ("/./name", "name", false, false),
            ("/a/b/c/./../../g", "a/g", false, false),
            ("/mid/content=5/../6", "mid/6", false, false),
            ("/a/./b/", "a/b", true, false),
            ("/a/../b", "b", false, false),
            ("/a/..", "", true, false),
            ("/a/b/..", "a", true, false),
            ("/a/.", "a", true, false),
            ("/%2e/a", "a", false, false),
            ("/a/%2E./b", "b", false, false),
            ("/a//../b", "b", false, false),
            ("/.", "", true, false),
            ("/...", "...", false, false),
            ("/a/.b/..c/d..", "a/.b/..c/d..", false, false),
            ("/.git/../a", "a", false, false),
            ("/..", "", true, true),
            ("/../../a", "a", false, true),
            ("/a/../../b", "b", false, true),
            ("/%2e%2E/x", "x", false, true),
        ] {
            let found = RequestPath::decode(target).unwrap();
            let parts = (found.bytes(), found.is_folder(), found.climbs());
            assert_eq!(parts, (path.as_bytes(), is_folder, climbs), "{target}");
        }
    }

    #[test]
    fn what_is_well_known_is_not_kept() {
        for (path, kept) in [
            ("/.well-known", false),
            ("/.well-known/acme-challenge/x", false),
            ("/%2ewell-known/security.txt", false),
            ("/./.well-known/x", false),
            ("/.well-known/.git", true),
            ("/.well-known/a/.b", true),
            ("/.well-knownx", true),
            ("/a/.well-known/x", true),
            ("/.env", true),
            ("/a", false),
        ] {
            assert_eq!(RequestPath::decode(path).unwrap().is_kept(), kept, "{path}");
        }
    }

    #[test]
    fn a_path_knows_its_parts() {
        for (target, name, parent, hidden) in [
            ("/", "", "", false),
            ("/a", "a", "", false),
            ("/a/b.c", "b.c", "a", false),
            ("/a/b/c/", "c", "a/b", false),
            ("/.a", ".a", "", true),
            ("/a/.b/c", "c", "a/.b", true),
            ("/%2ea", ".a", "", true),
        ] {
            let path = RequestPath::decode(target).unwrap();
            let found = (path.name(), path.parent(), path.is_hidden());
            assert_eq!(found, (name.as_bytes(), parent.as_bytes(), hidden), "{target}");
        }
    }

    #[test]
    fn a_folder_is_written_so_that_it_stays_on_this_host() {
        for (path, folder) in [
            ("/", "/"),
            ("/a/b", "/a/b/"),
            ("//evil.example", "/evil.example/"),
            ("/\\evil.example", "/%5Cevil.example/"),
            ("/%0d%0aX:y", "/%0D%0AX%3Ay/"),
        ] {
            let mut out = vec![];
            RequestPath::decode(path).unwrap().push_as_folder(&mut out);
            assert_eq!(out, folder.as_bytes(), "{path}");
        }
    }
}
