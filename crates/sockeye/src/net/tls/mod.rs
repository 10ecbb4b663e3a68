//! TLS by rustls: whom we trust, and what is wrong with a peer in the words of people. No type of rustls leaves the crate.

mod identity;
mod keys;
mod named;
mod session;
mod trust;

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::CertificateError;
use rustls::crypto::CryptoProvider;

pub use identity::Identity;
pub use keys::IdentityFiles;
pub(crate) use session::Session;
pub use trust::{Trust, Version};

/// What does the cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The SHA-256 fingerprint of a certificate, as it is written for people: `sha256:` and small hex digits.
fn fingerprint(certificate: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .map(|suite| suite.common.hash_provider.hash(certificate));
    let mut text = "sha256:".to_owned();
    for byte in digest.iter().flat_map(|digest| digest.as_ref()) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Why there is no secure connection.
#[derive(Debug)]
pub struct TlsError {
    /// Whose doing it is.
    pub why: Why,
    text: String,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A file of certificates or keys of ours is of no use.
    Files,
    /// The peer's certificate is not to be believed.
    Certificate,
    /// The two could not agree, or the peer does not speak TLS.
    Handshake,
}

impl TlsError {
    pub(crate) fn local(text: String) -> Self {
        Self { why: Why::Handshake, text }
    }

    /// What the session says, in the words of people.
    pub(crate) fn of(error: &rustls::Error, host: &str) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(error) => {
                Self { why: Why::Certificate, text: format!("the certificate of {host} {}", certificate(error)) }
            }
            Error::General(text) if text.starts_with(trust::NOT_PINNED) => {
                Self { why: Why::Certificate, text: format!("the certificate of {host} {text}") }
            }
            Error::InvalidMessage(_) => Self::local(format!("{host} does not speak TLS")),
            Error::AlertReceived(alert) => Self::local(format!("{host} refused: {alert:?}")),
            // We are the server, and the client does not say more.
            Error::NoCertificatesPresented => Self::local(format!("{host} showed no certificate")),
            Error::PeerIncompatible(why) => Self::local(format!("{host} speaks no version of TLS that we do: {why:?}")),
            other => Self::local(format!("{host}: {other}")),
        }
    }

    pub(crate) fn cut(host: &str) -> Self {
        Self::local(format!("{host} closed the connection in the handshake"))
    }
}

/// What is wrong with a certificate, behind "the certificate of HOST".
fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "is not valid yet".to_owned(),
        CertificateError::UnknownIssuer => {
            "is signed by nobody who is trusted (--ca FILE trusts a private authority)".to_owned()
        }
        CertificateError::NotValidForName => "is for another name".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "is for no host: it has no subjectAltName, and a common name does not count".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            // At most a few of the names; some certificates have hundreds.
            let mut names = presented.iter().take(4).map(|name| bare(name)).collect::<Vec<_>>().join(", ");
            if presented.len() > 4 {
                names.push_str(", …");
            }
            format!("is for another name: {names}")
        }
        CertificateError::Revoked => "was revoked".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not one for servers (extended key usage)".to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            "is signed in a way that is known to be weak, or not known (such as SHA-1)".to_owned()
        }
        // rustls does not tell the two apart.
        CertificateError::BadSignature => {
            "has a signature that its authority did not make, or a key that is too short".to_owned()
        }
        CertificateError::Other(why) => match why.0.to_string().as_str() {
            "UnsupportedCriticalExtension" => "demands something that is not known (a critical extension)".to_owned(),
            "CaUsedAsEndEntity" => {
                "is that of an authority, and of no server (--ca FILE believes one that signs itself)".to_owned()
            }
            "EndEntityUsedAsCa" => "is signed by one that may not sign others".to_owned(),
            "PathLenConstraintViolated" => "is signed through more authorities than one of them allows".to_owned(),
            "NameConstraintViolation" => "is signed by an authority that may not do so for this name".to_owned(),
            "UnsupportedCertVersion" => "is of an old version of X.509 that has no names of hosts".to_owned(),
            other => format!("is not to be believed: {other}"),
        },
        other => format!("is not to be believed: {other}"),
    }
}

/// A name without the kind that rustls writes around it: `DnsName("a.example")`, `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TlsError {}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}
