//! Which certificates a client believes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, KeyLogFile, OtherError, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
};

use super::keys::IdentityFiles;
use super::reason::NotPinned;
use super::verifier::{ClientVerifier, Verifier};
use super::{TlsError, TlsErrorKind, fingerprint, provider};

/// Whose certificates are believed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    whom: Whom,
    /// Who we are, if a server asks: a certificate and its key.
    identity: Option<IdentityFiles>,
    /// The oldest version of TLS that is spoken.
    oldest: Version,
    has_key_log: bool,
    /// Spoken inside, the most wanted first (RFC 7301).
    protocols: Vec<String>,
    ready: OnceLock<Arc<ClientConfig>>,
}

/// A version of TLS (RFC 5246, RFC 8446); older ones are not spoken (RFC 8996).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// 1.2.
    #[default]
    Tls12,
    /// 1.3.
    Tls13,
}

#[derive(Debug, Clone, Default)]
enum Whom {
    #[default]
    System,
    Authorities(PathBuf),
    Pinned(String),
    Anyone,
}

impl Trust {
    /// What the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name other places.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Only who the certificates of a PEM file sign for, and who shows one of them.
    #[must_use]
    pub fn only(authorities: &Path) -> Self {
        Self { whom: Whom::Authorities(authorities.to_owned()), ..Self::default() }
    }

    /// Only the certificate with this fingerprint, whatever its names and dates: `sha256:` and 64 hex digits, colons
    /// between them or not.
    ///
    /// # Errors
    /// It is no such fingerprint.
    pub fn pinned(fingerprint: &str) -> Result<Self, TlsError> {
        let digits = fingerprint.strip_prefix("sha256:").unwrap_or_default().replace(':', "").to_ascii_lowercase();
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let text = format!("`{fingerprint}` is no fingerprint: write sha256: and 64 hex digits");
            return Err(TlsError::new(TlsErrorKind::Files, text));
        }
        Ok(Self { whom: Whom::Pinned(format!("sha256:{digits}")), ..Self::default() })
    }

    /// Any server, which is no security against an attacker on the way.
    #[must_use]
    pub fn anyone() -> Self {
        Self { whom: Whom::Anyone, ..Self::default() }
    }

    /// Says who we are to a server that asks.
    #[must_use]
    pub fn with_identity(self, files: IdentityFiles) -> Self {
        Self { identity: Some(files), ready: OnceLock::new(), ..self }
    }

    /// The same for a proxy on the way: a fingerprint is that of the server behind it, and only that one is told who we are.
    pub(crate) fn for_proxy(&self) -> Self {
        let whom = match &self.whom {
            Whom::Pinned(_) => Whom::System,
            whom => whom.clone(),
        };
        Self { whom, identity: None, ready: OnceLock::new(), ..self.clone() }
    }

    /// Speaks no version of TLS that is older.
    #[must_use]
    pub fn at_least(self, oldest: Version) -> Self {
        Self { oldest, ready: OnceLock::new(), ..self }
    }

    /// Asks for one of these protocols to be spoken inside, the most wanted first (ALPN, RFC 7301).
    #[must_use]
    pub fn speaking(self, protocols: &[String]) -> Self {
        Self { protocols: protocols.to_vec(), ready: OnceLock::new(), ..self }
    }

    /// Writes the keys of its sessions to the file that the variable SSLKEYLOGFILE names, if it is set. Whoever reads it can
    /// read them: this happens only for a caller that asks for it.
    #[must_use]
    pub fn with_key_log(self) -> Self {
        Self { has_key_log: true, ready: OnceLock::new(), ..self }
    }

    /// Reads the certificates now rather than with the first handshake, so that a wrong file is told before anything
    /// is sent. The system's are many, and are left until they are needed.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate.
    pub fn check(&self) -> Result<(), TlsError> {
        if matches!(self.whom, Whom::Authorities(_)) || self.identity.is_some() {
            self.config().map(drop)
        } else {
            Ok(())
        }
    }

    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.ready.get() {
            return Ok(Arc::clone(config));
        }
        let versions: &[&SupportedProtocolVersion] = match self.oldest {
            Version::Tls12 => &[&TLS13, &TLS12],
            Version::Tls13 => &[&TLS13],
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::local(error.to_string()))?
            .dangerous();
        let builder = match &self.whom {
            Whom::System => builder.with_custom_certificate_verifier(Arc::new(system_authorities()?)),
            Whom::Authorities(path) => builder.with_custom_certificate_verifier(Arc::new(read_authorities(path)?)),
            Whom::Pinned(pin) => builder.with_custom_certificate_verifier(Arc::new(Pin { pin: Some(pin.clone()) })),
            Whom::Anyone => builder.with_custom_certificate_verifier(Arc::new(Pin { pin: None })),
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let (chain, key) = files.read()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    let key = files.key.as_ref().unwrap_or(&files.certificate);
                    let why = format!("it cannot be used with the key {}: {error}", key.display());
                    TlsError::unusable(&files.certificate, &why).caused_by(error)
                })?
            }
        };
        config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        if self.has_key_log {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(Arc::clone(self.ready.get_or_init(|| Arc::new(config))))
    }

    /// The client's side of a session.
    pub(super) fn session(&self, host: &str) -> Result<ClientConnection, TlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::local(format!("no certificate can be for `{host}`")))?;
        ClientConnection::new(self.config()?, name).map_err(|error| TlsError::local(error.to_string()))
    }

    /// The same of one that speaks these application protocols (ALPN, RFC 7301).
    pub(crate) fn client(&self, host: &str, protocols: &[&[u8]]) -> Result<ClientConnection, TlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::local(format!("no certificate can be for `{host}`")))?;
        let mut config = (*self.config()?).clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        ClientConnection::new(Arc::new(config), name).map_err(|error| TlsError::local(error.to_string()))
    }
}

fn read_authorities(path: &Path) -> Result<Verifier, TlsError> {
    let (roots, certificates) = read_roots(path)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let verifier = verifier.map_err(|_| TlsError::unusable(path, "it holds no certificate in PEM form"))?;
    Ok(Verifier::new(verifier, certificates))
}

/// Whose clients a server believes: those that the authorities of a file sign for, and who shows one of its certificates.
pub(super) fn client_verifier(path: &Path) -> Result<ClientVerifier, TlsError> {
    let (roots, certificates) = read_roots(path)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let verifier = verifier.map_err(|_| TlsError::unusable(path, "it holds no certificate in PEM form"))?;
    Ok(ClientVerifier::new(verifier, certificates))
}

fn read_roots(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let unusable = |why: String| TlsError::unusable(path, &why);
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| match error {
            rustls::pki_types::pem::Error::Io(error) => crate::net::words(&error),
            other => other.to_string(),
        });
    let certificates = certificates.map_err(unusable)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|error| unusable(error.to_string()))?;
    }
    Ok((roots, certificates))
}

fn system_authorities() -> Result<Verifier, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some of a system's certificates may be too old for rustls; the others count.
    roots.add_parsable_certificates(found.certs);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let verifier = verifier.map_err(|_| {
        let why = found.errors.first().map_or_else(
            || "this system has none: install ca-certificates, or name a file with --ca".to_owned(),
            ToString::to_string,
        );
        TlsError::new(TlsErrorKind::Files, format!("there are no trusted certificates: {why}"))
    })?;
    Ok(Verifier::new(verifier, vec![]))
}

/// Believes one certificate, no matter who signed it, or every one. That the peer has its key is verified as always.
#[derive(Debug)]
struct Pin {
    pin: Option<String>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = fingerprint(certificate);
        if self.pin.as_ref().is_none_or(|pin| *pin == found) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::Other(OtherError(Arc::new(NotPinned { found }))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_with_and_without_colons() {
        let digits = "ab".repeat(32);
        assert!(Trust::pinned(&format!("sha256:{digits}")).is_ok());
        assert!(Trust::pinned(&format!("sha256:{}", ["AB"; 32].join(":"))).is_ok());
        for wrong in
            ["", "sha256:", "sha1:ab", &digits, &format!("sha256:{digits}00"), &format!("sha256:{}", "zz".repeat(32))]
        {
            assert!(Trust::pinned(wrong).is_err(), "{wrong}");
        }
    }
}
