//! What rustls and webpki say of a peer, in the words of people.

use std::error::Error as StdError;
use std::fmt;

use rustls::{AlertDescription, CertificateError, Error};

use super::{TlsError, TlsErrorKind};

/// The peer's certificate is another one than the one that is pinned.
#[derive(Debug)]
pub(super) struct NotPinned {
    pub(super) found: String,
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is not the one that --pin names: it is {}", self.found)
    }
}

impl StdError for NotPinned {}

/// The certificate of a client is not believed: whose it is, and why not.
#[derive(Debug)]
pub(super) struct OfClient {
    pub(super) who: String,
    pub(super) why: CertificateError,
}

impl fmt::Display for OfClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match &self.why {
            CertificateError::UnknownIssuer => "is signed by nobody who is trusted (--client-ca FILE)".to_owned(),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "is not one for clients (extended key usage)".to_owned()
            }
            why => reason(why),
        };
        write!(f, "the client's certificate ({}) {why}", self.who)
    }
}

impl StdError for OfClient {}

impl TlsError {
    /// What the session says.
    pub(crate) fn of(error: &Error, host: &str) -> Self {
        let told = match error {
            Error::InvalidCertificate(CertificateError::Other(other)) if other.0.is::<OfClient>() => {
                Self::new(TlsErrorKind::Certificate, other.0.to_string())
            }
            Error::InvalidCertificate(error) => {
                Self::new(TlsErrorKind::Certificate, format!("the certificate of {host} {}", reason(error)))
            }
            Error::InvalidMessage(_) => Self::local(format!("{host} does not speak TLS")),
            Error::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::local(format!("{host} asks for a certificate: --cert FILE and --key FILE say who we are"))
            }
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::local(format!(
                "{host} speaks none of the protocols that were offered (ALPN, no_application_protocol)"
            )),
            Error::NoApplicationProtocol => {
                Self::local(format!("{host} offered no protocol that is spoken here (ALPN, no_application_protocol)"))
            }
            Error::AlertReceived(alert) => Self::local(format!("{host} refused: {alert:?}")),
            // We are the server, and the client does not say more.
            Error::NoCertificatesPresented => Self::local(format!("{host} showed no certificate")),
            Error::PeerIncompatible(why) => Self::local(format!("{host} speaks no version of TLS that we do: {why:?}")),
            other => Self::local(format!("{host}: {other}")),
        };
        told.caused_by(error.clone())
    }
}

/// What is wrong with a certificate, behind "the certificate of HOST".
fn reason(error: &CertificateError) -> String {
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
            let mut names = presented.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
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
        CertificateError::Other(other) => match (other.0.downcast_ref(), other.0.downcast_ref::<NotPinned>()) {
            (Some(error), _) => of_webpki(error),
            (_, Some(not_pinned)) => not_pinned.to_string(),
            (None, None) => format!("is not to be believed: {other:?}"),
        },
        other => format!("is not to be believed: {other}"),
    }
}

/// The errors of webpki that rustls has no variant for.
fn of_webpki(error: &webpki::Error) -> String {
    use webpki::Error;
    match error {
        Error::UnsupportedCriticalExtension => "demands something that is not known (a critical extension)".to_owned(),
        Error::CaUsedAsEndEntity => {
            "is that of an authority, and of no server (--ca FILE believes one that signs itself)".to_owned()
        }
        Error::EndEntityUsedAsCa => "is signed by one that may not sign others".to_owned(),
        Error::PathLenConstraintViolated => "is signed through more authorities than one of them allows".to_owned(),
        Error::NameConstraintViolation => "is signed by an authority that may not do so for this name".to_owned(),
        Error::UnsupportedCertVersion => "is of an old version of X.509 that has no names of hosts".to_owned(),
        other => format!("is not to be believed: {other}"),
    }
}
