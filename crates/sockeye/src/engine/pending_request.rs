//! A request that is kept until its answer is there: as it came, from which it is read again.

use http::HeaderMap;
use http::request::Parts;

use crate::wire::http::request::{Parsed, Request, Values, parse};
use crate::wire::http::status::Status;

/// A field's place in a map.
const FIELD: usize = 128;

/// A request without its content.
#[derive(Debug, Clone)]
pub(super) enum PendingRequest {
    /// Its head as HTTP/1 has it.
    Http1(Vec<u8>),
    /// Its values as they came over HTTP/2, and whether content follows.
    Http2(Box<Parts>, bool),
}

impl PendingRequest {
    /// The request, unless it is none that can be answered otherwise than with this status.
    pub(super) fn read(&self) -> Result<Request<'_>, Status> {
        match self {
            Self::Http1(head) => match parse(head) {
                Parsed::Whole { request, .. } => Ok(request),
                Parsed::Partial => Err(Status::BAD_REQUEST),
                Parsed::Bad(status) => Err(status),
            },
            Self::Http2(parts, has_content) => of_parts(parts, *has_content),
        }
    }

    /// The same, where the reason for none does not matter.
    pub(super) fn request(&self) -> Option<Request<'_>> {
        self.read().ok()
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Http1(head) => head.capacity(),
            Self::Http2(parts, _) => size_of::<Parts>() + size_of_fields(&parts.headers),
        }
    }
}

/// Bytes of memory that fields take, about: their place in the map, and what they say.
pub(super) fn size_of_fields(fields: &HeaderMap) -> usize {
    let said: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    fields.capacity() * FIELD + said
}

/// A request of HTTP/2 from what h2 has unpacked.
fn of_parts(parts: &Parts, has_content: bool) -> Result<Request<'_>, Status> {
    let values = Values {
        method: parts.method.as_str(),
        target: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
        authority: parts.uri.authority().map(|authority| authority.as_str()),
        has_content,
    };
    Request::of_values(values, parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn fields_take_what_they_say_and_a_place_for_each() {
        assert_eq!(size_of_fields(&HeaderMap::new()), 0);
        let mut fields = HeaderMap::new();
        fields.insert("x-long", HeaderValue::from_str(&"v".repeat(1000)).expect("it is text"));
        assert_eq!(size_of_fields(&fields), fields.capacity() * FIELD + "x-long".len() + 1000);
    }
}
