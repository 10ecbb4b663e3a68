//! TLS by rustls: whom we trust, and what is wrong with a peer in the words of people. No type of rustls leaves the crate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};

/// Whose certificates are believed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    authorities: Option<PathBuf>,
    ready: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    /// What the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name other places.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Only who the certificates of a PEM file sign for.
    #[must_use]
    pub fn only(authorities: &Path) -> Self {
        Self { authorities: Some(authorities.to_owned()), ready: OnceLock::new() }
    }

    /// Reads the certificates now rather than with the first handshake, so that a wrong file is told before anything
    /// is sent. The system's are many, and are left until they are needed.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate.
    pub fn check(&self) -> Result<(), TlsError> {
        if self.authorities.is_some() { self.config().map(drop) } else { Ok(()) }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.ready.get() {
            return Ok(Arc::clone(config));
        }
        let roots = match &self.authorities {
            Some(path) => read_authorities(path)?,
            None => system_authorities()?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::local(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::clone(self.ready.get_or_init(|| Arc::new(config))))
    }

    /// The client's side of a session that speaks one application protocol (ALPN, RFC 7301).
    pub(crate) fn client(&self, host: &str, protocol: &[u8]) -> Result<ClientConnection, TlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::local(format!("no certificate can be for `{host}`")))?;
        let mut config = (*self.config()?).clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        ClientConnection::new(Arc::new(config), name).map_err(|error| TlsError::local(error.to_string()))
    }
}

fn read_authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let unusable = |why: String| TlsError { why: Why::Authorities, text: format!("{}: {why}", path.display()) };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| match error {
            rustls::pki_types::pem::Error::Io(error) => super::words(&error),
            other => other.to_string(),
        });
    let mut roots = RootCertStore::empty();
    for certificate in certificates.map_err(unusable)? {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate in PEM form".to_owned()));
    }
    Ok(roots)
}

fn system_authorities() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some of a system's certificates may be too old for rustls; the others count.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(
            || "this system has none: install ca-certificates, or name a file with --ca".to_owned(),
            ToString::to_string,
        );
        return Err(TlsError { why: Why::Authorities, text: format!("there are no trusted certificates: {why}") });
    }
    Ok(roots)
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
    /// The file of trusted certificates is of no use.
    Authorities,
    /// The peer's certificate is not to be believed.
    Certificate,
    /// The two could not agree, or the peer does not speak TLS.
    Handshake,
}

impl TlsError {
    fn local(text: String) -> Self {
        Self { why: Why::Handshake, text }
    }

    /// What the session says, in the words of people.
    pub(crate) fn of(error: &rustls::Error, host: &str) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(error) => {
                Self { why: Why::Certificate, text: format!("the certificate of {host} {}", certificate(error)) }
            }
            Error::InvalidMessage(_) => Self::local(format!("{host} does not speak TLS there")),
            Error::AlertReceived(alert) => Self::local(format!("{host} refused: {alert:?}")),
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
        CertificateError::NotValidForNameContext { presented, .. } => {
            // At most a few of the names; some certificates have hundreds.
            let mut names = presented.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
            if presented.len() > 4 {
                names.push_str(", …");
            }
            format!("is for another name: {names}")
        }
        CertificateError::Revoked => "was revoked".to_owned(),
        other => format!("is not to be believed: {other}"),
    }
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
