//! An answer as HTTP/1 writes it (RFC 9112).

use super::field_list::FieldList;
use super::head::push_number;
use super::made::{End, Made};
use super::response::{Body, Extent, Response};
use crate::wire::http::version::Version;

/// Adds the head of an answer to one of this version. How the end of its content is known, and whether the connection stays,
/// follows from that: all that HTTP/1.0 has for an end which is not known before is that of the connection.
pub(crate) fn write_head(response: &mut Response, fields: &FieldList, version: Version, out: &mut Vec<u8>) {
    let is_old = version == Version::Http10;
    if is_old && response.extent == Extent::Open {
        response.keep_alive = false;
        if let Body::Made(Made { end, .. }) = &mut response.body {
            *end = End::Close;
        }
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(out, response.status.code().into());
    out.push(b' ');
    out.extend_from_slice(response.status.reason().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(fields.lines());
    match (response.keep_alive, is_old) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        // Such a client has to be told.
        (true, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, false) => {}
    }
    if !is_old && response.extent == Extent::Open {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
}
