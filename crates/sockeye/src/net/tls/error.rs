//! Why there is no secure connection, and whose doing that is.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

/// Why there is no secure connection.
#[derive(Debug)]
pub struct TlsError {
    /// Whose doing it is.
    pub why: TlsErrorKind,
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    /// The peer ended the connection without a word about why, or said nothing for too long.
    pub(crate) is_cut: bool,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsErrorKind {
    /// A file of certificates or keys of ours is of no use.
    Files,
    /// The peer's certificate is not to be believed.
    Certificate,
    /// The two could not agree, or the peer does not speak TLS.
    Handshake,
    /// The peer does not speak WebSocket, or does not want to here.
    WebSocket,
    /// What came inside a WebSocket breaks it, or says that something went wrong.
    Messages,
}

impl TlsError {
    pub(crate) fn local(text: String) -> Self {
        Self::new(TlsErrorKind::Handshake, text)
    }

    /// The same of the layer above, which has its errors with it.
    pub(crate) fn websocket(text: String) -> Self {
        Self::new(TlsErrorKind::WebSocket, text)
    }

    /// The same, once that layer has begun.
    pub(crate) fn messages(text: String) -> Self {
        Self::new(TlsErrorKind::Messages, text)
    }

    pub(crate) fn is_of_websocket(&self) -> bool {
        matches!(self.why, TlsErrorKind::WebSocket | TlsErrorKind::Messages)
    }

    /// What it is about, for people.
    #[must_use]
    pub fn layer(&self) -> &'static str {
        if self.is_of_websocket() { "WebSocket" } else { "TLS" }
    }

    pub(super) fn new(why: TlsErrorKind, text: String) -> Self {
        Self { why, text, source: None, is_cut: false }
    }

    /// A file that cannot be used.
    pub(super) fn unusable(path: &Path, why: &str) -> Self {
        Self::new(TlsErrorKind::Files, format!("{}: {why}", path.display()))
    }

    pub(super) fn caused_by(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }

    pub(crate) fn cut(host: &str) -> Self {
        Self::local(format!("{host} closed the connection in the handshake")).without_a_word()
    }

    /// The peer did not say why.
    pub(crate) fn without_a_word(self) -> Self {
        Self { is_cut: true, ..self }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}
