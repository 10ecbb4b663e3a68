//! Why a URL cannot be fetched: a kind, and its words. What it shows of the URL has no credentials.

use std::fmt;

use crate::address::AddressError;

/// Why a URL cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlError {
    pub(super) url: String,
    pub(super) kind: UrlErrorKind,
}

/// What is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlErrorKind {
    /// Its scheme is one that is not fetched.
    Scheme(String),
    /// It names no host.
    NoHost,
    /// Its host is no name.
    HostName(String),
    /// Its host is no address, though it looks like one.
    HostAddress(String),
    /// Its host is an IPv6 address without brackets.
    NoBrackets(String),
    /// The zone of its address, which stands behind a `%`, is none of this machine.
    Zone(Box<AddressError>),
    /// Its port is no number from 0 to 65535.
    Port,
    /// Its port is 0.
    PortZero,
    /// It cannot be read from where it stands.
    Unresolved,
    /// It is not secure, and it stands in an answer that was.
    Insecure,
    /// It is no URL for another reason, in the words of the URL standard.
    Malformed(String),
}

impl UrlError {
    /// What is wrong with it.
    #[must_use]
    pub fn kind(&self) -> &UrlErrorKind {
        &self.kind
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.url, self.kind)
    }
}

impl std::error::Error for UrlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            UrlErrorKind::Zone(error) => Some(&**error),
            _ => None,
        }
    }
}

/// As it stands behind the URL.
impl fmt::Display for UrlErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(scheme) => write!(f, "has the scheme `{scheme}`, and only http and https are fetched"),
            Self::NoHost => f.write_str("has no host: write http://HOST/PATH"),
            Self::HostName(host) => write!(f, "has `{host}` for a host, which is no name"),
            Self::HostAddress(host) => write!(f, "has `{host}` for a host, which is no address"),
            Self::NoBrackets(ip) => write!(f, "has an IPv6 address without brackets: write [{ip}]"),
            Self::Zone(error) => f.write_str(&error.without_address()),
            Self::Port => f.write_str("has a port that is none: ports are numbers from 0 to 65535"),
            Self::PortZero => f.write_str("has the port 0, which nobody listens on"),
            Self::Unresolved => f.write_str("cannot be resolved"),
            Self::Insecure => f.write_str("is not secure, and this connection was"),
            Self::Malformed(words) => write!(f, "is no URL: {words}"),
        }
    }
}
