//! The fields of a request that mean something to a file server, each in its own place; all others are passed over.

use std::borrow::Cow;

use super::status::Status;

/// A field's value. One that was sent in several lines stands here joined by commas, as RFC 9110, section 5.3 has it: a
/// list stays a list, and what is no list becomes something that its reader finds malformed and ignores.
pub(crate) type Value<'a> = Option<Cow<'a, [u8]>>;

/// What was sent, by field.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "each is named as the field it holds")]
pub(crate) struct Fields<'a> {
    pub(crate) accept: Value<'a>,
    pub(crate) accept_encoding: Value<'a>,
    pub(crate) access_control_request_method: Value<'a>,
    pub(crate) authorization: Value<'a>,
    pub(crate) connection: Value<'a>,
    pub(crate) content_encoding: Value<'a>,
    pub(crate) content_length: Value<'a>,
    pub(crate) content_range: Value<'a>,
    pub(crate) content_type: Value<'a>,
    pub(crate) expect: Value<'a>,
    pub(crate) host: Value<'a>,
    pub(crate) if_match: Value<'a>,
    pub(crate) if_modified_since: Value<'a>,
    pub(crate) if_none_match: Value<'a>,
    pub(crate) if_range: Value<'a>,
    pub(crate) if_unmodified_since: Value<'a>,
    pub(crate) origin: Value<'a>,
    pub(crate) range: Value<'a>,
    pub(crate) referer: Value<'a>,
    pub(crate) sec_fetch_site: Value<'a>,
    pub(crate) sec_websocket_key: Value<'a>,
    pub(crate) sec_websocket_protocol: Value<'a>,
    pub(crate) sec_websocket_version: Value<'a>,
    pub(crate) transfer_encoding: Value<'a>,
    pub(crate) upgrade: Value<'a>,
    pub(crate) user_agent: Value<'a>,
}

impl<'a> Fields<'a> {
    /// Puts one line in its place. The fields that say where a request ends and which host it is for may come once: two that
    /// differ are how one server is made to see another request than the next (RFC 9112, sections 3.2 and 11.2).
    pub(crate) fn add(&mut self, name: &str, value: &'a [u8]) -> Result<(), Status> {
        let Some(slot) = self.slot(name) else { return Ok(()) };
        match slot {
            None => *slot = Some(Cow::Borrowed(value)),
            Some(_) if is_framing(name) => return Err(Status::BAD_REQUEST),
            Some(before) => {
                let joined = before.to_mut();
                joined.extend_from_slice(b", ");
                joined.extend_from_slice(value);
            }
        }
        Ok(())
    }

    /// The length is compared first, which settles nearly all of them.
    fn slot(&mut self, name: &str) -> Option<&mut Value<'a>> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        Some(match name.len() {
            4 if is("host") => &mut self.host,
            5 if is("range") => &mut self.range,
            6 if is("accept") => &mut self.accept,
            6 if is("expect") => &mut self.expect,
            6 if is("origin") => &mut self.origin,
            7 if is("referer") => &mut self.referer,
            7 if is("upgrade") => &mut self.upgrade,
            8 if is("if-match") => &mut self.if_match,
            8 if is("if-range") => &mut self.if_range,
            10 if is("connection") => &mut self.connection,
            10 if is("user-agent") => &mut self.user_agent,
            12 if is("content-type") => &mut self.content_type,
            13 if is("if-none-match") => &mut self.if_none_match,
            13 if is("authorization") => &mut self.authorization,
            13 if is("content-range") => &mut self.content_range,
            14 if is("content-length") => &mut self.content_length,
            14 if is("sec-fetch-site") => &mut self.sec_fetch_site,
            15 if is("accept-encoding") => &mut self.accept_encoding,
            16 if is("content-encoding") => &mut self.content_encoding,
            17 if is("sec-websocket-key") => &mut self.sec_websocket_key,
            17 if is("transfer-encoding") => &mut self.transfer_encoding,
            17 if is("if-modified-since") => &mut self.if_modified_since,
            19 if is("if-unmodified-since") => &mut self.if_unmodified_since,
            21 if is("sec-websocket-version") => &mut self.sec_websocket_version,
            22 if is("sec-websocket-protocol") => &mut self.sec_websocket_protocol,
            29 if is("access-control-request-method") => &mut self.access_control_request_method,
            _ => return None,
        })
    }
}

fn is_framing(name: &str) -> bool {
    ["host", "content-length", "transfer-encoding"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The members of a list (RFC 9110, section 5.6.1), without their blanks; empty ones are passed over.
pub(crate) fn members<'v>(value: &'v Value<'_>) -> impl Iterator<Item = &'v [u8]> {
    let bytes = value.as_deref().unwrap_or_default();
    bytes.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_several_lines_are_one_list() {
        let mut fields = Fields::default();
        fields.add("Accept-Encoding", b"br , gzip").unwrap();
        fields.add("ACCEPT-ENCODING", b",deflate").unwrap();
        fields.add("X-Unknown", b"1").unwrap();
        let found: Vec<&[u8]> = members(&fields.accept_encoding).collect();
        assert_eq!(found, [b"br".as_slice(), b"gzip", b"deflate"]);
    }

    #[test]
    fn what_frames_a_request_comes_once() {
        for name in ["Host", "Content-Length", "Transfer-Encoding"] {
            let mut fields = Fields::default();
            fields.add(name, b"5").unwrap();
            assert_eq!(fields.add(&name.to_ascii_uppercase(), b"5"), Err(Status::BAD_REQUEST), "{name}");
        }
        let mut fields = Fields::default();
        fields.add("If-Modified-Since", b"a").unwrap();
        fields.add("If-Modified-Since", b"b").unwrap();
        assert_eq!(fields.if_modified_since.as_deref(), Some(b"a, b".as_slice()));
    }
}
