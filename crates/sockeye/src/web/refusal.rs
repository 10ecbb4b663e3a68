//! What a client is shown that gets nothing else.

use super::clock::Now;
use super::field_list::FieldList;
use super::head::{Head, ResponseContext};
use super::response::{Body, Response};
use crate::wire::http::status::Status;

/// What the page of a folder or an error may do in a browser: look as it does, and nothing else.
pub(crate) const POLICY: &[u8] = b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// A red fish for the tab, in the page itself, which may load nothing.
pub(crate) const ICON: &str = "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
    viewBox='0 0 16 16'%3E%3Cpath fill='%23c8402f' d='M1 8q5-7 10-1l4-3v8l-4-3q-5 6-10-1z'/%3E%3C/svg%3E\">\n";

/// The colours of both schemes.
pub(crate) const COLOURS: &str = "
:root{--ink:#1c2430;--soft:#5f6875;--line:#e3e7ec;--hover:#f2f5f9;--link:#0b5cad;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#dfe5ec;--soft:#93a0ae;--line:#2b333d;--hover:#1d242d;--link:#7ab8ff;--paper:#14191f}}";

/// A page that says what is wrong, in words that are ours alone.
pub(crate) fn write(
    status: Status,
    methods: &str,
    context: &ResponseContext,
    now: &Now,
    out: &mut FieldList,
) -> Response {
    write_because(status, explanation(status), methods, context, now, out)
}

/// The same with a reason of its own.
pub(crate) fn write_because(
    status: Status,
    why: &str,
    methods: &str,
    context: &ResponseContext,
    now: &Now,
    out: &mut FieldList,
) -> Response {
    let head = Head::begin(out, status, context, now);
    let head = match status {
        Status::METHOD_NOT_ALLOWED => head.field("Allow", methods.as_bytes()),
        Status::UNAUTHORIZED => head.field("WWW-Authenticate", b"Basic realm=\"files\", charset=\"UTF-8\""),
        Status::UNAVAILABLE => head.field("Retry-After", b"1"),
        _ => head,
    };
    // Where it leads is there for a client that may see anything here.
    let up = if matches!(status, Status::NOT_FOUND | Status::FORBIDDEN) {
        "<p><a href=\"/\">⌂ top folder</a></p>\n"
    } else {
        ""
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{status}</title>\n{ICON}<style>{COLOURS}{STYLE}</style>\n\
         </head>\n<body>\n<h1>{status}</h1>\n<p>{why}</p>\n{up}</body>\n</html>\n"
    );
    head.field("Content-Type", b"text/html; charset=utf-8")
        .field("Content-Security-Policy", POLICY)
        .content(Body::Bytes(page.into_bytes()))
}

const STYLE: &str = "
body{margin:0 auto;max-width:40rem;padding:3rem 1rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
h1{margin:0 0 1rem;font-size:1.5rem;font-weight:600}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
";

fn explanation(status: Status) -> &'static str {
    match status {
        Status::BAD_REQUEST => "What came is no request of HTTP/1.1 that can be read in one way only.",
        Status::UNAUTHORIZED => "This site is for those who know its user and password.",
        Status::FORBIDDEN => "It is there, and may not be read or written.",
        Status::NOT_FOUND => "There is nothing here under this name.",
        Status::METHOD_NOT_ALLOWED => "Files are read here.",
        Status::REQUEST_TIMEOUT => "The request did not come in time.",
        Status::CONFLICT => {
            "A file can be stored under a new name, or with PUT in the place of a file, in a folder that exists. Nothing was \
             stored."
        }
        Status::PRECONDITION_FAILED => "The file is not as the request said it is.",
        Status::CONTENT_TOO_LARGE => "The file is larger than may be stored here.",
        Status::MISDIRECTED_REQUEST => {
            "This server does not go by the name that was asked for. Whoever runs it gives it the name with --host."
        }
        Status::NOT_IMPLEMENTED => "The content is coded in a way that is not known here.",
        Status::UNAVAILABLE => "The server has too many files open. Try again.",
        Status::INSUFFICIENT_STORAGE => "There is no room left.",
        _ => "The request cannot be answered.",
    }
}
