//! The head of a request (RFC 9112, sections 2 to 6), read once it has come whole. What two readers could take for
//! different requests is refused, since one of them may stand in front of us; the connection then has to end.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::net::Ipv6Addr;

use super::body::Framing;
use super::fields::{Fields, members};
use super::is_of_token;
use super::status::Status;
pub(crate) use super::version::Version;
use crate::limits;

/// Longest name of a method that is waited for.
const METHOD: usize = 32;

/// What stands in the bytes that have come.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "it is made once and taken apart at once")]
pub(crate) enum Parsed<'a> {
    /// The beginning of a head; nothing speaks against it yet.
    Partial,
    /// A head in the first `length` bytes. Its content, if it has any, follows.
    Whole {
        /// What is asked.
        request: Request<'a>,
        /// How many bytes it took, empty lines before it included.
        length: usize,
    },
    /// No request that can be answered otherwise than with this status and a close.
    Bad(Status),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Send the file.
    Get,
    /// Send the head alone.
    Head,
    /// Say what may be asked.
    Options,
    /// Store a file.
    Put,
    /// Store the files of a form.
    Post,
    /// Make a folder.
    Mkcol,
    /// Anything else.
    Other,
}

/// A whole head.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    /// What is to be done.
    pub(crate) method: Method,
    /// The method as it was written.
    pub(crate) method_text: &'a str,
    /// The target as it was written, for logs.
    pub(crate) target: &'a str,
    /// The target's path, still percent-encoded; `*` where OPTIONS asks about the whole server.
    pub(crate) path: &'a str,
    /// What stands behind the question mark.
    pub(crate) query: Option<&'a str>,
    /// What it is for: host and port, from the target or else from Host.
    pub(crate) authority: Option<&'a str>,
    /// The version.
    pub(crate) version: Version,
    /// The fields that mean something here.
    pub(crate) fields: Fields<'a>,
    /// How its content is delimited.
    pub(crate) framing: Framing,
}

impl Method {
    /// Whether it would change something.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Put | Self::Post | Self::Mkcol)
    }
}

/// A request of HTTP/2 (RFC 9113, section 8.3), as it is once it was unpacked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// `:method`
    pub(crate) method: &'a str,
    /// `:path`
    pub(crate) target: &'a str,
    /// `:authority`
    pub(crate) authority: Option<&'a str>,
    /// Whether anything follows it.
    pub(crate) has_content: bool,
}

impl<'a> Request<'a> {
    /// The same request as HTTP/1.1 could have made, and refused where that would be.
    pub(crate) fn of_values(
        values: Values<'a>,
        all: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, Status> {
        let Values { method: method_text, target, authority, has_content } = values;
        if method_text.len() >= METHOD {
            return Err(Status::BAD_REQUEST);
        }
        if target.len() > limits::REQUEST_TARGET {
            return Err(Status::URI_TOO_LONG);
        }
        let (mut fields, mut count) = (Fields::default(), 0);
        for (name, value) in all {
            fields.add(name, value)?;
            count += 1;
            if count > limits::REQUEST_FIELDS {
                return Err(Status::FIELDS_TOO_LARGE);
            }
        }
        let framing = match Framing::of(&fields, Version::Http2)? {
            _ if !has_content => Framing::None,
            Framing::None if fields.content_length.is_none() => Framing::Stream,
            framing => framing,
        };
        let Target { authority: of_target, path, query } = Target::read(method_text, target)?;
        // Both may be there, if they say the same (RFC 9113, section 8.3.1).
        let authority = match (host(&fields)?, authority) {
            (Some(host), Some(authority)) if !is_same_host(host, authority) => return Err(Status::BAD_REQUEST),
            (_, Some(authority)) => valid_authority(authority.as_bytes())?,
            (Some(host), None) => host,
            (None, None) => return Err(Status::BAD_REQUEST),
        };
        let authority = Some(of_target.unwrap_or(authority));
        let (method, version) = (method(method_text), Version::Http2);
        Ok(Self { method, method_text, target, path, query, authority, version, fields, framing })
    }
}

/// A port that goes without saying may be said.
fn is_same_host(one: &str, other: &str) -> bool {
    let bare = |text: &str| {
        let text = text.strip_suffix(":443").or_else(|| text.strip_suffix(":80")).unwrap_or(text);
        text.to_ascii_lowercase()
    };
    bare(one) == bare(other)
}

impl Request<'_> {
    /// Whether the client lets the connection stay open (RFC 9112, section 9.3).
    #[must_use]
    pub(crate) fn is_persistent(&self) -> bool {
        let has = |option: &[u8]| members(&self.fields.connection).any(|member| member.eq_ignore_ascii_case(option));
        match self.version {
            Version::Http11 | Version::Http2 => !has(b"close"),
            Version::Http10 => has(b"keep-alive") && !has(b"close"),
        }
    }

    /// The authority's host without port, brackets and a last dot; empty where there is none.
    #[must_use]
    pub(crate) fn host(&self) -> &str {
        let authority = self.authority.unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        host.strip_suffix('.').unwrap_or(host)
    }
}

/// Looks for a whole head at the beginning of `bytes`.
#[must_use]
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    // Some clients send an empty line behind the content of their last request (RFC 9112, section 2.2).
    let mut rest = bytes;
    while let Some(behind) = rest.strip_prefix(b"\r\n") {
        rest = behind;
    }
    let skipped = bytes.len() - rest.len();
    match end_of_head(rest) {
        Ok(None) if bytes.len() >= limits::REQUEST_HEAD => Parsed::Bad(Status::FIELDS_TOO_LARGE),
        Ok(None) => Parsed::Partial,
        Ok(Some(end)) if skipped + end > limits::REQUEST_HEAD => Parsed::Bad(Status::FIELDS_TOO_LARGE),
        Ok(Some(end)) => match read(&rest[..end]) {
            Ok(request) => Parsed::Whole { request, length: skipped + end },
            Err(status) => Parsed::Bad(status),
        },
        Err(status) => Parsed::Bad(status),
    }
}

/// Finds the empty line that ends a head, and everything that can be found wrong before it has come: who speaks another
/// protocol need not wait until time runs out.
fn end_of_head(bytes: &[u8]) -> Result<Option<usize>, Status> {
    let mut lines = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        // A line that ends with LF alone ends here for some readers and not for others (RFC 9112, section 2.2).
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(Status::BAD_REQUEST);
        }
        if lines == 0 {
            check_first_line(&bytes[..at - 1])?;
        } else if bytes[at - 2] == b'\n' {
            return Ok(Some(at + 1));
        }
        lines += 1;
        // Of a client that sends byte by byte all of it is looked at for each: there should not be much to look at.
        if lines > limits::REQUEST_FIELDS + 1 {
            return Err(Status::FIELDS_TOO_LARGE);
        }
    }
    if lines == 0 {
        check_beginning(bytes)?;
    }
    Ok(None)
}

/// The first line, of which the end has not come.
fn check_beginning(bytes: &[u8]) -> Result<(), Status> {
    if bytes == b"\r" {
        return Ok(());
    }
    check_method(bytes)?;
    if bytes.len() > METHOD + limits::REQUEST_TARGET + " HTTP/1.1\r".len() {
        return Err(Status::URI_TOO_LONG);
    }
    Ok(())
}

/// The method, or as much of it as has come.
fn check_method(line: &[u8]) -> Result<(), Status> {
    let length = line.iter().take(METHOD).take_while(|&&byte| is_of_token(byte)).count();
    let is_method = line.get(length).is_none_or(|&behind| behind == b' ' && length > 0);
    if is_method && length < METHOD { Ok(()) } else { Err(Status::BAD_REQUEST) }
}

/// A whole first line, of which the version says whether the rest is worth reading.
fn check_first_line(line: &[u8]) -> Result<(), Status> {
    check_method(line)?;
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    match version {
        // A later 1.x says nothing that would not be 1.1 (RFC 9110, section 2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {}
        // What a client says that takes this for HTTP/2 (RFC 9113, section 3.4); it understands no HTTP/1, but people do.
        b"HTTP/2.0" if line.starts_with(b"PRI ") => return Err(Status::BAD_REQUEST),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Status::VERSION_NOT_SUPPORTED);
        }
        _ => return Err(Status::BAD_REQUEST),
    }
    let first = memchr::memchr(b' ', line).unwrap_or_default();
    if line.len().saturating_sub(first + 2 + version.len()) > limits::REQUEST_TARGET {
        return Err(Status::URI_TOO_LONG);
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Request<'_>, Status> {
    let mut room = [const { MaybeUninit::uninit() }; limits::REQUEST_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    let mut fields = Fields::default();
    // It refuses folded lines, blanks before the colon, a CR alone and control characters.
    let (method_text, target, version) = match head.parse_with_uninit_headers(bytes, &mut room) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {
            for field in head.headers.iter() {
                fields.add(field.name, field.value)?;
            }
            let version = if head.version == Some(0) { Version::Http10 } else { Version::Http11 };
            (head.method.unwrap_or_default(), head.path.unwrap_or_default(), version)
        }
        // It knows no version behind 1.1.
        Err(httparse::Error::Version) => read_later(bytes, &mut fields)?,
        Err(httparse::Error::TooManyHeaders) => return Err(Status::FIELDS_TOO_LARGE),
        Ok(_) | Err(_) => return Err(Status::BAD_REQUEST),
    };
    let framing = Framing::of(&fields, version)?;
    let method = method(method_text);
    let Target { authority, path, query } = Target::read(method_text, target)?;
    // The target's host goes before that of the field, which has to be there all the same (RFC 9112, section 3.2).
    let authority = match (host(&fields)?, authority) {
        (None, _) if version == Version::Http11 => return Err(Status::BAD_REQUEST),
        (host, authority) => authority.or(host),
    };
    Ok(Request { method, method_text, target, path, query, authority, version, fields, framing })
}

/// Reads a head of HTTP/1.2 to 1.9, of which the first line has the same form as any.
fn read_later<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Result<(&'a str, &'a str, Version), Status> {
    let end = memchr::memmem::find(bytes, b"\r\n").ok_or(Status::BAD_REQUEST)?;
    let mut parts = bytes[..end].split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Status::BAD_REQUEST);
    };
    let is_target = !target.is_empty() && target.iter().all(|&byte| byte > b' ' && byte != 0x7f);
    if !is_target || !method.iter().all(|&byte| is_of_token(byte)) {
        return Err(Status::BAD_REQUEST);
    }
    let mut room = [httparse::EMPTY_HEADER; limits::REQUEST_FIELDS];
    match httparse::parse_headers(&bytes[end + 2..], &mut room) {
        Ok(httparse::Status::Complete((length, found))) if end + 2 + length == bytes.len() => {
            for field in found {
                fields.add(field.name, field.value)?;
            }
        }
        Err(httparse::Error::TooManyHeaders) => return Err(Status::FIELDS_TOO_LARGE),
        Ok(_) | Err(_) => return Err(Status::BAD_REQUEST),
    }
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Status::BAD_REQUEST);
    Ok((text(method)?, text(target)?, Version::Http11))
}

/// The Host field. It came once, so that its value still stands in the head.
fn host<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Status> {
    match &fields.host {
        None => Ok(None),
        Some(Cow::Borrowed(value)) => valid_authority(value).map(Some),
        Some(Cow::Owned(_)) => Err(Status::BAD_REQUEST),
    }
}

fn method(text: &str) -> Method {
    match text {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "MKCOL" => Method::Mkcol,
        _ => Method::Other,
    }
}

/// A target in its parts (RFC 9112, section 3.2).
struct Target<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn read(method: &str, target: &'a str) -> Result<Self, Status> {
        // A fragment is for the client alone. What is not ASCII belongs percent-encoded, and people who type it into
        // curl mean it all the same.
        if target.contains('#') {
            return Err(Status::BAD_REQUEST);
        }
        if target.starts_with('/') {
            return Ok(Self::split(None, target));
        }
        match method {
            "OPTIONS" if target == "*" => return Ok(Self::split(None, target)),
            // It names a host and a port alone. We answer it, with a refusal.
            "CONNECT" => {
                return Ok(Self { authority: Some(valid_authority(target.as_bytes())?), path: "*", query: None });
            }
            _ => {}
        }
        let rest = without_scheme(target).ok_or(Status::BAD_REQUEST)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let authority = Some(valid_authority(authority.as_bytes())?);
        Ok(match rest.strip_prefix('?') {
            Some(query) => Self { authority, path: "/", query: Some(query) },
            None => Self::split(authority, if rest.is_empty() { "/" } else { rest }),
        })
    }

    fn split(authority: Option<&'a str>, target: &'a str) -> Self {
        match target.split_once('?') {
            Some((path, query)) => Self { authority, path, query: Some(query) },
            None => Self { authority, path: target, query: None },
        }
    }
}

fn without_scheme(target: &str) -> Option<&str> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (begin, rest) = target.split_at_checked(scheme.len())?;
        begin.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// A host with or without a port (RFC 9110, section 7.2); no user before it (section 4.2.4).
fn valid_authority(text: &[u8]) -> Result<&str, Status> {
    let text = std::str::from_utf8(text).map_err(|_| Status::BAD_REQUEST)?;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, behind) = rest.split_once(']').ok_or(Status::BAD_REQUEST)?;
            ip.parse::<Ipv6Addr>().map_err(|_| Status::BAD_REQUEST)?;
            (ip, behind.strip_prefix(':').or(behind.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:".contains(&byte);
    let is_port = port.is_some_and(|port| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()));
    if host.is_empty() || !host.bytes().all(is_name) || !is_port {
        return Err(Status::BAD_REQUEST);
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
