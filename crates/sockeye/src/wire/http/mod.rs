//! HTTP, as far as its bytes mean something without a connection: requests, heads and bodies, content codings, URLs.

#[cfg(feature = "figures")]
pub(crate) mod answer;
pub(crate) mod body;
mod challenge;
mod chunks;
mod coding;
pub(crate) mod date;
pub(crate) mod fields;
mod head;
pub(crate) mod request;
pub(crate) mod status;
mod token;
mod url;
pub(crate) mod version;

pub(crate) use challenge::Challenge;
pub(crate) use chunks::{Chunk, Chunks};
pub use coding::is_packed;
pub(crate) use coding::{Coding, Fault, decode, is_own, read_buffered};
pub(crate) use date::http_date;
pub(crate) use head::{Asked, end_of_head};
pub use head::{Head, HeadError};
pub(crate) use token::{is_of_token, is_token};
pub(crate) use url::percent_decoded;
pub use url::{Origin, Url, UrlError, UrlErrorKind, UrlScheme, percent_encoded};
