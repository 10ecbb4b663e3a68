//! Status codes (RFC 9110, section 15): those that this server gives.

use std::fmt;

/// A status code with its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Status(u16);

impl Status {
    /// 200
    pub(crate) const OK: Self = Self(200);
    /// 201
    pub(crate) const CREATED: Self = Self(201);
    /// 204
    pub(crate) const NO_CONTENT: Self = Self(204);
    /// 206
    pub(crate) const PARTIAL_CONTENT: Self = Self(206);
    /// 301
    pub(crate) const MOVED_PERMANENTLY: Self = Self(301);
    /// 303
    pub(crate) const SEE_OTHER: Self = Self(303);
    /// 304
    pub(crate) const NOT_MODIFIED: Self = Self(304);
    /// 308
    pub(crate) const PERMANENT_REDIRECT: Self = Self(308);
    /// 400
    pub(crate) const BAD_REQUEST: Self = Self(400);
    /// 401
    pub(crate) const UNAUTHORIZED: Self = Self(401);
    /// 403
    pub(crate) const FORBIDDEN: Self = Self(403);
    /// 404
    pub(crate) const NOT_FOUND: Self = Self(404);
    /// 405
    pub(crate) const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 408
    pub(crate) const REQUEST_TIMEOUT: Self = Self(408);
    /// 409
    pub(crate) const CONFLICT: Self = Self(409);
    /// 412
    pub(crate) const PRECONDITION_FAILED: Self = Self(412);
    /// 413
    pub(crate) const CONTENT_TOO_LARGE: Self = Self(413);
    /// 414
    pub(crate) const URI_TOO_LONG: Self = Self(414);
    /// 415
    pub(crate) const UNSUPPORTED_MEDIA_TYPE: Self = Self(415);
    /// 416
    pub(crate) const RANGE_NOT_SATISFIABLE: Self = Self(416);
    /// 417
    pub(crate) const EXPECTATION_FAILED: Self = Self(417);
    /// 421
    pub(crate) const MISDIRECTED_REQUEST: Self = Self(421);
    /// 426 (RFC 9110, section 15.5.22)
    pub(crate) const UPGRADE_REQUIRED: Self = Self(426);
    /// 431
    pub(crate) const FIELDS_TOO_LARGE: Self = Self(431);
    /// 500
    pub(crate) const INTERNAL_ERROR: Self = Self(500);
    /// 501
    pub(crate) const NOT_IMPLEMENTED: Self = Self(501);
    /// 503
    pub(crate) const UNAVAILABLE: Self = Self(503);
    /// 505
    pub(crate) const VERSION_NOT_SUPPORTED: Self = Self(505);
    /// 507 (RFC 4918, section 11.5)
    pub(crate) const INSUFFICIENT_STORAGE: Self = Self(507);

    /// The number.
    #[must_use]
    pub(crate) fn code(self) -> u16 {
        self.0
    }

    /// The words behind the number, which no client reads.
    #[must_use]
    pub(crate) fn reason(self) -> &'static str {
        match self.0 {
            200 => "OK",
            201 => "Created",
            204 => "No Content",
            206 => "Partial Content",
            301 => "Moved Permanently",
            303 => "See Other",
            304 => "Not Modified",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            409 => "Conflict",
            412 => "Precondition Failed",
            413 => "Content Too Large",
            414 => "URI Too Long",
            415 => "Unsupported Media Type",
            416 => "Range Not Satisfiable",
            417 => "Expectation Failed",
            421 => "Misdirected Request",
            426 => "Upgrade Required",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            507 => "Insufficient Storage",
            _ => "Internal Server Error",
        }
    }

    /// Whether content follows its head unless the request was HEAD (RFC 9110, section 6.4.1).
    #[must_use]
    pub(crate) fn has_content(self) -> bool {
        self.0 != 204 && self.0 != 304
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}
