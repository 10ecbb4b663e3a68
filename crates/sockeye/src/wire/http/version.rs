//! Versions of HTTP.

/// The version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// HTTP/1.0, whose connections end after one exchange unless both agree to keep them.
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2, whose requests are read by [`super::request::Request::of_values`].
    Http2,
}
